"""Runs over Spark: workers read, divide and settle with the kernel; Spark moves slices, not rows.

    accounts, rejects, stats = process(spark, ["s3://bucket/jan.csv", "s3://bucket/feb.csv"], shards=64, rejects=True)

Needs Spark 3.5 or later, and txfast where the workers are. As a command: `python -m txfast.cluster.spark --help`.
The workers' functions are in spark_workers.py. This module must not import pyspark before it is used.
"""

import logging
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from txfast import errors
from txfast.cluster import spark_workers as workers
from txfast.cluster.extents import Extent
from txfast.cluster.figures import Figures
from txfast.cluster.job import Settings, State, make_settings
from txfast.cluster.ranges import TASKS_PER_CORE
from txfast.cluster.records import REPORT, RUN, STATUSES, SUMMARY, result_of, text_of
from txfast.cluster.results import AccountRun
from txfast.cluster.spark_partitions import put_in_partitions
from txfast.cluster.state import ClusterState, HashExtents, open_state
from txfast.input.library_errors import words_of
from txfast.log.journal import program_journal
from txfast.run.values import dialect as parse_dialect
from txfast.run.values import policy as parse_policy
from txfast.state.directory import StateDirectory

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Spark's settings for the size of the batches that a worker gets. Before Spark 4.1 there is no limit in bytes, only one
# in records; a record here has up to 4 MiB.
BATCH_BYTES_SETTING = "spark.sql.execution.arrow.maxBytesPerBatch"
BATCH_RECORDS_SETTING = "spark.sql.execution.arrow.maxRecordsPerBatch"
BATCH_RECORDS_MAX = 16
# An error of txfast, as a worker's traceback in Spark's message shows it.
WORKER_ERROR = re.compile(r"^txfast\.errors\.(\w+): (.*)$", re.MULTILINE)
# The last line of a worker's traceback.
RAISED = re.compile(r"^(?!org\.|java\.|py4j\.)((?:\w+\.)*[A-Z]\w*(?:Error|Exception|Interrupt): .*)$", re.MULTILINE)
# What Spark's errors say where the workers' Python is not the one that they need; the last two where it does not start.
OTHER_PYTHON = (
    "No module named ", "PYTHON_VERSION_MISMATCH", "different version in worker", "Error from python worker",
    "pyspark.daemon's stdout",
)  # fmt: skip
NO_PYTHON = re.compile(r'Cannot run program "([^"]*)"')
# What Spark says where its master cannot be reached.
NO_MASTER = ("stopped SparkContext", "All masters are unresponsive")
# How py4j begins the text of a Java exception, and where the stack of Java begins.
JAVA_CALL = re.compile(r"An error occurred while calling \S+\s*:\s*")
JAVA_STACK = "\n\tat "
# The variable that names the workers' Python.
WORKERS_PYTHON = "PYSPARK_PYTHON"
SPARK_MODULES = ("pyspark.", "py4j.")
# The ranges of the rejects pass come from at most so many partitions: they are small.
RANGE_PARTITIONS_MAX = 64


