"""Line endings inside quotes belong to their field: what a row is, for the native reader."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import replays
from tests.support.reference import HEADER
from tests.support.reference_rows import BYTE_ORDER_MARK
from tests.support.replays import Outcome

MIB = 1024 * 1024
NOTE_HEADER = b"type,client,tx,amount,note\n"
# Pieces of files in which quotes open, close, double and stray, beside every kind of ending.
PIECES = [
    *(
        b'"',
        b'""',
        b'"""',
        b",",
        b" ",
        b"\t",
        b"\n",
        b"\r\n",
        b"\r",
        b"x",
        b"deposit,1,1,5",
        b'"\n"',
        b'",',
        b',"',
        b'"\n',
    ),
    *(b"dispute,1,1\n", b'deposit,2,2,1,"a\nb"\n', b'deposit,3,3,1,"a ""b""\r\nc",\n', b"\n\n", b' "', b'" ', b'x"'),
]


def read(content: bytes, block_bytes: int | None = None) -> Outcome:
    outcome = replays.assert_as_reference([("in.csv", content)], reader="native", block_bytes=block_bytes)
    assert outcome is not None
    return outcome


def accounts_of(outcome: Outcome) -> list[bytes]:
    return outcome.accounts.splitlines()[1:]


@pytest.mark.parametrize("block_bytes", range(1, 6))
def test_a_block_may_end_within_the_byte_order_mark(block_bytes: int) -> None:
    content = BYTE_ORDER_MARK + b'"no\nte",type,client,tx,amount\n"a\nb",deposit,1,1,2.5\n'
    assert accounts_of(read(content, block_bytes)) == [b"1,2.5000,0.0000,2.5000,false"]


# ---- Rows that span lines ------------------------------------------------------------------------


def test_a_note_that_goes_on_over_lines_is_a_field_of_its_row() -> None:
    content = (
        b'type,client,tx,amount,note\ndeposit,1,1,100.00,"first line\nsecond line"\ndeposit,1,2,5.00,plain\n'
        b'withdrawal,1,3,30.00,"a ""b""\nc"\n'
    )
    outcome = read(content)
    assert accounts_of(outcome) == [b"1,75.0000,0.0000,75.0000,false"]
    assert outcome.rejects == []


def test_a_note_in_the_first_column_may_go_on_over_lines() -> None:
    outcome = read(b'note,type,client,tx,amount\n"paid by\nphone",deposit,1,1,100.00\nplain,withdrawal,1,2,30.00\n')
    assert accounts_of(outcome) == [b"1,70.0000,0.0000,70.0000,false"]
    assert outcome.rejects == []


def test_the_text_of_a_row_inside_a_note_is_never_a_row() -> None:
    content = (
        b'type,client,tx,amount,note\ndeposit,1,1,5.00,"thanks\ndeposit,666,999,1000000.00,x"\ndeposit,2,2,7.00,ok\n'
    )
    outcome = read(content)
    assert accounts_of(outcome) == [b"1,5.0000,0.0000,5.0000,false", b"2,7.0000,0.0000,7.0000,false"]
    assert outcome.rejects == []


@pytest.mark.parametrize("reader", replays.READERS)
def test_a_lone_cr_ends_a_line(reader: str) -> None:
    content = b"type,client,tx,amount\rdeposit,1,1,10.00\rwithdrawal,1,2,4.00\r"
    outcome = replays.assert_as_reference([("in.csv", content)], reader=reader)
    assert outcome is not None
    assert accounts_of(outcome) == [b"1,6.0000,0.0000,6.0000,false"]


def test_a_header_may_go_on_over_lines() -> None:
    for block_bytes in (1, 7, None):
        outcome = read(b'\n"a\r\nnote","type",client,tx,amount\nx,deposit,1,1,5\nx,fee,1,1,1\n', block_bytes)
        assert [(reject.line, reject.reason) for reject in outcome.rejects] == [(5, "bad_type")]


def test_a_row_has_the_number_of_its_first_line_and_its_whole_text() -> None:
    rows = b'deposit,1,1,"x\n",\n\ndeposit,1,2,1,"a\r\nb"\ndispute,1,9,,"\r\n\r\r"\nfee,1,1,1\n'
    outcome = read(NOTE_HEADER + rows)
    assert [(reject.line, reject.reason, reject.row) for reject in outcome.rejects] == [
        (2, "bad_amount", b'deposit,1,1,"x\n",'),
        (7, "transaction_not_found", b'dispute,1,9,,"\r\n\r\r"'),
        (11, "bad_type", b"fee,1,1,1"),
    ]


# ---- Bad quoting ---------------------------------------------------------------------------------


@pytest.mark.parametrize("block_bytes", [1, 16, 64, None])
def test_a_stray_quote_costs_one_line(block_bytes: int | None) -> None:
    rows = b"".join(b"deposit,1,%d,1,note\n" % tx for tx in range(50))
    content = NOTE_HEADER + rows + b'deposit,1,98,1,"stray\n' + rows.replace(b"deposit,1", b"deposit,2")
    outcome = read(content, block_bytes)
    assert (outcome.applied, outcome.malformed) == ({"deposit": 100}, {"bad_quoting": 1})


