"""The arrow reader: pyarrow cuts a CSV file into lines, the scanner makes transactions of them.

pyarrow streams record batches of one binary column, the raw line: with the byte 0x01 as delimiter and without quoting,
every line arrives as it is. What pyarrow cannot carry stops the run with a clear error: a row longer than its block, a
0x01 in a row, a line ending inside quotes, and a second byte order mark at the beginning.
"""

import os
from collections import deque

from txfast.batch.batch import TransactionBatch
from txfast.batch.header import Header
from txfast.errors import InputError, SourceError, unreadable
from txfast.input.first_bytes import BLANKS, BYTE_ORDER_MARK
from txfast.input.library_errors import LibraryErrors
from txfast.input.position import HASHED_BLOCK_BYTES, Consumption
from txfast.input.source import Source
from txfast.input.whole_reads import WholeReads, open_for_pyarrow
from txfast.late import THREAD_ADDRESS_BYTES, check_address_space, pyarrow_may_start_threads
from txfast.readers.csv import find_spanning_row, no_header, take_header
from txfast.readers.line_column import copy_lines
from txfast.readers.scan import scan_lines
from txfast.text.quotes import closes

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from txfast.dialect.dialect import Dialect
    from txfast.input.last_line import LastRow
else:
    from txfast.late import pa

# Bytes that pyarrow reads and cuts at once. A row cannot be longer.
PYARROW_BLOCK_BYTES = 4 << 20
DELIMITER = "\x01"


