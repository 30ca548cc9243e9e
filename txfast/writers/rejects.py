"""The rejects file: every row that was not applied, malformed or rejected, in input order.

It must not know why a row is a reject, nor where batches come from. pyarrow is imported for Parquet alone.
"""

import os
import stat

from txfast.errors import UsageError
from txfast.writers.output import STANDARD_OUTPUT, Output, named_descriptor
from txfast.writers.reject_columns import REASON_NAMES, ROWS_MAX, STATUS_NAMES, TEXT_BYTES_MAX, RejectColumns
from txfast.writers.reject_text import COLUMN_NAMES, RejectText
from txfast.writers.sink import Sink

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Protocol

    import pyarrow as pa

    from txfast.batch.batch import TransactionBatch

    class Writer(Protocol):
        """What puts rejects into an output in one format."""

        def add(self, file: str, batch: TransactionBatch) -> None: ...
        def add_made(self, made: bytes) -> None: ...
        def finish(self) -> None: ...
        def abandon(self) -> None: ...


SUFFIXES = (".csv", ".jsonl", ".parquet")


class Rejects:
    """A rejects file: `open`, `add` every batch in order after it was applied, `finish`, then `publish`, which may be
    taken back by `revoke`; `discard` in the end.

    The suffix of the path says the format. The file appears whole or not at all, as any Output, and however many
    rejects there are, few of them are in memory at a time. Raises UsageError for a path with another suffix.
    """

    def __init__(self, path: str) -> None:
        self._suffix = format_suffix(path)
        self._output = Output(path)
        self._writer: Writer | None = None
        self._is_open = False

    def open(self) -> None:
        """Open the destination. Raises SourceError."""
        if self._is_open:
            return
        self._output.open()
        if self._suffix == ".parquet":
            self._writer = ParquetWriter(self._output)
        else:
            self._writer = TextWriter(self._output, self._suffix.removeprefix("."))
        self._is_open = True

    def follow(self) -> None:
        """Before it is opened: be ready for `progress`. Not for Parquet, whose file is one piece."""
        self._output.follow()

    def progress(self) -> "dict[str, object]":
        """Have all that was added reach the disk: in which temporary file, how many bytes, their hash.

        Raises as `add` does.
        """
        assert isinstance(self._writer, TextWriter), "not text"
        self._writer.flush()
        return self._output.progress()

    def reopen(self, temporary_path: str, byte_count: int, digest: str) -> None:
        """Go on where `progress` was, instead of `open`, which then does nothing. Raises SourceError."""
        self._output.reopen(temporary_path, byte_count, digest)
        self._writer = TextWriter(self._output, self._suffix.removeprefix("."), is_new=False)
        self._is_open = True

    def keep_temporary(self) -> None:
        """Have `discard` leave what was written, for a later run to `reopen`."""
        self._output.keep_temporary()

    def add(self, file: str, batch: "TransactionBatch") -> None:
        """Add the rejects of an applied batch of this file.

        Raises SourceError, MemoryError, and BrokenPipeError where nobody reads any more.
        """
        assert self._writer is not None, "not open"
        self._writer.add(file, batch)

    @property
    def made_format(self) -> str:
        """What `add_made` takes: csv or jsonl, text without a header; or arrow, Arrow streams of the reject_schema."""
        return "arrow" if self._suffix == ".parquet" else self._suffix.removeprefix(".")

    def add_made(self, made: bytes) -> None:
        """Add rejects that another process has made what they are in the file. Raises as `add` does."""
        assert self._writer is not None, "not open"
        self._writer.add_made(made)

    def finish(self) -> None:
        """Write what is left, and have it reach the disk; a second time there is nothing left. Raises as `add` does."""
        if self._writer is not None:
            self._writer.finish()
            self._output.finish()
            self._writer = None

    def publish(self, *, revocable: bool = False) -> None:
        """Put the finished file in its place. Raises SourceError, and has then changed nothing."""
        self._output.publish(revocable=revocable)

    def revoke(self) -> None:
        """Have what was there before `publish(revocable=True)` be there again, as far as the system lets it."""
        self._output.revoke()

    def discard(self) -> None:
        """Close, and remove what was not published. May be called at any time, and more than once."""
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None
        self._output.discard()


def format_suffix(path: str) -> str:
    """The one of SUFFIXES that says the path's format. Raises UsageError.

    A device or a pipe may have none (/dev/stderr, /dev/fd/63): it gets CSV.
    """
    suffix = os.path.splitext(path)[1]
    if suffix.lower() in SUFFIXES:
        return suffix.lower()
    if not suffix and (path == STANDARD_OUTPUT or is_device_or_pipe(path)):
        return ".csv"
    raise UsageError(f"{path!r}: its name must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}")


def is_text_file(path: str) -> bool:
    """Whether rejects are lines of text there, in a regular file."""
    return path != STANDARD_OUTPUT and format_suffix(path) != ".parquet" and not is_device_or_pipe(path)


def is_device_or_pipe(path: str) -> bool:
    """Whether a path is there and is neither a regular file nor a folder, or names a descriptor of this process."""
    if named_descriptor(path) is not None:
        return True
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


class TextWriter:
    """Rejects as CSV or JSON lines."""

    def __init__(self, output: Output, text_format: str, *, is_new: bool = True) -> None:
        self._output = output
        self._text = RejectText(text_format)
        if not is_new:
            self._text.rest()  # the header is there already

    def add(self, file: str, batch: "TransactionBatch") -> None:
        for block in self._text.blocks(os.fsencode(file), batch):
            self._output.write(block)

    def add_made(self, made: bytes) -> None:
        self.flush()
        self._output.write(made)

    def finish(self) -> None:
        self.flush()

    def flush(self) -> None:
        self._output.write(self._text.rest())

    def abandon(self) -> None:
        """There is nothing to give back."""


