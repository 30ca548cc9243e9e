"""The packages in txfast/, their layers, and who imports whom.

    python -m tests.support.packages          the packages and their imports, as a Mermaid drawing

A package is a folder of txfast/, or one of the modules beside the folders. This module reads sources; it never imports
them.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.project import PROJECT_ROOT
from tests.support.sources import logical_lines, name_of, sources

PACKAGE = PROJECT_ROOT / "txfast"

# The architecture: a package imports only from itself and from layers above its own in this list. Packages of one
# layer do not import each other. A new package needs a place here.
LAYERS = [
    {"_version", "errors", "interrupts", "printable", "text"},
    {"late"},
    {"dialect"},
    {"batch"},
    {"input", "ledger"},
    {"readers", "store", "writers"},
    {"spill"},
    {"state"},
    {"report"},
    {"log"},
    {"run"},
    {"api", "cluster", "command"},
    {"__init__", "__main__"},
]
LAYER_OF = {package: layer for layer, packages in enumerate(LAYERS) for package in packages}


def python_imports(tree: ast.AST, *, in_functions: bool = True, for_type_checkers: bool = True) -> Iterator[str]:
    """The names that a Python source imports: `a.b` for `import a.b` and for `from a import b`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif not in_functions and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        else:
            if not for_type_checkers and is_for_type_checkers(node):
                assert isinstance(node, ast.If)
                node = ast.Module(node.orelse, [])
            yield from python_imports(node, in_functions=in_functions, for_type_checkers=for_type_checkers)


def is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def cython_imports(text: str, *, in_functions: bool = True) -> Iterator[str]:
    """The same of a Cython source, with its cimports and the package's C headers."""
    for indent, line in logical_lines(text):
        if indent and not in_functions:
            continue
        if found := re.match(r"from ([\w.]+) c?import (.*)", line):
            names = re.sub(r"\bas \w+", "", found[2])
            yield from (f"{found[1]}.{name}" for name in re.findall(r"\w+", names))
        elif found := re.match(r"c?import ([\w.]+)", line):
            yield found[1]
    for header in re.findall(r'^cdef extern from "(txfast/[\w/]+)\.h"', text, re.M):
        yield header.replace("/", ".")


def imports(path: Path, *, in_functions: bool = True, for_type_checkers: bool = True) -> Iterator[str]:
    """The names that a source imports."""
    text = path.read_text()
    if path.suffix in (".py", ".pyi"):
        return python_imports(ast.parse(text), in_functions=in_functions, for_type_checkers=for_type_checkers)
    return cython_imports(text, in_functions=in_functions)


def package_of(name: str) -> str:
    """The package that an imported name of txfast is in."""
    _, _, inside = name.partition(".")
    package = inside.partition(".")[0]
    is_package = package and any((PACKAGE / each).exists() for each in (package, f"{package}.py"))
    return package if is_package else "__init__"


def module_of(path: Path) -> str:
    """The module that a source belongs to. The .pyx, .pxd and .pyi of one name are one module."""
    return ".".join(path.relative_to(PROJECT_ROOT).with_suffix("").parts).removesuffix(".__init__")


def module_imports() -> dict[str, set[str]]:
    """The modules of txfast that each of its modules imports."""
    paths = sources(".py", ".pyi", ".pyx", ".pxd", ".h")
    modules = {module_of(path) for path in paths}
    imported: dict[str, set[str]] = {module: set() for module in modules}
    for path in paths:
        for name in imports(path):
            found = name if name in modules else name.rpartition(".")[0]
            if found in modules:
                imported[module_of(path)].add(found)
    return imported


def cycles(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """The sets of nodes that reach each other, without nodes that reach only themselves."""
    reached = {node: reachable(graph, node) for node in graph}
    found = {frozenset(other for other in reached[node] if node in reached[other]) for node in graph}
    return sorted((set(nodes) for nodes in found if len(nodes) > 1), key=sorted)


def reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    """The nodes to which a path leads from this one."""
    reached: set[str] = set()
    waiting = [start]
    while waiting:
        for node in graph[waiting.pop()] - reached:
            reached.add(node)
            waiting.append(node)
    return reached


def wrong_imports() -> set[tuple[str, str]]:
    """(file, package) for each file that imports from its own layer or from a higher one."""
    wrong = set()
    for path in sources(".py", ".pyi", ".pyx", ".pxd"):
        package = package_of(module_of(path)) if path.parent != PACKAGE else path.stem
        for name in imports(path):
            if name.split(".")[0] == "txfast":
                other = package_of(name)
                if other != package and LAYER_OF[other] >= LAYER_OF[package]:
                    wrong.add((name_of(path), other))
    return wrong


def drawing() -> str:
    """The packages as a Mermaid flowchart, one subgraph a layer; an arrow points from a package to one it imports."""
    arrows: dict[str, set[str]] = defaultdict(set)
    for module, imported in module_imports().items():
        arrows[package_of(module)] |= {package_of(other) for other in imported} - {package_of(module)}
    lines = ["flowchart TD"]
    for layer, packages in reversed(list(enumerate(LAYERS))):
        lines += [f"    subgraph layer{layer}[ ]", *(f"        {package}" for package in sorted(packages)), "    end"]
    lines += [f"    {package} --> {other}" for package in sorted(arrows) for other in sorted(arrows[package])]
    return "\n".join(lines)


if __name__ == "__main__":
    print(drawing())
