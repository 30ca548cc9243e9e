"""Zip archives as inputs: one with a single member is read as that member.

Folders, and what macOS adds for itself, are no members. An Excel workbook or another document that is a zip archive
inside is refused, and the message says what it is. An archive with several members is refused too, and the message
names them. So is a file with bytes that no entry of its directory explains: several archives joined into one have the
directory of the last alone. This module must not know what a member's bytes mean.
"""

import struct
from io import BufferedReader, RawIOBase

from txfast.errors import InputError
from txfast.input.first_bytes import Layer
from txfast.input.library_errors import LibraryErrors
from txfast.input.room import in_mib
from txfast.input.windows import XZ_MEMORY_BYTES_MAX, ZIP_LZMA_HEADER_BYTES, lzma_bytes

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from typing import IO
    from zipfile import ZipExtFile, ZipFile, ZipInfo

    from _typeshed import WriteableBuffer

    from txfast.input.room import Room

# Bytes that are read of the archive at once: at a location, each read is a round trip.
READ_BYTES = 1 << 20
# zipfile holds the whole directory of an archive in memory, some ten times larger than in the file.
DIRECTORY_BYTES_MAX = 1 << 22
# An archive ends with a record about its directory: END_MAGIC, fields, and a comment. Where the directory is too large
# for these fields, those of a wider record before them count.
END_MAGIC = b"PK\5\6"
END_BYTES = 22
END_BYTES_MAX = END_BYTES + (1 << 16)
WIDE_END_MAGIC = b"PK\6\6"
WIDE_END_BYTES = 56
WIDE_END_POINTER_BYTES = 20  # between the two
NAMES_SHOWN = 3
# Names of members by which documents are known, and what they are.
DOCUMENTS = {
    "xl/": ("an Excel workbook", "save the sheet as CSV, or read it with --sql, by DuckDB's extension excel"),
    "Index/Document.iwa": ("a Numbers spreadsheet", "export the sheet as CSV"),
}
OPEN_DOCUMENT_SPREADSHEET = b"application/vnd.oasis.opendocument.spreadsheet"
ENCRYPTED = 1  # a member's flag
# A member with this flag has its sizes behind it too, in at most so many bytes.
SIZES_BEHIND, SIZES_BYTES_MAX = 8, 24
# A member begins with a header of this form: its last two numbers are the lengths of the name and of what else follows.
MEMBER_HEADER = struct.Struct("<26xHH")
ZIP_LZMA = 14  # the number of this compression, the only one whose memory a member says itself
UNPACK = "unpack it first: 7z x -so FILE | txfast"
PADDING = b"\0"


class ZipMember(Layer):
    """The single member of a zip archive, decompressed; its CRC is checked at its end.

    `archive` is the archive for reads at any offset, and `file` the input that it comes from, which may be the same:
    both are closed with the member. Under a memory limit, the dictionary of LZMA is taken from the `room`. Raises
    InputError where there is no single member that can be read, and MemoryLimitError.
    """

    def __init__(self, name: str, file: RawIOBase, archive: RawIOBase, room: "Room | None" = None) -> None:
        from zipfile import ZipFile

        self._file = file
        self._room = room
        self._taken_bytes = 0
        self._content = BufferedReader(archive, READ_BYTES)
        self._errors = LibraryErrors(
            name, "the zip archive cannot be read: it is damaged, cut short or of an unknown kind ({})".format
        )
        try:
            with self._errors:
                refuse_large_directory(name, self._content)
                opened = ZipFile(self._content)
                member = single_member(name, opened)
                refuse_unexplained_bytes(name, opened, self._content)
                self._take_memory(name, member)
                self._member: ZipExtFile = opened.open(member)  # type: ignore[assignment]
        except BaseException:
            self._content.close()
            self._give_memory_back()
            raise

    def _take_memory(self, name: str, member: "ZipInfo") -> None:
        """Take the memory that the member needs; the library itself knows no limit."""
        count = lzma_bytes_of(name, member, self._content)
        if self._room is not None and count:
            self._room.take(count, name, f"its LZMA takes {in_mib(count)} more to decompress it", UNPACK)
            self._taken_bytes = count

    def _give_memory_back(self) -> None:
        if self._room is not None:
            self._room.give_back(self._taken_bytes)

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill the buffer, or a part of it; 0 at the end. Raises InputError where the archive is damaged, and
        SourceError."""
        with self._errors:
            view = memoryview(buffer).cast("B")
            block = self._member.read1(len(view))
            view[: len(block)] = block
            return len(block)

    def close(self) -> None:
        """Close the files below too."""
        if not self.closed:
            self._member.close()
            self._content.close()
            self._file.close()
            self._give_memory_back()
        super().close()


def single_member(name: str, archive: "ZipFile") -> "ZipInfo":
    """The one member of an archive. Raises InputError where it is another document, or has none or several."""
    members = [member for member in archive.infolist() if is_member(member)]
    names = [member.filename for member in members]
    refuse_document(name, archive, names)
    if not members:
        raise InputError(f"{name}: a zip archive without a member: check the export that made it")
    if len(members) > 1:
        shown = ", ".join(names[:NAMES_SHOWN]) + (", …" if len(names) > NAMES_SHOWN else "")
        raise InputError(
            f"{name}: a zip archive with {len(members):,} members ({shown}): read one of them: "
            f"unzip -p FILE MEMBER | txfast"
        )
    if members[0].flag_bits & ENCRYPTED:
        raise InputError(f"{name}: an encrypted zip archive: unpack it with its password: unzip -p FILE | txfast")
    return members[0]


def is_member(member: "ZipInfo") -> bool:
    """Whether an entry of an archive is a file of the user's."""
    parts = member.filename.split("/")
    return not member.is_dir() and parts[0] != "__MACOSX" and parts[-1] != ".DS_Store"


