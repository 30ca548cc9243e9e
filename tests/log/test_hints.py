"""Hints: what a malformed row probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import Folder
from tests.support.reference import HEADER
from txfast.batch.batch import KINDS, MALFORMED_REASONS
from txfast.batch.header import Header
from txfast.dialect.likely_names import WORDS
from txfast.log.hints import REASON_HINTS, amount_hint, hint_of, id_hint, type_hint
from txfast.readers.parse_line import parse_line

HEADER_LINE = HEADER.rstrip(b"\n")


# What to add where commas may be either.
BOTH = ", or add --dialect thousands=, or --decimal ,"


def hint_under(reason: str, row: bytes, header: bytes) -> str:
    """The hint for a row under a header line."""
    return hint_of(reason, row, Header(header, "in"))


@pytest.mark.parametrize(
    ("amount", "hint"),
    [
        ("12,50", "a decimal comma? write 12.50, or add --decimal ,"),
        ("1.250,00", "a decimal comma? write 1250.00, or add --decimal , --dialect thousands=."),
        ("1.234,500", "a decimal comma? write 1234.500, or add --decimal , --dialect thousands=."),
        ("1,234.50", "a thousands separator? write 1234.50, or add --dialect thousands=,"),
        ("1,234", f"a thousands separator, or a decimal comma? write 1234 or 1.234{BOTH}"),
        ("-1,234", f"a thousands separator, or a decimal comma? write -1234 or -1.234{BOTH}"),
        ("-1,234.5", "a thousands separator? write -1234.5, or add --dialect thousands=,"),
        ("+12,5", "a decimal comma? write 12.5, or add --decimal ,"),
        ("0,500", "a decimal comma? write 0.500, or add --decimal ,"),
        ("0,50", "a decimal comma? write 0.50, or add --decimal ,"),
        ("1234,567", "a decimal comma? write 1234.567, or add --decimal ,"),
        ("12 345,67", 'a thousands separator? write 12345.67, or add --decimal , --dialect "thousands= "'),
        ("-12'345'678", """a thousands separator? write -12345678, or add --dialect "thousands='\""""),
        ("1 2 3", ""),
        ("1.000.000", "points between thousands? write 1000000"),
        ("USD 5", "a currency? leave it out"),
        ("-5 EUR", "a currency? leave it out"),
        ("EUR 5 EUR", ""),
        ("0x5", "a hexadecimal number? write it with decimal digits"),
        ("--5", "one sign at most"),
        ("5-", "negative? write -5"),
        ("NULL", "no value? leave the field empty"),
        ("-", "no value? leave the field empty"),
        ("'5", "an apostrophe, which makes a text of it in a spreadsheet? write 5"),
        ("'-5.5", "an apostrophe, which makes a text of it in a spreadsheet? write -5.5"),
        ("6\n", "a line ending in it? leave that out"),
        ("(1,5)", ""),
        ("1,", ""),
        ("1,234,567", "a thousands separator? write 1234567, or add --dialect thousands=,"),
        ("11'373.94", """a thousands separator? write 11373.94, or add --dialect "thousands='\""""),
        ("1 000.00", 'a thousands separator? write 1000.00, or add --dialect "thousands= "'),
        ("1_000", 'a thousands separator? write 1000, or add --dialect "thousands=_"'),
        ("$5.00", "a currency sign? leave it out"),
        ("5 €", "a currency sign? leave it out"),
        ("57.27 USD", "a currency? leave it out"),
        ("1.5E+2", "an exponent? write all digits"),
        ("(75.00)", "negative? write -75.00"),
        ("20.00-", "negative? write -20.00"),
        ("1.00001", "more than 4 decimals: add --decimals 5"),
        ("922337203685478", "the largest amount is 922337203685477.5807"),
        ("NaN", "no number"),
        ("-inf", "no number"),
        ("one", ""),
        ("1,2,3x", ""),
        ("1.2.3", ""),
        ("--5.00", "one sign at most"),
        ("-1.00001", "more than 4 decimals: add --decimals 5"),
        ("1.0000000001", "more than 4 decimals: round it"),
        ("", ""),
    ],
)
def test_an_amount_has_the_hint_that_it_needs(amount: str, hint: str) -> None:
    assert amount_hint(amount) == hint
    quoted = amount.replace('"', '""')
    assert hint_under("bad_amount", f'deposit,1,2,"{quoted}"'.encode(), HEADER_LINE) == hint


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "it is empty"),
        ("12.0", "a whole number is written without decimals: 12"),
        ("12.5", ""),
        ("18446744073709551616", "the largest id is 18446744073709551615; ids that are texts? add --ids text"),
        ("cus_A1", "ids that are texts? add --ids text"),
        ("1_000", ""),
        ("-1", ""),
    ],
)
def test_an_id_has_the_hint_that_it_needs(text: str, hint: str) -> None:
    assert id_hint(text) == hint
    assert hint_under("bad_tx", f"deposit,1,{text},1".encode(), HEADER_LINE) == hint
    assert hint_under("bad_client", f"deposit,{text},1,1".encode(), HEADER_LINE) == hint


