"""Shows which lines and branches of Python and which lines of Cython the tests run, and fails where too few.

    python tests/coverage_report.py [PYTEST_ARGUMENT …]

It copies the project to a temporary folder, makes the trace build there with this very Python, runs the suite under
coverage, its subprocesses included, prints a table of Python and one of Cython, and names every line and branch that no
test runs. It fails where a test does, where less than PERCENT_MIN of either is run, and where the rules or the parsers
(COVERED) have a line that is not.

A trace build has the checks of a checked one. Each line takes about a microsecond more than it should, and none
survives a Ctrl-C, so tests marked `untraced` are left out; so are those of the generator and the reference, which do
not run the package. Arguments of pytest may be given instead.

Python below 3.13 is needed: from then on Cython and coverage trace in ways that do not meet.

This file is the coverage plugin as well. Cython comes with one, but that one looks for the C file beside the source,
and finds an inline function's only when it happens to have read the C file of a module that uses it.
"""

import json
import linecache
import os
import re
import shutil
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

PROJECT_ROOT = Path(__file__).resolve().parent.parent
COVERED = ("txfast/ledger/rules.pxd", "txfast/read/money.pxd", "txfast/read/plain.pxd", "txfast/read/row.pxd")
# 98 before there was a state: what runs with one is in processes of their own, each of which imports pyarrow under the
# tracer, so its tests are left out here until they are made to take less.
PERCENT_MIN = 90
TESTS = ("-q", "-m", "not untraced", "--ignore=tests/test_generate.py", "--ignore=tests/test_reference.py")
PYTHON = (".py",)
# Cython's own.
SHARED = "_txfast_views.c"
CYTHON = (".pyx", ".pxd")

# What a build and the tests need; build products are made anew.
PROJECT_PARTS = (
    *("CHANGELOG.md", "LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py"),
    *("bench", "samples", "tests", "txfast"),
)
PRODUCTS = shutil.ignore_patterns("*.so", "__pycache__", "stress_test.csv")

SOURCE_NAMES = re.compile(r"__pyx_f\[\] = \{\n(.*?)\};", re.DOTALL)
# Where a function is defined, the import of a module that uses it is traced, in that module's name.
DEFINITION = re.compile(r"\s*(cdef|cpdef|def)\b[^=(]*\(")
TRACED_LINE = re.compile(r"__Pyx_TraceLine\(.*__PYX_ERR\((\d+), (\d+),")


def traced_lines(project: Path) -> dict[str, set[TLineNo]]:
    """The lines of each source that a trace build reports. An inline function is in the C file of each of its users."""
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
    """Tells coverage where Cython sources are, and which of their lines are traced."""

    def file_tracer(self, filename: str) -> FileTracer | None:
        return Tracer(filename) if filename.endswith(CYTHON) else None

    def file_reporter(self, filename: str) -> FileReporter:
        # What only declares has no lines.
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
    """What coverage calls when it loads the plugin."""
    registry.add_file_tracer(Plugin())


def copy_project(folder: Path) -> None:
    for name in PROJECT_PARTS:
        part = PROJECT_ROOT / name
        if part.is_dir():
            shutil.copytree(part, folder / name, ignore=PRODUCTS)
        else:
            shutil.copy(part, folder)


def settings(project: Path) -> str:
    return f"""\
[run]
branch = true
plugins = coverage_report
include = {project}/txfast/*
omit = */_version.py
data_file = {project}/build/coverage
parallel = true
patch = _exit, subprocess
disable_warnings = no-data-collected

[report]
show_missing = true
exclude_also = if TYPE_CHECKING:
"""


def main(pytest_arguments: list[str]) -> int:
    """Copy, build, test and report; return 0 where all tests passed and enough was run."""
    if sys.version_info >= (3, 13):
        print("coverage_report: needs Python 3.11 or 3.12", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="txfast-coverage-") as folder:
        project = Path(folder).resolve() / "project"
        project.mkdir()
        copy_project(project)
        (project / "build").mkdir()
        (project / "coveragerc").write_text(settings(project))
        environment = os.environ | {
            "TXFAST_BUILD": "trace",
            "PYTHONPATH": f"{project}:{project}/tests",
            "COVERAGE_RCFILE": str(project / "coveragerc"),
        }

        def run(*arguments: str) -> int:
            return subprocess.run([sys.executable, *arguments], cwd=project, env=environment, check=False).returncode

        if run("setup.py", "-q", "build_ext", "--inplace"):
            return 1
        failed = run("-m", "coverage", "run", "-m", "pytest", *(pytest_arguments or TESTS))
        for arguments in (
            ["combine", "-q"],
            ["report", "--include=*.py"],
            ["report", "--include=*.pyx,*.pxd"],
            ["json", "-q", "-o", "build/coverage.json"],
        ):
            if run("-m", "coverage", *arguments):
                return 1
        files = json.loads((project / "build" / "coverage.json").read_text())["files"]
        for line in not_run(project, files):
            print(f"run by no test: {line}")
        problems = shortfalls(files)
        for problem in problems:
            print(problem, file=sys.stderr)
        return 1 if failed or problems else 0


# As coverage's JSON has them: by file, what was run of it and what was not.
Files = dict[str, dict[str, Any]]


def not_run(project: Path, files: Files) -> list[str]:
    """What no test ran: each line as `file:line: code`, and each branch with the line that it would have led to."""
    missed = []
    for name, file in sorted(files.items()):
        source = str(project / name)
        missed += [f"{name}:{line}: {code_of(source, line).strip()}" for line in file["missing_lines"]]
        for line, target in file["missing_branches"]:
            # Of a line that was not run itself, no branch was.
            if line not in file["missing_lines"]:
                goal = f"line {target}" if target > 0 else "the end"
                missed.append(f"{name}:{line}: {code_of(source, line).strip()} (to {goal})")
    return missed


def shortfalls(files: Files) -> list[str]:
    """Where too little was run, after a line of figures for each."""
    problems = []
    for what, suffixes, ran, there in (
        ("lines of Python", PYTHON, "covered_lines", "num_statements"),
        ("branches of Python", PYTHON, "covered_branches", "num_branches"),
        ("lines of Cython", CYTHON, "covered_lines", "num_statements"),
    ):
        summaries = [file["summary"] for name, file in files.items() if name.endswith(suffixes)]
        count, run = (sum(summary[figure] for summary in summaries) for figure in (there, ran))
        print(f"{what}: {run} of {count} were run, {100 * run / count:.2f} %", flush=True)
        if 100 * run < PERCENT_MIN * count:
            problems.append(f"too few {what} were run: it must be {PERCENT_MIN} %")
    for name in COVERED:
        assert files[name]["summary"]["num_statements"], f"{name} has no traced lines"
        if files[name]["missing_lines"]:
            problems.append(f"{name}: every line must be run by a test")
    return problems


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
