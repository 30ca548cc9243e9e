"""The parts of the pages that are made from the code: they are as the script makes them, and no cell is empty."""

from __future__ import annotations

import re
from collections import Counter
from itertools import takewhile
from pathlib import Path

import pytest

from docs.make_reference import MADE, PACKAGE, PARTS, cells_of, made, pages
from tests.docs.pages import anchors_of, name_of
from tests.support.project import PROJECT_ROOT

pytestmark = pytest.mark.unmeasured

ARCHITECTURE = PROJECT_ROOT / "docs" / "explanation" / "architecture.md"

PAGES_WITH_PARTS = [page for page in pages() if MADE.search(page.read_text(encoding="utf-8"))]
every_page_with_parts = pytest.mark.parametrize("page", PAGES_WITH_PARTS, ids=name_of)


def parts_of(page: Path) -> dict[str, str]:
    return {found[2]: found[0] for found in MADE.finditer(page.read_text(encoding="utf-8"))}


@every_page_with_parts
def test_a_page_is_as_the_code_says(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == made(text), "run python docs/make_reference.py"


@every_page_with_parts
def test_a_table_that_is_made_has_no_empty_cell(page: Path) -> None:
    empty = [
        cells[0]
        for part in parts_of(page).values()
        for line in part.splitlines()
        if line.startswith("| `") and not (cells := cells_of(line))[-1]
    ]
    assert empty == []


@every_page_with_parts
def test_each_row_of_a_table_that_is_made_is_one_line(page: Path) -> None:
    for name, part in parts_of(page).items():
        lines = part.splitlines()
        first = next((number for number, line in enumerate(lines) if line.startswith("|")), len(lines))
        table = list(takewhile(bool, lines[first:]))
        assert all(line.startswith("|") and line.endswith("|") for line in table), name


def test_every_part_is_in_one_page() -> None:
    names = Counter(name for page in PAGES_WITH_PARTS for name in parts_of(page))
    assert {name: count for name, count in names.items() if not name.startswith("files ")} == dict.fromkeys(PARTS, 1)


def test_the_architecture_has_a_section_and_the_files_of_every_package() -> None:
    packages = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert packages <= anchors_of(ARCHITECTURE)
    assert {f"files {package}" for package in [*packages, "."]} == set(parts_of(ARCHITECTURE))


def test_a_text_written_by_hand_is_kept_by_its_row() -> None:
    page = "<!-- made: kinds -->\n| type | effect |\n| --- | --- |\n| `dispute` | holds |\n<!-- made: end -->\n"
    again = made(page)
    assert re.findall(r"^\| `(\w+)` \| (.*?) \|$", again, re.M) == [
        ("deposit", ""),
        ("withdrawal", ""),
        ("dispute", "holds"),
        ("resolve", ""),
        ("chargeback", ""),
        ("refund", ""),
        ("reversal", ""),
    ]
    assert made(again) == again
