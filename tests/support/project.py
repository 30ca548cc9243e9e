"""The project's folder, and copies of the project for builds and tests that need their own."""

import shutil
from pathlib import Path

PROJECT_ROOT = Path(__file__).resolve().parents[2]

# Everything that a build and the tests need. Build products are not copied: the copy builds its own.
PROJECT_PARTS = (
    *("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in", "README.md", "SECURITY.md"),
    *("pyproject.toml", "setup.py", "bench", "docs", "samples", "tests", "txfast"),
)
PRODUCTS = shutil.ignore_patterns("*.so", "__pycache__", "stress_test.csv")


def copy_project(folder: Path) -> None:
    """Copy the project's sources, without build products, into a folder that exists."""
    for name in PROJECT_PARTS:
        part = PROJECT_ROOT / name
        if part.is_dir():
            shutil.copytree(part, folder / name, ignore=PRODUCTS)
        else:
            shutil.copy(part, folder)


def copy_extension_modules(project: Path) -> None:
    """Copy the extension modules, as they are built here, into a copy of the project."""
    for module in (PROJECT_ROOT / "txfast").rglob("*.so"):
        shutil.copy(module, project / module.relative_to(PROJECT_ROOT))
