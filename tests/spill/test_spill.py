"""What does not fit in memory goes to disk: the same accounts and rejects, within the limit, and nothing left."""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import txfast.run.replay
from tests.support import replays, strategies
from tests.support.bare_ledger import accounts_csv, accounts_of, apply_rows, status_counts
from tests.support.command import Folder
from tests.support.failures import failing
from tests.support.profiles import examples
from tests.support.reference import HEADER
from tests.support.rows import Row, make_batch, make_file
from tests.support.small_memory import SmallLedger, small_limits
from txfast.batch.batch import KINDS, TransactionBatch
from txfast.errors import MemoryLimitError, SpillError, TooManyMalformedError
from txfast.input.open import open_source
from txfast.input.position import Consumption
from txfast.interrupts import POLL_SECONDS
from txfast.ledger.ledger import STATUSES, Ledger
from txfast.ledger.route import route
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.log.journal import Journal
from txfast.run.books import Books
from txfast.run.replay import Replay
from txfast.spill import settle, slices, spill
from txfast.spill.file import SpillFile, Stream, default_folder
from txfast.spill.partitions import Partitions
from txfast.spill.runs import RunMerge, run_blocks
from txfast.spill.settled import Settled
from txfast.spill.slices import SliceReader
from txfast.spill.spill import Spill
from txfast.spill.statuses import StatusReader, set_statuses, statuses_of
from txfast.state.directory import StateDirectory
from txfast.state.snapshot import Snapshot
from txfast.writers.accounts_csv import csv_blocks

MEBIBYTE = 1 << 20
limits = st.sampled_from([0, 1, 3, 10, 1 << 30])


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


# ---- The same as in memory -----------------------------------------------------------------------


@pytest.mark.parametrize("reader", replays.READERS)
@given(
    st.lists(st.one_of(strategies.hostile_files(), strategies.plain_files()), min_size=1, max_size=3),
    strategies.block_sizes, st.sampled_from(replays.THREADS), limits,
)  # fmt: skip
def test_hostile_files_give_what_the_rules_say_whatever_fits(
    reader: str, contents: list[bytes], block_bytes: int, threads: int, limit: int
) -> None:
    inputs = [(f"{place}.csv", content) for place, content in enumerate(contents)]
    block_bytes = replays.fit_block(reader, inputs, block_bytes)
    with small_limits(limit):
        replays.assert_as_reference(inputs, reader=reader, block_bytes=block_bytes, threads=threads)


@pytest.mark.untraced
@given(
    st.lists(st.one_of(strategies.streams(), strategies.streams(st.integers(0, 40), st.integers(0, 9))), max_size=4),
    strategies.block_sizes, st.sampled_from(replays.THREADS), limits,
)  # fmt: skip
def test_streams_give_what_the_rules_say_whatever_fits(
    streams: list[list[Row]], block_bytes: int, threads: int, limit: int
) -> None:
    rows = [row for stream in streams for row in stream]
    with small_limits(limit):
        replays.assert_as_reference(
            [("in.csv", make_file(rows))], reader="native", block_bytes=block_bytes, threads=threads
        )


@pytest.mark.untraced
@examples(0.3)
@given(
    st.lists(strategies.streams(st.integers(0, 40), st.integers(0, 9)), min_size=1, max_size=4),
    st.sampled_from(replays.THREADS), limits, st.integers(1, 3), st.integers(0, 9),
)  # fmt: skip
def test_a_state_goes_on_whatever_of_it_fits(
    streams: list[list[Row]], threads: int, limit: int, parts: int, skipped: int
) -> None:
    """What was saved is restored in any number of parts, and saved again from partitions."""
    assert_goes_on(streams, threads=threads, limit=limit, parts=parts, block_bytes=100 + skipped)


@pytest.mark.parametrize("parts", [1, 3])
def test_a_state_is_restored_in_parts_and_saved_from_partitions(parts: int) -> None:
    streams = [[Row("deposit", client, 100 * day + client, 5) for client in range(30)] for day in range(3)]
    streams[2] += [Row("dispute", client, 100 + client, None) for client in range(0, 30, 3)]
    assert_goes_on(streams, threads=3, limit=4, parts=parts, block_bytes=100)


