"""The instruction gate: the instructions that the kernel takes to scan a row and to apply it, against kept numbers.

    python bench/instructions.py             count, and exit 1 where a stage grew by more than 2 %
    python bench/instructions.py --update    count, and keep the numbers
    python bench/instructions.py --policies  the same, and exit 1 where a policy costs 12 % more than the default

Instruction counts do not move with the load of a machine, as seconds do: two runs on the same build differ by less
than 0.01 %. They do move with the compiler, so bench/instructions.json keeps numbers for each compiler and processor
family, and a run without numbers to compare with says so and exits 0. The build must be the release.

Valgrind's callgrind counts; without valgrind nothing is counted, and the exit code is 0. A stage's count is that of a
process that does it for many rows less that of one that does it for few, so that Python's start cancels out. Applying
is counted as scanning and applying, less scanning. By policy the same rows are applied in one process, which is told
their number, since the index would otherwise grow at a time that depends on how many of them a policy applies. So the
default takes fewer instructions there, and 12 % of them are fewer, too.

This script must not know how the kernel does its work: it calls the reader and the ledger as a replay does.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from measure import BenchError, last_line, python_command, say

KEPT = Path(__file__).resolve().with_name("instructions.json")
STAGES = ("scan", "apply")
GROWTH_MAX = 0.02
# A build with checks takes several times the instructions of a release.
OTHER_BUILD_GROWTH = 0.5
POLICY_COST_MAX = 0.12

FEW_ROWS, MANY_ROWS = 20_000, 120_000
CLIENTS = 5_000
SEED = 20_260_101
HEADER = "type,client,tx,amount"
DUMP = "callgrind.out"  # the name of callgrind's files, which have a number behind it where there are several
# Disputes and what follows them name a deposit of this many rows before at most.
RECENT_ROWS = 2_000

Counts = dict[str, float]


# ---- The input -----------------------------------------------------------------------------------


def transactions(rows: int, seed: int = SEED) -> Iterator[str]:
    """The lines of a file with this many rows, the same each time: a tenth are disputes and their ends."""
    # `random()` alone gives the same numbers in every version of Python.
    chance = random.Random(seed).random
    deposits = [(1, 1)]
    yield HEADER
    for tx in range(1, rows + 1):
        client = 1 + int(chance() * CLIENTS)
        share = chance()
        if share < 0.9:
            kind = "deposit" if share < 0.6 else "withdrawal"
            amount = int(10 ** (1 + 5 * chance()))
            if kind == "deposit":
                deposits.append((client, tx))
            yield f"{kind},{client},{tx},{amount // 100}.{amount % 100:02}"
        else:
            client, disputed = deposits[-1 - int(chance() * min(len(deposits), RECENT_ROWS))]
            kind = "dispute" if share < 0.96 else "resolve" if share < 0.995 else "chargeback"
            yield f"{kind},{client},{disputed},"


def write_transactions(path: Path, rows: int) -> Path:
    path.write_text("\n".join(transactions(rows)) + "\n", encoding="ascii")
    return path


# ---- Counting ------------------------------------------------------------------------------------


def work(stage: str, path: str) -> None:
    """Scan a file, and with the stage `apply` apply its rows. Runs in a process of its own, from its source alone."""
    import os

    # The keys of the ledger's hashes, which would otherwise differ from run to run.
    os.urandom = lambda count: bytes(151 * index % 256 for index in range(1, count + 1))

    from txfast.batch.batch import TransactionBatch
    from txfast.ledger.ledger import Ledger
    from txfast.readers.csv import CsvReader

    batch = TransactionBatch()
    ledger = Ledger()
    with open(path, "rb", buffering=0) as file:
        reader = CsvReader(file, path)
        while reader.fill(batch):
            reader.scan(batch)
            if stage == "apply":
                ledger.apply(batch)


def work_by_policy(few: str, many: str, rows: str, *policies: str) -> None:
    """Apply the rows of two files by each policy, and call getppid before and after each time. Runs as `work` does."""
    import gc
    import os

    os.urandom = lambda count: bytes(151 * index % 256 for index in range(1, count + 1))
    gc.disable()

    from txfast.batch.batch import TransactionBatch
    from txfast.ledger.ledger import Ledger
    from txfast.ledger.policy import Policy
    from txfast.readers.csv import CsvReader

    files = []
    for path in (few, many):
        batches = [TransactionBatch()]
        with open(path, "rb", buffering=0) as file:
            reader = CsvReader(file, path)
            while reader.fill(batches[-1]):
                reader.scan(batches[-1])
                batches.append(TransactionBatch())
        files.append(batches[:-1])
    # All ledgers are kept: memory that one has freed would have to be zeroed for the next. The first ones are not
    # counted, since batches allocate their statuses then.
    ledgers = []
    for policy in ("", *policies):
        for batches in files:
            ledgers.append(Ledger(Policy(policy)))
            ledgers[-1].expect(int(rows))
            if len(ledgers) > len(files):
                os.getppid()
            for batch in batches:
                ledgers[-1].apply(batch)
    os.getppid()


def run_callgrind(command: list[str], folder: Path, *options: str) -> str:
    """Run a command under callgrind, which leaves its counts in `folder`; return its report."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("TXFAST_")}
    ended = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/{DUMP}", *options, *command],
        capture_output=True, text=True, errors="replace", env=environment | {"PYTHONHASHSEED": "0"},
    )  # fmt: skip
    if ended.returncode:
        raise BenchError(f"callgrind: {last_line(ended.stderr)}")
    return ended.stderr


