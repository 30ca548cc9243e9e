"""The windows of compressed inputs: they are known before they take memory, and taken from a run's room."""

from __future__ import annotations

import lzma
import struct

import pytest

from tests.support import replays
from tests.support.command import Folder
from tests.support.peaks import peak_bytes
from txfast.errors import InputError, MemoryLimitError
from txfast.input.compression import DecompressedFile
from txfast.input.room import PYARROW_BYTES, ZSTD_WINDOW_BYTES, Room
from txfast.input.watched_bytes import WatchedBytes
from txfast.input.windows import XZ_MEMORY_BYTES_MAX, XZ_OTHER_BYTES, xz_bytes, zstd_windows

MIB = 1 << 20
FILE = b"type,client,tx,amount\ndeposit,1,1,5\n"


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return Folder(tmp_path_factory.mktemp("windows"))


def block(content: bytes, *, is_last: bool = True, run: int = 0) -> bytes:
    """A block that is not compressed; with `run` a byte that is repeated."""
    kind, size = (1, run) if run else (0, len(content))
    return (size << 3 | kind << 1 | is_last).to_bytes(3, "little") + content


def frame(content: bytes = FILE, window_log: int = 10, eighths: int = 0) -> bytes:
    """A frame of zstd with a window of this size, without a checksum."""
    return b"\x28\xb5\x2f\xfd" + bytes([0, (window_log - 10) << 3 | eighths]) + block(content)


SKIPPED = b"\x5a\x2a\x4d\x18" + struct.pack("<I", 5) + b"hello"
SINGLE = b"\x28\xb5\x2f\xfd" + bytes([0x20, len(FILE)]) + block(FILE)
SIZED = b"\x28\xb5\x2f\xfd" + bytes([0xA0]) + struct.pack("<I", len(FILE)) + block(FILE)
RUNS = b"\x28\xb5\x2f\xfd" + bytes([0, 0]) + block(b"\n", is_last=False, run=7) + block(FILE)


def windows(content: bytes, step: int) -> list[int]:
    found: list[int] = []
    watched = WatchedBytes(zstd_windows("in", found.append))
    for at in range(0, len(content), step):
        watched.note(content[at : at + step])
    return found


