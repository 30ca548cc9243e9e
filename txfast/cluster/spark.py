"""A run over Spark: the kernel reads, divides and settles in Spark's Python workers; Spark moves slices, not rows.

    accounts, rejects, stats = process(spark, ["s3://bucket/jan.csv", "s3://bucket/feb.csv"], shards=64, rejects=True)

Needs Spark 3.5 or later, and txfast where the workers are. As a command: `python -m txfast.cluster.spark --help`.
"""

import io
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from txfast import errors
from txfast.cluster.blocks import Run, Statuses, map_block, reduce_shard
from txfast.cluster.job import Figures, Settings, State, make_settings, reducing, reject_blobs
from txfast.cluster.ranges import TASKS_PER_CORE, Extent, Range, hash_extent
from txfast.cluster.records import KINDS, REPORT, RUN, STATUSES, SUMMARY, fields_in, read_record, record_of, text_of
from txfast.cluster.state import ClusterState, HashExtents, open_state
from txfast.spill.runs import RunMerge
from txfast.state.directory import StateDirectory
from txfast.writers.accounts_table import ROWS_MAX, account_batch

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

TEXTS_SCHEMA = "number long, text string"
RECORDS_SCHEMA = "kind int, place int, number long, second long, content binary"
ACCOUNTS_SCHEMA = (
    "client decimal(20,0), available decimal(19,4), held decimal(19,4), total decimal(19,4), locked boolean"
)
REJECTS_SCHEMA = (
    "file string, line long, status string, reason string, type string, client string, tx string, amount string, "
    "row binary"
)
BLOBS_SCHEMA = "number long, second long, content binary"
# Of the records of a range, where its rejects are found: the range itself, then what became of its rows.
RANGE = len(KINDS)
# How much Spark hands to a worker at once; before it counted bytes there were only records, of ours at most so many.
BYTES_AT_ONCE = "spark.sql.execution.arrow.maxBytesPerBatch"
RECORDS_AT_ONCE = "spark.sql.execution.arrow.maxRecordsPerBatch"
RECORDS_AT_ONCE_MAX = 16
# A record batch has so many bytes of pieces before it is handed over.
BATCH_BYTES = 8 << 20
MERGE_BUFFER_BYTES = 1 << 20
# What a worker raised, in what Spark says of it.
RAISED = re.compile(r"^txfast\.errors\.(\w+): (.*)$", re.MULTILINE)


