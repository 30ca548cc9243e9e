"""Compressed inputs, decompressed while they are read.

isal reads gzip, in a third of zlib's time; pyarrow reads zstd and lz4, the standard library bzip2 and xz. Several
compressed files, one after the other, are read as one. An input that was cut short or damaged ends in an error, never
in a shorter stream.

This module must not know what the bytes mean, nor how a compression is recognised (first_bytes.py).
"""

from io import BufferedReader, RawIOBase

from txfast.input.library_errors import LibraryErrors

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    import pyarrow as pa
    from _typeshed import WriteableBuffer

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
# xz -9 needs half as much; a file says itself how much it needs, up to 4 GiB.
XZ_MEMORY_BYTES_MAX = 128 << 20
# What may stand between files and after the last, as on tapes.
PADDING = b"\0"


class DecompressedFile(RawIOBase):
    """A compressed file, read as the bytes that were compressed. `name` is the file's in messages."""

    def __init__(self, name: str, file: RawIOBase, compression: str) -> None:
        self._file = self.file_below = file
        self._compression = compression
        self._errors = LibraryErrors(name, self._describe)
        with self._errors:
            self._stream = open_stream(file, compression)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill the buffer, or a part of it; 0 at the end. Raises InputError where the file is damaged, and
        SourceError."""
        with self._errors:
            return self._stream.readinto(buffer)

    def _describe(self, words: str) -> str:
        if words.startswith("Memory usage limit"):
            return (
                f"{self._compression} cannot be decompressed in {XZ_MEMORY_BYTES_MAX >> 20} MiB of memory: compress it "
                f"with a smaller dictionary, as xz -9 has it"
            )
        return f"{self._compression} cannot be decompressed: it is damaged or cut short ({words})"

    def close(self) -> None:
        """Close the file below too."""
        if not self.closed:
            self._stream.close()
            self._file.close()
        super().close()


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


def xz_decompressor() -> "Decompressor":
    """A decompressor for one xz file. Raises LZMAError where it would need more memory than XZ_MEMORY_BYTES_MAX."""
    from lzma import FORMAT_XZ, LZMADecompressor

    return LZMADecompressor(FORMAT_XZ, XZ_MEMORY_BYTES_MAX)


def open_stream(file: RawIOBase, compression: str) -> "Stream":
    """The library's stream over a compressed file."""
    buffered: BufferedReader[RawIOBase] = BufferedReader(file, COMPRESSED_BLOCK_BYTES)
    stream: Stream
    if compression == "gzip":
        from isal import igzip

        stream = igzip.IGzipFile(fileobj=buffered, mode="rb")  # type: ignore[no-untyped-call]
    elif compression == "bz2":
        from bz2 import BZ2Decompressor

        stream = MemberStream(buffered, BZ2Decompressor)
    elif compression == "xz":
        stream = MemberStream(buffered, xz_decompressor)
    else:
        stream = pa.CompressedInputStream(pa.PythonFile(buffered, mode="r"), compression)
    return stream