class SparkJob:  # pragma: no cover (its tests, tests/cluster/test_engines.py, need Spark)
    """A run that Spark has settled: its figures, its accounts and its rejects, until `close`.

    Raises TxfastError, including those that workers raise.
    """

    def __init__(self, spark: "SparkSession", settings: Settings, state: State | None = None) -> None:
        if not has_small_batches(spark):
            raise errors.UsageError(
                f"this Spark would hand a worker any number of bytes at once: set {BATCH_RECORDS_SETTING} to "
                f"{BATCH_RECORDS_MAX} or less"
            )
        self._spark = spark
        self._settings = settings
        rows = [(number, workers.task_text(parts)) for number, parts in enumerate(settings.tasks)]
        ranges = spark.createDataFrame(spark.sparkContext.parallelize(rows, len(rows)), workers.TEXTS_SCHEMA)
        shards = settings.shards
        mapped = ranges.mapInArrow(workers.mapper(shards), workers.RECORDS_SCHEMA)
        self._records = (
            put_in_partitions(mapped, shards + 1, "shard")
            .sortWithinPartitions("number", "second")
            .mapInArrow(workers.reducer(settings), workers.RECORDS_SCHEMA)
            # Figures, accounts and rejects each read it: settle once.
            .persist(self.storage)
        )
        self.figures = Figures(settings.ranges, shards, settings.policy, settings.dialect)
        try:
            with worker_errors():
                for row in self._of_kind(REPORT, SUMMARY).collect():
                    self.figures.add(result_of(row))  # type: ignore[arg-type]
            self.figures.check()
            if state is not None:
                state.finish(settings, self.figures)
        except BaseException:
            self.close()
            raise

    @property
    def storage(self) -> Any:
        """Storage level for frames that are read more than once; they may be as large as all accounts."""
        from pyspark import StorageLevel

        return StorageLevel.DISK_ONLY

    def _of_kind(self, *kinds: int) -> "DataFrame":
        return self._records.where(self._records["kind"].isin(*kinds))

    def accounts(self) -> "DataFrame":
        """The accounts, in ascending order of client, then currency, within a shard."""
        return self._of_kind(RUN).mapInArrow(*workers.accounts_of_runs(self.figures.dialect))

    def runs(self) -> Iterator[AccountRun]:
        """Iterate the accounts as runs, in order within a shard."""
        with worker_errors():
            for row in self._of_kind(RUN).toLocalIterator(prefetchPartitions=True):
                run = result_of(row)
                assert isinstance(run, AccountRun)
                yield run

    def rejects(self) -> "DataFrame":
        """The rejects, in the order of the input."""
        make_rejects = workers.reject_columns_of_ranges(self._settings.shards)
        return self._ranges_with_statuses().mapInArrow(make_rejects, workers.REJECTS_SCHEMA)

    def reject_blobs(self, reject_format: str) -> Iterator[bytes]:
        """Iterate the rejects in one of the REJECT_FORMATS, in the order of the input."""
        make_blobs = workers.reject_blobs_of_ranges(self._settings.shards, reject_format)
        made = self._ranges_with_statuses().mapInArrow(make_blobs, workers.BLOBS_SCHEMA)
        with worker_errors():
            yield from blobs_in_order(made.toLocalIterator(prefetchPartitions=True), len(self._settings.ranges))

    def _ranges_with_statuses(self) -> "DataFrame":
        """Records of the rejects pass: each range, then its statuses, in as many partitions as there are tasks."""
        ranges, tasks = self._settings.ranges, self._settings.tasks
        records = map(workers.range_record, ranges, self.figures.first_lines())
        rows = [(*numbers, bytearray(content)) for *numbers, content in records]
        context = self._spark.sparkContext
        parallel = context.parallelize(rows, min(len(rows), RANGE_PARTITIONS_MAX))
        again = self._spark.createDataFrame(parallel, workers.RECORDS_SCHEMA)
        task = f"cast(number * {len(tasks)} div {len(ranges)} as int)"
        with_statuses = again.union(self._of_kind(STATUSES))
        return put_in_partitions(with_statuses, len(tasks), task).sortWithinPartitions("number", "shard")

    def close(self) -> None:
        """Have Spark drop the results."""
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
    policy: "str | Mapping[str, str] | None" = None,
    dialect: "Mapping[str, str | int] | None" = None,
    state: "str | os.PathLike[str] | None" = None,
) -> "tuple[DataFrame, DataFrame | None, dict[str, Any]]":
    """Replay inputs on Spark; return (accounts, rejects, stats). `rejects` is None unless it is asked for.

    `accounts` ascends by client, then currency, within each shard, with a column `currency` where accounts have one. A
    client is a string where ids are texts, else decimal(20, 0), since Spark has no unsigned numbers. `rejects` is in
    the order of the input. What Spark needs to make both stays on the disks of its workers until the session ends, or
    its cache is cleared.

    `shards` is the number of reduce tasks, by default the number of tasks that Spark runs at once. A reduce task holds
    its clients in memory; what exceeds `memory_limit`, in bytes for each task, goes to files in `spill_dir`. Inputs are
    cut into ranges of `range_bytes`.

    Rows mean what `policy` says, and inputs are read in a `dialect`, as for `txfast.process`.

    `state` is a directory as for the command's `--state`; all workers must reach it by this path and may write there.
    The run begins with what it holds, reads what is new in the inputs, and has replaced it when this returns. Rejects
    are then on the disks of Spark's workers: write them at once, before another run uses the state. If Spark loses part
    of a frame, it makes it again from the inputs, which must be unchanged, and from the snapshot that the run began
    with, which stays until another run has ended.

    Raises TxfastError. What Spark raises later, when a frame is read, is Spark's own.
    """
    started = time.perf_counter()
    chosen = parse_policy(policy or "")
    chosen_dialect = parse_dialect({name: str(value) for name, value in (dialect or {}).items()})
    with ExitStack() as on_failure:
        with open_state(state, hasher(spark), chosen, chosen_dialect) as opened:
            settings = make_settings(
                paths, cores=cores_of(spark), shards=shards, keep_statuses=rejects, range_bytes=range_bytes,
                memory_limit=memory_limit, spill_folder=spill_dir, policy=chosen, dialect=chosen_dialect, state=opened,
            )  # fmt: skip
            job = SparkJob(spark, settings, opened)
            on_failure.callback(job.close)
            reject_frame = job.rejects() if rejects else None
            if reject_frame is not None and opened is not None:
                # Before the state is published: no other run would find these rejects again.
                reject_frame = reject_frame.persist(job.storage)
                on_failure.callback(reject_frame.unpersist)
                with worker_errors():
                    reject_frame.count()
        on_failure.pop_all()
    job.figures.warn(program_journal("warn", None).warning)
    return job.accounts(), reject_frame, job.figures.stats(time.perf_counter() - started)


