"""Readers beside a writer: each reader must always see a whole commit, and never an older one than before.

    python -m tests.campaigns.readers_beside_commits [--commits N] [--seed N]

Each commit moves the same amount from each even client to the next one. So after N commits every even client has N
times that amount less than at first, and every odd one more: any mixture of two commits shows. One program commits, by
`txfast.open`, by `txfast.process` over a file that grows, and by the command; sometimes it compacts the state. Two
programs read all the time, by the command for all accounts and for some, by `txfast.open` and by `Ledger.load`.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import logging
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import txfast
from tests.support.command import environment, unmeasured
from tests.support.project import PROJECT_ROOT
from tests.support.rows import Row, make_file

CLIENTS = 40
SHOWN_CLIENTS = (0, 1, 18, 39)
FIRST_UNITS = 10**9
MOVED_UNITS = 7
READERS = 2
PATIENCE_SECONDS = 1800
MODULE = "tests.campaigns.readers_beside_commits"
COMMAND = (sys.executable, "-m", "txfast", "-q")
QUIET = logging.Logger("quiet", logging.CRITICAL)

# Units by client.
Balances = dict[int, int]


class TornError(Exception):
    """A reader saw something that is no whole commit."""


# ---- The writer --------------------------------------------------------------------------------------


def begin(folder: Path) -> None:
    """Commit what each client has at first."""
    first = [Row("deposit", client, client, FIRST_UNITS) for client in range(CLIENTS)]
    (folder / "moves.csv").write_bytes(make_file(first))
    txfast.process(folder / "moves.csv", state=folder / "state", logger=QUIET)


def moves(number: int) -> list[Row]:
    """The rows of the commit with this number."""
    rows = []
    for client in range(0, CLIENTS, 2):
        tx = CLIENTS * number + client
        rows += [Row("withdrawal", client, tx, MOVED_UNITS), Row("deposit", client + 1, tx, MOVED_UNITS)]
    return rows


def commit_by_open(folder: Path, numbers: Iterable[int]) -> None:
    with txfast.open(folder / "state", logger=QUIET) as ledger:
        for number in numbers:
            ledger.apply(io.BytesIO(make_file(moves(number))))
            ledger.commit()


def commit_by_process(folder: Path, numbers: Iterable[int]) -> None:
    for number in numbers:
        with (folder / "moves.csv").open("ab") as file:
            file.write(b"".join(row.line() + b"\n" for row in moves(number)))
        txfast.process(folder / "moves.csv", state=folder / "state", logger=QUIET)


def commit_by_command(folder: Path, numbers: Iterable[int]) -> None:
    for number in numbers:
        content = make_file(moves(number))
        subprocess.run(
            [*COMMAND, "--state", folder / "state", "-"], input=content, stdout=subprocess.DEVNULL, check=True
        )


def write(folder: Path, commits: int, seed: int) -> None:
    """Commit so many times, in another way every few times."""
    chance = random.Random(seed)
    ways: tuple[Callable[[Path, Iterable[int]], None], ...] = (commit_by_open, commit_by_process, commit_by_command)
    done = 0
    while done < commits:
        numbers = range(done + 1, min(done + chance.randint(1, 20), commits) + 1)
        chance.choice(ways)(folder, numbers)
        done = numbers[-1]
        if chance.random() < 0.1:
            subprocess.run([*COMMAND, "--state", folder / "state", "--compact"], stdin=subprocess.DEVNULL, check=True)


# ---- The readers -------------------------------------------------------------------------------------


def print_accounts(state: Path) -> Balances:
    return printed(state)


def print_some_accounts(state: Path) -> Balances:
    return printed(state, *(f"--account={client}" for client in SHOWN_CLIENTS))


def printed(state: Path, *options: str) -> Balances:
    """The accounts that the command prints."""
    ended = subprocess.run(
        [*COMMAND, "--state", state, *options], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if ended.returncode:
        raise TornError(f"exit code {ended.returncode}: {ended.stderr.decode()}")
    rows = csv.DictReader(io.StringIO(ended.stdout.decode()))
    return {int(row["client"]): units(row["total"]) for row in rows}


def open_and_look(state: Path) -> Balances:
    """Each account by itself, and all of them: they must be of one commit, though others come meanwhile."""
    with txfast.open(state, logger=QUIET) as ledger:
        found = {client: units(ledger[client].total) for client in range(CLIENTS)}
        every = {int(account.client): units(account.total) for account in ledger.accounts()}
    if found != every:
        raise TornError(f"an open ledger has {found} by client, and {every} at once")
    return found


def load(state: Path) -> Balances:
    ledger = txfast.Ledger.load(state, logger=QUIET)
    return {int(account.client): units(account.total) for account in ledger.accounts()}


def units(amount: object) -> int:
    """An amount in units of 0.0001."""
    return int(str(amount).replace(".", ""))


def number_of_commit(balances: Balances) -> int:
    """The commit that left these balances. Raises TornError if none did."""
    numbers = {
        (FIRST_UNITS - balance if client % 2 == 0 else balance - FIRST_UNITS) / MOVED_UNITS
        for client, balance in balances.items()
    }
    if len(numbers) != 1 or not (number := numbers.pop()).is_integer():
        raise TornError(f"no commit left {balances}")
    return int(number)


WAYS: dict[str, Callable[[Path], Balances]] = {
    "print": print_accounts, "--account": print_some_accounts, "open": open_and_look, "load": load,
}  # fmt: skip


def read(folder: Path, seed: int) -> dict[str, int]:
    """Read until the writer has ended, and once more. Returns how often each way read, how many different commits were
    seen, and which was last. Raises TornError, and what a way raises."""
    chance = random.Random(seed)
    reads: Counter[str] = Counter()
    seen, last, is_over = set(), 0, False
    while not is_over:
        is_over = (folder / "over").exists()
        for way in WAYS if is_over else (chance.choice(list(WAYS)),):
            last = look(folder / "state", way, last)
            reads[way] += 1
            seen.add(last)
    return {**reads, "different commits": len(seen), "last": last}


def look(state: Path, way: str, last: int) -> int:
    """Read this way, after commit `last` was seen; return the number of the commit that is seen now. Raises TornError,
    and what the way raises."""
    balances = WAYS[way](state)
    number = number_of_commit(balances)
    if number < last or len(balances) != (len(SHOWN_CLIENTS) if way == "--account" else CLIENTS):
        raise TornError(f"{way}: {len(balances)} accounts of commit {number}, after commit {last} was seen")
    return number


# ---- Both --------------------------------------------------------------------------------------------


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start this module as a writer or a reader."""
    paths = os.pathsep.join([str(PROJECT_ROOT), *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, "-m", MODULE, "--folder", str(folder), *words], cwd=PROJECT_ROOT,
        env=unmeasured(environment()) | {"PYTHONPATH": paths}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ended(process: subprocess.Popen[str], what: str) -> tuple[str, list[str]]:
    """Wait until a program ends: its output, and what is wrong."""
    try:
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
    return output, [f"{what}: exit code {process.returncode}: {errors[-2000:]}"] if process.returncode else []


def watch(folder: Path, commits: int, seed: int) -> tuple[list[dict[str, int]], list[str]]:
    """Write and read at once in a folder. Returns what each reader read, and what is wrong."""
    begin(folder)
    readers = [start(folder, "--read", "--seed", str(seed + number)) for number in range(READERS)]
    words = ["--write", "--commits", str(commits), "--seed", str(seed)]
    _, wrong = ended(start(folder, *words), "the writer")
    (folder / "over").touch()
    reads = []
    for reader in readers:
        output, failures = ended(reader, "a reader")
        wrong += failures
        if not failures:
            reads.append(json.loads(output))
            if reads[-1]["last"] != commits and not wrong:
                wrong.append(f"a reader saw commit {reads[-1]['last']} when all {commits} were there")
    return reads, wrong


def run(commits: int, seed: int) -> int:
    """Run a writer and readers; return the exit code. At a finding the folder is kept."""
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="txfast-commits-")).resolve()
    reads, wrong = watch(folder, commits, seed)
    for each in reads:
        print("a reader:", ", ".join(f"{count:,} {name}" for name, count in sorted(each.items())))
    for text in wrong:
        print(f"FOUND: seed {seed}, {commits} commits, in {folder}: {text}")
    if not wrong:
        shutil.rmtree(folder)
        print(f"{commits:,} commits beside {READERS} readers, in {time.monotonic() - started:.0f} s", flush=True)
    return int(bool(wrong))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both; or, for them, the writer or a reader."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--commits", metavar="N", type=int, default=1000, help="number of commits (default: 1000)")
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="seed of all choices (default: 1)")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    for name in ("--write", "--read"):
        parser.add_argument(name, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.write:
        write(options.folder, options.commits, options.seed)
    elif options.read:
        print(json.dumps(read(options.folder, options.seed)))
    else:
        return run(options.commits, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
