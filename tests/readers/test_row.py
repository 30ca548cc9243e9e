"""The row parser: one line, one verdict. The expected verdicts were worked out by hand from the rules."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import reference, reference_rows, replays, strategies
from tests.support.reference import HEADER, INT64_MAX, UINT64_MAX
from tests.support.rows import STANDARD_HEADER
from txfast.batch.batch import KINDS
from txfast.batch.header import Header
from txfast.readers.parse_line import parse_line

pytestmark = pytest.mark.unmeasured

MIB = 1024 * 1024
BLANKS = b" \t\v\f"


def short(value: object) -> str:
    """A test's id: some of these texts are long."""
    return repr(value)[:40]


def parse(line: bytes) -> tuple[str, int, int, int | None] | str | None:
    """One line of type, client, tx and amount."""
    parsed: tuple[str, int, int, int | None] | str | None = parse_line(line, STANDARD_HEADER)
    return parsed


# ---- Amounts -------------------------------------------------------------------------------------

# Text to units of 0.0001.
AMOUNTS = {
    # digits alone
    b"0": 0,
    b"1": 10_000,
    b"2": 20_000,
    b"9": 90_000,
    b"10": 100_000,
    b"42": 420_000,
    b"99": 990_000,
    b"100": 1_000_000,
    b"999": 9_990_000,
    b"1000": 10_000_000,
    b"1234567": 12_345_670_000,
    b"12345678": 123_456_780_000,
    b"123456789": 1_234_567_890_000,
    b"1234567890": 12_345_678_900_000,
    b"123456789012": 1_234_567_890_120_000,
    b"99999999999999": 999_999_999_999_990_000,
    b"100000000000000": 1_000_000_000_000_000_000,
    b"900000000000000": 9_000_000_000_000_000_000,
    b"922337203685477": 9_223_372_036_854_770_000,
    # any number of leading zeros
    b"00": 0,
    b"01": 10_000,
    b"007": 70_000,
    b"0000000000000000000000000000000001": 10_000,
    b"0000000000000000922337203685477.5807": INT64_MAX,
    b"00000000": 0,
    b"000000000": 0,
    b"00012.3": 123_000,
    # a point and digits
    b"0.0": 0,
    b"0.1": 1_000,
    b"0.01": 100,
    b"0.001": 10,
    b"0.0001": 1,
    b"0.9": 9_000,
    b"0.99": 9_900,
    b"0.999": 9_990,
    b"0.9999": 9_999,
    b"1.0": 10_000,
    b"1.5": 15_000,
    b"1.05": 10_500,
    b"1.005": 10_050,
    b"1.0005": 10_005,
    b"1.2": 12_000,
    b"1.23": 12_300,
    b"1.234": 12_340,
    b"1.2345": 12_345,
    b"12.3456": 123_456,
    b"123.4567": 1_234_567,
    b"1234.5678": 12_345_678,
    b"12345.6789": 123_456_789,
    b"123456.7891": 1_234_567_891,
    b"1234567.8912": 12_345_678_912,
    b"12345678.9123": 123_456_789_123,
    b"123456789.1234": 1_234_567_891_234,
    b"1234567890.1234": 12_345_678_901_234,
    b"12345678901.2345": 123_456_789_012_345,
    b"123456789012.3456": 1_234_567_890_123_456,
    b"1234567890123.4567": 12_345_678_901_234_567,
    b"12345678901234.5678": 123_456_789_012_345_678,
    b"123456789012345.6789": 1_234_567_890_123_456_789,
    b"99999999.9999": 999_999_999_999,
    b"999999999.9999": 9_999_999_999_999,
    b"9999999999999.9999": 99_999_999_999_999_999,
    b"99999999999999.9999": 999_999_999_999_999_999,
    b"899999999999999.9999": 8_999_999_999_999_999_999,
    # one of the two groups is empty
    b"0.": 0,
    b"5.": 50_000,
    b"00.": 0,
    b"123.": 1_230_000,
    b"922337203685477.": 9_223_372_036_854_770_000,
    b".0": 0,
    b".5": 5_000,
    b".05": 500,
    b".005": 50,
    b".0005": 5,
    b".9999": 9_999,
    b".1234": 1_234,
    b".00000": 0,
    # after the fourth decimal only zeros
    b"1.00000": 10_000,
    b"1.000000": 10_000,
    b"1.23450": 12_345,
    b"1.234500": 12_345,
    b"1.2345000000000000000000000000000000000000": 12_345,
    b"0.00010": 1,
    b"0.99990": 9_999,
    b".10000": 1_000,
    b".12340000": 1_234,
    b"12345678.00000000": 123_456_780_000,
    b"1.20000": 12_000,
    b"1.00000000000000000000": 10_000,
    b"922337203685477.580700": INT64_MAX,
    # signs
    b"+0": 0,
    b"-0": 0,
    b"+0.0": 0,
    b"-0.0": 0,
    b"-0.0000": 0,
    b"-.0": 0,
    b"-0.": 0,
    b"-00": 0,
    b"+1": 10_000,
    b"-1": -10_000,
    b"+1.5": 15_000,
    b"-1.5": -15_000,
    b"+.5": 5_000,
    b"-.5": -5_000,
    b"+5.": 50_000,
    b"-5.": -50_000,
    b"-0.0001": -1,
    b"+0.0001": 1,
    b"-1.23450": -12_345,
    b"-007.10": -71_000,
    b"+00000000000000000000000000007.10000000": 71_000,
    b"-12345678.9123": -123_456_789_123,
    b"-99999999999999.9999": -999_999_999_999_999_999,
    b"-100000000000000": -1_000_000_000_000_000_000,
    # the last that fit
    b"922337203685477.5806": INT64_MAX - 1,
    b"922337203685477.5807": INT64_MAX,
    b"+922337203685477.5807": INT64_MAX,
    b"-922337203685477.5807": -INT64_MAX,
    b"922337203685477.58": 9_223_372_036_854_775_800,
    b"922337203685477.0000": 9_223_372_036_854_770_000,
    b"922337203685476.9999": 9_223_372_036_854_769_999,
    b"0" * 10_000 + b"7." + b"0" * 10_000: 70_000,
}

