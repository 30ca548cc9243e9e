"""The ledger's tables: every transaction and account is found again, for any pattern and any number of ids."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import reference, strategies
from tests.support.bare_ledger import Account, accounts_csv, accounts_of, apply_lines, apply_rows, status_counts
from tests.support.ids import ids_of_one_home
from tests.support.project import PROJECT_ROOT
from tests.support.reference import INT64_MAX, INT64_MIN, UINT64_MAX
from tests.support.rows import Row, make_batch
from txfast.batch.batch import KINDS
from txfast.batch.cursor import report
from txfast.ledger.ledger import STATUSES, Ledger
from txfast.ledger.route import route

pytestmark = pytest.mark.unmeasured

# The ids of a client and of one of its transactions.
Key = tuple[int, int]

BATCH_ROWS = 7_000


def feed(ledger: Ledger, kind: str, keys: Iterable[Key], units: int = 0, batch_rows: int = BATCH_ROWS) -> int:
    """Apply a row of this kind for each key, in batches; return how many rows were rejected."""
    line = b"%s,%%d,%%d,%s" % (kind.encode(), reference.format_amount(units).encode())
    rejected_rows = 0
    keys = iter(keys)
    while lines := [line % key for key in islice(keys, batch_rows)]:
        rejected_rows += ledger.apply(make_batch(lines))
    return rejected_rows


# ---- Patterns of ids -----------------------------------------------------------------------------


def one_client(txs: Iterable[int]) -> Iterator[Key]:
    return ((1, tx) for tx in txs)


def many_clients_taking_turns(clients: int, txs: int) -> Iterator[Key]:
    return ((client, tx) for tx in range(1, txs + 1) for client in range(clients))


def many_clients_one_after_the_other(clients: int, txs: int) -> Iterator[Key]:
    return ((client, tx) for client in range(clients) for tx in range(1, txs + 1))


def snowflakes(rows: int) -> Iterator[Key]:
    """Milliseconds, 10 bits of machine, 12 bits of sequence that mostly is 0."""
    rng = random.Random(1)
    milliseconds = 1_700_000_000_000
    for row in range(rows):
        milliseconds += rng.choice([0, 1, 1, 3, 20])
        yield row % 500, milliseconds << 22 | (row % 4) << 12 | rng.choice([0, 0, 0, row & 7])


def random_keys(rows: int, client_bits: int) -> Iterator[Key]:
    rng = random.Random(2)
    return ((rng.getrandbits(client_bits), rng.getrandbits(64)) for _ in range(rows))


PATTERNS: dict[str, Callable[[], Iterable[Key]]] = {
    "ids count up": lambda: one_client(range(200_000)),
    "ids count down": lambda: one_client(range(50_000, 0, -1)),
    "ids count down from the greatest": lambda: one_client(range(UINT64_MAX, UINT64_MAX - 50_000, -1)),
    "ids in no order": lambda: one_client(random.Random(3).sample(range(150_000), 50_000)),
    "1 to n in each client, in turns": lambda: many_clients_taking_turns(1_000, 60),
    "1 to n in each client, one after the other": lambda: many_clients_one_after_the_other(1_000, 60),
    "one id in each of many clients": lambda: many_clients_taking_turns(60_000, 1),
    "two ids in each of many clients": lambda: many_clients_taking_turns(30_000, 2),
    "clients a power of two apart": lambda: ((client << 40, client << 20) for client in range(30_000)),
    "the client as id": lambda: ((client, client) for client in range(30_000)),
    "snowflakes": lambda: snowflakes(60_000),
    "milliseconds shifted left": lambda: one_client((1_700_000_000_000 + row) << 20 for row in range(50_000)),
    "random 64-bit ids": lambda: random_keys(60_000, client_bits=8),
    "random 64-bit ids and clients": lambda: random_keys(30_000, client_bits=64),
    "one of each 256": lambda: one_client(range(0, 50_000 * 256, 256)),
    "the first 16 of each 4096": lambda: one_client(high << 12 | low for high in range(6_000) for low in range(16)),
    "the highest bits alone": lambda: one_client(row << 48 for row in range(1 << 16)),
    "the highest and the lowest bits": lambda: one_client(
        high << 56 | low for high in range(256) for low in range(400)
    ),
    "ids of one home": lambda: one_client(ids_of_one_home(50_000)),
    "ids of one home in each client": lambda: ((client, tx) for tx in ids_of_one_home(512) for client in range(200)),
}


def multiples(bits: int) -> Iterator[Key]:
    """Of a power of two, upwards in one client and downwards in another."""
    rows = min(3_000, 1 << (64 - bits))
    yield from ((1, row << bits) for row in range(rows))
    yield from ((2, UINT64_MAX - (row << bits)) for row in range(rows))


for bits in range(1, 61):
    PATTERNS[f"multiples of 2^{bits}"] = partial(multiples, bits)


@pytest.mark.untraced
@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_transaction_is_found_again_and_no_other_is(pattern: str) -> None:
    keys = list(dict.fromkeys(PATTERNS[pattern]()))
    deposits, withdrawals = keys[::2], keys[1::2]
    ledger = Ledger()
    assert feed(ledger, "deposit", deposits, units=3) == 0
    assert feed(ledger, "withdrawal", withdrawals) == 0
    assert ledger.entries == len(keys)
    assert feed(ledger, "withdrawal", keys) == len(keys)
    assert feed(ledger, "dispute", keys) == len(withdrawals)
    known = set(keys)
    strangers = [key for client, tx in keys[::3] if (key := (client ^ 1, tx)) not in known]
    strangers += [key for client, tx in keys[::3] if (key := (client, tx ^ 1)) not in known]
    assert feed(ledger, "dispute", strangers) == len(strangers)
    expected = {
        ("deposit", "applied"): len(deposits),
        ("withdrawal", "applied"): len(withdrawals),
        ("withdrawal", "duplicate_transaction"): len(keys),
        ("dispute", "applied"): len(deposits),
        ("dispute", "transaction_not_found"): len(withdrawals) + len(strangers),
    }
    assert status_counts(ledger) == {key: rows for key, rows in expected.items() if rows}
    held = Counter(client for client, _ in deposits)
    clients = {client for client, _ in chain(keys, strangers)}
    assert accounts_of(ledger) == [Account(client, 0, 3 * held[client]) for client in sorted(clients)]


# ---- Growth --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "batch_rows", [50_000, *(pytest.param(few, marks=pytest.mark.untraced) for few in (1, 2, 1_000, 4_096))]
)
def test_the_tables_grow_under_batches_of_any_size(batch_rows: int) -> None:
    keys = [(index % 3_000, index * 7) for index in range(3_000 if batch_rows == 1 else 20_000)]
    ledger = Ledger()
    assert feed(ledger, "deposit", keys, units=1, batch_rows=batch_rows) == 0
    assert feed(ledger, "deposit", keys, units=1, batch_rows=batch_rows) == len(keys)
    deposits = Counter(client for client, _ in keys)
    assert accounts_of(ledger) == [Account(client, deposits[client], 0) for client in range(3_000)]


@pytest.mark.untraced
@pytest.mark.parametrize("kind", ["deposit", "withdrawal"])
def test_a_duplicate_is_found_on_either_side_of_every_growth(kind: str) -> None:
    ledger = Ledger()
    keys = [(index % 10, index) for index in range(60_000)]
    for start in range(0, len(keys), 5_000):
        assert feed(ledger, kind, keys[start : start + 5_000]) == 0
        assert feed(ledger, kind, keys[: start + 5_000 : 97]) == len(keys[: start + 5_000 : 97])


@pytest.mark.untraced
def test_a_dispute_outlives_every_growth() -> None:
    ledger = Ledger()
    disputed = [(client, 7) for client in range(1_000)]
    assert feed(ledger, "deposit", disputed, units=5) == 0
    assert feed(ledger, "dispute", disputed[:600]) == 0
    assert feed(ledger, "resolve", disputed[:300]) == 0
    assert feed(ledger, "deposit", ((client, 9) for client in range(1_000, 60_000)), units=1) == 0
    assert feed(ledger, "deposit", ((1, tx) for tx in range(100, 60_000)), units=0) == 0
    assert feed(ledger, "dispute", disputed[:600]) == 600
    assert feed(ledger, "chargeback", disputed[:300]) == 300
    assert feed(ledger, "chargeback", disputed[300:600]) == 0
    assert feed(ledger, "dispute", disputed[600:]) == 0
    counts = status_counts(ledger)
    assert counts["dispute", "duplicate_dispute"] == 600
    assert counts["chargeback", "dispute_not_in_progress"] == 300
    accounts = accounts_of(ledger)
    assert accounts[:300] == [Account(client, 5, 0) for client in range(300)]
    assert accounts[300:600] == [Account(client, 0, 0, True) for client in range(300, 600)]
    assert accounts[600:1_000] == [Account(client, 0, 5) for client in range(600, 1_000)]
    assert accounts[1_000:] == [Account(client, 1, 0) for client in range(1_000, 60_000)]


@pytest.mark.parametrize(
    "entries",
    [*range(20), 100, 190, 300, *(pytest.param(many, marks=pytest.mark.untraced) for many in (4_000, 100_000))],
)
def test_an_index_sized_in_advance_changes_no_result(entries: int) -> None:
    ledger = Ledger()
    ledger.expect(entries)
    keys = [(index % 3, index * 37) for index in range(max(2 * entries, 1) if entries < 5_000 else 5_000)]
    first, later = keys[:entries], keys[entries:]
    assert feed(ledger, "deposit", first, units=1, batch_rows=5) == 0
    assert feed(ledger, "withdrawal", first, batch_rows=5) == len(first)
    assert feed(ledger, "deposit", later, units=1, batch_rows=5) == 0
    assert feed(ledger, "dispute", keys) == 0
    assert ledger.entries == len(keys)


@pytest.mark.untraced
def test_an_index_may_be_sized_at_any_time_and_never_shrinks() -> None:
    ledger = Ledger()
    keys = [(index % 3, index) for index in range(10_000)]
    for start, entries in zip(range(0, 10_000, 1_000), [0, 10, 5_000, 100, 5_000, 20_000] * 2, strict=False):
        ledger.expect(entries)
        assert feed(ledger, "deposit", keys[start : start + 1_000], units=1) == 0
        assert feed(ledger, "deposit", keys[: start + 1_000], units=1) == start + 1_000
    assert ledger.entries == len(keys)


TOO_MUCH_EXPECTED = """
import resource
import sys
from pathlib import Path

