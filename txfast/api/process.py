"""txfast.process: a whole run, from inputs to accounts."""

import time
from contextlib import closing
from typing import Literal, overload

from txfast.api.arguments import limit_in_bytes, malformed_limit, taken
from txfast.api.inputs import Inputs
from txfast.api.results import Accounts, Rejects, Result
from txfast.errors import TooManyMalformedError, UsageError
from txfast.interrupts import NotedInterrupts
from txfast.log.journal import Journal, program_journal
from txfast.log.progress import Progress
from txfast.run.machine import ARROW_MEMORY_BYTES, ARROW_MEMORY_LIMIT_MIN
from txfast.run.replay import new_replay
from txfast.writers.reject_tables import CollectedRejects

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import logging
    import os

    from txfast.api.arguments import LogLevel, Reader
    from txfast.api.inputs import Input


@overload
def process(
    *inputs: "Input",
    rejects: Literal[True],
    max_malformed: int | None = ...,
    strict: bool = ...,
    reader: "Reader" = ...,
    threads: int | None = ...,
    memory_limit: "int | str | None" = ...,
    spill_dir: "str | os.PathLike[str] | None" = ...,
    progress: bool = ...,
    log_level: "LogLevel" = ...,
    logger: "logging.Logger | None" = ...,
) -> Result[Rejects]: ...
@overload
def process(
    *inputs: "Input",
    rejects: Literal[False] = ...,
    max_malformed: int | None = ...,
    strict: bool = ...,
    reader: "Reader" = ...,
    threads: int | None = ...,
    memory_limit: "int | str | None" = ...,
    spill_dir: "str | os.PathLike[str] | None" = ...,
    progress: bool = ...,
    log_level: "LogLevel" = ...,
    logger: "logging.Logger | None" = ...,
) -> Result[None]: ...
@overload
def process(
    *inputs: "Input",
    rejects: bool = ...,
    max_malformed: int | None = ...,
    strict: bool = ...,
    reader: "Reader" = ...,
    threads: int | None = ...,
    memory_limit: "int | str | None" = ...,
    spill_dir: "str | os.PathLike[str] | None" = ...,
    progress: bool = ...,
    log_level: "LogLevel" = ...,
    logger: "logging.Logger | None" = ...,
) -> Result: ...
def process(
    *inputs: "Input",
    rejects: bool = False,
    max_malformed: int | None = None,
    strict: bool = False,
    reader: "Reader" = "native",
    threads: int | None = None,
    memory_limit: "int | str | None" = None,
    spill_dir: "str | os.PathLike[str] | None" = None,
    progress: bool = False,
    log_level: "LogLevel" = "error",
    logger: "logging.Logger | None" = None,
) -> "Result":
    """Replay inputs, in their order and as one stream, into accounts.

    An input is a path; a binary file, which is read from its present position and left open; or a table: an object
    that exports the Arrow C stream interface (pyarrow, Polars, DuckDB, pandas), or an iterable of such objects, such as
    a generator of record batches, which one of the run's threads iterates. Files may be CSV, Parquet or Arrow IPC,
    compressed or not; the format is detected from the content.

    Most other arguments mean what the option of the same name means. `rejects` collects the rows that were not applied;
    without it they are only counted. `max_malformed` and `strict` stop the run at the first malformed row too many.
    `memory_limit` is in bytes, or text such as "2GiB". With `progress`, standard error shows how far the run is. Log
    lines go to `logger`, by default `logging.getLogger("txfast")`: at `log_level` "error" (the default) malformed rows,
    the first hundred one by one; at "warn" rejected rows too.

    Raises TxfastError: InputError (a ValueError) for an input that is no transactions file or table, SourceError (an
    OSError) for one that cannot be read, TooManyMalformedError, MemoryLimitError, UsageError (a ValueError) for a wrong
    argument, and other errors of `txfast.errors`; exceptions from your own files and generators pass through. If
    `process` raises, it returns no accounts and has removed its temporary files. Ctrl-C ends it.

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
    given = Inputs(inputs)
    limit = limit_in_bytes(memory_limit)
    copy_folder = taken("spill_dir", spill_dir)
    if taken("rejects", rejects) and limit < ARROW_MEMORY_LIMIT_MIN:
        least = f"{ARROW_MEMORY_LIMIT_MIN >> 20}MiB"
        said = "the memory there is" if memory_limit is None else f"memory_limit={memory_limit!r}"
        raise UsageError(f"{said} is too little for rejects: the least is {least!r}")
    journal = program_journal(taken("log_level", log_level), taken("logger", logger))
    collected = CollectedRejects() if rejects else None
    shown = Progress(Journal(), given.total_bytes) if taken("progress", progress) else None
    replay = new_replay(
        journal,
        rejects=collected,
        progress=shown,
        max_malformed=malformed_limit(max_malformed, strict=strict),
        reader=taken("reader", reader),
        threads=taken("threads", threads),
        memory_limit=limit,
        memory_reserved=ARROW_MEMORY_BYTES if rejects or given.may_have_tables else 0,
        reads_tables=given.may_have_tables,
        spill_folder=copy_folder,
    )
    try:
        with NotedInterrupts():
            try:
                with closing(given.sources(copy_folder)) as sources:
                    for source in sources:
                        replay.read_source(source)
            except TooManyMalformedError as error:
                journal.malformed_totals(replay.malformed_rows.by_reason())
                replay.collect()
                error.rejects = rejects_of(collected)
                raise
            journal.malformed_totals(replay.malformed_rows.by_reason())
            accounts = replay.collect()
            found = rejects_of(collected)
        stats = replay.stats(accounts, time.perf_counter() - started)
    finally:
        if shown is not None:
            shown.close()
    return Result(Accounts(accounts), found, stats)


def rejects_of(collected: CollectedRejects | None) -> Rejects | None:
    """The rejects of a run that has reported all of them."""
    if collected is None:
        return None
    collected.finish()
    return Rejects(collected.batches)
