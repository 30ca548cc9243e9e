"""Measures what an input's format costs: the same rows as CSV, JSON lines, Parquet, Arrow, and tables in memory.

    python bench/formats.py [--rows N] [--clients N] [--rounds N] [-o bench/results.md]

Each contestant is a whole command in a fresh process, with start-up and imports; for tables in memory, only the one
call is timed. Contestants take turns, round after round, and the first round only warms up. Beside each replay stands
the cost of only reading the file with the usual library, because a replay cannot be written as a query.

This file must not know how txfast works inside: it runs the command and calls `txfast.process`.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

# The loop over a frame would take a minute for all rows.
LOOP_ROWS_MAX = 200_000
REPLAY = "replay into accounts"
READ = "read alone"
FORMATS = ("csv", "jsonl", "csv.gz", "csv.zst", "parquet", "arrow")

NOTES = """\
Medians of whole commands in fresh processes, with start-up and the import of pyarrow; *in memory* is only the call
`txfast.process(table)`, in a process that has the table. The rows are the well-formed rows of the generated file. In
tables, `type` is a string, ids are uint64 and amounts decimal128(19, 4). Parquet is compressed with snappy, in row
groups of 128 Ki rows; the Arrow file is not compressed. JSON lines have ids as numbers, amounts as text, and no amount
where there is none. *Read alone* is `pyarrow.parquet.read_table` for Parquet, `read_all` for Arrow, and all bytes of
the stream for text. The loop goes over `itertuples` of a pandas frame with the first rows only.
"""


@dataclass(frozen=True)
class Contestant:
    """A command, its task, and its number of rows. With `tells`, the command prints its own seconds."""

    name: str
    task: str
    command: list[str]
    rows: int
    tells: bool = False


# ---- Work in processes of their own --------------------------------------------------------------


def make_files(source: str, folder: str) -> None:
    """Write the well-formed rows of a CSV file in every format; print their number."""
    import logging

    import pyarrow as pa
    from pyarrow import csv, parquet

    import txfast

    logging.disable(logging.CRITICAL)
    dictionary = pa.Table.from_batches(txfast.read(source))
    table = dictionary.set_column(0, "type", dictionary["type"].cast(pa.string()))
    parquet.write_table(table, f"{folder}/in.parquet", compression="snappy", row_group_size=1 << 17)
    with pa.ipc.new_file(f"{folder}/in.arrow", table.schema) as writer:
        writer.write_table(table, max_chunksize=1 << 17)
    options = csv.WriteOptions(quoting_style="none")
    text = table.set_column(3, "amount", table["amount"].cast(pa.string()))
    csv.write_csv(text, f"{folder}/in.csv", options)
    with open(f"{folder}/in.csv") as lines, open(f"{folder}/in.jsonl", "w") as objects:
        next(lines)
        for line in lines:
            kind, client, tx, amount = line.rstrip("\n").split(",")
            amount_member = f',"amount":"{amount}"' if amount else ""
            objects.write(f'{{"type":"{kind}","client":{client},"tx":{tx}{amount_member}}}\n')
    for suffix, codec in (("gz", "gzip"), ("zst", "zstd")):
        with (
            open(f"{folder}/in.csv", "rb") as file,
            pa.CompressedOutputStream(f"{folder}/in.csv.{suffix}", codec) as compressed,
        ):
            while block := file.read(1 << 22):
                compressed.write(block)
    print(table.num_rows)


def read_alone(path: str) -> None:
    """Only read a file, with the usual library."""
    import pyarrow as pa
    from pyarrow import parquet

    if path.endswith(".parquet"):
        parquet.read_table(path)
    elif path.endswith(".arrow"):
        pa.ipc.open_file(path).read_all()
    else:
        with pa.input_stream(path) as stream:
            while stream.read(1 << 20):
                pass


def replay_in_memory(path: str, library: str) -> None:
    """Read a table into memory, then time its replay; print the seconds."""
    import time

    import pyarrow as pa

    import txfast

    with pa.ipc.open_file(path) as reader:
        table = reader.read_all()
    if library == "Polars":
        import polars

        table = polars.DataFrame(table)
    started = time.perf_counter()
    accounts = txfast.process(table).accounts
    print(time.perf_counter() - started, len(accounts))


def loop_over_frame(path: str, rows_max: str) -> None:
    """Loop over a pandas frame, for deposits and withdrawals only; print the seconds of the loop."""
    import time

    import pyarrow as pa

    with pa.ipc.open_file(path) as reader:
        frame = reader.read_all().slice(0, int(rows_max)).to_pandas()
    started = time.perf_counter()
    balances: dict[int, Any] = {}
    for row in frame.itertuples():
        before, amount = balances.get(row.client, 0), row.amount or 0
        if row.type == "deposit":
            balances[row.client] = before + amount
        elif row.type == "withdrawal" and before >= amount:
            balances[row.client] = before - amount
    print(time.perf_counter() - started, len(balances))


# ---- The race ------------------------------------------------------------------------------------


def contestants(folder: Path, rows: int) -> list[Contestant]:
    """The contestants for the files in a folder."""
    found = []
    for suffix in FORMATS:
        path = str(folder / f"in.{suffix}")
        found.append(Contestant(f"`txfast in.{suffix}`", REPLAY, txfast_command("-q", path), rows))
        found.append(Contestant(f"in.{suffix}", READ, python_command(read_alone, path), rows))
    arrow = str(folder / "in.arrow")
    for library in ("pyarrow", "Polars"):
        command = python_command(replay_in_memory, arrow, library)
        found.append(Contestant(f"{library} table in memory", REPLAY, command, rows, tells=True))
    looped = min(rows, LOOP_ROWS_MAX)
    command = python_command(loop_over_frame, arrow, str(looped))
    found.append(Contestant("loop over a pandas frame", "deposits and withdrawals alone", command, looped, tells=True))
    return found


def race(entered: Sequence[Contestant], rounds: int, output: Path) -> dict[str, list[tuple[float, int]]]:
    """Run all in turns. Returns (seconds, peak bytes) of each run, by name. Raises BenchError if one fails."""
    results: dict[str, list[tuple[float, int]]] = {each.name: [] for each in entered}
    for number in range(rounds + 1):
        say(f"round {number} of {rounds}" if number else "warming up")
        for each in entered:
            run = run_measured(each.command, output)
            if run.failure:
                raise BenchError(f"{each.name}: {run.failure}")
            seconds = float(output.read_text().split()[0]) if each.tells else run.seconds
            if number:
                results[each.name].append((seconds, run.peak_bytes))
    return results


def table_of(entered: Sequence[Contestant], results: dict[str, list[tuple[float, int]]]) -> str:
    lines = []
    for each in entered:
        seconds = [run[0] for run in results[each.name]]
        median = statistics.median(seconds)
        lines.append(
            [
                each.name, each.task, f"{median:.3f}", f"{min(seconds):.3f}–{max(seconds):.3f}",
                f"{each.rows / median / 1e6:,.1f}", f"{max(run[1] for run in results[each.name]) / MEGABYTE:,.0f}",
            ]
        )  # fmt: skip
    header = ["input", "task", "seconds", "fastest–slowest", "million rows/s", "peak MB"]
    return markdown_table(header, lines, texts=2)


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what an input's format costs.")
    add_number(parser, "--rows", 5_000_000, "rows of the generated file")
    add_number(parser, "--clients", 50_000, "its clients")
    add_number(parser, "--rounds", 5, "rounds that count")
    add_paths(parser)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    options = parse_arguments(arguments)
    try:
        source = cached_input(options.cache, options.rows, options.clients)
        with tempfile.TemporaryDirectory(prefix="txfast-formats-") as name:
            folder = Path(name)
            output = folder / "output"
            made = run_measured(python_command(make_files, str(source), name), output)
            if made.failure:
                raise BenchError(f"the files cannot be made: {made.failure}")
            rows = int(output.read_text())
            entered = contestants(folder, rows)
            table = table_of(entered, race(entered, options.rounds, output))
    except BenchError as error:
        print(f"formats: {error}", file=sys.stderr)
        return 1
    shape = f"{rows:,} rows of {options.clients:,} clients; rounds: {options.rounds}, after one to warm up."
    title = f"## Formats\n\n{shape}"
    machine = describe_machine(("txfast", "pyarrow", "polars", "pandas"))
    write_section(options.output, "formats", [title, machine, table, NOTES])
    print(table)
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main(sys.argv[1:]))
