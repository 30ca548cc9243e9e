"""Columns under a dialect: names, numbers, signs and pairs of amounts instead of a type, columns to keep rows by."""

from __future__ import annotations

import pytest

from tests.support.dialect_replays import assert_refused, assert_rows, run
from txfast.errors import InputError

SHOP = {"columns.type": "Event", "columns.client": "Customer", "columns.tx": "Order No.", "columns.amount": "Gross"}

# ---- Names ---------------------------------------------------------------------------------------


def test_columns_have_the_names_that_are_given() -> None:
    content = b"Gross,Order No.,Date,Customer,Event\n5,1,2031-01-02,7,deposit\n,1,2031-01-03,7,dispute\n"
    assert_rows(content, SHOP, ["2 deposit 7 1 50000", "3 dispute 7 1"])


def test_a_column_without_a_name_of_its_own_has_its_usual_one() -> None:
    content = b"Type,Customer,id,Amount\ndeposit,7,1,5\n"
    assert_rows(content, {"columns.client": "customer", "columns.tx": "ID"}, ["2 deposit 7 1 50000"])


def test_a_usual_name_is_another_column_where_one_is_given() -> None:
    content = b"type,client,tx,amount,payer\ndeposit,alice,1,5,7\n"
    assert_rows(content, {"columns.client": "payer"}, ["2 deposit 7 1 50000"])
    content = b"type,client,client,tx,amount,payer\ndeposit,x,x,1,5,7\n"
    assert_rows(content, {"columns.client": "payer"}, ["2 deposit 7 1 50000"])


def test_columns_may_change_names() -> None:
    content = b"type,client,tx,amount\ndeposit,1,2,5\n"
    assert_rows(content, {"columns.client": "tx", "columns.tx": "client"}, ["2 deposit 2 1 50000"])


def test_a_name_in_exact_case_wins_over_others() -> None:
    content = b"type,Customer,customer,CUSTOMER,tx,amount\ndeposit,1,2,3,9,5\n"
    for number, name in enumerate(["Customer", "customer", "CUSTOMER"], 1):
        assert_rows(content, {"columns.client": name}, [f"2 deposit {number} 9 50000"])
    assert_refused(content, {"columns.client": "cUSTOMER"})


def test_a_name_twice_is_refused() -> None:
    assert "payer" in assert_refused(b"type,payer,payer,tx,amount\ndeposit,1,1,1,1\n", {"columns.client": "payer"})


def test_a_name_that_is_not_there_is_refused() -> None:
    message = assert_refused(b"type,client,tx,amount\ndeposit,1,1,1\n", {"columns.client": "payer"})
    assert "payer" in message


def test_a_column_cannot_be_two_things() -> None:
    with pytest.raises(InputError, match="client and tx"):
        run([b"type,id,amount\ndeposit,1,1\n"], {"columns.client": "id", "columns.tx": "id"})


@pytest.mark.parametrize("name", ["Kunde (neu)", "Kundennümmer", "a.b", "a=b", "client id", "顧客", "x" * 100, "1"])
def test_a_name_is_any_text(name: str) -> None:
    content = f'type,tx," {name}\t",amount\ndeposit,1,7,5\n'.encode()
    assert_rows(content, {"columns.client": name}, ["2 deposit 7 1 50000"])


def test_a_name_may_hold_the_delimiter_or_a_line_ending() -> None:
    content = b'type,tx,"client, new","amount\n(EUR)"\ndeposit,1,7,5\n'
    settings = {"columns.client": "client, new", "columns.amount": "amount\n(EUR)"}
    assert_rows(content, settings, ["3 deposit 7 1 50000"])


# ---- No header -----------------------------------------------------------------------------------


def test_without_a_header_columns_stand_in_their_usual_order() -> None:
    content = b"deposit,1,1,10.00\n\ndeposit,2,2\nfee,1,3,1\nwithdrawal,1,3,2.5,\nwithdrawal,1,4,2,5\n"
    expected = [
        *("1 deposit 1 1 100000", "3 deposit 2 2", "4 bad_type", "5 withdrawal 1 3 25000", "6 too_many_fields"),
    ]
    assert_rows(content, {"header": "no"}, expected)


