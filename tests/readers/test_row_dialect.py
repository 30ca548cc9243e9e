"""Rows under a dialect, by the row parser and by the fast paths: words, amounts, signs, columns that tell."""

from __future__ import annotations

import io

import pytest

from txfast.batch.batch import TransactionBatch
from txfast.batch.cursor import report
from txfast.batch.header import Header
from txfast.dialect.dialect import Dialect
from txfast.readers.csv import CsvReader
from txfast.readers.parse_line import parse_line

pytestmark = pytest.mark.unmeasured

HEADER = b"type,client,tx,amount"
WORDS = {
    "types.SALE": "deposit", "types.Sale": "withdrawal", "types.a longer word than fits": "refund",
    "types.fee": "ignore",
}  # fmt: skip


def parsed(settings: dict[str, str], row: bytes, header: bytes = HEADER) -> object:
    """What a row is, by the row parser; the fast path, where it takes the row, must agree."""
    dialect = Dialect(settings)
    found = parse_line(row, Header(header, "in", dialect=dialect))
    batch = TransactionBatch()
    reader = CsvReader(io.BytesIO(header + b"\n" + row + b"\n"), "in", dialect=dialect)
    reader.fill(batch)
    reader.scan(batch)
    assert (len(batch), batch.malformed_rows) == (isinstance(found, tuple), isinstance(found, str))
    assert batch.malformed_rows == len(list(report(batch, rejected=False)))
    return found


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (b"SALE,1,2,1.5", ("deposit", 1, 2, 15_000)),
        (b"Sale,1,2,1.5", ("withdrawal", 1, 2, 15_000)),
        (b"sale,1,2,1.5", "bad_type"),
        (b"DEPOSIT,1,2,", ("deposit", 1, 2, None)),
        (b"deposit,1,2,1.5", ("deposit", 1, 2, 15_000)),
        (b'"a longer word than fits",1,2,1', ("refund", 1, 2, 10_000)),
        (b"FEE,x,y,z,w", None),
        (b"toll,1,2,1", "bad_type"),
        (b",1,2,1", "missing_field"),
        (b"SALE,1", "missing_field"),
        (b"SALE,x,2,1", "bad_client"),
        (b"SALE,1,x,1", "bad_tx"),
        (b"SALE,1,2,x", "bad_amount"),
        (b"SALE,1,2,1,5", "too_many_fields"),
    ],
)
def test_words_have_types(row: bytes, found: object) -> None:
    assert parsed(WORDS, row) == found


@pytest.mark.parametrize(
    ("settings", "text", "units"),
    [
        ({"decimal": ",", "thousands": "."}, "1.234,56", 12_345_600),
        ({"decimal": ",", "thousands": "."}, "-1.234.567,5", -12_345_675_000),
        ({"decimal": ",", "thousands": "."}, "1.23,5", None),
        ({"decimal": ",", "thousands": "."}, "1234.567", None),
        ({"decimal": ",", "thousands": "."}, "0.123", None),
        ({"decimal": ",", "thousands": "."}, "+5", 50_000),
        ({"decimals": "0"}, "7", 7),
        ({"decimals": "9"}, "1.123456789", 1_123_456_789),
        ({"decimals": "2"}, "1.005", None),
        ({"decimals": "2"}, "1.00500", None),
        ({"decimals": "2"}, "1.500", 150),
        ({"decimals": "2", "rounding": "truncate"}, "-1.009", -100),
        ({"decimals": "2", "rounding": "half-up"}, "1.005", 101),
        ({"decimals": "2", "rounding": "half-up"}, "1.004", 100),
        ({"decimals": "2", "rounding": "half-even"}, "1.005", 100),
        ({"decimals": "2", "rounding": "half-even"}, "1.015", 102),
        ({"decimals": "2", "rounding": "half-even"}, "1.0051", 101),
        ({"decimals": "0", "rounding": "half-up"}, "9223372036854775807.5", None),
        ({"decimals": "2", "amounts": "minor"}, "1250", 1250),
        ({"decimals": "2"}, "92233720368547758.08", None),
        ({"decimals": "2"}, "922337203685477580", None),
        ({"decimals": "2"}, "99999999999999999999", None),
        ({"decimal": ",", "thousands": "."}, "1.23.456", None),
        ({"decimal": ",", "thousands": "."}, ".123", None),
        ({"decimals": "2", "rounding": "half-even"}, "1.00500", 100),
        ({"decimals": "2"}, ".", None),
        ({"decimals": "2"}, "1x", None),
        ({"decimals": "2"}, "1.x", None),
    ],
)
def test_amounts_have_a_form(settings: dict[str, str], text: str, units: int | None) -> None:
    expected = "bad_amount" if units is None else ("deposit", 1, 2, units)
    assert parsed(settings, f'deposit,1,2,"{text}"'.encode()) == expected
    assert parsed(settings | {"delimiter": ";"}, f"deposit;1;2;{text}".encode(), HEADER.replace(b",", b";")) == expected


def test_signs_are_types() -> None:
    settings = {"types.+": "deposit", "types.-": "withdrawal"}
    header = b"client,tx,amount"
    assert parsed(settings, b"1,2,5", header) == ("deposit", 1, 2, 50_000)
    assert parsed(settings, b"1,2,-5", header) == ("withdrawal", 1, 2, 50_000)
    assert parsed(settings, b"1,2,", header) == "missing_field"


@pytest.mark.parametrize(
    ("row", "found"),
    [
        (b"1,2,5,", ("deposit", 1, 2, 50_000)),
        (b"1,2,-,5", ("withdrawal", 1, 2, 50_000)),
        (b"1,2,0,5", ("withdrawal", 1, 2, 50_000)),
        (b"1,2,5,0", ("deposit", 1, 2, 50_000)),
        (b"1,2,0,0", ("deposit", 1, 2, 0)),
        (b"1,2,5,5", "bad_amount"),
        (b"1,2,x,5", "bad_amount"),
        (b"1,2,5,x", "bad_amount"),
        (b"1,2,,-", "missing_field"),
    ],
)
def test_credits_and_debits_are_columns(row: bytes, found: object) -> None:
    settings = {"columns.credit": "in", "columns.debit": "out", "null": "-,NULL"}
    assert parsed(settings, row, b"client,tx,in,out") == found


def test_columns_tell_which_rows_are_read() -> None:
    settings = {"keep.status": "ok,done", "null": "NULL"}
    header = HEADER + b",status"
    assert parsed(settings, b"deposit,1,2,NULL,ok", header) == ("deposit", 1, 2, None)
    assert parsed(settings, b"deposit,1,2,5,failed", header) is None
    assert parsed(settings, b"deposit,1,2,5", header) is None


def test_comments_and_other_quotes_cut_a_text_otherwise() -> None:
    settings = {"comment": "#", "quote": "'"}
    assert parsed(settings, b"#deposit,1,2,5") is None
    assert parsed(settings, b"deposit,'1',2,5") == ("deposit", 1, 2, 50_000)
    assert parsed({"quote": "none"}, b'deposit,"1",2,5') == "bad_client"
