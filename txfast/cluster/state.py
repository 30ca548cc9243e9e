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

from txfast.api.process import make_journal
from txfast.cluster.job import Figures, Settings
from txfast.cluster.ranges import CUTTING_THREADS, Extent, input_key, place_behind, prefix_of
from txfast.errors import ClusterError, StateError
from txfast.read.consumed import Place
from txfast.state.directory import StateDirectory
from txfast.state.snapshot import Snapshot

# What an engine does: the `hash_extent` of each, in the same order.
HashExtents = Callable[[Sequence[Extent]], list[str]]


class ClusterState:
    """The state of a run: `begin`, and `finish` when all shards are settled. The directory is open, and stays so.

    `base` is the snapshot's folder that shards begin with, None for none; `save_in` is the one that they are saved in.
    """

    def __init__(self, directory: StateDirectory, hash_extents: HashExtents) -> None:
        self._directory = directory
        self._hash_extents = hash_extents
        self._snapshot: Snapshot | None = None
        self.base: str | None = None
        self.save_in: str | None = None

    def begin(self, names: Sequence[str]) -> dict[str, Place]:
        """Begin with what is there; return how far these inputs were read before, by key, where they are what they
        were. Raises StateError and SourceError."""
        directory = self._directory
        directory.load(self._check, Snapshot.open_unchecked)
        if directory.base is not None:
            self.base = os.path.abspath(directory.base)
        places = self._places(names)
        self.save_in = os.path.abspath(directory.begin_shards())
        return places

    def _check(self, snapshot: Snapshot) -> None:
        """See that no byte of a snapshot was changed. Raises StateError."""
        files = list(snapshot.files())
        digests = self._hash_extents([Extent(os.path.abspath(path), 0, count) for path, count, _ in files])
        for (path, byte_count, digest), found in zip(files, digests, strict=True):
            if found != digest or os.path.getsize(path) != byte_count:
                raise StateError(f"{path}: is damaged: its bytes are not those that were written")
        self._snapshot = snapshot

    def _places(self, names: Sequence[str]) -> dict[str, Place]:
        inputs = self._directory.inputs
        named = {input_key(name): name for name in names}
        known = [(key, name, inputs[key]) for key, name in named.items() if key in inputs]
        with ThreadPoolExecutor(CUTTING_THREADS) as pool:
            prefixes = list(pool.map(lambda each: prefix_of(each[1], each[2]), known))
        digests = iter(self._hash_extents([extent for prefix in prefixes for extent in prefix or ()]))
        places: dict[str, Place] = {}
        for (key, _, place), prefix in zip(known, prefixes, strict=True):
            found = [next(digests) for _ in prefix or ()]
            if prefix is None or found == [digest for _, digest in place.all_parts]:
                places[key] = place
        return places

    def finish(self, settings: Settings, figures: Figures) -> None:
        """Make a snapshot of what was saved of all shards; it is not published yet.

        Raises ClusterError and StateError where some are missing or did not begin with all that was there, SourceError.
        """
        if self._snapshot is not None:
            self._snapshot.check_restored(*figures.restored())
        self._note_inputs(settings, figures)
        self._directory.finish_shards(figures.saved(), changed=figures.rows > 0)

    def _note_inputs(self, settings: Settings, figures: Figures) -> None:
        ends: dict[str, Place] = {}
        for part in settings.ranges:
            if part.is_over:
                continue
            key = input_key(part.path)
            end = figures.report(part.number).place
            if end is None:
                raise ClusterError(f"{part.name}: nobody says how far it was read; nothing is put out")
            if part.end is None:
                ends[key] = end
            else:
                ends[key] = place_behind(part.place or ends[key], end)
        self._directory.inputs |= ends


@contextmanager
def open_state(path: "str | os.PathLike[str] | None", hash_extents: HashExtents) -> Iterator[ClusterState | None]:
    """A program's state: held as long as this lasts, and published where it ends well. None without a path.

    Raises SourceError, and LockedError where another run has the directory.
    """
    if path is None:
        yield None
        return
    directory = StateDirectory(os.fspath(path), make_journal("warn", None).warning)
    try:
        directory.open()
        yield ClusterState(directory, hash_extents)
        directory.publish()
    finally:
        directory.discard()
