"""The work of a cluster, which knows no engine: `cut_inputs` into ranges, `map_block` each of them, `reduce_shard` what
that gave for each shard, and where rejects are wanted `reject_block` each range once more.

A map task gives every shard one *slice*: the rows of its clients, in the compact form in which rows go to disk too.
Large slices come in pieces. What a shard's reducer is given says of itself what it is, so that it can tell whether
anything is missing, came twice or out of order: no engine is trusted with that.

Ranges and reports are plain values that can be pickled. All of it runs in any process that has txfast and reaches the
inputs; relative paths are made absolute when inputs are cut.
"""

import os
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import RawIOBase
from itertools import chain, count, islice, repeat

from txfast.batch import TransactionBatch
from txfast.errors import ClusterError, InputError, SourceError
from txfast.ledger.columns import AccountColumns
from txfast.ledger.ledger import route
from txfast.machine import available_cores, default_memory_limit
from txfast.pipeline import Replay
from txfast.read.compression import DecompressedFile
from txfast.read.consumed import Consumption
from txfast.read.location import RemoteFile
from txfast.read.row import MALFORMED_REASONS, Header
from txfast.read.scan import CsvReader
from txfast.read.source import CSV, STANDARD_INPUT, Source, display_name, is_location, open_source
from txfast.read.table import TableReader
from txfast.state.runs import run_blocks
from txfast.state.slices import Partitions, SliceReader
from txfast.state.statuses import set_statuses, statuses_of

TYPE_CHECKING = False  # a constant that type checkers know
if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Of a plain CSV file; some ranges for each core keep all of them busy to the end.
RANGE_BYTES = 64 << 20
SHARDS_MAX = 1 << 16
CUTTING_THREADS = 16
# Some, so that none waits long for the last; not many, since each costs an engine some milliseconds.
TASKS_PER_CORE = 4
# What is looked through at once for where a line begins.
PROBE_BYTES = 1 << 16
# Of a reader's batch: what txfast itself reads of large files.
BLOCK_BYTES = 1 << 20
# What a map task keeps of all slices together, and of one at least and at most, before it gives out a piece.
SLICES_BYTES = 64 << 20
PIECE_BYTES_MIN, PIECE_BYTES_MAX = 1 << 12, 1 << 22
# Before each piece: what this is, range, number of the piece, shard, of how many, whether it is the slice's last, and
# the rows of the whole slice then.
PIECE = struct.Struct("<4sQQII?Q")
MAGIC = b"txs1"
# Of accounts that are handed over at once, but for what is left.
RUN_BYTES = 1 << 20
# A byte for each row compresses well, since nearly all are the same.
STATUS_LEVEL = 1


@dataclass(frozen=True)
class Range:
    """Some bytes of an input: the lines that begin in them, `end` not among them; or all of it, where that is None.

    `number` counts all ranges in the order of the inputs. `header` is the line that names the columns, of what is a
    range of bytes; `lines_before` counts it and the lines in front of it, for the first range. `version` tells whether
    a file has changed.
    """

    number: int
    input: int
    name: str
    path: str
    start: int = 0
    end: int | None = None
    size_bytes: int | None = None
    header: bytes | None = None
    lines_before: int = 0
    version: str = ""


