"""Compressed inputs: told by their first bytes, and read as the bytes that were compressed.

gzip is read by isal, which takes a third of zlib's time, zstd and lz4 by pyarrow, bzip2 by the standard library.
Several compressed files in one, one after the other, are read as one; an input that was cut short or damaged ends in an
error, never in a shorter stream.

This module must not know what the bytes mean.
"""

from errno import EAGAIN
from io import BufferedReader, RawIOBase

from txfast.errors import InputError

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from typing import Protocol

    from _typeshed import WriteableBuffer

    class Stream(Protocol):
        """What a library makes of a compressed file."""

        def readinto(self, buffer: WriteableBuffer, /) -> int: ...
        def close(self) -> None: ...

# The first bytes of each kind, and what pyarrow calls it.
MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4", b"BZh": "bz2"}
# As many first bytes tell a compression, and what else an input may be.
MAGIC_BYTES = 8
# What is decompressed at once.
COMPRESSED_BLOCK_BYTES = 1 << 18


def compression_of(first_bytes: bytes) -> str | None:
    """How an input that begins with these is compressed; None where it is not."""
    for magic, compression in MAGIC.items():
        if first_bytes.startswith(magic):
            return compression
    return None


def take_first_bytes(file: RawIOBase) -> bytes:
    """Read as many bytes as it takes to tell a compression, or what there is. Raises OSError."""
    first_bytes = bytearray(MAGIC_BYTES)
    filled = 0
    while filled < MAGIC_BYTES:
        count = file.readinto(memoryview(first_bytes)[filled:])
        if not count:
            break
        filled += count
    return bytes(first_bytes[:filled])


class ReplayedFile(RawIOBase):
    """A file whose first bytes were taken, as if they had not been."""

    def __init__(self, first_bytes: bytes, file: RawIOBase) -> None:
        self._first_bytes = first_bytes
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """As a blocking file does it: where there is nothing to read yet, BlockingIOError is raised."""
        if not self._first_bytes:
            count = self._file.readinto(buffer)
            if count is None:
                raise BlockingIOError(EAGAIN, "it is non-blocking and has nothing to read yet")
            return count
        view = memoryview(buffer)
        count = min(len(view), len(self._first_bytes))
        view[:count] = self._first_bytes[:count]
        self._first_bytes = self._first_bytes[count:]
        return count

    def close(self) -> None:
        """Close the file below too."""
        self._file.close()
        super().close()


class DecompressedFile(RawIOBase):
    """A compressed file as the bytes that were compressed. `name` is the file's in messages."""

    def __init__(self, name: str, file: RawIOBase, compression: str) -> None:
        self._name = name
        self._file = file
        self._compression = compression
        self._stream = open_stream(file, compression)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill the buffer, or a part of it; 0 at the end. Raises InputError where the file is damaged."""
        try:
            return self._stream.readinto(buffer)
        except (OSError, EOFError, ValueError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # of the file below
            raise InputError(
                f"{self._name}: {self._compression} cannot be decompressed: it is damaged or cut short ({error})"
            ) from error

    def close(self) -> None:
        """Close the file below too."""
        if not self.closed:
            self._stream.close()
            self._file.close()
        super().close()


class Bz2Stream(RawIOBase):
    """A bzip2 file, or several one after the other. The standard library's own class passes over what stands behind
    them, and pyarrow's refuses empty ones."""

    def __init__(self, file: "BufferedReader[RawIOBase]") -> None:
        from bz2 import BZ2Decompressor

        self._file = file
        self._new_decompressor = BZ2Decompressor
        self._decompressor = BZ2Decompressor()

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """As DecompressedFile has it. Raises OSError and EOFError."""
        view = memoryview(buffer)
        while True:
            block = b""
            if self._decompressor.eof:
                block = self._decompressor.unused_data or self._file.read(COMPRESSED_BLOCK_BYTES)
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


def open_stream(file: RawIOBase, compression: str) -> "Stream":
    """The library's own stream over a compressed file."""
    buffered: BufferedReader[RawIOBase] = BufferedReader(file, COMPRESSED_BLOCK_BYTES)
    stream: Stream
    if compression == "gzip":
        from isal import igzip

        stream = igzip.IGzipFile(fileobj=buffered, mode="rb")  # type: ignore[no-untyped-call]
    elif compression == "bz2":
        stream = Bz2Stream(buffered)
    else:
        import pyarrow as pa

        stream = pa.CompressedInputStream(pa.PythonFile(buffered, mode="r"), compression)
    return stream
