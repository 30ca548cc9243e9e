"""Inputs that nobody means well with, through the real command: what each must come to, and what it may cost.

    python tests/hostile.py [--full] [CASE …]

Without `--full` each case is small and all of them take seconds; with it they are what their names say, ten gigabytes
in a pipe among them, and take about a quarter of an hour. Nothing of an input is written to the disk. A table says for
each case what came of it; the exit code is 1 where a case did not come to what it must.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import harness
import numpy as np
from command import COMMAND, HEADER, environment

from txfast.pipeline import Replay

MEBIBYTE = 1 << 20
PIECE_BYTES = 1 << 20
# A line may take so much more memory than a run over a few rows.
LINE_MEMORY_BYTES_MAX = 64 * MEBIBYTE
# Crafted ids may take so many times the time of random ones.
CRAFTED_TIMES_MAX = 2.0
GOLDEN_RATIO = 0x9E3779B97F4A7C15
BEFORE, AFTER = b"deposit,1,1,5\n", b"deposit,2,1,7\n"
ACCOUNTS_OF_BOTH = b"1,5.0000,0.0000,5.0000,false\n2,7.0000,0.0000,7.0000,false\n"

Pieces = Iterator[bytes]


class Outcome(NamedTuple):
    """What came of a case."""

    rows: int
    rejects: int
    seconds: float
    peak_bytes: int
    more: str = ""


class HostileError(Exception):
    """A case did not come to what it must."""


class Finished(NamedTuple):
    """A run of the command: what it put out, and how."""

    accounts: bytes
    rejects: list[tuple[int, str]]  # line and reason
    stats: dict[str, Any]
    seconds: float

    @property
    def outcome(self) -> Outcome:
        return Outcome(self.stats["rows"], len(self.rejects), self.seconds, self.stats["peak_memory_bytes"])


def replay(pieces: Pieces) -> Finished:
    """Pipe an input into the command. Raises HostileError where it ends in another way."""
    with tempfile.TemporaryDirectory(prefix="txfast-") as folder:
        rejects, stats, accounts = (Path(folder, name) for name in ("rejects.jsonl", "stats.json", "accounts.csv"))
        outputs = ["--rejects", str(rejects), "--stats", str(stats), "-o", str(accounts)]
        command = [COMMAND, "-q", *outputs, "-"]
        started = time.perf_counter()
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as process:
            assert process.stdin is not None
            assert process.stderr is not None
            try:
                for piece in pieces:
                    process.stdin.write(piece)
                process.stdin.close()
            except BrokenPipeError:
                pass  # it says why
            said = process.stderr.read().decode()
        seconds = time.perf_counter() - started
        if process.returncode:
            raise HostileError(f"exit code {process.returncode}: {said}")
        lines = rejects.read_text(errors="surrogateescape").splitlines()
        found = [(reject["line"], reject["reason"]) for reject in map(json.loads, lines)]
        return Finished(accounts.read_bytes(), found, json.loads(stats.read_text()), seconds)


def expect(what: str, found: object, expected: object) -> None:
    """Raise HostileError where something is not what it must be."""
    if found != expected:
        raise HostileError(f"{what}: {str(found)[:200]}, not {str(expected)[:200]}")


def repeated(pattern: bytes, byte_count: int) -> Pieces:
    """So many bytes, in pieces."""
    piece = pattern * (PIECE_BYTES // len(pattern) + 1)
    for start in range(0, byte_count, PIECE_BYTES):
        yield piece[: min(PIECE_BYTES, byte_count - start)]


def small_run_bytes() -> int:
    return replay(iter([HEADER, BEFORE, AFTER])).outcome.peak_bytes


# ---- Long lines and many lines -------------------------------------------------------------------


def one_long_line(full: bool) -> Outcome:
    """A line of 10 GB between two rows."""

    def pieces() -> Pieces:
        yield HEADER + BEFORE
        yield from repeated(b"deposit,1,1,", 10_000_000_000 if full else 40_000_000)
        yield b"\n" + AFTER

    finished = replay(pieces())
    expect("rejects", finished.rejects, [(3, "row_too_long")])
    expect("accounts", finished.accounts.partition(b"\n")[2], ACCOUNTS_OF_BOTH)
    further = finished.outcome.peak_bytes - small_run_bytes()
    if further > LINE_MEMORY_BYTES_MAX:
        raise HostileError(f"it took {further / MEBIBYTE:.0f} MiB more than a small run")
    return finished.outcome._replace(more=f"{further / MEBIBYTE:.1f} MiB above a small run")


def no_ending(full: bool) -> Outcome:
    """10 GB of a last line that never ends."""

    def pieces() -> Pieces:
        yield HEADER + BEFORE
        yield from repeated(b"\x00", 10_000_000_000 if full else 40_000_000)

    finished = replay(pieces())
    expect("rejects", finished.rejects, [(3, "row_too_long")])
    expect("accounts", finished.accounts.count(b"\n"), 2)
    return finished.outcome


def empty_lines(full: bool) -> Outcome:
    """100 million lines with nothing in them, before the header and behind it."""
    lines = 50_000_000 if full else 500_000

    def pieces() -> Pieces:
        yield from repeated(b"\n", lines)
        yield HEADER + BEFORE
        yield from repeated(b"\r\n", 2 * lines)
        yield AFTER + b"fee"

    finished = replay(pieces())
    expect("rejects", finished.rejects, [(2 * lines + 4, "missing_field")])
    expect("accounts", finished.accounts.partition(b"\n")[2], ACCOUNTS_OF_BOTH)
    return finished.outcome


def unclosed_quotes(full: bool) -> Outcome:
    """Lines that open a quote: each is malformed alone."""
    lines = 5_000_000 if full else 50_000
    line = b'"deposit,1,1,1\n'

    def pieces() -> Pieces:
        yield HEADER + BEFORE
        for _ in range(lines // 1_000):
            yield line * 1_000
        yield AFTER

    finished = replay(pieces())
    expect("rejects", len(finished.rejects), lines)
    expect("lines", finished.rejects[-1], (lines + 2, "bad_quoting"))
    expect("accounts", finished.accounts.partition(b"\n")[2], ACCOUNTS_OF_BOTH)
    return finished.outcome


def wide_header(full: bool) -> Outcome:
    """A header of 100,000 columns, the four among them, and rows as wide."""
    columns = 100_000 if full else 5_000
    names = [b"c%d" % number for number in range(columns)]
    places = (7, columns // 3, columns // 2, columns - 1)
    for place, name in zip(places, (b"amount", b"tx", b"type", b"client"), strict=True):
        names[place] = name
    fields = [b'"x,"'] * columns
    rows = 100

    def pieces() -> Pieces:
        yield b",".join(names) + b"\n"
        for row in range(rows):
            for place, field in zip(places, (b"1.5", b"%d" % row, b"deposit", b"9"), strict=True):
                fields[place] = field
            yield b",".join(fields) + b"\n"

    finished = replay(pieces())
    expect("rejects", finished.rejects, [])
    expect("accounts", finished.accounts.splitlines()[1:], [b"9,150.0000,0.0000,150.0000,false"])
    return finished.outcome


# ---- Bytes and places ----------------------------------------------------------------------------


def every_byte_everywhere(full: bool) -> Outcome:
    """Every byte value at every place of a row, put in and put in place of what is there; as the reference says."""
    started = time.perf_counter()
    row = b"withdrawal,12,345678901,-67.8901"
    rows = [row[:place] + bytes([byte]) + row[place + cut :]
            for cut in (0, 1) for place in range(len(row) + 1) for byte in range(256)]  # fmt: skip
    content = HEADER + b"deposit,12,1,1000000\n" + b"\n".join(rows) + b"\n"
    rejects = total = 0
    for reader in harness.READERS if full else harness.READERS[:1]:
        # What pyarrow cannot carry stays out, for it alone.
        text = content if reader == "native" else content.replace(b"\x01", b"\x02")
        for block_bytes in (None, 1, 100) if full else (None,):
            fitting = None if block_bytes is None else harness.fit_block(reader, [("in", text)], block_bytes)
            outcome = harness.assert_as_reference([("in", text)], reader=reader, block_bytes=fitting)
            assert outcome is not None
            rejects, total = len(outcome.rejects), outcome.rows
    return Outcome(total, rejects, time.perf_counter() - started, 0)


def malformed_anywhere(full: bool) -> Outcome:
    """A malformed row at each place of a file of 10,000 rows: one reject there, and the others as before."""
    started = time.perf_counter()
    rows = [b"deposit,%d,%d,%d.25\n" % (client, client, client % 977) for client in range(10_000)]
    content = bytearray(HEADER + b"".join(rows))
    whole = harness.run([("in", bytes(content))]).accounts
    account_starts = np.cumsum([0, *map(len, whole.splitlines(keepends=True))]).tolist()
    start = len(HEADER)
    rejects = 0
    for place, row in enumerate(rows):
        if full or place % 97 == 0:
            content[start] = ord("x")
            journal = harness.RejectsJournal()
            run = harness.new_replay(journal, "native", 1 << 12 if place % 2 else None, 1)
            run.read_source(harness.open_bytes("in", bytes(content)))
            expect("rejects", [(each.line, each.reason) for each in journal.rejects], [(place + 2, "bad_type")])
            expected = whole[: account_starts[place + 1]] + whole[account_starts[place + 2] :]
            expect("accounts are right", harness.accounts_csv(run.ledgers) == expected, True)
            content[start] = row[0]
            rejects += 1
        start += len(row)
    return Outcome(10_000 * rejects, rejects, time.perf_counter() - started, 0)


# ---- Ids and clients -----------------------------------------------------------------------------


def crafted_ids(count: int) -> list[int]:
    """Ids whose first homes in the index all are the same few groups, whatever its size.

    That home is where (id >> 8) times the golden ratio lies in 64 bits, so the inverse leads back from the lowest
    places to the ids there.
    """
    inverse = np.uint64(pow(GOLDEN_RATIO, -1, 1 << 64))
    neighbourhoods = np.arange(4 * count, dtype=np.uint64) * inverse
    reached = neighbourhoods[neighbourhoods < np.uint64(1 << 56)]
    ids = (reached[:, None] << np.uint64(8)) + np.arange(256, dtype=np.uint64)
    return [int(tx) for tx in ids.ravel()[:count]]


def crafted_against_the_index(full: bool) -> Outcome:
    """10⁶ ids that crowd into one place of the index, against as many random ones, in turns."""
    count = 1_000_000 if full else 100_000
    random_ids = np.random.default_rng(1).integers(0, 2**64, count, dtype=np.uint64).tolist()
    files = {}
    for name, ids in (("random", random_ids), ("crafted", crafted_ids(count))):
        files[name] = HEADER + b"".join(b"deposit,%d,%d,1\n" % (tx % 1_000, tx) for tx in ids)
    seconds: dict[str, list[float]] = {name: [] for name in files}
    started = time.perf_counter()
    for _ in range(7):
        for name, content in files.items():
            run = Replay(threads=1)
            run.read_source(harness.open_bytes(name, content))
            expect(f"applied of {name}", run.applied()["deposit"], count)
            seconds[name].append(run.seconds["apply"])
    times = statistics.median(seconds["crafted"]) / statistics.median(seconds["random"])
    if full and times > CRAFTED_TIMES_MAX:
        raise HostileError(f"crafted ids take {times:.2f} times the time of random ones")
    return Outcome(14 * count, 0, time.perf_counter() - started, 0, f"{times:.2f} times random ids")


def one_client(full: bool) -> Outcome:
    """One client with everything."""
    rows = 20_000_000 if full else 100_000

    def pieces() -> Pieces:
        yield HEADER
        for first in range(1, rows + 1, 10_000):
            yield b"".join(b"deposit,18446744073709551615,%d,0.0001\n" % tx for tx in range(first, first + 10_000))

    finished = replay(pieces())
    total = f"{rows // 10_000}.{rows % 10_000:04d}"
    expected = f"18446744073709551615,{total},0.0000,{total},false"
    expect("accounts", finished.accounts.decode().splitlines()[1:], [expected])
    return finished.outcome


def a_client_a_row(full: bool) -> Outcome:
    """50 million clients with one row each."""
    rows = 50_000_000 if full else 100_000

    def pieces() -> Pieces:
        yield HEADER
        for first in range(0, rows, 10_000):
            yield b"".join(b"deposit,%d,1,1\n" % (client * 7919) for client in range(first, first + 10_000))

    finished = replay(pieces())
    expect("accounts", finished.accounts.count(b"\n"), rows + 1)
    expect("the last", finished.accounts.rsplit(b"\n", 2)[1].split(b",")[0], b"%d" % ((rows - 1) * 7919))
    return finished.outcome


CASES: dict[str, Callable[[bool], Outcome]] = {
    case.__name__.replace("_", "-"): case
    for case in (
        one_long_line, no_ending, empty_lines, unclosed_quotes, wide_header, every_byte_everywhere,
        malformed_anywhere, crafted_against_the_index, one_client, a_client_a_row,
    )
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(description="Replay inputs that nobody means well with.", allow_abbrev=False)
    parser.add_argument("--full", action="store_true", help="as large as their names say")
    parser.add_argument("cases", metavar="CASE", nargs="*", help=f"one of {', '.join(CASES)} (default: all)")
    options = parser.parse_args(arguments)
    unknown = [case for case in options.cases if case not in CASES]
    if unknown:
        parser.error(f"no case {', '.join(unknown)}")
    failures = 0
    print(f"{'case':26} {'rows':>12} {'rejects':>10} {'seconds':>8} {'peak MiB':>9}")
    for name in options.cases or CASES:
        try:
            outcome = CASES[name](options.full)
        except (HostileError, AssertionError) as failure:
            failures += 1
            print(f"{name:26} FAILED: {failure}", flush=True)
            continue
        figures = f"{outcome.rows:12,} {outcome.rejects:10,} {outcome.seconds:8.1f}"
        peak = f"{outcome.peak_bytes / MEBIBYTE:9.0f}" if outcome.peak_bytes else " " * 9
        print(f"{name:26} {figures} {peak}  {outcome.more}".rstrip(), flush=True)
    print(f"{failures} of {len(options.cases or CASES)} cases failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
