"""The reference alone. Expected values were computed by hand from the rules, or by a second, simpler form of the rule.

This file must not import the package.
"""

import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from tests.support import reference, reference_rows
from tests.support.project import PROJECT_ROOT
from tests.support.reference import INT64_MAX, INT64_MIN, Account, Reject, Replay, replay
from tests.support.reference_rows import NotTransactions

pytestmark = pytest.mark.unmeasured

HEADER = b"type,client,tx,amount\n"
MIB = 1024 * 1024
Row = tuple[str, int, int, int | None]


def run(rows: bytes) -> Replay:
    return replay(("in.csv", HEADER + rows))


def outcomes(*rows: Row) -> list[str]:
    state = Replay()
    return [state.apply(*row) for row in rows]


def statuses(rows: bytes) -> list[tuple[int, str, str]]:
    return [(reject.line, reject.status, reject.reason) for reject in run(rows).rejects]


def only_reason(row: bytes) -> str:
    """The reason of the only row, or "applied"."""
    state = run(row)
    assert state.rows == 1
    return state.rejects[0].reason if state.rejects else "applied"


def texts_up_to(length: int, alphabet: bytes) -> Iterator[bytes]:
    for count in range(length + 1):
        for letters in itertools.product(alphabet, repeat=count):
            yield bytes(letters)


# ---- Amounts and ids -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "units"),
    [
        (b"1", 10_000),
        (b"1.5", 15_000),
        (b"+1.5", 15_000),
        (b"-1.5", -15_000),
        (b".5", 5_000),
        (b"-.5", -5_000),
        (b"5.", 50_000),
        (b"-5.", -50_000),
        (b"0.0001", 1),
        (b"-0.0001", -1),
        (b"0", 0),
        (b"-0", 0),
        (b"-0.0000", 0),
        (b".0", 0),
        (b"0.", 0),
        (b"1.00000", 10_000),
        (b"1.23450000", 12_345),
        (b"00012.3", 123_000),
        (b"922337203685477.5807", INT64_MAX),
        (b"-922337203685477.5807", -INT64_MAX),
        (b"+000922337203685477.58070000", INT64_MAX),
        (b"0" * 10_000 + b"7." + b"0" * 10_000, 70_000),
    ],
)
def test_an_amount_is_read_exactly(text: bytes, units: int) -> None:
    assert reference.parse_amount(text) == units


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b".",
        b"+",
        b"-",
        b"+.",
        b"-.",
        b"1.00001",
        b"1.000010",
        b"0.00000000001",
        b"922337203685477.5808",
        b"-922337203685477.5808",
        b"922337203685478",
        b"1000000000000000",
        b"9" * 10_000,
        b"1e3",
        b"1E3",
        b"1,000",
        b"1_000",
        b"1 000",
        b" 1",
        b"1 ",
        b"1\n",
        b"nan",
        b"inf",
        b"-inf",
        b"Infinity",
        b"--1",
        b"+-1",
        b"1-",
        b"1.2.3",
        b"1..2",
        b"$1",
        b"0x10",
        b"1\x00",
        "١".encode(),
        "１".encode(),
        "−1".encode(),
    ],
)
def test_other_texts_are_no_amounts(text: bytes) -> None:
    assert reference.parse_amount(text) is None


def test_every_short_amount_agrees_with_decimal_arithmetic() -> None:
    accepted = 0
    for text in texts_up_to(6, b"+-.019"):
        expected = None
        if re.fullmatch(rb"[+-]?([0-9]+\.[0-9]*|[0-9]+|\.[0-9]+)", text):
            units = Decimal(text.decode()) * 10_000
            expected = int(units) if units == units.to_integral_value() else None
        assert reference.parse_amount(text) == expected, text
        accepted += expected is not None
    assert accepted > 1_000


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (b"0", 0),
        (b"7", 7),
        (b"+7", 7),
        (b"007", 7),
        (b"+007", 7),
        (b"000", 0),
        (b"+0", 0),
        (b"18446744073709551615", 2**64 - 1),
        (b"+00018446744073709551615", 2**64 - 1),
        (b"0" * 10_000 + b"3", 3),
    ],
)
def test_an_id_is_read_exactly(text: bytes, number: int) -> None:
    assert reference.parse_id(text) == number


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"+",
        b"++1",
        b"-1",
        b"-0",
        b"1.0",
        b"1.",
        b"1e3",
        b"1_0",
        b" 1",
        b"1 ",
        b"1 2",
        b"0x1",
        b"a",
        b"1\x00",
        b"18446744073709551616",
        b"99999999999999999999",
        b"100000000000000000000",
        b"9" * 10_000,
        "１".encode(),
        "٣".encode(),
        "²".encode(),
        b"\xff",
    ],
)
def test_other_texts_are_no_ids(text: bytes) -> None:
    assert reference.parse_id(text) is None


@pytest.mark.parametrize(
    ("units", "text"),
    [
        (0, "0.0000"),
        (1, "0.0001"),
        (-1, "-0.0001"),
        (9_999, "0.9999"),
        (10_000, "1.0000"),
        (-12_345, "-1.2345"),
        (INT64_MAX, "922337203685477.5807"),
        (INT64_MIN, "-922337203685477.5808"),
    ],
)
def test_an_amount_is_written_with_four_decimals(units: int, text: str) -> None:
    assert reference.format_amount(units) == text


