"""Shows which Cython lines the tests run, and fails where they must run all and do not.

    python tests/cython_coverage.py [PYTEST_ARGUMENT …]

It copies the project to a temporary folder, makes the trace build there with this very Python, runs tests under
coverage, their subprocesses included, and reports. The rules and the parsers (COVERED) must have no line that their
tests do not run. Each line takes about a microsecond more than it should, so TESTS are those alone; other tests, or
arguments of pytest, may be given instead. A traced line does not survive a Ctrl-C: leave tests of signals out.

Python below 3.13 is needed: from then on Cython and coverage trace in ways that do not meet.

This file is the coverage plugin as well. Cython comes with one, but that one looks for the C file beside the source,
and finds an inline function's only when it happens to have read the C file of a module that uses it.
"""

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

from coverage import CoverageData, CoveragePlugin, FileReporter, FileTracer
from coverage.plugin_support import Plugins
from coverage.types import TConfigurable, TLineNo

PROJECT_ROOT = Path(__file__).resolve().parent.parent
COVERED = ("txfast/ledger/rules.pxd", "txfast/read/money.pxd", "txfast/read/plain.pxd", "txfast/read/row.pxd")
TESTS = ("tests/test_row.py", "tests/test_rules.py")

# What a build and the tests need; build products are made anew.
PROJECT_PARTS = ("LICENSE", "README.md", "bench", "pyproject.toml", "samples", "setup.py", "tests", "txfast")
PRODUCTS = shutil.ignore_patterns("*.so", "*.c", "__pycache__", "stress_test.csv")

SOURCE_NAMES = re.compile(r"__pyx_f\[\] = \{\n(.*?)\};", re.DOTALL)
# Where a function is defined, the import of a module that uses it is traced, in that module's name.
DEFINITION = re.compile(r"\s*(cdef|cpdef|def)\b[^=(]*\(")
TRACED_LINE = re.compile(r"__Pyx_TraceLine\(.*__PYX_ERR\((\d+), (\d+),")


def traced_lines(project: Path) -> dict[str, set[TLineNo]]:
    """The lines of each source that a trace build reports. An inline function is in the C file of each of its users."""
    lines: dict[str, set[TLineNo]] = defaultdict(set)
    for c_file in (project / "build" / "cython-trace").rglob("*.c"):
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
        return Tracer(filename) if filename.endswith((".pyx", ".pxd")) else None

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
plugins = cython_coverage
include = {project}/txfast/*
data_file = {project}/build/coverage
parallel = true
patch = _exit, subprocess
disable_warnings = no-data-collected

[report]
show_missing = true
"""


def main(pytest_arguments: list[str]) -> int:
    """Copy, build, test and report; return 0 where all tests passed and all of COVERED was run."""
    if sys.version_info >= (3, 13):
        print("cython_coverage: needs Python 3.11 or 3.12", file=sys.stderr)
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
        failed = run("-m", "coverage", "run", "-m", "pytest", *(pytest_arguments or ["-q", *TESTS]))
        if run("-m", "coverage", "combine", "-q"):
            return 1
        if run("-m", "coverage", "report", "--include=*.pyx,*.pxd"):
            return 1
        missed = lines_missed(project)
        for line in missed:
            print(f"run by no test: {line}")
        print(f"{len(missed)} lines of {', '.join(COVERED)} were run by no test", flush=True)
        return 1 if failed or missed else 0


def lines_missed(project: Path) -> list[str]:
    """The lines of COVERED that no test ran, as `file:line: code`."""
    measured = CoverageData(str(project / "build" / "coverage"))
    measured.read()
    traced = traced_lines(project)
    missed = []
    for name in COVERED:
        source = str(project / name)
        assert traced.get(source), f"{name} has no traced lines"
        lines = sorted(traced[source] - set(measured.lines(source) or ()))
        missed += [f"{name}:{line}: {code_of(source, line)}" for line in lines]
    return missed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
