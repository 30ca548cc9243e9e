"""The functions that Spark's Python workers run, on Arrow record batches, and the schemas of their results.

This module must not import pyspark.
"""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, groupby

from txfast.cluster.currency_codes import currencies_of
from txfast.cluster.extents import Extent, hash_extent
from txfast.cluster.job import Settings, reduce_options
from txfast.cluster.map import map_range
from txfast.cluster.ranges import Range
from txfast.cluster.records import KINDS, Record, fields_in, record_of, result_of, text_of
from txfast.cluster.reduce import reduce_shard
from txfast.cluster.rejects import reject_blobs
from txfast.cluster.results import AccountRun, RowStatuses
from txfast.dialect.dialect import Dialect
from txfast.errors import ClusterError
from txfast.spill.runs import RunMerge
from txfast.state.dialects import decimals_of
from txfast.writers.accounts_table import ROWS_MAX, account_batch

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import pyarrow as pa
else:
    from txfast.late import pa

TEXTS_SCHEMA = "number long, text string"
RECORDS_SCHEMA = "kind int, shard int, number long, second long, content binary"
# {0}: a client's type, {1}: the currency, {2}: an amount's type. Spark has no unsigned numbers.
ACCOUNTS_SCHEMA = "client {0}, {1}available {2}, held {2}, total {2}, locked boolean"
REJECTS_SCHEMA = (
    "file string, line long, status string, reason string, type string, client string, tx string, amount string, "
    "row binary"
)
BLOBS_SCHEMA = "number long, second long, content binary"
# One more kind of record, for the rejects pass: (RANGE, -1, its number, its first line, its JSON).
RANGE = len(KINDS)
# The size of the record batches that a worker hands to Spark.
BATCH_BYTES = 8 << 20
MERGE_BUFFER_BYTES = 1 << 20

Batches = Iterator[pa.RecordBatch]


# ---- Hash, map and reduce --------------------------------------------------------------------------


def hash_extents(batches: Batches) -> Batches:
    """Hash the extents of a batch with the columns of TEXTS_SCHEMA; the hashes are such a batch too."""
    for batch in batches:
        hashes = [hash_extent(Extent(**fields_in(text))) for text in batch.column("text").to_pylist()]
        yield pa.RecordBatch.from_pydict({"number": batch.column("number"), "text": hashes})


def task_text(parts: Sequence[Range]) -> str:
    """The ranges of a map task as one text."""
    return "\n".join(map(text_of, parts))


def mapper(shards: int) -> Callable[[Batches], Batches]:
    """A function that reads the ranges in task texts, and gives records of their slices and reports."""

    def map_ranges(batches: Batches) -> Batches:
        for batch in batches:
            for text in chain.from_iterable(map(str.splitlines, batch.column("text").to_pylist())):
                yield from batches_of(record_of(item, shards) for item in map_range(Range(**fields_in(text)), shards))

    return map_ranges


def reducer(settings: Settings) -> Callable[[Batches], Batches]:
    """A function that settles the shard whose pieces a partition holds, and gives records of the results.

    The last partition has the reports of ranges: they are passed on.
    """
    options = reduce_options(settings)
    shards = settings.shards

    def reduce_partition(batches: Batches) -> Batches:
        records = records_in(batches)
        first = next(records, None)
        if first is None:
            return
        records = chain([first], records)
        shard = first[1]
        if shard == shards:
            yield from batches_of(records)
            return
        pieces = (content for _, _, _, _, content in records)
        yield from batches_of(record_of(item, shards) for item in reduce_shard(pieces, shard=shard, **options))

    return reduce_partition


# ---- Accounts and rejects --------------------------------------------------------------------------


def accounts_of_runs(dialect: Dialect | None) -> tuple[Callable[[Batches], Batches], str]:
    """A function that makes account columns of records of runs, in a run under this dialect; and their schema."""
    decimals = decimals_of(dialect)
    has_names = dialect is not None and dialect.has_text("client")
    has_currency = dialect is not None and dialect.has_currency

    def make_accounts(batches: Batches) -> Batches:
        for run in map(result_of, records_in(batches)):
            assert isinstance(run, AccountRun)
            currencies = currencies_of(run.codes) if has_currency else None
            readers = [io.BytesIO(run.content).readinto]
            for chunk in RunMerge(readers, MERGE_BUFFER_BYTES, has_names=has_names, currencies=currencies):
                for first in range(0, len(chunk), ROWS_MAX):
                    accounts = account_batch(chunk, first, min(ROWS_MAX, len(chunk) - first), decimals)
                    if not has_names:
                        clients = accounts.column("client").cast(pa.decimal128(20, 0))
                        accounts = accounts.set_column(0, "client", clients)
                    yield accounts

    client, currency = "string" if has_names else "decimal(20,0)", "currency string, " if has_currency else ""
    return make_accounts, ACCOUNTS_SCHEMA.format(client, currency, f"decimal(19,{decimals})")


