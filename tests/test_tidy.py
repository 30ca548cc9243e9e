"""The house rules, as far as a program can see to them."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.project import PROJECT_ROOT

pytestmark = pytest.mark.unmeasured

PACKAGE = PROJECT_ROOT / "txfast"

CYTHON_LINES_MAX = 459
# A new room needs a place here. A module imports what is in its own room or has a lower number.
RANKS = {
    "_version": 0,
    "errors": 0,
    "text": 0,
    "batch": 1,
    "input": 2,
    "ledger": 2,
    "readers": 3,
    "writers": 4,
    "spill": 5,
    "state": 6,
    "report": 7,
    "log": 8,
    "run": 9,
    "api": 10,
    "command": 10,
    "cluster": 11,
    "__init__": 11,
    "__main__": 11,
}
# They cost more time than a small file to replay, so whoever needs one imports it in the function that does; but for
# what programs use and the command does not.
FOR_PROGRAMS = ("api", "cluster")
SLOW_MODULES = {"argparse", "dataclasses", "isal", "logging", "numpy", "pathlib", "pyarrow", "rich", "typing", "xxhash"}

# Return types of Cython functions that need no exception clause: an object that is NULL is the exception.
OBJECT_TYPES = {"bytearray", "bytes", "dict", "frozenset", "list", "memoryview", "object", "set", "str", "tuple"}
QUALIFIERS = {"api", "const", "inline", "public", "struct", "unsigned"}


def sources(*suffixes: str, folders: tuple[str, ...] = ("txfast",)) -> list[Path]:
    found = [path for folder in folders for path in (PROJECT_ROOT / folder).rglob("*") if path.suffix in suffixes]
    return sorted(path for path in found if path.name != "_version.py")


def name_of(path: Path) -> str:
    return str(path.relative_to(PROJECT_ROOT))


PYTHON = sources(".py", folders=("txfast", "bench", "tests"))
CYTHON = sources(".pyx", ".pxd")
PACKAGE_SOURCES = sources(".py", ".pyx", ".pxd")

every_python_source = pytest.mark.parametrize("path", PYTHON, ids=name_of)
every_cython_source = pytest.mark.parametrize("path", CYTHON, ids=name_of)
every_package_source = pytest.mark.parametrize("path", PACKAGE_SOURCES, ids=name_of)


def code_lines(text: str) -> list[str]:
    """The lines of a source without its strings and comments."""
    text = re.sub(r'"""(?:.|\n)*?"""', lambda string: "\n" * string[0].count("\n"), text)
    return [re.sub(r"""[bcfru]*"(\\.|[^"\\])*"|[bcfru]*'(\\.|[^'\\])*'|#.*""", "_", line) for line in text.split("\n")]


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Indentation and code of each line, lines inside brackets joined to the one before."""
    code = ""
    for line in code_lines(text):
        code += line if not code else " " + line.strip()
        if code.count("(") + code.count("[") == code.count(")") + code.count("]"):
            if code.strip():
                yield len(code) - len(code.lstrip()), code.strip()
            code = ""


def cython_functions(text: str) -> Iterator[tuple[str, str]]:
    """The C functions that a source declares or defines: what stands before and behind the parameters."""
    extern_indent = None
    for indent, line in logical_lines(text):
        if extern_indent is not None and indent <= extern_indent:
            extern_indent = None
        if re.match(r"cdef extern\b", line):
            extern_indent = indent
            continue
        declared = re.match(r"c(?:p?def) (?!class\b|struct\b|enum\b|union\b)([^=(]*)\((.*)\)([^()]*)$", line)
        if declared is None and extern_indent is not None:
            declared = re.match(r"([^=(]*)\((.*)\)([^()]*)$", line)
        if declared is not None:
            yield declared[1].strip(), declared[3].strip()


def returns_an_object(head: str, classes: set[str]) -> bool:
    """Whether a C function is one that returns a Python object, from the code before its parameters."""
    words = [word for word in re.split(r"\s+", head.replace("*", " * ")) if word not in QUALIFIERS]
    return len(words) < 2 or ("*" not in words and words[0] in OBJECT_TYPES | classes)


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


@every_cython_source
def test_a_cython_source_is_short_enough_to_know(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= CYTHON_LINES_MAX


@pytest.mark.parametrize("path", sources(".pyx"), ids=name_of)
def test_an_extension_module_has_a_stub_and_is_built(path: Path) -> None:
    assert path.with_suffix(".pyi").is_file()
    module = ".".join(path.relative_to(PROJECT_ROOT).with_suffix("").parts)
    assert f'"{module}"' in (PROJECT_ROOT / "setup.py").read_text()


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
    # Put together here, so that this file may be looked at too.
    marks = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")
    files = sources(".py", ".pyx", ".pxd", ".pyi", ".h", ".sh", folders=("txfast", "bench", "tests"))
    files += [*PROJECT_ROOT.glob("*.*"), PROJECT_ROOT / ".ci" / "run"]
    assert [name_of(path) for path in files if path.is_file() and marks.search(path.read_text())] == []


# ---- Imports -------------------------------------------------------------------------------------


def is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def python_imports(tree: ast.AST, *, inside_functions: bool) -> Iterator[str]:
    """The modules that a Python source imports, but for type checkers alone; a.b for `from a import b` too."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif is_for_type_checkers(node):
            assert isinstance(node, ast.If)
            yield from python_imports(ast.Module(node.orelse, []), inside_functions=inside_functions)
        elif inside_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from python_imports(node, inside_functions=inside_functions)


