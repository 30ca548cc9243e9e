"""A state directory: its snapshots, which of them is used, and how a new one takes its place.

    lock                held by the run that changes the directory (lock.py)
    snapshot-<n>/       written by a run that succeeded, by Ledger.save or by StateLedger.commit; it and the one before
                        are kept
    checkpoint-<n>/     left on the way by a run that has not ended (run/checkpoint.py)
    <either>….part      half written or half removed when a run was killed; of a snapshot, the next run that saves one
                        removes it; of a checkpoint, the next run with inputs

A snapshot is written under a name with `.part` and renamed when all of it is on the disk. So once there is a snapshot,
there is a complete one at every moment, even if a run is killed, and the directory is read without its lock. No
snapshot is published over one that the run did not begin with: a file system may not keep the lock.

This module must not know what a run does with its inputs.
"""

import os
from errno import EEXIST, ENOTEMPTY

from txfast.errors import WRITING, LockedError, SourceError, StateError, reason_of, unreadable, unwritable, way_out
from txfast.input.first_bytes import ReplayedFile
from txfast.input.open import open_input, open_source
from txfast.input.position import HEAD_BYTES, Consumption, Position, go_on, take
from txfast.input.ref import is_location
from txfast.input.source import TEXT_KINDS, Source
from txfast.state import manifest
from txfast.state.dialects import check_dialect, fields_of_dialect
from txfast.state.folders import CHECKPOINT_NAME, SNAPSHOT_NAME, SNAPSHOT_PART, remove_folder, remove_others
from txfast.state.known_bytes import find_known, find_known_start, known_bytes_warning, other_bytes_warning
from txfast.state.lock import DirectoryLock
from txfast.state.manifest_writer import save_store
from txfast.state.policies import OtherPolicyError, check_policy, fields_of_policy
from txfast.state.positions import fields_of_position, positions_of
from txfast.state.snapshots import open_to_go_on
from txfast.writers.file import sync_folder
from txfast.writers.temporary_names import PART

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from txfast.dialect.dialect import Dialect
    from txfast.input.ref import InputRef
    from txfast.input.room import Room
    from txfast.ledger.policy import Policy
    from txfast.state.snapshot import Snapshot
    from txfast.state.store import Store


