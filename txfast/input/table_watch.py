"""Tables and a state: a table is consumed whole, once it was read, and must not change while it is read.

This module must not know what the bytes mean.
"""

import os
import time

from txfast.input.position import Consumption
from txfast.input.source import Source, was_changed

# A file that changed less than this ago may change again within one tick of its time stamps: 4 ms on Linux's own file
# systems, 2 s on FAT.
RECENT_NANOSECONDS = 2_000_000_000


class TableWatch:
    """Make it before the first byte of a table is read; `consume` the table after the last.

    The file is hashed once, at the end: its size and time of modification show that nothing changed meanwhile. Where
    they prove nothing (see `stamp_of`) it is hashed at the start too, and the hashes are compared.
    """

    def __init__(self, source: Source, consumption: Consumption) -> None:
        self._source = source
        self._consumption = consumption
        self._stamp = stamp_of(source)
        self._digest = ""
        if self._stamp is None:
            consumption.advance_over_table(source)
            self._digest = consumption.digest

    def consume(self) -> None:
        """Advance the consumption over the whole file. Raises InputError where it has changed, and SourceError."""
        self._consumption.advance_over_table(self._source)
        if self._stamp is None:
            is_same = self._consumption.digest == self._digest
        else:
            is_same = size_and_time(self._source) == self._stamp
        if not is_same:
            raise was_changed(self._source.name)


def stamp_of(source: Source) -> tuple[int, int] | None:
    """The size and the time of modification of a local file, if a later change must alter them.

    None for a remote file, and for a file that changed just now: the next change may get the same time. The time of
    modification can be set, so "just now" also asks for the inode's own time (ctime).
    """
    try:
        found = os.fstat(source.file.fileno())
    except OSError:
        return None
    if time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) < RECENT_NANOSECONDS:
        return None
    return found.st_size, found.st_mtime_ns


def size_and_time(source: Source) -> tuple[int, int]:
    """The size and the time of modification of a local file. Renaming the file changes neither."""
    found = os.fstat(source.file.fileno())
    return found.st_size, found.st_mtime_ns
