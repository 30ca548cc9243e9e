"""Checkpoints: the progress of a run that has not ended, in its state directory. The same command resumes from there.

    checkpoint-<n>/     a snapshot, with the run's progress in the manifest
    checkpoint-<n>.part the one that a run was writing, or removing, when it was killed

After the first checkpoint there is a complete one at every moment: the last, whichever command took it, is removed only
once the next is on the disk. A checkpoint is valid for one command, and for the snapshot that the command began with.
The rejects so far stay in the temporary file beside their final place; the manifest says how many bytes of it belong to
the checkpoint.

This module must not know how a flow is paused.
"""

import os
import time

from txfast.batch.batch import KINDS
from txfast.errors import StateError, TxfastError, unwritable
from txfast.input.open import open_input
from txfast.input.position import Position, go_on
from txfast.input.ref import resolve
from txfast.interrupts import LISTENER
from txfast.ledger.figures import add_counts
from txfast.ledger.ledger import STATUSES
from txfast.state import manifest
from txfast.state.folders import CHECKPOINT_NAME, remove_folder
from txfast.state.manifest_writer import save_store
from txfast.state.positions import fields_of_position, position_of, positions_of
from txfast.state.snapshots import open_to_go_on, open_unchecked
from txfast.writers.file import sync_folder
from txfast.writers.output import STANDARD_OUTPUT
from txfast.writers.temporary_names import PART, PROGRESS, is_beside

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from txfast.dialect.dialect import Dialect
    from txfast.input.position import Consumption
    from txfast.input.source import Source
    from txfast.ledger.policy import Policy
    from txfast.run.replay import Replay
    from txfast.state.directory import StateDirectory
    from txfast.state.snapshot import Snapshot
    from txfast.writers.rejects import Rejects


# The kinds and statuses of which the checkpoints of earlier versions have counts.
EARLIER_KINDS = ("deposit", "withdrawal", "dispute", "resolve", "chargeback")
EARLIER_STATUSES = (
    "applied", "account_locked", "duplicate_transaction", "amount_required", "negative_amount", "insufficient_funds",
    "overflow", "transaction_not_found", "duplicate_dispute", "dispute_not_found", "dispute_not_in_progress",
)  # fmt: skip
# No run counts more rows than this.
COUNT_MAX = 2**63 - 1


