"""What does not fit in memory goes to disk: the same accounts and rejects, within the limit, and nothing left."""

from __future__ import annotations

import errno
import json
import os
import stat
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import harness
import pytest
from command import HEADER, Folder
from harness import Row
from hypothesis import given
from hypothesis import strategies as st

from txfast import pipeline
from txfast.batch import KINDS, TransactionBatch
from txfast.errors import MemoryLimitError, SpillError, TooManyMalformedError
from txfast.ledger.ledger import STATUSES, Ledger, route
from txfast.log import Journal
from txfast.pipeline import Replay
from txfast.read.consumed import Consumption
from txfast.read.source import open_source
from txfast.state import slices, spill
from txfast.state.directory import StateDirectory
from txfast.state.slices import Partitions, SliceReader
from txfast.state.snapshot import Snapshot
from txfast.state.spill import SpillFile, Stream
from txfast.state.statuses import set_statuses, statuses_of

MEBIBYTE = 1 << 20
limits = st.sampled_from([0, 1, 3, 10, 1 << 30])


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


class SmallLedger(Ledger):
    """A ledger that says it takes a byte for each account beyond the first, and so never fits when it has many."""

    def bytes_with(self, _: int) -> int:
        return max(0, len(self) - 1)

    @staticmethod
    def bytes_for(_accounts: int, _transactions: int) -> int:
        return 0


@contextmanager
def small_limits(limit: int) -> Iterator[None]:
    """Have every run move its ledgers to disk when they have more accounts than that, and rows in small batches."""
    with pytest.MonkeyPatch.context() as patched:

        def new_replay(journal: Journal, reader: str, block_bytes: int | None, threads: int) -> Replay:
            replay = Replay(journal, reader=reader, block_bytes=block_bytes, threads=threads, memory_limit=1 << 30)
            replay._ledger_limit = limit
            replay._settling_limit = limit + spill.SETTLING_BYTES
            return replay

        patched.setattr(pipeline, "Ledger", SmallLedger)
        patched.setattr(pipeline, "LEDGER_BYTES_MIN", 1)
        patched.setattr(spill, "Ledger", SmallLedger)
        patched.setattr(spill, "PARTITIONS", 3)
        patched.setattr(spill, "BUFFER_BYTES_MIN", 0)
        patched.setattr(spill, "BUFFERS_SHARE", 1 << 60)
        patched.setattr(slices, "ROWS_AT_ONCE", 4)
        patched.setattr(harness, "new_replay", new_replay)
        yield


# ---- The same as in memory -----------------------------------------------------------------------


@pytest.mark.untraced
@pytest.mark.parametrize("reader", harness.READERS)
@given(
    st.lists(st.one_of(harness.hostile_files(), harness.plain_files()), min_size=1, max_size=3),
    harness.block_sizes, st.sampled_from(harness.THREADS), limits,
)  # fmt: skip
def test_hostile_files_give_what_the_rules_say_whatever_fits(
    reader: str, contents: list[bytes], block_bytes: int, threads: int, limit: int
) -> None:
    inputs = [(f"{place}.csv", content) for place, content in enumerate(contents)]
    block_bytes = harness.fit_block(reader, inputs, block_bytes)
    with small_limits(limit):
        harness.assert_as_reference(inputs, reader=reader, block_bytes=block_bytes, threads=threads)


@pytest.mark.untraced
@given(
    st.lists(st.one_of(harness.streams(), harness.streams(st.integers(0, 40), st.integers(0, 9))), max_size=4),
    harness.block_sizes, st.sampled_from(harness.THREADS), limits,
)  # fmt: skip
def test_streams_give_what_the_rules_say_whatever_fits(
    streams: list[list[Row]], block_bytes: int, threads: int, limit: int
) -> None:
    rows = [row for stream in streams for row in stream]
    with small_limits(limit):
        harness.assert_as_reference(
            [("in.csv", harness.make_file(rows))], reader="native", block_bytes=block_bytes, threads=threads
        )


