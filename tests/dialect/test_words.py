"""Words of the type column, words that are ignored, words that mean an empty field."""

from __future__ import annotations

import pytest

from tests.support.dialect_replays import assert_rows, run

HEADER = "type,client,tx,amount\n"


def assert_words(settings: dict[str, str], table: list[tuple[str, str]]) -> None:
    """Each text in the type column is this: a kind, `ignored` or a malformed reason. Other fields are fine."""
    rows = [f"{text},{client},1,5\n" for client, (text, _) in enumerate(table)]
    expected = [
        f"{client + 2} {meaning}" + ("" if "_" in meaning or meaning == "ignored" else f" {client} 1 50000")
        for client, (_, meaning) in enumerate(table)
    ]
    assert_rows((HEADER + "".join(rows)).encode(), settings, expected)


# ---- Type words ----------------------------------------------------------------------------------


def test_words_are_added_to_the_seven() -> None:
    settings = {"types.SALE": "deposit", "types.Payout": "withdrawal", "types.won": "reversal"}
    table = [
        *(("SALE", "deposit"), ("Payout", "withdrawal"), ("won", "reversal"), ("deposit", "deposit")),
        *(("withdraw", "withdrawal"), ("CHARGEBACK", "chargeback"), ("Refund", "refund")),
        *(("SALES", "bad_type"), ("SAL", "bad_type"), ("pay out", "bad_type"), ("", "missing_field")),
    ]
    assert_words(settings, table)


def test_a_word_counts_in_any_case_of_the_letters_a_to_z() -> None:
    settings = {"types.Pay-In": "deposit", "types.Lastschrift Ü": "withdrawal"}
    table = [
        *(("pay-in", "deposit"), ("PAY-IN", "deposit"), ("pAY-iN", "deposit"), ("pay_in", "bad_type")),
        *(("LASTSCHRIFT Ü", "withdrawal"), ("lastschrift ü", "bad_type"), ("Lastschrift Ue", "bad_type")),
    ]
    assert_words(settings, table)


def test_a_word_in_exact_case_wins() -> None:
    settings = {"types.P": "deposit", "types.p": "withdrawal", "types.Pp": "deposit", "types.pP": "withdrawal"}
    table = [
        *(("P", "deposit"), ("p", "withdrawal"), ("Pp", "deposit"), ("pP", "withdrawal")),
        *(("PP", "bad_type"), ("pp", "bad_type")),  # both fit, and differ
    ]
    assert_words(settings, table)


def test_words_that_fit_in_other_case_and_mean_the_same_are_one() -> None:
    assert_words({"types.Aa": "deposit", "types.aA": "deposit"}, [("AA", "deposit"), ("aa", "deposit")])


def test_a_word_of_the_seven_may_mean_something_else() -> None:
    settings = {"types.refund": "withdrawal", "types.withdraw": "ignore"}
    table = [
        *(("refund", "withdrawal"), ("REFUND", "withdrawal"), ("withdraw", "ignored"), ("Withdraw", "ignored")),
        *(("withdrawal", "withdrawal"), ("reversal", "reversal"), ("deposit", "deposit")),
    ]
    assert_words(settings, table)


def test_a_word_may_swap_with_another() -> None:
    settings = {"types.deposit": "withdrawal", "types.withdrawal": "deposit"}
    assert_words(settings, [("deposit", "withdrawal"), ("Withdrawal", "deposit"), ("withdraw", "withdrawal")])


@pytest.mark.parametrize(
    "word",
    [
        "a b",
        "Zahlung (neu)",
        "ü",
        "支払い",
        "1",
        "-5",
        "a.b",
        "a=b",
        "it's",
        'say "x"',
        "x" * 40,
        "x" * 200,
        "\\N",
        "#",
    ],
)
def test_a_word_is_any_text(word: str) -> None:
    table = [(word, "deposit"), (f" {word}\t", "deposit"), (f"{word}x", "bad_type"), (f"x{word}", "bad_type")]
    assert_words({f"types.{word}": "deposit"}, [*table, (word[:-1] + "é", "bad_type")])


def test_a_word_may_hold_the_delimiter_or_a_line_ending() -> None:
    content = b'type,client,tx,amount\n"in, new",1,1,5\n"in,\nold",2,2,5\nin,3,3,5\n'
    settings = {"types.in, new": "deposit", "types.in,\nold": "deposit"}
    assert_rows(content, settings, ["2 deposit 1 1 50000", "3 deposit 2 2 50000", "5 bad_type"])


def test_a_word_is_compared_trimmed_and_unquoted_with_doubled_quotes_as_they_are() -> None:
    settings = {'types.a ""b""': "deposit", "types.plain": "withdrawal"}
    table = [('"a ""b"""', "deposit"), ('" a ""b"" "', "deposit"), ('a ""b""', "deposit"), ('"plain"', "withdrawal")]
    assert_words(settings, [*table, ('a "b"', "bad_type")])


def test_many_words_are_kept_apart() -> None:
    kinds = ["deposit", "withdrawal", "dispute", "resolve", "chargeback", "refund", "reversal", "ignore"]
    words = {f"word{number}": kinds[number % 8] for number in range(60)}
    table = [(word, "ignored" if kind == "ignore" else kind) for word, kind in words.items()]
    assert_words({f"types.{word}": kind for word, kind in words.items()}, [*table, ("word60", "bad_type")])


# ---- Words to ignore -----------------------------------------------------------------------------


