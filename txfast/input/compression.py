"""Compressed inputs, decompressed while they are read.

isal reads gzip, in a third of zlib's time; pyarrow reads zstd and lz4, the standard library bzip2. Several compressed
files, one after the other, are read as one. An input that was cut short or damaged ends in an error, never in a shorter
stream.

This module must not know what the bytes mean, nor how a compression is recognised (first_bytes.py).
"""

from io import BufferedReader, RawIOBase

from txfast.input.library_errors import LibraryErrors

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from typing import Protocol

    import pyarrow as pa
    from _typeshed import WriteableBuffer

    class Stream(Protocol):
        """A library's stream of decompressed bytes."""

        def readinto(self, buffer: WriteableBuffer, /) -> int: ...
        def close(self) -> None: ...
else:
    from txfast.late import pa

# Size of a read of compressed bytes.
COMPRESSED_BLOCK_BYTES = 1 << 18


class DecompressedFile(RawIOBase):
    """A compressed file, read as the bytes that were compressed. `name` is the file's in messages."""

    def __init__(self, name: str, file: RawIOBase, compression: str) -> None:
        self._file = file
        self._errors = LibraryErrors(
            name, f"{compression} cannot be decompressed: it is damaged or cut short ({{}})".format
        )
        with self._errors:
            self._stream = open_stream(file, compression)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill the buffer, or a part of it; 0 at the end. Raises InputError where the file is damaged, and
        SourceError."""
        with self._errors:
            return self._stream.readinto(buffer)

    def close(self) -> None:
        """Close the file below too."""
        if not self.closed:
            self._stream.close()
            self._file.close()
        super().close()


class Bz2Stream(RawIOBase):
    """One or several bzip2 files, one after the other.

    Neither library serves: the standard library's class ignores foreign bytes after them, and pyarrow's refuses empty
    files.
    """

    def __init__(self, file: "BufferedReader[RawIOBase]") -> None:
        from bz2 import BZ2Decompressor

        self._file = file
        self._new_decompressor = BZ2Decompressor
        self._decompressor = BZ2Decompressor()

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill the buffer, or a part of it; 0 at the end. Raises OSError and EOFError."""
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
    """The library's stream over a compressed file."""
    buffered: BufferedReader[RawIOBase] = BufferedReader(file, COMPRESSED_BLOCK_BYTES)
    stream: Stream
    if compression == "gzip":
        from isal import igzip

        stream = igzip.IGzipFile(fileobj=buffered, mode="rb")  # type: ignore[no-untyped-call]
    elif compression == "bz2":
        stream = Bz2Stream(buffered)
    else:
        stream = pa.CompressedInputStream(pa.PythonFile(buffered, mode="r"), compression)
    return stream
