"""Reads the command line and the environment into Settings.

A command line of FILE and LEVEL alone, with no variable set, is read by hand: argparse takes longer to import than a
small file takes to replay. This module must not know what an option means.
"""

import os
import sys
from io import TextIOWrapper

from txfast.command.options import OPTIONS
from txfast.command.settings import Settings
from txfast.errors import UsageError, unwritable
from txfast.input.ref import STANDARD_INPUT

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import argparse
    from typing import IO, NoReturn


def parse_arguments(arguments: list[str]) -> Settings:
    """Read the command line and the environment.

    Raises SystemExit if they are wrong, and after --help, --version and --completion.
    """
    # All these look-ups take 10 µs. An empty variable counts as not set.
    variables = {
        option.name: text for option in OPTIONS if option.variable and (text := os.environ.get(option.variable))
    }
    if not variables and all(word == STANDARD_INPUT or not word.startswith("-") for word in arguments):
        try:
            return Settings(arguments, {}, {})
        except UsageError:
            pass  # the parser below shows the usage and the error
    from txfast.input.location import keep_secrets_of

    for text in variables.values():
        keep_secrets_of(text)
    parser = make_parser()
    # argparse loses a `--` that comes between options and files, so it gets the arguments before `--` alone.
    dashes = arguments.index("--") if "--" in arguments else len(arguments)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # the help has a character that not every encoding has
    try:
        flags = vars(parser.parse_intermixed_args(arguments[:dashes]))
    finally:
        # argparse leaves the help in Python's buffer, and the process ends without flushing it.
        if sys.stdout is not None:
            sys.stdout.flush()
    words = flags.pop("files") + arguments[dashes + 1 :]
    if "completion" in flags:
        print_completion(flags["completion"])
    try:
        return Settings(words, flags, variables)
    except UsageError as error:
        parser.error(str(error))


def make_parser() -> "argparse.ArgumentParser":
    """Make argparse's parser. Its result holds the options that were given, and no others."""
    import argparse

    from txfast._version import __version__
    from txfast.command.help import USAGE, help_text, terminal_columns
    from txfast.run.usage import Parser
    from txfast.run.values import argument_type

    class CommandParser(Parser):
        """Shows our help, and writes errors to standard error alone."""

        def format_help(self) -> str:
            return help_text(terminal_columns())

        def print_usage(self, file: "IO[str] | None" = None) -> None:  # type: ignore[override]
            # None is a closed standard error, for which argparse would take standard output.
            if file is not None:
                super().print_usage(file)

    parser = CommandParser(prog="txfast", usage=USAGE, add_help=False, allow_abbrev=False)
    parser.add_argument("files", nargs="*", metavar="FILE")
    for option in OPTIONS:
        if option.name == "help":
            parser.add_argument(*option.flags, action="help")
        elif option.name == "version":
            parser.add_argument(*option.flags, action="version", version=f"txfast {__version__}")
        elif option.metavar is None:
            parser.add_argument(*option.flags, action="store_true", default=argparse.SUPPRESS)
        else:
            parser.add_argument(
                *option.flags, metavar=option.metavar, type=argument_type(option.parse), default=argparse.SUPPRESS
            )
    return parser


def print_completion(shell: str) -> "NoReturn":
    """Print the completion script of a shell, and raise SystemExit."""
    from txfast.command.completion import completion_script

    if sys.stdout is None:
        raise unwritable("standard output", ValueError("it is closed"))
    print(completion_script(shell, OPTIONS), end="", flush=True)
    raise SystemExit(0)