def test_ignored_words_are_no_rows_whatever_else_they_hold() -> None:
    content = (
        b"type,client,tx,amount\n"
        b"payout,1,1,5\n"
        b"Payout,x,y,z\n"
        b" PAYOUT ,,,,too,many\n"
        b"payout\n"
        b'"payout",1,1,"\n5\n"\n'
        b'payout,"1"x,1,1\n'
        b"payouts,1,1,5\n"
        b"deposit,1,1,5\n"
    )
    expected = [
        *("2 ignored", "3 ignored", "4 ignored", "5 ignored", "6 ignored", "9 bad_quoting", "10 bad_type"),
        "11 deposit 1 1 50000",
    ]
    assert_rows(content, {"types.payout": "ignore"}, expected)


def test_ignored_rows_are_counted_apart_and_open_no_accounts() -> None:
    outcome = run([HEADER.encode() + b"fee,7,1,5\nfee,7,2,5\ndeposit,1,1,5\n"], {"types.fee": "ignore"})
    assert (outcome.rows, outcome.ignored) == (1, 2)
    assert [client for client, *_ in outcome.accounts] == [1]
    assert outcome.rejects == []


def test_a_file_of_ignored_rows_has_no_accounts() -> None:
    outcome = run([HEADER.encode() + b"fee,7,1,5\n"], {"types.fee": "ignore"})
    assert (outcome.accounts, outcome.rows, outcome.ignored) == ([], 0, 1)


# ---- Words that mean an empty field --------------------------------------------------------------


def test_null_words_are_empty_fields() -> None:
    content = (
        b"type,client,tx,amount\n"
        b"dispute,1,1,NULL\n"
        b'dispute,1,1," n/a "\n'
        b"NULL,1,1,1\n"
        b"deposit,NULL,1,1\n"
        b"deposit,1,n/a,1\n"
        b"deposit,1,1,\n"
        b"deposit,1,1,null\n"
        b"deposit,1,1,NULL5\n"
        b"deposit,1,1,NULLNULL\n"
        b"deposit,1,1,n\n"
    )
    expected = [
        *("2 dispute 1 1", "3 dispute 1 1", "4 missing_field", "5 bad_client", "6 bad_tx", "7 deposit 1 1"),
        *("8 bad_amount", "9 bad_amount", "10 bad_amount", "11 bad_amount"),
    ]
    assert_rows(content, {"null": "NULL,n/a"}, expected)


def test_null_words_may_look_like_numbers() -> None:
    content = (
        b"type,client,tx,amount\ndeposit,1,1,0\ndeposit,1,2,-\ndeposit,1,3,00\ndeposit,1,4,0.0\ndeposit,1,5,+0\n"
        b"deposit,0,6,1\ndeposit,00,7,1\ndeposit,1,0,1\n-,1,8,1\ndeposit,1,9,-1\n"
    )
    expected = [
        *("2 deposit 1 1", "3 deposit 1 2", "4 deposit 1 3 0", "5 deposit 1 4 0", "6 deposit 1 5 0", "7 bad_client"),
        *("8 deposit 0 7 10000", "9 bad_tx", "10 missing_field", "11 deposit 1 9 -10000"),
    ]
    assert_rows(content, {"null": "0,-"}, expected)


def test_null_words_may_look_like_type_words() -> None:
    content = b"type,client,tx,amount\ndeposit,1,1,deposit\nDeposit,1,2,1\nfee,1,3,1\nFee,1,4,1\n"
    settings = {"null": "deposit,fee", "types.fee": "ignore"}
    assert_rows(content, settings, ["2 missing_field", "3 deposit 1 2 10000", "4 missing_field", "5 ignored"])


def test_null_words_mean_nothing_in_other_columns() -> None:
    content = (
        b"type,client,tx,amount,state\ndeposit,1,1,1,NULL\ndeposit,1,2,1,done\ndeposit,1,3,1,\ndeposit,1,4,1,,NULL\n"
    )
    expected = ["2 deposit 1 1 10000", "3 ignored", "4 ignored", "5 ignored"]
    assert_rows(content, {"null": "NULL", "keep.state": "NULL"}, expected)
    expected = ["2 deposit 1 1 10000", "3 deposit 1 2 10000", "4 deposit 1 3 10000", "5 too_many_fields"]
    assert_rows(content, {"null": "NULL"}, expected)


@pytest.mark.parametrize("word", ["\\N", "(null)", "n. v.", "ohne Ü", "#N/A", "x" * 70, 'a""b', "1.0", "--"])
def test_a_null_word_is_any_text(word: str) -> None:
    rows = [f'deposit,1,1,"{word}"', f"deposit,1,2, {word}\t", f"deposit,1,3,{word}x", f"deposit,1,4,{word[:-1]}§"]
    content = (HEADER + "\n".join(rows)).encode()
    assert_rows(content, {"null": word}, ["2 deposit 1 1", "3 deposit 1 2", "4 bad_amount", "5 bad_amount"])


def test_blanks_around_the_words_of_a_list_do_not_count() -> None:
    content = b"type,client,tx,amount,state\ndispute,1,1,-,a b\ndispute,1,1,n. v.,done\ndispute,1,1,-,a\n"
    settings = {"null": " - , n. v.", "keep.state": "done , a b"}
    assert_rows(content, settings, ["2 dispute 1 1", "3 dispute 1 1", "4 ignored"])
