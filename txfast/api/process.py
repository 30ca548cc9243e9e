"""txfast.process: a whole run, from inputs to accounts."""

import os
import time

from txfast.api.inputs import check_inputs, sources
from txfast.api.results import Accounts, Rejects, Result
from txfast.errors import UsageError
from txfast.input.ref import may_have_tables as refs_may_have_tables
from txfast.input.ref import resolve
from txfast.interrupts import NotedInterrupts
from txfast.log.journal import Journal, program_journal
from txfast.run.machine import ARROW_MEMORY_BYTES, ARROW_MEMORY_LIMIT_MIN, default_memory_limit
from txfast.run.replay import new_replay
from txfast.run.values import MEMORY_LIMIT_MIN, memory_size
from txfast.writers.rejects import CollectedRejects

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import logging

    from txfast.api.inputs import Input
    from txfast.log.progress import Progress


def process(
    *inputs: "Input",
    rejects: bool = False,
    max_malformed: int | None = None,
    strict: bool = False,
    reader: str = "native",
    threads: int | None = None,
    memory_limit: "int | str | None" = None,
    spill_dir: "str | os.PathLike[str] | None" = None,
    progress: bool = False,
    log_level: str = "error",
    logger: "logging.Logger | None" = None,
) -> Result:
    """Replay inputs, in their order and as one stream, into accounts.

    An input is a path; a binary file, which is read from where it stands and left open; or a table: anything that
    exports the Arrow C stream interface (pyarrow, Polars, DuckDB, pandas), or an iterable of such things, as a
    generator of record batches, which one of the run's threads iterates. Files may be CSV, Parquet or Arrow IPC,
    compressed or not, as their content says.

    All other arguments are the command's options: `rejects` collects the rows that were not applied, else they are only
    counted; `max_malformed` and `strict` end the run at a malformed row too many; `memory_limit` is in bytes, or text
    such as "2GiB"; with `progress` standard error shows how far the run is. What the command logs goes to `logger`, by
    default `logging.getLogger("txfast")`: at `log_level` "error" (the default) malformed rows, the first hundred one by
    one, at "warn" rejected rows too.

    Raises TxfastError: InputError (a ValueError) for what is no transactions file or table, SourceError (an OSError)
    for what cannot be read, TooManyMalformedError, MemoryLimitError, UsageError (a ValueError) for arguments that mean
    nothing, and the others of `txfast.errors`. Nothing is kept of a run that raises. Ctrl-C ends it.

    >>> import io, txfast
    >>> file = io.BytesIO(b"type,client,tx,amount\\ndeposit,1,1,2.5\\nwithdrawal,1,2,3\\n")
    >>> result = txfast.process(file, rejects=True)
    >>> list(result.accounts)
    [Account(client=1, available=Decimal('2.5000'), held=Decimal('0.0000'), total=Decimal('2.5000'), locked=False)]
    >>> [reject.reason for reject in result.rejects]
    ['insufficient_funds']
    >>> result.stats["rows"]
    2
    """
    started = time.perf_counter()
    check_inputs(inputs)
    check_number("threads", threads)
    limit = limit_in_bytes(memory_limit)
    if rejects and limit < ARROW_MEMORY_LIMIT_MIN:
        least = f"{ARROW_MEMORY_LIMIT_MIN >> 20}MiB"
        given = "the memory there is" if memory_limit is None else f"memory_limit={memory_limit!r}"
        raise UsageError(f"{given} is too little for rejects: the least is {least!r}")
    journal = program_journal(log_level, logger)
    collected = CollectedRejects() if rejects else None
    shown = make_progress(inputs) if progress else None
    replay = new_replay(
        journal,
        rejects=collected,
        progress=shown,
        max_malformed=malformed_limit(max_malformed, strict=strict),
        reader=reader,
        threads=threads,
        memory_limit=limit,
        memory_reserved=ARROW_MEMORY_BYTES if rejects or may_have_tables(inputs) else 0,
        spill_folder=None if spill_dir is None else os.fspath(spill_dir),
    )
    try:
        with NotedInterrupts():
            for source in sources(inputs):
                replay.read_source(source)
            journal.malformed_totals(replay.malformed_rows.by_reason())
            accounts = replay.collect()
            if collected is not None:
                collected.finish()
        stats = replay.stats(accounts, time.perf_counter() - started)
    finally:
        if shown is not None:
            shown.close()
    found = None if collected is None else Rejects(collected.batches)
    return Result(Accounts(accounts), found, stats)


def may_have_tables(inputs: "tuple[Input, ...]") -> bool:
    """Whether an input is a table, as far as can be seen before it is read."""
    paths = paths_in(inputs)
    return len(paths) < len(inputs) or refs_may_have_tables(map(resolve, paths))


def paths_in(inputs: "tuple[Input, ...]") -> list[str]:
    """Those of the inputs that are paths."""
    return [os.fspath(each) for each in inputs if isinstance(each, (str, os.PathLike))]


def make_progress(inputs: "tuple[Input, ...]") -> "Progress":
    """What shows on standard error how far a run is."""
    from txfast.input.ref import total_size
    from txfast.log.progress import Progress

    paths = paths_in(inputs)
    return Progress(Journal(), total_size(map(resolve, paths)) if len(paths) == len(inputs) else None)


def malformed_limit(max_malformed: int | None, *, strict: bool) -> int | None:
    """How many malformed rows are allowed; None for any number. Raises UsageError."""
    check_number("max_malformed", max_malformed)
    if max_malformed is not None and max_malformed < 0:
        raise UsageError(f"max_malformed={max_malformed}: it is 0 or more")
    if strict and max_malformed:
        raise UsageError(f"strict and max_malformed={max_malformed} contradict each other")
    return 0 if strict else max_malformed


def check_number(name: str, number: object) -> None:
    """Raise UsageError for an argument that is no whole number, where it is given."""
    if number is not None and not isinstance(number, int):
        raise UsageError(f"{name}={number!r}: it is a whole number")


def limit_in_bytes(memory_limit: "int | str | None") -> int:
    """A limit on memory in bytes; by default the command's. Raises UsageError."""
    if memory_limit is None:
        return default_memory_limit()
    if isinstance(memory_limit, str):
        return memory_size(memory_limit)
    check_number("memory_limit", memory_limit)
    if memory_limit < MEMORY_LIMIT_MIN:
        raise UsageError(f"memory_limit={memory_limit}: the least is {MEMORY_LIMIT_MIN}, {MEMORY_LIMIT_MIN >> 20} MiB")
    return memory_limit
