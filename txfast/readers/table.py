"""Tables as inputs: Parquet files, Arrow files and streams, read by pyarrow and projected to the four columns.

Their rows are made the lines that a CSV file would have for them, so that every rule, message and reject is the same.
Types that cannot be exact fail the run; values that cannot be are malformed rows, as in CSV.
"""

import os
import tempfile
from decimal import Decimal

from txfast.batch.batch import TransactionBatch
from txfast.batch.header import COLUMN_NAMES, Header
from txfast.errors import InputError, SourceError
from txfast.input.location import RemoteFile
from txfast.input.position import read_into
from txfast.input.source import ARROW_FILE, ARROW_STREAM, PARQUET, TABLE, Source
from txfast.readers.arrow_csv import WholeReads
from txfast.readers.table_rows import HEADER_LINE, VALUES_BYTES, TableColumns, parse, units_fit

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import RawIOBase

    import pyarrow as pa

    from txfast.input.position import Consumption

    # What TableColumns takes for a column.
    Column = tuple[str, int, pa.Buffer | None, pa.Buffer | None, pa.Buffer | None, pa.Buffer | None]

# What is decoded at once of a Parquet file, and converted at once of any table.
BATCH_ROWS = 1 << 17
COPIED_BYTES = 1 << 20
# What is read at once of a column of a Parquet file: far away, each time costs as much as the bytes.
LOCAL_READ_BYTES = 1 << 16
REMOTE_READ_BYTES = 1 << 22
# A decimal128 of so many places counts units of 0.0001.
UNIT_DECIMALS = 4
# What a decimal of 38 digits, four of them places, surely has before these.
WHOLE_DIGITS = 33
KINDS = {PARQUET: "Parquet file", ARROW_FILE: "Arrow file", ARROW_STREAM: "Arrow stream", TABLE: "table"}
# What an offset takes, by the sort of text.
OFFSET_BYTES = {"text": 4, "large_text": 8}
# What an Arrow stream ends with.
END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"


