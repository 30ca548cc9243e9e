"""A cluster without an engine: its tasks, and the functions of Spark's and Dask's workers, run in this process. And the
variables with which an engine runs on this machine."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa

from tests.support.outputs import Outputs, outputs_of
from tests.support.project import PROJECT_ROOT
from tests.support.replays import though_all_malformed
from txfast.cluster import command, spark, spark_workers
from txfast.cluster.cutting import cut_inputs
from txfast.cluster.extents import Extent
from txfast.cluster.figures import Figures
from txfast.cluster.job import Settings, State, make_settings
from txfast.cluster.map import map_range
from txfast.cluster.ranges import Range
from txfast.cluster.records import REPORT, RUN, STATUSES, SUMMARY, result_of, text_of
from txfast.cluster.reduce import reduce_shard
from txfast.cluster.rejects import reject_blobs
from txfast.cluster.results import AccountRun, Piece, RangeReport, RowStatuses
from txfast.cluster.sent_dialect import dialect_text
from txfast.cluster.state import ClusterState, open_state
from txfast.run.values import dialect as parse_dialect
from txfast.run.values import policy as parse_policy
from txfast.state.dialects import decimals_of
from txfast.state.directory import StateDirectory

LOG_SETTINGS = "rootLogger.level = off\n"


def engine_variables(folder: Path) -> dict[str, str]:
    """Variables that keep Spark and Dask on this machine, and quiet. Their files are in this folder."""
    (folder / "conf").mkdir(exist_ok=True)
    (folder / "conf" / "log4j2.properties").write_text(LOG_SETTINGS)
    paths = os.pathsep.join(path for path in (str(PROJECT_ROOT), *sys.path) if path)
    return {
        "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable, "PYTHONPATH": paths,
        "SPARK_CONF_DIR": str(folder / "conf"), "SPARK_LOCAL_DIRS": str(folder / "spark"),
    }  # fmt: skip


def run_cluster(
    *names: str,
    shards: int = 3,
    range_bytes: int = 50,
    state: str = "state",
    refuses_malformed: bool = False,
    policy: str = "",
    dialect: Mapping[str, str] | None = None,
) -> Outputs:
    """The outputs of a run with a state, by the functions of Spark's workers. It goes on though all rows of an input
    are malformed, unless it `refuses_malformed`."""
    chosen, chosen_dialect = parse_policy(policy), parse_dialect(dialect or {})
    with (
        nullcontext() if refuses_malformed else though_all_malformed(),
        open_state(state, hash_extents, chosen, chosen_dialect) as opened,
    ):
        settings = settings_of(names, shards, opened, range_bytes, policy, dialect)
        return outputs_of(WorkersJob(settings, opened), settings.decimals)


def settings_of(
    names: Sequence[str],
    shards: int = 2,
    state: State | None = None,
    range_bytes: int = 700,
    policy: str = "",
    dialect: Mapping[str, str] | None = None,
) -> Settings:
    return make_settings(
        names, cores=2, shards=shards, keep_statuses=True, range_bytes=range_bytes, memory_limit=None,
        spill_folder=None, policy=parse_policy(policy), dialect=parse_dialect(dialect or {}), state=state,
    )  # fmt: skip


# ---- Without an engine ---------------------------------------------------------------------------


def run_ranges(
    names: Sequence[str],
    shards: int = 3,
    range_bytes: int = 50,
    *,
    refuses_malformed: bool = False,
    policy: str = "",
    dialect: Mapping[str, str] | None = None,
) -> Outputs:
    """The same of a run without a state, by plain calls."""
    chosen_dialect = parse_dialect(dialect or {})
    with nullcontext() if refuses_malformed else though_all_malformed():
        sent = dialect_text(chosen_dialect)
        return outputs_of(
            PlainJob(cut_inputs(names, range_bytes, sent), shards, policy, sent), decimals_of(chosen_dialect)
        )


def pieces_of(parts: Sequence[Range], shards: int) -> tuple[list[list[Piece]], list[RangeReport]]:
    """Map all ranges: the pieces by shard, in the order that an engine must keep, and the reports."""
    pieces: list[list[Piece]] = [[] for _ in range(shards)]
    reports = []
    for part in parts:
        for item in map_range(part, shards):
            if isinstance(item, RangeReport):
                reports.append(item)
            else:
                pieces[item.shard].append(item)
    return pieces, reports


class PlainJob:
    """A job of plain calls: every range is mapped, then every shard is reduced."""

    def __init__(self, parts: Sequence[Range], shards: int, policy: str = "", dialect: str = "") -> None:
        self.parts = parts
        self.figures = Figures(parts, shards, policy, dialect)
        self.found_runs: list[AccountRun] = []
        self.statuses: list[RowStatuses] = []
        pieces, reports = pieces_of(parts, shards)
        for report in reports:
            self.figures.add(report)
        for shard in range(shards):
            contents = [piece.content for piece in pieces[shard]]
            for item in reduce_shard(
                contents, len(parts), shard, shards, keep_statuses=True, policy=policy, dialect=dialect
            ):
                if isinstance(item, AccountRun):
                    self.found_runs.append(item)
                elif isinstance(item, RowStatuses):
                    self.statuses.append(item)
                else:
                    self.figures.add(item)
        self.figures.check()

    def runs(self) -> Iterator[AccountRun]:
        return iter(self.found_runs)

    def reject_blobs(self, reject_format: str) -> Iterator[bytes]:
        for part, first_line in zip(self.parts, self.figures.first_lines(), strict=True):
            statuses = [each for each in self.statuses if each.range == part.number]
            yield from reject_blobs(part, first_line, self.figures.shards, statuses, reject_format)


# ---- Dask ----------------------------------------------------------------------------------------


class DaskClient:
    """Stands for Dask's Client: runs every task at once, in this process."""

    class Future:
        def __init__(self, value: Any) -> None:
            self.value = value

        def result(self) -> Any:
            return self.value

    def submit(self, function: Callable[..., Any], *arguments: Any, pure: bool) -> DaskClient.Future:
        assert not pure
        return DaskClient.Future(function(*self.gather(list(arguments))))

    def gather(self, values: list[Any]) -> list[Any]:
        return [self._result(value) for value in values]

    def _result(self, value: Any) -> Any:
        if isinstance(value, DaskClient.Future):
            return value.value
        return self.gather(value) if isinstance(value, list) else value

    def nthreads(self) -> dict[str, int]:
        return {"one": 2, "two": 1}


