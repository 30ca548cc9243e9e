"""The project's source files, and as much of Cython's syntax as the house tests need."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.project import PROJECT_ROOT

# Return types of C functions that need no exception clause: for an object, NULL is the exception.
OBJECT_TYPES = {"bytearray", "bytes", "dict", "frozenset", "list", "memoryview", "object", "set", "str", "tuple"}
QUALIFIERS = {"api", "const", "inline", "public", "struct", "unsigned"}


def sources(*suffixes: str, folders: tuple[str, ...] = ("txfast",)) -> list[Path]:
    """The files with these suffixes in these folders of the project, sorted."""
    found = [path for folder in folders for path in (PROJECT_ROOT / folder).rglob("*") if path.suffix in suffixes]
    return sorted(path for path in found if path.name != "_version.py")


def name_of(path: Path) -> str:
    """The path from the project's root."""
    return str(path.relative_to(PROJECT_ROOT))


def code_lines(text: str) -> list[str]:
    """The lines of a source, with strings and comments replaced by `_`."""
    text = re.sub(r'"""(?:.|\n)*?"""', lambda string: "\n" * string[0].count("\n"), text)
    return [re.sub(r"""[bcfru]*"(\\.|[^"\\])*"|[bcfru]*'(\\.|[^'\\])*'|#.*""", "_", line) for line in text.split("\n")]


def numbered_lines(text: str) -> Iterator[tuple[int, int, int, str]]:
    """(first line, last line, indentation, code) of each line that is not blank. Lines inside brackets are joined."""
    code, first = "", 0
    for number, line in enumerate(code_lines(text), start=1):
        first = first if code else number
        code += line if not code else " " + line.strip()
        if code.count("(") + code.count("[") == code.count(")") + code.count("]"):
            if code.strip():
                yield first, number, len(code) - len(code.lstrip()), code.strip()
            code = ""


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """(indentation, code) of each line that is not blank. Lines inside brackets are joined."""
    for _, _, indent, line in numbered_lines(text):
        yield indent, line


def cython_functions(text: str) -> Iterator[tuple[str, str]]:
    """The C functions that a source declares or defines: the code before the parameters, and the code after them."""
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
    """Whether a C function returns a Python object, judged by the code before its parameters."""
    words = [word for word in re.split(r"\s+", head.replace("*", " * ")) if word not in QUALIFIERS]
    return len(words) < 2 or ("*" not in words and words[0] in OBJECT_TYPES | classes)


def cython_function_lengths(text: str) -> Iterator[tuple[str, int]]:
    """The name and the number of lines of each function that a Cython source defines, with its parameters."""
    open_functions: list[tuple[str, int, int]] = []
    last = 0
    for start, end, indent, line in [*numbered_lines(text), (0, 0, 0, "")]:
        while open_functions and indent <= open_functions[-1][2]:
            name, first, _ = open_functions.pop()
            yield name, last - first + 1
        defined = re.match(r"(?:def|cdef|cpdef)\b(?! class\b)[^=(]*?(\w+) ?\(.*:$", line)
        if defined is not None:
            open_functions.append((defined[1], start, indent))
        last = end
