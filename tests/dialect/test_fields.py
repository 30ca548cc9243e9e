"""Delimiters, quotes and blanks: where a field begins and ends, and what its text is."""

from __future__ import annotations

import pytest

from tests.support.dialect_replays import assert_refused, assert_rows

# ---- Delimiters ----------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "|", ":", "~", "^", "&", "%", "\x1f", "\x02"])
def test_a_delimiter_is_any_one_byte(delimiter: str) -> None:
    rows = [
        "type,client,tx,amount,note",
        "deposit,1,1,2.5,a",
        'deposit,2,2,"1.5",","',
        "deposit,3,3,1,,x",
        "dispute,1,1",
    ]
    content = "\n".join(rows).replace(",", delimiter).encode()
    expected = ["2 deposit 1 1 25000", "3 deposit 2 2 15000", "4 too_many_fields", "5 dispute 1 1"]
    assert_rows(content, {"delimiter": delimiter}, expected)


def test_a_tab_that_separates_is_no_blank() -> None:
    rows = [b" deposit \t 1\v\t\f1\t 2.5 ", b"\t\t\t", b" ", b"deposit\t\t1\t1", b"\tdeposit\t1\t1"]
    content = b"\r\n".join([b"type\tclient\ttx\tamount", *rows])
    expected = ["2 deposit 1 1 25000", "3 missing_field", "5 bad_client", "6 missing_field"]
    assert_rows(content, {"delimiter": "tab"}, expected)


def test_a_tab_that_separates_may_follow_a_quote() -> None:
    rows = [b'"deposit"\t"1"\t"1"\t"\t2"', b'" deposit"\t"1 "\v\t"2"\t"3"', b'"deposit"x\t1\t1\t1']
    content = b"\n".join([b'"type"\t"client" \t"tx"\t"amount"', *rows])
    assert_rows(content, {"delimiter": "tab"}, ["2 bad_amount", "3 deposit 1 2 30000", "4 bad_quoting"])


def test_another_delimiter_leaves_tabs_as_blanks() -> None:
    content = b'type;client;tx;amount\n\tdeposit\t;\t1;1\t;"\t2\t"\n\t \n'
    assert_rows(content, {"delimiter": ";"}, ["2 deposit 1 1 20000"])


def test_with_another_delimiter_a_comma_is_text() -> None:
    content = b"type;client;tx;amount;a,b\ndeposit,1;1;1;1;,,,\ndeposit;1,5;1;1;\ndeposit;1;1;1;a,b\n"
    expected = ["2 bad_type", "3 bad_client", "4 deposit 1 1 10000"]
    assert_rows(content, {"delimiter": ";"}, expected)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_delimiter_that_is_not_named_is_the_one_of_the_header(delimiter: str) -> None:
    lines = ["", "note,type,client,tx,amount", '"x; y | z",deposit,1,1,2.5', "x,dispute,1,1,"]
    content = "\n".join(lines).replace(",", delimiter).encode()
    assert_rows(content, {}, ["3 deposit 1 1 25000", "4 dispute 1 1"])


def test_the_delimiter_is_looked_for_behind_skipped_lines_and_comments() -> None:
    content = b"type,client,tx,amount\n# type|client|tx|amount\n\ntype;client;tx;amount\ndeposit;1;1;1\n"
    assert_rows(content, {"skip": "1", "comment": "#"}, ["5 deposit 1 1 10000"])


def test_the_delimiter_is_found_by_the_names_that_are_asked_for() -> None:
    content = b"type,client,tx,amount;Art;Kunde;Beleg;Betrag\nx,1,1,1;deposit;7;1;5\n"
    names = {"columns.type": "art", "columns.client": "kunde", "columns.tx": "beleg", "columns.amount": "betrag"}
    assert_rows(content, names, ["2 deposit 7 1 50000"])


def test_a_header_that_fits_two_delimiters_is_refused_until_one_is_named() -> None:
    content = b"a,type,client,tx,amount,b;type;client;tx;amount;c\nx,deposit,1,1,1,y;deposit;2;2;2;z\n"
    assert "delimiter" in assert_refused(content, {})
    assert_rows(content, {"delimiter": ";"}, ["2 deposit 2 2 20000"])
    assert_rows(content, {"delimiter": ","}, ["2 deposit 1 1 10000"])


def test_a_header_that_fits_no_delimiter_is_refused() -> None:
    assert_refused(b"type~client~tx~amount\ndeposit~1~1~1\n", {})
    assert_refused(b"type;client;tx;amount\ndeposit;1;1;1\n", {"delimiter": ","})


