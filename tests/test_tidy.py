"""The house rules that a program can check: Cython's clauses, sizes, imports, texts said once, the README."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.packages import LAYER_OF, PACKAGE, cycles, imports, module_imports, package_of, wrong_imports
from tests.support.project import PROJECT_ROOT
from tests.support.sources import (
    cython_function_lengths,
    cython_functions,
    logical_lines,
    name_of,
    returns_an_object,
    sources,
)

pytestmark = pytest.mark.unmeasured

MODULE_LINES_MAX = 450
CYTHON_LINES_MAX = 450
FUNCTION_LINES_MAX = 60

# Loops over the rows of a batch: one paragraph each, so that a reader sees the whole of what a row costs.
HOT_LOOPS = {("txfast/ledger/apply.pxd", "apply_rows")}

# A small file is replayed in less time than the import of one of these takes, so a function that needs one imports it
# itself. Programs that use the library have imported most of them already: the packages for programs may.
SLOW_MODULES = {"argparse", "dataclasses", "isal", "logging", "numpy", "pathlib", "pyarrow", "rich", "typing", "xxhash"}
PACKAGES_FOR_PROGRAMS = ("api", "cluster")
# This module is imported by functions alone: its class inherits from one of a slow module.
IMPORTED_LATE = {"txfast/run/usage.py"}

# ---- Exceptions, to be removed one by one ---------------------------------------------------------

LONG_FUNCTIONS = {("txfast/api/process.py", "process")}

PYTHON = sources(".py", folders=("txfast", "bench", "tests", "docs"))
PACKAGE_PYTHON = sources(".py")
CYTHON = sources(".pyx", ".pxd")
TEST_FILES = [path for path in sources(".py", folders=("tests",)) if path.name.startswith("test_")]

every_python_source = pytest.mark.parametrize("path", PYTHON, ids=name_of)
every_cython_source = pytest.mark.parametrize("path", CYTHON, ids=name_of)


# ---- Cython --------------------------------------------------------------------------------------


@every_cython_source
def test_a_cython_function_states_its_exception_clause(path: Path) -> None:
    classes = {name for source in CYTHON for name in re.findall(r"^cdef class (\w+)", source.read_text(), re.M)}
    functions = list(cython_functions(path.read_text()))
    silent = [
        head
        for head, clause in functions
        if not re.search(r"\b(noexcept|except)\b", clause) and not returns_an_object(head, classes)
    ]
    assert silent == []


def test_the_search_for_exception_clauses_finds_functions() -> None:
    text = """\
cdef extern from "x.h" nogil:
    int f "c_f"(int a) noexcept
cdef class A:
    cdef int g(
        self, int b = 1,  # IN ) except
    ) except -1:
        cdef A other = A(self)
    cdef bytes h(self):
cpdef double i(double x) nogil:
cdef inline const char* j():
"""
    assert list(cython_functions(text)) == [
        ("int f _", "noexcept"),
        ("int g", "except -1:"),
        ("bytes h", ":"),
        ("double i", "nogil:"),
        ("inline const char* j", ":"),
    ]
    assert returns_an_object("bytes h", set())
    assert returns_an_object("A h", {"A"})
    assert not returns_an_object("inline const bytes* h", set())
    assert not returns_an_object("double i", set())


@every_cython_source
def test_a_cython_source_uses_nothing_that_hides_where_names_come_from(path: Path) -> None:
    hidden = re.compile(r"(include|DEF|IF)\s+\S|.*\bc?import\s*\*")
    assert [line for _, line in logical_lines(path.read_text()) if hidden.match(line)] == []


@pytest.mark.parametrize("path", sources(".pyx"), ids=name_of)
def test_an_extension_module_has_a_stub_and_is_built(path: Path) -> None:
    assert path.with_suffix(".pyi").is_file()
    module = ".".join(path.relative_to(PROJECT_ROOT).with_suffix("").parts)
    assert f'"{module}"' in (PROJECT_ROOT / "setup.py").read_text()


# ---- Sizes ---------------------------------------------------------------------------------------


@every_cython_source
def test_a_cython_source_is_short_enough_to_know(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= CYTHON_LINES_MAX


def test_a_python_module_is_short_enough_to_know() -> None:
    """Except test files: they grow with the behaviour of one module."""
    long = {name_of(path) for path in PYTHON if len(path.read_text().splitlines()) > MODULE_LINES_MAX}
    assert sorted(long - set(map(name_of, TEST_FILES))) == []


def test_a_function_fits_a_screen() -> None:
    long = set()
    for path in [*PYTHON, *CYTHON]:
        lengths = python_function_lengths(path) if path.suffix == ".py" else cython_function_lengths(path.read_text())
        long |= {(name_of(path), name) for name, lines in lengths if lines > FUNCTION_LINES_MAX}
    assert sorted(long - HOT_LOOPS - LONG_FUNCTIONS) == []


def python_function_lengths(path: Path) -> Iterator[tuple[str, int]]:
    """The name and the number of lines of each function."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def test_the_lengths_of_cython_functions_are_found() -> None:
    text = """\
cdef class A:
    cdef int f(
        self,
    ) except -1:
        return (0 +
                1)

    def g(self):
        def h():
            pass
        # The end.

cdef class B(A):
    def j(self):
        pass

cdef extern from "x.h" nogil:
    int i(int a) noexcept
"""
    assert list(cython_function_lengths(text)) == [("f", 5), ("h", 2), ("g", 4), ("j", 2)]


