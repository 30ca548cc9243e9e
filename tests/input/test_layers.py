"""Layers of an input: zip archives with one member, UTF-16, and several layers, one in the other."""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import lzma
import os
import struct
import zipfile
from collections.abc import Callable

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

import txfast
from tests.support import replays
from tests.support.command import ACCOUNTS, FILE, Folder, Run
from tests.support.reference import HEADER
from txfast.errors import InputError, TxfastError
from txfast.input import utf16, zip_member
from txfast.input.first_bytes import FIRST_BYTES, ReplayedFile
from txfast.input.layers import open_layer
from txfast.input.open import open_input, open_source
from txfast.input.ref import resolve
from txfast.input.room import Room
from txfast.input.utf16 import Utf16File
from txfast.input.windows import XZ_MEMORY_BYTES_MAX, XZ_OTHER_BYTES

ORDINARY = HEADER + b"deposit,1,1,5\nwithdrawal,1,2,9.5\nfee,1,3,1\n"
MARKS = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}


def zip_of(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def utf16_of(text: bytes, encoding: str = "utf-16-le") -> bytes:
    return MARKS[encoding] + text.decode().encode(encoding)


def parquet_file() -> bytes:
    table = pa.table({"type": ["deposit"], "client": [1], "tx": [1], "amount": ["5"]})
    file = io.BytesIO()
    parquet.write_table(table, file)
    return file.getvalue()


def arrow_stream() -> bytes:
    table = pa.table({"type": ["deposit"], "client": [1], "tx": [1], "amount": ["5"]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


LAYERED = {
    "zip": zip_of({"january.csv": FILE}),
    "stored zip": zip_of({"january.csv": FILE}, zipfile.ZIP_STORED),
    "zip with bzip2": zip_of({"january.csv": FILE}, zipfile.ZIP_BZIP2),
    "zip with lzma": zip_of({"january.csv": FILE}, zipfile.ZIP_LZMA),
    "zip of a folder": zip_of({"export/": b"", "export/january.csv": FILE}),
    "zip of macOS": zip_of({"january.csv": FILE, "__MACOSX/._january.csv": b"\0\5\x16\7", ".DS_Store": b"\0"}),
    "gzip in zip": zip_of({"january.csv.gz": gzip.compress(FILE)}),
    "zip in zip": zip_of({"january.zip": zip_of({"january.csv": FILE})}),
    "zip in gzip": gzip.compress(zip_of({"january.csv": FILE})),
    "utf-16-le": utf16_of(FILE),
    "utf-16-be": utf16_of(FILE, "utf-16-be"),
    "utf-16 in zip": zip_of({"january.csv": utf16_of(FILE)}),
    "utf-16 in gzip": gzip.compress(utf16_of(FILE, "utf-16-be")),
    "xz": lzma.compress(FILE),
    "xz in bzip2": bz2.compress(lzma.compress(FILE)),
    "parquet in gzip": gzip.compress(parquet_file()),
    "parquet in zip": zip_of({"january.parquet": parquet_file()}),
    "arrow stream in xz": lzma.compress(arrow_stream()),
}
every_layer = pytest.mark.parametrize("content", LAYERED.values(), ids=LAYERED)


@every_layer
def test_layers_are_undone_wherever_the_input_comes_from(folder: Folder, content: bytes) -> None:
    path = folder.write("in.data", content)
    for reader in replays.READERS:
        assert folder.run("-q", "in.data", "--reader", reader).output == ACCOUNTS
    assert folder.run("-q", "-", stdin=content).output == ACCOUNTS
    assert folder.run("-q", path.as_uri()).output == ACCOUNTS
    with path.open("rb") as file:
        assert folder.run("-q", "-", stdin=file).output == ACCOUNTS
    assert folder.run("-q", "in.data", "in.data").output == ACCOUNTS
    assert len(txfast.process(io.BytesIO(content)).accounts) == 1


@every_layer
def test_a_state_knows_an_input_with_layers_again(folder: Folder, content: bytes) -> None:
    folder.write("in.data", content)
    for _ in range(2):
        run = folder.run("-q", "in.data", "--state", "state", "--rejects", "rejects.csv")
        assert (run.output, run.errors) == (ACCOUNTS, "")
    assert len(folder.read("rejects.csv").splitlines()) == 1


def test_positions_in_utf_16_are_those_of_the_same_text_as_utf_8(folder: Folder) -> None:
    """So a file that is given as UTF-8 from now on goes on where it was."""
    folder.write("in.csv", utf16_of(FILE))
    assert folder.run("-q", "in.csv", "--state", "state").output == ACCOUNTS
    folder.write("in.csv", FILE + b"deposit,1,4,1\n")
    run = folder.run("-q", "in.csv", "--state", "state", "--stats", "stats.json")
    assert run.output == ACCOUNTS.replace(b"5.0000", b"6.0000")
    assert b'"rows": 1,' in folder.read("stats.json")


# ---- First bytes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [FILE, FILE * 50], ids=["short", "long"])
@pytest.mark.parametrize("kind", ["gzip", "utf-16-le", "zip"])
def test_each_layer_gives_its_first_bytes_and_then_the_rest(kind: str, text: bytes) -> None:
    content = {"gzip": gzip.compress(text), "utf-16-le": utf16_of(text), "zip": zip_of({"a.csv": text})}[kind]
    file = io.BytesIO(content)
    layer = open_layer("in", file, kind, file, None, content, None)  # type: ignore[arg-type]
    assert layer.take_first_bytes() == text[:FIRST_BYTES]
    assert layer.read() == text[FIRST_BYTES:]
    layer.close()


def test_an_end_of_utf_16_inside_a_character_is_refused_after_the_first_bytes() -> None:
    layer = Utf16File("in", io.BytesIO(utf16_of(FILE) + b"x"), "utf-16-le")  # type: ignore[arg-type]
    assert layer.take_first_bytes() == FILE
    with pytest.raises(InputError, match="ends inside a character"):
        layer.read()


# ---- UTF-16 ----------------------------------------------------------------------------------------


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=300), st.sampled_from(sorted(MARKS)), st.data()
)
def test_utf_16_in_any_pieces_is_the_text(text: str, encoding: str, data: st.DataObject) -> None:
    content = MARKS[encoding] + text.encode(encoding)
    cuts = sorted({0, len(content), *data.draw(st.lists(st.integers(0, len(content)), max_size=6))})
    pieces = [content[start:end] for start, end in itertools.pairwise(cuts)]
    file = Utf16File("in", ReplayedFile(b"", replays.Reads(pieces)), encoding)
    found = bytearray()
    block = bytearray(7)
    while count := file.readinto(block):
        found += block[:count]
    assert found.decode() == text


@pytest.mark.parametrize("encoding", MARKS)
@pytest.mark.parametrize("block_bytes", [3, 1 << 18])
@pytest.mark.parametrize("compressed", [False, True])
def test_damaged_utf_16_is_refused_with_the_offset(
    encoding: str, block_bytes: int, compressed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(utf16, "BLOCK_BYTES", block_bytes)
    whole = utf16_of(FILE, encoding)
    lone = "\ud800".encode(encoding, "surrogatepass")
    low = "\udc00".encode(encoding, "surrogatepass")
    for content, offset in (
        (whole + low + whole[2:], len(whole)), (whole[:2] + lone + whole[2:], 2),
    ):  # fmt: skip
        with pytest.raises(InputError, match=f"UTF-16 that is damaged: at byte {offset:,} of it"):
            txfast.process(io.BytesIO(gzip.compress(content) if compressed else content))
    for half in (b"x", lone, lone + b"x"):
        content = whole + half
        with pytest.raises(InputError, match=f"UTF-16 that ends inside a character, at byte {len(whole):,} of it"):
            txfast.process(io.BytesIO(gzip.compress(content) if compressed else content))


@pytest.mark.parametrize("reader", ["native", "arrow"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_wrong_header_in_utf_16_says_so(folder: Folder, reader: str, pack: Callable[[bytes], bytes]) -> None:
    wrong = FILE.replace(b",", b"\t").replace(b"amount", b"value")
    folder.write("in.txt", pack(utf16_of(wrong)))
    advice = "its header has no column amount: add --columns amount=value"
    folder.run("in.txt", "--reader", reader).assert_failed(f"{advice} (the file is UTF-16)")
    folder.write("in.txt", pack(wrong))
    assert folder.run("in.txt", "--reader", reader).errors.endswith(f"{advice}\n")


@pytest.mark.parametrize("reader", ["native", "arrow"])
def test_a_spreadsheets_unicode_text_is_read(folder: Folder, reader: str) -> None:
    folder.write("in.txt", utf16_of(FILE.replace(b",", b"\t")))
    assert folder.run("in.txt", "--reader", reader).output == ACCOUNTS


# ---- Zip archives ----------------------------------------------------------------------------------


def test_an_archive_of_several_members_names_them(folder: Folder) -> None:
    folder.write("in.zip", zip_of({f"{number}.csv": FILE for number in range(1_200)}))
    folder.run("in.zip").assert_failed(
        "in.zip: a zip archive with 1,200 members (0.csv, 1.csv, 2.csv, …): read one of them: "
        "unzip -p FILE MEMBER | txfast"
    )
    folder.write("in.zip", zip_of({"a\x1b[2J\n.csv": FILE, "b.csv": FILE}))
    folder.run("in.zip").assert_failed("a\\x1b[2J\\x0a.csv, b.csv")
    for members in ({}, {"empty/": b""}, {"__MACOSX/x": b""}):
        folder.write("in.zip", zip_of(members))
        folder.run("in.zip").assert_failed("in.zip: a zip archive without a member")


FIRST_ZIP, SECOND_ZIP = zip_of({"a.csv": FILE}), zip_of({"b.csv": FILE.replace(b",1,", b",2,")})


def streamed_zip(comment: bytes = b"") -> bytes:
    """An archive as a pipe gets it: each member has its sizes behind it."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise io.UnsupportedOperation

    file = Pipe()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", FILE)
        archive.writestr("__MACOSX/a.csv", b"\0")
        archive.comment = comment
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        FIRST_ZIP + SECOND_ZIP,
        FIRST_ZIP + FIRST_ZIP + SECOND_ZIP,
        FIRST_ZIP + SECOND_ZIP[:-30],
        FIRST_ZIP + FILE,
        FIRST_ZIP[: FIRST_ZIP.index(b"PK\1\2")] + SECOND_ZIP,
    ],
    ids=["two", "three", "cut short", "CSV behind", "without a directory"],
)
def test_archives_joined_into_one_are_refused(folder: Folder, content: bytes) -> None:
    """Before, only the last one was read, and the others' rows were lost."""
    folder.write("in.zip", content)
    folder.run("in.zip").assert_failed("in.zip: a zip archive with bytes that are not in its directory")
    folder.run("-", stdin=content).assert_failed("give each archive as a file of its own")


def test_an_archive_with_a_gap_between_its_members_is_refused() -> None:
    """A member that its directory does not name."""
    names = {"a.csv": FILE, "b.csv": FILE}
    content = zip_of(names)
    directory = content.index(b"PK\1\2")
    second = content.index(b"PK\1\2", directory + 4)
    end = content.index(b"PK\5\6")
    for kept in (content[directory:second], content[second:end]):
        counts = struct.pack("<HHII", 1, 1, len(kept), directory)
        changed = content[:directory] + kept + content[end : end + 8] + counts + b"\0\0"
        with pytest.raises(InputError, match="bytes that are not in its directory"):
            txfast.process(io.BytesIO(changed))


@pytest.mark.parametrize(
    "content",
    [streamed_zip(), streamed_zip(b"made by the nightly export"), FIRST_ZIP + bytes(512)],
    ids=["streamed", "with a comment", "padded"],
)
def test_an_archive_may_be_streamed_and_have_a_comment_or_padding(content: bytes) -> None:
    assert len(txfast.process(io.BytesIO(content)).accounts) == 1


def test_an_encrypted_member_is_refused_by_name(folder: Folder) -> None:
    content = bytearray(zip_of({"january.csv": FILE}))
    for record, flags in ((content.index(b"PK\3\4"), 6), (content.index(b"PK\1\2"), 8)):
        content[record + flags] |= 1
    folder.write("in.zip", bytes(content))
    folder.run("in.zip").assert_failed("in.zip: an encrypted zip archive", "unzip -p FILE | txfast")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_archive_is_refused(compression: int) -> None:
    """Each byte is changed once. What is left as it was means the member's time, or what only other programs read."""
    content = zip_of({"january.csv": FILE * 3}, compression)
    expected = list(txfast.process(io.BytesIO(content)).accounts)
    refused = 0
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0x11
        try:
            assert list(txfast.process(io.BytesIO(bytes(damaged))).accounts) == expected
        except TxfastError:
            refused += 1
    assert refused > len(content) // 2
    for length in range(4, len(content)):
        with pytest.raises(InputError, match="the zip archive cannot be read"):
            txfast.process(io.BytesIO(content[:length]))


def test_a_wrong_checksum_of_a_member_fails_the_run(folder: Folder) -> None:
    content = bytearray(zip_of({"january.csv": FILE}, zipfile.ZIP_STORED))
    content[content.index(b"deposit,1,1,5") + 12] ^= 1
    folder.write("in.zip", bytes(content))
    folder.run("in.zip").assert_failed("in.zip: the zip archive cannot be read", "CRC")


def test_a_directory_of_very_many_members_is_not_read_into_memory(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zip_member, "DIRECTORY_BYTES_MAX", 1_000)
    path = folder.write("in.zip", zip_of({f"{number}.csv": b"" for number in range(100)}))
    with pytest.raises(InputError, match="a zip archive with very many members"):
        txfast.process(path)
    path.write_bytes(zip_of({"in.csv": FILE}))
    assert len(txfast.process(path).accounts) == 1


def test_an_archive_from_a_pipe_is_copied_to_the_spill_folder(folder: Folder) -> None:
    content = zip_of({"january.csv": FILE})
    folder.write("file", b"")
    folder.run("-", "--spill-dir", "file/x", stdin=content).assert_failed(
        "file/x: cannot hold a copy of standard input, a zip archive that comes as a stream", "--spill-dir"
    )
    assert folder.run("-q", "-", "--spill-dir", "new", stdin=content).output == ACCOUNTS
    assert os.listdir(folder.path / "new") == []


def test_too_many_layers_are_refused() -> None:
    content = FILE
    for _ in range(6):
        content = gzip.compress(content)
    with pytest.raises(InputError, match="compressed 4 times and more: decompress it first"):
        txfast.process(io.BytesIO(content))


def test_a_refused_format_inside_an_archive_is_named(folder: Folder) -> None:
    workbook = zip_of({"[Content_Types].xml": b"", "xl/workbook.xml": b""})
    folder.write("in.zip", zip_of({"book.xlsx": workbook}))
    folder.run("in.zip").assert_failed("in.zip: an Excel workbook: save the sheet as CSV")


# ---- xz --------------------------------------------------------------------------------------------


def test_xz_that_needs_much_memory_is_refused(folder: Folder) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 256 << 20}]
    folder.write("in.xz", lzma.compress(FILE, filters=filters))
    folder.run("in.xz").assert_failed("in.xz: xz cannot be decompressed in 128 MiB of memory", "smaller dictionary")


def lzma_zip(dictionary: int, members: dict[str, bytes]) -> bytes:
    """A zip archive by LZMA, whose members say that they need a dictionary of this size."""
    content = bytearray(zip_of(members, zipfile.ZIP_LZMA))
    for member in zipfile.ZipFile(io.BytesIO(content)).infolist():
        at = member.header_offset + 30 + len(member.filename) + 5
        struct.pack_into("<I", content, at, dictionary)
    return bytes(content)


@pytest.mark.parametrize("piped", [False, True])
def test_a_zip_member_by_lzma_has_the_same_limit_of_memory_as_xz(folder: Folder, piped: bool) -> None:
    def run(dictionary: int, *arguments: str) -> Run:
        content = lzma_zip(dictionary, {"in.csv": FILE})
        folder.write("in.zip", content)
        return folder.run("-q", *(("-",) if piped else ("in.zip",)), *arguments, stdin=content if piped else b"")

    limit = XZ_MEMORY_BYTES_MAX - XZ_OTHER_BYTES
    assert run(limit).output == ACCOUNTS
    for dictionary in (limit + 1, 2**32 - 1):
        run(dictionary).assert_failed("the LZMA in the zip archive cannot be decompressed in 128 MiB of memory")
    failed = run(80 << 20, "--memory-limit", "96MiB", "--threads", "1")
    failed.assert_failed("its LZMA takes 81MiB more to decompress it, and the memory limit of 96MiB leaves", "7z x -so")
    needed = failed.errors.rpartition(" ")[2].strip()
    assert run(80 << 20, "--memory-limit", needed, "--threads", "1").output == ACCOUNTS


def test_a_type_of_document_by_lzma_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    content = lzma_zip(2**32 - 1, {"mimetype": zip_member.OPEN_DOCUMENT_SPREADSHEET, "content.xml": b"<office/>"})
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("its dictionary would take 4 GiB"))
    with pytest.raises(InputError, match="a zip archive with 2 members"):
        txfast.process(io.BytesIO(content))


def test_memory_for_lzma_is_given_back(folder: Folder) -> None:
    given: list[int] = []

    def give(count: int, _: bool) -> int:
        given.append(count)
        return 0

    room = Room(1 << 30, 0, give)
    content = lzma_zip(9 << 20, {"in.csv": FILE})
    path = folder.write("in.zip", content)
    for _ in range(2):
        open_input(resolve(str(path)), None, room).close()
    # The second time it is there already.
    assert given == [10 << 20]


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress])
def test_padding_between_compressed_files_is_nothing(folder: Folder, compress: object) -> None:
    assert callable(compress)
    folder.write("in.data", compress(FILE) + bytes(8) + compress(b"") + bytes(1 << 19))
    assert folder.run("-q", "in.data").output == ACCOUNTS


