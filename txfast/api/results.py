"""The result of a run in a program: tables of accounts and of rejects, and the run's figures.

A table exports the Arrow C stream interface (`__arrow_c_stream__`), so that pyarrow, Polars and DuckDB read it
directly. It is also a sequence of named tuples. It is not registered as a `collections.abc.Sequence`: Polars would then
read the tuples one by one, and fail at the decimals. This module must not know how accounts are computed.
"""

import operator
from bisect import bisect_right
from itertools import accumulate, islice
from typing import Generic, NamedTuple, TypeVar, cast, overload

from txfast.api.account_rows import (
    Account,
    CurrencyAccount,
    account_at,
    account_key,
    account_of,
    account_of_key,
    ascends,
    chosen_accounts,
)
from txfast.api.arguments import taken
from txfast.api.differences import CurrencyDifference, Difference, compare
from txfast.api.notebook import html_table
from txfast.api.whole_file import whole_file
from txfast.dialect.dialect import CURRENCY
from txfast.dialect.names import DECIMALS
from txfast.text.words import counted
from txfast.writers.accounts_table import account_batches, account_schema
from txfast.writers.differences import difference_schema
from txfast.writers.formats import compression_of, format_of, write_accounts
from txfast.writers.output import Output
from txfast.writers.reject_tables import reject_schema

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from typing import Any, NoReturn, Self, SupportsIndex

    import pandas as pd
    import polars as pl
    import pyarrow as pa
    from typing_extensions import TypeVar as TypeVarWithDefault

    from txfast.api.account_rows import AccountChunks
    from txfast.api.arguments import AccountsFormat, RejectsFormat
    from txfast.api.inputs import Input
    from txfast.dialect.dialect import Dialect

    Default = TypeVar("Default")

    # What the rejects of a result are: a table, None, or either.
    Found = TypeVarWithDefault("Found", bound="Rejects | None", default="Rejects | None", covariant=True)
else:
    from txfast.late import pa

    Found = TypeVar("Found")  # before Python 3.13, a TypeVar has no default

# What a notebook shows of accounts.
SHOWN_ROWS = 10


class Reject(NamedTuple):
    """One row that was not applied.

    `status` is `malformed` or `rejected`, `reason` says why. `type`, `client`, `tx` and `amount` are the texts of these
    fields, `row` is the row as it was read, without its line ending; of a table's row, `line` is its number from 1 and
    `row` is empty.
    """

    file: str
    line: int
    status: str
    reason: str
    type: str
    client: str
    tx: str
    amount: str
    row: bytes


Row = TypeVar("Row", Account, Reject, Difference)


