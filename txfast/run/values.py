"""What the text of an option's value means: names, counts, seconds and sizes. Every face reads values by these.

Each function returns the value, or raises UsageError with the right form. This module must not know options.
"""

import os

from txfast.errors import UsageError

SIZE_UNITS = {
    f"{letter}{suffix}": base ** (power + 1)
    for power, letter in enumerate("kmgt")
    for suffix, base in (("b", 1000), ("ib", 1024))
}
# With less, what a run needs beside ledgers leaves too little for them.
MEMORY_LIMIT_MIN = 96 << 20
# All numbers of so many digits fit in 64 bits.
DIGITS_MAX = 18


def file_name(text: str) -> str:
    """A file's name: not the nothing that an unset shell variable leaves."""
    if not text:
        raise UsageError("the name of the file is empty")
    if text.endswith("/"):
        raise UsageError(f"{text!r} names a folder, not a file")
    return text


def folder_name(text: str) -> str:
    """A folder's name, not an empty one."""
    if not text:
        raise UsageError("the name of the folder is empty")
    return text


def second_count(text: str) -> float:
    """A number of seconds, at least 0, with a fraction or without."""
    whole, _, fraction = text.partition(".")
    digits = whole + fraction
    if not digits or not digits.isascii() or not digits.isdigit() or len(digits) > DIGITS_MAX:
        raise UsageError(f"{text!r} is no number of seconds: it is 0 or more, as 30 or 0.5")
    return float(text)


def rejects_file(text: str) -> str:
    """A file's name whose suffix says the format of the rejects in it."""
    from txfast.writers.rejects import format_suffix

    format_suffix(file_name(text))
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
    """The name of a folder that may not be there yet."""
    if os.path.exists(folder_name(text)) and not os.path.isdir(text):
        raise UsageError(f"{text!r} is no folder")
    return text


def memory_size(text: str) -> int:
    """A size of memory in bytes, enough to work in."""
    size = byte_size(text)
    if size < MEMORY_LIMIT_MIN:
        raise UsageError(f"{text!r} is too little to work in: the least is {MEMORY_LIMIT_MIN >> 20}MiB")
    return size


def byte_size(text: str) -> int:
    """A size in bytes: a number, which may have decimals, with a unit."""
    lowered = text.strip().lower()
    unit = max((unit for unit in SIZE_UNITS if lowered.endswith(unit)), key=len, default="")
    number = lowered[: len(lowered) - len(unit)].strip()
    whole, _, decimals = number.partition(".")
    if not unit or whole_number(whole) is None or (decimals and whole_number(decimals) is None):
        raise UsageError(f"{text!r} is no size: it is a number with a unit, such as 512MiB or 2GB")
    scale = int("1" + "0" * len(decimals))
    size: int = (int(whole) * scale + int(decimals or 0)) * SIZE_UNITS[unit] // scale
    return size


def whole_number(text: str) -> int | None:
    """A whole number in plain digits; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX else None
