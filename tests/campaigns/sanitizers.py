"""Runs the tests in builds that watch memory, arithmetic and threads, and proves that these builds report defects.

    python -m tests.campaigns.sanitizers [--quick] [--only BUILD] [--tests FILE …]

address   AddressSanitizer and UndefinedBehaviorSanitizer: all tests
overrun   the same build with one module that reads past the end of a block, which must be reported
thread    ThreadSanitizer: the tests of runs with several threads
race      two threads in one ledger, which is not allowed and must be reported

`--quick` runs only tests of extension modules that the fuzzers (campaigns/fuzz) do not cover, without those marked
`untraced`, and with fewer examples. `--tests` runs other files, in address and thread.

It copies the project to a temporary folder and builds it there with GCC and this Python. Each test file runs in a
process of its own, so that a crash ends no other file. The runtime of a sanitizer must be loaded first, so it is
preloaded, also into processes that tests start.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.support.project import PROJECT_ROOT, copy_extension_modules, copy_project

SUPPRESSIONS = PROJECT_ROOT / "tests" / "campaigns" / "thread-suppressions.txt"

# Tests that call extension modules with inputs that the fuzzers do not make. The fuzzers run under the same sanitizers.
QUICK_TESTS = (
    *("ledger/test_columns.py", "ledger/test_ledger.py", "ledger/test_sorted_accounts.py"),
    *("spill/test_settle.py", "spill/test_slices.py", "spill/test_spill.py", "spill/test_text_ids.py"),
    *("state/test_currencies.py", "state/test_text_ids.py"),
    *("writers/test_accounts_csv.py", "writers/test_rejects.py"),
)
# Tests that preload a library that replaces malloc, as a sanitizer does: both do not work together.
PRELOADING_TESTS = ("campaigns/test_crashes.py", "campaigns/test_faults.py")
THREAD_TESTS = ("run/test_outputs.py", "run/test_properties.py", "writers/test_rejects.py")
QUICK_THREAD_TESTS = ("run/test_replay.py",)
# The modules that threads run at the same time; with --quick only these are built for the thread sanitizer.
QUICK_THREAD_MODULES = (
    *("txfast.batch.batch", "txfast.ledger.ledger", "txfast.ledger.route"),
    *("txfast.readers.csv", "txfast.readers.scan"),
)
OVERRUN_MODULE = "txfast.readers.text_reader"
OVERRUN_TEST = "batch/test_batch.py"

# Tests that cannot run under a sanitizer.
DESELECTED = {
    "address": (
        # It limits the address space; the sanitizer reserves terabytes.
        "tests/ledger/test_ledger.py::test_expecting_more_entries_than_fit_in_memory_is_no_failure",
        # groff inherits the preloaded library, and writes about it into the page.
        "tests/command/test_manual.py::test_groff_shows_the_page_without_a_warning",
        # It measures the memory of whole processes; most of that is the sanitizer's.
        "tests/spill/test_spill.py::test_a_run_stays_within_its_limit_and_gives_the_same",
        "tests/spill/test_text_ids.py::test_a_run_stays_within_its_limit_and_gives_the_same",
        "tests/dialect/test_text_ids.py::test_texts_that_outgrow_the_memory_limit_go_to_disk",
        "tests/dialect/test_currencies.py::test_growth_beyond_the_limit_goes_to_disk",
    ),
    "thread": (),
}

RACE = """\
import threading
from tests.support.rows import make_batch
from txfast.ledger.ledger import Ledger

ledger = Ledger()
batches = [make_batch([b"dispute,1,1"] * 200_000) for _ in range(2)]
ledger.apply(batches[0])
together = threading.Barrier(2)

def apply(batch):
    together.wait()
    for _ in range(5):
        ledger.apply(batch)

threads = [threading.Thread(target=apply, args=[batch]) for batch in batches]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


class SanitizerError(Exception):
    """A build failed, or a planted defect was not reported."""


class Ended(NamedTuple):
    """A process that has ended: its output, and the reports of the sanitizers."""

    name: str
    exit_code: int
    seconds: float
    output: str
    reports: list[str]

    @property
    def failed(self) -> bool:
        return self.exit_code != 0 or bool(self.reports)

    @property
    def text(self) -> str:
        return "\n".join([self.output, *self.reports])

    def show(self) -> None:
        """Print one line; if the process failed, also all its output."""
        print(f"{self.name}: {'FAILED' if self.failed else 'passed'} in {self.seconds:.0f} s", flush=True)
        if self.failed:
            print(self.text, flush=True)