NOT_AMOUNTS = (
    # signs and points alone
    b".",
    b"+",
    b"-",
    b"+.",
    b"-.",
    b"..",
    b"--",
    b"-+",
    # two signs, and signs in the wrong place
    b"--1",
    b"++1",
    b"+-1",
    b"-+1",
    b"1-",
    b"1+",
    b"1-1",
    b"1.-5",
    b"1.+5",
    b".-5",
    b"-.-5",
    b"1.5-",
    b"0-",
    # two points
    b"1..",
    b"1..2",
    b"..1",
    b"1.2.3",
    b"1.2.",
    b".1.",
    b".1.2",
    b"1.0000.0",
    b"1.00000.",
    # a fifth decimal
    b"1.00001",
    b"0.00001",
    b".00001",
    b"1.12345",
    b"1.000010",
    b"1.000001",
    b"1.00000000000000000001",
    b"-1.00001",
    b"0.123456",
    b"12345678.12345",
    b"12345678.123456789",
    b"922337203685477.58071",
    b"922337203685477.58070000001",
    b"1.99999",
    b"0.99995",
    # too large
    b"922337203685477.5808",
    b"-922337203685477.5808",
    b"+922337203685477.5808",
    b"922337203685477.5809",
    b"922337203685477.581",
    b"922337203685477.6",
    b"922337203685477.9999",
    b"922337203685478",
    b"922337203685478.0000",
    b"-922337203685478",
    b"999999999999999",
    b"999999999999999.9999",
    b"1000000000000000",
    b"1844674407370955.1615",
    b"1844674407370955.1616",
    b"1844674407370955.2616",
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"18446744073709551617",
    b"92233720368547758070",
    b"184467440737095516160",
    b"340282366920938463463374607431768211456",
    b"340282366920938463463374607431768211457",
    b"00000000000000000000922337203685477.5808",
    b"9" * 16,
    b"9" * 19,
    b"9" * 20,
    b"9" * 21,
    b"9" * 24,
    b"9" * 32,
    b"9" * 10_000,
    b"1" + b"0" * 10_000,
    # exponents
    b"1e3",
    b"1E3",
    b"1e+3",
    b"1e-3",
    b"1.5e3",
    b"1e",
    b"e1",
    b"0e0",
    b"1e0",
    b".5e1",
    b"1d3",
    # thousands separators and other decimal points
    b"1_000",
    b"1'000",
    b"1 000",
    b"1\t000",
    b"1;5",
    b"1:5",
    b"1/2",
    # not numbers
    b"nan",
    b"NaN",
    b"inf",
    b"-inf",
    b"+inf",
    b"Infinity",
    b"-Infinity",
    b"null",
    b"None",
    b"NA",
    b"true",
    b"one",
    b"x",
    # other notations
    b"0x10",
    b"0b1",
    b"0o7",
    b"1L",
    b"1f",
    b"1.5m",
    b"#1",
    b"$1",
    b"1$",
    b"1%",
    b"(1)",
    b"\xe2\x82\xac1",
    b"1\xe2\x82\xac",
    b"=1",
    b"~1",
    b"1*",
    # the bytes next to the digits
    b"/",
    b":",
    b"1/",
    b"1:",
    b"/1",
    b":1",
    b"1.5/",
    b"1.5:",
    b"1./",
    b"1.:",
    # other scripts' digits, signs and points
    b"\xd9\xa1",
    b"\xef\xbc\x91",
    b"\xc2\xb2",
    b"1\xd9\xab5",
    b"\xe2\x88\x921",
    b"1\xc2\xb75",
    b"\xe0\xa5\xa7",
    # control bytes, other blanks, bytes that are no UTF-8
    b"\x00",
    b"1\x00",
    b"\x001",
    b"1\x000",
    b"1.5\x00",
    b"1.\x005",
    b"1\x1f",
    b"1\x7f",
    b"1\x1c",
    b"\xc2\xa01",
    b"1\xc2\xa0",
    b"1\xa0",
    b"1\x85",
    b"1\xff",
    b"\xff",
    b"1.5\xff",
    b"\xb1",
    b"1\xb0",
    b"1.\xb5",
    b"\xef\xbb\xbf1",
    # in numbers of more than eight digits
    b"12345678x",
    b"1x3456789",
    b"1234567x.5",
    b"12345678x.5",
    b"12345678:01234",
    b"1234567890123/",
    # quotes inside
    b'1"',
    b'1"0',
    b'1""',
)


