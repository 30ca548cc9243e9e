"""The reference for rows: cuts a file into rows and a row into fields, slowly and obviously.

It is written from the rules alone, as reference.py is, and must not import `txfast`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple

BLANKS = b" \t\v\f"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
COLUMN_NAMES = (b"type", b"client", b"tx", b"amount")

ROW_LIMIT_BYTES = 1024 * 1024
CHUNK_BYTES = 1024 * 1024

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


def read_pieces(stream: BinaryIO, chunk_bytes: int) -> Iterator[bytes]:
    """The stream in pieces, without its byte order mark. No piece ends between a CR and its LF."""
    kept = b""
    while len(kept) < len(BYTE_ORDER_MARK) and (more := stream.read(len(BYTE_ORDER_MARK) - len(kept))):
        kept += more
    if kept == BYTE_ORDER_MARK:
        kept = b""
    while chunk := stream.read(chunk_bytes):
        piece = kept + chunk
        # What follows a CR decides whether it is half of a CRLF, so a CR at the end waits for the next chunk.
        kept = b"\r" if piece.endswith(b"\r") else b""
        yield piece.removesuffix(kept)
    yield kept


def read_lines(stream: BinaryIO, chunk_bytes: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Every line without its ending, in bounded memory.

    A line of blanks comes as b"", whatever its length. A line over the row limit comes as its beginning,
    one byte longer than the limit.
    """
    line = bytearray()
    is_blank = True
    is_open = False
    for piece in read_pieces(stream, chunk_bytes):
        # For bytes, splitlines() splits at LF, CRLF and CR and at nothing else.
        for part in piece.splitlines(keepends=True):
            text = part.rstrip(b"\r\n")
            line += text[: ROW_LIMIT_BYTES + 1 - len(line)]
            is_blank = is_blank and not text.strip(BLANKS)
            is_open = len(text) == len(part)
            if not is_open:
                yield b"" if is_blank else bytes(line)
                line.clear()
                is_blank = True
    if is_open:
        yield b"" if is_blank else bytes(line)


def split_fields(row: bytes) -> list[bytes] | None:
    """The fields of a row, unquoted and trimmed; None if one of them is badly quoted."""
    if b'"' not in row:
        return [field.strip(BLANKS) for field in row.split(b",")]
    fields: list[bytes] = []
    start = 0
    while True:
        first = start
        while row[first : first + 1] in (b" ", b"\t", b"\v", b"\f"):
            first += 1
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