class Build:
    """A copy of the project, built for one sanitizer."""

    def __init__(self, folder: Path, build: str, modules: Sequence[str] = ()) -> None:
        """Copy and build. With `modules`, only these are built; the others are copied as they are built here."""
        self.name = build
        self.project = folder / build
        self.project.mkdir()
        copy_project(self.project)
        self._reports = self.project / "build"
        self._reports.mkdir()
        self._environment = os.environ | {
            "TXFAST_BUILD": build,
            "CC": "gcc",
            "PYTHONPATH": str(self.project),
        }
        if modules:
            copy_extension_modules(self.project)
        self._make(**{"TXFAST_MODULES": " ".join(modules)} if modules else {})
        self._sanitized = self._environment | self._sanitizing(build)

    def _make(self, **variables: str) -> None:
        command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace", f"-j{os.cpu_count() or 1}"]
        environment = self._environment | variables
        made = subprocess.run(command, cwd=self.project, env=environment, capture_output=True, text=True, check=False)
        if made.returncode:
            raise SanitizerError(f"{self.name}: cannot be built\n{made.stdout}{made.stderr}")

    def plant(self, macro: str, module: str) -> None:
        """Rebuild one extension module with a defect in it."""
        self._make(CFLAGS=f"-D{macro}", TXFAST_MODULES=module)

    def _sanitizing(self, build: str) -> dict[str, str]:
        """Environment variables of a process that runs under the build's sanitizers."""
        # A sanitizer ends the process by SIGABRT, which no test expects.
        if build == "thread":
            options = f"exitcode=66:suppressions={SUPPRESSIONS}:log_path={self._reports}/report"
            return {"LD_PRELOAD": library("libtsan.so"), "TSAN_OPTIONS": options}
        return {
            "LD_PRELOAD": f"{library('libasan.so')} {library('libstdc++.so')}",
            # Python does not free all its memory at its end.
            "ASAN_OPTIONS": f"detect_leaks=0:abort_on_error=1:log_path={self._reports}/report",
            "UBSAN_OPTIONS": "print_stacktrace=1:abort_on_error=1",
            # Otherwise small objects share blocks of memory, and an overrun into the next object is not detected.
            "PYTHONMALLOC": "malloc",
        }

    def run(self, name: str, *arguments: str) -> Ended:
        """Run Python with these arguments. The reports include those of processes that it started."""
        started = time.monotonic()
        reports = Path(tempfile.mkdtemp(prefix=f"{Path(name).stem}-", dir=self._reports))
        environment = {
            variable: value.replace(f"{self._reports}/report", f"{reports}/report")
            for variable, value in self._sanitized.items()
        }
        ended = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.project,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        return Ended(
            f"{self.name}: {name}",
            ended.returncode,
            time.monotonic() - started,
            ended.stdout + ended.stderr,
            [path.read_text(errors="replace") for path in sorted(reports.iterdir())],
        )

    def test(self, file: str, *, quick: bool = False) -> Ended:
        """Run one test file. pytest must not capture descriptors, or reports would be lost."""
        chosen = [f"--deselect={test}" for test in DESELECTED[self.name]]
        if quick:
            chosen.append("-m not untraced")
        return self.run(file, "-m", "pytest", "-q", "--capture=sys", "-pno:cacheprovider", *chosen, f"tests/{file}")


def library(name: str) -> str:
    """The path of one of GCC's libraries."""
    asked = subprocess.run(["gcc", f"-print-file-name={name}"], stdout=subprocess.PIPE, text=True, check=True)
    return asked.stdout.strip()


def must_be_reported(ended: Ended, *words: str) -> None:
    """A planted defect: the run must have failed, and a report must contain all these words."""
    if not any(all(word in report for word in words) for report in ended.reports) or not ended.exit_code:
        raise SanitizerError(f"{ended.name}: the planted defect was not reported\n{ended.text}")
    print(f"{ended.name}: reported in {ended.seconds:.0f} s, as it must be", flush=True)


def run_tests(build: Build, files: Sequence[str], *, quick: bool) -> bool:
    """Run test files, one for each core at a time. Returns whether all passed without a report."""
    passed = True
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for ended in pool.map(lambda file: build.test(file, quick=quick), files):
            ended.show()
            passed = passed and not ended.failed
    return passed


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run the tests under sanitizers.")
    parser.add_argument("--quick", action="store_true", help="only tests of extension modules, with fewer examples")
    parser.add_argument("--only", choices=["address", "overrun", "thread", "race"], help="only one of the four")
    parser.add_argument("--tests", nargs="+", metavar="FILE", help="only these files of tests/")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Build, test and report. Returns 0 if all tests passed and each planted defect was reported."""
    options = parse_arguments(arguments)
    tests = PROJECT_ROOT / "tests"
    every = sorted(str(path.relative_to(tests)) for path in tests.rglob("test_*.py"))
    every = [name for name in every if name not in PRELOADING_TESTS]
    chosen = [name for name in every if not options.quick or name in QUICK_TESTS]
    if options.quick:
        os.environ.setdefault("HYPOTHESIS_PROFILE", "quick")
    threaded = QUICK_THREAD_TESTS if options.quick else THREAD_TESTS
    passed = True
    with tempfile.TemporaryDirectory(prefix="txfast-sanitizers-") as name:
        folder = Path(name).resolve()
        try:
            if options.only in (None, "address", "overrun"):
                address = Build(folder, "address")
                if options.only != "overrun":
                    passed = run_tests(address, options.tests or chosen, quick=options.quick)
                if options.only != "address":
                    address.plant("TXFAST_PLANTED_OVERRUN", OVERRUN_MODULE)
                    must_be_reported(address.test(OVERRUN_TEST), "AddressSanitizer", "plain_row", "-byte region")
            if options.only in (None, "thread", "race"):
                thread = Build(folder, "thread", QUICK_THREAD_MODULES if options.quick else ())
                if options.only != "thread":
                    must_be_reported(thread.run("race", "-c", RACE), "data race", "apply_rows")
                if options.only != "race":
                    passed = run_tests(thread, options.tests or threaded, quick=options.quick) and passed
        except SanitizerError as error:
            print(error, file=sys.stderr)
            return 1
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
