"""Reads the command line and the environment into Settings.

A command line of FILE and LEVEL alone, with no variable set, is read by hand: argparse takes longer to import than a
small file takes to replay. This module must not know what an option means.
"""

import os
import sys
from io import TextIOWrapper

from txfast.command.option import VARIABLE_PREFIX, one_of
from txfast.command.options import OPTIONS, SHELLS
from txfast.command.settings import Settings
from txfast.errors import SourceError, UsageError, unwritable
from txfast.input.ref import STANDARD_INPUT

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from txfast.run.profile import Profile
    from txfast.run.usage import Parser

JSON = "json"
# Dashes that a program for texts makes of hyphens: en dash, em dash, minus and others.
OTHER_DASHES = ("\u2010", "\u2011", "\u2012", "\u2013", "\u2014", "\u2212")
LOG_FORMAT_FLAG = "--log-format"
INSTEAD = "it does something else than a run: give it on the command line"
# Variables that are read by the build and the benchmarks.
OTHER_VARIABLES = {"TXFAST_BENCH_ROWS", "TXFAST_BUILD", "TXFAST_MODULES"}


def parse_arguments(arguments: list[str]) -> Settings:
    """Read the command line and the environment.

    Raises SystemExit if they are wrong, and after -h, --help, --version and --completion.
    """
    # All these look-ups take 10 µs. An empty variable counts as not set.
    variables = {
        option.name: text for option in OPTIONS if option.variable and (text := os.environ.get(option.variable))
    }
    dashed = next((word for word in arguments if word.startswith(OTHER_DASHES) and not os.path.exists(word)), None)
    if (
        not variables
        and dashed is None
        and all(word == STANDARD_INPUT or not word.startswith("-") for word in arguments)
    ):
        try:
            return Settings(arguments, {}, {})
        except UsageError:
            pass  # the parser below shows the error
    from txfast.input.location import keep_secrets_of

    for text in variables.values():
        keep_secrets_of(text)
    parser = make_parser()
    if asks_for_json(arguments, variables):
        parser.log_format = JSON
    # argparse loses a `--` that comes between options and files, so it gets the arguments before `--` alone.
    dashes = arguments.index("--") if "--" in arguments else len(arguments)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # the help has a character that not every encoding has
    if dashed is not None:
        parser.error(f"{dashed!r} begins with a dash that is no hyphen, as pasted text often has: type - or -- instead")
    try:
        flags = vars(parser.parse_intermixed_args(arguments[:dashes]))
    finally:
        # argparse leaves the help in Python's buffer, and the process ends without flushing it.
        if sys.stdout is not None:
            sys.stdout.flush()
    words = flags.pop("files") + arguments[dashes + 1 :]
    joined_by = {option.name: option.repeats for option in OPTIONS}
    flags = {name: joined_by[name].join(each) if isinstance(each, list) else each for name, each in flags.items()}
    try:
        if "completion" in flags:
            print_completion(flags["completion"])
        profile = None if "dialect_of" in flags else named_profile(flags, variables)
        if profile is not None and not {"log_format"} & {*flags, *variables}:
            parser.log_format = str(profile.options.get("log_format", parser.log_format))
        return Settings(words, flags, variables, profile)
    except UsageError as error:
        parser.error(str(error))


def named_profile(flags: "Mapping[str, object]", variables: "Mapping[str, str]") -> "Profile | None":
    """The profile that a flag or else a variable names, read; None where none is named. Raises UsageError, also where
    its file cannot be read."""
    if "profile" not in flags and "profile" not in variables:
        return None
    from txfast.run.profile import read_profile
    from txfast.run.values import file_name

    given = "--profile" if "profile" in flags else f"{VARIABLE_PREFIX}PROFILE"
    try:
        path = file_name(str(flags.get("profile", variables.get("profile"))))
    except UsageError as error:
        raise UsageError(f"{given}: {error}") from None
    options = {option.name: option.metavar is None for option in OPTIONS if option.variable}
    del options["profile"]
    refused = {option.name: INSTEAD for option in OPTIONS if not option.variable}
    try:
        return read_profile(path, options, refused | {"profile": "a profile cannot name another one"})
    except SourceError as error:
        raise UsageError(str(error)) from None


def unknown_variables() -> list[str]:
    """A warning for each variable that is named as those of options, and is none."""
    known = {option.variable for option in OPTIONS if option.variable}
    unknown = sorted(
        name for name in os.environ if name.startswith(VARIABLE_PREFIX) and name not in known | OTHER_VARIABLES
    )
    if not unknown:
        return []
    from txfast.text.words import did_you_mean

    endings = [str(name).removeprefix(VARIABLE_PREFIX) for name in known]
    return [
        f"{name}: no option has this variable, so it changes nothing"
        f"{did_you_mean(name.removeprefix(VARIABLE_PREFIX), endings, VARIABLE_PREFIX)}"
        for name in unknown
    ]


def asks_for_json(arguments: list[str], variables: "dict[str, str]") -> bool:
    """Whether the log is to be JSON, as far as a command line says that may be wrong."""
    words = [*arguments, ""]
    formats = [variables.get("log_format", "")]
    for index, word in enumerate(arguments):
        flag, equals, text = word.partition("=")
        if flag == LOG_FORMAT_FLAG:
            formats.append(text if equals else words[index + 1])
    return formats[-1] == JSON


def make_parser() -> "Parser":
    """Make argparse's parser. Its result holds the texts of the options that were given, and no others."""
    import argparse

    from txfast._version import __version__
    from txfast.command.help import long_help, short_help, terminal_columns
    from txfast.run.usage import Parser

    class Print(argparse.Action):
        """Prints a text, and ends the process."""

        def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
            columns = terminal_columns()
            texts = {"version": f"txfast {__version__}\n", "h": short_help(columns), "help": long_help(columns)}
            print(texts[self.dest], end="", flush=True)
            parser.exit()

    parser = Parser(prog="txfast", add_help=False, allow_abbrev=False)
    parser.add_argument("files", nargs="*", metavar="FILE")
    for option in OPTIONS:
        if option.name in ("h", "help", "version"):
            parser.add_argument(*option.flags, action=Print, nargs=0, dest=option.name, default=argparse.SUPPRESS)
        elif option.metavar is None:
            parser.add_argument(*option.flags, action="store_true", default=argparse.SUPPRESS)
        elif option.repeats:
            parser.add_argument(*option.flags, metavar=option.metavar, action="append", default=argparse.SUPPRESS)
        else:
            parser.add_argument(*option.flags, metavar=option.metavar, default=argparse.SUPPRESS)
    return parser


def print_completion(shell: str) -> "NoReturn":
    """Print the completion script of a shell, and raise SystemExit. Raises UsageError where it is none of SHELLS."""
    from txfast.command.completion import completion_script

    try:
        one_of(SHELLS, shell)
    except UsageError as error:
        raise UsageError(f"--completion: {error}") from None
    if sys.stdout is None:
        raise unwritable("standard output", ValueError("it is closed"))
    print(completion_script(shell, OPTIONS), end="", flush=True)
    raise SystemExit(0)
