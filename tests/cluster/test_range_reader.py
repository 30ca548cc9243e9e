"""A range is read from the first line that begins in it; a file that changes meanwhile is refused."""

from __future__ import annotations

import errno
import gzip
import os
from pathlib import Path

import pytest

from tests.support.command import Folder
from txfast.cluster.cutting import cut_inputs
from txfast.cluster.map import map_range
from txfast.cluster.range_reader import RangeFile, RangeReader, line_start
from txfast.cluster.rejects import reject_blobs
from txfast.cluster.results import RowStatuses
from txfast.errors import InputError, SourceError
from txfast.input.open import open_source


@pytest.mark.parametrize("probe_bytes", [1, 2, 3, 1000])
def test_a_line_begins_after_any_ending(tmp_path: Path, probe_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txfast.cluster.range_reader.PROBE_BYTES", probe_bytes)
    path = tmp_path / "in.csv"
    content = b"a\nbb\r\nc\rd\r\r\n\n\ne\n\rf"
    path.write_bytes(content)
    starts = [0, 2, 6, 8, 10, 12, 13, 14, 16, 17, len(content)]
    source = open_source(str(path))
    found = [line_start(source, offset) for offset in range(len(content) + 1)]
    assert found == [min(start for start in starts if start >= offset) for offset in range(len(content) + 1)]
    source.close()


@pytest.mark.parametrize("probe_bytes", [1, 3, 1000])
@pytest.mark.parametrize("offset", range(15))
def test_the_search_for_a_line_stops_at_its_limit(
    tmp_path: Path, probe_bytes: int, offset: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("txfast.cluster.range_reader.PROBE_BYTES", probe_bytes)
    path = tmp_path / "in.csv"
    path.write_bytes(b"a\nbb\r\ncccc\rd\n")
    source = open_source(str(path))
    for limit in range(offset, 15):
        start = line_start(source, offset)
        assert (line_start(source, offset, limit) if start < limit else limit) == min(start, limit)
        assert start < limit or line_start(source, offset, limit) >= limit
    source.close()


def test_a_file_that_changes_its_size_is_refused(folder: Folder) -> None:
    [part] = cut_inputs([str(folder.path / "in.csv")])
    folder.write("in.csv", folder.read("in.csv") + b"deposit,1,99,1\n")
    with pytest.raises(InputError, match=r"in\.csv: was changed"):
        list(map_range(part, 1))
    with pytest.raises(InputError, match=r"in\.csv: was changed"):
        list(reject_blobs(part, 1, 1, [RowStatuses(0, 0, b"")], "csv"))


def test_a_file_that_is_rewritten_is_refused(folder: Folder) -> None:
    for name in ("in.csv", "in.csv.gz"):
        content = folder.read("in.csv")
        path = folder.write(name, gzip.compress(content) if name.endswith("gz") else content)
        [part] = cut_inputs([str(path)])
        reader = iter(RangeReader(part))
        next(reader)
        os.utime(path, ns=(1, 1))
        with pytest.raises(InputError, match="was changed"):
            list(reader)
        with pytest.raises(InputError, match="was changed"):
            list(map_range(part, 1))


def test_a_read_error_is_reported_once(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    [part] = cut_inputs([str(folder.path / "in.csv")])

    def failing(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("txfast.cluster.range_reader.RangeFile.readinto", failing)
    with pytest.raises(SourceError, match=r"in\.csv: cannot be read: Input/output error$") as raised:
        list(map_range(part, 1))
    assert str(raised.value).count("cannot be read") == 1


def test_a_file_that_becomes_shorter_is_refused(folder: Folder) -> None:
    source = open_source(str(folder.path / "in.csv"))
    file = RangeFile(source, 10, 1000)
    length = len(folder.read("in.csv"))
    assert file.readinto(bytearray(1000)) == length - 10
    with pytest.raises(InputError, match="was changed"):
        file.readinto(bytearray(100))
    source.close()
