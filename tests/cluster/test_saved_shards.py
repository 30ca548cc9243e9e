"""The snapshot of a cluster, also one that an earlier version saved in shards: any number of shards restores it, and a
wrong manifest is refused."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.support.command import Folder
from tests.support.engines import run_cluster
from tests.support.legacy_states import make_legacy_state
from tests.support.outputs import on_one_machine
from tests.support.reference import HEADER
from tests.support.small_memory import SmallLedger
from tests.support.states import content_of
from txfast.errors import MemoryLimitError, SourceError, StateError
from txfast.ledger.ledger import Ledger
from txfast.state import manifest
from txfast.state.snapshot import Snapshot
from txfast.state.snapshots import open_snapshot

each_form = pytest.mark.parametrize("is_legacy", [False, True], ids=["segments", "legacy"])


def saved_as(folder: Folder, shards: int, *, is_legacy: bool = True) -> Snapshot:
    lines = b"".join(b"deposit,%d,%d,1.5\ndispute,%d,%d,\n" % (n * 7919, n, n * 7919, n) for n in range(400))
    folder.write("many.csv", HEADER + lines + b"chargeback,0,0\n")
    run_cluster("many.csv", shards=shards, range_bytes=1 << 20)
    if is_legacy:
        make_legacy_state(folder.path / "state", shards=shards)
    return open_snapshot("state/snapshot-1")


@each_form
@pytest.mark.parametrize("saved", [1, 2, 3, 8])
@pytest.mark.parametrize("asked", [1, 2, 3, 5, 8, 24])
def test_any_number_of_shards_is_restored_from_any_other(
    folder: Folder, saved: int, asked: int, is_legacy: bool
) -> None:
    snapshot = saved_as(folder, saved, is_legacy=is_legacy)
    sums = [0, 0, 0]
    for shard in range(asked):
        view = snapshot.of_shard(shard, asked)
        ledgers = [Ledger(), Ledger()]
        view.restore(ledgers)
        if saved == asked and is_legacy:  # of segments they are estimates
            assert (view.accounts, view.entries) == view.restored[:2]
        parts = snapshot.of_shard(shard, asked)
        assert sum(len(ledger) for _, ledger in parts.parts(3, 0)) == view.restored[0] == sum(map(len, ledgers))
        assert parts.restored == view.restored
        sums = [sum(each) for each in zip(sums, view.restored, strict=True)]
    snapshot.check_restored(*sums)
    assert sums[0] == 400


def test_only_saved_shards_that_overlap_are_read(folder: Folder) -> None:
    snapshot = saved_as(folder, 8)
    for number in (2, 3):
        shutil.rmtree(f"state/snapshot-1/shard-{number}")
    snapshot.of_shard(0, 4).restore([Ledger()])
    snapshot.of_shard(4, 8).restore([Ledger()])
    for shard, count in ((1, 4), (2, 8), (0, 1)):
        with pytest.raises(SourceError):
            snapshot.of_shard(shard, count).restore([Ledger()])


@each_form
@pytest.mark.parametrize(("limit", "asked"), [(3, 1), (3, 5), (1, 2), (1000, 3)])
def test_parts_that_do_not_fit_are_restored_in_halves(
    folder: Folder, limit: int, asked: int, monkeypatch: pytest.MonkeyPatch, is_legacy: bool
) -> None:
    """A single client cannot be halved: it has to fit."""
    snapshot = saved_as(folder, 3, is_legacy=is_legacy)
    monkeypatch.setattr("txfast.state.snapshot.Ledger", SmallLedger)
    sums = [0, 0, 0]
    for shard in range(asked):
        view = snapshot.of_shard(shard, asked)
        parts = [(number, len(ledger)) for number, ledger in view.parts(2, limit)]
        assert sorted({number for number, _ in parts}) == [0, 1]
        assert [number for number, _ in parts] == sorted(number for number, _ in parts)
        assert all(accounts <= limit + 1 for _, accounts in parts)  # the first account of a SmallLedger takes nothing
        sums = [sum(each) for each in zip(sums, view.restored, strict=True)]
    snapshot.check_restored(*sums)
    monkeypatch.setattr(SmallLedger, "bytes_with", lambda *_: limit + 1)
    with pytest.raises(MemoryLimitError, match="a client that is too large for the memory limit"):
        list(snapshot.parts(2, limit))


@pytest.mark.parametrize(
    "change",
    [
        {"shards": [{"accounts": 1, "entries": 1}]}, {"shards": []}, {"shards": "x"}, {"shards": [1]}, {"files": {}},
        {"accounts": 1}, {"entries": 1},
    ],
)  # fmt: skip
def test_a_manifest_with_wrong_fields_is_refused(folder: Folder, change: dict[str, object]) -> None:
    saved_as(folder, 3)
    path = folder.path / "state" / "snapshot-1" / manifest.NAME
    fields = json.loads(path.read_bytes())
    del fields["hash"]
    path.write_bytes(manifest.text_of(fields | change))
    before = content_of(folder.path / "state")
    with pytest.raises(StateError, match="damaged"):
        run_cluster("many.csv")
    folder.run("--state", "state").assert_failed("is damaged")
    assert content_of(folder.path / "state") == before


@pytest.mark.parametrize("ends", [[0], [5, 5], [9, 5], [1 << 40], ["x"], [-1], [None]])
def test_wrong_parts_of_an_input_are_refused(folder: Folder, ends: list[object]) -> None:
    run_cluster("in.csv", range_bytes=9)
    path = folder.path / "state" / "snapshot-1" / manifest.NAME
    fields = json.loads(path.read_bytes())
    del fields["hash"]
    [position] = fields["inputs"].values()
    assert position["parts"]
    position["parts"] = [{"end": end, "xxh3_128": "0"} for end in ends]
    path.write_bytes(manifest.text_of(fields))
    folder.run("--state", "state").assert_failed("manifest.json: is damaged: inputs: ", "is not what it should be")


def test_one_machine_keeps_the_parts_of_an_input(folder: Folder) -> None:
    run_cluster("in.csv", range_bytes=9)
    assert on_one_machine(folder, "in.csv").stats["rows"] == 0
    folder.write("in.csv", folder.read("in.csv") + b"deposit,3,3,3\n")
    on_one_machine(folder, "in.csv")
    fields = json.loads((folder.path / "state" / "snapshot-2" / manifest.NAME).read_bytes())
    assert next(iter(fields["inputs"].values()))["parts"]
    # A cluster goes on from the parts, and so does one machine.
    assert run_cluster("in.csv").stats["rows"] == 0
    assert on_one_machine(folder, "in.csv").stats["rows"] == 0
    folder.write("in.csv", folder.read("in.csv").replace(b"deposit,3", b"deposit,4"))
    assert on_one_machine(folder, "in.csv").stats["rows"] == 4


@pytest.mark.parametrize("shards", [1, 3])
def test_opening_balances_of_a_state_go_with_their_shards(folder: Folder, shards: int) -> None:
    folder.write("open.csv", b"client,opening\n" + b"".join(b"%d,%d.5\n" % (n * 7919, n - 9) for n in range(30)))
    folder.write("first.csv", HEADER + b"withdrawal,158380,1,2\n")
    assert folder.run("first.csv", "--opening", "open.csv", "--state", "state", "-q").exit_code == 0
    folder.write("many.csv", HEADER + b"deposit,0,2,1\ndeposit,95028,3,1\n")
    run_cluster("many.csv", shards=shards, range_bytes=1 << 20)
    folder.write("last.csv", HEADER + b"deposit,7919,4,1\n")
    ended = folder.run("last.csv", "--state", "state")
    assert ended.exit_code == 0, ended.errors
    assert b"\n0,-8.5000," in ended.output
    assert b"\n7919,-7.5000," in ended.output
    assert b"\n158380,9.5000," in ended.output
    assert ended.output.count(b"\n") == 31
    assert folder.run("--verify", "--state", "state").exit_code == 0
