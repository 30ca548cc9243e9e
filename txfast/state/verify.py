"""Says what is in a state directory, after a look at every byte of it.

This module must not know where that is said.
"""

import os

from txfast.ledger.ledger import Ledger
from txfast.state.directory import CHECKPOINT_NAME, SNAPSHOT_NAME, StateDirectory, no_snapshot, places_of
from txfast.state.snapshot import Snapshot

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator


def describe(state: StateDirectory) -> "Iterator[str]":
    """Check each snapshot and checkpoint, the newest first; a line for it, and one for each input that it knows.

    Raises StateError for the first that is not good, after the lines of those before it.
    """
    names = state.names()
    found = False
    for pattern in (SNAPSHOT_NAME, CHECKPOINT_NAME):
        numbers = {int(match[1]): name for name in names if (match := pattern.fullmatch(name))}
        for _, name in sorted(numbers.items(), reverse=True):
            yield from describe_snapshot(os.path.join(state.path, name))
            found = True
    if not found:
        raise no_snapshot(state.path)


def describe_snapshot(folder: str) -> "Iterator[str]":
    """The same for one of them."""
    snapshot = Snapshot.open(folder)
    inputs = places_of(snapshot)
    snapshot.restore([Ledger()])
    number = snapshot.fields.take("format", int)
    yield (
        f"{folder}: good: format {number}, {snapshot.created}, {snapshot.accounts} accounts, "
        f"{snapshot.entries} deposits and withdrawals, {len(inputs)} inputs"
    )
    for path, place in inputs.items():
        yield f"{folder}: {path}: {place.offset_bytes} bytes, {place.lines} lines"
