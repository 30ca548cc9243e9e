"""A file that is written once: its bytes are counted and hashed, and each error names it."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from xxhash import xxh3_128_hexdigest

from tests.support.failures import closing_with_an_error, failing
from txfast.errors import SourceError
from txfast.writers.file import FileWriter, sync_folder
from txfast.writers.sink import Sink


def test_a_file_is_counted_hashed_and_private(tmp_path: Path) -> None:
    path = tmp_path / "file"
    file = FileWriter.create(str(path), hashed=True)
    file.write(b"abc")
    file.write(memoryview(b"de"))
    file.finish(durable=True)
    assert path.read_bytes() == b"abcde"
    assert file.summary() == {"bytes": 5, "xxh3_128": xxh3_128_hexdigest(b"abcde")}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(SourceError, match="file: cannot be written: File exists"):
        FileWriter.create(str(tmp_path / "file"))
    assert (tmp_path / "file").read_bytes() == b"old"


def test_a_file_that_cannot_be_closed_is_not_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = FileWriter.create(str(tmp_path / "file"), hashed=True)
    sink = Sink(file)
    assert sink.write(b"abc") == sink.tell() == file.bytes_written == 3
    monkeypatch.setattr(os, "close", closing_with_an_error())
    with pytest.raises(SourceError, match="file: cannot be written: Input/output error"):
        file.finish(durable=False)
    file.discard()
    # Errors no longer matter for a file that is given up.
    FileWriter.create(str(tmp_path / "other")).discard()


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = FileWriter.create(str(tmp_path / "file"))
    for call in ("write", "fsync"):
        monkeypatch.setattr(os, call, failing(errno.ENOSPC))
    with pytest.raises(SourceError, match="file: cannot be written: No space left on device"):
        file.write(b"abc")
    with pytest.raises(SourceError, match="file: cannot be written: No space left on device"):
        file.finish(durable=True)
    file.discard()


def test_a_file_goes_on_after_the_bytes_that_were_written(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc, and more that does not count")
    file = FileWriter(str(path), os.open(path, os.O_RDWR))
    file.resume(3, xxh3_128_hexdigest(b"abc"))
    file.write(b"de")
    file.finish(durable=False)
    assert path.read_bytes() == b"abcde"
    assert file.summary() == {"bytes": 5, "xxh3_128": xxh3_128_hexdigest(b"abcde")}


@pytest.mark.parametrize(("byte_count", "content"), [(3, b"abd"), (4, b"abc")])
def test_a_file_of_other_bytes_does_not_go_on(tmp_path: Path, byte_count: int, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    file = FileWriter(str(path), os.open(path, os.O_RDWR))
    with pytest.raises(SourceError, match="file: is not what was written to it"):
        file.resume(byte_count, xxh3_128_hexdigest(b"abc"))
    file.discard()
    assert path.read_bytes() == content


def test_an_abandoned_sink_passes_nothing_on(tmp_path: Path) -> None:
    file = FileWriter.create(str(tmp_path / "file"))
    sink = Sink(file)
    sink.abandoned = True
    assert sink.write(b"abc") == sink.tell() == 3
    assert file.bytes_written == 0
    file.discard()


def test_a_folder_that_cannot_be_synced_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match="missing: cannot be written: No such file"):
        sync_folder(str(tmp_path / "missing"))
    monkeypatch.setattr(os, "fsync", failing(errno.EIO))
    with pytest.raises(SourceError, match="cannot be written: Input/output error"):
        sync_folder(str(tmp_path))
