"""The first bytes of an input: they tell its compression and its format, and are given back to be read again.

This module must not know how an input is decompressed or read.
"""

from errno import EAGAIN
from io import RawIOBase

from txfast.input.source import ARROW_FILE, ARROW_STREAM, CSV, PARQUET

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# The first bytes of each compression, and its name, which is pyarrow's too.
COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4", b"BZh": "bz2"}
# The first bytes of each kind of table; all else is CSV.
TABLE_KINDS = {b"PAR1": PARQUET, b"ARROW1": ARROW_FILE, b"\xff\xff\xff\xff": ARROW_STREAM}
# First bytes to look at: enough to recognise all of these.
MAGIC_BYTES = 8


def compression_of(first_bytes: bytes) -> str | None:
    """The compression of an input that begins with these bytes; None where it is not compressed."""
    return next((name for magic, name in COMPRESSIONS.items() if first_bytes.startswith(magic)), None)


def kind_of(first_bytes: bytes) -> str:
    """The kind of an uncompressed input that begins with these bytes."""
    return next((kind for magic, kind in TABLE_KINDS.items() if first_bytes.startswith(magic)), CSV)


def take_first_bytes(file: RawIOBase) -> bytes:
    """Read MAGIC_BYTES, fewer at the end of the file. Raises OSError."""
    first_bytes = bytearray(MAGIC_BYTES)
    filled = 0
    while filled < MAGIC_BYTES:
        count = file.readinto(memoryview(first_bytes)[filled:])
        if not count:
            break
        filled += count
    return bytes(first_bytes[:filled])


class ReplayedFile(RawIOBase):
    """A file whose first bytes were already taken: gives them once more, then the rest."""

    def __init__(self, first_bytes: bytes, file: RawIOBase) -> None:
        self._first_bytes = first_bytes
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill the buffer, or a part of it; 0 at the end. Raises BlockingIOError where a pipe does not block and has
        nothing to read yet."""
        if not self._first_bytes:
            count = self._file.readinto(buffer)
            if count is None:
                raise BlockingIOError(EAGAIN, "it is non-blocking and has nothing to read yet")
            return count
        view = memoryview(buffer)
        count = min(len(view), len(self._first_bytes))
        view[:count] = self._first_bytes[:count]
        self._first_bytes = self._first_bytes[count:]
        return count

    def close(self) -> None:
        """Close the file below too."""
        self._file.close()
        super().close()
