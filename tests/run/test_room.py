"""Memory that shows itself late, such as that of pyarrow for a table in a pipe, is taken from the ledgers."""

from __future__ import annotations

import gzip

import pyarrow as pa
import pytest

from tests.support import replays
from tests.support.command import Folder
from tests.support.small_memory import small_limits
from tests.support.tables import ROWS, of_texts, write_table
from txfast.input.ref import resolve
from txfast.input.room import PYARROW_BYTES
from txfast.log.journal import Journal
from txfast.run import replay as replay_module
from txfast.run.books import Books
from txfast.run.machine import ARROW_MEMORY_BYTES
from txfast.run.plan import TABLE_BYTES_MIN, make_plan
from txfast.run.replay import Replay, new_replay
from txfast.writers.accounts_csv import csv_blocks

MIB = 1 << 20
ROW = b"deposit,%d,%d,1\n"
HEADER = b"type,client,tx,amount\n"


def books(threads: int, limit: int | None) -> Books:
    return Books(make_plan(cores=threads, memory_used=0, memory_limit=limit))


def test_ledgers_give_what_they_have_or_nothing() -> None:
    made = books(4, 512 * MIB)
    assert made.ledger_bytes is not None
    before, count, settling = made.ledger_bytes, len(made.ledgers), made.settling_bytes
    assert made.make_room(10 * MIB, at_once=True) == 0
    assert made.ledger_bytes == before - 10 * MIB // count
    assert made.settling_bytes == settling - 10 * MIB
    left = count * made.ledger_bytes
    assert made.make_room(left + 5, at_once=False) == 5
    assert count * made.ledger_bytes == left
    assert made.make_room(left, at_once=False) == 0
    assert made.ledger_bytes == 0
    assert books(4, None).make_room(1 << 40, at_once=True) == 0
    # Without enough for one ledger, what is missing for it counts too.
    assert books(1, 12 * MIB).make_room(MIB, at_once=False) > MIB


@pytest.mark.parametrize("threads", [1, 3])
def test_a_ledger_that_is_too_large_then_moves_to_disk(folder: Folder, threads: int) -> None:
    first = folder.write("a.csv", HEADER + b"".join(ROW % (client, client) for client in range(30)))
    second = folder.write("b.csv", HEADER + b"".join(ROW % (client, 100 + client) for client in range(20, 40)))
    expected = replays.run_files([first, second]).accounts
    with small_limits(100):
        replay = replays.new_replay(Journal(), "native", None, threads)
        replay.read(resolve(str(first)))
        assert not replay.books.is_spilled
        assert replay.books.make_room(98 * len(replay.books.ledgers), at_once=True) == 0
        assert replay.books.is_spilled
        replay.read(resolve(str(second)))
        assert b"".join(map(bytes, csv_blocks(replay.collect()))) == expected
        replay.close()


@pytest.fixture
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process has no memory but the run's, as in a process of its own: the tests' has that of all tests before."""
    monkeypatch.setattr(replay_module, "memory_bytes_now", lambda: 0)


def ledger_bytes(replay: Replay) -> int:
    assert replay.books.ledger_bytes is not None
    return replay.books.ledger_bytes * len(replay.books.ledgers)


@pytest.mark.usefixtures("_alone")
@pytest.mark.parametrize("suffix", ["parquet", "arrow", "arrows"])
def test_a_table_that_is_known_late_gets_the_memory_of_one_known_before(folder: Folder, suffix: str) -> None:
    path = write_table(folder.path / f"in.{suffix}", of_texts(ROWS, pa.string()))
    late = new_replay(threads=1, memory_limit=1 << 30)
    planned = new_replay(threads=1, memory_limit=1 << 30, memory_reserved=ARROW_MEMORY_BYTES, reads_tables=True)
    before = ledger_bytes(late)
    for _ in range(2):
        late.read(resolve(str(path)))
        planned.read(resolve(str(path)))
        assert late.plan.table_bytes is not None
        taken = before - ledger_bytes(late)
        assert taken == ARROW_MEMORY_BYTES + late.plan.table_bytes - TABLE_BYTES_MIN
    assert planned.books.ledger_bytes == planned.plan.ledger_bytes


@pytest.mark.usefixtures("_alone")
def test_pyarrow_for_a_compressed_pipe_is_taken_from_the_ledgers(folder: Folder) -> None:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(HEADER + ROW % (1, 1))
    # Nobody knows of zstd inside gzip before it is opened.
    path = folder.write("in.csv.gz", gzip.compress(sink.getvalue().to_pybytes()))
    replay = new_replay(threads=1, memory_limit=1 << 30)
    before = ledger_bytes(replay)
    replay.read(resolve(str(path)))
    assert before - ledger_bytes(replay) == PYARROW_BYTES
    run = folder.run("-q", "in.csv.gz", "--memory-limit", "96MiB")
    assert (run.exit_code, run.errors) == (0, "")
