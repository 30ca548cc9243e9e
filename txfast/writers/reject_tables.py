"""Rejects as Arrow tables: for Parquet files, and as record batches in memory.

This module must not know why a row is a reject, nor where batches come from.
"""

import os

from txfast.writers.output import Output
from txfast.writers.reject_columns import REASON_NAMES, ROWS_MAX, STATUS_NAMES, TEXT_BYTES_MAX, RejectColumns
from txfast.writers.reject_text import COLUMN_NAMES
from txfast.writers.sink import Sink

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa

    from txfast.batch.batch import TransactionBatch
else:
    from txfast.late import pa


def reject_schema() -> "pa.Schema":
    """The schema of rejects as a table:

        file    string          type    string
        line    uint64          client  string
        status  string          tx      string
        reason  string          amount  string
                                row     binary

    No value is null. A byte that is not UTF-8 becomes `\\xff` in a string, as in the log; `row` has the byte itself.
    """
    types = dict.fromkeys(COLUMN_NAMES, pa.string()) | {"line": pa.uint64(), "row": pa.binary()}
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in types.items()])


class RejectTables:
    """Rejects as Arrow tables: iterate the `tables` of each batch, then take the `rest`.

    A table has up to 131,072 rows or about 16 MiB of text. `file`, `status` and `reason` are dictionaries.
    """

    def __init__(self) -> None:
        index_types = {"file": pa.int32(), "status": pa.int8(), "reason": pa.int8()}
        fields = [
            field.with_type(pa.dictionary(index_types[field.name], field.type)) if field.name in index_types else field
            for field in reject_schema()
        ]
        self.schema = pa.schema(fields)
        self._columns = RejectColumns()

    def tables(self, file: str, batch: "TransactionBatch") -> "Iterator[pa.Table]":
        """Iterate the tables that an applied batch's rejects fill. A table is valid until the next one is asked for."""
        for rows, files, buffers in self._columns.groups(file, batch):
            yield self._table(rows, files, buffers)

    def rest(self) -> "pa.Table":
        """The rejects that are in no table yet, as a table. It may be empty."""
        return self._table(*self._columns.rest())

    def _table(self, rows: int, files: "Sequence[str]", buffers: "Sequence[memoryview]") -> "pa.Table":
        shared = [pa.py_buffer(buffer) for buffer in buffers]

        def names(indices: "pa.DataType", index: int, meanings: "Sequence[str]") -> "pa.Array":
            codes = pa.Array.from_buffers(indices, rows, [None, shared[index]])
            return pa.DictionaryArray.from_arrays(codes, pa.array(meanings, pa.string()))

        arrays = [
            names(pa.int32(), 0, [readable(file) for file in files]),
            pa.Array.from_buffers(pa.uint64(), rows, [None, shared[1]]),
            names(pa.int8(), 2, STATUS_NAMES),
            names(pa.int8(), 3, REASON_NAMES),
        ]
        for index, field in enumerate(list(self.schema)[4:]):
            offsets, text = shared[4 + 2 * index], shared[5 + 2 * index]
            arrays.append(pa.Array.from_buffers(field.type, rows, [None, offsets, text]))
        return pa.Table.from_arrays(arrays, schema=self.schema)


class ParquetWriter:
    """Rejects as Parquet: each table is a row group."""

    def __init__(self, output: Output) -> None:
        self._tables = RejectTables()
        self._made: list[pa.Table] = []  # given to add_made, until they fill a row group
        self._made_rows = self._made_bytes = 0
        self._sink = Sink(output)
        # Dictionaries for columns of few values. For the others pyarrow takes twice the time, and drops them halfway.
        repeated = ["file", "status", "reason", "type"]
        # Without Arrow's schema in the file, readers see strings instead of dictionaries.
        try:
            self._parquet = pa.parquet.ParquetWriter(
                self._sink, self._tables.schema, store_schema=False, use_dictionary=repeated
            )
        except BaseException:
            self.abandon()
            raise

    def add(self, file: str, batch: "TransactionBatch") -> None:
        for table in self._tables.tables(file, batch):
            self._parquet.write_table(table, row_group_size=len(table))

    def add_made(self, made: bytes) -> None:
        table = pa.ipc.open_stream(made).read_all()
        self._made.append(table)
        self._made_rows += len(table)
        self._made_bytes += len(made)
        if self._made_rows >= ROWS_MAX or self._made_bytes >= TEXT_BYTES_MAX:
            self._write_made()

    def add_rows(self, rejects: "pa.RecordBatch") -> None:
        table = pa.Table.from_batches([rejects]).cast(self._tables.schema)
        self._parquet.write_table(table, row_group_size=max(1, len(table)))

    def _write_made(self) -> None:
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
        """Keep the last rejects: there are no more."""
        self._keep(self._tables.rest())

    def take(self) -> "list[pa.RecordBatch]":
        """Give up the record batches so far."""
        taken, self.batches = self.batches, []
        return taken

    def _keep(self, table: "pa.Table") -> None:
        """Keep a copy: the table's memory is reused."""
        if not len(table):
            return
        schema = reject_schema()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as writer:
            writer.write_table(table.cast(schema))
        self.batches += pa.ipc.open_stream(sink.getvalue())


def readable(file: str) -> str:
    """A file's name as text; a byte that is not UTF-8 becomes `\\xff`."""
    return os.fsencode(file).decode("utf-8", "backslashreplace")