def parse_amount(text: bytes) -> int | str | None:
    """The units of an amount, or the reason why its row is malformed."""
    parsed = parse(b"deposit,1,1," + text)
    assert parsed is not None
    units: int | str | None = parsed if isinstance(parsed, str) else parsed[3]
    return units


def test_the_tables_hold_two_hundred_verdicts_and_no_contradiction() -> None:
    assert len(AMOUNTS) + len(NOT_AMOUNTS) >= 200
    assert len(set(NOT_AMOUNTS)) == len(NOT_AMOUNTS)
    assert not AMOUNTS.keys() & set(NOT_AMOUNTS)


@pytest.mark.parametrize(("text", "units"), AMOUNTS.items(), ids=short)
def test_an_amount_is_read_exactly(text: bytes, units: int) -> None:
    assert parse_amount(text) == units


@pytest.mark.parametrize("text", NOT_AMOUNTS, ids=short)
def test_a_text_that_is_no_amount_is_refused(text: bytes) -> None:
    assert parse_amount(text) == "bad_amount"


@pytest.mark.parametrize("text", [b"", b" ", b"\t", b"\v", b"\f", BLANKS, b'""', b'" \t"', b' "" '])
def test_an_empty_amount_is_no_amount(text: bytes) -> None:
    assert parse_amount(text) is None


@pytest.mark.parametrize("reader", replays.READERS)
@pytest.mark.parametrize("ending", strategies.ENDINGS)
def test_every_reader_gives_every_amount_the_same_verdict(reader: str, ending: bytes) -> None:
    texts = [*AMOUNTS, *NOT_AMOUNTS]
    lines = [b"deposit,%d,1,%s" % (client, text) for client, text in enumerate(texts)]
    outcome = replays.run([("in", ending.join([HEADER.rstrip(), *lines]))], reader=reader)
    accounts = [b"client,available,held,total,locked\n"]
    reasons = []
    for client, text in enumerate(texts):
        units = AMOUNTS.get(text)
        if units is None:
            reasons.append((client + 2, "bad_amount"))
            continue
        if units < 0:
            reasons.append((client + 2, "negative_amount"))
            units = 0
        amount = reference.format_amount(units).encode()
        accounts.append(b"%d,%s,0.0000,%s,false\n" % (client, amount, amount))
    assert [(reject.line, reject.reason) for reject in outcome.rejects] == reasons
    assert outcome.accounts == b"".join(accounts)


