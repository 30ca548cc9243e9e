"""The one loop: read → route → apply → collect; the threads live here.

Scanner threads turn blocks into batches, appliers take each batch's rows for their shard in the order of the batches,
the caller's thread collects: it reports what was refused and gives the batch back to be filled again. A fixed number
of batches goes round, which is what holds a fast reader back.

This module must not know formats, rules or the command line.
"""

import time

from txfast.batch.batch import KINDS, TransactionBatch
from txfast.errors import ConservationError, MemoryLimitError, ThreadsError, TooManyMalformedError, UsageError
from txfast.input.source import CSV, READERS, Source, open_source
from txfast.ledger.ledger import STATUSES, Ledger, counts_of, route
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.log.journal import WARN, Journal
from txfast.readers.csv import BLOCK_BYTES, CsvReader
from txfast.readers.row import MALFORMED_REASONS
from txfast.run.intake import InputFigures
from txfast.run.machine import ARROW_MEMORY_LIMIT_MIN, available_cores, memory_bytes_now, peak_memory_bytes

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, Protocol, TypeAlias

    from txfast.input.position import Consumption, Place
    from txfast.log.progress import Progress
    from txfast.readers.row import Header
    from txfast.report.stats import RunFigures
    from txfast.run.deferred import UnsettledRows
    from txfast.spill.spill import Settled, Spill, SpillFile
    from txfast.state.snapshot import Snapshot
    # What stands in a block's place: its batch, the failure that it met, or None at the end of the input.
    Item = TransactionBatch | BaseException | None

    class Checkpoints(Protocol):
        """What keeps a run's progress: asked behind every batch whether to `take` it."""

        def is_due(self) -> bool: ...
        def take(self, replay: "Replay", place: Place) -> None: ...
        def pass_over(self) -> None: ...
        def end_by_signal(self) -> None: ...

    class Rejects(Protocol):
        """What takes the rejects of every batch, in order."""

        def add(self, file: str, batch: TransactionBatch, header: Header) -> None: ...

    Flow: TypeAlias = "InlineFlow | ThreadedFlow"

    class Reader(Protocol):
        """What makes batches of one input: `fill` in order, by one thread at a time, then `scan` by any."""

        @property
        def bytes_read(self) -> int: ...
        @property
        def header(self) -> Header | None: ...  # from the first block on
        def fill(self, batch: TransactionBatch) -> bool: ...
        def scan(self, batch: TransactionBatch) -> None: ...


# Batches on their way beyond those that threads work on.
SPARE_BATCHES = 3
JOIN_SECONDS = 0.2
# However many are asked for: more would only wait for each other.
THREADS_USED_MAX = 128

# An input that is known to be smaller is not worth a thread.
THREADED_BYTES_MIN = 4 * BLOCK_BYTES
# One that is known to be this large is read in larger blocks: threads hand over less often (a tenth of the time),
# and the memory for blocks does not show.
LARGE_BYTES_MIN = 1 << 26
LARGE_BLOCK_BYTES = 4 * BLOCK_BYTES
# A limit on memory that leaves less than that has no room for them.
LARGE_BLOCKS_MEMORY_MIN = 1 << 30
# What a batch takes for each byte of its block, columns included, unless all its rows are as short as can be.
BATCH_BYTES_PER_BYTE = 3
# What a run needs beside ledgers, batches and the buffers of what is moved to disk: sorted accounts as text, and what
# Python and the system take while it goes on.
OTHER_BYTES = 8 << 20
# With less to itself a ledger would go to disk at once.
LEDGER_BYTES_MIN = 24 << 20
# The part of the room for a ledger that its rows on disk take for buffers.
SPILL_SHARE = 16
SPILL_BYTES_MIN = 2 << 20
# What a row, and an account twice, take on disk; more with long ids.
SPILLED_ROW_BYTES = 13
SPILLED_ACCOUNT_BYTES = 40
# What restoring a ledger needs beside it.
RESTORING_BYTES = 16 << 20
PROOF_BYTES = 24  # an account

