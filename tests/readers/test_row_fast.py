"""The fast path: rows with more than four columns have the reference's outcome, and any block fits into its batch."""

from __future__ import annotations

import io

import pytest

from tests.support.replays import assert_as_reference
from txfast.batch.batch import TransactionBatch
from txfast.readers.csv import CsvReader

pytestmark = pytest.mark.unmeasured

HEADER = b"note,type,client,tx,amount,more"

ROWS = {
    "plain": b"a,deposit,1,%d,1.5,b",
    "empty other columns": b",deposit,1,%d,1.5,",
    "a quoted column": b'"a b",deposit,1,%d,1.5,"b"',
    "an empty quoted column": b'"",deposit,1,%d,1.5,""',
    "a comma in quotes": b'"a,b",deposit,1,%d,1.5,b',
    "a doubled quote": b'"a""b",deposit,1,%d,1.5,b',
    "an open quote": b'a,deposit,1,%d,1.5,"b',
    "a single quote": b'",deposit,1,%d,1.5,b',
    "text after a quote": b'a,deposit,1,%d,1.5,"b"c',
    "a quote inside text": b'a,deposit,1,%d,1.5,b"c',
    "blanks before a column": b" a,deposit,1,%d,1.5,\tb",
    "a CR inside a column": b"a\rb,deposit,1,%d,1.5,b",
    "a quoted amount": b'a,deposit,1,%d,"1.5",b',
    "an unknown type": b"a,fee,1,%d,1.5,b",
    "no amount": b"a,dispute,1,%d,,b",
    "fields missing": b"a,deposit,1,%d",
    "fields to spare": b"a,deposit,1,%d,1.5,b,c,d",
    "several windows of 64 bytes": b"%s,deposit,1,%%d,1.5,%s" % (b"a" * 100, b"b" * 200),
    "over 1 MiB": b"%s,deposit,1,%%d,1.5,b" % (b"a" * (1 << 20)),
}


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"], ids=["LF", "CR LF", "CR"])
@pytest.mark.parametrize("name", ROWS)
def test_a_row_among_other_columns_has_the_outcome_of_the_rules(name: str, ending: bytes) -> None:
    rows = [ROWS[name] % tx for tx in (1, 2, 3)]
    for last_ending in (ending, b""):
        content = ending.join([HEADER, *rows]) + last_ending
        outcome = assert_as_reference([("in.csv", content)], reader="native", block_bytes=1 << 22)
        assert outcome is not None
        # A single quote goes on to the next row's, which closes it.
        assert outcome.rows >= (2 if name == "a single quote" else 3)


def test_a_block_of_the_shortest_rows_fits_into_the_columns_of_its_batch() -> None:
    batch = TransactionBatch()
    reader = CsvReader(io.BytesIO(b"type,client,tx,amount\n" + b"refund,1,1\n" * 10_000), "in.csv", 1 << 16)
    rows = 0
    while reader.fill(batch):
        reader.scan(batch)
        assert batch.rows <= batch.capacity
        rows += batch.rows
    assert rows == 10_000