def assert_goes_on(streams: list[list[Row]], *, threads: int, limit: int, parts: int, block_bytes: int) -> None:
    """A run for each stream, all of one state, ends as one run over all of them does."""
    files = [make_file(stream) for stream in streams]
    expected = replays.run_reference([("in.csv", make_file([row for stream in streams for row in stream]))])
    with tempfile.TemporaryDirectory() as name, small_limits(limit), pytest.MonkeyPatch.context() as patched:
        patched.setattr(Books, "parts_that_fit", lambda *_: parts)
        patched.setattr(Snapshot, "parts", lambda snapshot, count, _, parts=Snapshot.parts: parts(snapshot, count, 0))
        for number, content in enumerate(files):
            state = StateDirectory(name, lambda message: pytest.fail(str(message)))
            journal = replays.RejectsJournal()
            replay = replays.new_replay(journal, "native", block_bytes, threads)
            state.open()
            state.load(replay.books.restore)
            replay.read_source(replays.open_bytes(f"{number}.csv", content))
            outcome = replays.outcome_of(replay, journal, state.saver(changed=True))
            state.finish()
            state.publish()
            state.discard()
            replay.close()
    assert outcome.accounts == expected.accounts


class DueCheckpoints:
    """What always wants a checkpoint, and knows when there were ledgers on disk."""

    def __init__(self) -> None:
        self.taken = self.passed_over = 0

    def is_due(self) -> bool:
        return not self.passed_over

    def take(self, replay: Replay, _: object) -> None:
        assert not replay.books.is_spilled
        self.taken += 1

    def pass_over(self) -> None:
        self.passed_over += 1

    def end_by_signal(self) -> None:
        raise AssertionError("there is no table")


@pytest.mark.parametrize("threads", replays.THREADS)
def test_no_checkpoint_is_taken_of_ledgers_on_disk(threads: int, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(make_file([Row("deposit", 7 if tx < 500 else tx, tx, 1) for tx in range(1000)]))
    checkpoints = DueCheckpoints()
    with small_limits(3):
        replay = txfast.run.replay.new_replay(
            block_bytes=500, threads=threads, memory_limit=1 << 30, checkpoints=checkpoints
        )
        replay.books.ledger_bytes = 3
        source = open_source(str(path))
        replay.read_source(source, Consumption())
        source.close()
        assert (checkpoints.taken > 5, checkpoints.passed_over) == (True, 1)
        assert len(replay.collect()) == 501
        replay.close()


@pytest.mark.parametrize(
    "threads", [1, *(pytest.param(several, marks=pytest.mark.untraced) for several in replays.THREADS[1:])]
)
@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_a_run_stops_at_a_malformed_row_behind_a_spill(threads: int, allowed: int) -> None:
    rows = [b"deposit,%d,%d,1" % (client % 40, client) for client in range(60)]
    faulty = [b"deposit,1,1", b"fee,1,1,1", b"deposit,2,2,2"]
    content = b"\n".join([HEADER.rstrip(), *rows, *faulty, *faulty, *faulty, *rows])
    outcomes = []
    for limit in (1 << 30, 0):
        with small_limits(limit):
            journal = replays.RejectsJournal()
            replay = replays.new_replay(journal, "native", 150, threads)
            replay.malformed_rows.allowed = allowed
            with pytest.raises(TooManyMalformedError, match=r"in\.csv:"):
                replay.read_source(replays.open_bytes("in.csv", content))
            outcomes.append(replays.outcome_of(replay, journal))
            assert replay.books.is_spilled == (limit == 0)
    assert outcomes[0] == outcomes[1]
    assert len([reject for reject in outcomes[0].rejects if reject.status == "malformed"]) == allowed + 1


@pytest.mark.untraced
def test_a_partition_of_much_state_is_divided_between_its_rows() -> None:
    """What became of its rows is found again where reading begins behind the state, which takes several reads."""
    clients = 60_000
    rows = [Row("deposit", client * 2**40, client, 1) for client in range(clients)]
    rows += [Row("dispute", client * 2**40 * 7 % (clients * 2**40), client, None) for client in range(clients)]
    content = make_file(rows)
    expected = replays.run([("in.csv", content)])
    with small_limits(clients // 2), pytest.MonkeyPatch.context() as patched:
        # All fits until a partition has been given rows.
        patched.setattr(SmallLedger, "bytes_with", lambda ledger, _: len(ledger) + sum(map(sum, counted(ledger))))
        patched.setattr(spill, "PARTITIONS", 2)
        patched.setattr(slices, "ROWS_AT_ONCE", 1 << 14)
        assert replays.run([("in.csv", content)], block_bytes=1 << 18) == expected


def counted(ledger: Ledger) -> list[list[int]]:
    """How many rows met what, by kind."""
    return [[ledger.count(kind, status) for status in range(len(STATUSES))] for kind in range(len(KINDS))]


@pytest.mark.untraced
def test_lines_too_long_and_blank_are_reported_behind_a_spill() -> None:
    long_blank, long_row = b" " * (2 * MEBIBYTE), b" " * (2 * MEBIBYTE) + b"x"
    rows = [b"deposit,%d,%d,1" % (client, client) for client in range(50)]
    content = b"\n".join([HEADER.rstrip(), *rows, long_blank, long_row, *rows, long_row[::-1]])
    with small_limits(0):
        outcome = replays.assert_as_reference([("in.csv", content)], reader="native", block_bytes=1000, threads=3)
    assert outcome is not None
    assert outcome.malformed == {"row_too_long": 2}
    assert outcome.rejected == {"duplicate_transaction": 50}


# ---- Slices --------------------------------------------------------------------------------------

ids = st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 300), st.sampled_from([2**64 - 1, 2**63, 255, 256, 65535]))
amounts = st.one_of(st.none(), st.integers(1 - 2**63, 2**63 - 1), st.integers(-300, 300))
any_rows = st.lists(st.builds(Row, st.sampled_from(KINDS), ids, ids, amounts), max_size=50)


