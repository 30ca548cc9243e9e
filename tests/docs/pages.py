"""The project's pages as the tests read them: code blocks with their notes, links, headings.

A note is an HTML comment in the lines just before a block, which a reader of the page does not see:

    <!-- file: NAME -->      the block is the content of this file
    <!-- output -->          the block is what the block before it prints
    <!-- not run: REASON --> the block is not run here
    <!-- with: PACKAGE … --> the block needs these packages, which txfast does not install

`<!-- needs: samples -->` anywhere in a page says that its examples use a copy of the folder samples/.
This module must not know what a block does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.project import PROJECT_ROOT

TOP_PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "samples/README.md")
DOCS = PROJECT_ROOT / "docs"

FENCE = re.compile(r"(`{3,})(\w*)\s*")
NOTE = re.compile(r"<!-- (.*?) -->\s*")
LINK = re.compile(r"(?<!!)!?\[(?:[^\]`]|`[^`]*`)*\]\(([^()\s]+)\)")
# A file or folder of the repository in the text of a page.
NAMED_FILE = re.compile(r"`((?:bench|docs|samples|tests|txfast)/[\w./-]*)`")


class Block(NamedTuple):
    """One code block: `text` is its lines, from line `first` of the page (counted from 1) on."""

    page: Path
    first: int
    language: str
    text: str
    notes: tuple[str, ...]

    @property
    def where(self) -> str:
        return f"{name_of(self.page)}:{self.first}"

    def note(self, name: str) -> str | None:
        """What a note of this name says; None where there is none."""
        for note in self.notes:
            head, _, value = note.partition(":")
            if head == name:
                return value.strip()
        return None


def pages() -> list[Path]:
    """All pages of the project."""
    return [PROJECT_ROOT / name for name in TOP_PAGES] + sorted(DOCS.rglob("*.md"))


def name_of(page: Path) -> str:
    """A page as messages call it."""
    return str(page.relative_to(PROJECT_ROOT)) if page.is_relative_to(PROJECT_ROOT) else page.name


def blocks_of(page: Path) -> list[Block]:
    """The code blocks of a page, in order."""
    blocks: list[Block] = []
    notes: list[str] = []
    lines = enumerate(page.read_text(encoding="utf-8").split("\n"), 1)
    for number, line in lines:
        if note := NOTE.fullmatch(line):
            notes.append(note[1])
        elif fence := FENCE.fullmatch(line):
            text = "".join(f"{each}\n" for each in lines_until(lines, fence[1]))
            blocks.append(Block(page, number + 1, fence[2], text, tuple(notes)))
            notes = []
        elif line.strip():
            notes = []
    return blocks


def lines_until(lines: Iterator[tuple[int, str]], fence: str) -> Iterator[str]:
    """The lines of a block, up to the fence that closes it."""
    for _, line in lines:
        if line == fence:
            return
        yield line
    raise AssertionError(f"a block is not closed: no {fence} follows")


def needs_of(page: Path) -> list[str]:
    """The folders of the project that a page's examples use."""
    found = re.search(r"^<!-- needs: (.*?) -->$", page.read_text(encoding="utf-8"), re.M)
    return found[1].split() if found else []


def prose_of(page: Path) -> str:
    """A page without its code blocks and comments."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.M | re.S)
    return re.sub(r"<!--.*?-->", "", text, flags=re.S)


def links_of(page: Path) -> list[str]:
    """Where a page's links lead, as they are written."""
    return LINK.findall(prose_of(page))


def files_named_in(page: Path) -> list[str]:
    """The files and folders of the repository that a page's text names."""
    return NAMED_FILE.findall(prose_of(page))


def anchors_of(page: Path) -> set[str]:
    """What a link may lead to inside of a page: its headings, as forges name them."""
    anchors: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.*)$", prose_of(page), re.M):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        anchor, count = slug, 0
        while anchor in anchors:
            count += 1
            anchor = f"{slug}-{count}"
        anchors.add(anchor)
    return anchors