def refuse_document(name: str, archive: "ZipFile", names: list[str]) -> None:
    """Raise InputError where an archive is a workbook."""
    found = next((found for start, found in DOCUMENTS.items() if any(each.startswith(start) for each in names)), None)
    if "mimetype" in names and len(names) > 1 and archive.getinfo("mimetype").compress_type != ZIP_LZMA:
        with archive.open("mimetype") as file:
            if file.read(len(OPEN_DOCUMENT_SPREADSHEET)) == OPEN_DOCUMENT_SPREADSHEET:
                found = ("an OpenDocument spreadsheet", "save the sheet as CSV")
    if found is not None:
        what, way_out = found
        raise InputError(f"{name}: {what}: {way_out}")


def lzma_bytes_of(name: str, member: "ZipInfo", file: "IO[bytes]") -> int:
    """The memory that LZMA needs for a member, 0 for another compression. Raises InputError where it is too much."""
    if member.compress_type != ZIP_LZMA:
        return 0
    file.seek(member.header_offset)
    file.seek(sum(MEMBER_HEADER.unpack(file.read(MEMBER_HEADER.size))), 1)
    count = lzma_bytes(file.read(ZIP_LZMA_HEADER_BYTES))
    if count > XZ_MEMORY_BYTES_MAX:
        raise InputError(
            f"{name}: the LZMA in the zip archive cannot be decompressed in {XZ_MEMORY_BYTES_MAX >> 20} MiB of memory: "
            f"compress it with a smaller dictionary, or {UNPACK}"
        )
    return count


def refuse_unexplained_bytes(name: str, archive: "ZipFile", file: "IO[bytes]") -> None:
    """Raise InputError where an archive has bytes that belong to no entry of its directory: they may be rows."""
    at = 0  # where the next entry is to begin, or a little later
    slack = 0
    for entry in sorted(archive.infolist(), key=lambda entry: entry.header_offset):
        if entry.header_offset - at > slack:
            break
        file.seek(entry.header_offset)
        lengths = MEMBER_HEADER.unpack(file.read(MEMBER_HEADER.size))
        at = entry.header_offset + MEMBER_HEADER.size + sum(lengths) + entry.compress_size
        slack = SIZES_BYTES_MAX if entry.flag_bits & SIZES_BEHIND else 0
    else:
        if archive.start_dir - at <= slack and ends_with_its_comment(archive, file):
            return
    raise InputError(
        f"{name}: a zip archive with bytes that are not in its directory: it may be several archives joined into one, "
        f"of which only the last would be read: give each archive as a file of its own, or unpack it"
    )


def ends_with_its_comment(archive: "ZipFile", file: "IO[bytes]") -> bool:
    """Whether nothing follows the archive but padding."""
    end = END_BYTES + len(archive.comment)
    file.seek(max(0, file.seek(0, 2) - END_BYTES_MAX))
    tail = file.read()
    at = tail.rfind(END_MAGIC)
    return not tail[at + end :].strip(PADDING)


def refuse_large_directory(name: str, file: "IO[bytes]") -> None:
    """Raise InputError where the directory of an archive would take much memory: it has too many members."""
    size = file.seek(0, 2)
    file.seek(max(0, size - END_BYTES_MAX - WIDE_END_POINTER_BYTES - WIDE_END_BYTES))
    end = file.read()
    directory_bytes = 0
    at = end.rfind(END_MAGIC)
    if 0 <= at <= len(end) - END_BYTES:
        directory_bytes = struct.unpack_from("<I", end, at + 12)[0]
    at = end.rfind(WIDE_END_MAGIC, 0, max(at, 0))
    if directory_bytes == 0xFFFFFFFF and 0 <= at <= len(end) - WIDE_END_BYTES:
        directory_bytes = struct.unpack_from("<Q", end, at + 40)[0]
    if directory_bytes > DIRECTORY_BYTES_MAX:
        raise InputError(
            f"{name}: a zip archive with very many members, or damaged at its end: unpack it, and read what was in it"
        )
