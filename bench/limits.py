"""Measures what a memory limit costs: time, peak memory and disk, for the same bytes.

    python bench/limits.py [--rows 11e6] [--clients 1e6] [--runs 3] [--large 200e6] [-o bench/results.md]

Runs of the whole command under each limit take turns with runs in memory, over evenly spread clients and over skewed
ones. The accounts must be the same bytes. `--large` adds one run under 1 GiB over that number of rows, which are
generated into a pipe. Results go to standard output and into a section of a Markdown file.

This file must know only the command of txfast and its stats.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from measure import (
    GENERATOR,
    MEGABYTE,
    BenchError,
    add_number,
    add_paths,
    cached_input,
    describe_machine,
    markdown_table,
    run_measured,
    say,
    txfast_command,
    write_section,
)

MEBIBYTE = 1 << 20
LIMITS_MIB = (96, 128, 192, 512)
LARGE_LIMIT_MIB = 1024
LARGE_CLIENTS = 5_000_000
SPREADS = ("uniform", "skewed")
# A peak may be this multiple of the limit.
TOLERANCE = 1.1

HEADER = ("clients", "limit", "seconds", "times in memory", "peak MiB", "of the limit", "disk MB", "B a row")

NOTES = """\
Medians of whole commands in fresh processes that took turns. *disk* is all that was written there: rows in compact
form, the ledgers at the time when the limit was reached, and the sorted accounts. *B a row* is that divided by the
number of rows.
"""


def measure(path: Path, rows: int, spread: str, runs: int, folder: Path) -> list[list[str]]:
    """The table's rows for one file: in memory, then under each limit. Raises BenchError if a limit was exceeded."""
    commands = {0: txfast_command(str(path), "--quiet", "--stats", str(folder / "0.json"))}
    for limit in LIMITS_MIB:
        words = ("--quiet", "--memory-limit", f"{limit}MiB", "--stats", str(folder / f"{limit}.json"))
        commands[limit] = txfast_command(str(path), *words)
    measured: dict[int, list[tuple[float, int]]] = {limit: [] for limit in commands}
    expected: bytes | None = None
    for _ in range(runs):
        for limit, command in commands.items():
            run = run_measured(command, folder / "accounts.csv")
            if run.failure:
                raise BenchError(f"{limit or 'no'} MiB: {run.failure}")
            accounts = (folder / "accounts.csv").read_bytes()
            expected = expected or accounts
            if accounts != expected:
                raise BenchError(f"{limit} MiB: other accounts than in memory")
            measured[limit].append((run.seconds, run.peak_bytes))
    in_memory = statistics.median(seconds for seconds, _ in measured[0])
    table = []
    for limit, costs in measured.items():
        seconds = statistics.median(seconds for seconds, _ in costs)
        peak = max(peak for _, peak in costs)
        if limit and peak > TOLERANCE * limit * MEBIBYTE:
            raise BenchError(f"{limit} MiB: the peak was {peak / MEBIBYTE:.0f} MiB")
        spilled = json.loads((folder / f"{limit}.json").read_text())["spilled_bytes"]
        table.append(
            [
                spread,
                f"{limit} MiB" if limit else "none",
                f"{seconds:.2f}",
                f"{seconds / in_memory:.2f}",
                f"{peak / MEBIBYTE:.0f}",
                f"{peak / MEBIBYTE / limit:.2f}" if limit else "",
                f"{spilled / MEGABYTE:.0f}",
                f"{spilled / rows:.1f}",
            ]
        )
        say(" | ".join(table[-1]))
    return table


def measure_large(rows: int, folder: Path) -> str:
    """One run over rows that are generated into a pipe, as a paragraph."""
    stats_file = folder / "large.json"
    generator = [sys.executable, str(GENERATOR), str(rows), str(LARGE_CLIENTS), "-o", "-"]
    limit = f"{LARGE_LIMIT_MIB}MiB"
    command = txfast_command("-", "--quiet", "--memory-limit", limit, "--stats", str(stats_file), "-o", os.devnull)
    started = time.perf_counter()
    with subprocess.Popen(generator, stdout=subprocess.PIPE) as generating:
        replaying = subprocess.run(command, stdin=generating.stdout, check=False)
    seconds = time.perf_counter() - started
    if replaying.returncode or generating.returncode:
        raise BenchError("the run over rows from a pipe failed")
    stats = json.loads(stats_file.read_text())
    peak, spilled = stats["peak_memory_bytes"], stats["spilled_bytes"]
    stages = stats["seconds"]
    billion = 1e9 / rows
    return (
        f"{rows:,} rows of {LARGE_CLIENTS:,} clients through a pipe, under {limit}: {seconds:.0f} s, most of it "
        f"waiting for the generator; {stages['scan']:.1f} s of scanning, {stages['apply']:.1f} s of applying and "
        f"moving to disk, {stages['settle']:.1f} s of settling ({stages['settle'] / rows * 1e9:.0f} ns a row), "
        f"{stages['write']:.1f} s of merging and writing; peak {peak / MEBIBYTE:.0f} MiB; {spilled / MEGABYTE:,.0f} MB "
        f"on disk, {spilled / rows:.1f} bytes a row.\n\n"
        f"At the same rates a billion rows take {billion * stages['scan']:.0f} s of scanning and "
        f"{billion * stages['apply']:.0f} s of applying and moving to disk, which overlap, then "
        f"{billion * stages['settle']:.0f} s of settling, and {billion * spilled / 1e9:.0f} GB of disk, in the same "
        f"memory. Each row is written and read once, as long as a partition (a 64th of all rows) fits into a ledger's "
        f"share, about four fifths of the limit. At 26 bytes a transaction this holds up to "
        f"{64 * 0.8 * LARGE_LIMIT_MIB * MEBIBYTE / 26 / 1e9:.1f} billion rows."
    )


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what a memory limit costs.")
    add_number(parser, "--rows", 11_000_000, "rows of each file")
    add_number(parser, "--clients", 1_000_000, "clients in each file")
    add_number(parser, "--runs", 3, "runs of each command")
    parser.add_argument(
        "--large", metavar="N", type=lambda text: int(float(text)), default=0, help="rows of one large run"
    )
    add_paths(parser)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Measure, print and write; return the exit code."""
    options = parse_arguments(arguments)
    table: list[list[str]] = []
    paragraphs = []
    try:
        with tempfile.TemporaryDirectory(prefix="txfast-limits-") as name:
            options.cache.mkdir(parents=True, exist_ok=True)
            for spread in SPREADS:
                path = cached_input(options.cache, options.rows, options.clients, spread=spread)
                table += measure(path, options.rows, spread, options.runs, Path(name))
            if options.large:
                paragraphs.append(measure_large(options.large, Path(name)))
        text = markdown_table(HEADER, table, texts=2)
        title = (
            f"## Memory limits\n\n{options.rows:,} rows of {options.clients:,} clients. {describe_machine(['txfast'])}"
        )
        write_section(options.output, "limits", [title, text, *paragraphs, NOTES])
        print(text, *paragraphs, sep="\n")
    except BenchError as error:
        say(f"limits: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
