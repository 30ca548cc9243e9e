"""A ledger that is saved as columns and restored continues like the first; impossible columns are refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import strategies
from tests.support.bare_ledger import accounts_csv, accounts_of, apply_rows, status_counts
from tests.support.columns import bits, small, words
from tests.support.reference import INT64_MAX, INT64_MIN, UINT64_MAX
from tests.support.rows import Row
from tests.support.segment_rows import rows_of_ledgers
from txfast.ledger.columns_in import REFUSALS, LedgerRestorer
from txfast.ledger.disputes_in import restore_details, restore_disputes
from txfast.ledger.figures import add_counts, counts_of
from txfast.ledger.ledger import Ledger
from txfast.ledger.policy import Policy

pytestmark = pytest.mark.unmeasured

Accounts = list[tuple[int, int, int, bool]]
Entries = list[tuple[int, int, int, int, int]]
Disputes = Sequence[tuple[int, int, int]]
Details = Sequence[tuple[int, int, int, int]]

DEPOSIT, WITHDRAWAL = 0, 1
UNDISPUTED, IN_DISPUTE, OVER, RESOLVED, CHARGED_BACK, WAS_REVERSED = 0, 1, 2, 3, 4, 8


def restore(
    accounts: Accounts,
    entries: Entries,
    shards: int = 1,
    disputes: Disputes = (),
    details: Details = (),
    policy: str = "",
) -> list[Ledger]:
    """Ledgers of these columns. Raises ValueError."""
    ledgers = [Ledger(Policy(policy)) for _ in range(shards)]
    for shard, ledger in enumerate(ledgers):
        restorer = LedgerRestorer(ledger, shard, shards)
        restorer.expect(len(entries))
        clients, available, held, locked = ([row[index] for row in accounts] for index in range(4))
        flags = bits([bool(flag) for flag in locked])
        restorer.add_accounts(len(accounts), words(clients), words(available), words(held), flags)
        owners, txs, amounts, kinds, states = ([row[index] for row in entries] for index in range(5))
        restorer.add_entries(len(entries), words(owners), words(txs), words(amounts), small(kinds), small(states))
        disputed, theirs, endings = ([row[index] for row in disputes] for index in range(3))
        restore_disputes(restorer, len(disputes), words(disputed), words(theirs), small(endings))
        restore_details(restorer, len(details), *(words([row[index] for row in details]) for index in range(4)))
        restorer.finish()
    return ledgers


def saved(ledger: Ledger) -> tuple[Accounts, Entries]:
    """The rows that a state of this ledger has."""
    rows = rows_of_ledgers([ledger])
    return (
        [(row["client"], row["available"], row["held"], bool(row["flags"])) for row in rows.accounts],
        [(row["client"], row["tx"], row["amount"], row["kind"], row["state"]) for row in rows.entries],
    )


def saved_details(ledger: Ledger) -> Details:
    """The details that a state of this ledger has."""
    return [(row["client"], row["tx"], row["refunded"], row["moved"]) for row in rows_of_ledgers([ledger]).details]


# ---- Save and restore ------------------------------------------------------------------------------


@given(
    rows=strategies.policy_streams(),
    policy=strategies.policies(),
    cut=st.integers(0, 60),
    shards=st.integers(1, 4),
)
def test_a_restored_ledger_continues_like_the_saved_one(rows: list[Row], policy: str, cut: int, shards: int) -> None:
    whole = Ledger(Policy(policy))
    apply_rows(whole, rows[:cut])
    details = saved_details(whole)
    ledgers = restore(*saved(whole), shards, (), details, policy)
    assert accounts_csv(ledgers) == accounts_csv([whole])
    assert sum(ledger.balance_units for ledger in ledgers) == whole.balance_units
    assert sum(ledger.entries for ledger in ledgers) == whole.entries
    [restored] = restore(*saved(whole), 1, (), details, policy)
    assert apply_rows(restored, rows[cut:]) == apply_rows(whole, rows[cut:])
    assert accounts_of(restored) == accounts_of(whole)
    assert sorted(saved_details(restored)) == sorted(saved_details(whole))


@given(rows=strategies.streams(amounts=strategies.edge_amounts))
def test_the_greatest_amounts_are_restored(rows: list[Row]) -> None:
    whole = Ledger()
    apply_rows(whole, rows)
    [restored] = restore(*saved(whole), 1, (), saved_details(whole))
    assert accounts_of(restored) == accounts_of(whole)


def test_deposits_whose_sum_exceeds_64_bits_are_restored() -> None:
    whole = Ledger()
    for tx in range(0, 8, 2):
        apply_rows(whole, [Row("deposit", 1, tx, INT64_MAX), Row("withdrawal", 1, tx + 1, INT64_MAX)])
    [restored] = restore(*saved(whole))
    assert accounts_of(restored) == accounts_of(whole)
    assert restored.entries == 8


def test_an_empty_ledger_is_restored_as_an_empty_one() -> None:
    ledger = Ledger()
    LedgerRestorer(ledger).finish()
    assert len(ledger) == 0


def test_accounts_after_entries_are_refused() -> None:
    restorer = LedgerRestorer(Ledger())
    restorer.add_accounts(1, words([1]), words([5]), words([0]), bits([False]))
    restorer.add_entries(1, words([1]), words([1]), words([5]), small([0]), small([0]))
    with pytest.raises(ValueError, match="accounts after entries"):
        restorer.add_accounts(1, words([2]), words([5]), words([0]), bits([False]))


@pytest.mark.slow
@pytest.mark.untraced
def test_many_entries_are_restored() -> None:
    """More entries than a chunk of the log has, and than the index has room for at first."""
    whole = Ledger()
    for start in range(0, 600_000, 100_000):
        apply_rows(whole, [Row("deposit", tx % 1000, tx, tx) for tx in range(start, start + 100_000)])
    apply_rows(whole, [Row("dispute", 999, 599_999), Row("withdrawal", 1, 1_000_000, 1)])
    accounts, entries = saved(whole)
    assert len(entries) == 600_001
    [restored] = restore(accounts, entries)
    assert accounts_of(restored) == accounts_of(whole)
    assert apply_rows(restored, [Row("resolve", 999, 599_999), Row("deposit", 5, 5, 1)]) == [
        "applied", "duplicate_transaction",
    ]  # fmt: skip


def test_counts_are_added_to_a_restored_ledger() -> None:
    whole, other = Ledger(), Ledger()
    apply_rows(whole, [Row("deposit", 1, 1, 5), Row("deposit", 1, 1, 5), Row("dispute", 1, 9)])
    add_counts(other, counts_of(whole))
    assert status_counts(other) == status_counts(whole)
    for wrong in ([], [0], [-1] * len(counts_of(whole)), ["1"] * len(counts_of(whole))):
        with pytest.raises(ValueError, match="count"):
            add_counts(other, wrong)  # type: ignore[arg-type]


# ---- Columns that no ledger can have ----------------------------------------------------------------

ACCOUNT: Accounts = [(7, 50, 30, False)]
DEPOSITS: Entries = [(7, 1, 50, DEPOSIT, UNDISPUTED), (7, 2, 30, DEPOSIT, IN_DISPUTE)]


def test_columns_just_inside_the_checks_are_restored() -> None:
    [ledger] = restore(ACCOUNT, DEPOSITS)
    assert ledger.balance_units == 80
    [ledger] = restore([(7, -80, 0, True)], [(7, 1, 80, DEPOSIT, OVER), (7, 2, 0, WITHDRAWAL, 0)])
    assert ledger.balance_units == -80
    restore([(7, 0, 0, False)], [])
    restore([(UINT64_MAX, INT64_MIN, INT64_MAX, True)], [
        (UINT64_MAX, UINT64_MAX, INT64_MAX, DEPOSIT, IN_DISPUTE), (UINT64_MAX, 0, INT64_MAX, DEPOSIT, CHARGED_BACK),
        (UINT64_MAX, 1, 0, WITHDRAWAL, 0),
    ])  # fmt: skip


def test_how_an_old_dispute_ended_follows_from_its_account() -> None:
    """Older versions saved only that it was over: for the client unless that has locked the account."""
    assert saved(restore([(7, 80, 0, False)], [(7, 1, 80, DEPOSIT, OVER)])[0])[1] == [(7, 1, 80, DEPOSIT, RESOLVED)]
    [ledger] = restore([(7, 5, 0, True)], [(7, 1, 80, DEPOSIT, OVER), (7, 2, 5, DEPOSIT, 0)])
    assert saved(ledger)[1][0] == (7, 1, 80, DEPOSIT, CHARGED_BACK)
    assert apply_rows(ledger, [Row("reversal", 7, 1)]) == ["applied"]
    # Of two, one was charged back; nothing says which.
    two: Entries = [(7, 1, 80, DEPOSIT, OVER), (7, 2, 5, DEPOSIT, OVER)]
    for available in (80, 5):
        [ledger] = restore([(7, available, 0, True)], two)
        assert saved(ledger)[1] == two
        assert apply_rows(ledger, [Row("reversal", 7, 1), Row("reversal", 7, 2)]) == ["chargeback_not_found"] * 2
        assert accounts_of(restore(*saved(ledger))[0]) == accounts_of(ledger)


@pytest.mark.parametrize(
    ("accounts", "entries", "refusal"),
    [
        (ACCOUNT * 2, DEPOSITS, "has two accounts"),
        ([(7, INT64_MAX, 1, False)], [], "does not fit"),
        ([(7, INT64_MIN, -1, False)], [], "does not fit"),
        (ACCOUNT, [*DEPOSITS, (8, 1, 1, DEPOSIT, 0)], "transaction 1 of client 8 has no account"),
        ([], DEPOSITS, "has no account"),
        (ACCOUNT, [*DEPOSITS, (7, 3, 0, 2, 0)], "neither deposit nor withdrawal"),
        (ACCOUNT, [*DEPOSITS, (7, 3, 0, 255, 0)], "neither deposit nor withdrawal"),
        *((ACCOUNT, [*DEPOSITS, (7, 3, 0, DEPOSIT, state)], "unknown state") for state in (5, 8, 10, 16, 255)),
        (ACCOUNT, [*DEPOSITS, (7, 3, -1, DEPOSIT, 0)], "has an amount below 0"),
        (ACCOUNT, [*DEPOSITS, (7, 3, 1, WITHDRAWAL, 0)], "withdrawal with an amount"),
        (ACCOUNT, [*DEPOSITS, (7, 3, 0, WITHDRAWAL, IN_DISPUTE)], "withdrawal with an amount"),
        (ACCOUNT, [*DEPOSITS, DEPOSITS[0]], "transaction 1 of client 7 is there twice"),
        (ACCOUNT, [*DEPOSITS, (7, 1, 0, WITHDRAWAL, 0)], "is there twice"),
        # Held differs from the deposits in dispute.
        ([(7, 51, 29, False)], DEPOSITS, "client 7 is not what its transactions make it"),
        ([(7, 80, 0, False)], DEPOSITS, "is not what"),
        ([(7, 0, -1, False)], [], "is not what"),
        # The total is more, or less, than the deposits.
        ([(7, 51, 30, False)], DEPOSITS, "is not what"),
        ([(7, 49, 30, False)], DEPOSITS, "is not what"),
        ([(7, -31, 30, False)], [*DEPOSITS, (7, 3, 0, WITHDRAWAL, 0)], "is not what"),
        ([(7, 1, 0, False)], [], "is not what"),
        # Locked without a dispute that is over.
        ([(7, 50, 30, True)], DEPOSITS, "is not what"),
        # The sum of the disputed amounts does not fit in 64 bits.
        ([(7, 0, -2, False)], [(7, tx, INT64_MAX, DEPOSIT, IN_DISPUTE) for tx in (1, 2)], "is not what"),
        (
            [(7, 0, INT64_MAX - 1, False)],
            [*((7, tx, INT64_MAX, DEPOSIT, IN_DISPUTE) for tx in (1, 2, 3)), (7, 4, 0, WITHDRAWAL, 0)],
            "is not what",
        ),
        # The same: modulo 2^64 it is 4, and 5 after the sum had not fitted before.
        *(
            (
                [(7, 0, 4 + more, False)],
                [
                    *((7, tx, INT64_MAX, DEPOSIT, IN_DISPUTE) for tx in (1, 2)),
                    (7, 3, 6, DEPOSIT, IN_DISPUTE),
                    (7, 4, 0, WITHDRAWAL, 0),
                ],
                "is not what",
            )
            for more in (0, 1)
        ),
    ],
)
def test_columns_that_no_ledger_can_have_are_refused(accounts: Accounts, entries: Entries, refusal: str) -> None:
    for shards in (1, 3):
        with pytest.raises(ValueError, match=refusal):
            restore(accounts, entries, shards)


@pytest.mark.parametrize(
    ("dispute", "refusal"),
    [
        ((8, 1, OVER), "transaction 1 of client 8 has no account"),
        ((7, 9, OVER), "transaction 9 of client 7 is not there"),
        ((7, 3, OVER), "withdrawal with an amount or a dispute"),
        ((7, 1, 5), "unknown state"),
        ((7, 2, UNDISPUTED), "has had a dispute undone"),
        # Held then differs from the deposits in dispute.
        ((7, 1, IN_DISPUTE), "is not what its transactions make it"),
        ((7, 2, OVER), "is not what its transactions make it"),
    ],
)
def test_dispute_states_that_the_rules_cannot_reach_are_refused(dispute: tuple[int, int, int], refusal: str) -> None:
    client, tx, state = dispute
    entries = [*DEPOSITS, (7, 3, 0, WITHDRAWAL, 0)]
    for shards in (1, 3):
        with pytest.raises(ValueError, match=refusal):
            restore(ACCOUNT, entries, shards, [(client, tx, state)])
    restore(ACCOUNT, entries, 1, [(7, 2, IN_DISPUTE)])
    with pytest.raises(ValueError, match="is not there"):
        restore_disputes(LedgerRestorer(Ledger()), 1, words([1]), words([1]), small([1]))


def test_successive_states_of_a_dispute_are_not_added_up() -> None:
    whole = Ledger()
    apply_rows(whole, [Row("deposit", 1, 1, INT64_MAX), Row("dispute", 1, 1), Row("chargeback", 1, 1)])
    accounts, entries = saved(whole)
    [restored] = restore(accounts, [(*entry[:4], 0) for entry in entries], 1, [(1, 1, IN_DISPUTE), (1, 1, OVER)])
    assert accounts_of(restored) == accounts_of(whole)


def test_deposits_in_dispute_are_summed_exactly_whatever_the_order_of_their_states() -> None:
    accounts = [(7, 0, INT64_MAX, False)]
    entries = [(7, tx, INT64_MAX, DEPOSIT, IN_DISPUTE) for tx in (1, 2)]
    entries += [(7, 3, 6, DEPOSIT, 0), (7, 4, 0, WITHDRAWAL, 0)]
    # The deposits in dispute exceed 64 bits until the second dispute is over.
    [restored] = restore(accounts, entries, 1, [(7, 2, OVER)])
    assert saved(restored)[0] == accounts
    for held in (INT64_MAX - 1, 4, 5):
        with pytest.raises(ValueError, match="is not what"):
            restore([(7, 0, held, False)], entries, 1, [(7, 3, IN_DISPUTE)])


def test_each_refusal_has_its_own_words() -> None:
    assert len(set(REFUSALS)) == 13


@pytest.mark.parametrize("index", range(4))
def test_columns_of_accounts_that_are_too_short_are_refused(index: int) -> None:
    columns = [words([1] * 9)] * 3 + [bits([False] * 9)]
    columns[index] = columns[index][:-1]
    with pytest.raises(ValueError, match="column of"):
        LedgerRestorer(Ledger()).add_accounts(9, *columns)


@pytest.mark.parametrize("index", range(5))
def test_columns_of_entries_that_are_too_short_are_refused(index: int) -> None:
    columns = [words([1] * 9)] * 3 + [small([0] * 9)] * 2
    columns[index] = columns[index][:-1]
    with pytest.raises(ValueError, match="column of"):
        LedgerRestorer(Ledger()).add_entries(9, *columns)


def misuse() -> list[Callable[[], object]]:
    full = Ledger()
    apply_rows(full, [Row("deposit", 1, 1, 1)])
    return [
        lambda: LedgerRestorer(full),
        lambda: LedgerRestorer(Ledger(), 2, 2),
        lambda: LedgerRestorer(Ledger()).add_accounts(1, *[memoryview(bytes(80))[1:]] * 4),
    ]


@pytest.mark.parametrize("number", range(3))
def test_misuse_is_refused(number: int) -> None:
    with pytest.raises((ValueError, IndexError)):
        misuse()[number]()