class TableReader:
    """Reads one table: `fill` a batch with the next rows, then `scan` it.

    A `consumption` is that of the whole table from the start on. Without `keep_text` no row is reported but malformed
    ones. With several `threads` pyarrow decodes columns in parallel. A stream of what must be read anywhere is copied
    to `copy_folder`, else where temporary files are. `fill` is for one thread at a time, `scan` for any. Raises
    InputError and SourceError.
    """

    def __init__(
        self,
        source: Source,
        consumption: "Consumption | None" = None,
        *,
        keep_text: bool = True,
        threads: int = 1,
        copy_folder: str | None = None,
    ) -> None:
        if consumption is not None:
            consumption.advance_over_table(source)
        self._consumption = consumption
        self._name = source.name
        self._kind = source.kind
        self._source = source
        self._batches = self._record_batches()
        self._columns: TableColumns | None = None
        self._keep_text = keep_text
        self._use_threads = threads > 1
        self._copy_folder = copy_folder
        # The shares of the table that were read before the record batch that is read now, and with it, as far as known.
        self._done_before = self._done = 0.0
        # The shares of that record batch that were read before the piece of it that is read now, and that this is.
        self._piece = (0.0, 0.0)
        self.header = Header(HEADER_LINE, source.name, of_table=True)

    @property
    def bytes_read(self) -> int:
        """How much of the input was read, by the rows that were; 0 where nobody knows its size."""
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
            record_batch = next(self._batches, None)
            if record_batch is None:
                self._done_before = self._done = 1.0
                self._check_unchanged()
                return False
            try:
                columns = [self._column(name, record_batch.column(name)) for name in COLUMN_NAMES]
                self._columns = TableColumns(record_batch.num_rows, columns)
            except ValueError as error:  # as pyarrow's are
                raise self._damaged(error) from error
        return True

    def _check_unchanged(self) -> None:
        """At the end: see that what counts as consumed is what was read. Raises InputError."""
        if self._consumption is None:
            return
        digest = self._consumption.digest
        self._consumption.advance_over_table(self._source)
        if self._consumption.digest != digest:
            raise InputError(f"{self._name}: was changed while it was read")

    def scan(self, batch: TransactionBatch) -> None:
        """Make transactions of the rows that `fill` put into the batch."""
        parse(batch, self.header, keep_text=self._keep_text)

    # ---- Reading -----------------------------------------------------------------------------------

    def _record_batches(self) -> "Iterator[pa.RecordBatch]":
        """Iterate what there is, projected to the four columns."""
        import pyarrow as pa

        read = {
            PARQUET: self._read_parquet, ARROW_FILE: self._read_file, ARROW_STREAM: self._read_stream,
            TABLE: self._read_table,
        }  # fmt: skip
        try:
            for record_batch in read[self._kind]():
                yield from self._pieces(record_batch)
                self._done_before = self._done
        except (InputError, SourceError, MemoryError):
            raise
        except OSError as error:
            if self._kind == TABLE:
                raise  # of a program's own
            if error.errno is not None or isinstance(self._source.file, RemoteFile):
                raise SourceError(f"{self._name}: cannot be read: {error.strerror or error}") from error
            raise self._damaged(error) from error
        except (pa.ArrowException, UnicodeDecodeError) as error:
            raise self._damaged(error) from error

    def _pieces(self, record_batch: "pa.RecordBatch") -> "Iterator[pa.RecordBatch]":
        """Cut a record batch so that what its columns are converted into is not all made at once."""
        rows = record_batch.num_rows
        for first in range(0, rows, BATCH_ROWS):
            piece = record_batch.slice(first, BATCH_ROWS)
            self._piece = (first / rows, piece.num_rows / rows)
            yield piece

    def _damaged(self, error: Exception) -> InputError:
        return InputError(f"{self._name}: cannot be read as the {KINDS[self._kind]} that it seems to be: {error}")

    def _read_parquet(self) -> "Iterator[pa.RecordBatch]":
        from pyarrow import parquet

        content = self._seekable()
        plain = parquet.ParquetFile(content)
        self._check(plain.schema_arrow)
        is_remote = isinstance(self._source.file, RemoteFile)
        # By default the compressed bytes of all row groups would be held at once.
        file = parquet.ParquetFile(
            content, metadata=plain.metadata, page_checksum_verification=True, read_dictionary=["type"],
            pre_buffer=False, buffer_size=REMOTE_READ_BYTES if is_remote else LOCAL_READ_BYTES,
        )  # fmt: skip
        rows = 0
        for record_batch in file.iter_batches(BATCH_ROWS, columns=list(COLUMN_NAMES), use_threads=self._use_threads):
            rows += record_batch.num_rows
            self._done = rows / max(1, file.metadata.num_rows)
            yield record_batch
        if rows != file.metadata.num_rows:
            raise InputError(f"{self._name}: is damaged: it has {rows} rows, and says {file.metadata.num_rows}")

    def _read_file(self) -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa

        file = self._seekable()
        schema = pa.ipc.open_file(file).schema
        self._check(schema)
        file.seek(0)
        fields = [schema.get_field_index(name) for name in COLUMN_NAMES]
        options = pa.ipc.IpcReadOptions(included_fields=fields, use_threads=self._use_threads)
        reader = pa.ipc.open_file(file, options=options)
        for number in range(reader.num_record_batches):
            self._done = (number + 1) / reader.num_record_batches
            yield self._validated(reader.get_batch(number))

    def _read_stream(self) -> "Iterator[pa.RecordBatch]":
        import pyarrow as pa

        file = StreamReads(self._source.file)
        while file.has_more():
            options = pa.ipc.IpcReadOptions(use_threads=self._use_threads)
            reader = pa.ipc.open_stream(pa.PythonFile(file, mode="r"), options=options)
            self._check(reader.schema)
            for record_batch in reader:
                if self._source.size_bytes:
                    self._done = file.tell() / self._source.size_bytes
                yield self._validated(record_batch.select(list(COLUMN_NAMES)))
            if file.was_short or file.last_bytes != END_OF_STREAM:
                raise InputError(f"{self._name}: was cut short: it is an Arrow stream without its end")

    def _read_table(self) -> "Iterator[pa.RecordBatch]":
        rows_left = (self._source.size_bytes or 0) // VALUES_BYTES
        rows = max(1, rows_left)
        for table in self._source.tables or ():
            self._check(table.schema)
            for record_batch in table:
                rows_left -= record_batch.num_rows
                self._done = 1 - max(0, rows_left) / rows
                yield record_batch.select(list(COLUMN_NAMES))

    def _validated(self, record_batch: "pa.RecordBatch") -> "pa.RecordBatch":
        """What was read, once nothing in it leads out of its buffers; of what TableColumns takes, that sees to it."""
        record_batch.validate()
        for column in record_batch.columns:
            if not is_taken_as_it_is(column.type):
                column.validate(full=True)
        return record_batch

    def _seekable(self) -> "pa.NativeFile":
        """The input as a file that can be read anywhere: a pipe by way of a temporary one."""
        import pyarrow as pa

        if isinstance(self._source.file, RemoteFile):
            return self._source.file.native
        if self._source.size_bytes is not None:
            return pa.OSFile(f"/dev/fd/{self._source.file.fileno()}")
        folder = self._copy_folder or tempfile.gettempdir()
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            with tempfile.TemporaryFile(buffering=0, dir=folder) as copy:
                self._source.size_bytes = self._copy_to(copy)
                # It opens the file anew, which then is nobody else's.
                return pa.OSFile(f"/dev/fd/{copy.fileno()}")
        except SourceError:
            raise
        except OSError as error:
            raise SourceError(
                f"{folder}: cannot hold a copy of {self._name}, a {KINDS[self._kind]} that comes as a stream: "
                f"{error.strerror or error}; --spill-dir names another folder"
            ) from error

    def _copy_to(self, copy: "RawIOBase") -> int:
        """Copy the whole input; return how many bytes it has. Raises SourceError where it cannot be read."""
        copied_bytes = 0
        block = bytearray(COPIED_BYTES)
        with memoryview(block) as view:
            while count := read_into(self._source, view):
                copied_bytes += count
                rest = view[:count]
                while rest:
                    rest = rest[copy.write(rest) :]
        return copied_bytes

    # ---- Types -------------------------------------------------------------------------------------

    def _check(self, schema: "pa.Schema") -> None:
        """See that the four columns are there, once each, of types that are exact. Raises InputError."""
        missing = [name for name in COLUMN_NAMES if name not in schema.names]
        if missing:
            raise InputError(
                f"{self._name}: not a table of transactions: it has no column {', '.join(missing)} "
                f"(it needs {', '.join(COLUMN_NAMES)})"
            )
        for name in COLUMN_NAMES:
            if schema.names.count(name) > 1:
                raise InputError(f"{self._name}: not a table of transactions: it has two columns {name!r}")
            refusal = refusal_of(name, schema.field(name).type)
            if refusal is not None:
                raise InputError(f"{self._name}: column {name!r} is of type {schema.field(name).type}: {refusal}")

    def _column(self, name: str, array: "pa.Array") -> "Column":
        """A column as TableColumns takes it."""
        import pyarrow as pa
        from pyarrow import types

        if types.is_dictionary(array.type):
            if is_text(array.type.value_type):
                return dictionary_column(array)
            array = array.dictionary_decode()
        if types.is_null(array.type):
            return ("absent", 0, None, None, None, None)
        if types.is_decimal(array.type):
            array = exact_decimals(array, amounts=name == "amount")
        if types.is_decimal(array.type):
            validity, values = array.buffers()
            if units_fit(values, array.offset, len(array)):
                return ("units", array.offset, validity, values, None, None)
            array = array.cast(pa.string())
        if types.is_integer(array.type):
            signed = types.is_signed_integer(array.type)
            array = converted(array, pa.int64() if signed else pa.uint64())
            validity, values = array.buffers()
            return ("signed" if signed else "unsigned", array.offset, validity, values, None, None)
        return text_column(array)


