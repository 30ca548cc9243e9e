"""Runs over Dask: workers read, divide and settle with the kernel; Dask moves slices, not rows.

    accounts, rejects, stats = process(client, ["jan.csv", "feb.csv"], shards=8, rejects=True)

Needs txfast where the workers are. As a command: `python -m txfast.cluster.dask --help`. The workers' functions are in
dask_workers.py. This module must not import distributed before it is used.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any

from txfast.cluster import dask_workers as workers
from txfast.cluster.accounts import MergedAccounts
from txfast.cluster.extents import Extent, hash_extent
from txfast.cluster.figures import Figures
from txfast.cluster.job import Settings, State, make_settings, reduce_options
from txfast.cluster.results import AccountRun
from txfast.cluster.state import ClusterState, HashExtents, open_state
from txfast.errors import ClusterError, MemoryLimitError, TxfastError
from txfast.input.library_errors import words_of
from txfast.log.journal import program_journal
from txfast.run.values import dialect as parse_dialect
from txfast.run.values import policy as parse_policy
from txfast.state.directory import StateDirectory
from txfast.writers.accounts_table import account_batches, account_schema
from txfast.writers.reject_tables import reject_schema

if TYPE_CHECKING:
    import pyarrow as pa
    from distributed import Client, Future
else:
    from txfast.late import pa


# How long a command waits for the first worker of a scheduler.
WORKERS_SECONDS = 30
LOGGERS = ("distributed", "distributed.client")
# What Dask says where it cannot load what txfast sends: the functions of workers.
OTHER_PYTHON = ("deserialization", "No module named ")
# Errors of Dask, by the names of their types: workers ended under the same task, or the scheduler went away.
KILLED, LOST = "KilledWorker", ("CancelledError", "FutureCancelledError")


class DaskJob:
    """A run that Dask has settled: its figures, its accounts and its rejects.

    Raises TxfastError, including those that workers raise.
    """

    def __init__(self, client: "Client", settings: Settings, state: State | None = None) -> None:
        self._client = client
        self._settings = settings
        mapped = [self._submit(workers.map_ranges, parts, settings.shards) for parts in settings.tasks]
        reports = [self._submit(workers.reports_of, each) for each in mapped]
        options = reduce_options(settings)
        self._reduced: list[Future] = []
        for shard in range(settings.shards):
            # Each slice has a task of its own, so that a worker gets only the slices of its shard.
            slices = [self._submit(workers.slice_of, each, shard) for each in mapped]
            self._reduced.append(self._submit(workers.reduce_slices, slices, shard, options))
        summaries = [self._submit(workers.summary_of, each) for each in self._reduced]
        self.figures = Figures(settings.ranges, settings.shards, settings.policy, settings.dialect)
        with worker_errors():
            results = [*chain(*client.gather(reports)), *client.gather(summaries)]
        for result in results:
            self.figures.add(result)
        self.figures.check()
        if state is not None:
            state.finish(settings, self.figures)

    def _submit(self, function: Callable[..., Any], *arguments: Any) -> "Future":
        # Not pure: Dask must not reuse the result of an equal task of another run.
        with worker_errors():
            return self._client.submit(function, *arguments, pure=False)

    def runs(self) -> Iterator[AccountRun]:
        """Iterate the accounts as runs, in order within a shard."""
        for reduced in self._reduced:
            yield from result_of(self._submit(workers.runs_of, reduced))

    def reject_blobs(self, reject_format: str) -> Iterator[bytes]:
        """Iterate the rejects in one of the REJECT_FORMATS, in the order of the input."""
        first_lines = self.figures.first_lines()
        shards = self.figures.shards
        made: list[Future] = []
        for parts in self._settings.tasks:
            numbers = [part.number for part in parts]
            statuses = [self._submit(workers.statuses_of_ranges, each, numbers) for each in self._reduced]
            lines = [first_lines[number] for number in numbers]
            made.append(self._submit(workers.rejects_of_ranges, parts, lines, shards, statuses, reject_format))
        while made:  # Dask drops a result once its future is gone
            yield from result_of(made.pop(0))


def process(
    client: "Client",
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
) -> tuple[pa.Table, pa.Table | None, dict[str, Any]]:
    """Replay inputs on Dask; return (accounts, rejects, stats). `rejects` is None unless it is asked for.

    `accounts` ascends by client, a string where ids are texts, then currency; `rejects` is in the order of the input.

    `shards` is the number of reduce tasks, by default the number of tasks that Dask runs at once. A reduce task holds
    its clients in memory; what exceeds `memory_limit`, in bytes for each task, goes to files in `spill_dir`. On top of
    this limit, a worker holds the slices of its shard and the results of its tasks. Inputs are cut into ranges of
    `range_bytes`.

    Rows mean what `policy` says, and inputs are read in a `dialect`, as for `txfast.process`.

    `state` is a directory as for the command's `--state`; all workers must reach it by this path and may write there.
    The run begins with what it holds, reads what is new in the inputs, and has replaced it when this returns.

    Raises TxfastError.
    """
    started = time.perf_counter()
    chosen = parse_policy(policy or "")
    chosen_dialect = parse_dialect({name: str(value) for name, value in (dialect or {}).items()})
    with open_state(state, hasher(client), chosen, chosen_dialect) as opened:
        settings = make_settings(
            paths, cores=cores_of(client), shards=shards, keep_statuses=rejects, range_bytes=range_bytes,
            memory_limit=memory_limit, spill_folder=spill_dir, policy=chosen, dialect=chosen_dialect, state=opened,
        )  # fmt: skip
        job = DaskJob(client, settings, opened)
        accounts = merged_table(job, spill_dir, settings.decimals)
        reject_table = None
        if rejects:
            batches = [batch for blob in job.reject_blobs("arrow") for batch in pa.ipc.open_stream(blob)]
            reject_table = pa.Table.from_batches(batches, reject_schema())
    job.figures.warn(program_journal("warn", None).warning)
    return accounts, reject_table, job.figures.stats(time.perf_counter() - started)


def cores_of(client: "Client") -> int:
    """The number of tasks that Dask runs at once."""
    return int(sum(client.nthreads().values()))


def hasher(client: "Client") -> HashExtents:
    """A function that has Dask's workers hash extents."""

    def hash_extents(extents: Sequence[Extent]) -> list[str]:
        with worker_errors():
            return list(client.gather([client.submit(hash_extent, extent, pure=False) for extent in extents]))

    return hash_extents


