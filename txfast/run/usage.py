"""The parser of every command line, and how a wrong one is answered.

This module must not know which options there are. It imports argparse, so a run without options must not import it.
"""

import argparse
import re

from txfast.errors import EXIT_MISUSED
from txfast.input.location import keep_secrets_of
from txfast.log.journal import LOG_FORMATS, Journal
from txfast.text.words import did_you_mean

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

# What argparse says about an option's value, in our words.
ARGPARSE_WORDS = {
    "expected one argument": "its value is missing",
    "ignored explicit argument": "it takes no value",
}


class Parser(argparse.ArgumentParser):
    """An argparse parser whose errors are lines of the log, in its format."""

    log_format = LOG_FORMATS[0]

    def __init__(self, **settings: "Any") -> None:
        super().__init__(**settings)
        # A word that argparse takes as a value, although it begins with a dash: of a number with a unit too, as -1G.
        self._negative_number_matcher = re.compile(r"-\.?\d")

    def parse_known_args(self, args: "Sequence[str] | None" = None, namespace: "Any" = None) -> "Any":  # type: ignore[override]
        """Parse arguments. An error may repeat any of them, so the secrets in them are noted first."""
        for argument in args or ():
            keep_secrets_of(argument)
        return super().parse_known_args(args, namespace)

    def parse_intermixed_args(self, args: "Any" = None, namespace: "Any" = None) -> "Any":
        """Parse arguments, options among files. An unknown option is answered by the nearest one."""
        found, others = self.parse_known_intermixed_args(args, namespace)
        self.refuse_unknown(others)
        return found

    def parse_args(self, args: "Any" = None, namespace: "Any" = None) -> "Any":
        """Parse arguments. An unknown option is answered by the nearest one."""
        found, others = self.parse_known_args(args, namespace)
        self.refuse_unknown(others)
        return found

    def refuse_unknown(self, others: "Sequence[str]") -> None:
        """End the process if there are arguments that no option and no positional takes."""
        if others:
            flag = others[0].partition("=")[0]
            # Without their dashes, which would make all of them alike.
            known = [each.removeprefix("--") for each in self._option_string_actions if each.startswith("--")]
            meant = did_you_mean(flag.lstrip("-"), known, "--") or f"; {self.prog} -h lists the options"
            self.error(f"{flag}: there is no such option{meant}")

    def error(self, message: str) -> "NoReturn":
        """Log the message, and end the process with exit code 2."""
        flags, _, words = message.removeprefix("argument ").partition(": ")
        if words.startswith("ignored explicit argument"):
            words = "ignored explicit argument"
        if words in ARGPARSE_WORDS:
            message = f"{flags.rpartition('/')[2]}: {ARGPARSE_WORDS[words]}"
        Journal(format=self.log_format).failure(message.removeprefix("argument "))
        raise SystemExit(EXIT_MISUSED)
