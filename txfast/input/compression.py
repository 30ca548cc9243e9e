"""Compressed inputs, decompressed while they are read.

isal reads gzip, in a third of zlib's time; pyarrow reads zstd and lz4, the standard library bzip2 and xz. Several
compressed files, one after the other, are read as one. An input that was cut short or damaged ends in an error, never
in a shorter stream.

This module must not know what the bytes mean, nor how a compression is recognised (first_bytes.py).
"""

from io import BufferedReader, RawIOBase

from txfast.input.first_bytes import Layer
from txfast.input.library_errors import LibraryErrors
from txfast.input.room import PYARROW_BYTES, ZSTD_WINDOW_BYTES, in_mib
from txfast.input.watched_bytes import WatchedBytes, WatchedFile
from txfast.input.windows import XZ_MEMORY_BYTES_MAX, xz_bytes, zstd_windows

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    import pyarrow as pa
    from _typeshed import WriteableBuffer

    from txfast.input.room import Room

    class Stream(Protocol):
        """A library's stream of decompressed bytes."""

        def readinto(self, buffer: WriteableBuffer, /) -> int: ...
        def close(self) -> None: ...

    class Decompressor(Protocol):
        """The standard library's decompressor of one file."""

        @property
        def eof(self) -> bool: ...
        @property
        def needs_input(self) -> bool: ...
        @property
        def unused_data(self) -> bytes: ...
        def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...
else:
    from txfast.late import pa

# Size of a read of compressed bytes.
COMPRESSED_BLOCK_BYTES = 1 << 18
# How a user decompresses a file.
DECOMPRESS = {"zstd": "zstd -dc --long=27 FILE | txfast", "xz": "xz -dc FILE | txfast"}
# What may stand between files and after the last, as on tapes.
PADDING = b"\0"


class DecompressedFile(Layer):
    """A compressed file, read as the bytes that were compressed. `name` is the file's in messages, `first_bytes` what
    the file begins with.

    Under a memory limit, the memory for decompressing it is taken from the `room` first. Raises MemoryLimitError where
    there is not enough.
    """

    def __init__(
        self, name: str, file: RawIOBase, compression: str, room: "Room | None" = None, first_bytes: bytes = b""
    ) -> None:
        self._file = self.file_below = file
        self._compression = compression
        self._room = room
        self._taken_bytes = 0
        self._xz_bytes_max = XZ_MEMORY_BYTES_MAX
        self._errors = LibraryErrors(name, self._describe)
        with self._errors:
            self._stream = self._open_stream(first_bytes)

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill the buffer, or a part of it; 0 at the end. Raises InputError where the file is damaged, and
        SourceError."""
        with self._errors:
            return self._stream.readinto(buffer)

    def _describe(self, words: str) -> str:
        if words.startswith("Memory usage limit"):
            return (
                f"{self._compression} cannot be decompressed in {self._xz_bytes_max >> 20} MiB of memory: compress it "
                f"with a smaller dictionary, as xz -9 has it, or decompress it first: {DECOMPRESS['xz']}"
            )
        return f"{self._compression} cannot be decompressed: it is damaged or cut short ({words})"

    def close(self) -> None:
        """Close the file below too."""
        if not self.closed:
            self._stream.close()
            self._file.close()
            self._take(0)
        super().close()

    def _open_stream(self, first_bytes: bytes) -> "Stream":
        """The library's stream over the file."""
        file = self._file
        if self._compression in ("zstd", "lz4"):
            if self._room is not None:
                self._room.load_pyarrow(PYARROW_BYTES)
            if self._compression == "zstd":
                file = WatchedFile(file, WatchedBytes(zstd_windows(self._errors.name, self._take_window)).note)
        elif self._compression == "xz" and self._room is not None:
            count = min(xz_bytes(first_bytes) or XZ_MEMORY_BYTES_MAX, XZ_MEMORY_BYTES_MAX)
            self._take(count)
            self._xz_bytes_max = count
        return open_stream(file, self._compression, self._xz_bytes_max)

    def _take_window(self, window: int) -> None:
        """Take memory for a window, as far as it is not part of PYARROW_BYTES."""
        self._take(max(self._taken_bytes, window - ZSTD_WINDOW_BYTES))

    def _take(self, count: int) -> None:
        """Take so many bytes in all, or give back what is more."""
        if self._room is None:
            return
        self._room.give_back(self._taken_bytes)
        self._taken_bytes = 0
        if count:
            what = f"{self._compression} takes {in_mib(count)} more to decompress it"
            self._room.take(count, self._errors.name, what, f"decompress it first: {DECOMPRESS[self._compression]}")
            self._taken_bytes = count


class MemberStream(RawIOBase):
    """One or several files of bzip2 or xz, one after the other.

    No library's class serves: those of the standard library ignore foreign bytes after the files, and pyarrow's refuses
    empty files of bzip2.
    """

    def __init__(self, file: "BufferedReader[RawIOBase]", new_decompressor: "Callable[[], Decompressor]") -> None:
        self._file = file
        self._new_decompressor = new_decompressor
        self._decompressor = new_decompressor()

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill the buffer, or a part of it; 0 at the end. Raises OSError and EOFError."""
        view = memoryview(buffer)
        while True:
            block = b""
            if self._decompressor.eof:
                block = self._next_member()
                if not block:
                    return 0
                self._decompressor = self._new_decompressor()
            elif self._decompressor.needs_input:
                block = self._file.read(COMPRESSED_BLOCK_BYTES)
                if not block:
                    raise EOFError("it ends too early")
            text = self._decompressor.decompress(block, len(view))
            if text:
                view[: len(text)] = text
                return len(text)

    def _next_member(self) -> bytes:
        """The first bytes after a file that has ended, without padding; none at the end. Raises OSError."""
        block = self._decompressor.unused_data or self._file.read(COMPRESSED_BLOCK_BYTES)
        while block and not (block := block.lstrip(PADDING)):
            block = self._file.read(COMPRESSED_BLOCK_BYTES)
        return block


def open_stream(file: RawIOBase, compression: str, xz_bytes_max: int) -> "Stream":
    """The library's stream over a compressed file. One over xz raises LZMAError where it would need more memory than
    `xz_bytes_max`."""
    buffered: BufferedReader[RawIOBase] = BufferedReader(file, COMPRESSED_BLOCK_BYTES)
    stream: Stream
    if compression == "gzip":
        from isal import igzip

        stream = igzip.IGzipFile(fileobj=buffered, mode="rb")  # type: ignore[no-untyped-call]
    elif compression == "bz2":
        from bz2 import BZ2Decompressor

        stream = MemberStream(buffered, BZ2Decompressor)
    elif compression == "xz":
        from lzma import FORMAT_XZ, LZMADecompressor

        stream = MemberStream(buffered, lambda: LZMADecompressor(FORMAT_XZ, xz_bytes_max))
    else:
        stream = pa.CompressedInputStream(pa.PythonFile(buffered, mode="r"), compression)
    return stream
