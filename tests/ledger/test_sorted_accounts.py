"""Accounts are sorted by client, for any distribution of clients, and stay in order where clients are equal."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bare_ledger import Account, accounts_csv, parse_accounts
from tests.support.reference import UINT64_MAX
from txfast.ledger.ledger import Ledger
from txfast.ledger.sorted_accounts import AccountColumns

pytestmark = pytest.mark.unmeasured

clients = st.one_of(st.integers(0, UINT64_MAX), st.integers(0, 50), st.sampled_from([UINT64_MAX, UINT64_MAX - 1]))


def ledgers_of(accounts: Sequence[Sequence[Account]]) -> list[Ledger]:
    """A ledger for each of these sequences of accounts."""
    ledgers = []
    for each in accounts:
        ledger = Ledger()
        for account in each:
            ledger.restore_account(*account)
        ledgers.append(ledger)
    return ledgers


def assert_sorted(accounts: Sequence[Sequence[Account]]) -> None:
    """The accounts of these ledgers come out by client; those of one client in the order of the ledgers."""
    ledgers = ledgers_of(accounts)
    expected = sorted((account for each in accounts for account in each), key=lambda account: account.client)
    assert parse_accounts(accounts_csv(ledgers)) == expected
    columns = AccountColumns(ledgers)
    assert columns.available_units == sum(account.available for account in expected)
    assert columns.held_units == sum(account.held for account in expected)
    assert columns.locked_count == sum(account.locked for account in expected)


@given(st.lists(st.sets(clients, max_size=80), max_size=6))
def test_accounts_are_sorted_even_where_ledgers_share_clients(owners: list[set[int]]) -> None:
    assert_sorted([
        [Account(client, index, client % 3 * index, index % 2 == 0) for client in sorted(each)]
        for index, each in enumerate(owners)
    ])  # fmt: skip


@given(st.sets(clients, max_size=80), st.data())
def test_an_account_is_found_by_index_and_by_client(owners: set[int], data: st.DataObject) -> None:
    expected = [Account(client, client % 1000 - 500, client % 7, client % 2 == 0) for client in sorted(owners)]
    columns = AccountColumns(ledgers_of([expected]))
    chosen = range(len(expected))[slice(*data.draw(st.tuples(*[st.none() | st.integers(-90, 90)] * 2)))]
    if data.draw(st.booleans()):
        chosen = chosen[::-1]
    part = columns.part(chosen.start, chosen.step, len(chosen))
    assert len(part) == len(chosen)
    rows = [expected[index] for index in chosen]
    assert [part.account(index) for index in range(len(part))] == [
        (row.client, row.available, row.held, row.locked) for row in rows
    ]
    assert part.available_units == sum(row.available for row in rows)
    assert part.held_units == sum(row.held for row in rows)
    assert part.locked_count == sum(row.locked for row in rows)
    indices = {row.client: index for index, row in enumerate(rows)}
    for client in [*owners, 0, 51, UINT64_MAX]:
        assert part.find(client) == indices.get(client, -1)


def test_no_account_is_taken_from_outside() -> None:
    columns = AccountColumns(ledgers_of([[Account(1, 1, 0), Account(2, 2, 0)]]))
    for index in (-1, 2):
        with pytest.raises(IndexError, match=f"no account {index} of 2"):
            columns.account(index)
    for first, step, count in ((0, 1, 3), (2, 1, 1), (-1, 1, 1), (0, -1, 2), (1, 2, 2)):
        with pytest.raises(IndexError, match="no accounts"):
            columns.part(first, step, count)
    assert len(columns.part(5, 1, 0)) == 0


@pytest.mark.parametrize("client", [0, 7, UINT64_MAX])
@pytest.mark.parametrize("count", [2, 32, 33, 120])
def test_any_number_of_accounts_of_one_client_stay_in_the_order_of_their_ledgers(client: int, count: int) -> None:
    assert_sorted([[Account(client, count - index, index % 5, index % 7 == 0)] for index in range(count)])


def test_accounts_of_one_client_stay_in_order_among_those_of_others() -> None:
    shared = [
        [Account(2**40, index, 1, index == 3), Account(2**40 + 1, -index, index)] for index in range(100)
    ]  # fmt: skip
    others = [Account(client * 2**32, client, 0) for client in range(1000) if client != 2**8]
    assert_sorted([*shared, others])


def test_clients_that_crowd_together_are_sorted() -> None:
    rng = random.Random(6)
    spread = [rng.getrandbits(64) for _ in range(3_000)]
    crowded = [2**63 + index for index in range(3_000)] + [2**20 * index for index in range(3_000)]
    near = [UINT64_MAX - rng.randrange(10_000) for _ in range(3_000)]
    chosen = list(dict.fromkeys([*spread, *crowded, *near]))
    rng.shuffle(chosen)
    assert_sorted([[Account(client, index, index % 11) for index, client in enumerate(chosen)]])
