"""The command of each engine: options, checks, outputs and exit codes, as those of `txfast` where both have them.

This module must not know an engine.
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing

from txfast._version import __version__
from txfast.cluster.accounts import MergedAccounts
from txfast.cluster.job import Job, Settings, State, make_settings
from txfast.dialect.dialect import Dialect
from txfast.errors import SourceError, UsageError, describe_failure, exit_code_of
from txfast.input.ref import resolve
from txfast.interrupts import LISTENER, end_by_signal
from txfast.ledger.policy import Policy
from txfast.log.journal import Journal
from txfast.report.stats import json_text
from txfast.run.destinations import OUTPUTS, Destination, check_destinations
from txfast.run.dialect_options import dialect_of
from txfast.run.outputs import Outputs
from txfast.run.profile import DIALECT_OPTIONS, POLICY, read_profile
from txfast.run.usage import Parser
from txfast.run.values import (
    argument_type,
    byte_size,
    columns,
    decimal,
    decimals,
    delimiter,
    dialect_parts,
    file_name,
    folder_name,
    ids,
    memory_size,
    named_policy,
    rejects_file,
    spill_folder,
    stats_file,
    types,
    whole_number,
)
from txfast.state.dialects import decimals_of
from txfast.state.directory import StateDirectory
from txfast.writers.formats import FORMATS, format_of, write_accounts
from txfast.writers.output import STANDARD_OUTPUT

# Options of the command on one machine that no engine has, and what to do instead.
NOT_HERE = {
    "--opening": "begin a state with it there, and name that state here",
    "--expect": "compare the state of this run, by txfast --state DIR --expect FILE",
    "--differences": "write them by txfast --state DIR --expect FILE --differences FILE",
}


def one_format(text: str) -> str:
    """One of the FORMATS. Raises UsageError."""
    if text not in FORMATS:
        raise UsageError(f"{text!r}: it is one of {', '.join(FORMATS)}")
    return text


# The options that make the dialect, their function, what stands between several of one, and what they are for.
DIALECT = {
    "delimiter": (delimiter, "", "what separates fields"),
    "columns": (columns, ",", "names of columns: client=Payer,tx=Ref"),
    "types": (types, ",", "what words of types mean: SALE=deposit"),
    "decimal": (decimal, "", "what stands before the decimals of an amount"),
    "ids": (ids, "", "what ids are: number or text"),
    "decimals": (decimals, "", "places of amounts and balances"),
    "dialect": (dialect_parts, "\n", "any part of how files are to be read, as NAME=VALUE"),
}
# The options that a profile may have beside the dialect and the policy, and the function for their text. A profile may
# be that of a run on one machine, which has more.
PROFILED: dict[str, Callable[[str], object]] = {
    "output": file_name, "output_format": one_format, "rejects": rejects_file, "stats": stats_file,
    "state": folder_name, "memory_limit": memory_size, "spill_dir": spill_folder,
}  # fmt: skip
ONE_MACHINE = (
    "sql", "reader", "opening", "expect", "differences", "account", "changed", "verify", "compact", "last_line",
    "checkpoint", "max_malformed", "strict", "threads", "dialect_of", "progress", "log_level", "log_format", "color",
    "quiet", "verbose", "completion",
)  # fmt: skip
PROFILE_VARIABLE = "TXFAST_PROFILE"


def make_parser(engine: str) -> argparse.ArgumentParser:
    """A parser of the options that all engines have."""
    parser = Parser(
        prog=f"python -m txfast.cluster.{engine}",
        description=f"Replay transactions into accounts on {engine.capitalize()}: the same bytes as from txfast.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="inputs that all workers reach: paths or locations")
    parser.add_argument("-o", "--output", metavar="FILE", type=argument_type(file_name), default=STANDARD_OUTPUT)
    parser.add_argument("--output-format", choices=FORMATS, help="by default as the suffix of the output says")
    parser.add_argument(
        "--rejects", metavar="FILE", type=argument_type(rejects_file), help="all rows that were not applied"
    )
    parser.add_argument("--stats", metavar="FILE", type=argument_type(stats_file), help="the run's figures as JSON")
    parser.add_argument(
        "--state", metavar="DIR", type=argument_type(folder_name), help="go on from what DIR holds, and keep it there"
    )
    parser.add_argument(
        "--shards", metavar="N", type=argument_type(shard_count), help="reducers; by default one for each core"
    )
    parser.add_argument(
        "--range-size", metavar="SIZE", type=argument_type(range_size), help="of a map task; by default 64MiB"
    )
    parser.add_argument("--memory-limit", metavar="SIZE", type=argument_type(memory_size), help="of each reducing task")
    parser.add_argument("--spill-dir", metavar="DIR", type=argument_type(spill_folder), help="for what exceeds that")
    parser.add_argument(
        "--policy", metavar="NAME=VALUE", action="append", default=[], help="what rows mean, as for txfast"
    )
    for name, (parse_text, between, what) in DIALECT.items():
        flags = ["-d", "--delimiter"] if name == "delimiter" else [f"--{name}"]
        action = "append" if between else "store"
        parser.add_argument(*flags, metavar="VALUE", action=action, type=argument_type(parse_text), help=what)
    parser.add_argument(
        "--profile", metavar="FILE", type=argument_type(file_name), help="read options, dialect and policy from a file"
    )
    parser.set_defaults(read_profile=None)
    for name, what in NOT_HERE.items():
        # Named here, so that they are refused in words, and not as options that do not exist.
        parser.add_argument(name, metavar="FILE", type=argument_type(refusal_of(name, what)), help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version=f"txfast {__version__}")
    return parser


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of a command line, with those of its profile below. Ends the process where they are wrong."""
    options = parser.parse_args(arguments)
    path = options.profile or os.environ.get(PROFILE_VARIABLE)
    if path is None:
        return options
    try:
        known = dict.fromkeys((*DIALECT_OPTIONS, POLICY, *PROFILED), False)
        refused = dict.fromkeys(ONE_MACHINE, "it is for txfast on one machine: leave it out for a cluster")
        profile = read_profile(file_name(path), known, refused)
        defaults: dict[str, object] = {"read_profile": profile}
        for name in profile.options:
            try:
                defaults[name] = PROFILED[name](profile.text(name))
            except UsageError as error:
                raise profile.error(name.replace("_", "-"), error) from None
    except (UsageError, SourceError) as error:
        parser.error(str(error))
    parser.set_defaults(**defaults)
    return parser.parse_args(arguments)


