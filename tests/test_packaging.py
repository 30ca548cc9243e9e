"""What an install gives: the package and its types from any folder, no finder, and what bench/generate.py imports."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.packages import python_imports
from tests.support.project import PROJECT_ROOT

pytestmark = pytest.mark.unmeasured


def run_python(folder: Path, *arguments: str) -> str:
    ended = subprocess.run([sys.executable, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture
def folder_above(tmp_path: Path) -> Path:
    """A folder that holds another one named txfast, as the folder above a clone does."""
    (tmp_path / "txfast").mkdir()
    return tmp_path


def test_the_package_is_found_from_the_folder_above_a_clone(folder_above: Path) -> None:
    assert run_python(folder_above, "-c", "import txfast; print(txfast.process.__name__)") == "process\n"


@pytest.mark.untraced
@pytest.mark.slow
def test_mypy_finds_the_types_from_the_folder_above_a_clone(folder_above: Path) -> None:
    (folder_above / "program.py").write_text("import txfast\nreveal_type(txfast.process('in.csv'))\n")
    options = ("--config-file", os.devnull, "--cache-dir", str(folder_above / "cache"), "--follow-imports", "silent")
    said = run_python(folder_above, "-m", "mypy", *options, "program.py")
    assert 'Revealed type is "txfast.api.results.Result[None]"' in said


def test_an_install_adds_no_finder_to_the_start() -> None:
    """An editable install with a finder imports pathlib, re and contextlib in each run: a quarter more CPU time."""
    program = "import sys; print([name for name in sys.modules if name.startswith('__editable___txfast')])"
    assert run_python(PROJECT_ROOT.parent, "-c", program) == "[]\n"


def test_the_generator_needs_only_what_the_package_installs() -> None:
    """So that it runs after the first command of the README."""
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())["project"]
    installed = {re.split(r"\W", requirement)[0] for requirement in project["dependencies"]}
    trees = [ast.parse((PROJECT_ROOT / "bench" / name).read_bytes()) for name in ("generate.py", "workload.py")]
    imported = {name.partition(".")[0] for tree in trees for name in python_imports(tree)}
    assert sorted(imported - installed - sys.stdlib_module_names) == ["workload"]