def count_instructions(stage: str, path: Path, folder: Path) -> int:
    """The instructions of one process that does this stage, and those before it, for all rows of a file."""
    return collected(run_callgrind(python_command(work, stage, str(path)), folder))


def collected(report: str) -> int:
    """The number of instructions in what callgrind says at its end."""
    found = re.search(r"^==\d+== Collected : (\d+)$", report, re.MULTILINE)
    if found is None:
        raise BenchError(f"callgrind: no count in its report: {last_line(report)}")
    return int(found[1])


def policies() -> list[str]:
    """The default, each other value of each switch, the presets, and the last values of all switches together."""
    from txfast.ledger.policy import EXCLUDED, PRESETS, SWITCHES

    excluded = {name for name, *_ in EXCLUDED}
    single = [f"{switch.name}={value}" for switch in SWITCHES for value in list(switch.values)[1:]]
    last = [f"{switch.name}={list(switch.values)[-1]}" for switch in SWITCHES if switch.name not in excluded]
    return ["", *single, *PRESETS, ",".join(last)]


def count_policies(folder: Path) -> Counts:
    """The instructions of applying by each policy, a row."""
    few = write_transactions(folder / "few.csv", FEW_ROWS)
    many = write_transactions(folder / "many.csv", MANY_ROWS)
    names = policies()
    command = python_command(work_by_policy, str(few), str(many), str(MANY_ROWS), *names)
    run_callgrind(command, folder, "--dump-before=getppid")
    return by_policy(dumped(folder), names)


def dumped(folder: Path) -> list[int]:
    """The instructions between one call of getppid and the next, from callgrind's numbered files."""
    paths = sorted(folder.glob(f"{DUMP}.*"), key=lambda path: int(path.suffix[1:]))
    found = [re.search(r"^(?:summary|totals): (\d+)", path.read_text(), re.MULTILINE) for path in paths]
    return [int(each[1]) for each in found[1:] if each]


def by_policy(counts: Sequence[int], names: Sequence[str]) -> Counts:
    """Counts a row by policy, from two counts each: of few rows, and of many."""
    if len(counts) != 2 * len(names):
        raise BenchError(f"callgrind: {len(counts)} counts of {len(names)} policies, not two for each")
    rows = MANY_ROWS - FEW_ROWS
    return {name: round((counts[2 * i + 1] - counts[2 * i]) / rows, 1) for i, name in enumerate(names)}


def count_stages(folder: Path) -> Counts:
    """The instructions of each stage, a row."""
    few = write_transactions(folder / "few.csv", FEW_ROWS)
    many = write_transactions(folder / "many.csv", MANY_ROWS)
    totals = {
        stage: count_instructions(stage, many, folder) - count_instructions(stage, few, folder) for stage in STAGES
    }
    return per_row(totals, MANY_ROWS - FEW_ROWS)


