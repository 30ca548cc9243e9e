"""Tables that a program lends: each is read as a stream of record batches, and given back as soon as the call ends.

A table is an object that exports the Arrow C stream or array interface (pyarrow, Polars, DuckDB, pandas), or an
iterable of such objects, such as a generator of record batches. A stream may hold resources of the lender: a query, a
connection. It is closed when it was read to its end and when its source is closed, not when the garbage collector finds
it: a caller who holds an exception holds, by its traceback, all that was read from. This module must not know what rows
mean.
"""

import os
from typing import cast

from txfast.api.arguments import type_name
from txfast.api.closable_batches import ClosableBatches
from txfast.batch.header import COLUMN_NAMES
from txfast.errors import UsageError
from txfast.input.library_errors import mark_as_callers
from txfast.readers.table import BATCH_ROWS

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Protocol, TypeAlias

    import pyarrow as pa

    class ArrowStream(Protocol):
        """A table, or a stream of record batches."""

        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...

    class ArrowArray(Protocol):
        """A record batch."""

        def __arrow_c_array__(self, requested_schema: Any = None) -> Any: ...

    Table: TypeAlias = ArrowStream | ArrowArray
    Tables: TypeAlias = Table | Iterable[Table]
else:
    from txfast.late import pa


class LentStream(ClosableBatches):
    """One table as a stream of record batches of this `schema`: iterate it, and `close` it in the end, from any
    thread."""

    def __init__(self, table: "Table") -> None:
        if hasattr(table, "__arrow_c_stream__"):
            reader = pa.RecordBatchReader.from_stream(table)
        else:
            batch = pa.record_batch(table)
            reader = pa.RecordBatchReader.from_batches(batch.schema, [batch])
        self.schema = reader.schema
        super().__init__(reader.read_next_batch, reader.close)


class LentTables:
    """The table, or the tables of an iterable, that a program gives: iterate their streams, and `close` in the end.

    With `whole`, each table of an iterable, and each record batch of a table alone, is read to its end and checked
    before its first row is given, so that it is given in whole or not at all; `rows_before` counts the rows of those
    that were given. Raises UsageError for an element that is no table, and what the iterable raises.
    """

    def __init__(self, given: "Tables", *, whole: bool = False) -> None:
        self._given = given
        self._whole = whole
        self._stream: LentStream | None = None
        self.rows_before = 0

    def __iter__(self) -> "Iterator[LentStream | WholeTable]":
        if not self._whole:
            yield from self._streams()
            return
        for whole in self._whole_tables():
            yield whole
            self.rows_before += whole.rows
            del whole  # before the next one is read

    def _whole_tables(self) -> "Iterator[WholeTable]":
        if not is_table(self._given):
            for stream in self._streams():
                yield WholeTable(stream.schema, list(stream))
            return
        for stream in self._streams():
            yield WholeTable(stream.schema, [])  # the columns count, also where there is no batch
            for batch in stream:
                yield WholeTable(stream.schema, [batch])

    def _streams(self) -> "Iterator[LentStream]":
        if is_table(self._given):
            self._stream = LentStream(cast("Table", self._given))
            yield self._stream
            return
        for table in self._elements(cast("Iterable[Table]", self._given)):
            refusal = refusal_of_element(self._given, table)
            if refusal is not None:
                raise UsageError(refusal)
            self._stream = LentStream(table)
            yield self._stream

    def _elements(self, given: "Iterable[Table]") -> "Iterator[Table]":
        """Iterate the caller's iterable; what it raises is the caller's."""
        try:
            yield from given
        except Exception as error:
            mark_as_callers(error)
            raise

    def close(self) -> None:
        """Give back the stream that is being read."""
        if self._stream is not None:
            self._stream.close()


class WholeTable:
    """Record batches that are given in whole, or not at all. Iterate them.

    The reader converts the rows of a table piece by piece. Where there is more than one piece, all of them are checked
    here, so that none fails after another was applied. Text that is not UTF-8 does not fail: its row is malformed.
    """

    def __init__(self, schema: "pa.Schema", batches: "list[pa.RecordBatch]") -> None:
        self.schema = schema
        self._batches = batches
        self.rows = sum(batch.num_rows for batch in batches)
        if len(batches) > 1 or self.rows > BATCH_ROWS:
            for batch in batches:
                for name in set(COLUMN_NAMES) & set(schema.names):
                    bytes_of(batch.column(name)).validate(full=True)

    def __iter__(self) -> "Iterator[pa.RecordBatch]":
        return iter(self._batches)


def bytes_of(column: "pa.Array") -> "pa.Array":
    """A column of text as one of bytes, which need not be UTF-8; any other column as it is."""
    if pa.types.is_string(column.type):
        return column.view(pa.binary())
    return column.view(pa.large_binary()) if pa.types.is_large_string(column.type) else column


def refusal_of_element(given: object, each: object) -> str | None:
    """Why an element of an iterable cannot be a table of it, and what to do; None where it is one."""
    if is_table(each):
        return None
    if isinstance(each, (str, os.PathLike)) or is_file(each):
        return (
            f"a {type_name(given)} of {type_name(each)} is no input: give its elements one by one; "
            f"only tables may come in an iterable"
        )
    return f"an iterable of {type_name(each)} cannot be read: its elements must be tables"


def is_table(given: object) -> bool:
    return hasattr(given, "__arrow_c_stream__") or hasattr(given, "__arrow_c_array__")


def is_file(given: object) -> bool:
    return hasattr(given, "read") and not is_table(given)
