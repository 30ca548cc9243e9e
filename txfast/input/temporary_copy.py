"""Temporary copies: an input that comes as a stream, whose format must be read at any offset.

This module must not know what the bytes mean.
"""

import os
import tempfile
from io import RawIOBase

from txfast.errors import SourceError, TxfastError, reason_of

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from io import FileIO
    from typing import cast
else:

    def cast(_: object, file: object) -> object:
        return file


# Bytes that are copied at once.
COPIED_BYTES = 1 << 20


def temporary_copy(name: str, what: str, folder: str | None, read_into: "Callable[[memoryview], int]") -> "FileIO":
    """Copy a whole stream to a file without a name; it is open, at its start. The folder is made where it is missing.

    `name` is the input's in messages, `what` its format; `folder` is by default the system's for temporary files.
    Raises SourceError, and what `read_into` raises.
    """
    folder = folder or tempfile.gettempdir()
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        copy: RawIOBase = tempfile.TemporaryFile(buffering=0, dir=folder)  # noqa: SIM115 (the caller closes it)
        try:
            fill(copy, read_into)
        except BaseException:
            copy.close()
            raise
    except TxfastError:
        raise
    except OSError as error:
        raise SourceError(
            f"{folder}: cannot hold a copy of {name}, a {what} that comes as a stream: {reason_of(error)}; "
            f"--spill-dir names another folder",
            folder,
            error,
        ) from error
    return cast("FileIO", copy)


def fill(copy: RawIOBase, read_into: "Callable[[memoryview], int]") -> None:
    """Write a whole stream to a file, and go back to its start. Raises OSError, and what `read_into` raises."""
    block = bytearray(COPIED_BYTES)
    with memoryview(block) as view:
        while count := read_into(view):
            rest = view[:count]
            while rest:
                rest = rest[copy.write(rest) :]
    copy.seek(0)