def cores_of(spark: "SparkSession") -> int:
    """The number of tasks that Spark runs at once."""
    return int(spark.sparkContext.defaultParallelism)


def hasher(spark: "SparkSession") -> HashExtents:  # pragma: no cover (likewise)
    """A function that has Spark's workers hash extents."""

    def hash_extents(extents: Sequence[Extent]) -> list[str]:
        if not extents:
            return []
        context = spark.sparkContext
        rows = [(number, text_of(extent)) for number, extent in enumerate(extents)]
        texts = context.parallelize(rows, min(len(rows), TASKS_PER_CORE * cores_of(spark)))
        frame = spark.createDataFrame(texts, workers.TEXTS_SCHEMA)
        hashed = frame.mapInArrow(workers.hash_extents, workers.TEXTS_SCHEMA)
        with worker_errors():
            return hashes_in_order(hashed.collect(), len(extents))

    return hash_extents


def hashes_in_order(rows: Iterable[tuple[int, str]], count: int) -> list[str]:
    """Sort numbered hashes. Raises ClusterError if one of `count` is missing."""
    found = dict(rows)
    if sorted(found) != list(range(count)):
        raise errors.ClusterError(f"{len(found)} hashes came, of {count}; nothing is put out")
    return [found[number] for number in range(count)]


def blobs_in_order(blobs: Iterable[tuple[int, int, bytes]], ranges: int) -> Iterator[bytes]:
    """Check that the blobs of all ranges come in order. Raises ClusterError."""
    due = (0, 0)
    for number, second, content in blobs:
        if (number, second) != due:
            raise errors.ClusterError(f"rejects {second} of range {number} came, where {due[1]} of {due[0]} are due")
        # An empty blob is the last of its range.
        due = (number, second + 1) if content else (number + 1, 0)
        if content:
            yield bytes(content)
    if due != (ranges, 0):
        raise errors.ClusterError(f"the rejects of {due[0]} ranges came, of {ranges}")


def has_small_batches(spark: "SparkSession") -> bool:  # pragma: no cover (likewise)
    """Whether Spark limits the batches that a worker gets to what fits in its memory."""
    # Spark takes a setting that it does not know for one that cannot be modified, even if the user has set it.
    if spark.conf.isModifiable(BATCH_BYTES_SETTING):
        return True
    return 0 < int(str(spark.conf.get(BATCH_RECORDS_SETTING))) <= BATCH_RECORDS_MAX


