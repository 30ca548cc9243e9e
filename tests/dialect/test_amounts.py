"""Amounts under a dialect: decimal marks, groups of thousands, decimals, rounding, smallest units.

In each table a text stands beside its amount in units, or None where it is malformed.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.support.dialect_replays import Settings, assert_rows, run
from tests.support.reference import INT64_MAX

Table = Sequence[tuple[str, int | None]]

GERMAN = {"decimal": ",", "thousands": "."}
SWISS = {"thousands": "'"}


def assert_amounts(settings: Settings, table: Table) -> None:
    """Each text is the amount of a deposit by a client of its own."""
    rows = [f'deposit|{client}|1|"{text}"' for client, (text, _) in enumerate(table)]
    expected = [
        f"{client + 2} bad_amount" if units is None else f"{client + 2} deposit {client} 1 {units}"
        for client, (_, units) in enumerate(table)
    ]
    assert_rows("\n".join(["type|client|tx|amount", *rows]).encode(), settings, expected)


# ---- Decimal marks and thousands -----------------------------------------------------------------


@pytest.mark.parametrize("mark", [",", "/", "'", "_", ":"])
def test_a_decimal_mark_replaces_the_point(mark: str) -> None:
    table = [
        *((f"1{mark}5", 15_000), (f"-1{mark}5", -15_000), (f"+{mark}5", 5_000), (f"5{mark}", 50_000), ("7", 70_000)),
        *((f"1{mark}00000", 10_000), (f"1{mark}00001", None), (mark, None), (f"-{mark}", None), ("1.5", None)),
        *((f"1{mark}2{mark}3", None), (f"{mark}{mark}5", None), (f"1{mark}-5", None), ("", None)),
    ]
    assert_amounts({"decimal": mark}, [each for each in table if each[0]])


def test_thousands_stand_between_groups_of_three_digits() -> None:
    good = [
        *(("1.234", 12_340_000), ("12.345", 123_450_000), ("123.456", 1_234_560_000), ("1.234.567,8", 12_345_678_000)),
        *(("-1.234,56", -12_345_600), ("+1.000", 10_000_000), ("1.234,", 12_340_000), ("999.999,9999", 9_999_999_999)),
        *(("1234", 12_340_000), ("1234567,89", 12_345_678_900), ("0,5", 5_000), (",5", 5_000), ("000", 0)),
        *(("922.337.203.685.477,5807", INT64_MAX), ("-922.337.203.685.477,5807", -INT64_MAX)),
    ]
    assert_amounts(GERMAN, good)


def test_thousands_in_other_places_are_malformed() -> None:
    wrong = [
        *("1.23", "1.2345", "12.34,5", "1234.567", "1.234567", "1.23.456", "12.345.67", "1.234.56,7"),  # not three
        *(".123", "-.123", "123.", "1.234.", "1..234", "1.234..567", ".", "..", "1.,5"),  # nothing between
        *("0.123", "00.123", "000.123", "012.345", "0.123,4"),  # a group that begins with 0
        *("1,234.567", "1,2.345", "1.234,567.8", ",123.456", "1,5."),  # behind the decimal mark
        *("1 .234", "1. 234", "1.-234", "+-1.234", "1'234", "1.2a4", "1.23٤"),
        *("922.337.203.685.477,5808", "1.000.000.000.000.000", "999.999.999.999.999.999.999"),  # too large
    ]
    assert_amounts(GERMAN, [("1", 10_000), *((text, None) for text in wrong)])


@pytest.mark.parametrize("mark", ["'", " ", "_", ",", "`"])
def test_thousands_are_separated_by_any_byte(mark: str) -> None:
    table: Table = [
        *((f"1{mark}234.5", 12_345_000), (f"1{mark}234{mark}567", 12_345_670_000), (f" 1{mark}234 ", 12_340_000)),
        *((f"1{mark}23", None), (f"1{mark}{mark}234", None), (f"1.234{mark}567", None), ("1234.5", 12_345_000)),
    ]
    assert_amounts({"thousands": mark}, table)


def test_without_thousands_groups_are_malformed() -> None:
    assert_amounts({"delimiter": "|"}, [("1,234.5", None), ("1'234", None), ("1 234", None), ("1.234.5", None)])
    assert_amounts({"decimal": ","}, [("1.234,5", None), ("1.234", None)])


def test_a_decimal_comma_may_meet_the_comma_as_delimiter() -> None:
    """Inside quotes it is the mark; outside it separates, and a surplus field never becomes an amount."""
    content = (
        b'type,client,tx,amount\ndeposit,1,1,"12,50"\ndeposit,1,2,12,50\ndeposit,1,3,12,\ndeposit,1,4,"1.250,00",\n'
    )
    expected = ["2 deposit 1 1 125000", "3 too_many_fields", "4 deposit 1 3 120000", "5 deposit 1 4 12500000"]
    assert_rows(content, {"delimiter": ","} | GERMAN, expected)


def test_thousands_may_be_the_quote_of_another_dialect() -> None:
    content = b"type,client,tx,amount\ndeposit,1,1,1'000.00\ndeposit,1,2,'1'000'\ndeposit,1,3,\"2'000'000\"\n"
    assert_rows(content, SWISS, ["2 deposit 1 1 10000000", "3 bad_amount", "4 deposit 1 3 20000000000"])


def test_what_no_dialect_reads_stays_malformed() -> None:
    texts = ["$5", "5 USD", "€5", "(5.00)", "5-", "--5", "1e3", "1.5E+2", "nan", "inf", "0x1F", "１", "1,5,", "5%"]
    assert_amounts({"thousands": ","}, [(text, None) for text in texts])


# ---- Decimals ------------------------------------------------------------------------------------


@pytest.mark.parametrize("decimals", range(10))
def test_decimals_say_the_unit(decimals: int) -> None:
    unit = 10**decimals
    largest = f"{INT64_MAX // unit}.{INT64_MAX % unit:0{decimals}}" if decimals else str(INT64_MAX)
    beyond = f"{(INT64_MAX + 1) // unit}.{(INT64_MAX + 1) % unit:0{decimals}}" if decimals else str(INT64_MAX + 1)
    last = "1." + "0" * (decimals - 1) + "1" if decimals else "2"
    table: Table = [
        *(("1", unit), ("-1", -unit), ("1.", unit), ("0", 0), (last, unit + 1), ("1.0000000000000000", unit)),
        *(("1." + "0" * decimals + "1", None), (largest, INT64_MAX), ("-" + largest, -INT64_MAX), (beyond, None)),
        *((largest + ("" if "." in largest else ".") + "000", INT64_MAX), ("9" * 40, None)),
    ]
    assert_amounts({"decimals": str(decimals)}, table)


@pytest.mark.parametrize(
    ("decimals", "text"),
    [("0", "5"), ("1", "5.3"), ("2", "5.25"), ("4", "5.2500"), ("8", "5.25000000"), ("9", "5.250000000")],
)
def test_accounts_have_as_many_decimals(decimals: str, text: str) -> None:
    amount = text.rstrip("0")
    outcome = run([f"type,client,tx,amount\ndeposit,1,1,{amount}\n".encode()], {"decimals": decimals})
    [[_, available, held, total, _]] = outcome.accounts
    assert str(available) == text
    assert str(total) == text
    assert held == 0


# ---- Rounding ------------------------------------------------------------------------------------


ROUNDINGS = ["refuse", "truncate", "half-even", "half-up"]
# With two decimals: a text, and its units of 0.01 by each rounding.
ROUNDED: list[tuple[str, int | None, int | None, int | None, int | None]] = [
    ("1.25", 125, 125, 125, 125),
    ("1.2500000", 125, 125, 125, 125),
    ("1.251", None, 125, 125, 125),
    ("1.2549999999999999999999999", None, 125, 125, 125),
    ("1.255", None, 125, 126, 126),
    ("1.245", None, 124, 124, 125),
    ("1.2450000000000000000000000", None, 124, 124, 125),
    ("1.2450000000000000000000001", None, 124, 125, 125),
    ("1.259", None, 125, 126, 126),
    ("-1.245", None, -124, -124, -125),
    ("-1.255", None, -125, -126, -126),
    ("-1.2451", None, -124, -125, -125),
    ("0.005", None, 0, 0, 1),
    ("-0.005", None, 0, 0, -1),
    (".0050000001", None, 0, 1, 1),
    ("0.015", None, 1, 2, 2),
    ("0.995", None, 99, 100, 100),
    ("99.995", None, 9999, 10000, 10000),
    ("0.004", None, 0, 0, 0),
    ("92233720368547758.07", INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX),
    ("92233720368547758.074", None, INT64_MAX, INT64_MAX, INT64_MAX),
    ("92233720368547758.075", None, INT64_MAX, None, None),
    ("92233720368547758.065", None, INT64_MAX - 1, INT64_MAX - 1, INT64_MAX),
    ("92233720368547758.08", None, None, None, None),
    ("1.25x", None, None, None, None),
    ("1.251x", None, None, None, None),
    ("1.25 1", None, None, None, None),
    ("1.251.1", None, None, None, None),
]


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_further_decimals_are_refused_or_rounded(rounding: str) -> None:
    column = ROUNDINGS.index(rounding)
    table = [(text, units[column]) for text, *units in ROUNDED]
    assert_amounts({"decimals": "2", "rounding": rounding}, table)


def test_an_amount_without_decimals_is_rounded_to_whole_numbers() -> None:
    table: Table = [("0.5", 0), ("1.5", 2), ("2.5", 2), ("2.500001", 3), ("-0.5", 0), ("-1.5", -2), ("12", 12)]
    assert_amounts({"decimals": "0", "rounding": "half-even"}, table)


def test_grouped_amounts_are_rounded_as_others_are() -> None:
    table: Table = [("1.234,565", 123_456), ("1.234,575", 123_458), ("1.234,5.65", None), ("999.999,995", 100_000_000)]
    assert_amounts(GERMAN | {"decimals": "2", "rounding": "half-even"}, table)


# ---- Smallest units ------------------------------------------------------------------------------


def test_minor_amounts_are_numbers_of_the_smallest_unit() -> None:
    table: Table = [
        *(("1250", 1250), ("-1250", -1250), ("0", 0), ("7", 7), ("1250.", 1250), ("1250.00", 1250), ("+5", 5)),
        *(("12.50", None), ("0.5", None), ("9223372036854775807", INT64_MAX), ("9223372036854775808", None)),
    ]
    assert_amounts({"decimals": "2", "amounts": "minor"}, table)
    assert_amounts({"amounts": "minor"}, table)
    assert_amounts({"decimals": "0", "amounts": "minor"}, table)


def test_minor_amounts_come_out_with_decimals() -> None:
    settings = {"decimals": "2", "amounts": "minor"}
    [[_, available, *_]] = run([b"type,client,tx,amount\ndeposit,1,1,1250\n"], settings).accounts
    assert str(available) == "12.50"


def test_minor_amounts_are_rounded_to_whole_units() -> None:
    table: Table = [("12.5", 12), ("13.5", 14), ("12.51", 13), ("1'250.5", 1250)]
    assert_amounts(SWISS | {"decimals": "2", "amounts": "minor", "rounding": "half-even"}, table)


def test_major_amounts_are_the_default() -> None:
    assert_amounts({"amounts": "major", "decimals": "2"}, [("12.5", 1250), ("1250", 125_000)])
