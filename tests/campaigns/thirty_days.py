"""Thirty days of one state, each run in another way; then readers beside a writer that commits a thousand times.

    python -m tests.campaigns.thirty_days [--days N] [--rows N] [--engines LIST] [--commits N] [--seed N]

Each day has random rows, of which many name payments of earlier days. It is run on one machine, or on an engine of a
cluster. On one machine it has a number of threads, and may have the least memory, pyarrow's reader, or checkpoints and
kills. Files are CSV, JSON lines or Parquet. Some days begin with --compact or --verify.

After each day the rejects and the accounts must be those of the reference, and the state must verify. No id of an
earlier day may be applied again, and each dispute of an open deposit of an earlier day must be applied: EarlyRows in
tests/support/random_days.py checks that. After the last day, one run over all files without a state must give the same
accounts.

The engines are `one` (one machine), `tasks` (a cluster's tasks in this process), `dask` and `spark`. Those that are not
installed are skipped. At a finding, the folder with the files and the state before the day is kept, and its name is
printed with the commands. readers_beside_commits.py has the second part.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.campaigns import readers_beside_commits
from tests.support.command import environment, unmeasured
from tests.support.engines import engine_variables, run_cluster
from tests.support.random_days import FORMATS, ID_ORDERS, DayFile, EarlyRows, RandomDays, write_file
from tests.support.reference import Replay
from tests.support.rows import make_file
from txfast.errors import TxfastError

PATIENCE_SECONDS = 300
MODULES = {"one": "txfast", "tasks": "txfast", "dask": "txfast.cluster.dask", "spark": "txfast.cluster.spark"}
NEEDED = {"dask": "distributed", "spark": "pyspark"}
# What a run with a state needs at least.
LEAST_MEMORY = "256MiB"
CHORES = ("", "", "", "--compact", "--verify")

# Of a row that was not applied: the name of the file, the line, the reason, type, client and tx.
Reject = tuple[str, int, str, str, str, str]


class PromiseError(Exception):
    """Something that is not as promised."""


class Way(NamedTuple):
    """How a day is run: by which engine, with which options, killed up to so many times, and what is done before."""

    engine: str
    options: Sequence[str]
    kills: int
    chore: str


def choose_way(chance: random.Random, engines: Sequence[str]) -> Way:
    """A way to run a day."""
    engine, chore = chance.choice(engines), chance.choice(CHORES)
    options, kills = [], 0
    if engine == "one":
        options = ["--threads", str(chance.randint(1, 4))]
        if chance.random() < 0.4:
            options += ["--memory-limit", LEAST_MEMORY]
        if chance.random() < 0.5:
            options, kills = [*options, "--checkpoint", "0"], chance.randint(1, 4)
        else:
            options += ["--reader", chance.choice(["native", "arrow"])]
    else:
        range_bytes = chance.choice([20_000, 200_000, 1 << 26])
        options = ["--shards", str(chance.randint(1, 5)), "--range-size", str(range_bytes)]
        if engine == "spark":
            options += ["--master", "local[2]"]
    return Way(engine, options, kills, chore)


class Days:
    """The days of one state, in a folder."""

    def __init__(self, folder: Path, chance: random.Random, id_order: str, clients: int) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.commands: list[str] = []  # of the last day
        self.counts: Counter[str] = Counter()
        self.early = EarlyRows()
        self._chance = chance
        self._random_days = RandomDays(chance, id_order, clients)
        self._reference = Replay()
        self._files: list[DayFile] = []
        self._variables = unmeasured(environment()) | engine_variables(folder)
        self._day = 0

    # ---- Commands ----------------------------------------------------------------------------------

    def _command(self, module: str, *arguments: str) -> list[str]:
        command = [sys.executable, "-m", module, *arguments]
        self.commands.append(" ".join(command))
        return command

    def _start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, cwd=self.folder, env=self._variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip

    def _end(self, process: subprocess.Popen[bytes]) -> bytes:
        """Wait until a command ends; return its standard output. Raises PromiseError if it fails."""
        try:
            output, errors = process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise PromiseError(f"did not end within {PATIENCE_SECONDS} s") from None
        if process.returncode:
            raise PromiseError(f"exit code {process.returncode}: {errors.decode()[-2000:]}")
        return output

    def _run(self, module: str, *arguments: str) -> bytes:
        return self._end(self._start(self._command(module, *arguments)))

    def _verify(self) -> None:
        self._run("txfast", "--state", "state", "--verify")

    # ---- A day -------------------------------------------------------------------------------------

    def run_day(self, way: Way, rows: int) -> None:
        """Make a day and run it this way. Raises PromiseError."""
        self._day += 1
        self.commands.clear()
        # pyarrow reads no JSON lines.
        files = self._make_files(rows, [each for each in FORMATS if each != "jsonl" or "arrow" not in way.options])
        if self.state.exists():
            shutil.rmtree(self.folder / "state.before", ignore_errors=True)
            shutil.copytree(self.state, self.folder / "state.before")
            if way.chore:
                self._run("txfast", "--state", "state", way.chore)
                self.counts[way.chore] += 1
        names = [file.path.name for file in files]
        if way.engine == "tasks":
            accounts, rejects = self._run_tasks(way, names)
        else:
            outputs = ("-o", "accounts.csv", "--rejects", "rejects.csv")
            arguments = [*names, "--state", "state", *outputs, *way.options]
            if way.kills:
                self._run_and_kill(arguments, way.kills)
            else:
                self._run(MODULES[way.engine], *arguments)
            accounts, rejects = ((self.folder / name).read_bytes() for name in ("accounts.csv", "rejects.csv"))
        self.counts[way.engine] += 1
        self.counts["rows"] += sum(len(file.rows) for file in files)
        self._check_day(files, accounts, rejects)

    def _make_files(self, rows: int, formats: Sequence[str]) -> list[DayFile]:
        made = []
        for part in range(self._chance.randint(1, 3)):
            path = self.folder / f"day-{self._day}-{part}.{self._chance.choice(formats)}"
            made.append(write_file(path, self._random_days.rows(self._chance.randint(rows // 4, rows))))
        return made

    def _run_tasks(self, way: Way, names: Sequence[str]) -> tuple[bytes, bytes]:
        """Run a day by a cluster's tasks in this process."""
        paths = [str(self.folder / name) for name in names]
        self.commands.append(f"run_cluster of tests/support/engines.py: {' '.join([*way.options, *paths])}")
        _, shards, _, range_bytes = way.options
        try:
            found = run_cluster(*paths, shards=int(shards), range_bytes=int(range_bytes), state=str(self.state))
        except TxfastError as error:
            raise PromiseError(str(error)) from error
        return found.accounts, found.rejects

    def _run_and_kill(self, arguments: Sequence[str], kills: int) -> None:
        """Run a day on one machine, kill it up to so many times, and each time run the same command again."""
        before = self._newest()
        for _ in range(kills):
            process = self._start(self._command("txfast", *arguments))
            was_killed = self._kill_sometime(process)
            if not was_killed:
                self._end(process)
                return
            self.counts["kills"] += 1
            self.counts["kills that left a checkpoint"] += bool(self._checkpoints())
            if self._newest() or self._checkpoints():
                self._verify()
            if self._newest() > before:
                self.counts["kills of a run that had published"] += 1
                return
        self._run("txfast", *arguments)

    def _kill_sometime(self, process: subprocess.Popen[bytes]) -> bool:
        """Kill a run at a random moment, half the time after it has taken another checkpoint. Returns False if it ended
        by itself."""
        known = self._checkpoints()
        started = time.monotonic()
        if self._chance.random() < 0.5:
            while process.poll() is None and self._checkpoints() <= known and time.monotonic() < started + 60:
                time.sleep(0.001)
            seconds = self._chance.uniform(0, 0.05)
        else:
            seconds = self._chance.uniform(0.02, 0.25)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return True
        return False

    def _checkpoints(self) -> set[str]:
        return {path.name for path in self.state.glob("checkpoint-*") if path.suffix != ".part"}

    def _newest(self) -> int:
        """The number of the newest snapshot; 0 if there is none."""
        numbers = [path.name.partition("-")[2] for path in self.state.glob("snapshot-*")]
        return max((int(number) for number in numbers if number.isdigit()), default=0)

    # ---- Checks ------------------------------------------------------------------------------------

    def _check_day(self, files: Sequence[DayFile], accounts: bytes, rejects: bytes) -> None:
        """Compare the results of a day with the reference and with what is promised of earlier days."""
        found = rejects_in(rejects)
        expected = self._expected(files)
        if found != expected:
            raise PromiseError(f"the rejects differ: {first_difference(found, expected)}")
        rows = [row for file in files for row in file.rows]
        wrong = self.early.check_day(rows, reasons_of_rows(files, found))
        if wrong:
            raise PromiseError(f"{len(wrong)} rows about earlier days are wrong, first {wrong[0]}")
        if accounts != self._reference.accounts_csv():
            raise PromiseError(f"accounts differ: {first_line_that_differs(accounts, self._reference.accounts_csv())}")
        if self._run("txfast", "--state", "state", "-q") != accounts:
            raise PromiseError("the accounts in the state are not those that the day printed")
        self._verify()
        self._files += files

    def _expected(self, files: Sequence[DayFile]) -> list[Reject]:
        """The rejects of the day by the reference, which reads the rows of each file as CSV."""
        rejects: list[Reject] = []
        for file in files:
            before = len(self._reference.rejects)
            self._reference.read(file.path.name, make_file(file.rows))
            for each in self._reference.rejects[before:]:
                texts = (each.type.decode(), each.client.decode(), each.tx.decode())
                rejects.append((each.file, each.line - 2 + file.first_line, each.reason, *texts))
        return rejects

    def check_whole(self) -> None:
        """Compare all days with one run over all files without a state. Raises PromiseError."""
        accounts = self._run("txfast", "-q", *(file.path.name for file in self._files))
        expected = self._reference.accounts_csv()
        if accounts != expected:
            raise PromiseError(f"one run differs from the days: {first_line_that_differs(accounts, expected)}")
        if not (self.early.duplicates and self.early.disputes):
            raise PromiseError(f"too few rows: {self.early.duplicates} duplicates, {self.early.disputes} disputes")