@contextmanager
def worker_errors() -> Iterator[None]:
    """Raise an error of txfast that a worker raised as such, in place of Spark's error about it; any other error of
    Spark as a ClusterError of one line."""
    try:
        yield
    except errors.TxfastError:
        raise
    except Exception as error:
        text = str(error)
        found = WORKER_ERROR.findall(text)
        if found and hasattr(errors, found[-1][0]):
            kind, message = found[-1]
            raise getattr(errors, kind)(message) from error
        if isinstance(error, OSError) and error.filename is None:
            raise errors.ClusterError(f"Spark has ended, as it does out of memory: {words_of(error)}") from error
        if not type(error).__module__.startswith(SPARK_MODULES):
            raise
        raise errors.ClusterError(describe(text)) from error


def describe(text: str) -> str:
    """One line about an error of Spark with this text, which may have a worker's traceback in it."""
    not_there = NO_PYTHON.search(text)
    if not_there is not None:
        return (
            f"Spark's workers cannot run {not_there[1]}: name a Python that is there, in the variable {WORKERS_PYTHON}"
        )
    if any(words in text for words in OTHER_PYTHON):
        return (
            "Spark's workers run a Python without txfast and pyarrow, or of another version than the driver's: name "
            f"the Python to use in the variable {WORKERS_PYTHON}, or install txfast in theirs"
        )
    if "JAVA_GATEWAY_EXITED" in text:
        return (
            "Spark did not start, for the reason that its own lines above say; it needs Java 17 (JAVA_HOME, or java in "
            "PATH), and a master that it knows (--master)"
        )
    if any(words in text for words in NO_MASTER):
        return "Spark's master does not answer: check its address (--master) and its log"
    raised = RAISED.findall(text)
    words = words_of(Exception(raised[-1] if raised else JAVA_CALL.sub("", text).partition(JAVA_STACK)[0]))
    return f"a worker of Spark failed: {words}" if raised else f"Spark failed: {words}"


# ---- The command -----------------------------------------------------------------------------------


def name_workers_python() -> None:
    """Have the workers run the driver's Python, unless another is named: by itself Spark takes any python3."""
    os.environ.setdefault(WORKERS_PYTHON, sys.executable)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    from txfast.cluster import command

    parser = command.make_parser("spark")
    parser.add_argument("--master", metavar="URL", help="Spark's master; by default what spark-submit or Spark says")
    options = command.parse(parser, sys.argv[1:] if arguments is None else arguments)

    @contextmanager
    def start(directory: StateDirectory | None) -> Iterator[SparkJob]:  # pragma: no cover (likewise)
        try:
            from pyspark.sql import SparkSession
        except ImportError as error:
            raise errors.ClusterError("Spark is not installed: pip install 'txfast[spark]'") from error
        name_workers_python()
        # py4j logs a traceback of an interrupt, by the root logger.
        logging.getLogger().setLevel(logging.CRITICAL)
        builder = SparkSession.builder.appName("txfast").config("spark.ui.showConsoleProgress", "false")
        if options.master:
            builder = builder.master(options.master)
        with worker_errors():
            spark = builder.getOrCreate()
        # What fails is one line of txfast's own; Spark logs the traceback of each attempt.
        spark.sparkContext.setLogLevel("OFF")
        if not has_small_batches(spark):
            spark.conf.set(BATCH_RECORDS_SETTING, str(BATCH_RECORDS_MAX))
        try:
            state = None if directory is None else ClusterState(directory, hasher(spark))
            with worker_errors():
                job = SparkJob(spark, command.settings_of(options, cores_of(spark), state), state)
            yield job
        finally:
            # All results are here, or an error is on its way that says more than one of a Spark that has ended.
            with suppress(Exception):
                spark.stop()

    return command.run(options, start)


if __name__ == "__main__":
    sys.exit(main())
