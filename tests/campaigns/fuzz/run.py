"""Fuzzes the kernel, guided by coverage and under sanitizers: python -m tests.campaigns.fuzz.run [OPTION …] [TARGET …].

    --seconds N       seconds for all targets together (default: 60)
    --executions N    instead: executions of each target
    --seed N          seed of the mutations (default: random)

It copies the project to a temporary folder and builds it there with Clang (needed: `clang-14` and `libclang-rt-14-dev`,
and `pip install -r tests/campaigns/fuzz/requirements.txt`). Chunks and tables are small in the copy, so that a short
stream of transactions reaches their limits. Targets are in targets.py; they share the cores. Findings are kept in
build/fuzz/; each becomes a test as a file in tests/campaigns/fuzz/corpus/<target>/. The target `canary` has a planted
bug. It runs first; if it is not found, nothing else runs.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from tests.support.project import PROJECT_ROOT, copy_project

FOLDER = Path(__file__).resolve().parent
CORPUS = FOLDER / "corpus"
FINDINGS = PROJECT_ROOT / "build" / "fuzz"
COMPILER = "clang-14"

TARGETS = ("row", "plain", "money", "scanner", "json", "notes", "arrow", "table", "ledger", "saved")
CANARY = "canary"
CANARY_EXECUTIONS = 5_000_000
INPUT_BYTES_MAX = {
    "row": 64, "plain": 64, "money": 32, "scanner": 256, "json": 256, "notes": 256, "arrow": 128, "table": 49,
    "ledger": 64, "saved": 49, CANARY: 32,
}  # fmt: skip
# For targets whose texts are small Python objects: each object needs a block of its own, or an overrun into the next
# object is not detected.
PYTHON_MALLOC = {"scanner": "malloc", "json": "malloc", "notes": "malloc", "arrow": "malloc"}
# An execution that takes longer is a finding too.
EXECUTION_SECONDS_MAX = 10

INSTRUMENTED = "-g -O2 -fno-omit-frame-pointer -fno-wrapv -fsanitize=fuzzer-no-link,address,undefined"
# By file: the constants that are made small. They are sizes of chunks of the logs, of the first index and table of
# accounts, and of sorting.
SMALL = {
    "txfast/ledger/entries.pxd": (("CHUNK_BITS = 19", "CHUNK_BITS = 3"), ("ENTRIES = 1 << 19", "ENTRIES = 1 << 3")),
    "txfast/ledger/sizes.pxd": (("INDEX_CAPACITY_MIN = 4096", "INDEX_CAPACITY_MIN = 4"),),
    "txfast/ledger/key_order.pyx": (
        (" BUCKETS = 2100", " BUCKETS = 5"), ("SMALL_BUCKETS = 512", "SMALL_BUCKETS = 3"),
        ("INSERTION_KEYS_MAX = 32", "INSERTION_KEYS_MAX = 1"),
    ),
    "txfast/ledger/account_table.pxd": (("else 1024\n", "else 2\n"),),
}  # fmt: skip


class FuzzError(Exception):
    """Why fuzzing could not start."""


class Outcome(NamedTuple):
    """The result of one target."""

    target: str
    exit_code: int
    executions: int
    seconds: float
    output: str
    findings: list[Path]


def build_module(source: Path, environment: dict[str, str], project: Path) -> None:
    """Build one extension module of the fuzzers, beside its source."""
    command = [sys.executable, "-m", "Cython.Build.Cythonize", "-q", "-i", "-3", str(source)]
    flags = f"{environment.get('CFLAGS', '')} -I{project}"
    made = subprocess.run(
        command, cwd=project, env=environment | {"CFLAGS": flags}, capture_output=True, text=True, check=False
    )
    if made.returncode:
        raise FuzzError(f"{source.name} cannot be built\n{made.stdout}{made.stderr}")


def make_small(project: Path) -> None:
    """Make chunks and tables small in a copy of the project."""
    for name, changes in SMALL.items():
        text = (project / name).read_text()
        for large, small in changes:
            if text.count(large) != 1:
                raise FuzzError(f"{name} has no {large!r} to make small")
            text = text.replace(large, small)
        (project / name).write_text(text)


def build(folder: Path) -> tuple[Path, dict[str, str]]:
    """Build a copy of the project. Returns its folder, and the environment variables of a process that fuzzes it."""
    if shutil.which(COMPILER) is None:
        raise FuzzError(f"there is no {COMPILER}: install {COMPILER} and libclang-rt-14-dev")
    atheris = find_spec("atheris")
    if atheris is None or atheris.origin is None:
        raise FuzzError("there is no atheris: pip install -r tests/campaigns/fuzz/requirements.txt")
    project = folder / "project"
    project.mkdir()
    copy_project(project)
    make_small(project)
    environment = os.environ | {
        "TXFAST_BUILD": "address",
        "CC": COMPILER,
        "LDSHARED": f"{COMPILER} -shared",
        "CFLAGS": f"{INSTRUMENTED} -fsanitize-ignorelist={FOLDER / 'ignored.txt'}",
        "PYTHONPATH": str(project),
    }
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace", f"-j{os.cpu_count() or 1}"]
    made = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    if made.returncode:
        raise FuzzError(f"the project cannot be built\n{made.stdout}{made.stderr}")
    build_module(project / "tests" / "campaigns" / "fuzz" / "probe.pyx", environment, project)
    # Compiled without sanitizers: three times as fast.
    for name in ("tests/support/reference.py", "tests/support/reference_rows.py", "tests/campaigns/fuzz/targets.py"):
        build_module(project / name, environment | {"CFLAGS": "-O2"}, project)
    return project, environment | {
        "LD_PRELOAD": str(Path(atheris.origin).parent.parent / "asan_with_fuzzer.so"),
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }


def fuzz(project: Path, environment: dict[str, str], target: str, seed: int, *limits: str) -> Outcome:
    """Run one target until a limit is reached or something is found."""
    found = project.parent / f"{target}-findings"
    grown = project.parent / f"{target}-corpus"
    found.mkdir()
    grown.mkdir()
    arguments = [f"-max_len={INPUT_BYTES_MAX[target]}", f"-seed={seed}", *limits]
    arguments += [f"-artifact_prefix={found}/", f"-timeout={EXECUTION_SECONDS_MAX}", "-print_final_stats=1"]
    arguments += [f"-dict={FOLDER / 'rows.dict'}", str(grown)]
    if (CORPUS / target).is_dir():
        arguments.append(str(CORPUS / target))
    started = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-m", "tests.campaigns.fuzz.drive", target, *arguments],
        cwd=project,
        env=environment | {"PYTHONMALLOC": PYTHON_MALLOC.get(target, "pymalloc")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    counts = re.findall(r"stat::number_of_executed_units: *(\d+)|^#(\d+)\s", ended.stdout, re.M)
    executions = max((int(exact or shown) for exact, shown in counts), default=0)
    seconds = time.monotonic() - started
    return Outcome(target, ended.returncode, executions, seconds, ended.stdout, sorted(found.iterdir()))


def find_canary(project: Path, environment: dict[str, str], seed: int) -> None:
    """The planted bug must be found, and reported as a heap overflow."""
    outcome = fuzz(project, environment, CANARY, seed, f"-runs={CANARY_EXECUTIONS}")
    if outcome.exit_code == 0 or not outcome.findings or "heap-buffer-overflow" not in outcome.output:
        raise FuzzError(f"the planted bug was not found in {outcome.executions} executions\n{outcome.output}")
    print(f"canary: found after {outcome.executions:,} executions, as it must be", flush=True)


def keep(outcome: Outcome) -> None:
    """Print the findings, and copy them to FINDINGS."""
    FINDINGS.mkdir(parents=True, exist_ok=True)
    for finding in outcome.findings:
        kept = FINDINGS / f"{outcome.target}-{finding.name}"
        shutil.copy(finding, kept)
        print(f"{outcome.target}: found {kept}: {finding.read_bytes()!r}")
    print("\n".join(line for line in outcome.output.splitlines() if not re.match(r"#\d+\s", line)), flush=True)


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fuzz the kernel.")
    parser.add_argument("--seconds", type=int, default=60, metavar="N", help="seconds for all targets together")
    parser.add_argument("--executions", type=int, metavar="N", help="executions of each target, instead of seconds")
    parser.add_argument("--seed", type=int, metavar="N", help="seed of the mutations")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} (default: all)")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.targets) - set(TARGETS)):
        parser.error(f"no target {unknown[0]!r}: it is one of {', '.join(TARGETS)}")
    return options


def main(arguments: Sequence[str]) -> int:
    """Build, fuzz and report. Returns 0 if only the planted bug was found."""
    options = parse_arguments(arguments)
    targets = options.targets or TARGETS
    seed = random.randrange(1, 1 << 31) if options.seed is None else options.seed
    cores = os.cpu_count() or 1
    seconds = max(1, options.seconds * min(cores, len(targets)) // len(targets))
    limit = f"-max_total_time={seconds}" if options.executions is None else f"-runs={options.executions}"
    with tempfile.TemporaryDirectory(prefix="txfast-fuzz-") as name:
        try:
            project, environment = build(Path(name).resolve())
            print(f"seed {seed}", flush=True)
            find_canary(project, environment, seed)
        except FuzzError as error:
            print(f"fuzz: {error}", file=sys.stderr)
            return 1
        failed = 0
        with ThreadPoolExecutor(cores) as pool:
            for outcome in pool.map(lambda target: fuzz(project, environment, target, seed, limit), targets):
                rate, count = outcome.executions / outcome.seconds, len(outcome.findings)
                print(f"{outcome.target}: {outcome.executions:,} executions, {rate:,.0f}/s, findings: {count}")
                sys.stdout.flush()
                if outcome.exit_code:
                    failed += 1
                    keep(outcome)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