class Checkpoints:
    """The checkpoints of a run: `find` one to resume from, `take` new ones, `discard` them when the run has ended.

    Nothing is removed before this run has replayed a row: a run that fails at once leaves all as it was.

    `command` identifies the command (see `command_of`). `seconds` is the time from one checkpoint to the next; None
    takes none. The first signal takes one more checkpoint before it ends the run, except inside a table and after
    ledgers went to disk.
    """

    def __init__(
        self,
        state: "StateDirectory",
        command: "dict[str, Any]",
        seconds: float | None,
        rejects: "Rejects | None",
    ) -> None:
        self._state = state
        self._command = command
        self._rejects = rejects
        if seconds is not None and rejects is not None:
            rejects.follow()
        self._seconds = seconds
        self._next = time.monotonic() + seconds if seconds is not None else float("inf")
        self._holds = False  # whether this run has looked for checkpoints, so that it may remove them
        self._own = False  # a checkpoint that this run may go on from is on the disk
        self._refused: list[tuple[str, TxfastError]] = []  # folders that do not fit, and why
        self._rejects_path = ""  # of the temporary file of rejects that this run's checkpoint names
        self._rows_before: int | None = None  # of the run that is resumed, once this one begins to read
        self._input_index = 0  # of the input that is read now
        self.first_input = 0  # number of the first input that is left, whole or in part
        self._opened: tuple[Source, Consumption] | None = None

    # ---- Resuming ----------------------------------------------------------------------------------

    def find(self, replay: "Replay") -> bool:
        """Resume the run from the last good checkpoint of this command; False where there is none."""
        found = any(self._goes_on_from(self._folder(number), replay) for number in reversed(self._numbers()))
        self._holds = True
        self._own = found
        return found

    def _goes_on_from(self, folder: str, replay: "Replay") -> bool:
        """Resume from this checkpoint; False where that cannot be. Raises UnknownFormatError."""
        try:
            checkpoint = open_to_go_on(folder)
            progress = checkpoint.fields.part("progress")
            if not self._is_of_this_base(progress):
                return False  # of a run that has ended since, or of a state that was put back
            self._refuse_other_command(progress.take("command", dict))
            self._state.check_choices(checkpoint)
            replay.books.begin_with(checkpoint, self._state.new_folder)
            self._go_on(replay, checkpoint)
        except manifest.UnknownFormatError:
            raise
        except TxfastError as error:
            replay.books.begin()
            self._state.drop_new_folder()
            self._refused.append((folder, error))
            return False
        return True

    def begin(self, replay: "Replay") -> None:
        """Once nothing keeps the run from reading: warn of each checkpoint of a run that did not end and that this one
        does not resume."""
        self._rows_before = replay.rows
        for folder, error in self._refused:
            instead = "an older one is" if self._own else "the run begins anew"
            self._state.warn(f"{folder}: is not resumed, and {instead}: {error}")

    def has_replayed(self, replay: "Replay") -> bool:
        """Whether this run has replayed a row itself."""
        return self._rows_before is not None and replay.rows > self._rows_before

    def _is_of_this_base(self, progress: manifest.Fields) -> bool:
        """Whether the run that took the checkpoint began with the snapshot that is now the newest."""
        number, identity = self._state.newest
        return bool(progress.take("base", int) == number and progress.take("base_hash", str) == identity)

    def _refuse_other_command(self, command: "dict[str, Any]") -> None:
        different = [name for name in {**self._command, **command} if command.get(name) != self._command.get(name)]
        if different:
            raise StateError(f"it is of another command, whose {different[0]} differs")

    def _go_on(self, replay: "Replay", checkpoint: "Snapshot") -> None:
        """Take over the progress. Where it raises TxfastError, nothing that lasts was changed."""
        progress = checkpoint.fields.part("progress")
        index = progress.take("input", int)
        figures = [
            (
                str(each.take("file", str)),
                int(each.take("bytes", int)),
                int(each.take("rows", int)),
                int(each.take("ignored", int)) if each.has("ignored") else 0,
            )
            for each in progress.parts("figures")
        ]
        counts, malformed = counts_in(progress), progress.numbers("malformed")
        # Checkpoints of earlier versions lack it.
        before = progress.numbers("malformed_before") if progress.has("malformed_before") else None
        unread_amounts = progress.take("unread_amounts", int) if progress.has("unread_amounts") else 0
        openings = openings_in(progress)
        # Without it, all accounts count as changed.
        account_runs = progress.take("account_runs", int) if progress.has("account_runs") else 0
        files = self._command["inputs"]
        inside = bool(progress.take("inside", bool))
        reasons = len(replay.malformed_rows.counts)
        is_possible = all(
            len(numbers) == reasons and all(0 <= count <= COUNT_MAX for count in numbers)
            for numbers in (malformed, malformed if before is None else before)
        )
        if len(figures) != index + inside or len(figures) > len(files) or not is_possible:
            raise StateError("its progress does not agree with the command's inputs")
        try:
            add_counts(replay.books.ledgers[0], counts)
        except ValueError as error:
            raise StateError(str(error)) from error
        inputs = positions_of(checkpoint)
        opened = self._open_inside(replay, files[index], position_of(progress.part("place"))) if inside else None
        try:
            if self._rejects is not None:
                part = progress.part("rejects")
                path = part.take("path", str)
                self._rejects.reopen(path, part.take("bytes", int), part.take("xxh3_128", str))
                self._rejects_path = path
        except BaseException:
            if opened is not None:
                opened[0].close()
            raise
        assert replay.books.stored is not None, "the run has a state"
        replay.books.stored.store.account_runs_before = account_runs
        replay.books.add_unread_amounts(unread_amounts)
        replay.books.openings.add(openings)
        self._opened = opened
        self.first_input = index
        replay.go_on(figures, malformed, before)
        self._state.go_on(inputs)

    def _open_inside(
        self, replay: "Replay", file: "dict[str, str]", position: Position
    ) -> "tuple[Source, Consumption]":
        dialect = replay.books.dialect
        source = open_input(resolve(file["name"]), None, replay.room)
        if dialect is not None:
            from txfast.input.decoded import decoded_source

            source = decoded_source(source, dialect.encoding)
        opened = go_on(source, position, None if dialect is None else dialect.delimiter)
        if opened is None:
            raise StateError(f"{file['name']}: is not what it was")
        return opened

    def take_opened(self) -> "tuple[Source, Consumption] | None":
        """The open input in which the run goes on, for the caller to close; None the second time."""
        opened, self._opened = self._opened, None
        return opened

    # ---- Taking ------------------------------------------------------------------------------------

    def begin_input(self, replay: "Replay", index: int) -> None:
        """Note that all inputs before number `index` are done, and take a checkpoint if one is due.

        After the last input, `index` is the number of inputs. Raises Interrupted.
        """
        self._input_index = index
        if self._opened is None and self.is_due():
            if replay.books.is_spilled:
                self.pass_over()
            else:
                self.take(replay, None)

    def is_due(self) -> bool:
        """Whether a checkpoint should be taken as soon as all that was read is applied."""
        if self._seconds is None:
            return False
        return time.monotonic() >= self._next or LISTENER.arrived is not None

    def end_by_signal(self) -> None:
        """Where a signal has arrived, let it end the run without another checkpoint. Raises Interrupted."""
        if LISTENER.arrived is not None:
            LISTENER.stop_deferring()

    def pass_over(self) -> None:
        """Take no checkpoint from here on: ledgers are on disk, and cannot be saved before the end. The last one stays.

        A signal that has arrived ends the run. Raises Interrupted.
        """
        self._state.warn("ledgers went to disk for want of memory: from here on no checkpoint is taken")
        self._seconds = None
        LISTENER.stop_deferring()

    def take(self, replay: "Replay", position: Position | None) -> None:
        """Take a checkpoint at this position inside the input, or before the input where it is None; none where the run
        has replayed nothing yet.

        Then a signal that has arrived ends the run. Raises SourceError and Interrupted, and StateError where another
        run has ended in the directory meanwhile.
        """
        if self.has_replayed(replay):
            self._take(replay, position)
        if LISTENER.arrived is not None:
            LISTENER.stop_deferring()

    def _take(self, replay: "Replay", position: Position | None) -> None:
        started = time.monotonic()
        self._state.check_newest()
        numbers = self._numbers()
        folder = self._folder(max(numbers, default=0) + 1)
        part = folder + PART
        remove_folder(part)
        rejects = None if self._rejects is None else self._rejects.progress()
        stored = replay.books.stored
        assert stored is not None, "the run has a state"
        progress = {
            "base": self._state.newest[0],
            "base_hash": self._state.newest[1],
            "command": self._command,
            "input": self._input_index,
            "inside": position is not None,
            "place": None if position is None else fields_of_position(position),
            "figures": [
                {"file": each.name, "bytes": each.bytes, "rows": each.rows, "ignored": each.ignored_rows}
                for each in replay.inputs
            ],
            "counts": replay.books.counts(),
            "malformed": list(replay.malformed_rows.counts),
            "malformed_before": replay.malformed_before,
            "unread_amounts": replay.books.unread_amounts,
            **fields_of_openings(replay.books.openings.balances()),
            "account_runs": stored.store.account_runs_before,
            "rejects": rejects,
        }
        try:
            os.mkdir(part, 0o700)
        except OSError as error:
            raise unwritable(part, error) from error
        stored.seal(replay.books.ledgers, part)
        stored.store.compact(part, keeps_changed=True)
        save_store(part, stored.store, {**self._state.fields(), "progress": progress})
        try:
            os.rename(part, folder)
        except OSError as error:
            raise unwritable(folder, error) from error
        sync_folder(self._state.path)
        self._own = True
        stored.moved_to(folder)
        self._rejects_path = "" if rejects is None else str(rejects["path"])
        for number in numbers:
            self._remove(self._folder(number))
        ended = time.monotonic()
        replay.spend("checkpoint", ended - started)
        assert self._seconds is not None, "none is due"
        self._next = ended + self._seconds

    # ---- Ending ------------------------------------------------------------------------------------

    def keep(self) -> None:
        """Keep the temporary file of rejects when a signal ends the run: the next run continues it."""
        if self._own and self._rejects is not None:
            self._rejects.keep_temporary()

    def discard(self) -> None:
        """Remove all checkpoints: the run has ended well, or has failed after it had begun."""
        self._own = False
        if self._holds and not self._state.was_replaced:
            for number in self._numbers():
                self._remove(self._folder(number))

    def close(self) -> None:
        """Close an input that was opened, and remove a checkpoint that was not finished."""
        if self._opened is not None:
            self._opened[0].close()
        for name in self._state.names() if self._holds else ():
            if CHECKPOINT_NAME.fullmatch(name.removesuffix(PART)) and name.endswith(PART):
                remove_folder(os.path.join(self._state.path, name))

    def _remove(self, folder: str) -> None:
        """Remove a checkpoint, and the temporary file of rejects that it names, unless that is this run's."""
        try:
            fields = open_unchecked(folder).fields.part("progress")
            path = fields.part("rejects").take("path", str)
            final = fields.part("command").take("rejects", str)
            # Earlier versions kept it under the name of an unfinished file.
            if path != self._rejects_path and is_beside(path, final, PROGRESS, PART):
                os.unlink(path)
        except (TxfastError, OSError):
            pass  # there are none
        remove_folder(folder)

    def _numbers(self) -> list[int]:
        return self._state.numbers(CHECKPOINT_NAME)

    def _folder(self, number: int) -> str:
        return os.path.join(self._state.path, f"checkpoint-{number}")


