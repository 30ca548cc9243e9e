"""The reference for rows under a dialect: cuts a file into rows and a row into fields, slowly and obviously.

It is written from the rules alone, as reference.py is, and must not import `txfast`. It must not know what a field
means.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.support.reference_rows import ROW_LIMIT_BYTES

BLANKS = b" \t\v\f"


class Shape(NamedTuple):
    """What says where a row ends. `quote` is None where no field is quoted, `comment` where no line is a comment."""

    delimiter: bytes
    quote: bytes | None
    comment: bytes | None
    skip: int


class Field(NamedTuple):
    """A field, unquoted and trimmed. Doubled quotes stay doubled in `text`, which is what words are compared with. A
    number is one of JSON, and no text."""

    text: bytes
    is_quoted: bool
    is_number: bool = False

    def shown(self, quote: bytes | None) -> bytes:
        """The field as rejects show it: a doubled quote is one, and a doubled quote of another kind stays as it is."""
        return self.text.replace(b'""', b'"') if quote == b'"' and self.is_quoted else self.text


def blanks_of(delimiter: bytes) -> bytes:
    """The bytes that do not count around a field."""
    return BLANKS.replace(delimiter, b"")


# ---- Lines ---------------------------------------------------------------------------------------


def cut_rows(content: bytes, shape: Shape) -> list[tuple[int, bytes]]:
    """The rows of a file without a byte order mark, each with the number of its first line, without its ending.

    Lines that are skipped, lines of blanks and comments are no rows. The header is the first row.
    """
    rows: list[tuple[int, bytes]] = []
    start = 0
    line = 1
    while line <= shape.skip and start < len(content):
        start = end_of_ending(content, end_of_line(content, start))
        line += 1
    while start < len(content):
        end = end_of_line(content, start)
        if not is_nothing(content[start:end], shape):
            end = end_of_row(content, start, shape)
            rows.append((line, content[start:end]))
        line += count_endings(content[start:end]) + 1
        start = end_of_ending(content, end)
    return rows


def is_nothing(line: bytes, shape: Shape) -> bool:
    """Whether a line that begins where a row might begin is none: it is blank, or a comment."""
    text = line.strip(blanks_of(shape.delimiter))
    return not text or (shape.comment is not None and text.startswith(shape.comment))


def end_of_line(content: bytes, start: int) -> int:
    """The index of the next line ending, or the end of the file."""
    ends = [at for at in (content.find(b"\n", start), content.find(b"\r", start)) if at >= 0]
    return min(ends, default=len(content))


def end_of_ending(content: bytes, end: int) -> int:
    """The index after the line ending that is at `end`."""
    if content[end : end + 2] == b"\r\n":
        return end + 2
    return min(end + 1, len(content))


def count_endings(text: bytes) -> int:
    return text.count(b"\n") + text.count(b"\r") - text.count(b"\r\n")


# ---- Quotes --------------------------------------------------------------------------------------


def end_of_row(content: bytes, start: int, shape: Shape) -> int:
    """The index of the line ending that ends the row at `start`, or the end of the file.

    Line endings inside a quoted field belong to it. A badly quoted field ends the row with the line on which it opens.
    """
    if shape.quote is None or content.find(shape.quote, start, end_of_line(content, start)) < 0:
        return end_of_line(content, start)
    while True:
        first = skip_blanks(content, start, shape.delimiter)
        if content[first : first + 1] == shape.quote:
            after = end_of_quoted_field(content, first, shape)
            if after is None:
                return end_of_line(content, first)
        else:
            next_delimiter = content.find(shape.delimiter, first)
            after = end_of_line(content, first)
            if 0 <= next_delimiter < after:
                after = next_delimiter
        if content[after : after + 1] != shape.delimiter:
            return after
        start = after + 1


def end_of_quoted_field(content: bytes, opening: int, shape: Shape) -> int | None:
    """The index of the delimiter, the line ending or the end of the file after a quoted field; None for bad quoting.

    All of it must be within the row limit.
    """
    assert shape.quote is not None
    window = content[opening : opening + ROW_LIMIT_BYTES + 1]
    closing = closing_quote(window, 0, shape.quote)
    if closing is None:
        return None
    after = skip_blanks(window, closing + 1, shape.delimiter)
    if after < len(window):
        return opening + after if window[after : after + 1] in (shape.delimiter, b"\n", b"\r") else None
    return opening + after if opening + after == len(content) else None


def closing_quote(text: bytes, opening: int, quote: bytes) -> int | None:
    """The index of the first quote after `opening` that is not doubled; None if there is none."""
    at = text.find(quote, opening + 1)
    while at >= 0 and text[at + 1 : at + 2] == quote:
        at = text.find(quote, at + 2)
    return at if at >= 0 else None


def skip_blanks(text: bytes, start: int, delimiter: bytes) -> int:
    """The index of the next byte that is not blank, or the end of the text."""
    blanks = blanks_of(delimiter)
    while start < len(text) and text[start] in blanks:
        start += 1
    return start


def split_fields(row: bytes, delimiter: bytes, quote: bytes | None) -> list[Field] | None:
    """The fields of a row; None if one of them is badly quoted."""
    blanks = blanks_of(delimiter)
    fields: list[Field] = []
    start = 0
    while True:
        first = skip_blanks(row, start, delimiter)
        is_quoted = quote is not None and row[first : first + 1] == quote
        if quote is not None and is_quoted:
            closing = closing_quote(row, first, quote)
            if closing is None:
                return None
            end = end_of_field(row, closing + 1, delimiter)
            if row[closing + 1 : end].strip(blanks):
                return None
            text = row[first + 1 : closing]
        else:
            end = end_of_field(row, start, delimiter)
            text = row[start:end]
        fields.append(Field(text.strip(blanks), is_quoted))
        if end == len(row):
            return fields
        start = end + 1


def end_of_field(row: bytes, start: int, delimiter: bytes) -> int:
    """The index of the next delimiter, or the end of the row."""
    at = row.find(delimiter, start)
    return at if at >= 0 else len(row)