@pytest.mark.untraced
@harness.examples(0.3)
@given(
    st.lists(harness.streams(st.integers(0, 40), st.integers(0, 9)), min_size=1, max_size=4),
    st.sampled_from(harness.THREADS), limits, st.integers(1, 3), st.integers(0, 9),
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
    files = [harness.make_file(stream) for stream in streams]
    expected = harness.run_reference([("in.csv", harness.make_file([row for stream in streams for row in stream]))])
    with tempfile.TemporaryDirectory() as name, small_limits(limit), pytest.MonkeyPatch.context() as patched:
        patched.setattr(Replay, "_parts_that_fit", lambda *_: parts)
        patched.setattr(Snapshot, "parts", lambda snapshot, count, _, parts=Snapshot.parts: parts(snapshot, count, 0))
        for number, content in enumerate(files):
            state = StateDirectory(name, lambda message: pytest.fail(str(message)))
            journal = harness.RejectsJournal()
            replay = harness.new_replay(journal, "native", block_bytes, threads)
            state.open()
            state.load(replay.restore)
            replay.read_source(harness.open_bytes(f"{number}.csv", content))
            outcome = harness.outcome_of(replay, journal, state.saver(changed=True))
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
        assert not replay.is_spilled
        self.taken += 1

    def pass_over(self) -> None:
        self.passed_over += 1


@pytest.mark.parametrize("threads", harness.THREADS)
def test_no_checkpoint_is_taken_of_ledgers_on_disk(threads: int, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(harness.make_file([Row("deposit", 7 if tx < 500 else tx, tx, 1) for tx in range(1000)]))
    checkpoints = DueCheckpoints()
    with small_limits(3):
        replay = Replay(block_bytes=500, threads=threads, memory_limit=1 << 30, checkpoints=checkpoints)
        replay._ledger_limit = 3
        source = open_source(str(path))
        replay.read_source(source, Consumption())
        source.close()
        assert (checkpoints.taken > 5, checkpoints.passed_over) == (True, 1)
        assert len(replay.collect()) == 501
        replay.close()


@pytest.mark.parametrize("threads", harness.THREADS)
@pytest.mark.parametrize("allowed", [0, 1, 2])
def test_a_run_stops_at_a_malformed_row_behind_a_spill(threads: int, allowed: int) -> None:
    rows = [b"deposit,%d,%d,1" % (client % 40, client) for client in range(60)]
    faulty = [b"deposit,1,1", b"fee,1,1,1", b"deposit,2,2,2"]
    content = b"\n".join([HEADER.rstrip(), *rows, *faulty, *faulty, *faulty, *rows])
    outcomes = []
    for limit in (1 << 30, 0):
        with small_limits(limit):
            journal = harness.RejectsJournal()
            replay = harness.new_replay(journal, "native", 150, threads)
            replay._max_malformed = allowed
            with pytest.raises(TooManyMalformedError, match=r"in\.csv:"):
                replay.read_source(harness.open_bytes("in.csv", content))
            outcomes.append(harness.outcome_of(replay, journal))
            assert replay.is_spilled == (limit == 0)
    assert outcomes[0] == outcomes[1]
    assert len([reject for reject in outcomes[0].rejects if reject.status == "malformed"]) == allowed + 1


@pytest.mark.untraced
def test_a_partition_of_much_state_is_divided_between_its_rows() -> None:
    """What became of its rows is found again where reading begins behind the state, which takes several reads."""
    clients = 60_000
    rows = [Row("deposit", client * 2**40, client, 1) for client in range(clients)]
    rows += [Row("dispute", client * 2**40 * 7 % (clients * 2**40), client, None) for client in range(clients)]
    content = harness.make_file(rows)
    expected = harness.run([("in.csv", content)])
    with small_limits(clients // 2), pytest.MonkeyPatch.context() as patched:
        # All fits until a partition has been given rows.
        patched.setattr(SmallLedger, "bytes_with", lambda ledger, _: len(ledger) + sum(map(sum, counted(ledger))))
        patched.setattr(spill, "PARTITIONS", 2)
        patched.setattr(slices, "ROWS_AT_ONCE", 1 << 14)
        assert harness.run([("in.csv", content)], block_bytes=1 << 18) == expected


def counted(ledger: Ledger) -> list[list[int]]:
    """How many rows met what, by kind."""
    return [[ledger.count(kind, status) for status in range(len(STATUSES))] for kind in range(len(KINDS))]


def test_lines_too_long_and_blank_are_reported_behind_a_spill() -> None:
    long_blank, long_row = b" " * (2 * MEBIBYTE), b" " * (2 * MEBIBYTE) + b"x"
    rows = [b"deposit,%d,%d,1" % (client, client) for client in range(50)]
    content = b"\n".join([HEADER.rstrip(), *rows, long_blank, long_row, *rows, long_row[::-1]])
    with small_limits(0):
        outcome = harness.assert_as_reference([("in.csv", content)], reader="native", block_bytes=1000, threads=3)
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
    harness.apply_rows(whole, before)
    counted_before = Counter(harness.status_counts(whole))
    batch = harness.make_batch([row.line() for row in after])
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
    assert harness.accounts_csv(parts) == harness.accounts_csv([whole])
    parts_say = sum((Counter(harness.status_counts(part)) for part in parts), Counter())
    assert parts_say == Counter(harness.status_counts(whole)) - counted_before


def test_typical_rows_take_no_more_than_21_bytes() -> None:
    rows = [Row("deposit", 10**12 + row, row * 2**40 % 2**63, 12_345_600 + row) for row in range(5_000)]
    batch = harness.make_batch([row.line() for row in rows])
    assert sum(map(len, in_partitions(None, [batch], 1 << 16))) <= 21 * len(rows)


@given(st.binary(max_size=200))
def test_what_was_never_written_is_refused_or_read_within_its_bounds(content: bytes) -> None:
    reader, ledger, batch = read_from(content), Ledger(), TransactionBatch()
    try:
        while reader.restore(ledger):
            pass
        while reader.fill(batch):
            ledger.apply(batch)
    except SpillError:
        pass


def test_clients_that_all_fall_into_one_partition_are_divided_by_the_next_hash() -> None:
    """With this key the hash of small numbers is 0."""
    keys = iter([(0).to_bytes(8, "little") + (1).to_bytes(8, "little")])
    made: list[Partitions] = []

    def new_partitions(count: int, buffer_bytes: int, write: Callable[[int, memoryview], object]) -> Partitions:
        made.append(Partitions(count, buffer_bytes, write, next(keys, None)))
        return made[-1]

    content = harness.make_file([Row("deposit", client, tx, 1) for tx in range(9) for client in range(50)])
    with small_limits(2), pytest.MonkeyPatch.context() as patched:
        patched.setattr(spill, "Partitions", new_partitions)
        harness.assert_as_reference([("in.csv", content)], reader="native", block_bytes=100)
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
        slices.any_client(Ledger())
    batch = harness.make_batch([b"deposit,1,1,1"])
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
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
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


def test_files_go_where_temporary_files_may_be_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert spill.default_folder() == str(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    monkeypatch.setattr(spill, "FOLDERS", (str(tmp_path),))
    assert spill.default_folder() == str(tmp_path)
    monkeypatch.setattr(spill, "FOLDERS", ())
    assert spill.default_folder() == os.curdir


# ---- Limits --------------------------------------------------------------------------------------


def test_a_client_that_does_not_fit_is_named_with_what_it_needs() -> None:
    rows = [Row("deposit", 7, tx, 1) for tx in range(200)] + [Row("deposit", client, 1, 1) for client in range(20)]
    content = harness.make_file(rows)
    with small_limits(0), pytest.MonkeyPatch.context() as patched:
        patched.setattr(SmallLedger, "bytes_with", lambda ledger, _: ledger.entries)
        alone = r"client \d+ alone has up to \d+ transactions: they need a memory limit of \d+MiB"
        with pytest.raises(MemoryLimitError, match=alone):
            harness.run([("in.csv", content)], block_bytes=100)


def test_a_failure_in_one_partition_ends_all_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise SpillError("broken")

    content = harness.make_file([Row("deposit", client, 1, 1) for client in range(500)])
    with small_limits(0):
        monkeypatch.setattr(spill.Settled, "add", fail)
        with pytest.raises(SpillError, match="broken"):
            harness.run([("in.csv", content)], block_bytes=100, threads=4)


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
