"""A run that a program starts: reads its inputs, with a state or without, and puts out what it asks for.

It follows the command's run (command/main.py), which it must not know: accounts are handed out here, not written.
"""

import time
from contextlib import closing
from typing import NamedTuple

from txfast.api.arguments import type_name
from txfast.api.inputs import Inputs
from txfast.api.results import Accounts, Rejects, Result
from txfast.errors import TooManyMalformedError, UsageError
from txfast.input.ref import LOCATION, InputRef
from txfast.input.source import AUTO, READERS
from txfast.interrupts import LISTENER, NotedInterrupts
from txfast.log.journal import Journal
from txfast.log.progress import Progress
from txfast.run.checkpoint import Checkpoints, command_of
from txfast.run.destinations import Destination, check_destinations
from txfast.run.inputs import begin_run, make_saver, read_followed_input
from txfast.run.machine import ARROW_MEMORY_LIMIT_MIN, library_memory_bytes
from txfast.run.outputs import Outputs
from txfast.run.replay import Replay, new_replay
from txfast.writers.formats import PARQUET, compression_of
from txfast.writers.output import STANDARD_OUTPUT
from txfast.writers.reject_tables import CollectedRejects
from txfast.writers.rejects import can_be_continued, rejects_format


class RunSettings(NamedTuple):
    """The arguments of `txfast.process`, each as a run takes it. `memory_said` says the limit as it was given."""

    journal: Journal
    rejects: bool | str
    max_malformed: int | None
    reader: str
    threads: int | None
    memory_limit: int
    memory_said: str
    spill_dir: str | None
    state: str | None
    checkpoint: float | None
    last_line: str | None
    progress: bool


def check_settings(given: Inputs, settings: RunSettings) -> None:
    """Check arguments against each other, and against the inputs. Raises UsageError."""
    needs = needs_arrow(settings)
    if needs and settings.memory_limit < ARROW_MEMORY_LIMIT_MIN:
        least = f"{ARROW_MEMORY_LIMIT_MIN >> 20}MiB"
        raise UsageError(f"{settings.memory_said} is too little for {needs}: the least is {least!r}")
    if isinstance(settings.rejects, str):
        check_destinations(given.refs, {"rejects": Destination(settings.rejects, f"rejects={settings.rejects!r}")})
    if settings.state is None:
        for name in ("checkpoint", "last_line"):
            if getattr(settings, name) is not None:
                raise UsageError(f"{name}={getattr(settings, name)!r} needs state=, a state directory")
        return
    for ref in given.refs:
        if ref.origin == LOCATION:
            raise UsageError(f"state= goes with files here and tables: {ref.display_name} is elsewhere")
    if settings.checkpoint is not None:
        check_checkpoint(given, settings)


def check_checkpoint(given: Inputs, settings: RunSettings) -> None:
    """Check that the same call can resume from a checkpoint. Raises UsageError."""
    said = f"checkpoint={settings.checkpoint!r}"
    if settings.reader != READERS[0]:
        raise UsageError(f"{said} needs reader={READERS[0]!r}: the other does not say where a batch ends")
    for each in given.inputs:
        if not isinstance(each, InputRef):
            raise UsageError(f"{said} needs files: {type_name(each)} cannot be read a second time")
        if not each.can_be_read_again:
            raise UsageError(f"{said} needs files: {each.display_name} cannot be read a second time")
    if settings.rejects is True or (isinstance(settings.rejects, str) and not can_be_continued(settings.rejects)):
        raise UsageError(
            f"{said} needs rejects that can be cut back: the path of a .csv or .jsonl file, not {settings.rejects!r}"
        )


def needs_arrow(settings: RunSettings) -> str:
    """What needs pyarrow, in words; empty if nothing does."""
    if settings.state is not None:
        return "state="
    path = settings.rejects
    if path is True:
        return "rejects"
    if isinstance(path, str) and (rejects_format(path) == PARQUET or compression_of(path) == "zstd"):
        return f"rejects={path!r}"
    return ""


