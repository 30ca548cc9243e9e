"""Snapshots as they are written: each error of the system names the file, and what is not of the snapshot goes."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from tests.support.bare_ledger import apply_rows
from tests.support.failures import failing
from tests.support.rows import Row
from tests.support.states import save_ledgers
from txfast.errors import SourceError, StateError
from txfast.ledger.ledger import Ledger
from txfast.state import manifest
from txfast.state.manifest_writer import save_store, write_manifest
from txfast.state.store import Store
from txfast.store.active import ActiveAccounts


def one_account() -> Ledger:
    ledger = Ledger()
    apply_rows(ledger, [Row("deposit", 1, 1, 5)])
    return ledger


@pytest.mark.parametrize("call", ["open", "write", "fsync"])
def test_a_manifest_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    monkeypatch.setattr(os, call, failing(errno.ENOSPC))
    with pytest.raises(SourceError, match=r"manifest\.json: cannot be written: No space left on device"):
        write_manifest(str(tmp_path), {})


def test_a_segment_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    store = Store(None)
    with pytest.raises(SourceError, match=r"missing/accounts-1\.arrow: cannot be written: No such file or directory"):
        store.seal([ActiveAccounts(one_account())], str(tmp_path / "missing"))


def test_a_snapshot_whose_folder_cannot_be_synced_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def fail_for_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_for_folders)
    with pytest.raises(SourceError, match="snapshot: cannot be written: Input/output error"):
        save_ledgers(tmp_path / "snapshot", [one_account()])


def test_a_manifest_that_no_reader_would_accept_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "BYTES_MAX", 100)
    with pytest.raises(StateError, match=r"manifest\.json: would take [0-9]+ bytes, and 100 is the most"):
        write_manifest(str(tmp_path), {"inputs": {"a" * 100: {}}})
    assert os.listdir(tmp_path) == []


def test_what_is_not_of_a_snapshot_is_removed_from_its_folder(tmp_path: Path) -> None:
    """Such as the segments that were merged, and what an attempt to settle a shard has left."""
    store = Store(None)
    store.seal([ActiveAccounts(one_account())], str(tmp_path))
    (tmp_path / "accounts-9.arrow").write_bytes(b"x")
    (tmp_path / "shard-1-0123").mkdir()
    (tmp_path / "shard-1-0123" / "entries-1.arrow").write_bytes(b"x")
    save_store(str(tmp_path), store, {})
    assert sorted(os.listdir(tmp_path)) == ["accounts-1.arrow", "entries-2.arrow", manifest.NAME]
    assert sorted(json.loads((tmp_path / manifest.NAME).read_bytes())["files"]) == [
        "accounts-1.arrow", "entries-2.arrow",
    ]  # fmt: skip