@pytest.mark.parametrize("reader", replays.READERS)
def test_every_reader_reads_numbers_of_every_length(reader: str) -> None:
    lines: list[bytes] = []
    for whole, decimals, digit in itertools.product(range(24), range(9), b"0159"):
        number = bytes([digit]) * whole + b"." * (decimals > 0) + bytes([digit]) * decimals
        lines += [b"deposit,%d,%d,%s" % (len(lines), len(lines), number)]
        lines += [b"deposit,%d,1%s,1" % (len(lines), number)]
        lines += [b"deposit,%s,%d,-%s" % (number, len(lines), number)]
    replays.assert_as_reference([("in", HEADER + b"\n".join(lines))], reader=reader)


@given(st.from_regex(rb"[+-]?[0-9]{0,18}\.[0-9]{0,7}", fullmatch=True))
def test_numbers_with_a_point_are_read_as_the_reference_reads_them(text: bytes) -> None:
    units = reference.parse_amount(text)
    assert parse_amount(text) == ("bad_amount" if units is None else units)


@given(st.integers(-INT64_MAX, INT64_MAX))
def test_a_written_amount_is_read_back(units: int) -> None:
    assert parse_amount(reference.format_amount(units).encode()) == units


# ---- Client and transaction ids ------------------------------------------------------------------

IDS = {
    b"0": 0,
    b"1": 1,
    b"9": 9,
    b"10": 10,
    b"255": 255,
    b"256": 256,
    b"65535": 2**16 - 1,
    b"65536": 2**16,
    b"65537": 2**16 + 1,
    b"12345678": 12_345_678,
    b"123456789": 123_456_789,
    b"99999999": 99_999_999,
    b"100000000": 100_000_000,
    b"4294967295": 2**32 - 1,
    b"4294967296": 2**32,
    b"4294967297": 2**32 + 1,
    b"9007199254740993": 2**53 + 1,
    b"1234567890123456": 1_234_567_890_123_456,
    b"9999999999999999": 9_999_999_999_999_999,
    b"10000000000000000": 10_000_000_000_000_000,
    b"12345678901234567": 12_345_678_901_234_567,
    b"9223372036854775807": 2**63 - 1,
    b"9223372036854775808": 2**63,
    b"9223372036854775809": 2**63 + 1,
    b"9999999999999999999": 9_999_999_999_999_999_999,
    b"10000000000000000000": 10_000_000_000_000_000_000,
    b"18446744073709551609": UINT64_MAX - 6,
    b"18446744073709551614": UINT64_MAX - 1,
    b"18446744073709551615": UINT64_MAX,
    # a plus sign, leading zeros
    b"+0": 0,
    b"+1": 1,
    b"+18446744073709551615": UINT64_MAX,
    b"00": 0,
    b"01": 1,
    b"+01": 1,
    b"00000000": 0,
    b"000000000000000000000": 0,
    b"00000000000000000000000000000000000000007": 7,
    b"+00000000000018446744073709551615": UINT64_MAX,
    b"0" * 10_000 + b"8": 8,
}

NOT_IDS = (
    b"",
    b"18446744073709551616",
    b"18446744073709551617",
    b"18446744073709551620",
    b"18446744073709551625",
    b"18446744073709551700",
    b"19000000000000000000",
    b"20000000000000000000",
    b"36893488147419103232",
    b"99999999999999999999",
    b"100000000000000000000",
    b"184467440737095516150",
    b"340282366920938463463374607431768211456",
    b"340282366920938463463374607431768211457",
    b"+18446744073709551616",
    b"00018446744073709551616",
    b"9" * 10_000,
    # signs
    b"+",
    b"-",
    b"++1",
    b"+-1",
    b"-1",
    b"-0",
    b"1+",
    b"1-",
    b"1+1",
    # other notations
    b"1.",
    b"1.0",
    b".1",
    b"0.0",
    b"1e3",
    b"1E3",
    b"0x1",
    b"1_000",
    b"1 000",
    b"1'000",
    b"1L",
    b"one",
    b"nan",
    b"#1",
    b"1/",
    b"1:",
    b"/1",
    b":1",
    # other scripts' digits, control bytes, other blanks, bytes that are no UTF-8
    b"\xd9\xa1",
    b"\xef\xbc\x91",
    b"\xc2\xb2",
    b"1\xc2\xa0",
    b"\x00",
    b"1\x00",
    b"1\x002",
    b"1\x1f",
    b"1\x85",
    b"\xff",
    b"1\xff",
    b"\xb1",
    b"1\xb0",
    b"12345678\xb0",
    b"1234567\xff8",
    b"\xef\xbb\xbf1",
    b'1"',
)


