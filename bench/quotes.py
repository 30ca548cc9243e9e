"""Measures what quotes cost: whole commands over files that differ only in the quotes of a column of notes.

    python bench/quotes.py [--rows 5e6] [--clients 50000] [--runs 9] [-o bench/results.md]

Runs over each file take turns with runs over the same rows without quotes. Results go to standard output and into a
section of a Markdown file. The exit code is 1 where a file costs more than it may (TIMES_MAX).

This file must know only the command of txfast.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path

from measure import (
    BenchError,
    add_number,
    add_paths,
    cached_input,
    describe_machine,
    markdown_table,
    run_in_turns,
    say,
    txfast_command,
    write_section,
)

NOTES = ("invoice 2024-117", "rent for march", "thank you", "order 55231 / 7", "refund of a fee")
# How a row's note is written, by what the file has.
FILES: dict[str, Callable[[int, str], str]] = {
    "no quotes": lambda _, note: note,
    "a quoted note a row": lambda _, note: f'"{note}"',
    "a comma in each quoted note": lambda _, note: f'"{note}, paid"',
    "doubled quotes in each note": lambda _, note: f'"a ""{note}"""',
    "a note of two lines in 100 rows": lambda row, note: f'"{note}\npaid"' if row % 100 == 0 else note,
    "a note of two lines a row": lambda _, note: f'"{note}\npaid"',
    "a stray quote in 1,000 rows": lambda row, note: f'"{note}' if row % 1_000 == 0 else note,
    "a lone opening quote in 70,000 rows": lambda row, note: f'"{note}' if row % 70_000 == 0 else note,
}
# The most that a file may cost, in times of the one without quotes.
TIMES_MAX = {
    "a quoted note a row": 1.25,
    "a note of two lines in 100 rows": 1.25,
    "a stray quote in 1,000 rows": 2.0,
    "a lone opening quote in 70,000 rows": 2.0,
}
HEADER = ("file", "seconds", "times without quotes", "at most")
TEXT = """\
Medians of whole commands in fresh processes that took turns, over files with a fifth column of notes.
"""


def write_file(path: Path, transactions: Path, noted: Callable[[int, str], str]) -> None:
    """Write the rows of a file with a note each."""
    with open(transactions, encoding="ascii") as lines, open(path, "w", encoding="ascii", newline="") as file:
        file.write(next(lines).rstrip("\n") + ",note\n")
        for row, (line, note) in enumerate(zip(lines, cycle(NOTES)), start=1):
            file.write(f"{line.rstrip(chr(10))},{noted(row, note)}\n")


def measure(paths: dict[str, Path], runs: int, folder: Path) -> dict[str, float]:
    """The median seconds of each file."""
    commands = {name: txfast_command(str(path), "--quiet") for name, path in paths.items()}
    found = run_in_turns(commands, runs, folder / "accounts.csv")
    return {name: statistics.median(run.seconds for run in each) for name, each in found.items()}


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what quotes cost.")
    add_number(parser, "--rows", 5_000_000, "rows of each file")
    add_number(parser, "--clients", 50_000, "clients in each file")
    add_number(parser, "--runs", 9, "runs over each file")
    add_paths(parser)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Measure, print and write; return the exit code."""
    options = parse_arguments(arguments)
    try:
        options.cache.mkdir(parents=True, exist_ok=True)
        transactions = cached_input(options.cache, options.rows, options.clients)
        with tempfile.TemporaryDirectory(prefix="txfast-quotes-") as name:
            folder = Path(name)
            paths = {file: folder / f"{number}.csv" for number, file in enumerate(FILES)}
            for file, path in paths.items():
                say(f"writing {file} …")
                write_file(path, transactions, FILES[file])
            medians = measure(paths, options.runs, folder)
        times = {file: seconds / medians["no quotes"] for file, seconds in medians.items()}
        table = [
            [file, f"{medians[file]:.3f}", f"{times[file]:.2f}", f"{TIMES_MAX[file]:.2f}" if file in TIMES_MAX else ""]
            for file in FILES
        ]
        text = markdown_table(HEADER, table)
        title = f"## Quotes\n\n{options.rows:,} rows of {options.clients:,} clients. {describe_machine(['txfast'])}"
        write_section(options.output, "quotes", [title, text, TEXT])
        print(text)
    except BenchError as error:
        say(f"quotes: {error}")
        return 1
    slow = [file for file, most in TIMES_MAX.items() if times[file] > most]
    for file in slow:
        say(f"quotes: {file}: {times[file]:.2f} times the seconds without quotes, at most {TIMES_MAX[file]:.2f}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