# ---- Spark ---------------------------------------------------------------------------------------


class WorkersJob:
    """A job that calls the functions of Spark's workers, with batches in the order of a shuffle."""

    def __init__(self, settings: Settings, state: State | None = None) -> None:
        self.settings = settings
        self.shards = settings.shards
        self.figures = Figures(settings.ranges, settings.shards, settings.policy, settings.dialect)
        texts = pa.RecordBatch.from_pydict({"text": list(map(spark_workers.task_text, settings.tasks))})
        partitions: dict[int, list[Any]] = defaultdict(list)
        for record in spark_workers.records_in(spark_workers.mapper(self.shards)(iter([texts]))):
            partitions[record[1]].append(record)
        reduce_partition = spark_workers.reducer(settings)
        assert list(reduce_partition(iter([]))) == []
        self.records = [
            record
            for shard in range(self.shards + 1)
            for record in spark_workers.records_in(reduce_partition(sorted_batches(partitions[shard], 2, 3)))
        ]
        for record in self.of_kind(REPORT, SUMMARY):
            self.figures.add(result_of(record))  # type: ignore[arg-type]
        self.figures.check()
        if state is not None:
            state.finish(settings, self.figures)

    def of_kind(self, *kinds: int) -> list[Any]:
        return [record for record in self.records if record[0] in kinds]

    def accounts(self) -> pa.Table:
        runs = spark_workers.batches_of(self.of_kind(RUN))
        make_accounts, _ = spark_workers.accounts_of_runs(self.figures.dialect)
        accounts = pa.Table.from_batches(make_accounts(runs))
        return accounts.sort_by(
            [(name, "ascending") for name in ("client", "currency") if name in accounts.schema.names]
        )

    def runs(self) -> Iterator[AccountRun]:
        for record in self.of_kind(RUN):
            run = result_of(record)
            assert isinstance(run, AccountRun)
            yield run

    def ranges_with_statuses(self) -> Iterator[pa.RecordBatch]:
        ranges = map(spark_workers.range_record, self.settings.ranges, self.figures.first_lines())
        return sorted_batches([*self.of_kind(STATUSES), *ranges], 2, 1)

    def rejects(self) -> pa.Table:
        make_rejects = spark_workers.reject_columns_of_ranges(self.shards)
        return pa.Table.from_batches(make_rejects(self.ranges_with_statuses()))

    def reject_blobs(self, reject_format: str) -> Iterator[bytes]:
        made = spark_workers.reject_blobs_of_ranges(self.shards, reject_format)(self.ranges_with_statuses())
        rows = (tuple(row.values()) for batch in made for row in batch.to_pylist())
        return spark.blobs_in_order(rows, len(self.settings.ranges))


def sorted_batches(records: Sequence[Any], *columns: int) -> Iterator[pa.RecordBatch]:
    """Records sorted by these fields, in batches."""
    return spark_workers.batches_of(sorted(records, key=lambda record: [record[column] for column in columns]))


def hash_extents(extents: Sequence[Extent]) -> list[str]:
    """Hash extents with the function of Spark's workers; its rows come back in reverse order."""
    texts = pa.RecordBatch.from_pydict({"number": range(len(extents)), "text": list(map(text_of, extents))})
    rows = [tuple(row.values()) for batch in spark_workers.hash_extents(iter([texts])) for row in batch.to_pylist()]
    return spark.hashes_in_order(reversed(rows), len(extents))


def run_command(*arguments: str, engine: Callable[[Settings, State | None], Any] = WorkersJob) -> int:
    """Run an engine's command over a job in this process; return its exit code."""
    options = command.parse(command.make_parser("spark"), arguments)

    @contextmanager
    def start(directory: StateDirectory | None) -> Iterator[Any]:
        state = None if directory is None else ClusterState(directory, hash_extents)
        yield engine(command.settings_of(options, 2, state), state)

    return command.run(options, start)