class SparkJob:  # pragma: no cover (its tests, tests/cluster/test_engines.py, need Spark)
    """A run that Spark has settled: the figures, and what accounts and rejects can be had from, until `close`.

    Raises TxfastError, whatever a worker raised among it.
    """

    def __init__(self, spark: "SparkSession", settings: Settings, state: State | None = None) -> None:
        if not hands_over_little(spark):
            raise errors.UsageError(
                f"this Spark would hand a worker any number of bytes at once: set {RECORDS_AT_ONCE} to "
                f"{RECORDS_AT_ONCE_MAX} or less"
            )
        self._spark = spark
        self._settings = settings
        rows = [(number, "\n".join(map(text_of, parts))) for number, parts in enumerate(settings.tasks)]
        ranges = spark.createDataFrame(spark.sparkContext.parallelize(rows, len(rows)), TEXTS_SCHEMA)
        shards = settings.shards
        mapped = ranges.mapInArrow(mapper(shards), RECORDS_SCHEMA)
        self._records = (
            put_in_partitions(mapped, shards + 1, "place")
            .sortWithinPartitions("number", "second")
            .mapInArrow(reducer(settings), RECORDS_SCHEMA)
            # Asked more than once, and settled once.
            .persist(self.storage)
        )
        self.figures = Figures(settings.ranges, shards)
        try:
            with failures_told():
                for row in self._of_kind(REPORT, SUMMARY).collect():
                    self.figures.add(read_record(row))  # type: ignore[arg-type]
            self.figures.check()
            if state is not None:
                state.finish(settings, self.figures)
        except BaseException:
            self.close()
            raise

    @property
    def storage(self) -> Any:
        """Where that is kept which is asked for more than once: it may be as large as all accounts."""
        from pyspark import StorageLevel

        return StorageLevel.DISK_ONLY

    def _of_kind(self, *kinds: int) -> "DataFrame":
        return self._records.where(self._records["kind"].isin(*kinds))

    def accounts(self) -> "DataFrame":
        """The accounts, a shard's in ascending order of client."""
        return self._of_kind(RUN).mapInArrow(accounts_of_runs, ACCOUNTS_SCHEMA)

    def runs(self) -> Iterator[Run]:
        """Iterate the accounts as runs, a shard's in order."""
        with failures_told():
            for row in self._of_kind(RUN).toLocalIterator(prefetchPartitions=True):
                run = read_record(row)
                assert isinstance(run, Run)
                yield run

    def rejects(self) -> "DataFrame":
        """The rejects, in the order of the input."""
        return self._ranges_again().mapInArrow(rejects_of_ranges(self._settings.shards), REJECTS_SCHEMA)

    def reject_blobs(self, reject_format: str) -> Iterator[bytes]:
        """Iterate the rejects in one of the REJECT_FORMATS, in the order of the input."""
        made = self._ranges_again().mapInArrow(blobs_of_ranges(self._settings.shards, reject_format), BLOBS_SCHEMA)
        with failures_told():
            yield from in_order(made.toLocalIterator(prefetchPartitions=True), len(self._settings.ranges))

    def _ranges_again(self) -> "DataFrame":
        """All ranges in their order, as many in a partition, and in it what became of each range's rows."""
        ranges, tasks = self._settings.ranges, self._settings.tasks
        first_lines = self.figures.first_lines()
        rows = [
            (RANGE, -1, part.number, first_lines[part.number], bytearray(text_of(part).encode())) for part in ranges
        ]
        context = self._spark.sparkContext
        again = self._spark.createDataFrame(context.parallelize(rows, min(len(rows), 64)), RECORDS_SCHEMA)
        records = again.union(self._of_kind(STATUSES))
        task = f"cast(number * {len(tasks)} div {len(ranges)} as int)"
        return put_in_partitions(records, len(tasks), task).sortWithinPartitions("number", "place")

    def close(self) -> None:
        """Give back what Spark keeps of it."""
        self._records.unpersist()


def process(  # pragma: no cover (likewise)
    spark: "SparkSession",
    paths: Sequence[str],
    *,
    shards: int | None = None,
    rejects: bool = False,
    range_bytes: int | None = None,
    memory_limit: int | None = None,
    spill_dir: str | None = None,
    state: "str | os.PathLike[str] | None" = None,
) -> "tuple[DataFrame, DataFrame | None, dict[str, Any]]":
    """Replay inputs on Spark: accounts, rejects where they are wanted, and the figures of the run.

    `accounts` has a shard's in ascending order of client, `rejects` all in the order of the input; a client is
    decimal(20, 0), since Spark has no unsigned numbers. `shards` are as many reducers, by default as many as Spark runs
    tasks at once; each holds its clients in memory, or under `memory_limit`, in bytes for each task, partly in files in
    `spill_dir`. Inputs are cut into ranges of `range_bytes`. What accounts and rejects are made of stays on the disks
    of Spark's workers until the session ends, or its cache is cleared.

    `state` is a directory as the command's `--state`, where all workers reach it by this path and may write: the run
    begins with what is there, reads of inputs what is new, and has replaced it when this returns, with the rejects on
    the disks of Spark's workers: write them before anything else. What Spark loses of the frames is made again from
    the snapshot before, which is there until another run has ended, and the inputs, while they are what they were.

    Raises TxfastError; what is asked of the frames later, whatever Spark makes of it.
    """
    started = time.perf_counter()
    with ExitStack() as when_it_fails:
        with open_state(state, hasher(spark)) as begun:
            settings = make_settings(
                paths, cores=cores_of(spark), shards=shards, keep_statuses=rejects, range_bytes=range_bytes,
                memory_limit=memory_limit, spill_folder=spill_dir, state=begun,
            )  # fmt: skip
            job = SparkJob(spark, settings, begun)
            when_it_fails.callback(job.close)
            found = job.rejects() if rejects else None
            if found is not None and begun is not None:
                # Before the state is published: after that they cannot be found by another run.
                found = found.persist(job.storage)
                when_it_fails.callback(found.unpersist)
                with failures_told():
                    found.count()
        when_it_fails.pop_all()
    return job.accounts(), found, job.figures.stats(time.perf_counter() - started)


