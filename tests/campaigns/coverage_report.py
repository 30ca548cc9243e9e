"""Reports the lines and branches of Python, or the lines of Cython, that the tests run. Fails if too few are run.

    python -m tests.campaigns.coverage_report python [PYTEST_ARGUMENT …]
    python -m tests.campaigns.coverage_report python --combine
    python -m tests.campaigns.coverage_report cython [--quick]

`python` runs the suite on the installed package, and follows subprocesses. With `--combine` it reports on a suite that
was already run with COVERAGE_PROCESS_START=pyproject.toml in the environment.

`cython` copies the project to a temporary folder, makes the trace build there (with all checks), and runs the tests
that call extension modules in their own process (KERNEL_TESTS). Tracing costs about a microsecond a line, and a traced
line does not survive a Ctrl-C, so tests marked `untraced` are left out. It needs Python below 3.13: later versions
trace in a way that Cython and coverage do not share. With `--quick` it reports only on the rules and the parsers
(COVERED): it builds the modules that contain them (QUICK_MODULES), takes the other modules as they are built here, and
runs QUICK_TESTS with fewer examples.

Each prints a table, and names every line and branch that no test runs. It fails if a test fails, if less than
PERCENT_MIN is run, or if any line of the rules or the parsers is not run.

This file is also the coverage plugin. Cython has its own plugin, but that one looks for the C file beside the source,
and finds inline functions only if it has already read the C file of a module that uses them.
"""

import json
import linecache
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import Any

from coverage import CoveragePlugin, FileReporter, FileTracer
from coverage.plugin_support import Plugins
from coverage.types import TConfigurable, TLineNo

from tests.support.project import PROJECT_ROOT, copy_extension_modules, copy_project

COVERED = (
    *("txfast/batch/header.pxd", "txfast/ledger/policy.pxd", "txfast/ledger/rules.pxd"),
    *("txfast/readers/row.pxd", "txfast/readers/row_dialect.pxd", "txfast/readers/row_fast.pxd"),
    *("txfast/text/csv_in.pxd", "txfast/text/numbers_in.pxd"),
)
PERCENT_MIN = 98
KERNEL_TESTS = (
    *("tests/batch", "tests/ledger", "tests/readers", "tests/run/test_properties.py", "tests/spill", "tests/store"),
    "tests/writers",
    "tests/api/test_api.py::test_a_client_without_an_account_is_a_key_error",
    "tests/api/test_api.py::test_what_is_read_are_the_well_formed_rows",
    "tests/run/test_outputs.py::test_rows_cannot_be_cut_where_there_are_none",
    "tests/run/test_outputs.py::test_a_block_of_nothing_is_refused",
    "tests/run/test_outputs.py::test_a_file_that_has_nothing_to_read_yet_is_told_of",
    "tests/cluster/test_range_reader.py::test_a_range_begins_with_the_first_row_that_begins_in_it",
    "tests/run/test_currency_balances.py::test_a_ledger_opens_accounts_in_the_currencies_of_its_run",
    "tests/run/test_currency_balances.py::test_differences_are_those_that_a_slow_comparison_finds",
    "tests/run/test_currency_balances.py::test_rows_apply_to_opening_balances_in_each_currency",
    "tests/state/test_currencies.py::test_a_ledger_takes_the_columns_of_its_own_currencies",
    "tests/state/test_currencies.py::test_a_restored_ledger_continues_like_the_saved_one",
    "tests/state/test_currencies.py::test_codes_that_a_run_does_not_have_are_added",
    "tests/state/test_legacy_snapshots.py::test_a_restored_ledger_continues_like_the_saved_one",
    "tests/state/test_directory.py::test_a_file_that_grows_in_steps_gives_the_results_of_one_read_at_once",
    "tests/state/test_open_quotes.py::test_a_position_behind_the_last_row_knows_of_an_open_field",
    "tests/state/test_open_quotes.py::test_a_row_over_one_mib_may_be_left_open",
)
QUICK_MODULES = (
    *("txfast.ledger.columns_in", "txfast.ledger.disputes_in", "txfast.ledger.ledger", "txfast.readers.csv"),
    *("txfast.readers.parse_line", "txfast.readers.scan", "txfast.spill.partitions", "txfast.store.entry_lookup"),
)
QUICK_TESTS = (
    "tests/batch/test_header.py",
    *("tests/ledger/test_columns.py", "tests/ledger/test_ledger.py", "tests/ledger/test_rules.py"),
    "tests/ledger/test_policy_tables.py",
    *("tests/readers/test_row.py", "tests/readers/test_row_dialect.py", "tests/readers/test_row_fast.py"),
    *("tests/spill/test_slices.py", "tests/store/test_load.py"),
)
PYTHON = (".py",)
# Cython's own support code.
SHARED = "_txfast_views.c"
CYTHON = (".pyx", ".pxd")
# By suffixes: the figures that must reach PERCENT_MIN, with coverage's names for (run, total).
FIGURES = {
    PYTHON: {
        "lines of Python": ("covered_lines", "num_statements"),
        "branches of Python": ("covered_branches", "num_branches"),
    },
    CYTHON: {"lines of Cython": ("covered_lines", "num_statements")},
}

