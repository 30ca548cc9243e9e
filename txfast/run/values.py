"""Parses the texts of values: names, counts, seconds and sizes, for every front end.

Each function returns the value, or raises UsageError with a message that says the right form. This module must not know
which options there are.
"""

import os

from txfast.errors import UsageError
from txfast.input.ref import display_name, is_location

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from txfast.dialect.dialect import Dialect
    from txfast.ledger.policy import Policy

SIZE_UNITS = {
    f"{letter}{suffix}": base ** (power + 1)
    for power, letter in enumerate("kmgt")
    for suffix, base in (("b", 1000), ("ib", 1024), ("", 1024))
}
# Words of a switch, in any case.
SWITCH_WORDS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
# Below this, buffers and Python itself leave too little for the ledgers.
MEMORY_LIMIT_MIN = 96 << 20
# Numbers of this many digits always fit in 64 bits.
DIGITS_MAX = 18


def argument_type(parse: "Callable[[str], object]") -> "Callable[[str], object]":
    """An argparse type that parses a text as `parse` does, and shows the message of its UsageError."""
    import argparse

    def parse_argument(text: str) -> object:
        try:
            return parse(text)
        except UsageError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse_argument


def switch(text: str) -> bool:
    """Whether a switch is set."""
    value = SWITCH_WORDS.get(text.lower())
    if value is None:
        from txfast.text.words import did_you_mean

        raise UsageError(f"{text!r}: it is one of {', '.join(SWITCH_WORDS)}{did_you_mean(text, SWITCH_WORDS)}")
    return value


def file_name(text: str) -> str:
    """A file name. It must not be empty: an unset shell variable expands to ''."""
    if not text:
        raise UsageError("the name of the file is empty: is a variable of the shell not set?")
    if text.endswith("/"):
        raise UsageError(f"{text!r} names a folder, not a file: add the name of the file")
    return text


def query(text: str) -> str:
    """A query, or the name of a file with one. It must not be empty: an unset shell variable expands to ''."""
    if not text.strip():
        raise UsageError("the query is empty: is a variable of the shell not set?")
    if "\0" in text:  # which the command has put between several
        raise UsageError(
            "it is given several times: put each query in a file that ends in .sql, and name these as FILEs"
        )
    return text


def folder_name(text: str) -> str:
    """The name of a folder on this machine. It must not be empty."""
    if not text:
        raise UsageError("the name of the folder is empty: is a variable of the shell not set?")
    if is_location(text):
        raise UsageError(f"{display_name(text)} is elsewhere: name a folder on this machine")
    return text


def second_count(text: str) -> float:
    """A number of seconds, at least 0, which may have a fraction."""
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    if not digits or not digits.isascii() or not digits.isdigit() or len(digits) > DIGITS_MAX:
        raise UsageError(f"{text!r} is no number of seconds: it is 0 or more, as 30 or 0.5")
    return float(text)


def rejects_file(text: str) -> str:
    """A file name with a suffix that stands for a format of rejects."""
    from txfast.writers.rejects import rejects_format

    rejects_format(file_name(text))
    return text


def differences_file(text: str) -> str:
    """A file name with a suffix that stands for a format of differences."""
    from txfast.writers.formats import format_of

    format_of("differences", file_name(text))
    return text


def stats_file(text: str) -> str:
    """A file name. A suffix of any format but JSON is refused."""
    from txfast.writers.formats import format_of

    format_of("stats", file_name(text))
    return text


def thread_count(text: str) -> int:
    """A number of threads, at least 1."""
    count = whole_number(text)
    if not count:
        raise UsageError(f"{text!r} is no number of threads: it is 1 or more")
    return count


def row_count(text: str) -> int:
    """A number of rows, at least 0."""
    count = whole_number(text)
    if count is None:
        raise UsageError(f"{text!r} is no number of rows: it is 0 or more")
    return count


def spill_folder(text: str) -> str:
    """A folder name. The folder need not exist, but nothing else may have its name."""
    if os.path.exists(folder_name(text)) and not os.path.isdir(text):
        raise UsageError(f"{text!r} is no folder: name a folder, or one that is to be made")
    return text


def policy(given: "str | Mapping[str, str]") -> "Policy | None":
    """A policy, from a text or from the values of switches; None for the default one."""
    from txfast.ledger.policy import Policy, parse_setting

    if not isinstance(given, str):
        settings = [f"{name}={value}" for name, value in given.items()]
        for setting in settings:
            parse_setting(setting)  # a comma in one must not make two of it
        given = ",".join(settings)
    chosen = Policy(given)
    return chosen if str(chosen) else None


def dialect(given: "Mapping[str, str]") -> "Dialect | None":
    """A dialect, from the values of its parts by their name; None for the default one."""
    from txfast.dialect.dialect import Dialect

    chosen = Dialect(given)
    return chosen if len(chosen) else None


def dialect_option(name: str) -> "Callable[[str], str]":
    """The function for an option that is a part of the dialect, or several: it looks at the values one by one."""

    def check(text: str) -> str:
        from txfast.run.dialect_options import checked

        return checked(name, text)

    return check


delimiter, decimal, ids, decimals = map(dialect_option, ("delimiter", "decimal", "ids", "decimals"))
columns, types, dialect_parts = map(dialect_option, ("columns", "types", "dialect"))


def named_policy(text: str) -> "Policy | None":
    """The policy of a command line: as `policy`, but a text that is empty is an error."""
    if not text:
        raise UsageError(
            "the policy is empty: is a variable of the shell not set? leave the option out for the default"
        )
    return policy(text)


def memory_size(text: str) -> int:
    """A memory limit in bytes, at least MEMORY_LIMIT_MIN."""
    size = byte_size(text)
    if size < MEMORY_LIMIT_MIN:
        raise UsageError(f"{text!r} is too little to work in: the least is {MEMORY_LIMIT_MIN >> 20}MiB")
    return size


def byte_size(text: str) -> int:
    """A size in bytes, from a number, which may have decimals, and a unit."""
    lowered = text.strip().lower()
    unit = max((unit for unit in SIZE_UNITS if lowered.endswith(unit)), key=len, default="")
    number = lowered[: len(lowered) - len(unit)].strip()
    whole, _, decimals = number.partition(".")
    if not unit or whole_number(whole) is None or (decimals and whole_number(decimals) is None):
        raise UsageError(f"{text!r} is no size: it is a number with a unit, such as 512MiB, 2GB or 1G")
    scale = int("1" + "0" * len(decimals))
    size: int = (int(whole) * scale + int(decimals or 0)) * SIZE_UNITS[unit] // scale
    return size


def size_text(byte_count: int) -> str:
    """A size as a person would give it: in MiB where it is a whole number of them, else in bytes."""
    return f"{byte_count >> 20}MiB" if byte_count % (1 << 20) == 0 else f"{byte_count:,} bytes"


def whole_number(text: str) -> int | None:
    """A whole number in ASCII digits; None for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX else None
