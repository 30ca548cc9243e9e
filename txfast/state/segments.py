"""Segments: the files of entries that a run's checkpoints have written so far, and that its next checkpoint shares.

This module must not know what an entry is.
"""

import os
from contextlib import suppress

from txfast.state.snapshot_layout import EARLIER_ENTRIES, ENTRIES

# Once there are SEGMENTS_MAX files, the next checkpoint writes all entries into one file again.
SEGMENTS_MAX = 64


class Segments:
    """Files of entries of one snapshot, in the order in which they were written.

    `files` has the size and hash of each, as the manifest does; `folder` is the snapshot's. `written` has, for each
    ledger of the run in their order, the number of its entries in all of the files, by kind.
    """

    def __init__(self) -> None:
        self.folder = ""
        self.files: list[dict[str, object]] = []
        self.written: list[tuple[int, ...]] = []

    @property
    def are_many(self) -> bool:
        return len(self.files) >= SEGMENTS_MAX

    def link_into(self, folder: str) -> "dict[str, dict[str, object]]":
        """Create hard links to the files in `folder`; return their entries in its manifest, by name.

        Where the file system has no hard links, those already made are removed, and the result is empty.
        """
        linked: dict[str, dict[str, object]] = {}
        try:
            for number, said in enumerate(self.files):
                name = EARLIER_ENTRIES.format(number + 1)
                os.link(os.path.join(self.folder, self._name(number)), os.path.join(folder, name))
                linked[name] = said
        except OSError:
            for name in linked:
                with suppress(OSError):
                    os.unlink(os.path.join(folder, name))
            return {}
        return linked

    def _name(self, number: int) -> str:
        """The name in `folder` of the file with this number, from 0 on: only the last has no number in its name."""
        return ENTRIES if number == len(self.files) - 1 else EARLIER_ENTRIES.format(number + 1)
