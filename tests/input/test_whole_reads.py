"""Files for pyarrow over pipes: every read is whole, and the end is told."""

from __future__ import annotations

import os

import pytest

from tests.support import replays
from txfast.input.whole_reads import StreamReads, WholeReads


def test_a_read_is_whole_whatever_pieces_it_comes_in() -> None:
    file = WholeReads(replays.Reads([b"a", b"bcd", b"efghi", b"j"]))
    assert (bytes(file.read(4)), file.tell()) == (b"abcd", 4)
    assert (bytes(file.read(5)), file.tell()) == (b"efghi", 9)
    assert (bytes(file.read(5)), file.tell()) == (b"j", 10)
    assert (bytes(file.read(5)), file.tell()) == (b"", 10)


def test_a_pause_in_a_non_blocking_pipe_is_not_its_end() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.write(writing, b"abc")
    with open(reading, "rb", buffering=0) as file, open(writing, "wb"), pytest.raises(BlockingIOError):
        WholeReads(file).read(4)


def test_every_block_is_noted_before_it_is_given_out() -> None:
    noted: list[tuple[bytes, int]] = []
    file = WholeReads(replays.Reads([b"abcde"]), lambda block: noted.append((bytes(block), file.tell())))
    assert [bytes(file.read(3)) for _ in range(3)] == [b"abc", b"de", b""]
    assert noted == [(b"abc", 0), (b"de", 3), (b"", 5)]


def test_a_stream_tells_whether_there_is_more_and_how_it_ended() -> None:
    file = StreamReads(replays.Reads([b"0123456", b"789"]))
    assert file.has_more()
    assert file.has_more()
    assert bytes(file.read(4)) == b"0123"
    assert (file.last_bytes, file.was_short) == (b"0123", False)
    assert bytes(file.read(6)) == b"456789"
    assert (file.last_bytes, file.was_short) == (b"23456789", False)
    assert not file.has_more()
    assert bytes(file.read(1)) == b""
    assert file.was_short
