"""Compressed inputs: recognised by their content, and read as the bytes that were compressed, or an error."""

from __future__ import annotations

import bz2
import gzip
import itertools
import os
import subprocess
import threading
from collections.abc import Callable
from io import FileIO

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import replays
from tests.support.command import ACCOUNTS, COMMAND, FILE, Folder, environment
from tests.support.reference import HEADER
from txfast.errors import InputError, SourceError
from txfast.input.compression import DecompressedFile
from txfast.input.first_bytes import ReplayedFile, layer_of
from txfast.input.open import open_source
from txfast.input.ref import resolve, total_size


def by_pyarrow(codec: str) -> Callable[[bytes], bytes]:
    def compress(content: bytes) -> bytes:
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, codec) as stream:
            stream.write(content)
        compressed: bytes = sink.getvalue().to_pybytes()
        return compressed

    return compress


COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress, "zstd": by_pyarrow("zstd"), "lz4": by_pyarrow("lz4"), "bz2": bz2.compress,
}  # fmt: skip
MANY_ROWS = HEADER + b"".join(b"deposit,%d,%d,%d.25\n" % (row % 997, row, row) for row in range(30_000))
PIPED = {"cat": "cat {} | {} -q", "in pieces": "(head -c 3 {0}; sleep 0.1; tail -c +4 {0}) | {1} -q"}

each_compression = pytest.mark.parametrize("compression", COMPRESS)


def decompress(compression: str, pieces: list[bytes]) -> bytes:
    """Decompress an input that arrives in these pieces. Raises InputError."""
    file = DecompressedFile("in", ReplayedFile(b"", replays.Reads(pieces)), compression)
    found = bytearray()
    block = bytearray(1_000)
    while count := file.readinto(block):
        found += block[:count]
    file.close()
    file.close()  # a second time does no harm
    return bytes(found)


# ---- Whole inputs ----------------------------------------------------------------------------------


@pytest.mark.untraced
@each_compression
@pytest.mark.parametrize("arguments", [(), ("--threads", "1"), ("--reader", "arrow")])
def test_a_compressed_file_gives_the_same_accounts_whatever_its_name(
    folder: Folder, compression: str, arguments: tuple[str, ...]
) -> None:
    folder.write("many.csv", MANY_ROWS)
    folder.write("in.data", COMPRESS[compression](MANY_ROWS))
    expected = folder.run("-q", "many.csv")
    run = folder.run("-q", *arguments, "in.data")
    assert (run.exit_code, run.errors) == (0, "")
    assert run.output == expected.output


@each_compression
def test_refused_rows_have_the_line_numbers_of_the_decompressed_text(folder: Folder, compression: str) -> None:
    folder.write("in.csv.gz", COMPRESS[compression](FILE))
    run = folder.run("in.csv.gz", "warn")
    assert run.output == ACCOUNTS
    assert run.error_lines == [
        "rejected: in.csv.gz:3: insufficient_funds: withdrawal,1,2,9.5", "malformed: in.csv.gz:4: bad_type: fee,1,3,1",
    ]  # fmt: skip


@each_compression
def test_standard_input_may_be_a_compressed_file_or_a_pipe(folder: Folder, compression: str) -> None:
    path = folder.write("in.z", COMPRESS[compression](FILE))
    with path.open("rb") as file:
        assert folder.run("-q", stdin=file).output == ACCOUNTS
    for pipe in PIPED.values():
        script = pipe.format(path, COMMAND)
        ended = subprocess.run(["sh", "-c", script], capture_output=True, check=True, env=environment())
        assert ended.stdout == ACCOUNTS


def test_a_named_pipe_is_opened_once_even_where_progress_is_shown(folder: Folder) -> None:
    fifo = folder.path / "pipe"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(COMPRESS["gzip"](FILE)))
    writer.start()
    run = folder.run("-q", "--progress", "always", "pipe")
    writer.join()
    assert (run.exit_code, run.output) == (0, ACCOUNTS)


@each_compression
def test_several_compressed_files_in_one_are_read_as_one(compression: str) -> None:
    compress = COMPRESS[compression]
    members = compress(b"first\n") + compress(b"") + compress(b"second\n" * 10_000)
    assert decompress(compression, [members]) == b"first\n" + b"second\n" * 10_000


@given(
    st.sampled_from(sorted(COMPRESS)),
    st.lists(st.binary(max_size=300), min_size=1, max_size=4),
    st.lists(st.integers(0, 400), max_size=8),
)
def test_any_bytes_that_arrive_in_any_pieces_are_decompressed(
    compression: str, contents: list[bytes], cuts: list[int]
) -> None:
    compressed = b"".join(map(COMPRESS[compression], contents))
    ends = sorted({0, len(compressed), *(index for index in cuts if index < len(compressed))})
    pieces = [compressed[start:end] for start, end in itertools.pairwise(ends)]
    assert decompress(compression, pieces) == b"".join(contents)


