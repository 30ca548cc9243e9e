"""Snapshots as they are written: each error of the system names the file, and syncs can be left out."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from tests.support.bare_ledger import apply_rows
from tests.support.failures import failing
from tests.support.rows import Row
from txfast.errors import SourceError
from txfast.ledger.ledger import Ledger
from txfast.state.snapshot import Snapshot
from txfast.state.snapshot_writer import SnapshotWriter


def write_snapshot(path: Path, *, durable: bool = True) -> None:
    ledger = Ledger()
    apply_rows(ledger, [Row("deposit", 1, 1, 5)])
    writer = SnapshotWriter(str(path), durable=durable)
    try:
        writer.add(ledger)
        writer.finish({})
    finally:
        writer.close()


@pytest.mark.parametrize("call", ["mkdir", "open", "write", "fsync"])
def test_a_snapshot_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    monkeypatch.setattr(os, call, failing(errno.ENOSPC))
    with pytest.raises(SourceError, match=r"snapshot.*: cannot be written: No space left on device"):
        write_snapshot(tmp_path / "snapshot")


def test_a_snapshot_that_need_not_be_durable_does_not_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    write_snapshot(tmp_path / "snapshot", durable=False)
    Snapshot.open(str(tmp_path / "snapshot")).restore([Ledger()])


def test_a_snapshot_whose_folder_cannot_be_synced_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def fail_for_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_for_folders)
    with pytest.raises(SourceError, match="snapshot: cannot be written: Input/output error"):
        write_snapshot(tmp_path / "snapshot")
