"""`python -m txfast`."""

from txfast.cli import entry

if __name__ == "__main__":
    entry()
