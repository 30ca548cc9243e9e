"""Runs over one session of an engine, for the tests:

    python engine_runs.py spark MASTER FOLDER SHARDS:RANGE_SIZE[:FILES] … -- FILE …
    python engine_runs.py dask - FOLDER …

Each run leaves N.accounts.csv, N.rejects.csv and N.stats.json in the folder. One with a number of FILES is over the
first so many, and goes on from the folder's state. Of Spark, one over `process` then leaves what its data frames hold;
with a KILL in place of a run, an executor is ended while the next run is on its way; with an OLD, it is from there on
as before Spark 4.1.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from txfast.cluster import command, dask, spark
from txfast.cluster.job import Job
from txfast.cluster.state import ClusterState
from txfast.state.directory import StateDirectory

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# What gives a job of these options, with the state in a directory that is held.
Starter = Callable[[Namespace, StateDirectory | None], Job]


def do_run(run: str, name: str, folder: str, files: Sequence[str], start: Starter) -> None:
    """Do one run."""
    shards, range_size, *counts = run.split(":")
    named = [*files[: int(counts[0])], "--state", f"{folder}/state"] if counts else files
    options = command.make_parser("engine").parse_args(
        ["-o", f"{name}.accounts.csv", "--rejects", f"{name}.rejects.csv", "--stats", f"{name}.stats.json",
         "--shards", shards, "--range-size", range_size, *named]
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

        for run in runs:
            do_run(run, f"{folder}/{run.replace(':', '-')}", folder, files, start)


# ---- Spark -----------------------------------------------------------------------------------------


def descendants(process_id: int) -> Iterator[int]:
    """The processes that a process started, and those that they did."""
    for path in Path("/proc").glob(f"{process_id}/task/*/children"):
        for child in path.read_text().split():
            yield int(child)
            yield from descendants(int(child))


def end_an_executor(run_has_ended: threading.Event) -> None:
    """End one of this session's executors, once it has workers at work."""
    time.sleep(1)
    while not run_has_ended.is_set():
        for each in descendants(os.getpid()):
            words = Path(f"/proc/{each}/cmdline").read_bytes()
            if b"CoarseGrainedExecutorBackend" in words and list(descendants(each)):
                os.kill(each, signal.SIGKILL)
                print("ended an executor", flush=True)
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
    if not spark.hands_over_little(session):  # before Spark 4.1
        session.conf.set(spark.RECORDS_AT_ONCE, str(spark.RECORDS_AT_ONCE_MAX))
    return session


def make_old(session: SparkSession) -> None:
    """Take from Spark what came with 4.1."""
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
    for run in runs:
        if run == "KILL":
            killer = threading.Thread(target=end_an_executor, args=(run_has_ended,))
            killer.start()
            continue
        if run == "OLD":
            make_old(session)
            continue
        do_run(run, f"{folder}/{run.replace(':', '-')}{'-killed' if killer else ''}", folder, files, start)
        if killer is not None:
            run_has_ended.set()
            killer.join()
    leave_frames(session, folder, files)
    session.stop()


def leave_frames(session: SparkSession, folder: str, files: Sequence[str]) -> None:
    """Leave what data frames hold, with a state after two days; then say what is told of a damaged file."""
    spark.process(session, files[:4], shards=3, state=f"{folder}/frame.state")
    accounts, rejects, _ = spark.process(session, files, shards=3, rejects=True, state=f"{folder}/frame.state")
    with open(f"{folder}/frame.accounts.csv", "w") as file:
        print("client,available,held,total,locked", file=file)
        for client, available, held, total, locked in sorted(tuple(row) for row in accounts.collect()):
            print(client, available, held, total, str(locked).lower(), sep=",", file=file)
    assert rejects is not None
    with open(f"{folder}/frame.rejects.txt", "w") as file:
        for row in rejects.collect():
            print(row.file, row.line, row.status, row.reason, sep=",", file=file)
    try:
        spark.process(session, [*files, f"{folder}/cut.csv.gz"])
    except Exception as error:
        print(type(error).__name__, error, flush=True)


def main() -> None:
    engine, master, folder, *rest = sys.argv[1:]
    runs, files = rest[: rest.index("--")], rest[rest.index("--") + 1 :]
    if engine == "dask":
        run_dask(folder, runs, files)
    else:
        run_spark(master, folder, runs, files)


if __name__ == "__main__":
    main()
