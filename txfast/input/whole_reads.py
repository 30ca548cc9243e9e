"""Files for pyarrow over an input that cannot be opened again: a pipe, or a compressed file.

This module must not know what the bytes mean.
"""

from errno import EAGAIN

from txfast.input.source import Source

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from io import RawIOBase

    import pyarrow as pa
else:
    from txfast.late import pa

# Bytes that StreamReads keeps of the end of what it has read.
LAST_BYTES = 8


class WholeReads:
    """A file whose reads are short at its end alone: pyarrow takes each read for a block.

    `note` is called with each block before the block is given out.
    """

    closed = False

    def __init__(self, file: "RawIOBase", note: "Callable[[bytearray], None] | None" = None) -> None:
        self._file = file
        self._note = note
        self._bytes_read = 0

    def tell(self) -> int:
        return self._bytes_read

    def read(self, count: int) -> bytearray:
        """Read `count` bytes, fewer only at the end. Raises OSError, and what `note` raises."""
        block = bytearray(count)
        filled = 0
        with memoryview(block) as view:
            while filled < count:
                more = self._file.readinto(view[filled:])
                if more is None:
                    raise BlockingIOError(EAGAIN, "it is non-blocking and has nothing to read yet")
                if not more:
                    break
                filled += more
        del block[filled:]
        if self._note is not None:
            self._note(block)
        self._bytes_read += filled
        return block


class StreamReads(WholeReads):
    """WholeReads that can look ahead, and keep the last bytes that were read. Bytes that are looked at are noted at
    once."""

    def __init__(self, file: "RawIOBase", note: "Callable[[bytearray], None] | None" = None) -> None:
        super().__init__(file, note)
        self.last_bytes = b""
        self.was_short = False  # a read wanted bytes after the end
        self._ahead = b""

    def has_more(self) -> bool:
        """Whether there is another byte."""
        return bool(self.peek(1))

    def peek(self, count: int) -> bytes:
        """The next bytes, which stay to be read; fewer only at the end. Raises as `read`."""
        if len(self._ahead) < count:
            self._ahead += bytes(super().read(count - len(self._ahead)))
        return self._ahead[:count]

    def read(self, count: int) -> bytearray:
        if not self._ahead:
            block = super().read(count)
        else:
            block, self._ahead = bytearray(self._ahead[:count]), self._ahead[count:]
            if len(block) < count:
                block += super().read(count - len(block))
        self.was_short = self.was_short or len(block) < count
        self.last_bytes = (self.last_bytes + bytes(block[-LAST_BYTES:]))[-LAST_BYTES:]
        return block


def open_for_pyarrow(source: Source, note: "Callable[[bytearray], None] | None" = None) -> "pa.NativeFile | WholeReads":
    """The source as a file that pyarrow reads in order. With WholeReads, `note` is called with each block.

    pyarrow reads ahead in a thread of its own. If that thread runs Python code, a process that ends first can crash or
    hang, so pyarrow gets a regular file by its descriptor.
    """
    if source.size_bytes is None:
        return WholeReads(source.file, note)
    try:
        file = pa.OSFile(f"/dev/fd/{source.file.fileno()}")
    except OSError:
        # Not every system lets a descriptor be opened again.
        return WholeReads(source.file, note)
    file.seek(source.file.tell())
    return file
