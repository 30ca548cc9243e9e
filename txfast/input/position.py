"""How far an input was consumed: counted and hashed while it is read, so that a later run can continue there.

A run consumes every complete line, and also a last line that has no line ending, unless that line is blank or is held
back (last_line.py). A later run continues with the lines after the position. If it finds that the last line has been
continued, it fails, because the first part was already applied; so it does where a quoted field that was open at the
end is closed now (open_field.py). The hash is xxh3-128 of all decompressed bytes before the position; an input that was
read in several parts at once has one hash for each part. A table is consumed whole, or not at all.

This module must not know what the lines mean, nor where positions are kept. xxhash is imported where something is
hashed.
"""

from txfast.errors import InputError, SourceError, unreadable
from txfast.input.first_bytes import BLANKS, ReplayedFile
from txfast.input.open_field import OpenField
from txfast.input.source import CSV, TEXT_KINDS, Source

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from typing import TypeAlias

    from xxhash import xxh3_128

    # What a Consumption takes back: its hash, offset, ending, last byte, blank rest and open field.
    Mark: TypeAlias = tuple[xxh3_128, int, str, int, tuple[xxh3_128, int, str] | None, OpenField | None]

LF, CR = 0x0A, 0x0D
# Bytes that are read and hashed at once, of an input that is hashed by itself.
HASHED_BLOCK_BYTES = 1 << 20
# The first bytes of an input, whose hash tells quickly that two inputs differ.
HEAD_BYTES = 1 << 16
# How the last line before a position ends ("lf" for CR LF too, "" without an ending), or "table" at the end of a table.
ENDINGS = ("", "lf", "cr", "table")
TABLE_ENDING = ENDINGS[-1]


class Position:
    """A position in an input, between two lines.

    `offset_bytes`, `lines` and `digest` count and hash the bytes before it; `ending` is one of ENDINGS; `header` is the
    input's raw header line. Where the bytes were hashed in parts, `parts` has the end and the digest of each part but
    the last, whose digest is `digest`. `head` is the digest of the first HEAD_BYTES of the input; "" where there are
    fewer, and of a table. Where a quoted field is open at the position, and its lines were read as rows, `open_bytes`
    counts the bytes from its opening quote on: more bytes may yet close it. It is 0 where none is open.
    """

    __slots__ = ("digest", "ending", "head", "header", "lines", "offset_bytes", "open_bytes", "parts")

    def __init__(
        self,
        offset_bytes: int,
        lines: int,
        digest: str,
        ending: str,
        header: bytes,
        parts: "tuple[tuple[int, str], ...]" = (),
        head: str = "",
        open_bytes: int = 0,
    ) -> None:
        self.offset_bytes = offset_bytes
        self.lines = lines
        self.digest = digest
        self.ending = ending
        self.header = header
        self.parts = parts
        self.head = head
        self.open_bytes = open_bytes

    @property
    def all_parts(self) -> "tuple[tuple[int, str], ...]":
        """The end and the digest of each part, the last one too."""
        return (*self.parts, (self.offset_bytes, self.digest))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Position) and all(
            getattr(self, name) == getattr(other, name) for name in self.__slots__
        )

    __hash__ = None  # type: ignore[assignment]  # positions are mutable