def counts_in(progress: manifest.Fields) -> list[int]:
    """The counts of rows by kind and status in a checkpoint, as `Books.counts` gives them. Raises StateError."""
    counts = progress.numbers("counts")
    if len(counts) != len(EARLIER_KINDS) * len(EARLIER_STATUSES):
        return counts
    by_name = {
        (kind, status): counts[index * len(EARLIER_STATUSES) + code]
        for index, kind in enumerate(EARLIER_KINDS)
        for code, status in enumerate(EARLIER_STATUSES)
    }
    return [by_name.get((kind, status), 0) for kind in KINDS for status in STATUSES]


def fields_of_openings(openings: "Mapping[bytes | None, int]") -> "dict[str, Any]":
    """What a checkpoint has of opening balances, which are as `Openings.balances` gives them."""
    by_currency = [
        {"currency": manifest.text_from(code), "units": units} for code, units in openings.items() if code is not None
    ]
    return {
        "opening_units": sum(openings.values()), **({"opening_currencies": by_currency} if by_currency else {}),
    }  # fmt: skip


def openings_in(progress: manifest.Fields) -> "dict[bytes | None, int]":
    """The opening balances in a checkpoint, which those of earlier versions lack. Raises StateError."""
    if progress.has("opening_currencies"):
        return {each.encoded("currency"): each.whole("units") for each in progress.parts("opening_currencies")}
    return {None: progress.whole("opening_units") if progress.has("opening_units") else 0}


def command_of(
    files: "Sequence[str]",
    outputs: "Mapping[str, str | None]",
    max_malformed: int | None,
    policy: "Policy | None" = None,
    dialect: "Dialect | None" = None,
    opening: str | None = None,
) -> "dict[str, Any]":
    """Identifies a command: two are the same where their inputs, outputs, limit of malformed rows, policy, dialect and
    file of opening balances are.

    `outputs` are the paths of `Outputs`. A run that hands its accounts out is the same as one that prints them.
    """
    accounts = outputs["accounts"] or STANDARD_OUTPUT
    paths = {name: None if path is None else os.path.realpath(path) for name, path in outputs.items()}
    return {
        "inputs": [{"name": file, "path": os.path.realpath(file)} for file in files],
        "output": accounts if accounts == STANDARD_OUTPUT else paths["accounts"],
        "rejects": paths["rejects"],
        "stats": paths["stats"],
        "max_malformed": max_malformed,
        # Checkpoints of earlier versions have none of these.
        **({} if policy is None else {"policy": str(policy)}),
        **({} if dialect is None else {"dialect": str(dialect)}),
        **({} if opening is None else {"opening": os.path.realpath(opening)}),
    }
