"""A state directory on a file system that the driver and all workers reach: a run begins with it and replaces it.

It is the directory that the command's `--state` keeps: a cluster goes on from what one machine saved, and the other way
round. The driver holds the directory's lock. Each reducer saves its shard in a folder of its own, and the driver makes
one snapshot of them. Workers hash the files of the snapshot, and the bytes of inputs that were read before.

This module must not know an engine.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from typing import Any

from txfast.cluster.cutting import CUTTING_THREADS, absolute, position_after
from txfast.cluster.extents import Extent, extents_before
from txfast.cluster.figures import Figures
from txfast.cluster.job import Settings
from txfast.cluster.ranges import Range, open_range_input
from txfast.cluster.sent_dialect import SentKey, dialect_in
from txfast.dialect.dialect import Dialect
from txfast.errors import ClusterError
from txfast.input.last_line import growth_of, held_back_warning
from txfast.input.position import Position
from txfast.input.source import HOLD
from txfast.ledger.policy import Policy
from txfast.log.journal import program_journal
from txfast.state.checked_file import check_digest, open_of_size
from txfast.state.dialects import text_ids_of
from txfast.state.directory import StateDirectory
from txfast.state.known_bytes import find_known, known_bytes_warning, other_bytes_warning
from txfast.state.snapshot import Snapshot
from txfast.state.snapshots import open_unchecked, store_of
from txfast.state.store import KEYS, Store

# An engine's function: the `hash_extent` of each extent, in order.
HashExtents = Callable[[Sequence[Extent]], list[str]]


class ClusterState:
    """The state of a run: `begin`, and `finish` when all shards are settled. The caller opens and closes the directory.

    `begin_with` is the snapshot that the shards begin with, None if there is none; `save_in` is the folder that they
    are saved in, and the key of the store: both as `reduce_shard` takes them.
    """

    def __init__(self, directory: StateDirectory, hash_extents: HashExtents) -> None:
        self._directory = directory
        self._hash_extents = hash_extents
        self._snapshot: Snapshot | None = None
        self._growing: dict[str, str] = {}  # by key of the input: why its last line is held back, if it has no ending
        self.begin_with: tuple[str, dict[str, Any]] | None = None
        self.save_in: tuple[str, str] | None = None
        self.text_key: bytes | None = None
        self._store: Store | None = None

    def load(self) -> None:
        """Begin with the last good snapshot. Raises StateError and SourceError."""
        self._directory.load(self._check, open_unchecked)
        store = None if self._snapshot is None else store_of(self._snapshot)
        if store is not None:
            self._store = store
            self.text_key = None if store.text_ids is None else store.text_ids.key

    def begin(self, inputs: Sequence[Range]) -> list[Range]:
        """Return uncut inputs with the positions up to which they were read before.

        An input that has other bytes before its position is new, and has no position. Raises StateError and
        SourceError.
        """
        if self._snapshot is not None:
            # Without the positions of inputs, which may be many: every task is sent these fields.
            fields = self._snapshot.fields.without("inputs")
            hidden = {name: SentKey(fields[name]) for name in KEYS if name in fields}
            self.begin_with = (absolute(self._snapshot.folder), fields | hidden)
        else:
            self._directory.say_it_is_new()
        placed = self._with_positions(inputs)
        if self._store is None:
            self._store = Store(None)
        self.save_in = (absolute(self._directory.new_folder()), SentKey(self._store.key.hex()))
        return [self._with_last_line(each) for each in placed]

    def _with_last_line(self, whole: Range) -> Range:
        """An input with what becomes of its last line: the driver decides, and sees that it does not change later."""
        if whole.is_over:
            return whole
        source = open_range_input(whole)
        try:
            reason = growth_of(source, is_read=False)
        finally:
            source.close()
        if not reason:
            return whole
        self._growing[whole.key] = reason
        return replace(whole, last_line=HOLD)

    def _check(self, snapshot: Snapshot) -> None:
        """Keep a snapshot; have its files hashed if an earlier version wrote them. Raises StateError if a byte is
        changed, and SourceError."""
        self._snapshot = snapshot
        if store_of(snapshot) is not None:
            snapshot.check_before_use()
            return
        files = list(snapshot.files())
        for path, byte_count, _ in files:
            open_of_size(path, byte_count).close()
        digests = self._hash_extents([Extent(absolute(path), 0, byte_count) for path, byte_count, _ in files])
        for (path, _, digest), found in zip(files, digests, strict=True):
            check_digest(path, found, digest)

    def _with_positions(self, inputs: Sequence[Range]) -> list[Range]:
        positions = self._directory.inputs
        known = {each.number: positions[each.key] for each in inputs if each.key in positions and not each.is_over}
        with ThreadPoolExecutor(CUTTING_THREADS) as pool:
            found = pool.map(extents_before, (inputs[number] for number in known), known.values())
            extents = dict(zip(known, found, strict=True))
        digests = iter(self._hash_extents([extent for each in extents.values() for extent in each or ()]))
        placed = list(inputs)
        for number, before in extents.items():
            hashed = [next(digests) for _ in before or ()]
            # If the input cannot be cut, its reader compares the bytes.
            if before is None or hashed == [digest for _, digest in known[number].all_parts]:
                placed[number] = replace(inputs[number], position=known[number])
            else:
                self._directory.warn(other_bytes_warning(inputs[number].name, known[number]))
        self._warn_of_known_bytes(placed)
        return placed

    def _warn_of_known_bytes(self, inputs: Sequence[Range]) -> None:
        """Warn of inputs that are taken as new ones, and begin with bytes that were consumed under another name."""
        if not self._directory.inputs:
            return
        new = [each for each in inputs if each.position is None and not each.is_over]
        with ThreadPoolExecutor(CUTTING_THREADS) as pool:
            for each, found in zip(new, pool.map(self._find_known, new), strict=True):
                if found is not None:
                    self._directory.warn(known_bytes_warning(each.name, *found))

    def _find_known(self, whole: Range) -> tuple[str, int] | None:
        known = {key: position for key, position in self._directory.inputs.items() if key != whole.key}
        return find_known(lambda: open_range_input(whole), known)

    def finish(self, settings: Settings, figures: Figures) -> None:
        """Make a snapshot of all saved shards; the directory publishes it later.

        Raises ClusterError if a shard or the end of a range is missing, StateError if the shards did not begin with all
        of the old snapshot, and SourceError.
        """
        assert self._store is not None, "it was begun"
        assert self.save_in is not None
        if self._snapshot is not None and store_of(self._snapshot) is None:
            self._snapshot.check_restored(*figures.restored())
        self._note_inputs(settings, figures)
        if self._directory.stays(changed=figures.rows > 0):
            return
        self._store.set_text_ids(text_ids_of(dialect_in(settings.dialect)))
        self._store.join(self.save_in[0], figures.saved())
        self._directory.save(self._store)
        self._directory.finish()

    def _note_inputs(self, settings: Settings, figures: Figures) -> None:
        """Note how far each input was read, and warn of last lines that are held back."""
        read = (part for part in settings.ranges if not part.is_over)
        for _, ranges in groupby(read, key=lambda part: part.input):
            parts = list(ranges)
            reports = [figures.report(part.number) for part in parts]
            held_bytes = sum(report.held_bytes for report in reports)
            in_quotes = any(report.held_in_quotes for report in reports)
            if parts[0].position is not None and reports[0].starts_anew:
                self._directory.warn(other_bytes_warning(parts[0].name, parts[0].position))
            position = position_of_input(parts[0], [report.position for report in reports])
            if position is not None:
                self._directory.inputs[parts[0].key] = position
            elif not held_bytes:  # what is there of a header may be held back, and is then no position
                raise ClusterError(f"{parts[0].name}: nobody says how far it was read; nothing is put out")
            if held_bytes:
                line = 1 if position is None else position.lines + 1
                reason = self._growing[parts[0].key]
                self._directory.warn(held_back_warning(parts[0].name, line, reason, in_quotes=in_quotes))


def position_of_input(first: Range, ends: Sequence[Position | None]) -> Position | None:
    """How far an input was read, from its first range and where each of its ranges ends; None where one is missing."""
    found = [end for end in ends if end is not None]
    if len(found) != len(ends):
        return None
    if first.end is None:
        return found[0]  # of an input that is one range: counted from the start of the input
    assert first.position is not None, "the first range of a cut input has a position"
    return position_after(first.position, found)


@contextmanager
def open_state(
    path: "str | os.PathLike[str] | None",
    hash_extents: HashExtents,
    policy: Policy | None = None,
    dialect: Dialect | None = None,
) -> Iterator[ClusterState | None]:
    """Hold a state directory for a program, and publish the new state unless an exception comes. None without a path.

    Raises SourceError, and LockedError if another run holds the directory.
    """
    if path is None:
        yield None
        return
    directory = StateDirectory(os.fspath(path), program_journal("warn", None).warning, policy, dialect)
    try:
        directory.open()
        yield ClusterState(directory, hash_extents)
        directory.publish()
    finally:
        directory.discard()