class ResultTable(Generic[Row]):
    """A table of rows of one schema, and a sequence of tuples."""

    schema: "pa.Schema"
    # The tuples, and what they are called together.
    _row_type: "type[Row]"
    _what: str

    def batches(self) -> "Iterator[pa.RecordBatch]":
        """Iterate the rows as Arrow record batches."""
        raise NotImplementedError

    def __arrow_c_schema__(self) -> object:
        """The schema, by the Arrow C interface."""
        return self.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The rows, by the Arrow C interface: this makes the table an argument of pyarrow.table, polars.DataFrame,
        duckdb.sql and the like."""
        reader = pa.RecordBatchReader.from_batches(self.schema, self.batches())
        return reader.__arrow_c_stream__(requested_schema)

    def to_arrow(self) -> "pa.Table":
        """The rows as a pyarrow table."""
        return pa.Table.from_batches(self.batches(), self.schema)

    def to_pandas(self) -> "pd.DataFrame":
        """The rows as a pandas frame; amounts of accounts are Decimal objects, those of rejects are text.

        pandas has to be installed.
        """
        return self.to_arrow().to_pandas()

    def to_polars(self) -> "pl.DataFrame":
        """The rows as a Polars frame; amounts of accounts are decimals, those of rejects are text.

        Polars has to be installed.
        """
        import polars as pl

        return pl.DataFrame(self.to_arrow())

    def __len__(self) -> int:
        """How many rows there are."""
        raise NotImplementedError

    @overload
    def __getitem__(self, index: "SupportsIndex") -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> "Self": ...
    def __getitem__(self, index: "SupportsIndex | slice") -> "Row | Self":
        """The row at an index, which may count from the end; of a slice, these rows as a table of their own."""
        rows = range(len(self))
        if isinstance(index, slice):
            chosen = rows[index]
            return self if chosen == rows else self._table_of(chosen)
        try:
            return self._row_at(rows[operator.index(index)])
        except IndexError:
            raise IndexError(f"index {operator.index(index)}: there are {len(self)} {self._what}") from None

    def _row_at(self, index: int) -> Row:
        """The row at an index, which must be one of them."""
        raise NotImplementedError

    def _table_of(self, chosen: range) -> "Self":
        """The rows at these indices, as a table of their own."""
        raise NotImplementedError

    def __reversed__(self) -> "Iterator[Row]":
        return iter(self[::-1])

    def __contains__(self, row: object) -> bool:
        """Whether there is this row. Raises TypeError for anything but a tuple, such as a client."""
        if not isinstance(row, tuple):
            raise TypeError(f"{self._what} contain {self._row_type.__name__} tuples: {type(row).__name__} is none")
        return any(each == row for each in self)

    def index(self, row: Row, start: int = 0, stop: int | None = None) -> int:
        """The first index of a row, from `start` on and before `stop`. Raises ValueError where it is not there."""
        for index in range(len(self))[start:stop]:
            if self[index] == row:
                return index
        raise ValueError(f"{row!r} is not there")

    def count(self, row: Row) -> int:
        """How often there is this row."""
        return sum(each == row for each in self)

    def __iter__(self) -> "Iterator[Row]":
        for batch in self.batches():
            columns = [column.to_pylist() for column in batch.columns]
            yield from map(self._row_type._make, zip(*columns, strict=True))

    def __repr__(self) -> str:
        return f"<{len(self)} {self._what}>"

    def _repr_html_(self) -> str:
        """The first rows, for a notebook."""
        return html_table(self._row_type._fields, list(islice(self, SHOWN_ROWS)), len(self), self._what)

    def __reduce__(self) -> "NoReturn":
        raise TypeError(f"{type(self).__name__} cannot be pickled: pickle its to_arrow() instead")


class Accounts(ResultTable[Account]):
    """Accounts in ascending order of client: a sequence of Account tuples, and a table of all of them.

    `accounts[0]` is an Account, `accounts[:10]` are Accounts; `accounts.get(42)` finds a client's. Where accounts went
    to disk, under a memory limit, such a look-up reads them from the first one on: iterate them instead.

    Where accounts have a currency, they are CurrencyAccount tuples, in the order of client, then currency;
    `accounts.get((42, "EUR"))` finds one.

    client     uint64, or string where clients are texts
    currency   string, where accounts have one
    available  decimal128(19, 4), or as many decimals as the amounts have
    held       decimal128(19, 4)
    total      decimal128(19, 4)
    locked     bool
    """

    _row_type = Account
    _what = "accounts"

    def __init__(self, columns: "AccountChunks", dialect: "Dialect | None" = None) -> None:
        """`dialect` is that of the run that they come from, None for the default one."""
        self._columns = columns
        self._dialect = dialect
        self._decimals = DECIMALS if dialect is None else dialect.decimals
        if columns.currencies is not None:
            self._row_type = cast("type[Account]", CurrencyAccount)

    @property
    def schema(self) -> "pa.Schema":
        """The schema of the table."""
        return account_schema(self._columns, self._decimals)

    def batches(self) -> "Iterator[pa.RecordBatch]":
        """Iterate the accounts as Arrow record batches."""
        return account_batches(self._columns, self._decimals)

    def __len__(self) -> int:
        return len(self._columns)

    def __iter__(self) -> "Iterator[Account]":
        if not self._columns.has_names and self._columns.currencies is None:
            yield from super().__iter__()
            return
        # Not by record batches: those refuse texts that are not UTF-8.
        for chunk in self._columns.chunks():
            for index in range(len(chunk)):
                yield account_of(*chunk.account(index), self._decimals, chunk.currency_at(index))

    def _row_at(self, index: int) -> Account:
        return account_at(self._columns, index, self._decimals)

    def _table_of(self, chosen: range) -> "Accounts":
        return Accounts(chosen_accounts(self._columns, chosen), self._dialect)

    def differences(self, expected: "Input") -> "Differences":
        """Where these accounts are not as `expected`: a path, a binary file or a table with a column `client`, and one
        `currency` where accounts have one, and any of available, held, total and locked, in any order of rows. An
        account that only one side has is a difference too. What is expected is read in the dialect of the accounts.

        Raises InputError for a row that is wrong, for an account that is there twice, and for a difference whose client
        or currency is a text that is not UTF-8; and SourceError.

        >>> import io, txfast
        >>> file = io.BytesIO(b"type,client,tx,amount\\ndeposit,42,1,2.5\\n")
        >>> list(txfast.process(file).accounts.differences(io.BytesIO(b"client,total\\n42,2\\n")))
        [Difference(client=42, column='total', expected='2.0000', found='2.5000')]
        """
        ascending = self if ascends(self._columns) else self[::-1]
        batches = compare(ascending._columns, expected, self._dialect)
        columns = self._columns
        return Differences(batches, has_names=columns.has_names, has_currencies=columns.currencies is not None)

    @overload
    def get(self, client: "SupportsIndex | str", default: None = None) -> Account | None: ...
    @overload
    def get(self, client: "SupportsIndex | str", default: "Default") -> "Account | Default": ...
    @overload
    def get(self, client: "tuple[SupportsIndex | str, str]", default: None = None) -> CurrencyAccount | None: ...
    @overload
    def get(self, client: "tuple[SupportsIndex | str, str]", default: "Default") -> "CurrencyAccount | Default": ...
    def get(self, client: "SupportsIndex | str | tuple[SupportsIndex | str, str]", default: object = None) -> object:
        """The client's account; `default` where it has none. Where accounts have a currency, the account of a pair:
        client and code.

        >>> import io, txfast
        >>> file = io.BytesIO(b"type,client,tx,amount\\ndeposit,42,1,2.5\\n")
        >>> accounts = txfast.process(file).accounts
        >>> accounts.get(42).total, accounts.get(43)
        (Decimal('2.5000'), None)
        """
        columns = self._columns
        key = account_key(client, has_names=columns.has_names, has_currencies=columns.currencies is not None)
        found = None if key is None else account_of_key(columns, key, self._decimals)
        return default if found is None else found

    def __contains__(self, row: object) -> bool:
        """Whether there is this Account. Raises TypeError for a client: `get` looks one up."""
        if not isinstance(row, tuple):
            raise TypeError(f"accounts contain Account tuples: look a client up by accounts.get({row!r})")
        if len(row) != len(self._row_type._fields):
            return False
        return self.get(row[0] if self._columns.currencies is None else row[:2]) == row

    def write(
        self,
        path: "str | os.PathLike[str]",
        format: "AccountsFormat | None" = None,  # noqa: A002 (as the command's)
    ) -> None:
        """Write the accounts to a file as the command does, whole or not at all: `csv`, `parquet` or `arrow`, by
        default as the path ends, else CSV. A last suffix .gz or .zst compresses CSV.

        Raises UsageError for another format, and for a path with the suffix of another; SourceError (an OSError) where
        the file cannot be written. What was there stays then.
        """
        text: str = taken("path", path)
        written = format_of("accounts", text, chosen=taken("format", format), chosen_by="format=")
        output = Output(text, compression_of(text))
        with whole_file(text, output):
            write_accounts(self._columns, output, written, self._decimals)


class StoredTable(ResultTable[Row]):
    """A table of record batches that are there."""

    def __init__(self, batches: "list[pa.RecordBatch]") -> None:
        self._batches = batches
        self._ends = list(accumulate(batch.num_rows for batch in batches))

    def batches(self) -> "Iterator[pa.RecordBatch]":
        """Iterate the rows as Arrow record batches."""
        return iter(self._batches)

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __reduce__(self) -> "tuple[type[Self], tuple[list[pa.RecordBatch]]]":  # type: ignore[override]
        """For pickle: an error that has rejects must pass from process to process."""
        return type(self), (self._batches,)

    def _row_at(self, index: int) -> Row:
        number = bisect_right(self._ends, index)
        batch = self._batches[number]
        [row] = batch.slice(index - self._ends[number] + batch.num_rows, 1).to_pylist()
        return self._row_type(**row)

    def _table_of(self, chosen: range) -> "Self":
        ascending = chosen if chosen.step > 0 else chosen[::-1]
        if not ascending:
            return type(self)([batch.slice(0, 0) for batch in self._batches[:1]])
        table = self.to_arrow().slice(ascending[0], ascending[-1] - ascending[0] + 1)
        if chosen.step != 1:
            table = table.take(pa.array([index - ascending[0] for index in chosen], pa.uint64()))
        return type(self)(table.to_batches())


class Differences(StoredTable[Difference]):
    """Differences between accounts and those that were expected, in order of client: a sequence of Difference tuples,
    and a table of all of them. `client` is uint64, or string where clients are texts; all else is strings. Where
    accounts have a currency, they are CurrencyDifference tuples, in the order of client, then currency."""

    _row_type = Difference
    _what = "differences"

    def __init__(
        self, batches: "list[pa.RecordBatch]", *, has_names: bool = False, has_currencies: bool = False
    ) -> None:
        schema = difference_schema(has_names=has_names, has_currencies=has_currencies)
        # One without differences has its schema too, also when it is cut or pickled.
        super().__init__(batches or [pa.RecordBatch.from_pylist([], schema=schema)])
        self._schema = self._batches[0].schema
        if CURRENCY in self._schema.names:
            self._row_type = cast("type[Difference]", CurrencyDifference)

    @property
    def schema(self) -> "pa.Schema":
        """The schema of the table."""
        return self._schema


class Rejects(StoredTable[Reject]):
    """The rows that were not applied, in input order: a sequence of Reject tuples, and a table of all of them.

    `line` is uint64, `row` binary, all else strings.
    """

    _row_type = Reject
    _what = "rejects"

    @property
    def schema(self) -> "pa.Schema":
        """The schema of the table."""
        return reject_schema()

    def write(
        self,
        path: "str | os.PathLike[str]",
        format: "RejectsFormat | None" = None,  # noqa: A002 (as the command's)
    ) -> None:
        """Write the rejects to a file as the command does, whole or not at all: `csv`, `jsonl` or `parquet`, by default
        as the path ends. A further suffix .gz or .zst compresses CSV and JSON lines. A byte that is not UTF-8 is
        written as `\\xff`, except in `row`.

        Raises UsageError for another format, and for a path without the suffix of one; SourceError (an OSError) where
        the file cannot be written. What was there stays then.
        """
        from txfast.writers.rejects import Rejects as RejectsFile

        text: str = taken("path", path)
        file = RejectsFile(text, taken("format of rejects", format))
        with whole_file(text, file):
            for batch in self._batches:
                file.add_rows(batch)


class Result(Generic[Found]):
    """What came of a run.

    `accounts` are all accounts; `rejects` the rows not applied, or None where they were not asked for; `stats` the
    run's figures, the same mapping as the command's stats file.
    """

    def __init__(self, accounts: Accounts, rejects: Found, stats: "dict[str, Any]") -> None:
        self.accounts = accounts
        self.rejects = rejects
        self.stats = stats

    def __repr__(self) -> str:
        rejected = sum(self.stats["rejected"].values())
        malformed = sum(self.stats["malformed"].values())
        return (
            f"<txfast result: {counted(self.stats['rows'], 'row')}, {rejected:,} rejected, {malformed:,} malformed, "
            f"{counted(len(self.accounts), 'account')}>"
        )

    def __reduce__(self) -> "NoReturn":
        raise TypeError("a Result cannot be pickled: pickle its stats, and its accounts' to_arrow()")

    def _repr_html_(self) -> str:
        """The figures and the first accounts, for a notebook."""
        from html import escape

        stats = self.stats
        figures = {
            "rows": stats["rows"],
            "applied": sum(stats["applied"].values()),
            "rejected": sum(stats["rejected"].values()),
            "malformed": sum(stats["malformed"].values()),
            "total": stats["total"],
            "locked accounts": stats["locked_accounts"],
        }
        line = ", ".join(f"{escape(name)} {escape(str(figure))}" for name, figure in figures.items())
        return f"<p>{line}</p>{self.accounts._repr_html_()}"