@pytest.mark.parametrize(("text", "number"), IDS.items(), ids=short)
def test_an_id_is_read_exactly(text: bytes, number: int) -> None:
    assert parse(b"deposit,%s,7,1" % text) == ("deposit", number, 7, 10_000)
    assert parse(b"deposit,7,%s,1" % text) == ("deposit", 7, number, 10_000)


@pytest.mark.parametrize("text", NOT_IDS, ids=short)
def test_a_text_that_is_no_id_is_refused(text: bytes) -> None:
    assert parse(b"deposit,%s,7,1" % text) == "bad_client"
    assert parse(b"deposit,7,%s,1" % text) == "bad_tx"


@given(st.one_of(st.integers(0, 2**70), st.integers(UINT64_MAX - 30, UINT64_MAX + 30)), st.integers(0, 30))
def test_an_id_is_read_exactly_up_to_64_bits(number: int, zeros: int) -> None:
    expected = ("deposit", number, 1, 10_000) if number <= UINT64_MAX else "bad_client"
    assert parse(b"deposit,%s%d,1,1" % (b"0" * zeros, number)) == expected


# ---- Types ---------------------------------------------------------------------------------------

NOT_KINDS = (
    b"deposi",
    b"deposit.",
    b"depositt",
    b"deposits",
    b"ddeposit",
    b"deposit\x00",
    b"\x00deposit",
    b"dep osit",
    b"d",
    b"0",
    b"withdrawa",
    b"withdrawals",
    b"withdrawal\x00",
    b"disput",
    b"disputed",
    b"resolv",
    b"resolved",
    b"chargebac",
    b"chargebacks",
    b"charge back",
    b"charge_back",
    b"transfer",
    b"type",
    b"dep\xc3\xb6sit",
    b"deposit\xff",
    b"\xef\xbb\xbfdeposit",
    b"deposit\xc2\xa0",
    b"deposit\xe2\x80\x8b",
    b"d\xd0\xb5posit",
    b"depesit",
    b"defosit",
    b"deposjt",
)


@pytest.mark.parametrize("kind", KINDS)
def test_the_five_types_are_accepted(kind: str) -> None:
    assert parse(kind.encode() + b",3,4,0.5") == (kind, 3, 4, 5_000)
    assert parse(kind.encode() + b",3,4") == (kind, 3, 4, None)


@pytest.mark.parametrize("text", NOT_KINDS, ids=short)
def test_any_other_type_is_refused(text: bytes) -> None:
    assert parse(text + b",3,4,0.5") == "bad_type"


@pytest.mark.parametrize("reader", replays.READERS)
def test_every_reader_tells_the_types_from_similar_words(reader: str) -> None:
    texts = list(NOT_KINDS)
    for kind in KINDS:
        word = kind.encode()
        texts += [word, *(word[:length] for length in range(1, len(word)))]
        for index, change in itertools.product(range(len(word)), (0x01, 0x20, 0x80)):
            changed = bytes([word[index] ^ change])
            texts.append(word[:index] + changed + word[index + 1 :])
    lines = [b"%s,%d,1,0" % (text, client) for client, text in enumerate(texts)]
    outcome = replays.assert_as_reference([("in", HEADER + b"\n".join(lines))], reader=reader)
    assert outcome is not None
    assert outcome.malformed["bad_type"] > 150
    assert sum(outcome.applied.values()) + sum(outcome.rejected.values()) >= len(KINDS)


# ---- Fields, quotes and blanks -------------------------------------------------------------------

ONE_DEPOSIT = ("deposit", 1, 2, 15_000)


