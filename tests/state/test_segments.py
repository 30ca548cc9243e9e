"""Snapshots that share their segments: each writes only what is new, and all can be restored from any of them."""

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
from tests.support.failures import failing
from tests.support.profiles import examples
from tests.support.rows import Row, make_batch
from tests.support.segment_rows import rows_of, rows_of_ledgers, rows_of_snapshot
from tests.support.states import content_of, files_of
from txfast.errors import SourceError, StateError
from txfast.ledger.ledger import Ledger
from txfast.ledger.policy import Policy
from txfast.state import manifest, segment_file
from txfast.state.manifest_writer import save_store
from txfast.state.snapshots import open_snapshot
from txfast.state.store import Store
from txfast.store.active import ActiveAccounts
from txfast.store.prefetch import prefetch

STEPS = [[Row("deposit", client, 100 * day + client, 5) for client in range(9)] for day in range(7)]


def write_snapshots(
    path: Path, ledgers: list[Ledger], steps: list[list[Row]], *, compacts: bool = True
) -> Iterator[Path]:
    """Write a snapshot after the rows of each step; each shares the segments of the one before it, which is removed
    after that."""
    store = Store(None)
    actives = [ActiveAccounts(ledger) for ledger in ledgers]
    for number, rows in enumerate(steps):
        for index, (ledger, active) in enumerate(zip(ledgers, actives, strict=True)):
            batch = make_batch([row.line() for row in rows if row.client % len(ledgers) == index])
            prefetch(active, store.view, [batch])
            ledger.apply(batch)
        folder, part = path / f"snapshot-{number}", path / "part"
        part.mkdir()
        store.seal(actives, str(part))
        for active in actives:
            active.mark_sealed()
        if compacts:
            store.compact(str(part))
        save_store(str(part), store, {"inputs": {}})
        part.rename(folder)
        store.moved_to(str(folder))
        yield folder
        if number:
            shutil.rmtree(path / f"snapshot-{number - 1}")
    store.close()


def sort_names(folder: Path, sort: str) -> list[str]:
    return [name for name in files_of(folder) if name.startswith(sort)]


@examples(0.5)
@given(
    st.lists(
        strategies.streams(amounts=strategies.edge_amounts) | strategies.policy_streams(), min_size=1, max_size=6
    ),
    st.integers(1, 3), st.integers(1, 3), strategies.policies(), st.booleans(),
)  # fmt: skip
def test_a_snapshot_that_shares_segments_restores_the_same_ledgers(
    steps: list[list[Row]], ledgers: int, shards: int, policy: str, compacts: bool
) -> None:
    whole = [Ledger(Policy(policy)) for _ in range(ledgers)]
    names: list[str] = []
    with tempfile.TemporaryDirectory() as made:
        for folder in write_snapshots(Path(made), whole, steps, compacts=compacts):
            assert compacts or set(names) <= set(files_of(folder))
            names = files_of(folder)
            snapshot = open_snapshot(str(folder))
            restored = [Ledger(Policy(policy)) for _ in range(shards)]
            snapshot.restore(restored)
            assert accounts_csv(restored) == accounts_csv(whole)
            assert snapshot.accounts == sum(map(len, whole))
            assert snapshot.entries == sum(ledger.entries for ledger in whole)
            assert rows_of_ledgers(restored) == rows_of_ledgers(whole) == rows_of_snapshot(folder)
    # Every payment is in the state that it was in.
    kinds = ("resolve", "dispute", "reversal", "refund", "chargeback", "resolve")
    endings = [Row(kind, row.client, row.tx, 1) for rows in steps for row in rows for kind in kinds]
    if shards == ledgers == 1:
        assert apply_rows(restored[0], endings) == apply_rows(whole[0], endings)


