"""Write a transactions file of any size for stress tests and benchmarks.

    python bench/generate.py [ROWS [CLIENTS]] [-o FILE] [--seed N]
                             [--ids PATTERN] [--clients uniform|skewed]

The same arguments give the same bytes. workload.py says what the rows are. This file is the command: it must not import
txfast.
"""

from __future__ import annotations

import argparse
import os
import signal
import stat
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NoReturn

from workload import BLOCK_ROWS, DEFAULT_CLIENTS, DEFAULT_ROWS, ID_PATTERNS, ID_STRIDE, Generator, Plan

PROJECT_ROOT = Path(__file__).resolve().parent.parent
DEFAULT_OUTPUT = PROJECT_ROOT / "samples" / "stress_test.csv"
CLIENTS_LIMIT = 100_000_000  # The memory kept for each client still fits a small machine.


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open `path` for writing so that it is replaced as a whole, by a temporary file beside it, or not at all.

    If it exists and is not a regular file (`/dev/null`, a named pipe), it is written in place.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not stat.S_ISREG(target.stat().st_mode):
        with target.open("wb") as existing:
            yield existing
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def write_blocks(blocks: Iterable[bytes], rows: int, file: BinaryIO) -> None:
    """Write the header and the blocks of rows. Progress goes to standard error if that is a terminal."""
    watched = sys.stderr.isatty()
    for number, block in enumerate(blocks):
        file.write(block)
        if watched:
            done = min(number * BLOCK_ROWS, rows)
            print(f"\r{done:,} of {rows:,} rows", end="", file=sys.stderr, flush=True)
    file.flush()
    if watched:
        print(file=sys.stderr)


def whole_number(lowest: int, highest: int, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
    if not lowest <= number <= highest:
        raise argparse.ArgumentTypeError(f"{text} is not between {lowest:,} and {highest:,}")
    return number


def parse_arguments(arguments: Sequence[str] | None = None) -> tuple[Plan, Path | None]:
    """The plan, and the path to write to: None for standard output."""
    parser = argparse.ArgumentParser(
        description="Write a transactions file for stress tests and benchmarks.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "rows",
        metavar="ROWS",
        nargs="?",
        type=lambda text: whole_number(0, 10**15, text),
        default=DEFAULT_ROWS,
        help=f"rows to write, without the header (default: {DEFAULT_ROWS:,})",
    )
    parser.add_argument(
        "client_count",
        metavar="CLIENTS",
        nargs="?",
        type=lambda text: whole_number(1, CLIENTS_LIMIT, text),
        default=DEFAULT_CLIENTS,
        help=f"clients are numbered 1 to CLIENTS (default: {DEFAULT_CLIENTS:,})",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        default=str(DEFAULT_OUTPUT),
        help="where to write; - is standard output (default: samples/stress_test.csv of this project)",
    )
    parser.add_argument(
        "--seed",
        metavar="N",
        type=lambda text: whole_number(0, 2**64 - 1, text),
        default=1,
        help="the same seed gives the same bytes (default: 1)",
    )
    parser.add_argument(
        "--ids",
        choices=ID_PATTERNS,
        default="dense",
        help="transaction ids: counted from 1 over the whole file, random 64-bit numbers, counted from 1"
        f" within each client, counted in steps of {ID_STRIDE}, or of the time and a machine (default: dense)",
    )
    parser.add_argument(
        "--clients",
        dest="distribution",
        choices=("uniform", "skewed"),
        default="uniform",
        help="how rows spread over clients: evenly, or a few clients have most of them (default: uniform)",
    )
    options = parser.parse_args(arguments)
    plan = Plan(options.rows, options.client_count, options.seed, options.ids, options.distribution)
    if not options.output:
        parser.error("argument -o/--output: expected the name of a file")
    return plan, None if options.output == "-" else Path(options.output)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    plan, path = parse_arguments(arguments)
    try:
        blocks = Generator(plan).blocks()
        if path is None:
            write_blocks(blocks, plan.rows, sys.stdout.buffer)
        else:
            with replacing(path) as file:
                write_blocks(blocks, plan.rows, file)
    except BrokenPipeError:
        # Python flushes standard output again at its end, and would report the broken pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except (OSError, MemoryError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not enough memory for that many clients"
        print(f"generate.py: {path or 'standard output'}: {reason}", file=sys.stderr)
        return 1
    return 0


def _end_on_sigterm(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end_on_sigterm)
    sys.exit(main())
