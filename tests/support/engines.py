"""A cluster without an engine: all its work in this process, in the order that Spark or Dask would give it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from tests.support.outputs import Outputs, outputs_of
from txfast.cluster import command, spark
from txfast.cluster.blocks import Piece, Report, Run, Statuses, map_block, reduce_shard
from txfast.cluster.job import Figures, Settings, State, make_settings, reject_blobs
from txfast.cluster.ranges import Extent, Range, cut_inputs
from txfast.cluster.records import REPORT, RUN, STATUSES, SUMMARY, read_record, text_of
from txfast.cluster.state import ClusterState, open_state
from txfast.state.directory import StateDirectory


def pieces_of(parts: Sequence[Range], shards: int) -> tuple[list[list[Piece]], list[Report]]:
    """Map all ranges: the pieces by shard, in the order that a cluster must keep, and the reports."""
    pieces: list[list[Piece]] = [[] for _ in range(shards)]
    reports = []
    for part in parts:
        for item in map_block(part, shards):
            if isinstance(item, Report):
                reports.append(item)
            else:
                pieces[item.shard].append(item)
    return pieces, reports


class InPlace:
    """A job of plain calls: every range is mapped, then every shard is reduced."""

    def __init__(self, parts: Sequence[Range], shards: int) -> None:
        self.parts = parts
        self.figures = Figures(parts, shards)
        self.found_runs: list[Run] = []
        self.statuses: list[Statuses] = []
        pieces, reports = pieces_of(parts, shards)
        for report in reports:
            self.figures.add(report)
        for shard in range(shards):
            contents = [piece.content for piece in pieces[shard]]
            for item in reduce_shard(contents, len(parts), shard, shards, keep_statuses=True):
                if isinstance(item, Run):
                    self.found_runs.append(item)
                elif isinstance(item, Statuses):
                    self.statuses.append(item)
                else:
                    self.figures.add(item)
        self.figures.check()

    def runs(self) -> Iterator[Run]:
        return iter(self.found_runs)

    def reject_blobs(self, reject_format: str) -> Iterator[bytes]:
        for part, first_line in zip(self.parts, self.figures.first_lines(), strict=True):
            statuses = [each for each in self.statuses if each.range == part.number]
            yield from reject_blobs(part, first_line, self.figures.shards, statuses, reject_format)


class Now:
    """A stand-in for Dask's Client: each task runs at once, in this process."""

    class Future:
        def __init__(self, value: Any) -> None:
            self.value = value

        def result(self) -> Any:
            return self.value

    def submit(self, function: Callable[..., Any], *arguments: Any, pure: bool) -> Now.Future:
        assert not pure
        return Now.Future(function(*self.gather(list(arguments))))

    def gather(self, values: list[Any]) -> list[Any]:
        return [
            value.value if isinstance(value, Now.Future) else self.gather(value) if isinstance(value, list) else value
            for value in values
        ]

    def nthreads(self) -> dict[str, int]:
        return {"one": 2, "two": 1}


class SparkInPlace:
    """A job that calls the functions of Spark's workers, with batches in the order of a shuffle."""

    def __init__(self, settings: Settings, state: State | None = None) -> None:
        self.settings = settings
        self.shards = settings.shards
        self.figures = Figures(settings.ranges, settings.shards)
        texts = pa.RecordBatch.from_pydict({"text": ["\n".join(map(text_of, parts)) for parts in settings.tasks]})
        partitions: dict[int, list[Any]] = defaultdict(list)
        for record in spark.records_in(spark.mapper(self.shards)(iter([texts]))):
            partitions[record[1]].append(record)
        reduce_partition = spark.reducer(settings)
        assert list(reduce_partition(iter([]))) == []
        self.records = [
            record
            for place in range(self.shards + 1)
            for record in spark.records_in(reduce_partition(shuffled(partitions[place], 2, 3)))
        ]
        for record in self.of_kind(REPORT, SUMMARY):
            self.figures.add(read_record(record))  # type: ignore[arg-type]
        self.figures.check()
        if state is not None:
            state.finish(settings, self.figures)

    def of_kind(self, *kinds: int) -> list[Any]:
        return [record for record in self.records if record[0] in kinds]

    def accounts(self) -> pa.Table:
        return pa.Table.from_batches(spark.accounts_of_runs(spark.batches_of(self.of_kind(RUN)))).sort_by("client")

    def runs(self) -> Iterator[Run]:
        for record in self.of_kind(RUN):
            yield Run(record[1], record[2], bytes(record[4]))

    def ranges_again(self) -> Iterator[pa.RecordBatch]:
        firsts = [
            (spark.RANGE, -1, part.number, first_line, text_of(part).encode())
            for part, first_line in zip(self.settings.ranges, self.figures.first_lines(), strict=True)
        ]
        return shuffled([*self.of_kind(STATUSES), *firsts], 2, 1)

    def rejects(self) -> pa.Table:
        return pa.Table.from_batches(spark.rejects_of_ranges(self.shards)(self.ranges_again()))

    def reject_blobs(self, reject_format: str) -> Iterator[bytes]:
        made = spark.blobs_of_ranges(self.shards, reject_format)(self.ranges_again())
        rows = (tuple(row.values()) for batch in made for row in batch.to_pylist())
        return spark.in_order(rows, len(self.settings.ranges))


def shuffled(records: Sequence[Any], *places: int) -> Iterator[pa.RecordBatch]:
    """Batches of the records, sorted by these fields."""
    return spark.batches_of(sorted(records, key=lambda record: [record[place] for place in places]))


def settings_of(
    names: Sequence[str], shards: int = 2, state: State | None = None, range_bytes: int = 700
) -> Settings:
    return make_settings(
        names, cores=2, shards=shards, keep_statuses=True, range_bytes=range_bytes, memory_limit=None,
        spill_folder=None, state=state,
    )  # fmt: skip


def hash_extents(extents: Sequence[Extent]) -> list[str]:
    """Hash extents with the function of Spark's workers; its rows come back in reverse order."""
    texts = pa.RecordBatch.from_pydict({"number": range(len(extents)), "text": list(map(text_of, extents))})
    rows = [tuple(row.values()) for batch in spark.hashes_of_extents(iter([texts])) for row in batch.to_pylist()]
    return spark.in_order_of_numbers(reversed(rows), len(extents))


def run_ranges(names: Sequence[str], shards: int = 3, range_bytes: int = 50) -> Outputs:
    """Replay the inputs without a state."""
    return outputs_of(InPlace(cut_inputs(names, range_bytes), shards))


def run_command(*arguments: str, engine: Callable[[Settings, State | None], Any] = SparkInPlace) -> int:
    """Run the command of an engine with these arguments. Returns its exit code."""
    options = command.make_parser("spark").parse_args(arguments)

    @contextmanager
    def start(directory: StateDirectory | None) -> Iterator[Any]:
        state = None if directory is None else ClusterState(directory, hash_extents)
        yield engine(settings_of(options.files, options.shards or 2, state), state)

    return command.run(options, start)


def run_cluster(*names: str, shards: int = 3, range_bytes: int = 50, state: str = "state") -> Outputs:
    """Replay the inputs with a state, by the functions of Spark's workers."""
    with open_state(state, hash_extents) as begun:
        return outputs_of(SparkInPlace(settings_of(names, shards, begun, range_bytes), begun))
