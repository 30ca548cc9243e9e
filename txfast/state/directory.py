"""A state directory: the snapshots in it, which of them counts, and how a new one takes its place.

    lock              held by the run that uses the directory
    snapshot-<n>/     what a run left that ended well; the last two are kept
    snapshot-<n>.part what a run was writing when it was killed; the next one removes it

A snapshot is written under the second name and renamed when all of it is on the disk, so whatever moment a run is
killed at, the last one is whole. This module must not know what a run does with its inputs.
"""

import os
import re
import shutil

from txfast.errors import LockedError, SourceError, StateError
from txfast.input.open import open_input
from txfast.input.position import ENDINGS, Consumption, Place, go_on
from txfast.input.ref import is_location
from txfast.state import manifest
from txfast.state.snapshot import (
    Segments,
    Snapshot,
    SnapshotWriter,
    join_shards,
    remove_others,
    sync_folder,
    unwritable,
)

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from txfast.input.ref import InputRef
    from txfast.input.source import Source
    from txfast.ledger.ledger import Ledger

LOCK = "lock"
PART = ".part"
SNAPSHOT_NAME = re.compile(r"snapshot-([1-9][0-9]{0,17})")
CHECKPOINT_NAME = re.compile(r"checkpoint-([1-9][0-9]{0,17})")


