"""Runs over one session of an engine, as a program for the tests:

    python engine_runs.py spark MASTER FOLDER SHARDS:RANGE_SIZE[:FILES] … -- FILE …
    python engine_runs.py dask - FOLDER SHARDS:RANGE_SIZE … -- FILE …

Each run writes RUN.accounts.csv, RUN.rejects.csv and RUN.stats.json in the folder, `-` for each `:` in its name. A run
with a number of FILES reads the first of them, with a state in the folder. NAME=VALUE,… between runs is the dialect of
those that follow.

With Spark, KILL between runs kills an executor during the next one, and OLD takes away what came with Spark 4.1. The
program ends with runs over `process`, and writes their data frames.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from txfast.cluster import command, dask, spark
from txfast.cluster.job import Job
from txfast.cluster.state import ClusterState
from txfast.state.directory import StateDirectory

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Starts a job with these options; the state directory is locked already.
Starter = Callable[[Namespace, StateDirectory | None], Job]


def dialect_in(word: str) -> dict[str, str]:
    """The dialect of the runs that follow."""
    return dict(part.split("=") for part in word.split(","))


def do_run(run: str, name: str, folder: str, files: Sequence[str], start: Starter, dialect: Mapping[str, str]) -> None:
    """Do one run, and print its name, exit code and seconds."""
    shards, range_size, *counts = run.split(":")
    named = [*files[: int(counts[0])], "--state", f"{folder}/state"] if counts else files
    options = command.make_parser("engine").parse_args(
        ["-o", f"{name}.accounts.csv", "--rejects", f"{name}.rejects.csv", "--stats", f"{name}.stats.json",
         "--shards", shards, "--range-size", range_size, *named,
         *(f"--dialect={part}={value}" for part, value in dialect.items())]
    )  # fmt: skip

    @contextmanager
    def started(directory: StateDirectory | None) -> Iterator[Job]:
        yield start(options, directory)

    began = time.perf_counter()
    code = command.run(options, started)
    print(run, code, f"{time.perf_counter() - began:.1f} s", flush=True)


# ---- Dask ------------------------------------------------------------------------------------------


def run_dask(folder: str, runs: Sequence[str], files: Sequence[str]) -> None:
    with dask.connected(None) as client:

        def start(options: Namespace, directory: StateDirectory | None) -> Job:
            state = None if directory is None else ClusterState(directory, dask.hasher(client))
            return dask.DaskJob(client, command.settings_of(options, 2, state), state)

        dialect: dict[str, str] = {}
        for run in runs:
            if "=" in run:
                dialect = dialect_in(run)
                continue
            do_run(run, f"{folder}/{run.replace(':', '-')}", folder, files, start, dialect)


# ---- Spark -----------------------------------------------------------------------------------------


def descendants(process_id: int) -> Iterator[int]:
    """The processes that a process started, and their descendants."""
    for path in Path("/proc").glob(f"{process_id}/task/*/children"):
        for child in path.read_text().split():
            yield int(child)
            yield from descendants(int(child))


def kill_an_executor(run_has_ended: threading.Event) -> None:
    """Kill one of this session's executors, once it has worker processes."""
    time.sleep(1)
    while not run_has_ended.is_set():
        for each in descendants(os.getpid()):
            words = Path(f"/proc/{each}/cmdline").read_bytes()
            if b"CoarseGrainedExecutorBackend" in words and list(descendants(each)):
                os.kill(each, signal.SIGKILL)
                print("killed an executor", flush=True)
                return
        time.sleep(0.05)


def spark_session(master: str) -> SparkSession:
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(master).appName("tests")
    for name, value in {
        "spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.executor.memory": "1g",
        "spark.driver.memory": "1g", "spark.sql.shuffle.partitions": "2",
        "spark.executorEnv.PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    }.items():  # fmt: skip
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    if not spark.has_small_batches(session):  # before Spark 4.1
        session.conf.set(spark.BATCH_RECORDS_SETTING, str(spark.BATCH_RECORDS_MAX))
    return session


def make_old(session: SparkSession) -> None:
    """Take away the method that came with Spark 4.1."""
    for each in type(session.range(1)).__mro__:
        if "repartitionById" in vars(each):
            delattr(each, "repartitionById")


def run_spark(master: str, folder: str, runs: Sequence[str], files: Sequence[str]) -> None:
    session = spark_session(master)

    def start(options: Namespace, directory: StateDirectory | None) -> Job:
        state = None if directory is None else ClusterState(directory, spark.hasher(session))
        return spark.SparkJob(session, command.settings_of(options, 2, state), state)

    killer: threading.Thread | None = None
    run_has_ended = threading.Event()
    dialect: dict[str, str] = {}
    for run in runs:
        if "=" in run:
            dialect = dialect_in(run)
            continue
        if run == "KILL":
            killer = threading.Thread(target=kill_an_executor, args=(run_has_ended,))
            killer.start()
            continue
        if run == "OLD":
            make_old(session)
            continue
        do_run(run, f"{folder}/{run.replace(':', '-')}{'-killed' if killer else ''}", folder, files, start, dialect)
        if killer is not None:
            run_has_ended.set()
            killer.join()
    if dialect:
        accounts, rejects, _ = spark.process(session, files, shards=3, rejects=True, dialect=dialect)
        write_frames(folder, accounts, rejects)
    else:
        leave_frames(session, folder, files)
    session.stop()


def leave_frames(session: SparkSession, folder: str, files: Sequence[str]) -> None:
    """Write the data frames of a run with a state, the second after four files; then print the error for a file that is
    cut off."""
    spark.process(session, files[:4], shards=3, state=f"{folder}/frame.state")
    accounts, rejects, _ = spark.process(session, files, shards=3, rejects=True, state=f"{folder}/frame.state")
    write_frames(folder, accounts, rejects)
    try:
        spark.process(session, [*files, f"{folder}/cut.csv.gz"])
    except Exception as error:
        print(type(error).__name__, error, flush=True)


def write_frames(folder: str, accounts: DataFrame, rejects: DataFrame | None) -> None:
    """Write accounts as CSV, and where rejects are."""
    with open(f"{folder}/frame.accounts.csv", "w") as file:
        print(*accounts.columns, sep=",", file=file)
        for *fields, locked in sorted(tuple(row) for row in accounts.collect()):
            print(*fields, str(locked).lower(), sep=",", file=file)
    assert rejects is not None
    with open(f"{folder}/frame.rejects.txt", "w") as file:
        for row in rejects.collect():
            print(row.file, row.line, row.status, row.reason, sep=",", file=file)


def main() -> None:
    engine, master, folder, *rest = sys.argv[1:]
    runs, files = rest[: rest.index("--")], rest[rest.index("--") + 1 :]
    if engine == "dask":
        run_dask(folder, runs, files)
    else:
        run_spark(master, folder, runs, files)


if __name__ == "__main__":
    main()