# ---- Lines ---------------------------------------------------------------------------------------


def lines_of(text: bytes) -> list[bytes]:
    """The rows of a text without quotes, with b"" for each line that is none."""
    rows, lines = reference_rows.split_rows(text)
    return [dict(rows).get(line, b"") for line in range(1, lines + 1)]


def test_every_short_text_without_quotes_splits_into_lines() -> None:
    for text in texts_up_to(6, b"a \r\n"):
        expected = re.split(rb"\r\n|\r|\n", text)
        if expected[-1] == b"":
            expected.pop()
        assert lines_of(text) == [line if line.strip(b" ") else b"" for line in expected]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("last_ending", [True, False])
def test_each_line_ending_ends_a_line(ending: bytes, last_ending: bool) -> None:
    text = ending.join([b"type,client,tx,amount", b"deposit,1,1,2", b"", b"dispute,1,9"])
    state = replay(("in.csv", text + (ending if last_ending else b"")))
    assert state.accounts_csv() == b"client,available,held,total,locked\n1,2.0000,0.0000,2.0000,false\n"
    assert state.lines == [4]
    assert [(reject.line, reject.row) for reject in state.rejects] == [(4, b"dispute,1,9")]


def test_only_lf_cr_and_crlf_end_a_line() -> None:
    text = b"a\vb\fc\x1cd\x1de\x1ef\x85g\xe2\x80\xa8h\x00i"
    assert lines_of(text) == [text]


def test_lf_before_cr_is_two_endings() -> None:
    assert lines_of(b"a\n\rb\r\r\nc") == [b"a", b"", b"b", b"", b"c"]


def test_blank_lines_count_as_lines_only() -> None:
    state = replay(("in.csv", b"\n \t\v\f\r\n" + HEADER + b"\n  \ndeposit,1,1\n\n"))
    assert state.rows == 1
    assert state.lines == [7]
    assert [reject.line for reject in state.rejects] == [6]


def test_other_bytes_that_look_empty_make_a_row() -> None:
    for row in (b"\x00", b"\xc2\xa0", b"\x1c", b'""', b",", b'" "'):
        assert only_reason(row) == "missing_field", row


def test_a_blank_line_of_any_length_is_no_row() -> None:
    long_blank = b" \t" * MIB + b"\n"
    state = replay(("in.csv", long_blank + HEADER + long_blank + b"deposit,1,1,1\n" + long_blank.rstrip(b"\n")))
    assert state.rows == 1
    assert state.lines == [5]
    assert state.rejects == []


def test_a_row_of_exactly_one_mib_is_read() -> None:
    row = b"deposit,1,1,1".ljust(MIB)
    for ending in (b"", b"\n", b"\r\n", b"\r"):
        assert only_reason(row + ending) == "applied"


def test_a_row_over_one_mib_is_malformed_and_its_line_is_skipped() -> None:
    long_row = b"deposit,1,1,1".ljust(MIB + 1)
    for ending in (b"\n", b"\r\n", b"\r"):
        state = run(long_row + ending + b"deposit,2,2,2" + ending)
        reject = Reject("in.csv", 2, "malformed", "row_too_long", b"", b"", b"", b"", long_row[: 64 * 1024])
        assert state.rejects == [reject]
        assert list(state.accounts) == [2]


def test_blanks_before_the_text_count_for_the_row_length() -> None:
    assert only_reason(b"deposit,1,1,1".rjust(MIB)) == "applied"
    assert only_reason(b"deposit,1,1,1".rjust(MIB + 1)) == "row_too_long"
    assert only_reason(b"deposit,1,1,1".rjust(3 * MIB)) == "row_too_long"


def test_a_byte_order_mark_at_the_start_is_not_part_of_the_first_line() -> None:
    for beginning in (b"", b'"type",', b"\n", b"\r\n", b" \n"):
        header = b"client,tx,amount,type\n" if not beginning.startswith(b'"') else b"client,tx,amount\n"
        row = b"1,1,1,deposit\n" if not beginning.startswith(b'"') else b"deposit,1,1,1\n"
        assert replay(("in.csv", b"\xef\xbb\xbf" + beginning + header + row)).applied == {"deposit": 1}


def test_a_byte_order_mark_does_not_count_for_the_length_of_the_header() -> None:
    header = HEADER.rstrip(b"\n").ljust(MIB)
    assert replay(("in.csv", b"\xef\xbb\xbf" + header)).lines == [1]


def test_a_byte_order_mark_elsewhere_is_ordinary_bytes() -> None:
    assert only_reason(b"\xef\xbb\xbfdeposit,1,1,1") == "bad_type"
    with pytest.raises(NotTransactions):
        replay(("in.csv", b"\xef\xbb\xbf\xef\xbb\xbf" + HEADER))
    with pytest.raises(NotTransactions):
        replay(("in.csv", b"\n\xef\xbb\xbf" + HEADER))
    with pytest.raises(NotTransactions):
        replay(("in.csv", b" \xef\xbb\xbf" + HEADER))


