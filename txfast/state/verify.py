"""Checks a state directory, every byte of it, and describes what it holds.

This module must not know where the description is printed.
"""

import os

from txfast.errors import SourceError, StateError
from txfast.state.directory import StateDirectory, no_snapshot
from txfast.state.folders import CHECKPOINT_NAME, SNAPSHOT_NAME
from txfast.state.positions import positions_of
from txfast.state.snapshots import open_snapshot, store_of
from txfast.state.whole_compaction import saved_bytes, size_text
from txfast.text.words import counted

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from txfast.state.snapshot import Snapshot

    # Reads all of a snapshot, and raises where it is damaged.
    Check = Callable[[Snapshot], None]


def describe(state: StateDirectory, check: "Check") -> "Iterator[str]":
    """Check each snapshot, then each checkpoint, the newest first. Iterate lines: one for it, one for each input in it.

    Raises StateError for the first that is damaged, after the lines of those before it, and where there is none. One
    that another run removes meanwhile is left out.
    """
    names = state.names()
    found = False
    for pattern in (SNAPSHOT_NAME, CHECKPOINT_NAME):
        numbers = {int(match[1]): name for name in names if (match := pattern.fullmatch(name))}
        for _, name in sorted(numbers.items(), reverse=True):
            found = True
            yield from describe_if_there(os.path.join(state.path, name), check)
    if not found:
        raise no_snapshot(state.path)


def describe_if_there(folder: str, check: "Check") -> "Iterator[str]":
    """`describe_snapshot`; nothing where the folder has been removed meanwhile. Raises StateError and SourceError."""
    try:
        yield from list(describe_snapshot(folder, check))
    except (StateError, SourceError):
        if os.path.isdir(folder):
            raise


def describe_snapshot(folder: str, check: "Check") -> "Iterator[str]":
    """Check one snapshot or checkpoint, and iterate its lines. Raises StateError and SourceError."""
    snapshot = open_snapshot(folder)
    inputs = positions_of(snapshot)
    check(snapshot)
    number = snapshot.fields.take("format", int)
    yield (
        f"{folder}: good: format {number}, {snapshot.created}, {counted(snapshot.accounts, 'account')}, "
        f"{counted(snapshot.entries, 'deposit or withdrawal', 'deposits and withdrawals')}, "
        f"{counted(len(inputs), 'input')}{f', policy {snapshot.policy}' if snapshot.policy else ''}"
        f"{f', dialect {snapshot.dialect}' if snapshot.dialect else ''}"
    )
    store = store_of(snapshot)
    if store is not None:
        yield f"{folder}: {size_text(store)}; --compact would save {saved_bytes(store):,} of them"
    for path, position in inputs.items():
        yield f"{folder}: {path}: {counted(position.offset_bytes, 'byte')}, {counted(position.lines, 'line')}"
