"""Hostile inputs, for the real command and the library: are results right, memory small and time short?

    python -m tests.campaigns.hostile [--full] [CASE …]

Each case states the expected result of its input. A table shows the results, and the exit code is 0 if all were right.
Without --full the inputs are small: test_hostile.py runs the same cases, and says nothing about speed. Input for the
command is generated into a pipe, or is a sparse file, so it takes no disk space. With --full, many clients take up to
10 GB of memory.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from itertools import chain
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.support import replays
from tests.support.ids import ids_of_one_home
from tests.support.project import PROJECT_ROOT
from tests.support.reference import HEADER
from tests.support.replays import Reject
from tests.support.rows import Row
from txfast.log.journal import Journal

# bench/measure.py runs a command in a process of its own and measures time and memory.
sys.path.append(str(PROJECT_ROOT / "bench"))

import measure

MB = measure.MEGABYTE
GB = 1_000 * MB
PIECE_BYTES = 1 << 20
ROW = b"deposit,1,1,1\n"
OTHER_ROW = b"deposit,2,1,1\n"
ENDLESS = Path("/dev/zero")

# Maximum above the peak of a run of one row.
EXTRA_BYTES_MAX = 64 * MB
# Maximum for each entry or account; a table that doubles exists twice for a while.
ENTRY_BYTES_MAX = 48
CLIENT_BYTES_MAX = 192
# Maximum cost, as a multiple of the cost of random ids.
CRAFTED_COST_MAX = 2
TURNS = 7


class Figures(NamedTuple):
    """The results of a case. `problems` says what was wrong."""

    rows: int
    rejects: int
    seconds: float
    peak_bytes: int | None
    problems: list[str]
    note: str = ""


def repeated(piece: bytes, total_bytes: int) -> Iterator[bytes]:
    """A piece repeated to this total size."""
    piece *= max(1, PIECE_BYTES // len(piece))
    for _ in range(total_bytes // len(piece)):
        yield piece
    yield piece[: total_bytes % len(piece)]


def numbered(line: bytes, count: int) -> Iterator[bytes]:
    """`count` lines with one number each, counted from 0."""
    for start in range(0, count, 10_000):
        numbers = range(start, min(start + 10_000, count))
        yield line * len(numbers) % tuple(numbers)


# ---- The command -----------------------------------------------------------------------------------


def replay(
    pieces: Iterable[bytes] | Path,
    *,
    rows: int,
    accounts: int,
    rejects: dict[str, int] | None = None,
    extra_bytes_max: int = EXTRA_BYTES_MAX,
    failure: str = "",
) -> Figures:
    """Run the command on a file, or on pieces through a pipe, and compare with the expected result."""
    with tempfile.TemporaryDirectory(prefix="txfast-hostile-") as folder:
        stats_path, fifo = Path(folder, "stats.json"), Path(folder, "pipe")
        source = str(pieces) if isinstance(pieces, Path) else "-"
        command = measure.txfast_command("-q", "--stats", str(stats_path), source)
        if isinstance(pieces, Path):
            run = measure.run_measured(command, Path(os.devnull))
        else:
            os.mkfifo(fifo)
            threading.Thread(target=feed, args=(fifo, pieces), daemon=True).start()
            run = measure.run_measured(command, Path(os.devnull), fed=fifo)
        found = json.loads(stats_path.read_text()) if stats_path.exists() else {}
    refused = found.get("malformed", {}) | found.get("rejected", {})
    got = (found.get("rows", 0), found.get("accounts", 0), replays.occurred(refused), run.failure)
    expected = (rows, accounts, rejects or {}, failure)
    problems = [] if got == expected else [f"{got}, where it should be {expected}"]
    extra_bytes = run.peak_bytes - least_peak_bytes()
    if extra_bytes > extra_bytes_max:
        most = f"{extra_bytes_max / MB:.0f}"
        problems.append(f"takes {extra_bytes / MB:.0f} MB more than a small run, and may take {most}")
    return Figures(got[0], sum(got[2].values()), run.seconds, run.peak_bytes, problems)


def feed(fifo: Path, pieces: Iterable[bytes]) -> None:
    """Write the pieces into a pipe. A run that fails stops reading."""
    with suppress(BrokenPipeError), open(fifo, "wb") as pipe:
        for piece in pieces:
            pipe.write(piece)


@cache
def least_peak_bytes() -> int:
    """The peak memory of a run of one row."""
    with tempfile.TemporaryDirectory(prefix="txfast-hostile-") as folder:
        path, stats_path = Path(folder, "in.csv"), Path(folder, "stats.json")
        path.write_bytes(HEADER + ROW)
        command = measure.txfast_command("-q", "--stats", str(stats_path), "-")
        return measure.run_measured(command, Path(os.devnull), fed=path).peak_bytes


def long_line(full: bool) -> Figures:
    """One line of 10 GB between two rows."""
    line = repeated(b"x", 10 * GB if full else 256 * MB)
    pieces = chain([HEADER + ROW], line, [b"\n" + OTHER_ROW])
    return replay(pieces, rows=3, accounts=2, rejects={"row_too_long": 1})


def no_ending(full: bool) -> Figures:
    """10 GB after the first row, without a line ending."""
    with tempfile.TemporaryDirectory(prefix="txfast-hostile-") as folder:
        path = Path(folder, "sparse.csv")
        path.write_bytes(HEADER + ROW)
        os.truncate(path, 10 * GB if full else 256 * MB)
        return replay(path, rows=2, accounts=1, rejects={"row_too_long": 1})


def long_header(_: bool) -> Figures:
    """An endless line in place of the header: refused after the first MiB."""
    failure = f"txfast: {ENDLESS}: not a transactions file: its header is longer than 1 MiB: is it text, in lines?"
    return replay(ENDLESS, rows=0, accounts=0, failure=failure)


def blank_line(full: bool) -> Figures:
    """10 GB of blanks before the header, which are ignored."""
    line = repeated(b" \t", 10 * GB if full else 256 * MB)
    return replay(chain(line, [b"\n" + HEADER + ROW]), rows=1, accounts=1)


def empty_lines(full: bool) -> Figures:
    """100 million empty lines, with every line ending, between two rows."""
    count = 100_000_000 if full else 1_000_000
    lines = repeated(b"\n\r\n\r\r\n", 2 * count)
    return replay(chain([HEADER + ROW], lines, [b"\n" + OTHER_ROW]), rows=2, accounts=2)


def open_quotes(full: bool) -> Figures:
    """Quotes that are never closed, in two of three rows; each quote ends with its line."""
    count = 5_000_000 if full else 100_000
    lines = numbered(b'deposit,1,"1,1\n"deposit,1,1,1\ndeposit,1,%d,1\n', count)
    return replay(
        chain([HEADER], lines),
        rows=3 * count,
        accounts=1,
        rejects={"bad_quoting": 2 * count},
        extra_bytes_max=EXTRA_BYTES_MAX + ENTRY_BYTES_MAX * count,
    )


def wide_header(full: bool) -> Figures:
    """A header of 100,000 columns, ours last, and rows of the same width."""
    width = 100_000
    header = b"".join(b"c%d," % column for column in range(width)) + HEADER
    count = 2_000 if full else 100
    lines = (b"," * width + b"deposit,1,%d,1\n" % tx for tx in range(count))
    return replay(chain([header], lines), rows=count, accounts=1)


def one_client(full: bool) -> Figures:
    """One client with all transactions."""
    count = 20_000_000 if full else 200_000
    lines = numbered(b"deposit,1,%d,0.0001\n", count)
    extra_bytes_max = EXTRA_BYTES_MAX + ENTRY_BYTES_MAX * count
    return replay(chain([HEADER], lines), rows=count, accounts=1, extra_bytes_max=extra_bytes_max)


def many_clients(full: bool) -> Figures:
    """50 million clients with one row each."""
    count = 50_000_000 if full else 200_000
    lines = numbered(b"deposit,%d,1,1\n", count)
    extra_bytes_max = EXTRA_BYTES_MAX + CLIENT_BYTES_MAX * count
    return replay(chain([HEADER], lines), rows=count, accounts=count, extra_bytes_max=extra_bytes_max)


# ---- Rows ------------------------------------------------------------------------------------------

ROWS = (
    b"deposit,1,2,3.5",
    b'"deposit",1,"2",3',
    b"withdrawal,1,23456789,0.0001",
    b" resolve , +1 ,\t2 , -0.5 ",
    b"dispute,1,2",
    b"deposit,123456789012,1234567890123456789,-12345678.5,x",
    b"chargeback,18446744073709551615,1,",
)


def byte_offsets(full: bool) -> Figures:
    """Every byte at every offset in a row, inserted and as a replacement; the reference says what is right."""
    rows, rejects, problems = 0, 0, []
    for row in ROWS if full else ROWS[:2]:
        lines = [
            row[:index] + bytes([byte]) + row[index + replaced :]
            for index in range(len(row) + 1)
            for replaced in (0, 1)
            for byte in range(256)
        ]
        for header, reader, block_bytes in (
            (HEADER, "native", None),
            (HEADER, "native", 61),
            (HEADER.rstrip() + b",note\n", "native", None),
            (HEADER.rstrip() + b",note\n", "arrow", None),
        ):
            # The arrow reader cannot carry the byte 0x01, nor a row of several lines: there, a quote in the row between
            # two lines keeps an open one from being closed later.
            carried = [line for line in lines if replays.can_carry(reader, header + line + b"\n", None)]
            between = b"\ndeposit,7,7,7\n" if reader == "native" else b'\na"b,7,7,7\n'
            inputs = [("in.csv", header + between.join(carried))]
            try:
                outcome = replays.assert_as_reference(inputs, reader=reader, block_bytes=block_bytes)
            except AssertionError as error:
                problems.append(str(error)[:200])
            else:
                assert outcome is not None
                rows += outcome.rows
                rejects += len(outcome.rejects)
    return Figures(rows, rejects, 0.0, None, problems)


JSON_ROWS = (
    b'{"type":"deposit","client":1,"tx":2,"amount":"3.5"}',
    b'{"a":[{}],"type":"d\\u0065posit","client":1,"tx":2,"amount":-0.5}',
)


def json_offsets(full: bool) -> Figures:
    """The same for JSON lines, between rows of the same shape."""
    rows, rejects, problems = 0, 0, []
    for row in JSON_ROWS if full else JSON_ROWS[:1]:
        lines = [
            row[:index] + bytes([byte]) + row[index + replaced :]
            for index in range(len(row) + 1)
            for replaced in (0, 1)
            for byte in range(256)
        ]
        for block_bytes in (None, 61):
            inputs = [("in.jsonl", (b"\n" + row + b"\n").join([row, *lines]))]
            try:
                outcome = replays.assert_as_reference(inputs, reader="native", block_bytes=block_bytes)
            except AssertionError as error:
                problems.append(str(error)[:200])
            else:
                assert outcome is not None
                rows += outcome.rows
                rejects += len(outcome.rejects)
    return Figures(rows, rejects, 0.0, None, problems)


def deep_json(full: bool) -> Figures:
    """Lines of JSON with nested values as deep as a line is long, whole and cut short."""
    depth, count = 500_000, 200 if full else 3
    rest = b',"type":"deposit","client":1,"tx":1,"amount":1}\n'
    whole = b'{"a":' + b"[" * depth + b"]" * depth + rest
    content = b"{}\n" + whole * count + (b'{"a":' + b"[" * 2 * depth + b"\n") * count
    started = time.perf_counter()
    outcome = replays.run([("in.jsonl", content)])
    seconds = time.perf_counter() - started
    expected = {"missing_field": 1, "bad_json": count}
    problems = [] if outcome.malformed == expected else [f"{outcome.malformed}, not {expected}"]
    return Figures(outcome.rows, len(outcome.rejects), seconds, None, problems)


MALFORMED = {
    "bad_quoting": b'deposit,1,"1,1',
    "too_many_fields": b"deposit,1,1,12,50",
    "missing_field": b"nonsense",
    "bad_type": b"fee,1,1,1",
    "bad_client": b"deposit,-1,1,1",
    "bad_tx": b"deposit,1,1.0,1" + b"x" * 100,
    "bad_amount": b"deposit,1,1,1.00001",
}


def reject_lines(full: bool) -> Figures:
    """A malformed row as each line of a file: one reject, and no other change."""
    count, block_sizes = (10_000, (None, 1_000)) if full else (300, (None, 100))
    rng = Random(1)
    rows = [Row("deposit", rng.randrange(9), tx, rng.randrange(10**9)) for tx in range(count)]
    lines = [row.line() + b"\n" for row in rows]
    expected = replays.run([("in.csv", HEADER + b"".join(lines))])
    ends = [0]
    for line in lines:
        ends.append(ends[-1] + len(line))
    text = b"".join(lines)
    problems: list[str] = []
    runs = 0
    for block_bytes in block_sizes:
        for index, end in enumerate(ends):
            reason, malformed = list(MALFORMED.items())[index % len(MALFORMED)]
            content = HEADER + text[:end] + malformed + b"\n" + text[end:]
            outcome = replays.run([("in.csv", content)], block_bytes=block_bytes)
            reject = Reject("in.csv", index + 2, "malformed", reason, malformed)
            with_it = expected._replace(rows=count + 1, rejects=[reject], malformed={reason: 1})
            if outcome != with_it:
                problems.append(f"a malformed row at index {index} in blocks of {block_bytes}: {outcome.rejects[:3]}")
            runs += 1
    return Figures(runs * (count + 1), runs, 0.0, None, problems)


# ---- Crafted ids -----------------------------------------------------------------------------------


def crafted_ids(full: bool) -> Figures:
    """A million ids that the index's first hash puts into one group, compared with a million random ids."""
    count = 1_000_000 if full else 5_000
    rng = Random(2)
    return compare(
        full,
        [rng.getrandbits(64) for _ in range(count)],
        {
            "one home": ids_of_one_home(count, lows=(0, 64, 128, 192)),
            "64 homes": ids_of_one_home(count),
        },
        b"%s,1,%d,1\n",
    )