SOURCE_NAMES = re.compile(r"__pyx_f\[\] = \{\n(.*?)\};", re.DOTALL)
# The line of a function's definition is traced as part of the import of each module that uses it.
DEFINITION = re.compile(r"\s*(cdef|cpdef|def)\b[^=(]*\(")
TRACED_LINE = re.compile(r"__Pyx_TraceLine\(.*__PYX_ERR\((\d+), (\d+),")


def traced_lines(project: Path) -> dict[str, set[TLineNo]]:
    """By source: the lines that a trace build reports. An inline function is in the C file of each of its users."""
    lines: dict[str, set[TLineNo]] = defaultdict(set)
    for c_file in (project / "build" / "cython-trace").rglob("*.c"):
        if c_file.name == SHARED:
            continue
        code = c_file.read_text()
        names = SOURCE_NAMES.search(code)
        assert names is not None, f"{c_file} does not name its sources"
        sources = [str(project / name) for name in re.findall(r'"(.*)"', names[1])]
        for source, line in TRACED_LINE.findall(code):
            lines[sources[int(source)]].add(int(line))
    return {source: {line for line in lines[source] if not DEFINITION.match(code_of(source, line))} for source in lines}


def code_of(source: str, line: TLineNo) -> str:
    return linecache.getline(source, line).rstrip("\n")


class Plugin(CoveragePlugin):
    """Tells coverage which files are Cython sources, and which of their lines are traced."""

    def file_tracer(self, filename: str) -> FileTracer | None:
        return Tracer(filename) if filename.endswith(CYTHON) else None

    def file_reporter(self, filename: str) -> FileReporter:
        # A file with declarations only has no lines.
        return Reporter(filename, self.lines.get(filename, set()))

    @cached_property
    def lines(self) -> dict[str, set[TLineNo]]:
        return traced_lines(PROJECT_ROOT)


class Tracer(FileTracer):
    def __init__(self, filename: str) -> None:
        self._filename = filename

    def source_filename(self) -> str:
        return self._filename


class Reporter(FileReporter):
    def __init__(self, filename: str, lines: set[TLineNo]) -> None:
        super().__init__(filename)
        self._lines = lines

    def lines(self) -> set[TLineNo]:
        return self._lines


def coverage_init(registry: Plugins, options: TConfigurable) -> None:  # noqa: ARG001 (the protocol's arguments)
    """coverage calls this when it loads the plugin."""
    registry.add_file_tracer(Plugin())


def trace_settings(project: Path) -> str:
    return f"""\
[run]
plugins = tests.campaigns.coverage_report
include = {project}/txfast/*
data_file = {project}/build/coverage
parallel = true
patch = subprocess
"""


def python_coverage(arguments: list[str]) -> int:
    """Run the suite, unless it was run already, and report. Returns 0 if all tests passed and enough was run."""
    failed = 0
    if arguments != ["--combine"]:
        # Remove the data of earlier runs.
        coverage(PROJECT_ROOT, "erase")
        failed = coverage(PROJECT_ROOT, "run", "-m", "pytest", *(arguments or ["-q", "-n", "auto"]))
    return report(PROJECT_ROOT, PYTHON) or failed


