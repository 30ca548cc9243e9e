"""Partitions are settled within the memory limit, by one thread or several."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import replays
from tests.support.rows import Row, make_batch, make_file
from tests.support.small_memory import SmallLedger, small_limits
from txfast.dialect.text_ids import TextIds
from txfast.errors import MemoryLimitError, SpillError
from txfast.interrupts import POLL_SECONDS
from txfast.ledger.ledger import Ledger
from txfast.log.journal import Journal
from txfast.spill import settle, spill
from txfast.spill.file import SpillFile
from txfast.spill.partitions import Partitions
from txfast.spill.settled import Settled
from txfast.spill.slices import SliceReader
from txfast.spill.spill import Spill
from txfast.writers.accounts_csv import csv_blocks


def put_all_clients_into_one_partition_at_first(patched: pytest.MonkeyPatch) -> list[Partitions]:
    """Put all small clients into one partition of the first Partitions; return all Partitions that are made."""
    # With this key the hash of small numbers is 0.
    keys = iter([(0).to_bytes(8, "little") + (1).to_bytes(8, "little")])
    made: list[Partitions] = []

    def new_partitions(
        count: int, buffer_bytes: int, write: Callable[[int, memoryview], object], *, text_ids: TextIds | None
    ) -> Partitions:
        made.append(Partitions(count, buffer_bytes, write, next(keys, None), text_ids=text_ids))
        return made[-1]

    patched.setattr(spill, "Partitions", new_partitions)
    return made


def test_clients_that_all_fall_into_one_partition_are_divided_by_the_next_hash() -> None:
    content = make_file([Row("deposit", client, tx, 1) for tx in range(9) for client in range(50)])
    with small_limits(2), pytest.MonkeyPatch.context() as patched:
        made = put_all_clients_into_one_partition_at_first(patched)
        replays.assert_as_reference([("in.csv", content)], reader="native", block_bytes=100)
    assert [made[0].counts(number)[2] for number in range(3)][1:] == [0, 0]
    assert len(made) > 2


def test_a_client_that_does_not_fit_is_named_with_the_limit_that_it_needs() -> None:
    rows = [Row("deposit", 7, tx, 1) for tx in range(200)] + [Row("deposit", client, 1, 1) for client in range(20)]
    content = make_file(rows)
    with small_limits(0), pytest.MonkeyPatch.context() as patched:
        patched.setattr(SmallLedger, "bytes_with", lambda ledger, *_: ledger.entries)
        patched.setattr(SmallLedger, "bytes_with_batch", lambda ledger, *_, **__: ledger.entries)
        alone = r"client \d+ alone has up to \d+ transactions: they need a memory limit of \d+MiB"
        with pytest.raises(MemoryLimitError, match=alone):
            replays.run([("in.csv", content)], block_bytes=100)


def test_a_failure_in_one_partition_ends_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
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
def test_a_partition_whose_ledger_alone_does_not_fit_is_divided_before_its_rows(journal: Journal) -> None:
    """The only partition that has records does not fit."""
    content = make_file([Row("deposit", client, tx, 1) for tx in range(3) for client in range(50)])
    expected = replays.run([("in.csv", content)])
    with small_limits(30), pytest.MonkeyPatch.context() as patched:
        put_all_clients_into_one_partition_at_first(patched)
        patched.setattr(spill, "SliceReader", OneByOne)
        replay = replays.new_replay(journal, "native", 100, 1)
        replay.books.settling_bytes = 10 + settle.SETTLING_BYTES
        replay.read_source(replays.open_bytes("in.csv", content))
        assert replay.books.is_spilled
        accounts = replay.collect()
        assert b"".join(map(bytes, csv_blocks(accounts))) == expected.accounts
        replay.close()


def spilled_settled(tmp_path: Path) -> tuple[list[Spill], Settled]:
    """Rows of a hundred clients on disk, ready to be settled."""
    file = SpillFile(str(tmp_path))
    settled = Settled(file, 1 << 30, lambda _: None)
    made = Spill(file, 1 << 30, settled, keep_statuses=False)
    made.add_rows(make_batch([b"deposit,%d,1,1" % client for client in range(100)]))
    return [made], settled


def test_nothing_is_settled_after_a_run_was_stopped(tmp_path: Path) -> None:
    spills, settled = spilled_settled(tmp_path)
    settled.stopped = True
    settle.settle(spills, settled, 1, 1 << 30)
    for number in range(spill.PARTITIONS):
        spills[0].settle_partition(number, 1 << 30)
    assert len(settled) == 0


def test_where_no_thread_can_be_started_one_thread_settles_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spills, settled = spilled_settled(tmp_path)

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    settle.settle(spills, settled, 4, 1 << 30)
    assert len(settled) == 100


def test_an_interrupt_ends_the_threads_that_settle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize("threads", [1, 3])
def test_the_caller_is_told_which_part_of_how_many_is_begun(tmp_path: Path, threads: int) -> None:
    spills, settled = spilled_settled(tmp_path)
    parts = sum(1 for number in range(spill.PARTITIONS) if spills[0].records(number))
    told: list[tuple[int, int]] = []
    callers: set[int] = set()

    def begins(part: int, of: int) -> None:
        told.append((part, of))
        callers.add(threading.get_ident())

    settle.settle(spills, settled, threads, 1 << 30, begins=begins)
    assert callers <= {threading.get_ident()}
    assert told == sorted(set(told))
    assert {of for _, of in told} <= {parts}
    if threads == 1:
        assert [part for part, _ in told] == list(range(1, parts + 1))
