"""Ids that are texts: every transaction and account is found again, and accounts come in the order of their bytes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bare_ledger import accounts_csv
from tests.support.profiles import examples
from tests.support.segment_rows import rows_of_ledgers
from tests.support.text_ids import batch_of_lines, quoted
from txfast.batch.batch import TransactionBatch
from txfast.batch.cursor import report
from txfast.dialect.dialect import Dialect
from txfast.dialect.text_ids import TextIds
from txfast.ledger.ledger import STATUSES, Ledger
from txfast.ledger.policy import Policy
from txfast.ledger.route import route
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.writers.accounts_table import account_batch

pytestmark = pytest.mark.unmeasured

TEXTS = Dialect({"ids": "text"})
# The ids of a client and of one of its transactions.
Key = tuple[bytes, bytes]
BATCH_ROWS = 3_000


def batches_of(lines: Iterable[bytes], dialect: Dialect = TEXTS) -> Iterator[TransactionBatch]:
    """Lines as batches of at most BATCH_ROWS rows. All must be well-formed."""
    lines = iter(lines)
    while some := list(islice(lines, BATCH_ROWS)):
        yield batch_of_lines(some, dialect)


def applied(ledger: Ledger, lines: Iterable[bytes], dialect: Dialect = TEXTS) -> list[str]:
    """Apply the lines. Returns the status of each."""
    statuses = []
    for batch in batches_of(lines, dialect):
        ledger.apply(batch)
        statuses += [STATUSES[status] for _, _, status, _ in report(batch, applied=True)]
    return statuses


def text_ledger(dialect: Dialect = TEXTS, policy: str = "") -> Ledger:
    return Ledger(Policy(policy) if policy else None, dialect.text_ids)


def rows_of(kind: str, keys: Iterable[Key], amount: str = "1") -> Iterator[bytes]:
    return (b"%s,%s,%s,%s" % (kind.encode(), quoted(client), quoted(tx), amount.encode()) for client, tx in keys)


# ---- Finding -------------------------------------------------------------------------------------


def uuids(clients: int, count: int) -> Iterator[Key]:
    for number in range(count):
        digits = b"%032x" % (number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128))
        yield (
            b"cus_%016d" % (number % clients),
            b"-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])),
        )


def of_any_length(clients: int, count: int) -> Iterator[Key]:
    for number in range(count):
        yield b"%d" % (number % clients) * 50, b"%d" % number + b"x" * (number % 240)


@pytest.mark.parametrize("keys", [uuids, of_any_length])
@pytest.mark.parametrize("clients", [1, 7, 9_000])
def test_every_transaction_is_found_again(keys: type[Iterator[Key]], clients: int) -> None:
    """Also while tables grow, and the texts fill several blocks."""
    count = 40_000
    ledger = text_ledger()
    assert set(applied(ledger, rows_of("deposit", keys(clients, count)))) == {"applied"}  # type: ignore[call-arg]
    assert len(ledger) == clients
    assert ledger.entries == count
    assert set(applied(ledger, rows_of("deposit", keys(clients, count)))) == {"duplicate_transaction"}  # type: ignore[call-arg]
    assert set(applied(ledger, rows_of("dispute", keys(clients, count), ""))) == {"applied"}  # type: ignore[call-arg]
    assert set(applied(ledger, rows_of("resolve", keys(clients, count), ""))) == {"applied"}  # type: ignore[call-arg]
    assert set(applied(ledger, rows_of("withdrawal", keys(clients, count)))) == {"duplicate_transaction"}  # type: ignore[call-arg]
    assert ledger.balance_units == 10_000 * count


def test_the_same_id_belongs_to_each_client() -> None:
    ledger = text_ledger()
    keys = [(b"%d" % client, tx) for client in range(500) for tx in (b"1", b"01", b"+1", b"1 1", b"\xff", b"A", b"a")]
    assert set(applied(ledger, rows_of("deposit", keys))) == {"applied"}
    assert set(applied(ledger, rows_of("deposit", keys))) == {"duplicate_transaction"}


def test_ids_that_differ_in_one_byte_differ() -> None:
    ledger = text_ledger()
    base = b"0123456789abcdef" * 15 + b"0123456789abcde"
    keys = [(base[:at] + b"#" + base[at + 1 :], base[:at] + b"#") for at in range(len(base))]
    keys += [(base[:length], base[:length]) for length in range(1, len(base) + 1)]
    assert set(applied(ledger, rows_of("deposit", keys))) == {"applied"}
    assert len(ledger) == len(keys)
    assert [ledger.account(client) for client, _ in keys] == [(10_000, 0, False)] * len(keys)
    assert ledger.account(b"0") == (10_000, 0, False)
    assert ledger.account(b"") is None
    assert ledger.account(base * 2) is None
    assert text_ledger().account(b"0") is None


def test_a_uuid_is_no_text_that_is_nearly_one() -> None:
    """A UUID is stored by its value, and all else by its bytes."""
    uuid = b"00112233-4455-6677-8899-abcdefabcdef"
    texts = {uuid[:at] + bytes([byte]) + uuid[at + 1 :] for at in range(len(uuid)) for byte in range(256)}
    texts |= {uuid.upper(), uuid[:-1], uuid + b"0"}
    keys = [(b"c", text) for text in sorted(texts) if text == text.strip()]  # blanks are not of an id
    ledger = text_ledger()
    assert set(applied(ledger, rows_of("deposit", keys))) == {"applied"}
    assert set(applied(ledger, rows_of("deposit", keys))) == {"duplicate_transaction"}
    assert saved_txs(ledger) == [tx for _, tx in keys]
    assert ledger.text_bytes == len(b".c") + sum(len(b"." + tx) for _, tx in keys)


def saved_txs(ledger: Ledger) -> list[bytes]:
    """The ids of all transactions, as a state has them."""
    return [row["tx"] for row in rows_of_ledgers([ledger], TEXTS.text_ids).entries]


@pytest.mark.parametrize("settings", [{"ids.client": "text"}, {"ids.tx": "text"}])
def test_one_kind_of_ids_may_be_texts(settings: dict[str, str]) -> None:
    dialect = Dialect(settings)
    client, tx = ("a,{}", "{}") if "ids.client" in settings else ("{}", "t,{}")
    ledger = text_ledger(dialect)
    keys = [(client.format(n % 50).encode(), tx.format(n).encode()) for n in range(9_000)]
    rows = [b"deposit,%s,%s,2" % (quoted(client), quoted(tx)) for client, tx in keys]
    assert set(applied(ledger, rows, dialect)) == {"applied"}
    assert set(applied(ledger, rows, dialect)) == {"duplicate_transaction"}
    disputes = [row.replace(b"deposit", b"dispute") for row in rows]
    assert set(applied(ledger, disputes, dialect)) == {"applied"}
    known = client.format(7)
    assert ledger.account(known.encode() if "ids.client" in settings else int(known)) == (0, 180 * 20_000, False)


def test_a_client_and_its_transaction_may_be_the_same_text() -> None:
    """Such transactions have hashes as different as all others: else each would be compared with all before it."""
    seconds = []
    for form in (b"t_%d", b"c_%d"):
        keys = [(b"c_%d" % n, form % n) for n in range(60_000)]
        ledger = text_ledger()
        for batch in batches_of(rows_of("deposit", keys)):
            started = time.thread_time()
            ledger.apply(batch)
            seconds.append(time.thread_time() - started)
    other, same = sum(seconds[: len(seconds) // 2]), sum(seconds[len(seconds) // 2 :])
    assert same < 8 * other + 0.1


def test_a_policy_applies_to_texts() -> None:
    ledger = text_ledger(policy="open-account=applied-row,withdrawal-dispute=hold,dispute-amount=partial")
    lines = [
        b"withdrawal,nobody,w,1", b"deposit,a,d,9", b"withdrawal,a,w,4", b"dispute,a,w,1", b"refund,a,d,2",
        b"dispute,a,d,3", b"chargeback,a,d,", b"deposit,b,d,1",
    ]  # fmt: skip
    statuses = applied(ledger, lines)
    assert statuses == ["insufficient_funds", *["applied"] * 7]
    assert accounts_csv([ledger]).splitlines()[1:] == [b"a,0.0000,1.0000,1.0000,true", b"b,1.0000,0.0000,1.0000,false"]


def test_an_account_that_a_row_must_not_open_leaves_nothing() -> None:
    ledger = text_ledger(policy="open-account=applied-row")
    assert applied(ledger, [b"withdrawal,%d,1,1" % n for n in range(4_000)]) == ["insufficient_funds"] * 4_000
    assert len(ledger) == 0
    with pytest.raises(ValueError, match="no account"):
        ledger.any_client()
    assert applied(ledger, [b"deposit,a,1,1", b"withdrawal,b,1,1", b"deposit,c,1,1"])[1] == "insufficient_funds"
    assert [ledger.account(name) is not None for name in (b"a", b"b", b"c")] == [True, False, True]
    assert ledger.any_client() in (b"a", b"c")


def test_rows_are_routed_by_the_hash_of_a_text() -> None:
    ledgers = [text_ledger() for _ in range(3)]
    lines = list(rows_of("deposit", uuids(300, 6_000)))
    for batch in batches_of(lines):
        route(batch, 3)
        for shard, ledger in enumerate(ledgers):
            ledger.apply(batch, shard=shard)
    assert sum(map(len, ledgers)) == 300
    assert min(map(len, ledgers)) > 50
    assert accounts_csv(ledgers).count(b",20.0000,0.0000,20.0000,false\n") == 300


def test_clearing_forgets_names_but_not_those_of_accounts_that_are_out() -> None:
    ledger = text_ledger()
    applied(ledger, rows_of("deposit", uuids(2_000, 2_000)))
    columns = AccountColumns([ledger])
    needed = ledger.bytes_with(0)
    ledger.clear()
    assert ledger.bytes_with(0) < needed
    assert applied(ledger, [b"deposit,zzz,1,1"]) == ["applied"]
    assert columns.account(0)[0] == b"cus_0000000000000000"
    assert len(ledger) == 1


def test_memory_is_counted_with_the_texts() -> None:
    ledger = text_ledger()
    [batch] = batches_of(rows_of("deposit", uuids(10, 3_000)))
    before = ledger.bytes_with(0)
    assert ledger.bytes_with_batch(batch) >= before + 3 * (4 << 20)
    ledger.apply(batch)
    assert ledger.bytes_with(0) >= before + 2 * (4 << 20)
    assert ledger.bytes_with(100) >= ledger.bytes_with(0)
    ledger.drop_transactions()
    assert len(ledger) == 10


def test_near_its_memory_limit_the_index_grows_in_smaller_steps() -> None:
    capacities = []
    for is_limited in (False, True):
        ledger = text_ledger()
        first, second = batches_of(rows_of("deposit", uuids(10, 2 * BATCH_ROWS)))
        ledger.apply(first)
        if is_limited:
            ledger.limit_memory(ledger.bytes_with(0))
        ledger.apply(second)
        capacities.append(ledger.capacity)
    assert 2 * BATCH_ROWS <= capacities[1] < capacities[0]


@pytest.mark.parametrize("key", [b"", bytes(23), bytes(25)])
def test_a_key_of_another_size_is_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match=f"a key of {len(key)} bytes"):
        Ledger(None, TextIds(client=True, tx=True, key=key))


def test_an_account_is_set_by_a_number_alone() -> None:
    with pytest.raises(ValueError, match="ids of this ledger are texts"):
        text_ledger().restore_account(1, 1, 1)


# ---- Order ---------------------------------------------------------------------------------------

pieces = st.sampled_from([b"a", b"b", b"\x01", b"aaaaaaaa", b"\xff\xfe", b"0", b"z" * 8, b"cus_", b" x", b"\xc3\xa9"])
names = st.one_of(
    st.binary(min_size=1, max_size=12).filter(lambda text: bool(text.strip(b" \t\v\f"))),
    st.lists(pieces, min_size=1, max_size=30).map(b"".join),
)  # fmt: skip


def trimmed(texts: Iterable[bytes]) -> set[bytes]:
    """These names as a reader takes them."""
    return {text.strip(b" \t\v\f")[:255].strip(b" \t\v\f") for text in texts} - {b""}


def assert_in_order(owners: Sequence[set[bytes]]) -> None:
    """The accounts of these ledgers come in the order of their clients' bytes."""
    ledgers = [text_ledger() for _ in owners]
    for ledger, each in zip(ledgers, owners, strict=True):
        applied(ledger, [b"deposit,%s,1,%d" % (quoted(name), len(name)) for name in each])
    expected = sorted((name, len(name) * 10_000) for each in owners for name in each)
    columns = AccountColumns(ledgers)
    assert [columns.account(index)[:2] for index in range(len(columns))] == expected
    assert columns.available_units == sum(units for _, units in expected)
    for name in {name for name, _ in expected}:
        assert columns.account(columns.find(name))[0] == name
    assert columns.find(b"no such client") == -1
    part = columns.part(len(expected) - 1, -1, len(expected))
    assert [part.account(index)[:2] for index in range(len(part))] == expected[::-1]
    if expected:
        assert part.account(part.find(expected[0][0]))[0] == expected[0][0]


