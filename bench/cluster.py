"""Measures the parts of a cluster on this machine: the tasks alone, one process, Dask and Spark, cold and warm.

    python bench/cluster.py [--rows N] [--clients N] [--shards N] [-o bench/results.md]

Needs both engines, and Java: `pip install 'txfast[dask,spark]'`. An engine's cold run counts from the start of its
process to the end of the run, with its session and workers; the warm run is the faster of the next two in the same
session. With a state, there is one run into a new directory, and "a day later" one over a file with a twentieth of the
rows.

This file must not know how txfast works inside: it calls the functions that an engine's driver calls.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from measure import (
    MEGABYTE,
    BenchError,
    add_number,
    add_paths,
    cached_input,
    describe_machine,
    markdown_table,
    python_command,
    run_measured,
    say,
    txfast_command,
    write_section,
)

NOTES = """\
*Alone* is the work of all tasks, one after the other in one process and thread: reading and dividing all ranges, then
settling all shards. On two cores this work takes half the time. Anything beyond that is an engine's own share:
scheduling, moving slices and results between processes, and for Spark its sort and its files of shuffled records. The
times of engines are for accounts, without rejects.

An estimate for 10¹¹ rows (3.3 TB of CSV) on 100 executors of 4 cores, at 60 ns a row to read and divide, 70 ns a row to
settle, and slices of 10 bytes a row. Nothing of it was measured on a cluster.

- Cores: 15 s to read and divide, 18 s to settle.
- Input: 33 GB an executor, 26 s at 10 Gbit/s.
- Slices: 10 GB an executor, written, sent and read again: about 8 s of network, and 40 s of a disk at 500 MB/s.
- Ledgers: 30 bytes a transaction, 30 GB an executor. Memory is full first; from there on `memory_limit` moves rows to
  disk once more, at 70 ns and 10 bytes a row. The disks of the shuffle are next.
- In all: with 64 GB an executor about three minutes, with Spark's scheduling of 50,000 ranges on top.
- A state: 28 bytes a transaction, 28 GB an executor. The next day's run reads of it what its rows need, at most once:
  its filters, 2 bytes a transaction, and pages of 16 KiB. It writes what is new, and merges six times as much.