def crafted_clients(full: bool) -> Figures:
    """A million clients chosen against the account table and the sorting, compared with a million random ones."""
    count = 1_000_000 if full else 5_000
    rng = Random(3)
    crowded = [2**power - 1 for power in range(64, 30, -1)]
    return compare(
        full,
        [rng.getrandbits(64) for _ in range(count)],
        {
            "multiples of 2^44": [client << 44 for client in range(count)],
            "each range crowded at its start": [*crowded, *range(count - len(crowded))],
            "the top bits alone": [client << 44 | 0xFFFFFFFFFFF for client in range(count)],
        },
        b"%s,%d,1,1\n",
    )


def compare(full: bool, at_random: list[int], crafted: dict[str, list[int]], line: bytes) -> Figures:
    """Deposit under each id, then dispute each deposit, in one thread. Compare the medians of runs that take turns."""
    files = {
        name: HEADER + b"".join(line % (kind, number) for kind in (b"deposit", b"dispute") for number in numbers)
        for name, numbers in {"random": at_random, **crafted}.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in files}
    problems = []
    rows = rejects = 0
    for _ in range(TURNS if full else 1):
        for name, content in files.items():
            run = replays.new_replay(Journal(quiet=True), "native", None, threads=1)
            run.read_source(replays.open_bytes("in.csv", content))
            run.collect()
            seconds[name].append(run.seconds["apply"])
            rows += run.rows
            rejects += sum(run.figures().rejected().values())
            expected = {kind: len(at_random) for kind in ("deposit", "dispute")}
            if replays.occurred(run.figures().applied()) != expected:
                problems.append(f"{name}: {run.figures().applied()} were applied, where it should be {expected}")
    medians = {name: statistics.median(seconds[name]) for name in files}
    notes = []
    for name in crafted if full else ():
        times = medians[name] / medians["random"]
        notes.append(f"{name}: {times:.2f}")
        if times > CRAFTED_COST_MAX:
            problems.append(f"{name} cost {times:.1f} times what random ones do, and may cost {CRAFTED_COST_MAX}")
    note = f"times random ones: {', '.join(notes)}" if notes else ""
    return Figures(rows, rejects, max(medians.values()), None, problems, note)


