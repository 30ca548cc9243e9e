"""A run over Dask: the kernel reads, divides and settles in Dask's workers; Dask moves slices, not rows.

    accounts, rejects, stats = process(client, ["jan.csv", "feb.csv"], shards=8, rejects=True)

Needs txfast where the workers are. As a command: `python -m txfast.cluster.dask --help`.
"""

import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from txfast.cluster.blocks import Report, Run, Statuses, Summary, map_block, reduce_shard
from txfast.cluster.job import Figures, MergedAccounts, Settings, State, make_settings, reducing, reject_blobs
from txfast.cluster.ranges import Extent, Range, hash_extent
from txfast.cluster.state import ClusterState, HashExtents, open_state
from txfast.errors import UsageError
from txfast.state.directory import StateDirectory
from txfast.writers.accounts_table import account_batches, account_schema
from txfast.writers.rejects import reject_schema

if TYPE_CHECKING:
    from distributed import Client, Future

# What a map task gives: reports, and the pieces of each shard's slices.
Mapped = tuple[list[Report], list[list[bytes]]]
# What a reducer gives: the summary, the runs, and what became of rows by range.
Reduced = tuple[Summary, list[Run], dict[int, Statuses]]


class DaskJob:
    """A run that Dask has settled: the figures, and what accounts and rejects can be had from.

    Raises TxfastError, whatever a worker raised among it.
    """

    def __init__(self, client: "Client", settings: Settings, state: State | None = None) -> None:
        self._client = client
        self._settings = settings
        ranges = settings.ranges
        mapped = [client.submit(map_ranges, parts, settings.shards, pure=False) for parts in settings.tasks]
        reports = [client.submit(reports_of, each, pure=False) for each in mapped]
        options = reducing(settings)
        # A task for each slice, so that a worker is sent those of its shard alone.
        self._reduced = [
            client.submit(
                reduce_slices, [client.submit(slice_of, each, shard, pure=False) for each in mapped], shard, options,
                pure=False,
            )
            for shard in range(settings.shards)
        ]  # fmt: skip
        summaries = [client.submit(summary_of, each, pure=False) for each in self._reduced]
        self.figures = Figures(ranges, settings.shards)
        for result in chain(*client.gather(reports), client.gather(summaries)):
            self.figures.add(result)
        self.figures.check()
        if state is not None:
            state.finish(settings, self.figures)

    def runs(self) -> Iterator[Run]:
        """Iterate the accounts as runs, a shard's in order."""
        for reduced in self._reduced:
            yield from self._client.submit(runs_of, reduced, pure=False).result()

    def reject_blobs(self, reject_format: str) -> Iterator[bytes]:
        """Iterate the rejects in one of the REJECT_FORMATS, in the order of the input."""
        first_lines = self.figures.first_lines()
        made: list[Future] = []
        for parts in self._settings.tasks:
            numbers = [part.number for part in parts]
            known = [self._client.submit(statuses_of_ranges, each, numbers, pure=False) for each in self._reduced]
            lines = [first_lines[number] for number in numbers]
            shards = self.figures.shards
            made.append(
                self._client.submit(rejects_of_ranges, parts, lines, shards, known, reject_format, pure=False)
            )
        while made:  # what was taken is kept no longer
            yield from made.pop(0).result()


def process(
    client: "Client",
    paths: Sequence[str],
    *,
    shards: int | None = None,
    rejects: bool = False,
    range_bytes: int | None = None,
    memory_limit: int | None = None,
    spill_dir: str | None = None,
    state: "str | os.PathLike[str] | None" = None,
) -> tuple[pa.Table, pa.Table | None, dict[str, Any]]:
    """Replay inputs on Dask: accounts in ascending order of client, rejects where they are wanted in the order of the
    input, and the figures of the run.

    `shards` are as many reducers, by default as many as Dask runs tasks at once; each holds its clients in memory, or
    under `memory_limit`, in bytes for each task, partly in files in `spill_dir`. Inputs are cut into ranges of
    `range_bytes`. A worker holds the slices of its shard, and what its tasks gave, beside that.

    `state` is a directory as the command's `--state`, where all workers reach it by this path and may write: the run
    begins with what is there, reads of inputs what is new, and has replaced it when this returns. Raises TxfastError.
    """
    started = time.perf_counter()
    with open_state(state, hasher(client)) as begun:
        settings = make_settings(
            paths, cores=cores_of(client), shards=shards, keep_statuses=rejects, range_bytes=range_bytes,
            memory_limit=memory_limit, spill_folder=spill_dir, state=begun,
        )  # fmt: skip
        job = DaskJob(client, settings, begun)
        accounts = merged_table(job, spill_dir)
        found = None
        if rejects:
            batches = [batch for blob in job.reject_blobs("arrow") for batch in pa.ipc.open_stream(blob)]
            found = pa.Table.from_batches(batches, reject_schema())
    return accounts, found, job.figures.stats(time.perf_counter() - started)