# ---- All sources ---------------------------------------------------------------------------------


@every_python_source
def test_a_module_imports_names_and_not_stars(path: Path) -> None:
    stars = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*"
    ]
    assert stars == []


@pytest.mark.parametrize("path", sorted({*PYTHON, *CYTHON}), ids=name_of)
def test_a_module_says_what_it_is_for(path: Path) -> None:
    text = path.read_text()
    if path.name == "__init__.py" and not text:
        return
    assert re.match(r'(#!.*\n)?"""\S', text)


def test_nothing_is_left_to_be_done() -> None:
    # Put together here, so that this file may be looked at too. The last two stand around both sides of a merge.
    words = "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"))
    marks = re.compile(rf"\b({words})\b|^({'<' * 7}|{'>' * 7})", re.MULTILINE)
    files = sources(".py", ".pyx", ".pxd", ".pyi", ".h", ".sh", ".md", folders=("txfast", "bench", "tests", "docs"))
    # Not all that is there: somebody may have left a result of a run.
    files += [path for path in PROJECT_ROOT.glob("*.*") if path.suffix in (".in", ".md", ".py", ".toml")]
    files.append(PROJECT_ROOT / ".ci" / "run")
    assert [name_of(path) for path in files if path.is_file() and marks.search(path.read_text())] == []


# ---- Imports -------------------------------------------------------------------------------------


def test_every_package_has_a_layer() -> None:
    packages = {
        package_of(f"txfast.{path.stem}") for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()
    }
    assert sorted(packages - LAYER_OF.keys() - {"__pycache__"}) == []


def test_imports_point_one_way() -> None:
    """Down the layers, with imports in functions, imports for type checkers, cimports and stubs."""
    assert sorted(wrong_imports()) == []


def test_no_modules_import_each_other() -> None:
    assert cycles(module_imports()) == []


def test_cycles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b", "d"}, "d": set(), "e": {"e", "a"}}
    assert cycles(graph) == [{"b", "c"}]


@pytest.mark.parametrize("path", sources(".py", ".pyx", ".pxd"), ids=name_of)
def test_slow_modules_are_imported_where_they_are_needed(path: Path) -> None:
    if path.parent.name in PACKAGES_FOR_PROGRAMS or name_of(path) in IMPORTED_LATE:
        return
    at_import = {name.partition(".")[0] for name in imports(path, in_functions=False, for_type_checkers=False)}
    assert sorted(at_import & SLOW_MODULES) == []


