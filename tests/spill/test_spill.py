"""A run whose ledgers do not fit in memory gives the same accounts and rejects, and stays within its limit."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import txfast.run.replay
from tests.support import replays, strategies
from tests.support.command import Folder
from tests.support.legacy_states import make_legacy_state
from tests.support.notes import notes_file
from tests.support.profiles import examples
from tests.support.reference import HEADER
from tests.support.rows import Row, make_file
from tests.support.small_memory import SmallLedger, small_limits
from tests.support.states import begin_with_state
from txfast.batch.batch import KINDS
from txfast.errors import SpillError, TooManyMalformedError
from txfast.input.open import open_source
from txfast.input.position import Consumption
from txfast.ledger.ledger import STATUSES, Ledger
from txfast.run.replay import Replay
from txfast.run.values import policy as parse_policy
from txfast.spill import slices, spill
from txfast.state.directory import StateDirectory

MEBIBYTE = 1 << 20

limits = st.sampled_from([0, 1, 3, 10, 1 << 30])
policies = st.just("") | strategies.policies()
# Of few clients and of many; with payments that live long.
many_streams = st.lists(
    st.one_of(
        strategies.streams(),
        strategies.policy_streams(),
        strategies.streams(st.integers(0, 40), st.integers(0, 9), kinds=strategies.policy_kinds),
    ),
    max_size=4,
)


@pytest.mark.parametrize("reader", replays.READERS)
@given(
    st.lists(st.one_of(strategies.hostile_files(), strategies.policy_files()), min_size=1, max_size=3),
    strategies.block_sizes, st.sampled_from(replays.THREADS), limits, policies,
)  # fmt: skip
def test_hostile_files_give_the_results_of_the_reference_under_any_limit(
    reader: str, contents: list[bytes], block_bytes: int, threads: int, limit: int, policy: str
) -> None:
    inputs = [(f"{index}.csv", content) for index, content in enumerate(contents)]
    block_bytes = replays.fit_block(reader, inputs, block_bytes)
    with small_limits(limit):
        replays.assert_as_reference(inputs, reader=reader, block_bytes=block_bytes, threads=threads, policy=policy)


@pytest.mark.untraced
@given(
    many_streams, strategies.block_sizes, st.sampled_from(replays.THREADS), limits, policies,
)  # fmt: skip
def test_streams_give_the_results_of_the_reference_under_any_limit(
    streams: list[list[Row]], block_bytes: int, threads: int, limit: int, policy: str
) -> None:
    rows = [row for stream in streams for row in stream]
    with small_limits(limit):
        replays.assert_as_reference(
            [("in.csv", make_file(rows))], reader="native", block_bytes=block_bytes, threads=threads, policy=policy
        )


@pytest.mark.untraced
@examples(0.3)
@given(
    many_streams.filter(bool), st.sampled_from(replays.THREADS), limits, st.integers(1, 3), st.integers(0, 9), policies,
    st.integers(0, 2),
)  # fmt: skip
def test_a_state_continues_under_any_limit(
    streams: list[list[Row]], threads: int, limit: int, parts: int, skipped: int, policy: str, legacy_days: int
) -> None:
    """What rows need of a state is looked up, also for partitions, and what they change is saved from there. One that
    an earlier version left is restored in any number of parts."""
    assert_goes_on(
        streams, threads=threads, limit=limit, parts=parts, block_bytes=100 + skipped, policy=policy,
        legacy_days=legacy_days,
    )  # fmt: skip


@pytest.mark.parametrize("legacy_days", [0, 1])
@pytest.mark.parametrize("parts", [1, 3])
def test_a_state_is_read_in_parts_and_saved_from_partitions(parts: int, legacy_days: int) -> None:
    streams = [[Row("deposit", client, 100 * day + client, 5) for client in range(30)] for day in range(3)]
    streams[2] += [Row("dispute", client, 100 + client, None) for client in range(0, 30, 3)]
    assert_goes_on(streams, threads=3, limit=4, parts=parts, block_bytes=100, legacy_days=legacy_days)


def assert_goes_on(
    streams: list[list[Row]], *, threads: int, limit: int, parts: int, block_bytes: int, policy: str = "",
    legacy_days: int = 0,
) -> None:  # fmt: skip
    """One run for each stream, with a common state, gives the accounts of one run over all streams. The first
    `legacy_days` leave a state of an earlier version."""
    files = [make_file(stream) for stream in streams]
    expected = replays.run_reference([("in.csv", make_file([row for stream in streams for row in stream]))], policy)
    reasons: list[str] = []
    with tempfile.TemporaryDirectory() as name, small_limits(limit, parts):
        for number, content in enumerate(files):
            if 0 < number <= legacy_days:
                make_legacy_state(Path(name))
            state = StateDirectory(name, lambda message: pytest.fail(str(message)), parse_policy(policy))
            journal = replays.RejectsJournal()
            replay = replays.new_replay(journal, "native", block_bytes, threads, policy=policy)
            state.open()
            begin_with_state(replay, state)
            replay.read_source(replays.open_bytes(f"{number}.csv", content))
            outcome = replays.outcome_of(replay, journal, state)
            state.finish()
            state.publish()
            state.discard()
            replay.close()
            reasons += [reject.reason for reject in outcome.rejects]
    assert outcome.accounts == expected.accounts
    assert reasons == [reject.reason for reject in expected.rejects]


class DueCheckpoints:
    """Checkpoints that are always due, until one was passed over because ledgers were on disk."""

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
def test_no_checkpoint_is_taken_while_ledgers_are_on_disk(threads: int, tmp_path: Path) -> None:
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
def test_a_run_stops_at_a_malformed_row_after_a_spill(threads: int, allowed: int) -> None:
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
def test_a_partition_with_a_large_ledger_is_divided_among_its_rows() -> None:
    """The statuses of its rows are found again, although they come after a state that takes several reads."""
    clients = 60_000
    rows = [Row("deposit", client * 2**40, client, 1) for client in range(clients)]
    rows += [Row("dispute", client * 2**40 * 7 % (clients * 2**40), client, None) for client in range(clients)]
    content = make_file(rows)
    expected = replays.run([("in.csv", content)])
    with small_limits(clients // 2), pytest.MonkeyPatch.context() as patched:
        # Everything fits until rows were applied.
        patched.setattr(SmallLedger, "bytes_with", lambda ledger, *_: len(ledger) + sum(map(sum, counted(ledger))))
        patched.setattr(spill, "PARTITIONS", 2)
        patched.setattr(slices, "ROWS_AT_ONCE", 1 << 14)
        assert replays.run([("in.csv", content)], block_bytes=1 << 18) == expected


def counted(ledger: Ledger) -> list[list[int]]:
    """The rows of each status, by kind."""
    return [[ledger.count(kind, status) for status in range(len(STATUSES))] for kind in range(len(KINDS))]


@pytest.mark.untraced
def test_lines_too_long_and_blank_are_reported_after_a_spill() -> None:
    long_blank, long_row = b" " * (2 * MEBIBYTE), b" " * (2 * MEBIBYTE) + b"x"
    rows = [b"deposit,%d,%d,1" % (client, client) for client in range(50)]
    content = b"\n".join([HEADER.rstrip(), *rows, long_blank, long_row, *rows, long_row[::-1]])
    with small_limits(0):
        outcome = replays.assert_as_reference([("in.csv", content)], reader="native", block_bytes=1000, threads=3)
    assert outcome is not None
    assert outcome.malformed == {"row_too_long": 2}
    assert outcome.rejected == {"duplicate_transaction": 50}


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("block_bytes", [60, 1000])
def test_rejects_of_rows_of_many_lines_have_their_text_after_a_spill(block_bytes: int, threads: int) -> None:
    inputs = [("a.csv", notes_file(300, seed=1)), ("b.csv", notes_file(300, seed=2))]
    with small_limits(3):
        outcome = replays.assert_as_reference(inputs, reader="native", block_bytes=block_bytes, threads=threads)
    assert outcome is not None
    assert sum(b"\n" in reject.row for reject in outcome.rejects) > 100


def test_text_that_differs_when_it_is_read_again_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    content = make_file([Row("deposit", client, 1, 1) for client in range(50)])
    monkeypatch.setattr("txfast.run.deferred.rescan", lambda *_: None)
    with small_limits(0), pytest.raises(SpillError, match=r"in\.csv: reads otherwise than before"):
        replays.run([("in.csv", content)], block_bytes=100)


def test_a_size_is_a_number_with_a_unit(folder: Folder) -> None:
    for size in ("96MiB", "1GB", "0.5gib", "1.25 GiB", "101000KB"):
        run = folder.run("--memory-limit", size, stdin=HEADER)
        assert (run.exit_code, run.errors) == (0, "")
    for size, reason in (
        ("12", "is no size"), ("MiB", "is no size"), ("-1GB", "is no size"), ("1.x GB", "is no size"),
        ("95MiB", "the least is 96MiB"), ("0GB", "the least"),
    ):  # fmt: skip
        folder.run(f"--memory-limit={size}", stdin=HEADER).assert_misused("--memory-limit", reason)


def test_a_spill_folder_must_not_be_a_file(folder: Folder) -> None:
    folder.run("--spill-dir", "in.csv", stdin=HEADER).assert_misused("'in.csv' is no folder")
    folder.run("--spill-dir", "", stdin=HEADER).assert_misused("empty")


def test_the_least_limit_is_higher_where_pyarrow_is_needed(folder: Folder) -> None:
    for words in (("--reader", "arrow"), ("--rejects", "r.parquet"), ("--state", "state")):
        folder.run("--memory-limit", "128MiB", *words, stdin=HEADER).assert_misused("the least is 256MiB")


@pytest.mark.slow
@pytest.mark.untraced
@pytest.mark.parametrize("threads", ["1", "4"])
def test_a_run_stays_within_its_limit_and_gives_the_same(folder: Folder, threads: str) -> None:
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