def result_of(future: "Future") -> Any:
    """The result of a task. Raises TxfastError."""
    with worker_errors():
        return future.result()


@contextmanager
def worker_errors() -> Iterator[None]:
    """Raise an error of txfast that a worker raised as it is; any other that a worker or Dask raises as a TxfastError
    of one line."""
    try:
        yield
    except TxfastError:
        raise
    except MemoryError as error:
        raise MemoryLimitError(
            f"a worker of Dask is out of memory: {words_of(error)}: give workers more, or name more --shards and a "
            f"smaller --range-size"
        ) from error
    except Exception as error:
        raise ClusterError(describe(error)) from error


def describe(error: Exception) -> str:
    """One line about an error that a worker or Dask raised."""
    kind, words = type(error).__name__, words_of(error)
    if any(each in words for each in OTHER_PYTHON):
        return (
            "Dask's scheduler or workers run a Python without txfast, or another version of it: install the txfast of "
            "this command there"
        )
    if kind == KILLED:
        return (
            "workers of Dask ended while they ran the same task, as they do out of memory; their logs say why: give "
            "them more, or name more --shards and a smaller --range-size"
        )
    if kind in LOST or (isinstance(error, OSError) and error.filename is None):
        return f"Dask's scheduler cannot be reached, or was restarted: {words}: check its address and its log"
    return f"a worker of Dask failed: {kind}: {words}"


def merged_table(job: DaskJob, spill_dir: str | None, decimals: int) -> pa.Table:
    """The accounts of all shards in ascending order of client, then currency."""
    with closing(MergedAccounts(job, spill_dir)) as merged:
        return pa.Table.from_batches(account_batches(merged, decimals), account_schema(merged, decimals))


# ---- The command -----------------------------------------------------------------------------------


@contextmanager
def connected(address: str | None) -> "Iterator[Client]":
    """A client of the scheduler at this address; by default of workers on this machine, which only this run reaches."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ClusterError("Dask is not installed: pip install 'txfast[dask]'") from error
    # What fails is one line of txfast's own; Dask logs tracebacks of what it tries again.
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if address is None:
        here = LocalCluster(host="127.0.0.1", threads_per_worker=1, dashboard_address=None)
        with here as cluster, Client(cluster) as client:
            yield client
        return
    with worker_errors():
        client = Client(address)
    with client:
        wait_for_worker(client, address)
        yield client


def wait_for_worker(client: "Client", address: str) -> None:
    """Wait until the scheduler at this address has a worker. Raises ClusterError where none comes."""
    try:
        client.wait_for_workers(1, timeout=WORKERS_SECONDS)
    except TimeoutError as error:
        raise ClusterError(f"Dask's scheduler at {address} has no worker: start one: dask worker {address}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    from txfast.cluster import command

    parser = command.make_parser("dask")
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="Dask's scheduler; by default workers of its own on this machine"
    )
    options = command.parse(parser, sys.argv[1:] if arguments is None else arguments)

    @contextmanager
    def start(directory: StateDirectory | None) -> Iterator[DaskJob]:
        with connected(options.scheduler) as client:
            state = None if directory is None else ClusterState(directory, hasher(client))
            yield DaskJob(client, command.settings_of(options, cores_of(client), state), state)

    return command.run(options, start)


if __name__ == "__main__":
    sys.exit(main())
