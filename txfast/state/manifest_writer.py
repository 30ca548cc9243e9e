"""Makes a snapshot of a folder: all segments of a store get a name there, then the manifest is written.

This module must not know what the segments have.
"""

import os
import time

from txfast._version import __version__
from txfast.errors import StateError
from txfast.state import manifest
from txfast.state.folders import remove_others
from txfast.writers.file import FileWriter, sync_folder

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from typing import Any

    from txfast.state.store import Store


def save_store(folder: str, store: "Store", fields: "dict[str, Any]") -> None:
    """Make a snapshot of a store whose new segments are in `folder` already; its manifest has these fields too. All is
    on the disk then, and nothing else is there. Raises SourceError and StateError."""
    store.link_into(folder)
    all_fields = store.fields() | fields
    remove_others(folder, set(all_fields["files"]))  # what was merged, and what attempts to settle a shard have left
    write_manifest(folder, all_fields)


def write_manifest(folder: str, fields: "dict[str, Any]") -> None:
    """Write the manifest of a snapshot, whose other files are on the disk; it is there too then.

    Raises SourceError, and StateError where it is longer than any reader accepts.
    """
    all_fields = {
        "format": manifest.FORMAT,
        "txfast": __version__,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **fields,
    }
    path = os.path.join(folder, manifest.NAME)
    text = manifest.text_of(all_fields)
    if len(text) > manifest.BYTES_MAX:
        raise StateError(
            f"{path}: would take {len(text):,} bytes, and {manifest.BYTES_MAX:,} is the most: these are too many "
            f"inputs for one state, or too many parts of them, which are fewer where ranges are larger"
        )
    file = FileWriter.create(path)
    try:
        file.write(text)
        file.finish(durable=True)
    finally:
        file.discard()
    sync_folder(folder)
