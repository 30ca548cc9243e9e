"""Checkpoints that share their entries: each writes only the new ones, and all can be restored from
any of them."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import strategies
from tests.support.bare_ledger import accounts_csv, apply_rows
from tests.support.profiles import examples
from tests.support.rows import Row
from txfast.errors import StateError
from txfast.ledger.ledger import Ledger
from txfast.ledger.policy import Policy
from txfast.state import manifest
from txfast.state.segments import Segments
from txfast.state.snapshot import Snapshot
from txfast.state.snapshot_writer import SnapshotWriter

STEPS = [[Row("deposit", client, 100 * day + client, 5) for client in range(9)] for day in range(7)]


def write_snapshots(path: Path, ledgers: list[Ledger], steps: list[list[Row]]) -> Iterator[Path]:
    """Write a snapshot after the rows of each step; each shares the entries of the one before it, which is removed."""
    segments = Segments()
    for number, rows in enumerate(steps):
        for index, ledger in enumerate(ledgers):
            apply_rows(ledger, [row for row in rows if row.client % len(ledgers) == index])
        folder = path / f"snapshot-{number}"
        writer = SnapshotWriter(str(path / "part"), segments=segments)
        for ledger in ledgers:
            writer.add(ledger)
        writer.finish({})
        writer.close()
        (path / "part").rename(folder)
        segments = writer.segments_in(str(folder))
        if number:
            shutil.rmtree(path / f"snapshot-{number - 1}")
        yield folder


def segment_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("entries*.arrow"))


@examples(0.5)
@given(
    st.lists(
        strategies.streams(amounts=strategies.edge_amounts) | strategies.policy_streams(), min_size=1, max_size=6
    ),
    st.integers(1, 3), st.integers(1, 3), strategies.policies(),
)  # fmt: skip
def test_a_snapshot_that_shares_entries_restores_the_same_ledgers(
    steps: list[list[Row]], ledgers: int, shards: int, policy: str
) -> None:
    whole = [Ledger(Policy(policy)) for _ in range(ledgers)]
    with tempfile.TemporaryDirectory() as made:
        for number, folder in enumerate(write_snapshots(Path(made), whole, steps)):
            assert len(segment_names(folder)) == number + 1
            restored = [Ledger(Policy(policy)) for _ in range(shards)]
            Snapshot.open(str(folder)).restore(restored)
            assert accounts_csv(restored) == accounts_csv(whole)
            assert sum(ledger.entries for ledger in restored) == sum(ledger.entries for ledger in whole)
    # Every payment is in the state that it was in.
    kinds = ("resolve", "dispute", "reversal", "refund", "chargeback", "resolve")
    endings = [Row(kind, row.client, row.tx, 1) for rows in steps for row in rows for kind in kinds]
    if shards == ledgers == 1:
        assert apply_rows(restored[0], endings) == apply_rows(whole[0], endings)


def test_many_files_of_entries_become_one_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txfast.state.segments.SEGMENTS_MAX", 3)
    counts = [len(segment_names(folder)) for folder in write_snapshots(tmp_path, [Ledger()], STEPS)]
    assert counts == [1, 2, 3, 1, 2, 3, 1]


def test_all_entries_are_written_again_where_files_cannot_be_linked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link, calls = os.link, 0

    def fail_at_the_third(old: str, new: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        link(old, new)

    monkeypatch.setattr(os, "link", fail_at_the_third)
    ledger = Ledger()
    counts = []
    for folder in write_snapshots(tmp_path, [ledger], STEPS):
        counts.append(len(segment_names(folder)))
        restored = Ledger()
        Snapshot.open(str(folder)).restore([restored])
        assert accounts_csv([restored]) == accounts_csv([ledger])
        assert restored.entries == ledger.entries
    assert counts == [1, 2, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("damage", ["entries-1.arrow", "entries-2.arrow", "disputes.arrow", "another name"])
def test_damage_to_a_shared_file_is_noticed(tmp_path: Path, damage: str) -> None:
    *_, folder = write_snapshots(tmp_path, [Ledger()], STEPS[:3])
    Snapshot.open(str(folder)).restore([Ledger()])
    if damage == "another name":
        fields = json.loads((folder / manifest.NAME).read_bytes())
        fields["files"]["more.arrow"] = fields["files"].pop("entries-1.arrow")
        del fields["hash"]
        (folder / manifest.NAME).write_bytes(manifest.text_of(fields))
    else:
        content = bytearray((folder / damage).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / damage).write_bytes(content)
    with pytest.raises(StateError, match="is damaged"):
        Snapshot.open(str(folder))
