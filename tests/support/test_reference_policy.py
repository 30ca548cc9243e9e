"""The reference under policies: their texts, and what must hold under every one of them."""

from __future__ import annotations

import copy
import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import strategies
from tests.support.reference import Account, Replay, replay
from tests.support.reference_policy import SWITCHES, Policy
from tests.support.rows import Row

pytestmark = pytest.mark.unmeasured

CARD_SWITCHES = ("redispute=after-resolve", "locked=disputes", "withdrawal-dispute=hold", "dispute-amount=partial")


# ---- Texts -----------------------------------------------------------------------------------------


def test_no_text_is_the_default_policy() -> None:
    assert Policy.parse("") == Policy()
    assert Policy().text() == ",".join(f"{name}={values[0]}" for name, values in SWITCHES.items())


def test_every_switch_takes_its_values() -> None:
    for name, values in SWITCHES.items():
        for value in values:
            policy = Policy.parse(f"{name}={value}")
            assert f"{name}={value}" in policy.text().split(",")
            assert Policy.parse(policy.text()) == policy
            assert (policy == Policy()) == (value == values[0])


def test_card_is_its_four_switches() -> None:
    for switches in itertools.permutations(CARD_SWITCHES):
        assert Policy.parse("card") == Policy.parse(",".join(switches))


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("locked=deposits,locked=closed", ""),
        ("locked=closed,overdraft=all,locked=deposits", "overdraft=all,locked=deposits"),
        ("locked=deposits,card", "card"),
        (
            "card,locked=deposits",
            "locked=deposits,redispute=after-resolve,withdrawal-dispute=hold,dispute-amount=partial",
        ),
        ("overdraft=none,card", "card,overdraft=none"),
        ("card,card", "card"),
        # What is said of a switch before does not count, also where it could not stand.
        ("withdrawal-ids=ignored,card,withdrawal-ids=checked", "card"),
        ("card,withdrawal-ids=ignored,withdrawal-dispute=reject", (
            "redispute=after-resolve,locked=disputes,dispute-amount=partial,withdrawal-ids=ignored"
        )),
    ],
)  # fmt: skip
def test_the_later_value_of_a_switch_counts(text: str, same: str) -> None:
    assert Policy.parse(text) == Policy.parse(same)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cards", "no preset of a policy: 'cards'"),
        ("Card", "no preset of a policy: 'Card'"),
        ("locked", "no preset of a policy: 'locked'"),
        ("card,", "no preset of a policy: ''"),
        ("lock=closed", "no switch of a policy: 'lock'"),
        ("card=yes", "no switch of a policy: 'card'"),
        ("=closed", "no switch of a policy: ''"),
        ("locked=", "no value of locked: ''"),
        ("locked=open", "no value of locked: 'open'"),
        ("locked=closed=closed", "no value of locked: 'closed=closed'"),
        ("locked=disputes+deposits", r"no value of locked: 'disputes\+deposits'"),
        # Also where a later value is one.
        ("locked=open,locked=closed", "no value of locked: 'open'"),
        ("withdrawal-ids=ignored,withdrawal-dispute=mark", "withdrawal-ids=ignored"),
        ("card,withdrawal-ids=ignored", "withdrawal-ids=ignored"),
    ],
)
def test_other_texts_are_no_policies(text: str, message: str) -> None:
    for start in (lambda: Policy.parse(text), lambda: Replay(policy=text), lambda: replay(policy=text)):
        with pytest.raises(ValueError, match=message):
            start()


def test_a_replay_applies_its_policy() -> None:
    rows = b"type,client,tx,amount\ndeposit,1,1,5\nwithdrawal,1,2,8\n"
    assert replay(("in.csv", rows)).rejected == {"insufficient_funds": 1}
    assert replay(("in.csv", rows), policy="overdraft=withdrawals").accounts[1].available == -30_000


# ---- What holds under every policy -----------------------------------------------------------------

policies, policy_streams = strategies.policies(), strategies.policy_streams()