def cores_of(spark: "SparkSession") -> int:
    """How many tasks Spark runs at once."""
    return int(spark.sparkContext.defaultParallelism)


def hasher(spark: "SparkSession") -> HashExtents:  # pragma: no cover (likewise)
    """What has Spark hash extents."""

    def hash_extents(extents: Sequence[Extent]) -> list[str]:
        if not extents:
            return []
        context = spark.sparkContext
        rows = [(number, text_of(extent)) for number, extent in enumerate(extents)]
        texts = context.parallelize(rows, min(len(rows), TASKS_PER_CORE * cores_of(spark)))
        hashed = spark.createDataFrame(texts, TEXTS_SCHEMA).mapInArrow(hashes_of_extents, TEXTS_SCHEMA)
        with failures_told():
            return in_order_of_numbers(hashed.collect(), len(extents))

    return hash_extents


def in_order_of_numbers(rows: Iterable[tuple[int, str]], count: int) -> list[str]:
    """The texts of rows with the numbers from 0 on, which come in any order. Raises ClusterError."""
    found = dict(rows)
    if sorted(found) != list(range(count)):
        raise errors.ClusterError(f"{len(found)} hashes came, of {count}; nothing is put out")
    return [found[number] for number in range(count)]


def put_in_partitions(  # pragma: no cover (likewise)
    records: "DataFrame", count: int, number: str
) -> "DataFrame":
    """Records, each in the partition of the number that an expression of SQL gives, of so many."""
    from pyspark.sql import functions

    place = functions.expr(number)
    if hasattr(records, "repartitionById"):
        return records.repartitionById(count, place)
    # Before Spark 4.1 a row goes where its column's hash says: so that is made to say the number.
    schema = f"{RECORDS_SCHEMA}, partition int"
    keyed = records.withColumn("partition", place).mapInArrow(with_keys, schema)
    return keyed.repartition(count, "partition").drop("partition")


def hands_over_little(spark: "SparkSession") -> bool:  # pragma: no cover (likewise)
    """Whether Spark hands a worker no more at once than it can hold."""
    # One that does not know a setting has it for what cannot be changed, also where somebody has set it.
    if spark.conf.isModifiable(BYTES_AT_ONCE):
        return True
    return 0 < int(str(spark.conf.get(RECORDS_AT_ONCE))) <= RECORDS_AT_ONCE_MAX


# ---- In Spark's workers ----------------------------------------------------------------------------


