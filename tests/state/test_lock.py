"""One run at a time changes a state directory, whatever becomes of the lock's file; reading waits for none."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.support.command import ACCOUNTS, FILE, Folder, finish
from tests.support.reference import ACCOUNTS_HEADER, HEADER
from tests.support.states import STATE, accounts, content_of, opened_state, save_new, snapshots
from txfast.errors import LockedError, StateError
from txfast.ledger.ledger import Ledger
from txfast.state import lock, verify
from txfast.state.directory import StateDirectory
from txfast.state.folders import remove_folder
from txfast.state.snapshot import Snapshot
from txfast.state.snapshots import open_snapshot


@pytest.fixture
def no_folder_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that locks files alone, as NFS does."""
    lock_file = lock.lock

    def lock_files_alone(descriptor: int) -> None:
        if os.path.isdir(f"/dev/fd/{descriptor}"):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        lock_file(descriptor)

    monkeypatch.setattr(lock, "lock", lock_files_alone)


def test_a_run_holds_the_directory_also_after_its_lock_file_was_removed(folder: Folder) -> None:
    accounts(folder, "in.csv")
    with folder.running(*STATE, "-", "-q", "-o", "a.csv") as first:
        (folder.path / "state" / "lock").unlink()
        folder.write("b.csv", HEADER + b"deposit,2,1,1\n")
        folder.run(*STATE, "b.csv").assert_failed("state", "another run is using it")
        assert first.stdin is not None
        first.stdin.close()
        ended = finish(first)
    assert ended.exit_code == 0, ended.errors
    printed = accounts(folder)
    assert printed == folder.read("a.csv")
    assert printed.startswith(ACCOUNTS_HEADER + b"0,1.0000,0.0000,1.0000,false\n1,5.0000,")


@pytest.mark.usefixtures("no_folder_locks")
def test_where_only_the_file_can_be_locked_it_is(folder: Folder) -> None:
    state = opened_state(folder)
    with pytest.raises(LockedError, match="another run is using it"):
        opened_state(folder)
    state.discard()
    opened_state(folder).discard()


@pytest.mark.usefixtures("no_folder_locks")
@pytest.mark.parametrize("moment", ["before it saves", "before it publishes"])
def test_nothing_is_published_over_a_snapshot_that_the_run_did_not_begin_with(folder: Folder, moment: str) -> None:
    accounts(folder, "in.csv")
    first = opened_state(folder)
    first.load(lambda snapshot: snapshot.restore([Ledger()]))
    if moment == "before it publishes":
        save_new(first)
    (folder.path / "state" / "lock").unlink()
    folder.write("b.csv", HEADER + b"deposit,2,1,1\n")
    second = opened_state(folder)
    second.load(lambda snapshot: snapshot.restore([Ledger()]))
    save_new(second)
    second.publish()
    second.discard()
    before = content_of(folder.path / "state")
    step: Callable[[], None] = first.publish if moment == "before it publishes" else partial(save_new, first)
    with pytest.raises(StateError, match="state: another run has saved its state there since this one began"):
        step()
    first.discard()
    assert content_of(folder.path / "state") == before
    assert snapshots(folder) == ["snapshot-1", "snapshot-2"]


def test_a_snapshot_of_the_same_number_that_was_put_in_its_place_is_another(folder: Folder) -> None:
    accounts(folder, "in.csv")
    shutil.copytree(folder.path / "state", folder.path / "other")
    state = opened_state(folder)
    folder.write("b.csv", HEADER + b"deposit,2,1,1\n")
    shutil.rmtree(folder.path / "other" / "snapshot-1")
    assert folder.run("--state", "other", "b.csv", "-q").exit_code == 0
    shutil.rmtree(folder.path / "state" / "snapshot-1")
    shutil.copytree(folder.path / "other" / "snapshot-1", folder.path / "state" / "snapshot-1")
    with pytest.raises(StateError, match="another run has saved its state there"):
        save_new(state)
    state.discard()


def test_a_snapshot_that_was_removed_during_a_run_is_told_as_that(folder: Folder) -> None:
    accounts(folder, "in.csv")
    state = opened_state(folder)
    state.load(lambda snapshot: snapshot.restore([Ledger()]))
    shutil.rmtree(folder.path / "state" / "snapshot-1")
    with pytest.raises(StateError, match="state: snapshot-1, which this run began with, was removed meanwhile"):
        save_new(state)
    state.discard()
    assert snapshots(folder) == []


