"""Compressed outputs: the right content, and the same bytes however it is cut into blocks."""

from __future__ import annotations

import gzip
import random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from txfast.writers.compression import BLOCK_BYTES, Compressor

each_compression = pytest.mark.parametrize("compression", ["gzip", "zstd"])


def compressed(compression: str, blocks: list[bytes]) -> bytes:
    compressor = Compressor(compression)
    return b"".join([*map(compressor.compress, blocks), compressor.finish()])


def decompressed(compression: str, content: bytes) -> bytes:
    if compression == "gzip":
        return gzip.decompress(content)
    with pa.CompressedInputStream(pa.BufferReader(content), "zstd") as stream:
        return bytes(stream.read())


def lines(count: int) -> bytes:
    chance = random.Random(3)
    return b"".join(b"%d,%d.%04d,false\n" % (n, chance.randrange(10**6), chance.randrange(10**4)) for n in range(count))


@each_compression
@given(st.lists(st.binary(max_size=300), max_size=20))
def test_the_content_comes_back(compression: str, blocks: list[bytes]) -> None:
    assert decompressed(compression, compressed(compression, blocks)) == b"".join(blocks)


@each_compression
def test_the_bytes_do_not_depend_on_the_blocks(compression: str) -> None:
    content = lines(40_000)
    assert len(content) > 3 * BLOCK_BYTES
    right = compressed(compression, [content])
    assert decompressed(compression, right) == content
    for size in (1000, 65_537, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1):
        assert compressed(compression, [content[at : at + size] for at in range(0, len(content), size)]) == right


@each_compression
def test_nothing_is_a_whole_file_too(compression: str) -> None:
    assert decompressed(compression, compressed(compression, [])) == b""


def test_gzip_has_no_time_and_no_name() -> None:
    content = compressed("gzip", [b"a"])
    assert content[:4] == b"\x1f\x8b\x08\x00"  # no flags: no name
    assert content[4:8] == bytes(4)  # the time


@each_compression
def test_views_are_taken_too(compression: str) -> None:
    compressor = Compressor(compression)
    content = bytearray(lines(30_000))
    found = compressor.compress(memoryview(content))
    right = bytes(content)
    content[:] = bytes(len(content))  # the caller's buffer is used again
    assert decompressed(compression, found + compressor.finish()) == right


def test_a_compressor_that_is_given_up_writes_nothing() -> None:
    import gc

    compressor = Compressor("zstd")
    compressor.compress(lines(30_000))
    del compressor
    gc.collect()