# ---- Fields --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        (b"a,b", [b"a", b"b"]),
        (b"", [b""]),
        (b",", [b"", b""]),
        (b" a\t,\v b c \f", [b"a", b"b c"]),
        (b'"a","b"', [b"a", b"b"]),
        (b'\t"a" ,\f"b"\v', [b"a", b"b"]),
        (b'" a "," "', [b"a", b""]),
        (b'"a,b",c', [b"a,b", b"c"]),
        (b'"a""b"', [b'a"b']),
        (b'""""', [b'"']),
        (b'""', [b""]),
        (b'"",""', [b"", b""]),
        (b'" ""a"" "', [b'"a"']),
        (b'"a"",""b"', [b'a","b']),
        (b'a"b,c""d', [b'a"b', b'c""d']),
        (b'a "b,c" d', [b'a "b', b'c" d']),
        (b'"a",', [b"a", b""]),
        (b'\x00"a"', [b'\x00"a"']),
        (b'\xc2\xa0"a"', [b'\xc2\xa0"a"']),
        (b"'a,b'", [b"'a", b"b'"]),
        (b'"a\\"', [b"a\\"]),
        (b"\xff,\xfe", [b"\xff", b"\xfe"]),
        (b'"', None),
        (b'"a', None),
        (b'"a,b', None),
        (b'"""', None),
        (b'"a""', None),
        (b'"a"b', None),
        (b'"a" b', None),
        (b'"a" "b"', None),
        (b'"a"\x00', None),
        (b'"a"b,"c"', None),
        (b'a, "b', None),
        (b'a,b,c,d,e,"f', None),
        (b'"a\\"b"', None),
    ],
)
def test_fields_are_unquoted_and_trimmed(row: bytes, fields: list[bytes] | None) -> None:
    assert reference_rows.split_fields(row) == fields


def test_every_short_row_splits_as_the_grammar_says() -> None:
    quoted = rb' *"((?:[^"]|"")*)" *(?=,|\Z)'
    plain = rb' *((?:[^ ",][^,]*)?)(?=,|\Z)'
    field = re.compile(quoted + b"|" + plain)
    refused = 0
    for row in texts_up_to(7, b'a", '):
        expected: list[bytes] | None = []
        position = 0
        while expected is not None and position <= len(row):
            match = field.match(row, position)
            if match is None:
                expected = None
                refused += 1
            else:
                text = match[2] if match[1] is None else match[1].replace(b'""', b'"')
                expected.append(text.strip(b" "))
                position = match.end() + 1
        assert reference_rows.split_fields(row) == expected, row
    assert refused > 1_000


def test_a_line_ending_inside_quotes_belongs_to_the_field() -> None:
    assert statuses(b'deposit,1,"1\n",5\ndispute,9,9\n') == [
        (2, "malformed", "bad_tx"),
        (4, "rejected", "transaction_not_found"),
    ]
    for ending in (b"\n", b"\r", b"\r\n"):
        content = ending.join([b"note,type,client,tx,amount", b'"a', b'b"",', b'"  ,deposit,1,1,2', b"x,dispute,1,3"])
        state = replay(("in.csv", content))
        assert state.applied == {"deposit": 1}
        assert [(reject.line, reject.row) for reject in state.rejects] == [(5, b"x,dispute,1,3")]
        assert state.lines == [5]


def test_bad_quoting_costs_the_line_on_which_the_field_opens() -> None:
    assert statuses(b'deposit,1,"1\ndispute,9,1\ndispute,9,2') == [
        (2, "malformed", "bad_quoting"),
        (3, "rejected", "transaction_not_found"),
        (4, "rejected", "transaction_not_found"),
    ]
    # The first quote that is not doubled decides, however far it is, and what stands behind it.
    assert statuses(b'deposit,1,1,"1\ndispute,9,1\ndispute,9,2,"\n') == [
        (2, "malformed", "bad_amount"),
    ]
    assert statuses(b'deposit,1,1,"1\ndispute,9,1\ndispute,9,2,"x\n') == [
        (2, "malformed", "bad_quoting"),
        (3, "rejected", "transaction_not_found"),
        (4, "malformed", "bad_quoting"),
    ]
    # Earlier fields of the row may go on over lines.
    state = replay(("in.csv", HEADER + b'"deposit\n","1\n1","1\nwithdrawal,1,1,1\ndispute,9,1\n'))
    assert [(reject.line, reject.reason, reject.row) for reject in state.rejects] == [
        (2, "bad_quoting", b'"deposit\n","1\n1","1'),
        (5, "insufficient_funds", b"withdrawal,1,1,1"),
        (6, "transaction_not_found", b"dispute,9,1"),
    ]


