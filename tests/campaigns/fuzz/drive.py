"""Runs one target under libFuzzer, in a process of its own: python drive.py TARGET [LIBFUZZER_ARGUMENT …].

The module with the targets is not instrumented, so that only new paths in the kernel count as new.
"""

from __future__ import annotations

import sys

import atheris

from tests.campaigns.fuzz.targets import TARGETS


def main() -> None:
    _, target, *arguments = sys.argv
    atheris.Setup([sys.argv[0], *arguments], TARGETS[target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
