"""Measures what a day costs beside a state: whole commands over states of several sizes.

    python bench/days.py [--transactions 10e6,100e6] [--rows 1e3,1e5,1e6] [--runs 3] [-o bench/results.md]

A state has an account for each 20 transactions. It is made once, by ten runs, and kept. Each day has rows of random
clients, a hundredth of them disputes of old deposits, with ids that grow or with random ones. Its run is compared with
one of the same rows and an empty state: they take turns, and none prints accounts. *Cold* runs begin with none of the
state's files in the system's cache. Then come days one after the other, whose bytes are counted. Results go to standard
output, into a section of a Markdown file, and into a chart beside it (days.svg).

This file must know only the command of txfast, and how store.py makes rows.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pyarrow as pa
import pyarrow.csv
from measure import (
    MEGABYTE,
    BenchError,
    Run,
    add_number,
    add_paths,
    describe_machine,
    exit_code_of,
    markdown_table,
    run_measured,
    say,
    txfast_command,
    whole_numbers,
    write_section,
)
from store import PATTERNS, table_of

TRANSACTIONS_EACH = 20  # of an account
BASE_DAYS = 10
ROWS_AT_ONCE = 1 << 20
HEADER = (
    "ids", "transactions", "rows", "empty, s", "more, s", "of processor", "cold, more, s", "more, MB", "written, MB",
)  # fmt: skip
NOTES = """\
*empty* is a run of the day's rows with an empty state; *more* is what the same rows cost beside the state: medians of
seconds by the clock and of the processor, and the greatest peak of memory. *written* are the day's files. A disk that
is slow to say that bytes are on it counts by the clock.
"""
WRITTEN_HEADER = ("ids", "rows of a day", "days", "bytes written a row", "by the first day", "by the most of a day")
WRITTEN_NOTES = """\
Bytes of all files that days have written, one after the other on the smallest state, merges included, for each of their
rows. The first day has little to merge.
"""


@dataclass(frozen=True)
class Day:
    """What one day of a size costs over one state."""

    pattern: str
    transactions: int
    rows: int
    empty: list[Run]
    warm: list[Run]
    cold: list[Run]
    written_bytes: int

    def more(self, runs: Sequence[Run], name: str) -> float:
        """What runs take more than those with an empty state."""
        return float(median(getattr(run, name) for run in runs) - median(getattr(run, name) for run in self.empty))

    def cells(self) -> list[str]:
        """The line of the table."""
        more_bytes = max(run.peak_bytes for run in self.warm) - max(run.peak_bytes for run in self.empty)
        return [
            self.pattern, f"{self.transactions:,}", f"{self.rows:,}",
            f"{median(run.seconds for run in self.empty):.3f}",
            f"{self.more(self.warm, 'seconds'):.3f}", f"{self.more(self.warm, 'processor_seconds'):.3f}",
            f"{self.more(self.cold, 'seconds'):.3f}",
            f"{more_bytes / MEGABYTE:.0f}", f"{self.written_bytes / MEGABYTE:.2f}",
        ]  # fmt: skip


# ---- Files ---------------------------------------------------------------------------------------


def write_rows(path: Path, first: int, rows: int, accounts: int, pattern: str, old: int = 0) -> None:
    """Write rows from the number `first` on as a CSV file."""
    writer = None
    for start in range(first, first + rows, ROWS_AT_ONCE):
        table = table_of(start, min(ROWS_AT_ONCE, first + rows - start), accounts, pattern, old)
        table = table.set_column(0, "type", table["type"].cast(pa.string()))
        if writer is None:
            options = pyarrow.csv.WriteOptions(quoting_style="none")
            writer = pyarrow.csv.CSVWriter(path, table.schema, write_options=options)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def replay(state: Path, day: Path, output: Path) -> Run:
    """Run a day over a state, without printing accounts. Raises BenchError."""
    run = run_measured(txfast_command("-q", "--state", str(state), str(day), "--changed", "-o", os.devnull), output)
    if run.failure:
        raise BenchError(f"{day}: {run.failure}")
    return run


def state_of(cache: Path, transactions: int, pattern: str, output: Path) -> Path:
    """A state of so many transactions, which is made if it is not there."""
    folder = cache / f"days-{pattern}-{transactions}"
    if folder.exists():
        return folder
    making = cache / f"{folder.name}.making"
    shutil.rmtree(making, ignore_errors=True)
    step = -(-transactions // BASE_DAYS)
    day = cache / f"{folder.name}.csv"
    runs = []
    for first in range(0, transactions, step):
        write_rows(day, first, min(step, transactions - first), transactions // TRANSACTIONS_EACH, pattern)
        runs.append(replay(making, day, output))
    day.unlink()
    making.rename(folder)
    say(f"{transactions:,} transactions with {pattern} ids: {sum(run.seconds for run in runs):.1f} s")
    return folder


def link_state(state: Path, copy: Path) -> None:
    """Give all files of a state a second name: a run changes none of them."""
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(state, copy, copy_function=os.link)
    (copy / "lock").unlink(missing_ok=True)


def files_in(state: Path) -> dict[int, int]:
    """The sizes of all files of a state, each under whatever names, by their numbers in the file system."""
    return {
        status.st_ino: status.st_size
        for path in state.rglob("*")
        if path.is_file() and path.name != "lock"
        for status in (path.stat(),)
    }


def cool(state: Path) -> None:
    """Have the system forget the content of a state's files."""
    os.sync()
    for path in state.rglob("*.arrow"):
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


