"""What a small run costs before it begins: the modules that it imports."""

import subprocess
import sys
from pathlib import Path

PROJECT_ROOT = Path(__file__).parents[1]
SAMPLE = PROJECT_ROOT / "samples" / "disputes.csv"

# A plain run imports these and no others. Cython's typed memoryviews bring `collections` with what it needs.
OURS = {
    "txfast",
    "txfast._version",
    "txfast.batch",
    "txfast.cli",
    "txfast.errors",
    "txfast.ledger",
    "txfast.ledger.columns",
    "txfast.ledger.ledger",
    "txfast.log",
    "txfast.machine",
    "txfast.pipeline",
    "txfast.read",
    "txfast.read.row",
    "txfast.read.scan",
    "txfast.read.source",
    "txfast.write",
    "txfast.write.accounts",
    "txfast.write.output",
}
STANDARD_LIBRARY = {
    "__future__",
    "_collections",
    "_operator",
    "collections",
    "collections.abc",
    "itertools",
    "keyword",
    "operator",
    "reprlib",
}

PROGRAM = """
import sys
before = set(sys.modules)
from txfast.cli import main
code = main()
print(*sorted(set(sys.modules) - before), file=sys.stderr)
sys.exit(code)
"""


def imported_by(*arguments: str) -> set[str]:
    """The modules that a run of the command adds to a bare interpreter's."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True, cwd=PROJECT_ROOT
    )
    return {name for name in ended.stderr.splitlines()[-1].split() if not name.startswith(("_cython", "cython"))}


def test_a_plain_run_imports_nothing_that_it_does_not_need() -> None:
    assert imported_by(str(SAMPLE)) - OURS - STANDARD_LIBRARY == set()


def test_a_plain_run_imports_all_of_this() -> None:
    assert imported_by(str(SAMPLE)) & OURS == OURS


def test_options_bring_argparse_but_neither_logging_nor_threads_nor_pyarrow() -> None:
    imported = imported_by("-q", str(SAMPLE))
    assert "argparse" in imported
    assert imported.isdisjoint({"logging", "threading", "pyarrow", "numpy", "dataclasses", "pathlib", "typing"})


def test_the_arrow_reader_brings_pyarrow() -> None:
    assert "pyarrow" in imported_by("--reader", "arrow", str(SAMPLE))
