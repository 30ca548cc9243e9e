"""The file of differences: each value of an account that is not what was expected, as CSV, JSON lines or Parquet.

    client    whose account it is: a number, or a text where clients are texts
    currency  in which currency, where accounts have one
    column    account, available, held, total or locked
    expected  what it should be: an amount, true or false; of an account, present or missing
    found     what it is

This module must not know why accounts were compared. pyarrow is imported for Parquet and record batches alone.
"""

from txfast.dialect.dialect import CURRENCY
from txfast.writers.accounts_table import check_utf8
from txfast.writers.difference_columns import NAMES, DifferenceColumns, column_names
from txfast.writers.formats import CSV, PARQUET, compression_of, format_of
from txfast.writers.output import Output

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import pyarrow as pa

    from txfast.writers.sink import Sink
else:
    from txfast.late import pa


class Differences:
    """A file of differences: `open`, `begin`, `add` some at a time, `finish`, `publish`; `discard` in the end.

    The suffix of the path says the format. Raises UsageError for a path with another suffix.
    """

    def __init__(self, path: str) -> None:
        self._format = format_of("differences", path)
        self._output = Output(path, compression_of(path))
        self._parquet: pa.parquet.ParquetWriter | None = None
        self._sink: Sink | None = None

    def open(self) -> None:
        """Open the destination. Raises SourceError."""
        self._output.open()

    def begin(self, *, has_names: bool = False, has_currencies: bool = False) -> None:
        """Write what comes before the first difference; `has_names` where clients are texts, `has_currencies` where
        accounts have one. Raises SourceError."""
        if self._format == PARQUET:
            from txfast.writers.sink import Sink

            self._sink = Sink(self._output)
            schema = difference_schema(has_names=has_names, has_currencies=has_currencies)
            self._parquet = pa.parquet.ParquetWriter(self._sink, schema, store_schema=False)
        elif self._format == CSV:
            self._output.write(",".join(column_names(has_currencies)).encode() + b"\n")

    def add(self, differences: DifferenceColumns) -> None:
        """Write some differences. Raises SourceError."""
        if self._parquet is not None:
            self._parquet.write_batch(difference_batch(differences))
        else:
            self._output.write(differences.csv() if self._format == CSV else differences.json_lines())

    def finish(self) -> None:
        """Write the rest, to the disk. Raises SourceError."""
        if self._parquet is not None:
            self._parquet.close()
            self._parquet = None
        self._output.finish()

    def publish(self, *, revocable: bool = False) -> None:
        """Put the finished file in its place. Raises SourceError; then nothing has changed."""
        self._output.publish(revocable=revocable)

    def revoke(self) -> None:
        """Put back the file that was there before `publish(revocable=True)`, as far as the system allows."""
        self._output.revoke()

    def discard(self) -> None:
        """Close, and remove an unpublished file. May be called at any time, and more than once."""
        if self._sink is not None:
            self._sink.abandoned = True
        self._output.discard()


def difference_schema(*, has_names: bool = False, has_currencies: bool = False) -> "pa.Schema":
    """The schema of differences as a table; `has_names` where clients are texts, `has_currencies` where accounts have
    one. No value is null."""
    types = dict.fromkeys(column_names(has_currencies), pa.string())
    if not has_names:
        types["client"] = pa.uint64()
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in types.items()])


def difference_batch(differences: DifferenceColumns) -> "pa.RecordBatch":
    """Differences as a record batch, which is a copy. Raises InputError for a client or a currency that is no UTF-8."""
    rows = len(differences)
    currencies = differences.currency_buffers()
    schema = difference_schema(has_names=differences.has_names, has_currencies=currencies is not None)
    clients = differences.clients()
    if differences.has_names:
        check_utf8("client", *clients)
    codes = pa.Array.from_buffers(pa.uint8(), rows, [None, pa.py_buffer(differences.codes())])
    columns = [pa.Array.from_buffers(schema.field("client").type, rows, [None, *map(pa.py_buffer, clients)])]
    if currencies is not None:
        check_utf8(CURRENCY, *currencies)
        columns.append(pa.Array.from_buffers(pa.string(), rows, [None, *map(pa.py_buffer, currencies)]))
    columns.append(pa.array(NAMES, pa.string()).take(codes))
    for expected in (True, False):
        offsets, text = map(pa.py_buffer, differences.values(expected))
        columns.append(pa.Array.from_buffers(pa.string(), rows, [None, offsets, text]))
    return pa.RecordBatch.from_arrays(columns, schema=schema)
