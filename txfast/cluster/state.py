"""A state directory on a file system that all of a cluster reach: what a run begins with, and what it leaves there.

The directory is the very one that the command's `--state` keeps, and holds for both: a run on a cluster goes on from
what one machine has saved, and the other way round. Shards are saved where they are settled, each into a folder of its
own; the driver, which holds the directory's lock, makes one snapshot of them. Bytes that must be what they were, those
of the snapshot and those that inputs were read up to, are hashed by the cluster.

This module must not know an engine.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from typing import Any

from txfast.cluster.job import Figures, Settings
from txfast.cluster.ranges import CUTTING_THREADS, Extent, Range, absolute, place_behind, prefix_of
from txfast.errors import ClusterError
from txfast.log.journal import program_journal
from txfast.state.checked_file import check_digest, open_of_size
from txfast.state.directory import StateDirectory
from txfast.state.snapshot import Snapshot

# What an engine does: the `hash_extent` of each, in the same order.
HashExtents = Callable[[Sequence[Extent]], list[str]]


class ClusterState:
    """The state of a run: `begin`, and `finish` when all shards are settled. The directory is open, and stays so.

    `begin_with` is the snapshot that shards begin with, None for none, and `save_in` the folder that they are saved in:
    what `reduce_shard` takes.
    """

    def __init__(self, directory: StateDirectory, hash_extents: HashExtents) -> None:
        self._directory = directory
        self._hash_extents = hash_extents
        self._snapshot: Snapshot | None = None
        self.begin_with: tuple[str, dict[str, Any]] | None = None
        self.save_in: str | None = None

    def begin(self, inputs: Sequence[Range]) -> list[Range]:
        """Begin with what is there; return inputs, which were looked at, with the places up to which they were read
        before, where they are what they were. Raises StateError and SourceError."""
        self._directory.load(self._check, Snapshot.open_unchecked)
        if self._snapshot is not None:
            # Not how far inputs were read: that may be much, and each task is sent it.
            fields = self._snapshot.fields.without("inputs")
            self.begin_with = (absolute(self._snapshot.folder), fields)
        placed = self._placed(inputs)
        self.save_in = absolute(self._directory.begin_shards())
        return placed

    def _check(self, snapshot: Snapshot) -> None:
        """See that no byte of a snapshot was changed. Raises StateError and SourceError."""
        files = list(snapshot.files())
        for path, byte_count, _ in files:
            open_of_size(path, byte_count).close()
        digests = self._hash_extents([Extent(absolute(path), 0, byte_count) for path, byte_count, _ in files])
        for (path, _, digest), found in zip(files, digests, strict=True):
            check_digest(path, found, digest)
        self._snapshot = snapshot

    def _placed(self, inputs: Sequence[Range]) -> list[Range]:
        read = self._directory.inputs
        known = {each.number: read[each.key] for each in inputs if each.key in read and not each.is_over}
        with ThreadPoolExecutor(CUTTING_THREADS) as pool:
            found = pool.map(prefix_of, (inputs[number] for number in known), known.values())
            prefixes = dict(zip(known, found, strict=True))
        digests = iter(self._hash_extents([extent for prefix in prefixes.values() for extent in prefix or ()]))
        placed = list(inputs)
        for number, prefix in prefixes.items():
            hashed = [next(digests) for _ in prefix or ()]
            if prefix is None or hashed == [digest for _, digest in known[number].all_parts]:
                placed[number] = replace(inputs[number], place=known[number])
        return placed

    def finish(self, settings: Settings, figures: Figures) -> None:
        """Make a snapshot of what was saved of all shards; it is not published yet.

        Raises ClusterError and StateError where some are missing or did not begin with all that was there, SourceError.
        """
        if self._snapshot is not None:
            self._snapshot.check_restored(*figures.restored())
        self._note_inputs(settings, figures)
        self._directory.finish_shards(figures.saved(), changed=figures.rows > 0)

    def _note_inputs(self, settings: Settings, figures: Figures) -> None:
        """Remember how far each input was read."""
        read = (part for part in settings.ranges if not part.is_over)
        for _, ranges in groupby(read, key=lambda part: part.input):
            first, *others = ranges
            ends = []
            for part in (first, *others):
                end = figures.report(part.number).place
                if end is None:
                    raise ClusterError(f"{part.name}: nobody says how far it was read; nothing is put out")
                ends.append(end)
            place = ends[0]  # of what is one range, which counts from the input's start on
            if first.end is not None:
                assert first.place is not None, "where an input's first range begins is known"
                place = place_behind(first.place, ends)
            self._directory.inputs[first.key] = place


@contextmanager
def open_state(path: "str | os.PathLike[str] | None", hash_extents: HashExtents) -> Iterator[ClusterState | None]:
    """A program's state: held as long as this lasts, and published where it ends well. None without a path.

    Raises SourceError, and LockedError where another run has the directory.
    """
    if path is None:
        yield None
        return
    directory = StateDirectory(os.fspath(path), program_journal("warn", None).warning)
    try:
        directory.open()
        yield ClusterState(directory, hash_extents)
        directory.publish()
    finally:
        directory.discard()
