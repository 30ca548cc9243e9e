"""`python -m txfast`."""

from txfast.cli import entry

entry()