def reject_schema() -> "pa.Schema":
    """The schema of rejects as a table:

        file    string          type    string
        line    uint64          client  string
        status  string          tx      string
        reason  string          amount  string
                                row     binary

    None is null. A byte that is not UTF-8 is `\\xff` in a string, as in the log; `row` has it as it was.
    """
    import pyarrow as pa

    types = dict.fromkeys(COLUMN_NAMES, pa.string()) | {"line": pa.uint64(), "row": pa.binary()}
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in types.items()])


class RejectTables:
    """Rejects as Arrow tables of up to 131,072 rows or about 16 MiB of text, in which names are dictionaries: iterate
    the `tables` of each batch, then there is the `rest`."""

    def __init__(self) -> None:
        import pyarrow as pa

        places = {"file": pa.int32(), "status": pa.int8(), "reason": pa.int8()}
        fields = [
            field.with_type(pa.dictionary(places[field.name], field.type)) if field.name in places else field
            for field in reject_schema()
        ]
        self.schema = pa.schema(fields)
        self._columns = RejectColumns()

    def tables(self, file: str, batch: "TransactionBatch") -> "Iterator[pa.Table]":
        """Iterate what an applied batch's rejects fill. A table is good until the next is asked for."""
        for rows, files, buffers in self._columns.groups(file, batch):
            yield self._table(rows, files, buffers)

    def rest(self) -> "pa.Table":
        """What filled none, as such a table. It may be empty."""
        return self._table(*self._columns.rest())

    def _table(self, rows: int, files: "Sequence[str]", buffers: "Sequence[memoryview]") -> "pa.Table":
        import pyarrow as pa

        shared = [pa.py_buffer(buffer) for buffer in buffers]

        def names(indices: "pa.DataType", place: int, meanings: "Sequence[str]") -> "pa.Array":
            codes = pa.Array.from_buffers(indices, rows, [None, shared[place]])
            return pa.DictionaryArray.from_arrays(codes, pa.array(meanings, pa.string()))

        arrays = [
            names(pa.int32(), 0, [readable(file) for file in files]),
            pa.Array.from_buffers(pa.uint64(), rows, [None, shared[1]]),
            names(pa.int8(), 2, STATUS_NAMES),
            names(pa.int8(), 3, REASON_NAMES),
        ]
        for place, field in enumerate(list(self.schema)[4:]):
            offsets, text = shared[4 + 2 * place], shared[5 + 2 * place]
            arrays.append(pa.Array.from_buffers(field.type, rows, [None, offsets, text]))
        return pa.Table.from_arrays(arrays, schema=self.schema)


class ParquetWriter:
    """Rejects as Parquet, a row group for each of RejectTables."""

    def __init__(self, output: Output) -> None:
        from pyarrow import parquet

        self._tables = RejectTables()
        self._made: list[pa.Table] = []  # as add_made got them, until they are many
        self._made_rows = self._made_bytes = 0
        self._sink = Sink(output)
        # Dictionaries where few values repeat: for the others they take twice the time and are given up halfway.
        repeated = ["file", "status", "reason", "type"]
        # Without Arrow's schema the names are read as what they are, strings.
        try:
            self._parquet = parquet.ParquetWriter(
                self._sink, self._tables.schema, store_schema=False, use_dictionary=repeated
            )
        except BaseException:
            self.abandon()
            raise

    def add(self, file: str, batch: "TransactionBatch") -> None:
        for table in self._tables.tables(file, batch):
            self._parquet.write_table(table, row_group_size=len(table))

    def add_made(self, made: bytes) -> None:
        import pyarrow as pa

        table = pa.ipc.open_stream(made).read_all()
        self._made.append(table)
        self._made_rows += len(table)
        self._made_bytes += len(made)
        if self._made_rows >= ROWS_MAX or self._made_bytes >= TEXT_BYTES_MAX:
            self._write_made()

    def _write_made(self) -> None:
        import pyarrow as pa

        if self._made:
            table = pa.concat_tables(self._made).cast(self._tables.schema)
            self._parquet.write_table(table, row_group_size=max(1, len(table)))
            self._made.clear()
            self._made_rows = self._made_bytes = 0

    def finish(self) -> None:
        self._write_made()
        rest = self._tables.rest()
        if len(rest):
            self._parquet.write_table(rest, row_group_size=len(rest))
        self._parquet.close()

    def abandon(self) -> None:
        self._sink.abandoned = True


class CollectedRejects:
    """Rejects as record batches in memory, of the reject_schema: `add` every batch in order, then `finish`."""

    def __init__(self) -> None:
        self._tables = RejectTables()
        self.batches: list[pa.RecordBatch] = []

    def add(self, file: str, batch: "TransactionBatch") -> None:
        """Add the rejects of an applied batch of this file. Raises MemoryError."""
        for table in self._tables.tables(file, batch):
            self._keep(table)

    def finish(self) -> None:
        """There are no more."""
        self._keep(self._tables.rest())

    def take(self) -> "list[pa.RecordBatch]":
        """What is there so far, which is kept no longer."""
        taken, self.batches = self.batches, []
        return taken

    def _keep(self, table: "pa.Table") -> None:
        """Keep a copy, since the table's memory is used again."""
        import pyarrow as pa

        if not len(table):
            return
        schema = reject_schema()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as writer:
            writer.write_table(table.cast(schema))
        self.batches += pa.ipc.open_stream(sink.getvalue())


def readable(file: str) -> str:
    """A file's name as text, whatever its bytes are."""
    return os.fsencode(file).decode("utf-8", "backslashreplace")
