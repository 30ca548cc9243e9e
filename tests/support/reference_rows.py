"""The reference for rows: cuts a file into rows and a row into fields, slowly and obviously.

It is written from the rules alone, as reference.py is, and must not import `txfast`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

BLANKS = b" \t\v\f"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
COLUMN_NAMES = (b"type", b"client", b"tx", b"amount")

ROW_LIMIT_BYTES = 1024 * 1024

LINE_ENDING = re.compile(b"\r\n|\n|\r")
# What ends a field that is not quoted.
BOUNDARY = re.compile(b"[,\r\n]")

# The texts of `type`, `client`, `tx` and `amount` in one row; None if the row ends before the column.
Texts = tuple[bytes | None, bytes | None, bytes | None, bytes | None]


class NotTransactions(Exception):  # noqa: N818 (the term of the rules)
    """The input is not a transactions file. The text names the input and the reason."""


class Columns(NamedTuple):
    """The indexes of the four columns in a header, and the number of its columns."""

    type: int
    client: int
    tx: int
    amount: int
    width: int


def split_rows(content: bytes) -> tuple[list[tuple[int, bytes]], int]:
    """The rows of a file, each with the number of its first line and without its ending; and the number of lines.

    A line of blanks is no row. The header is the first row.
    """
    rows: list[tuple[int, bytes]] = []
    line = 1
    start = len(BYTE_ORDER_MARK) if content.startswith(BYTE_ORDER_MARK) else 0
    while start < len(content):
        end = find_row_end(content, start)
        row = content[start:end]
        if row.strip(BLANKS):
            rows.append((line, row))
        line += 1 + len(LINE_ENDING.findall(row))
        start = LINE_ENDING.match(content, end).end() if end < len(content) else end  # type: ignore[union-attr]
    return rows, line - 1


def find_row_end(content: bytes, start: int) -> int:
    """The index of the line ending that ends the row at `start`, or the end of the file."""
    end = find_ending(content, start)
    if content.find(b'"', start, end) < 0:
        return end
    while True:
        first = skip_blanks(content, start)
        after: int | None = first
        if content[first : first + 1] == b'"':
            after = find_end_of_quoted_field(content, first)
        if after is None:
            return find_ending(content, first)  # bad quoting costs the line on which the field opens
        boundary = BOUNDARY.search(content, after)
        if boundary is None or boundary[0] != b",":
            return len(content) if boundary is None else boundary.start()
        start = boundary.end()


def find_end_of_quoted_field(content: bytes, opening: int) -> int | None:
    """The index of the comma, the line ending or the end of the file after a quoted field; None for bad quoting.

    All of it must be within the row limit.
    """
    window = content[opening : opening + ROW_LIMIT_BYTES + 1]
    closing = find_closing_quote(window, 0)
    if closing is None:
        return None
    after = skip_blanks(window, closing + 1)
    if after < len(window):
        return opening + after if BOUNDARY.match(window, after) else None
    return opening + after if opening + after == len(content) else None


def find_ending(content: bytes, start: int) -> int:
    """The index of the next line ending, or the end of the file."""
    ending = LINE_ENDING.search(content, start)
    return len(content) if ending is None else ending.start()


def skip_blanks(text: bytes, start: int) -> int:
    """The index of the next byte that is not blank, or the end of the text."""
    while text[start : start + 1] in (b" ", b"\t", b"\v", b"\f"):
        start += 1
    return start


def split_fields(row: bytes) -> list[bytes] | None:
    """The fields of a row, unquoted and trimmed; None if one of them is badly quoted."""
    if b'"' not in row:
        return [field.strip(BLANKS) for field in row.split(b",")]
    fields: list[bytes] = []
    start = 0
    while True:
        first = skip_blanks(row, start)
        if row[first : first + 1] == b'"':
            closing = find_closing_quote(row, first)
            if closing is None:
                return None
            comma = row.find(b",", closing)
            end = comma if comma >= 0 else len(row)
            if row[closing + 1 : end].strip(BLANKS):
                return None
            text = row[first + 1 : closing].replace(b'""', b'"')
        else:
            comma = row.find(b",", start)
            end = comma if comma >= 0 else len(row)
            text = row[start:end]
        fields.append(text.strip(BLANKS))
        if comma < 0:
            return fields
        start = comma + 1


def find_closing_quote(row: bytes, opening: int) -> int | None:
    """The index of the quote that closes the quote at `opening`; None if it stays open."""
    quote = row.find(b'"', opening + 1)
    while quote >= 0 and row[quote + 1 : quote + 2] == b'"':
        quote = row.find(b'"', quote + 2)
    return quote if quote >= 0 else None


def find_columns(name: str, header: bytes) -> Columns:
    """The columns of a header. Raises NotTransactions."""
    if len(header) > ROW_LIMIT_BYTES:
        raise NotTransactions(f"{name}: the header is over 1 MiB")
    if re.search(rb"[\x00-\x08\x0e-\x1f\x7f]", header):
        raise NotTransactions(f"{name}: the header has a control byte")
    names = split_fields(header)
    if names is None:
        raise NotTransactions(f"{name}: the header is badly quoted")
    found: list[int] = []
    for column_name in COLUMN_NAMES:
        exact = [index for index, each in enumerate(names) if each == column_name]
        fitting = exact or [index for index, each in enumerate(names) if each.lower() == column_name]
        if len(fitting) != 1:
            how_often = "no column" if not fitting else "more than one column"
            raise NotTransactions(f"{name}: the header names {how_often} {column_name.decode()!r}")
        found += fitting
    type_, client, tx, amount = found
    return Columns(type_, client, tx, amount, len(names))


def find_texts(fields: Sequence[bytes], columns: Columns) -> Texts:
    """The texts of the four columns in the fields of a row."""
    type_, client, tx, amount = (fields[at] if at < len(fields) else None for at in columns[:4])
    return type_, client, tx, amount


def has_surplus(fields: Sequence[bytes], columns: Columns) -> bool:
    """Whether a field behind the last column is not empty."""
    return any(fields[columns.width :])
