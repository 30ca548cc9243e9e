"""Well-formed transactions as rows of text, as a file and as a batch."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tests.support.reference import HEADER, format_amount
from txfast.batch.batch import TransactionBatch
from txfast.batch.header import Header
from txfast.readers.arrow_lines import hold_lines, parse_lines

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
    ends = array("i", [0])
    for line in lines:
        ends.append(ends[-1] + len(line))
    batch = TransactionBatch()
    offsets = memoryview(ends.tobytes()).cast("b")
    text = memoryview(b"".join(lines)).cast("b")
    hold_lines(batch, STANDARD_HEADER, offsets, text, 0, len(lines), "in memory")
    parse_lines(batch, STANDARD_HEADER)
    return batch
