"""Runs over one Spark session, for the tests: python spark_runs.py MASTER FOLDER SHARDS:RANGE_SIZE[:FILES] … -- FILE …

Each run leaves N.accounts.csv, N.rejects.csv and N.stats.json in the folder; then one over `process` leaves what its
data frames hold. One with a number of FILES is over the first so many, and goes on from the folder's state. With a KILL
in place of a run, an executor is ended while the next run is on its way.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from txfast.cluster import command
from txfast.cluster.spark import SparkJob, hasher, process
from txfast.cluster.state import ClusterState
from txfast.state.directory import StateDirectory


def descendants(process_id: int) -> Iterator[int]:
    """The processes that a process started, and those that they did."""
    for path in Path("/proc").glob(f"{process_id}/task/*/children"):
        for child in path.read_text().split():
            yield int(child)
            yield from descendants(int(child))


def end_an_executor() -> None:
    """End one of this session's executors, once it has workers at work."""
    time.sleep(1)
    for _ in range(600):
        for each in descendants(os.getpid()):
            words = Path(f"/proc/{each}/cmdline").read_bytes()
            if b"CoarseGrainedExecutorBackend" in words and list(descendants(each)):
                os.kill(each, signal.SIGKILL)
                print("ended an executor", flush=True)
                return
        time.sleep(0.05)


def main() -> None:
    master, folder, *rest = sys.argv[1:]
    runs, files = rest[: rest.index("--")], rest[rest.index("--") + 1 :]
    builder = SparkSession.builder.master(master).appName("tests")
    for name, value in {
        "spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.executor.memory": "1g",
        "spark.driver.memory": "1g", "spark.sql.shuffle.partitions": "2",
        "spark.executorEnv.PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    }.items():  # fmt: skip
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    killer: threading.Thread | None = None
    for run in runs:
        if run == "KILL":
            killer = threading.Thread(target=end_an_executor)
            killer.start()
            continue
        shards, range_size, *counts = run.split(":")
        named = [*files[: int(counts[0])], "--state", f"{folder}/state"] if counts else files
        name = f"{folder}/{run.replace(':', '-')}{'-killed' if killer else ''}"
        options = command.make_parser("spark").parse_args(
            ["-o", f"{name}.accounts.csv", "--rejects", f"{name}.rejects.csv", "--stats", f"{name}.stats.json",
             "--shards", shards, "--range-size", range_size, *named]
        )  # fmt: skip

        @contextmanager
        def start(directory: StateDirectory | None, options: Namespace = options) -> Iterator[SparkJob]:
            state = None if directory is None else ClusterState(directory, hasher(spark))
            job = SparkJob(spark, command.settings_of(options, 2, state), state)
            yield job
            job.close()

        started = time.perf_counter()
        code = command.run(options, start)
        print(run, code, f"{time.perf_counter() - started:.1f} s", flush=True)
        if killer is not None:
            killer.join()
    process(spark, files[:4], shards=3, state=f"{folder}/frame.state")
    process(spark, files[4:], shards=3, state=f"{folder}/frame.state")
    accounts, rejects, _ = process(spark, files, shards=2, rejects=True)
    rows = sorted(tuple(row) for row in accounts.collect())
    with open(f"{folder}/frame.accounts.csv", "w") as file:
        print("client,available,held,total,locked", file=file)
        for client, available, held, total, locked in rows:
            print(client, available, held, total, str(locked).lower(), sep=",", file=file)
    assert rejects is not None
    with open(f"{folder}/frame.rejects.txt", "w") as file:
        for row in rejects.collect():
            print(row.file, row.line, row.status, row.reason, sep=",", file=file)
    try:
        process(spark, [*files, f"{folder}/cut.csv.gz"])
    except Exception as error:
        print(type(error).__name__, error, flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
