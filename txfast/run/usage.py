"""The parser of every command line, and how a wrong one is answered.

This module must not know which options there are. It imports argparse, so a run without options must not import it.
"""

import argparse

from txfast.input.location import keep_secrets_of
from txfast.printable import printable

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """An argparse parser whose errors are printable: they repeat arguments, which may hold anything."""

    def parse_known_args(self, args: "Sequence[str] | None" = None, namespace: "Any" = None) -> "Any":  # type: ignore[override]
        """Parse arguments. An error may repeat any of them, so the secrets in them are noted first."""
        for argument in args or ():
            keep_secrets_of(argument)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> "NoReturn":
        """Show the usage and the message, and end the process with exit code 2."""
        super().error(printable(message))