# What a first block says of an input's rows may be a little too few.
EXPECTED_MARGIN = 1.03


class Replay:
    """A run: `read` inputs in their order, then look at the `ledgers` and the figures.

    `threads` counts scanners and appliers; by default it is the cores that this process may use, and of more than
    THREADS_USED_MAX so many are used. `block_bytes` is
    what is read at once, by default what suits the reader. Nothing that a run gives depends on these three.

    `memory_limit` is how many bytes the process may take in all, of which `memory_reserved` are not for the run: what
    does not fit goes to files in `spill_folder`, which are gone when the run is closed.

    `journal`, `rejects` and `progress` are told of every batch, in order. Where there are more malformed rows than
    `max_malformed`, the run stops at the first one too many, as if the input ended there, and raises.
    """

    def __init__(
        self,
        journal: "Journal | None" = None,
        *,
        rejects: "Rejects | None" = None,
        progress: "Progress | None" = None,
        max_malformed: int | None = None,
        reader: str = "native",
        block_bytes: int | None = None,
        threads: int | None = None,
        memory_limit: int | None = None,
        memory_reserved: int = 0,
        spill_folder: str | None = None,
        checkpoints: "Checkpoints | None" = None,
    ) -> None:
        if reader not in READERS:
            raise UsageError(f"reader {reader!r}: it is one of {', '.join(READERS)}")
        self.reader = reader
        self._block_bytes = block_bytes
        self._large_blocks = True
        self._memory_limit = memory_limit or 0
        self._ledger_limit: int | None = None
        self._settling_limit = 0
        self.threads = available_cores() if threads is None else threads
        if self.threads < 1:
            raise UsageError(f"{threads} threads: at least one is needed")
        self.scanner_count = max(1, min(self.threads, THREADS_USED_MAX) // 2)
        ledger_count = max(1, min(self.threads, THREADS_USED_MAX) - self.scanner_count)
        if memory_limit is not None:
            self._large_blocks = memory_limit >= LARGE_BLOCKS_MEMORY_MIN
            batch_bytes = BATCH_BYTES_PER_BYTE * self._block_size(LARGE_BYTES_MIN)
            room = memory_limit - memory_reserved - memory_bytes_now() - OTHER_BYTES
            room -= (self.scanner_count + SPARE_BATCHES) * batch_bytes
            ledger_count = max(1, min(ledger_count, room // (LEDGER_BYTES_MIN + batch_bytes)))
            room -= ledger_count * batch_bytes
            self._settling_limit = max(room, LEDGER_BYTES_MIN)
            room //= ledger_count
            self._ledger_limit = max(room - max(SPILL_BYTES_MIN, room // SPILL_SHARE), 0)
        self.ledgers: list[Ledger] = []
        self.inputs: list[InputFigures] = []
        self.malformed_rows = [0] * len(MALFORMED_REASONS)
        self.seconds = {"read": 0.0, "scan": 0.0, "apply": 0.0, "report": 0.0}
        self._journal = journal
        self._rejects = rejects
        self._progress = progress
        self._max_malformed = max_malformed
        self._checkpoints = checkpoints
        self._consumption: Consumption | None = None  # of the input that is read now, where there are checkpoints
        self._malformed_admitted = 0
        # Of the input that is read now: its size, where that is known, and the entries that were there before it.
        self._input_bytes: int | None = None
        self._entries_before = [0] * len(self.ledgers)
        self._spill_folder = spill_folder
        self._spill_file: SpillFile | None = None
        self._ledger_count = ledger_count
        self.begin()

    def _block_size(self, input_bytes: int | None) -> int:
        """What is read at once of an input of this size; None where nobody knows it."""
        if self._block_bytes:
            return self._block_bytes
        if self.reader == "arrow":
            from txfast.readers import arrow_csv

            return arrow_csv.BLOCK_BYTES
        large = self._large_blocks and input_bytes is not None and input_bytes >= LARGE_BYTES_MIN
        return LARGE_BLOCK_BYTES if large else BLOCK_BYTES

    def begin(self) -> None:
        """Begin with nothing, whatever was restored."""
        self.close()
        self.ledgers = [Ledger() for _ in range(self._ledger_count)]
        if self._ledger_limit is not None:
            for ledger in self.ledgers:
                ledger.limit_memory(self._ledger_limit)
        # What went to disk, once something did.
        self._spill_file = None
        self._spills: list[Spill | None] = [None] * len(self.ledgers)
        self._settled: Settled | None = None
        self._unsettled: UnsettledRows | None = None
        # Of ledgers that are no more.
        self._counts_before = [0] * (len(KINDS) * len(STATUSES))
        self._balance_before = 0

    def restore(self, snapshot: "Snapshot") -> None:
        """Begin with what a snapshot holds, instead of what there was. Raises StateError, CapacityError, MemoryError
        and SpillError."""
        self.begin()
        parts = self._parts_that_fit(snapshot)
        if parts == 1:
            snapshot.restore(self.ledgers)
            return
        expected = snapshot.entries * SPILLED_ROW_BYTES + snapshot.accounts * SPILLED_ACCOUNT_BYTES
        for place, ledger in snapshot.parts(parts * len(self.ledgers), self._restoring_limit):
            shard = place // parts
            (self._spills[shard] or self._start_spill(shard, expected)).add_ledger(ledger)
            ledger.clear()  # before there is another

    def _parts_that_fit(self, snapshot: "Snapshot") -> int:
        """In how many parts each ledger has to be restored, for one of them to fit."""
        if not self._restoring_limit:
            return 1
        least = Ledger.bytes_for(0, 0)
        count = len(self.ledgers)
        needed = Ledger.bytes_for(snapshot.accounts // count, snapshot.entries // count) - least
        needed += snapshot.accounts // count * PROOF_BYTES
        return max(1, -(-needed // (self._restoring_limit - least - RESTORING_BYTES)))

    @property
    def _restoring_limit(self) -> int:
        """How many bytes a ledger may take while it is restored; 0 for any number."""
        if self._ledger_limit is None:
            return 0
        return max(self._ledger_limit, Ledger.bytes_for(0, 0) + RESTORING_BYTES + LEDGER_BYTES_MIN)

    def go_on(self, figures: "Sequence[tuple[str, int, int]]", malformed_rows: list[int]) -> None:
        """Count what was done already: the name, bytes and rows of each input so far, and malformed rows by reason."""
        self.inputs = [InputFigures(*each) for each in figures]
        self.malformed_rows = malformed_rows
        self._malformed_admitted = sum(malformed_rows)

    def read(self, name: str) -> None:
        """Replay one input. Raises TxfastError, OSError and MemoryError; TooManyMalformedError as the class says."""
        source = open_source(name)
        try:
            self.read_source(source)
        finally:
            source.close()

    def read_source(
        self, source: Source, consumption: "Consumption | None" = None, *, goes_on: bool = False
    ) -> None:
        """Replay one input that is open already, and stays open: from where the consumption is, which follows.

        `goes_on` says that the last of the inputs so far is this one.
        """
        for _ in self.batches_of(source, consumption, goes_on=goes_on):
            pass

    def batches_of(
        self, source: Source, consumption: "Consumption | None" = None, *, goes_on: bool = False
    ) -> "Iterator[TransactionBatch]":
        """The same, batch by batch, for whoever wants to look at them: each is good until the next."""
        reader = self._make_reader(source, consumption)
        if not goes_on:
            self.inputs.append(InputFigures(source.name))
        figures = self.inputs[-1]
        bytes_before = figures.bytes
        offset_before = bytes_before - (0 if consumption is None else consumption.offset_bytes)
        self._consumption = consumption if self._checkpoints is not None else None
        self._input_bytes = source.size_bytes
        self._entries_before = [ledger.entries for ledger in self.ledgers]
        for ledger in self.ledgers:
            ledger.expect(0)
        small = source.size_bytes is not None and source.size_bytes < THREADED_BYTES_MIN
        flow: Flow = InlineFlow(self, reader) if self.threads == 1 or small else ThreadedFlow(self, reader)
        next_line = 1 if consumption is None else consumption.lines + 1
        for batch in flow:
            started = time.perf_counter()
            next_line = batch.number_lines(next_line)
            figures.rows += len(batch) + batch.malformed_rows
            figures.bytes = bytes_before + batch.input_bytes_read
            if batch.malformed_rows:
                batch.count_malformed(self.malformed_rows)
            self._report(source.name, batch, reader.header)
            self.seconds["report"] += time.perf_counter() - started
            if batch.is_cut:
                *_, (line, _, _, _) = batch.report(rejected=False)
                raise TooManyMalformedError(
                    f"{source.name}:{line}: malformed row {sum(self.malformed_rows)}, one more than is allowed: "
                    f"the run stops here, without accounts"
                )
            yield batch
            if self._checkpoints is None or not self._checkpoints.is_due():
                continue
            # Inside a table there is no place to go on from: a signal ends the run, and leaves the last checkpoint.
            if source.kind != CSV:
                self._checkpoints.end_by_signal()
            else:
                self._take_checkpoint(flow, batch, reader.header, next_line - 1, offset_before)
        figures.bytes = bytes_before + reader.bytes_read
        if consumption is not None:
            consumption.header = reader.header
            consumption.lines = next_line - 1 - consumption.finish()

    def _take_checkpoint(
        self, flow: "Flow", batch: TransactionBatch, header: "Header | None", lines: int, offset_before: int
    ) -> None:
        """Take a checkpoint behind this batch, or have the flow come to where one can be taken."""
        flow.pause()
        if not flow.is_settled or self._checkpoints is None or header is None:
            return
        place: Place = batch.consumed  # type: ignore[assignment]
        place.lines, place.header = lines, header.line
        # What was read ahead of the place will be read again.
        self.inputs[-1].bytes = offset_before + place.offset_bytes
        if self.is_spilled:
            self._checkpoints.pass_over()
        else:
            self._checkpoints.take(self, place)
        flow.go_on()

    def _report(self, file: str, batch: TransactionBatch, header: "Header | None") -> None:
        wait = batch.unsettled_shards and header is not None and self.reports_much
        if wait and header is not None:
            self._report_later(file, batch, header)
        elif self._rejects is not None and header is not None:
            self._rejects.add(file, batch, header)
        if self._journal is not None and not (wait and self._journal.shows(WARN)):
            self._journal.rows(file, batch)
        if self._progress is not None:
            self._progress.advance(batch.text_bytes, len(batch) + batch.malformed_rows)

    def _report_later(self, file: str, batch: TransactionBatch, header: "Header") -> None:
        if self._unsettled is None:
            from txfast.run.deferred import UnsettledRows

            assert self._spill_file is not None
            self._unsettled = UnsettledRows(self._spill_file, len(self.ledgers))
        self._unsettled.add(file, header, batch)

    def _make_reader(self, source: Source, consumption: "Consumption | None") -> "Reader":
        if source.kind != CSV:
            from txfast.readers import table

            if 0 < self._memory_limit < ARROW_MEMORY_LIMIT_MIN:
                raise MemoryLimitError(
                    f"{source.name}: is a {table.KINDS[source.kind]}, for which the least memory limit is "
                    f"{ARROW_MEMORY_LIMIT_MIN >> 20}MiB"
                )
            return table.TableReader(
                source, consumption, keep_text=self.reports_much, threads=self.threads, copy_folder=self._spill_folder
            )
        block_bytes = self._block_size(source.size_bytes)
        if self.reader == "arrow":
            from txfast.readers import arrow_csv

            return arrow_csv.ArrowCsvReader(source, block_bytes, threads=self.threads, consumption=consumption)
        return CsvReader(source.file, source.name, block_bytes, consumption)

    def fill(self, reader: "Reader", batch: TransactionBatch) -> tuple[bool, float]:
        """Read a block: whether there was one, and the seconds it took."""
        started = time.perf_counter()
        more = reader.fill(batch)
        batch.input_bytes_read = reader.bytes_read
        if self._consumption is not None:
            batch.consumed = self._consumption.place(0, b"")
        return more, time.perf_counter() - started

    def scan(self, reader: "Reader", batch: TransactionBatch) -> float:
        """Make rows of a block and route them; return the seconds it took."""
        started = time.perf_counter()
        reader.scan(batch)
        if len(self.ledgers) > 1:
            route(batch, len(self.ledgers))
        return time.perf_counter() - started

    @property
    def reports_much(self) -> bool:
        """Whether every reject is told of one by one, which takes about as long as applying."""
        return self._rejects is not None or (self._journal is not None and self._journal.shows(WARN))

    def admit(self, batch: TransactionBatch) -> bool:
        """Let a scanned batch be applied, one after the other in their order; False where none is wanted any more.

        One with a malformed row too many is cut behind that row.
        """
        allowed = self._max_malformed
        if allowed is None:
            return True
        before = self._malformed_admitted
        if before > allowed:
            return False
        self._malformed_admitted += batch.malformed_rows
        if self._malformed_admitted > allowed:
            batch.cut(allowed - before + 1)
            if len(self.ledgers) > 1:
                route(batch, len(self.ledgers))
        return True

    def apply(self, batch: TransactionBatch, shard: int) -> float:
        """Apply a batch's rows of one shard, or move them to disk; return the seconds it took."""
        started = time.perf_counter()
        ledger, spill = self.ledgers[shard], self._spills[shard]
        limit = self._ledger_limit
        if spill is None and limit is not None and ledger.bytes_with(batch.shard_rows(shard)) > limit:
            spill = self._start_spill(shard, self._spill_bytes_expected(batch))
        if spill is not None:
            spill.add_rows(batch, shard)
            batch.leave_unsettled(shard)
            return time.perf_counter() - started
        if self._input_bytes:
            before = self._entries_before[shard]
            so_far = ledger.entries - before + len(batch) / len(self.ledgers)
            ledger.expect(before + int(EXPECTED_MARGIN * so_far * self._input_bytes / batch.input_bytes_read))
        ledger.apply(batch, shard=shard)
        return time.perf_counter() - started

    def _start_spill(self, shard: int, bytes_expected: int) -> "Spill":
        """Move a ledger to disk, and all its rows from now on; in all about so many bytes."""
        from txfast.spill import spill

        assert self._ledger_limit is not None
        with spill.STARTING:
            if self._spill_file is None:
                self._spill_file = spill.SpillFile(self._spill_folder)
                self._spill_file.expect(bytes_expected)
                self._settled = spill.Settled(self._spill_file, self._memory_limit, self._give_up)
        assert self._settled is not None
        started = spill.Spill(
            self._spill_file, self._ledger_limit, self._settled, keep_statuses=self.reports_much
        )
        started.add_ledger(self.ledgers[shard])
        self.ledgers[shard].clear()
        self._spills[shard] = started
        return started

    def _spill_bytes_expected(self, batch: TransactionBatch) -> int:
        """About how many bytes will go to disk from this batch on, as far as the size of its input says."""
        accounts = sum(map(len, self.ledgers))
        rows = sum(ledger.entries for ledger in self.ledgers)
        text_bytes = max(0, (self._input_bytes or 0) - batch.input_bytes_read)
        rows += text_bytes * len(batch) // max(1, batch.text_bytes)
        expected = rows * SPILLED_ROW_BYTES + accounts * SPILLED_ACCOUNT_BYTES
        return expected + (text_bytes + rows if self.reports_much else 0)

    def _give_up(self, ledger: Ledger) -> None:
        """Keep the counts and the balance of a ledger that is about to be no more."""
        self._counts_before = [sum(counts) for counts in zip(self._counts_before, counts_of(ledger), strict=True)]
        self._balance_before += ledger.balance_units

    def collect(self, save: "Callable[[Ledger], object] | None" = None) -> "AccountColumns | Settled":
        """The accounts, once all inputs are read. `save` is given every ledger before that, one by one.

        Raises ConservationError where accounts do not add up, SpillError and MemoryLimitError where some were moved to
        disk, and what `save` does.
        """
        accounts: AccountColumns | Settled
        if self._settled is not None:
            accounts = self._settle(self._settled, save)
        else:
            if save is not None:
                started = time.perf_counter()
                for ledger in self.ledgers:
                    save(ledger)
                self.seconds["save"] = time.perf_counter() - started
            if self._ledger_limit is not None:
                for ledger in self.ledgers:
                    ledger.drop_transactions()
            accounts = AccountColumns(self.ledgers)
        held = accounts.available_units + accounts.held_units
        expected = self._balance_before + sum(ledger.balance_units for ledger in self.ledgers)
        if held != expected:
            raise ConservationError(
                f"the accounts do not add up: they hold {held} units of 0.0001, and applied rows left {expected}; "
                f"nothing is put out, since this is a defect: please report it"
            )
        return accounts

    def _settle(self, settled: "Settled", save: "Callable[[Ledger], object] | None") -> "Settled":
        """Have all that went to disk, and all that did not, settled, and the rows reported that waited for it."""
        from txfast.spill import spill

        started = time.perf_counter()
        settled.save = save
        for ledger, gone in zip(self.ledgers, self._spills, strict=True):
            if gone is None:
                settled.add(ledger)
                ledger.clear()
        spills = [gone for gone in self._spills if gone is not None]
        spill.settle(spills, settled, self.threads, self._settling_limit)
        self.seconds["settle"] = time.perf_counter() - started
        if self._unsettled is not None:
            started = time.perf_counter()
            for file, header, batch in self._unsettled.settled(self._spills):
                if self._rejects is not None:
                    self._rejects.add(file, batch, header)
                if self._journal is not None and self._journal.shows(WARN):
                    self._journal.rows(file, batch)
            self.seconds["report"] += time.perf_counter() - started
        return settled

    def close(self) -> None:
        """Give back what is on disk: the accounts are gone then."""
        if self._spill_file is not None:
            self._spill_file.close()

    @property
    def is_spilled(self) -> bool:
        """Whether some of the ledgers went to disk for want of memory."""
        return any(spill is not None for spill in self._spills)

    @property
    def spilled_bytes(self) -> int:
        """How many bytes were written to disk for want of memory."""
        return 0 if self._spill_file is None else self._spill_file.bytes_written

    def spill_of(self, shard: int) -> "Spill | None":
        """Where a ledger and its rows went for want of memory; None where they did not."""
        return self._spills[shard]

    def counts(self) -> list[int]:
        """Rows by type and, within it, by status."""
        return [self._count(kind, status) for kind in range(len(KINDS)) for status in range(len(STATUSES))]

    def _count(self, kind: int, status: int) -> int:
        before = self._counts_before[kind * len(STATUSES) + status]
        return before + sum(ledger.count(kind, status) for ledger in self.ledgers)

    @property
    def rows(self) -> int:
        return sum(figures.rows for figures in self.inputs)

    def figures(self) -> "RunFigures":
        """What was read so far, and what became of it."""
        from txfast.report.stats import RunFigures

        return RunFigures(self.inputs, self.counts(), self.malformed_rows)

    def stats(self, accounts: "AccountColumns | Settled", seconds: float) -> "dict[str, Any]":
        """The figures of the run, which took so many seconds in all."""
        from txfast.report.stats import make_stats

        return {
            **make_stats(self.figures(), accounts, {"total": seconds, **self.seconds}),
            "peak_memory_bytes": peak_memory_bytes(),
            "spilled_bytes": self.spilled_bytes,
            "threads": self.threads,
            "reader": self.reader,
        }

    def applied(self) -> dict[str, int]:
        """Applied rows by type."""
        return self.figures().applied()

    def rejected(self) -> dict[str, int]:
        """Rejected rows by reason."""
        return self.figures().rejected()

    def malformed(self) -> dict[str, int]:
        """Malformed rows by reason."""
        return {reason: self.malformed_rows[code] for code, reason in enumerate(MALFORMED_REASONS) if code}


class InlineFlow:
    """One input through a run, in the caller's thread alone: iterates its batches, applied, in order."""

    def __init__(self, run: Replay, reader: "Reader") -> None:
        self._run = run
        self._reader = reader

    is_settled = True

    def pause(self) -> None:
        """It comes to each batch when all before it are applied, and none behind it."""

    def go_on(self) -> None:
        """It never paused."""

    def __iter__(self) -> "Iterator[TransactionBatch]":
        run, seconds = self._run, self._run.seconds
        batch = TransactionBatch()
        while True:
            more, spent = run.fill(self._reader, batch)
            seconds["read"] += spent
            if not more:
                return
            seconds["scan"] += run.scan(self._reader, batch)
            if not run.admit(batch):
                return
            for shard in range(len(run.ledgers)):
                seconds["apply"] += run.apply(batch, shard)
            yield batch


class ThreadedFlow:
    """One input through a run's threads: iterates its batches, applied, in order.

    A failure takes the place of the batch where it happened, so that everything before it is reported first, whatever
    the threads. Each ledger has a thread, but for a single one while there is little to report: then the caller's
    thread applies, and nothing is handed over.
    """

    def __init__(self, run: Replay, reader: "Reader") -> None:
        import threading

        self._run = run
        self._reader = reader
        self._appliers = len(run.ledgers) if len(run.ledgers) > 1 or run.reports_much else 0
        self._reading = threading.Lock()
        self._blocks_read = 0
        self._number = 0  # of the block whose batch is given out
        self._at_end = False
        # All below is read and changed with this held, and whoever changes it notifies.
        self._changed = threading.Condition()
        self._stopped = False
        self._paused = False
        self._free = [TransactionBatch() for _ in range(run.scanner_count + self._appliers + SPARE_BATCHES)]
        self._arrived: dict[int, Item] = {}  # by number of the block
        self._blocks_admitted = 0
        self._scanned: dict[int, Item] = {}  # those before which none is missing
        self._applied: dict[int, Item] = {} if self._appliers else self._scanned
        self._appliers_left: dict[int, int] = {}
        self._threads = [
            *(threading.Thread(target=self._scan_blocks, daemon=True) for _ in range(run.scanner_count)),
            *(threading.Thread(target=self._apply_shard, args=(n,), daemon=True) for n in range(self._appliers)),
        ]

    def __iter__(self) -> "Iterator[TransactionBatch]":
        try:
            self._start_threads()
            number = 0
            while (batch := self._take(self._applied, number)) is not None:
                if not self._appliers:
                    self._run.seconds["apply"] += self._run.apply(batch, 0)
                self._number = number
                yield batch
                with self._changed:
                    del self._applied[number]
                    self._free.append(batch)
                    self._changed.notify_all()
                number += 1
        except RuntimeError as error:
            # An interrupt may come when a wait has given the lock back, which `with` then complains about.
            if isinstance(error.__context__, KeyboardInterrupt):
                raise error.__context__ from None
            raise
        finally:
            with self._changed:
                self._stopped = True
                self._changed.notify_all()
            # Or it may come between taking the lock and what gives it back.
            while self._lock_is_held():
                self._changed.release()
            # One that waits for a pipe to be written to cannot be told to stop; it ends with the process.
            patience_ends = time.monotonic() + JOIN_SECONDS
            for thread in self._threads:
                if thread.ident is not None:  # it was started
                    thread.join(max(0.0, patience_ends - time.monotonic()))

    def pause(self) -> None:
        """Apply nothing more than what is on its way, so that it `is_settled` soon, until `go_on`."""
        with self._changed:
            self._paused = True

    @property
    def is_settled(self) -> bool:
        """Whether all is applied up to the batch that is given out, and nothing behind it."""
        with self._changed:
            return not self._appliers or self._blocks_admitted == self._number + 1

    def go_on(self) -> None:
        """Apply again what is there."""
        with self._changed:
            self._paused = False
            self._admit()
            self._changed.notify_all()

    def _start_threads(self) -> None:
        try:
            for thread in self._threads:
                thread.start()
        except RuntimeError as error:
            if error.__context__ is not None:
                raise
            count = len(self._threads)
            raise ThreadsError(f"threads: {count} cannot be started ({error}); --threads 1 needs none") from error

    def _lock_is_held(self) -> bool:
        """Whether this thread holds the lock."""
        try:
            self._changed.notify()
        except RuntimeError:
            return False
        return True

    def _take(self, items: "dict[int, Item]", number: int) -> TransactionBatch | None:
        """Wait for a block's batch; None at the end of the input. Raises the failure that took its place."""
        with self._changed:
            while number not in items and not self._stopped:
                self._changed.wait()
            item = None if self._stopped else items[number]
        if isinstance(item, BaseException):
            raise item
        return item

    def _scan_blocks(self) -> None:
        """Read and scan blocks until there are no more."""
        while True:
            with self._changed:
                while not self._free and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    return
                batch = self._free.pop()
            item: Item = batch
            spent_reading = spent_scanning = 0.0
            with self._reading:
                if self._at_end:
                    return
                number = self._blocks_read
                self._blocks_read += 1
                try:
                    more, spent_reading = self._run.fill(self._reader, batch)
                    if not more:
                        item = None
                except BaseException as failure:
                    item = failure
                self._at_end = item is not batch
            if item is batch:
                try:
                    spent_scanning = self._run.scan(self._reader, batch)
                except BaseException as failure:
                    item = failure
            with self._changed:
                self._run.seconds["read"] += spent_reading
                self._run.seconds["scan"] += spent_scanning
                self._arrived[number] = item
                self._admit()
                self._changed.notify_all()
            if item is not batch:
                return

    def _admit(self) -> None:
        """Pass on, in order, what has arrived."""
        while self._blocks_admitted in self._arrived and not self._paused:
            number = self._blocks_admitted
            item = self._arrived.pop(number)
            if isinstance(item, TransactionBatch):
                try:
                    if not self._run.admit(item):
                        return
                except BaseException as failure:
                    item = failure
            if not isinstance(item, TransactionBatch):
                self._applied[number] = item
            elif self._appliers:
                self._appliers_left[number] = self._appliers
            self._scanned[number] = item
            self._blocks_admitted += 1

    def _apply_shard(self, shard: int) -> None:
        """Apply this shard's rows of every batch, in order."""
        number = 0
        try:
            while (batch := self._take(self._scanned, number)) is not None:
                spent = self._run.apply(batch, shard)
                with self._changed:
                    self._run.seconds["apply"] += spent
                    self._appliers_left[number] -= 1
                    if not self._appliers_left[number]:
                        del self._scanned[number], self._appliers_left[number]
                        self._applied[number] = batch
                        self._changed.notify_all()
                number += 1
        except BaseException as failure:
            with self._changed:
                self._applied.setdefault(number, failure)
                self._changed.notify_all()