def in_partitions(ledger: Ledger | None, batches: list[TransactionBatch], buffer_bytes: int) -> list[bytes]:
    """What a ledger and batches become in three partitions."""
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
    place = 0

    def readinto(view: memoryview) -> int:
        nonlocal place
        view = memoryview(view)
        count = min(len(view), len(content) - place)
        view[:count] = content[place : place + count]
        place += count
        return count

    return SliceReader(readinto)


@given(any_rows, any_rows)
def test_a_ledger_and_rows_come_back_from_partitions_as_they_were(before: list[Row], after: list[Row]) -> None:
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
    """A ledger of more than a buffer holds, with all that can become of a deposit, and withdrawals."""
    ledger = Ledger()
    rows = [Row("deposit", tx % 1500 * 2**40, tx, 10 + tx) for tx in range(3000)]
    rows += [Row("dispute", tx % 1500 * 2**40, tx, None) for tx in range(0, 3000, 3)]
    rows += [Row("resolve", tx % 1500 * 2**40, tx, None) for tx in range(0, 1500, 6)]
    rows += [Row("chargeback", tx % 1500 * 2**40, tx, None) for tx in range(1500, 3000, 9)]
    rows += [Row("withdrawal", tx % 1500 * 2**40, 10_000 + tx, 1) for tx in range(1500)]
    apply_rows(ledger, rows)
    return ledger


@pytest.mark.untraced
def test_a_ledger_larger_than_the_buffers_comes_back_and_goes_on(disputed: Ledger) -> None:
    parts = restored(in_partitions(disputed, [], 4096))
    assert min(map(len, parts)) > 300
    assert sum(map(len, parts)) == len(disputed)
    assert sum(part.entries for part in parts) == disputed.entries
    assert accounts_csv(parts) == accounts_csv([disputed])
    # Disputes are where they were.
    endings = [Row(kind, tx % 1500 * 2**40, tx, None) for tx in range(3000) for kind in ("resolve", "dispute")]
    for part in (*parts, disputed):
        clients = {account.client for account in accounts_of(part)}
        apply_rows(part, [row for row in endings if row.client in clients])
    assert accounts_csv(parts) == accounts_csv([disputed])