def test_without_a_header_columns_are_numbers() -> None:
    content = b"2031-01-02;7;deposit;x;1;5\n2031-01-03;7;dispute;x;1\n2031-01-04;7;deposit;x;2;5;;y\n"
    settings = {
        "header": "no", "delimiter": ";",
        "columns.type": "3", "columns.client": "2", "columns.tx": "5", "columns.amount": "6",
    }  # fmt: skip
    assert_rows(content, settings, ["1 deposit 7 1 50000", "2 dispute 7 1", "3 too_many_fields"])


def test_without_a_header_the_first_row_may_be_of_any_kind() -> None:
    content = b'\xef\xbb\xbf"fee","1","1","a\nb"\n deposit , 1,1,2\n'
    assert_rows(content, {"header": "no"}, ["1 bad_type", "3 deposit 1 1 20000"])
    assert_rows(content, {"header": "no", "types.fee": "ignore"}, ["1 ignored", "3 deposit 1 1 20000"])


def test_a_header_that_is_taken_for_a_row_is_malformed() -> None:
    content = b"type,client,tx,amount\ndeposit,1,1,1\n"
    assert_rows(content, {"header": "no"}, ["1 bad_type", "2 deposit 1 1 10000"])


def test_without_a_header_each_file_has_its_own_width() -> None:
    contents = [b"deposit,1,1,1\n", b"deposit,2,1,1,x,y\ndeposit,2,2,1,x,y,z\n"]
    outcome = run(contents, {"header": "no"})
    assert outcome.applied == {"deposit": 2}
    assert outcome.malformed == {"too_many_fields": 1}


def test_without_a_header_rows_are_kept_by_the_number_of_a_column() -> None:
    content = b"deposit,1,1,1,done\ndeposit,1,2,1,open\n"
    assert_rows(content, {"header": "no", "keep.5": "done"}, ["1 deposit 1 1 10000", "2 ignored"])


def test_without_a_header_the_first_row_must_have_all_columns() -> None:
    content = b"dispute,1,1\ndeposit,1,1,5\n"
    assert "3 fields" in assert_refused(content, {"header": "no"})


# ---- Signs instead of a type ---------------------------------------------------------------------

SIGNED = {"types.+": "deposit", "types.-": "withdrawal"}


def test_the_sign_of_an_amount_may_say_the_type() -> None:
    content = (
        b"client,tx,amount\n"
        b"1,1,250.00\n1,2,-99.95\n1,3,+5\n1,4,0\n1,5,-0\n1,6,-0.00\n"
        b"1,7,\n1,8\n1\n,9,1\n1,x,1\nx,,\n1,11,--5\n1,12,-\n1,13,5-\n"
    )
    expected = [
        *("2 deposit 1 1 2500000", "3 withdrawal 1 2 999500", "4 deposit 1 3 50000"),
        *("5 deposit 1 4 0", "6 deposit 1 5 0", "7 deposit 1 6 0"),
        *("8 missing_field", "9 missing_field", "10 missing_field", "11 bad_client", "12 bad_tx", "13 missing_field"),
        *("14 bad_amount", "15 bad_amount", "16 bad_amount"),
    ]
    assert_rows(content, SIGNED, expected)


def test_signs_may_mean_any_two_types() -> None:
    content = b"client,tx,amount\n1,1,5\n1,1,-5\n"
    assert_rows(content, {"types.+": "refund", "types.-": "deposit"}, ["2 refund 1 1 50000", "3 deposit 1 1 50000"])
    assert_rows(content, {"types.+": "deposit", "types.-": "deposit"}, ["2 deposit 1 1 50000", "3 deposit 1 1 50000"])


def test_with_signs_a_column_called_type_is_another_column() -> None:
    content = b"type,client,tx,amount\nfee,1,1,-5\n,1,2,5\n"
    assert_rows(content, SIGNED, ["2 withdrawal 1 1 50000", "3 deposit 1 2 50000"])


