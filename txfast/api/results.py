"""The result of a run in a program: tables of accounts and of rejects, and the run's figures.

A table exports the Arrow C stream interface (`__arrow_c_stream__`), so that pyarrow, Polars and DuckDB read it
directly. It also iterates as named tuples and has a length. This module must not know how accounts are computed.
"""

from decimal import Decimal
from errno import EPIPE
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from txfast.api.arguments import taken
from txfast.errors import unwritable
from txfast.writers.accounts_table import account_batches, account_schema
from txfast.writers.formats import compression_of, format_of, write_accounts
from txfast.writers.output import Output
from txfast.writers.reject_tables import reject_schema

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence
    from typing import Any, NoReturn

    import pandas as pd
    import polars as pl
    import pyarrow as pa
    from typing_extensions import TypeVar as TypeVarWithDefault

    from txfast.api.arguments import AccountsFormat
    from txfast.ledger.sorted_accounts import AccountColumns
    from txfast.spill.settled import Settled

    # What the rejects of a result are: a table, None, or either.
    Found = TypeVarWithDefault("Found", bound="Rejects | None", default="Rejects | None", covariant=True)
else:
    from txfast.late import pa

    Found = TypeVar("Found")  # before Python 3.13, a TypeVar has no default

# What a notebook shows of accounts.
SHOWN_ROWS = 10


class Account(NamedTuple):
    """One account. Amounts have four decimals; `total` is what is available and what is held together."""

    client: int
    available: Decimal
    held: Decimal
    total: Decimal
    locked: bool


class Reject(NamedTuple):
    """One row that was not applied.

    `status` is `malformed` or `rejected`, `reason` says why. `type`, `client`, `tx` and `amount` are the texts of these
    fields, `row` is the line without its ending; of a table's row, `line` is its number from 1 and `row` is empty.
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


Row = TypeVar("Row", Account, Reject)


class ResultTable(Generic[Row]):
    """Rows of one schema, and tuples where it is iterated. `len()` is their number."""

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
        raise NotImplementedError

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
    """Accounts in ascending order of client: iterate them as Account tuples, or take them all as a table.

    client     uint64
    available  decimal128(19, 4)
    held       decimal128(19, 4)
    total      decimal128(19, 4)
    locked     bool
    """

    _row_type = Account
    _what = "accounts"

    def __init__(self, columns: "AccountColumns | Settled") -> None:
        self._columns = columns

    @property
    def schema(self) -> "pa.Schema":
        """The schema of the table."""
        return account_schema()

    def batches(self) -> "Iterator[pa.RecordBatch]":
        """Iterate the accounts as Arrow record batches."""
        return account_batches(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def write(
        self,
        path: "str | os.PathLike[str]",
        format: "AccountsFormat | None" = None,  # noqa: A002 (as the command's)
    ) -> None:
        """Write the accounts to a file as the command does, whole or not at all: `csv`, `parquet` or `arrow`, by
        default as the path ends, else CSV. A path that ends in .gz or .zst gets compressed CSV.

        Raises UsageError for another format, and for a path with the suffix of another; SourceError (an OSError) where
        the file cannot be written. What was there stays then.
        """
        text: str = taken("path", path)
        written = format_of("accounts", text, chosen=taken("format", format), chosen_by="format=")
        output = Output(text, compression_of(text))
        try:
            output.open()
            write_accounts(self._columns, output, written)
            output.finish()
            output.publish()
        except BrokenPipeError as error:
            raise unwritable(text, BrokenPipeError(EPIPE, "nobody reads it any more")) from error
        finally:
            output.discard()


class Rejects(ResultTable[Reject]):
    """The rows that were not applied, in input order: iterate them as Reject tuples, or take them all as a table.

    `line` is uint64, `row` binary, all else strings.
    """

    _row_type = Reject
    _what = "rejects"

    def __init__(self, batches: "list[pa.RecordBatch]") -> None:
        self._batches = batches

    @property
    def schema(self) -> "pa.Schema":
        """The schema of the table."""
        return reject_schema()

    def batches(self) -> "Iterator[pa.RecordBatch]":
        """Iterate the rejects as Arrow record batches."""
        return iter(self._batches)

    def __len__(self) -> int:
        return sum(batch.num_rows for batch in self._batches)


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
            f"<txfast result: {self.stats['rows']} rows, {rejected} rejected, {malformed} malformed, "
            f"{len(self.accounts)} accounts>"
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


def html_table(names: "Sequence[str]", rows: "Sequence[tuple[object, ...]]", count: int, what: str) -> str:
    """Rows as an HTML table, with a last line that says how many rows there are in all."""
    from html import escape

    def line(cells: "tuple[object, ...]", tag: str) -> str:
        texts = (cell.decode("utf-8", "backslashreplace") if isinstance(cell, bytes) else str(cell) for cell in cells)
        return "<tr>" + "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    shown = f"{count:,} {what}" if len(rows) == count else f"the first {len(rows)} of {count:,} {what}"
    return f"<table><caption>{shown}</caption>{line(tuple(names), 'th')}{body}</table>"
