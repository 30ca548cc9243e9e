"""Opening balances in a ledger: accounts with money that no row has brought."""

from __future__ import annotations

from array import array

import pytest

from tests.support.columns import bits, small, words
from tests.support.rows import make_batch
from tests.support.segment_rows import SavedRows, rows_of_ledgers
from txfast.ledger.columns_in import LedgerRestorer
from txfast.ledger.ledger import Ledger
from txfast.ledger.openings import account_number, bytes_with_openings, open_accounts, restore_openings
from txfast.ledger.policy import Policy

# Of a slot in the table of accounts, and of the details of an account.
ACCOUNT_BYTES, DETAIL_BYTES = 32, 24


def opened(openings: dict[int, int], policy: Policy | None = None) -> Ledger:
    ledger = Ledger(policy)
    assert open_accounts(ledger, array("Q", openings), array("q", openings.values())) == len(openings)
    return ledger


def begin_restoring(rows: SavedRows, ledger: Ledger) -> LedgerRestorer:
    """Add the accounts that were saved."""
    clients, available, held = ([row[name] for row in rows.accounts] for name in ("client", "available", "held"))
    restorer = LedgerRestorer(ledger)
    flags = bits([bool(row["flags"]) for row in rows.accounts])
    restorer.add_accounts(len(clients), words(clients), words(available), words(held), flags)
    return restorer


def columns_of_openings(rows: SavedRows) -> tuple[int, memoryview, memoryview]:
    """How many opening balances were saved, and their columns."""
    clients, units = ([row[name] for row in rows.openings] for name in ("client", "opening"))
    return len(clients), words(clients), words(units)


def test_an_account_begins_with_its_opening_balance() -> None:
    ledger = opened({7: 5, 1: -3, 2: 0})
    assert [ledger.account(client) for client in (7, 1, 2)] == [(5, 0, False), (-3, 0, False), (0, 0, False)]
    assert ledger.balance_units == 2
    assert ledger.entries == 0


def test_a_client_that_has_an_account_is_refused_and_those_before_it_are_opened() -> None:
    ledger = opened({7: 5})
    assert open_accounts(ledger, array("Q", [8, 7, 9]), array("q", [1, 2, 3])) == 1
    assert ledger.account(8) == (1, 0, False)
    assert ledger.account(7) == (5, 0, False)
    assert ledger.account(9) is None
    assert (account_number(ledger, 7), account_number(ledger, 8)) == (0, 1)
    with pytest.raises(KeyError):
        account_number(ledger, 9)
    with pytest.raises(KeyError):
        account_number(Ledger(), 9)


def test_each_shard_opens_its_own_clients() -> None:
    clients, units = array("Q", range(100)), array("q", range(100))
    ledgers = [Ledger() for _ in range(3)]
    for shard, ledger in enumerate(ledgers):
        assert open_accounts(ledger, clients, units, shard=shard, shard_count=3) == 100
    assert sum(map(len, ledgers)) == 100
    assert sum(ledger.balance_units for ledger in ledgers) == sum(range(100))


def test_columns_of_other_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="1 opening balances of 2 clients"):
        open_accounts(Ledger(), array("Q", [1, 2]), array("q", [1]))


def test_an_opening_balance_takes_memory_that_the_limit_counts() -> None:
    assert bytes_with_openings(Ledger(), 1 << 20) > Ledger().bytes_with(0) + (ACCOUNT_BYTES + DETAIL_BYTES) * (1 << 20)


def test_an_opening_balance_is_no_transaction() -> None:
    ledger = opened({1: 50_000})
    ledger.apply(make_batch([b"dispute,1,0,", b"refund,1,0,1", b"deposit,1,0,1"]))
    assert ledger.account(1) == (60_000, 0, False)


def test_saved_openings_prove_the_accounts() -> None:
    ledger = opened({1: 50_000, 2: -20_000, 3: 0})
    ledger.apply(make_batch([b"withdrawal,1,1,4", b"deposit,2,2,1"]))
    rows = rows_of_ledgers([ledger])
    assert len(rows.openings) == 2
    restored = Ledger()
    restorer = begin_restoring(rows, restored)
    columns = [[row[name] for row in rows.entries] for name in ("client", "tx", "amount", "kind", "state")]
    restorer.add_entries(2, *map(words, columns[:3]), *map(small, columns[3:]))
    restore_openings(restorer, *columns_of_openings(rows))
    restorer.finish()
    assert [restored.account(client) for client in (1, 2, 3)] == [ledger.account(client) for client in (1, 2, 3)]


@pytest.mark.parametrize("wrong", [0, 40_000])
def test_an_account_that_its_opening_balance_does_not_explain_is_refused(wrong: int) -> None:
    restorer = begin_restoring(rows_of_ledgers([opened({1: 50_000})]), Ledger())
    if wrong:
        restore_openings(restorer, 1, words([1]), words([wrong]))
    with pytest.raises(ValueError, match="the account of client 1 is not what its transactions make it"):
        restorer.finish()


@pytest.mark.parametrize(
    ("clients", "units", "words"),
    [
        ([2], [1], "client 2 has an opening balance and no account"),
        ([1], [0], "of 0, or two of them"),
        ([1, 1], [1, 1], "of 0, or two of them"),
    ],
)
def test_saved_openings_that_no_ledger_has_are_refused(clients: list[int], units: list[int], words: str) -> None:
    restored = Ledger()
    columns = [bytearray(array("Q", [1])), *(bytearray(8) for _ in range(3))]
    restorer = LedgerRestorer(restored)
    restorer.add_accounts(1, *columns)
    with pytest.raises(ValueError, match=words):
        restore_openings(restorer, len(clients), bytearray(array("Q", clients)), bytearray(array("q", units)))


def test_an_account_that_was_overdrawn_from_the_start_is_proven() -> None:
    """The total may be below 0, as far as the opening balance was."""
    rows = rows_of_ledgers([opened({1: -50_000})])
    restored = Ledger()
    restorer = begin_restoring(rows, restored)
    restore_openings(restorer, *columns_of_openings(rows))
    restorer.finish()
    assert restored.account(1) == (-50_000, 0, False)


def test_a_chargeback_counts_beside_an_opening_balance() -> None:
    """The details of an account keep both: the number of chargebacks that stand, and the opening balance."""
    ledger = opened({1: 10_000}, Policy("locked=disputes"))
    rows = [
        b"deposit,1,1,1",
        b"deposit,1,2,1",
        b"dispute,1,1,",
        b"dispute,1,2,",
        b"chargeback,1,1,",
        b"chargeback,1,2,",
    ]
    ledger.apply(make_batch(rows))
    assert ledger.account(1) == (10_000, 0, True)
    ledger.apply(make_batch([b"reversal,1,1,"]))
    assert ledger.account(1) == (20_000, 0, True)
    ledger.apply(make_batch([b"reversal,1,2,"]))
    assert ledger.account(1) == (30_000, 0, False)