def test_a_quoted_field_reaches_one_mib_at_most() -> None:
    rest = b"deposit,2,2,2\n"
    for length, reasons in ((MIB - 1, ["row_too_long"]), (MIB, ["bad_quoting", "bad_type"])):
        content = b'deposit,1,1,"\n'.ljust(length + len(b"deposit,1,1,"), b"x") + b'"\n'
        state = replay(("in.csv", HEADER + content + rest))
        assert [reject.reason for reject in state.rejects[:1]] == reasons[:1]
        assert state.applied == {"deposit": 1}
    content = b'"' + (b"x\n" * (MIB // 2 - 100)) + b'",1,1,"' + b"y\n" * 1_000 + b'"\n'
    state = replay(("in.csv", HEADER + content + rest + b"dispute,9,9"))
    assert [(reject.line, reject.reason) for reject in state.rejects] == [
        (2, "row_too_long"),
        (2 + MIB // 2 - 100 + 1_000 + 2, "transaction_not_found"),
    ]


def test_quoting_counts_in_every_column() -> None:
    assert only_reason(b'deposit,1,1,5,past,"the header') == "bad_quoting"
    assert only_reason(b'deposit,1,1,5,past,"the" header') == "bad_quoting"
    assert only_reason(b'deposit,1,1,5,"","" ') == "applied"
    other = replay(("in.csv", b'note,type,client,tx,amount\n"a,deposit,1,1,1\n"a,b",deposit,1,1,1\n'))
    assert other.malformed == {"bad_quoting": 1}
    assert other.applied == {"deposit": 1}


def test_columns_may_be_in_any_order_and_among_others() -> None:
    content = b' note , amount,"tx" ,client,note, type\nx"y,1.5,7,+042,,"deposit"\n'
    state = replay(("in.csv", content))
    assert state.accounts_csv() == b"client,available,held,total,locked\n42,1.5000,0.0000,1.5000,false\n"


def test_a_columns_name_counts_in_any_case_and_lower_case_wins() -> None:
    content = b"CLIENT,Amount,Type,tX\n7,2.5,deposit,1\n"
    assert replay(("in.csv", content)).accounts[7].available == 25_000
    assert replay(("in.csv", b"amount," + content.replace(b"7", b"3,7"))).accounts[7].available == 30_000


def test_short_rows_lack_their_last_columns() -> None:
    content = b"type,client,tx,amount\ndeposit,1,1,3\ndispute,1,1\nresolve,1,1,\nchargeback,1\n"
    state = replay(("in.csv", content))
    assert state.applied == {"deposit": 1, "dispute": 1, "resolve": 1}
    assert state.malformed == {"missing_field": 1}
    amount_first = replay(("in.csv", b"amount,type,client,tx\n3,deposit,1,1\n3,deposit,1\n,dispute,1,1\n"))
    assert amount_first.applied == {"deposit": 1, "dispute": 1}
    assert amount_first.malformed == {"missing_field": 1}


# ---- Headers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no header"),
        (b"\xef\xbb\xbf", "no header"),
        (b"\n \r\r\n", "no header"),
        (b"type,client,tx\n", "no column 'amount'"),
        (b"client,tx,amount\n", "no column 'type'"),
        (b"deposit,1,1,1\n", "no column 'type'"),
        (b"Type,TYPE,client,tx,amount\n", "more than one column 'type'"),
        (b"type,CLIENT,Client,tx,amount\n", "more than one column 'client'"),
        (b"type client tx amount\n", "no column 'type'"),
        (b"type;client;tx;amount\n", "no column 'type'"),
        (b"type,client,tx,amount,tx\n", "more than one column 'tx'"),
        (b'type,client,tx,amount, "type" \n', "more than one column 'type'"),
        (b'type,client,tx,amount,"\n', "badly quoted"),
        (b'"type"x,client,tx,amount\n', "badly quoted"),
        (HEADER.rstrip(b"\n").ljust(MIB + 1) + b"\n", "over 1 MiB"),
        (HEADER.rstrip(b"\n").rjust(3 * MIB) + b"\n", "over 1 MiB"),
    ],
)
def test_a_file_that_is_not_a_transactions_file_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(NotTransactions, match=f"^in.csv: .*{why}"):
        replay(("in.csv", content))


def test_a_header_of_exactly_one_mib_is_read() -> None:
    state = replay(("in.csv", HEADER.rstrip(b"\n").ljust(MIB) + b"\r\ndeposit,1,1,1"))
    assert state.applied == {"deposit": 1}


def test_a_file_with_only_a_header_has_no_accounts() -> None:
    state = replay(("in.csv", HEADER.rstrip(b"\n")))
    assert state.accounts_csv() == b"client,available,held,total,locked\n"
    assert (state.rows, state.lines, state.conserved()) == (0, [1], True)


def test_inputs_are_one_stream_and_each_has_its_own_header() -> None:
    state = replay(
        ("a.csv", b"type,client,tx,amount\ndeposit,1,1,5\n"),
        ("b.csv", b"\xef\xbb\xbf\namount,tx,client,type\n5,1,1,deposit\n,1,1,dispute"),
        ("a.csv", HEADER),
    )
    assert state.applied == {"deposit": 1, "dispute": 1}
    assert state.lines == [2, 4, 1]
    assert [(reject.file, reject.line, reject.reason) for reject in state.rejects] == [
        ("b.csv", 3, "duplicate_transaction")
    ]


# ---- Malformed rows ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"deposit", "missing_field"),
        (b"deposit,1", "missing_field"),
        (b",1,1,1", "missing_field"),
        (b' "" ,1,1,1', "missing_field"),
        (b"nonsense", "missing_field"),
        (b"nonsense,x", "missing_field"),
        (b"nonsense,x,y,z", "bad_type"),
        (b"withdra,1,1,1", "bad_type"),
        (b"reverse,1,1,1", "bad_type"),
        (b"charge_back,1,1,1", "bad_type"),
        ("d\u0130spute,1,1,1".encode(), "bad_type"),
        (b"deposits,1,1,1", "bad_type"),
        (b"de posit,1,1,1", "bad_type"),
        (b"deposit\x00,1,1,1", "bad_type"),
        (b'"""deposit""",1,1,1', "bad_type"),
        (b"deposit,x,y,z", "bad_client"),
        (b"deposit,,1,1", "bad_client"),
        (b"deposit,,", "bad_client"),
        (b"deposit,-1,1,1", "bad_client"),
        (b"deposit,18446744073709551616,1,1", "bad_client"),
        (b"deposit,1,y,z", "bad_tx"),
        (b"deposit,1,", "bad_tx"),
        (b'deposit,1," ",1', "bad_tx"),
        (b"deposit,1,1,z", "bad_amount"),
        (b"deposit,1,1,1.00001", "bad_amount"),
        (b"deposit,1,1,1 000", "bad_amount"),
        (b"dispute,1,1,z", "bad_amount"),
        (b"resolve,1,1,1e3", "bad_amount"),
        (b"chargeback,1,1,.", "bad_amount"),
        (b'nonsense,x,y,z,"', "bad_quoting"),
        (b'"', "bad_quoting"),
        (b'"'.ljust(MIB + 1, b"x"), "row_too_long"),
        (b'"'.ljust(MIB, b"x"), "bad_quoting"),
    ],
)
def test_a_malformed_row_has_the_first_reason_that_applies(row: bytes, reason: str) -> None:
    state = run(row)
    assert [(reject.status, reject.reason) for reject in state.rejects] == [("malformed", reason)]
    assert state.malformed == {reason: 1}
    assert state.rejected == {}
    assert state.rows == 1
    assert state.accounts == {}