class ArrowCsvReader:
    """Reads one CSV file through pyarrow: `fill` a batch with the next block of lines, then `scan` it into rows.

    A `consumption` advances over the bytes that are read; where it has a header already, the source continues inside
    its input, after that header. A `last_row` is asked where the file ends in a line that has no ending and is not
    blank: a line that is held back is no row, and is not consumed; `held_bytes` counts its bytes. A `dialect` has no
    `line_parts`. `fill` is for one thread at a time, `scan` for any. Both raise InputError and SourceError.
    """

    def __init__(
        self,
        source: Source,
        block_bytes: int = PYARROW_BLOCK_BYTES,
        *,
        threads: int = 1,
        consumption: Consumption | None = None,
        last_row: "LastRow | None" = None,
        dialect: "Dialect | None" = None,
    ) -> None:
        self._name = source.name
        self._dialect = dialect
        self._block_bytes = block_bytes
        self._consumption = consumption
        self._source = source
        self._header: Header | None = None
        if consumption is not None and consumption.header is not None:
            self._header = Header(consumption.header, source.name, dialect=dialect)
        self._continues = self._header is not None
        self._nothing_added = False
        self._last_row = last_row
        self._open_line = b""  # read, and not consumed yet, of a file that pyarrow does not read by itself
        self._ahead: pa.RecordBatch | InputError | SourceError | None = None
        self._is_ahead = False
        self._read_early: deque[pa.RecordBatch] = deque()  # to find where a quoted field ends
        self._lines = 0 if consumption is None else consumption.lines
        self.held_bytes = 0
        is_followed = consumption is not None or last_row is not None
        self._file = open_for_pyarrow(source, self._consume_block if is_followed else None)
        self._first_offset = int(self._file.tell())
        if self._continues and not isinstance(self._file, WholeReads):
            self._refuse_mark(os.pread(source.file.fileno(), len(BYTE_ORDER_MARK), self._first_offset))
        self._record_batches = self._open(use_threads=threads > 1 and pyarrow_may_start_threads())

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
        record_batch = self._next_record_batch()
        if record_batch is not None:
            column = record_batch.column(0)
            _, offsets, text = column.buffers()
            copy_lines(batch, offsets, text, column.offset, len(column))
            self._refuse_spanning_row(batch)
            self._lines += len(column)
            if self._header is None:
                self._header = take_header(batch, self._name, dialect=self._dialect)
            batch.header = self._header
            return True
        if self._header is None and not self.held_bytes:
            raise no_header(self._name, self.bytes_read)
        if self._consumption is None:
            return False
        if not isinstance(self._file, WholeReads):
            self._consume_file(self._consumption)
        elif not self.held_bytes:
            self._consumption.advance(self._open_line)
        return False

    def _next_record_batch(self) -> "pa.RecordBatch | None":
        """The next lines, without a last one that is held back; None at the end of the file."""
        if self._last_row is None:
            return self._next_read()
        if not self._is_ahead:
            self._is_ahead = True
            self._read_ahead()
        found = self._ahead
        if isinstance(found, InputError | SourceError):
            raise found
        if found is not None:
            self._read_ahead()
            if self._ahead is None:
                found = self._without_held_row(found, self._last_row)
        return found

    def _read_ahead(self) -> None:
        """Read the record batch after the next one, so that the last one is known when its turn comes."""
        try:
            self._ahead = self._next_read()
        except (InputError, SourceError) as error:
            self._ahead = error  # which is raised at its turn, after the lines before it

    def _next_read(self) -> "pa.RecordBatch | None":
        return self._read_early.popleft() if self._read_early else next(self._record_batches, None)

    def _following(self) -> "Iterator[pa.RecordBatch]":
        """The record batches after the one that `fill` has at hand, which stay to be read."""
        if self._ahead is not None:
            if isinstance(self._ahead, InputError | SourceError):
                return
            yield self._ahead
        yield from tuple(self._read_early)
        while (read := next(self._record_batches, None)) is not None:
            self._read_early.append(read)
            yield read

    def _refuse_spanning_row(self, batch: TransactionBatch) -> None:
        """Raise InputError where a row goes on over a line ending in quotes: pyarrow has cut it into lines."""
        line, open_bytes = find_spanning_row(batch, self._header, self._dialect)
        if open_bytes and self._is_closed_later(batch.raw_text()[-open_bytes:]):
            line = batch.raw_text()[:-open_bytes].count(b"\n")
        if line >= 0:
            raise InputError(
                f"{self._name}:{self._lines + line + 1}: a row goes on over a line ending in quotes, which the arrow "
                f"reader cannot carry; read it with --reader native"
            )

    def _is_closed_later(self, text: bytes) -> bool:
        """Whether a quoted field is closed by the lines after the current ones. Raises InputError where the file ends
        in it and may be growing."""
        for record_batch in self._following():
            text += b"".join(line + b"\n" for line in record_batch.column(0).to_pylist())
            is_closed = closes(text, delimiter="," if self._header is None else self._header.delimiter)
            if is_closed is not None:
                return is_closed
        if self._last_row is not None and not self.held_bytes:
            if not isinstance(self._file, WholeReads):
                self._source.file.seek(int(self._file.tell()))
            if self._last_row.is_held_back(in_quotes=True):
                raise InputError(
                    f"{self._name}: ends in a quoted field that is not closed, and {self._last_row.reason}: the arrow "
                    f"reader cannot hold back a row of many lines; read it with --reader native"
                )
        if self._consumption is not None:
            raise InputError(
                f"{self._name}: ends in a quoted field that is not closed, which the arrow reader cannot note in a "
                f"state; read it with --reader native"
            )
        return False

    def _without_held_row(self, record_batch: "pa.RecordBatch", last_row: "LastRow") -> "pa.RecordBatch":
        """The last record batch of the file without its last line, if that has no ending and is held back."""
        end = int(self._file.tell())
        is_read_here = isinstance(self._file, WholeReads)
        ending = self._open_line[-1:] if is_read_here else self._source.read_at(end - 1, 1)
        line: bytes = record_batch.column(0)[-1].as_py()
        if ending in (b"", b"\n", b"\r") or not line.strip(BLANKS):
            return record_batch
        if not is_read_here:
            self._source.file.seek(end)  # where `last_row` looks for the end of what was read
        if not last_row.is_held_back():
            return record_batch
        # A file that is this line alone may begin with a byte order mark, which pyarrow leaves out.
        is_whole = self._header is None and record_batch.num_rows == 1
        self.held_bytes = self.bytes_read if is_whole else len(line)
        return record_batch.slice(0, record_batch.num_rows - 1)

    def scan(self, batch: TransactionBatch) -> None:
        """Make rows of the lines that `fill` put into the batch."""
        scan_lines(batch)

    def _open(self, *, use_threads: bool) -> "Iterator[pa.RecordBatch]":
        try:
            with LibraryErrors(self._name, self._explain):
                check_address_space(THREAD_ADDRESS_BYTES)
                yield from pa.csv.open_csv(
                    self._file,
                    pa.csv.ReadOptions(column_names=["line"], block_size=self._block_bytes, use_threads=use_threads),
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
        if words.startswith("Empty CSV file"):
            raise no_header(self._name, self.bytes_read)  # a byte order mark alone is empty for pyarrow
        return explain(self._block_bytes, words)

    # ---- Consumption ---------------------------------------------------------------------------------

    def _consume_block(self, block: bytearray) -> None:
        """Consume a block that pyarrow asks this process for."""
        if self._continues and not self._file.tell():
            self._refuse_mark(block)
        if self._last_row is None:
            self._consume(block)
            return
        # A last line may be held back: it is consumed with the block after it, or at the end.
        rows_end = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
        if rows_end:
            self._consume(self._open_line + block[:rows_end])
            self._open_line = b""
        self._open_line += bytes(block[rows_end:])

    def _consume(self, block: bytes | bytearray) -> None:
        if self._consumption is not None:
            self._consumption.advance(block)

    def _consume_file(self, consumption: Consumption) -> None:
        """Consume the bytes that pyarrow has read by itself: they are read again. Raises SourceError."""
        offset = self._first_offset
        end = offset + self.bytes_read - self.held_bytes
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


def explain(block_bytes: int, message: str) -> str:
    """The user's message for an error of pyarrow, after the input's name. Only starts are compared: a quoted row may
    hold anything."""
    import re

    if message.startswith("straddling object straddles two block boundaries"):
        return f"has a row longer than the arrow reader's block of {block_bytes:,} bytes; read it with --reader native"
    if re.match(r"CSV parse error: (Row #\d+: )?Expected 1 columns", message):
        return "has a row with a byte 0x01, which the arrow reader cannot carry; read it with --reader native"
    return f"pyarrow cannot read it: {message}"
