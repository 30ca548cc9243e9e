"""Each switch of a policy, each reason and their order, and the lives of payments. Expected values are worked out by
hand from the rules. The reference and the kernel must both give them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

import pytest
from hypothesis import given

from tests.support import strategies
from tests.support.policy_engines import ENGINES, Balances, Engine
from tests.support.rows import Row

pytestmark = pytest.mark.unmeasured

# The largest amount, the lowest balance, and amounts near them.
MOST = "922337203685477.5807"
LEAST = "-922337203685477.5808"
MOST_LESS_5 = "922337203685472.5807"
MOST_LESS_10 = "922337203685467.5807"
MOST_LESS_20 = "922337203685457.5807"


class Case(NamedTuple):
    """A row after other rows, which all apply, each `type,client,tx,amount`. Below: what becomes of it, and what client
    1 has afterwards: `available held`, with `locked` behind it, or `none` for no account."""

    policy: str
    before: str
    row: str
    status: str
    after: str


def balances_of(text: str) -> Balances | None:
    if text == "none":
        return None
    available, held, *locked = text.split()
    return Balances(Decimal(available), Decimal(held), locked == ["locked"])


def name_of(case: Case) -> str:
    return f"{case.policy} | {case.before} | {case.row}"


def table(*cases: tuple[str, str, str, str, str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return pytest.mark.parametrize("case", [Case(*case) for case in cases], ids=lambda case: name_of(case))


each_engine = pytest.mark.parametrize("engine", ENGINES)


def check(engine: Callable[[str], Engine], case: Case) -> None:
    ledger = engine(case.policy)
    for row in case.before.split():
        assert ledger.apply(row) == "applied", row
    assert ledger.apply(case.row) == case.status
    assert ledger.account(1) == balances_of(case.after)


# ---- The new rows, by default ----------------------------------------------------------------------

CHARGED_BACK = "deposit,1,1,100 deposit,1,2,50 dispute,1,1 chargeback,1,1"


@each_engine
@table(
    ("", "deposit,1,1,100", "refund,1,1,30", "applied", "70 0"),
    ("", "deposit,1,1,100", "refund,1,1,100", "applied", "0 0"),
    ("", "deposit,1,1,100", "refund,1,1,100.0001", "amount_too_large", "100 0"),
    ("", "deposit,1,1,100 refund,1,1,30", "refund,1,1,70", "applied", "0 0"),
    ("", "deposit,1,1,100 refund,1,1,30", "refund,1,1,70.0001", "amount_too_large", "70 0"),
    # Of the deposit that it names, though there is more available.
    ("", "deposit,1,1,100 deposit,1,2,20", "refund,1,2,20.0001", "amount_too_large", "120 0"),
    # A refund of zero is legal, also of nothing.
    ("", "deposit,1,1,100", "refund,1,1,0", "applied", "100 0"),
    ("", "deposit,1,1,100 refund,1,1,100", "refund,1,1,-0", "applied", "0 0"),
    ("zero-amount=reject", "deposit,1,1,100", "refund,1,1,0", "applied", "100 0"),
    # What is in dispute cannot be refunded; the rest can.
    ("", "deposit,1,1,100 deposit,1,2,50 dispute,1,1", "refund,1,1,0.0001", "amount_too_large", "50 100"),
    ("", "deposit,1,1,100 deposit,1,2,50 dispute,1,1", "refund,1,1,0", "applied", "50 100"),
    ("dispute-amount=partial", "deposit,1,1,100 dispute,1,1,40", "refund,1,1,60", "applied", "0 40"),
    ("dispute-amount=partial", "deposit,1,1,100 dispute,1,1,40", "refund,1,1,60.0001", "amount_too_large", "60 40"),
    # After the dispute, all of it can be refunded again.
    ("", "deposit,1,1,100 dispute,1,1 resolve,1,1", "refund,1,1,100", "applied", "0 0"),
    ("", "deposit,1,1,100 dispute,1,1 chargeback,1,1 reversal,1,1", "refund,1,1,100", "applied", "0 0"),
    # A refund needs an applied deposit of this client, and uses up no id.
    ("", "deposit,1,1,100 withdrawal,1,2,40", "refund,1,2,10", "transaction_not_found", "60 0"),
    ("withdrawal-dispute=hold", "deposit,1,1,100 withdrawal,1,2,40", "refund,1,2,10", "transaction_not_found", "60 0"),
    ("", "deposit,2,1,100 deposit,1,2,5", "refund,1,1,10", "transaction_not_found", "5 0"),
    ("", "deposit,1,1,100 refund,1,1,30", "deposit,1,1,30", "duplicate_transaction", "70 0"),
    # Refunded money is no longer there to be disputed.
    ("", "deposit,1,1,100 refund,1,1,30", "dispute,1,1", "applied", "0 70"),
    ("", "deposit,1,1,100 refund,1,1,100", "dispute,1,1", "applied", "0 0"),
    ("", "deposit,1,1,100 refund,1,1,30 dispute,1,1", "chargeback,1,1", "applied", "0 0 locked"),
    ("", "deposit,1,1,100 refund,1,1,30 dispute,1,1 chargeback,1,1", "reversal,1,1", "applied", "70 0"),
)
def test_a_refund_takes_from_its_deposit(engine: Callable[[str], Engine], case: Case) -> None:
    check(engine, case)


@each_engine
@table(
    ("", CHARGED_BACK, "reversal,1,1", "applied", "150 0"),
    # The amount on a reversal does not count.
    ("", CHARGED_BACK, "reversal,1,1,-7", "applied", "150 0"),
    ("", f"{CHARGED_BACK} reversal,1,1", "reversal,1,1", "duplicate_reversal", "150 0"),
    ("", f"{CHARGED_BACK} reversal,1,1", "withdrawal,1,3,150", "applied", "0 0"),
    ("", f"{CHARGED_BACK} reversal,1,1", "dispute,1,1", "duplicate_dispute", "150 0"),
    ("", f"{CHARGED_BACK} reversal,1,1", "resolve,1,1", "dispute_not_in_progress", "150 0"),
    ("", f"{CHARGED_BACK} reversal,1,1", "chargeback,1,1", "dispute_not_in_progress", "150 0"),
    # There is nothing to reverse.
    ("", "", "reversal,1,1", "chargeback_not_found", "0 0"),
    ("", "deposit,1,1,100", "reversal,1,1", "chargeback_not_found", "100 0"),
    ("", "deposit,1,1,100 dispute,1,1", "reversal,1,1", "chargeback_not_found", "0 100"),
    ("", "deposit,1,1,100 dispute,1,1 resolve,1,1", "reversal,1,1", "chargeback_not_found", "100 0"),
    ("", "deposit,1,1,100 withdrawal,1,2,40", "reversal,1,2", "chargeback_not_found", "60 0"),
    ("", CHARGED_BACK, "reversal,1,2", "chargeback_not_found", "50 0 locked"),
    ("", "deposit,2,1,100 dispute,2,1 chargeback,2,1", "reversal,1,1", "chargeback_not_found", "0 0"),
    # A second chargeback keeps the account locked.
    ("locked=disputes", f"{CHARGED_BACK} dispute,1,2 chargeback,1,2", "reversal,1,1", "applied", "100 0 locked"),
    ("locked=disputes", f"{CHARGED_BACK} dispute,1,2 chargeback,1,2 reversal,1,1", "reversal,1,2", "applied", "150 0"),
    # An open dispute does not.
    ("", "deposit,1,1,100 deposit,1,2,50 dispute,1,2 dispute,1,1 chargeback,1,1", "reversal,1,1", "applied", "100 50"),
    # A payment that is charged back again can be reversed again; one that is disputed again cannot.
    (
        "redispute=after-resolve", f"{CHARGED_BACK} reversal,1,1 dispute,1,1 chargeback,1,1",
        "reversal,1,1", "applied", "150 0",
    ),
    (
        "redispute=after-resolve", f"{CHARGED_BACK} reversal,1,1 dispute,1,1",
        "reversal,1,1", "duplicate_reversal", "50 100",
    ),
    (
        "redispute=after-resolve", f"{CHARGED_BACK} reversal,1,1 dispute,1,1 resolve,1,1",
        "reversal,1,1", "duplicate_reversal", "150 0",
    ),
)  # fmt: skip
def test_a_reversal_returns_what_was_charged_back(engine: Callable[[str], Engine], case: Case) -> None:
    check(engine, case)


# ---- Words -----------------------------------------------------------------------------------------


@each_engine
@table(
    ("", "DEPOSIT,1,1,100", "withdraw,1,2,30", "applied", "70 0"),
    ("", "Deposit,1,1,100", "WithDraw,1,2,30", "applied", "70 0"),
    ("", "dePosit,1,1,100", "WITHDRAWAL,1,2,30", "applied", "70 0"),
    ("", "deposiT,1,1,100", "Dispute,1,1", "applied", "0 100"),
    ("", "deposit,1,1,100 DISPUTE,1,1", "Resolve,1,1", "applied", "100 0"),
    ("", "deposit,1,1,100 dispute,1,1", "ChargeBack,1,1", "applied", "0 0 locked"),
    ("", "deposit,1,1,100 dispute,1,1 CHARGEBACK,1,1", "Reversal,1,1", "applied", "100 0"),
    ("", "deposit,1,1,100", "Refund,1,1,30", "applied", "70 0"),
    ("", "deposit,1,1,100", "REFUND,1,1,30", "applied", "70 0"),
    # `withdraw` is a withdrawal in every way.
    ("", "deposit,1,1,100 withdraw,1,2,30", "withdrawal,1,2,30", "duplicate_transaction", "70 0"),
    ("", "deposit,1,1,100", "withdrawa,1,2,30", "bad_type", "100 0"),
    ("", "deposit,1,1,100", "withdraws,1,2,30", "bad_type", "100 0"),
    ("", "deposit,1,1,100", "reverse,1,1", "bad_type", "100 0"),
    ("", "deposit,1,1,100", "refunds,1,1,1", "bad_type", "100 0"),
    ("", "deposit,1,1,100", "depos\u0131t,1,2,1", "bad_type", "100 0"),  # a dotless i
    ("", "deposit,1,1,100 dispute,1,1", "chargebac\u212a,1,1", "bad_type", "0 100"),  # the Kelvin sign
)
def test_words_of_types_count_in_any_case(engine: Callable[[str], Engine], case: Case) -> None:
    check(engine, case)


# ---- The switches ----------------------------------------------------------------------------------

RESOLVED = "deposit,1,1,100 dispute,1,1 resolve,1,1"
REVERSED = "deposit,1,1,100 dispute,1,1 chargeback,1,1 reversal,1,1"


@each_engine
@table(
    ("redispute=never", RESOLVED, "dispute,1,1", "duplicate_dispute", "100 0"),
    ("redispute=never", REVERSED, "dispute,1,1", "duplicate_dispute", "100 0"),
    ("redispute=after-resolve", RESOLVED, "dispute,1,1", "applied", "0 100"),
    ("redispute=after-resolve", REVERSED, "dispute,1,1", "applied", "0 100"),
    ("redispute=after-resolve", f"{RESOLVED} dispute,1,1", "resolve,1,1", "applied", "100 0"),
    ("redispute=after-resolve", f"{RESOLVED} dispute,1,1", "chargeback,1,1", "applied", "0 0 locked"),
    ("redispute=after-resolve", f"{RESOLVED} dispute,1,1 resolve,1,1", "dispute,1,1", "applied", "0 100"),
    ("redispute=after-resolve", "deposit,1,1,100 dispute,1,1", "dispute,1,1", "duplicate_dispute", "0 100"),
    ("redispute=after-resolve", RESOLVED, "resolve,1,1", "dispute_not_in_progress", "100 0"),
    ("redispute=after-resolve", RESOLVED, "chargeback,1,1", "dispute_not_in_progress", "100 0"),
    (
        "redispute=after-resolve,locked=disputes", "deposit,1,1,100 dispute,1,1 chargeback,1,1",
        "dispute,1,1", "duplicate_dispute", "0 0 locked",
    ),
    # A second dispute moves what is left then.
    ("redispute=after-resolve", f"{RESOLVED} refund,1,1,30", "dispute,1,1", "applied", "0 70"),
)  # fmt: skip
def test_redispute(engine: Callable[[str], Engine], case: Case) -> None:
    check(engine, case)


# Locked, with 50 available by deposit 2 and 30 of deposit 3 in dispute.
LOCKED = "deposit,1,1,100 deposit,1,2,50 deposit,1,3,30 dispute,1,1 dispute,1,3 chargeback,1,1"


@each_engine
@table(
    ("locked=closed", LOCKED, "deposit,1,4,5", "account_locked", "50 30 locked"),
    ("locked=closed", LOCKED, "withdrawal,1,4,5", "account_locked", "50 30 locked"),
    ("locked=closed", LOCKED, "dispute,1,2", "account_locked", "50 30 locked"),
    ("locked=closed", LOCKED, "resolve,1,3", "account_locked", "50 30 locked"),
    ("locked=closed", LOCKED, "chargeback,1,3", "account_locked", "50 30 locked"),
    ("locked=closed", LOCKED, "refund,1,2,5", "account_locked", "50 30 locked"),
    ("locked=closed", LOCKED, "reversal,1,1", "applied", "150 30"),
    ("locked=deposits", LOCKED, "deposit,1,4,5", "applied", "55 30 locked"),
    ("locked=deposits", LOCKED, "withdrawal,1,4,5", "account_locked", "50 30 locked"),
    ("locked=deposits", LOCKED, "dispute,1,2", "account_locked", "50 30 locked"),
    ("locked=deposits", LOCKED, "resolve,1,3", "account_locked", "50 30 locked"),
    ("locked=deposits", LOCKED, "chargeback,1,3", "account_locked", "50 30 locked"),
    ("locked=deposits", LOCKED, "refund,1,2,5", "account_locked", "50 30 locked"),
    ("locked=deposits", f"{LOCKED} deposit,1,4,5", "reversal,1,1", "applied", "155 30"),
    ("locked=disputes", LOCKED, "deposit,1,4,5", "account_locked", "50 30 locked"),
    ("locked=disputes", LOCKED, "withdrawal,1,4,5", "account_locked", "50 30 locked"),
    ("locked=disputes", LOCKED, "dispute,1,2", "applied", "0 80 locked"),
    ("locked=disputes", LOCKED, "resolve,1,3", "applied", "80 0 locked"),
    ("locked=disputes", LOCKED, "chargeback,1,3", "applied", "50 0 locked"),
    ("locked=disputes", LOCKED, "refund,1,2,5", "account_locked", "50 30 locked"),
    ("locked=disputes", f"{LOCKED} chargeback,1,3", "reversal,1,3", "applied", "80 0 locked"),
    ("locked=deposits+disputes", LOCKED, "deposit,1,4,5", "applied", "55 30 locked"),
    ("locked=deposits+disputes", LOCKED, "withdrawal,1,4,5", "account_locked", "50 30 locked"),
    ("locked=deposits+disputes", LOCKED, "dispute,1,2", "applied", "0 80 locked"),
    ("locked=deposits+disputes", LOCKED, "resolve,1,3", "applied", "80 0 locked"),
    ("locked=deposits+disputes", LOCKED, "chargeback,1,3", "applied", "50 0 locked"),
    ("locked=deposits+disputes", LOCKED, "refund,1,2,5", "account_locked", "50 30 locked"),
    ("locked=disputes", LOCKED, "reversal,1,1", "applied", "150 30"),
    ("locked=deposits+disputes", LOCKED, "reversal,1,1", "applied", "150 30"),
    # What came while it was locked may be disputed too.
    ("locked=deposits+disputes", f"{LOCKED} deposit,1,4,5", "dispute,1,4", "applied", "50 35 locked"),
)
def test_locked(engine: Callable[[str], Engine], case: Case) -> None:
    check(engine, case)


WITHDRAWN = "deposit,1,1,100 withdrawal,1,2,40"


@each_engine
@table(
    ("withdrawal-dispute=reject", WITHDRAWN, "dispute,1,2", "transaction_not_found", "60 0"),
    ("withdrawal-dispute=reject", WITHDRAWN, "resolve,1,2", "dispute_not_found", "60 0"),
    ("withdrawal-dispute=reject", WITHDRAWN, "chargeback,1,2", "dispute_not_found", "60 0"),
    ("withdrawal-dispute=hold", WITHDRAWN, "dispute,1,2", "applied", "60 40"),
    ("withdrawal-dispute=hold", f"{WITHDRAWN} dispute,1,2", "resolve,1,2", "applied", "60 0"),
    ("withdrawal-dispute=hold", f"{WITHDRAWN} dispute,1,2", "chargeback,1,2", "applied", "100 0 locked"),
    ("withdrawal-dispute=hold", f"{WITHDRAWN} dispute,1,2 chargeback,1,2", "reversal,1,2", "applied", "60 0"),
    ("withdrawal-dispute=credit", WITHDRAWN, "dispute,1,2", "applied", "100 -40"),
    ("withdrawal-dispute=credit", f"{WITHDRAWN} dispute,1,2", "resolve,1,2", "applied", "60 0"),
    ("withdrawal-dispute=credit", f"{WITHDRAWN} dispute,1,2", "chargeback,1,2", "applied", "100 0 locked"),
    ("withdrawal-dispute=credit", f"{WITHDRAWN} dispute,1,2 chargeback,1,2", "reversal,1,2", "applied", "60 0"),
    ("withdrawal-dispute=mark", WITHDRAWN, "dispute,1,2", "applied", "60 0"),
    ("withdrawal-dispute=mark", f"{WITHDRAWN} dispute,1,2", "resolve,1,2", "applied", "60 0"),
    ("withdrawal-dispute=mark", f"{WITHDRAWN} dispute,1,2", "chargeback,1,2", "applied", "100 0 locked"),
    ("withdrawal-dispute=mark", f"{WITHDRAWN} dispute,1,2 chargeback,1,2", "reversal,1,2", "applied", "60 0"),
    # The provisional credit can be spent. A resolve then takes available below zero, whatever `overdraft` says.
    ("withdrawal-dispute=credit", f"{WITHDRAWN} dispute,1,2", "withdrawal,1,3,100", "applied", "0 -40"),
    (
        "withdrawal-dispute=credit,overdraft=none", f"{WITHDRAWN} dispute,1,2 withdrawal,1,3,100",
        "resolve,1,2", "applied", "-40 0",
    ),
    # A dispute that is over, and one that is not.
    ("withdrawal-dispute=hold", f"{WITHDRAWN} dispute,1,2", "dispute,1,2", "duplicate_dispute", "60 40"),
    ("withdrawal-dispute=hold", f"{WITHDRAWN} dispute,1,2 resolve,1,2", "dispute,1,2", "duplicate_dispute", "60 0"),
    (
        "withdrawal-dispute=hold,redispute=after-resolve", f"{WITHDRAWN} dispute,1,2 resolve,1,2",
        "dispute,1,2", "applied", "60 40",
    ),
    (
        "withdrawal-dispute=mark", f"{WITHDRAWN} dispute,1,2 resolve,1,2",
        "chargeback,1,2", "dispute_not_in_progress", "60 0",
    ),
    ("withdrawal-dispute=hold", WITHDRAWN, "resolve,1,2", "dispute_not_found", "60 0"),
    # A part of it.
    ("withdrawal-dispute=hold,dispute-amount=partial", WITHDRAWN, "dispute,1,2,15", "applied", "60 15"),
    ("withdrawal-dispute=credit,dispute-amount=partial", WITHDRAWN, "dispute,1,2,15", "applied", "75 -15"),
    ("withdrawal-dispute=mark,dispute-amount=partial", WITHDRAWN, "dispute,1,2,15", "applied", "60 0"),
    (
        "withdrawal-dispute=mark,dispute-amount=partial", f"{WITHDRAWN} dispute,1,2,15",
        "chargeback,1,2", "applied", "75 0 locked",
    ),
    ("withdrawal-dispute=hold,dispute-amount=partial", WITHDRAWN, "dispute,1,2,40.0001", "amount_too_large", "60 0"),
    ("withdrawal-dispute=hold", WITHDRAWN, "dispute,1,2,15", "applied", "60 40"),
    # Deposits move as ever.
    ("withdrawal-dispute=hold", WITHDRAWN, "dispute,1,1", "applied", "-40 100"),
    ("withdrawal-dispute=credit", f"{WITHDRAWN} dispute,1,1", "chargeback,1,1", "applied", "-40 0 locked"),
)  # fmt: skip
def test_withdrawal_dispute(engine: Callable[[str], Engine], case: Case) -> None:
    check(engine, case)


@each_engine
@table(
    ("overdraft=disputes", "deposit,1,1,100 withdrawal,1,2,40", "dispute,1,1", "applied", "-40 100"),
    ("overdraft=disputes", "deposit,1,1,100", "withdrawal,1,2,100.0001", "insufficient_funds", "100 0"),
    ("overdraft=disputes", "deposit,1,1,100 withdrawal,1,2,40", "refund,1,1,60.0001", "insufficient_funds", "60 0"),
    ("overdraft=none", "deposit,1,1,100 withdrawal,1,2,40", "dispute,1,1", "insufficient_funds", "60 0"),
    ("overdraft=none", "deposit,1,1,100", "dispute,1,1", "applied", "0 100"),
    ("overdraft=none", "deposit,1,1,100", "withdrawal,1,2,100.0001", "insufficient_funds", "100 0"),
    ("overdraft=none", "deposit,1,1,100 withdrawal,1,2,40", "refund,1,1,60.0001", "insufficient_funds", "60 0"),
    ("overdraft=withdrawals", "deposit,1,1,100 withdrawal,1,2,40", "dispute,1,1", "insufficient_funds", "60 0"),
    ("overdraft=withdrawals", "deposit,1,1,100", "withdrawal,1,2,443.58", "applied", "-343.58 0"),
    ("overdraft=withdrawals", "deposit,1,1,100 withdrawal,1,2,40", "refund,1,1,60.0001", "insufficient_funds", "60 0"),
    ("overdraft=all", "deposit,1,1,100 withdrawal,1,2,40", "dispute,1,1", "applied", "-40 100"),
    ("overdraft=all", "deposit,1,1,100", "withdrawal,1,2,443.58", "applied", "-343.58 0"),
    ("overdraft=all", "deposit,1,1,100 withdrawal,1,2,40", "refund,1,1,100", "applied", "-40 0"),
    ("overdraft=all", "", "withdrawal,1,1,5", "applied", "-5 0"),
    # What a dispute moves is compared, not the deposit.
    ("overdraft=none", "deposit,1,1,100 refund,1,1,40", "dispute,1,1", "applied", "0 60"),
    (
        "overdraft=none,dispute-amount=partial", "deposit,1,1,100 withdrawal,1,2,40",
        "dispute,1,1,60", "applied", "0 60",
    ),
    (
        "overdraft=none,dispute-amount=partial", "deposit,1,1,100 withdrawal,1,2,40",
        "dispute,1,1,60.0001", "insufficient_funds", "60 0",
    ),
    # Zero is more than what is available below zero.
    ("overdraft=withdrawals", "deposit,1,1,0 withdrawal,1,2,5", "dispute,1,1", "insufficient_funds", "-5 0"),
    ("overdraft=withdrawals", "deposit,1,1,0 withdrawal,1,2,5", "refund,1,1,0", "insufficient_funds", "-5 0"),
    ("overdraft=withdrawals", "deposit,1,1,0 withdrawal,1,2,5", "withdrawal,1,3,0", "applied", "-5 0"),
    # The dispute of a withdrawal takes nothing from available.
    (
        "overdraft=none,withdrawal-dispute=hold", "deposit,1,1,100 withdrawal,1,2,100",
        "dispute,1,2", "applied", "0 100",
    ),
    (
        "overdraft=withdrawals,withdrawal-dispute=mark", "withdrawal,1,2,100",
        "dispute,1,2", "applied", "-100 0",
    ),
    # A direct chargeback counts as a dispute.
    (
        "overdraft=disputes,direct-chargeback=allow", "deposit,1,1,100 withdrawal,1,2,40",
        "chargeback,1,1", "applied", "-40 0 locked",
    ),
    (
        "overdraft=none,direct-chargeback=allow", "deposit,1,1,100 withdrawal,1,2,40",
        "chargeback,1,1", "insufficient_funds", "60 0",
    ),
    (
        "overdraft=withdrawals,direct-chargeback=allow", "deposit,1,1,100 withdrawal,1,2,40",
        "chargeback,1,1", "insufficient_funds", "60 0",
    ),
    (
        "overdraft=all,direct-chargeback=allow", "deposit,1,1,100 withdrawal,1,2,40",
        "chargeback,1,1", "applied", "-40 0 locked",
    ),
    # The reversal of a withdrawal's chargeback takes the credit back, whatever is available.
    (
        "overdraft=none,withdrawal-dispute=hold,locked=disputes,direct-chargeback=allow",
        "deposit,1,1,100 withdrawal,1,2,100 dispute,1,2 chargeback,1,2 chargeback,1,1",
        "reversal,1,2", "applied", "-100 0 locked",
    ),
)  # fmt: skip
def test_overdraft(engine: Callable[[str], Engine], case: Case) -> None:
    check(engine, case)


@each_engine
@table(
    ("open-account=any-row", "", "deposit,1,1", "amount_required", "0 0"),
    ("open-account=any-row", "", "deposit,1,1,-1", "negative_amount", "0 0"),
    ("open-account=any-row,zero-amount=reject", "", "deposit,1,1,0", "zero_amount", "0 0"),
    ("open-account=any-row", "", "withdrawal,1,1,5", "insufficient_funds", "0 0"),
    ("open-account=any-row", "", "dispute,1,1", "transaction_not_found", "0 0"),
    ("open-account=any-row", "", "resolve,1,1", "dispute_not_found", "0 0"),
    ("open-account=any-row", "", "chargeback,1,1", "dispute_not_found", "0 0"),
    ("open-account=any-row", "", "refund,1,1", "transaction_not_found", "0 0"),
    ("open-account=any-row", "", "reversal,1,1", "chargeback_not_found", "0 0"),
    ("open-account=any-row", "", "transfer,1,1,5", "bad_type", "none"),
    ("open-account=valid-row", "", "deposit,1,1", "amount_required", "none"),
    ("open-account=valid-row", "", "deposit,1,1,-1", "negative_amount", "none"),
    ("open-account=valid-row", "", "withdrawal,1,1", "amount_required", "none"),
    ("open-account=valid-row", "", "withdrawal,1,1,-1", "negative_amount", "none"),
    ("open-account=valid-row", "", "deposit,1,1,0", "applied", "0 0"),
    ("open-account=valid-row", "", "withdrawal,1,1,0", "applied", "0 0"),
    ("open-account=valid-row,zero-amount=reject", "", "deposit,1,1,0", "zero_amount", "none"),
    ("open-account=valid-row,zero-amount=reject", "", "withdrawal,1,1,0", "zero_amount", "none"),
    ("open-account=valid-row,zero-amount=reject", "", "withdrawal,1,1,5", "insufficient_funds", "0 0"),
    ("open-account=valid-row", "", "withdrawal,1,1,5", "insufficient_funds", "0 0"),
    ("open-account=valid-row", "", "dispute,1,1", "transaction_not_found", "0 0"),
    ("open-account=valid-row", "", "dispute,1,1,-1", "transaction_not_found", "0 0"),
    ("open-account=valid-row", "", "resolve,1,1", "dispute_not_found", "0 0"),
    ("open-account=valid-row", "", "chargeback,1,1", "dispute_not_found", "0 0"),
    ("open-account=valid-row", "", "refund,1,1", "transaction_not_found", "0 0"),
    ("open-account=valid-row", "", "refund,1,1,-1", "transaction_not_found", "0 0"),
    ("open-account=valid-row", "", "reversal,1,1", "chargeback_not_found", "0 0"),
    ("open-account=applied-row", "", "deposit,1,1", "amount_required", "none"),
    ("open-account=applied-row", "", "deposit,1,1,-1", "negative_amount", "none"),
    ("open-account=applied-row", "", "deposit,1,1,0", "applied", "0 0"),
    ("open-account=applied-row,zero-amount=reject", "", "deposit,1,1,0", "zero_amount", "none"),
    ("open-account=applied-row", "", "withdrawal,1,1,5", "insufficient_funds", "none"),
    ("open-account=applied-row", "", "withdrawal,1,1,0", "applied", "0 0"),
    ("open-account=applied-row,overdraft=all", "", "withdrawal,1,1,5", "applied", "-5 0"),
    ("open-account=applied-row", "", "dispute,1,1", "transaction_not_found", "none"),
    ("open-account=applied-row", "", "resolve,1,1", "dispute_not_found", "none"),
    ("open-account=applied-row", "", "chargeback,1,1", "dispute_not_found", "none"),
    ("open-account=applied-row,direct-chargeback=allow", "", "chargeback,1,1", "dispute_not_found", "none"),
    ("open-account=applied-row", "", "refund,1,1,5", "transaction_not_found", "none"),
    ("open-account=applied-row", "", "reversal,1,1", "chargeback_not_found", "none"),
    # Rows of others open nothing, and an account stays.
    ("open-account=applied-row", "deposit,2,1,5", "dispute,1,1", "transaction_not_found", "none"),
    ("open-account=applied-row", "deposit,1,1,5", "deposit,1,2,-1", "negative_amount", "5 0"),
)
def test_open_account(engine: Callable[[str], Engine], case: Case) -> None:
    check(engine, case)


@each_engine
@table(
    ("zero-amount=accept", "", "deposit,1,1,0", "applied", "0 0"),
    ("zero-amount=accept", "deposit,1,1,5", "withdrawal,1,2,-0.0000", "applied", "5 0"),
    ("zero-amount=accept", "deposit,1,1,0", "deposit,1,1,5", "duplicate_transaction", "0 0"),
    ("zero-amount=reject", "", "deposit,1,1,0", "zero_amount", "0 0"),
    ("zero-amount=reject", "", "deposit,1,1,-0", "zero_amount", "0 0"),
    ("zero-amount=reject", "deposit,1,1,5", "withdrawal,1,2,0", "zero_amount", "5 0"),
    ("zero-amount=reject", "", "deposit,1,1,0.0001", "applied", "0.0001 0"),
    ("zero-amount=reject", "deposit,1,1,5", "dispute,1,1,0", "applied", "0 5"),
)
def test_zero_amount(engine: Callable[[str], Engine], case: Case) -> None:
    check(engine, case)


@each_engine
@table(
    ("dispute-amount=ignore", "deposit,1,1,100", "dispute,1,1,30", "applied", "0 100"),
    ("dispute-amount=ignore", "deposit,1,1,100", "dispute,1,1,104.20", "applied", "0 100"),
    ("dispute-amount=ignore", "deposit,1,1,100", "dispute,1,1,-30", "applied", "0 100"),
    ("dispute-amount=ignore", "deposit,1,1,100", "dispute,1,1,0", "applied", "0 100"),
    ("dispute-amount=partial", "deposit,1,1,100", "dispute,1,1,30", "applied", "70 30"),
    ("dispute-amount=partial", "deposit,1,1,100", "dispute,1,1,100", "applied", "0 100"),
    ("dispute-amount=partial", "deposit,1,1,100", "dispute,1,1", "applied", "0 100"),
    ("dispute-amount=partial", "deposit,1,1,100", "dispute,1,1,100.0001", "amount_too_large", "100 0"),
    ("dispute-amount=partial", "deposit,1,1,100", "dispute,1,1,0", "amount_too_large", "100 0"),
    ("dispute-amount=partial", "deposit,1,1,100", "dispute,1,1,-30", "amount_too_large", "100 0"),
    ("dispute-amount=partial", "deposit,1,1,0", "dispute,1,1", "applied", "0 0"),
    ("dispute-amount=partial", "deposit,1,1,0", "dispute,1,1,0", "amount_too_large", "0 0"),
    # A refusal leaves the deposit undisputed.
    ("dispute-amount=partial", "deposit,1,1,100", "resolve,1,1", "dispute_not_found", "100 0"),
    # Resolve, chargeback and reversal move what is in dispute, whatever amount they carry.
    ("dispute-amount=partial", "deposit,1,1,100 dispute,1,1,30", "resolve,1,1,5", "applied", "100 0"),
    ("dispute-amount=partial", "deposit,1,1,100 dispute,1,1,30", "chargeback,1,1,5", "applied", "70 0 locked"),
    (
        "dispute-amount=partial", "deposit,1,1,100 dispute,1,1,30 chargeback,1,1",
        "reversal,1,1,5", "applied", "100 0",
    ),
    # What is refunded is not left.
    ("dispute-amount=partial", "deposit,1,1,100 refund,1,1,30", "dispute,1,1,70.0001", "amount_too_large", "70 0"),
    ("dispute-amount=partial", "deposit,1,1,100 refund,1,1,30", "dispute,1,1,70", "applied", "0 70"),
    ("dispute-amount=partial", "deposit,1,1,100 refund,1,1,30", "dispute,1,1", "applied", "0 70"),
    # One dispute at a time; the next may be about any part.
    ("dispute-amount=partial", "deposit,1,1,100 dispute,1,1,30", "dispute,1,1,70", "duplicate_dispute", "70 30"),
    (
        "dispute-amount=partial,redispute=after-resolve", "deposit,1,1,100 dispute,1,1,30 resolve,1,1",
        "dispute,1,1,80", "applied", "20 80",
    ),
    (
        "dispute-amount=partial,redispute=after-resolve", "deposit,1,1,100 dispute,1,1,30 resolve,1,1",
        "dispute,1,1", "applied", "0 100",
    ),
    # The rest of a payment that is charged back in part cannot be disputed.
    (
        "dispute-amount=partial,redispute=after-resolve,locked=disputes",
        "deposit,1,1,100 dispute,1,1,30 chargeback,1,1",
        "dispute,1,1,70", "duplicate_dispute", "70 0 locked",
    ),
)  # fmt: skip
def test_dispute_amount(engine: Callable[[str], Engine], case: Case) -> None:
    check(engine, case)


@each_engine
@table(
    ("direct-chargeback=reject", "deposit,1,1,100", "chargeback,1,1", "dispute_not_found", "100 0"),
    ("direct-chargeback=reject", RESOLVED, "chargeback,1,1", "dispute_not_in_progress", "100 0"),
    ("direct-chargeback=allow", "deposit,1,1,100 deposit,1,2,40", "chargeback,1,1", "applied", "40 0 locked"),
    ("direct-chargeback=allow", RESOLVED, "chargeback,1,1", "applied", "0 0 locked"),
    ("direct-chargeback=allow", REVERSED, "chargeback,1,1", "applied", "0 0 locked"),
    ("direct-chargeback=allow", "deposit,1,1,100 refund,1,1,30", "chargeback,1,1", "applied", "0 0 locked"),
    ("direct-chargeback=allow", "deposit,1,1,100 refund,1,1,100", "chargeback,1,1", "applied", "0 0 locked"),
    # In dispute, it takes what is in dispute from held.
    ("direct-chargeback=allow", "deposit,1,1,100 dispute,1,1", "chargeback,1,1", "applied", "0 0 locked"),
    (
        "direct-chargeback=allow,dispute-amount=partial", "deposit,1,1,100 dispute,1,1,30",
        "chargeback,1,1", "applied", "70 0 locked",
    ),
    # An amount on a chargeback never counts.
    (
        "direct-chargeback=allow,dispute-amount=partial", "deposit,1,1,100",
        "chargeback,1,1,30", "applied", "0 0 locked",
    ),
    # Its dispute is over.
    (
        "direct-chargeback=allow,locked=disputes,redispute=after-resolve", "deposit,1,1,100 chargeback,1,1",
        "dispute,1,1", "duplicate_dispute", "0 0 locked",
    ),
    (
        "direct-chargeback=allow,locked=disputes", "deposit,1,1,100 chargeback,1,1",
        "resolve,1,1", "dispute_not_in_progress", "0 0 locked",
    ),
    (
        "direct-chargeback=allow,locked=disputes", "deposit,1,1,100 chargeback,1,1",
        "chargeback,1,1", "dispute_not_in_progress", "0 0 locked",
    ),
    ("direct-chargeback=allow", "deposit,1,1,100 chargeback,1,1", "reversal,1,1", "applied", "100 0"),
    ("direct-chargeback=allow", "deposit,1,1,100 refund,1,1,30 chargeback,1,1", "reversal,1,1", "applied", "70 0"),
    # Deposits only.
    ("direct-chargeback=allow", "", "chargeback,1,1", "dispute_not_found", "0 0"),
    ("direct-chargeback=allow", WITHDRAWN, "chargeback,1,2", "dispute_not_found", "60 0"),
    ("direct-chargeback=allow,withdrawal-dispute=hold", WITHDRAWN, "chargeback,1,2", "dispute_not_found", "60 0"),
    (
        "direct-chargeback=allow,withdrawal-dispute=hold", f"{WITHDRAWN} dispute,1,2 resolve,1,2",
        "chargeback,1,2", "dispute_not_in_progress", "60 0",
    ),
)  # fmt: skip
def test_direct_chargeback(engine: Callable[[str], Engine], case: Case) -> None:
    check(engine, case)


@each_engine
@table(
    ("withdrawal-ids=checked", WITHDRAWN, "withdrawal,1,2,40", "duplicate_transaction", "60 0"),
    ("withdrawal-ids=checked", WITHDRAWN, "withdrawal,1,1,40", "duplicate_transaction", "60 0"),
    ("withdrawal-ids=checked", WITHDRAWN, "deposit,1,2,40", "duplicate_transaction", "60 0"),
    ("withdrawal-ids=ignored", WITHDRAWN, "withdrawal,1,2,40", "applied", "20 0"),
    ("withdrawal-ids=ignored", WITHDRAWN, "withdrawal,1,1,40", "applied", "20 0"),
    ("withdrawal-ids=ignored", WITHDRAWN, "deposit,1,2,40", "applied", "100 0"),
    ("withdrawal-ids=ignored", WITHDRAWN, "deposit,1,1,40", "duplicate_transaction", "60 0"),
    ("withdrawal-ids=ignored", WITHDRAWN, "dispute,1,2", "transaction_not_found", "60 0"),
    ("withdrawal-ids=ignored", WITHDRAWN, "refund,1,2,1", "transaction_not_found", "60 0"),
    # What has the id of a deposit is about the deposit.
    ("withdrawal-ids=ignored", "deposit,1,1,100 withdrawal,1,1,40", "dispute,1,1", "applied", "-40 100"),
    ("withdrawal-ids=ignored", "deposit,1,1,100 withdrawal,1,1,40", "refund,1,1,60", "applied", "0 0"),
    (
        "withdrawal-ids=ignored", "deposit,1,1,100 withdrawal,1,1,40",
        "withdrawal,1,1,60.0001", "insufficient_funds", "60 0",
    ),
    ("withdrawal-ids=ignored", "deposit,1,9,50 withdrawal,1,1,40 deposit,1,1,100", "dispute,1,1", "applied", "10 100"),
)  # fmt: skip
def test_withdrawal_ids(engine: Callable[[str], Engine], case: Case) -> None:
    check(engine, case)


# ---- The order of reasons --------------------------------------------------------------------------

# 60 below zero, with 100 held.
BELOW = "deposit,1,1,100 withdrawal,1,2,60 dispute,1,1"


@each_engine
@table(
    ("", CHARGED_BACK, "deposit,1,2,5", "account_locked", "50 0 locked"),
    ("locked=deposits", CHARGED_BACK, "deposit,1,2,5", "duplicate_transaction", "50 0 locked"),
    ("", CHARGED_BACK, "deposit,1,3", "account_locked", "50 0 locked"),
    ("", "deposit,1,1,5", "deposit,1,1", "duplicate_transaction", "5 0"),
    ("", "deposit,1,1,5", "deposit,1,1,-1", "duplicate_transaction", "5 0"),
    ("zero-amount=reject", "deposit,1,1,5", "deposit,1,1,0", "duplicate_transaction", "5 0"),
    ("", "deposit,1,1,5", f"deposit,1,1,{MOST}", "duplicate_transaction", "5 0"),
    ("zero-amount=reject", "deposit,1,1,5", "deposit,1,2", "amount_required", "5 0"),
    ("zero-amount=reject", "deposit,1,1,5", "deposit,1,2,-0.0001", "negative_amount", "5 0"),
    ("", "deposit,1,1,5", f"deposit,1,2,{MOST}", "overflow", "5 0"),
    ("", f"deposit,1,1,{MOST}", "deposit,1,2,-0.0001", "negative_amount", f"{MOST} 0"),
    ("zero-amount=reject", f"deposit,1,1,{MOST}", "deposit,1,2,0", "zero_amount", f"{MOST} 0"),
)
def test_reasons_of_a_deposit_in_their_order(engine: Callable[[str], Engine], case: Case) -> None:
    check(engine, case)


@each_engine
@table(
    ("locked=deposits+disputes", CHARGED_BACK, "withdrawal,1,2,5", "account_locked", "50 0 locked"),
    ("overdraft=all", CHARGED_BACK, "withdrawal,1,3,500", "account_locked", "50 0 locked"),
    ("", BELOW, "withdrawal,1,2", "duplicate_transaction", "-60 100"),
    ("", BELOW, "withdrawal,1,2,-1", "duplicate_transaction", "-60 100"),
    ("zero-amount=reject", BELOW, "withdrawal,1,2,0", "duplicate_transaction", "-60 100"),
    ("", BELOW, "withdrawal,1,2,1", "duplicate_transaction", "-60 100"),
    ("withdrawal-ids=ignored", BELOW, "withdrawal,1,2,1", "insufficient_funds", "-60 100"),
    ("", BELOW, "withdrawal,1,3", "amount_required", "-60 100"),
    ("", BELOW, "withdrawal,1,3,-1", "negative_amount", "-60 100"),
    ("zero-amount=reject", BELOW, "withdrawal,1,3,0", "zero_amount", "-60 100"),
    ("", BELOW, "withdrawal,1,3,0", "insufficient_funds", "-60 100"),
    ("", BELOW, f"withdrawal,1,3,{MOST}", "insufficient_funds", "-60 100"),
    (
        "overdraft=withdrawals", "deposit,1,1,40 withdrawal,1,2,100 withdrawal,1,3,0",
        f"withdrawal,1,4,{MOST}", "overflow", "-60 0",
    ),
    ("overdraft=all", BELOW, f"withdrawal,1,3,{MOST}", "overflow", "-60 100"),
    ("overdraft=all", BELOW, "withdrawal,1,3,0", "applied", "-60 100"),
    # The lowest balance of all is one unit further from zero than the largest amount.
    ("overdraft=all", f"withdrawal,1,1,{MOST}", "withdrawal,1,2,0.0001", "applied", f"{LEAST} 0"),
    ("overdraft=all", f"withdrawal,1,1,{MOST}", "withdrawal,1,2,0.0002", "overflow", f"-{MOST} 0"),
    ("overdraft=all", BELOW, "withdrawal,1,2,0", "duplicate_transaction", "-60 100"),
)  # fmt: skip
def test_reasons_of_a_withdrawal_in_their_order(engine: Callable[[str], Engine], case: Case) -> None:
    check(engine, case)


# All of deposit 1 in dispute, and as much withdrawn again: a dispute of deposit 3 has no room in held.
NO_ROOM_IN_HELD = f"deposit,1,1,{MOST} dispute,1,1 withdrawal,1,2,{MOST} deposit,1,3,10"


@each_engine
@table(
    ("", CHARGED_BACK, "dispute,1,9", "account_locked", "50 0 locked"),
    ("locked=disputes", CHARGED_BACK, "dispute,1,9", "transaction_not_found", "50 0 locked"),
    ("", CHARGED_BACK, "dispute,1,1", "account_locked", "50 0 locked"),
    ("locked=disputes", CHARGED_BACK, "dispute,1,1", "duplicate_dispute", "50 0 locked"),
    ("dispute-amount=partial", "deposit,1,1,100", "dispute,1,9,-1", "transaction_not_found", "100 0"),
    ("dispute-amount=partial", WITHDRAWN, "dispute,1,2,500", "transaction_not_found", "60 0"),
    ("dispute-amount=partial", RESOLVED, "dispute,1,1,500", "duplicate_dispute", "100 0"),
    ("dispute-amount=partial", "deposit,1,1,100 dispute,1,1", "dispute,1,1,0", "duplicate_dispute", "0 100"),
    ("overdraft=none", "deposit,1,1,100 dispute,1,1", "dispute,1,1", "duplicate_dispute", "0 100"),
    (
        "dispute-amount=partial,overdraft=none", "deposit,1,1,100 withdrawal,1,2,100",
        "dispute,1,1,100.0001", "amount_too_large", "0 0",
    ),
    (
        "dispute-amount=partial,overdraft=none", "deposit,1,1,100 withdrawal,1,2,100",
        "dispute,1,1,100", "insufficient_funds", "0 0",
    ),
    ("overdraft=withdrawals", NO_ROOM_IN_HELD, "dispute,1,3", "insufficient_funds", f"-{MOST_LESS_10} {MOST}"),
    ("overdraft=all", NO_ROOM_IN_HELD, "dispute,1,3", "overflow", f"-{MOST_LESS_10} {MOST}"),
    (
        "overdraft=all,dispute-amount=partial", NO_ROOM_IN_HELD,
        "dispute,1,3,11", "amount_too_large", f"-{MOST_LESS_10} {MOST}",
    ),
    ("overdraft=all", NO_ROOM_IN_HELD, "dispute,1,1", "duplicate_dispute", f"-{MOST_LESS_10} {MOST}"),
    (
        "withdrawal-dispute=hold", f"deposit,1,1,10 withdrawal,1,2,10 deposit,1,3,{MOST}",
        "dispute,1,2", "overflow", f"{MOST} 0",
    ),
    (
        "withdrawal-dispute=credit", f"deposit,1,1,10 withdrawal,1,2,10 deposit,1,3,{MOST}",
        "dispute,1,2", "overflow", f"{MOST} 0",
    ),
    (
        "withdrawal-dispute=mark", f"deposit,1,1,10 withdrawal,1,2,10 deposit,1,3,{MOST}",
        "dispute,1,2", "applied", f"{MOST} 0",
    ),
)  # fmt: skip
def test_reasons_of_a_dispute_in_their_order(engine: Callable[[str], Engine], case: Case) -> None:
    check(engine, case)


# Deposit 1 is in dispute, and the credit for withdrawal 3 leaves no room for it in available: 10 + (MOST - 10) - 20
# is held below zero, and deposit 4 is on top.
NO_ROOM_IN_AVAILABLE = (
    f"deposit,1,1,10 dispute,1,1 deposit,1,2,{MOST_LESS_10} withdrawal,1,3,{MOST_LESS_10} dispute,1,3 deposit,1,4,5"
)


@each_engine
@table(
    ("", CHARGED_BACK, "resolve,1,9", "account_locked", "50 0 locked"),
    ("locked=disputes", CHARGED_BACK, "resolve,1,9", "dispute_not_found", "50 0 locked"),
    ("", CHARGED_BACK, "resolve,1,1", "account_locked", "50 0 locked"),
    ("locked=disputes", CHARGED_BACK, "resolve,1,1", "dispute_not_in_progress", "50 0 locked"),
    ("", f"deposit,1,1,{MOST}", "resolve,1,1", "dispute_not_found", f"{MOST} 0"),
    (
        "", f"deposit,1,1,10 dispute,1,1 resolve,1,1 deposit,1,2,{MOST_LESS_10}",
        "resolve,1,1", "dispute_not_in_progress", f"{MOST} 0",
    ),
    (
        "withdrawal-dispute=credit", NO_ROOM_IN_AVAILABLE,
        "resolve,1,1", "overflow", f"{MOST_LESS_5} -{MOST_LESS_20}",
    ),
    ("withdrawal-dispute=credit", NO_ROOM_IN_AVAILABLE, "resolve,1,3", "applied", "5 10"),
)  # fmt: skip
def test_reasons_of_a_resolve_in_their_order(engine: Callable[[str], Engine], case: Case) -> None:
    check(engine, case)


# 10 below zero, so that a deposit of the largest amount cannot be taken out.
BELOW_BY_10 = f"deposit,1,1,{MOST} withdrawal,1,2,{MOST} withdrawal,1,3,10"


@each_engine
@table(
    ("direct-chargeback=allow", CHARGED_BACK, "chargeback,1,2", "account_locked", "50 0 locked"),
    ("direct-chargeback=allow,locked=disputes", CHARGED_BACK, "chargeback,1,2", "applied", "0 0 locked"),
    ("", CHARGED_BACK, "chargeback,1,9", "account_locked", "50 0 locked"),
    ("locked=disputes", CHARGED_BACK, "chargeback,1,9", "dispute_not_found", "50 0 locked"),
    ("", CHARGED_BACK, "chargeback,1,1", "account_locked", "50 0 locked"),
    ("locked=disputes", CHARGED_BACK, "chargeback,1,1", "dispute_not_in_progress", "50 0 locked"),
    ("direct-chargeback=allow,overdraft=none", "", "chargeback,1,1", "dispute_not_found", "0 0"),
    (
        "direct-chargeback=allow,overdraft=none,locked=disputes", "deposit,1,1,100 chargeback,1,1",
        "chargeback,1,1", "dispute_not_in_progress", "0 0 locked",
    ),
    ("direct-chargeback=allow,overdraft=withdrawals", BELOW_BY_10, "chargeback,1,1", "insufficient_funds", "-10 0"),
    ("direct-chargeback=allow,overdraft=all", BELOW_BY_10, "chargeback,1,1", "overflow", "-10 0"),
    ("overdraft=all", BELOW_BY_10, "chargeback,1,1", "dispute_not_found", "-10 0"),
    (
        "withdrawal-dispute=mark", f"deposit,1,1,10 withdrawal,1,2,10 dispute,1,2 deposit,1,3,{MOST}",
        "chargeback,1,2", "overflow", f"{MOST} 0",
    ),
    (
        "withdrawal-dispute=mark", f"deposit,1,1,10 withdrawal,1,2,10 dispute,1,2 resolve,1,2 deposit,1,3,{MOST}",
        "chargeback,1,2", "dispute_not_in_progress", f"{MOST} 0",
    ),
)  # fmt: skip
def test_reasons_of_a_chargeback_in_their_order(engine: Callable[[str], Engine], case: Case) -> None:
    check(engine, case)


@each_engine
@table(
    ("locked=deposits+disputes", CHARGED_BACK, "refund,1,9,5", "account_locked", "50 0 locked"),
    ("overdraft=all", CHARGED_BACK, "refund,1,2,500", "account_locked", "50 0 locked"),
    ("", "deposit,1,1,100", "refund,1,9", "transaction_not_found", "100 0"),
    ("", "deposit,1,1,100", "refund,1,9,-1", "transaction_not_found", "100 0"),
    ("", "deposit,1,1,100", "refund,1,1", "amount_required", "100 0"),
    ("", "deposit,1,1,100 withdrawal,1,2,100", "refund,1,1", "amount_required", "0 0"),
    ("", "deposit,1,1,100", "refund,1,1,-0.0001", "negative_amount", "100 0"),
    ("", BELOW, "refund,1,1,-1", "negative_amount", "-60 100"),
    ("", "deposit,1,1,100 withdrawal,1,2,100", "refund,1,1,100.0001", "amount_too_large", "0 0"),
    ("", "deposit,1,1,100 withdrawal,1,2,100", "refund,1,1,100", "insufficient_funds", "0 0"),
    ("", BELOW, "refund,1,1,0", "insufficient_funds", "-60 100"),
    ("overdraft=withdrawals", BELOW_BY_10, f"refund,1,1,{MOST}", "insufficient_funds", "-10 0"),
    ("overdraft=all", BELOW_BY_10, f"refund,1,1,{MOST}", "overflow", "-10 0"),
    (
        "overdraft=all", f"deposit,1,1,10 withdrawal,1,2,{MOST} withdrawal,1,3,10",
        "refund,1,1,10.0001", "amount_too_large", f"-{MOST} 0",
    ),
    (
        "overdraft=all", f"deposit,1,1,10 withdrawal,1,2,{MOST} withdrawal,1,3,10",
        "refund,1,1,10", "overflow", f"-{MOST} 0",
    ),
)  # fmt: skip
def test_reasons_of_a_refund_in_their_order(engine: Callable[[str], Engine], case: Case) -> None:
    check(engine, case)


@each_engine
@table(
    ("", f"deposit,1,1,{MOST}", "reversal,1,1", "chargeback_not_found", f"{MOST} 0"),
    ("", f"deposit,1,1,{MOST}", "reversal,1,9", "chargeback_not_found", f"{MOST} 0"),
    (
        "", f"deposit,1,1,10 dispute,1,1 chargeback,1,1 reversal,1,1 deposit,1,2,{MOST_LESS_10}",
        "reversal,1,1", "duplicate_reversal", f"{MOST} 0",
    ),
    (
        "locked=deposits", f"deposit,1,1,10 dispute,1,1 chargeback,1,1 deposit,1,2,{MOST}",
        "reversal,1,1", "overflow", f"{MOST} 0 locked",
    ),
    # A locked account says why there is nothing to reverse.
    ("", CHARGED_BACK, "reversal,1,9", "chargeback_not_found", "50 0 locked"),
    ("locked=disputes", f"{CHARGED_BACK} dispute,1,2", "reversal,1,2", "chargeback_not_found", "0 50 locked"),
    (
        "locked=disputes", f"{CHARGED_BACK} dispute,1,2 chargeback,1,2 reversal,1,1",
        "reversal,1,1", "duplicate_reversal", "100 0 locked",
    ),
    # The credit for a withdrawal is taken back.
    (
        "withdrawal-dispute=mark,locked=disputes",
        f"deposit,1,1,{MOST} withdrawal,1,2,{MOST} deposit,1,3,5 withdrawal,1,4,5 dispute,1,2 chargeback,1,2"
        " dispute,1,1 chargeback,1,1 dispute,1,3",
        "reversal,1,2", "overflow", "-5 5 locked",
    ),
)  # fmt: skip
def test_reasons_of_a_reversal_in_their_order(engine: Callable[[str], Engine], case: Case) -> None:
    check(engine, case)


# ---- The lives of payments -------------------------------------------------------------------------


class Life(NamedTuple):
    """Rows in order, each with what becomes of it and, behind the colon, what client 1 has then."""

    policy: str
    steps: Sequence[str]


CARD_PAYMENT = Life(
    "card",
    [
        "deposit,1,1,100 -> applied: 100 0",
        "refund,1,1,10 -> applied: 90 0",
        "refund,1,1,15 -> applied: 75 0",
        "dispute,1,1,75.0001 -> amount_too_large: 75 0",
        "dispute,1,1,40 -> applied: 35 40",
        "refund,1,1,35.0001 -> amount_too_large: 35 40",
        "refund,1,1,5 -> applied: 30 40",
        "resolve,1,1 -> applied: 70 0",
        "resolve,1,1 -> dispute_not_in_progress: 70 0",
        "dispute,1,1 -> applied: 0 70",
        "dispute,1,1,1 -> duplicate_dispute: 0 70",
        "chargeback,1,1 -> applied: 0 0 locked",
        "refund,1,1,0 -> account_locked: 0 0 locked",
        "dispute,1,1 -> duplicate_dispute: 0 0 locked",
        "resolve,1,1 -> dispute_not_in_progress: 0 0 locked",
        "chargeback,1,1 -> dispute_not_in_progress: 0 0 locked",
        "deposit,1,2,5 -> account_locked: 0 0 locked",
        "reversal,1,1 -> applied: 70 0",
        "reversal,1,1 -> duplicate_reversal: 70 0",
        "refund,1,1,20 -> applied: 50 0",
        "dispute,1,1,30 -> applied: 20 30",
        "reversal,1,1 -> duplicate_reversal: 20 30",
        "chargeback,1,1 -> applied: 20 0 locked",
        "reversal,1,1 -> applied: 50 0",
        "reversal,1,1 -> duplicate_reversal: 50 0",
    ],
)
PAYMENT_BY_DEFAULT = Life(
    "",
    [
        "deposit,1,1,100 -> applied: 100 0",
        "dispute,1,1,40 -> applied: 0 100",
        "refund,1,1,1 -> amount_too_large: 0 100",
        "dispute,1,1 -> duplicate_dispute: 0 100",
        "resolve,1,1 -> applied: 100 0",
        "dispute,1,1 -> duplicate_dispute: 100 0",
        "refund,1,1,100 -> applied: 0 0",
        "chargeback,1,1 -> dispute_not_in_progress: 0 0",
        "reversal,1,1 -> chargeback_not_found: 0 0",
        "deposit,1,1,100 -> duplicate_transaction: 0 0",
    ],
)
BANK_RETURN = Life(
    "direct-chargeback=allow,locked=deposits",
    [
        "deposit,1,1,100 -> applied: 100 0",
        "withdrawal,1,2,80 -> applied: 20 0",
        "chargeback,1,1 -> applied: -80 0 locked",
        "deposit,1,3,50 -> applied: -30 0 locked",
        "chargeback,1,3 -> account_locked: -30 0 locked",
        "chargeback,1,1 -> account_locked: -30 0 locked",
        "reversal,1,1 -> applied: 70 0",
        "chargeback,1,1 -> applied: -30 0 locked",
        "reversal,1,1 -> applied: 70 0",
        "reversal,1,1 -> duplicate_reversal: 70 0",
        "dispute,1,1 -> duplicate_dispute: 70 0",
    ],
)
# The same rows about a withdrawal, and the balances after each of them in the three modes.
WITHDRAWAL_ROWS = (
    "deposit,1,1,100 -> applied",
    "withdrawal,1,2,40 -> applied",
    "dispute,1,2,15 -> applied",
    "resolve,1,2 -> applied",
    "dispute,1,2 -> applied",
    "refund,1,2,1 -> transaction_not_found",
    "chargeback,1,2 -> applied",
    "withdrawal,1,3,100 -> account_locked",
    "reversal,1,2 -> applied",
    "reversal,1,2 -> duplicate_reversal",
    "dispute,1,2,10 -> applied",
    "chargeback,1,2 -> applied",
    "reversal,1,2 -> applied",
)
WITHDRAWAL_BALANCES = {
    "hold": "100 0/60 0/60 15/60 0/60 40/60 40/100 0 locked/100 0 locked/60 0/60 0/60 10/70 0 locked/60 0",
    "credit": "100 0/60 0/75 -15/60 0/100 -40/100 -40/100 0 locked/100 0 locked/60 0/60 0/70 -10/70 0 locked/60 0",
    "mark": "100 0/60 0/60 0/60 0/60 0/60 0/100 0 locked/100 0 locked/60 0/60 0/60 0/70 0 locked/60 0",
}
WITHDRAWALS = [
    Life(
        f"card,withdrawal-dispute={mode}",
        [f"{row}: {after}" for row, after in zip(WITHDRAWAL_ROWS, balances.split("/"), strict=True)],
    )
    for mode, balances in WITHDRAWAL_BALANCES.items()
]


@each_engine
@pytest.mark.parametrize(
    "life", [CARD_PAYMENT, PAYMENT_BY_DEFAULT, BANK_RETURN, *WITHDRAWALS], ids=lambda life: life[0]
)
def test_the_life_of_a_payment(engine: Callable[[str], Engine], life: Life) -> None:
    ledger = engine(life.policy)
    for step in life.steps:
        row, _, expected = step.partition(" -> ")
        status, _, after = expected.partition(": ")
        assert ledger.apply(row) == status, step
        assert ledger.account(1) == balances_of(after), step


@each_engine
def test_withdrawals_without_ids_cannot_be_disputed(engine: Callable[[str], Engine]) -> None:
    with pytest.raises(ValueError, match="withdrawal-ids"):
        engine("withdrawal-ids=ignored,withdrawal-dispute=mark")
    with pytest.raises(ValueError, match="withdrawal-ids"):
        engine("card,withdrawal-ids=ignored")
    engine("card,withdrawal-ids=ignored,withdrawal-dispute=reject")


@each_engine
@pytest.mark.parametrize(
    "policy",
    [
        "redispute",
        "cards",
        "redispute=",
        "redispute=always",
        "locked=open",
        "colour=red",
        "card=yes",
        ",",
        "card,",
        "=never",
    ],
)
def test_a_policy_that_nobody_knows_is_an_error(engine: Callable[[str], Engine], policy: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        engine(policy)


# ---- Any rows, under any policy --------------------------------------------------------------------


@given(strategies.policies(), strategies.policy_streams())
def test_the_engines_agree_on_any_rows_under_any_policy(policy: str, rows: list[Row]) -> None:
    engines = [engine(policy) for engine in ENGINES]
    for row in rows:
        assert len({engine.apply(row.line().decode()) for engine in engines}) == 1, row
        assert len({engine.account(row.client) for engine in engines}) == 1, row