def cores_of(client: "Client") -> int:
    """How many tasks Dask runs at once."""
    return int(sum(client.nthreads().values()))


def hasher(client: "Client") -> HashExtents:
    """What has Dask hash extents."""

    def hash_extents(extents: Sequence[Extent]) -> list[str]:
        return list(client.gather([client.submit(hash_extent, extent, pure=False) for extent in extents]))

    return hash_extents


def merged_table(job: DaskJob, spill_dir: str | None) -> pa.Table:
    """The accounts of all shards in ascending order of client."""
    with closing(MergedAccounts(job, spill_dir)) as merged:
        return pa.Table.from_batches(account_batches(merged), account_schema())


# ---- In Dask's workers -----------------------------------------------------------------------------


def map_ranges(parts: Sequence[Range], shards: int) -> Mapped:
    """Read ranges, and divide them."""
    reports: list[Report] = []
    slices: list[list[bytes]] = [[] for _ in range(shards)]
    for part in parts:
        for item in map_block(part, shards):
            if isinstance(item, Report):
                reports.append(item)
            else:
                slices[item.shard].append(item.content)
    return reports, slices


def reports_of(mapped: Mapped) -> list[Report]:
    return mapped[0]


def slice_of(mapped: Mapped, shard: int) -> list[bytes]:
    return mapped[1][shard]


def reduce_slices(slices: list[list[bytes]], shard: int, options: dict[str, Any]) -> Reduced:
    """Settle a shard."""
    runs: list[Run] = []
    statuses: dict[int, Statuses] = {}
    for item in reduce_shard((piece for pieces in slices for piece in pieces), shard=shard, **options):
        if isinstance(item, Run):
            runs.append(item)
        elif isinstance(item, Statuses):
            statuses[item.range] = item
        else:
            return item, runs, statuses
    raise AssertionError("the summary is the last")


def summary_of(reduced: Reduced) -> Summary:
    return reduced[0]


def runs_of(reduced: Reduced) -> list[Run]:
    return reduced[1]


def statuses_of_ranges(reduced: Reduced, numbers: list[int]) -> list[Statuses]:
    return [reduced[2][number] for number in numbers if number in reduced[2]]


def rejects_of_ranges(
    parts: Sequence[Range], first_lines: list[int], shards: int, known: list[list[Statuses]], reject_format: str
) -> list[bytes]:
    """Read ranges once more, for their rejects."""
    blobs: list[bytes] = []
    by_range: dict[int, list[Statuses]] = defaultdict(list)
    for each in chain(*known):
        by_range[each.range].append(each)
    for part, first_line in zip(parts, first_lines, strict=True):
        blobs += reject_blobs(part, first_line, shards, by_range[part.number], reject_format)
    return blobs


# ---- The command -----------------------------------------------------------------------------------


@contextmanager
def connected(address: str | None) -> "Iterator[Client]":
    """Dask by the address of its scheduler, or with workers of its own on this machine, and for it alone."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise UsageError("Dask is not installed: pip install 'txfast[dask]'") from error
    if address is not None:
        with Client(address) as client:
            yield client
        return
    here = LocalCluster(host="127.0.0.1", threads_per_worker=1, dashboard_address=None)
    with here as cluster, Client(cluster) as client:
        yield client


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    from txfast.cluster import command

    parser = command.make_parser("dask")
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="Dask's scheduler; by default workers of its own on this machine"
    )
    options = parser.parse_args(sys.argv[1:] if arguments is None else arguments)

    @contextmanager
    def start(directory: StateDirectory | None) -> Iterator[DaskJob]:
        with connected(options.scheduler) as client:
            state = None if directory is None else ClusterState(directory, hasher(client))
            yield DaskJob(client, command.settings_of(options, cores_of(client), state), state)

    return command.run(options, start)


if __name__ == "__main__":
    # What workers are sent is found in the module of that name, and not in this one.
    from txfast.cluster.dask import main as run

    sys.exit(run())