class StreamReads(WholeReads):
    """A file for pyarrow that knows whether there is more, and what was read last."""

    def __init__(self, file: "RawIOBase") -> None:
        super().__init__(file)
        self.last_bytes = b""
        self.was_short = False  # something was asked for that is not there
        self._ahead = b""

    def has_more(self) -> bool:
        """Whether there is a byte behind what was read."""
        if not self._ahead:
            self._ahead = bytes(super().read(1))
        return bool(self._ahead)

    def read(self, count: int) -> bytearray:
        ahead, self._ahead = self._ahead[:count], self._ahead[count:]
        block = bytearray(ahead) + super().read(count - len(ahead))
        self.was_short = self.was_short or len(block) < count
        self.last_bytes = (self.last_bytes + bytes(block[-len(END_OF_STREAM) :]))[-len(END_OF_STREAM) :]
        return block


def is_taken_as_it_is(kind: "pa.DataType") -> bool:
    """Whether pyarrow has nothing to convert in a column of this type."""
    from pyarrow import types

    return any(
        test(kind)
        for test in (
            types.is_string, types.is_binary, types.is_large_string, types.is_large_binary, types.is_integer,
            types.is_decimal128,
        )
    )  # fmt: skip


def is_text(kind: "pa.DataType") -> bool:
    """Whether values are strings or bytes."""
    from pyarrow import types

    return any(
        test(kind)
        for test in (
            types.is_string, types.is_large_string, types.is_string_view, types.is_binary, types.is_large_binary,
            types.is_binary_view,
        )
    )  # fmt: skip


