"""Tables of balances: Parquet files, Arrow files and streams, and tables of programs.

They are read as tables of transactions are, each amount as that of a deposit: so every type of column is read, or
refused, as there. This module must not know what a run does with balances.
"""

from array import array

from txfast.batch.batch import TransactionBatch
from txfast.errors import InputError
from txfast.readers.balance_columns import CLIENT, LOCKED
from txfast.readers.balance_rows import BalanceRows
from txfast.readers.column_types import column_of, refusal_of
from txfast.readers.table import TableReader
from txfast.readers.table_rows import TableColumns

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import pyarrow as pa

    from txfast.input.source import Source
    from txfast.readers.allowance import Allowance
    from txfast.readers.balance_columns import Contents
    from txfast.readers.column_types import Column
else:
    from txfast.late import pa

DEPOSIT = b"deposit"


class BalanceTableReader(TableReader):
    """Reads a table of balances: `fill_rows` adds the rows of the next piece to `rows`, BalanceRows that it makes.

    Raises InputError for a table or a row that is wrong, MemoryLimitError and SourceError.
    """

    def __init__(
        self,
        source: "Source",
        contents: "Contents",
        *,
        threads: int = 1,
        copy_folder: str | None = None,
        allowance: "Allowance | None" = None,
    ) -> None:
        super().__init__(source, keep_text=False, threads=threads, copy_folder=copy_folder, allowance=allowance)
        self._contents = contents
        self._found: list[str] | None = None  # the columns of the table, `client` first
        self.rows: BalanceRows | None = None

    def _columns_of(self, schema: "pa.Schema") -> list[str]:
        found = self._contents.find(self._name, schema.names)
        columns = [CLIENT, *(name for name in found if name != CLIENT)]
        if self._found is None:
            self._found = columns
            self.rows = BalanceRows(columns)
        elif columns != self._found:
            raise self._contents.wrong(self._name, "its parts have other columns: give each the same")
        for name in columns:
            kind = schema.field(found[name]).type
            if name == LOCKED and pa.types.is_boolean(kind):
                continue
            refusal = refusal_of(name if name == CLIENT else "amount", kind)
            if name == LOCKED and refusal is None and not may_be_locked(kind):
                refusal = "it must be boolean, or text"
            if refusal is not None:
                raise InputError(f"{self._name}: column {schema.names[found[name]]!r} is of type {kind}: {refusal}")
        return [schema.names[found[name]] for name in columns]

    def fill_rows(self) -> bool:
        """Add the next rows; False at the end of the table."""
        piece = next(self._batches, None)
        if piece is None:
            return False
        assert self.rows is not None, "the schema was read"
        assert self._found is not None, "as above"
        self.rows.begin_table(piece.num_rows)
        with self._conversion_errors:
            clients = column_of(CLIENT, piece.column(0))
        for index, name in enumerate(self._found[1:], 1):
            with self._conversion_errors:
                column = piece.column(index)
                values = column_of("amount", locked_numbers(column) if name == LOCKED else column)
            self._add_column(name, piece.num_rows, clients, values)
        self.rows.end_table(piece.num_rows)
        return True

    def _add_column(self, name: str, count: int, clients: "Column", values: "Column") -> None:
        """Read one column of these rows, as the amounts of deposits."""
        assert self.rows is not None, "the schema was read"
        columns = TableColumns(count, [repeated(DEPOSIT, count), clients, zeros(count), values])
        batch = TransactionBatch()
        before = 0
        while columns.hold(batch):
            self.scan(batch)
            wrong = self.rows.add_batch(batch, name, before)
            if wrong is not None:
                row, found = wrong
                raise self._contents.wrong_row(self._name, self.rows.next_line + before + row, found)
            before += len(batch)


def may_be_locked(kind: "pa.DataType") -> bool:
    """Whether a column of this type, which is no boolean, may say true and false."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def locked_numbers(column: "pa.Array") -> "pa.Array":
    """A column of booleans, or of the texts true and false, as 1 and 0; any other text is -1."""
    if pa.types.is_boolean(column.type):
        return column.cast(pa.uint8())
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    texts = pa.compute.utf8_lower(pa.compute.utf8_trim_whitespace(column.cast(pa.string())))
    found = pa.compute.index_in(texts, pa.array(["false", "true"]))
    # -1 is neither, and a null stays one.
    return pa.compute.if_else(texts.is_valid(), pa.compute.fill_null(found, -1), None)


def repeated(text: bytes, count: int) -> "Column":
    """A column with the same text in each row."""
    offsets = pa.py_buffer(array("i", [0, len(text)]))
    return ("text", 0, None, pa.py_buffer(text), offsets, pa.py_buffer(bytes(4 * count)))


def zeros(count: int) -> "Column":
    """A column with the id 0 in each row."""
    return ("unsigned", 0, None, pa.py_buffer(bytes(8 * count)), None, None)