class Consumption:
    """Counts and hashes what a reader reads: `advance` over each block of bytes in order, `finish` at the end.

    `header` (the header line) and `lines` are what the reader starts from: None and 0 at the start of an input, else
    those of the position where it continues. The last `tail_bytes` are kept for `go_on_from`: the text of a field that
    is open there.
    """

    __slots__ = (
        "_blank_rest",
        "_hash",
        "_head_hash",
        "_last_byte",
        "_left_open",
        "_open_field",
        "_tail",
        "_tail_bytes",
        "ending",
        "header",
        "lines",
        "offset_bytes",
        "parts",
    )

    def __init__(self, tail_bytes: int = 0) -> None:
        from xxhash import xxh3_128

        self._hash = xxh3_128()
        self._head_hash = xxh3_128()
        self._last_byte = LF
        # Where a line began that has no ending yet and is blank so far: the hash, the offset and the ending there.
        self._blank_rest: tuple[xxh3_128, int, str] | None = None
        # The last bytes that were consumed, so many of them.
        self._tail_bytes = tail_bytes
        self._tail = b""
        # The field that was open when this run began, and is so far; and where one opens that this run leaves open.
        self._open_field: OpenField | None = None
        self._left_open: int | None = None
        self.offset_bytes = 0
        self.parts: tuple[tuple[int, str], ...] = ()
        self.lines = 0
        self.ending = ""
        self.header: bytes | None = None

    @property
    def digest(self) -> str:
        """The hash of the current part so far, as 32 hexadecimal digits."""
        return self._hash.hexdigest()

    def begin_part(self) -> None:
        """At the end of a line: begin a new part."""
        from xxhash import xxh3_128

        self._hash = xxh3_128()

    def advance(self, block: "bytes | bytearray | memoryview") -> None:
        """Consume these bytes too. Raises InputError where they close a field that was open when this run began."""
        if not block:
            return
        if self._tail_bytes:
            self._tail = (self._tail + bytes(block))[-self._tail_bytes :]
        if self._open_field is not None:
            self._open_field = self._open_field.go_on(block)
        if self.offset_bytes < HEAD_BYTES:
            self._head_hash.update(block[: HEAD_BYTES - self.offset_bytes])
        if block[-1] in (LF, CR):
            self._blank_rest = None
            self._hash.update(block)
            self.ending = "lf" if block[-1] == LF else "cr"
        else:
            self._advance_inside_line(bytes(block))
        self.offset_bytes += len(block)
        self._last_byte = block[-1]

    def _advance_inside_line(self, block: bytes) -> None:
        """Hash a block that ends inside a line."""
        start = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
        if start or self._last_byte in (LF, CR):
            self._hash.update(block[:start])
            ending = self.ending
            if start:
                ending = "cr" if block[start - 1] == CR else "lf"
            self._blank_rest = (self._hash.copy(), self.offset_bytes + start, ending)
        if block[start:].strip(BLANKS):
            self._blank_rest = None
        self._hash.update(block[start:])
        self.ending = ""

    def advance_over_table(self, source: Source) -> None:
        """Hash a table's whole file, from its start. Raises SourceError."""
        from xxhash import xxh3_128

        self._hash, self.offset_bytes, self.parts = xxh3_128(), 0, ()
        self.end_table()
        while block := source.read_at(self.offset_bytes, HASHED_BLOCK_BYTES):
            self._hash.update(block)
            self.offset_bytes += len(block)

    def end_table(self) -> None:
        """Note that the consumed bytes are a table, so that their line endings mean nothing."""
        self.ending, self._blank_rest = TABLE_ENDING, None

    def go_on_from(self, name: str, position: Position, delimiter: str | None = None) -> None:
        """Take over what is known at a position in the input of this name, whose bytes were consumed."""
        self.header = position.header
        self.lines = position.lines
        if position.open_bytes:
            self._open_field = open_field_at(name, position, self._tail, delimiter)
            self._tail_bytes = 0

    def leave_open(self, offset_bytes: int) -> None:
        """Note that a quoted field opens at this offset, and is still open at the end of the input."""
        self._left_open = offset_bytes

    def mark(self) -> "Mark":
        """The state here, between two rows, for `go_back`."""
        hash_here = self._hash.copy()
        return hash_here, self.offset_bytes, self.ending, self._last_byte, self._blank_rest, self._open_field

    def go_back(self, mark: "Mark") -> None:
        """Take back what was consumed since the mark: the row after it is held back."""
        self._hash, self.offset_bytes, self.ending, self._last_byte, self._blank_rest, self._open_field = mark

    def finish(self) -> bool:
        """At the end of the input: take back a blank last line without an ending, so that a later run reads it again.
        Return whether there is one.

        Raises InputError where the end closes a field that was open when this run began.
        """
        if self._open_field is not None:
            self._open_field.end()
        if self._blank_rest is None:
            return False
        self._hash, self.offset_bytes, self.ending = self._blank_rest
        self._blank_rest = None
        return True

    def position(self, lines: int, header: bytes) -> Position:
        """The current position, after this many lines."""
        has_head = self.offset_bytes >= HEAD_BYTES and self.ending != TABLE_ENDING
        head = self._head_hash.hexdigest() if has_head else ""
        # Only one is open: the quote that opens another one ends the first.
        opening = self._left_open if self._open_field is None else self._open_field.offset_bytes
        open_bytes = 0 if opening is None else self.offset_bytes - opening
        return Position(self.offset_bytes, lines, self.digest, self.ending, header, self.parts, head, open_bytes)


