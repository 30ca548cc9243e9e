"""A run over a cluster, put together of the work in blocks.py: what comes before it, between its parts, and behind.

This module must not know an engine.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from txfast.cluster.blocks import SHARDS_MAX, Report, Run, Statuses, Summary, reject_block
from txfast.cluster.ranges import RANGE_BYTES, Range, cut, in_tasks, look_at_inputs
from txfast.errors import ClusterError, UsageError
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.report.stats import RunFigures, make_stats
from txfast.run.intake import InputFigures
from txfast.run.machine import ARROW_MEMORY_LIMIT_MIN
from txfast.spill.spill import SpillFile, Stream, merged_runs

# What rejects are handed over as: text as in the file of that suffix, or Arrow streams.
REJECT_FORMATS = ("csv", "jsonl", "arrow")


@dataclass(frozen=True)
class Settings:
    """What a run is over and how: `ranges`, put together in `tasks`; `shards` are reducers, `memory_limit` is that of
    each worker's process, in bytes. Of a state, `begin_with` and `save_in` are what `reduce_shard` takes."""

    ranges: Sequence[Range]
    tasks: Sequence[Sequence[Range]]
    shards: int
    keep_statuses: bool
    memory_limit: int | None
    spill_folder: str | None
    begin_with: tuple[str, dict[str, Any]] | None = None
    save_in: str | None = None


def reducing(settings: Settings) -> dict[str, Any]:
    """What `reduce_shard` takes beside a shard and its pieces, and what each task is sent: nothing of the inputs."""
    return {
        "ranges": len(settings.ranges), "shards": settings.shards, "keep_statuses": settings.keep_statuses,
        "memory_limit": settings.memory_limit, "spill_folder": settings.spill_folder,
        "begin_with": settings.begin_with, "save_in": settings.save_in,
    }  # fmt: skip


class State(Protocol):
    """What a run begins with and leaves."""

    begin_with: tuple[str, dict[str, Any]] | None
    save_in: str | None

    def begin(self, inputs: Sequence[Range]) -> list[Range]: ...
    def finish(self, settings: Settings, figures: "Figures") -> None: ...


def make_settings(
    paths: Sequence[str],
    *,
    cores: int,
    shards: int | None,
    keep_statuses: bool,
    range_bytes: int | None,
    memory_limit: int | None,
    spill_folder: str | None,
    state: State | None = None,
) -> Settings:
    """Cut inputs for so many cores, which are as many shards if nobody says, and begin with a state. Raises UsageError,
    InputError, SourceError and StateError."""
    shards = max(1, cores) if shards is None else shards
    if not paths:
        raise UsageError("no inputs: name at least one")
    if not 1 <= shards <= SHARDS_MAX:
        raise UsageError(f"{shards} shards: there are 1 to {SHARDS_MAX}")
    if state is not None and memory_limit is not None and memory_limit < ARROW_MEMORY_LIMIT_MIN:
        least = f"{ARROW_MEMORY_LIMIT_MIN >> 20}MiB"
        raise UsageError(f"a memory limit of {memory_limit} bytes is too little for a state: the least is {least}")
    inputs = look_at_inputs(paths, followed=state is not None)
    begin_with, save_in = None, None
    if state is not None:
        inputs = state.begin(inputs)
        begin_with, save_in = state.begin_with, state.save_in
    ranges = cut(inputs, RANGE_BYTES if range_bytes is None else range_bytes)
    tasks = in_tasks(ranges, max(1, cores))
    return Settings(ranges, tasks, shards, keep_statuses, memory_limit, spill_folder, begin_with, save_in)


