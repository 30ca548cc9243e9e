"""Where bytes come from: a path, standard input, later a location elsewhere; as one kind of thing.

A Source must not know what the bytes mean.
"""

import os
import stat
import sys
from io import FileIO

from txfast.errors import SourceError

STANDARD_INPUT = "-"
# What can read CSV: the kernel itself, or pyarrow for it.
READERS = ("native", "arrow")


class Source:
    """One input: the `name` the user gave it, a raw `file` to read, and its `size_bytes` where that is known."""

    __slots__ = ("file", "name", "size_bytes")

    def __init__(self, name: str, file: FileIO, size_bytes: int | None) -> None:
        self.name = name
        self.file = file
        self.size_bytes = size_bytes

    def close(self) -> None:
        """Close the file, but for standard input, which is the process's own."""
        self.file.close()


def open_source(name: str) -> Source:
    """Open a path, or standard input for `-`. Raises SourceError."""
    if name == STANDARD_INPUT and sys.stdin is None:
        raise SourceError("standard input: cannot be read: it is closed")
    try:
        file = FileIO(sys.stdin.fileno(), closefd=False) if name == STANDARD_INPUT else FileIO(name)
        mode = os.fstat(file.fileno())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SourceError(f"{display_name(name)}: cannot be read: {reason}") from error
    return Source(display_name(name), file, mode.st_size if stat.S_ISREG(mode.st_mode) else None)


def display_name(name: str) -> str:
    """How messages call an input."""
    return "standard input" if name == STANDARD_INPUT else name
