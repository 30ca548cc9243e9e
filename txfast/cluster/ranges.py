"""What map tasks read: inputs cut into ranges of bytes, and how a range is read, wherever it begins.

A task owns the lines that begin in its range. This module must not know what becomes of rows, nor an engine.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import RawIOBase
from itertools import chain, count, islice, pairwise, repeat

from txfast.batch.batch import TransactionBatch
from txfast.batch.header import Header
from txfast.errors import ClusterError, InputError, SourceError
from txfast.input.compression import DecompressedFile
from txfast.input.location import RemoteFile, location_version
from txfast.input.open import bytes_source, open_source
from txfast.input.position import TABLE_ENDING, Consumption, Place, go_on, late_ending
from txfast.input.ref import STANDARD_INPUT, display_name, is_location, resolve
from txfast.input.source import CSV, Source
from txfast.readers.csv import CsvReader
from txfast.readers.table import TableReader

TYPE_CHECKING = False  # a constant that type checkers know
if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Of a plain CSV file; some ranges for each core keep all of them busy to the end.
RANGE_BYTES = 64 << 20
CUTTING_THREADS = 16
# Some, so that none waits long for the last; not many, since each costs an engine some milliseconds.
TASKS_PER_CORE = 4
# What is looked through at once for where a line begins.
PROBE_BYTES = 1 << 16
# Of a reader's batch: what txfast itself reads of large files.
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Range:
    """Some bytes of an input: the lines that begin in them, `end` not among them; or all of it, where that is None.

    `number` counts all ranges in the order of the inputs. `header` is the line that names the columns, of what is a
    range of bytes. `version` tells whether a file has changed since it was first looked at.

    `lines_before` counts the lines in front of an input's first range, the header among them, and `bytes_skipped` what
    an earlier run has read. With a state an input has a `key`, by which it is known from run to run, and `place` is
    where its first range begins, or the place up to which an earlier run has read an input that is one range; `is_over`
    says that there is nothing left.
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
    bytes_skipped: int = 0
    key: str = ""
    place: Place | None = None
    is_over: bool = False


@dataclass(frozen=True)
class Extent:
    """The bytes of a file from `start` to `end`."""

    path: str
    start: int
    end: int


# ---- Cutting ---------------------------------------------------------------------------------------


def cut_inputs(names: Sequence[str], range_bytes: int = RANGE_BYTES) -> list[Range]:
    """Cut inputs, in this order, into ranges of about so many bytes; what is compressed or a table is one range.

    Raises InputError where one is no transactions file, SourceError where it cannot be read.
    """
    return cut(look_at_inputs(names), range_bytes)


def look_at_inputs(names: Sequence[str], *, followed: bool = False) -> list[Range]:
    """Inputs as one range each, not read yet; `followed` for a state, where one that is named twice is then over.

    Raises SourceError.
    """
    with ThreadPoolExecutor(CUTTING_THREADS) as pool:
        inputs = list(pool.map(look_at, count(), names, repeat(followed)))
    seen: set[str] = set()
    for number, whole in enumerate(inputs):
        if whole.key in seen:
            inputs[number] = replace(whole, is_over=True)
        elif followed:
            seen.add(whole.key)
    return inputs


def look_at(number: int, name: str, followed: bool) -> Range:
    """The input of this number among all."""
    path = name if is_location(name) else absolute(name)
    if name == STANDARD_INPUT or (os.path.exists(path) and not os.path.isfile(path)):
        raise SourceError(f"{display_name(name)}: is no file that a cluster could read: name files or locations")
    key = input_key(name) if followed else ""
    return Range(number, number, display_name(name), path, version=version_of(path), key=key)


def absolute(path: str) -> str:
    """A path that holds wherever a process is. It is not made shorter: what is behind `..` only the system knows."""
    return os.path.join(os.getcwd(), path)


def input_key(name: str) -> str:
    """By what an input is known from run to run. Raises SourceError."""
    return resolve(name).key()