def test_inputs_of_all_compressions_are_one_stream_in_order(folder: Folder) -> None:
    names = []
    for number, (compression, compress) in enumerate(COMPRESS.items()):
        names.append(f"{compression}.csv")
        folder.write(names[-1], compress(HEADER + b"deposit,1,%d,1\n" % number))
    folder.write("last.csv", HEADER + b"withdrawal,1,9,4\n")
    run = folder.run("-q", *names, "last.csv")
    assert run.output.splitlines()[1:] == [b"1,0.0000,0.0000,0.0000,false"]


# ---- Damaged inputs --------------------------------------------------------------------------------


@each_compression
def test_an_input_cut_short_anywhere_fails_and_gives_nothing(compression: str) -> None:
    compressed = COMPRESS[compression](FILE * 20)
    for length in range(1, len(compressed)):
        with pytest.raises(InputError, match="damaged or cut short"):
            decompress(compression, [compressed[:length]])


@pytest.mark.untraced
@each_compression
@pytest.mark.parametrize("arguments", [(), ("--threads", "1"), ("--reader", "arrow")])
def test_a_run_over_an_input_cut_short_publishes_nothing(
    folder: Folder, compression: str, arguments: tuple[str, ...]
) -> None:
    compressed = COMPRESS[compression](MANY_ROWS)
    folder.write("in.csv", compressed[: len(compressed) * 2 // 3])
    folder.write("out.csv", b"old")
    folder.run("in.csv", "-o", "out.csv", *arguments).assert_failed("in.csv", compression, "cut short")
    assert (folder.path / "out.csv").read_bytes() == b"old"
    assert folder.names() == ["in.csv", "out.csv"]


@each_compression
def test_foreign_bytes_after_a_compressed_file_are_damage(folder: Folder, compression: str) -> None:
    folder.write("in.csv", COMPRESS[compression](FILE) + b"deposit,1,9,1\n")
    folder.run("in.csv").assert_failed("in.csv", "damaged")


@pytest.mark.parametrize("compression", ["gzip", "bz2"])
def test_a_changed_byte_is_found_by_the_checksum(compression: str) -> None:
    compressed = bytearray(COMPRESS[compression](MANY_ROWS))
    compressed[len(compressed) // 2] ^= 0x10
    with pytest.raises(InputError, match="damaged"):
        decompress(compression, [bytes(compressed)])


@each_compression
def test_an_empty_file_that_was_compressed_is_empty(folder: Folder, compression: str) -> None:
    folder.write("in.csv", COMPRESS[compression](b""))
    folder.run("in.csv").assert_failed("in.csv", "it is empty")


# ---- Inputs that are not compressed ----------------------------------------------------------------


@pytest.mark.parametrize("first_bytes", [b"", b"\x1f", b"BZ", b"\x28\xb5\x2f", b"type,client", b"\xef\xbb\xbft"])
def test_text_and_very_short_inputs_are_not_compressed(first_bytes: bytes) -> None:
    assert layer_of(first_bytes) is None


def test_only_plain_files_have_a_size_to_read(folder: Folder) -> None:
    plain = str(folder.path / "in.csv")
    folder.write("in.gz", COMPRESS["gzip"](FILE))
    os.mkfifo(folder.path / "pipe")
    assert total_size(map(resolve, [plain, plain])) == 2 * len(FILE)
    for name in ("in.gz", "pipe", "missing"):
        assert total_size(map(resolve, [plain, str(folder.path / name)])) is None


# ---- Errors of the system --------------------------------------------------------------------------


class Unreadable(replays.Reads):
    """A file that gives some bytes and then fails with an error of the disk."""

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = super().readinto(buffer)
        if not count:
            raise OSError(5, "Input/output error")
        return count


@each_compression
def test_an_error_of_the_disk_is_not_called_damage(compression: str) -> None:
    half = COMPRESS[compression](FILE * 20)[:40]
    with pytest.raises(OSError, match="Input/output error") as raised:
        DecompressedFile("in", Unreadable([half]), compression).readinto(bytearray(1 << 20))
    assert not isinstance(raised.value, InputError)


def test_an_input_whose_first_bytes_cannot_be_read_is_named(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(SourceError, match=r"in\.csv: cannot be read: Input/output error"):
        open_source(str(folder.path / "in.csv"))


def test_an_input_that_cannot_be_closed_is_no_failure(folder: Folder) -> None:
    source = open_source(str(folder.path / "in.csv"))

    class Unclosable(FileIO):
        def close(self) -> None:
            super().close()
            raise OSError(5, "Input/output error")

    source.file.close()
    source.file = Unclosable(str(folder.path / "in.csv"))
    source.close()
    assert source.file.closed
