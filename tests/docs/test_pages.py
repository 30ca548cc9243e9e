"""The pages: links lead somewhere, files that they name exist, every page can be found; the README is short."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, anchors_of, files_named_in, links_of, name_of, pages
from tests.support.project import PROJECT_ROOT

pytestmark = pytest.mark.unmeasured

README = PROJECT_ROOT / "README.md"
README_LINES_MAX = 150
# Made by a benchmark, and no part of the repository.
GENERATED = {"samples/stress_test.csv"}

every_page = pytest.mark.parametrize("page", pages(), ids=name_of)


def target_of(page: Path, link: str) -> tuple[Path, str]:
    """The file that a link leads to, and the anchor in it."""
    path, _, anchor = link.partition("#")
    return (page.parent / path).resolve() if path else page, anchor


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links_of(page):
        if re.match(r"https?://", link):
            continue
        target, anchor = target_of(page, link)
        is_there = target.exists() and target.is_relative_to(PROJECT_ROOT)
        if not is_there or (anchor and (target.suffix != ".md" or anchor not in anchors_of(target))):
            broken.append(link)
    assert broken == []


@every_page
def test_files_that_a_page_names_are_there(page: Path) -> None:
    missing = {name for name in files_named_in(page) if not (PROJECT_ROOT / name).exists()}
    assert missing - GENERATED == set()


def test_every_page_is_linked_from_an_index_or_the_readme() -> None:
    indexes = (README, DOCS / "index.md", DOCS / "cookbook" / "index.md")
    linked = {target_of(page, link)[0] for page in indexes for link in links_of(page)}
    assert [name_of(page) for page in pages() if page not in linked and page != README] == []


def test_the_links_and_anchors_of_a_page_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A `b` c: d.e\n\n## A\n\n## A\n\n[`x`](y.md#z) and ![a](b.svg)\n\n```text\n[no](no.md)\n```\n")
    assert links_of(page) == ["y.md#z", "b.svg"]
    assert anchors_of(page) == {"a-b-c-de", "a", "a-1"}


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= README_LINES_MAX


def test_the_readme_sets_up_in_two_commands() -> None:
    section = README.read_text(encoding="utf-8").partition("\n## Set up and run\n")[2]
    block = re.search(r"^```sh\n(.*?)^```$", section.partition("\n## ")[0], re.M | re.S)
    assert block is not None
    commands = block[1].splitlines()
    assert [command.split()[0] for command in commands] == ["python3", ".venv/bin/pip"]
    assert "samples/sample.csv" in commands[0]
    assert "pytest" in commands[1]