def test_a_document_that_is_no_spreadsheet_is_an_archive_of_several_members(folder: Folder) -> None:
    folder.write("book.epub", zip_of({"mimetype": b"application/epub+zip", "text.html": b"x"}))
    folder.run("book.epub").assert_failed("book.epub: a zip archive with 2 members (mimetype, text.html)")


def test_a_large_directory_is_refused_by_the_size_in_the_zip64_record() -> None:
    def ending(directory_bytes: int) -> io.BytesIO:
        wide = b"PK\6\6" + bytes(36) + struct.pack("<Q", directory_bytes) + bytes(8)
        return io.BytesIO(wide + b"PK\5\6" + bytes(8) + struct.pack("<I", 0xFFFFFFFF) + bytes(6))

    with pytest.raises(InputError, match=r"in\.zip: a zip archive with very many members"):
        zip_member.refuse_large_directory("in.zip", ending(zip_member.DIRECTORY_BYTES_MAX + 1))
    zip_member.refuse_large_directory("in.zip", ending(zip_member.DIRECTORY_BYTES_MAX))


def test_a_member_may_be_closed_twice(folder: Folder) -> None:
    folder.write("in.zip", zip_of({"in.csv": FILE}))
    source = open_source(str(folder.path / "in.zip"))
    member = source.file
    while not isinstance(member, zip_member.ZipMember):
        member = member.file_below  # type: ignore[attr-defined]
    assert member.readable()
    member.close()
    member.close()
    assert member.closed
    source.close()