def range_record(part: Range, first_line: int) -> Record:
    """The record of a range in the rejects pass. It sorts before the records of the range's statuses."""
    return RANGE, -1, part.number, first_line, text_of(part).encode()


def ranges_with_statuses(batches: Batches) -> Iterator[tuple[Range, int, list[RowStatuses]]]:
    """Iterate ranges, the numbers of their first lines, and the statuses of their rows.

    Records of the rejects pass: the range, then its statuses. Raises ClusterError for statuses without their range.
    """
    for number, records in groupby(records_in(batches), key=lambda record: record[2]):
        (kind, _, _, first_line, content), *rest = records
        if kind != RANGE:
            raise ClusterError(f"range {number}: what became of its rows came without it; nothing is put out")
        statuses = [RowStatuses(shard, number, bytes(each)) for _, shard, _, _, each in rest]
        yield Range(**fields_in(bytes(content))), first_line, statuses


def reject_columns_of_ranges(shards: int) -> Callable[[Batches], Batches]:
    """A function that reads ranges once more, and gives their rejects as columns."""

    def make_rejects(batches: Batches) -> Batches:
        for part, first_line, statuses in ranges_with_statuses(batches):
            for blob in reject_blobs(part, first_line, shards, statuses, "arrow"):
                for rejects in pa.ipc.open_stream(blob):
                    yield rejects.set_column(1, "line", rejects.column("line").cast(pa.int64()))

    return make_rejects


def reject_blobs_of_ranges(shards: int, reject_format: str) -> Callable[[Batches], Batches]:
    """A function that reads ranges once more, and gives their rejects in one of the REJECT_FORMATS.

    The blobs of a range are numbered, and end with an empty one.
    """

    def make_blobs(batches: Batches) -> Batches:
        for part, first_line, statuses in ranges_with_statuses(batches):
            blobs = chain(reject_blobs(part, first_line, shards, statuses, reject_format), [b""])
            for second, blob in enumerate(blobs):
                yield pa.RecordBatch.from_pydict(
                    {"number": [part.number], "second": [second], "content": [blob]}, blob_schema()
                )

    return make_blobs


# ---- Records in record batches ---------------------------------------------------------------------


def records_in(batches: Iterable[pa.RecordBatch]) -> Iterator[Record]:
    """Iterate the records of batches. Their content is a view of the batch."""
    for batch in batches:
        kinds, shards, numbers, seconds = (batch.column(index).to_pylist() for index in range(4))
        contents = batch.column(4)
        for row in range(batch.num_rows):
            yield kinds[row], shards[row], numbers[row], seconds[row], contents[row].as_buffer()


def batches_of(records: Iterable[Record]) -> Batches:
    """Put records into batches of about BATCH_BYTES."""
    held: list[Record] = []
    held_bytes = 0
    for record in records:
        held.append(record)
        held_bytes += len(record[4])
        if held_bytes >= BATCH_BYTES:
            yield batch_of(held)
            held, held_bytes = [], 0
    if held:
        yield batch_of(held)


def batch_of(records: Sequence[Record]) -> pa.RecordBatch:
    """Put records into one batch."""
    columns = list(zip(*records, strict=True))
    columns[4] = tuple(map(bytes, columns[4]))
    return pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, record_schema(), strict=True)],
        schema=record_schema(),
    )


def record_schema() -> pa.Schema:
    """RECORDS_SCHEMA in Arrow's types."""
    return pa.schema(
        [("kind", pa.int32()), ("shard", pa.int32()), ("number", pa.int64()), ("second", pa.int64()),
         ("content", pa.binary())]
    )  # fmt: skip


def blob_schema() -> pa.Schema:
    """BLOBS_SCHEMA in Arrow's types."""
    return pa.schema([("number", pa.int64()), ("second", pa.int64()), ("content", pa.binary())])
