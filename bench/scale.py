"""How txfast's time and memory grow with the number of rows, for every pattern of transaction ids.

    python bench/scale.py [--rows 1e6,5e6,20e6] [--ids dense,random,…] [-o bench/results.md]

Each size is replayed as a file, whose size is known, and through a pipe, whose size is not known. Through a pipe the
index of transactions grows during the run, which shows in the longest single `apply`. Seconds and peak memory are those
of the command in a fresh process. The seconds of stages and of single calls come from a child process that runs the
library's `Replay`. Results go to standard output and into a section of a Markdown file.

This file must know only the command of txfast, and the functions that `replay_and_tell` calls.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from measure import (
    MEGABYTE,
    BenchError,
    Run,
    add_number,
    add_paths,
    cached_input,
    describe_machine,
    exit_code_of,
    markdown_table,
    python_command,
    run_measured,
    say,
    txfast_command,
    whole_number,
    whole_numbers,
    write_section,
)
from workload import ID_PATTERNS

DEFAULT_ROWS = "1e6,5e6,20e6"
KEPT_BYTES_MAX = 512 * MEGABYTE

NOTES = """\
*ns a row* is the wall time of the whole command, start-up included, divided by the number of rows. *scan* and *apply*
are the times of these stages, in threads that overlap. *typical* and *longest* are single calls that apply one batch.
Through a pipe the size of the input is unknown, so the index of transactions doubles during the run, and the batch that
triggers this waits. *B a further row* is the memory that grows with the rows: the difference of peaks to the smallest
size, divided by the difference of applied rows.
"""


@dataclass(frozen=True)
class Size:
    """The shape of one input."""

    ids: str
    rows: int
    clients: int


@dataclass(frozen=True)
class Point:
    """The medians of one size, read as a file or through a pipe."""

    size: Size
    piped: bool
    applied: int
    seconds: float
    scan_seconds: float
    apply_seconds: float
    typical_call_seconds: float
    longest_call_seconds: float
    peak_bytes: float


def replay_and_tell(name: str, threads: str) -> None:
    """Replay an input (`-` is standard input) and print its figures as JSON. Runs in a process of its own."""
    import json
    import statistics
    import time
    from typing import Any

    from txfast.input.ref import resolve
    from txfast.run.books import Books
    from txfast.run.replay import new_replay

    calls_seconds: list[float] = []
    apply = Books.apply

    def watched_apply(self: Books, batch: Any, shard: int) -> None:
        started = time.perf_counter()
        apply(self, batch, shard)
        calls_seconds.append(time.perf_counter() - started)

    Books.apply = watched_apply  # type: ignore[method-assign]
    replay = new_replay(threads=int(threads) if threads else None)
    replay.read(resolve(name))
    told = {
        "rows": replay.rows,
        "applied": sum(replay.figures().applied().values()),
        "scan_seconds": replay.seconds["scan"],
        "apply_seconds": replay.seconds["apply"],
        "typical_call_seconds": statistics.median(calls_seconds),
        "longest_call_seconds": max(calls_seconds),
    }
    print(json.dumps(told))


def measure(path: Path, size: Size, options: argparse.Namespace, scratch: Path, *, piped: bool) -> Point:
    """Run the command and the library on one input, taking turns."""
    fed = path if piped else None
    name = "-" if piped else str(path)
    threads = str(options.threads or "")
    command = txfast_command("-q", *(("--threads", threads) if threads else ()), name)
    output = scratch / "output"
    runs: list[Run] = []
    told: list[dict[str, float]] = []
    for _ in range(options.rounds):
        runs.append(run_measured(command, output, fed=fed))
        child = run_measured(python_command(replay_and_tell, name, threads), output, fed=fed)
        failure = runs[-1].failure or child.failure
        if failure:
            raise BenchError(f"{path}: {failure}")
        told.append(json.loads(output.read_text()))
    if any(figures["rows"] != size.rows for figures in told):
        raise BenchError(f"{path}: {size.rows} rows were expected, and {told[0]['rows']} read")
    median = {name: statistics.median(figures[name] for figures in told) for name in told[0]}
    return Point(
        size=size,
        piped=piped,
        applied=int(median["applied"]),
        seconds=statistics.median(run.seconds for run in runs),
        scan_seconds=median["scan_seconds"],
        apply_seconds=median["apply_seconds"],
        typical_call_seconds=median["typical_call_seconds"],
        longest_call_seconds=median["longest_call_seconds"],
        peak_bytes=statistics.median(run.peak_bytes for run in runs),
    )


def sizes_to_measure(options: argparse.Namespace) -> Iterator[Size]:
    """Every pattern of ids, ascending in rows."""
    for ids in options.ids:
        for rows in options.rows:
            growth = rows // options.rows[0] if options.scale_clients else 1
            yield Size(ids, rows, options.clients * growth)


def measure_sizes(options: argparse.Namespace, scratch: Path) -> Iterator[Point]:
    """Measure each size as a file and through a pipe. Large files are deleted after use."""
    for size in sizes_to_measure(options):
        path = cached_input(options.cache, size.rows, size.clients, size.ids)
        try:
            for piped in (False, True):
                yield measure(path, size, options, scratch, piped=piped)
        finally:
            if path.stat().st_size > KEPT_BYTES_MAX:
                path.unlink()
        say(f"{size.ids}, {size.rows:,} rows: measured")


def scale_table(points: Sequence[Point]) -> str:
    """The table, with a line for each point."""
    header = (
        "ids", "input", "rows", "clients", "applied", "ns a row", "scan", "apply", "typical ms", "longest ms",
        "peak MB", "B a further row",
    )  # fmt: skip
    smallest = {(point.size.ids, point.piped): point for point in reversed(points)}
    lines = [table_line(point, smallest[point.size.ids, point.piped]) for point in points]
    return markdown_table(header, lines, texts=2)


def table_line(point: Point, smallest: Point) -> list[str]:
    size = point.size
    further_rows = point.applied - smallest.applied
    further_bytes = point.peak_bytes - smallest.peak_bytes
    stages_seconds = (point.seconds, point.scan_seconds, point.apply_seconds)
    return [
        size.ids,
        "pipe" if point.piped else "file",
        f"{size.rows:,}",
        f"{size.clients:,}",
        f"{point.applied:,}",
        *(f"{seconds / size.rows * 1e9:.1f}" for seconds in stages_seconds),
        f"{point.typical_call_seconds * 1e3:.2f}",
        f"{point.longest_call_seconds * 1e3:.2f}",
        f"{point.peak_bytes / MEGABYTE:,.0f}",
        f"{further_bytes / further_rows:.1f}" if further_rows else "",
    ]


def report(points: Sequence[Point], options: argparse.Namespace) -> None:
    """Print the table, and write it into the Markdown file."""
    table = scale_table(points)
    threads = f"{options.threads} threads" if options.threads else "all cores"
    about = f"Files by `bench/generate.py`; {threads}; medians of {options.rounds} runs."
    machine = describe_machine(("txfast",))
    write_section(options.output, "scale", ["## Scale", about, machine, table, NOTES])
    print(f"{about}\n{machine}\n\n{table}")


def patterns(text: str) -> list[str]:
    """Patterns of ids, separated by commas."""
    names = text.split(",")
    for name in names:
        if name not in ID_PATTERNS:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(ID_PATTERNS)}")
    return names


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measure how txfast's time and memory grow with the rows.", allow_abbrev=False
    )
    parser.add_argument(
        "--rows", metavar="N,N…", type=whole_numbers, default=whole_numbers(DEFAULT_ROWS),
        help=f"sizes to measure (default: {DEFAULT_ROWS})",
    )  # fmt: skip
    parser.add_argument(
        "--ids", metavar="PATTERN,…", type=patterns, default=list(ID_PATTERNS),
        help=f"patterns of transaction ids (default: {','.join(ID_PATTERNS)})",
    )  # fmt: skip
    add_number(parser, "--clients", 50_000, "clients")
    parser.add_argument(
        "--scale-clients",
        action="store_true",
        help="let clients grow with the rows, from the smallest size on",
    )
    add_number(parser, "--rounds", 3, "runs of each")
    parser.add_argument("--threads", metavar="N", type=whole_number, help="threads of txfast (default: its own choice)")
    add_paths(parser)
    return parser.parse_args(arguments)


def measure_all(options: argparse.Namespace) -> None:
    """Measure, print and write."""
    with tempfile.TemporaryDirectory(prefix="txfast-") as scratch:
        points = list(measure_sizes(options, Path(scratch)))
    report(points, options)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = parse_arguments(arguments)
    return exit_code_of("scale.py", lambda: measure_all(options))


if __name__ == "__main__":
    sys.exit(main())