# ---- Quotes --------------------------------------------------------------------------------------


def test_without_quotes_a_quote_is_text_and_a_row_is_a_line() -> None:
    content = (
        b'type,client,tx,amount,"note\n'
        b'deposit,1,1,1,"\n'
        b'"deposit",1,2,1\n'
        b'deposit,1,3,"1"\n'
        b'deposit,1,4,1,"a,b"\n'
        b'deposit,1,5,1,""x" y\n'
    )
    expected = ["2 deposit 1 1 10000", "3 bad_type", "4 bad_amount", "5 too_many_fields", "6 deposit 1 5 10000"]
    assert_rows(content, {"quote": "none"}, expected)


def test_another_quote_quotes_fields_and_doubles() -> None:
    content = (
        b"type,client,tx,amount,note\n"
        b"'deposit',' 1 ','1',1,'a,b'\n"
        b"deposit,1,2,1,'it''s,\nfine'\n"
        b'deposit,1,3,1,"a,b"\n'
        b'deposit,1,4,1,"\n'
        b"deposit,1,5,1,it's\n"
        b"deposit,1,6,1,'it's'\n"
    )
    expected = [
        *("2 deposit 1 1 10000", "3 deposit 1 2 10000", "5 too_many_fields"),
        *("6 deposit 1 4 10000", "7 deposit 1 5 10000", "8 bad_quoting"),
    ]
    assert_rows(content, {"quote": "'"}, expected)


def test_another_quote_that_stays_open_costs_one_line() -> None:
    content = b"type;client;tx;amount;note\ndeposit;1;1;1;'open\ndeposit;1;2;1;'x' \ndeposit;1;3;1;\"open\n"
    assert_rows(content, {"quote": "'"}, ["2 bad_quoting", "3 deposit 1 2 10000", "4 deposit 1 3 10000"])


def test_the_end_of_a_quoted_field_is_found_by_the_delimiter() -> None:
    rows = [b'deposit;1;1;1;"a";b', b'deposit;1;2;1;"a",b', b'deposit;1;3;1;"a";', b'deposit;1;4;1;"a\n";']
    content = b"\n".join([b"type;client;tx;amount;note", *rows])
    expected = ["2 too_many_fields", "3 bad_quoting", "4 deposit 1 3 10000", "5 deposit 1 4 10000"]
    assert_rows(content, {"delimiter": ";"}, expected)


def test_quotes_of_several_lines_are_read_under_any_delimiter() -> None:
    content = b'note|type|client|tx|amount\n"a|\r\n|b"|deposit|1|1|1\n"c\ndeposit|6|6|6"|dispute|1|1\nx|fee|1|1\n'
    expected = ["2 deposit 1 1 10000", "4 dispute 1 1", "6 bad_type"]
    assert_rows(content, {"delimiter": "|"}, expected)


def test_texts_of_rejects_are_unquoted_by_the_quote_of_the_dialect() -> None:
    content = b"type,client,tx,amount\n'o''hara',\"1\",' x ',''\ndeposit,1,1,1\n"
    assert_rows(content, {"quote": "'"}, ["2 bad_type", "3 deposit 1 1 10000"])
    assert_rows(content, {"quote": "none"}, ["2 bad_type", "3 deposit 1 1 10000"])


# ---- Encodings -----------------------------------------------------------------------------------

WORDS = {"types.Überweisung": "deposit", "columns.type": "Vorgang (ä)"}


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [("utf-8", "utf-8"), ("utf-8", "utf-8-sig"), ("utf-16", "utf-16"), ("latin-1", "latin-1"), ("cp1252", "cp1252")],
)
def test_words_and_names_are_text_in_every_encoding(encoding: str, codec: str) -> None:
    text = "Vorgang (ä),client,tx,amount\nÜberweisung,1,1,1\nüberweisung,1,2,1\nÖberweisung,1,3,1\n"
    expected = ["2 deposit 1 1 10000", "3 bad_type", "4 bad_type"]  # only A to Z have another case
    assert_rows(text.encode(codec), WORDS | {"encoding": encoding}, expected)


def test_cp1252_has_signs_where_latin_1_has_control_characters() -> None:
    content = b"type,client,tx,amount,Betrag \x80\ndeposit,1,1,2,5\n"
    settings = {"columns.amount": "Betrag €", "encoding": "cp1252"}
    assert_rows(content, settings, ["2 deposit 1 1 50000"])
    assert_refused(content, settings | {"encoding": "latin-1"})