def run(given: Inputs, settings: RunSettings) -> Result:
    """Replay the inputs. Raises as `txfast.process`."""
    started = time.perf_counter()
    check_settings(given, settings)
    path = settings.rejects if isinstance(settings.rejects, str) else None
    outputs = Outputs(None, rejects=path, state=settings.state, warn=settings.journal.warning)
    collected = CollectedRejects() if settings.rejects is True else None
    checkpoints = make_checkpoints(given, settings, outputs)
    total_bytes = None if settings.state is not None else given.total_bytes
    shown = Progress(Journal(), total_bytes) if settings.progress else None
    replay = make_replay(given, settings, collected or outputs.rejects, shown, checkpoints)
    try:
        with NotedInterrupts():
            outputs.open_state()
            begin_run(replay, given.refs, outputs.state, checkpoints, outputs.open_files)
            if outputs.state is not None and outputs.state.is_new:
                outputs.state.say_it_is_new()
            try:
                read_inputs(replay, given, settings, outputs, checkpoints)
            except TooManyMalformedError as error:
                settings.journal.malformed_totals(replay.malformed_rows.by_reason())
                replay.collect()
                error.rejects = rejects_of(collected)
                outputs.publish(without_accounts=True)
                raise
            settings.journal.malformed_totals(replay.malformed_rows.by_reason())
            accounts = replay.collect(make_saver(replay, outputs.state, checkpoints))
            found = rejects_of(collected)
            stats = replay.stats(accounts, time.perf_counter() - started)
            outputs.publish()
            if checkpoints is not None:
                checkpoints.discard()
    except BaseException as error:
        LISTENER.hold()
        if checkpoints is not None:
            if isinstance(error, Exception):
                checkpoints.discard()
            else:
                checkpoints.keep()
        raise
    finally:
        if shown is not None:
            shown.close()
        if checkpoints is not None:
            checkpoints.close()
        outputs.discard()
    return Result(Accounts(accounts), found, stats)


def make_checkpoints(given: Inputs, settings: RunSettings, outputs: Outputs) -> Checkpoints | None:
    """The checkpoints of a run with a state; they are those of the same run by the command too."""
    if outputs.state is None:
        return None
    names = [each.name if isinstance(each, InputRef) else type_name(each) for each in given.inputs]
    path = settings.rejects if isinstance(settings.rejects, str) else None
    command = command_of(names, STANDARD_OUTPUT, path, None, settings.max_malformed)
    return Checkpoints(outputs.state, command, settings.checkpoint, outputs.rejects)


def make_replay(
    given: Inputs, settings: RunSettings, rejects: "object", shown: Progress | None, checkpoints: Checkpoints | None
) -> Replay:
    """The run that the settings ask for."""
    return new_replay(
        settings.journal,
        rejects=rejects,  # type: ignore[arg-type]
        progress=shown,
        max_malformed=settings.max_malformed,
        checkpoints=checkpoints if settings.checkpoint is not None else None,
        spill_folder=settings.spill_dir,
        last_line=None if settings.state is None else settings.last_line or AUTO,
        reader=settings.reader,
        threads=settings.threads,
        memory_limit=settings.memory_limit,
        memory_reserved=library_memory_bytes(
            needs_arrow=bool(needs_arrow(settings)) or given.may_have_tables,
            decompresses=given.are_decompressed_by_pyarrow,
        ),
        reads_tables=given.may_have_tables,
    )


def read_inputs(
    replay: Replay, given: Inputs, settings: RunSettings, outputs: Outputs, checkpoints: Checkpoints | None
) -> None:
    """Replay all inputs in their order, or those that are left. Tables and open files are new to a state."""
    if settings.checkpoint is not None:
        LISTENER.defer()
    for index, each in enumerate(given.inputs):
        if checkpoints is not None:
            if index < checkpoints.first_input:
                continue
            checkpoints.begin_input(replay, index)
        if outputs.state is not None and checkpoints is not None and isinstance(each, InputRef):
            read_followed_input(replay, outputs.state, checkpoints, each, settings.spill_dir)
        else:
            with closing(given.open(index, settings.spill_dir)) as source:
                replay.read_source(source)
        LISTENER.check()
    if checkpoints is not None:
        checkpoints.begin_input(replay, len(given.inputs))
    LISTENER.stop_deferring()


def rejects_of(collected: CollectedRejects | None) -> Rejects | None:
    """The rejects of a run that has reported all of them."""
    if collected is None:
        return None
    collected.finish()
    return Rejects(collected.batches)
