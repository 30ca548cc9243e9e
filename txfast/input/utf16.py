"""UTF-16 as an input: transcoded to UTF-8 while it is read.

All positions in such an input, also those of a state, count bytes of the UTF-8 text without its byte order mark. So the
same file as UTF-8 has the same positions and hashes. This module must not know what the text means.
"""

from codecs import getincrementaldecoder
from io import RawIOBase

from txfast.errors import InputError
from txfast.input.first_bytes import Layer

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import WriteableBuffer

# Bytes of UTF-16 that are read at once.
BLOCK_BYTES = 1 << 18
MARK_BYTES = 2


class Utf16File(Layer):
    """A file of UTF-16 that begins with a byte order mark, of `mark_bytes`, read as UTF-8 without one. `name` is the
    file's in messages; `encoding` is utf-16-le or utf-16-be, as the mark says.

    A file that ends inside a character is refused at its end, unless `holds_end_back` says that this end is held back.
    """

    def __init__(self, name: str, file: RawIOBase, encoding: str, *, mark_bytes: int = MARK_BYTES) -> None:
        self._name = name
        self._file = self.file_below = file
        self._decoder = getincrementaldecoder(encoding)()
        self._block = bytearray(BLOCK_BYTES)
        self._bytes_decoded = 0
        self._mark_bytes_left = mark_bytes
        self._text = memoryview(b"")
        self._at_end = False
        self._refuses_end = True
        self.holds_end_back: Callable[[], bool] | None = None

    def take_first_bytes(self) -> bytes:
        """As every layer does. An end among them is not refused yet: whether it is held back shows later."""
        self._refuses_end = False
        try:
            return super().take_first_bytes()
        finally:
            self._refuses_end = True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill the buffer, or a part of it; 0 at the end. Raises InputError where the text is damaged or ends inside a
        character, and what the file below raises."""
        view = memoryview(buffer).cast("B")
        while not self._text and not self._at_end:
            count = self._file.readinto(self._block) or 0
            self._at_end = count == 0
            first = min(self._mark_bytes_left, count)
            self._mark_bytes_left -= first
            self._bytes_decoded += first
            self._text = memoryview(self._decode(bytes(self._block[first:count])))
        if not self._text and self._refuses_end:
            self._check_end()
        count = min(len(view), len(self._text))
        view[:count] = self._text[:count]
        self._text = self._text[count:]
        return count

    def _check_end(self) -> None:
        half = len(self._decoder.getstate()[0])
        if half and not (self.holds_end_back and self.holds_end_back()):
            raise InputError(
                f"{self._name}: UTF-16 that ends inside a character, at byte {self._bytes_decoded - half:,} of it: it "
                f"was cut short, or is still being written; read it when it is whole"
            )

    def _decode(self, block: bytes) -> bytes:
        """The UTF-8 of the next block. The decoder keeps half a character for the next one."""
        kept = len(self._decoder.getstate()[0])
        try:
            text = self._decoder.decode(block)
        except UnicodeDecodeError as error:
            offset = self._bytes_decoded - kept + error.start
            raise InputError(
                f"{self._name}: UTF-16 that is damaged: at byte {offset:,} of it there is no character "
                f"({error.reason}); get it again"
            ) from error
        self._bytes_decoded += len(block)
        return text.encode()

    def close(self) -> None:
        """Close the file below too."""
        self._file.close()
        super().close()