@pytest.mark.parametrize("amount", [b"", b",", b', "" ', b',"\t"', b", \v\f"])
def test_an_empty_amount_is_no_amount(amount: bytes) -> None:
    assert only_reason(b"deposit,1,1" + amount) == "amount_required"


def test_a_malformed_row_of_a_locked_account_is_malformed() -> None:
    state = run(b"deposit,1,1,1\ndispute,1,1\nchargeback,1,1\ndeposit,1,2,x\ndeposit,1,2\n")
    assert [reject.reason for reject in state.rejects] == ["bad_amount", "account_locked"]


def test_a_reject_shows_the_texts_of_its_fields_and_its_raw_row() -> None:
    rows = [
        b' "deposit" , +007,"1 ""x""", 1e3 ',
        b"withdrawal,+007,01,-0.0",
        b"dispute,1",
        b'deposit,1,1,1,"',
        b"\xff,1,2,3",
        b"deposit,2,1,1,\xfe",
    ]
    content = b"type,client,tx,amount\r\n" + b"\r\n".join(rows) + b"\r\n"
    assert replay(("in.csv", content)).rejects == [
        Reject("in.csv", 2, "malformed", "bad_tx", b"deposit", b"+007", b'1 "x"', b"1e3", rows[0]),
        Reject("in.csv", 4, "malformed", "missing_field", b"dispute", b"1", b"", b"", rows[2]),
        Reject("in.csv", 5, "malformed", "bad_quoting", b"", b"", b"", b"", rows[3]),
        Reject("in.csv", 6, "malformed", "bad_type", b"\xff", b"1", b"2", b"3", rows[4]),
        Reject("in.csv", 7, "malformed", "too_many_fields", b"deposit", b"2", b"1", b"1", rows[5]),
    ]


def test_a_rejected_row_shows_its_texts_unchanged() -> None:
    row = b' withdrawal,"+007" ,01, +.5'
    assert run(row + b"\n").rejects == [
        Reject("in.csv", 2, "rejected", "insufficient_funds", b"withdrawal", b"+007", b"01", b"+.5", row)
    ]


def test_the_raw_row_of_a_reject_is_cut_at_64_kib() -> None:
    limit = 64 * 1024
    for length in (limit - 1, limit, limit + 1):
        row = b"deposit,1,1,".ljust(length)
        assert run(row).rejects[0].row == row[:limit]


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (b"Deposit,1,2,0", "deposit"),
        (b"WITHDRAWAL,1,2,0", "withdrawal"),
        (b"withdraw,1,2,0", "withdrawal"),
        (b'" WithDraw ",1,2,0', "withdrawal"),
        (b"DisputE,1,1", "dispute"),
        (b"REFUND,1,1,0", "refund"),
    ],
)
def test_words_count_in_any_case_and_withdraw_is_a_withdrawal(row: bytes, kind: str) -> None:
    assert run(b"deposit,1,1,5\n" + row).applied == {"deposit": 1} | {kind: 2 if kind == "deposit" else 1}


# ---- The rules -----------------------------------------------------------------------------------


def test_deposits_and_withdrawals_move_available_money() -> None:
    state = run(b"deposit,1,1,2.5\ndeposit,1,2,0.0001\nwithdrawal,1,3,1\nwithdrawal,1,4,1.5001\n")
    assert state.accounts == {1: Account(1, available=0, held=0, locked=False)}
    assert state.applied == {"deposit": 2, "withdrawal": 2}
    assert state.conserved()


def test_a_dispute_holds_its_deposit_and_may_take_available_below_zero() -> None:
    state = run(b"deposit,1,1,5\nwithdrawal,1,2,3\ndispute,1,1\n")
    assert state.accounts_csv().splitlines()[1] == b"1,-3.0000,5.0000,2.0000,false"
    assert state.conserved()