def hashes_of_extents(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Hash extents."""
    for batch in batches:
        hashes = [hash_extent(Extent(**fields_in(text))) for text in batch.column("text").to_pylist()]
        yield pa.RecordBatch.from_pydict({"number": batch.column("number"), "text": hashes})


def with_keys(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Records, with what Spark places them by for the number of the partition."""
    for batch in batches:
        keys = [key_of_partition(number) for number in batch.column(5).to_pylist()]
        yield pa.RecordBatch.from_arrays([*batch.columns[:5], pa.array(keys, pa.int32())], names=batch.schema.names)


def key_of_partition(number: int) -> int:
    """The int of which Spark's hash is this number: that of Murmur3 with 32 bits for the one block that an int is, from
    the seed 42 on, all of its steps undone."""
    bits = number
    bits ^= bits >> 16
    bits = divided(bits, 0xC2B2AE35)
    bits ^= bits >> 13 ^ bits >> 26
    bits = divided(bits, 0x85EBCA6B)
    bits ^= bits >> 16
    bits ^= 4  # bytes
    bits = divided(bits - 0xE6546B64, 5)
    bits = rotated(bits, 32 - 13) ^ 42
    bits = divided(rotated(divided(bits, 0x1B873593), 32 - 15), 0xCC9E2D51)
    return bits - ((bits & 1 << 31) << 1)


def divided(bits: int, factor: int) -> int:
    """What times this odd factor is so many, in 32 bits."""
    return bits * pow(factor, -1, 1 << 32) & 0xFFFFFFFF


def rotated(bits: int, count: int) -> int:
    """Bits, 32 of them, rotated to the left."""
    return (bits << count | bits >> 32 - count) & 0xFFFFFFFF


def mapper(shards: int) -> "Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]":
    """What reads ranges and divides them."""

    def map_ranges(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for text in chain.from_iterable(map(str.splitlines, batch.column("text").to_pylist())):
                yield from batches_of(record_of(item, shards) for item in map_block(Range(**fields_in(text)), shards))

    return map_ranges


def reducer(settings: Settings) -> "Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]":
    """What settles the one shard that a partition is, and hands on the reports that the last partition is."""
    options = reducing(settings)

    def reduce_partition(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        records = records_in(batches)
        first = next(records, None)
        if first is None:
            return
        records = chain([first], records)
        shard = first[1]
        if shard == options["shards"]:
            yield from batches_of(records)
            return
        pieces = (content for _, _, _, _, content in records)
        results = reduce_shard(pieces, shard=shard, **options)
        yield from batches_of(record_of(item, options["shards"]) for item in results)

    return reduce_partition


def accounts_of_runs(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Accounts as columns."""
    for _, _, _, _, content in records_in(batches):
        for chunk in RunMerge([io.BytesIO(content).readinto], MERGE_BUFFER_BYTES):
            for first in range(0, len(chunk), ROWS_MAX):
                accounts = account_batch(chunk, first, min(ROWS_MAX, len(chunk) - first))
                clients = accounts.column("client").cast(pa.decimal128(20, 0))
                yield accounts.set_column(0, "client", clients)


def ranges_with_statuses(
    batches: Iterator[pa.RecordBatch],
) -> Iterator[tuple[Range, int, list[Statuses]]]:
    """Iterate ranges, the numbers of their first lines, and what became of their rows."""
    for number, records in groupby(records_in(batches), key=lambda record: record[2]):
        (kind, _, _, first_line, content), *rest = records
        if kind != RANGE:
            raise errors.ClusterError(f"range {number}: what became of its rows came without it; nothing is put out")
        statuses = [Statuses(place, number, bytes(each)) for _, place, _, _, each in rest]
        yield Range(**fields_in(bytes(content))), first_line, statuses


def rejects_of_ranges(shards: int) -> "Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]":
    """What reads ranges once more, for the rejects as columns."""

    def make_rejects(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part, first_line, statuses in ranges_with_statuses(batches):
            for blob in reject_blobs(part, first_line, shards, statuses, "arrow"):
                for rejects in pa.ipc.open_stream(blob):
                    yield rejects.set_column(1, "line", rejects.column("line").cast(pa.int64()))

    return make_rejects


def blobs_of_ranges(
    shards: int, reject_format: str
) -> "Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]":
    """What reads ranges once more, for the rejects as they are in a file."""

    def make_blobs(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part, first_line, statuses in ranges_with_statuses(batches):
            # An empty one is the range's last.
            blobs = chain(reject_blobs(part, first_line, shards, statuses, reject_format), [b""])
            for place, blob in enumerate(blobs):
                yield pa.RecordBatch.from_pydict(
                    {"number": [part.number], "second": [place], "content": [blob]}, blob_schema()
                )

    return make_blobs


def in_order(blobs: Iterable[tuple[int, int, bytes]], ranges: int) -> Iterator[bytes]:
    """Check that blobs are those of all ranges, in their order. Raises ClusterError."""
    due = (0, 0)
    for number, second, content in blobs:
        if (number, second) != due:
            raise errors.ClusterError(f"rejects {second} of range {number} came, where {due[1]} of {due[0]} are due")
        due = (number, second + 1) if content else (number + 1, 0)
        if content:
            yield bytes(content)
    if due != (ranges, 0):
        raise errors.ClusterError(f"the rejects of {due[0]} ranges came, of {ranges}")


def records_in(batches: Iterable[pa.RecordBatch]) -> Iterator[Any]:
    """Iterate the records of batches; their content is a view of the batch."""
    for batch in batches:
        kinds, places, numbers, seconds = (batch.column(place).to_pylist() for place in range(4))
        contents = batch.column(4)
        for row in range(batch.num_rows):
            yield kinds[row], places[row], numbers[row], seconds[row], contents[row].as_buffer()


def batches_of(records: Iterable[Any]) -> Iterator[pa.RecordBatch]:
    """Put records into batches of about BATCH_BYTES."""
    held: list[Any] = []
    held_bytes = 0
    for record in records:
        held.append(record)
        held_bytes += len(record[4])
        if held_bytes >= BATCH_BYTES:
            yield batch_of(held)
            held, held_bytes = [], 0
    if held:
        yield batch_of(held)


def batch_of(records: Sequence[Any]) -> pa.RecordBatch:
    columns = list(zip(*records, strict=True))
    columns[4] = tuple(map(bytes, columns[4]))
    return pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, record_schema(), strict=True)],
        schema=record_schema(),
    )


def record_schema() -> pa.Schema:
    return pa.schema(
        [("kind", pa.int32()), ("place", pa.int32()), ("number", pa.int64()), ("second", pa.int64()),
         ("content", pa.binary())]
    )  # fmt: skip


def blob_schema() -> pa.Schema:
    return pa.schema([("number", pa.int64()), ("second", pa.int64()), ("content", pa.binary())])


# ---- What goes wrong there -------------------------------------------------------------------------


@contextmanager
def failures_told() -> Iterator[None]:
    """Raise what a worker raised of txfast's errors, instead of what Spark makes of it."""
    try:
        yield
    except errors.TxfastError:
        raise
    except Exception as error:
        raised = RAISED.findall(str(error))
        if not raised or not hasattr(errors, raised[-1][0]):
            raise
        kind, message = raised[-1]
        raise getattr(errors, kind)(message) from error


# ---- The command -----------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    from txfast.cluster import command

    parser = command.make_parser("spark")
    parser.add_argument("--master", metavar="URL", help="Spark's master; by default what spark-submit or Spark says")
    options = parser.parse_args(sys.argv[1:] if arguments is None else arguments)

    @contextmanager
    def start(directory: StateDirectory | None) -> Iterator[SparkJob]:  # pragma: no cover (likewise)
        try:
            from pyspark.sql import SparkSession
        except ImportError as error:
            raise errors.UsageError("Spark is not installed: pip install 'txfast[spark]'") from error
        builder = SparkSession.builder.appName("txfast").config("spark.ui.showConsoleProgress", "false")
        if options.master:
            builder = builder.master(options.master)
        spark = builder.getOrCreate()
        spark.sparkContext.setLogLevel("ERROR")
        if not hands_over_little(spark):
            spark.conf.set(RECORDS_AT_ONCE, str(RECORDS_AT_ONCE_MAX))
        try:
            state = None if directory is None else ClusterState(directory, hasher(spark))
            job = SparkJob(spark, command.settings_of(options, cores_of(spark), state), state)
            try:
                yield job
            finally:
                job.close()
        finally:
            spark.stop()

    return command.run(options, start)


if __name__ == "__main__":
    # What workers are sent is found in the module of that name, and not in this one.
    from txfast.cluster.spark import main as run

    sys.exit(run())
