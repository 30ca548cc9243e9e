"""The command: runs what the settings ask for, and makes a log line and an exit code of each error."""

import sys

from txfast.command.arguments import parse_arguments, unknown_variables
from txfast.command.settings import Settings
from txfast.errors import TooManyMalformedError, describe_failure, exit_code_of
from txfast.input.ref import are_decompressed_by_pyarrow, may_have_tables, total_size
from txfast.input.source import AUTO
from txfast.interrupts import LISTENER, end_by_signal
from txfast.log.journal import Journal
from txfast.run.inputs import begin_run, make_saver, read_followed_input
from txfast.run.machine import ARROW_MEMORY_BYTES, default_memory_limit, library_memory_bytes
from txfast.writers.formats import write_accounts
from txfast.writers.output import STANDARD_OUTPUT, Output, occupy_closed_descriptors

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from txfast.ledger.sorted_accounts import AccountColumns
    from txfast.log.progress import Progress
    from txfast.run.checkpoint import Checkpoints
    from txfast.run.outputs import Outputs
    from txfast.run.replay import Replay
    from txfast.spill.settled import Settled


def main() -> int:
    """Run the command with the process's arguments and return its exit code.

    A failure becomes one line and an exit code. An interrupt ends the process by its signal.
    """
    occupy_closed_descriptors()
    journal = Journal()
    try:
        settings = parse_arguments(sys.argv[1:])
        journal = Journal(
            settings.level, named=settings.level_named, quiet=settings.quiet, verbose=settings.verbose,
            format=settings.log_format, color=settings.color,
        )  # fmt: skip
        for warning in unknown_variables():
            journal.warning(warning)
        LISTENER.listen()
        if settings.verify:
            verify_state(settings, journal)
        else:
            replay_files(settings, journal)
    except SystemExit as end:
        return int(end.code or 0)
    except KeyboardInterrupt as interruption:
        return end_by_signal(getattr(interruption, "signal_name", "SIGINT"))
    except BrokenPipeError:
        return end_by_signal("SIGPIPE")
    except Exception as error:
        # All is cleaned up: from here on a signal ends the process by itself, also while the log waits for its reader.
        LISTENER.stop_listening()
        journal.failure(describe_failure(error), None if isinstance(error, TooManyMalformedError) else error)
        return exit_code_of(error)
    finally:
        LISTENER.stop_listening()
    return 0


def replay_files(settings: Settings, journal: Journal) -> None:
    """The run itself: read the inputs in their order, then put out the results."""
    import time

    from txfast.run.outputs import Outputs

    started = time.perf_counter()
    outputs = Outputs(
        settings.output, rejects=settings.rejects, stats=settings.stats, state=settings.state, warn=journal.warning
    )
    checkpoints = make_checkpoints(settings, outputs)
    progress: Progress | None = None
    replay: Replay | None = None
    try:
        progress = make_progress(settings, journal)
        replay = make_replay(settings, journal, outputs, progress, checkpoints)
        open_outputs(replay, outputs, checkpoints, settings)
        try:
            read_inputs(replay, outputs, checkpoints, settings)
        except TooManyMalformedError:
            journal.malformed_totals(replay.malformed_rows.by_reason())
            put_out_figures(replay, replay.collect(), started, outputs, journal)
            outputs.publish(without_accounts=True)
            raise
        if progress is not None:
            progress.close()
        journal.malformed_totals(replay.malformed_rows.by_reason())
        accounts = replay.collect(make_saver(replay, outputs.state, checkpoints))
        outputs.finish_rejects()
        writing_started = time.perf_counter()
        assert outputs.accounts is not None, "a command always has some"
        write_accounts(accounts, outputs.accounts, settings.output_format)
        replay.spend("write", time.perf_counter() - writing_started)
        put_out_figures(replay, accounts, started, outputs, journal)
        outputs.publish()
        if checkpoints is not None:
            checkpoints.discard()
        journal.outcome(*replay.outcome(), rejects=settings.rejects)
    except (KeyboardInterrupt, BrokenPipeError):
        LISTENER.hold()
        if checkpoints is not None:
            checkpoints.keep()
        raise
    except Exception:
        LISTENER.hold()
        if checkpoints is not None:
            checkpoints.discard()
        raise
    finally:
        if progress is not None:
            progress.close()
        if replay is not None:
            replay.close()
        if checkpoints is not None:
            checkpoints.close()
        outputs.discard()


