"""Well-formed transactions as rows of text, as a file and as a batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import NamedTuple

from tests.support.reference import HEADER, format_amount
from txfast.batch.batch import TransactionBatch
from txfast.batch.header import Header
from txfast.readers.scan import rescan

STANDARD_HEADER = Header(HEADER.rstrip(), "in memory")


class Row(NamedTuple):
    """A well-formed transaction. `amount` is in units of 0.0001, None if the row has no amount."""

    kind: str
    client: int
    tx: int
    amount: int | None = None

    def line(self) -> bytes:
        amount = "" if self.amount is None else format_amount(self.amount)
        return f"{self.kind},{self.client},{self.tx},{amount}".encode()


def make_file(rows: Iterable[Row]) -> bytes:
    """A CSV file of these rows."""
    return HEADER + b"".join(row.line() + b"\n" for row in rows)


def make_batch(lines: Sequence[bytes]) -> TransactionBatch:
    """A batch of raw lines (type, client, tx, amount), made the way that a reader makes it."""
    text = b"".join(line + b"\n" for line in lines)
    batch = TransactionBatch()
    rescan(batch, BytesIO(text).readinto, len(text), STANDARD_HEADER, malformed_rows=0, is_cut=False, is_head=False)
    return batch