def refusal_of(name: str, kind: "pa.DataType") -> str | None:
    """Why a column cannot be of this type; None where it can."""
    from pyarrow import types

    if types.is_dictionary(kind):
        kind = kind.value_type
    if is_text(kind) or types.is_null(kind):
        return None
    if name == "type":
        return "it must be text, or a dictionary of text"
    if types.is_floating(kind):
        way_out = "decimal128(19, 4) or text" if name == "amount" else "uint64 or text"
        return f"floats are not exact: cast it to {way_out} first"
    if types.is_integer(kind) or (types.is_decimal(kind) and (name == "amount" or kind.scale == 0)):
        return None
    numbers = "integers, decimals" if name == "amount" else "integers"
    return f"it must be {numbers} or text: cast it first"


def dictionary_column(array: "pa.DictionaryArray") -> "Column":
    """Texts by index. A dictionary larger than the column would be looked through for each piece of it."""
    import pyarrow as pa

    texts = array.dictionary
    if len(texts) > len(array) or not len(texts) or texts.null_count or texts.offset:
        return text_column(array.dictionary_decode())
    sort, _, _, text, offsets, _ = text_column(texts)
    assert offsets is not None
    indices = converted(array.indices, pa.int32())
    validity, places = indices.buffers()
    # Buffers may be longer than what is in them.
    return (sort, indices.offset, validity, text, offsets.slice(0, OFFSET_BYTES[sort] * (len(texts) + 1)), places)


def text_column(array: "pa.Array") -> "Column":
    """Texts as they are."""
    import pyarrow as pa
    from pyarrow import types

    is_short = types.is_string(array.type) or types.is_binary(array.type)
    if not is_short and not types.is_large_string(array.type):
        array = converted(array, pa.large_binary())
    validity, offsets, text = array.buffers()
    return ("text" if is_short else "large_text", array.offset, validity, text, offsets, None)


def converted(array: "pa.Array", kind: "pa.DataType") -> "pa.Array":
    """The same values in another type. A cast to the same one would import for 60 ms, and copy nothing."""
    return array if array.type == kind else array.cast(kind)


def exact_decimals(array: "pa.Array", *, amounts: bool) -> "pa.Array":
    """Decimals as what loses nothing of them: of four places, or whole numbers for ids; else their text."""
    import pyarrow as pa

    if amounts and array.type.scale == UNIT_DECIMALS and pa.types.is_decimal128(array.type):
        return array
    try:
        return array.cast(pa.decimal128(38, UNIT_DECIMALS) if amounts else pa.uint64())
    except pa.ArrowInvalid:
        return decimal_texts(array) if amounts else array.cast(pa.string())


def decimal_texts(array: "pa.Array") -> "pa.Array":
    """Decimals as text without exponents: those that have more than four places, or too many, one by one."""
    import pyarrow as pa
    from pyarrow import compute

    if array.type.bit_width < 128:
        array = array.cast(pa.decimal128(38, array.type.scale))
    kind = array.type
    is_exact = compute.equal(compute.round(array, ndigits=4, round_mode="towards_zero"), array)
    if kind.precision - kind.scale > WHOLE_DIGITS:
        is_small = compute.less(compute.abs(array), pa.scalar(Decimal(10) ** WHOLE_DIGITS, kind))
        is_exact = compute.and_(is_exact, is_small)
    exact = compute.if_else(is_exact, array, pa.scalar(None, kind)).cast(pa.decimal128(38, 4))
    is_other = compute.fill_null(compute.invert(is_exact), False)
    others = [f"{value:f}" for value in array.filter(is_other).to_pylist()]
    return compute.replace_with_mask(exact.cast(pa.string()), is_other, pa.array(others, pa.string()))
