"""What the start of a strange file shows: columns, words, marks of amounts, and what is left to a person."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.dialect_strategies import Written, written_files
from tests.support.reference_dialect import Dialect as ReferenceDialect
from txfast.dialect.detect import decoded, detect, detect_table
from txfast.dialect.dialect import COLUMNS, Dialect
from txfast.dialect.findings import Findings, listed, shown_text
from txfast.dialect.likely_names import (
    FINAL_WORDS,
    OTHER_STATUS_WORDS,
    RANKS,
    WORDS,
    is_known_type,
    likely_columns,
    likely_type,
    plain,
    word_key,
)
from txfast.dialect.marks import Marks
from txfast.dialect.names import KINDS
from txfast.dialect.shape import SPANNED_LINES_MAX, lines_of, row_at, shape_of


def parts_of(text: str | bytes) -> dict[str, str]:
    """The settings that a text needs."""
    return detect(text.encode() if isinstance(text, str) else text).parts


def open_parts(findings: Findings) -> dict[str, str]:
    """The settings that are left to a person, with their notes."""
    return {each.name: each.note for each in findings.settings if each.is_open}


def marks(*texts: str) -> Marks:
    return Marks(list(enumerate(texts, 1)))


# ---- Names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        ("Type,Client,Tx,Amount", "Type,Client,Tx,Amount"),
        ("Transaction Type,USER_ID,txn-id,Value", "Transaction Type,USER_ID,txn-id,Value"),
        ("Betrag in EUR,Kunden-Nr.,Beleg Nr.,Buchungsart", "Buchungsart,Kunden-Nr.,Beleg Nr.,Betrag in EUR"),
        ("Fecha,Tipo de operación,Nº cuenta,Referencia,Importe", "Tipo de operación,,Referencia,Importe"),
        ("Date,Nature,Compte,Référence,Montant (€)", "Nature,Compte,Référence,Montant (€)"),
        ("balance_transaction_id,gross,fee,net,reporting_category,source_id,customer_id",
         "reporting_category,customer_id,balance_transaction_id,gross"),
        ("取引種別,顧客,取引番号,金額", "取引種別,顧客,取引番号,金額"),
        ("id,account_id,order_id", ",account_id,order_id,"),
        ("date,text,what", ",,,"),
    ],
)  # fmt: skip
def test_columns_are_told_by_likely_names(names: str, roles: str) -> None:
    wanted = dict(zip(("type", "client", "tx", "amount"), roles.split(","), strict=True))
    found = likely_columns(names.split(","), ("type", "client", "tx", "amount"))
    assert found == {role: name for role, name in wanted.items() if name}


def test_a_column_has_one_role_and_the_likeliest_name_wins() -> None:
    assert likely_columns(["id", "payment_id"], ("tx",)) == {"tx": "payment_id"}
    assert likely_columns(["Ingreso", "Cargo"], ("credit", "debit")) == {"credit": "Ingreso", "debit": "Cargo"}
    assert likely_columns(["x", "x"], ("tx",)) == {}


@pytest.mark.parametrize(
    ("name", "is_plain"),
    [
        ("Amount EUR", "amount"), ("EUR", "eur"), ("Paid in", "paidin"), ("Paid in USD", "paid"), ("tx_id", "txid"),
        ("Betrag (in EUR)", "betrag"), ("  Kunden-Nr. ", "kundennr"), ("client's id", "clientsid"), ("(x)", ""),
    ],
)  # fmt: skip
def test_a_name_is_compared_by_its_letters(name: str, is_plain: str) -> None:
    assert plain(name) == is_plain


def test_the_tables_are_as_names_and_words_are_compared() -> None:
    assert set(RANKS) == set(COLUMNS)
    for role, ranks in RANKS.items():
        assert [name for name in ranks if plain(name) != name] == []
        assert role not in KINDS
        assert next(iter(ranks)) == role
    assert set(WORDS.values()) == set(KINDS)
    assert [word for word in (*WORDS, *FINAL_WORDS, *OTHER_STATUS_WORDS) if word_key(word) != word] == []
    assert set(WORDS).isdisjoint(KINDS)
    assert FINAL_WORDS.isdisjoint(OTHER_STATUS_WORDS)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("SALE", "deposit"), ("Payments", "deposit"), ("Cash-In", "deposit"), ("payout", "withdrawal"),
        ("withdraw", "withdrawal"), ("Deposits", "deposit"), ("REFUND", "refund"), ("dispute won", "resolve"),
        ("Einzahlung", "deposit"), ("dispute_reversal", "reversal"), ("FEE", None), ("", None), ("s", None),
    ],
)  # fmt: skip
def test_words_mean_types(word: str, kind: str | None) -> None:
    assert likely_type(word) == kind


def test_known_types_are_those_of_the_default_dialect() -> None:
    words = ("deposit", "WITHDRAW", "Refund", "sale", "deposits")
    assert [is_known_type(word) for word in words] == [True, True, True, False, False]


# ---- Amounts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1.5", "20", "-3.25"], (".", None)),
        (["12,50", "7,25"], (",", None)),
        (["1.234,56", "20,00"], (",", ".")),
        (["1,234.50", "12"], (".", ",")),
        (["11'373.94"], (".", "'")),
        (["1 234,5", "2"], (",", " ")),
        (["1_000.5"], (".", "_")),
        (["1.000.000"], (",", ".")),
        (["1.234"], (".", None)),  # the default
        (["1,5", "2,5", "1.2.3,4.5"], (",", None)),
        ([], (".", None)),
        (["x"], (".", None)),
    ],
)
def test_marks_are_those_by_which_most_texts_are_numbers(texts: list[str], expected: tuple[str, str | None]) -> None:
    found = marks(*texts)
    assert (found.decimal, found.thousands, found.choices) == (*expected, [])


def test_marks_that_nothing_tells_are_left_open() -> None:
    assert marks("1,234", "5,678").choices == [(".", ","), (",", None)]
    found = detect(b"type;client;tx;amount\ndeposit;1;1;1,234\n")
    note = "one of these two: no amount tells whether this mark is before decimals or between thousands"
    assert open_parts(found) == {"thousands": note, "decimal": note}
    assert found.parts == {"delimiter": ";"}


def test_thousands_that_look_like_decimals_are_left_open() -> None:
    found = open_parts(detect(b"type,client,tx,amount\ndeposit,1,1,1.250\ndeposit,1,2,2\n"))
    assert found["decimal"] == "if points are between thousands: each one in an amount stands before three digits"
    assert found["thousands"] == "the same"
    assert open_parts(detect(b"type,client,tx,amount\ndeposit,1,1,1.250\ndeposit,1,2,2.5\n")) == {}


def test_both_marks_of_a_reading_are_proposed() -> None:
    found = detect(b"type;client;tx;amount\ndeposit;1;1;1,500\ndeposit;1;2;10.500\n")
    assert [(each.name, each.value) for each in found.settings if each.is_open] == [
        ("thousands", ","), ("decimal", ","), ("thousands", "."),
    ]  # fmt: skip
    assert found.parts == {"delimiter": ";"}


def test_signs_places_and_words_of_amounts() -> None:
    found = marks("-1.5000", "2.12345000", "+3", "NULL", "-", "", "(5)", "$5", "1e5", "n/a")
    assert (found.negative, found.numbers, found.places, found.whole) == (1, 3, 5, False)
    assert found.nulls == ["NULL", "-", "n/a"]
    assert found.unread == [(7, "(5)"), (8, "$5"), (9, "1e5")]
    assert found.has_both_signs
    assert not marks("-1", "-2").has_both_signs
    assert marks("1", "2").whole
    assert not marks().whole


@pytest.mark.parametrize(
    ("amount", "parts", "is_open"),
    [
        ("1.00001", {"decimals": "5"}, set()),
        ("1.1234567891", {"decimals": "9"}, {"rounding"}),
        ("1.50", {}, set()),
        ("150", {}, {"amounts"}),
    ],
)
def test_decimals_are_those_that_amounts_have(amount: str, parts: dict[str, str], is_open: set[str]) -> None:
    found = detect(f"type,client,tx,amount\ndeposit,1,1,{amount}\n".encode())
    assert found.parts == parts
    assert set(open_parts(found)) == is_open


def test_amounts_that_no_dialect_reads_are_named_with_their_line() -> None:
    [_, remark] = detect(b"type,client,tx,amount\n\ndeposit,1,1,$5\ndeposit,1,2,$6\n").remarks
    assert remark.startswith('2 amounts that no dialect reads, such as "$5" in line 3: change them')


# ---- Columns and words -----------------------------------------------------------------------------


def test_a_type_column_without_a_likely_name_is_told_by_its_words() -> None:
    text = "date,what,client,tx,amount\n1,SALE,1,1,5\n1,PAYOUT,1,2,2\n1,FEE,1,3,1\n"
    found = detect(text.encode())
    assert found.parts == {"columns.type": "what", "types.SALE": "deposit", "types.PAYOUT": "withdrawal"}
    assert open_parts(found)["types.FEE"].startswith("1 row: deposit, withdrawal, ")


def test_signs_say_what_rows_are_where_there_is_no_type() -> None:
    text = "Account,Entry,Sum\n1,1,5\n1,2,-2\n1,3,3\n"
    found = detect(text.encode())
    assert found.parts == {
        "columns.client": "Account", "columns.tx": "Entry", "columns.amount": "Sum", "types.+": "deposit",
        "types.-": "withdrawal",
    }  # fmt: skip
    assert [each.note for each in found.settings[-3:-1]] == [
        "2 amounts from zero on: is it money that comes in? else swap both", "1 amount below zero",
    ]  # fmt: skip
    assert not found.missing


def test_amounts_of_one_sign_do_not_say_what_rows_are() -> None:
    found = detect(b"Account,Entry,Sum\n1,1,5\n1,2,2\n")
    assert found.missing == ["type"]
    assert set(open_parts(found)) == {"columns.type", "types.+", "types.-", "amounts"}
    assert found.parts.keys() == {"columns.client", "columns.tx", "columns.amount"}


def test_two_columns_of_amounts_take_the_place_of_a_type() -> None:
    text = "Konto;Beleg;Soll;Haben\n1;1;;5,00\n1;2;2,50;\n"
    assert parts_of(text) == {
        "delimiter": ";", "columns.client": "Konto", "columns.tx": "Beleg", "columns.credit": "Haben",
        "columns.debit": "Soll", "decimal": ",",
    }  # fmt: skip
    both = "Type,Client,Tx,Amount,Debit,Credit\ndeposit,1,1,5.5,,5.5\n"
    assert parts_of(both) == {}
    found = detect(b"Datum,Soll,Haben\n1,,5\n2,3,\n")
    assert found.missing == ["client", "tx"]


def test_a_word_of_deposits_that_are_mostly_below_zero_is_left_open() -> None:
    text = "type,client,tx,amount\npayment,1,1,-5\npayment,1,2,-5\npayment,1,3,5\nsale,1,4,5\npayout,1,5,-1\n"
    found = detect(text.encode())
    assert found.parts == {"types.sale": "deposit", "types.payout": "withdrawal"}
    assert open_parts(found)["types.payment"].startswith("3 rows, 2 below zero: deposit, ")
    assert found.remarks[-1].startswith("3 amounts below zero: such a deposit or withdrawal is rejected.")


@pytest.mark.parametrize("word", ["Payment", "charges", "claim", "Inquiry", "retrieval", "lost"])
def test_a_word_that_often_means_another_type_is_proposed_and_left_open(word: str) -> None:
    found = detect(f"type,client,tx,amount\n{word},1,1,5.5\nsale,1,2,5\n".encode())
    assert found.parts == {"types.sale": "deposit"}
    [setting] = [each for each in found.settings if each.is_open]
    assert (setting.name, setting.value) == (f"types.{word}", likely_type(word))
    assert setting.note.startswith("1 row, but it often means something else: deposit, ")


def test_signs_as_words_of_types_are_no_settings() -> None:
    # In [types], they stand for the signs of amounts: all rows would be deposits.
    found = detect(b"type,client,tx,amount\n+,1,1,2.5\n-,1,2,2.5\n")
    assert not found.settings
    assert found.remarks[0].startswith('No setting says what "+" in the column of types means (1 row): in [types] it')


def test_other_columns_that_are_as_likely_are_named() -> None:
    found = detect(b"Type,Customer,Order,Gross,Fee,Net\nSALE,1,1,10.5,1,9.5\n")
    assert {each.name: each.note for each in found.settings if each.name.startswith("columns.")} == {
        "columns.client": "", "columns.tx": "", "columns.amount": 'or is it "Net"?',
    }  # fmt: skip


def test_amounts_below_zero_of_credits_and_debits_are_remarked() -> None:
    found = detect(b"Account,Ref,Credit,Debit\n1,1,10.5,\n1,2,,-3\n")
    assert found.remarks == ["1 amount below zero in the columns of credits and debits: such a row is rejected."]


def test_a_column_of_too_many_words_is_remarked() -> None:
    rows = "".join(f"word{tx},1,{tx},5\n" for tx in range(65))
    found = detect(f"type,client,tx,amount\n{rows}".encode())
    assert found.remarks == ['The column "type" has 65 different words: it may be no column of types.']
    assert not any(name.startswith("types.") for name in found.parts)


def test_ids_that_are_texts_are_told() -> None:
    found = detect(b"type,client,tx,amount\ndeposit,cus_A,ch_1,5\n")
    assert found.parts == {"ids": "text"}
    assert [setting.note for setting in found.settings if setting.name == "ids"] == [
        'client ids are no whole numbers, such as "cus_A" in line 2; '
        'tx ids are no whole numbers, such as "ch_1" in line 2'
    ]


@pytest.mark.parametrize("text", ["18446744073709551616", "x", "9" * 41, "0b67c1a2-93"])
def test_an_id_that_is_no_number_is_a_text(text: str) -> None:
    assert detect(f"type,client,tx,amount\ndeposit,{text},1,5\n".encode()).parts == {"ids.client": "text"}
    assert detect(f"type,client,tx,amount\ndeposit,1,{text},5\n".encode()).parts == {"ids.tx": "text"}


@pytest.mark.parametrize("text", ["1.0", "-1", "1_000", "\u0661"])
def test_an_id_that_may_be_a_number_written_otherwise_is_left_open(text: str) -> None:
    found = detect(f"type,client,tx,amount\ndeposit,{text},1,5\n".encode())
    assert found.parts == {}
    assert "ids.client" in open_parts(found)


def test_a_few_ids_that_are_no_numbers_are_remarked() -> None:
    rows = "".join(f"deposit,1,{tx},5\n" for tx in range(40))
    found = detect(f"type,client,tx,amount\n{rows}deposit,x,+07,5\ndeposit,,1,5\ndeposit,N/A,1,5\n".encode())
    assert found.parts == {"null": "N/A"}
    assert '1 client id that are no numbers, such as "x" in line 42.' in found.remarks


STATUS = "type,client,tx,amount,Status\n"


@pytest.mark.parametrize(
    ("words", "kept", "is_open"),
    [
        (["Completed", "Completed", "Pending"], "Completed", False),
        (["settled", "PAID", "In Progress"], "settled,PAID", False),
        (["Completed", "Completed"], "Completed", True),
        (["Completed", "Held"], "Completed,Held", True),
        (["Pending", "Denied"], "Pending,Denied", True),
        (["Completed", "", "Pending"], "Completed,Pending", True),
    ],
)
def test_rows_are_kept_by_a_status_where_all_of_its_words_are_known(words: list[str], kept: str, is_open: bool) -> None:
    rows = "".join(f"deposit,1,{tx},5.5,{word}\n" for tx, word in enumerate(words))
    found = detect(f"{STATUS}{rows}".encode())
    [setting] = [each for each in found.settings if each.name == "keep.Status"]
    assert (setting.value, setting.is_open) == (kept, is_open)


def test_rows_without_a_status_are_told_to_be_left_out() -> None:
    found = detect(f"{STATUS}deposit,1,1,5.5,Completed\ndeposit,1,2,5.5,\ndeposit,1,3,5.5\n".encode())
    assert open_parts(found) == {"keep.Status": "leaves out 2 rows without a word"}


@pytest.mark.parametrize("word", ["", '"a,b"'])
def test_a_status_without_words_or_with_commas_says_nothing(word: str) -> None:
    assert parts_of(f"{STATUS}deposit,1,1,5.5,{word}\n") == {}


def test_several_currencies_are_accounts_of_their_own() -> None:
    text = "type,client,tx,amount,Currency\ndeposit,1,1,5.5,USD\ndeposit,1,2,5.5,EUR\n"
    assert parts_of(text) == {"columns.currency": "Currency"}
    assert parts_of(text.replace("EUR", "USD")) == {}
    without = detect(f"{text}deposit,1,3,5.5,\n".encode())
    assert list(open_parts(without)) == ["columns.currency"]
    assert list(open_parts(detect(text.replace("USD", "US Dollars old").encode()))) == ["columns.currency"]


def test_a_table_has_no_shape() -> None:
    rows = [(1, ["SALE", "7", "1", "5.00000"]), (2, ["FEE", "", "2", ""])]
    found = detect_table(["Kind", "User", "id", "gross"], rows)
    assert found.parts == {
        "columns.type": "Kind", "columns.client": "User", "columns.tx": "id", "columns.amount": "gross",
        "types.SALE": "deposit",
    }  # fmt: skip
    assert (found.rows, found.end) == (2, None)


# ---- No header -------------------------------------------------------------------------------------


def test_columns_without_a_header_are_in_the_usual_order_or_told_by_their_texts() -> None:
    assert parts_of("deposit,1,1,10.5\nwithdrawal,1,2,2\n") == {"delimiter": ",", "header": "no"}
    text = "2031-01-01;7;60,00;9001;deposit\n2031-01-02;7;20,50;9002;withdrawal\n"
    assert parts_of(text) == {
        "delimiter": ";", "header": "no", "columns.type": "5", "columns.client": "2", "columns.tx": "4",
        "columns.amount": "3", "decimal": ",",
    }  # fmt: skip
    notes = {each.name: each.note for each in detect(text.encode()).settings}
    assert notes["columns.client"] == 'told by its texts alone: "7"'
    assert notes["columns.tx"] == 'told by its texts alone: "9001", "9002"'
    usual = "Columns 1 to 4 are taken for type, client, tx and amount, in this order."
    assert usual in detect(b"deposit,1,1,10.5\n").remarks
    unclear = detect(b"5,6,1.5,SALE\n7,8,2.5,SALE\n")
    assert unclear.missing == ["client", "tx"]
    assert unclear.parts["columns.type"] == "4"
    assert detect(b"1,2,3\n4,5,6\n").missing == ["type", "client", "tx", "amount"]


def test_a_header_of_unknown_names_is_a_header_all_the_same() -> None:
    found = detect(b"aa,bb,cc\nx,1,2\ny,3,4\n")
    assert "header" not in found.parts
    assert found.missing == ["type", "client", "tx", "amount"]
    assert open_parts(found)["columns.tx"] == 'not told; not used yet: "aa", "bb", "cc"'
    assert open_parts(detect(b"Konto,Beleg,Betrag\n1,1,5.5\n"))["columns.type"] == "not told, and each column is used"


# ---- Shape -----------------------------------------------------------------------------------------

ROWS = "type,client,tx,amount\ndeposit,1,1,5.5\n"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (ROWS.replace(",", ";"), {"delimiter": ";"}),
        (ROWS.replace(",", "\t"), {"delimiter": "tab"}),
        (ROWS.replace(",", "~"), {"delimiter": "~"}),
        (ROWS.replace(",", "\x1f"), {"delimiter": "\x1f"}),
        ("\n \n" + ROWS, {}),
        ("\ufeff" + ROWS, {}),
        (ROWS.replace("\n", "\r"), {}),
        ('Account:,"1"\n\n' + ROWS, {"skip": "2"}),
        ('"Total:","8.00\n' + ROWS, {"skip": "1"}),
        ("# made\n" + ROWS, {"comment": "#"}),
        (ROWS + "// end\n", {"comment": "//"}),
        ("head\n# made\n" + ROWS, {"skip": "2", "comment": "#"}),
        ("; made\n" + ROWS, {"comment": ";"}),
        (ROWS + "#1,1,2,5\n", {}),  # a row of a strange type
        ("'type','client','tx','amount'\n'deposit','1','1','5.5'\n", {"quote": "'"}),
        ("type,client,tx,amount\n`deposit`,`1`,1,5.5\n", {"quote": "`"}),
        ('type|client|tx|amount|n\ndeposit|1|1|5.5|"x\n', {"delimiter": "|", "quote": "none"}),
        ('type,client,tx,amount,n\n"deposit",1,1,5.5,"x"\ndeposit,1,2,5.5,"y\n', {}),
        ('"type, of",type,client,tx,amount\n"a\nb",deposit,1,1,5.5\n', {}),
    ],
)  # fmt: skip
def test_the_shape_of_a_text_is_found(text: str, parts: dict[str, str]) -> None:
    assert parts_of(text) == parts


def test_rows_that_do_not_fit_are_remarked() -> None:
    found = detect(b'type,client,tx,amount\ndeposit,1,1,5.5\ndeposit,1,2,"5\ndeposit,1,3,5,x\n"deposit",1,4,5,\n')
    assert "1 row badly quoted, first in line 3." in found.remarks
    assert "1 row with more fields than the header, first in line 4." in found.remarks


def test_a_row_is_cut_as_the_reader_cuts_it() -> None:
    lines = ['a, "b ""c"" " ,d"e', '"x', 'y",z', '"bad" x', '"open']
    assert row_at(lines, 0, ",", '"') == (0, ["a", 'b ""c""', 'd"e'], 1)
    assert row_at(lines, 1, ",", '"') == (1, ["x\ny", "z"], 3)
    assert row_at(lines, 3, ",", '"') == (3, None, 4)
    assert row_at(lines, 4, ",", '"') == (4, None, 5)
    assert row_at(['"a",'], 0, ",", '"') == (0, ["a", ""], 1)
    assert row_at(["a\t b"], 0, "\t", '"') == (0, ["a", "b"], 1)


def test_the_last_rows_of_a_text_that_goes_on_do_not_count() -> None:
    shape = shape_of(ROWS + "deposit,1,2", is_whole=False)
    assert shape is not None
    assert len(shape.rows) == 1
    shape = shape_of(ROWS * 3 + 'deposit,1,2,"5\nx\ny', is_whole=False)
    assert shape is not None
    assert shape.rows[-1][0] == 5
    found = detect((ROWS + "deposit,1,2,5").encode(), is_whole=False)
    assert (found.rows, found.end) == (1, 2)
    assert detect(b"type,client,tx,amount\ndep", is_whole=False).end == 0
    early = ROWS + 'deposit,1,2,"5\n' + "deposit,1,3,5.5\n" * SPANNED_LINES_MAX + "deposit"
    assert detect(early.encode(), is_whole=False).rows == SPANNED_LINES_MAX + 2


def test_lines_end_in_three_ways() -> None:
    assert lines_of("a\r\nb\rc\n\nd") == ["a", "b", "c", "", "d"]
    assert lines_of("a\n") == ["a"]
    assert lines_of("") == []


# ---- Encodings -------------------------------------------------------------------------------------


def test_an_encoding_is_named_where_a_text_is_not_utf_8() -> None:
    text = "Vorgang;client;tx;amount\nÜbertrag;1;1;5,5\n"
    assert parts_of(text)["columns.type"] == "Vorgang"
    assert "encoding" not in parts_of(text)
    assert parts_of(text.encode("latin-1"))["encoding"] == "cp1252"
    assert parts_of((text + "\x9d\n").encode("latin-1"))["encoding"] == "latin-1"


def test_a_letter_that_is_cut_at_the_end_is_no_other_encoding() -> None:
    assert decoded("aü".encode()[:-1], is_whole=False) == ("a", "")
    assert decoded("aü".encode()[:-1], is_whole=True) == ("aÃ", "cp1252")


# ---- What people read ------------------------------------------------------------------------------


def test_texts_of_a_file_are_quoted_and_cut() -> None:
    assert shown_text('say "x"\r\ny') == "'say \"x\"  y'"
    assert shown_text("x" * 61) == '"' + "x" * 60 + '…"'
    assert listed([str(number) for number in range(14)]).endswith('"11" and 2 others')


# ---- Any file --------------------------------------------------------------------------------------


def is_told_by_header(written: Written) -> bool:
    """Whether the header names all columns by names that the tables have."""
    dialect = ReferenceDialect.of(written.settings)
    names = {role: written.settings.get(f"columns.{role}", role) for role in ("client", "tx")}
    return dialect.has_header and all(plain(name) in RANKS[role] for role, name in names.items())


@given(written_files(spoilt=False))
def test_the_delimiter_and_encoding_of_a_written_file_are_found(written: Written) -> None:
    settings = written.settings
    if written.content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return  # UTF-16, which is a layer of the input
    found = detect(written.content)
    has_odd_lines = "quote" in settings or "comment" in settings or settings.get("skip", "0") != "0"
    if "delimiter" in settings and is_told_by_header(written) and not has_odd_lines:
        assert found.parts.get("delimiter", ",") == settings["delimiter"]
    if settings.get("encoding") in ("latin-1", "cp1252") and not written.content.isascii():
        assert found.parts.get("encoding") in (None, "latin-1", "cp1252")
    else:
        assert "encoding" not in found.parts


amounts = st.tuples(st.integers(1, 10**9), st.integers(0, 99)).map(lambda pair: f"{pair[0]:,}.{pair[1]:02}")


@given(
    st.lists(amounts, min_size=1),
    st.sampled_from([(".", ""), (",", ""), (".", ","), (",", "."), (",", " "), (".", "'")]),
)
def test_the_marks_of_written_amounts_are_found(texts: list[str], pair: tuple[str, str]) -> None:
    decimal, thousands = pair
    written = [text.translate({ord(","): thousands, ord("."): decimal}) for text in texts]
    found = marks(*written)
    assert found.decimal == decimal
    assert not found.unread
    assert not found.choices
    if any("," in text for text in texts):
        assert found.thousands == (thousands or None)


@given(st.one_of(st.binary(max_size=200), st.text(",;\t|\"'\n\r#x1. -", max_size=200).map(str.encode)), st.booleans())
def test_any_bytes_have_findings(content: bytes, is_whole: bool) -> None:
    found = detect(content, is_whole=is_whole)
    for part, value in found.parts.items():
        assert part
        assert value
    if not found.missing:
        assert isinstance(found.dialect(), Dialect)