@pytest.mark.parametrize(
    "line",
    [
        b"deposit,1,2,1.5",
        b"deposit, 1, 2, 1.5",
        b" deposit ,\t1\t,\v2\v,\f1.5\f",
        b"\t \v\f deposit\f\v \t,1,2,1.5",
        b'"deposit","1","2","1.5"',
        b'deposit,1,2,"1.5"',
        b' "deposit" , "1" , "2" , "1.5" ',
        b'" deposit "," 1 "," 2 "," 1.5 "',
        b'\t"\vdeposit\f"\f,1,2,"\t1.5\v"\v',
        b'"deposit",1,2,1.5   ',
        b"deposit,1,2,1.5,",
        b"deposit,1,2,1.5,,,,",
        b'deposit,1,2,1.5,""',
    ],
)
def test_a_row_is_read_through_its_blanks_and_quotes(line: bytes) -> None:
    assert parse(line) == ONE_DEPOSIT


NOTE_HEADER = Header(b"type,client,tx,amount,note", "in")


@pytest.mark.parametrize(
    "note", [b"more", b'"a, b"', b'"say ""hi"""', b'""', b'""""', b'x"y', b'x"', b'x""y"', b"\x00\xff"]
)
def test_another_column_holds_anything_that_is_well_quoted(note: bytes) -> None:
    assert parse_line(b"deposit,1,2,1.5," + note, NOTE_HEADER) == ONE_DEPOSIT


@pytest.mark.parametrize(
    "line",
    [
        b'"deposit,1,2,1.5',
        b'deposit,1,2,"1.5',
        b'deposit,1,2,"1.5""',
        b'deposit,1,2,"1.5"x',
        b'deposit,1,2,"1.5" x',
        b'deposit,1,2,"1.5" "',
        b'deposit,1,2,"1.5"\x00',
        b'deposit,1,2,"1.5"\xc2\xa0',
        b'deposit,1,2,"',
        b'deposit,1,2,"""',
        b'deposit,1,2, "',
        b'deposit,1,2,1.5,"',
        b'deposit,1,2,1.5,"x',
        b'deposit,1,2,1.5,"x"y',
        b'deposit,1,2,1.5,,,, "x',
        b'"deposit"x,1,2,1.5',
        b'"deposit""",1,2,1.5,"x',
        b'"deposit"",1,2,1.5',
        b'"',
        b' "',
    ],
)
def test_a_quote_that_does_not_close_as_it_should_is_bad_quoting(line: bytes) -> None:
    assert parse(line) == "bad_quoting"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'dep"osit,1,2,1.5', "bad_type"),
        (b'deposit",1,2,1.5', "bad_type"),
        (b'"dep""osit",1,2,1.5', "bad_type"),
        (b'"""deposit""",1,2,1.5', "bad_type"),
        (b'deposit,1",2,1.5', "bad_client"),
        (b'deposit,"1""",2,1.5', "bad_client"),
        (b'deposit,"1,1",2,1.5', "bad_client"),
        (b'deposit,"",2,1.5', "bad_client"),
        (b'deposit,1,"2""2",1.5', "bad_tx"),
        (b'deposit,1,2,1"5', "bad_amount"),
        (b'deposit,1,2,"1,5"', "bad_amount"),
        (b'deposit,1,2,"1""5"', "bad_amount"),
        (b'deposit,1,2,""""', "bad_amount"),
        (b"deposit,1,2,1 5", "bad_amount"),
        (b"de posit,1,2,1.5", "bad_type"),
        (b"deposit,1 1,2,1.5", "bad_client"),
    ],
)
def test_quotes_and_blanks_inside_a_text_belong_to_it(line: bytes, reason: str) -> None:
    assert parse(line) == reason


@pytest.mark.parametrize("byte", sorted(set(range(256)) - set(b'\n\r,"0123456789')))
def test_the_four_blanks_and_no_other_byte_are_trimmed(byte: int) -> None:
    blank = bytes([byte])
    expected = ONE_DEPOSIT if blank in BLANKS else "bad_amount"
    assert parse(b"deposit,1,2," + blank + b"1.5" + blank) == expected


@pytest.mark.parametrize("line", [b"", b" ", b"\t", b"\v", b"\f", b" \t\v\f" * 100, b" " * (MIB + 1)], ids=short)
def test_a_line_of_blanks_is_no_row_whatever_its_length(line: bytes) -> None:
    assert parse(line) is None


@pytest.mark.parametrize("line", [b"\x00", b"\xc2\xa0", b"\x85", b"\x1c", b'""', b",", b",,,", b" , "])
def test_a_line_with_anything_else_is_a_row(line: bytes) -> None:
    assert parse(line) == "missing_field"