@pytest.mark.usefixtures("no_folder_locks")
def test_two_runs_that_publish_in_the_same_moment_do_not_both_succeed(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts(folder, "in.csv")
    first = opened_state(folder)
    save_new(first)
    (folder.path / "state" / "lock").unlink()
    second = opened_state(folder)
    # Each writes where the other does not, and has looked at the newest snapshot before the other's rename.
    monkeypatch.setattr("txfast.state.directory.remove_folder", lambda _: None)
    monkeypatch.setattr(StateDirectory, "check_newest", lambda _: None)
    save_new(second)
    second.publish()
    right = content_of(folder.path / "state" / "snapshot-2")
    with pytest.raises(StateError, match="another run has saved its state there"):
        first.publish()
    first.discard()
    second.discard()
    assert content_of(folder.path / "state" / "snapshot-2") == right


def test_a_lock_file_that_is_removed_while_it_is_locked_is_made_again(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts(folder, "in.csv")
    path = folder.path / "state" / "lock"
    lock_file, removals = lock.lock, [True, True]

    def remove_then_lock(descriptor: int) -> None:
        if os.path.isfile(f"/dev/fd/{descriptor}") and removals:
            removals.pop()
            path.unlink()
        lock_file(descriptor)

    monkeypatch.setattr(lock, "lock", remove_then_lock)
    held = lock.DirectoryLock()
    held.take(str(path.parent))
    assert not removals
    with open(path) as file, pytest.raises(BlockingIOError):
        lock_file(file.fileno())
    held.release()


def test_a_lock_file_that_is_always_removed_ends_in_an_error(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts(folder, "in.csv")
    monkeypatch.setattr(lock, "lock", lambda _: (folder.path / "state" / "lock").unlink(missing_ok=True))
    with pytest.raises(LockedError):
        opened_state(folder)


# ---- Reading ---------------------------------------------------------------------------------------


def test_reading_does_not_wait_for_a_run(folder: Folder) -> None:
    accounts(folder, "in.csv")
    with folder.running(*STATE, "-", "-q"):
        assert accounts(folder) == ACCOUNTS
        assert folder.run(*STATE, "--verify").exit_code == 0
        folder.run(*STATE, "in.csv").assert_failed("state", "another run is using it")


def test_reading_writes_nothing_and_makes_nothing(folder: Folder) -> None:
    accounts(folder, "in.csv")
    (folder.path / "state" / "lock").unlink()
    assert accounts(folder) == ACCOUNTS
    assert folder.run(*STATE, "--verify").exit_code == 0
    assert sorted(os.listdir(folder.path / "state")) == ["snapshot-1"]
    for arguments in ((), ("--verify",)):
        folder.run("--state", "ledgr", *arguments).assert_failed("ledgr: holds no state", "check its name")
    assert "ledgr" not in folder.names()


def test_a_state_is_read_again_where_runs_have_replaced_it_meanwhile(folder: Folder) -> None:
    accounts(folder, "in.csv")
    state = StateDirectory(str(folder.path / "state"), lambda message: pytest.fail(str(message)))
    state.open_to_read()
    opened: list[str] = []

    def replace_then_open(path: str) -> Snapshot:
        if not opened:
            for number in (2, 3):
                folder.write("more.csv", HEADER + b"deposit,%d,1,1\n" % number)
                accounts(folder, "more.csv")
        opened.append(Path(path).name)
        return open_snapshot(path)

    ledger = Ledger()
    state.load(lambda snapshot: snapshot.restore([ledger]), replace_then_open)
    assert opened == ["snapshot-1", "snapshot-3"]
    assert len(ledger) == 3


def test_verify_leaves_out_what_a_run_has_removed_meanwhile(folder: Folder) -> None:
    accounts(folder, "in.csv")
    folder.write("more.csv", FILE + b"deposit,7,1,1\n")
    accounts(folder, "more.csv")
    state = StateDirectory(str(folder.path / "state"), lambda message: pytest.fail(str(message)))
    state.open_to_read()
    lines = verify.describe(state, lambda snapshot: snapshot.restore([Ledger()]))
    first = next(lines)
    remove_folder(str(folder.path / "state" / "snapshot-1"))
    assert "snapshot-2: good" in first
    assert not [line for line in lines if "snapshot-1" in line]
