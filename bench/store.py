"""Measures what rows cost beside a state: to look up what they need of it, and to write what they have changed.

    python bench/store.py [--transactions 10e6] [--accounts 500e3] [--rows 1e3,1e5,1e6] [-o bench/results.md]

A state of so many transactions and accounts is made once, and kept. Then days of so many rows are replayed over it,
each from the same state, with ids that grow and with random ones: rows of random clients, a hundredth of them disputes
of old deposits. Results go to standard output and into a section of a Markdown file.

This file must know only the ledger and the store.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from measure import (
    add_number,
    add_paths,
    describe_machine,
    exit_code_of,
    markdown_table,
    say,
    whole_numbers,
    write_section,
)
from numpy.typing import NDArray

from txfast.batch.batch import TransactionBatch
from txfast.input.source import ARROW_STREAM, Source
from txfast.ledger.ledger import Ledger
from txfast.readers.table import TableReader
from txfast.store.active import ActiveAccounts
from txfast.store.prefetch import prefetch
from txfast.store.run_merge import merge
from txfast.store.runs import Runs
from txfast.store.seal import seal
from txfast.store.segment import Segment
from txfast.store.segment_form import Form

NOTES = """\
Nanoseconds a row in one thread: of its processor, and *wall* of the clock. *prefetch* loads what rows need of the
state, *apply* applies them, *seal* writes what is new or changed. *loaded* are the transactions that were loaded,
*written* the rows of accounts and transactions. The state's files are in the system's cache.
"""

Numbers = NDArray[np.uint64]

KEY = bytes(range(32))
SORTS: dict[str, Literal["accounts", "entries"]] = {"accounts": "accounts", "entries": "entries", "changes": "entries"}
BASE_ROWS = 4_000_000  # of a run while the state is made
DISPUTES = 0.01
STAGES = ("prefetch", "apply", "seal")
COLUMNS = (*STAGES, *(f"{stage} wall" for stage in STAGES), "loaded", "written")
PATTERNS = ("growing", "random")
TYPES = pa.array(["deposit", "withdrawal", "dispute"])


class State:
    """The runs of a state in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.forms = {sort: Form(kind, None, KEY) for sort, kind in SORTS.items()}
        self.runs: dict[str, list[list[Segment]]] = {sort: [] for sort in SORTS}
        self._numbers = count()

    def path_of(self, sort: str, _number: int) -> str:
        return str(self.folder / f"{sort}-{next(self._numbers)}.arrow")

    def take(self, sort: str, written: Sequence[tuple[str, dict[str, object]]]) -> list[Segment]:
        return [Segment(path, description, self.forms[sort]) for path, description in written]

    def merge(self, sort: str) -> None:
        """Make one run of all."""
        if len(self.runs[sort]) > 1:
            written, _ = merge(self.runs[sort], self.path_of, self.forms[sort])
            self.runs[sort] = [self.take(sort, written)]


def mixed(numbers: Numbers) -> Numbers:
    """Words that look random, other ones for other numbers (splitmix64)."""
    numbers = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ numbers >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ numbers >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return numbers ^ numbers >> np.uint64(31)


def table_of(first: int, rows: int, accounts: int, pattern: str, old: int = 0) -> pa.Table:
    """Rows, from the number `first` on: each number has one client and one id, which grows or is random. A hundredth
    of them dispute a row of a number below `old`."""
    numbers = np.arange(first, first + rows, dtype=np.uint64)
    chances = mixed(~numbers)
    kinds = (chances % np.uint64(5) > 2).astype(np.int8)
    if old:
        disputes = chances >> np.uint64(40) < np.uint64(DISPUTES * (1 << 24))
        kinds[disputes] = 2
        numbers[disputes] = chances[disputes] % np.uint64(old)
    amounts = np.where(kinds == 0, 1_000 + (chances % np.uint64(977)).astype(np.int64), 1)
    return pa.table({
        "type": pa.DictionaryArray.from_arrays(pa.array(kinds), TYPES),
        "client": mixed(numbers) % np.uint64(accounts) + np.uint64(1),
        "tx": numbers if pattern == "growing" else mixed(mixed(numbers)),
        "amount": pa.array(amounts),
    })  # fmt: skip


