"""The work of a cluster, which knows no engine: `map_block` each range of the inputs, `reduce_shard` what that gave for
each shard, and where rejects are wanted `reject_block` each range once more.

A map task gives every shard one *slice*: the rows of its clients, in the compact form in which rows go to disk too.
Large slices come in pieces. What a shard's reducer is given says of itself what it is, so that it can tell whether
anything is missing, came twice or out of order: no engine is trusted with that.

Ranges and reports are plain values that can be pickled. All of it runs in any process that has txfast and reaches the
inputs; relative paths are made absolute when inputs are cut.
"""

import os
import secrets
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from txfast.batch.batch import MALFORMED_REASONS, TransactionBatch
from txfast.cluster.ranges import Range, RangeReader, was_changed
from txfast.errors import ClusterError
from txfast.input.position import Place
from txfast.ledger.ledger import route
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.run.books import Books
from txfast.run.machine import available_cores, default_memory_limit, memory_bytes_now
from txfast.run.plan import make_plan
from txfast.spill.partitions import Partitions
from txfast.spill.runs import run_blocks
from txfast.spill.slices import SliceReader
from txfast.spill.statuses import set_statuses, statuses_of
from txfast.state.snapshot import Snapshot
from txfast.state.snapshot_writer import SnapshotWriter

SHARDS_MAX = 1 << 16
# What a map task keeps of all slices together, and of one at least and at most, before it gives out a piece.
SLICES_BYTES = 64 << 20
PIECE_BYTES_MIN, PIECE_BYTES_MAX = 1 << 12, 1 << 22
# Before each piece: what this is, range, number of the piece, shard, of how many, whether it is the slice's last, and
# the rows of the whole slice then.
PIECE = struct.Struct("<4sQQII?Q")
MAGIC = b"txs1"
# What pyarrow takes to read and write a snapshot.
SNAPSHOT_BYTES = 32 << 20
# Of accounts that are handed over at once, but for what is left.
RUN_BYTES = 1 << 20
# A byte for each row compresses well, since nearly all are the same.
STATUS_LEVEL = 1


@dataclass(frozen=True)
class Report:
    """What a range held: its number, lines and rows, the malformed ones by their reasons' codes, and its bytes.

    Of an input that is one range, `lines_before` are those that an earlier run has read; `place` is where one ends that
    is followed.
    """

    number: int
    lines: int
    rows: int
    malformed: tuple[int, ...]
    bytes: int
    lines_before: int = 0
    place: Place | None = None


@dataclass(frozen=True)
class Piece:
    """Part of a slice: the place of its shard and range, and its number; `content` says all three once more."""

    shard: int
    range: int
    number: int
    content: bytes


@dataclass(frozen=True)
class Summary:
    """What became of a shard: rows by type and status, what its accounts hold in units of 0.0001, how many there are,
    and in how many runs.

    With a state, `restored` are the accounts, entries and units that it began with, and `saved` is where it was saved
    and as what, as `join_shards` takes it.
    """

    shard: int
    counts: tuple[int, ...]
    accounts: int
    locked_accounts: int
    available_units: int
    held_units: int
    spilled_bytes: int
    runs: int
    restored: tuple[int, int, int] = (0, 0, 0)
    saved: dict[str, Any] | None = None


@dataclass(frozen=True)
class Statuses:
    """What became of a shard's rows of a range, a byte each, compressed; nothing where all of them were applied."""

    shard: int
    range: int
    content: bytes


@dataclass(frozen=True)
class Run:
    """Some of a shard's accounts, in ascending order of client over all of its numbers."""

    shard: int
    number: int
    content: bytes


# ---- Map -------------------------------------------------------------------------------------------


