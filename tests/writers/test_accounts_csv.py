"""The accounts' text: its order, its exact bytes, and its blocks."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import reference
from tests.support.bare_ledger import Account, accounts_csv, apply_lines
from tests.support.reference import INT64_MAX, INT64_MIN, UINT64_MAX
from txfast.ledger.ledger import Ledger
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.writers.accounts_csv import csv_blocks

HEADER = b"client,available,held,total,locked\n"
# The size of the smallest block.
BLOCK_BYTES_MIN = 4096


def ledger_of(accounts: Sequence[Account]) -> Ledger:
    ledger = Ledger()
    for account in accounts:
        ledger.restore_account(*account)
    return ledger


def random_clients(count: int) -> list[int]:
    rng = random.Random(1)
    return list({rng.getrandbits(64) for _ in range(count)})


def text_of(*accounts: Account) -> bytes:
    return accounts_csv([ledger_of(accounts)])


def expected_text(accounts: Sequence[Account]) -> bytes:
    twin = reference.Replay()
    twin.accounts = {account.client: reference.Account(*account) for account in accounts}
    return twin.accounts_csv()


# ---- Bytes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("account", "line"),
    [
        (Account(1, 0, 0), b"1,0.0000,0.0000,0.0000,false"),
        (Account(1, 15_000, 20_000), b"1,1.5000,2.0000,3.5000,false"),
        (Account(1, 15_000, 20_000, True), b"1,1.5000,2.0000,3.5000,true"),
        (Account(1, 1, 0), b"1,0.0001,0.0000,0.0001,false"),
        (Account(1, -1, 0), b"1,-0.0001,0.0000,-0.0001,false"),
        (Account(1, -1, 1), b"1,-0.0001,0.0001,0.0000,false"),
        (Account(1, -9_999, 0), b"1,-0.9999,0.0000,-0.9999,false"),
        (Account(1, -10_000, 0), b"1,-1.0000,0.0000,-1.0000,false"),
        (Account(1, 9, 90), b"1,0.0009,0.0090,0.0099,false"),
        (Account(1, 900, 9_000), b"1,0.0900,0.9000,0.9900,false"),
        (Account(1, 90_000, 900_000), b"1,9.0000,90.0000,99.0000,false"),
        (Account(1, 9_990_000, 10_000), b"1,999.0000,1.0000,1000.0000,false"),
        (Account(1, 1_234_567, -7_654_321), b"1,123.4567,-765.4321,-641.9754,false"),
        (Account(0, 0, 0), b"0,0.0000,0.0000,0.0000,false"),
        (Account(9, 0, 0), b"9,0.0000,0.0000,0.0000,false"),
        (Account(10, 0, 0), b"10,0.0000,0.0000,0.0000,false"),
        (Account(99, 0, 0), b"99,0.0000,0.0000,0.0000,false"),
        (Account(100, 0, 0), b"100,0.0000,0.0000,0.0000,false"),
        (Account(101, 0, 0), b"101,0.0000,0.0000,0.0000,false"),
        (Account(2**63, 0, 0), b"9223372036854775808,0.0000,0.0000,0.0000,false"),
        (Account(10**19, 0, 0), b"10000000000000000000,0.0000,0.0000,0.0000,false"),
        (
            Account(UINT64_MAX, INT64_MAX, 0, True),
            b"18446744073709551615,922337203685477.5807,0.0000,922337203685477.5807,true",
        ),
        (
            Account(UINT64_MAX, INT64_MIN, 0),
            b"18446744073709551615,-922337203685477.5808,0.0000,-922337203685477.5808,false",
        ),
        (
            Account(UINT64_MAX, INT64_MIN, INT64_MAX),
            b"18446744073709551615,-922337203685477.5808,922337203685477.5807,-0.0001,false",
        ),
        (
            Account(UINT64_MAX, -(2**62), -(2**62)),
            b"18446744073709551615,-461168601842738.7904,-461168601842738.7904,-922337203685477.5808,false",
        ),
        (Account(1, INT64_MIN + 1, -1), b"1,-922337203685477.5807,-0.0001,-922337203685477.5808,false"),
        (Account(1, INT64_MAX - 1, 1), b"1,922337203685477.5806,0.0001,922337203685477.5807,false"),
    ],
)
def test_an_account_is_written_exactly(account: Account, line: bytes) -> None:
    assert text_of(account) == HEADER + line + b"\n"


def test_numbers_of_every_length_are_written() -> None:
    accounts = []
    for power in range(19):
        for units in (10**power - 1, 10**power, 10**power + 1):
            accounts += [Account(units, units, 0), Account(10**19 + units, -units, units // 3)]
    assert text_of(*accounts) == expected_text(accounts)


@pytest.mark.untraced
def test_every_group_of_four_digits_is_written_in_every_place() -> None:
    accounts = []
    for group in range(10_000):
        for index in range(4):
            accounts.append(Account(10**18 + group * 10 ** (4 * index), group * 10 ** (4 * index), -group))
    assert text_of(*dict.fromkeys(accounts)) == expected_text(accounts)


limits = st.sampled_from([INT64_MIN, -1, 0, 1, INT64_MAX]) | st.integers(INT64_MIN, INT64_MAX)
clients = st.sampled_from([0, 1, 2**63 - 1, 2**63, UINT64_MAX]) | st.integers(0, UINT64_MAX) | st.integers(0, 50)
any_accounts = st.lists(
    st.builds(Account, clients, limits, limits, st.booleans()).filter(
        lambda account: INT64_MIN <= account.available + account.held <= INT64_MAX
    ),
    unique_by=lambda account: account.client,
    max_size=40,
)


@given(any_accounts)
def test_any_accounts_are_written_as_the_reference_writes_them(accounts: list[Account]) -> None:
    assert text_of(*accounts) == expected_text(accounts)


# ---- Order ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "clients",
    [
        [2, 10, 1, 9, 100, 11],
        [UINT64_MAX, 0, 2**63, 2**63 - 1, 2**63 + 1, 2**32, 2**32 - 1, 2**16, 1],
        [1 << bit for bit in range(64)],
        [(1 << bit) - 1 for bit in range(64, 0, -1)],
        [client << 53 for client in range(2**11 - 1, -1, -1)],
        [client << 11 for client in range(5_000, 0, -1)],
        [client * 0x9E3779B97F4A7C15 % 2**64 for client in range(20_000)],
        random_clients(20_000),
        [client + 2**63 - 5_000 for client in random.Random(2).sample(range(10_000), 9_000)],
        [*random.Random(3).sample(range(2**14), 9_000), UINT64_MAX],
        [crowd << 61 | client for crowd in (7, 0, 3) for client in random.Random(4).sample(range(2**40), 3_000)],
    ],
    ids=[
        "small",
        "limits",
        "powers of two",
        "all ones",
        "highest bits",
        "middle bits",
        "spread",
        "random",
        "around 2^63",
        "crowded at one end",
        "crowded in places",
    ],
)
def test_accounts_ascend_by_client_as_a_number(clients: list[int]) -> None:
    accounts = [Account(client, index, 0, index % 2 == 0) for index, client in enumerate(clients)]
    assert text_of(*accounts) == expected_text(accounts)


@pytest.mark.untraced
@pytest.mark.parametrize("crowd_bits", range(0, 64, 3))
def test_accounts_ascend_when_their_clients_are_close_together(crowd_bits: int) -> None:
    rng = random.Random(crowd_bits)
    clients = set()
    for crowd in range(6):
        start = rng.getrandbits(64)
        clients |= {(start + rng.getrandbits(crowd_bits + 1)) % 2**64 for _ in range(10 * 3**crowd)}
    accounts = [Account(client, index, 0) for index, client in enumerate(rng.sample(sorted(clients), len(clients)))]
    assert text_of(*accounts) == expected_text(accounts)


def test_the_order_of_appearance_does_not_matter() -> None:
    accounts = [Account(client**7, client, 0) for client in range(500)]
    texts = set()
    for seed in range(5):
        random.Random(seed).shuffle(accounts)
        texts.add(text_of(*accounts))
    assert len(texts) == 1


# ---- Several ledgers -----------------------------------------------------------------------------


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 64])
def test_the_accounts_of_several_ledgers_are_one_list(shards: int) -> None:
    rng = random.Random(5)
    clients = random_clients(3_000)
    accounts = [Account(client, rng.randrange(10**9), rng.randrange(10**9), rng.random() < 0.1) for client in clients]
    ledgers = [
        ledger_of([account for account in accounts if account.client % shards == shard]) for shard in range(shards)
    ]
    assert len(AccountColumns(ledgers)) == len(accounts)
    assert accounts_csv(ledgers) == expected_text(accounts)
    assert accounts_csv(ledgers[::-1]) == expected_text(accounts)


def test_a_ledger_without_accounts_adds_none() -> None:
    accounts = [Account(1, 2, 3)]
    ledgers = [Ledger(), ledger_of(accounts), Ledger()]
    assert len(AccountColumns(ledgers)) == 1
    assert accounts_csv(ledgers) == expected_text(accounts)


@pytest.mark.parametrize("ledgers", [0, 1, 3])
def test_without_accounts_there_is_only_the_header(ledgers: int) -> None:
    accounts = AccountColumns([Ledger() for _ in range(ledgers)])
    assert len(accounts) == 0
    assert [bytes(block) for block in csv_blocks(accounts)] == [HEADER]


def test_accounts_stay_as_they_were_collected() -> None:
    ledger = ledger_of([Account(1, 10_000, 0)])
    accounts = AccountColumns([ledger])
    apply_lines(ledger, [b"deposit,1,1,5", b"deposit,2,1,5"])
    assert len(accounts) == 1
    assert b"".join(map(bytes, csv_blocks(accounts))) == HEADER + b"1,1.0000,0.0000,1.0000,false\n"


# ---- Blocks --------------------------------------------------------------------------------------

# Accounts whose numbers have as many digits as possible.
LONGEST = [Account(10**19 + client, -(2**62), -(2**62)) for client in range(500)]


@pytest.mark.parametrize("block_bytes", [-1, 0, 1, BLOCK_BYTES_MIN, BLOCK_BYTES_MIN + 1, 5_000, 1 << 18])
@pytest.mark.parametrize("rows", [0, 1, 38, 39, 40, 41, 42, 43, 44, 45, 500])
def test_blocks_of_any_size_make_the_same_text(block_bytes: int, rows: int) -> None:
    accounts = AccountColumns([ledger_of(LONGEST[:rows])])
    blocks = [bytes(block) for block in csv_blocks(accounts, block_bytes)]
    assert b"".join(blocks) == expected_text(LONGEST[:rows])
    for block in blocks:
        assert block.endswith(b"\n")
        assert len(block) <= max(block_bytes, BLOCK_BYTES_MIN)


def test_accounts_can_be_written_more_than_once() -> None:
    accounts = AccountColumns([ledger_of(LONGEST)])
    first, second = (b"".join(map(bytes, csv_blocks(accounts))) for _ in range(2))
    assert first == second == expected_text(LONGEST)


def test_two_texts_may_be_written_at_once() -> None:
    accounts = AccountColumns([ledger_of(LONGEST)])
    pairs = zip(csv_blocks(accounts, 5_000), csv_blocks(accounts, 5_000), strict=True)
    assert all(bytes(one) == bytes(other) for one, other in pairs)
