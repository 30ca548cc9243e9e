"""The modules that a small run imports: their import takes most of its time."""

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.support.project import PROJECT_ROOT

# Of a run that warns of nothing: a warning imports logging.
SAMPLE = PROJECT_ROOT / "samples" / "locks.csv"

# A plain run imports these and no others.
OURS = {
    # Cython's typed memoryviews, which import `collections`. They have two names.
    "_txfast_views",
    "txfast._txfast_views",
    "txfast",
    "txfast._version",
    "txfast.batch.batch",
    "txfast.command.arguments",
    "txfast.batch.header",
    "txfast.command.main",
    "txfast.errors",
    "txfast.ledger",
    "txfast.ledger.sorted_accounts",
    "txfast.ledger.figures",
    "txfast.ledger.key_order",
    "txfast.ledger.ledger",
    "txfast.log.journal",
    "txfast.printable",
    "txfast.run.conservation",
    "txfast.run.destinations",
    "txfast.run.machine",
    "txfast.run.openings",
    "txfast.command.option",
    "txfast.command.options",
    "txfast.command.input_options",
    "txfast.command.state_options",
    "txfast.dialect",
    "txfast.dialect.names",
    "txfast.interrupts",
    "txfast.run.books",
    "txfast.run.flow",
    "txfast.command.settings",
    "txfast.run.session",
    "txfast.run.intake",
    "txfast.run.outputs",
    "txfast.run.plan",
    "txfast.run.reporter",
    "txfast.run.replay",
    "txfast.run.rule_warnings",
    "txfast.batch",
    "txfast.command",
    "txfast.input",
    "txfast.log",
    "txfast.readers",
    "txfast.run",
    "txfast.input.first_bytes",
    "txfast.readers.csv",
    "txfast.readers.scan",
    "txfast.readers.text_reader",
    "txfast.input.open",
    "txfast.input.ref",
    "txfast.input.room",
    "txfast.input.source",
    "txfast.writers",
    "txfast.writers.accounts_csv",
    "txfast.writers.file",
    "txfast.writers.formats",
    "txfast.writers.output",
}
STANDARD_LIBRARY = {
    "__future__",
    "_collections",
    "_operator",
    "collections",
    "collections.abc",
    "errno",
    "itertools",
    "keyword",
    "operator",
    "reprlib",
}

PROGRAM = """
import sys
before = set(sys.modules)
from txfast.command.main import main
code = main()
print(*sorted(set(sys.modules) - before), file=sys.stderr)
sys.exit(code)
"""


def imported_by(*arguments: str, **variables: str) -> set[str]:
    """The modules that a run of the command imports beyond those of a bare interpreter."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        check=True,
        cwd=PROJECT_ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("TXFAST_")} | variables,
    )
    return {name for name in ended.stderr.splitlines()[-1].split() if not name.startswith(("_cython", "cython"))}


def test_a_plain_run_imports_nothing_that_it_does_not_need() -> None:
    assert imported_by(str(SAMPLE)) - OURS - STANDARD_LIBRARY == set()


def test_a_plain_run_imports_all_of_this() -> None:
    assert imported_by(str(SAMPLE)) & OURS == OURS


def test_empty_variables_and_other_variables_import_nothing() -> None:
    assert "argparse" not in imported_by(str(SAMPLE), TXFAST_BUILD="checked", TXFAST_THREADS="")


def test_a_variable_imports_argparse() -> None:
    assert "argparse" in imported_by(str(SAMPLE), TXFAST_THREADS="1")


def test_options_import_argparse_but_neither_logging_nor_threads_nor_pyarrow() -> None:
    imported = imported_by("-q", str(SAMPLE))
    assert "argparse" in imported
    assert imported.isdisjoint({"logging", "threading", "pyarrow", "numpy", "dataclasses", "pathlib", "typing"})


def test_a_log_imports_logging_but_not_the_progress() -> None:
    imported = imported_by(str(SAMPLE), "info")
    assert "logging" in imported
    assert imported.isdisjoint({"rich", "json", "txfast.log.progress"})


def test_the_arrow_reader_imports_pyarrow() -> None:
    assert "pyarrow" in imported_by("--reader", "arrow", str(SAMPLE))


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_table_of_plain_types_imports_neither_numpy_nor_pyarrow_compute(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"in.{suffix}"
    kinds = pa.schema(
        [("type", pa.string()), ("client", pa.uint64()), ("tx", pa.uint64()), ("amount", pa.decimal128(19, 4))]
    )
    table = pa.table([["deposit"], [1], [1], [Decimal("1.5")]], kinds)
    if suffix == "parquet":
        parquet.write_table(table, path)
    else:
        with pa.ipc.new_file(str(path), kinds) as writer:
            writer.write_table(table)
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "txfast", str(path)], capture_output=True, text=True, check=True
    )
    assert ended.stdout.endswith("1,1.5000,0.0000,1.5000,false\n")
    imported = {line.rsplit("|", 1)[1].strip() for line in ended.stderr.splitlines()}
    assert "pyarrow.lib" in imported
    assert imported.isdisjoint({"numpy", "pyarrow.compute"})
