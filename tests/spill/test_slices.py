"""Slices: a ledger and rows that are written to partitions come back unchanged, and other bytes are refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.bare_ledger import accounts_csv, accounts_of, apply_rows, status_counts
from tests.support.rows import Row, make_batch
from txfast.batch.batch import KINDS, TransactionBatch
from txfast.errors import SpillError
from txfast.ledger.ledger import Ledger
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


@given(any_rows, any_rows)
def test_a_ledger_and_rows_come_back_from_partitions_unchanged(before: list[Row], after: list[Row]) -> None:
    whole, parts = Ledger(), []
    apply_rows(whole, before)
    counted_before = Counter(status_counts(whole))
    batch = make_batch([row.line() for row in after])
    for content in in_partitions(whole, [batch], 4096):
        part, reader = Ledger(), read_from(content)
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


def restored(contents: list[bytes]) -> list[Ledger]:
    ledgers = []
    for content in contents:
        ledgers.append(Ledger())
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
START = b"slc\x01"


def records_in(content: bytes) -> list[bytes]:
    """The records of a slice. The first two bytes of each have the lengths of its three fields."""
    records = []
    assert content.startswith(START)
    content = content.removeprefix(START)
    while content:
        control = int.from_bytes(content[:2], "little")
        length = 2 + sum(control >> shift & 15 for shift in (4, 8, 12))
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


TOO_LONG = b"\xf5\xff" * 60

# A deposit of the same client with the same id as the one before it.
SAME_AGAIN = b"\x16\x10\x07\x0a"

# An account of client 1 that has the greatest number available, and one unit held.
NO_TOTAL = b"\x15\x18\x01\xfe\xff\xff\xff\xff\xff\xff\xff\x02"


@pytest.mark.parametrize("content", [
    b"".join(one_of_each()[index] for index in indexes) + rest
    for indexes, rest in [
        ((0, 0), b""), ((1,), b""), ((0, 1), SAME_AGAIN), ((0,), TOO_LONG), ((), TOO_LONG), ((0,), b"\x05"),
        ((), NO_TOTAL), ((2, 0), b""), ((2,), TOO_LONG), ((2,), b"\xff" * 120), ((2, 2), b"\x00"),
    ]
])  # fmt: skip
def test_records_that_no_ledger_can_have_written_are_refused(content: bytes) -> None:
    reader, ledger, batch = read_from(START + content), Ledger(), TransactionBatch()
    with pytest.raises(SpillError, match="the disk or the memory is faulty"):  # noqa: PT012 (any of them may)
        while reader.restore(ledger, 1) or reader.fill(batch):
            pass


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
        with pytest.raises(SpillError, match=f"a slice has version {version}, .* reads 1: use the same version of txf"):
            read_from(b"slc%c" % version + content).restore(Ledger())
    for start in (b"", b"SLC\x01", b"txs\x01"):
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


@given(st.sampled_from([START, START, START, b""]), st.binary(max_size=200))
def test_any_bytes_are_refused_or_read_within_their_bounds(start: bytes, content: bytes) -> None:
    content = start + content
    reader, ledger, batch = read_from(content), Ledger(), TransactionBatch()
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