def go_on(source: Source, position: Position, delimiter: str | None = None) -> tuple[Source, Consumption] | None:
    """Let an open input at its start be read from a position on; None where the bytes before it have changed.

    The input is closed where None is returned or an error raised. Raises SourceError, and InputError where the added
    bytes continue a line that was consumed. The header tells the delimiter where none is given.
    """
    try:
        consumption = Consumption(position.open_bytes)
        if not consume_parts(source, position, consumption):
            source.close()
            return None
        if position.ending == TABLE_ENDING:
            if take(source, 1):
                source.close()
                return None
            consumption.end_table()
        consumption.go_on_from(source.name, position, delimiter)
        if position.ending in ("", "cr"):
            added = take(source, 2)
            ending = late_ending(source.name, position, added)
            consumption.advance(ending)
            source = source_after(source, added, len(ending), position.offset_bytes)
        else:
            size = source.size_bytes
            left = None if size is None else max(size - position.offset_bytes, 0)
            source = Source(source.name, source.file, left, text_kind(source))
    except BaseException:
        source.close()
        raise
    return source, consumption


def open_field_at(name: str, position: Position, text: bytes, delimiter: str | None = None) -> OpenField:
    """The field that is open at a position in the input of this name; `text` is the bytes from its opening quote on.
    Where no delimiter is given, the header tells it."""
    from txfast.batch.header import delimiters_of

    delimiter = delimiter or delimiters_of(position.header)[0]
    endings = text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")
    line = position.lines - endings + (position.ending != "")
    return OpenField(name, line, position.offset_bytes - position.open_bytes, text, delimiter)


def head_of(text: bytes) -> str:
    """The `head` of a Position in an input that begins with this text, which is shorter only if all of the input is."""
    from xxhash import xxh3_128_hexdigest

    return xxh3_128_hexdigest(text[:HEAD_BYTES]) if len(text) >= HEAD_BYTES else ""


def consume_parts(source: Source, position: Position, consumption: Consumption) -> bool:
    """Read the bytes before a position; False where they have changed. Raises SourceError and InputError."""
    for end, digest in position.all_parts:
        consumption.begin_part()
        if not consume(source, end - consumption.offset_bytes, consumption) or consumption.digest != digest:
            return False
    consumption.parts = position.parts
    return True


def consume(source: Source, byte_count: int, consumption: Consumption) -> bool:
    """Read `byte_count` bytes; False where there are fewer. Raises SourceError and InputError."""
    view = memoryview(bytearray(min(HASHED_BLOCK_BYTES, byte_count)))
    left = byte_count
    while left:
        count = read_into(source, view[: min(left, len(view))])
        if not count:
            return False
        consumption.advance(view[:count])
        left -= count
    return True


def late_ending(name: str, position: Position, added: bytes) -> bytes:
    """The line ending that the last line before a position has got since the position was noted: of a CR LF perhaps
    only the LF.

    `added` are the two bytes after the position. Raises InputError where other bytes continue that line.
    """
    if not position.offset_bytes or position.ending not in ("", "cr"):
        return b""
    if position.ending == "cr":
        return added[:1] if added.startswith(b"\n") else b""
    if added.startswith(b"\r\n"):
        return b"\r\n"
    if added[:1] in (b"\n", b"\r"):
        return added[:1]
    if not added:
        return b""
    raise InputError(
        f"{name}:{position.lines}: the last line had no line ending when it was applied, and what was added "
        f"continues it; restore the line as it was, or start a new state directory"
    )


def take(source: Source, count: int) -> bytes:
    """The next `count` bytes, fewer at the end. Raises SourceError and InputError."""
    taken = bytearray(count)
    filled = 0
    with memoryview(taken) as view:
        while filled < count:
            more = read_into(source, view[filled:])
            if not more:
                break
            filled += more
    return bytes(taken[:filled])


def read_into(source: Source, view: memoryview) -> int:
    """Read into a view; return the number of bytes, 0 at the end. Raises SourceError and InputError."""
    try:
        return source.file.readinto(view) or 0
    except OSError as error:
        if isinstance(error, InputError | SourceError):
            raise
        raise unreadable(source.name, error) from error


def source_after(source: Source, taken: bytes, wanted_from: int, offset_bytes: int) -> Source:
    """The source, to be read from `offset_bytes + wanted_from` on; `taken` was read from it at `offset_bytes`."""
    if source.size_bytes is None:
        return Source(source.name, ReplayedFile(taken[wanted_from:], source.file), None, text_kind(source))
    offset_bytes += wanted_from
    source.file.seek(offset_bytes)
    return Source(source.name, source.file, max(source.size_bytes - offset_bytes, 0), text_kind(source))


def text_kind(source: Source) -> str:
    """The kind of text to go on with. A table has nothing left to read, whatever it is read as."""
    return source.kind if source.kind in TEXT_KINDS else CSV