class StateDirectory:
    """A state directory, held by one run: `open`, `load`, then `open_input` and `note` for each input; when all went
    well, ledgers are given to the `saver()`, then `finish` and `publish`; in any case `discard`, which gives it free.

    `warn` is told, in one line, of a damaged snapshot that another one stands in for. `inputs` are the places up to
    which inputs were consumed, by real path.
    """

    def __init__(self, path: str, warn: "Callable[[str], object]") -> None:
        self.path = path
        self.inputs: dict[str, Place] = {}
        self.warn = warn
        self._lock = -1
        self._base: str | None = None  # the folder of what the run began with
        self._goes_on = False  # from a checkpoint, whatever that began with
        self._base_inputs: dict[str, Place] = {}
        self._writer: SnapshotWriter | None = None
        self._part: str | None = None
        self._final: str | None = None
        self._kept_names: set[str] = set()  # in a folder in which others write too

    # ---- Beginning ---------------------------------------------------------------------------------

    def open(self, *, make: bool = True) -> None:
        """Hold the directory; `make` it where it is missing. Raises SourceError, and LockedError where another run has
        it."""
        import fcntl

        if is_location(self.path):
            raise SourceError(f"{self.path}: cannot be used as a state directory: it is no folder on this machine")
        try:
            if make:
                os.makedirs(self.path, 0o700, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            self._lock = os.open(os.path.join(self.path, LOCK), flags, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockedError(f"{self.path}: another run is using it; wait until that has ended") from error
        except ValueError as error:  # a name that no folder can have
            raise SourceError(f"{self.path!r}: cannot be used as a state directory: {error}") from error
        except OSError as error:
            raise SourceError(f"{self.path}: cannot be used as a state directory: {error.strerror or error}") from error

    def load(
        self, restore: "Callable[[Snapshot], object]", open_snapshot: "Callable[[str], Snapshot]" = Snapshot.open
    ) -> None:
        """Have the last good snapshot restored, where there is one: `restore` raises StateError for one that is not.

        `open_snapshot` opens one in its folder. Raises StateError where there are snapshots and none is good, or the
        last is of another format.
        """
        failures: list[StateError] = []
        for number in reversed(self.snapshots()):
            folder = self.folder(number)
            try:
                snapshot = open_snapshot(folder)
                self._base_inputs = places_of(snapshot)
                restore(snapshot)
            except manifest.UnknownFormatError:
                raise
            except StateError as error:
                failures.append(error)
                continue
            self._base = folder
            self.inputs = dict(self._base_inputs)
            for failure in failures:
                self.warn(f"{failure}; the snapshot before it, of {snapshot.created}, is used instead")
            return
        if failures:
            raise StateError(f"{failures[0]}; no good snapshot is left: restore {self.path} from a copy, or start anew")

    def go_on(self, inputs: "dict[str, Place]", base: int | None = None) -> None:
        """Begin with these places, and what was saved with them, instead of `load`: by default in the last snapshot,
        else in that of this number, 0 for none."""
        number = max(self.snapshots(), default=0) if base is None else base
        self._base = self.folder(number) if number else None
        self._goes_on = True
        self.inputs = inputs

    @property
    def is_new(self) -> bool:
        """Whether no run has ended here yet, as far as was loaded."""
        return self._base is None

    def snapshots(self) -> list[int]:
        """The numbers of the snapshots that are there, in ascending order. Raises SourceError."""
        return self.numbers(SNAPSHOT_NAME)

    def numbers(self, pattern: "re.Pattern[str]") -> list[int]:
        """The numbers in the names that fit a pattern, in ascending order. Raises SourceError."""
        return sorted(int(found[1]) for name in self.names() if (found := pattern.fullmatch(name)))

    def names(self) -> list[str]:
        """All that is there. Raises SourceError."""
        try:
            return os.listdir(self.path)
        except OSError as error:
            raise SourceError(f"{self.path}: cannot be read: {error.strerror or error}") from error

    @property
    def base_number(self) -> int:
        """The number of the snapshot that was begun with; 0 for none."""
        return 0 if self._base is None else int(self._base.rpartition("-")[2])

    def identity(self, number: int) -> str:
        """What tells a snapshot from any other of that number: the hash of its manifest; nothing where it has none."""
        return identity_of(self.folder(number))

    @property
    def finished_identity(self) -> str:
        """The same of what was finished and is not published yet."""
        assert self._part is not None, "nothing was finished"
        return identity_of(self._part)

    def folder(self, number: int) -> str:
        """The folder of a snapshot."""
        return os.path.join(self.path, f"snapshot-{number}")

    # ---- Inputs ------------------------------------------------------------------------------------

    def open_input(self, ref: "InputRef") -> "tuple[Source, Consumption | None]":
        """Open an input behind what earlier runs have read of it, or at its start where it is new.

        Standard input and pipes are always new and are not followed: the Consumption is None. Raises SourceError, and
        InputError where what was added continues a line that was already applied.
        """
        if not ref.can_be_read_again:
            return open_input(ref), None
        place = self.inputs.get(ref.key())
        if place is not None:
            found = go_on(open_input(ref), place)
            if found is not None:
                return found
        return open_input(ref), Consumption()

    def note(self, ref: "InputRef", consumption: Consumption | None) -> None:
        """Remember how far an input was consumed."""
        if consumption is not None and consumption.header is not None:
            self.inputs[ref.key()] = consumption.place(consumption.lines, consumption.header)

    def inputs_fields(self) -> "dict[str, dict[str, object]]":
        """The places as a manifest has them."""
        return {path: fields_of_place(place) for path, place in self.inputs.items()}

    @property
    def least_format(self) -> int:
        """The format that a manifest with these places needs."""
        return manifest.SHARDED_FORMAT if any(place.parts for place in self.inputs.values()) else manifest.FORMAT

    # ---- Ending ------------------------------------------------------------------------------------

    def saver(self, *, changed: bool, segments: "Segments | None" = None) -> "Callable[[Ledger], None] | None":
        """What is to be given all ledgers, one by one, for a new snapshot. Raises SourceError, and so does what it
        returns.

        `segments` are what a checkpoint has written of the very same ledgers, and is not written again. None where the
        run has not `changed` them and no input was consumed further: then what is there stays.
        """
        if self._stays(changed):
            return None
        self._writer = SnapshotWriter(self._begin_part(), segments=segments)
        return self._writer.add

    def _stays(self, changed: bool) -> bool:
        """Whether what is there is what would be saved."""
        return self._base is not None and not (self._goes_on or changed) and self.inputs == self._base_inputs

    def _begin_part(self) -> str:
        """Where a new snapshot is to be written; nothing is there. Raises SourceError."""
        number = max(self.snapshots(), default=0) + 1
        self._final = self.folder(number)
        self._part = self._final + PART
        remove_folder(self._part)
        return self._part

    def begin_shards(self) -> str:
        """Make a folder, in which others save shards, each into a new folder of its own. Raises SourceError."""
        part = self._begin_part()
        self._final = None  # until all of it is there
        try:
            os.mkdir(part, 0o700)
        except OSError as error:
            raise unwritable(part, error) from error
        return part

    def finish_shards(self, shards: "Sequence[dict[str, Any]]", *, changed: bool) -> None:
        """Make a snapshot of what was saved of shards, as `join_shards` takes it, and have it reach the disk.

        Where the run has not `changed` them and no input was consumed further, what is there stays. Raises SourceError.
        """
        assert self._part is not None, "no shards were begun"
        # If it stays, the folder stays too, for shards that are settled again before the run is over.
        if not self._stays(changed):
            self._kept_names = join_shards(self._part, shards, {"inputs": self.inputs_fields()})
            self._final = self._part.removesuffix(PART)

    def finish(self) -> None:
        """Have what was saved reach the disk. Raises SourceError."""
        if self._writer is not None:
            self._writer.finish({"inputs": self.inputs_fields()}, self.least_format)
            self._close_writer()

    def _close_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def publish(self, *, revocable: bool = False) -> None:  # noqa: ARG002 (it is published last)
        """Put what was saved in its place. Raises SourceError, and has then changed nothing."""
        if self._part is None or self._final is None:
            return
        try:
            os.rename(self._part, self._final)
        except OSError as error:
            raise unwritable(self._final, error) from error
        self._part = None
        if self._kept_names:
            remove_others(self._final, self._kept_names)
        try:
            sync_folder(self.path)
        except SourceError:
            return  # it is there; what was before it stays too
        self._remove_old(kept={self._final, self._base or ""})

    def _remove_old(self, kept: "set[str]") -> None:
        """Remove all snapshots but these, and what killed runs left, as far as the system lets it."""
        try:
            names = self.names()
        except SourceError:
            return
        for name in names:
            path = os.path.join(self.path, name)
            if SNAPSHOT_NAME.fullmatch(name.removesuffix(PART)) and path not in kept:
                remove_folder(path)

    def revoke(self) -> None:
        """Nothing is published after it that could fail."""

    def discard(self) -> None:
        """Remove what was not published, and give the directory free."""
        self._close_writer()
        part, self._part = self._part, None
        if part is not None:
            remove_folder(part)
        if self._lock >= 0:
            lock, self._lock = self._lock, -1
            try:  # noqa: SIM105 (contextlib takes longer to import than a small file to replay)
                os.close(lock)
            except OSError:
                pass  # it is given free all the same


def identity_of(folder: str) -> str:
    """The hash of a snapshot's manifest; nothing where that cannot be read."""
    from xxhash import xxh3_128_hexdigest

    try:
        with open(os.path.join(folder, manifest.NAME), "rb") as file:
            return xxh3_128_hexdigest(file.read())
    except OSError:
        return ""


def remove_folder(path: str) -> None:
    """Remove a folder and what is in it, as far as the system lets it. A part of it is never left under its name."""
    part = path if path.endswith(PART) else path + PART
    shutil.rmtree(part, ignore_errors=True)
    if part != path:
        try:
            os.rename(path, part)
        except OSError:
            return
        shutil.rmtree(part, ignore_errors=True)


def fields_of_place(place: Place) -> "dict[str, object]":
    """A place as a manifest has it."""
    fields: dict[str, object] = {
        "offset": place.offset_bytes,
        "lines": place.lines,
        "xxh3_128": place.digest,
        "ending": place.ending,
        "header": manifest.text_from(place.header),
    }
    if place.parts:
        fields["parts"] = [{"end": end, "xxh3_128": digest} for end, digest in place.parts]
    return fields


def places_of(snapshot: Snapshot) -> dict[str, Place]:
    """The places that a snapshot's manifest has, by real path. Raises StateError."""
    inputs = snapshot.fields.part("inputs")
    return {path: place_of(inputs.part(path)) for path in inputs.names()}


def place_of(fields: manifest.Fields) -> Place:
    """A place that a manifest has. Raises StateError."""
    parts = fields.parts("parts") if "parts" in fields.names() else []
    place = Place(
        fields.take("offset", int), fields.take("lines", int), fields.take("xxh3_128", str),
        fields.choice("ending", ENDINGS), fields.encoded("header"),
        tuple((int(part.take("end", int)), str(part.take("xxh3_128", str))) for part in parts),
    )  # fmt: skip
    ends = [0, *(end for end, _ in place.all_parts)]
    if parts and ends != sorted(set(ends)):
        raise fields.error("parts")
    return place


def no_snapshot(path: str) -> StateError:
    return StateError(f"{path}: holds no state: no run has ended there; name the transactions files to begin with")