def make_checkpoints(settings: Settings, outputs: "Outputs") -> "Checkpoints | None":
    """The checkpoints of a run with a state and inputs, which may go on from one, or take new ones."""
    if outputs.state is None or not settings.inputs:
        return None
    from txfast.run.checkpoint import Checkpoints, command_of

    files = [ref.name for ref in settings.inputs]
    command = command_of(files, settings.output, settings.rejects, settings.stats, settings.max_malformed)
    return Checkpoints(outputs.state, command, settings.checkpoint, outputs.rejects)


def make_progress(settings: Settings, journal: Journal) -> "Progress | None":
    """Shows how far the run is, where that is wanted. With a state the size of the new part is not known yet."""
    if not journal.shows_progress(settings.progress):
        return None
    from txfast.log.progress import Progress

    return Progress(journal, total_size(settings.inputs) if settings.state is None else None)


def make_replay(
    settings: Settings,
    journal: Journal,
    outputs: "Outputs",
    progress: "Progress | None",
    checkpoints: "Checkpoints | None",
) -> "Replay":
    """The run that the settings ask for."""
    from txfast.run.replay import new_replay

    reads_tables = may_have_tables(settings.inputs)
    return new_replay(
        journal,
        rejects=outputs.rejects,
        progress=progress,
        max_malformed=settings.max_malformed,
        checkpoints=checkpoints if settings.checkpoint is not None else None,
        spill_folder=settings.spill_dir,
        last_line=None if settings.state is None else settings.last_line or AUTO,
        reader=settings.reader,
        threads=settings.threads,
        memory_limit=settings.memory_limit or default_memory_limit(),
        memory_reserved=library_memory_bytes(
            needs_arrow=bool(settings.needs_arrow) or reads_tables,
            decompresses=are_decompressed_by_pyarrow(settings.inputs),
        ),
        reads_tables=reads_tables,
    )


def open_outputs(replay: "Replay", outputs: "Outputs", checkpoints: "Checkpoints | None", settings: Settings) -> None:
    """Look at all inputs, and open all outputs, the state first; begin the run with a checkpoint of this command, or
    with the state's last snapshot. Raises SourceError, InputError, LockedError and StateError."""
    outputs.open_state(to_read=not settings.inputs)
    begin_run(replay, settings.inputs, outputs.state, checkpoints, outputs.open_files)
    if outputs.state is not None and outputs.state.is_new:
        from txfast.state.directory import no_snapshot

        if not settings.inputs:
            raise no_snapshot(outputs.state.path)
        outputs.state.say_it_is_new()


def read_inputs(replay: "Replay", outputs: "Outputs", checkpoints: "Checkpoints | None", settings: Settings) -> None:
    """Replay all inputs in their order, or those that are left."""
    if settings.checkpoint is not None:
        LISTENER.defer()
    for index, ref in enumerate(settings.inputs):
        if outputs.state is None:
            replay.read(ref)
        elif checkpoints is not None and index >= checkpoints.first_input:
            checkpoints.begin_input(replay, index)
            read_followed_input(replay, outputs.state, checkpoints, ref, settings.spill_dir)
        LISTENER.check()
    if checkpoints is not None:
        checkpoints.begin_input(replay, len(settings.inputs))
    LISTENER.stop_deferring()


def verify_state(settings: Settings, journal: Journal) -> None:
    """Check a state directory, and describe its content on standard output."""
    from txfast.printable import printable
    from txfast.run.replay import new_replay
    from txfast.state import directory, verify

    assert settings.state is not None, "checked by Settings"
    limit = settings.memory_limit or default_memory_limit()
    replay = new_replay(threads=1, memory_limit=limit, memory_reserved=ARROW_MEMORY_BYTES)
    state = directory.StateDirectory(settings.state, journal.warning)
    output = Output(STANDARD_OUTPUT)
    try:
        state.open_to_read()
        output.open()
        for line in verify.describe(state, replay.books.check):
            output.write(printable(line).encode(errors="backslashreplace") + b"\n")
        output.finish()
    finally:
        output.discard()
        state.discard()


def put_out_figures(
    replay: "Replay", accounts: "AccountColumns | Settled", started: float, outputs: "Outputs", journal: Journal
) -> None:
    """The figures of a run that started at this time of the performance counter: as a file, and in the log."""
    if outputs.stats is None and not journal.shows_figures:
        return
    import time

    from txfast.report.stats import json_text

    stats = replay.stats(accounts, time.perf_counter() - started)
    if outputs.stats is not None:
        outputs.stats.write(json_text(stats))
    journal.summary(stats)
