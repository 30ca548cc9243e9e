"""The texts of `-h` and of `--help`, for a terminal of any width. This module must not be imported by a run."""

import os
import re
from itertools import groupby

from txfast.command.options import OPTIONS
from txfast.command.positionals import POSITIONALS

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from txfast.command.option import Option

USAGE = "txfast [OPTION …] [FILE …] [LEVEL]"
PURPOSE = "Replay payment transactions into account balances: exactly, and in order."
EXAMPLES = (
    "txfast january.csv february.csv > accounts.csv",
    "txfast january.csv -o accounts.csv --rejects rejects.csv --max-malformed 10",
)
NOTES = (
    "Options may be set by variables, as TXFAST_THREADS=2, or in a --profile FILE.",
    "Accounts go to standard output, everything else to standard error.",
)

# Where the short texts begin, beside the flags, and the long ones, below.
HELP_COLUMN = 24
LONG_TEXT_COLUMN = 8
COLUMNS_DEFAULT = 80
# A narrower terminal has no room for words beside the flags.
COLUMNS_MIN = 40


def short_help(columns: int) -> str:
    """Return a summary for a terminal of this many columns: a short text for each option that is not minor."""
    columns = max(columns, COLUMNS_MIN)
    lines = [f"usage: {USAGE}", "", *wrapped(PURPOSE, columns), ""]
    for name, text, _ in POSITIONALS:
        lines += help_entry(name, text, columns)
    for group, options in groupby(OPTIONS, lambda option: option.group):
        lines.append(f"{group}:")
        for option in options:
            if not option.minor:
                lines += help_entry(invocation(option), option.help, columns)
    minor = ", ".join(flag for option in OPTIONS if option.minor for flag in option.flags)
    for note in (f"Also, see --help: {minor}.", *NOTES):
        lines += wrapped(note, columns)
    return "\n".join(lines) + "\n"


def long_help(columns: int) -> str:
    """Return the whole help for a terminal of this many columns: the long text of each option."""
    columns = max(columns, COLUMNS_MIN)
    lines = [f"usage: {USAGE}", "", *wrapped(PURPOSE, columns), "", "Arguments:"]
    for name, _, text in POSITIONALS:
        lines += long_entry(name, text, columns)
    for group, options in groupby(OPTIONS, lambda option: option.group):
        lines += ["", f"{group}:"]
        for option in options:
            lines += long_entry(invocation(option), option.manual, columns)
    lines += ["", "Examples:", *(f"  {example}" for example in EXAMPLES), ""]
    for note in NOTES:
        lines += wrapped(note, columns)
    return "\n".join(lines) + "\n"


def long_entry(name: str, text: str, columns: int) -> list[str]:
    """Return the lines for a name, with its paragraphs below."""
    lines = [f"  {name}"]
    for number, paragraph in enumerate(paragraphs_of(text)):
        lines += [""] * (number > 0)
        lines += [" " * LONG_TEXT_COLUMN + line for line in wrapped(paragraph, columns - LONG_TEXT_COLUMN)]
    return lines


def paragraphs_of(text: str) -> list[str]:
    """Return the paragraphs of a long text, each on one line. Empty lines divide them."""
    return [" ".join(each.split()) for each in re.split(r"\n\s*\n", text)]


def invocation(option: "Option") -> str:
    """Return an option as it is typed: its flags, then its metavar."""
    flags = ", ".join(option.flags)
    return flags if option.metavar is None else f"{flags} {option.metavar}"


def help_entry(name: str, text: str, columns: int) -> list[str]:
    """Return the lines for a name with its text beside it, or below a name that is too long."""
    lines = [" " * HELP_COLUMN + line for line in wrapped(text, columns - HELP_COLUMN)]
    head = f"  {name}"
    if len(head) > HELP_COLUMN - 2:
        return [head, *lines]
    return [head.ljust(HELP_COLUMN) + lines[0].lstrip(), *lines[1:]]


def wrapped(text: str, columns: int) -> list[str]:
    """Break a text into lines of at most this many columns. A longer word has a line of its own."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > columns:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return lines


def terminal_columns() -> int:
    """Return the width of standard output. shutil has the same, but takes 4 ms to import."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size().columns
    except OSError:
        return COLUMNS_DEFAULT