def test_a_resolve_releases_the_held_amount() -> None:
    state = run(b"deposit,1,1,5\ndeposit,1,2,1\ndispute,1,1\nresolve,1,1\n")
    assert state.accounts == {1: Account(1, available=60_000)}
    assert state.conserved()


def test_a_chargeback_takes_the_held_amount_and_locks_the_account() -> None:
    state = run(b"deposit,1,1,5\ndeposit,1,2,1\ndispute,1,1\nchargeback,1,1\ndeposit,1,3,1\n")
    assert state.accounts_csv().splitlines()[1] == b"1,1.0000,0.0000,1.0000,true"
    assert [reject.reason for reject in state.rejects] == ["account_locked"]
    assert state.conserved()


@pytest.mark.parametrize(
    ("rows", "last"),
    [
        # Deposits, each reason before the next.
        ([("deposit", 1, 1, 0)], "applied"),
        ([("deposit", 1, 1, 5), ("deposit", 1, 1, None)], "duplicate_transaction"),
        ([("deposit", 1, 1, 5), ("withdrawal", 1, 2, 5), ("deposit", 1, 2, 5)], "duplicate_transaction"),
        ([("deposit", 1, 1, None)], "amount_required"),
        ([("deposit", 1, 1, -1)], "negative_amount"),
        ([("deposit", 1, 1, INT64_MAX), ("deposit", 1, 2, -1)], "negative_amount"),
        ([("deposit", 1, 1, INT64_MAX), ("deposit", 1, 2, 1)], "overflow"),
        ([("deposit", 1, 1, INT64_MAX), ("deposit", 1, 2, 0)], "applied"),
        ([("deposit", 1, 1, INT64_MAX), ("dispute", 1, 1, None), ("deposit", 1, 2, 1)], "overflow"),
        # Only applied rows use their id, and ids belong to their client.
        ([("deposit", 1, 1, None), ("deposit", 1, 1, -1), ("deposit", 1, 1, 1)], "applied"),
        ([("withdrawal", 1, 1, 5), ("deposit", 1, 1, 5)], "applied"),
        ([("dispute", 1, 1, None), ("deposit", 1, 1, 5)], "applied"),
        ([("deposit", 1, 1, 5), ("deposit", 2, 1, 5)], "applied"),
        # Withdrawals.
        ([("withdrawal", 1, 1, 0)], "applied"),
        ([("deposit", 1, 1, 5), ("withdrawal", 1, 2, 5)], "applied"),
        ([("deposit", 1, 1, 5), ("withdrawal", 1, 1, None)], "duplicate_transaction"),
        ([("deposit", 1, 1, 5), ("withdrawal", 1, 2, 5), ("withdrawal", 1, 2, 0)], "duplicate_transaction"),
        ([("withdrawal", 1, 1, None)], "amount_required"),
        ([("withdrawal", 1, 1, -1)], "negative_amount"),
        ([("withdrawal", 1, 1, 1)], "insufficient_funds"),
        ([("deposit", 1, 1, 5), ("withdrawal", 1, 2, 6)], "insufficient_funds"),
        ([("deposit", 1, 1, 5), ("dispute", 1, 1, None), ("withdrawal", 1, 2, 1)], "insufficient_funds"),
        # Disputes.
        ([("dispute", 1, 1, None)], "transaction_not_found"),
        ([("deposit", 1, 1, 5), ("dispute", 2, 1, None)], "transaction_not_found"),
        ([("deposit", 1, 1, 5), ("dispute", 1, 2, None)], "transaction_not_found"),
        ([("deposit", 1, 1, -5), ("dispute", 1, 1, None)], "transaction_not_found"),
        ([("deposit", 1, 1, 5), ("withdrawal", 1, 2, 5), ("dispute", 1, 2, None)], "transaction_not_found"),
        ([("deposit", 1, 1, 5), ("dispute", 1, 1, -99)], "applied"),
        ([("deposit", 1, 1, 0), ("dispute", 1, 1, None), ("dispute", 1, 1, None)], "duplicate_dispute"),
        (
            [
                ("deposit", 1, 1, 5),
                ("dispute", 1, 1, None),
                ("resolve", 1, 1, None),
                ("dispute", 1, 1, None),
            ],
            "duplicate_dispute",
        ),
        (
            [
                ("deposit", 1, 1, INT64_MAX),
                ("withdrawal", 1, 2, INT64_MAX),
                ("deposit", 1, 3, 2),
                ("withdrawal", 1, 4, 2),
                ("dispute", 1, 1, None),
                ("dispute", 1, 3, None),
            ],
            "overflow",
        ),
        # Resolves and chargebacks.
        ([("resolve", 1, 1, None)], "dispute_not_found"),
        ([("chargeback", 1, 1, None)], "dispute_not_found"),
        ([("deposit", 1, 1, 5), ("resolve", 1, 1, None)], "dispute_not_found"),
        ([("deposit", 1, 1, 5), ("chargeback", 1, 1, None)], "dispute_not_found"),
        ([("deposit", 1, 1, 5), ("dispute", 1, 1, None), ("resolve", 1, 1, 7)], "applied"),
        ([("deposit", 1, 1, 5), ("dispute", 1, 1, None), ("chargeback", 1, 1, -7)], "applied"),
        ([("deposit", 1, 1, 5), ("dispute", 1, 1, None), ("resolve", 2, 1, None)], "dispute_not_found"),
        (
            [
                ("deposit", 1, 1, 5),
                ("dispute", 1, 1, None),
                ("resolve", 1, 1, None),
                ("resolve", 1, 1, None),
            ],
            "dispute_not_in_progress",
        ),
        (
            [
                ("deposit", 1, 1, 5),
                ("dispute", 1, 1, None),
                ("resolve", 1, 1, None),
                ("chargeback", 1, 1, None),
            ],
            "dispute_not_in_progress",
        ),
    ],
)
def test_a_row_has_the_first_rejection_that_applies(rows: list[Row], last: str) -> None:
    assert outcomes(*rows)[-1] == last