def cython_imports(text: str, *, inside_functions: bool) -> Iterator[str]:
    for indent, line in logical_lines(text):
        if indent and not inside_functions:
            continue
        if found := re.match(r"from ([\w.]+) c?import (.*)", line):
            yield from (f"{found[1]}.{name}" for name in re.findall(r"\w+", found[2]))
        elif found := re.match(r"c?import ([\w.]+)", line):
            yield found[1]


def imports(path: Path, *, inside_functions: bool) -> Iterator[str]:
    text = path.read_text()
    if path.suffix == ".py":
        return python_imports(ast.parse(text), inside_functions=inside_functions)
    return cython_imports(text, inside_functions=inside_functions)


def room_of(module: str) -> str:
    """The file or folder of the package that an imported name is in."""
    _, _, inside = module.partition(".")
    room = inside.partition(".")[0]
    return {"": "__init__", "__version__": "_version"}.get(room, room)


@every_package_source
def test_imports_point_one_way(path: Path) -> None:
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    imported = {room_of(name) for name in imports(path, inside_functions=True) if name.split(".")[0] == "txfast"}
    against = sorted(other for other in imported if other != room and RANKS[other] >= RANKS[room])
    assert against == []


@every_package_source
def test_slow_modules_are_imported_where_they_are_needed(path: Path) -> None:
    if path.parent.name in FOR_PROGRAMS:
        return
    imported = {name.partition(".")[0] for name in imports(path, inside_functions=False)}
    assert sorted(imported & SLOW_MODULES) == []


def test_a_run_imports_no_slow_module_before_it_needs_one() -> None:
    modules = [
        ".".join(path.relative_to(PROJECT_ROOT).with_suffix("").parts)
        for path in sources(".py", ".pyx")
        if not path.name.startswith("__") and path.parent.name not in FOR_PROGRAMS
    ]
    program = f"""\
import sys
before = set(sys.modules)
import {", ".join(modules)}
print(*sorted({SLOW_MODULES!r} & (set(sys.modules) - before)))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == "\n"


# ---- The README ----------------------------------------------------------------------------------


def test_the_readme_shows_a_run_as_it_is() -> None:
    readme = (PROJECT_ROOT / "README.md").read_text()
    shown = re.findall(r"^```console\n\$ txfast (samples/.*?)\n(.*?)^```$", readme, re.M | re.S)
    assert shown
    for arguments, text in shown:
        ended = subprocess.run(
            [Path(sys.executable).with_name("txfast"), *arguments.split()],
            cwd=PROJECT_ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        )
        assert text == ended.stdout


def test_the_readme_shows_the_help_as_it_is() -> None:
    readme = (PROJECT_ROOT / "README.md").read_text()
    shown = re.findall(r"^```\w*\n\$ txfast --help\n(.*?)^```$", readme, re.M | re.S)
    ended = subprocess.run(
        [Path(sys.executable).with_name("txfast"), "--help"],
        env=os.environ | {"COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown == [ended.stdout]