def test_a_line_ending_in_an_id_is_named() -> None:
    assert id_hint("1\n") == id_hint("\r1") == "a line ending in it? leave that out"
    assert hint_under("bad_client", b'deposit,"1\n",1,1', HEADER_LINE) == "a line ending in it? leave that out"


@pytest.mark.parametrize(
    ("row", "hint"),
    [
        (b"1,234", "a thousands separator, or a decimal comma? write 1234 or 1.234"),
        (b"-1,234", "a thousands separator, or a decimal comma? write -1234 or -1.234"),
        (b"1,234,", "a thousands separator, or a decimal comma? write 1234 or 1.234"),
        (b"0,500", "a decimal comma? write 0.500"),
        (b"1.234,56", "a decimal comma? write 1234.56"),
        (b"1,234.50", "a thousands separator? write 1234.50"),
    ],
)
def test_an_amount_in_two_fields_has_the_hint_that_it_needs(row: bytes, hint: str) -> None:
    assert hint_under("too_many_fields", b"deposit,1,1," + row, HEADER_LINE) == hint
    assert hint_under("too_many_fields", b"deposit,1,1," + row, b"Type,Client,Tx,Amount") == hint


@pytest.mark.parametrize(("row", "delimiter"), [(b"deposit;1;1;1", "semicolons"), (b"deposit|1|1|", "pipes")])
def test_a_row_with_another_delimiter_than_the_header_is_named(row: bytes, delimiter: str) -> None:
    expected = f"its fields are separated by {delimiter}, and those of the header by commas"
    assert hint_under("missing_field", row, HEADER_LINE) == expected
    assert hint_under("missing_field", row + row[7:8] + b"x", HEADER_LINE) != expected


def test_a_type_has_the_nearest_word() -> None:
    assert [type_hint(word) for word in ("depsit", "CREDIT", "withdrawn", "Refunded", "return", "REVERSE", "fee")] == [
        "deposit? correct it, or add --types depsit=deposit",
        "deposit? correct it, or add --types CREDIT=deposit",
        "withdrawal? correct it, or add --types withdrawn=withdrawal",
        "refund? correct it, or add --types Refunded=refund",
        "refund? correct it, or add --types return=refund",
        "reversal? correct it, or add --types REVERSE=reversal",
        "",
    ]  # fmt: skip
    assert hint_under("bad_type", b"1,Depsit,1,1", b"client,type,tx,amount").startswith("deposit? ")


@pytest.mark.parametrize("word", WORDS)
def test_a_word_of_another_program_has_the_type_that_it_means(word: str) -> None:
    assert WORDS[word] in KINDS
    assert type_hint(word.upper()).startswith(f"{WORDS[word]}? correct it, or add --types {word.upper()}=")
    spaced = word.upper().replace("_", " ")
    assert type_hint(spaced).startswith(f"{WORDS[word]}? correct it, or add --types ")
    assert parse_line(f"{word},1,1,1".encode(), Header(HEADER_LINE, "in")) == "bad_type"


def test_other_reasons_have_what_is_missing_or_nothing() -> None:
    assert hint_under("missing_field", b"deposit,1", HEADER_LINE) == "no tx"
    assert hint_under("missing_field", b"deposit", HEADER_LINE) == "no client and no tx"
    assert hint_under("missing_field", b"deposit,1,1", HEADER_LINE) == ""
    assert hint_under("too_many_fields", b"deposit,1,1,12,50", HEADER_LINE) == "a decimal comma? write 12.50"
    assert hint_under("too_many_fields", b"deposit,1,1,1,234.50", HEADER_LINE) == "a thousands separator? write 1234.50"
    for row in (b"deposit,1,1,x,50", b"deposit,1,1,1,2,3", b"deposit,1,1,1,x", b"deposit,1,1,1,2.5", b""):
        assert hint_under("too_many_fields", row, HEADER_LINE) == ""
    assert hint_under("too_many_fields", b"1,2,3,4,5", b"amount,client,tx,type") == ""
    assert hint_under("bad_quoting", b'deposit,1,1,"1', HEADER_LINE) == ""
    assert hint_under("bad_amount", b"deposit\r1", HEADER_LINE) == ""
    assert hint_under("bad_amount", b"deposit,1,1,\x00\xff", HEADER_LINE) == ""


def test_every_reason_says_what_it_asks_for() -> None:
    assert set(REASON_HINTS) == set(MALFORMED_REASONS) - {""}


def test_a_hint_is_given_once_a_file(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    content = HEADER + b"deposit,1,1,1\n" + b"deposit,1,2,$5\n" * 3
    folder.write("a.csv", content)
    folder.write("b.csv", content + b"\n")
    lines = folder.run("a.csv", "b.csv").error_lines
    hint = " (a currency sign? leave it out)"
    assert [line.endswith(hint) for line in lines] == [True, False, False, True, False, False]