from tests.support.rows import make_batch
from txfast.ledger.ledger import Ledger

ledger = Ledger()
ledger.expect(2**31)
batch = make_batch([b"deposit,%d,%d,1" % (row, row) for row in range(10_000)])
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + (64 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print(ledger.apply(batch), ledger.entries)
"""


def test_expecting_more_entries_than_fit_in_memory_is_no_failure() -> None:
    """What it would make of the index at first does not fit into these 64 MiB."""
    command = [sys.executable, "-c", TOO_MUCH_EXPECTED]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT_ROOT)
    assert ended.stdout.split() == ["0", "10000"]


@pytest.mark.parametrize(
    ("accounts", "transactions"),
    [(1, 1), (1, 5000), (3000, 3000), pytest.param(70_000, 70_000, marks=pytest.mark.untraced)],
)
def test_a_ledger_needs_about_the_memory_that_it_announces(accounts: int, transactions: int) -> None:
    ledger = Ledger()
    foreseen = Ledger.bytes_for(accounts, transactions)
    first = ledger.bytes_with(transactions)
    for start in range(0, transactions, 10_000):
        rows = [Row("deposit", tx % accounts, tx, 1) for tx in range(start, min(start + 10_000, transactions))]
        apply_rows(ledger, rows)
    assert ledger.bytes_with(0) <= foreseen * 1.05
    assert first <= foreseen * 1.05
    assert ledger.bytes_with(transactions) > ledger.bytes_with(0)


# ---- Batches -------------------------------------------------------------------------------------


def test_a_new_ledger_is_empty() -> None:
    ledger = Ledger()
    assert len(ledger) == 0
    assert ledger.entries == 0
    assert ledger.balance_units == 0
    assert status_counts(ledger) == {}
    assert accounts_of(ledger) == []


@pytest.mark.parametrize("shard_count", [1, 2, 7])
def test_an_empty_batch_has_no_rows_for_any_shard(shard_count: int) -> None:
    ledger = Ledger()
    batch = make_batch([])
    route(batch, shard_count)
    assert [ledger.apply(batch, shard=shard) for shard in range(shard_count)] == [0] * shard_count
    assert len(ledger) == ledger.entries == 0


def test_an_empty_batch_changes_nothing() -> None:
    ledger = Ledger()
    assert ledger.apply(make_batch([])) == 0
    assert ledger.apply(make_batch([b"", b" "])) == 0
    assert len(ledger) == 0


def test_apply_returns_the_number_of_rejected_rows() -> None:
    ledger = Ledger()
    lines = [
        b"deposit,1,1,5",
        b"deposit,1,1,5",
        b"dispute,1,1",
        b"nonsense",
        b"resolve,2,1",
        b"withdrawal,3,1,0",
    ]
    batch = make_batch(lines)
    assert ledger.apply(batch) == 2
    assert ledger.apply(batch) == 5
    assert ledger.apply(batch) == 5


def test_a_batch_keeps_the_status_of_each_row() -> None:
    ledger = Ledger()
    lines = [b"deposit,1,1,5", b"nonsense", b"", b"deposit,1,1,5", b"dispute,1,1", b",,,", b"resolve,2,1"]
    batch = make_batch(lines)
    ledger.apply(batch)

    def reported(**chosen: bool) -> list[tuple[str, bytes]]:
        rows = report(batch, **chosen)
        return [("" if malformed else STATUSES[status], bytes(row)) for _, malformed, status, row in rows]

    applied = [("applied", b"deposit,1,1,5"), ("applied", b"dispute,1,1")]
    rejected = [("duplicate_transaction", b"deposit,1,1,5"), ("dispute_not_found", b"resolve,2,1")]
    malformed = [("", b"nonsense"), ("", b",,,")]
    assert reported() == [malformed[0], rejected[0], malformed[1], rejected[1]]
    assert reported(malformed=False) == rejected
    assert reported(rejected=False) == malformed
    assert reported(applied=True, rejected=False, malformed=False) == applied
    assert reported(applied=True) == [
        applied[0], malformed[0], rejected[0], applied[1], malformed[1], rejected[1],
    ]  # fmt: skip


@given(strategies.streams(), st.integers(1, 20))
def test_rows_may_be_cut_into_batches_anywhere(rows: list[Row], batch_rows: int) -> None:
    whole, pieces = Ledger(), Ledger()
    statuses = apply_rows(whole, rows)
    cut = [rows[start : start + batch_rows] for start in range(0, len(rows), batch_rows)]
    assert [status for batch in cut for status in apply_rows(pieces, batch)] == statuses
    assert accounts_of(pieces) == accounts_of(whole)
    assert status_counts(pieces) == status_counts(whole)


edge_ids = st.sampled_from([0, 1, 2**31, 2**32, 2**32 + 1, 2**63 - 1, 2**63, UINT64_MAX - 1, UINT64_MAX])


@given(strategies.streams(clients=edge_ids, txs=edge_ids | st.integers(0, UINT64_MAX)))
def test_ids_of_every_width_are_kept_apart(rows: list[Row]) -> None:
    twin = reference.Replay()
    ledger = Ledger()
    assert apply_rows(ledger, rows) == [twin.apply(*row) for row in rows]
    assert [account.client for account in accounts_of(ledger)] == sorted(twin.accounts)


@pytest.mark.untraced
def test_a_long_random_stream_gives_the_results_of_the_reference() -> None:
    rng = random.Random(4)
    kinds = rng.choices(KINDS, [50, 30, 10, 5, 1, 3, 1], k=30_000)
    rows = [Row(kind, rng.randrange(300), rng.randrange(60), rng.randrange(50_000)) for kind in kinds]
    twin = reference.Replay()
    expected = [twin.apply(*row) for row in rows]
    # Each ledger has its own hash key, which must not change any result.
    for _ in range(2):
        ledger = Ledger()
        assert apply_rows(ledger, rows) == expected
        assert accounts_csv([ledger]) == twin.accounts_csv()
        assert ledger.balance_units == sum(account.total for account in twin.accounts.values())
    assert set(STATUSES) - set(expected) == {
        "amount_required",
        "negative_amount",
        "zero_amount",
        "overflow",
        "duplicate_reversal",
    }


# ---- Figures -------------------------------------------------------------------------------------


def test_rows_are_counted_by_type_and_status() -> None:
    ledger = Ledger()
    lines = [
        b"deposit,1,1,5",
        b"deposit,1,1,5",
        b"deposit,1,2",
        b"deposit,1,2,-1",
        b"deposit,1,3,922337203685477.5807",
        b"deposit,1,4,1",
        b"withdrawal,1,5,7",
        b"withdrawal,1,5,6",
        b"withdrawal,1,5,6",
        b"withdrawal,1,6",
        b"withdrawal,1,6,-1",
        b"dispute,1,1",
        b"dispute,1,1",
        b"dispute,1,5",
        b"resolve,1,1",
        b"resolve,1,1",
        b"resolve,1,4",
        b"dispute,1,4",
        b"chargeback,1,1",
        b"chargeback,1,9",
        b"chargeback,1,4",
        b"chargeback,1,4",
        b"dispute,1,9",
    ]
    apply_lines(ledger, lines)
    assert status_counts(ledger) == {
        ("deposit", "applied"): 2,
        ("deposit", "duplicate_transaction"): 1,
        ("deposit", "amount_required"): 1,
        ("deposit", "negative_amount"): 1,
        ("deposit", "overflow"): 1,
        ("withdrawal", "applied"): 1,
        ("withdrawal", "insufficient_funds"): 1,
        ("withdrawal", "duplicate_transaction"): 1,
        ("withdrawal", "amount_required"): 1,
        ("withdrawal", "negative_amount"): 1,
        ("dispute", "applied"): 2,
        ("dispute", "duplicate_dispute"): 1,
        ("dispute", "transaction_not_found"): 1,
        ("dispute", "account_locked"): 1,
        ("resolve", "applied"): 1,
        ("resolve", "dispute_not_in_progress"): 1,
        ("resolve", "dispute_not_found"): 1,
        ("chargeback", "applied"): 1,
        ("chargeback", "dispute_not_in_progress"): 1,
        ("chargeback", "dispute_not_found"): 1,
        ("chargeback", "account_locked"): 1,
    }


@pytest.mark.parametrize(("kind", "status"), [(-1, 0), (0, -1), (len(KINDS), 0), (0, len(STATUSES)), (2**31 - 1, 0)])
def test_counts_of_unknown_kinds_and_statuses_are_refused(kind: int, status: int) -> None:
    with pytest.raises(IndexError, match="no kind"):
        Ledger().count(kind, status)


def test_the_balance_is_deposits_less_withdrawals_and_chargebacks() -> None:
    ledger = Ledger()
    apply_lines(ledger, [b"deposit,1,1,5", b"deposit,2,1,7", b"withdrawal,1,2,2"])
    assert ledger.balance_units == 100_000
    apply_lines(ledger, [b"deposit,1,1,5", b"withdrawal,1,3,9", b"dispute,1,1", b"deposit,1,4"])
    assert ledger.balance_units == 100_000
    apply_lines(ledger, [b"dispute,2,1", b"resolve,2,1"])
    assert ledger.balance_units == 100_000
    apply_lines(ledger, [b"chargeback,1,1", b"chargeback,2,1"])
    assert ledger.balance_units == 50_000


@pytest.mark.untraced
@pytest.mark.parametrize("clients", [1, 2, 3, 4, 5, 9])
def test_the_balance_is_exact_beyond_64_bits(clients: int) -> None:
    ledger = Ledger()
    keys = [(client, 1) for client in range(clients)]
    assert feed(ledger, "deposit", keys, units=INT64_MAX) == 0
    assert ledger.balance_units == clients * INT64_MAX
    assert feed(ledger, "withdrawal", [(client, 2) for client in range(clients)], units=INT64_MAX - 1) == 0
    assert ledger.balance_units == clients
    assert feed(ledger, "dispute", keys) == 0
    assert ledger.balance_units == clients
    assert feed(ledger, "chargeback", keys) == 0
    assert ledger.balance_units == clients * (1 - INT64_MAX)
    assert sum(account.available + account.held for account in accounts_of(ledger)) == (ledger.balance_units)


@given(strategies.streams(amounts=strategies.small_amounts | strategies.edge_amounts))
def test_the_balance_is_the_sum_of_all_totals(rows: list[Row]) -> None:
    ledger = Ledger()
    apply_rows(ledger, rows)
    assert ledger.balance_units == sum(account.available + account.held for account in accounts_of(ledger))


# ---- Accounts that are set directly --------------------------------------------------------------

EXTREMES = [
    Account(0, 0, 0),
    Account(1, 1, -1, True),
    Account(2, INT64_MAX, 0),
    Account(3, 0, INT64_MAX),
    Account(4, INT64_MIN, 0),
    Account(5, 0, INT64_MIN),
    Account(6, INT64_MAX, INT64_MIN),
    Account(7, INT64_MIN, INT64_MAX, True),
    Account(2**63, 5, 6),
    Account(UINT64_MAX, -5, 6, True),
]


def test_an_account_is_restored_as_it_was_saved() -> None:
    ledger = Ledger()
    for account in EXTREMES:
        ledger.restore_account(*account)
    assert accounts_of(ledger) == EXTREMES
    assert len(ledger) == len(EXTREMES)
    assert ledger.entries == 0
    assert ledger.balance_units == 0
    assert status_counts(ledger) == {}


def test_restoring_an_account_again_replaces_it() -> None:
    ledger = Ledger()
    ledger.restore_account(1, 5, 6, True)
    ledger.restore_account(2, 1, 1)
    ledger.restore_account(1, -7, 8)
    assert accounts_of(ledger) == [Account(1, -7, 8), Account(2, 1, 1)]


def test_restoring_an_account_leaves_its_transactions() -> None:
    ledger = Ledger()
    apply_lines(ledger, [b"deposit,1,1,5", b"deposit,1,2,7", b"dispute,1,2"])
    ledger.restore_account(1, 30_000, 90_000)
    lines = [b"deposit,1,1,5", b"dispute,1,2", b"resolve,1,2", b"withdrawal,1,3,10"]
    assert apply_lines(ledger, lines) == [
        "duplicate_transaction", "duplicate_dispute", "applied", "applied",
    ]  # fmt: skip
    assert accounts_of(ledger) == [Account(1, 0, 20_000)]


def test_rows_apply_to_a_restored_account() -> None:
    ledger = Ledger()
    ledger.restore_account(1, 30_000, 0)
    ledger.restore_account(2, 30_000, 0, True)
    lines = [b"withdrawal,1,1,3", b"withdrawal,2,1,3", b"withdrawal,1,2,1"]
    assert apply_lines(ledger, lines) == ["applied", "account_locked", "insufficient_funds"]
    assert accounts_of(ledger) == [Account(1, 0, 0), Account(2, 30_000, 0, True)]


@pytest.mark.untraced
def test_many_accounts_are_restored_and_found() -> None:
    ledger = Ledger()
    accounts = [
        Account(client * 0x9E3779B97F4A7C15 % 2**64, client, -client, client % 3 == 0) for client in range(50_000)
    ]
    for account in accounts:
        ledger.restore_account(*account)
    assert accounts_of(ledger) == sorted(accounts)
    assert feed(ledger, "withdrawal", ((account.client, 1) for account in accounts)) == len(accounts[::3])
    assert accounts_of(ledger) == sorted(accounts)


@pytest.mark.parametrize(
    ("available", "held"),
    [(INT64_MAX, 1), (1, INT64_MAX), (INT64_MIN, -1), (-1, INT64_MIN), (INT64_MIN, INT64_MIN)],
)
def test_an_account_whose_total_does_not_fit_is_refused(available: int, held: int) -> None:
    ledger = Ledger()
    ledger.restore_account(1, 5, 6, True)
    for client in (1, 2):
        with pytest.raises(ValueError, match="does not fit"):
            ledger.restore_account(client, available, held)
    assert accounts_of(ledger) == [Account(1, 5, 6, True)]


@pytest.mark.parametrize(("client", "available", "held"), [(-1, 0, 0), (2**64, 0, 0), (1, 2**63, 0), (1, 0, -(2**64))])
def test_numbers_of_more_than_64_bits_are_refused(client: int, available: int, held: int) -> None:
    ledger = Ledger()
    with pytest.raises(OverflowError):
        ledger.restore_account(client, available, held)
    assert len(ledger) == 0


# ---- Shards ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shards", [0, (1 << 16) + 1])
def test_an_impossible_number_of_shards_is_refused(shards: int) -> None:
    with pytest.raises(ValueError, match=f"^{shards} shards"):
        route(make_batch([b"deposit,1,1,1"]), shards)


def test_a_shard_beyond_those_of_the_batch_is_refused() -> None:
    batch = make_batch([b"deposit,1,1,1"])
    route(batch, 3)
    ledger = Ledger()
    with pytest.raises(IndexError, match="no shard 3 in a batch of 3"):
        ledger.apply(batch, shard=3)
    assert len(ledger) == 0
