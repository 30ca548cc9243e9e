"""Encodings of one byte a character, and UTF-16 without a byte order mark: transcoded to UTF-8 while they are read.

A dialect names such an encoding: no byte in the file tells it. All positions in such an input, also those of a state,
count bytes of the UTF-8 text. This module must not know what the text means.
"""

import codecs
from io import RawIOBase

from txfast.input.first_bytes import Layer, ReplayedFile, text_kind_of
from txfast.input.last_line import files_of
from txfast.input.source import TEXT_KINDS, Source
from txfast.input.utf16 import Utf16File

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Bytes that are read at once.
BLOCK_BYTES = 1 << 18
BYTE_COUNT = 256
UTF_16, UTF_16_WITHOUT_MARK = "utf-16", "utf-16-le"
# By encoding: the character of each byte. Windows reads the bytes to which cp1252 gives none as control characters.
CHARACTERS = {
    name: "".join(
        bytes([byte]).decode(name, "ignore") or chr(byte) for byte in range(BYTE_COUNT)
    )
    for name in ("latin-1", "cp1252")
}  # fmt: skip


def decoded_source(source: Source, encoding: str | None) -> Source:
    """The source, read as UTF-8 where its file has this encoding; the same source for UTF-8, for a table, and for
    UTF-16 that a byte order mark has told already."""
    if encoding not in (*CHARACTERS, UTF_16) or source.kind not in TEXT_KINDS:
        return source
    if any(isinstance(each, Utf16File) for each in files_of(source.file)):
        return source
    layer: Layer = (
        Utf16File(source.name, source.file, UTF_16_WITHOUT_MARK, mark_bytes=0)
        if encoding == UTF_16
        else DecodedFile(source.file, CHARACTERS[encoding])
    )
    first_bytes = layer.take_first_bytes()
    return Source(source.name, ReplayedFile(first_bytes, layer), None, text_kind_of(first_bytes))


class DecodedFile(Layer):
    """A file of one byte a character, read as UTF-8. `characters` has the character of each byte."""

    def __init__(self, file: RawIOBase, characters: str) -> None:
        self._file = self.file_below = file
        self._characters = characters
        self._block = bytearray(BLOCK_BYTES)
        self._text = memoryview(b"")

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fill the buffer, or a part of it; 0 at the end. Raises what the file below raises."""
        view = memoryview(buffer).cast("B")
        if not self._text:
            count = self._file.readinto(self._block) or 0
            text, _ = codecs.charmap_decode(self._block[:count], "strict", self._characters)
            self._text = memoryview(text.encode())
        count = min(len(view), len(self._text))
        view[:count] = self._text[:count]
        self._text = self._text[count:]
        return count

    def close(self) -> None:
        """Close the file below too."""
        self._file.close()
        super().close()
