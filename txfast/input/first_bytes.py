"""The first bytes of an input: they tell its layers and its format, and are given back to be read again.

A layer is what stands around the bytes that have rows: a compression, a zip archive with one member, UTF-16. All
formats that are known and not read are in one table here, with what to do instead.

This module must not know how a layer is undone, nor how a format is read.
"""

from errno import EAGAIN
from io import RawIOBase

from txfast.errors import InputError
from txfast.input.source import ARROW_FILE, ARROW_STREAM, CSV, JSON_LINES, PARQUET, TEXT_KINDS

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# First bytes to look at: a tar archive shows itself within its first header.
FIRST_BYTES = 512

# The first bytes of each layer, and its name; of a compression that pyarrow reads, it is pyarrow's name.
ZIP, UTF_16_LE, UTF_16_BE = "zip", "utf-16-le", "utf-16-be"
LAYERS = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"BZh": "bz2",
    b"\xfd7zXZ\0": "xz",
    b"PK\x03\x04": ZIP,
    b"PK\x05\x06": ZIP,
    b"PK\x07\x08": ZIP,
    b"\xff\xfe": UTF_16_LE,
    b"\xfe\xff": UTF_16_BE,
}
# The first bytes of each kind of table; all else is text.
TABLE_KINDS = {b"PAR1": PARQUET, b"ARROW1": ARROW_FILE, b"\xff\xff\xff\xff": ARROW_STREAM}

EXPORT = "export the table as CSV"
UNPACK = "unpack it, and read what was in it"
DECOMPRESS = "decompress it, or compress it with gzip, zstd, lz4, bzip2 or xz instead"
TO_CSV = "convert it to CSV or Parquet with the columns type, client, tx and amount"
ASK_FOR_CSV = "ask for the transactions as CSV"
CPIO = ("a cpio archive", UNPACK)
TAR = ("a tar archive", "unpack it, or read one member: tar -xOf FILE MEMBER | txfast")
JSON = ("JSON in an array", "put each object into a line of its own: jq -c '.[]' FILE | txfast")
HTML = ("an HTML page", "look at it in a browser: it may be a login or an error page instead of the file")
# The first bytes of formats that are not read: what each is, and what to do. Blanks before them do not count.
REFUSED = {
    b"SQLite format 3\0": ("an SQLite database", f"{EXPORT}, or read it with --sql, by DuckDB's extension sqlite"),
    b"ORC": ("an ORC file", TO_CSV),
    b"Obj\x01": ("an Avro file", f"{TO_CSV}, or read it with --sql, by DuckDB's extension avro"),
    b"PARE": ("an encrypted Parquet file", "decrypt it"),
    b"FEA1": ("a Feather file of version 1", "write it as Feather of version 2, which is an Arrow file"),
    b"%PDF-": ("a PDF document", ASK_FOR_CSV),
    b"{\\rtf": ("an RTF document", ASK_FOR_CSV),
    b"{1:": ("a SWIFT message", TO_CSV),
    b"<!doctype html": HTML,
    b"<html": HTML,
    b"<?xml": ("XML", TO_CSV),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ("an Excel workbook of the old format", "save the sheet as CSV"),
    b"070701": CPIO,
    b"070702": CPIO,
    b"070707": CPIO,
    b"\xc7\x71": CPIO,
    b"\x71\xc7": CPIO,
    b"!<arch>\n": ("an ar archive", UNPACK),
    b"7z\xbc\xaf\x27\x1c": ("a 7z archive", UNPACK),
    b"Rar!\x1a\x07": ("a RAR archive", UNPACK),
    b"\x02\x21\x4c\x18": ("compressed in the legacy format of lz4", DECOMPRESS),
    b"\xff\x06\0\0sNaPpY": ("compressed with snappy", DECOMPRESS),
    b"\x1f\x9d": ("compressed with compress (.Z)", DECOMPRESS),
    b"\x1f\xa0": ("compressed with compress (.Z)", DECOMPRESS),
    b"LZIP": ("compressed with lzip", DECOMPRESS),
    b"]\0\0": ("compressed with lzma", DECOMPRESS),
    b"-----BEGIN PGP MESSAGE": ("encrypted with PGP", "decrypt it: gpg -d FILE | txfast"),
}
# A header can begin so: these count only where a control byte follows.
ALSO_TEXT = (b"ORC", b"LZIP", b"PARE", b"FEA1")
# Any input of REFUSED begins with one of these, and hardly any CSV file does; or it has a NUL.
SUSPECTS = bytes({magic[0] for magic in REFUSED} | {ord("[")})

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
BLANKS = b" \t\v\f"
WHITESPACE = BLANKS + b"\r\n"
CONTROLS = bytes(set(range(0x20)) - set(WHITESPACE))


