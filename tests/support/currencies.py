"""Accounts of a client and a currency for rows that have a number: each number is a client in a currency.

So such rows must do to these accounts what they do to those of the numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hypothesis import strategies as st

from tests.support.reference import HEADER
from tests.support.rows import Row
from tests.support.text_ids import id_written, lines_as_batch, quoted
from txfast.batch.batch import TransactionBatch
from txfast.dialect.dialect import Dialect

CURRENCY_HEADER = HEADER[:-1] + b",ccy\n"
CURRENCY_SETTINGS = (
    {"columns.currency": "ccy"},
    {"columns.currency": "ccy", "ids": "text"},
    {"columns.currency": "ccy", "ids.client": "text"},
    {"columns.currency": "ccy", "ids.tx": "text"},
)
any_currency_dialects = st.sampled_from(CURRENCY_SETTINGS).map(Dialect)
# Three for each client: those of one have none of another's.
CODES = (b"EUR", b"USD", b"abcdefghijkl", b"eur", b'"q"', b"\xff\n,")


def owner_of(number: int) -> tuple[int, bytes]:
    """The client and the currency of a number, which no other number has."""
    client, index = divmod(number, 3)
    return client, CODES[3 * (client % 2) + index]


def line_of(row: Row, dialect: Dialect) -> bytes:
    """A row whose client is the number of an account."""
    client, code = owner_of(row.client)
    kind, _, _, amount = row.line().split(b",")
    ids = [id_written(dialect, "client", client), id_written(dialect, "tx", row.tx)]
    return b",".join([kind, *ids, amount, quoted(code)])


def make_currency_file(rows: Iterable[Row], dialect: Dialect) -> bytes:
    """A CSV file of these rows."""
    return CURRENCY_HEADER + b"".join(line_of(row, dialect) + b"\n" for row in rows)


def make_currency_batch(rows: Sequence[Row], dialect: Dialect) -> TransactionBatch:
    """A batch of these rows."""
    return lines_as_batch([line_of(row, dialect) for row in rows], dialect, CURRENCY_HEADER)