OTHER_TEXTS = (
    *(b"", b"x", b"x y", b"\xff", b'x"', b'"x"', b'""', b'"x y"', b'"a""b"', b'"a,b"', b'"', b'"x', b'"x"y', b'x"y"'),
    *(b" ", b" x", b"\tx", b' "x"', b' "a,b"', b' "', b"x" * 70, b'"' + b"x" * 70 + b'"', b"x\ry", b'"x\ry"'),
)


@pytest.mark.parametrize("reader", replays.READERS)
@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_other_columns_hold_anything(reader: str, ending: bytes) -> None:
    # The arrow reader refuses fields that go on over lines: those that hold an ending, or that a later line closes.
    texts = [text for text in OTHER_TEXTS if reader == "native" or text not in (b'"', b'"x', b' "', b'"x\ry"')]
    rows = [b"deposit,%s,1,%d,1,%s" % row for row in itertools.product(texts, range(1, 3), texts)]
    content = ending.join([b"type,note,client,tx,amount,place", *rows, b""])
    outcome = replays.assert_as_reference([("in.csv", content)], reader=reader)
    assert outcome is not None
    assert outcome.malformed["bad_quoting"] > 50


# ---- Which reason comes first --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        # row_too_long before everything
        (b'"' + b"x" * MIB, "row_too_long"),
        (b"deposit,1,2,1.5," + b"x" * MIB, "row_too_long"),
        (b"x" * (MIB + 1), "row_too_long"),
        # bad_quoting, in any column, before missing_field
        (b'",', "bad_quoting"),
        (b'nonsense,x,x,x,"', "bad_quoting"),
        (b'deposit,"1', "bad_quoting"),
        (b'"x', "bad_quoting"),
        (b',,,,"x"y', "bad_quoting"),
        (b'deposit,1,2,1.5,1,"x', "bad_quoting"),
        # too_many_fields, whichever of the surplus is not empty, before missing_field
        (b"deposit,1,2,1,50", "too_many_fields"),
        (b"deposit,1,2,1.5,,x,", "too_many_fields"),
        (b'deposit,1,2,1.5,"""" ', "too_many_fields"),
        (b",,,,x", "too_many_fields"),
        (b"nonsense,x,x,x,x", "too_many_fields"),
        # missing_field before bad_type
        (b"deposit", "missing_field"),
        (b"deposit,1", "missing_field"),
        (b"nonsense", "missing_field"),
        (b"nonsense,x", "missing_field"),
        (b",x,x,x", "missing_field"),
        (b'"",1,2,3', "missing_field"),
        (b'" ",1,2,3', "missing_field"),
        (b"  ,x,x,x", "missing_field"),
        # bad_type before bad_client
        (b"nonsense,,,", "bad_type"),
        (b"nonsense,x,x,x", "bad_type"),
        # bad_client before bad_tx; an empty id is a bad one, not a missing one
        (b"deposit,,,", "bad_client"),
        (b"deposit,x,x,x", "bad_client"),
        (b"deposit, ,2,1.5", "bad_client"),
        # bad_tx before bad_amount
        (b"deposit,1,,", "bad_tx"),
        (b"deposit,1,x,x", "bad_tx"),
        (b"deposit,1,", "bad_tx"),
        # bad_amount on any type
        (b"deposit,1,2,x", "bad_amount"),
        (b"dispute,1,2,x", "bad_amount"),
        (b"resolve,1,2,1.00001", "bad_amount"),
        (b"chargeback,1,2,1e3", "bad_amount"),
        (b"withdrawal,1,2,.", "bad_amount"),
    ],
    ids=short,
)
def test_a_malformed_row_has_the_first_reason_that_applies(line: bytes, reason: str) -> None:
    assert parse(line) == reason


def test_a_row_of_exactly_one_mib_is_read() -> None:
    line = b"deposit,1,2,1.5,"
    assert parse(line + b" " * (MIB - len(line))) == ONE_DEPOSIT
    assert parse(line + b" " * (MIB - len(line) + 1)) == "row_too_long"


@pytest.mark.parametrize("surplus", [b",", b",,", b",  ,", b',""', b',"  ",\t', b",,,,,,"])
def test_empty_fields_behind_the_last_column_are_nothing(surplus: bytes) -> None:
    assert parse(b"deposit,1,2,1.5" + surplus) == ONE_DEPOSIT
    assert parse(b"dispute,1,2," + surplus) == ("dispute", 1, 2, None)