def per_row(totals: Mapping[str, int], rows: int) -> Counts:
    """Counts a row of each stage alone, from the totals of each stage together with those before it."""
    counts: Counts = {}
    before = 0
    for stage, total in totals.items():
        counts[stage] = round((total - before) / rows, 1)
        before = total
    return counts


# ---- Comparing -----------------------------------------------------------------------------------


def compiler_of(module: Path) -> str:
    """The compiler and version that an extension module was built with, as the compiler noted it in the file."""
    found = re.search(rb"(GCC): \([^)]*\) ([0-9.]+)|(clang) version ([0-9.]+)", module.read_bytes())
    if found is None:
        return "unknown compiler"
    name, version = (found[1], found[2]) if found[1] else (found[3], found[4])
    return f"{name.decode().lower()} {version.decode()}"


def built_with() -> str:
    """What counts depend on: compiler, version and processor family."""
    from txfast.readers import csv

    assert csv.__file__ is not None
    return f"{compiler_of(Path(csv.__file__))} {platform.machine()}"


def compare(counts: Mapping[str, float], kept: Mapping[str, float]) -> list[str]:
    """A line for each stage that grew by more than GROWTH_MAX."""
    problems = []
    for stage, before in kept.items():
        growth = counts[stage] / before - 1
        if growth > GROWTH_MAX:
            hint = " (is this the release build?)" if growth > OTHER_BUILD_GROWTH else ""
            problems.append(
                f"{stage}: {counts[stage]} instructions a row, {before} before: {growth:+.1%}, "
                f"more than {GROWTH_MAX:.0%}{hint}"
            )
    return problems


def compare_policies(counts: Mapping[str, float]) -> list[str]:
    """A line for each policy whose rows take more instructions than by default, by more than POLICY_COST_MAX."""
    return [
        f"apply by {policy}: {count} instructions a row, {counts['']} by default: {count / counts[''] - 1:+.1%}, "
        f"more than {POLICY_COST_MAX:.0%}"
        for policy, count in counts.items()
        if count / counts[""] - 1 > POLICY_COST_MAX
    ]


def read_kept() -> dict[str, Counts]:
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}


def keep(builder: str, counts: Counts) -> None:
    kept = read_kept() | {builder: counts}
    KEPT.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Count the instructions of scan and apply, and compare.")
    parser.add_argument("--update", action="store_true", help="keep the numbers in bench/instructions.json")
    parser.add_argument("--policies", action="store_true", help="count and compare policies too")
    options = parser.parse_args(arguments)
    if shutil.which("valgrind") is None:
        print("SKIPPED: no valgrind, which counts instructions; nothing was compared")
        return 0
    builder = built_with()
    try:
        with tempfile.TemporaryDirectory(prefix="txfast-instructions.") as folder:
            counts = count_stages(Path(folder))
            by_name = count_policies(Path(folder)) if options.policies else {}
    except BenchError as error:
        say(f"instructions: {error}")
        return 2
    kept = read_kept().get(builder)
    for stage, count in counts.items():
        change = f", {count / kept[stage] - 1:+.1%}" if kept and stage in kept else ""
        print(f"{stage}: {count} instructions a row{change} ({builder})")
    for policy, count in by_name.items():
        print(f"apply by {policy or 'default'}: {count} instructions a row, {count / by_name[''] - 1:+.1%}")
    costly = compare_policies(by_name)
    for problem in costly:
        say(f"instructions: {problem}; mend it: a policy may cost no more")
    if options.update:
        keep(builder, counts)
    elif kept is None:
        print(f"SKIPPED: {KEPT.name} has no numbers for {builder}; --update keeps these")
    else:
        grown = compare(counts, kept)
        for problem in grown:
            say(f"instructions: {problem}; mend it, or keep the new numbers by --update and say why in the commit")
        return 1 if grown or costly else 0
    return 1 if costly else 0


if __name__ == "__main__":
    sys.exit(main())
