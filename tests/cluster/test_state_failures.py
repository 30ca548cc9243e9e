"""A run that fails, is killed or loses results leaves a good state."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Folder
from tests.support.engines import WorkersJob, hash_extents, pieces_of, run_cluster, run_command, settings_of
from tests.support.legacy_states import make_legacy_state
from tests.support.reference import HEADER
from tests.support.replays import run_reference
from tests.support.states import FIRST, MORE, content_of, damage_page, snapshots
from txfast.cluster.extents import Extent
from txfast.cluster.job import Settings, State
from txfast.cluster.records import fields_in, record_of, result_of, text_of
from txfast.cluster.reduce import reduce_shard
from txfast.cluster.results import RangeReport, ShardSummary
from txfast.cluster.state import ClusterState, open_state
from txfast.errors import ClusterError, InputError, LockedError, SourceError, StateError
from txfast.state import manifest
from txfast.state.directory import StateDirectory


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "is_legacy"),
    [
        ("longer", False), ("missing", False), ("manifest", False),
        ("changed", True), ("longer", True), ("missing", True), ("manifest", True),
    ],
)  # fmt: skip
def test_the_snapshot_before_a_damaged_one_is_used(
    two_snapshots: Folder, harm: str, is_legacy: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """What shows before the run begins: of an earlier version's snapshot, any change of a byte."""
    last = two_snapshots.path / "state" / "snapshot-2"
    if is_legacy:
        make_legacy_state(last.parent, shards=3)
    # A file that the one before does not have.
    victim = max(last.rglob("entries*.arrow"), key=lambda path: (path.stat().st_size, path.stat().st_mtime_ns))
    content = victim.read_bytes()
    victim.unlink()
    if harm == "changed":
        victim.write_bytes(content)
        damage(victim)
    elif harm == "longer":
        victim.write_bytes(content + b"x")
    elif harm == "manifest":
        victim.write_bytes(content)
        victim = last / manifest.NAME
        damage(victim)
    found = run_cluster("in.csv")
    assert found.stats["rows"] == 4
    assert found.accounts == run_reference([("in.csv", FIRST + MORE)]).accounts
    [record] = caplog.records
    assert str(victim.relative_to(two_snapshots.path)) in record.getMessage()
    assert "is used instead" in record.getMessage()
    assert snapshots(two_snapshots) == ["snapshot-1", "snapshot-3"]


def test_a_run_fails_if_no_snapshot_is_good(two_snapshots: Folder) -> None:
    make_legacy_state(two_snapshots.path / "state", shards=3)
    for path in (two_snapshots.path / "state").glob("snapshot-*/shard-1/accounts.arrow"):
        damage(path)
    before = content_of(two_snapshots.path / "state")
    with pytest.raises(StateError, match="no good snapshot is left"):
        run_cluster("in.csv")
    two_snapshots.run("--state", "state").assert_failed("accounts.arrow: is damaged", "no good snapshot is left")
    assert content_of(two_snapshots.path / "state") == before


@pytest.mark.parametrize("sort", ["accounts", "entries"])
def test_a_damaged_page_fails_the_run_whose_shard_reads_it(two_snapshots: Folder, sort: str) -> None:
    for path in (two_snapshots.path / "state" / "snapshot-2").glob(f"{sort}*.arrow"):
        damage_page(path)
    before = content_of(two_snapshots.path / "state")
    two_snapshots.write("more.csv", HEADER + b"dispute,1,1\ndispute,2,2\ndeposit,1,3,1\n")
    with pytest.raises(StateError, match=rf"snapshot-2/{sort}-[0-9]+\.arrow: is damaged"):
        run_cluster("more.csv")
    assert content_of(two_snapshots.path / "state") == before


def test_one_run_at_a_time_holds_the_directory(folder: Folder) -> None:
    with open_state("state", hash_extents):
        with pytest.raises(LockedError):
            run_cluster("in.csv")
        assert run_command("in.csv", "--state", "state", "-o", "a.csv") == 1
    assert folder.names() == ["in.csv", "state"]