@pytest.mark.parametrize("kind", ["deposit", "withdrawal", "dispute", "resolve", "chargeback", "refund"])
@pytest.mark.parametrize("tx", [1, 2, 3])
@pytest.mark.parametrize("amount", [None, -1, 0, INT64_MAX])
def test_a_locked_account_rejects_every_row_for_this_reason_alone(kind: str, tx: int, amount: int | None) -> None:
    state = Replay()
    for row in (("deposit", 1, 1, 5), ("deposit", 1, 2, 5), ("dispute", 1, 1, None), ("dispute", 1, 2, None)):
        assert state.apply(*row) == "applied"
    assert state.apply("chargeback", 1, 1, None) == "applied"
    assert state.apply(kind, 1, tx, amount) == "account_locked"
    assert state.accounts[1] == Account(1, available=0, held=5, locked=True)
    assert state.apply("deposit", 2, 1, 5) == "applied"


HALF = 2**62


@pytest.mark.parametrize(
    ("kind", "available", "held", "fits"),
    [
        # A deposit of 10: available, then total, at and past the upper limit.
        ("deposit", INT64_MAX - 10, 0, True),
        ("deposit", INT64_MAX - 9, 0, False),
        ("deposit", INT64_MAX - 9, -10, False),
        ("deposit", HALF, HALF - 11, True),
        ("deposit", HALF, HALF - 10, False),
        ("deposit", -5, INT64_MAX - 5, True),
        ("deposit", -5, INT64_MAX - 4, False),
        ("deposit", INT64_MIN, 0, True),
        # A withdrawal of 10 leaves available at zero or more, so a total that fitted still fits. A total that was
        # forged too large may fit afterwards, or not.
        ("withdrawal", 10, 0, True),
        ("withdrawal", 10, INT64_MIN, True),
        ("withdrawal", INT64_MAX, INT64_MIN, True),
        ("withdrawal", INT64_MAX, 10, True),
        ("withdrawal", INT64_MAX, 11, False),
        ("withdrawal", 11, INT64_MAX, False),
        # A dispute of 10: available below, held above; the total stays.
        ("dispute", INT64_MIN + 10, 0, True),
        ("dispute", INT64_MIN + 9, 0, False),
        ("dispute", INT64_MIN + 9, 100, False),
        ("dispute", 0, INT64_MAX - 10, True),
        ("dispute", 0, INT64_MAX - 9, False),
        ("dispute", -100, INT64_MAX - 9, False),
        # A resolve of 10: held below, available above.
        ("resolve", 0, INT64_MIN + 10, True),
        ("resolve", 0, INT64_MIN + 9, False),
        ("resolve", 100, INT64_MIN + 9, False),
        ("resolve", INT64_MAX - 10, 0, True),
        ("resolve", INT64_MAX - 9, 0, False),
        ("resolve", INT64_MAX - 9, -100, False),
        # A chargeback of 10: held and the total below.
        ("chargeback", 0, INT64_MIN + 10, True),
        ("chargeback", 0, INT64_MIN + 9, False),
        ("chargeback", 100, INT64_MIN + 9, False),
        ("chargeback", -HALF, -HALF + 10, True),
        ("chargeback", -HALF, -HALF + 9, False),
        ("chargeback", INT64_MIN, 10, True),
        ("chargeback", INT64_MIN, 9, False),
    ],
)
def test_available_held_and_total_each_stay_in_64_bits(kind: str, available: int, held: int, fits: bool) -> None:
    state = Replay()
    state.apply("deposit", 1, 1, 10)
    if kind in ("resolve", "chargeback"):
        state.apply("dispute", 1, 1, None)
    state.accounts[1] = Account(1, available, held)
    tx = 2 if kind in ("deposit", "withdrawal") else 1
    moved = {
        "deposit": Account(1, available + 10, held),
        "withdrawal": Account(1, available - 10, held),
        "dispute": Account(1, available - 10, held + 10),
        "resolve": Account(1, available + 10, held - 10),
        "chargeback": Account(1, available, held - 10, locked=True),
    }
    if fits:
        assert state.apply(kind, 1, tx, 10) == "applied"
        assert state.accounts[1] == moved[kind]
        return
    assert state.apply(kind, 1, tx, 10) == "overflow"
    assert state.accounts[1] == Account(1, available, held)
    # The rejected row changed nothing: with smaller balances, the same row applies.
    state.accounts[1] = Account(1, available=100, held=100)
    assert state.apply(kind, 1, tx, 10) == "applied"