@dataclass(frozen=True)
class Report:
    """What a range held: its number, lines and rows, the malformed ones by their reasons' codes, and its bytes."""

    number: int
    lines: int
    rows: int
    malformed: tuple[int, ...]
    bytes: int


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
    and in how many runs."""

    shard: int
    counts: tuple[int, ...]
    accounts: int
    locked_accounts: int
    available_units: int
    held_units: int
    spilled_bytes: int
    runs: int


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


# ---- Ranges ----------------------------------------------------------------------------------------


def cut_inputs(names: Sequence[str], range_bytes: int = RANGE_BYTES) -> list[Range]:
    """Cut inputs, in this order, into ranges of about so many bytes; what is compressed or a table is one range.

    Raises InputError where one is no transactions file, SourceError where it cannot be read.
    """
    if range_bytes < 1:
        raise ValueError(f"ranges of {range_bytes} bytes hold nothing")
    # Far away, each takes some round trips.
    with ThreadPoolExecutor(CUTTING_THREADS) as pool:
        cut = pool.map(cut_input, count(), names, repeat(range_bytes))
        return [replace(part, number=number) for number, part in enumerate(chain.from_iterable(cut))]


def cut_input(place: int, name: str, range_bytes: int) -> list[Range]:
    """Cut the input at this place among all; its ranges have no numbers yet."""
    path = name if is_location(name) else os.path.abspath(name)
    if name == STANDARD_INPUT or (os.path.exists(path) and not os.path.isfile(path)):
        raise SourceError(f"{display_name(name)}: is no file that a cluster could read: name files or locations")
    whole = Range(0, place, display_name(name), path, version=version_of(path))
    source = open_source(path)
    try:
        if not is_cuttable(source):
            return [whole]
        header, first, lines = find_header(source, whole.name)
        size = source.size_bytes or 0
        return [
            replace(
                whole, start=start, end=min(start + range_bytes, size), size_bytes=size, header=header,
                lines_before=lines if start == first else 0,
            )
            for start in range(first, max(size, first + 1), range_bytes)
        ]  # fmt: skip
    finally:
        source.close()


def in_tasks(ranges: Sequence[Range], cores: int) -> list[list[Range]]:
    """Ranges in their order, put together for as many tasks as keep so many cores busy; large ones stay alone."""
    sizes = [RANGE_BYTES if part.end is None else part.end - part.start for part in ranges]
    wanted = min(RANGE_BYTES, max(1, sum(sizes) // (TASKS_PER_CORE * cores)))
    tasks: list[list[Range]] = []
    filled = wanted
    for part, size in zip(ranges, sizes, strict=True):
        if filled >= wanted:
            tasks.append([])
            filled = 0
        tasks[-1].append(part)
        filled += size
    return tasks


def is_cuttable(source: Source) -> bool:
    """Whether an input can be read from the middle on."""
    return source.kind == CSV and source.size_bytes is not None and not isinstance(source.file, DecompressedFile)


def find_header(source: Source, name: str) -> tuple[bytes, int, int]:
    """The header line of a file, where the line after it begins, and how many lines there are before that."""
    # The reader says what a header is, and what is wrong with one; the consumption, where its block is.
    block = Consumption()
    reader = CsvReader(source.file, name, consumption=block)
    batch = TransactionBatch()
    start = lines = 0
    while reader.header is None:
        start = block.offset_bytes
        lines += batch.lines_before + batch.lines
        reader.fill(batch)
    lines += batch.lines_before
    # With one more byte, which may be the other half of an ending.
    text = read_at(source, start, block.offset_bytes - start + 1)
    endings = islice(re.finditer(b"\r\n|\n|\r", text), batch.lines_before - 1, None)
    header_ending = next(endings, None)
    return reader.header.line, start + (len(text) if header_ending is None else header_ending.end()), lines


def version_of(path: str) -> str:
    """What changes when a file does, as far as its system says; nothing of a location."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"


def line_start(source: Source, offset: int) -> int:
    """Where the first line begins at an offset or behind it: LF, CR LF and a lone CR end a line."""
    size = source.size_bytes or 0
    if offset <= 0:
        return 0
    place = offset - 1
    while place < size:
        block = read_at(source, place, PROBE_BYTES)
        if not block:
            break
        found = min((at for at in (block.find(b"\n"), block.find(b"\r")) if at >= 0), default=-1)
        if found < 0:
            place += len(block)
            continue
        end = place + found + 1
        if block[found : found + 1] == b"\r" and read_at(source, end, 1) == b"\n":
            end += 1
        return max(end, offset)
    return size


def read_at(source: Source, offset: int, count: int) -> bytes:
    """Up to so many bytes of a file, from there on. Raises SourceError."""
    try:
        if isinstance(source.file, RemoteFile):
            return bytes(source.file.native.read_at(count, offset))
        return os.pread(source.file.fileno(), count, offset)
    except OSError as error:
        raise SourceError(f"{source.name}: cannot be read: {error.strerror or error}") from error


class Slab(RawIOBase):
    """The bytes of a file between two places, as a file, before anything else is read of it."""

    def __init__(self, source: Source, start: int, end: int) -> None:
        self._source = source
        self._bytes_left = end - start
        file = source.file
        (file.native if isinstance(file, RemoteFile) else file).seek(start)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """As a raw file does it. Raises OSError, and InputError where bytes are gone."""
        view = memoryview(buffer).cast("B")[: self._bytes_left]
        count = self._source.file.readinto(view) or 0 if view else 0
        if len(view) and not count:
            raise InputError(f"{self._source.name}: was changed while it was read")
        self._bytes_left -= count
        return count


