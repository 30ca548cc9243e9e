"""Looks at the bytes of a stream before a library gets them, in blocks of any size.

This module must not know what the bytes mean.
"""

from io import RawIOBase

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import TypeAlias

    from _typeshed import WriteableBuffer

    # Yields how many bytes come next, and whether they are passed over; is sent the bytes that are not.
    Parser: TypeAlias = Generator[tuple[int, bool], bytes, None]


class WatchedBytes:
    """`note` each block of a stream: the parser gets the bytes that it asks for. It must not end before the stream."""

    def __init__(self, parser: "Parser") -> None:
        self._parser = parser
        self._wanted, self._is_skipped = next(parser)
        self._found = b""

    def note(self, block: bytes | bytearray | memoryview) -> None:
        """Look at the next bytes. Raises what the parser raises."""
        at, end = 0, len(block)
        while at < end:
            count = min(self._wanted, end - at)
            if not self._is_skipped:
                self._found += block[at : at + count]
            at += count
            self._wanted -= count
            while not self._wanted:
                found, self._found = self._found, b""
                self._wanted, self._is_skipped = self._parser.send(found)


class WatchedFile(RawIOBase):
    """A file whose bytes are noted before they are given out."""

    def __init__(self, file: RawIOBase, note: "Callable[[memoryview], None]") -> None:
        self._file = self.file_below = file
        self._note = note

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int | None:
        """As a raw file does it. Raises what `note` raises."""
        count = self._file.readinto(buffer)
        if count:
            self._note(memoryview(buffer).cast("B")[:count])
        return count

    def close(self) -> None:
        """Close the file below too."""
        self._file.close()
        super().close()
