"""A run that a program starts: reads its inputs, with a state or without, and puts out what it asks for.

Accounts are handed out here, not written. This module must not know the command.
"""

import time
from dataclasses import dataclass

from txfast.api.inputs import Inputs, LentInput
from txfast.api.kept_rejects import LIMIT_BYTES_PER_BYTE, KeptRejects
from txfast.api.results import Accounts, Rejects, Result
from txfast.dialect.dialect import Dialect
from txfast.errors import TooManyMalformedError, UsageError
from txfast.input.ref import LOCATION, InputRef
from txfast.input.source import READERS
from txfast.interrupts import NotedInterrupts
from txfast.ledger.policy import Policy
from txfast.log.journal import Journal
from txfast.run.destinations import Destination, check_destinations
from txfast.run.machine import ARROW_MEMORY_LIMIT_MIN, default_memory_limit
from txfast.run.outputs import Outputs
from txfast.run.session import Session
from txfast.writers.formats import PARQUET, compression_of
from txfast.writers.rejects import can_be_continued, rejects_format


@dataclass
class RunSettings:
    """The arguments of `txfast.process`, each as a run takes it. `memory_said` says the limit as it was given."""

    journal: Journal
    rejects: bool | str
    max_malformed: int | None
    policy: Policy | None
    dialect: Dialect | None
    reader: str
    threads: int | None
    memory_limit: int | None
    memory_said: str
    spill_dir: str | None
    state: str | None
    checkpoint: float | None
    last_line: str | None
    progress: str

    @property
    def needs_arrow(self) -> str:
        """What needs pyarrow, in words; empty if nothing does."""
        if self.state is not None:
            return "state="
        path = self.rejects
        if path is True:
            return "rejects"
        if isinstance(path, str) and (rejects_format(path) == PARQUET or compression_of(path) == "zstd"):
            return f"rejects={path!r}"
        return ""


def check_settings(given: Inputs, settings: RunSettings, opening: "InputRef | LentInput | None" = None) -> None:
    """Check arguments against each other, and against the inputs. Raises UsageError."""
    if settings.needs_arrow and (settings.memory_limit or default_memory_limit()) < ARROW_MEMORY_LIMIT_MIN:
        least = f"{ARROW_MEMORY_LIMIT_MIN >> 20}MiB"
        raise UsageError(f"{settings.memory_said} is too little for {settings.needs_arrow}: the least is {least!r}")
    if isinstance(settings.rejects, str):
        refs = [*given.refs, *([opening] if isinstance(opening, InputRef) else [])]
        check_destinations(refs, {"rejects": Destination(settings.rejects, f"rejects={settings.rejects!r}")})
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
        if not (isinstance(each, InputRef) and each.can_be_read_again):
            name = each.display_name if isinstance(each, InputRef) else each.name
            raise UsageError(f"{said} needs files: {name} cannot be read a second time")
    if settings.rejects is True or (isinstance(settings.rejects, str) and not can_be_continued(settings.rejects)):
        raise UsageError(
            f"{said} needs rejects that can be cut back: the path of a .csv or .jsonl file, not {settings.rejects!r}"
        )


def run(given: Inputs, settings: RunSettings, opening: "InputRef | LentInput | None" = None) -> Result:
    """Replay the inputs, after `opening` balances where there are some. Raises as `txfast.process`."""
    started = time.perf_counter()
    check_settings(given, settings, opening)
    path = settings.rejects if isinstance(settings.rejects, str) else None
    outputs = Outputs(
        None, rejects=path, state=settings.state, policy=settings.policy, dialect=settings.dialect,
        warn=settings.journal.warning,
    )  # fmt: skip
    kept = kept_rejects(settings)
    session = Session(
        settings.journal, settings, given.inputs, outputs, opening=opening,
        collects=kept, shows_progress=shown if (shown := Journal()).shows_progress(settings.progress) else None,
    )  # fmt: skip
    if kept is not None:
        session.replay.books.make_room(kept.memory_bytes, at_once=False)
    with NotedInterrupts(), session:
        session.begin()
        try:
            session.read()
        except TooManyMalformedError as error:
            session.replay.collect()
            error.rejects = None if kept is None else Rejects(kept.finish())
            outputs.publish(without_accounts=True)
            raise
        accounts = session.collect()
        found = None if kept is None else Rejects(kept.finish())
        stats = session.replay.stats(accounts, time.perf_counter() - started)
        session.publish()
    return Result(Accounts(accounts, session.replay.books.dialect), found, stats)


def kept_rejects(settings: RunSettings) -> KeptRejects | None:
    """Keeps the rejects for the result, where they are asked for."""
    if settings.rejects is not True:
        return None
    limit = settings.memory_limit or default_memory_limit()
    return KeptRejects(limit // LIMIT_BYTES_PER_BYTE, settings.spill_dir)
