"""The manual page: the one in the repository is up to date and complete, and groff and mandoc can show it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest

from tests.support.project import PROJECT_ROOT
from txfast.batch.batch import MALFORMED_REASONS
from txfast.command.help import paragraphs_of
from txfast.command.manual import manual_page, text_lines
from txfast.command.option import Option
from txfast.command.options import OPTIONS
from txfast.ledger.ledger import STATUSES

MAKE = "python -m txfast.command.manual > txfast/command/txfast.1"
PAGE = PROJECT_ROOT / "txfast" / "command" / "txfast.1"


def shown(*command: str) -> str:
    """The page as a program shows it. Without the program, the test is skipped."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not here")
    ended = subprocess.run([*command, PAGE], capture_output=True, text=True, check=True)
    assert ended.stderr == ""
    return ended.stdout


def test_the_page_in_the_repository_is_the_one_that_is_made() -> None:
    made = subprocess.run([sys.executable, "-m", "txfast.command.manual"], capture_output=True, check=True).stdout
    assert PAGE.read_bytes() == made == manual_page().encode("ascii"), MAKE


def test_the_page_has_the_sections_of_a_manual_page() -> None:
    assert re.findall(r"^\.SH (.*)", manual_page(), re.M) == [
        "NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "ENVIRONMENT", "EXIT STATUS", "FILES", "EXAMPLES",
    ]  # fmt: skip


def test_the_page_has_all_flags_variables_and_reasons() -> None:
    page = manual_page().replace(r"\-", "-")
    for option in OPTIONS:
        assert [flag for flag in option.flags if rf"\fB{flag}\fR" not in page] == []
        assert option.variable is None or rf"\fB{option.variable}\fR" in page
    # The first of each is the code for a row without a reason.
    assert [reason for reason in (*STATUSES[1:], *MALFORMED_REASONS[1:]) if reason not in page] == []


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_every_option_has_a_long_text_of_two_sentences_or_more_in_the_page(option: Option) -> None:
    paragraphs = paragraphs_of(option.manual)
    assert all(re.fullmatch(r"[^ ].*[^ .]\.", paragraph) for paragraph in paragraphs)
    assert sum(len(re.findall(r"\.(?: |$)", paragraph)) for paragraph in paragraphs) >= 2
    page = manual_page().splitlines()
    for paragraph in paragraphs:
        lines = text_lines(paragraph)
        assert lines in [page[start : start + len(lines)] for start in range(len(page))]


def test_groff_shows_the_page_without_a_warning() -> None:
    text = shown("groff", "-man", "-ww", "-Tascii", "-P-cbou")
    assert "--max-malformed N" in text
    assert "\n       130, 143, 129, 141\n" in text


def test_mandoc_shows_the_page_without_a_warning() -> None:
    assert "--max-malformed N" in re.sub(".\b", "", shown("mandoc", "-Tascii"))
    # The page has no date, so that it changes only when its text does.
    lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning", PAGE], capture_output=True, text=True, check=False)
    assert [line for line in lint.stdout.splitlines() if "missing date" not in line] == []