def layer_of(first_bytes: bytes) -> str | None:
    """The outer layer of an input that begins with these bytes; None where there is none."""
    if first_bytes.startswith((b"\xff\xfe\0\0", b"\xff\xff\xff\xff")):
        return None  # UTF-32, an Arrow stream
    return next((name for magic, name in LAYERS.items() if first_bytes.startswith(magic)), None)


def kind_of(first_bytes: bytes) -> str:
    """The kind of an input without layers that begins with these bytes."""
    for magic, kind in TABLE_KINDS.items():
        if first_bytes.startswith(magic):
            return kind
    return text_kind_of(first_bytes)


def text_kind_of(first_bytes: bytes) -> str:
    """The kind of a text that begins with these bytes."""
    return JSON_LINES if first_bytes.removeprefix(BYTE_ORDER_MARK).lstrip(WHITESPACE).startswith(b"{") else CSV


def refuse(name: str, first_bytes: bytes) -> None:
    """Raise InputError where an input without layers is of a format that is not read."""
    found = refused_format(first_bytes)
    if found is not None:
        what, way_out = found
        raise InputError(f"{name}: {what}: {way_out}")


def refused_format(first_bytes: bytes) -> tuple[str, str] | None:
    """What an input is that begins with these bytes, and what to do, where its format is not read; else None."""
    start = first_bytes.removeprefix(BYTE_ORDER_MARK).lstrip(WHITESPACE)
    if start[:1] in SUSPECTS and start:
        for magic, found in REFUSED.items():
            if start[: len(magic)].lower() == magic.lower() and (magic not in ALSO_TEXT or has_controls(start)):
                return found
        # `[id],type` is a header, as some databases quote names; `[{`, `["` and `[1` are JSON.
        if start.startswith(b"[") and start[1:].lstrip(WHITESPACE)[:1] in b'{["]-0123456789':
            return JSON
    if b"\0" not in first_bytes or kind_of(first_bytes) not in TEXT_KINDS:
        return None
    return TAR if is_tar(first_bytes) else wide_text(first_bytes)


def is_tar(first_bytes: bytes) -> bool:
    """Whether these are the header of a tar archive's member: of the oldest format by their checksum, where the
    checksum's own bytes count as blanks."""
    if first_bytes[257:262] == b"ustar":
        return True
    start, end = 148, 156
    found = sum(first_bytes) - sum(first_bytes[start:end]) + (end - start) * ord(" ")
    return len(first_bytes) == FIRST_BYTES and first_bytes[start:end].strip(b" \0").lstrip(b"0") == b"%o" % found


def has_controls(start: bytes) -> bool:
    """Whether there is a byte that no text has."""
    return len(start.translate(None, CONTROLS)) < len(start)


def wide_text(first_bytes: bytes) -> tuple[str, str] | None:
    """UTF-32, or UTF-16 without a byte order mark, as the NULs of its first ASCII characters show."""
    are_nul = tuple(not byte for byte in first_bytes[:4])
    if first_bytes.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")) or are_nul in (
        (False, True, True, True), (True, True, True, False)
    ):  # fmt: skip
        return "UTF-32", "convert it: iconv -f UTF-32 -t UTF-8 FILE | txfast"
    for nuls, encoding in (((False, True), "UTF-16LE"), ((True, False), "UTF-16BE")):
        if are_nul == 2 * nuls:
            return "UTF-16 without a byte order mark", f"convert it: iconv -f {encoding} -t UTF-8 FILE | txfast"
    return None


def take_first_bytes(file: RawIOBase) -> bytes:
    """Read FIRST_BYTES, fewer at the end of the file. Raises OSError."""
    first_bytes = bytearray(FIRST_BYTES)
    filled = 0
    while filled < FIRST_BYTES:
        count = file.readinto(memoryview(first_bytes)[filled:])
        if not count:
            break
        filled += count
    return bytes(first_bytes[:filled])


class Layer(RawIOBase):
    """The content of one layer of a file, as a raw file that owns the file below."""

    def readable(self) -> bool:
        return True

    def take_first_bytes(self) -> bytes:
        """The first bytes of the content, which tell what comes next. Call it before anything else is read. Raises as
        `readinto`."""
        return take_first_bytes(self)


class ReplayedFile(RawIOBase):
    """A file whose first bytes were already taken: gives them once more, then the rest."""

    def __init__(self, first_bytes: bytes, file: RawIOBase) -> None:
        self._first_bytes = first_bytes
        self._file = self.file_below = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill the buffer, or a part of it; 0 at the end. Raises BlockingIOError where a pipe does not block and has
        nothing to read yet."""
        if not self._first_bytes:
            count = self._file.readinto(buffer)
            if count is None:
                raise BlockingIOError(EAGAIN, "it is non-blocking and has nothing to read yet")
            return count
        view = memoryview(buffer)
        count = min(len(view), len(self._first_bytes))
        view[:count] = self._first_bytes[:count]
        self._first_bytes = self._first_bytes[count:]
        return count

    def close(self) -> None:
        """Close the file below too."""
        self._file.close()
        super().close()
