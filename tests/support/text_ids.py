"""Ids that are texts for rows that have numbers: texts of any byte and of any length, and batches of such rows."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from uuid import UUID

from hypothesis import strategies as st

from tests.support.reference import HEADER
from tests.support.rows import Row
from txfast.batch.batch import TransactionBatch
from txfast.dialect.dialect import Dialect
from txfast.readers.csv import CsvReader

# Clients are texts, transactions are, both are.
TEXT_SETTINGS = ({"ids": "text"}, {"ids.client": "text"}, {"ids.tx": "text"})
any_text_dialects = st.sampled_from(TEXT_SETTINGS).map(Dialect)

ID_BYTES_MAX = 255
ANY_BYTES = bytes(range(255, -1, -1))


def text_of(number: int) -> bytes:
    """A text for a number, which no other number has: plain ones, such as need quotes, UUIDs, and of the longest."""
    digits = b"%d" % number
    uuid = str(UUID(int=number << 64 | number * 0x9E3779B97F4A7C15 % (1 << 64))).encode()
    forms = [
        digits, b"cus_" + digits, b"0" + digits, b'"' + digits + b'"', b"\n" + digits + b"\r\n,;", b"\xff\x00" + digits,
        (digits + b"." + ANY_BYTES)[: ID_BYTES_MAX - 1] + b"|", digits.rjust(ID_BYTES_MAX, b"x"),
        uuid, uuid.upper(),
    ]  # fmt: skip
    return forms[number % len(forms)]


def quoted(text: bytes) -> bytes:
    return b'"' + text.replace(b'"', b'""') + b'"'


def id_written(dialect: Dialect, name: str, number: int) -> bytes:
    """The id of a number as a file of the dialect has it."""
    return quoted(text_of(number)) if dialect.has_text(name) else b"%d" % number


def line_of(row: Row, dialect: Dialect) -> bytes:
    """A row whose ids are those of its numbers."""
    kind, _, _, amount = row.line().split(b",")
    return b",".join([kind, id_written(dialect, "client", row.client), id_written(dialect, "tx", row.tx), amount])


def make_text_file(rows: Iterable[Row], dialect: Dialect) -> bytes:
    """A CSV file of these rows."""
    return HEADER + b"".join(line_of(row, dialect) + b"\n" for row in rows)


def batch_of_lines(lines: Sequence[bytes], dialect: Dialect) -> TransactionBatch:
    """Lines as one batch. All must be well-formed."""
    return lines_as_batch(lines, dialect, HEADER)


def lines_as_batch(lines: Sequence[bytes], dialect: Dialect, header: bytes) -> TransactionBatch:
    """The same of a file with this header."""
    content = header + b"".join(line + b"\n" for line in lines)
    reader = CsvReader(io.BytesIO(content), "in.csv", block_bytes=len(content) + 1, dialect=dialect)
    batch = TransactionBatch()
    if lines:
        assert reader.fill(batch)
        reader.scan(batch)
    assert len(batch) == len(lines)
    return batch


def make_text_batch(rows: Sequence[Row], dialect: Dialect) -> TransactionBatch:
    """A batch of these rows."""
    return batch_of_lines([line_of(row, dialect) for row in rows], dialect)
