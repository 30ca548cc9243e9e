"""A quoted field that was still open where an earlier run stopped reading an input.

That run took its lines for rows. If the bytes that were added close the field, those lines were a part of it: a run
cannot take them back, and fails. This module must not know where positions are kept.
"""

from txfast.errors import InputError

# No field is longer: of a text of so many bytes from its opening quote on, it is known whether the field is closed.
DECIDED_BYTES = (1 << 20) + 2


class OpenField:
    """An open quoted field: the offset in bytes of its opening quote, and its text so far, of at most DECIDED_BYTES.

    `name` is that of the input, and `line` the number of the line on which the field opens, both for messages. Fields
    are separated by the `delimiter`.
    """

    __slots__ = ("_delimiter", "_text", "line", "name", "offset_bytes")

    def __init__(self, name: str, line: int, offset_bytes: int, text: bytes, delimiter: str = ",") -> None:
        self._delimiter = delimiter
        self.name = name
        self.line = line
        self.offset_bytes = offset_bytes
        self._text = text

    def go_on(self, block: "bytes | bytearray | memoryview") -> "OpenField | None":
        """The field with these bytes after it; None where they show that it is never closed. Raises InputError where
        they close it."""
        text = self._text + bytes(block)
        if not self._is_open(text):
            return None
        return OpenField(self.name, self.line, self.offset_bytes, text, self._delimiter)

    def end(self) -> None:
        """At the end of the input. Raises InputError where that closes the field."""
        self._is_open(self._text, is_whole=True)

    def _is_open(self, text: bytes, *, is_whole: bool = False) -> bool:
        from txfast.text.quotes import closes

        is_closed = closes(text, is_whole=is_whole, delimiter=self._delimiter)
        if is_closed:
            raise InputError(
                f"{self.name}:{self.line}: a quoted field that opens here was not closed when its lines were applied "
                f"as rows, and what was added closes it; restore the lines as they were, or start a new state directory"
            )
        return is_closed is None
