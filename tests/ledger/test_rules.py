"""The rules: the rejections of each in their order, its effect on an account, and its limits."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import reference, strategies
from tests.support.bare_ledger import Account, accounts_csv, accounts_of, apply_lines, apply_rows
from tests.support.reference import INT64_MAX, INT64_MIN
from tests.support.rows import Row
from txfast.ledger.ledger import STATUSES, Ledger

pytestmark = pytest.mark.unmeasured

# To client 1, that has 5 available by deposit 1 and 5 held by deposit 2.
ROWS_THAT_APPLY = {
    "deposit": Row("deposit", 1, 9, 10_000),
    "withdrawal": Row("withdrawal", 1, 9, 10_000),
    "dispute": Row("dispute", 1, 1),
    "resolve": Row("resolve", 1, 2),
    "chargeback": Row("chargeback", 1, 2),
    "refund": Row("refund", 1, 1, 10_000),
}


def play(*steps: str) -> Ledger:
    """A ledger after these steps, each a row and, after an arrow, the status that it must meet."""
    ledger = Ledger()
    for step in steps:
        line, _, status = step.partition(" -> ")
        assert apply_lines(ledger, [line.encode()]) == [status], step
    return ledger


def account_of(ledger: Ledger) -> Account:
    [account] = accounts_of(ledger)
    return account


# ---- Rejections and their order ------------------------------------------------------------------


@pytest.mark.parametrize(
    "steps",
    [
        # deposit: duplicate_transaction, amount_required, negative_amount, overflow
        ["deposit,1,1,5 -> applied", "deposit,1,1,5 -> duplicate_transaction"],
        ["deposit,1,1,5 -> applied", "deposit,1,1,7 -> duplicate_transaction"],
        ["deposit,1,1,5 -> applied", "deposit,1,1 -> duplicate_transaction"],
        ["deposit,1,1,5 -> applied", "deposit,1,1,-1 -> duplicate_transaction"],
        ["deposit,1,1,5 -> applied", "deposit,1,1,922337203685477.5807 -> duplicate_transaction"],
        ["deposit,1,1,5 -> applied", "withdrawal,1,2,5 -> applied", "deposit,1,2,5 -> duplicate_transaction"],
        ["deposit,1,1 -> amount_required"],
        ["deposit,1,1, -> amount_required"],
        ["deposit,1,1,-0.0001 -> negative_amount"],
        ["deposit,1,1,-922337203685477.5807 -> negative_amount"],
        ["deposit,1,1,922337203685477.5807 -> applied", "deposit,1,2,0.0001 -> overflow"],
        ["deposit,1,1,922337203685477.5807 -> applied", "deposit,1,2,-1 -> negative_amount"],
        ["deposit,1,1,922337203685477.5807 -> applied", "deposit,1,2 -> amount_required"],
        # withdrawal: the same, with insufficient_funds before overflow
        ["deposit,1,1,5 -> applied", "withdrawal,1,1,5 -> duplicate_transaction"],
        ["deposit,1,1,5 -> applied", "withdrawal,1,1 -> duplicate_transaction"],
        ["deposit,1,1,5 -> applied", "withdrawal,1,1,-5 -> duplicate_transaction"],
        ["deposit,1,1,5 -> applied", "withdrawal,1,1,6 -> duplicate_transaction"],
        [
            "deposit,1,1,5 -> applied",
            "withdrawal,1,2,1 -> applied",
            "withdrawal,1,2,1 -> duplicate_transaction",
        ],
        ["withdrawal,1,1 -> amount_required"],
        ["deposit,1,1,5 -> applied", "withdrawal,1,2 -> amount_required"],
        ["withdrawal,1,1,-0.0001 -> negative_amount"],
        ["withdrawal,1,1,0.0001 -> insufficient_funds"],
        ["deposit,1,1,5 -> applied", "withdrawal,1,2,5.0001 -> insufficient_funds"],
        # dispute: transaction_not_found, duplicate_dispute, overflow
        ["dispute,1,1 -> transaction_not_found"],
        ["deposit,1,1,5 -> applied", "dispute,1,2 -> transaction_not_found"],
        ["deposit,1,1,5 -> applied", "withdrawal,1,2,5 -> applied", "dispute,1,2 -> transaction_not_found"],
        ["deposit,1,1,-5 -> negative_amount", "dispute,1,1 -> transaction_not_found"],
        ["withdrawal,1,1,5 -> insufficient_funds", "dispute,1,1 -> transaction_not_found"],
        ["deposit,1,1,5 -> applied", "dispute,1,1 -> applied", "dispute,1,1 -> duplicate_dispute"],
        [
            "deposit,1,1,5 -> applied",
            "dispute,1,1 -> applied",
            "resolve,1,1 -> applied",
            "dispute,1,1 -> duplicate_dispute",
        ],
        [
            "deposit,1,1,922337203685477.5807 -> applied",
            "withdrawal,1,2,922337203685477.5807 -> applied",
            "dispute,1,1 -> applied",
            "deposit,1,3,922337203685477.5807 -> applied",
            "dispute,1,3 -> overflow",
            "dispute,1,3 -> overflow",
            "dispute,1,1 -> duplicate_dispute",
        ],
        # resolve and chargeback: dispute_not_found, dispute_not_in_progress
        ["resolve,1,1 -> dispute_not_found"],
        ["chargeback,1,1 -> dispute_not_found"],
        [
            "deposit,1,1,5 -> applied",
            "resolve,1,1 -> dispute_not_found",
            "chargeback,1,1 -> dispute_not_found",
        ],
        ["deposit,1,1,5 -> applied", "dispute,1,1 -> applied", "resolve,1,2 -> dispute_not_found"],
        ["deposit,1,1,5 -> applied", "withdrawal,1,2,5 -> applied", "resolve,1,2 -> dispute_not_found"],
        ["deposit,1,1,5 -> applied", "withdrawal,1,2,5 -> applied", "chargeback,1,2 -> dispute_not_found"],
        [
            "deposit,1,1,5 -> applied",
            "dispute,1,1 -> applied",
            "resolve,1,1 -> applied",
            "resolve,1,1 -> dispute_not_in_progress",
            "chargeback,1,1 -> dispute_not_in_progress",
        ],
        # account_locked before everything
        [
            "deposit,1,1,5 -> applied",
            "dispute,1,1 -> applied",
            "chargeback,1,1 -> applied",
            "deposit,1,2,5 -> account_locked",
            "deposit,1,1,5 -> account_locked",
            "deposit,1,2 -> account_locked",
            "deposit,1,2,-5 -> account_locked",
            "withdrawal,1,2,5 -> account_locked",
            "withdrawal,1,2,0 -> account_locked",
            "dispute,1,1 -> account_locked",
            "dispute,1,2 -> account_locked",
            "resolve,1,1 -> account_locked",
            "resolve,1,2 -> account_locked",
            "chargeback,1,1 -> account_locked",
            "chargeback,1,2 -> account_locked",
        ],
    ],
    ids=lambda steps: " ".join(steps)[-60:],
)
def test_a_row_has_the_first_rejection_that_applies(steps: list[str]) -> None:
    play(*steps)


@pytest.mark.parametrize("kind", ROWS_THAT_APPLY)
def test_a_lock_alone_rejects_a_row_that_would_apply(kind: str) -> None:
    for locked in (False, True):
        ledger = play("deposit,1,1,5 -> applied", "deposit,1,2,5 -> applied", "dispute,1,2 -> applied")
        ledger.restore_account(1, 50_000, 50_000, locked)
        before = account_of(ledger)
        [status] = apply_rows(ledger, [ROWS_THAT_APPLY[kind]])
        assert status == ("account_locked" if locked else "applied")
        assert (account_of(ledger) == before) == locked


def test_a_locked_account_keeps_its_disputes_as_they_are() -> None:
    ledger = play("deposit,1,1,5 -> applied", "deposit,1,2,5 -> applied", "dispute,1,1 -> applied")
    ledger.restore_account(1, 50_000, 50_000, True)
    for line in (b"resolve,1,1", b"chargeback,1,1", b"dispute,1,2"):
        assert apply_lines(ledger, [line]) == ["account_locked"]
    ledger.restore_account(1, 50_000, 50_000, False)
    assert apply_lines(ledger, [b"resolve,1,1", b"dispute,1,2"]) == ["applied", "applied"]


def test_a_chargeback_ends_its_dispute() -> None:
    ledger = play("deposit,1,1,5 -> applied", "dispute,1,1 -> applied", "chargeback,1,1 -> applied")
    ledger.restore_account(1, 50_000, 50_000, False)
    lines = [b"dispute,1,1", b"resolve,1,1", b"chargeback,1,1"]
    ended = ["duplicate_dispute", "dispute_not_in_progress", "dispute_not_in_progress"]
    assert apply_lines(ledger, lines) == ended
    assert account_of(ledger) == Account(1, 50_000, 50_000)


# ---- Effects -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "account"),
    [
        (["deposit,1,1,1.5 -> applied"], Account(1, 15_000, 0)),
        (["deposit,1,1,1.5 -> applied", "deposit,1,2,2 -> applied"], Account(1, 35_000, 0)),
        (["deposit,1,1,1.5 -> applied", "withdrawal,1,2,0.5 -> applied"], Account(1, 10_000, 0)),
        (["deposit,1,1,1.5 -> applied", "withdrawal,1,2,1.5 -> applied"], Account(1, 0, 0)),
        (["deposit,1,1,3 -> applied", "dispute,1,1 -> applied"], Account(1, 0, 30_000)),
        (
            ["deposit,1,1,3 -> applied", "withdrawal,1,2,2 -> applied", "dispute,1,1 -> applied"],
            Account(1, -20_000, 30_000),
        ),
        (
            ["deposit,1,1,3 -> applied", "deposit,1,2,4 -> applied", "dispute,1,1 -> applied"],
            Account(1, 40_000, 30_000),
        ),
        (
            ["deposit,1,1,3 -> applied", "dispute,1,1 -> applied", "resolve,1,1 -> applied"],
            Account(1, 30_000, 0),
        ),
        (
            ["deposit,1,1,3 -> applied", "dispute,1,1 -> applied", "chargeback,1,1 -> applied"],
            Account(1, 0, 0, True),
        ),
        (
            [
                "deposit,1,1,3 -> applied",
                "withdrawal,1,2,2 -> applied",
                "dispute,1,1 -> applied",
                "chargeback,1,1 -> applied",
            ],
            Account(1, -20_000, 0, True),
        ),
        (
            [
                "deposit,1,1,3 -> applied",
                "deposit,1,2,4 -> applied",
                "dispute,1,2 -> applied",
                "dispute,1,1 -> applied",
                "resolve,1,2 -> applied",
            ],
            Account(1, 40_000, 30_000),
        ),
        # Zero amounts are legal, and -0 is zero.
        (["deposit,1,1,0 -> applied"], Account(1, 0, 0)),
        (["deposit,1,1,-0 -> applied"], Account(1, 0, 0)),
        (["withdrawal,1,1,0 -> applied"], Account(1, 0, 0)),
        (["withdrawal,1,1,-0.0 -> applied"], Account(1, 0, 0)),
        (
            ["deposit,1,1,0 -> applied", "dispute,1,1 -> applied", "chargeback,1,1 -> applied"],
            Account(1, 0, 0, True),
        ),
        # An amount on the three others is ignored.
        (["deposit,1,1,3 -> applied", "dispute,1,1,7 -> applied"], Account(1, 0, 30_000)),
        (
            ["deposit,1,1,3 -> applied", "dispute,1,1,-7 -> applied", "resolve,1,1,-1 -> applied"],
            Account(1, 30_000, 0),
        ),
        (
            [
                "deposit,1,1,3 -> applied",
                "dispute,1,1 -> applied",
                "chargeback,1,1,922337203685477.5807 -> applied",
            ],
            Account(1, 0, 0, True),
        ),
        # Only applied deposits and withdrawals use up their id.
        (["deposit,1,1 -> amount_required", "deposit,1,1,3 -> applied"], Account(1, 30_000, 0)),
        (["deposit,1,1,-3 -> negative_amount", "deposit,1,1,3 -> applied"], Account(1, 30_000, 0)),
        (["withdrawal,1,1,3 -> insufficient_funds", "deposit,1,1,3 -> applied"], Account(1, 30_000, 0)),
        (
            [
                "withdrawal,1,2,3 -> insufficient_funds",
                "deposit,1,1,3 -> applied",
                "withdrawal,1,2,3 -> applied",
            ],
            Account(1, 0, 0),
        ),
        (["dispute,1,1 -> transaction_not_found", "deposit,1,1,3 -> applied"], Account(1, 30_000, 0)),
        (
            [
                "deposit,1,1,922337203685477.5807 -> applied",
                "deposit,1,2,1 -> overflow",
                "withdrawal,1,3,1 -> applied",
                "deposit,1,2,1 -> applied",
            ],
            Account(1, INT64_MAX, 0),
        ),
        # A well-formed row creates its account, even when it is rejected.
        (["deposit,1,1 -> amount_required"], Account(1, 0, 0)),
        (["withdrawal,1,1,1 -> insufficient_funds"], Account(1, 0, 0)),
        (["dispute,1,1 -> transaction_not_found"], Account(1, 0, 0)),
        (["resolve,1,1 -> dispute_not_found"], Account(1, 0, 0)),
        (["chargeback,1,1 -> dispute_not_found"], Account(1, 0, 0)),
    ],
    ids=lambda value: " ".join(value)[-60:] if isinstance(value, list) else "",
)
def test_an_applied_row_moves_exactly_its_money(steps: list[str], account: Account) -> None:
    assert account_of(play(*steps)) == account


def test_transaction_ids_belong_to_their_client() -> None:
    ledger = play(
        "deposit,1,1,5 -> applied",
        "deposit,2,1,7 -> applied",
        "dispute,2,1 -> applied",
        "resolve,1,1 -> dispute_not_found",
        "dispute,3,1 -> transaction_not_found",
        "withdrawal,3,1,1 -> insufficient_funds",
        "chargeback,2,1 -> applied",
        "withdrawal,1,2,5 -> applied",
        "dispute,1,1 -> applied",
    )
    assert accounts_of(ledger) == [
        Account(1, -50_000, 50_000),
        Account(2, 0, 0, True),
        Account(3, 0, 0),
    ]


# ---- Limits: accounts whose amounts are set directly ---------------------------------------------

LOW, HIGH = INT64_MIN, INT64_MAX


def forged_ledger(kind: str, units: int, available: int, held: int) -> Ledger:
    """A ledger with such an account 1, and with a deposit 1, disputed or not, as the row needs it."""
    ledger = Ledger()
    if kind not in ("deposit", "withdrawal"):
        assert apply_rows(ledger, [Row("deposit", 1, 1, units)]) == ["applied"]
    if kind in ("resolve", "chargeback"):
        assert apply_rows(ledger, [Row("dispute", 1, 1)]) == ["applied"]
    ledger.restore_account(1, available, held)
    return ledger


@pytest.mark.parametrize(
    ("kind", "units", "available", "held", "available_after", "held_after"),
    [
        ("deposit", 1, HIGH - 1, 0, HIGH, 0),
        ("deposit", HIGH, 0, 0, HIGH, 0),
        ("deposit", HIGH, LOW, 0, -1, 0),
        ("deposit", 1, 0, HIGH - 1, 1, HIGH - 1),
        ("deposit", 1, -1, HIGH, 0, HIGH),
        ("deposit", 0, HIGH, 0, HIGH, 0),
        ("deposit", HIGH, 0, LOW, HIGH, LOW),
        ("withdrawal", HIGH, HIGH, 0, 0, 0),
        ("withdrawal", HIGH, HIGH, LOW, 0, LOW),
        ("withdrawal", 1, 1, LOW, 0, LOW),
        ("withdrawal", 0, 0, LOW, 0, LOW),
        ("dispute", 1, LOW + 1, 0, LOW, 1),
        ("dispute", 1, 0, HIGH - 1, -1, HIGH),
        ("dispute", HIGH, -1, 0, LOW, HIGH),
        ("dispute", HIGH, HIGH, 0, 0, HIGH),
        ("dispute", HIGH, HIGH, LOW, 0, -1),
        ("dispute", 0, LOW, HIGH, LOW, HIGH),
        ("resolve", 1, HIGH - 1, 0, HIGH, -1),
        ("resolve", 1, 0, LOW + 1, 1, LOW),
        ("resolve", HIGH, 0, 0, HIGH, -HIGH),
        ("resolve", HIGH, 0, -1, HIGH, LOW),
        ("resolve", HIGH, LOW, HIGH, -1, 0),
        ("resolve", 0, HIGH, LOW, HIGH, LOW),
        ("chargeback", 1, 0, LOW + 1, 0, LOW),
        ("chargeback", 1, LOW, 1, LOW, 0),
        ("chargeback", 1, LOW + 1, 0, LOW + 1, -1),
        ("chargeback", HIGH, -1, 0, -1, -HIGH),
        ("chargeback", HIGH, LOW, HIGH, LOW, 0),
        ("chargeback", 0, LOW, HIGH, LOW, HIGH),
    ],
)
def test_a_row_whose_results_just_fit_is_applied(
    kind: str, units: int, available: int, held: int, available_after: int, held_after: int
) -> None:
    ledger = forged_ledger(kind, units, available, held)
    assert apply_rows(ledger, [Row(kind, 1, 1, units)]) == ["applied"]
    assert account_of(ledger) == Account(1, available_after, held_after, kind == "chargeback")


@pytest.mark.parametrize(
    ("kind", "units", "available", "held", "reason"),
    [
        ("deposit", 1, HIGH, 0, "overflow"),
        ("deposit", HIGH, 1, 0, "overflow"),
        ("deposit", HIGH, HIGH, LOW, "overflow"),
        ("deposit", 1, HIGH, -1, "overflow"),
        ("deposit", 1, 0, HIGH, "overflow"),
        ("deposit", 2, -1, HIGH, "overflow"),
        ("withdrawal", 1, 0, HIGH, "insufficient_funds"),
        ("withdrawal", 1, LOW, 0, "insufficient_funds"),
        ("withdrawal", HIGH, LOW, 0, "insufficient_funds"),
        ("withdrawal", HIGH, LOW, HIGH, "insufficient_funds"),
        ("withdrawal", 0, -1, 0, "insufficient_funds"),
        ("dispute", 1, LOW, 0, "overflow"),
        ("dispute", 1, 0, HIGH, "overflow"),
        ("dispute", 1, LOW, HIGH, "overflow"),
        ("dispute", HIGH, -2, 0, "overflow"),
        ("dispute", HIGH, 0, 1, "overflow"),
        ("resolve", 1, HIGH, 0, "overflow"),
        ("resolve", 1, 0, LOW, "overflow"),
        ("resolve", 1, HIGH, LOW, "overflow"),
        ("resolve", HIGH, 0, -2, "overflow"),
        ("resolve", HIGH, 1, 0, "overflow"),
        ("chargeback", 1, 0, LOW, "overflow"),
        ("chargeback", 1, 5, LOW, "overflow"),
        ("chargeback", 1, LOW, 0, "overflow"),
        ("chargeback", HIGH, -2, 0, "overflow"),
        ("chargeback", HIGH, 0, -2, "overflow"),
    ],
)
def test_a_row_whose_results_do_not_fit_leaves_everything_as_it_was(
    kind: str, units: int, available: int, held: int, reason: str
) -> None:
    ledger = forged_ledger(kind, units, available, held)
    entries, balance_units = ledger.entries, ledger.balance_units
    row = Row(kind, 1, 1, units)
    for _ in range(3):
        assert apply_rows(ledger, [row]) == [reason]
        assert account_of(ledger) == Account(1, available, held)
        assert (ledger.entries, ledger.balance_units) == (entries, balance_units)
    # The id is not used up, the dispute neither begun nor over: where there is room the row applies.
    roomy = {"deposit": (0, 0), "withdrawal": (units, 0), "dispute": (units, 0)}
    ledger.restore_account(1, *roomy.get(kind, (0, units)))
    assert apply_rows(ledger, [row]) == ["applied"]


# ---- The rules and the reference -----------------------------------------------------------------


class Forge(NamedTuple):
    """An account set as no transaction left it."""

    client: int
    available: int
    held: int
    locked: bool


limits = st.sampled_from([LOW, LOW + 1, -1, 0, 1, HIGH // 2, HIGH - 1, HIGH]) | st.integers(LOW, HIGH)
forged = (
    st.builds(Forge, st.integers(1, 2), limits, limits, st.sampled_from([False, False, False, True]))
    .filter(lambda forge: LOW <= forge.available + forge.held <= HIGH)
)  # fmt: skip
edge_rows = st.builds(
    Row,
    strategies.stream_kinds,
    st.integers(1, 2),
    st.integers(1, 4),
    strategies.edge_amounts | st.integers(0, HIGH),
)


@given(strategies.short_or_long(edge_rows | edge_rows | edge_rows | forged, 40))
def test_rows_change_forged_accounts_as_in_the_reference(steps: list[Row | Forge]) -> None:
    ledger, twin = Ledger(), reference.Replay()
    for step in steps:
        if isinstance(step, Forge):
            ledger.restore_account(*step)
            twin.accounts[step.client] = reference.Account(*step)
        else:
            assert apply_rows(ledger, [step]) == [twin.apply(*step)], step
        accounts = [
            Account(client, account.available, account.held, account.locked)
            for client, account in sorted(twin.accounts.items())
        ]
        assert accounts_of(ledger) == accounts, step


@given(strategies.streams(amounts=strategies.small_amounts | strategies.edge_amounts))
def test_every_row_gets_the_status_of_the_reference(rows: list[Row]) -> None:
    twin = reference.Replay()
    ledger = Ledger()
    assert apply_rows(ledger, rows) == [twin.apply(*row) for row in rows]
    assert accounts_csv([ledger]) == twin.accounts_csv()


def test_the_statuses_are_those_of_the_rules() -> None:
    assert set(STATUSES) == {
        "applied",
        "account_locked",
        "duplicate_transaction",
        "amount_required",
        "negative_amount",
        "zero_amount",
        "insufficient_funds",
        "overflow",
        "transaction_not_found",
        "duplicate_dispute",
        "dispute_not_found",
        "dispute_not_in_progress",
        "amount_too_large",
        "chargeback_not_found",
        "duplicate_reversal",
    }
