"""txfast.process: a whole run, from inputs to accounts."""

from typing import Literal, overload

from txfast.api.arguments import malformed_limit, taken
from txfast.api.inputs import Inputs, balance_input
from txfast.api.profiles import takes_profile
from txfast.api.results import Rejects, Result
from txfast.api.run import RunSettings, run
from txfast.log.journal import program_journal

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import logging
    import os
    from collections.abc import Mapping

    from txfast.api.arguments import LastLine, LogLevel, ProgressMode, Reader
    from txfast.api.inputs import Input


@overload
def process(
    *inputs: "Input",
    sql: str | None = ...,
    rejects: Literal[True],
    max_malformed: int | None = ...,
    strict: bool = ...,
    profile: "str | os.PathLike[str] | None" = ...,
    policy: "str | Mapping[str, str] | None" = ...,
    dialect: "Mapping[str, str | int] | None" = ...,
    reader: "Reader" = ...,
    threads: int | None = ...,
    memory_limit: "int | str | None" = ...,
    spill_dir: "str | os.PathLike[str] | None" = ...,
    state: "str | os.PathLike[str] | None" = ...,
    checkpoint: float | None = ...,
    last_line: "LastLine | None" = ...,
    opening: "Input | None" = ...,
    progress: "bool | ProgressMode" = ...,
    log_level: "LogLevel" = ...,
    logger: "logging.Logger | None" = ...,
) -> Result[Rejects]: ...
@overload
def process(
    *inputs: "Input",
    sql: str | None = ...,
    rejects: "Literal[False] | str | os.PathLike[str]" = ...,
    max_malformed: int | None = ...,
    strict: bool = ...,
    profile: "str | os.PathLike[str] | None" = ...,
    policy: "str | Mapping[str, str] | None" = ...,
    dialect: "Mapping[str, str | int] | None" = ...,
    reader: "Reader" = ...,
    threads: int | None = ...,
    memory_limit: "int | str | None" = ...,
    spill_dir: "str | os.PathLike[str] | None" = ...,
    state: "str | os.PathLike[str] | None" = ...,
    checkpoint: float | None = ...,
    last_line: "LastLine | None" = ...,
    opening: "Input | None" = ...,
    progress: "bool | ProgressMode" = ...,
    log_level: "LogLevel" = ...,
    logger: "logging.Logger | None" = ...,
) -> Result[None]: ...
@overload
def process(
    *inputs: "Input",
    sql: str | None = ...,
    rejects: "bool | str | os.PathLike[str]" = ...,
    max_malformed: int | None = ...,
    strict: bool = ...,
    profile: "str | os.PathLike[str] | None" = ...,
    policy: "str | Mapping[str, str] | None" = ...,
    dialect: "Mapping[str, str | int] | None" = ...,
    reader: "Reader" = ...,
    threads: int | None = ...,
    memory_limit: "int | str | None" = ...,
    spill_dir: "str | os.PathLike[str] | None" = ...,
    state: "str | os.PathLike[str] | None" = ...,
    checkpoint: float | None = ...,
    last_line: "LastLine | None" = ...,
    opening: "Input | None" = ...,
    progress: "bool | ProgressMode" = ...,
    log_level: "LogLevel" = ...,
    logger: "logging.Logger | None" = ...,
) -> Result: ...
@takes_profile
def process(
    *inputs: "Input",
    sql: str | None = None,
    rejects: "bool | str | os.PathLike[str]" = False,
    max_malformed: int | None = None,
    strict: bool = False,
    profile: "str | os.PathLike[str] | None" = None,  # noqa: ARG001 (takes_profile reads it)
    policy: "str | Mapping[str, str] | None" = None,
    dialect: "Mapping[str, str | int] | None" = None,
    reader: "Reader" = "native",
    threads: int | None = None,
    memory_limit: "int | str | None" = None,
    spill_dir: "str | os.PathLike[str] | None" = None,
    state: "str | os.PathLike[str] | None" = None,
    checkpoint: float | None = None,
    last_line: "LastLine | None" = None,
    opening: "Input | None" = None,
    progress: "bool | ProgressMode" = False,
    log_level: "LogLevel" = "error",
    logger: "logging.Logger | None" = None,
) -> "Result":
    """Replay inputs, in their order and as one stream, into accounts.

    An input is a path; a binary file, which is read from its present position and left open; or a table: an object
    that exports the Arrow C stream or array interface (pyarrow, Polars, DuckDB, pandas), or an iterable of such
    objects, such as a generator of record batches, which one of the run's threads iterates. A stream or a generator
    that was read before has no rows left: it gives none, without an error. Files may be CSV, JSON lines, Parquet
    or Arrow IPC, compressed or not; the format is detected from the content. A path that ends in .sql is a file with a
    query of DuckDB, whose rows are read in its order; a relation of DuckDB is a table. `sql` is the text of such a
    query, whose rows come after those of all inputs: "FROM 'payments.csv' ORDER BY day".

    Most other arguments mean what the option of the same name means. `max_malformed` and `strict` stop the run at the
    first malformed row too many. `policy` is a text as for the option, such as "card", or a mapping of switches to
    values. `dialect` says how files and tables are to be read: a mapping of its parts to values, such as
    {"delimiter": ";", "columns.client": "Customer"}. `profile` is the path of a profile, a TOML file with options of
    the command: its values count where the call gives none, and `dialect` and `policy` override single parts of it.
    `memory_limit` is in bytes, or text such as "2GiB". With `progress`, standard error shows how far the run is. Log
    lines go to `logger`, by default `logging.getLogger("txfast")`: at `log_level` "error" (the default) malformed rows,
    the first hundred one by one; at "warn" all of them, and rejected rows too.

    `rejects=True` collects the rows that were not applied; the path of a `rejects` file has them written as the command
    writes them, and the result has none; without it they are only counted.

    `opening` has the accounts to begin with: a path, a binary file or a table with a column `client`, one of currencies
    where accounts have one, and a column `available` or `opening`; it is read in the `dialect`. An account that is
    there twice, or that the state knows, is an InputError.

    `state` is a state directory, as the command's: the run begins with what it holds, reads of each file what is new,
    and keeps the result there. Tables and open files are always new. `last_line` says what becomes of a last line that
    may be part of a row. `checkpoint` saves the progress in the state each time so many seconds have passed, and on
    Ctrl-C; the same call, or the same command, then goes on from there.

    Raises TxfastError: InputError (a ValueError) for an input that is no transactions file or table, SourceError (an
    OSError) for one that cannot be read, TooManyMalformedError, MemoryLimitError, UsageError (a ValueError) for a wrong
    argument, and other errors of `txfast.errors`; exceptions from your own files and generators pass through. If
    `process` raises, it returns no accounts, leaves the state as it was, and has removed its temporary files; but a
    `rejects` file is written where TooManyMalformedError is raised. Ctrl-C ends it, and leaves the last checkpoint and
    the rejects so far, from which the same call goes on.

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
    limit = taken("memory_limit", memory_limit)
    settings = RunSettings(
        journal=program_journal(taken("log_level", log_level), taken("logger", logger)),
        rejects=taken("rejects", rejects),
        max_malformed=malformed_limit(max_malformed, strict=strict),
        policy=taken("policy", policy),
        dialect=taken("dialect", dialect),
        reader=taken("reader", reader),
        threads=taken("threads", threads),
        memory_limit=limit,
        memory_said="the memory there is" if limit is None else f"memory_limit={memory_limit!r}",
        spill_dir=taken("spill_dir", spill_dir),
        state=taken("state", state),
        checkpoint=taken("checkpoint", checkpoint),
        last_line=taken("last_line", last_line),
        progress=taken("progress", progress),
    )
    return run(
        Inputs(inputs, sql=taken("sql", sql)), settings, None if opening is None else balance_input("opening", opening)
    )
