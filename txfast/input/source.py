"""Where bytes come from: a path, standard input, or a location elsewhere (location.py); as one kind of thing.

A Source must not know what the bytes mean.
"""

import os
import stat
import sys
from io import FileIO, RawIOBase

from txfast.errors import SourceError
from txfast.input.compression import MAGIC_BYTES, DecompressedFile, ReplayedFile, compression_of, take_first_bytes

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

STANDARD_INPUT = "-"
# What an input may be, and the first bytes of what is no CSV.
CSV = "csv"
PARQUET = "parquet"
ARROW_FILE = "arrow file"
ARROW_STREAM = "arrow stream"
TABLE = "table"  # of a program's
MAGIC = {b"PAR1": PARQUET, b"ARROW1": ARROW_FILE, b"\xff\xff\xff\xff": ARROW_STREAM}
# Of a file that is read for its bytes alone.
BYTES_AT_ONCE = 1 << 20
# What can read CSV: the kernel itself, or pyarrow for it.
READERS = ("native", "arrow")


class Source:
    """One input: the `name` the user gave it, a raw `file` to read, and its `size_bytes` where that is known.

    Of a compressed input nobody knows the size. `kind` is CSV, or what kind of table it is; one of a program's has
    `tables` in place of a file.
    """

    __slots__ = ("file", "kind", "name", "size_bytes", "tables")

    def __init__(
        self,
        name: str,
        file: RawIOBase,
        size_bytes: int | None,
        kind: str = CSV,
        tables: "Iterator[pa.RecordBatchReader] | None" = None,
    ) -> None:
        self.kind = kind
        self.tables = tables
        self.name = name
        self.file = file
        self.size_bytes = size_bytes

    def read_at(self, offset: int, count: int) -> bytes:
        """Up to so many bytes of a file that can be read anywhere, from there on. Raises SourceError."""
        native: pa.NativeFile | None = getattr(self.file, "native", None)
        try:
            if native is not None:
                return bytes(native.read_at(count, offset))
            return os.pread(self.file.fileno(), count, offset)
        except OSError as error:
            raise SourceError(f"{self.name}: cannot be read: {error.strerror or error}") from error

    def blocks(self, start: int, end: int) -> "Iterator[bytes]":
        """Iterate the bytes between two places, fewer where the file ends before. Raises SourceError."""
        while start < end and (block := self.read_at(start, min(BYTES_AT_ONCE, end - start))):
            yield block
            start += len(block)

    def close(self) -> None:
        """Close the file, but for standard input, which is the process's own."""
        try:  # noqa: SIM105 (contextlib takes longer to import than a small file to replay)
            self.file.close()
        except OSError:
            pass  # all that was wanted of it has been read


def open_source(name: str) -> Source:
    """Open a path, standard input for `-`, or a location. Raises SourceError."""
    if is_location(name):
        from txfast.input.location import open_location

        return open_location(name)
    if name == STANDARD_INPUT and sys.stdin is None:
        raise SourceError("standard input: cannot be read: it is closed")
    try:
        file = FileIO(sys.stdin.fileno(), closefd=False) if name == STANDARD_INPUT else FileIO(name)
        mode = os.fstat(file.fileno())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise SourceError(f"{display_name(name)}: cannot be read: {reason}") from error
    is_regular = stat.S_ISREG(mode.st_mode)
    return told_by_content(display_name(name), file, mode.st_size if is_regular else None)


def bytes_source(name: str) -> Source:
    """Open a path or a location for its bytes alone, whatever they may mean. Raises SourceError."""
    if is_location(name):
        return open_source(name)
    try:
        file = FileIO(name)
        return Source(name, file, os.fstat(file.fileno()).st_size)
    except (OSError, ValueError) as error:
        raise SourceError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def is_location(name: str) -> bool:
    """Whether a name is that of a location elsewhere, such as s3://bucket/key, and not of a file here. A path made of
    one, as pathlib does it, has lost a slash."""
    scheme, separator, _ = name.partition(":/")
    return separator != "" and scheme.isalnum() and len(scheme) > 1 and not os.path.exists(name)


def told_by_content(name: str, file: RawIOBase, size_bytes: int | None) -> Source:
    """The source that a file is, decompressed where its first bytes say so. Raises SourceError."""
    try:
        raw: RawIOBase = file
        if size_bytes is None:
            first_bytes = take_first_bytes(file)
            raw = ReplayedFile(first_bytes, file)
        else:
            first_bytes = os.pread(file.fileno(), MAGIC_BYTES, file.tell())
        compression = compression_of(first_bytes)
        if compression is not None:
            return Source(name, DecompressedFile(name, raw, compression), None)
    except OSError as error:
        file.close()
        raise SourceError(f"{name}: cannot be read: {error.strerror or error}") from error
    return Source(name, raw, size_bytes, kind_of(first_bytes))


def kind_of(first_bytes: bytes) -> str:
    """What an input is that begins with these, and is not compressed."""
    return next((kind for magic, kind in MAGIC.items() if first_bytes.startswith(magic)), CSV)


def size_of(names: "Sequence[str]") -> int | None:
    """How many bytes there are to read in all inputs; None where one has no size, is compressed, or is not there."""
    try:
        sizes = [size_of_one(name) for name in names]
    except (OSError, ValueError):
        return None
    return None if None in sizes else sum(size for size in sizes if size is not None)


def size_of_one(name: str) -> int | None:
    """The same for one input. Raises OSError where it is not there."""
    size_bytes, first_bytes = looked_at(name)
    is_plain = compression_of(first_bytes) is None and kind_of(first_bytes) == CSV
    return size_bytes if is_plain else None


def has_tables(names: "Sequence[str]") -> bool:
    """Whether an input is a file that is a table, as far as can be seen: a location may hold anything."""
    for name in names:
        if is_location(name):
            return True
        try:
            if name != STANDARD_INPUT and kind_of(looked_at(name)[1]) != CSV:
                return True
        except (OSError, ValueError):
            pass  # it is told of when it is its turn
    return False


def looked_at(name: str) -> tuple[int | None, bytes]:
    """The size and the first bytes of an input that is a regular file; of any other, None and none. Raises OSError."""
    # Looked at before it is opened: a pipe may be opened only once.
    found = os.fstat(0) if name == STANDARD_INPUT else os.stat(name)
    if not stat.S_ISREG(found.st_mode):
        return None, b""
    with FileIO(0 if name == STANDARD_INPUT else name, closefd=name != STANDARD_INPUT) as file:
        return found.st_size, os.pread(file.fileno(), MAGIC_BYTES, 0)


def display_name(name: str) -> str:
    """How messages call an input."""
    if is_location(name):
        from txfast.input.location import display_location

        return display_location(name)
    return "standard input" if name == STANDARD_INPUT else name
