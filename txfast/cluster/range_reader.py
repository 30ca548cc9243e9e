"""Reads a range, wherever it begins: a task owns the rows that begin in its range.

Whether a line begins a row depends on the quotes before it. So a task reads from LOOK_BACK_BYTES before its range on,
or from farther back until the text leaves no doubt. It reports where its first row begins and where the first one
behind its range does: the driver checks that they fit together (figures.py).

This module must not know what becomes of rows, nor an engine.
"""

from collections.abc import Iterator
from io import RawIOBase
from typing import TYPE_CHECKING

from txfast.batch.batch import TransactionBatch
from txfast.batch.header import Header
from txfast.cluster.ranges import Range, is_cuttable, open_range_input, version_of
from txfast.cluster.sent_dialect import dialect_in, own_dialect
from txfast.errors import HeaderError
from txfast.input.encoding import tell_encoding
from txfast.input.first_bytes import BYTE_ORDER_MARK
from txfast.input.last_line import LastRow
from txfast.input.location import RemoteFile
from txfast.input.open_field import DECIDED_BYTES
from txfast.input.position import Consumption, Position, go_on
from txfast.input.source import HOLD, JSON_LINES, TEXT_KINDS, Source, was_changed
from txfast.readers.allowance import Allowance
from txfast.readers.csv import CsvReader
from txfast.readers.json_lines import JsonLinesReader
from txfast.readers.row_search import RowSearch
from txfast.readers.table import TableReader
from txfast.readers.text_reader import TextReader
from txfast.run.machine import available_cores, default_memory_limit
from txfast.run.plan import BYTES_PER_TABLE_BYTE

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Bytes that are searched at once for the end of a line.
PROBE_BYTES = 1 << 16
# To find a range's first row, a search begins so many bytes before the range. If the text there leaves it in doubt, the
# search begins again, this many times as far back. It is in doubt where quotes and line endings look the same inside
# fields and between them.
LOOK_BACK_BYTES = 1 << 16
LOOK_BACK_FACTOR = 8
# The size of the reader's blocks, as for large files on one machine.
BLOCK_BYTES = 1 << 20


def line_start(source: Source, offset: int, limit: int | None = None) -> int:
    """Where the first line begins at an offset or after it: LF, CR LF and a lone CR end a line.

    The search stops at a `limit`: if no line begins before it, any offset from the limit on is returned.
    """
    size = source.size_bytes or 0
    if offset <= 0:
        return 0
    searched = offset - 1
    stop = size if limit is None else min(size, limit)
    while searched < stop:
        block = source.read_at(searched, PROBE_BYTES)
        if not block:
            break
        found = min((at for at in (block.find(b"\n"), block.find(b"\r")) if at >= 0), default=-1)
        if found < 0:
            searched += len(block)
            continue
        end = searched + found + 1
        if block[found : found + 1] == b"\r" and source.read_at(end, 1) == b"\n":
            end += 1
        return max(end, offset)
    return size


def first_row(source: Source, part: Range) -> int | None:
    """Where the first row begins in a range that is not the first of its input; None if none begins in it.

    A line some way before the range begins a row, or is inside a quoted field. The search tries both; if they lead to
    different rows, it begins again farther back. Where the rows begin, only the first is possible. A line of JSON lines
    always begins a row, and so does one of a dialect without quotes.
    """
    assert part.end is not None
    dialect = dialect_in(part.dialect)
    if source.kind == JSON_LINES or (dialect is not None and dialect.part("quote") == "none"):
        line = line_start(source, part.start, part.end)
        return line if line < part.end else None
    bytes_back = LOOK_BACK_BYTES
    while True:
        is_start = part.start - bytes_back <= part.rows_begin
        line = part.rows_begin if is_start else line_start(source, part.start - bytes_back, part.end)
        if line >= part.end:
            return None
        row = search_row(source, part, line, in_quotes=False)
        if is_start or search_row(source, part, line, in_quotes=True) in (None, row):
            return row if row is not None and row < part.end else None
        bytes_back *= LOOK_BACK_FACTOR


def search_row(source: Source, part: Range, line: int, *, in_quotes: bool) -> int | None:
    """Where the first row begins in a range, or its end, if the line at an earlier offset begins a row or, `in_quotes`,
    is inside a quoted field; None where the text says that it is not."""
    assert part.end is not None
    place = line
    if place == 0 and source.read_at(0, len(BYTE_ORDER_MARK)) == BYTE_ORDER_MARK:
        place = len(BYTE_ORDER_MARK)
    first_place = place
    assert part.header is not None
    header = Header(part.header, part.name, dialect=dialect_in(part.dialect))
    search = RowSearch(part.start - place, header, in_quotes=in_quotes, holds_open=part.last_line == HOLD)
    byte_count = min(max(0, part.start - place) + PROBE_BYTES, max(BLOCK_BYTES, DECIDED_BYTES))
    while search.found is None and not search.is_impossible:
        text = source.read_at(place, byte_count)
        done = search.search(text, is_whole=place + len(text) >= (source.size_bytes or 0))
        place += done
        if not done:
            byte_count = DECIDED_BYTES  # of a quoted field
        elif done == len(text) and place >= part.end:
            return part.end
    return None if search.found is None else min(first_place + search.found, part.end)