# ---- The table -------------------------------------------------------------------------------------

CASES: dict[str, Callable[[bool], Figures]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        long_line, no_ending, long_header, blank_line, empty_lines, open_quotes, wide_header, byte_offsets,
        json_offsets, deep_json, reject_lines, crafted_ids, crafted_clients, one_client, many_clients,
    )
}  # fmt: skip


def main(arguments: list[str]) -> int:
    """Run the cases and print their table. Returns 0 if all were right."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cases", metavar="CASE", nargs="*", help=f"one of {', '.join(CASES)} (default: all)")
    parser.add_argument("--full", action="store_true", help="inputs of full size")
    options = parser.parse_args(arguments)
    unknown = set(options.cases) - CASES.keys()
    if unknown:
        parser.error(f"no case {', '.join(sorted(unknown))}: there are {', '.join(CASES)}")
    table = []
    failed = 0
    for name in options.cases or CASES:
        measure.say(f"{name} …")
        figures = CASES[name](options.full)
        peak = "" if figures.peak_bytes is None else f"{figures.peak_bytes / MB:.0f}"
        verdict = "; ".join([*figures.problems, figures.note]) if figures.problems else figures.note or "right"
        table.append([name, f"{figures.rows:,}", f"{figures.rejects:,}", f"{figures.seconds:.1f}", peak, verdict])
        failed += bool(figures.problems)
    print(measure.markdown_table(["case", "rows", "rejects", "seconds", "peak MB", "verdict"], table))
    print(f"{len(table) - failed} cases were right, {failed} were not")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