def test_what_a_reader_has_left_of_a_ledger_goes_into_other_partitions(disputed: Ledger) -> None:
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
    assert [sum(partitions.counts(number)[place] for number in range(2)) for place in range(3)] == [
        len(expected[0]), expected[0].entries, 0,
    ]  # fmt: skip
    assert accounts_csv(restored(written)) == accounts_csv(expected)
    assert len(others) == 2


def test_finished_partitions_take_no_more(disputed: Ledger) -> None:
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
    """The records, each of which says in its first two bytes how long its three numbers are."""
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
    """The records of an account, of its deposit, and of a row for it."""
    ledger = Ledger()
    apply_rows(ledger, [Row("deposit", 7, 1, 5)])
    content = b"".join(in_partitions(ledger, [make_batch([b"deposit,7,2,5"])], 0))
    account, entry, row = records_in(content)
    return account, entry, row


TOO_LONG = b"\xf5\xff" * 60
# The deposit of an account with the same number as the one before it.
SAME_AGAIN = b"\x16\x10\x07\x0a"


@pytest.mark.parametrize("content", [
    b"".join(one_of_each()[place] for place in places) + rest
    for places, rest in [
        ((0, 0), b""), ((1,), b""), ((0, 1), SAME_AGAIN), ((0,), TOO_LONG), ((), TOO_LONG), ((0,), b"\x05"),
        ((2, 0), b""), ((2,), TOO_LONG), ((2,), b"\xff" * 120), ((2, 2), b"\x00"),
    ]
])  # fmt: skip
def test_records_that_cannot_be_what_was_written_are_refused(content: bytes) -> None:
    reader, ledger, batch = read_from(START + content), Ledger(), TransactionBatch()
    with pytest.raises(SpillError, match="the disk or the memory is faulty"):  # noqa: PT012 (any of them may)
        while reader.restore(ledger, 1) or reader.fill(batch):
            pass


def test_state_is_passed_over_only_where_it_is_some() -> None:
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


def test_runs_longer_than_their_buffers_are_merged() -> None:
    ledgers = [Ledger() for _ in range(3)]
    for number, ledger in enumerate(ledgers):
        apply_rows(ledger, [Row("deposit", 3 * client + number, 1, client) for client in range(200)])
    runs = [b"".join(map(bytes, run_blocks(AccountColumns([ledger])))) for ledger in ledgers]
    merged = list(RunMerge([io.BytesIO(run).readinto for run in runs], 100))
    assert sum(map(len, merged)) == 600
    with pytest.raises(SpillError, match="ends within an account"):
        list(RunMerge([io.BytesIO(runs[0][:-1]).readinto], 100))


def test_fewer_statuses_than_rows_are_noticed() -> None:
    partitions = Partitions(2, 0, lambda _, __: None)
    batch = make_batch([b"deposit,1,1,1"] * 3)
    two = io.BytesIO(bytes(2))
    reader = StatusReader(partitions, lambda _, view: two.readinto(view), 9)
    with pytest.raises(SpillError, match="fewer rows were settled"):
        reader.fill(batch)


def test_typical_rows_take_no_more_than_21_bytes() -> None:
    rows = [Row("deposit", 10**12 + row, row * 2**40 % 2**63, 12_345_600 + row) for row in range(5_000)]
    batch = make_batch([row.line() for row in rows])
    assert sum(map(len, in_partitions(None, [batch], 1 << 16))) <= 21 * len(rows)


@given(st.sampled_from([START, START, START, b""]), st.binary(max_size=200))
def test_what_was_never_written_is_refused_or_read_within_its_bounds(start: bytes, content: bytes) -> None:
    content = start + content
    reader, ledger, batch = read_from(content), Ledger(), TransactionBatch()
    try:
        while reader.restore(ledger):
            pass
        while reader.fill(batch):
            ledger.apply(batch)
    except SpillError:
        pass


def have_all_alike_at_first(patched: pytest.MonkeyPatch) -> list[Partitions]:
    """Have all small clients fall into one partition, of the first ones that are made; the list of all that are."""
    # With this key the hash of small numbers is 0.
    keys = iter([(0).to_bytes(8, "little") + (1).to_bytes(8, "little")])
    made: list[Partitions] = []

    def new_partitions(count: int, buffer_bytes: int, write: Callable[[int, memoryview], object]) -> Partitions:
        made.append(Partitions(count, buffer_bytes, write, next(keys, None)))
        return made[-1]

    patched.setattr(spill, "Partitions", new_partitions)
    return made


