"""The command: runs what the options ask for, and ends the process. The one place where errors become exits."""

# What `signal` is made of, without its names, which take longer to import than a small file to replay.
import _signal  # type: ignore[import-not-found]
import os
import sys

from txfast.command.options import Settings, parse_arguments
from txfast.errors import TooManyMalformedError, describe_failure, exit_code_of
from txfast.input.source import has_tables, size_of
from txfast.log.journal import INFO, Journal
from txfast.run.machine import ARROW_MEMORY_BYTES, default_memory_limit
from txfast.writers.formats import write_accounts
from txfast.writers.output import STANDARD_OUTPUT, Output, occupy_closed_descriptors, publish_all

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable

    from txfast.ledger.ledger import Ledger
    from txfast.ledger.sorted_accounts import AccountColumns
    from txfast.log.progress import Progress
    from txfast.run.checkpoint import Checkpoints
    from txfast.run.replay import Replay
    from txfast.run.signals import SignalWatch
    from txfast.spill.spill import Settled
    from txfast.state.directory import StateDirectory
    from txfast.writers.rejects import Rejects


def main() -> int:
    """Run the command with the process's arguments; return its exit code.

    The one place where what goes wrong becomes one line and an exit code, or the signal that ends the process.
    """
    occupy_closed_descriptors()
    journal = Journal()
    try:
        settings = parse_arguments(sys.argv[1:])
        journal = Journal(
            settings.level, named=settings.level_named, quiet=settings.quiet, format=settings.log_format
        )
        if settings.verify:
            verify_state(settings, journal)
        else:
            replay_files(settings, journal)
    except SystemExit as end:
        return int(end.code or 0)
    except KeyboardInterrupt as interruption:
        from txfast.run.signals import end_by_signal

        return end_by_signal(getattr(interruption, "signal_name", "SIGINT"))
    except BrokenPipeError:
        from txfast.run.signals import end_by_signal

        return end_by_signal("SIGPIPE")
    except TooManyMalformedError as error:
        journal.failure(str(error))
        return exit_code_of(error)
    except Exception as error:
        journal.failure(describe_failure(error), error)
        return exit_code_of(error)
    return 0


class Outputs:
    """Where the results of a run go: all of them are published, or none."""

    def __init__(self, settings: Settings, journal: Journal) -> None:
        self.accounts = Output(settings.output)
        self.rejects: Rejects | None = None
        self.stats: Output | None = None
        if settings.rejects is not None:
            from txfast.writers import rejects

            self.rejects = rejects.Rejects(settings.rejects)
        if settings.stats is not None:
            self.stats = Output(settings.stats)
        self.state: StateDirectory | None = None
        if settings.state is not None:
            from txfast.state import directory

            self.state = directory.StateDirectory(settings.state, journal.warning)
        self._all: list[Output | Rejects | StateDirectory] = [
            output for output in (self.rejects, self.stats, self.accounts, self.state) if output is not None
        ]
        # Standard output alone is nothing that could be left half written where it was not.
        self._watch: SignalWatch | None = None
        if len(self._all) > 1 or settings.output != STANDARD_OUTPUT or settings.needs_arrow:
            from txfast.run import signals

            self._watch = signals.SignalWatch()
        elif _signal.getsignal(_signal.SIGINT) == _signal.SIG_DFL:
            _signal.signal(_signal.SIGINT, _signal.default_int_handler)

        self.checkpoints: Checkpoints | None = None
        if self.state is not None and settings.files:
            from txfast.run import checkpoint

            command = checkpoint.command_of(
                settings.files, settings.output, settings.rejects, settings.stats, settings.max_malformed
            )
            self.checkpoints = checkpoint.Checkpoints(
                self.state, command, settings.checkpoint, self.rejects, self._watch
            )
            if settings.checkpoint is not None and self.rejects is not None:
                self.rejects.follow()

    def open(self, replay: "Replay") -> bool:
        """Open all of them, the state first, which one run holds. Say whether the run goes on from a checkpoint.

        Raises SourceError and LockedError.
        """
        goes_on = False
        if self.state is not None:
            self.state.open()
        if self.checkpoints is not None:
            goes_on = self.checkpoints.find(replay)
        for output in self._all:
            if output is not self.state:
                output.open()
        return goes_on

    def wait_for_checkpoints(self) -> None:
        """From here on have a signal end the run when a checkpoint is taken, until `check_signals_at_once`."""
        if self._watch is not None:
            self._watch.wait()

    def check_signals_at_once(self) -> None:
        """Let signals end the run wherever it is. Raises Interrupted where one has arrived."""
        if self._watch is not None:
            self._watch.stop_waiting()

    def keep_checkpoint(self) -> None:
        """At a run's end by a signal: leave all that it needs to go on."""
        if self.checkpoints is not None and self.checkpoints.keep() and self.rejects is not None:
            self.rejects.keep_temporary()

    def discard_checkpoint(self) -> None:
        """At any other end: leave none."""
        if self.checkpoints is not None:
            self.checkpoints.discard()

    def check_signals(self) -> None:
        """Raise Interrupted where a signal has arrived and was lost."""
        if self._watch is not None:
            self._watch.check()

    def saver(self, replay: "Replay") -> "Callable[[Ledger], object] | None":
        """What is to be given all ledgers for the state, where there is one that has to change. Raises SourceError."""
        if self.state is None:
            return None
        segments = None
        # What went to disk comes back as other ledgers than the checkpoints were taken of.
        if self.checkpoints is not None and not replay.is_spilled:
            segments = self.checkpoints.segments
        return self.state.saver(changed=replay.rows > 0, segments=segments)

    def finish_rejects(self) -> None:
        """Have rejects reach their file before accounts go where nothing can be taken back. Raises as `publish`."""
        if self.rejects is not None:
            self.rejects.finish()

    def publish(self, *, without_accounts: bool = False) -> None:
        """Put everything in its place, or leave it as it was. Raises SourceError and BrokenPipeError.

        Without accounts there is no state either.

        All that takes long or may fail comes first; what is left are renames, which nothing interrupts. Where one of
        them fails, those before it are taken back.
        """
        left_out = (self.accounts, self.state) if without_accounts else ()
        outputs = [output for output in self._all if all(output is not each for each in left_out)]
        for output in outputs:
            output.finish()
        self.check_signals()
        if self._watch is not None:
            self._watch.hold()
        publish_all(outputs)

    def discard(self) -> None:
        """Close all of them, and remove what was not published."""
        if self._watch is not None:
            self._watch.hold()
        if self.checkpoints is not None:
            self.checkpoints.close()
        for output in self._all:
            output.discard()
        if self._watch is not None:
            self._watch.release()