@pytest.mark.parametrize("reader", replays.READERS)
@pytest.mark.parametrize("columns", [4, 5, 32, 33])
def test_a_row_with_more_fields_than_columns_is_malformed_in_every_layout(reader: str, columns: int) -> None:
    names = [b"type", b"client", b"tx", b"amount", *(b"column %d" % column for column in range(4, columns))]
    fields = [b"deposit", b"1", b"1", b"12", *([b""] * (columns - 4))]
    rows = [[*fields, b"50"], [*fields, b"", b""], [*fields, b"", b'"50"'], [*fields, b'"50'], [*fields[:4], b""]]
    content = b"\n".join(b",".join(row) for row in [names, *rows])
    outcome = replays.assert_as_reference([("in.csv", content)], reader=reader)
    assert outcome is not None
    assert outcome.malformed == {"too_many_fields": 2, "bad_quoting": 1}


@pytest.mark.parametrize("reader", replays.READERS)
def test_a_decimal_comma_without_quotes_never_becomes_another_amount(reader: str) -> None:
    content = b"type,client,tx,amount\ndeposit,1,1,12,50\ndeposit,2,2,7,25\n"
    outcome = replays.assert_as_reference([("in.csv", content)], reader=reader)
    assert outcome is not None
    assert (outcome.applied, outcome.malformed) == ({}, {"too_many_fields": 2})


def test_a_quote_that_does_not_close_within_1_mib_costs_one_line() -> None:
    rows = [b"deposit,1,1,1", b'deposit,1,2,"1', *[b"deposit,1,3,1" + b" " * 1000] * 2100, b'deposit,1,4,1"']
    outcome = replays.assert_as_reference([("in.csv", HEADER + b"\n".join(rows))], reader="native", block_bytes=4 * MIB)
    assert outcome is not None
    assert outcome.malformed == {"bad_quoting": 1, "bad_amount": 1}


@pytest.mark.parametrize("reader", replays.READERS)
def test_a_column_of_running_balances_is_another_column(reader: str) -> None:
    content = (
        b"type,client,tx,amount,balance\ndeposit,1,1,961.47,961.47\nwithdrawal,1,2,103.00,858.47\n"
        b"deposit,1,4,20.00,898.47\ndeposit,1,5,1,5,903.47\n"
    )
    outcome = replays.assert_as_reference([("in.csv", content)], reader=reader)
    assert outcome is not None
    assert (outcome.rows, outcome.malformed) == (4, {"too_many_fields": 1})


@pytest.mark.parametrize(
    "line", [b"dispute,1,2", b"dispute,1,2,", b"dispute,1,2,  ", b"dispute,1,2,,", b'dispute,1,2,""']
)
def test_a_row_may_end_before_its_amount(line: bytes) -> None:
    assert parse(line) == ("dispute", 1, 2, None)


# ---- All together --------------------------------------------------------------------------------


def parse_as_reference(header: bytes, line: bytes) -> tuple[str, int, int, int | None] | str | None:
    """The reference's verdict on one line, by the same names."""
    if not line.strip(BLANKS):
        return None
    run = reference.Replay()
    run.read("in", header + b"\n" + line)
    if run.malformed:
        [reason] = run.malformed
        return reason
    fields = reference_rows.split_fields(line)
    assert fields is not None
    columns = reference_rows.find_columns("in", header)
    kind, client, tx, amount = reference_rows.find_texts(fields, columns)
    assert kind is not None
    assert client is not None
    assert tx is not None
    units = reference.parse_amount(amount) if amount else None
    return reference.WORDS[kind.lower()].decode(), int(client), int(tx), units


@given(st.tuples(strategies.type_texts, strategies.id_texts, strategies.id_texts, strategies.amount_texts), st.data())
def test_any_row_is_read_as_the_reference_reads_it(fields: tuple[bytes, ...], choice: st.DataObject) -> None:
    line = choice.draw(strategies.spoilt_rows(fields)).translate(None, b"\n\r")
    assert parse(line) == parse_as_reference(b"type,client,tx,amount", line)


@given(st.lists(strategies.soup_pieces, max_size=12))
def test_any_bytes_are_read_as_the_reference_reads_them(pieces: list[bytes]) -> None:
    line = b"".join(pieces).translate(None, b"\n\r")
    assert parse(line) == parse_as_reference(b"type,client,tx,amount", line)