def refusal_of(name: str, what: str) -> Callable[[str], object]:
    """A function that refuses the value of an option which the command on one machine has alone."""

    def refuse(_: str) -> object:
        raise UsageError(f"{name} is for txfast on one machine: {what}")

    return refuse


def shard_count(text: str) -> int:
    """A number of shards, at least 1."""
    number = whole_number(text)
    if not number:
        raise UsageError(f"{text!r} is no number of shards: it is 1 or more")
    return number


def range_size(text: str) -> int:
    """A size: a number of bytes, or one with a unit."""
    size = whole_number(text) or byte_size(text)
    if not size:
        raise UsageError(f"{text!r} is no size of a range: it is 1 byte or more")
    return size


def policy_of(options: argparse.Namespace) -> Policy | None:
    """The policy that all --policy together name, with the profile's settings below; None for the default one. Raises
    UsageError."""
    profiled = [] if options.read_profile is None else options.read_profile.policy
    settings = [*profiled, *options.policy]
    return named_policy(",".join(settings)) if settings else None


def dialect_in(options: argparse.Namespace) -> Dialect | None:
    """The dialect that options make together, with the profile's below; None for the default one. Raises UsageError."""
    given = {
        name: between.join(value) if isinstance(value, list) else value
        for name, (_, between, _) in DIALECT.items()
        if (value := getattr(options, name)) is not None
    }
    return dialect_of([given], None if options.read_profile is None else options.read_profile.dialect)


def settings_of(options: argparse.Namespace, cores: int, state: State | None = None) -> Settings:
    """The settings of a run on an engine with this number of cores. Raises as `make_settings`."""
    return make_settings(
        options.files, cores=cores, shards=options.shards, keep_statuses=options.rejects is not None,
        range_bytes=options.range_size, memory_limit=options.memory_limit, spill_folder=options.spill_dir,
        policy=policy_of(options), dialect=dialect_in(options), state=state,
    )  # fmt: skip


def run(options: argparse.Namespace, start: Callable[[StateDirectory | None], AbstractContextManager[Job]]) -> int:
    """Run a job on an engine, and publish its results; return the exit code.

    `start` gets the state directory, already locked, or None; it starts the engine and ends it.
    """
    journal = Journal()
    LISTENER.listen()
    try:
        check_outputs(options)
        run_job(options, start, journal)
    except KeyboardInterrupt as interruption:
        return end_by_signal(getattr(interruption, "signal_name", "SIGINT"))
    except BrokenPipeError:
        return end_by_signal("SIGPIPE")
    except Exception as error:
        journal.failure(describe_failure(error), error)
        return exit_code_of(error)
    finally:
        LISTENER.stop_listening()
    return 0


def check_outputs(options: argparse.Namespace) -> None:
    """Check that each output has a file of its own, which is no input. Raises UsageError."""
    paths = {name: getattr(options, name, None) for name in OUTPUTS}
    check_destinations(
        [resolve(name) for name in options.files],
        {name: Destination(path, f"--{name} {path}") for name, path in paths.items() if path is not None},
    )


def run_job(
    options: argparse.Namespace, start: Callable[[StateDirectory | None], AbstractContextManager[Job]], journal: Journal
) -> None:
    """The run itself: all results are published, or none."""
    started = time.perf_counter()
    dialect = dialect_in(options)
    account_format = format_of("accounts", options.output, chosen=options.output_format, chosen_by="--output-format")
    outputs = Outputs(
        options.output, rejects=options.rejects, stats=options.stats, state=options.state,
        policy=policy_of(options), dialect=dialect, warn=journal.warning,
    )  # fmt: skip
    try:
        outputs.open_state()
        outputs.open_files()
        with LISTENER, start(outputs.state) as job:  # a signal is raised at once: the driver waits for the engine
            if outputs.rejects is not None:
                for blob in job.reject_blobs(outputs.rejects.made_format):
                    outputs.rejects.add_made(blob)
                outputs.finish_rejects()
            with closing(MergedAccounts(job, options.spill_dir)) as merged:
                assert outputs.accounts is not None, "a command always has some"
                write_accounts(merged, outputs.accounts, account_format, decimals_of(dialect))
            figures = job.figures.stats(time.perf_counter() - started)
        if outputs.stats is not None:
            outputs.stats.write(json_text(figures))
        job.figures.warn(journal.warning)
        journal.malformed_totals(figures["malformed"], always=True)
        outputs.publish()
        applied, rejected, malformed = (sum(figures[name].values()) for name in ("applied", "rejected", "malformed"))
        journal.outcome(applied, rejected, malformed, rejects=options.rejects)
    finally:
        outputs.discard()
