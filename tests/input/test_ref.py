"""Names of inputs: each is looked up once, and pipes are not opened by that."""

from __future__ import annotations

import errno
import gzip
import io
import os
import sys
from pathlib import Path

import pyarrow as pa
import pytest

import txfast
from tests.support.command import FILE, Folder
from tests.support.failures import failing
from txfast.errors import SourceError
from txfast.input import ref as ref_module
from txfast.input.open import open_input
from txfast.input.ref import FILE as REGULAR_FILE
from txfast.input.ref import (
    LOCATION,
    PIPE,
    STANDARD_INPUT,
    InputRef,
    are_decompressed_by_pyarrow,
    may_have_tables,
    resolve,
    total_size,
)
from txfast.input.source import ARROW_FILE, ARROW_STREAM, CSV, PARQUET


def read_all(ref: InputRef) -> bytes:
    source = open_input(ref)
    try:
        content = source.file.read()
        assert isinstance(content, bytes)
        return content
    finally:
        source.close()


def with_standard_input(monkeypatch: pytest.MonkeyPatch, descriptor: int) -> InputRef:
    """Resolve `-` in a process whose standard input has this descriptor."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.FileIO(descriptor, closefd=False)))
    return resolve(STANDARD_INPUT)


def test_a_regular_file_has_a_size_its_first_bytes_and_an_identity(folder: Folder) -> None:
    path = str(folder.path / "in.csv")
    ref = resolve(path)
    found = os.stat(path)
    assert (ref.name, ref.display_name, ref.origin, ref.failure) == (path, path, REGULAR_FILE, None)
    assert (ref.size_bytes, ref.first_bytes) == (len(FILE), FILE[:512])
    assert ref.identity == (found.st_dev, found.st_ino)
    assert ref.is_regular
    assert ref.can_be_read_again
    assert (ref.kind, ref.layer, ref.is_table) == (CSV, None, False)
    assert read_all(ref) == FILE


def test_two_names_of_one_file_have_one_identity_and_one_key(folder: Folder) -> None:
    path, link = folder.path / "in.csv", folder.path / "link.csv"
    link.symlink_to("in.csv")
    assert resolve(str(link)).identity == resolve(str(path)).identity
    assert resolve(str(link)).real_path() == resolve(str(link)).key() == os.path.realpath(path)
    assert resolve(link.as_uri()).key() == os.path.realpath(path)


@pytest.mark.parametrize(
    ("content", "kind", "compression"),
    [
        (b"", CSV, None),
        (b"PAR1", PARQUET, None),
        (b"ARROW1\0\0more", ARROW_FILE, None),
        (b"\xff\xff\xff\xff\x10\0\0\0", ARROW_STREAM, None),
        (gzip.compress(b"PAR1", mtime=0), CSV, "gzip"),
    ],
)
def test_the_first_bytes_of_a_file_tell_its_format(
    folder: Folder, content: bytes, kind: str, compression: str | None
) -> None:
    ref = resolve(str(folder.write("in.csv", content)))
    assert (ref.kind, ref.layer) == (kind, compression)
    assert ref.is_table == (kind != CSV)
    assert may_have_tables([ref]) == (kind != CSV)
    assert total_size([ref]) == (len(content) if kind == CSV and compression is None else None)


def test_a_pipe_is_not_opened_when_its_name_is_resolved(folder: Folder) -> None:
    os.mkfifo(folder.path / "pipe")
    ref = resolve(str(folder.path / "pipe"))  # would wait here for a writer
    assert (ref.origin, ref.size_bytes, ref.identity, ref.failure) == (PIPE, None, None, None)
    assert not ref.is_regular
    assert not ref.can_be_read_again
    assert not may_have_tables([ref])
    assert total_size([ref]) is None


def test_a_folder_fails_when_it_is_opened(folder: Folder) -> None:
    ref = resolve(str(folder.path))
    assert ref.origin == PIPE
    assert isinstance(ref.failure, IsADirectoryError)
    with pytest.raises(SourceError, match="cannot be read: Is a directory"):
        open_input(ref)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.csv", "No such file"),
        ("with\0nul", "embedded null byte"),
        ("\udcff/x", "No such file"),
        ("", "No such file"),
    ],
)
def test_a_name_that_leads_nowhere_fails_when_it_is_opened_or_asked_for_its_path(name: str, words: str) -> None:
    ref = resolve(name)
    assert ref.failure is not None
    assert ref.failure.__traceback__ is None
    assert (ref.origin, ref.size_bytes, ref.identity) == (REGULAR_FILE, None, None)
    assert not may_have_tables([ref])
    assert total_size([ref]) is None
    for ask in (lambda: open_input(ref), ref.real_path, ref.key):
        with pytest.raises(SourceError, match=f"cannot be read: .*{words}"):
            ask()


def test_a_path_with_a_nul_has_no_real_path() -> None:
    ref = InputRef("with\0nul", "with\0nul", REGULAR_FILE)
    with pytest.raises(SourceError, match="cannot be read: "):
        ref.real_path()


def test_a_file_whose_first_bytes_cannot_be_read_keeps_its_identity(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pread", failing(errno.EIO))
    ref = resolve(str(folder.path / "in.csv"))
    assert ref.is_regular
    assert total_size([ref]) is None
    with pytest.raises(SourceError, match=r"in\.csv: cannot be read: Input/output error"):
        open_input(ref)


def test_a_file_that_cannot_be_closed_is_resolved(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    class Unclosable(io.FileIO):
        def close(self) -> None:
            super().close()
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(ref_module, "FileIO", Unclosable)
    ref = resolve(str(folder.path / "in.csv"))
    assert (ref.failure, ref.size_bytes, ref.first_bytes) == (None, len(FILE), FILE[:512])


def test_a_file_is_opened_as_it_is_then(folder: Folder) -> None:
    path = folder.path / "in.csv"
    ref = resolve(str(path))
    path.write_bytes(gzip.compress(FILE + FILE))
    assert read_all(ref) == FILE + FILE


def test_standard_input_may_be_a_file_read_from_where_it_stands(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder.write("in.csv", b"skipped\n" + FILE)
    with path.open("rb", buffering=0) as file:
        file.seek(len(b"skipped\n"))
        ref = with_standard_input(monkeypatch, file.fileno())
        assert (ref.origin, ref.display_name) == (STANDARD_INPUT, "standard input")
        assert (ref.size_bytes, ref.first_bytes) == (len(b"skipped\n" + FILE), FILE[:512])
        assert ref.identity == resolve(str(path)).identity
        assert not ref.can_be_read_again
        assert read_all(ref) == FILE
        file.fileno()  # still open


def test_standard_input_may_be_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    try:
        ref = with_standard_input(monkeypatch, reading)
        assert (ref.origin, ref.size_bytes, ref.first_bytes, ref.failure) == (STANDARD_INPUT, None, b"", None)
        os.write(writing, FILE)
        os.close(writing)
        assert read_all(ref) == FILE
    finally:
        os.close(reading)


def test_standard_input_may_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SourceError, match=r"^standard input: cannot be read: it is closed$"):
        open_input(resolve(STANDARD_INPUT))


def test_a_location_is_not_asked_for_anything() -> None:
    ref = resolve("gopher://user:secret@host/in.csv?token=x")
    assert (ref.origin, ref.display_name, ref.failure) == (LOCATION, "gopher://host/in.csv", None)
    assert ref.can_be_read_again
    assert may_have_tables([ref])
    assert total_size([ref]) is None
    assert ref.key().startswith("gopher://host/in.csv?")
    with pytest.raises(SourceError, match=r"gopher://host/in\.csv: cannot be read"):
        open_input(ref)


@pytest.mark.parametrize(("codec", "expected"), [("zstd", True), ("lz4", True), ("gzip", False), (None, False)])
def test_files_that_pyarrow_decompresses_leave_less_memory_for_ledgers(
    tmp_path: Path, codec: str | None, expected: bool
) -> None:
    content = b"type,client,tx,amount\n"
    path = tmp_path / "in"
    path.write_bytes(content if codec is None else pa.Codec(codec).compress(content, asbytes=True))
    assert are_decompressed_by_pyarrow([resolve(str(path))]) == expected
    assert txfast.process(path).stats["rows"] == 0
