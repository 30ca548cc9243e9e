"""A ledger that loads what rows need, and is sealed day by day, does what one ledger does over all rows."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import strategies
from tests.support.bare_ledger import accounts_csv
from tests.support.currencies import CURRENCY_SETTINGS, owner_of
from tests.support.profiles import examples
from tests.support.reference import Replay, format_amount
from tests.support.rows import Row
from tests.support.stored import StoredState, accounts_in, batch_of, entries_in, statuses_of
from tests.support.text_ids import TEXT_SETTINGS, id_written, quoted
from txfast.dialect.dialect import Dialect
from txfast.ledger.ledger import Ledger
from txfast.ledger.openings import open_accounts
from txfast.ledger.policy import Policy
from txfast.ledger.route import route
from txfast.readers.balance_columns import OPENING
from txfast.readers.balance_csv import BalanceCsvReader
from txfast.readers.balance_form import given_form
from txfast.readers.balance_rows import BalanceRows
from txfast.store.active import ActiveAccounts
from txfast.store.prefetch import prefetch, prefetch_accounts

pytestmark = pytest.mark.unmeasured

any_dialects = st.sampled_from([{}, {}, *TEXT_SETTINGS, *CURRENCY_SETTINGS]).map(Dialect)


def cut(data: st.DataObject, rows: Sequence[Row], most: int) -> list[Sequence[Row]]:
    """Pieces of rows, each of at most so many."""
    pieces = []
    while rows:
        size = data.draw(st.integers(1, most))
        pieces.append(rows[:size])
        rows = rows[size:]
    return pieces


def opening_rows(number: int, units: int, dialect: Dialect) -> BalanceRows:
    """The opening balance of the account that rows have by this number, as a file of balances has it."""
    header, client = b"client,available", number
    if dialect.currencies is not None:
        header, (client, code) = b"client,ccy,available", owner_of(number)
        client_text = id_written(dialect, "client", client) + b"," + quoted(code)
    else:
        client_text = id_written(dialect, "client", client)
    content = b"%s\n%s,%s\n" % (header, client_text, format_amount(units).encode())
    reader = BalanceCsvReader(io.BytesIO(content), "opening.csv", OPENING, given_form(dialect))
    assert reader.fill()
    assert reader.rows is not None
    assert len(reader.rows) == 1
    return reader.rows


class Days:
    """A state to which each day adds, beside one ledger to which the same rows are applied."""

    def __init__(self, data: st.DataObject, folder: Path, dialect: Dialect, policy: str) -> None:
        self.data = data
        self.draw = data.draw
        self.dialect = dialect
        self.state = StoredState(folder, dialect, policy)
        self.whole = Ledger(Policy(policy), dialect.text_ids)
        self.reference = Replay(policy) if dialect.text_ids is None else None

    def live(self, rows: Sequence[Row]) -> None:
        """A day: new ledgers, which are sealed at its end, and before that now and then."""
        shards = self.draw(st.integers(1, 3))
        actives = [ActiveAccounts(self.state.new_ledger()) for _ in range(shards)]
        if self.draw(strategies.one_in(4)):
            self.open_accounts(actives)
        for group in cut(self.data, rows, 12):
            self.apply(actives, group)
            if self.draw(strategies.one_in(3)):
                self.seal(actives)
        self.seal(actives)

    def apply(self, actives: Sequence[ActiveAccounts], rows: Sequence[Row]) -> None:
        """Apply rows, as several batches that are prefetched together."""
        batches = []
        for piece in cut(self.data, rows, 6):
            expected = batch_of(piece, self.dialect)
            self.whole.apply(expected)
            if self.reference is not None:
                assert statuses_of(expected) == [self.reference.apply(*row) for row in piece]
            batch = batch_of(piece, self.dialect)
            if len(actives) > 1:
                route(batch, len(actives))
            batches.append((batch, statuses_of(expected)))
        for shard, active in enumerate(actives):
            prefetch(active, self.state.view, [batch for batch, _ in batches], shard, len(actives))
            for batch, _ in batches:
                active.ledger.apply(batch, shard=shard)
        assert [statuses_of(batch) for batch, _ in batches] == [expected for _, expected in batches]

    def open_accounts(self, actives: Sequence[ActiveAccounts]) -> None:
        """Open an account with an opening balance, if its client has none."""
        number, units = self.draw(st.integers(1, 9)), self.draw(st.integers(-5, 5))
        rows = opening_rows(number, units, self.dialect)
        places: dict[str, Any] = {
            "names": rows.name_texts, "name_starts": rows.name_starts, "currencies": rows.currency_numbers,
        }  # fmt: skip
        opened = open_accounts(self.whole, rows.clients, rows.units("available"), **places)
        if opened and self.reference is not None:
            self.reference.open({number: units})
        client, currency = rows.client_of(0), 0 if rows.currency_numbers is None else rows.currency_numbers[0]
        for shard, active in enumerate(actives):
            places |= {"shard": shard, "shard_count": len(actives)}
            prefetch_accounts(active, self.state.view, rows.clients, **places)
            assert not opened or not active.has_saved(client, currency)
            found = open_accounts(active.ledger, rows.clients, rows.units("available"), **places)
            assert found in (opened, 1)

    def seal(self, actives: Sequence[ActiveAccounts]) -> None:
        """Add to the state what the ledgers have; nothing is left to add then."""
        self.state.seal(actives, range_rows_max=self.draw(st.sampled_from([None, None, 1, 3])))
        nothing = self.state.seal(actives)
        assert [nothing.accounts, nothing.entries, nothing.changes] == [[], [], []]
        assert (nothing.new_accounts, nothing.new_entries, nothing.balance_units) == (0, 0, 0)

    def merge(self) -> None:
        """Merge some runs of a sort."""
        sort = self.draw(st.sampled_from(["accounts", "entries", "changes"]))
        runs = len(self.state.runs[sort])
        if runs > 1:
            first = self.draw(st.integers(0, runs - 2))
            self.state.merge(sort, first, self.draw(st.integers(2, runs - first)))

    def check(self) -> None:
        """The state has what the ledger has."""
        state, whole = self.state, self.whole
        assert (state.accounts, state.entries, state.balance_units) == (len(whole), whole.entries, whole.balance_units)
        restored = state.restored(self.draw(st.integers(1, 3)))
        assert accounts_in(restored, state.dialect) == accounts_in([whole], state.dialect)
        assert entries_in(restored, state.dialect) == entries_in([whole], state.dialect)
        if self.reference is not None:
            assert self.reference.accounts_csv() == accounts_csv(restored)


@given(rows=strategies.policy_streams(), policy=strategies.policies(), dialect=any_dialects, data=st.data())
@examples(4)
def test_days_over_a_state_are_as_one_ledger_over_all_rows(
    rows: list[Row], policy: str, dialect: Dialect, data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        days = Days(data, Path(folder), dialect, policy)
        for day in cut(data, rows, 30):
            days.live(day)
            if data.draw(st.booleans()):
                days.merge()
        days.check()
