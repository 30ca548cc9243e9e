"""Tables of balances: Parquet files, Arrow files and streams, and tables of programs.

Their rows become lines, as those of tables of transactions do, so that one parser reads all balances. This module must
not know what a run does with balances.
"""

from txfast.batch.batch import TransactionBatch
from txfast.dialect.dialect import CURRENCY
from txfast.errors import InputError
from txfast.readers.balance_columns import CLIENT, LOCKED
from txfast.readers.balance_form import given_form, is_printed_table, printed_form
from txfast.readers.balance_parser import BalanceParser
from txfast.readers.column_types import column_of, refusal_of
from txfast.readers.table import TableReader
from txfast.readers.table_rows import TableColumns, write_lines

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import pyarrow as pa

    from txfast.dialect.dialect import Dialect
    from txfast.input.source import Source
    from txfast.readers.allowance import Allowance
    from txfast.readers.balance_columns import Contents
    from txfast.readers.balance_form import BalanceForm
    from txfast.readers.balance_rows import BalanceRows
    from txfast.readers.column_types import Column
else:
    from txfast.late import pa

# The columns that tell whose account a row is of.
KEYS = (CLIENT, CURRENCY)


class BalanceTableReader(TableReader):
    """Reads a table of balances, in a run of this `run_dialect`: `fill_rows` adds the rows of the next piece to `rows`,
    BalanceRows that it makes.

    Raises InputError for a table or a row that is wrong, MemoryLimitError and SourceError.
    """

    def __init__(
        self,
        source: "Source",
        contents: "Contents",
        run_dialect: "Dialect | None" = None,
        *,
        threads: int = 1,
        copy_folder: str | None = None,
        allowance: "Allowance | None" = None,
    ) -> None:
        super().__init__(source, keep_text=False, threads=threads, copy_folder=copy_folder, allowance=allowance)
        self._contents = contents
        self._run_dialect = run_dialect
        self._form: BalanceForm | None = None
        self._found: list[str] | None = None  # the columns of the table, those of accounts first
        self._parser: BalanceParser | None = None

    @property
    def rows(self) -> "BalanceRows":
        """The rows so far. Call it after `fill_rows`."""
        assert self._parser is not None, "the schema was read"
        return self._parser.rows

    def _columns_of(self, schema: "pa.Schema") -> list[str]:
        is_printed = is_printed_table(schema, self._run_dialect)
        form = printed_form(self._run_dialect) if is_printed else given_form(self._run_dialect)
        found = self._contents.find(self._name, schema.names, form.key_names)
        columns = list(found)
        if self._found is None or self._form is None:
            self._found, self._form = columns, form
            numbers = {name: number for number, name in enumerate(columns)}
            self._parser = BalanceParser(self._name, self._contents, form, columns, numbers, of_table=True)
        elif columns != self._found or form.is_printed != self._form.is_printed:
            raise self._contents.wrong(self._name, "its parts have other columns: give each the same")
        for name in columns:
            kind = schema.field(found[name]).type
            refusal = refusal_of_values(name, kind, form)
            if refusal is not None:
                raise InputError(f"{self._name}: column {schema.names[found[name]]!r} is of type {kind}: {refusal}")
        return [schema.names[found[name]] for name in columns]

    def fill_rows(self) -> bool:
        """Add the next rows; False at the end of the table."""
        piece = next(self._batches, None)
        if piece is None:
            return False
        assert self._parser is not None, "the schema was read"
        assert self._form is not None, "as above"
        assert self._found is not None, "as above"
        dialect = self._form.dialect
        mark = dialect.part("decimal")
        has_texts = dialect.has_text(CLIENT) or self._form.currencies is not None
        with self._conversion_errors:
            values = [values_of(*each, mark) for each in zip(self._found, piece.columns, strict=True)]
            columns = TableColumns(piece.num_rows, values)
        batch = TransactionBatch()
        while columns.hold(batch):
            write_lines(batch, decimal=ord(mark), has_texts=has_texts)
            self._parser.take_batch(batch)
        return True


def refusal_of_values(name: str, kind: "pa.DataType", form: "BalanceForm") -> str | None:
    """Why a column of accounts, or one of VALUES, cannot be of this type; None where it can."""
    if name == LOCKED:
        return None if pa.types.is_boolean(kind) or may_be_locked(kind) else "it must be boolean, or text"
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    is_minor = form.dialect.part("amounts") == "minor"
    if is_minor and name not in KEYS and pa.types.is_decimal(kind) and kind.scale != 0:
        return (
            "amounts=minor has whole numbers of the smallest unit: cast it to integers of that unit, or give all "
            "columns of accounts as txfast writes them"
        )
    return refusal_of(name if name in KEYS else "amount", kind)


def may_be_locked(kind: "pa.DataType") -> bool:
    """Whether a column of this type, which is no boolean, may say true and false."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def values_of(name: str, column: "pa.Array", mark: str) -> "Column":
    """A column of accounts, or one of VALUES, as TableColumns takes it: booleans as true and false, amounts that become
    texts with this decimal mark."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.string())
    return column_of(name if name in KEYS else "amount", column, mark)
