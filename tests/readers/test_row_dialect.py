"""Rows under a dialect, by the row parser and by the fast paths: words, amounts, signs, columns that tell."""

from __future__ import annotations

import io

import pytest

from txfast.batch.batch import KINDS, TransactionBatch
from txfast.batch.cursor import report
from txfast.batch.header import Header
from txfast.dialect.dialect import Dialect
from txfast.readers.csv import CsvReader
from txfast.readers.parse_line import parse_line
from txfast.writers.arrow_buffers import transaction_buffers

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


# ---- Ids that are texts --------------------------------------------------------------------------

TEXTS = {"ids": "text"}
LONG = b"x" * 255
ID_ROWS = [
    (b"deposit,cus_1,ch_1,1.5", ("deposit", b"cus_1", b"ch_1", 15_000)),
    (b"withdraw,1,2,5\r", ("withdrawal", b"1", b"2", 50_000)),
    (b"dispute,cus_1,ch_1\r", ("dispute", b"cus_1", b"ch_1", None)),
    (b"dispute,cus_1,ch_1,", ("dispute", b"cus_1", b"ch_1", None)),
    (b"deposit,\xff\xfe,\xc3\xa9,1", ("deposit", b"\xff\xfe", b"\xc3\xa9", 10_000)),
    (b"deposit, a b ,\tc,1", ("deposit", b"a b", b"c", 10_000)),
    (b'deposit,"a b","c",1', ("deposit", b"a b", b"c", 10_000)),
    (b'deposit," a ","c",1', ("deposit", b"a", b"c", 10_000)),
    (b'deposit,"a,b","c",1', ("deposit", b"a,b", b"c", 10_000)),
    (b'deposit,"a""b","""",1', ("deposit", b'a"b', b'"', 10_000)),
    (b'deposit,"a""""b",c"d,1', ("deposit", b'a""b', b'c"d', 10_000)),
    (b'"deposit","a",b,"1"', ("deposit", b"a", b"b", 10_000)),
    (b"deposit,%s,%s,1" % (LONG, LONG), ("deposit", LONG, LONG, 10_000)),
    (b'deposit,"%s",1,1' % (b'""' * 255), ("deposit", b'"' * 255, b"1", 10_000)),
    (b'deposit,"%s",1,1' % (b'""' * 256), "bad_client"),
    (b"deposit,%sx,1,1" % LONG, "bad_client"),
    (b'deposit,1,"%sx",1' % LONG, "bad_tx"),
    (b"deposit,,1,1", "bad_client"),
    (b'deposit,1," ",1', "bad_tx"),
    (b"deposit,1", "missing_field"),
    (b"fee,1,1,1", "bad_type"),
    (b"deposit,1,1,1e3", "bad_amount"),
    (b"deposit,1,1,1,5", "too_many_fields"),
    (b'deposit,"1,1,1', "bad_quoting"),
]


@pytest.mark.parametrize(("row", "found"), ID_ROWS)
def test_ids_are_texts(row: bytes, found: object) -> None:
    row, ending = (row[:-1], b"\r\n") if row.endswith(b"\r") else (row, b"\n")
    assert parsed(TEXTS, row) == found
    assert scanned(TEXTS, HEADER + ending + row + ending) == shown(found)
    # With other columns, in another order, and by the row parser alone.
    fields = row.split(b",")
    if len(fields) == 4 and b'"' not in row:
        other = b"x,%s,%s,%s,%s" % (fields[2], fields[3], fields[0], fields[1])
        assert scanned(TEXTS, b"note,tx,amount,type,client" + ending + other + ending) == shown(found)
    assert scanned({**TEXTS, "null": "-"}, HEADER + ending + row + ending) == shown(found)


def scanned(settings: dict[str, str], content: bytes) -> list[tuple[object, ...]]:
    """The well-formed rows of a file, with texts as tables have them; rows that are no UTF-8 as surrogates."""
    dialect = Dialect(settings)
    batch = TransactionBatch()
    reader = CsvReader(io.BytesIO(content), "in", dialect=dialect)
    reader.fill(batch)
    reader.scan(batch)
    [kinds], clients, txs, _ = transaction_buffers(batch, text_client=True, text_tx=True)
    amounts = [None if amount is None else int(amount) for amount in amounts_of(batch)]
    return [(KINDS[kinds[row]], text_of(clients, row), text_of(txs, row), amounts[row]) for row in range(len(batch))]


def text_of(buffers: list[bytearray], row: int) -> bytes:
    offsets = memoryview(buffers[0]).cast("i")
    return bytes(buffers[1][offsets[row] : offsets[row + 1]])


