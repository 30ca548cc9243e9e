"""Warnings about rows that may mean something else than the policy takes them for."""

from __future__ import annotations

from tests.support.command import Folder

HEADER = b"type,client,tx,amount\n"
IGNORED = (
    "warn: {} with another amount than is left of the payment: the amount was ignored, and all that is left is in "
    "dispute; for disputes of a part, set the policy dispute-amount=partial"
)
MISSING = (
    "warn: {} rejected, because no chargeback was found: a chargeback must be applied, in this run or in the state, "
    "before the row that reverses it"
)


def warnings(folder: Folder, rows: bytes, *arguments: str) -> list[str]:
    folder.write("rows.csv", HEADER + rows)
    return [line for line in folder.run(*arguments, "rows.csv").error_lines if line.startswith("warn: ")]


def test_a_dispute_whose_amount_is_ignored_is_warned_of_once_a_run(folder: Folder) -> None:
    rows = b"deposit,1,1,5\ndeposit,1,2,5\ndispute,1,1,2\n"
    assert warnings(folder, rows) == [IGNORED.format("1 dispute")]
    assert warnings(folder, rows + b"dispute,1,2,7\n") == [IGNORED.format("2 disputes")]


def test_an_amount_that_is_the_payments_or_that_counts_is_not_warned_of(folder: Folder) -> None:
    assert warnings(folder, b"deposit,1,1,5\ndispute,1,1,5.00\n") == []
    assert warnings(folder, b"deposit,1,1,5\ndispute,1,1,\n") == []
    assert warnings(folder, b"deposit,1,1,5\ndispute,1,9,2\n") == []  # rejected
    assert warnings(folder, b"deposit,1,1,5\ndispute,1,1,2\n", "--policy", "dispute-amount=partial") == []


def test_a_reversal_without_a_chargeback_is_warned_of(folder: Folder) -> None:
    assert warnings(folder, b"deposit,1,1,5\nreversal,1,1,\n") == [MISSING.format("1 reversal")]
    assert warnings(folder, b"reversal,1,1,\nreversal,2,1,\n") == [MISSING.format("2 reversals")]
    assert warnings(folder, b"deposit,1,1,5\ndispute,1,1,\nchargeback,1,1,\nreversal,1,1,\nreversal,1,1,\n") == []


def test_quiet_shows_no_such_warning(folder: Folder) -> None:
    assert warnings(folder, b"reversal,1,1,\n", "-q") == []