def test_a_run_imports_no_slow_module_before_it_needs_one() -> None:
    modules = [
        ".".join(path.relative_to(PROJECT_ROOT).with_suffix("").parts)
        for path in sources(".py", ".pyx")
        if not path.name.startswith("__")
        and path.parent.name not in PACKAGES_FOR_PROGRAMS
        and name_of(path) not in IMPORTED_LATE
    ]
    program = f"""\
import sys
before = set(sys.modules)
import {", ".join(modules)}
print(*sorted({SLOW_MODULES!r} & (set(sys.modules) - before)))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "\n"


def test_pyarrow_is_imported_in_one_place() -> None:
    importers = {
        name_of(path)
        for path in PACKAGE_PYTHON
        if any(name.partition(".")[0] == "pyarrow" for name in imports(path, for_type_checkers=False))
    }
    assert sorted(importers - {"txfast/late.py"}) == []


def test_the_metadata_of_a_parquet_column_is_not_asked_of_pyarrow() -> None:
    """pyarrow ends the process where a column has damaged statistics: parquet_footer.pyx reads what is needed."""
    asked = re.compile(r"\.row_group\(|\.column\([^()]*\)\.statistics|\bRowGroupMetaData\b|\bColumnChunkMetaData\b")
    assert [name_of(path) for path in sources(".py", ".pyx") if asked.search(path.read_text())] == []
    assert asked.search("file.metadata.row_group(0).column(1)")


def test_no_test_file_imports_another() -> None:
    """They share by tests/support/. Programs inside strings count too."""
    imported = re.compile(r"\b(?:from|import) tests\.(?:\w+\.)*test_\w+")
    assert [name_of(path) for path in PYTHON if imported.search(path.read_text())] == []


# ---- Texts said once -----------------------------------------------------------------------------


def test_that_something_cannot_be_read_or_written_is_said_in_one_place() -> None:
    """By `unreadable` and `unwritable` in errors.py, so that all such messages have one form."""
    said = re.compile(r": cannot be (read|written):")
    files = {name_of(path) for path in sources(".py", ".pyx") if said.search(path.read_text())}
    assert files == {"txfast/errors.py"}


COUNTED = "accounts|bytes|deposits|entries|inputs|lines|members|rejects|rows|transactions|units"


def test_a_number_in_a_message_has_separators_and_its_noun_the_right_form() -> None:
    """By `counted`, or by `:,` where it cannot be one. Texts of ValueErrors and the kernel's are for programmers."""
    said = re.compile(rf"\{{[^{{}}:!]+\}} (?:well-formed |malformed |more )?(?:{COUNTED})\b")
    found = [
        f"{name_of(path)}: {line.strip()}"
        for path in PACKAGE_PYTHON
        for line in path.read_text().splitlines()
        if said.search(line) and 'f"' in line and "ValueError" not in line
    ]
    assert found == []


# Where an exception of pyarrow is caught by its type, with the reason.
CATCH_PYARROWS = {
    "txfast/state/arrow_columns.py",  # files of a state, not inputs: they raise StateError
}


# The functions that write what a person may read, or ask a standard stream for something. Each has its text from
# `printable`, or shows figures and words of our own alone. The log's lines come to StandardError from `make_record`.
SHOWS_TEXT = {
    "txfast/command/arguments.py": {"__call__", "parse_arguments", "print_completion"},
    "txfast/command/main.py": {"print_dialect", "print_lines"},
    "txfast/command/manual.py": {"<module>"},
    "txfast/log/journal.py": {"is_terminal", "on_terminal", "write_bare_line"},
    "txfast/log/progress.py": {"__init__"},
    "txfast/log/standard_error.py": {"__init__", "_encode", "_write_out"},
    "txfast/report/text.py": {"summary_table"},
    "txfast/writers/file.py": {"_write_some"},
    "txfast/writers/output.py": {"is_closed"},
}


def test_what_a_person_reads_is_made_printable_in_one_place() -> None:
    """Names may hold anything: whatever else writes to a terminal must call `printable`, and be added above."""
    found = {name_of(path): set(functions_that_show_text(ast.parse(path.read_bytes()))) for path in PACKAGE_PYTHON}
    assert {name: functions for name, functions in found.items() if functions} == SHOWS_TEXT
    own = [name_of(path) for path in PACKAGE_PYTHON if re.search(r"isprintable|unicode_escape", path.read_text())]
    assert own == ["txfast/printable.py"]
    parsers = [name_of(path) for path in PACKAGE_PYTHON if re.search(r"[.(]ArgumentParser[()]", path.read_text())]
    assert sorted(parsers) == ["txfast/run/usage.py"]


def functions_that_show_text(tree: ast.AST, within: str = "<module>") -> Iterator[str]:
    """The names of functions that print, write to a descriptor, take a standard stream, or make a rich console."""
    for node in ast.iter_child_nodes(tree):
        name = node.name if isinstance(node, ast.FunctionDef) else within
        if isinstance(node, ast.Call):
            used = ast.unparse(node)
            if re.match(r"(print|Console|super\(\)\.(print_usage|error))\(|Output\(STANDARD_OUTPUT\)", used):
                yield within
        if isinstance(node, ast.Attribute) and re.fullmatch(
            r"os\.writev?|sys\.(__)?std(out|err)(__)?", ast.unparse(node)
        ):
            yield within
        yield from functions_that_show_text(node, name)


@pytest.mark.parametrize("path", sources(".py", ".pyx"), ids=name_of)
def test_what_a_library_raises_about_an_input_is_caught_in_one_place(path: Path) -> None:
    """By LibraryErrors, in input/library_errors.py: a type that is named elsewhere is one of many, and the rest of them
    would become internal errors."""
    if name_of(path) in CATCH_PYARROWS:
        return
    caught = re.findall(r"^ *except .*\b(?:pa|pyarrow|igzip|isal|zlib|lzma|zipfile)\.\w+.*", path.read_text(), re.M)
    assert caught == []