def test_clients_that_all_fall_into_one_partition_are_divided_by_the_next_hash() -> None:
    content = make_file([Row("deposit", client, tx, 1) for tx in range(9) for client in range(50)])
    with small_limits(2), pytest.MonkeyPatch.context() as patched:
        made = have_all_alike_at_first(patched)
        replays.assert_as_reference([("in.csv", content)], reader="native", block_bytes=100)
    assert [made[0].counts(number)[2] for number in range(3)][1:] == [0, 0]
    assert len(made) > 2


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


# ---- Files ---------------------------------------------------------------------------------------


def test_a_stream_gives_back_what_was_written_between_others(tmp_path: Path) -> None:
    file = SpillFile(str(tmp_path))
    streams = [Stream(file) for _ in range(2)]
    for place in range(100):
        streams[place % 3 % 2].write(bytes([place]) * place)
    expected = [b"".join(bytes([p]) * p for p in range(100) if p % 3 % 2 == n) for n in range(2)]
    for stream, content in zip(streams, expected, strict=True):
        read_into, view = stream.reader(), bytearray(len(content) + 10)
        assert read_into(memoryview(view)) == len(content)
        assert bytes(view[: len(content)]) == content
        assert read_into(memoryview(view)) == 0
    file.close()


def test_spill_files_have_no_name_and_nobody_else_may_read_them(tmp_path: Path) -> None:
    file = SpillFile(str(tmp_path / "new" / "folder"))
    file.append(b"secret")
    assert list((tmp_path / "new" / "folder").iterdir()) == []
    assert stat.S_IMODE(os.fstat(file._descriptor).st_mode) & 0o077 == 0
    assert stat.S_IMODE((tmp_path / "new" / "folder").stat().st_mode) == 0o700
    file.close()


def test_where_all_files_have_names_it_is_unlinked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    file = SpillFile(str(tmp_path))
    file.append(b"secret")
    assert list(tmp_path.iterdir()) == []
    assert stat.S_IMODE(os.fstat(file._descriptor).st_mode) == 0o600
    file.close()


def test_a_disk_that_is_full_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "pwrite", failing(errno.ENOSPC))
    with pytest.raises(SpillError, match=r"No space left on device, after 0 MiB; --spill-dir"):
        SpillFile(str(tmp_path)).append(b"x")


def test_a_folder_that_takes_no_files_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpillError, match="--spill-dir names another folder"):
        SpillFile(str(tmp_path / "file" / "folder")).append(b"x")


def test_what_is_cut_off_on_the_disk_is_noticed(tmp_path: Path) -> None:
    file = SpillFile(str(tmp_path))
    file.append(b"x" * 100)
    os.ftruncate(file._descriptor, 50)
    with pytest.raises(SpillError, match="no longer there"):
        file.read_into(memoryview(bytearray(100)), 0)


def test_a_file_that_is_given_back_takes_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SpillFile(str(tmp_path))
    file.close()
    with pytest.raises(SpillError, match="given back"):
        file.append(b"x")
    file = SpillFile(str(tmp_path))
    file.append(b"x")
    monkeypatch.setattr(os, "preadv", failing(errno.EIO))
    with pytest.raises(SpillError, match="cannot be read: Input/output error"):
        file.read_into(memoryview(bytearray(1)), 0)
    file.close()


def test_room_is_looked_for_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SpillFile(str(tmp_path / "new" / "folder"))
    file.expect(1)
    with pytest.raises(SpillError, match=r"takes about \d+ MiB, and \d+ MiB are free; --spill-dir names another"):
        file.expect(1 << 62)
    monkeypatch.setattr(os, "statvfs", failing(errno.ENOSYS))
    file.expect(1 << 62)
    assert list(tmp_path.iterdir()) == []