def batches_of(table: pa.Table) -> list[TransactionBatch]:
    """A table as batches."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    reader = TableReader(Source("rows", io.BytesIO(sink.getvalue()), None, ARROW_STREAM), keep_text=False)  # type: ignore[arg-type]
    batches: list[TransactionBatch] = []
    while True:
        batch = TransactionBatch()
        if not reader.fill(batch):
            return batches
        reader.scan(batch)
        assert not batch.malformed_rows
        batches.append(batch)


def moment() -> tuple[float, float]:
    """The seconds of the clock, and those that this thread has used."""
    return time.perf_counter(), time.thread_time()


def live(state: State, batches: Sequence[TransactionBatch], rows: int) -> dict[str, float]:
    """A day: look up, apply and write. Returns the nanoseconds a row of each: those used, and those of the clock."""
    active = ActiveAccounts(Ledger())
    active.ledger.expect(rows)
    moments = [moment()]
    prefetch(active, Runs(**state.runs), batches)
    moments.append(moment())
    for batch in batches:
        active.ledger.apply(batch)
    moments.append(moment())
    sealed = seal([active], state.path_of, state.forms, durable=False)
    moments.append(moment())
    for sort, runs in state.runs.items():
        if run := state.take(sort, getattr(sealed, sort)):
            runs.append(run)
    times = {}
    for name, (wall, used), (wall_after, used_after) in zip(STAGES, moments, moments[1:], strict=False):
        times[name] = (used_after - used) / rows * 1e9
        times[f"{name} wall"] = (wall_after - wall) / rows * 1e9
    return times | {
        "loaded": active.ledger.entries - sealed.new_entries,
        "written": sum(description["rows"] for sort in SORTS for _, description in getattr(sealed, sort)),
    }


def make_state(folder: Path, transactions: int, accounts: int, pattern: str) -> State:
    """A state of so many transactions, from the folder if it is there: one run of each sort."""
    folder.mkdir(parents=True, exist_ok=True)
    state, kept = State(folder), folder / "runs.json"
    if kept.exists():
        for sort, runs in json.loads(kept.read_text()).items():
            state.runs[sort] = [state.take(sort, run) for run in runs]
    else:
        for left in folder.glob("*.arrow"):  # of a run that did not end
            left.unlink()
        for first in range(0, transactions, BASE_ROWS):
            rows = min(BASE_ROWS, transactions - first)
            live(state, batches_of(table_of(first, rows, accounts, pattern)), rows)
            say(f"{first + rows:,} of {transactions:,} transactions")
        for sort in SORTS:
            state.merge(sort)
        runs = {
            sort: [[(each.path, each.description) for each in run] for run in runs] for sort, runs in state.runs.items()
        }
        kept.write_text(json.dumps(runs))
    state.folder = folder / "days"
    state.folder.mkdir(exist_ok=True)
    return state


def measure(pattern: str, options: argparse.Namespace) -> Iterator[list[str]]:
    """The table's rows for a pattern of ids: the least of several days of each size."""
    folder = options.cache / f"store-{pattern}-{options.transactions}-{options.accounts}"
    state = make_state(folder, options.transactions, options.accounts, pattern)
    base = {sort: list(runs) for sort, runs in state.runs.items()}
    for rows in options.rows:
        batches = batches_of(table_of(options.transactions, rows, options.accounts, pattern, options.transactions))
        days = []
        for _ in range(options.rounds):
            days.append(live(state, batches, rows))
            state.runs = {sort: list(runs) for sort, runs in base.items()}
            for path in state.folder.iterdir():
                path.unlink()
        yield [pattern, f"{rows:,}", *(f"{min(day[name] for day in days):,.0f}" for name in COLUMNS)]


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what rows cost beside a state.", allow_abbrev=False)
    add_number(parser, "--transactions", 10_000_000, "transactions of the state")
    add_number(parser, "--accounts", 500_000, "accounts of the state")
    parser.add_argument(
        "--rows", metavar="N,…", type=whole_numbers,
        default=[1_000, 100_000, 1_000_000], help="rows of a day (default: 1e3,1e5,1e6)",
    )  # fmt: skip
    add_number(parser, "--rounds", 3, "days of each")
    add_paths(parser)
    return parser.parse_args(arguments)


def measure_all(options: argparse.Namespace) -> None:
    """Measure, print and write."""
    table = markdown_table(
        ("ids", "rows", *COLUMNS), [row for pattern in PATTERNS for row in measure(pattern, options)]
    )
    print(table)
    title = f"## A state of {options.transactions:,} transactions and {options.accounts:,} accounts"
    write_section(options.output, "store", (title, describe_machine(["numpy", "pyarrow"]), table, NOTES))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = parse_arguments(arguments)
    return exit_code_of("store.py", lambda: measure_all(options))


if __name__ == "__main__":
    sys.exit(main())
