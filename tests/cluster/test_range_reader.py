"""A range is read from the first line that begins in it; a file that changes meanwhile is refused."""

from __future__ import annotations

import errno
import gzip
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.command import Folder
from tests.support.reference_rows import BYTE_ORDER_MARK, LINE_ENDING, find_row_end
from txfast.cluster import range_reader
from txfast.cluster.cutting import cut_inputs
from txfast.cluster.map import map_range
from txfast.cluster.range_reader import RangeFile, RangeReader, line_start
from txfast.cluster.rejects import reject_blobs
from txfast.cluster.results import RowStatuses
from txfast.errors import HeaderError, InputError, SourceError
from txfast.input.open import open_source
from txfast.input.source import HOLD, TAKE, Source


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


# Pieces of files in which it is hard to say what is inside quotes.
PIECES = [
    b'"', b'""', b'"""', b",", b" ", b"\n", b"\r\n", b"\r", b"x", b'"\n"', b'",', b',"', b'"\n', b'\n"', b'"\n",',
    b'"\n"\n', b',"\n\n"\n', b'"a\nb"\n', b"deposit,1,1,5\n",
]  # fmt: skip


def starts_of_rows(content: bytes, *, holds_open: bool) -> set[int]:
    """Where rows begin by the reference, lines of blanks among them, and the end of the file."""
    starts, start = {len(content)}, len(BYTE_ORDER_MARK) if content.startswith(BYTE_ORDER_MARK) else 0
    while start < len(content):
        starts.add(start)
        end = find_row_end(content, start)
        if holds_open and find_row_end(content + b'"', start) > len(content):
            break
        ending = LINE_ENDING.match(content, end)
        start = end if ending is None else ending.end()
    return starts


@given(
    st.lists(st.sampled_from(PIECES), max_size=30), st.integers(1, 50), st.integers(1, 9), st.booleans(), st.booleans()
)
def test_a_range_begins_with_the_first_row_that_begins_in_it(
    tmp_path_factory: pytest.TempPathFactory,
    pieces: list[bytes],
    range_bytes: int,
    bytes_back: int,
    is_marked: bool,
    holds_open: bool,
) -> None:
    content = BYTE_ORDER_MARK * is_marked + b"type,client,tx,amount\n" + b"".join(pieces)
    path = tmp_path_factory.mktemp("file") / "in.csv"
    path.write_bytes(content)
    starts = starts_of_rows(content, holds_open=holds_open)
    source = open_source(str(path))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(range_reader, "LOOK_BACK_BYTES", bytes_back)
        patch.setattr(range_reader, "PROBE_BYTES", 1 + bytes_back)
        for part in cut_inputs([str(path)], range_bytes)[1:]:
            assert part.end is not None
            row = min(start for start in starts if start >= part.start)
            found = range_reader.first_row(source, replace(part, last_line=HOLD if holds_open else TAKE))
            assert found == (row if row < part.end else None)
    source.close()


def test_a_search_looks_no_farther_back_than_it_must(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A range in the middle of a large file without quotes costs 2 MiB of reading at most."""
    folder.write("large.csv", folder.read("in.csv") + b"deposit,1,1,5.0\n" * (1 << 19))
    part = cut_inputs(["large.csv"], 1 << 22)[1]
    source = open_source("large.csv")
    bytes_read = 0
    read_at = Source.read_at

    def counted(source: Source, offset: int, count: int) -> bytes:
        nonlocal bytes_read
        bytes_read += count
        assert offset >= part.start - range_reader.LOOK_BACK_BYTES - 1
        return read_at(source, offset, count)

    monkeypatch.setattr(Source, "read_at", counted)
    assert range_reader.first_row(source, part) is not None
    assert bytes_read < 2 << 20
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
    with pytest.raises(
        SourceError, match=r"in\.csv: cannot be read: Input/output error: the disk or the network has failed"
    ) as raised:
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


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_wrong_header_in_utf_16_says_so_on_a_cluster_too(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "in.txt"
    path.write_bytes(pack("\ufefftype\tclient\ttx\tamont\n".encode("utf-16-le")))
    [part] = cut_inputs([str(path)])
    with pytest.raises(HeaderError, match=r"no column amount: .* \(the file is UTF-16\)$") as caught:
        list(RangeReader(part))
    assert caught.value.file == str(path)