def test_the_largest_amounts_have_both_signs() -> None:
    content = b"client,tx,amount\n1,1,922337203685477.5807\n1,2,-922337203685477.5807\n1,3,-922337203685477.5808\n"
    expected = ["2 deposit 1 1 9223372036854775807", "3 withdrawal 1 2 9223372036854775807", "4 bad_amount"]
    assert_rows(content, SIGNED, expected)


def test_a_small_amount_is_rounded_before_its_sign_is_looked_at() -> None:
    content = b"client,tx,amount\n1,1,-0.004\n1,2,-0.006\n"
    settings = SIGNED | {"decimals": "2", "rounding": "half-even"}
    assert_rows(content, settings, ["2 deposit 1 1 0", "3 withdrawal 1 2 1"])


def test_null_words_are_no_amounts_with_signs() -> None:
    content = b"client,tx,amount\n1,1,-\n1,2,-5\n"
    assert_rows(content, SIGNED | {"null": "-"}, ["2 missing_field", "3 withdrawal 1 2 50000"])


def test_signs_work_with_numbered_columns() -> None:
    settings = SIGNED | {"header": "no", "columns.client": "1", "columns.tx": "3", "columns.amount": "2"}
    assert_rows(b"1,-5,1\n1,5,2\n1,,3\n1,5\n", settings, [
        "1 withdrawal 1 1 50000", "2 deposit 1 2 50000", "3 missing_field", "4 missing_field",
    ])  # fmt: skip


# ---- Two columns of amounts ----------------------------------------------------------------------

PAIR = {"columns.credit": "In", "columns.debit": "Out"}


def test_two_columns_of_amounts_are_deposits_and_withdrawals() -> None:
    content = (
        b"client,tx,In,Out\n"
        b"1,1,5,\n1,2,,5\n1,3,5\n1,4,,0.5\n"
        b"1,5,5,0\n1,6,0.00,5\n1,7,0,0\n1,8,0,\n1,9,,0\n1,10,-0,-0\n"
        b"1,11,,\n1,12\n1,13,5,5\n1,14,5,0.0001\n1,15,-5,\n1,16,,-5\n1,17,-5,0\n1,18,-5,-5\n"
    )
    expected = [
        *("2 deposit 1 1 50000", "3 withdrawal 1 2 50000", "4 deposit 1 3 50000", "5 withdrawal 1 4 5000"),
        *("6 deposit 1 5 50000", "7 withdrawal 1 6 50000", "8 deposit 1 7 0", "9 deposit 1 8 0"),
        *("10 withdrawal 1 9 0", "11 deposit 1 10 0"),
        *("12 missing_field", "13 missing_field", "14 bad_amount", "15 bad_amount", "16 deposit 1 15 -50000"),
        *("17 withdrawal 1 16 -50000", "18 deposit 1 17 -50000", "19 bad_amount"),
    ]
    assert_rows(content, PAIR, expected)


def test_both_amounts_must_be_well_formed() -> None:
    content = b"client,tx,In,Out\n1,1,x,\n1,2,,x\n1,3,5,x\n1,4,x,5\n1,5,0,x\n1,6,1.00001,0\nx,y,z,z\nx,y,,\n1,y,z,z\n"
    expected = [
        *("2 bad_amount", "3 bad_amount", "4 bad_amount", "5 bad_amount", "6 bad_amount", "7 bad_amount"),
        *("8 bad_client", "9 missing_field", "10 bad_tx"),
    ]
    assert_rows(content, PAIR, expected)


def test_two_columns_take_marks_and_null_words() -> None:
    content = b"client;tx;In;Out\n1;1;-;1.234,5\n1;2;5,5;-\n1;3;-;-\n1;4;-;0\n"
    settings = PAIR | {"null": "-", "decimal": ",", "thousands": "."}
    expected = ["2 withdrawal 1 1 12345000", "3 deposit 1 2 55000", "4 missing_field", "5 withdrawal 1 4 0"]
    assert_rows(content, settings, expected)