@pytest.mark.parametrize("step", [1, 5, 1 << 20])
def test_the_window_of_each_frame_is_found(step: int) -> None:
    content = frame() + SKIPPED + frame(window_log=24, eighths=3) + SINGLE + SIZED + RUNS + frame(b"", 27)
    size = len(FILE)
    assert windows(content, step) == [1024, (1 << 24) // 8 * 11, size, size, 1024, 1 << 27]
    assert replays_of(content) == FILE * 4 + b"\n" * 7 + FILE
    # A checksum and the number of a dictionary are passed over; what is no frame is not looked at.
    named = b"\x28\xb5\x2f\xfd" + bytes([0x07, 0]) + b"dict" + block(FILE) + b"sum!"
    assert windows(named + frame() + b"what else" + frame(), step) == [1024, 1024]


def opened(content: bytes, compression: str, room: Room | None = None) -> DecompressedFile:
    return DecompressedFile("in", replays.Reads([content]), compression, room, content[:512])


def replays_of(content: bytes, compression: str = "zstd", room: Room | None = None) -> bytes:
    file = opened(content, compression, room)
    found = bytearray()
    part = bytearray(1 << 16)
    while count := file.readinto(part):
        found += part[:count]
    file.close()
    return bytes(found)


def test_a_window_that_is_not_supported_is_named() -> None:
    for content in (frame(window_log=31), frame() + frame(window_log=31)):
        with pytest.raises(InputError, match=r"^in: zstd needs a window of 2048MiB .*: zstd -dc --long=31 FILE"):
            replays_of(content)


# ---- Room ------------------------------------------------------------------------------------------


class Ledgers:
    """Gives so many bytes."""

    def __init__(self, size: int) -> None:
        self.size = size

    def give(self, count: int, _: bool) -> int:
        if count > self.size:
            return count - self.size
        self.size -= count
        return 0


def test_windows_are_taken_from_the_ledgers_and_given_back() -> None:
    ledgers = Ledgers(100 * MIB)
    room = Room(256 * MIB, 0, ledgers.give)
    assert replays_of(frame(), "zstd", room) == FILE
    assert ledgers.size == 100 * MIB - PYARROW_BYTES
    assert replays_of(frame() + frame(window_log=25), "zstd", room) == FILE * 2
    assert ledgers.size == 100 * MIB - PYARROW_BYTES - (32 * MIB - ZSTD_WINDOW_BYTES)
    left = ledgers.size
    for _ in range(3):  # of one file after the other
        assert replays_of(frame(window_log=25) + frame(window_log=20), "zstd", room) == FILE * 2
    assert ledgers.size == left
    with pytest.raises(
        MemoryLimitError,
        match=r"^in: zstd takes 120MiB more to decompress it, and the memory limit of 256MiB leaves 48MiB for it: "
        r"decompress it first: zstd -dc --long=27 FILE \| txfast, or raise the limit to 346MiB$",
    ):
        replays_of(frame(window_log=25) + frame(window_log=27), "zstd", room)


def test_pyarrow_gets_what_there_is() -> None:
    ledgers = Ledgers(10 * MIB)
    room = Room(96 * MIB, 20 * MIB, ledgers.give)
    room.load_pyarrow(20 * MIB)
    assert ledgers.size == 10 * MIB
    room.load_pyarrow(100 * MIB)
    assert ledgers.size == 0
    room.load_pyarrow(100 * MIB)


def xz(dictionary: int, *before: dict[str, int]) -> bytes:
    filters = [*before, {"id": lzma.FILTER_LZMA2, "dict_size": dictionary}]
    return lzma.compress(FILE, filters=filters)


@pytest.mark.parametrize("dictionary", [4096, 6144, 1 << 20, 3 << 20, 64 << 20])
def test_the_dictionary_of_xz_is_found(dictionary: int) -> None:
    assert xz_bytes(xz(dictionary)) == XZ_OTHER_BYTES + dictionary
    assert xz_bytes(xz(dictionary, {"id": lzma.FILTER_DELTA, "dist": 4})) == XZ_OTHER_BYTES + dictionary
    content = xz(dictionary)
    # With the sizes of the block before the filters.
    sized = content[:12] + bytes([content[12], content[13] | 0xC0]) + b"\x85\x01\x07" + content[14:]
    assert xz_bytes(sized) == XZ_OTHER_BYTES + dictionary


def test_where_xz_does_not_say_its_dictionary_the_most_is_taken() -> None:
    assert xz_bytes(b"") == 0
    assert xz_bytes(xz(1 << 20)[:15]) == 0
    assert xz_bytes(lzma.compress(b"")) == XZ_OTHER_BYTES
    delta = xz(1 << 20, {"id": lzma.FILTER_DELTA, "dist": 4})
    assert xz_bytes(delta[:13] + b"\0" + delta[14:]) == XZ_OTHER_BYTES
    ledgers = Ledgers(XZ_MEMORY_BYTES_MAX)
    opened(b"\xfd7zXZ\0", "xz", Room(256 * MIB, 0, ledgers.give)).close()
    assert ledgers.size == 0


def test_xz_takes_its_dictionary_from_the_ledgers_and_no_more() -> None:
    ledgers = Ledgers(20 * MIB)
    room = Room(256 * MIB, 0, ledgers.give)
    assert replays_of(xz(8 << 20) * 2, "xz", room) == FILE * 2
    assert ledgers.size == 11 * MIB
    with pytest.raises(
        MemoryLimitError, match=r"^in: xz takes 65MiB more .* leaves 20MiB .*: xz -dc FILE \| txfast, or"
    ):
        replays_of(xz(64 << 20), "xz", room)
    with pytest.raises(InputError, match=r"^in: xz cannot be decompressed in 9 MiB of memory"):
        replays_of(xz(8 << 20) + xz(64 << 20), "xz", room)
    assert replays_of(xz(8 << 20) + xz(64 << 20), "xz") == FILE * 2


# ---- Runs of the command ---------------------------------------------------------------------------


@pytest.mark.unmeasured
@pytest.mark.parametrize("piped", [False, True])
def test_a_window_that_the_limit_leaves_no_room_for_is_refused(folder: Folder, piped: bool) -> None:
    for name, content in (
        ("in.zst", frame(b"type,client,tx,amount\n") + frame(window_log=27)),
        ("in.xz", xz(64 << 20)),
    ):
        folder.write(name, content)
        arguments = ["-q", "--memory-limit", "96MiB", "--threads", "1"]
        peak, code, errors = peak_bytes(folder, *arguments, *[name] * (not piped), stdin=name if piped else None)
        assert (code, errors.count("\n")) == (1, 0)
        assert "more to decompress it, and the memory limit of 96MiB leaves " in errors
        assert peak < 96 * MIB
        limit = errors.rpartition(" ")[2]
        assert folder.run("-q", name, "--memory-limit", limit, "--threads", "1").exit_code == 0
    assert folder.run("-q", "in.zst").exit_code == 0
