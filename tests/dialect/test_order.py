"""What a row is where several things are wrong with it: the first that applies, in one order.

`row_too_long`, `bad_quoting`, ignored, `too_many_fields`, `missing_field`, `bad_type`, `bad_client`, `bad_tx`,
`bad_amount`.
"""

from __future__ import annotations

import io

import pytest

import txfast
from tests.support.dialect_replays import assert_as_reference, assert_rows, run
from txfast.errors import InputError

HEADER = b"type;client;tx;amount;state\n"
SETTINGS = {"types.fee": "ignore", "keep.state": "done", "delimiter": ";", "null": "?"}


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        (b'deposit;1;1;1;"done"x', "bad_quoting"),
        (b'fee;1;1;1;"open"x', "bad_quoting"),
        (b'fee;1;1;1;done;"x', "bad_quoting"),
        (b"fee;x;y;z;open;too;many", "ignored"),
        (b"fee;x;y;z;done;too;many", "ignored"),
        (b"salary;x;y;z;open;too;many", "ignored"),
        (b"deposit;x;y;z;open", "ignored"),
        (b";;;;open", "ignored"),
        (b"deposit;1;1;1", "ignored"),
        (b"deposit", "ignored"),
        (b";x;y;z;done;more", "too_many_fields"),
        (b"salary;x;y;z;done;;more", "too_many_fields"),
        (b"salary;x;y;z;done;;?", "too_many_fields"),
        (b";x;y;z;done;;", "missing_field"),
        (b"?;x;y;z;done;", "missing_field"),
        (b"salary;x;y;z;done", "bad_type"),
        (b"deposit;x;y;z;done", "bad_client"),
        (b"deposit;;;;done", "bad_client"),
        (b"deposit;?;?;?;done", "bad_client"),
        (b"deposit;1;y;z;done", "bad_tx"),
        (b"deposit;1;;z;done", "bad_tx"),
        (b"deposit;1;1;z;done", "bad_amount"),
        (b"resolve;1;1;z;done", "bad_amount"),
        (b"deposit;1;1;?;done", "deposit 1 1"),
    ],
)
def test_a_row_has_the_first_outcome_that_applies(row: bytes, outcome: str) -> None:
    content = HEADER + row + b"\ndeposit;9;9;9;done\n"
    assert_rows(content, SETTINGS, [f"2 {outcome}", "3 deposit 9 9 90000"])


@pytest.mark.untraced
def test_a_row_that_is_too_long_is_so_even_if_it_would_be_ignored() -> None:
    long = b"x" * (1 << 20)
    content = HEADER + b"fee;1;1;1;done;" + long + b"\nfee;1;1;1;" + long[:1000] + b"\ndeposit;1;1;1;done\n"
    assert_rows(content, SETTINGS, ["2 row_too_long", "3 ignored", "4 deposit 1 1 10000"])


def test_missing_amounts_come_before_wrong_ids_where_the_amount_says_the_type() -> None:
    content = b"client,tx,amount\nx,y,\n1\n,\nx,1,z\n1,y,z\n1,1,z\n1,1,1\n,1,\n,1,-1,x\n"
    expected = [
        *("2 missing_field", "3 missing_field", "4 missing_field", "5 bad_client", "6 bad_tx", "7 bad_amount"),
        *("8 deposit 1 1 10000", "9 missing_field", "10 too_many_fields"),
    ]
    assert_rows(content, {"types.+": "deposit", "types.-": "withdrawal"}, expected)


def test_lines_that_are_nothing_are_not_counted_at_all() -> None:
    content = b"#\n" + HEADER + b"# fee;1;1;1;open\n\n  \ndeposit;1;1;1;done\n"
    outcome = assert_as_reference([content], SETTINGS | {"comment": "#"})
    assert outcome is not None
    assert (outcome.rows, outcome.ignored, outcome.malformed) == (1, 0, {})


# ---- Files whose rows are all malformed ----------------------------------------------------------


def test_a_file_whose_other_rows_are_ignored_fails_if_the_rest_is_malformed() -> None:
    content = HEADER + b"fee;1;1;1;done\nsalary;1;1;1;done\n"
    with pytest.raises(InputError, match="bad_type"):
        txfast.process(io.BytesIO(content), dialect=SETTINGS)
    assert run([content], SETTINGS).malformed == {"bad_type": 1}


def test_rejected_rows_keep_the_texts_of_their_fields() -> None:
    content = b"Betrag;Kunde;Art;Nr\n\"1.234,5\"; 7 ;'Sale';5\n1.234,5;7;SALE;5\nx;7;x;y\n"
    settings = {
        "columns.type": "Art", "columns.client": "Kunde", "columns.tx": "Nr", "columns.amount": "Betrag",
        "types.'Sale'": "deposit", "types.Sale": "deposit", "decimal": ",", "thousands": ".",
    }  # fmt: skip
    outcome = assert_as_reference([content], settings)
    assert outcome is not None
    assert [(each.line, each.reason, each.texts) for each in outcome.rejects] == [
        (3, "duplicate_transaction", ("SALE", "7", "5", "1.234,5")),
        (4, "bad_type", ("x", "7", "y", "x")),
    ]