def test_the_first_quote_that_is_not_doubled_decides() -> None:
    content = (
        NOTE_HEADER + b'deposit,1,1,1,"a\ndeposit,1,2,1,"b"\ndeposit,1,3,1,"c""\ndeposit,1,4,1,d" \t\ndeposit,1,5,1\n'
    )
    outcome = read(content)
    assert [(reject.line, reject.reason) for reject in outcome.rejects] == [(2, "bad_quoting")]
    assert outcome.applied == {"deposit": 3}


def test_a_row_of_more_quoted_fields_than_are_remembered_is_cut_where_it_ends() -> None:
    names = b",".join(b"c%d" % column for column in range(200))
    quoted = b",".join([b'"\n"'] * 200)
    content = (
        b"type,client,tx,amount," + names + b"\n" + b"".join(b"deposit,1,%d,1,%s\n" % (tx, quoted) for tx in range(20))
    )
    for block_bytes in (100, 700, 1_500, 3_000):
        assert read(content, block_bytes).applied == {"deposit": 20}


@pytest.mark.parametrize(
    "note", [b'"\n"', b'"",', b'"\n\n\n\n\n\n\n\n\n\n\n"', b'"x\n' + b"," * 5000 + b'"', b'",\n"', b'"\r\n"']
)
@pytest.mark.parametrize("block_bytes", [90, 700, 6_000, 9_000])
def test_a_block_is_cut_where_its_last_lines_leave_the_rows_in_doubt(note: bytes, block_bytes: int) -> None:
    """Lines of which nobody can say from near whether they are inside quotes; and lines far from any other."""
    names = b",n" * 5010
    rows = b"".join(b"%s,deposit,%d,%d,1,%s\n" % (note, row % 3, row, note) for row in range(60))
    content = b"note,type,client,tx,amount,note" + names + b"\n" + rows + b"x,fee,1,1,1,x\n"
    outcome = read(content, block_bytes)
    assert [reject.line for reject in outcome.rejects][-1:] == [content.count(b"\n")]


# ---- Long rows -----------------------------------------------------------------------------------


@pytest.mark.untraced
@pytest.mark.parametrize("block_bytes", [1 << 16, None])
@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_a_row_over_one_mib_whose_fields_close_is_passed_over_whole(ending: bytes, block_bytes: int | None) -> None:
    line = b"deposit,9,9,9" + ending
    note = b'"' + line * (MIB // 2 // len(line)) + b'"'
    header = b"type,client,tx,amount,note,note,note" + ending
    last = b"deposit,1,1,1" + ending + b"dispute,9,9" + ending
    outcome = read(header + b"deposit,2,2,2," + b",".join([note] * 3) + ending + last, block_bytes)
    assert outcome.applied == {"deposit": 1}
    lines = 3 * (MIB // 2 // len(line))
    assert [(reject.line, reject.reason) for reject in outcome.rejects] == [
        (2, "row_too_long"),
        (2 + lines + 2, "transaction_not_found"),
    ]


@pytest.mark.untraced
@pytest.mark.parametrize("bytes_more", [-2, -1, 0, 1])
def test_a_field_that_closes_more_than_one_mib_away_is_bad(bytes_more: int) -> None:
    rows = b"\n" * (MIB - 2 + bytes_more)
    for before in (b"", b'"\n\n",x,'):
        content = HEADER + before + b'"' + rows + b'"\ndeposit,1,1,1\n'
        outcome = read(content)
        assert sum(outcome.malformed.values()) >= 1
        assert outcome.applied == {"deposit": 1}


@pytest.mark.untraced
def test_a_long_row_with_a_bad_field_ends_with_the_line_of_its_opening() -> None:
    note = b'"' + b"x\n" * (MIB // 4) + b'"'
    content = NOTE_HEADER + b"deposit,1,1,1," + b",".join([note] * 3) + b',"open\ndeposit,1,2,1\n'
    outcome = read(content)
    assert (outcome.applied, outcome.malformed) == ({"deposit": 1}, {"row_too_long": 1})


# ---- Any file ------------------------------------------------------------------------------------


@given(
    st.lists(st.sampled_from(PIECES), max_size=60),
    st.one_of(st.integers(1, 40), st.integers(30, 300)),
    st.sampled_from([HEADER, NOTE_HEADER]),
)
def test_any_quotes_and_endings_are_read_as_the_reference_reads_them(
    pieces: list[bytes], block_bytes: int, header: bytes
) -> None:
    replays.assert_as_reference([("in.csv", header + b"".join(pieces))], reader="native", block_bytes=block_bytes)


notes = st.text(st.sampled_from('ab,"\n\r '), max_size=12)


@given(st.lists(notes, min_size=1, max_size=12), st.integers(1, 64))
def test_what_a_writer_of_csv_writes_is_read_back(texts: list[str], block_bytes: int) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["note", "type", "client", "tx", "amount", "note"])
    for tx, note in enumerate(texts):
        writer.writerow([note, "deposit", "1", tx, "1", note])
    outcome = read(text.getvalue().encode(), block_bytes)
    assert (outcome.rows, outcome.applied) == (len(texts), {"deposit": len(texts)})
