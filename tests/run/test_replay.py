"""The one loop and its threads: failures, interrupts, and what it knows of an input's size."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import tempfile
import threading
from io import FileIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from tests.support import replays, strategies
from tests.support.bare_ledger import apply_lines
from tests.support.command import COMMAND, Folder, environment
from tests.support.reference import HEADER
from txfast.batch.batch import TransactionBatch
from txfast.errors import ThreadsError
from txfast.input.ref import resolve
from txfast.input.source import Source
from txfast.interrupts import NotedInterrupts
from txfast.ledger.ledger import Ledger
from txfast.run import plan
from txfast.run.books import Books
from txfast.run.intake import Intake
from txfast.run.replay import new_replay
from txfast.run.reporter import Reporter

MANY_ROWS = HEADER + b"".join(b"deposit,%d,%d,1\n" % (row % 97, row) for row in range(5_000))
THREADED = (2, 3, 8)


@pytest.fixture
def many(tmp_path: Path) -> Path:
    path = tmp_path / "many.csv"
    path.write_bytes(MANY_ROWS)
    return path


def threads_left(before: set[threading.Thread]) -> list[threading.Thread]:
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    return [thread for thread in set(threading.enumerate()) - before if thread.is_alive()]


# ---- Failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["fill", "scan", "admit", "apply"])
@pytest.mark.parametrize("threads", [1, *THREADED])
def test_a_failure_in_any_stage_ends_the_run_with_that_failure(
    stage: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(threading.enumerate())
    calls = 0
    owner: type = Books if stage == "apply" else Intake
    do = getattr(owner, stage)

    def fail_at_the_tenth(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 10:
            raise MemoryError("no memory for this block")
        return do(*arguments)

    monkeypatch.setattr(owner, stage, fail_at_the_tenth)
    replay = new_replay(threads=threads, block_bytes=2_000)
    with pytest.raises(MemoryError, match="this block"):
        replay.read_source(replays.open_bytes("in", MANY_ROWS))
    assert threads_left(before) == []


def test_a_system_that_starts_no_more_threads_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(threading.enumerate())
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def start_three(self: threading.Thread) -> None:
        if len(started) == 3:
            raise RuntimeError("can't start new thread")
        started.append(self)
        start(self)

    monkeypatch.setattr(threading.Thread, "start", start_three)
    with pytest.raises(ThreadsError, match="--threads 1"):
        new_replay(threads=8).read_source(replays.open_bytes("in", MANY_ROWS))
    assert threads_left(before) == []


def test_any_number_of_threads_may_be_asked_for(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    run = folder.run("-q", "--threads", "99999999", "in.csv", "--stats", "s.json")
    assert (run.exit_code, run.errors) == (0, "")
    replay = new_replay(threads=99_999_999)
    assert len(replay.books.ledgers) + replay.plan.scanners <= plan.THREADS_USED_MAX


# ---- Interrupts ----------------------------------------------------------------------------------


class InterruptedCondition(threading.Condition):
    """Sends Ctrl-C to the process once, while the main thread is at the worst places that there are."""

    moment = ""
    calls_left = 0

    def interrupt_at(self, moment: str) -> None:
        cls = type(self)
        is_run = isinstance(self._lock, type(threading.RLock()))  # type: ignore[attr-defined]
        if moment == cls.moment and is_run and threading.current_thread() is threading.main_thread():
            cls.calls_left -= 1
            if cls.calls_left == 0:
                signal.raise_signal(signal.SIGINT)

    def __enter__(self) -> bool:
        entered = super().__enter__()
        self.interrupt_at("lock taken")
        return entered

    def wait(self, timeout: float | None = None) -> bool:
        self.interrupt_at("before a wait")
        return super().wait(timeout)

    def notify_all(self) -> None:
        self.interrupt_at("lock held")
        super().notify_all()


@pytest.mark.untraced
@pytest.mark.parametrize("moment", ["lock taken", "before a wait", "lock held"])
@pytest.mark.parametrize("threads", THREADED)
def test_an_interrupt_inside_the_lock_ends_the_run_and_its_threads(
    moment: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(threading.enumerate())
    monkeypatch.setattr(threading, "Condition", InterruptedCondition)
    for call in (1, 2, 5):
        InterruptedCondition.moment, InterruptedCondition.calls_left = moment, call
        source = replays.open_bytes("in", [HEADER, *[MANY_ROWS[len(HEADER) :]] * 20])
        try:
            with NotedInterrupts():
                new_replay(threads=threads, block_bytes=1_000).read_source(source)
        except KeyboardInterrupt:
            pass
        else:
            assert InterruptedCondition.calls_left > 0, "it was interrupted, and nobody heard of it"
        InterruptedCondition.moment = ""
        assert threads_left(before) == []


@pytest.mark.untraced
@pytest.mark.parametrize("threads", [1, *THREADED])
def test_an_interrupt_ends_a_run_that_waits_for_its_input(threads: int) -> None:
    """Threads that wait for a pipe end with the process; the caller does not wait for them."""
    reading, writing = os.pipe()
    os.write(writing, MANY_ROWS[:500])
    threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt), NotedInterrupts():
        new_replay(threads=threads).read_source(Source("in", FileIO(reading, closefd=False), None))
    os.close(writing)
    os.close(reading)


# ---- Sizes ---------------------------------------------------------------------------------------


@given(strategies.plain_files())
def test_a_file_whose_size_is_known_gives_the_same_in_threads(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder, "in.csv")
        path.write_bytes(content)
        patch.setattr(plan, "THREADED_BYTES_MIN", 0)
        expected = replays.run_files([path])
        for threads in THREADED:
            assert replays.run_files([path, path], threads=threads, block_bytes=100).rows == 2 * expected.rows
            assert replays.run_files([path], threads=threads, block_bytes=100) == expected


def test_an_index_without_a_hint_doubles_also_after_an_input_that_gave_one(many: Path) -> None:
    replay = new_replay(threads=1)
    replay.read(resolve(str(many)))
    capacities = [replay.books.ledgers[0].capacity]
    pieces = [HEADER, *(b"deposit,1,%d,1\n" % tx for tx in range(10_000, 60_000))]
    apply = replay.books.apply

    def noting(batch: TransactionBatch, shard: int) -> None:
        apply(batch, shard)
        capacities.append(replay.books.ledgers[0].capacity)

    replay.books.apply = noting  # type: ignore[method-assign]
    replay.read_source(replays.open_bytes("in", b"".join(pieces)))
    grown = sorted(set(capacities))
    assert len(grown) < 6
    assert all(later >= 2 * earlier for earlier, later in itertools.pairwise(grown))


def test_an_index_grows_at_once_to_what_is_expected() -> None:
    ledger = Ledger()
    ledger.expect(50_000)
    apply_lines(ledger, [b"deposit,1,1,1"])
    assert 50_000 <= ledger.capacity < 60_000
    ledger.expect(0)
    assert ledger.capacity < 60_000


@pytest.mark.untraced
@pytest.mark.parametrize("threads", [1, 2, 8])
def test_the_bytes_of_an_input_in_a_run_that_stops_do_not_depend_on_threads(tmp_path: Path, threads: int) -> None:
    folder = Folder(tmp_path)
    folder.write("in.csv", MANY_ROWS * 20 + b"fee\n" + MANY_ROWS[len(HEADER) :] * 80)
    found = []
    for count in ("1", str(threads)):
        assert folder.run("in.csv", "-q", "--strict", "--stats", "s.json", "--threads", count).exit_code == 3
        found.append(json.loads((folder.path / "s.json").read_text())["inputs"])
    assert found[0] == found[1]


def test_what_has_no_end_and_no_header_is_refused_at_once() -> None:
    ended = subprocess.run([COMMAND, "/dev/zero"], capture_output=True, env=environment(), timeout=20, check=False)
    assert ended.returncode == 1
    assert b"its header is longer than 1 MiB" in ended.stderr


def test_a_reporter_without_a_log_says_nothing_of_a_line_that_is_held_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Reporter().held_back("in.csv", 3, "it grows", in_quotes=False, in_character=False)
    Reporter().row_in_quotes("in.csv", 3)
    assert capsys.readouterr() == ("", "")
