"""Slices: a ledger and rows that are written to partitions come back unchanged, and other bytes are refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import strategies
from tests.support.bare_ledger import accounts_csv, accounts_of, apply_rows, status_counts
from tests.support.rows import Row, make_batch
from txfast.batch.batch import KINDS, TransactionBatch
from txfast.errors import SpillError
from txfast.ledger.ledger import Ledger
from txfast.ledger.policy import Policy
from txfast.ledger.route import route
from txfast.spill.partitions import Partitions
from txfast.spill.slices import SliceReader
from txfast.spill.statuses import set_statuses, statuses_of

ids = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 300), st.sampled_from([2**64 - 1, 2**63, 255, 256, 65535]))

amounts = st.one_of(st.none(), st.integers(1 - 2**63, 2**63 - 1), st.integers(-300, 300))

any_rows = st.lists(st.builds(Row, st.sampled_from(KINDS), ids, ids, amounts), max_size=50)


def in_partitions(ledger: Ledger | None, batches: list[TransactionBatch], buffer_bytes: int) -> list[bytes]:
    """The slices of three partitions that a ledger and batches are written to."""
    written = [b""] * 3

    def write(partition: int, view: memoryview) -> None:
        written[partition] += bytes(view)

    partitions = Partitions(3, buffer_bytes, write)
    if ledger is not None:
        partitions.add_ledger(ledger)
    for batch in batches:
        partitions.add_rows(batch)
    partitions.finish()
    return written


def read_from(content: bytes) -> SliceReader:
    """A reader of this slice."""
    index = 0

    def readinto(view: memoryview) -> int:
        nonlocal index
        view = memoryview(view)
        count = min(len(view), len(content) - index)
        view[:count] = content[index : index + count]
        index += count
        return count

    return SliceReader(readinto)


lives = strategies.policy_streams()


@given(any_rows | lives, any_rows | lives, strategies.policies())
def test_a_ledger_and_rows_come_back_from_partitions_unchanged(
    before: list[Row], after: list[Row], policy: str
) -> None:
    whole, parts = Ledger(Policy(policy)), []
    apply_rows(whole, before)
    counted_before = Counter(status_counts(whole))
    batch = make_batch([row.line() for row in after])
    for content in in_partitions(whole, [batch], 4096):
        part, reader = Ledger(Policy(policy)), read_from(content)
        while reader.restore(part):
            pass
        rows = TransactionBatch()
        while reader.fill(rows):
            part.apply(rows)
        parts.append(part)
    whole.apply(batch)
    assert sum(map(len, parts)) == len(whole)
    assert accounts_csv(parts) == accounts_csv([whole])
    parts_say = sum((Counter(status_counts(part)) for part in parts), Counter())
    assert parts_say == Counter(status_counts(whole)) - counted_before


def restored(contents: list[bytes], policy: str = "") -> list[Ledger]:
    ledgers = []
    for content in contents:
        ledgers.append(Ledger(Policy(policy)))
        reader = read_from(content)
        while reader.restore(ledgers[-1], 7):
            pass
        assert not reader.next_is_state()
    return ledgers


@pytest.fixture
def disputed() -> Ledger:
    """A ledger that is larger than a buffer, with deposits in every dispute state, and withdrawals."""
    ledger = Ledger()
    rows = [Row("deposit", tx % 1500 * 2**40, tx, 10 + tx) for tx in range(3000)]
    rows += [Row("dispute", tx % 1500 * 2**40, tx, None) for tx in range(0, 3000, 3)]
    rows += [Row("resolve", tx % 1500 * 2**40, tx, None) for tx in range(0, 1500, 6)]
    rows += [Row("chargeback", tx % 1500 * 2**40, tx, None) for tx in range(1500, 3000, 9)]
    rows += [Row("withdrawal", tx % 1500 * 2**40, 10_000 + tx, 1) for tx in range(1500)]
    apply_rows(ledger, rows)
    return ledger


@pytest.mark.untraced
def test_a_ledger_larger_than_the_buffers_comes_back_and_continues(disputed: Ledger) -> None:
    parts = restored(in_partitions(disputed, [], 4096))
    assert min(map(len, parts)) > 300
    assert sum(map(len, parts)) == len(disputed)
    assert sum(part.entries for part in parts) == disputed.entries
    assert accounts_csv(parts) == accounts_csv([disputed])
    # All dispute states are as before.
    endings = [Row(kind, tx % 1500 * 2**40, tx, None) for tx in range(3000) for kind in ("resolve", "dispute")]
    for part in (*parts, disputed):
        clients = {account.client for account in accounts_of(part)}
        apply_rows(part, [row for row in endings if row.client in clients])
    assert accounts_csv(parts) == accounts_csv([disputed])


def test_the_rest_of_a_slice_moves_into_other_partitions(disputed: Ledger) -> None:
    [content, *others] = in_partitions(disputed, [], 4096)
    expected = restored([content])
    reader, begun = read_from(content), Ledger()
    assert reader.restore(begun, 100) == 100
    written = [b""] * 2

    def write(partition: int, view: memoryview) -> None:
        written[partition] += bytes(view)

    partitions = Partitions(2, 0, write)
    partitions.add_ledger(begun)
    partitions.add_rest(reader)
    partitions.finish()
    assert not reader.next_is_state()
    assert [sum(partitions.counts(number)[index] for number in range(2)) for index in range(3)] == [
        len(expected[0]), expected[0].entries, 0,
    ]  # fmt: skip
    assert accounts_csv(restored(written)) == accounts_csv(expected)
    assert len(others) == 2


# A withdrawal in dispute, a deposit refunded and charged back in parts, two chargebacks that stand, one reversed.
DETAILED_POLICY = "card,direct-chargeback=allow"
DETAILED = (
    "deposit 100,deposit 90,deposit 80,withdrawal 30,refund 20 of 1,dispute 50 of 1,chargeback of 1,dispute of 2,"
    "dispute of 4,chargeback of 2,chargeback of 3,reversal of 3"
)


def detailed_rows(client: int) -> list[Row]:
    """The rows of DETAILED, of one client; payments have the ids from 1 on."""
    rows, txs = [], iter(range(1, 9))
    for words in DETAILED.split(","):
        kind, *amount = words.partition(" of ")[0].split()
        _, _, tx = words.partition(" of ")
        rows.append(Row(kind, client, int(tx) if tx else next(txs), int(*amount) if amount else None))
    return rows


@pytest.fixture
def detailed() -> Ledger:
    """A ledger that is larger than a buffer, with details of most of its accounts."""
    ledger = Ledger(Policy(DETAILED_POLICY))
    for client in range(0, 700 * 2**40, 2**40):
        assert set(apply_rows(ledger, detailed_rows(client))) == {"applied"}
    return ledger


def assert_lives_on(parts: list[Ledger], whole: Ledger) -> None:
    """The parts together take rows as the whole ledger does."""
    kinds = ("reversal", "resolve", "chargeback", "dispute", "refund", "withdrawal")
    assert accounts_csv(parts) == accounts_csv([whole])
    for part in parts:
        clients = [account.client for account in accounts_of(part)]
        rows = [Row(kind, client, tx, 1) for client in clients for kind in kinds for tx in (2, 1, 4, 3)]
        assert apply_rows(part, rows) == apply_rows(whole, rows)
    assert accounts_csv(parts) == accounts_csv([whole])


@pytest.mark.parametrize("count", [2, 5])
def test_details_come_back_also_from_a_partition_that_is_divided(detailed: Ledger, count: int) -> None:
    """The rest of a slice moves into other partitions, after its reader has restored some of it."""
    assert_lives_on(restored(in_partitions(detailed, [], 4096), DETAILED_POLICY), detailed)
    for begun_records in (1, 100, 999_999):
        whole = Ledger(Policy(DETAILED_POLICY))
        for client in range(300):
            apply_rows(whole, detailed_rows(client))
        parts = []
        for content in in_partitions(whole, [], 4096):
            reader, begun = read_from(content), Ledger(Policy(DETAILED_POLICY))
            reader.restore(begun, begun_records)
            divided = Divided(count)
            divided.partitions.add_ledger(begun)
            divided.partitions.add_rest(reader)
            divided.partitions.finish()
            parts += restored(divided.written, DETAILED_POLICY)
        assert_lives_on(parts, whole)


class Divided:
    """Partitions that are written to memory."""

    def __init__(self, count: int) -> None:
        self.written = [b""] * count
        self.partitions = Partitions(count, 0, self._write)

    def _write(self, partition: int, view: memoryview) -> None:
        self.written[partition] += bytes(view)


def test_finished_partitions_take_no_more_records(disputed: Ledger) -> None:
    partitions = Partitions(2, 0, lambda _, __: None)
    partitions.finish()
    batch = make_batch([b"deposit,1,1,1"])
    calls: list[Callable[[], object]] = [
        lambda: partitions.add_rows(batch), lambda: partitions.add_ledger(disputed),
        lambda: partitions.add_rest(read_from(b"")),
    ]  # fmt: skip
    for refused in calls:
        with pytest.raises(ValueError, match="finished"):
            refused()


# The version of slices, which comes before the first record.
START = b"slc\x03"


def records_in(content: bytes) -> list[bytes]:
    """The records of a slice. The first two bytes of each have the lengths of its three fields. One that is no row has
    a byte more, its state, which says whether details follow."""
    records = []
    assert content.startswith(START)
    content = content.removeprefix(START)
    while content:
        control = int.from_bytes(content[:2], "little")
        length = 2 + sum(control >> shift & 15 for shift in (4, 8, 12)) + (control & 7 == 7)
        length += 16 * (control & 7 == 7 and content[2] & 16 == 16)  # details
        records.append(content[:length])
        content = content[length:]
    return records


def one_of_each() -> tuple[bytes, bytes, bytes]:
    """The records of an account, of its deposit, and of a row of the same client."""
    ledger = Ledger()
    apply_rows(ledger, [Row("deposit", 7, 1, 5)])
    content = b"".join(in_partitions(ledger, [make_batch([b"deposit,7,2,5"])], 0))
    account, entry, row = records_in(content)
    return account, entry, row


TOO_LONG = b"\xf7\xff" * 60

# A deposit of the same client with the same id as the one before it.
SAME_AGAIN = b"\x1f\x10\x00\x07\x0a"

# An account of client 1 that has the greatest number available, and one unit held.
NO_TOTAL = b"\x17\x18\x00\x01\xfe\xff\xff\xff\xff\xff\xff\xff\x02"


# A withdrawal of the same client that is in dispute, which the default policy excludes.
WITHDRAWAL_IN_DISPUTE = b"\x1f\x11\x81\x07\x02\x0a"


@pytest.mark.parametrize("content", [
    b"".join(one_of_each()[index] for index in indexes) + rest
    for indexes, rest in [
        ((0, 0), b""), ((1,), b""), ((0, 1), SAME_AGAIN), ((0,), TOO_LONG), ((), TOO_LONG), ((0,), b"\x07"),
        ((0,), b"\x07\x00"), ((0,), WITHDRAWAL_IN_DISPUTE), ((), NO_TOTAL), ((2, 0), b""), ((2,), TOO_LONG),
        ((2,), b"\xff" * 120), ((2, 2), b"\x00"),
    ]
])  # fmt: skip
def test_records_that_no_ledger_can_have_written_are_refused(content: bytes) -> None:
    reader, ledger, batch = read_from(START + content), Ledger(), TransactionBatch()
    with pytest.raises(SpillError, match="the disk or the memory is faulty"):  # noqa: PT012 (any of them may)
        while reader.restore(ledger, 1) or reader.fill(batch):
            pass


def detailed_records() -> tuple[bytes, bytes]:
    """The records of an account with two standing chargebacks, and of its first deposit, a part of which was refunded
    and another charged back."""
    ledger = Ledger(Policy(DETAILED_POLICY))
    apply_rows(ledger, detailed_rows(7))
    account, entry, *_ = records_in(b"".join(in_partitions(ledger, [], 4096)))
    assert (account[-16:], entry[-16:]) == (details(2, 0), details(20, 50))
    return account, entry


def details(refunded: int, moved: int) -> bytes:
    return b"".join(number.to_bytes(8, "little", signed=True) for number in (refunded, moved))


@pytest.mark.parametrize("damage", [
    *(details(refunded, moved) for refunded, moved in (
        (-1, 50), (101, 0), (100, 1), (20, 81), (20, -1), (2**63 - 1, 50), (-(2**63), 50), (20, 2**63 - 1),
    )),
])  # fmt: skip
def test_details_that_no_entry_can_have_are_refused(damage: bytes) -> None:
    account, entry = detailed_records()
    assert read_from(START + account + entry).restore(Ledger(Policy(DETAILED_POLICY)))
    reader = read_from(START + account + entry[:-16] + damage)
    with pytest.raises(SpillError, match="the disk or the memory is faulty"):
        reader.restore(Ledger(Policy(DETAILED_POLICY)))


@pytest.mark.parametrize(("standing", "state"), [(-1, 17), (0, 17), (1, 16), (2, 16)])
def test_chargebacks_that_no_account_can_have_are_refused(standing: int, state: int) -> None:
    account, _ = detailed_records()
    damaged = bytearray(account[:-16] + details(standing, 0))
    damaged[2] = state
    with pytest.raises(SpillError, match="the disk or the memory is faulty"):
        read_from(START + bytes(damaged)).restore(Ledger(Policy(DETAILED_POLICY)))


def test_several_chargebacks_stand_only_where_a_locked_account_takes_disputes() -> None:
    account, _ = detailed_records()
    assert read_from(START + account).restore(Ledger(Policy("locked=disputes")))
    with pytest.raises(SpillError, match="the disk or the memory is faulty"):
        read_from(START + account).restore(Ledger(Policy("locked=deposits")))


@pytest.mark.parametrize(
    ("index", "state"), [(0, 2), (0, 32), (0, 255), *((1, each) for each in (5, 7, 8, 9 | 32, 64))]
)
def test_states_that_no_record_can_have_are_refused(index: int, state: int) -> None:
    records = [bytearray(record[:-16]) for record in detailed_records()]
    records[0][2], records[1][2] = 1, 4  # without details
    assert read_from(START + b"".join(records)).restore(Ledger(Policy(DETAILED_POLICY))) == 2
    records[index][2] = state
    with pytest.raises(SpillError, match="the disk or the memory is faulty"):
        read_from(START + b"".join(records) + bytes(16)).restore(Ledger(Policy(DETAILED_POLICY)))


def test_rows_can_be_read_once_the_state_before_them_is_skipped() -> None:
    account, entry, row = one_of_each()
    reader, batch = read_from(START + account + entry + row), TransactionBatch()
    with pytest.raises(SpillError, match="faulty"):
        reader.fill(batch)
    reader.pass_state()
    assert reader.fill(batch)
    assert len(batch) == 1
    with pytest.raises(SpillError, match="faulty"):
        read_from(START + TOO_LONG).pass_state()


def test_a_slice_of_another_version_is_refused() -> None:
    content = b"".join(one_of_each())
    for version in (0, 2, 255):
        with pytest.raises(SpillError, match=f"a slice has version {version}, .* reads 3: use the same version of txf"):
            read_from(b"slc%c" % version + content).restore(Ledger())
    for start in (b"", b"SLC\x03", b"txs\x03"):
        with pytest.raises(SpillError, match="faulty"):
            read_from(start + content).fill(TransactionBatch())
    with pytest.raises(SpillError, match="faulty"):
        read_from(START[:3]).next_is_state()


def test_a_partition_that_was_given_nothing_is_an_empty_slice() -> None:
    assert in_partitions(None, [make_batch([])], 0) == [b""] * 3
    [written] = [content for content in in_partitions(None, [make_batch([b"deposit,1,1,1"])], 0) if content]
    assert written.startswith(START)
    for content in (b"", START):
        reader = read_from(content)
        assert reader.restore(Ledger()) == 0
        assert not reader.fill(TransactionBatch())


def test_typical_rows_take_no_more_than_21_bytes() -> None:
    rows = [Row("deposit", 10**12 + row, row * 2**40 % 2**63, 12_345_600 + row) for row in range(5_000)]
    batch = make_batch([row.line() for row in rows])
    assert sum(map(len, in_partitions(None, [batch], 1 << 16))) <= 21 * len(rows)


@given(st.sampled_from([START, START, START, b""]), st.binary(max_size=200), strategies.policies())
def test_any_bytes_are_refused_or_read_within_their_bounds(start: bytes, content: bytes, policy: str) -> None:
    content = start + content
    reader, ledger, batch = read_from(content), Ledger(Policy(policy)), TransactionBatch()
    try:
        while reader.restore(ledger):
            pass
        while reader.fill(batch):
            ledger.apply(batch)
    except SpillError:
        pass


def test_arguments_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="1 partitions"):
        Partitions(1, 4096, print)
    with pytest.raises(ValueError, match="a key of 3 bytes"):
        Partitions(2, 4096, print, b"key")
    partitions = Partitions(2, 4096, print)
    with pytest.raises(IndexError, match="no partition 2"):
        partitions.counts(2)
    with pytest.raises(ValueError, match="no account"):
        Ledger().any_client()
    batch = make_batch([b"deposit,1,1,1"])
    route(batch, 2)
    for refused in (
        lambda: partitions.add_rows(batch, 2), lambda: statuses_of(batch, 2), lambda: batch.shard_rows(2),
        lambda: set_statuses(batch, 2, bytearray()), lambda: batch.leave_unsettled(64),
    ):  # fmt: skip
        with pytest.raises(IndexError, match="shard"):
            refused()
    with pytest.raises(ValueError, match="5 statuses for"):
        set_statuses(batch, 0, bytearray(5))