def replay_files(settings: Settings, journal: Journal) -> None:
    """The run itself: read the inputs in their order, then put out what came of it."""
    import time

    from txfast.run.replay import Replay

    started = time.perf_counter()
    outputs = Outputs(settings, journal)
    progress: Progress | None = None
    replay: Replay | None = None
    try:
        if journal.shows_progress(settings.progress):
            from txfast.log import progress as shown

            # With a state nobody knows yet how much of them is new.
            progress = shown.Progress(journal, size_of(settings.files) if outputs.state is None else None)
        replay = Replay(
            journal,
            rejects=outputs.rejects,
            progress=progress,
            max_malformed=settings.max_malformed,
            reader=settings.reader,
            threads=settings.threads,
            memory_limit=settings.memory_limit or default_memory_limit(),
            memory_reserved=ARROW_MEMORY_BYTES if settings.needs_arrow or has_tables(settings.files) else 0,
            spill_folder=settings.spill_dir,
            checkpoints=outputs.checkpoints if settings.checkpoint is not None else None,
        )
        if not outputs.open(replay) and outputs.state is not None:
            begin_with_state(replay, outputs.state, settings)
        try:
            read_inputs(replay, outputs, settings)
        except TooManyMalformedError:
            journal.malformed_totals(replay.malformed())
            put_out_figures(replay, replay.collect(), started, outputs, journal)
            outputs.publish(without_accounts=True)
            raise
        if progress is not None:
            progress.close()
        journal.malformed_totals(replay.malformed())
        accounts = replay.collect(outputs.saver(replay))
        outputs.finish_rejects()
        writing_started = time.perf_counter()
        write_accounts(accounts, outputs.accounts, settings.output_format)
        replay.seconds["write"] = time.perf_counter() - writing_started
        put_out_figures(replay, accounts, started, outputs, journal)
        outputs.publish()
        outputs.discard_checkpoint()
    except (KeyboardInterrupt, BrokenPipeError):
        outputs.keep_checkpoint()
        raise
    except Exception:
        outputs.discard_checkpoint()
        raise
    finally:
        if progress is not None:
            progress.close()
        if replay is not None:
            replay.close()
        outputs.discard()


def begin_with_state(replay: "Replay", state: "StateDirectory", settings: Settings) -> None:
    """Have the run begin with what the state directory holds."""
    import time

    from txfast.state.directory import no_snapshot

    started = time.perf_counter()
    state.load(replay.restore)
    if state.is_new and not settings.files:
        raise no_snapshot(state.path)
    replay.seconds["load"] = time.perf_counter() - started


def read_inputs(replay: "Replay", outputs: Outputs, settings: Settings) -> None:
    """Replay all inputs in their order, or those that are left."""
    checkpoints = outputs.checkpoints
    if settings.checkpoint is not None:
        outputs.wait_for_checkpoints()
    for index, file in enumerate(settings.files):
        if outputs.state is None:
            replay.read(file)
        elif checkpoints is not None and index >= checkpoints.first_input:
            checkpoints.begin_input(replay, index)
            read_input(replay, outputs.state, checkpoints, file)
        outputs.check_signals()
    if checkpoints is not None:
        checkpoints.begin_input(replay, len(settings.files))
    outputs.check_signals_at_once()


def read_input(replay: "Replay", state: "StateDirectory", checkpoints: "Checkpoints", file: str) -> None:
    """Replay what the state does not know yet of an input."""
    opened = checkpoints.take_opened()
    goes_on = opened is not None
    source, consumption = opened or state.open_input(file)
    try:
        replay.read_source(source, consumption, goes_on=goes_on)
    finally:
        source.close()
    state.note(file, consumption)


def verify_state(settings: Settings, journal: Journal) -> None:
    """Check all that a state directory holds, and say on standard output what that is."""
    from txfast.state import directory, verify

    assert settings.state is not None, "the options see to it"
    state = directory.StateDirectory(settings.state, journal.warning)
    output = Output(STANDARD_OUTPUT)
    try:
        state.open(make=False)
        output.open()
        for line in verify.describe(state):
            output.write(os.fsencode(line) + b"\n")
        output.finish()
    finally:
        output.discard()
        state.discard()


def put_out_figures(
    replay: "Replay", accounts: "AccountColumns | Settled", started: float, outputs: Outputs, journal: Journal
) -> None:
    """The figures of a run that started at this time of the performance counter: as a file, and in the log."""
    if outputs.stats is None and not journal.shows(INFO):
        return
    import time

    from txfast.report.stats import json_text

    stats = replay.stats(accounts, time.perf_counter() - started)
    if outputs.stats is not None:
        outputs.stats.write(json_text(stats))
    journal.summary(stats)