def outcomes(policy: str, rows: list[Row]) -> tuple[list[str], Replay]:
    run = Replay(policy)
    return [run.apply(*row) for row in rows], run


@given(policies, policy_streams, st.integers(1, 3))
def test_clients_do_not_affect_each_other(policy: str, rows: list[Row], client: int) -> None:
    statuses, run = outcomes(policy, rows)
    others = [row for row in rows if row.client != client]
    statuses_of_others, run_of_others = outcomes(policy, others)
    assert statuses_of_others == [status for row, status in zip(rows, statuses, strict=True) if row.client != client]
    run.accounts.pop(client, None)
    assert run.accounts == run_of_others.accounts


@given(policies, policy_streams)
def test_money_is_conserved_after_every_row(policy: str, rows: list[Row]) -> None:
    run = Replay(policy)
    for row in rows:
        run.apply(*row)
        assert run.conserved(), row


@given(policies, policy_streams)
def test_held_is_what_is_in_dispute(policy: str, rows: list[Row]) -> None:
    _, run = outcomes(policy, rows)
    mode = Policy.parse(policy).withdrawal_dispute
    held: Counter[int] = Counter()
    for (client, _), payment in run.payments.items():
        if payment.state == "in dispute":
            sign = 1 if payment.kind == "deposit" else {"hold": 1, "credit": -1, "mark": 0}[mode]
            held[client] += sign * payment.moved
    assert {client: account.held for client, account in run.accounts.items()} == {
        client: held[client] for client in run.accounts
    }


@given(policies, policy_streams)
def test_an_account_is_locked_while_a_chargeback_of_it_stands(policy: str, rows: list[Row]) -> None:
    _, run = outcomes(policy, rows)
    locked = {client for (client, _), payment in run.payments.items() if payment.state == "charged back"}
    assert {client for client, account in run.accounts.items() if account.locked} == locked


@given(policies, policy_streams)
def test_a_payment_never_loses_more_than_its_amount(policy: str, rows: list[Row]) -> None:
    _, run = outcomes(policy, rows)
    for payment in run.payments.values():
        assert min(payment.left, payment.refunded, payment.moved) >= 0


@given(policies, policy_streams)
def test_a_rejected_row_changes_nothing_but_its_account(policy: str, rows: list[Row]) -> None:
    run = Replay(policy)
    for row in rows:
        before = copy.deepcopy((run.accounts, run.payments))
        if run.apply(*row) != "applied":
            accounts, payments = before
            if row.client not in accounts and row.client in run.accounts:
                accounts[row.client] = Account(row.client)
            assert (run.accounts, run.payments) == (accounts, payments), row


@given(policies, policy_streams)
def test_only_the_policy_says_who_may_be_below_zero(policy: str, rows: list[Row]) -> None:
    """Without overdraft, only a withdrawal's credit that is taken back leaves available below zero."""
    run = Replay(f"{policy},overdraft=none" if policy else "overdraft=none")
    for row in rows:
        available = run.accounts[row.client].available if row.client in run.accounts else 0
        if run.apply(*row) == "applied" and run.accounts[row.client].available < min(available, 0):
            assert row.kind in ("resolve", "reversal")
            assert run.payments[row.client, row.tx].kind == "withdrawal"


@given(policy_streams)
def test_card_applies_rows_as_its_four_switches_do(rows: list[Row]) -> None:
    statuses, run = outcomes("card", rows)
    same_statuses, same_run = outcomes(",".join(CARD_SWITCHES), rows)
    assert statuses == same_statuses
    assert run.accounts_csv() == same_run.accounts_csv()


@given(policies, policies, policy_streams)
def test_the_later_of_two_policies_counts_where_both_speak(first: str, later: str, rows: list[Row]) -> None:
    later = Policy.parse(later).text()
    statuses, run = outcomes(later, rows)
    both = f"{first},{later}" if first else later
    assert outcomes(both, rows)[0] == statuses
    assert outcomes(both, rows)[1].accounts == run.accounts
