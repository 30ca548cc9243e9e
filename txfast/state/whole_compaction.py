"""Compacts a state directory in whole: a new snapshot with all rows in as few files as there can be.

This module must not know where what it says is printed.
"""

from txfast.errors import StateError
from txfast.state.compaction import compact_all
from txfast.state.directory import no_snapshot
from txfast.state.folders import CHECKPOINT_NAME
from txfast.state.snapshots import store_of
from txfast.text.words import counted

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from txfast.state.directory import StateDirectory
    from txfast.state.snapshot import Snapshot
    from txfast.state.store import Store


def compact_directory(state: "StateDirectory") -> str:
    """Compact a directory that is open, and publish the new snapshot; return a line that says what was saved.

    Raises StateError where it holds no snapshot, or what a run goes on from that has not ended; and SourceError.
    """
    if state.numbers(CHECKPOINT_NAME):
        raise StateError(
            f"{state.path}: a run left a checkpoint there: run its command again, to the end, before you compact"
        )
    found: list[Snapshot] = []
    state.load(found.append)
    if not found:
        raise no_snapshot(state.path)
    store = store_of(found[-1])
    if store is None:
        raise StateError(
            f"{state.path}: was saved by an earlier version, whose files cannot be merged: run txfast with inputs "
            f"first, which saves it anew"
        )
    before = size_text(store)
    compact_all(store, state.new_folder())
    state.save(store)
    state.finish()
    state.publish()
    return f"{state.path}: compacted: {before} before, {size_text(store)} now"


def size_text(store: "Store") -> str:
    """How large a store is, in words."""
    files = list(store.files())
    return f"{counted(len(files), 'file')} of {counted(sum(int(each.summary['bytes']) for each in files), 'byte')}"


def saved_bytes(store: "Store") -> int:
    """About how many bytes a compaction would save: those of rows that newer ones shadow."""
    kept = {"accounts": store.accounts, "entries": store.entries, "changes": 0}
    saved = 0
    for sort, runs in store.runs.items():
        rows = sum(each.segment.rows for run in runs for each in run)
        byte_count = sum(int(each.summary["bytes"]) for run in runs for each in run)
        saved += byte_count * max(0, rows - kept[sort]) // max(1, rows)
    return saved
