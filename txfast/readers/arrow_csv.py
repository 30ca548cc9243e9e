"""The arrow reader: pyarrow cuts a CSV file into lines, the scanner makes transactions of them.

pyarrow streams record batches of one binary column, the raw line: with a delimiter that no row has and without quoting,
every line arrives as it is. A row that pyarrow cannot carry (longer than its block, or with that delimiter in it) stops
the run with a clear error.
"""

import os

from txfast.batch.batch import TransactionBatch
from txfast.batch.header import Header
from txfast.errors import InputError, unreadable
from txfast.input.first_bytes import BYTE_ORDER_MARK
from txfast.input.library_errors import LibraryErrors
from txfast.input.position import HASHED_BLOCK_BYTES, Consumption
from txfast.input.source import Source
from txfast.input.whole_reads import WholeReads, open_for_pyarrow
from txfast.readers.csv import scan_lines, take_header
from txfast.readers.line_column import copy_lines

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
else:
    from txfast.late import pa

# Bytes that pyarrow reads and cuts at once. A row cannot be longer.
PYARROW_BLOCK_BYTES = 4 << 20
DELIMITER = "\x01"


class ArrowCsvReader:
    """Reads one CSV file through pyarrow: `fill` a batch with the next block of lines, then `scan` it into rows.

    A `consumption` advances over the bytes that are read; where it has a header already, the source continues inside
    its input, after that header. `fill` is for one thread at a time, `scan` for any. Both raise InputError and
    SourceError.
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
        self._consumption = consumption
        self._source = source
        self._header: Header | None = None
        if consumption is not None and consumption.header is not None:
            self._header = Header(consumption.header, source.name)
        self._continues = self._header is not None
        self._nothing_added = False
        self._file = open_for_pyarrow(source, None if consumption is None else self._consume_block)
        self._first_offset = int(self._file.tell())
        if self._continues and not isinstance(self._file, WholeReads):
            self._refuse_mark(os.pread(source.file.fileno(), len(BYTE_ORDER_MARK), self._first_offset))
        self._record_batches = self._open(threads)

    @property
    def header(self) -> Header | None:
        """The file's header, as soon as `fill` has found it."""
        return self._header

    @property
    def bytes_read(self) -> int:
        """Bytes of the input that were read: all of them, at its end."""
        return int(self._file.tell()) - self._first_offset

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

    def scan(self, batch: TransactionBatch) -> None:
        """Make rows of the lines that `fill` put into the batch."""
        scan_lines(batch)

    def _open(self, threads: int) -> "Iterator[pa.RecordBatch]":
        try:
            with LibraryErrors(self._name, self._explain):
                yield from pa.csv.open_csv(
                    self._file,
                    pa.csv.ReadOptions(column_names=["line"], block_size=self._block_bytes, use_threads=threads > 1),
                    pa.csv.ParseOptions(
                        delimiter=DELIMITER, quote_char=False, escape_char=False, double_quote=False,
                        ignore_empty_lines=False,
                    ),
                    pa.csv.ConvertOptions(
                        column_types={"line": pa.binary()}, check_utf8=False, strings_can_be_null=False
                    ),
                )  # fmt: skip
        except InputError:
            if not self._nothing_added:
                raise

    def _explain(self, words: str) -> str:
        self._nothing_added = self._continues and not self.bytes_read
        return explain(self._block_bytes, self.bytes_read, words)

    # ---- Consumption ---------------------------------------------------------------------------------

    def _consume_block(self, block: bytearray) -> None:
        """Consume a block that pyarrow asks this process for."""
        assert self._consumption is not None
        if self._continues and not self._file.tell():
            self._refuse_mark(block)
        self._consumption.advance(block)

    def _consume_file(self, consumption: Consumption) -> None:
        """Consume the bytes that pyarrow has read by itself: they are read again. Raises SourceError."""
        offset = self._first_offset
        end = offset + self.bytes_read
        while offset < end:
            try:
                block = os.pread(self._source.file.fileno(), min(HASHED_BLOCK_BYTES, end - offset), offset)
            except OSError as error:
                raise unreadable(self._name, error) from error
            if not block:
                raise unreadable(self._name, "it was cut short meanwhile")
            consumption.advance(block)
            offset += len(block)

    def _refuse_mark(self, first_bytes: bytes | bytearray) -> None:
        """Raise InputError where an input continues with bytes that pyarrow would skip as a byte order mark."""
        if first_bytes.startswith(BYTE_ORDER_MARK):
            raise InputError(
                f"{self._name}: goes on with a byte order mark, which the arrow reader cannot carry; "
                f"read it with --reader native"
            )


def explain(block_bytes: int, bytes_read: int, message: str) -> str:
    """The user's message for an error of pyarrow, after the input's name. Only starts are compared: a quoted row may
    hold anything."""
    import re

    if message.startswith("Empty CSV file"):
        # To pyarrow a file that is a byte order mark alone is empty.
        return f"not a transactions file: {'it has no header' if bytes_read else 'it is empty'}"
    if message.startswith("straddling object straddles two block boundaries"):
        return f"has a row longer than the arrow reader's block of {block_bytes} bytes; read it with --reader native"
    if re.match(r"CSV parse error: (Row #\d+: )?Expected 1 columns", message):
        return "has a row with a byte 0x01, which the arrow reader cannot carry; read it with --reader native"
    return f"pyarrow cannot read it: {message}"
