"""A Source: an input that is open, whatever its origin.

It has the detected format in `kind`, but must not interpret the bytes.
"""

import os
from io import RawIOBase

from txfast.errors import InputError, unreadable

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    import pyarrow as pa

    from txfast.input.room import Room

    class Stream(Protocol):
        """Record batches of one schema."""

        @property
        def schema(self) -> pa.Schema: ...
        def __iter__(self) -> Iterator[pa.RecordBatch]: ...

    class Lent(Protocol):
        """An input that is no name: a program's open file or table. It can be opened once, and is new to a state."""

        name: str

        def open(self, copy_folder: str | None, room: Room | None) -> "Source": ...

    class Tables(Protocol):
        """Streams that a program lends, or a query's; the one that is being read is given back by `close`."""

        def __iter__(self) -> Iterator[Stream]: ...
        def close(self) -> None: ...


# Kinds of input.
CSV = "csv"
JSON_LINES = "json lines"
PARQUET = "parquet"
ARROW_FILE = "arrow file"
ARROW_STREAM = "arrow stream"
TABLE = "table"  # in memory, from a program that uses the library
QUERY = "query"  # the rows of a DuckDB query
# Those that are lines of text; all others are tables.
TEXT_KINDS = (CSV, JSON_LINES)
# Size of a block in `blocks`.
BLOCK_BYTES = 1 << 20
# What a run with a state does with a last line that has no ending, where the user says it; AUTO is the rule otherwise:
# the line is held back where the file may be growing (last_line.py).
AUTO = "auto"
TAKE, HOLD, FAIL = LAST_LINE_RULES = ("take", "hold", "fail")
# The readers of CSV: txfast's own, or pyarrow's.
READERS = ("native", "arrow")


class Source:
    """One open input: the `name` that messages show, the raw `file` to read, and its `size_bytes`.

    `size_bytes` is None where it is not known: for pipes and compressed inputs. `kind` is one of TEXT_KINDS or
    a kind of table. A table from a program and a query are read from `tables`, which is closed with the source; their
    `file` is empty.
    """

    __slots__ = ("file", "kind", "name", "size_bytes", "tables")

    def __init__(
        self,
        name: str,
        file: RawIOBase,
        size_bytes: int | None,
        kind: str = CSV,
        tables: "Tables | None" = None,
    ) -> None:
        self.kind = kind
        self.tables = tables
        self.name = name
        self.file = file
        self.size_bytes = size_bytes

    def read_at(self, offset: int, count: int) -> bytes:
        """Read up to `count` bytes at `offset`, without moving the file's position. Raises SourceError.

        Only regular files and files at a location can be read this way.
        """
        native: pa.NativeFile | None = getattr(self.file, "native", None)
        if native is not None:
            from txfast.input.library_errors import LocationErrors

            with LocationErrors(self.name):
                return bytes(native.read_at(count, offset))
        try:
            return os.pread(self.file.fileno(), count, offset)
        except OSError as error:
            raise unreadable(self.name, error) from error

    def blocks(self, start: int, end: int) -> "Iterator[bytes]":
        """Iterate the bytes from `start` to `end`, or to the end of the file. Raises SourceError."""
        while start < end and (block := self.read_at(start, min(BLOCK_BYTES, end - start))):
            yield block
            start += len(block)

    def close(self) -> None:
        """Close the file, or give back the tables. Standard input stays open, since it belongs to the process."""
        if self.tables is not None:
            self.tables.close()
        try:  # noqa: SIM105 (contextlib takes longer to import than a small file to replay)
            self.file.close()
        except OSError:
            pass  # all that was needed has been read


def was_changed(name: str) -> InputError:
    """The error for an input that changes during the run."""
    return InputError(f"{name}: was changed while it was read: run again when no program writes it")