class StateDirectory:
    """A state directory that one run has locked, or that is only read.

    A run calls `open` and `load`, then `open_input` and `note` for each input. In the end it gives its store to `save`,
    with the new segments in `new_folder()`, and calls `finish` and `publish`. Every run, even one that fails, calls
    `discard`: it releases the lock. To read, call `open_to_read` instead of `open`, and publish nothing.

    `policy` and `dialect` are those of the run, None for the default one: a state of others is refused. `warn` gets
    each warning: a damaged snapshot that is skipped, a checkpoint that is not resumed. `inputs` has the position up to
    which each input was read, by the input's key.
    """

    # What messages say of this run where another one has changed the directory meanwhile.
    BEGAN_WITH_IT, BEGAN = "which this run began with", "this one began"
    BEGIN_WITH_REST = "run the command again, which then begins with what is left"
    BEGIN_WITH_NEW = "run the command again, which then begins with that state"

    def __init__(
        self,
        path: str,
        warn: "Callable[[str], object]",
        policy: "Policy | None" = None,
        dialect: "Dialect | None" = None,
    ) -> None:
        self.path = path
        self._policy = policy
        self._dialect = dialect
        self._is_read_only = False
        self._takes_choices = False
        self.inputs: dict[str, Position] = {}
        self.warn = warn
        self._lock = DirectoryLock()
        # The number and the identity of the newest snapshot, before this run read one and after it has published one.
        self.newest: tuple[int, str] = (0, "")
        self._had_checkpoint = False  # when the run began
        self.was_replaced = False  # the newest snapshot is not this run's any more: published by another, or removed
        self._base: str | None = None  # the folder of the snapshot that the run began with
        self._goes_on = False  # began with a checkpoint, or with ledgers in memory, instead of `load`
        self._base_inputs: dict[str, Position] = {}
        self._store: Store | None = None  # to be saved
        self._is_finished = False  # the next snapshot is on the disk
        self._part: str | None = None
        self._final: str | None = None

    # ---- Beginning ---------------------------------------------------------------------------------

    def open(self, *, takes_choices: bool = False) -> None:
        """Lock the directory, after making it where it is missing. With `takes_choices`, policy and dialect are those
        of the state. Raises SourceError, and LockedError where another run has locked it."""
        self._refuse_location()
        self._takes_choices = takes_choices
        try:
            os.makedirs(self.path, 0o700, exist_ok=True)
            self._lock.take(self.path)
        except BlockingIOError as error:
            raise LockedError(f"{self.path}: another run is using it; wait until that has ended") from error
        except (OSError, ValueError) as error:
            raise self._unusable(error) from error
        self.newest = self._find_newest()
        self._had_checkpoint = bool(self.numbers(CHECKPOINT_NAME))

    def open_to_read(self) -> None:
        """Use the directory without its lock, while another run may change it, and whatever its policy. Raises
        SourceError."""
        self._is_read_only = True
        self.check_exists()

    def check_exists(self) -> None:
        """Raise SourceError where the directory cannot be listed."""
        self._refuse_location()
        try:
            os.listdir(self.path)
        except FileNotFoundError as error:
            message = f"{self.path}: holds no state: there is no such directory; check its name"
            raise SourceError(message, self.path, error) from error
        except (OSError, ValueError) as error:
            raise self._unusable(error) from error

    def _refuse_location(self) -> None:
        if is_location(self.path):
            message = f"{self.path}: cannot be used as a state directory: it is no folder on this machine"
            raise SourceError(message, self.path)

    def _unusable(self, error: OSError | ValueError) -> SourceError:
        if isinstance(error, ValueError):  # a NUL in the name
            return SourceError(f"{self.path!r}: cannot be used as a state directory: {error}", self.path, error)
        reason = f"{reason_of(error)}{way_out(error, WRITING)}"
        message = f"{self.path}: cannot be used as a state directory: {reason}"
        return SourceError(message, self.path, error)

    def load(
        self,
        restore: "Callable[[Snapshot], object]",
        open_snapshot: "Callable[[str], Snapshot]" = open_to_go_on,
    ) -> None:
        """Begin with the last good snapshot, if there is one.

        `open_snapshot` reads one from its folder and `restore` takes it; either raises StateError where it is damaged,
        and then the one before it is tried. Raises StateError where none of them is good, or the last has a format that
        this version does not know or another policy than the run.
        """
        while True:
            numbers = self.snapshots()
            if self._is_read_only:
                # Before anything is read: what is read is this snapshot, or it is tried again.
                number = max(numbers, default=0)
                self.newest = number, self.identity(number)
            try:
                return self._load(numbers, restore, open_snapshot)
            except (StateError, SourceError):
                # Without the lock: the runs that have ended meanwhile may have removed what was being read.
                if self._lock.is_held or self.snapshots() == numbers:
                    raise

    def _load(
        self,
        numbers: list[int],
        restore: "Callable[[Snapshot], object]",
        open_snapshot: "Callable[[str], Snapshot]",
    ) -> None:
        failures: list[StateError] = []
        for number in reversed(numbers):
            folder = self.folder(number)
            try:
                snapshot = open_snapshot(folder)
                self._base_inputs = positions_of(snapshot)
                if self._takes_choices:
                    self._policy, self._dialect = snapshot.policy, snapshot.dialect
                elif not self._is_read_only:
                    self.check_choices(snapshot)
                restore(snapshot)
            except (manifest.UnknownFormatError, OtherPolicyError):
                raise
            except StateError as error:
                if not self._lock.is_held and self.snapshots() != numbers:
                    raise  # it was removed while it was read, as old ones are: `load` reads what is there now
                failures.append(error)
                continue
            self._base = folder
            self.inputs = dict(self._base_inputs)
            for failure in failures:
                self.warn(f"{failure}; the snapshot before it, of {snapshot.created}, is used instead")
            return
        if failures:
            raise StateError(f"{failures[0]}; no good snapshot is left: restore {self.path} from a copy, or start anew")

    def check_choices(self, snapshot: "Snapshot") -> None:
        """Raise OtherPolicyError where a snapshot or checkpoint in here has another policy or dialect than the run."""
        check_policy(self.path, snapshot.policy, self._policy)
        check_dialect(self.path, snapshot.dialect, self._dialect)

    def go_on(self, inputs: "dict[str, Position]", base: int | None = None) -> None:
        """Instead of `load`: begin with ledgers that the caller has, and these positions.

        `base` is the number of the snapshot that they came from: 0 for none, None for the last one there is.
        """
        number = max(self.snapshots(), default=0) if base is None else base
        self._base = self.folder(number) if number else None
        self._goes_on = True
        self.inputs = inputs

    @property
    def is_new(self) -> bool:
        """Whether the run began with nothing: no run has ended here before."""
        return self._base is None

    def say_it_is_new(self) -> None:
        """Warn that the run begins with nothing: a mistyped name is such a state too. A run that left a checkpoint has
        been here before, and is told of that."""
        if self._had_checkpoint:
            return
        self.warn(f"{self.path}: is a new state: nothing was saved there before; if something was, check the name")

    def snapshots(self) -> list[int]:
        """The numbers of the snapshots in the directory, in ascending order. Raises SourceError."""
        return self.numbers(SNAPSHOT_NAME)

    def numbers(self, pattern: "re.Pattern[str]") -> list[int]:
        """The numbers in all names that fit a pattern, in ascending order. Raises SourceError."""
        return sorted(int(found[1]) for name in self.names() if (found := pattern.fullmatch(name)))

    def names(self) -> list[str]:
        """All names in the directory. Raises SourceError."""
        try:
            return os.listdir(self.path)
        except OSError as error:
            raise unreadable(self.path, error) from error

    @property
    def base_number(self) -> int:
        """The number of the snapshot that the run began with; 0 for none."""
        return 0 if self._base is None else int(self._base.rpartition("-")[2])

    def check_newest(self) -> None:
        """Raise StateError where the newest snapshot is not the one that was there when this run began."""
        if self._find_newest() != self.newest:
            raise self._was_replaced()

    def _find_newest(self) -> tuple[int, str]:
        number = max(self.snapshots(), default=0)
        return number, self.identity(number)

    def _was_replaced(self) -> StateError:
        self.was_replaced = True
        number = self.newest[0]
        if self._find_newest()[0] < number:
            what = f"snapshot-{number}, {self.BEGAN_WITH_IT}, was removed meanwhile"
            way_out = f"put it back, or {self.BEGIN_WITH_REST}"
        else:
            what = f"another run has saved its state there since {self.BEGAN}"
            way_out = self.BEGIN_WITH_NEW
        return StateError(f"{self.path}: {what}, so nothing is saved; {way_out}")

    def identity(self, number: int) -> str:
        """The hash of a snapshot's manifest, which no other snapshot has; "" where it cannot be read."""
        return identity_of(self.folder(number))

    @property
    def finished_identity(self) -> str:
        """The same for the snapshot that is finished and not published yet."""
        assert self._part is not None, "nothing was finished"
        return identity_of(self._part)

    def folder(self, number: int) -> str:
        """The folder of the snapshot with this number."""
        return os.path.join(self.path, f"snapshot-{number}")

    # ---- Inputs ------------------------------------------------------------------------------------

    def open_input(
        self, ref: "InputRef", copy_folder: str | None = None, room: "Room | None" = None
    ) -> "tuple[Source, Consumption | None]":
        """Open an input after what earlier runs have read of it, or at its start where it is new.

        Standard input and pipes are always new and are not followed: the Consumption is None. A zip archive in a stream
        is copied to `copy_folder`. Raises SourceError, InputError where the last line, which was already applied, has
        been continued since, and MemoryLimitError where the `room` is too small to decompress it.
        """
        if not ref.can_be_read_again:
            if ref.is_regular:
                self._warn_of_known_bytes(ref, lambda: open_source("/dev/stdin"), None)
                return open_input(ref, copy_folder, room), None
            return self._look_ahead(open_input(ref, copy_folder, room)), None
        position = self.inputs.get(ref.key())
        if position is not None:
            delimiter = None if self._dialect is None else self._dialect.delimiter
            found = go_on(self._open(ref, copy_folder, room), position, delimiter)
            if found is not None:
                return found
            self.warn(other_bytes_warning(ref.display_name, position))
        self._warn_of_known_bytes(ref, lambda: self._open(ref, None, room), ref.key())
        return self._open(ref, copy_folder, room), Consumption()

    def _open(self, ref: "InputRef", copy_folder: str | None, room: "Room | None") -> Source:
        """Open an input at its start, in the encoding of the dialect."""
        source = open_input(ref, copy_folder, room)
        if self._dialect is None:
            return source
        from txfast.input.decoded import decoded_source

        return decoded_source(source, self._dialect.encoding)

    def _look_ahead(self, source: "Source") -> "Source":
        """Warn where a pipe begins with bytes that were consumed under some name: at most its first bytes are compared,
        since it can be read only once. Returns the source at its start. Raises SourceError and InputError."""
        if source.kind not in TEXT_KINDS or not self.inputs:
            return source
        try:
            text = take(source, HEAD_BYTES)
        except BaseException:
            source.close()
            raise
        found = find_known_start(text, self.inputs)
        if found is not None:
            self.warn(known_bytes_warning(source.name, *found))
        return Source(source.name, ReplayedFile(text, source.file), None, source.kind)

    def _warn_of_known_bytes(self, ref: "InputRef", open_again: "Callable[[], Source]", key: str | None) -> None:
        """Warn where an input that is taken as a new one begins with bytes that were consumed under another name."""
        known = {name: position for name, position in self.inputs.items() if name != key}
        found = find_known(open_again, known) if known else None
        if found is not None:
            self.warn(known_bytes_warning(ref.display_name, *found))

    def note(self, ref: "InputRef", consumption: Consumption | None) -> None:
        """Remember how far an input was read; nothing to do for one that is not followed."""
        if consumption is not None and consumption.header is not None:
            self.inputs[ref.key()] = consumption.position(consumption.lines, consumption.header)

    def fields(self) -> "dict[str, object]":
        """What a manifest has of the run: the positions of all inputs, policy and dialect."""
        inputs = {key: fields_of_position(position) for key, position in self.inputs.items()}
        return {"inputs": inputs, "policy": fields_of_policy(self._policy), **fields_of_dialect(self._dialect)}

    # ---- Ending ------------------------------------------------------------------------------------

    def stays(self, *, changed: bool) -> bool:
        """Whether the next snapshot would be the same as the last one: the run has not `changed` the ledgers, and has
        read no input further."""
        return self._base is not None and not (self._goes_on or changed) and self.inputs == self._base_inputs

    def new_folder(self) -> str:
        """The folder of the next snapshot, which is made the first time. Raises SourceError, and StateError where
        another run has published one meanwhile."""
        if self._part is None:
            self.check_newest()
            self._final = self.folder(self.newest[0] + 1)
            for name in self.names():
                if SNAPSHOT_PART.fullmatch(name):
                    remove_folder(os.path.join(self.path, name))
            # No other run has this name: not even one that began although this one holds the lock.
            part = f"{self._final}.{os.urandom(4).hex()}{PART}"
            try:
                os.mkdir(part, 0o700)
            except OSError as error:
                raise unwritable(part, error) from error
            self._part = part
        return self._part

    def drop_new_folder(self) -> None:
        """Remove the folder of the next snapshot, with what is in it: it begins anew."""
        part, self._part = self._part, None
        if part is not None:
            remove_folder(part)

    def save(self, store: "Store") -> None:
        """Have `finish` write a snapshot of the segments of a store, those that are new in `new_folder()` already."""
        self._store = store

    def finish(self) -> None:
        """Write the rest of a new snapshot, if there is one; it is on the disk then.

        Raises SourceError and StateError.
        """
        if self._store is None:
            return
        folder = self.new_folder()
        self._store.compact(folder)
        save_store(folder, self._store, self.fields())
        self._is_finished = True

    def publish(self, *, revocable: bool = False) -> None:  # noqa: ARG002 (it is published last)
        """Put the new snapshot in its place, and remove old ones. Raises SourceError, and StateError where another run
        has published one meanwhile; it has then changed nothing."""
        if not self._is_finished or self._part is None or self._final is None:
            return
        self.check_newest()
        identity = identity_of(self._part)
        if self._store is not None:  # attempts to settle a shard may have ended since it was finished
            remove_others(self._part, {manifest.NAME, *(each.name for each in self._store.files())})
        try:
            os.rename(self._part, self._final)  # fails where another run has published one in this very moment
        except OSError as error:
            if error.errno in (ENOTEMPTY, EEXIST):
                raise self._was_replaced() from error
            raise unwritable(self._final, error) from error
        self.newest = (self.newest[0] + 1, identity)
        self._part = None
        try:
            sync_folder(self.path)
        except SourceError:
            return  # the new snapshot is there; old ones stay too, in case it does not survive a power cut
        self._remove_old(kept={self._final, self._base or ""})

    def _remove_old(self, kept: "set[str]") -> None:
        """Remove the parts that killed runs left, and all snapshots except these. Errors are ignored."""
        try:
            names = self.names()
        except SourceError:
            return
        for name in names:
            path = os.path.join(self.path, name)
            if (SNAPSHOT_NAME.fullmatch(name) or SNAPSHOT_PART.fullmatch(name)) and path not in kept:
                remove_folder(path)

    def revoke(self) -> None:
        """A state is published last, so it never has to be taken back."""

    def discard(self) -> None:
        """Remove a snapshot that was not published, and release the lock."""
        if self._store is not None:
            self._store.close()
        self.drop_new_folder()
        self._lock.release()


def identity_of(folder: str) -> str:
    """The hash of the manifest in a snapshot's folder; "" where it cannot be read."""
    from xxhash import xxh3_128_hexdigest

    try:
        with open(os.path.join(folder, manifest.NAME), "rb") as file:
            return xxh3_128_hexdigest(file.read())
    except OSError:
        return ""


def no_snapshot(path: str) -> StateError:
    """The error for a directory without a snapshot, where a run needs one."""
    return StateError(f"{path}: holds no state: no run has ended there; name the transactions files to begin with")
