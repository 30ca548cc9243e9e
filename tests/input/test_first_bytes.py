"""Formats that are not read: told by their content, wherever it comes from, and refused with what to do instead."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import subprocess
import tarfile
import zipfile
from collections.abc import Callable, Iterator

import pyarrow as pa
import pytest
from pyarrow import orc

import txfast
from tests.support.command import ACCOUNTS, COMMAND, FILE, Folder, environment
from tests.support.reference import HEADER
from txfast.errors import InputError
from txfast.input.first_bytes import FIRST_BYTES, REFUSED, SUSPECTS, refused_format


def in_memory(write: Callable[[io.BytesIO], object]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def tar_of(members: dict[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    def write(file: io.BytesIO) -> None:
        with tarfile.open(fileobj=file, mode="w", format=form) as archive:
            for name, content in members.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))

    return in_memory(write)


def old_tar_of(members: dict[str, bytes]) -> bytes:
    """A tar archive of the oldest format, which has no magic."""
    content = bytearray(tar_of(members, tarfile.USTAR_FORMAT))
    content[257:512] = bytes(255)
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    return bytes(content)


def zip_of(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    def write(file: io.BytesIO) -> None:
        with zipfile.ZipFile(file, "w", compression) as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    return in_memory(write)


def sqlite_database() -> bytes:
    database = sqlite3.connect(":memory:")
    try:
        database.execute("create table rows (type, client, tx, amount)")
        return bytes(database.serialize())
    finally:
        database.close()


TABLE = pa.table({"type": ["deposit"], "client": [1], "tx": [1], "amount": ["5"]})
WORKBOOK = {"[Content_Types].xml": b"<Types/>", "xl/workbook.xml": b"<workbook/>", "xl/sheet1.xml": b"<sheet/>"}
OPEN_DOCUMENT = {"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": b"<office/>"}
ROWS = [{"type": "deposit", "client": 1, "tx": 1, "amount": 5}] * 2

CONTENTS: dict[str, tuple[bytes, str, str]] = {
    "tar": (tar_of({"in.csv": FILE}), "a tar archive", "tar -xOf FILE MEMBER | txfast"),
    "ustar": (tar_of({"in.csv": FILE}, tarfile.USTAR_FORMAT), "a tar archive", "unpack it"),
    "pax": (tar_of({"ü.csv": FILE}, tarfile.PAX_FORMAT), "a tar archive", "unpack it"),
    "old tar": (old_tar_of({"in.csv": FILE}), "a tar archive", "tar -xOf FILE MEMBER | txfast"),
    "cpio": (b"070701" + b"0" * 104 + b"in.csv\0\0" + FILE, "a cpio archive", "unpack it"),
    "old cpio": (b"070707" + b"0" * 70 + b"in.csv\0" + FILE, "a cpio archive", "unpack it"),
    "binary cpio": (b"\xc7\x71" + bytes(24) + b"in.csv\0\0" + FILE, "a cpio archive", "unpack it"),
    "ar": (b"!<arch>\nin.csv/         0           0     0     644     5         `\n" + FILE, "an ar archive", "unpack"),
    "workbook": (zip_of(WORKBOOK), "an Excel workbook", "save the sheet as CSV"),
    "stored workbook": (zip_of(WORKBOOK, zipfile.ZIP_STORED), "an Excel workbook", "save the sheet as CSV"),
    "open document": (zip_of(OPEN_DOCUMENT), "an OpenDocument spreadsheet", "save the sheet as CSV"),
    "document": (zip_of({"[Content_Types].xml": b"", "word/x.xml": b""}), "a zip archive with 2 members", "unzip"),
    "old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504), "an Excel workbook", "save the sheet as CSV"),
    "database": (sqlite_database(), "an SQLite database", "export the table as CSV"),
    "orc": (in_memory(lambda file: orc.write_table(TABLE, file)), "an ORC file", "convert it to CSV or Parquet"),
    "avro": (b"Obj\x01\x04\x14avro.codec\x08null", "an Avro file", "convert it"),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "a PDF document", "ask for the transactions as CSV"),
    "rtf": (rb"{\rtf1\ansi deposit}", "an RTF document", "ask for the transactions as CSV"),
    "html": (b"\n<!DOCTYPE html>\n<html><body>Sign in</body></html>", "an HTML page", "look at it in a browser"),
    "old html": (b"<HTML><BODY><TABLE>", "an HTML page", "look at it in a browser"),
    "xml": (b'\xef\xbb\xbf<?xml version="1.0"?><Document/>', "XML", "convert it"),
    "json": (b" \r\n " + json.dumps(ROWS, indent=2).encode(), "JSON in an array", "jq -c '.[]' FILE"),
    "json texts": (b'["type", "client"]\n', "JSON in an array", "jq -c '.[]' FILE"),
    "swift": (b"{1:F01BANKDEFFAXXX0000000000}", "a SWIFT message", "convert it"),
    "7z": (b"7z\xbc\xaf\x27\x1c\x00\x04", "a 7z archive", "unpack it"),
    "rar": (b"Rar!\x1a\x07\x01\x00", "a RAR archive", "unpack it"),
    "old lz4": (b"\x02\x21\x4c\x18" + bytes(8), "compressed in the legacy format of lz4", "decompress it"),
    "snappy": (b"\xff\x06\x00\x00sNaPpY\x01", "compressed with snappy", "decompress it"),
    "compress": (b"\x1f\x9d\x90t\xf2", "compressed with compress", "decompress it"),
    "lzma": (b"]\x00\x00\x80\x00\xff\xff", "compressed with lzma", "decompress it"),
    "lzip": (b"LZIP\x01\x0c\x00", "compressed with lzip", "decompress it"),
    "encrypted parquet": (b"PARE\x15\x04\x15\x00", "an encrypted Parquet file", "decrypt it"),
    "feather": (b"FEA1\x00\x00\x00\x00", "a Feather file of version 1", "Arrow file"),
    "pgp": (b"-----BEGIN PGP MESSAGE-----\n\nhQ==\n", "encrypted with PGP", "decrypt it"),
    "utf-16 le": (FILE.decode().encode("utf-16-le"), "UTF-16 without a byte order mark", "iconv -f UTF-16LE -t UTF-8"),
    "utf-16 be": (FILE.decode().encode("utf-16-be"), "UTF-16 without a byte order mark", "iconv -f UTF-16BE -t UTF-8"),
    "utf-32": (FILE.decode().encode("utf-32"), "UTF-32", "iconv -f UTF-32 -t UTF-8"),
    "utf-32 be": (FILE.decode().encode("utf-32-be"), "UTF-32", "iconv -f UTF-32 -t UTF-8"),
}  # fmt: skip

every_format = pytest.mark.parametrize(("content", "what", "way_out"), CONTENTS.values(), ids=CONTENTS)


@every_format
def test_a_format_that_is_not_read_is_named_with_the_way_out(content: bytes, what: str, way_out: str) -> None:
    for packed in (content, gzip.compress(content)):
        with pytest.raises(InputError) as raised:
            txfast.process(io.BytesIO(packed))
        message = str(raised.value)
        assert message.startswith(f"io.BytesIO: {what}")
        assert way_out in message


@pytest.mark.parametrize("name", ["tar", "workbook", "json", "utf-16 le"])
def test_it_is_refused_as_a_file_in_a_pipe_at_a_location_and_by_each_reader(folder: Folder, name: str) -> None:
    content, what, way_out = CONTENTS[name]
    path = folder.write("in.data", content)
    folder.run("in.data").assert_failed(f"txfast: in.data: {what}", way_out)
    folder.run("in.data", "--reader", "arrow").assert_failed(f"in.data: {what}", way_out)
    folder.run(path.as_uri()).assert_failed(f"in.data: {what}", way_out)
    folder.run("-", stdin=content).assert_failed(f"standard input: {what}", way_out)
    with path.open("rb") as file:
        folder.run("-", stdin=file).assert_failed(f"standard input: {what}", way_out)
    folder.run("-q", "in.data", "--state", "state").assert_failed(f"in.data: {what}", way_out)


@pytest.mark.parametrize(
    "first_column",
    [b"ORC", b"LZIP", b"PAREnt", b"FEA1", b"[id]", b"[type]", b"[ref", b"7z", b"Rar!", b"BZ", b"PK", b"-"],
)
def test_a_header_may_begin_like_another_format(folder: Folder, first_column: bytes) -> None:
    folder.write("in.csv", first_column + b",type,client,tx,amount\nx,deposit,1,1,5\n")
    assert folder.run("-q", "in.csv").output == ACCOUNTS


def test_a_nul_in_a_row_is_a_byte_of_a_field(folder: Folder) -> None:
    folder.write("in.csv", HEADER[:-1] + b",note\ndeposit,1,1,5,\0x\0y\n")
    assert folder.run("-q", "in.csv").output == ACCOUNTS


@pytest.mark.parametrize("byte", [0x00, 0x01, 0x08, 0x0E, 0x1B, 0x1F, 0x7F])
@pytest.mark.parametrize(
    "header", [b"%c,type,client,tx,amount", b"type,client,tx,amount,x%cy", b'a,"b%c",type,client,tx,amount']
)
def test_a_control_byte_in_a_header_is_in_no_header(folder: Folder, byte: int, header: bytes) -> None:
    """It is the name of an archive's member, say, in front of the first column's name."""
    folder.write("in.csv", header % byte + b"\ndeposit,1,1,5\n")
    for reader in ("native", "arrow"):
        if byte != 1 or reader == "native":
            folder.run("in.csv", "--reader", reader).assert_failed(
                f"in.csv: not a transactions file: its header has a control byte, 0x{byte:02x}: it is no text"
            )


@pytest.mark.parametrize(
    "start",
    [
        b"in.csv" + bytes(506),
        b"\xcb\x2eb\x06in.csv\x65\x01\x02\x03",
        b"MZ\x90\0\3\0",
        b"\x93NUMPY\1\0v\0",
        b"#!/bin/sh\0\1",
    ],
    ids=["a member's name", "pgp", "exe", "npy", "program"],
)
@pytest.mark.parametrize("rows", [FILE, b"id," + FILE], ids=["type first", "type second"])
def test_a_binary_file_with_a_csv_file_in_it_is_refused(start: bytes, rows: bytes) -> None:
    for content in (start + rows, gzip.compress(start + rows)):
        with pytest.raises(InputError, match="its header has a control byte"):
            txfast.process(io.BytesIO(content))


def test_the_first_test_passes_no_format_over() -> None:
    for magic in REFUSED:
        assert magic[:1] in SUSPECTS
    for content, _, _ in CONTENTS.values():
        assert refused_format(content[:FIRST_BYTES]) is not None or content.startswith(b"PK")
    for header in (b"", HEADER, b"\xef\xbb\xbf" + HEADER, b"\r\n \n" + HEADER, b'"type",client'):
        assert refused_format(header) is None


# ---- Before the first row --------------------------------------------------------------------------


def test_all_inputs_are_looked_at_before_the_first_row(folder: Folder) -> None:
    """The log names no row of the first input."""
    folder.write("book.xlsx", zip_of(WORKBOOK))
    folder.write("in.tar.gz", gzip.compress(tar_of({"in.csv": FILE})))
    folder.write("cut.gz", gzip.compress(FILE)[:15])
    folder.write("in.tar", tar_of({"in.csv": FILE}))
    (folder.path / "folder").mkdir()
    for name, words in {
        "missing.csv": "No such file or directory",
        "folder": "Is a directory",
        "book.xlsx": "an Excel workbook",
        "in.tar": "a tar archive",
        "in.tar.gz": "a tar archive",
        "cut.gz": "gzip cannot be decompressed",
        (folder.path / "missing.csv").as_uri(): "missing.csv",
        (folder.path / "in.tar").as_uri(): "a tar archive",
    }.items():
        for arguments in ((), ("--state", "state"), ("--reader", "arrow"), ("-o", "out.csv")):
            if name.startswith("file:") and "--state" in arguments:
                continue
            run = folder.run("in.csv", name, *arguments)
            run.assert_failed(words)
    assert "out.csv" not in folder.names()
    assert not [name for name in folder.names() if "part" in name]


def test_an_unreadable_input_is_found_before_the_first_row(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    from txfast.input import ref

    def refuse(path: str | int) -> bytes:
        if str(path).endswith("secret.csv"):
            raise PermissionError(13, "Permission denied")
        return FILE[:FIRST_BYTES]

    folder.write("secret.csv", FILE)
    monkeypatch.setattr(ref, "peek_first_bytes", refuse)
    read: list[bytes] = []

    def batches() -> Iterator[pa.Table]:
        read.append(b"read")
        yield TABLE

    with pytest.raises(txfast.TxfastError, match=r"secret\.csv: cannot be read: Permission denied"):
        txfast.process(batches(), folder.path / "secret.csv")
    with pytest.raises(txfast.TxfastError, match=r"secret\.csv: cannot be read: Permission denied"):
        list(txfast.read(batches(), folder.path / "secret.csv"))
    assert read == []


def test_a_pipe_is_not_opened_before_its_turn(folder: Folder) -> None:
    """Its writer may wait for the accounts of no run: here it writes after the first input was read."""
    script = f"mkfifo pipe; (cat in.csv > pipe) & {COMMAND} -q in.csv pipe - < in.csv; wait"
    ended = subprocess.run(["sh", "-c", script], capture_output=True, check=True, cwd=folder.path, env=environment())
    assert ended.stdout == ACCOUNTS
