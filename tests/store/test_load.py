"""What is loaded of a state into a ledger: many rows at once, one client by itself, and nothing that cannot be."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support.currencies import CURRENCY_HEADER, CURRENCY_SETTINGS
from tests.support.rows import Row
from tests.support.stored import StoredState, accounts_in, batch_of, entries_in, statuses_of
from tests.support.text_ids import TEXT_SETTINGS, lines_as_batch
from txfast.batch.batch import TransactionBatch
from txfast.dialect.dialect import Dialect
from txfast.dialect.text_ids import KEY_BYTES, TextIds
from txfast.errors import StateError
from txfast.ledger.ledger import Ledger
from txfast.ledger.policy import Policy
from txfast.ledger.route import route
from txfast.store.active import ActiveAccounts
from txfast.store.client_loader import load_client
from txfast.store.prefetch import prefetch, prefetch_accounts
from txfast.store.seal import seal
from txfast.store.segment_writer import RunWriter

pytestmark = pytest.mark.unmeasured

NUMBERS = Dialect()
TEXTS = Dialect({"ids": "text"})
SETTINGS = [{}, *TEXT_SETTINGS, *CURRENCY_SETTINGS]
DEPOSIT, WITHDRAWAL = 0, 1


def live(state: StoredState, batches: Iterable[TransactionBatch], at_once: int = 1) -> list[str]:
    """A day over a state. Returns the status of each row."""
    active = ActiveAccounts(state.new_ledger())
    batches = list(batches)
    for first in range(0, len(batches), at_once):
        group = batches[first : first + at_once]
        prefetch(active, state.view, group)
        for batch in group:
            active.ledger.apply(batch)
    state.seal([active], range_rows_max=1_000)
    return [status for batch in batches for status in statuses_of(batch)]


def batches_of(rows: Sequence[Row], dialect: Dialect, size: int = 3_000) -> list[TransactionBatch]:
    return [batch_of(rows[first : first + size], dialect) for first in range(0, len(rows), size)]


# ---- Many rows -----------------------------------------------------------------------------------


@pytest.mark.untraced
@pytest.mark.parametrize("settings", SETTINGS)
def test_each_of_many_transactions_is_found_again(tmp_path: Path, settings: dict[str, str]) -> None:
    dialect = Dialect(settings)
    state = StoredState(tmp_path, dialect)
    keys = [(number % 700, number) for number in range(20_000)]
    Random(1).shuffle(keys)
    deposits = [Row("deposit", client, tx, 10_000) for client, tx in keys]
    disputes = [Row("dispute", client, tx) for client, tx in keys]
    assert set(live(state, batches_of(deposits, dialect))) == {"applied"}
    assert set(live(state, batches_of(deposits, dialect), 3)) == {"duplicate_transaction"}
    assert set(live(state, batches_of(disputes, dialect), 2)) == {"applied"}
    assert set(live(state, batches_of(disputes, dialect), 9)) == {"duplicate_dispute"}
    resolves = [Row("resolve", client, tx) for client, tx in keys[::2]]
    assert set(live(state, batches_of(resolves, dialect), 9)) == {"applied"}
    assert (state.accounts, state.entries, state.balance_units) == (700, 20_000, 20_000 * 10_000)
    [restored] = state.restored()
    assert sum(held for _, _, held, *_ in accounts_in([restored], dialect)) == 10_000 * 10_000


def test_a_client_may_have_accounts_in_many_currencies(tmp_path: Path) -> None:
    """They have the same word: so their rows are in the order of their codes, for one id of many as well."""
    dialect = Dialect({"columns.currency": "ccy"})
    state = StoredState(tmp_path, dialect)
    keys = [(b"%d" % tx, b"C%d" % code) for tx in range(5) for code in range(400)]
    Random(2).shuffle(keys)

    def batch(kind: bytes, amount: bytes) -> TransactionBatch:
        lines = [b"%s,7,%s,%s,%s" % (kind, tx, amount, code) for tx, code in keys]
        return lines_as_batch(lines, dialect, CURRENCY_HEADER)

    assert set(live(state, [batch(b"deposit", b"1")])) == {"applied"}
    assert set(live(state, [batch(b"deposit", b"1")])) == {"duplicate_transaction"}
    assert set(live(state, [batch(b"dispute", b""), batch(b"dispute", b"")], 2)) == {"applied", "duplicate_dispute"}
    assert state.accounts == 400
    ledger = state.new_ledger()
    load_client(ledger, state.view, 7)
    assert accounts_in([ledger], dialect) == accounts_in(state.restored(), dialect)
    assert entries_in([ledger], dialect) == entries_in(state.restored(), dialect)


def test_a_transaction_that_rows_name_again_and_again_is_one_change(tmp_path: Path) -> None:
    state = StoredState(tmp_path, NUMBERS, "redispute=after-resolve")
    live(state, batches_of([Row("deposit", 1, tx, 10_000) for tx in range(1, 4)], NUMBERS))
    rows = [Row(kind, 1, tx) for _ in range(500) for tx in (1, 2) for kind in ("dispute", "resolve")]
    assert set(live(state, batches_of(rows, NUMBERS, 7))) == {"applied"}
    assert [segment.rows for run in state.runs["changes"] for segment in run] == [2]
    assert len(state.runs["accounts"]) == 1, "nothing of the account is otherwise"
    rows = [Row(kind, 1, 3) for kind in ("dispute", "resolve", "dispute", "resolve")]
    live(state, batches_of(rows, NUMBERS))
    assert set(live(state, batches_of(rows[:2] * 9, NUMBERS, 3))) == {"applied"}
    assert len(state.runs["changes"]) == 2, "it is resolved as before"


def entries_for(state: StoredState, rows: Sequence[Row]) -> int:
    """How many entries the rows need of the state."""
    active = ActiveAccounts(state.new_ledger())
    prefetch(active, state.view, [batch_of(rows, state.dialect)])
    return active.ledger.entries


LOCKED = [
    ("locked=closed", {"reversal"}),
    ("locked=deposits", {"deposit", "reversal"}),
    ("locked=disputes", {"dispute", "resolve", "chargeback", "reversal"}),
    ("locked=deposits+disputes", {"deposit", "dispute", "resolve", "chargeback", "reversal"}),
]


@pytest.mark.parametrize(("policy", "taken"), LOCKED)
def test_of_a_locked_account_only_what_its_rows_can_meet_is_loaded(
    tmp_path: Path, policy: str, taken: set[str]
) -> None:
    state = StoredState(tmp_path, NUMBERS, policy)
    rows = [Row("deposit", 1, 1, 10_000), Row("dispute", 1, 1), Row("chargeback", 1, 1)]
    assert set(live(state, batches_of(rows, NUMBERS))) == {"applied"}
    kinds = ["deposit", "withdrawal", "dispute", "resolve", "chargeback", "refund", "reversal"]
    assert {kind for kind in kinds if entries_for(state, [Row(kind, 1, 1, 10_000)])} == taken
    # A reversal unlocks it for the rows behind it.
    rows = [Row("reversal", 1, 1), Row("deposit", 1, 1, 10_000)]
    assert entries_for(state, rows[::-1]) == entries_for(state, rows) == 1
    assert live(state, batches_of(rows, NUMBERS)) == ["applied", "duplicate_transaction"]


def test_ids_that_grow_need_nothing_of_the_state(tmp_path: Path) -> None:
    """Also where an account has other ones than most, and where rows name transactions of the same day."""
    state = StoredState(tmp_path, NUMBERS)
    live(state, batches_of([Row("deposit", 1, 900, 10_000), Row("deposit", 2, 7, 10_000)], NUMBERS))
    rows = [Row("deposit", 1, 901, 10_000), Row("withdrawal", 2, 8, 10_000), Row("dispute", 1, 901)]
    assert entries_for(state, rows) == 0
    assert entries_for(state, [*rows, Row("dispute", 2, 7), Row("deposit", 1, 900, 1)]) == 2
    ignoring = StoredState(tmp_path, NUMBERS, "withdrawal-ids=ignored")
    ignoring.runs = state.runs
    assert entries_for(ignoring, [Row("withdrawal", 2, 7, 1)]) == 0


def test_what_was_loaded_before_is_known_as_the_states(tmp_path: Path) -> None:
    """Whichever call has loaded it, and whether it can be disputed."""
    state = StoredState(tmp_path, NUMBERS)
    live(state, batches_of([Row("deposit", 1, tx, 10_000) for tx in range(9)], NUMBERS))
    live(state, batches_of([Row("withdrawal", 1, tx, 10_000) for tx in range(9, 12)], NUMBERS))
    rows = [Row("dispute", 1, tx) for tx in range(12)]
    rows += [Row("resolve", 1, tx) for tx in (8, 0, 4, 11, 9, 10)]
    found = live(state, batches_of(rows, NUMBERS, 1))
    assert found == ["applied"] * 9 + ["transaction_not_found"] * 3 + ["applied"] * 3 + ["dispute_not_found"] * 3
    assert [segment.rows for run in state.runs["changes"] for segment in run] == [9]


def test_a_ledger_that_is_cleared_loads_again(tmp_path: Path) -> None:
    state = StoredState(tmp_path, NUMBERS)
    live(state, batches_of([Row("deposit", 1, 1, 10_000)], NUMBERS))
    ledger = state.new_ledger()
    for amount in (5_000, 7_000):
        active = ActiveAccounts(ledger)
        prefetch(active, state.view, [batch_of([Row("withdrawal", 1, 2, amount)], NUMBERS)])
        batch = batch_of([Row("withdrawal", 1, 2, amount), Row("dispute", 1, 1)], NUMBERS)
        active.ledger.apply(batch)
        assert active.ledger.account(1) == (10_000 - amount, 0, False)
        assert active.has_saved(1)
        ledger.clear()
        active = ActiveAccounts(ledger)
        assert active.new_entries == 0
        assert not active.has_saved(1)


def test_of_a_batch_that_was_routed_the_rows_of_the_shard_are_looked_up(tmp_path: Path) -> None:
    state = StoredState(tmp_path, NUMBERS)
    rows = [Row("deposit", client, 1, 10_000) for client in range(100)]
    live(state, batches_of(rows, NUMBERS))
    batch = batch_of(rows, NUMBERS)
    route(batch, 3)
    ledgers = [state.new_ledger() for _ in range(3)]
    for shard, ledger in enumerate(ledgers):
        prefetch(ActiveAccounts(ledger), state.view, [batch], shard, 3)
        assert len(ledger) == batch.shard_rows(shard)
    assert sum(map(len, ledgers)) == 100
    with pytest.raises(ValueError, match="a batch of 3 shards, where there are 2"):
        prefetch(ActiveAccounts(state.new_ledger()), state.view, [batch], 0, 2)
    with pytest.raises(IndexError):
        prefetch(ActiveAccounts(state.new_ledger()), state.view, [batch], 3, 3)


def test_several_threads_look_up_at_once(tmp_path: Path) -> None:
    """Each for a ledger of its own."""
    state = StoredState(tmp_path, NUMBERS)
    rows = [Row("deposit", number % 5_000, number, 10_000) for number in range(20_000)]
    live(state, batches_of(rows, NUMBERS))
    state = reopened(state)
    batches = batches_of([Row("dispute", client, tx) for _, client, tx, _ in rows], NUMBERS)
    actives = [ActiveAccounts(state.new_ledger()) for _ in range(4)]
    for batch in batches:
        route(batch, 4)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda shard: prefetch(actives[shard], state.view, batches, shard, 4), range(4)))
    assert sum(len(active.ledger) for active in actives) == 5_000
    assert sum(active.ledger.entries for active in actives) == 20_000


def reopened(state: StoredState) -> StoredState:
    """The same state, of which nothing was read."""
    other = StoredState(Path(), state.dialect)
    for sort, runs in state.runs.items():
        other.runs[sort] = [other.take(sort, [(each.path, each.description) for each in run]) for run in runs]
    return other


def test_a_seal_that_was_not_marked_is_made_again(tmp_path: Path) -> None:
    """As where the folder of its files was lost."""
    state = StoredState(tmp_path, NUMBERS)
    live(state, batches_of([Row("deposit", 1, 1, 10_000)], NUMBERS))
    active = ActiveAccounts(state.new_ledger())
    for tx in (2, 3):
        batch = batch_of([Row("deposit", client, tx, 10_000) for client in (1, tx)] + [Row("dispute", 1, 1)], NUMBERS)
        prefetch(active, state.view, [batch])
        active.ledger.apply(batch)
        sealed = seal([active], state.path_of, state.forms, durable=False)
        assert (sealed.new_accounts, sealed.new_entries) == (tx - 1, 2 * (tx - 1))
    state.seal([active])
    assert (state.accounts, state.entries) == (3, 5)
    assert [restored.account(1) for restored in state.restored()] == [(20_000, 10_000, False)]


def test_what_is_taken_beside_a_ledger_is_known_before(tmp_path: Path) -> None:
    state = StoredState(tmp_path, NUMBERS)
    active = ActiveAccounts(state.new_ledger())
    assert active.bytes_beside(0) == 0
    most = active.bytes_beside(9_000)
    for batch in batches_of([Row("deposit", client, 2, 10_000) for client in range(9_000)], NUMBERS):
        active.ledger.apply(batch)
    assert 9_000 * 64 < active.bytes_beside(0) <= most  # what the state has of each account, and what is written
    assert active.bytes_beside(9_000) > active.bytes_beside(0)


# ---- One client ----------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", SETTINGS)
def test_a_client_is_loaded_by_itself(tmp_path: Path, settings: dict[str, str]) -> None:
    dialect = Dialect(settings)
    state = StoredState(tmp_path, dialect, "card")
    rows = [Row("deposit", number % 40, number, 10_000) for number in range(400)]
    live(state, batches_of(rows, dialect, 50))
    rows = [Row(kind, number % 40, number) for number in range(0, 400, 3) for kind in ("dispute", "chargeback")]
    rows += [Row("refund", number % 40, number, 2_500) for number in range(0, 400, 7)]
    live(state, batches_of(rows, dialect, 50))
    restored = state.restored()
    accounts, entries = accounts_in(restored, dialect), entries_in(restored, dialect)
    clients = sorted({client for (client, _), *_ in accounts})
    for client in clients[:9]:
        ledger = state.new_ledger()
        load_client(ledger, state.view, client)
        assert accounts_in([ledger], dialect) == [row for row in accounts if row[0][0] == client]
        assert entries_in([ledger], dialect) == [row for row in entries if row[0] == client]
    ledger = state.new_ledger()
    for client in clients:
        load_client(ledger, state.view, client)
    assert accounts_in([ledger], dialect) == accounts
    assert entries_in([ledger], dialect) == entries


@pytest.mark.parametrize(("dialect", "unknown"), [(NUMBERS, [0, 2**64 - 1]), (TEXTS, [b"", b"none", b"x" * 256])])
def test_of_a_client_that_the_state_does_not_have_nothing_is_loaded(
    tmp_path: Path, dialect: Dialect, unknown: list[int | bytes]
) -> None:
    state = StoredState(tmp_path, dialect)
    live(state, batches_of([Row("deposit", 1, 1, 10_000)], dialect))
    for client in unknown:
        ledger = state.new_ledger()
        load_client(ledger, state.view, client)
        assert len(ledger) == 0


# ---- What cannot be ------------------------------------------------------------------------------


def state_of(
    folder: Path, accounts: list[tuple[Any, ...]], entries: list[tuple[Any, ...]], dialect: Dialect, policy: str
) -> StoredState:
    """A state of these rows."""
    state = StoredState(folder, dialect, policy)
    for sort, rows in (("accounts", accounts), ("entries", entries)):
        writer = RunWriter(sort, state.path_of, state.forms[sort], True)
        for row in rows:
            writer.add_row(row)
        state.runs[sort].append(state.take(sort, writer.finish(False)))
    return state


REFUSED = [
    ("", (1, None, 5, 70, WITHDRAWAL, 0, 0, 0), "is a withdrawal with an amount or a dispute"),
    ("withdrawal-ids=ignored", (1, None, 5, 0, WITHDRAWAL, 0, 0, 0), "is neither deposit nor withdrawal"),
    ("", (1, None, 5, 70, DEPOSIT, 1, 0, 69), "has other amounts refunded or in dispute than it can"),
    ("withdrawal-dispute=hold", (1, None, 5, 70, WITHDRAWAL, 0, 9, 0), "has other amounts refunded or in dispute"),
]


@pytest.mark.parametrize(("policy", "entry", "words"), REFUSED)
def test_an_entry_that_the_policy_cannot_have_made_is_refused(
    tmp_path: Path, policy: str, entry: tuple[Any, ...], words: str
) -> None:
    state = state_of(tmp_path, [(1, None, 70, 0, 9, 0, 0, 0)], [entry], NUMBERS, policy)
    found = rf"[0-9]\.arrow: is damaged: page 1: transaction 5 of client 1 {words}"
    with pytest.raises(StateError, match=found):
        prefetch(ActiveAccounts(state.new_ledger()), state.view, [batch_of([Row("dispute", 1, 5)], NUMBERS)])
    with pytest.raises(StateError, match=found):
        load_client(state.new_ledger(), state.view, 1)


def test_an_entry_without_an_account_is_refused(tmp_path: Path) -> None:
    dialect = Dialect({"columns.currency": "ccy"})
    entries = [(1, b"EUR", 5, 70, DEPOSIT, 0, 0, 0), (1, b"USD", 6, 70, DEPOSIT, 0, 0, 0)]
    state = state_of(tmp_path, [(1, b"EUR", 70, 0, 5, 0, 0, 0)], entries, dialect, "")
    with pytest.raises(StateError, match=r"is damaged: page 1: transaction 6 of client 1 in USD has no account"):
        load_client(state.new_ledger(), state.view, 1)


def test_a_client_is_not_loaded_twice(tmp_path: Path) -> None:
    state = state_of(tmp_path, [(1, None, 70, 0, 5, 0, 0, 0)], [(1, None, 5, 70, DEPOSIT, 0, 0, 0)], NUMBERS, "")
    ledger = state.new_ledger()
    load_client(ledger, state.view, 1)
    with pytest.raises(StateError, match="client 1 has two accounts"):
        load_client(ledger, state.view, 1)


OTHER_IDS = "the ids of the state are others than those of the ledger"


@pytest.mark.parametrize(
    ("settings", "text_ids", "words"),
    [
        ({}, TextIds(client=True, tx=False), OTHER_IDS),
        ({}, TextIds(client=False, tx=True), OTHER_IDS),
        ({"ids.client": "text"}, None, OTHER_IDS),
        ({"ids": "text"}, TextIds(client=True, tx=True, key=bytes(KEY_BYTES)), "hashes ids by another key"),
    ],
)
def test_a_ledger_of_other_ids_is_refused(
    tmp_path: Path, settings: dict[str, str], text_ids: TextIds | None, words: str
) -> None:
    """It would find nothing, and so apply again what was applied."""
    dialect = Dialect(settings)
    state = StoredState(tmp_path, dialect)
    live(state, batches_of([Row("deposit", 1, 1, 10_000)], dialect))
    active = ActiveAccounts(Ledger(Policy(""), text_ids))
    with pytest.raises(ValueError, match=words):
        prefetch(active, state.view, [])
    with pytest.raises(ValueError, match=words):
        load_client(active.ledger, state.view, 1 if text_ids is None or not text_ids.client else b"1")
    settings = (
        {} if text_ids is None else {f"ids.{name}": "text" for name in ("client", "tx") if getattr(text_ids, name)}
    )
    active.ledger.apply(batch_of([Row("deposit", 1, 1, 10_000)], Dialect(settings)))
    with pytest.raises(ValueError, match=words):
        seal([active], state.path_of, state.forms)


def test_openings_of_other_lengths_are_refused(tmp_path: Path) -> None:
    for settings, words in (
        ({"ids": "text"}, "no names of 1 clients"),
        ({"columns.currency": "ccy"}, "no currencies of 1 clients"),
    ):
        state = StoredState(tmp_path, Dialect(settings))
        with pytest.raises(ValueError, match=words):
            prefetch_accounts(ActiveAccounts(state.new_ledger()), state.view, array("Q", [1]))
