"""Tables as inputs: Parquet files, Arrow files and streams, read by pyarrow and projected to the four columns.

Their rows become transactions directly, or by way of the lines that a CSV file would have for them, so that every rule,
message and reject is the same. This module must not know what the types of columns are.
"""

from txfast.batch.batch import TransactionBatch
from txfast.batch.header import COLUMN_NAMES, Header, table_header, telling_names
from txfast.errors import InputError
from txfast.input.library_errors import LibraryErrors, QueryErrors
from txfast.input.location import RemoteFile
from txfast.input.position import read_into
from txfast.input.source import ARROW_FILE, ARROW_STREAM, PARQUET, QUERY, TABLE, Source
from txfast.input.table_watch import TableWatch
from txfast.input.temporary_copy import temporary_copy
from txfast.input.whole_reads import StreamReads
from txfast.late import pyarrow_may_start_threads
from txfast.readers.allowance import Allowance
from txfast.readers.arrow_memory import FileMemory, StreamMemory, layouts_of
from txfast.readers.arrow_messages import MAGIC, PREFIX_BYTES, metadata_place
from txfast.readers.column_types import bytes_to_convert, column_of, columns_of, is_taken_directly
from txfast.readers.joined_tables import refuse_joined, refuse_joined_parquet
from txfast.readers.parquet_footer import footer_place, read_footer
from txfast.readers.parquet_memory import FOOTER_COPIES, WAY_OUT, ParquetMemory
from txfast.readers.table_rows import VALUES_BYTES, TableColumns, parse

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO, RawIOBase

    import pyarrow as pa

    from txfast.dialect.dialect import Dialect
    from txfast.input.position import Consumption
    from txfast.readers.arrow_messages import ReadAt
else:
    from txfast.late import pa

# Rows of a Parquet file that are decoded at once, and of any table that are converted at once.
BATCH_ROWS = 1 << 17
# Bytes of a column of a Parquet file that are read at once: more at a location, where each read costs a round trip.
LOCAL_READ_BYTES = 1 << 16
REMOTE_READ_BYTES = 1 << 22
# Bytes that are read at once of the pages' headers, each of which has about a hundred.
PAGE_READ_BYTES = 1 << 12
# Texts that share their bytes, as views can, are copied so many bytes at once.
CONVERTED_BYTES_MAX = 8 << 20
# Record batches that scanners still parse take at most one part in SHARE_BEHIND of the allowance.
SHARE_BEHIND = 8
# What a reader takes that is given no allowance.
ALLOWED_BYTES = 1 << 30
# The names of kinds of tables, for messages.
TABLE_NAMES = {
    PARQUET: "Parquet file", ARROW_FILE: "Arrow file", ARROW_STREAM: "Arrow stream", TABLE: "table", QUERY: "query",
}  # fmt: skip
# An Arrow stream ends with these bytes.
END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"