def test_a_file_whose_name_stays_is_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    monkeypatch.setattr(os, "unlink", failing(errno.EPERM))
    with pytest.raises(SpillError, match="Operation not permitted"):
        SpillFile(str(tmp_path)).append(b"x")
    [path] = tmp_path.iterdir()
    assert path.read_bytes() == b""


def test_files_go_where_temporary_files_may_be_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert default_folder() == str(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    monkeypatch.setattr("txfast.spill.file.FOLDERS", (str(tmp_path),))
    assert default_folder() == str(tmp_path)
    monkeypatch.setattr("txfast.spill.file.FOLDERS", ())
    assert default_folder() == os.curdir


# ---- Limits --------------------------------------------------------------------------------------


def test_a_client_that_does_not_fit_is_named_with_what_it_needs() -> None:
    rows = [Row("deposit", 7, tx, 1) for tx in range(200)] + [Row("deposit", client, 1, 1) for client in range(20)]
    content = make_file(rows)
    with small_limits(0), pytest.MonkeyPatch.context() as patched:
        patched.setattr(SmallLedger, "bytes_with", lambda ledger, _: ledger.entries)
        alone = r"client \d+ alone has up to \d+ transactions: they need a memory limit of \d+MiB"
        with pytest.raises(MemoryLimitError, match=alone):
            replays.run([("in.csv", content)], block_bytes=100)


def test_a_failure_in_one_partition_ends_all_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise SpillError("broken")

    content = make_file([Row("deposit", client, 1, 1) for client in range(500)])
    with small_limits(0):
        monkeypatch.setattr(Settled, "add", fail)
        with pytest.raises(SpillError, match="broken"):
            replays.run([("in.csv", content)], block_bytes=100, threads=4)


class OneByOne(SliceReader):
    """A reader that restores one account or entry at a time."""

    def restore(self, ledger: Ledger, _: int = 1) -> int:
        return int(super().restore(ledger, 1))


@pytest.mark.parametrize("journal", [replays.RejectsJournal(), Journal(quiet=True)])
def test_a_partition_whose_state_alone_does_not_fit_is_divided_within_it(journal: Journal) -> None:
    """The first partition that has anything never fits."""
    content = make_file([Row("deposit", client, tx, 1) for tx in range(3) for client in range(50)])
    expected = replays.run([("in.csv", content)])
    with small_limits(30), pytest.MonkeyPatch.context() as patched:
        have_all_alike_at_first(patched)
        patched.setattr(spill, "SliceReader", OneByOne)
        replay = replays.new_replay(journal, "native", 100, 1)
        replay.books.settling_bytes = 10 + settle.SETTLING_BYTES
        replay.read_source(replays.open_bytes("in.csv", content))
        assert replay.books.is_spilled
        accounts = replay.collect()
        assert b"".join(map(bytes, csv_blocks(accounts))) == expected.accounts
        replay.close()


def spilled_settled(tmp_path: Path) -> tuple[list[Spill], Settled]:
    """Rows of a few clients on disk, to be settled."""
    file = SpillFile(str(tmp_path))
    settled = Settled(file, 1 << 30, lambda _: None)
    made = Spill(file, 1 << 30, settled, keep_statuses=False)
    made.add_rows(make_batch([b"deposit,%d,1,1" % client for client in range(100)]))
    return [made], settled


def test_nothing_is_settled_once_nothing_more_is_wanted(tmp_path: Path) -> None:
    spills, settled = spilled_settled(tmp_path)
    settled.stopped = True
    settle.settle(spills, settled, 1, 1 << 30)
    for number in range(spill.PARTITIONS):
        spills[0].settle_partition(number, 1 << 30)
    assert len(settled) == 0


def test_where_no_thread_can_be_started_one_settles_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spills, settled = spilled_settled(tmp_path)

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    settle.settle(spills, settled, 4, 1 << 30)
    assert len(settled) == 100


def test_an_interrupt_while_threads_settle_ends_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spills, settled = spilled_settled(tmp_path)
    join = threading.Thread.join
    waits: list[float | None] = []

    def interrupted_once(thread: threading.Thread, timeout: float | None = None) -> None:
        waits.append(timeout)
        if len(waits) == 1:
            raise KeyboardInterrupt
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", interrupted_once)
    monkeypatch.setattr(threading.Thread, "is_alive", lambda _: True)  # all may be settled by then
    with pytest.raises(KeyboardInterrupt):
        settle.settle(spills, settled, 3, 1 << 30)
    assert settled.stopped
    assert waits == [POLL_SECONDS, settle.JOIN_SECONDS, settle.JOIN_SECONDS]


def test_text_that_reads_otherwise_the_second_time_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    content = make_file([Row("deposit", client, 1, 1) for client in range(50)])
    monkeypatch.setattr("txfast.run.deferred.rescan", lambda *_: None)
    with small_limits(0), pytest.raises(SpillError, match=r"in\.csv: reads otherwise than before"):
        replays.run([("in.csv", content)], block_bytes=100)


@pytest.mark.parametrize(
    ("accounts", "transactions"),
    [(1, 1), (1, 5000), (3000, 3000), pytest.param(70_000, 70_000, marks=pytest.mark.untraced)],
)
def test_a_ledger_needs_about_what_it_says_beforehand(accounts: int, transactions: int) -> None:
    ledger = Ledger()
    foreseen = Ledger.bytes_for(accounts, transactions)
    first = ledger.bytes_with(transactions)
    for start in range(0, transactions, 10_000):
        rows = [Row("deposit", tx % accounts, tx, 1) for tx in range(start, min(start + 10_000, transactions))]
        apply_rows(ledger, rows)
    assert ledger.bytes_with(0) <= foreseen * 1.05
    assert first <= foreseen * 1.05
    assert ledger.bytes_with(transactions) > ledger.bytes_with(0)


# ---- The command ---------------------------------------------------------------------------------


def test_a_size_is_a_number_with_a_unit(folder: Folder) -> None:
    for size in ("96MiB", "1GB", "0.5gib", "1.25 GiB", "101000KB"):
        run = folder.run("--memory-limit", size, stdin=HEADER)
        assert (run.exit_code, run.errors) == (0, "")
    for size, reason in (
        ("12", "is no size"), ("MiB", "is no size"), ("-1GB", "is no size"), ("1.x GB", "is no size"),
        ("95MiB", "the least is 96MiB"), ("0GB", "the least"),
    ):  # fmt: skip
        folder.run(f"--memory-limit={size}", stdin=HEADER).assert_misused("--memory-limit", reason)


def test_a_spill_folder_is_none_that_is_a_file(folder: Folder) -> None:
    folder.run("--spill-dir", "in.csv", stdin=HEADER).assert_misused("'in.csv' is no folder")
    folder.run("--spill-dir", "", stdin=HEADER).assert_misused("empty")


def test_what_pyarrow_needs_is_said(folder: Folder) -> None:
    for words in (("--reader", "arrow"), ("--rejects", "r.parquet"), ("--state", "state")):
        folder.run("--memory-limit", "128MiB", *words, stdin=HEADER).assert_misused("the least is 256MiB")


@pytest.mark.untraced
@pytest.mark.parametrize("threads", ["1", "4"])
def test_a_run_stays_within_its_limit_and_says_the_same(folder: Folder, threads: str) -> None:
    rows = b"".join(b"deposit,%d,%d,1.5\ndispute,%d,%d\n" % (n % 300_000, n, n % 400_000, n) for n in range(700_000))
    folder.write("in.csv", HEADER + rows)
    said = []
    for words in ((), ("--memory-limit", "96MiB", "--spill-dir", "spill")):
        run = folder.run(
            "in.csv", "-o", "a.csv", "--rejects", "r.csv", "--stats", "s.json", "--threads", threads, *words
        )
        assert (run.exit_code, run.errors) == (0, "")
        stats = json.loads((folder.path / "s.json").read_bytes())
        outputs = [(folder.path / name).read_bytes() for name in ("a.csv", "r.csv")]
        said.append((*outputs, stats["applied"], stats["rejected"], stats["total"], stats["accounts"]))
    assert said[0] == said[1]
    assert stats["spilled_bytes"] > MEBIBYTE
    assert stats["peak_memory_bytes"] <= 96 * MEBIBYTE * 1.1
    assert list((folder.path / "spill").iterdir()) == []