# ---- Measuring -----------------------------------------------------------------------------------


def measure_day(state: Path, day: Path, runs: int, work: Path) -> tuple[list[Run], list[Run], list[Run], int]:
    """Runs of a day: with an empty state, over the state, and over it with a cold cache; and the bytes of its files."""
    output, copy = work / "output", work / "state"
    empty: list[Run] = []
    warm: list[Run] = []
    cold: list[Run] = []
    for _ in range(runs):
        shutil.rmtree(copy, ignore_errors=True)
        empty.append(replay(copy, day, output))
        for found in (warm, cold):
            link_state(state, copy)
            before = files_in(copy)
            if found is cold:
                cool(copy)
            found.append(replay(copy, day, output))
            written = sum(size for number, size in files_in(copy).items() if number not in before)
    shutil.rmtree(copy)
    return empty, warm, cold, written


def measure_days(options: argparse.Namespace) -> Iterator[Day]:
    """Measure all days over all states."""
    work = options.cache / "days"
    work.mkdir(parents=True, exist_ok=True)
    for pattern in options.ids or PATTERNS:
        for transactions in options.transactions:
            state = state_of(options.cache, transactions, pattern, work / "output")
            for rows in options.rows:
                day = work / "day.csv"
                write_rows(day, transactions, rows, transactions // TRANSACTIONS_EACH, pattern, transactions)
                yield Day(pattern, transactions, rows, *measure_day(state, day, options.runs, work))
                say(f"{transactions:,} transactions, {rows:,} rows with {pattern} ids")


def measure_written(options: argparse.Namespace) -> Iterator[list[str]]:
    """Days one after the other on the smallest state: the lines of the second table."""
    work, transactions = options.cache / "days", min(options.transactions)
    copy, day = work / "state", work / "day.csv"
    for pattern in options.ids or PATTERNS:
        for rows in options.written_rows:
            link_state(state_of(options.cache, transactions, pattern, work / "output"), copy)
            written, before = [], files_in(copy)
            for number in range(options.days):
                first = transactions + number * rows
                write_rows(day, first, rows, transactions // TRANSACTIONS_EACH, pattern, transactions)
                replay(copy, day, work / "output")
                files = files_in(copy)
                written.append(sum(size for inode, size in files.items() if inode not in before) / rows)
                before = files
            yield [
                pattern, f"{rows:,}", f"{options.days:,}", f"{sum(written) / len(written):.0f}", f"{written[0]:.0f}",
                f"{max(written):.0f}",
            ]  # fmt: skip
            shutil.rmtree(copy)


def draw(days: Sequence[Day], path: Path) -> None:
    """Draw what days cost beside the state, by its size: a line for each number of rows."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "days"})
    from matplotlib import pyplot

    patterns = sorted({day.pattern for day in days})
    figure, all_axes = pyplot.subplots(
        1, len(patterns), figsize=(8, 3.2), sharey=True, squeeze=False, layout="constrained"
    )
    for pattern, axes in zip(patterns, all_axes[0], strict=True):
        for rows in sorted({day.rows for day in days}, reverse=True):
            found = [day for day in days if (day.pattern, day.rows) == (pattern, rows)]
            sizes = [day.transactions for day in found]
            more = [max(0.001, day.more(day.warm, "processor_seconds")) for day in found]
            axes.plot(sizes, more, marker="o", label=f"{rows:,} rows")
        axes.set(xscale="log", yscale="log", title=f"{pattern} ids", xlabel="transactions of the state")
        axes.grid(alpha=0.3)
    all_axes[0][0].set_ylabel("processor seconds more\nthan with an empty state")
    all_axes[0][0].legend()
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


# ---- The command ---------------------------------------------------------------------------------


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what a day costs beside a state.", allow_abbrev=False)
    for name, default, meaning in (
        ("--transactions", "10e6,100e6", "transactions of the states"),
        ("--rows", "1e3,1e5,1e6", "rows of a day"),
        ("--written-rows", "1e3,1e4,1e5", "rows of days that follow each other"),
    ):
        parser.add_argument(
            name, metavar="N,…", type=whole_numbers, default=whole_numbers(default),
            help=f"{meaning} (default: {default})",
        )  # fmt: skip
    parser.add_argument("--ids", choices=PATTERNS, action="append", help="ids of this pattern alone (default: both)")
    add_number(parser, "--runs", 3, "runs of each day")
    add_number(parser, "--days", 100, "days that follow each other")
    add_paths(parser)
    return parser.parse_args(arguments)


def measure_all(options: argparse.Namespace) -> None:
    """Measure, print and write."""
    days = list(measure_days(options))
    table = markdown_table(HEADER, [day.cells() for day in days])
    written = markdown_table(WRITTEN_HEADER, list(measure_written(options)))
    chart = options.output.with_name("days.svg")
    draw(days, chart)
    picture = f"![What a day costs beside the state, by the state's size]({chart.name})"
    machine = describe_machine(["txfast"])
    write_section(options.output, "days", ["## Days", machine, table, NOTES, picture, written, WRITTEN_NOTES])
    print(table)
    print(written)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = parse_arguments(arguments)
    return exit_code_of("days.py", lambda: measure_all(options))


if __name__ == "__main__":
    sys.exit(main())