def test_two_columns_may_be_rounded_to_zero() -> None:
    content = b"client,tx,In,Out\n1,1,0.001,5\n1,2,5,-0.001\n1,3,0.001,0.001\n1,4,0.006,5\n"
    settings = PAIR | {"decimals": "2", "rounding": "half-up"}
    expected = ["2 withdrawal 1 1 500", "3 deposit 1 2 500", "4 deposit 1 3 0", "5 bad_amount"]
    assert_rows(content, settings, expected)


def test_columns_called_type_and_amount_are_others_beside_two_columns() -> None:
    content = b"type,client,tx,amount,In,Out\nfee,1,1,x,5,\n"
    assert_rows(content, PAIR, ["2 deposit 1 1 50000"])


def test_two_columns_may_be_numbers() -> None:
    settings = {
        "header": "no", "columns.client": "2", "columns.tx": "1", "columns.credit": "4", "columns.debit": "3",
    }  # fmt: skip
    assert_rows(b"1,7,,5\n2,7,5,\n3,7,5\n4,7\n", settings, [
        "1 deposit 7 1 50000", "2 withdrawal 7 2 50000", "3 withdrawal 7 3 50000", "4 missing_field",
    ])  # fmt: skip


# ---- Rows to keep --------------------------------------------------------------------------------


def test_rows_are_kept_by_the_words_of_a_column() -> None:
    content = (
        b"type,client,tx,amount,Status\n"
        b"deposit,1,1,5,COMPLETED\n"
        b'deposit,1,2,5," settled "\n'
        b"deposit,1,3,5,completed\n"
        b"deposit,1,4,5,PENDING\n"
        b"deposit,1,5,5,\n"
        b"deposit,1,6,5\n"
        b"fee,x,y,z,PENDING,too,many\n"
        b"fee,x,y,z,COMPLETED\n"
        b"deposit,1,9,5,COMPLETED,x\n"
        b"deposit,1,9,5,COMPLETEDX\n"
    )
    expected = [
        *("2 deposit 1 1 50000", "3 deposit 1 2 50000", "4 ignored", "5 ignored", "6 ignored", "7 ignored"),
        *("8 ignored", "9 bad_type", "10 too_many_fields", "11 ignored"),
    ]
    assert_rows(content, {"keep.status": "COMPLETED,settled"}, expected)


def test_rows_are_kept_where_all_columns_say_so() -> None:
    content = b"type,client,tx,amount,a,b\n" + b"".join(
        b"deposit,1,%d,1,%s\n" % (tx, words) for tx, words in enumerate([b"x,y", b"x,x", b"y,y", b"y,x", b"x"])
    )
    expected = ["2 deposit 1 0 10000", *(f"{line} ignored" for line in range(3, 7))]
    assert_rows(content, {"keep.a": "x", "keep.b": "y,z"}, expected)


def test_rows_are_kept_by_the_columns_that_are_read_too() -> None:
    content = b"type,client,tx,amount\ndeposit,1,1,5\nDeposit,1,2,5\ndeposit,2,3,5\ndeposit,01,4,5\n"
    expected = ["2 deposit 1 1 50000", "3 ignored", "4 ignored", "5 ignored"]
    assert_rows(content, {"keep.type": "deposit", "keep.client": "1"}, expected)


def test_words_to_keep_may_be_any_text() -> None:
    content = 'type,client,tx,amount,Zustand\ndeposit,1,1,5,"fertig ""ü"""\ndeposit,1,2,5,a b\ndeposit,1,3,5,a  b\n'
    settings = {"keep.Zustand": 'fertig ""ü"",a b'}
    assert_rows(content.encode(), settings, ["2 deposit 1 1 50000", "3 deposit 1 2 50000", "4 ignored"])


def test_a_column_to_keep_rows_by_must_be_there() -> None:
    assert "status" in assert_refused(b"type,client,tx,amount\ndeposit,1,1,1\n", {"keep.status": "x"})