class RangeFile(RawIOBase):
    """The bytes of a source from `start` to `end`, as a raw file. It moves the source's own file."""

    def __init__(self, source: Source, start: int, end: int) -> None:
        self._source = source
        self._bytes_left = end - start
        file = source.file
        (file.native if isinstance(file, RemoteFile) else file).seek(start)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Read as a raw file does. Raises OSError, and InputError if the source has become shorter."""
        view = memoryview(buffer).cast("B")[: self._bytes_left]
        count = self._source.file.readinto(view) or 0 if view else 0
        if len(view) and not count:
            raise was_changed(self._source.name)
        self._bytes_left -= count
        return count


class RangeReader:
    """Reads a range: iterate its batches, scanned, in order. Each batch is valid until the next one.

    With `keep_text` rows can be reported. Of an input that is one range, `lines_before` counts the lines that earlier
    runs have read, and `starts_anew` says that its bytes have changed since, so that all of it is read. Raises
    InputError and SourceError.
    """

    def __init__(self, part: Range, *, keep_text: bool = False) -> None:
        self._part = part
        self._keep_text = keep_text
        self.dialect = own_dialect(part.dialect)
        self._reader: TextReader | TableReader | None = None
        self._consumption: Consumption | None = None
        self.lines_before = 0
        self.starts_anew = False
        self.bytes_read = 0
        self.held_bytes = 0  # at the end: of a last row that is held back
        self.held_in_quotes = False
        # Where its first row begins, and the first one behind it, of an input that is cut.
        self.begin: int | None = None
        self.end: int | None = None
        self._last_row: LastRow | None = None

    @property
    def header(self) -> Header | None:
        """The header, once it was read."""
        return None if self._reader is None else self._reader.header

    def position(self, lines: int) -> Position | None:
        """Where the range ends, `lines` lines after its start; None without a state."""
        consumption, header = self._consumption, self.header
        if not self._part.key or consumption is None or header is None:
            return None
        blank_lines = consumption.finish()
        return consumption.position(self.lines_before + lines - blank_lines, header.line)

    def __iter__(self) -> Iterator[TransactionBatch]:
        if self._part.is_over:
            return
        self._check_unchanged()
        source = open_range_input(self._part)
        batch = TransactionBatch()
        try:
            source = self._begin(source)
            reader = self._make_reader(source)
            self._reader = reader
            while reader.fill(batch):
                reader.scan(batch)
                self.bytes_read = reader.bytes_read
                yield batch
            self.bytes_read, self.held_bytes = reader.bytes_read, reader.held_bytes
            self.held_in_quotes = self._last_row is not None and self._last_row.in_quotes
            if self.begin is not None and isinstance(reader, TextReader):
                self.end = self.begin + reader.bytes_taken + reader.held_bytes
            self._check_unchanged()
        except HeaderError as error:
            tell_encoding(error, source.file)
            raise
        finally:
            source.close()

    def _begin(self, source: Source) -> Source:
        """Prepare the consumption; return the source, past the bytes that earlier runs have read."""
        part = self._part
        if part.end is not None:
            if not is_cuttable(source) or source.size_bytes != part.size_bytes:
                raise was_changed(part.name)
            assert part.header is not None
            self._consumption = Consumption()
            # At the start of an input, where JSON lines may have a range, no header was read.
            self._consumption.header = part.header if part.start else None
        elif part.key:
            self._consumption = Consumption()
            if part.position is not None:
                opened = go_on(source, part.position, None if self.dialect is None else self.dialect.delimiter)
                if opened is not None:
                    source, self._consumption = opened
                    self.lines_before = self._consumption.lines
                else:
                    source = open_range_input(part)
                    self.starts_anew = True
        return source

    def _make_reader(self, source: Source) -> CsvReader | JsonLinesReader | TableReader:
        part = self._part
        dialect = self.dialect
        make_reader = JsonLinesReader if source.kind == JSON_LINES else CsvReader
        last_row = self._last_row = LastRow(source, part.last_line)
        if part.end is not None:
            # The first range of an input has the lines before it, and begins with a row.
            self.begin = part.start if part.begins_input else first_row(source, part)
            begin = part.end if self.begin is None else self.begin
            return make_reader(
                RangeFile(source, begin, source.size_bytes or 0),
                part.name,
                BLOCK_BYTES,
                self._consumption,
                last_row,
                part.end - begin,
                dialect=dialect,
            )
        if source.kind in TEXT_KINDS:
            return make_reader(source.file, part.name, BLOCK_BYTES, self._consumption, last_row, dialect=dialect)
        allowance = Allowance(default_memory_limit() // available_cores() // BYTES_PER_TABLE_BYTE)
        return TableReader(source, self._consumption, keep_text=self._keep_text, allowance=allowance, dialect=dialect)

    def _check_unchanged(self) -> None:
        if version_of(self._part.path) != self._part.version:
            raise was_changed(self._part.name)
