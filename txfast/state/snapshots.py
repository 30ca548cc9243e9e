"""Opens snapshots, of segments or of an earlier version, by the format in the manifest.

This module must not know what a snapshot has.
"""

import os

from txfast.state import manifest
from txfast.state.checked_file import read_small
from txfast.state.legacy_snapshot import LegacySnapshot
from txfast.state.segment_snapshot import SegmentSnapshot

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from typing import Any

    from txfast.state.snapshot import Snapshot
    from txfast.state.store import Store


def open_snapshot(folder: str) -> "Snapshot":
    """Read the manifest, and hash all files.

    Raises StateError where a byte of them was changed or the format is unknown, and SourceError.
    """
    snapshot = open_unchecked(folder)
    snapshot.check_files()
    return snapshot


def open_to_go_on(folder: str) -> "Snapshot":
    """The same for a run, which checks what it reads of segments itself. Raises as `open_snapshot`."""
    snapshot = open_unchecked(folder)
    snapshot.check_before_use()
    return snapshot


def open_unchecked(folder: str) -> "Snapshot":
    """Read the manifest alone. Raises as `open_snapshot`."""
    path = os.path.join(folder, manifest.NAME)
    return snapshot_of(folder, manifest.parse(path, read_small(path, manifest.BYTES_MAX)))


def snapshot_of(folder: str, fields: "dict[str, Any]") -> "Snapshot":
    """The snapshot in a folder whose manifest has these fields. Raises StateError."""
    if fields["format"] == manifest.FORMAT:
        return SegmentSnapshot(folder, fields)
    return LegacySnapshot(folder, fields)


def store_of(snapshot: "Snapshot") -> "Store | None":
    """The store of a snapshot of segments; None of one that an earlier version wrote. Raises StateError."""
    return snapshot.store if isinstance(snapshot, SegmentSnapshot) else None
