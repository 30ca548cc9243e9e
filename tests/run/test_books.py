"""Books: how a snapshot is restored under a memory limit, and how many batches are looked up together."""

from __future__ import annotations

from pathlib import Path

import pytest

import txfast
from tests.support.command import Folder
from tests.support.legacy_states import put_in_form
from tests.support.rows import Row, make_file
from txfast.run.books import Books
from txfast.run.plan import make_plan
from txfast.run.stored import StoredLedgers
from txfast.state.snapshot import Snapshot
from txfast.state.snapshots import open_snapshot, store_of

MIB = 1 << 20
PAYMENTS = 200_000


@pytest.fixture(params=["segments", "legacy"])
def refunded(tmp_path: Path, request: pytest.FixtureRequest) -> Snapshot:
    """A state in which every payment was refunded in part."""
    folder = Folder(tmp_path)
    rows = [row for tx in range(PAYMENTS) for row in (Row("deposit", tx % 100, tx, 2), Row("refund", tx % 100, tx, 1))]
    folder.write("in.csv", make_file(rows))
    assert folder.run("in.csv", "--state", "state").exit_code == 0
    put_in_form(folder.path / "state" / "snapshot-1", request.param)
    return open_snapshot(str(folder.path / "state" / "snapshot-1"))


def test_details_count_when_a_snapshot_is_divided_into_parts_that_fit(
    refunded: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert PAYMENTS <= refunded.details <= 1.1 * PAYMENTS
    books = Books(make_plan(cores=1, memory_used=0, memory_limit=96 * MIB))
    books.ledger_bytes = 0  # the least that it restores with
    parts = books.parts_that_fit(refunded)
    for part, ledger in refunded.parts(parts, books._restoring_bytes):
        assert ledger.bytes_with(0) <= books._restoring_bytes, part
    monkeypatch.setattr(type(refunded), "details", 0)
    assert books.parts_that_fit(refunded) < parts


def test_batches_of_small_blocks_are_looked_up_together_up_to_a_number(tmp_path: Path) -> None:
    (tmp_path / "day.csv").write_bytes(b"type,client,tx,amount\ndeposit,1,1,1\n")
    txfast.process(tmp_path / "day.csv", state=tmp_path / "state")
    store = store_of(open_snapshot(str(tmp_path / "state" / "snapshot-1")))
    assert store is not None
    ledgers = StoredLedgers(store, lambda: str(tmp_path))
    assert [ledgers.batches_together(size) for size in (1, 1 << 16, 1 << 20, 1 << 24, 1 << 30)] == [256, 256, 16, 1, 1]