def test_insufficient_funds_come_before_overflow() -> None:
    state = Replay()
    state.accounts[1] = Account(1, available=11, held=INT64_MAX)
    assert state.apply("withdrawal", 1, 1, 12) == "insufficient_funds"
    assert state.apply("withdrawal", 1, 1, 10) == "overflow"
    assert state.apply("withdrawal", 1, 1, 11) == "applied"


def test_a_rejected_row_creates_its_account_and_nothing_else() -> None:
    for kind in (b"deposit", b"withdrawal", b"dispute", b"resolve", b"chargeback", b"refund", b"reversal"):
        row = b"%s,9,1%s" % (kind, b",1" if kind == b"withdrawal" else b"")
        state = run(row)
        assert state.accounts == {9: Account(9)}
        assert state.rejected.total() == 1
        assert state.conserved()


def test_rows_are_counted_by_status_and_reason() -> None:
    state = run(b"deposit,1,1,1\ndeposit,1,1,1\n\nbad\ndeposit,1,2,x\ndispute,1,1\nresolve,1,1\nresolve,1,1\n")
    assert state.rows == 7
    assert state.applied == {"deposit": 1, "dispute": 1, "resolve": 1}
    assert state.malformed == {"missing_field": 1, "bad_amount": 1}
    assert state.rejected == {"duplicate_transaction": 1, "dispute_not_in_progress": 1}
    assert [reject.line for reject in state.rejects] == [3, 5, 6, 9]


def test_an_unknown_kind_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="transfer"):
        Replay().apply("transfer", 1, 1, 1)


# ---- Accounts ------------------------------------------------------------------------------------


def test_accounts_are_printed_ascending_by_client_as_a_number() -> None:
    clients = (10, 9, 2**64 - 1, 0, 100, 2**63)
    state = run(b"".join(b"deposit,%d,1,0.5\n" % client for client in clients))
    assert state.accounts_csv() == (
        b"client,available,held,total,locked\n"
        b"0,0.5000,0.0000,0.5000,false\n"
        b"9,0.5000,0.0000,0.5000,false\n"
        b"10,0.5000,0.0000,0.5000,false\n"
        b"100,0.5000,0.0000,0.5000,false\n"
        b"9223372036854775808,0.5000,0.0000,0.5000,false\n"
        b"18446744073709551615,0.5000,0.0000,0.5000,false\n"
    )


def test_the_last_unit_below_zero_is_printed() -> None:
    state = Replay()
    state.accounts[3] = Account(3, available=INT64_MIN, held=INT64_MAX, locked=True)
    assert state.accounts_csv().splitlines()[1] == (b"3,-922337203685477.5808,922337203685477.5807,-0.0001,true")


def test_forged_money_is_not_conserved() -> None:
    state = run(b"deposit,1,1,5\n")
    assert state.conserved()
    state.accounts[1] = Account(1, available=50_001)
    assert not state.conserved()
    state.accounts[1] = Account(1, available=50_000)
    state.accounts[2] = Account(2, held=1)
    assert not state.conserved()


# ---- The command ---------------------------------------------------------------------------------


def test_an_input_whose_rows_are_all_malformed_fails_the_run() -> None:
    bad = HEADER + b'fee,1,1,1\n\n"x,1\nfee,1,1,\n'
    assert replay(("in.csv", bad)).rows == 3
    for inputs in ([bad], [HEADER + b"deposit,1,1,1\n", bad], [bad, HEADER]):
        with pytest.raises(NotTransactions, match="all 3 rows are malformed: bad_type in 2 of them"):
            replay(*((str(number), content) for number, content in enumerate(inputs)), takes_malformed=False)
    for good in (HEADER, HEADER + b"\n \n", bad + b"dispute,1,1\n"):
        assert replay(("in.csv", good), takes_malformed=False).malformed == replay(("in.csv", good)).malformed


def run_command(*arguments: Path | str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "tests.support.run_reference", *map(str, arguments)]
    return subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, check=False)


def test_the_command_prints_accounts_and_writes_rejects(tmp_path: Path) -> None:
    first, second, rejects = tmp_path / "first.csv", tmp_path / "second.csv", tmp_path / "rejects.tsv"
    first.write_bytes(HEADER + b"deposit,2,1,5\n\nnonsense\n")
    second.write_bytes(HEADER + b"withdrawal,2,2,6\r\n")
    finished = run_command(first, second, "--rejects", rejects)
    assert (finished.returncode, finished.stderr) == (0, b"")
    assert finished.stdout == b"client,available,held,total,locked\n2,5.0000,0.0000,5.0000,false\n"
    assert rejects.read_text() == (f"{first}\t4\tmalformed\tmissing_field\n{second}\t2\trejected\tinsufficient_funds\n")


def test_the_command_applies_a_policy(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(HEADER + b"deposit,1,1,5\ndispute,1,1,2\n")
    finished = run_command(path, "--policy", "card")
    assert finished.stdout == b"client,available,held,total,locked\n1,3.0000,2.0000,5.0000,false\n"
    finished = run_command(path, "--policy", "cards")
    assert (finished.returncode, finished.stderr) == (1, b"reference: no preset of a policy: 'cards'\n")


def test_the_command_fails_on_a_file_without_transactions(tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.touch()
    for path in (empty, tmp_path / "absent.csv"):
        finished = run_command(path)
        assert (finished.returncode, finished.stdout) == (1, b"")
        assert str(path) in finished.stderr.decode()
        assert finished.stderr.count(b"\n") == 1
