"""Files as issuers, acquirers and banks make them: right under the policy that fits, and told of under the default."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.command import Folder


class Case(NamedTuple):
    """A file of client 1, the policy that fits it, the account under that, and what the default says of it."""

    rows: str
    policy: str
    account: str
    by_default: str
    said: str


CASES = {
    "a resolved dispute is opened again and lost": Case(
        "deposit,1,1,100.00 dispute,1,1, resolve,1,1, dispute,1,1, chargeback,1,1,",
        "redispute=after-resolve",
        "1,0.0000,0.0000,0.0000,true",
        "1,100.0000,0.0000,100.0000,false",
        "duplicate_dispute",
    ),
    "a returned direct debit comes as a chargeback without a dispute": Case(
        "deposit,1,1,100.00 deposit,1,2,40.00 chargeback,1,1,",
        "direct-chargeback=allow",
        "1,40.0000,0.0000,40.0000,true",
        "1,140.0000,0.0000,140.0000,false",
        "dispute_not_found",
    ),
    "money arrives in a locked account": Case(
        "deposit,1,1,100.00 deposit,1,2,50.00 dispute,1,1, chargeback,1,1, deposit,1,3,25.00 withdrawal,1,4,30.00",
        "locked=deposits",
        "1,75.0000,0.0000,75.0000,true",
        "1,50.0000,0.0000,50.0000,true",
        "account_locked",
    ),
    "a part of a payment is disputed": Case(
        "deposit,1,1,100.00 dispute,1,1,30.00",
        "dispute-amount=partial",
        "1,70.0000,30.0000,100.0000,false",
        "1,0.0000,100.0000,100.0000,false",
        "warn: 1 dispute with another amount than is left of the payment",
    ),
    "a client disputes a withdrawal that he did not make": Case(
        "deposit,1,1,100.00 withdrawal,1,2,40.00 dispute,1,2,",
        "withdrawal-dispute=hold",
        "1,60.0000,40.0000,100.0000,false",
        "1,60.0000,0.0000,60.0000,false",
        "transaction_not_found",
    ),
    "a bank has let an account go below zero": Case(
        "deposit,1,1,100.00 withdrawal,1,2,443.58 deposit,1,3,300.00",
        "overdraft=withdrawals",
        "1,-43.5800,0.0000,-43.5800,false",
        "1,400.0000,0.0000,400.0000,false",
        "insufficient_funds",
    ),
    "a dispute is above the payment, since exchange rates moved": Case(
        "deposit,1,1,100.00 dispute,1,1,104.20 chargeback,1,1,",
        "card",
        "1,100.0000,0.0000,100.0000,false",
        "1,0.0000,0.0000,0.0000,true",
        "warn: 1 dispute with another amount than is left of the payment",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_file_is_right_under_its_policy_and_the_default_says_what_it_does(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    folder = Folder(tmp_path)
    folder.write("in.csv", "\n".join(["type,client,tx,amount", *case.rows.split()]).encode() + b"\n")
    fitting = folder.run("--policy", case.policy, "in.csv", "warn")
    assert (fitting.exit_code, fitting.output.decode().splitlines()[1]) == (0, case.account)
    default = folder.run("in.csv", "warn")
    assert (default.exit_code, default.output.decode().splitlines()[1]) == (0, case.by_default)
    assert case.said in default.errors


@pytest.mark.parametrize(
    ("rows", "account"),
    [
        ("deposit,1,1,100.00 refund,1,1,30.00 deposit,1,2,20.00 refund,1,2,20.00", "1,70.0000,0.0000,70.0000,false"),
        (
            "deposit,1,1,100.00 dispute,1,1, chargeback,1,1, reversal,1,1, withdrawal,1,2,40.00",
            "1,60.0000,0.0000,60.0000,false",
        ),
        ("Deposit,1,1,100.00 WITHDRAW,1,2,40.00 Reversal,1,1,", "1,60.0000,0.0000,60.0000,false"),
    ],
)
def test_refunds_and_reversals_need_no_policy(rows: str, account: str, tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write("in.csv", "\n".join(["type,client,tx,amount", *rows.split()]).encode() + b"\n")
    run = folder.run("in.csv")
    assert (run.exit_code, run.output.decode().splitlines()[1]) == (0, account)
