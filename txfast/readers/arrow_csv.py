"""The arrow reader: pyarrow cuts a CSV file into lines, the row parser makes transactions of them.

pyarrow streams record batches of one binary column, the raw line: with a delimiter that no row has and no quoting,
every line arrives as it stands, whatever it holds. What pyarrow cannot carry (a row longer than its block, or with
that delimiter in it) stops the run with a clear error.
"""

import os
from errno import EAGAIN

from txfast.batch.batch import TransactionBatch
from txfast.batch.header import Header
from txfast.errors import InputError, SourceError
from txfast.input.position import BLOCK_BYTES as CONSUMED_BLOCK_BYTES
from txfast.input.position import BYTE_ORDER_MARK, Consumption
from txfast.input.source import Source
from txfast.readers.csv import scan_lines, take_header
from txfast.readers.line_column import copy_lines

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import RawIOBase

    import pyarrow as pa

# Bytes that pyarrow reads and cuts at once. A row cannot be longer.
PYARROW_BLOCK_BYTES = 4 << 20
DELIMITER = "\x01"


class ArrowCsvReader:
    """Reads one CSV file through pyarrow: `fill` a batch with the next block of lines, then `scan` it.

    A `consumption` is advanced over the whole input at its end; where it has a header, the source is inside its input,
    behind that. `fill` is for one thread at a time, `scan` for any. Raises InputError and SourceError.
    """

    def __init__(
        self,
        source: Source,
        block_bytes: int = PYARROW_BLOCK_BYTES,
        *,
        threads: int = 1,
        consumption: Consumption | None = None,
    ) -> None:
        self._name = source.name
        self._block_bytes = block_bytes
        self._header: Header | None = None
        if consumption is not None and consumption.header is not None:
            self._header = Header(consumption.header, source.name)
        self._consumption = consumption
        self._source = source
        self._file = open_for_pyarrow(source, consumption)
        self._first_offset = int(self._file.tell())
        if self._header is not None and not isinstance(self._file, WholeReads):
            refuse_mark(source.name, os.pread(source.file.fileno(), len(BYTE_ORDER_MARK), self._first_offset))
        self._record_batches = self._open(threads)

    @property
    def header(self) -> Header | None:
        """The file's header, as soon as `fill` has found it."""
        return self._header

    @property
    def bytes_read(self) -> int:
        """How much of the input was read: all of it, at its end."""
        return int(self._file.tell()) - self._first_offset

    def _open(self, threads: int) -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa
        from pyarrow import csv

        try:
            yield from csv.open_csv(
                self._file,
                csv.ReadOptions(column_names=["line"], block_size=self._block_bytes, use_threads=threads > 1),
                csv.ParseOptions(
                    delimiter=DELIMITER, quote_char=False, escape_char=False, double_quote=False,
                    ignore_empty_lines=False,
                ),
                csv.ConvertOptions(
                    column_types={"line": pa.binary()}, check_utf8=False, strings_can_be_null=False
                ),
            )  # fmt: skip
        except pa.ArrowInvalid as error:
            if self._header is not None and not self.bytes_read:
                return  # nothing was added
            raise InputError(explain(self._name, self._block_bytes, self.bytes_read, str(error))) from error
        except OSError as error:
            raise SourceError(f"{self._name}: cannot be read: {error.strerror or error}") from error

    def fill(self, batch: TransactionBatch) -> bool:
        """Put the next lines into the batch. False at the end of the file."""
        for record_batch in self._record_batches:
            column = record_batch.column(0)
            _, offsets, text = column.buffers()
            copy_lines(batch, offsets, text, column.offset, len(column))
            if self._header is None:
                self._header = take_header(batch, self._name)
            batch.header = self._header
            return True
        if self._header is None:
            raise InputError(f"{self._name}: not a transactions file: it has no header")
        if self._consumption is not None and not isinstance(self._file, WholeReads):
            self._consume_file(self._consumption)
        return False

    def _consume_file(self, consumption: Consumption) -> None:
        """Consume what pyarrow has read by itself. Raises SourceError."""
        offset = self._first_offset
        end = offset + self.bytes_read
        while offset < end:
            try:
                block = os.pread(self._source.file.fileno(), min(CONSUMED_BLOCK_BYTES, end - offset), offset)
            except OSError as error:
                raise SourceError(f"{self._name}: cannot be read: {error.strerror or error}") from error
            if not block:
                raise SourceError(f"{self._name}: cannot be read: it was cut short meanwhile")
            consumption.advance(block)
            offset += len(block)

    def scan(self, batch: TransactionBatch) -> None:
        """Make rows of the lines that `fill` put into the batch."""
        scan_lines(batch)


class WholeReads:
    """A file for pyarrow whose reads are never short but at the end: it takes each for a block."""

    closed = False

    def __init__(self, file: "RawIOBase", name: str = "", consumption: Consumption | None = None) -> None:
        self._file = file
        self._name = name
        self._consumption = consumption
        self._bytes_read = 0

    def tell(self) -> int:
        return self._bytes_read

    def read(self, count: int) -> bytearray:
        block = bytearray(count)
        filled = 0
        with memoryview(block) as view:
            while filled < count:
                more = self._file.readinto(view[filled:])
                if more is None:
                    raise BlockingIOError(EAGAIN, "it is non-blocking and has nothing to read yet")
                if not more:
                    break
                filled += more
        del block[filled:]
        if self._consumption is not None:
            if self._consumption.header is not None and not self._bytes_read:
                refuse_mark(self._name, block)
            self._consumption.advance(block)
        self._bytes_read += filled
        return block


def refuse_mark(name: str, first_bytes: bytes | bytearray) -> None:
    """Raise InputError where an input goes on with what pyarrow takes for a byte order mark, and skips."""
    if first_bytes.startswith(BYTE_ORDER_MARK):
        raise InputError(
            f"{name}: goes on with a byte order mark, which the arrow reader cannot carry; read it with --reader native"
        )


def open_for_pyarrow(source: Source, consumption: Consumption | None = None) -> "pa.NativeFile | WholeReads":
    """The source as pyarrow reads it best.

    pyarrow reads ahead in a thread of its own. Where that thread runs Python code, a process that ends before it does
    can crash or hang, so a regular file is given to pyarrow by its descriptor.
    """
    import pyarrow as pa

    if source.size_bytes is None:
        return WholeReads(source.file, source.name, consumption)
    try:
        file = pa.OSFile(f"/dev/fd/{source.file.fileno()}")
    except OSError:
        # Not every system lets a descriptor be opened again.
        return WholeReads(source.file, source.name, consumption)
    file.seek(source.file.tell())
    return file


def explain(name: str, block_bytes: int, bytes_read: int, message: str) -> str:
    """What pyarrow's message means to the user. A row that it quotes may say anything, so only starts are compared."""
    import re

    if message.startswith("Empty CSV file"):
        # To pyarrow a byte order mark is nothing.
        return f"{name}: not a transactions file: {'it has no header' if bytes_read else 'it is empty'}"
    if message.startswith("straddling object straddles two block boundaries"):
        return (
            f"{name}: has a row longer than the arrow reader's block of {block_bytes} bytes; "
            f"read it with --reader native"
        )
    if re.match(r"CSV parse error: (Row #\d+: )?Expected 1 columns", message):
        return f"{name}: has a row with a byte 0x01, which the arrow reader cannot carry; read it with --reader native"
    return f"{name}: pyarrow cannot read it: {message}"
