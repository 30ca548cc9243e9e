"""The spill file: private, without a name, and with clear errors where the disk fails."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from tests.support.failures import failing
from txfast.errors import SpillError
from txfast.input.temporary_folder import default_folder
from txfast.spill.file import SpillFile, Stream


def test_streams_that_share_a_file_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = SpillFile(str(tmp_path))
    streams = [Stream(file) for _ in range(2)]
    for index in range(100):
        streams[index % 3 % 2].write(bytes([index]) * index)
    expected = [b"".join(bytes([p]) * p for p in range(100) if p % 3 % 2 == n) for n in range(2)]
    for stream, content in zip(streams, expected, strict=True):
        read_into, view = stream.reader(), bytearray(len(content) + 10)
        assert read_into(memoryview(view)) == len(content)
        assert bytes(view[: len(content)]) == content
        assert read_into(memoryview(view)) == 0
    file.close()


def test_a_spill_file_has_no_name_and_no_other_user_can_read_it(tmp_path: Path) -> None:
    file = SpillFile(str(tmp_path / "new" / "folder"))
    file.append(b"secret")
    assert list((tmp_path / "new" / "folder").iterdir()) == []
    assert stat.S_IMODE(os.fstat(file._descriptor).st_mode) & 0o077 == 0
    assert stat.S_IMODE((tmp_path / "new" / "folder").stat().st_mode) == 0o700
    file.close()


def test_where_every_file_needs_a_name_it_is_unlinked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    file = SpillFile(str(tmp_path))
    file.append(b"secret")
    assert list(tmp_path.iterdir()) == []
    assert stat.S_IMODE(os.fstat(file._descriptor).st_mode) == 0o600
    file.close()


def test_a_full_disk_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pwrite", failing(errno.ENOSPC))
    with pytest.raises(SpillError, match=r"No space left on device, after 0 MiB; --spill-dir"):
        SpillFile(str(tmp_path)).append(b"x")


def test_a_folder_that_takes_no_files_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpillError, match="--spill-dir names another folder"):
        SpillFile(str(tmp_path / "file" / "folder")).append(b"x")


def test_a_truncated_file_is_noticed(tmp_path: Path) -> None:
    file = SpillFile(str(tmp_path))
    file.append(b"x" * 100)
    os.ftruncate(file._descriptor, 50)
    with pytest.raises(SpillError, match="no longer there"):
        file.read_into(memoryview(bytearray(100)), 0)


def test_a_closed_file_takes_no_more_and_a_read_error_is_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SpillFile(str(tmp_path))
    file.close()
    with pytest.raises(SpillError, match="given back"):
        file.append(b"x")
    file = SpillFile(str(tmp_path))
    file.append(b"x")
    monkeypatch.setattr(os, "preadv", failing(errno.EIO))
    with pytest.raises(SpillError, match="cannot be read: Input/output error"):
        file.read_into(memoryview(bytearray(1)), 0)
    file.close()


def test_free_space_is_checked_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SpillFile(str(tmp_path / "new" / "folder"))
    file.expect(1)
    with pytest.raises(SpillError, match=r"takes about \d+ MiB, and \d+ MiB are free; --spill-dir names another"):
        file.expect(1 << 62)
    monkeypatch.setattr(os, "statvfs", failing(errno.ENOSYS))
    file.expect(1 << 62)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_unlinked_is_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    monkeypatch.setattr(os, "unlink", failing(errno.EPERM))
    with pytest.raises(SpillError, match="Operation not permitted"):
        SpillFile(str(tmp_path)).append(b"x")
    [path] = tmp_path.iterdir()
    assert path.read_bytes() == b""


def test_the_default_folder_is_one_for_large_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert default_folder() == str(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    monkeypatch.setattr("txfast.input.temporary_folder.FOLDERS", (str(tmp_path),))
    assert default_folder() == str(tmp_path)
    monkeypatch.setattr("txfast.input.temporary_folder.FOLDERS", ())
    assert default_folder() == os.curdir