def test_a_run_that_fails_leaves_the_state_as_it_was(two_snapshots: Folder) -> None:
    before = content_of(two_snapshots.path / "state")

    def failing(settings: Settings, state: State | None) -> Any:
        WorkersJob(settings, state)
        raise ClusterError("shard 1 was lost")

    two_snapshots.write("more.csv", HEADER + b"deposit,9,9,9\n")
    assert run_command("more.csv", "--state", "state", "-o", "a.csv", engine=failing) == 1
    with pytest.raises(SourceError, match=r"missing\.csv: cannot be read"):
        run_cluster("missing.csv")
    assert content_of(two_snapshots.path / "state") == before


def test_a_shard_that_is_settled_twice_is_saved_once(folder: Folder) -> None:
    """An engine repeats a task that it lost, and may run one twice at once."""
    with open_state("state", hash_extents) as state:
        settings = settings_of(["in.csv"], 2, state)
        pieces, _ = pieces_of(settings.ranges, 2)

        def settle() -> list[object]:
            contents = [piece.content for piece in pieces[0]]
            return list(
                reduce_shard(
                    contents, len(settings.ranges), 0, 2, begin_with=settings.begin_with, save_in=settings.save_in
                )
            )

        *_, first = settle()
        assert state is not None
        WorkersJob(settings, state)
        *_, late = settle()
        assert isinstance(first, ShardSummary)
        assert isinstance(late, ShardSummary)
        assert first.saved is not None
        assert late.saved is not None
        assert first.saved["folder"] != late.saved["folder"]
        assert first.saved["sums"] == late.saved["sums"]
    # An engine may lose results after the run has ended, and settles the shard again.
    *_, again = settle()
    assert isinstance(again, ShardSummary)
    assert again.saved is None
    assert_has_its_files_alone(folder.path / "state" / "snapshot-1")
    assert run_cluster("in.csv").stats["rows"] == 0


def assert_has_its_files_alone(snapshot: Path) -> None:
    """A snapshot has what its manifest names, and nothing else."""
    files = json.loads((snapshot / manifest.NAME).read_bytes())["files"]
    assert sorted(os.listdir(snapshot)) == sorted([manifest.NAME, *files])


def test_the_leftovers_of_a_killed_run_are_removed(two_snapshots: Folder) -> None:
    left = two_snapshots.path / "state" / "snapshot-3.part"
    shutil.copytree(two_snapshots.path / "state" / "snapshot-2", left / "shard-0-0123456789abcdef")
    two_snapshots.write("more.csv", HEADER + b"deposit,9,9,9\n")
    run_cluster("more.csv", shards=2)
    assert sorted(os.listdir(two_snapshots.path / "state")) == ["lock", "snapshot-2", "snapshot-3"]
    assert_has_its_files_alone(two_snapshots.path / "state" / "snapshot-3")
    assert run_cluster("in.csv", "more.csv").stats["rows"] == 0


class Killed(BaseException):
    """Stands for SIGKILL."""