def test_a_snapshot_writes_what_is_new_alone(tmp_path: Path) -> None:
    days = [
        STEPS[0],
        [Row("deposit", 3, 103, 5)],
        [Row("dispute", 5, 5)],
        [Row("resolve", 5, 5), Row("deposit", 3, 103, 5), Row("withdrawal", 4, 900, 50)],
        [Row("dispute", 99, 5)],
        [],
    ]
    new: list[dict[str, list[tuple[int, ...]]]] = []
    inodes: dict[str, int] = {}
    for folder in write_snapshots(tmp_path, [Ledger()], days, compacts=False):
        names = files_of(folder)
        assert {name: (folder / name).stat().st_ino for name in inodes} == inodes
        new.append({
            name.partition("-")[0]: [
                (row["client"], row["tx"]) if "tx" in row else (row["client"],) for row in rows_of([folder / name])
            ]
            for name in names if name not in inodes
        })  # fmt: skip
        inodes = {name: (folder / name).stat().st_ino for name in names}
    assert {sort: sorted(keys) for sort, keys in new[0].items()} == {
        "accounts": [(client,) for client in range(9)], "entries": [(client, client) for client in range(9)],
    }  # fmt: skip
    assert new[1] == {"accounts": [(3,)], "entries": [(3, 103)]}
    assert new[2] == {"accounts": [(5,)], "changes": [(5, 5)]}
    assert new[3] == {"accounts": [(5,)], "changes": [(5, 5)]}  # what was rejected is nothing new
    assert new[4] == {"accounts": [(99,)]}  # it opens an account
    assert new[5] == {}


def test_many_runs_of_segments_become_one_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txfast.state.compaction.RUNS_MAX", 3)
    counts = [
        [len(sort_names(folder, sort)) for sort in ("accounts", "entries")]
        for folder in write_snapshots(tmp_path, [Ledger()], STEPS)
    ]
    assert counts == [[1, 1], [2, 2], [3, 3], [1, 1], [2, 2], [3, 3], [1, 1]]


def test_runs_that_no_transaction_can_be_in_together_stay_apart(tmp_path: Path) -> None:
    """Ids that grow: a look-up of one meets one run, however many there are."""
    *_, folder = write_snapshots(tmp_path, [Ledger()], STEPS)
    assert len(sort_names(folder, "entries")) == len(STEPS)
    assert len(sort_names(folder, "accounts")) < len(STEPS)


# ---- Links -----------------------------------------------------------------------------------------


def test_segments_are_copied_where_files_cannot_be_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link, calls = os.link, 0

    def fail_from_the_third(old: str, new: str) -> None:
        nonlocal calls
        calls += 1
        if calls >= 3:
            raise OSError(segment_file.NO_LINKS[calls % len(segment_file.NO_LINKS)], "no links")
        link(old, new)

    monkeypatch.setattr(os, "link", fail_from_the_third)
    ledger = Ledger()
    for folder in write_snapshots(tmp_path, [ledger], STEPS):
        restored = Ledger()
        open_snapshot(str(folder)).restore([restored])
        assert accounts_csv([restored]) == accounts_csv([ledger])
        assert restored.entries == ledger.entries
    assert calls > 10
    assert {(folder / name).stat().st_nlink for name in files_of(folder)} == {1}


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_link_that_fails_otherwise_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    steps = write_snapshots(tmp_path, [Ledger()], STEPS)
    first = next(steps)
    before = content_of(first)
    monkeypatch.setattr(os, "link", failing(number))
    with pytest.raises(SourceError, match=rf"arrow: cannot be written: {os.strerror(number)}"):
        next(steps)
    assert content_of(first) == before


def test_a_copy_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = write_snapshots(tmp_path, [Ledger()], STEPS)
    next(steps)
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    monkeypatch.setattr(shutil, "copyfileobj", failing(errno.ENOSPC))
    with pytest.raises(SourceError, match=r"arrow: cannot be written: No space left on device"):
        next(steps)


# ---- Damage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["accounts", "entries", "changes", "another name"])
def test_damage_to_a_shared_file_is_noticed(tmp_path: Path, damage: str) -> None:
    *_, folder = write_snapshots(tmp_path, [Ledger()], [*STEPS[:3], [Row("dispute", 1, 1)]])
    open_snapshot(str(folder)).restore([Ledger()])
    if damage == "another name":
        fields = json.loads((folder / manifest.NAME).read_bytes())
        fields["files"]["more.arrow"] = fields["files"].pop(sort_names(folder, "entries")[0])
        del fields["hash"]
        (folder / manifest.NAME).write_bytes(manifest.text_of(fields))
    else:
        name = sort_names(folder, damage)[0]
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)
    with pytest.raises(StateError, match="is damaged"):
        open_snapshot(str(folder))