class TableReader:
    """Reads one table: `fill` a batch with the next rows, then `scan` them into transactions.

    What is in memory of the table at once must fit the `allowance`, else MemoryLimitError is raised, before it is
    decoded. A `consumption` advances over the whole table at its end. Without `keep_text` only malformed rows can be
    reported. With several `threads` pyarrow decodes columns in parallel. A Parquet or Arrow file that comes as a stream
    is copied to `copy_folder`, by default the system's folder for temporary files. `fill` is for one thread at a time,
    `scan` for any. Raises InputError and SourceError.
    """

    def __init__(
        self,
        source: Source,
        consumption: "Consumption | None" = None,
        *,
        keep_text: bool = True,
        threads: int = 1,
        copy_folder: str | None = None,
        allowance: Allowance | None = None,
        dialect: "Dialect | None" = None,
    ) -> None:
        # A table that comes as a stream is consumed while it is copied; one that can be read again is watched.
        self._is_stream = source.size_bytes is None and not isinstance(source.file, RemoteFile)
        self._consumption = consumption
        self._watch = None if consumption is None or self._is_stream else TableWatch(source, consumption)
        self._name = source.name
        self._kind = source.kind
        self._source = source
        describe = f"cannot be read as the {TABLE_NAMES[source.kind]} that it seems to be: {{}}".format
        self._conversion_errors = LibraryErrors(source.name, describe)
        self._reading_errors = (
            QueryErrors(source.name)
            if source.kind == QUERY
            else LibraryErrors(
                source.name, describe, is_remote=isinstance(source.file, RemoteFile), is_lent=source.kind == TABLE
            )
        )
        self._batches = self._record_batches()
        self._columns: TableColumns | None = None
        self._keep_text = keep_text
        self._threads = threads
        self._use_threads = threads > 1 and pyarrow_may_start_threads()
        self._copy_folder = copy_folder
        self._allowance = allowance or Allowance(ALLOWED_BYTES)
        # A larger record batch is parsed by the thread that reads it, so that no other one is in memory beside it.
        # There are at most half as many scanners as threads.
        self._shared_bytes = 2 * self._allowance.size // (SHARE_BEHIND * threads)
        self._is_shared = True
        # The share of the table before the current record batch, and up to its end, as far as they are known.
        self._done_before = self._done = 0.0
        # The share of the record batch before the current piece of it, and the share that the piece is.
        self._piece = (0.0, 0.0)
        self._dialect = dialect
        # By column of a record batch.
        self._roles = COLUMN_NAMES if dialect is None else (*dialect.roles, *("keep" for _ in dialect.kept))
        self.header = Header(table_header(dialect), source.name, of_table=True, dialect=dialect)
        self.held_bytes = 0  # a table is read whole

    @property
    def bytes_read(self) -> int:
        """Bytes of the input that were read, estimated from the rows; 0 where its size is not known."""
        size, columns = self._source.size_bytes, self._columns
        if not size:
            return 0
        done = self._done
        if columns is not None:
            before, share = self._piece
            within = before + share * columns.rows_held / max(1, columns.rows)
            done = self._done_before + within * (done - self._done_before)
        return max(1, int(done * size))

    def fill(self, batch: TransactionBatch) -> bool:
        """Put the next rows into the batch. False at the end of the table."""
        while self._columns is None or not self._columns.hold(batch):
            self._columns = None  # before there is another
            self._columns = self._next_columns()
            if self._columns is None:
                self._done_before = self._done = 1.0
                if self._watch is not None:
                    self._watch.consume()
                return False
        if not self._is_shared:
            self.scan(batch)
        return True

    def _next_columns(self) -> TableColumns | None:
        """The columns of the next rows; None at the end."""
        piece = next(self._batches, None)
        if piece is None:
            return None
        with self._conversion_errors:
            mark = "." if self._dialect is None else self._dialect.part("decimal")
            columns = [column_of(*each, mark) for each in zip(self._roles, piece.columns, strict=True)]
            return TableColumns(piece.num_rows, columns)

    def scan(self, batch: TransactionBatch) -> None:
        """Make transactions of the rows that `fill` gave the batch."""
        parse(batch, self.header, keep_text=self._keep_text)

    # ---- Reading -----------------------------------------------------------------------------------

    def _record_batches(self) -> "Iterator[pa.RecordBatch]":
        """Iterate the table as record batches of the columns that matter, in the order of their roles."""
        read = {
            PARQUET: self._read_parquet, ARROW_FILE: self._read_file, ARROW_STREAM: self._read_stream,
            TABLE: self._read_table, QUERY: self._read_query,
        }  # fmt: skip
        with self._reading_errors:
            for record_batch in read[self._kind]():
                yield from self._pieces(record_batch)
                del record_batch  # before the next one is read
                self._done_before = self._done

    def _pieces(self, record_batch: "pa.RecordBatch") -> "Iterator[pa.RecordBatch]":
        """Cut a record batch into pieces of up to BATCH_ROWS: each is converted alone, in bounded memory."""
        rows, first = record_batch.num_rows, 0
        size = record_batch.get_total_buffer_size()
        self._is_shared = size <= self._shared_bytes
        while first < rows:
            piece = record_batch.slice(first, BATCH_ROWS)
            while True:
                copied = [bytes_to_convert(column) for column in piece.columns]
                of_rows, of_dictionaries = map(sum, zip(*copied, strict=True))
                if of_rows <= CONVERTED_BYTES_MAX or piece.num_rows == 1:
                    break
                piece = piece.slice(0, piece.num_rows // 2)
            if of_rows + of_dictionaries > CONVERTED_BYTES_MAX:
                self._allowance.check(size + of_rows + of_dictionaries, self._name, "a text", "cast its column to text")
            self._piece = (first / rows, piece.num_rows / rows)
            first += piece.num_rows
            yield piece

    def _columns_of(self, schema: "pa.Schema") -> list[str]:
        """The names of the columns of this schema that matter. Raises InputError."""
        used = columns_of(schema, self._name, self._dialect, of_query=self._kind == QUERY)
        self.header.ignored = telling_names([name for name in schema.names if name not in used])
        return used

    def _read_parquet(self) -> "Iterator[pa.RecordBatch]":
        content = self._seekable()
        size, read_at = content.size(), reads_at(content)
        is_remote = isinstance(self._source.file, RemoteFile)
        read_bytes = REMOTE_READ_BYTES if is_remote else LOCAL_READ_BYTES
        footer_start, footer_bytes = footer_place(read_at, size)
        self._allowance.check(FOOTER_COPIES * footer_bytes, self._name, "its footer", WAY_OUT)
        plain = pa.parquet.ParquetFile(content)
        names = self._columns_of(plain.schema_arrow)
        leaves, row_groups = read_footer(read_at(footer_start, footer_bytes), names)
        refuse_joined_parquet(self._name, read_at, footer_start, row_groups)
        # Without pre_buffer=False pyarrow holds the compressed bytes of all row groups at once.
        file = pa.parquet.ParquetFile(
            content, metadata=plain.metadata, page_checksum_verification=True, read_dictionary=names[:1],
            pre_buffer=False, buffer_size=read_bytes,
        )  # fmt: skip
        rows = 0
        pages_read_bytes = REMOTE_READ_BYTES if is_remote else PAGE_READ_BYTES
        memory = ParquetMemory(self._name, read_at, size, pages_read_bytes, self._allowance, BATCH_ROWS)
        for groups, rows_at_once in memory.runs(leaves, row_groups):
            for record_batch in file.iter_batches(
                rows_at_once, row_groups=groups, columns=names, use_threads=self._use_threads
            ):
                rows += record_batch.num_rows
                self._done = rows / max(1, file.metadata.num_rows)
                record_batch = record_batch.select(names)
                yield record_batch
                del record_batch  # before the next one is read
        if rows != file.metadata.num_rows:
            raise InputError(
                f"{self._name}: is damaged: it has {rows:,} rows, and says {file.metadata.num_rows:,}; get it again"
            )

    def _read_file(self) -> "Iterator[pa.RecordBatch]":
        file = self._seekable()
        memory = FileMemory(self._name, reads_at(file), file.size(), self._allowance)
        refuse_joined(self._name, reads_at(file), MAGIC, memory.content_end, memory.footer_start)
        schema = pa.ipc.open_file(file).schema
        names = self._columns_of(schema)
        layouts = layouts_of(schema, names)
        file.seek(0)
        reader = pa.ipc.open_file(file, options=self._options(schema, names))
        memory.check_dictionaries()
        for number in range(reader.num_record_batches):
            self._done = (number + 1) / reader.num_record_batches
            memory.check_batch(number, layouts)
            yield self._validated(reader.get_batch(number).select(names))

    def _options(self, schema: "pa.Schema", names: list[str]) -> "pa.ipc.IpcReadOptions":
        """Have pyarrow read these columns alone."""
        fields = [schema.get_field_index(name) for name in names]
        return pa.ipc.IpcReadOptions(included_fields=fields, use_threads=self._use_threads)

    def _read_stream(self) -> "Iterator[pa.RecordBatch]":
        if self._consumption is None or not self._is_stream:
            yield from self._read_streams(self._source.file)
            return
        with self._copy() as copy:
            yield from self._read_streams(copy)

    def _read_streams(self, content: "RawIOBase") -> "Iterator[pa.RecordBatch]":
        """One or several streams, one after the other."""
        memory = StreamMemory(self._name, self._source.size_bytes, self._allowance)
        file = StreamReads(content, memory.note)
        while file.has_more():
            schema = schema_ahead(file)
            names = self._columns_of(schema)
            memory.begin(schema, names)
            reader = pa.ipc.open_stream(pa.PythonFile(file, mode="r"), options=self._options(schema, names))
            while True:
                try:
                    record_batch = reader.read_next_batch()
                except StopIteration:
                    break
                if self._source.size_bytes:
                    self._done = file.tell() / self._source.size_bytes
                record_batch = self._validated(record_batch.select(names))
                yield record_batch
                del record_batch  # before the next one is read
            if file.was_short or file.last_bytes != END_OF_STREAM:
                raise InputError(f"{self._name}: was cut short: it is an Arrow stream without its end; get it again")

    def _read_table(self) -> "Iterator[pa.RecordBatch]":
        rows_left = (self._source.size_bytes or 0) // VALUES_BYTES
        rows = max(1, rows_left)
        for table in self._source.tables or ():
            names = self._columns_of(table.schema)
            for record_batch in table:
                rows_left -= record_batch.num_rows
                self._done = 1 - max(0, rows_left) / rows
                yield record_batch.select(names)

    def _read_query(self) -> "Iterator[pa.RecordBatch]":
        from txfast.input.query import Query

        query = self._source.tables
        assert isinstance(query, Query), "no other source is of this kind"
        query.limit(threads=self._threads, memory_bytes=self._allowance.size, folder=self._copy_folder)
        yield from self._read_table()

    def _validated(self, record_batch: "pa.RecordBatch") -> "pa.RecordBatch":
        """See that no offset or index leads out of its buffer; TableColumns checks the types that it takes directly."""
        record_batch.validate()
        for column in record_batch.columns:
            if not is_taken_directly(column.type):
                column.validate(full=True)
        return record_batch

    def _seekable(self) -> "pa.NativeFile":
        """The input as a file for reads at any offset. A stream is copied to a temporary file first."""
        if isinstance(self._source.file, RemoteFile):
            return self._source.file.native
        if self._source.size_bytes is not None:
            return pa.OSFile(f"/dev/fd/{self._source.file.fileno()}")
        with self._copy() as copy:
            # pyarrow opens the file again: it stays open when `copy` is closed.
            return pa.OSFile(f"/dev/fd/{copy.fileno()}")

    def _copy(self) -> "FileIO":
        """Copy the whole stream to a temporary file; a consumption advances over it. Raises SourceError."""
        copied_bytes = 0

        def read(view: memoryview) -> int:
            nonlocal copied_bytes
            count = read_into(self._source, view)
            copied_bytes += count
            if self._consumption is not None:
                self._consumption.advance(view[:count])
            return count

        copy = temporary_copy(self._name, TABLE_NAMES[self._kind], self._copy_folder, read)
        self._source.size_bytes = copied_bytes
        if self._consumption is not None:
            self._consumption.end_table()
        return copy


def reads_at(file: "pa.NativeFile") -> "ReadAt":
    """Reads of up to so many bytes at an offset of this file."""
    size = file.size()

    def read_at(offset: int, count: int) -> bytes:
        return bytes(file.read_at(max(0, min(count, size - offset)), offset))

    return read_at


def schema_ahead(file: StreamReads) -> "pa.Schema":
    """The schema at the start of a stream, which stays to be read."""
    start, size = metadata_place(file.peek(PREFIX_BYTES))
    return pa.ipc.read_schema(pa.py_buffer(file.peek(start + size)))