def rejects_in(content: bytes) -> list[Reject]:
    """The rejects in a file of them."""
    rows = list(csv.reader(content.decode().splitlines()))[1:]
    return [(Path(file).name, int(line), reason, *texts[:3]) for file, line, _, reason, *texts in rows]  # type: ignore[misc]


def reasons_of_rows(files: Sequence[DayFile], rejects: Sequence[Reject]) -> list[str]:
    """What became of each row: the reason for which it was not applied, or ""."""
    reasons = {(file, line): reason for file, line, reason, *_ in rejects}
    return [
        reasons.get((file.path.name, file.first_line + index), "") for file in files for index in range(len(file.rows))
    ]


def first_difference(found: Sequence[object], expected: Sequence[object]) -> str:
    """The first place in which two lists differ."""
    for index, (one, other) in enumerate(zip(found, expected, strict=False)):
        if one != other:
            return f"number {index} is {one!r}, and {other!r} by the reference"
    return f"there are {len(found)}, and {len(expected)} by the reference"


def first_line_that_differs(found: bytes, expected: bytes) -> str:
    return first_difference(found.splitlines(), expected.splitlines())


# ---- The campaign ------------------------------------------------------------------------------------


def run_days(folder: Path, seed: int, days: int, rows: int, engines: Sequence[str]) -> Days:
    """Run the days in a folder, and print each. Raises PromiseError, with the commands of the day."""
    chance = random.Random(seed)
    id_order = ID_ORDERS[seed % len(ID_ORDERS)]
    print(f"seed {seed}: {days} days, up to {rows:,} rows a file, ids {id_order}, on {','.join(engines)}", flush=True)
    run = Days(folder, chance, id_order, clients=rows // 4 + 1)
    for day in range(1, days + 1):
        way = choose_way(chance, engines)
        print(f"day {day}: {way.chore} {way.engine} {' '.join(way.options)}", flush=True)
        try:
            run.run_day(way, rows)
            if day == days:
                run.check_whole()
        except PromiseError as finding:
            commands = "\n".join(run.commands)
            raise PromiseError(f"seed {seed}, day {day}: {finding}\nin {folder}, which ran:\n{commands}") from finding
    print(", ".join(f"{count:,} {name}" for name, count in sorted(run.counts.items())))
    print(f"{run.early.duplicates:,} duplicates and {run.early.disputes:,} disputes of earlier days", flush=True)
    return run


def installed(engines: Sequence[str]) -> list[str]:
    """The engines that can run here. Says which are skipped."""
    found = []
    for engine in engines:
        module = NEEDED.get(engine)
        if module is not None and importlib.util.find_spec(module) is None:
            print(f"SKIPPED: {module} is not installed: tests/cluster/requirements.txt has it")
        elif engine == "spark" and shutil.which("java") is None:
            print("SKIPPED: there is no Java, which Spark needs")
        else:
            found.append(engine)
    return found


def engine_list(text: str) -> list[str]:
    """Names of engines between commas."""
    names = text.split(",")
    if unknown := set(names) - set(MODULES):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: an engine is one of {', '.join(MODULES)}")
    return names


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both parts; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--days", metavar="N", type=int, default=30, help="number of days (default: 30)")
    parser.add_argument("--rows", metavar="N", type=int, default=40_000, help="most rows of a file (default: 40000)")
    parser.add_argument("--engines", metavar="LIST", type=engine_list, default=["one", "dask", "spark"])
    parser.add_argument("--commits", metavar="N", type=int, default=1000, help="of the second part (default: 1000)")
    parser.add_argument("--seed", metavar="N", type=int, default=1, help="seed of the random rows (default: 1)")
    options = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="txfast-days-")).resolve()
    try:
        if options.days:
            run_days(folder, options.seed, options.days, options.rows, installed(options.engines))
    except PromiseError as finding:
        print(f"FOUND: {finding}")
        print("state.before there is the state before that day")
        return 1
    shutil.rmtree(folder)
    return readers_beside_commits.run(options.commits, options.seed) if options.commits else 0


if __name__ == "__main__":
    sys.exit(main())