def cython_coverage(*, quick: bool) -> int:
    """Copy, build, test and report. Returns 0 if all tests passed and enough was run."""
    if sys.version_info >= (3, 13):
        print("coverage_report: needs Python 3.11 or 3.12", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="txfast-coverage-") as folder:
        project = Path(folder).resolve() / "project"
        project.mkdir()
        copy_project(project)
        (project / "build").mkdir()
        (project / "coveragerc").write_text(trace_settings(project))
        os.environ |= {
            "TXFAST_BUILD": "trace",
            "PYTHONPATH": f"{project}:{project}/bench",
            "COVERAGE_RCFILE": str(project / "coveragerc"),
        }
        if quick:
            os.environ |= {"HYPOTHESIS_PROFILE": "quick", "TXFAST_MODULES": " ".join(QUICK_MODULES)}
            copy_extension_modules(project)
        build = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
        if subprocess.run(build, cwd=project, check=False).returncode:
            return 1
        tests = QUICK_TESTS if quick else KERNEL_TESTS
        failed = coverage(project, "run", "-m", "pytest", "-q", "-n", "auto", "-m", "not untraced", *tests)
        return report(project, CYTHON, COVERED if quick else ()) or failed


def coverage(project: Path, *arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "coverage", *arguments], cwd=project, check=False).returncode


def report(project: Path, suffixes: tuple[str, ...], names: tuple[str, ...] = ()) -> int:
    """Print a table of these files (default: by suffix), and the lines not run. Returns 0 if enough was run."""
    (project / "build").mkdir(exist_ok=True)
    included = "--include=" + ",".join(names or (f"*{suffix}" for suffix in suffixes))
    for arguments in (["combine", "-q"], ["report", included], ["json", "-q", included, "-o", "build/coverage.json"]):
        if coverage(project, *arguments):
            return 1
    files = json.loads((project / "build" / "coverage.json").read_text())["files"]
    for line in not_run(project, files):
        print(f"run by no test: {line}")
    problems = shortfalls(files, suffixes)
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


# The files in coverage's JSON, by name.
Files = dict[str, dict[str, Any]]


def not_run(project: Path, files: Files) -> list[str]:
    """Each line that no test ran, as `file:line: code`, and each branch, with its target."""
    missed = []
    for name, file in sorted(files.items()):
        source = str(project / name)
        missed += [f"{name}:{line}: {code_of(source, line).strip()}" for line in file["missing_lines"]]
        for line, target in file.get("missing_branches", []):
            # If the line itself was not run, it is reported already.
            if line not in file["missing_lines"]:
                goal = f"line {target}" if target > 0 else "the end"
                missed.append(f"{name}:{line}: {code_of(source, line).strip()} (to {goal})")
    return missed


def shortfalls(files: Files, suffixes: tuple[str, ...]) -> list[str]:
    """Print a line for each figure. Returns a message for each figure and file where too little was run."""
    problems = []
    for what, (ran, there) in FIGURES[suffixes].items():
        count, run = (sum(file["summary"][figure] for file in files.values()) for figure in (there, ran))
        print(f"{what}: {run} of {count} were run, {100 * run / count:.2f} %", flush=True)
        if 100 * run < PERCENT_MIN * count:
            problems.append(f"too few {what} were run: it must be {PERCENT_MIN} %")
    for name in COVERED if suffixes == CYTHON else ():
        assert files[name]["summary"]["num_statements"], f"{name} has no traced lines"
        if files[name]["missing_lines"]:
            problems.append(f"{name}: every line must be run by a test")
    return problems


def main() -> int:
    match sys.argv[1:]:
        case ["python", *arguments]:
            return python_coverage(arguments)
        case ["cython"]:
            return cython_coverage(quick=False)
        case ["cython", "--quick"]:
            return cython_coverage(quick=True)
    print("usage: coverage_report python [--combine | PYTEST_ARGUMENT …] | cython [--quick]", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