def cut(inputs: Sequence[Range], range_bytes: int) -> list[Range]:
    """Cut inputs that were looked at: from their places on, before which they must be what they were."""
    if range_bytes < 1:
        raise ValueError(f"ranges of {range_bytes} bytes hold nothing")
    # Far away, each takes some round trips.
    with ThreadPoolExecutor(CUTTING_THREADS) as pool:
        parts = chain.from_iterable(pool.map(cut_input, inputs, repeat(range_bytes)))
        return [replace(part, number=number) for number, part in enumerate(parts)]


def cut_input(whole: Range, range_bytes: int) -> list[Range]:
    """Cut one input; its ranges have no numbers yet."""
    if whole.is_over:
        return [whole]
    source = open_input(whole)
    try:
        if not is_cuttable(source):
            return [whole]
        size = source.size_bytes or 0
        if whole.place is None:
            header, first, lines = find_header(source, whole.name)
            place = header_place(source, header, first, lines) if whole.key else None
            skipped = 0
        else:
            place = behind_ending(source, whole.place)
            header, first, lines, skipped = place.header, place.offset_bytes, place.lines, place.offset_bytes
        return [
            replace(
                whole, start=start, end=min(start + range_bytes, size), size_bytes=size, header=header,
                lines_before=lines if start == first else 0, bytes_skipped=skipped,
                place=place if start == first else None,
            )
            for start in range(first, max(size, first + 1), range_bytes)
        ]  # fmt: skip
    finally:
        source.close()


def prefix_of(whole: Range, place: Place) -> list[Extent] | None:
    """What is to be hashed for an input to be read on from a place, in its parts; none where it cannot be the same any
    more, and None where only whoever reads it can tell. Raises SourceError."""
    source = open_input(whole)
    try:
        if not is_cuttable(source):
            return None
        if place.ending == TABLE_ENDING or (source.size_bytes or 0) < place.offset_bytes:
            return []
        ends = [0, *(end for end, _ in place.all_parts)]
        return [Extent(whole.path, start, end) for start, end in pairwise(ends)]
    finally:
        source.close()


def hash_extent(extent: Extent) -> str:
    """The xxh3-128 of an extent, as 32 hexadecimal digits. Raises SourceError, and ClusterError where its file has not
    so many bytes here: whoever asks has seen them."""
    from xxhash import xxh3_128

    digest = xxh3_128()
    # As bytes, whatever they look like.
    source = bytes_source(extent.path)
    try:
        offset = extent.start
        for block in source.blocks(extent.start, extent.end):
            digest.update(block)
            offset += len(block)
    finally:
        source.close()
    if offset != extent.end:
        raise ClusterError(
            f"{source.name}: ends at byte {offset} where a worker sees it, and at {extent.end} or later where "
            f"the run was started: it was changed, or the two do not reach the same file; nothing is put out"
        )
    return digest.hexdigest()


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


def open_input(part: Range) -> Source:
    """Open the input of a range, by the name that its user gave it. Raises SourceError."""
    source = open_source(part.path)
    source.name = part.name
    return source


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
    text = source.read_at(start, block.offset_bytes - start + 1)
    endings = islice(re.finditer(b"\r\n|\n|\r", text), batch.lines_before - 1, None)
    header_ending = next(endings, None)
    return reader.header.line, start + (len(text) if header_ending is None else header_ending.end()), lines


def header_place(source: Source, header: bytes, first: int, lines: int) -> Place:
    """The place behind a header, behind which the first line begins."""
    consumption = Consumption()
    for block in source.blocks(0, first):
        consumption.advance(block)
    if consumption.offset_bytes != first:
        raise was_changed(source.name)
    return consumption.place(lines, header)


def behind_ending(source: Source, place: Place) -> Place:
    """The place behind an ending that the last line before it has got since. Raises as `late_ending`."""
    ending = late_ending(source.name, place, source.read_at(place.offset_bytes, 2))
    if not ending:
        return place
    consumption = Consumption()
    consumption.advance(ending)
    return place_behind(place, [consumption.place(0, place.header)])