def map_block(part: Range, shards: int) -> Iterator[Piece | Report]:
    """Read a range: iterate the pieces of one slice for each shard, those of a shard in order, and a report in the end.

    Raises InputError and SourceError.
    """
    if not 1 <= shards <= SHARDS_MAX:
        raise ValueError(f"{shards} shards: there are 1 to {SHARDS_MAX}")
    ready: list[Piece] = []
    numbers = [0] * shards

    def write(shard: int, view: memoryview) -> None:
        head = PIECE.pack(MAGIC, part.number, numbers[shard], shard, shards, False, 0)
        ready.append(Piece(shard, part.number, numbers[shard], head + bytes(view)))
        numbers[shard] += 1

    piece_bytes = max(PIECE_BYTES_MIN, min(PIECE_BYTES_MAX, SLICES_BYTES // shards))
    slices = Partitions(shards, piece_bytes, write, by_shard=True)
    lines = rows = 0
    malformed = [0] * len(MALFORMED_REASONS)
    reader = RangeReader(part)
    for batch in reader:
        lines = batch.number_lines(lines + 1) - 1
        rows += len(batch) + batch.malformed_rows
        if batch.malformed_rows:
            batch.count_malformed(malformed)
        slices.add_rows(batch)
        yield from ready
        ready.clear()
    slices.finish()
    yield from ready
    for shard in range(shards):
        head = PIECE.pack(MAGIC, part.number, numbers[shard], shard, shards, True, slices.counts(shard)[2])
        yield Piece(shard, part.number, numbers[shard], head)
    yield Report(
        part.number, lines, rows, tuple(malformed), reader.bytes_read, reader.lines_before, reader.place(lines)
    )


# ---- Reduce ----------------------------------------------------------------------------------------


class Slices:
    """A shard's pieces, checked: iterate `slices`, each a function that reads it and is good until the next.

    Raises ClusterError where what comes is not what is due.
    """

    def __init__(self, pieces: Iterable[bytes], ranges: int, shard: int, shards: int) -> None:
        self._pieces = iter(pieces)
        self._ranges = ranges
        self._shard, self._shards = shard, shards
        self._range = self._piece = 0
        self._rest = memoryview(b"")
        self._at_end = False
        self.rows = 0  # of the slice that was read last

    def __iter__(self) -> Iterator[Callable[[memoryview], int]]:
        for number in range(self._ranges):
            self._range, self._piece, self._at_end = number, 0, False
            yield self._read_into
            if not self._at_end:
                raise self._disorder("something else than its end was read")
        if next(self._pieces, None) is not None:
            raise self._disorder("there is more behind the last range")

    def _read_into(self, view: memoryview) -> int:
        while not len(self._rest) and not self._at_end:
            self._take_piece()
        count = min(len(view), len(self._rest))
        view[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _take_piece(self) -> None:
        piece = next(self._pieces, None)
        if piece is None:
            raise self._disorder("nothing is left")
        if len(piece) < PIECE.size:
            raise self._disorder("what came is none")
        magic, number, place, shard, shards, is_last, rows = PIECE.unpack_from(piece)
        if (magic, shard, shards) != (MAGIC, self._shard, self._shards):
            raise self._disorder(f"what came is of shard {shard} of {shards}, or of another version of txfast")
        if (number, place) != (self._range, self._piece):
            raise self._disorder(f"piece {place} of range {number} came")
        self._piece += 1
        self._rest = memoryview(piece).cast("B")[PIECE.size :]
        self._at_end = is_last
        if is_last:
            self.rows = rows

    def _disorder(self, words: str) -> ClusterError:
        return ClusterError(
            f"shard {self._shard} of {self._shards}: where piece {self._piece} of range {self._range} is due, of "
            f"{self._ranges} ranges, {words}: the cluster lost, repeated or reordered something; nothing is put out"
        )


def reduce_shard(
    pieces: Iterable[bytes],
    ranges: int,
    shard: int,
    shards: int,
    *,
    keep_statuses: bool = False,
    memory_limit: int | None = None,
    spill_folder: str | None = None,
    begin_with: tuple[str, dict[str, Any]] | None = None,
    save_in: str | None = None,
) -> Iterator[Run | Statuses | Summary]:
    """Settle a shard: the contents of all its pieces, range by range, give its accounts in runs, a summary in the end,
    and with `keep_statuses` what became of its rows.

    It begins with what is of the shard in a snapshot, of which `begin_with` is the folder and what its manifest says,
    and is saved in the folder `save_in`, while that is there: it is gone when the run has ended, and an engine does
    again what it has lost.
    Under a `memory_limit`, of bytes for the whole process, what does not fit goes to disk; by default it is what each
    core has of the machine. Raises ClusterError where something is missing, came twice or in another order, SpillError,
    MemoryLimitError, CapacityError, and of states StateError and SourceError.
    """
    plan = make_plan(
        cores=1, memory_used=memory_bytes_now(),
        memory_limit=memory_limit or default_memory_limit() // available_cores(),
        memory_reserved=SNAPSHOT_BYTES if begin_with or save_in else 0,
    )  # fmt: skip
    books = Books(plan, keep_statuses=keep_statuses, spill_folder=spill_folder)
    writer: SnapshotWriter | None = None
    try:
        reduction = Reduction(books, Slices(pieces, ranges, shard, shards), shard)
        if begin_with is not None:
            reduction.begin_with(Snapshot(*begin_with).of_shard(shard, shards))
        if save_in is not None and os.path.isdir(save_in):
            # Each attempt has a folder of its own, so that those at a task that is tried twice do not meet.
            writer = SnapshotWriter(os.path.join(save_in, f"shard-{shard}-{secrets.token_hex(8)}"))
        yield from reduction.settle(writer)
    finally:
        if writer is not None:
            writer.close()
        books.close()


class Reduction:
    """How a shard is settled."""

    def __init__(self, books: Books, slices: Slices, shard: int) -> None:
        self._books = books
        self._slices = slices
        self._shard = shard
        self._late: LateRows | None = None
        self._restored = (0, 0, 0)

    def begin_with(self, snapshot: Snapshot) -> None:
        """Begin with what is there of the shard."""
        self._books.restore(snapshot)
        self._restored = snapshot.restored

    def settle(self, writer: SnapshotWriter | None) -> Iterator[Run | Statuses | Summary]:
        """Iterate what comes of it, the summary last."""
        for number, readinto in enumerate(self._slices):
            statuses = self._apply(number, readinto)
            if statuses is not None:
                yield self._packed(number, statuses)
        accounts = self._books.collect(None if writer is None else writer.add)
        if self._late is not None:
            for number, late_statuses in self._late.settled():
                yield self._packed(number, late_statuses)
        runs = 0
        for content in runs_of(accounts.chunks()):
            yield Run(self._shard, runs, content)
            runs += 1
        yield Summary(
            self._shard, tuple(self._books.counts()), len(accounts), accounts.locked_count, accounts.available_units,
            accounts.held_units, self._books.spilled_bytes, runs, self._restored,
            None if writer is None else {"folder": os.path.basename(writer.folder), **writer.finish_files()},
        )  # fmt: skip

    def _packed(self, number: int, statuses: bytearray) -> Statuses:
        return Statuses(self._shard, number, zlib.compress(statuses, STATUS_LEVEL) if any(statuses) else b"")

    def _apply(self, number: int, readinto: Callable[[memoryview], int]) -> bytearray | None:
        """Apply a slice; return what became of its rows, where that is wanted and all of it is known."""
        reader = SliceReader(readinto)
        batch = TransactionBatch()
        statuses = bytearray()
        rows = rows_late = 0
        while reader.fill(batch):
            self._books.apply(batch, 0)
            rows += len(batch)
            if not self._books.keep_statuses:
                continue
            if batch.unsettled_shards:
                self._late = self._late or LateRows(self._books)
                self._late.add(batch)
                rows_late += len(batch)
            else:
                statuses += statuses_of(batch)
        if rows != self._slices.rows:
            raise ClusterError(
                f"shard {self._shard}, range {number}: {rows} rows came, and {self._slices.rows} were sent; nothing is "
                f"put out"
            )
        if self._late is not None and rows_late:
            self._late.end_range(number, statuses, rows_late)
        return statuses if self._books.keep_statuses and not rows_late else None


class LateRows:
    """Rows that went to disk: kept there once more, in their order, until it is known what became of them."""

    def __init__(self, books: Books) -> None:
        spill = books.spills[0]
        assert spill is not None, "rows went to disk"
        self._spill = spill
        self._stream = stream = spill.stream()
        self._rows = Partitions(1, PIECE_BYTES_MIN, lambda _, view: stream.write(view), by_shard=True)
        # Of each range, what became of the rows before these, and how many these are.
        self._ranges: list[tuple[int, bytearray, int]] = []

    def add(self, batch: TransactionBatch) -> None:
        """Keep a batch's rows."""
        self._rows.add_rows(batch)

    def end_range(self, number: int, statuses: bytearray, rows: int) -> None:
        """Note of which range the last rows were, behind others of which is known what became of them."""
        self._ranges.append((number, statuses, rows))

    def settled(self) -> Iterator[tuple[int, bytearray]]:
        """Iterate ranges, and what became of all their rows, once all are settled."""
        self._rows.finish()
        settled = self._spill.statuses()
        reader = SliceReader(self._stream.reader())
        batch = TransactionBatch()
        for number, statuses, rows in self._ranges:
            while rows and reader.fill(batch, rows):
                rows -= len(batch)
                settled.fill(batch)
                statuses += statuses_of(batch)
            yield number, statuses


def runs_of(chunks: Iterable[AccountColumns]) -> Iterator[bytes]:
    """Iterate accounts as runs of about RUN_BYTES."""
    run = bytearray()
    for block in chain.from_iterable(map(run_blocks, chunks)):
        run += block
        if len(run) >= RUN_BYTES:
            yield bytes(run)
            run.clear()
    if run:
        yield bytes(run)


# ---- Rejects ---------------------------------------------------------------------------------------


def reject_block(
    part: Range, first_line: int, shards: int, statuses: Iterable[Statuses]
) -> Iterator[tuple[str, TransactionBatch]]:
    """Read a range once more; iterate the arguments for the writers of rejects: the input's name, and a batch with the
    status of each row.

    `statuses` are those of all shards, one each. Raises ClusterError where they are not, InputError where they do not
    fit the rows, and SourceError.
    """
    known: dict[int, memoryview | None] = {}
    for each in statuses:
        if each.range != part.number or each.shard in known:
            raise ClusterError(f"range {part.number}: the statuses of range {each.range}, shard {each.shard} came")
        known[each.shard] = memoryview(zlib.decompress(each.content)) if each.content else None
    if sorted(known) != list(range(shards)):
        raise ClusterError(f"range {part.number}: the statuses of {len(known)} of {shards} shards came")
    next_line = first_line
    reader = RangeReader(part, keep_text=True)
    for batch in reader:
        next_line = batch.number_lines(next_line)
        if batch.header is None:  # so far there were blank lines
            continue
        route(batch, shards)
        for shard in range(shards):
            rows = batch.shard_rows(shard)
            found = known[shard]
            if found is None:
                set_statuses(batch, shard, bytes(rows))
                continue
            if len(found) < rows:
                raise was_changed(part.name)
            set_statuses(batch, shard, found[:rows])
            known[shard] = found[rows:]
        yield part.name, batch
    if any(known.values()):
        raise was_changed(part.name)