class RangeReader:
    """Reads a range: iterate its batches, scanned, in their order; each is good until the next.

    With `keep_text` rows can be reported. Raises InputError and SourceError.
    """

    def __init__(self, part: Range, *, keep_text: bool = False) -> None:
        self._part = part
        self._source = open_source(part.path)
        self._source.name = part.name
        self.bytes_read = 0
        try:
            self.reader = self._make_reader(part, keep_text)
        except BaseException:
            self._source.close()
            raise

    def _make_reader(self, part: Range, keep_text: bool) -> CsvReader | TableReader:
        source = self._source
        self._check_unchanged()
        if part.end is not None:
            if not is_cuttable(source) or source.size_bytes != part.size_bytes:
                raise changed(part)
            start, end = line_start(source, part.start), line_start(source, part.end)
            assert part.header is not None
            inside = Consumption()  # which tells the reader that it begins behind a header
            inside.header = Header(part.header, part.name)
            return CsvReader(Slab(source, start, max(start, end)), part.name, BLOCK_BYTES, inside)
        if source.kind == CSV:
            return CsvReader(source.file, part.name, BLOCK_BYTES)
        return TableReader(source, keep_text=keep_text)

    def _check_unchanged(self) -> None:
        if version_of(self._part.path) != self._part.version:
            raise changed(self._part)

    def __iter__(self) -> Iterator[TransactionBatch]:
        batch = TransactionBatch()
        try:
            while self.reader.fill(batch):
                self.reader.scan(batch)
                self.bytes_read = self.reader.bytes_read
                yield batch
            self.bytes_read = self.reader.bytes_read
            self._check_unchanged()
        finally:
            self._source.close()


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
    yield Report(part.number, lines, rows, tuple(malformed), reader.bytes_read)


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


class KeepStatuses:
    """In place of rejects: has a replay say what became of each row, though nobody is told yet."""

    def add(self, file: str, batch: TransactionBatch, header: Header) -> None:
        """Nothing is added: a shard's rows have no text."""


def reduce_shard(
    pieces: Iterable[bytes],
    ranges: int,
    shard: int,
    shards: int,
    *,
    keep_statuses: bool = False,
    memory_limit: int | None = None,
    spill_folder: str | None = None,
) -> Iterator[Run | Statuses | Summary]:
    """Settle a shard: the contents of all its pieces, range by range, give its accounts in runs, a summary in the end,
    and with `keep_statuses` what became of its rows.

    Under a `memory_limit`, of bytes for the whole process, what does not fit goes to disk; by default it is what each
    core has of the machine. Raises ClusterError where something is missing, came twice or in another order, SpillError,
    MemoryLimitError and CapacityError.
    """
    replay = Replay(
        rejects=KeepStatuses() if keep_statuses else None, threads=1,
        memory_limit=memory_limit or default_memory_limit() // available_cores(), spill_folder=spill_folder,
    )  # fmt: skip
    try:
        yield from Reduction(replay, Slices(pieces, ranges, shard, shards), shard, keep_statuses).settle()
    finally:
        replay.close()


class Reduction:
    """How a shard is settled."""

    def __init__(self, replay: Replay, slices: Slices, shard: int, keep_statuses: bool) -> None:
        self._replay = replay
        self._slices = slices
        self._shard = shard
        self._keep_statuses = keep_statuses
        self._late: LateRows | None = None

    def settle(self) -> Iterator[Run | Statuses | Summary]:
        for number, readinto in enumerate(self._slices):
            statuses = self._apply(number, readinto)
            if statuses is not None:
                yield self._packed(number, statuses)
        accounts = self._replay.collect()
        if self._late is not None:
            for number, late_statuses in self._late.settled():
                yield self._packed(number, late_statuses)
        runs = 0
        for content in runs_of(accounts.chunks()):
            yield Run(self._shard, runs, content)
            runs += 1
        yield Summary(
            self._shard, tuple(self._replay.counts()), len(accounts), accounts.locked_count, accounts.available_units,
            accounts.held_units, self._replay.spilled_bytes, runs,
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
            self._replay.apply(batch, 0)
            rows += len(batch)
            if not self._keep_statuses:
                continue
            if batch.unsettled_shards:
                self._late = self._late or LateRows(self._replay)
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
        return statuses if self._keep_statuses and not rows_late else None


class LateRows:
    """Rows that went to disk: kept there once more, in their order, until it is known what became of them."""

    def __init__(self, replay: Replay) -> None:
        spill = replay.spill_of(0)
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
) -> Iterator[tuple[str, Header, TransactionBatch]]:
    """Read a range once more, and iterate what the writers of rejects take: a name, a header, and a batch in which is
    said what became of each row.

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
        header = reader.reader.header
        if header is None:  # so far there were blank lines
            continue
        route(batch, shards)
        for shard in range(shards):
            rows = batch.shard_rows(shard)
            found = known[shard]
            if found is None:
                set_statuses(batch, shard, bytes(rows))
                continue
            if len(found) < rows:
                raise changed(part)
            set_statuses(batch, shard, found[:rows])
            known[shard] = found[rows:]
        yield part.name, header, batch
    if any(known.values()):
        raise changed(part)


def changed(part: Range) -> InputError:
    return InputError(f"{part.name}: was changed while it was read")
