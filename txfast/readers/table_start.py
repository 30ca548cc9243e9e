"""The start of a table: the names of all its columns, and its first rows, whatever its columns are.

This module must not know which columns matter.
"""

from txfast.errors import InputError
from txfast.readers.table import TableReader

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import pyarrow as pa

    from txfast.input.source import Source
else:
    from txfast.late import pa

ROWS_MAX = 10_000


class StartReader(TableReader):
    """A TableReader of all columns that are not nested."""

    schema: "pa.Schema | None" = None

    def start(self) -> "pa.RecordBatch | None":
        """The first rows; None where there is no row. Raises InputError, SourceError and MemoryLimitError."""
        piece = next(self._batches, None)
        self._batches.close()  # type: ignore[attr-defined]
        return None if piece is None else piece.slice(0, ROWS_MAX)

    def _columns_of(self, schema: "pa.Schema") -> list[str]:
        """The names of the columns that are not nested and have a name of their own."""
        self.schema = schema
        plain = [field.name for field in schema if not pa.types.is_nested(field.type)]
        names = [name for name in plain if plain.count(name) == 1]
        if not names:
            raise InputError(f"{self._name}: has no column of plain values: choose the table that has the transactions")
        return names


def table_start(source: "Source") -> "tuple[list[str], pa.RecordBatch | None]":
    """The names of the columns of a table, and its first rows with the columns that are not nested; None where it has
    no row. Raises InputError where no column can be read, SourceError and MemoryLimitError."""
    reader = StartReader(source)
    rows = reader.start()
    return [] if reader.schema is None else list(reader.schema.names), rows


def texts_of(rows: "pa.RecordBatch") -> list[tuple[int, list[str]]]:
    """The values of rows as texts, each row with its number from 1; a null is an empty text."""
    columns = [[text_of(value) for value in column.to_pylist()] for column in rows.columns]
    return [(number, list(fields)) for number, fields in enumerate(zip(*columns, strict=True), 1)]


def text_of(value: object) -> str:
    """A value as text."""
    if value is None:
        return ""
    return value.decode("utf-8", "replace").strip() if isinstance(value, bytes) else str(value).strip()