class Figures:
    """The figures of a run, from its reports and summaries: `add` all of them, then `check` that none is missing."""

    def __init__(self, ranges: Sequence[Range], shards: int) -> None:
        self._ranges = ranges
        self._reports: dict[int, Report] = {}
        self._summaries: dict[int, Summary] = {}
        self.shards = shards

    def add(self, result: Report | Summary) -> None:
        """Take one. Raises ClusterError where it came before."""
        if isinstance(result, Report):
            known: dict[int, Any] = self._reports
            number, what = result.number, "range"
        else:
            known, number, what = self._summaries, result.shard, "shard"
        if number in known:
            raise ClusterError(f"{what} {number} was reported twice; nothing is put out")
        known[number] = result

    def check(self) -> None:
        """See that there is one of each range and shard, and that they add up. Raises ClusterError."""
        if sorted(self._reports) != list(range(len(self._ranges))):
            raise ClusterError(f"{len(self._reports)} of {len(self._ranges)} ranges reported; nothing is put out")
        if sorted(self._summaries) != list(range(self.shards)):
            raise ClusterError(f"{len(self._summaries)} of {self.shards} shards reported; nothing is put out")
        sent = sum(report.rows - sum(report.malformed) for report in self._reports.values())
        settled = sum(map(sum, (summary.counts for summary in self._summaries.values())))
        if sent != settled:
            raise ClusterError(f"{sent} well-formed rows were read, and {settled} were settled; nothing is put out")

    def first_lines(self) -> list[int]:
        """The number of the first line of each range in its input."""
        found: list[int] = []
        lines = 0
        for part in self._ranges:
            if part.number == 0 or self._ranges[part.number - 1].input != part.input:
                lines = part.lines_before + self._reports[part.number].lines_before
            found.append(lines + 1)
            lines += self._reports[part.number].lines
        return found

    def report(self, number: int) -> Report:
        """That of a range."""
        return self._reports[number]

    def restored(self) -> list[int]:
        """How many accounts, entries and units shards began with."""
        restored = [summary.restored for summary in self._summaries.values()]
        return [sum(each) for each in zip(*restored, strict=True)]

    def saved(self) -> list[dict[str, Any]]:
        """What was saved of each shard, in their order. Raises ClusterError where one was not."""
        found = [self._summaries[shard].saved for shard in range(self.shards)]
        saved = [each for each in found if each is not None]
        if len(saved) != len(found):
            raise ClusterError(
                f"{len(saved)} of {self.shards} shards were saved: do all workers reach the state's directory? Nothing "
                f"is put out"
            )
        return saved

    def check_runs(self, runs: Sequence[int]) -> None:
        """See that so many runs of each shard are all of them. Raises ClusterError."""
        due = [self._summaries[shard].runs for shard in range(self.shards)]
        if list(runs) != due:
            raise ClusterError(f"{sum(runs)} runs of accounts came, and {sum(due)} were sent; nothing is put out")

    @property
    def inputs(self) -> list[InputFigures]:
        """How much each input held."""
        found: list[InputFigures] = []
        for part in self._ranges:
            report = self._reports[part.number]
            if part.input == len(found):
                # Of what is cut, the header and what stands before it too.
                size = report.bytes if part.size_bytes is None else part.size_bytes - part.bytes_skipped
                found.append(InputFigures(part.name, size))
            found[-1].rows += report.rows
        return found

    @property
    def rows(self) -> int:
        return sum(report.rows for report in self._reports.values())

    def counts(self) -> list[int]:
        """Rows by type and, within it, by status."""
        return [sum(each) for each in zip(*(summary.counts for summary in self._summaries.values()), strict=True)]

    def malformed_counts(self) -> list[int]:
        """Malformed rows by the code of the reason."""
        return [sum(each) for each in zip(*(report.malformed for report in self._reports.values()), strict=True)]

    # The sums of all accounts, as `make_stats` takes them.

    def __len__(self) -> int:
        return sum(summary.accounts for summary in self._summaries.values())

    @property
    def locked_count(self) -> int:
        return sum(summary.locked_accounts for summary in self._summaries.values())

    @property
    def available_units(self) -> int:
        return sum(summary.available_units for summary in self._summaries.values())

    @property
    def held_units(self) -> int:
        return sum(summary.held_units for summary in self._summaries.values())

    def stats(self, seconds: float) -> dict[str, Any]:
        """All of it, as in the stats file of the command, but for what is of one process."""
        figures = RunFigures(self.inputs, self.counts(), self.malformed_counts())
        return {
            **make_stats(figures, self, {"total": seconds}),
            "spilled_bytes": sum(summary.spilled_bytes for summary in self._summaries.values()),
            "ranges": len(self._ranges),
            "shards": self.shards,
        }


class Job(Protocol):
    """A run that an engine has settled."""

    @property
    def figures(self) -> Figures: ...
    def runs(self) -> Iterator[Run]: ...
    def reject_blobs(self, reject_format: str) -> Iterator[bytes]: ...


class MergedAccounts:
    """The accounts of all shards of a job as one: iterate `chunks` in ascending order of client; `close` in the end.

    They wait on disk. Raises ClusterError where some are missing, and SpillError.
    """

    def __init__(self, job: Job, spill_folder: str | None) -> None:
        self._file = SpillFile(spill_folder)
        self._streams = [Stream(self._file) for _ in range(job.figures.shards)]
        try:
            self._take(job)
        except BaseException:
            self.close()
            raise

    def _take(self, job: Job) -> None:
        runs = [0] * len(self._streams)
        for run in job.runs():
            due = runs[run.shard]
            if run.number != due:
                raise ClusterError(f"run {run.number} of shard {run.shard} came, and {due} is due; nothing is put out")
            runs[run.shard] += 1
            self._streams[run.shard].write(run.content)
        job.figures.check_runs(runs)

    def chunks(self) -> Iterator[AccountColumns]:
        """Iterate all of them, in parts, each good until the next."""
        return merged_runs(self._streams)

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()


def reject_blobs(
    part: Range, first_line: int, shards: int, statuses: Iterable[Statuses], reject_format: str
) -> Iterator[bytes]:
    """The rejects of a range in one of the REJECT_FORMATS: text without its header, or whole Arrow streams.

    Raises what `reject_block` does.
    """
    batches = reject_block(part, first_line, shards, statuses)
    if reject_format == "arrow":
        from txfast.writers.rejects import CollectedRejects

        collected = CollectedRejects()
        for name, batch in batches:
            collected.add(name, batch)
            yield from map(ipc_stream, collected.take())
        collected.finish()
        yield from map(ipc_stream, collected.take())
        return
    from txfast.writers.reject_text import RejectText

    text = RejectText(reject_format)
    text.rest()  # the header of the whole file
    for name, batch in batches:
        for block in text.blocks(os.fsencode(name), batch):
            yield bytes(block)
    rest = bytes(text.rest())
    if rest:
        yield rest


def ipc_stream(batch: Any) -> bytes:
    """A record batch as an Arrow stream of its own."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())