@pytest.mark.slow
@pytest.mark.unmeasured
def test_the_next_run_goes_on_from_a_run_killed_at_any_moment(
    two_snapshots: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each round makes one more call that changes the disk; all later calls fail, those of clean-up too."""
    shutil.copytree("state", "before")
    two_snapshots.write("in.csv", FIRST + MORE + b"deposit,9,9,9\ndispute,9,9,\nwithdrawal,9,10,1\n")
    expected = run_reference([("in.csv", two_snapshots.read("in.csv"))]).accounts
    calls = last = 0
    is_over = False

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > last:
                raise Killed
            return function(*arguments, **options)

        return call

    while not is_over:
        calls, last = 0, last + 1
        shutil.rmtree("state")
        shutil.copytree("before", "state")
        with monkeypatch.context() as patched:
            for name in ("rename", "mkdir", "fsync", "unlink", "rmdir", "open", "write", "link"):
                patched.setattr(os, name, dying(getattr(os, name)))
            patched.setattr(fcntl, "flock", lambda *_: None)  # the system unlocks for a killed process
            with suppress(Killed):
                run_cluster("in.csv", shards=2)
                is_over = True
        found = run_cluster("in.csv")
        assert found.accounts == expected
        assert found.stats["rows"] in (0, 3)
    assert last > 30  # what a segment does with its file is not among these calls


def test_a_shard_can_be_settled_again_after_a_run_without_changes(two_snapshots: Folder) -> None:
    def settle() -> object:
        pieces, _ = pieces_of(settings.ranges, 1)
        contents = [piece.content for piece in pieces[0]]
        *_, summary = reduce_shard(
            contents, len(settings.ranges), 0, 1, begin_with=settings.begin_with, save_in=settings.save_in
        )
        assert isinstance(summary, ShardSummary)
        return summary.counts, summary.accounts, summary.available_units

    with open_state("state", hash_extents) as state:
        settings = settings_of(["in.csv"], 1, state)
        WorkersJob(settings, state)
        before = settle()
    assert settle() == before
    assert sorted(os.listdir(two_snapshots.path / "state")) == ["lock", "snapshot-1", "snapshot-2"]


def test_a_state_that_workers_do_not_reach_fails_the_run(folder: Folder) -> None:
    with open_state("state", hash_extents) as state:
        assert state is not None
        assert state.save_in is None
        settings = settings_of(["in.csv"], 3, state)
        assert settings.save_in is not None
        settings = replace(settings, save_in=(str(folder.path / "elsewhere"), *settings.save_in[1:]))
        with pytest.raises(ClusterError, match="0 of 3 shards were saved: do all workers reach"):
            WorkersJob(settings, state)
    assert os.listdir(folder.path / "state") == ["lock"]


def test_a_worker_that_does_not_see_a_snapshot_of_an_earlier_version_fails_the_run(two_snapshots: Folder) -> None:
    """No older snapshot is used instead."""
    make_legacy_state(two_snapshots.path / "state", shards=3)
    before = content_of(two_snapshots.path / "state")

    def elsewhere(extents: Sequence[Extent]) -> list[str]:
        return hash_extents([replace(extent, path=f"/elsewhere{extent.path}") for extent in extents])

    with pytest.raises(SourceError, match="cannot be read"), open_state("state", elsewhere) as state:
        settings_of(["in.csv"], 3, state)
    assert content_of(two_snapshots.path / "state") == before


def test_a_worker_that_does_not_see_a_snapshot_fails_the_run(two_snapshots: Folder) -> None:
    before = content_of(two_snapshots.path / "state")
    two_snapshots.write("more.csv", HEADER + b"deposit,1,99,9\n")
    with open_state("state", hash_extents) as state:
        settings = settings_of(["more.csv"], 3, state)
        assert settings.begin_with is not None
        elsewhere = replace(settings, begin_with=("/elsewhere/snapshot-2", *settings.begin_with[1:]))
        with pytest.raises(SourceError, match=r"/elsewhere/snapshot-2/.*arrow: cannot be read: No such file or"):
            WorkersJob(elsewhere, state)
    assert content_of(two_snapshots.path / "state") == before


def test_a_file_replaced_after_it_was_hashed_fails_the_run(two_snapshots: Folder) -> None:
    before = content_of(two_snapshots.path / "state")

    def rotated(extents: Sequence[Extent]) -> list[str]:
        hashed = hash_extents(extents)
        if any(extent.path.endswith("in.csv") for extent in extents):
            two_snapshots.write("new.csv", HEADER + b"deposit,2,1,999\n" * 99).rename("in.csv")
        return hashed

    with pytest.raises(InputError, match=r"in\.csv: was changed"), open_state("state", rotated) as state:
        WorkersJob(settings_of(["in.csv"], 3, state), state)
    assert content_of(two_snapshots.path / "state") == before


def test_a_state_with_too_long_a_manifest_is_not_published(
    two_snapshots: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content_of(two_snapshots.path / "state")
    most = len(two_snapshots.read("state/snapshot-2/manifest.json")) + 1_000
    monkeypatch.setattr(manifest, "BYTES_MAX", most)
    two_snapshots.write("more.csv", HEADER + b"deposit,9,9,9\n" * 30)
    with pytest.raises(StateError, match=rf"manifest\.json: would take [0-9,]* bytes, and {most:,} is the most"):
        run_cluster("more.csv", range_bytes=5, shards=1)
    assert content_of(two_snapshots.path / "state") == before


@pytest.mark.parametrize("name", ["s3://bucket/ledger", "a\0b", "in.csv"])
def test_a_state_must_be_a_local_folder(folder: Folder, name: str) -> None:
    for options in ((), ("in.csv",)):
        if name.startswith("s3:"):
            folder.run("--state", name, *options).assert_misused(name, "is elsewhere: name a folder on this machine")
        elif "\0" not in name:
            folder.run("--state", name, *options).assert_failed(name, "cannot be used as a state directory")
    with pytest.raises(SourceError, match="cannot be used as a state directory"):
        run_cluster("in.csv", state=name)
    assert folder.names() == ["in.csv"]


@pytest.mark.parametrize(("name", "words"), [("-", "name files or locations"), ("a\0b", "cannot be read")])
def test_a_name_that_is_no_input_is_refused(folder: Folder, name: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        run_cluster(name)
    assert os.listdir(folder.path / "state") == ["lock"]


class JobWithLosses(WorkersJob):
    """A run that loses part of its reports and summaries."""

    def __init__(self, settings: Settings, state: State | None, lost: str) -> None:
        self.lost = lost
        super().__init__(settings, state)

    def of_kind(self, *kinds: int) -> list[Any]:
        return [self.after_loss(record) for record in super().of_kind(*kinds)]

    def after_loss(self, record: Any) -> Any:
        item = result_of(record)
        if isinstance(item, ShardSummary) and item.shard == 1:
            if self.lost == "saved":
                fields = fields_in(text_of(item)) | {"saved": None}
            elif self.lost == "restored":
                fields = fields_in(text_of(item)) | {"restored": (1, 1, 1)}
            else:
                return record
            return record_of(ShardSummary(**fields), 3)
        if isinstance(item, RangeReport) and self.lost == "position":
            return record_of(RangeReport(**fields_in(text_of(item)) | {"position": None}), 3)
        return record


@pytest.mark.parametrize(
    ("lost", "error", "words"),
    [
        ("saved", ClusterError, "2 of 3 shards were saved"), ("restored", StateError, "were saved"),
        ("position", ClusterError, r"in\.csv: nobody says how far"),
    ],
)  # fmt: skip
def test_lost_parts_of_a_state_are_noticed(
    two_snapshots: Folder, lost: str, error: type[Exception], words: str
) -> None:
    if lost == "restored":  # of segments, nothing is restored as a whole
        make_legacy_state(two_snapshots.path / "state", shards=3)
    before = content_of(two_snapshots.path / "state")
    two_snapshots.write("in.csv", FIRST + MORE + b"deposit,9,9,9\n")
    with pytest.raises(error, match=words), open_state("state", hash_extents) as state:
        JobWithLosses(settings_of(["in.csv"], 3, state), state, lost)
    assert content_of(two_snapshots.path / "state") == before


def test_without_a_path_there_is_no_state() -> None:
    with open_state(None, hash_extents) as state:
        assert state is None


def test_every_file_of_a_snapshot_of_an_earlier_version_is_hashed_by_its_absolute_path(two_snapshots: Folder) -> None:
    make_legacy_state(two_snapshots.path / "state", shards=3)
    asked: list[Extent] = []

    def hash_to_nothing(extents: Sequence[Extent]) -> list[str]:
        asked.extend(extents)
        return [""] * len(extents)

    directory = StateDirectory("state", pytest.fail)
    with pytest.raises(StateError, match="no good snapshot"):
        ClusterState(directory, hash_to_nothing).load()
    assert {extent.path for extent in asked} == {
        str(path) for path in (two_snapshots.path / "state").glob("snapshot-*/shard-*/*.arrow")
    }
    assert all(os.path.getsize(extent.path) == extent.end for extent in asked)