"""


def do_alone(path: str, shards: str) -> None:
    """Run all tasks in this process; print the seconds of each stage and the bytes of all slices."""
    import json
    import time

    from txfast.cluster.cutting import cut_inputs
    from txfast.cluster.map import map_range
    from txfast.cluster.reduce import reduce_shard
    from txfast.cluster.results import Piece

    count = int(shards)
    started = time.perf_counter()
    ranges = cut_inputs([path])
    slices: list[list[bytes]] = [[] for _ in range(count)]
    for part in ranges:
        for item in map_range(part, count):
            if isinstance(item, Piece):
                slices[item.shard].append(item.content)
    mapped = time.perf_counter()
    for shard in range(count):
        for _ in reduce_shard(slices[shard], len(ranges), shard, count):
            pass
    settled = time.perf_counter()
    slice_bytes = sum(len(piece) for pieces in slices for piece in pieces)
    print(json.dumps({"map": mapped - started, "reduce": settled - mapped, "bytes": slice_bytes}))


def do_dask(path: str, shards: str, day: str, state: str) -> None:
    """Run three times on new workers, and twice with a state; print the seconds of each run."""
    import json
    import time

    from distributed import Client, LocalCluster

    from txfast.cluster import dask

    seconds = []
    with (
        LocalCluster(host="127.0.0.1", threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        for _ in range(3):
            started = time.perf_counter()
            dask.process(client, [path], shards=int(shards))
            seconds.append(time.perf_counter() - started)
        for each in (path, day):
            started = time.perf_counter()
            dask.process(client, [each], shards=int(shards), state=state)
            seconds.append(time.perf_counter() - started)
    print(json.dumps(seconds))


def do_spark(path: str, shards: str, day: str, state: str) -> None:
    """Run three times in one session, and twice with a state; print the seconds of each run."""
    import json
    import time

    from pyspark.sql import SparkSession

    from txfast.cluster import spark

    session = (
        SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false").config("spark.driver.memory", "4g").getOrCreate()
    )  # fmt: skip
    session.sparkContext.setLogLevel("OFF")
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        accounts, _, _ = spark.process(session, [path], shards=int(shards))
        accounts.count()
        seconds.append(time.perf_counter() - started)
    for each in (path, day):
        started = time.perf_counter()
        accounts, _, _ = spark.process(session, [each], shards=int(shards), state=state)
        accounts.count()
        seconds.append(time.perf_counter() - started)
    session.stop()
    print(json.dumps(seconds))


def measure(path: Path, day: Path, shards: int, folder: Path) -> tuple[list[list[str]], str]:
    """The lines of the table, and a sentence on rows and slices. Raises BenchError if a run fails."""
    output = folder / "output"
    lines: list[list[str]] = []
    os.environ.update({"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable})

    def run(name: str, command: list[str]) -> tuple[float, str]:
        say(name)
        ended = run_measured(command, output)
        if ended.failure:
            raise BenchError(f"{name}: {ended.failure}")
        return ended.seconds, output.read_text()

    rows = rows_of(path)

    def add(name: str, seconds: float, rows: int = rows) -> None:
        lines.append([name, f"{seconds:.2f}", f"{rows / seconds / 1e6:.2f}"])

    def add_state(name: str, whole: float, next_day: float) -> None:
        add(f"{name}, into a new state", whole)
        add(f"{name}, a day later", next_day, rows_of(day))

    add("`txfast`, two threads", min(run("txfast", txfast_command("-q", str(path)))[0] for _ in range(2)))
    with_state = [run("state", txfast_command("-q", "--state", str(folder / "one"), str(each))) for each in (path, day)]
    add_state("`txfast`", *(seconds for seconds, _ in with_state))
    alone = json.loads(run("alone", python_command(do_alone, str(path), str(shards)))[1])
    add("alone: read and divide", alone["map"])
    add("alone: settle", alone["reduce"])
    for name, function in (("Dask", do_dask), ("Spark", do_spark)):
        whole, printed = run(name, python_command(function, str(path), str(shards), str(day), str(folder / name)))
        cold, *warm, first_day, next_day = json.loads(printed.splitlines()[-1])
        add(f"{name}, cold", whole - sum((*warm, first_day, next_day)))
        add(f"{name}, first run in a session", cold)
        add(f"{name}, warm", min(warm))
        add_state(f"{name}, warm", first_day, next_day)
    size = path.stat().st_size / MEGABYTE
    slices = alone["bytes"] / MEGABYTE
    return lines, f"{rows:,} rows, {size:,.0f} MB; slices {slices:,.0f} MB, {alone['bytes'] / rows:.1f} bytes a row."


def rows_of(path: Path) -> int:
    """The number of rows below a file's header."""
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 22), b"")) - 1


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the parts of a cluster on this machine.")
    add_number(parser, "--rows", 20_000_000, "rows of the generated file")
    add_number(parser, "--clients", 200_000, "its clients")
    add_number(parser, "--shards", 4, "reducers")
    add_paths(parser)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    options = parse_arguments(arguments)
    try:
        source = cached_input(options.cache, options.rows, options.clients)
        day = cached_input(options.cache, options.rows // 20, options.clients, "snowflake")
        with tempfile.TemporaryDirectory(prefix="txfast-cluster-") as name:
            lines, shape = measure(source, day, options.shards, Path(name))
    except BenchError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    table = markdown_table(["run", "seconds", "million rows/s"], lines, texts=1)
    machine = describe_machine(("txfast", "pyarrow", "pyspark", "distributed"))
    title = f"## Cluster\n\n{shape} {options.clients:,} clients, {options.shards} shards."
    write_section(options.output, "cluster", [title, machine, table, NOTES])
    print(table)
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:]))
