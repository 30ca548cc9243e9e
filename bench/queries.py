"""Measures what --sql costs: the replay of a query's rows, beside the same query read by DuckDB alone.

    python bench/queries.py [--rows 5e6] [--clients 50000] [--runs 7] [-o bench/results.md]

Each contestant is a whole command in a fresh process; they take turns. DuckDB alone gives all rows and columns of the
query as Arrow record batches to a program that only counts them. Results go to standard output and into a section of a
Markdown file. The exit code is 1 where a replay costs more than it may (TIMES_MAX).

This file must know only the command of txfast.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from formats import make_files
from measure import (
    MEGABYTE,
    BenchError,
    Run,
    add_number,
    add_paths,
    cached_input,
    describe_machine,
    markdown_table,
    python_command,
    run_in_turns,
    run_measured,
    say,
    txfast_command,
    write_section,
)

# What is read, by its query; FILE stands for the path without its suffix. The last column says what it shows.
QUERIES = {
    "SELECT * FROM 'FILE.csv'": "CSV, in the order of the file",
    "SELECT * FROM 'FILE.parquet'": "Parquet, in the order of the file",
    "SELECT * FROM 'FILE.parquet' ORDER BY tx": "Parquet, sorted",
}
# The most that a replay of the rows may cost, in times of what DuckDB alone takes for them. txfast has every value of a
# column of whole numbers in a CSV file checked, which DuckDB alone does not.
TIMES_MAX = {"SELECT * FROM 'FILE.csv'": 2.5}
HEADER = ("query", "what it reads", "txfast --sql, s", "DuckDB alone, s", "times", "peak MB of txfast")
TEXT = """\
Medians of whole commands in fresh processes that took turns. Numbers with a point are text in the CSV file, for both.
"""


def read_by_duckdb(query: str) -> None:
    """Read all rows of a query as record batches, and print their number."""
    import duckdb

    connection = duckdb.connect()
    connection.execute(
        "CREATE MACRO read_csv_auto(path) AS TABLE SELECT * FROM read_csv(path, types = {'amount': 'VARCHAR'})"
    )
    print(sum(batch.num_rows for batch in connection.sql(query).to_arrow_reader(1 << 17)))


def commands_for(path: str) -> dict[str, list[str]]:
    """The commands of all contestants, over files of this name without a suffix."""
    commands = {}
    for query in QUERIES:
        text = query.replace("FILE", path)
        commands[f"txfast: {query}"] = txfast_command("--quiet", "--sql", text)
        commands[f"DuckDB: {query}"] = python_command(read_by_duckdb, text)
    return commands


def lines_of(found: dict[str, list[Run]]) -> tuple[list[list[str]], dict[str, float]]:
    """The lines of the table, and by query how many times of DuckDB alone a replay takes."""
    lines, times = [], {}
    for query, what in QUERIES.items():
        ours, alone = (
            statistics.median(run.seconds for run in found[f"{who}: {query}"]) for who in ("txfast", "DuckDB")
        )
        times[query] = ours / alone
        peak = max(run.peak_bytes for run in found[f"txfast: {query}"]) / MEGABYTE
        lines.append([f"`{query}`", what, f"{ours:.3f}", f"{alone:.3f}", f"{times[query]:.2f}", f"{peak:,.0f}"])
    return lines, times


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what --sql costs beside DuckDB itself.")
    add_number(parser, "--rows", 5_000_000, "rows of the generated file")
    add_number(parser, "--clients", 50_000, "its clients")
    add_number(parser, "--runs", 7, "runs of each command")
    add_paths(parser)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Measure, print and write; return the exit code."""
    options = parse_arguments(arguments)
    try:
        source = cached_input(options.cache, options.rows, options.clients)
        with tempfile.TemporaryDirectory(prefix="txfast-queries-") as name:
            output = Path(name) / "output"
            made = run_measured(python_command(make_files, str(source), name), output)
            if made.failure:
                raise BenchError(f"the files cannot be made: {made.failure}")
            rows = int(output.read_text())
            commands = commands_for(f"{name}/in")
            run_in_turns(commands, 1, output)  # to warm up
            lines, times = lines_of(run_in_turns(commands, options.runs, output))
        text = markdown_table(HEADER, lines, texts=2)
        title = f"## Queries\n\n{rows:,} rows of {options.clients:,} clients."
        machine = describe_machine(["txfast", "duckdb", "pyarrow"])
        write_section(options.output, "queries", [title, machine, text, TEXT])
        print(text)
    except BenchError as error:
        say(f"queries: {error}")
        return 1
    slow = [query for query, most in TIMES_MAX.items() if times[query] > most]
    for query in slow:
        say(f"queries: {query}: {times[query]:.2f} times DuckDB alone, at most {TIMES_MAX[query]:.2f}")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