def place_behind(place: Place, pieces: Iterable[Place]) -> Place:
    """The place in an input where more of it ends, of pieces which were counted by themselves, and hashed."""
    offset, lines, ending = place.offset_bytes, place.lines, place.ending
    parts = list(place.all_parts)
    for piece in pieces:
        if piece.offset_bytes:
            offset += piece.offset_bytes
            lines += piece.lines
            ending = piece.ending
            parts.append((offset, piece.digest))
    return Place(offset, lines, parts[-1][1], ending, place.header, tuple(parts[:-1]))


def version_of(path: str) -> str:
    """What changes when a file does, as far as its system says."""
    if is_location(path):
        return location_version(path)
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"


def line_start(source: Source, offset: int, limit: int | None = None) -> int:
    """Where the first line begins at an offset or behind it: LF, CR LF and a lone CR end a line.

    With a `limit`, somewhere behind that where none begins before it: it is looked no further.
    """
    size = source.size_bytes or 0
    if offset <= 0:
        return 0
    place = offset - 1
    while place < (size if limit is None else min(size, limit)):
        block = source.read_at(place, PROBE_BYTES)
        if not block:
            break
        found = min((at for at in (block.find(b"\n"), block.find(b"\r")) if at >= 0), default=-1)
        if found < 0:
            place += len(block)
            continue
        end = place + found + 1
        if block[found : found + 1] == b"\r" and source.read_at(end, 1) == b"\n":
            end += 1
        return max(end, offset)
    return size


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
            raise was_changed(self._source.name)
        self._bytes_left -= count
        return count


class RangeReader:
    """Reads a range: iterate its batches, scanned, in their order; each is good until the next.

    With `keep_text` rows can be reported. `lines_before` are those of an input that is one range, which an earlier run
    has read. Raises InputError and SourceError.
    """

    def __init__(self, part: Range, *, keep_text: bool = False) -> None:
        self._part = part
        self._keep_text = keep_text
        self._reader: CsvReader | TableReader | None = None
        self._consumption: Consumption | None = None
        self.lines_before = 0
        self.bytes_read = 0

    @property
    def header(self) -> Header | None:
        """The header, once it was read."""
        return None if self._reader is None else self._reader.header

    def place(self, lines: int) -> Place | None:
        """The place where it ends, behind so many lines, and counted from where it begins; None where that is not
        followed."""
        consumption, header = self._consumption, self.header
        if not self._part.key or consumption is None or header is None:
            return None
        blank_lines = consumption.finish()
        return consumption.place(self.lines_before + lines - blank_lines, header.line)

    def __iter__(self) -> Iterator[TransactionBatch]:
        if self._part.is_over:
            return
        self._check_unchanged()
        source = open_input(self._part)
        batch = TransactionBatch()
        try:
            source = self._begin(source)
            reader = self._make_reader(source)
            self._reader = reader
            while reader.fill(batch):
                reader.scan(batch)
                self.bytes_read = reader.bytes_read
                yield batch
            self.bytes_read = reader.bytes_read
            self._check_unchanged()
        finally:
            source.close()

    def _begin(self, source: Source) -> Source:
        """Come to where the range begins."""
        part = self._part
        if part.end is not None:
            if not is_cuttable(source) or source.size_bytes != part.size_bytes:
                raise was_changed(part.name)
            assert part.header is not None
            self._consumption = Consumption()
            self._consumption.header = part.header
        elif part.key:
            self._consumption = Consumption()
            if part.place is not None:
                opened = go_on(source, part.place)
                if opened is not None:
                    source, self._consumption = opened
                    self.lines_before = self._consumption.lines
                else:
                    source = open_input(part)
        return source

    def _make_reader(self, source: Source) -> CsvReader | TableReader:
        part = self._part
        if part.end is not None:
            start = line_start(source, part.start, part.end)
            end = line_start(source, part.end) if start < part.end else start
            return CsvReader(Slab(source, start, end), part.name, BLOCK_BYTES, self._consumption)
        if source.kind == CSV:
            return CsvReader(source.file, part.name, BLOCK_BYTES, self._consumption)
        return TableReader(source, self._consumption, keep_text=self._keep_text)

    def _check_unchanged(self) -> None:
        if version_of(self._part.path) != self._part.version:
            raise was_changed(self._part.name)


def was_changed(name: str) -> InputError:
    return InputError(f"{name}: was changed while it was read")