@given(st.lists(st.lists(names, max_size=60).map(trimmed), max_size=3))
def test_accounts_come_in_the_order_of_their_bytes(owners: list[set[bytes]]) -> None:
    assert_in_order(owners)


@examples(0.2)
@given(
    st.lists(names, min_size=200, max_size=400, unique=True).map(trimmed), st.sampled_from([b"", b"cus_", b"x" * 200])
)
def test_many_accounts_do_too(owner: set[bytes], prefix: bytes) -> None:
    assert_in_order([trimmed(prefix + name for name in owner)])


def test_names_that_only_differ_in_length_or_far_behind_are_in_order() -> None:
    zeros = {b"a" + b"\x01" * count for count in range(250)}
    far = {b"y" * 240 + b"%d" % number for number in range(300)}
    assert_in_order([zeros | far, {b"a"}])
    assert_in_order([{b"same"}, {b"same"}])


# ---- Output --------------------------------------------------------------------------------------


def test_a_client_is_quoted_where_it_must_be() -> None:
    ledger = text_ledger()
    clients = [b"=1+1", b'a "b"', b"a,b", b"a\nb", b"cus_1", b"x" * 255, b'"' * 255]
    applied(ledger, [b"deposit,%s,1,1" % quoted(client) for client in clients])
    rest = b",1.0000,0.0000,1.0000,false\n"
    written = [client if client in (b"=1+1", b"cus_1", b"x" * 255) else quoted(client) for client in sorted(clients)]
    assert accounts_csv([ledger]) == b"client,available,held,total,locked\n" + b"".join(
        client + rest for client in written
    )


def test_a_table_has_strings_for_clients() -> None:
    ledger = text_ledger()
    applied(ledger, ["deposit,é,1,1".encode(), b"deposit,b,1,2"])
    table = account_batch(AccountColumns([ledger]), 0, 2)
    assert table.column("client").to_pylist() == ["b", "é"]
    assert str(table.schema.field("client").type) == "string"