def amounts_of(batch: TransactionBatch) -> list[int | None]:
    """The amounts of a batch's rows in units."""
    *_, (validity, values) = transaction_buffers(batch)
    units = memoryview(values).cast("q")
    return [units[2 * row] if validity[row >> 3] >> (row & 7) & 1 else None for row in range(len(batch))]


def shown(found: object) -> list[object]:
    return [found] if isinstance(found, tuple) else []


def test_a_text_ends_at_a_line_ending_of_any_kind() -> None:
    for content in (b"dispute,a,b\rdispute,c,d", b"dispute,a,b\r\ndispute,c,d\r\n", b"dispute,a,b\ndispute,c,d\r"):
        assert scanned(TEXTS, HEADER + b"\n" + content) == [
            ("dispute", b"a", b"b", None),
            ("dispute", b"c", b"d", None),
        ]


def test_one_of_the_ids_may_be_a_number() -> None:
    assert parsed({"ids.client": "text"}, b"deposit,a,007,1") == ("deposit", b"a", 7, 10_000)
    assert parsed({"ids.client": "text"}, b"deposit,a,b,1") == "bad_tx"
    assert parsed({"ids.tx": "text"}, b"deposit,7,b,1") == ("deposit", 7, b"b", 10_000)
    assert parsed({"ids.tx": "text"}, b"deposit,a,b,1") == "bad_client"
    assert parsed({"ids.tx": "text", "types.S": "deposit"}, b"S,7,b,1") == ("deposit", 7, b"b", 10_000)
    assert parsed({"ids.tx": "text"}, b"deposit,7,,1") == "bad_tx"


CURRENCY_HEADER = b"type,client,tx,amount,ccy"


@pytest.mark.parametrize("settings", [{}, {"null": "none"}], ids=["fast path", "row parser"])
@pytest.mark.parametrize(
    ("field", "code"),
    [
        (b"EUR", b"EUR"),
        (b" EUR\t", b"EUR"),
        (b'"EUR"', b"EUR"),
        (b'"E""R"', b'E"R'),
        (b'"E,R"', b"E,R"),
        (b"abcdefghijkl", b"abcdefghijkl"),
        (b'"abcdef""ghijk"', b'abcdef"ghijk'),
        (b"abcdefghijklm", "bad_currency"),
        (b'"abcdef""ghijkl"', "bad_currency"),
        (b"", "bad_currency"),
        (b'""', "bad_currency"),
    ],
)
def test_a_currency_is_a_short_text(settings: dict[str, str], field: bytes, code: object) -> None:
    dialect = Dialect({"columns.currency": "ccy", **settings})
    batch = TransactionBatch()
    row = b"deposit,1,2,1.5," + field
    reader = CsvReader(io.BytesIO(CURRENCY_HEADER + b"\n" + row + b"\n"), "in", dialect=dialect)
    reader.fill(batch)
    reader.scan(batch)
    found = parse_line(row, Header(CURRENCY_HEADER, "in", dialect=dialect))
    assert dialect.currencies is not None
    if isinstance(code, str):
        assert (found, len(batch), dialect.currencies.codes) == (code, 0, [])
    else:
        assert (found, len(batch), dialect.currencies.codes) == (("deposit", 1, 2, 15_000), 1, [code])


@pytest.mark.parametrize("settings", [{}, {"null": "none"}], ids=["fast path", "row parser"])
def test_a_line_ends_inside_what_would_be_a_currency(settings: dict[str, str]) -> None:
    dialect = Dialect({"columns.currency": "ccy", **settings})
    batch = TransactionBatch()
    content = b"ccy,type,client,tx,amount\nEUR,deposit,1,1,1\nE\rUR,deposit,2,2,2\n"
    reader = CsvReader(io.BytesIO(content), "in", dialect=dialect)
    reader.fill(batch)
    reader.scan(batch)
    assert dialect.currencies is not None
    assert (len(batch), batch.malformed_rows, dialect.currencies.codes) == (2, 1, [b"EUR", b"UR"])


def test_a_row_has_its_currency_and_the_words_for_none_are_no_currency() -> None:
    dialect = Dialect({"columns.currency": "ccy", "null": "none"})
    header = Header(CURRENCY_HEADER, "in", dialect=dialect)
    assert parse_line(b"deposit,1,2,1.5", header) == "missing_field"
    assert parse_line(b"deposit,1,2,1.5,none", header) == "bad_currency"
