"""The help: that it shows every option and fits any terminal."""

from __future__ import annotations

import os
import re

import pytest

import txfast
from tests.support.command import Folder
from txfast.command.help import (
    COLUMNS_DEFAULT,
    COLUMNS_MIN,
    HELP_COLUMN,
    help_entry,
    long_help,
    short_help,
    terminal_columns,
)
from txfast.command.options import OPTIONS


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_version_prints_the_version(folder: Folder, flag: str) -> None:
    run = folder.run(flag)
    assert (run.exit_code, run.output, run.errors) == (0, f"txfast {txfast.__version__}\n".encode(), "")


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_names_every_flag(folder: Folder, option: str) -> None:
    run = folder.run(option)
    assert (run.exit_code, run.errors) == (0, "")
    text = run.output.decode()
    assert text.startswith("usage: txfast [OPTION …] [FILE …] [LEVEL]\n")
    options = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", text))
    assert {flag for option in OPTIONS for flag in option.flags} <= options


def test_the_short_help_fits_a_screen_and_the_long_one_has_all_texts(folder: Folder) -> None:
    assert folder.run("-h").output.decode() == short_help(80)
    long = folder.run("--help").output.decode()
    assert long == long_help(80)
    for option in OPTIONS:
        assert " ".join(option.manual.split()) in " ".join(long.split())
    assert max(map(len, long.splitlines())) <= 80


def test_help_fits_a_screen() -> None:
    lines = short_help(80).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("columns", [1, COLUMNS_MIN, 60, 100, 300])
def test_help_fits_terminals_of_other_widths(columns: int) -> None:
    text = short_help(columns)
    assert text.split() == short_help(80).split()
    flags = [line for line in text.splitlines() if not line.startswith(("usage", "  txfast", "  unzip"))]
    assert max(map(len, flags)) <= max(columns, COLUMNS_MIN)


def test_help_has_each_group_once() -> None:
    titles = [line for line in short_help(80).splitlines() if line.endswith(":") and line != "Examples:"]
    assert titles == [f"{group}:" for group in dict.fromkeys(option.group for option in OPTIONS)]


def test_help_can_be_written_in_any_encoding(folder: Folder) -> None:
    run = folder.run("--help", variables={"PYTHONIOENCODING": "ascii", "COLUMNS": "80"})
    assert run.exit_code == 0
    assert run.output.startswith(b"usage: txfast [OPTION ?] ")


def test_a_long_name_has_its_text_below() -> None:
    assert help_entry("x" * 60, "what it means", 80) == ["  " + "x" * 60, " " * HELP_COLUMN + "what it means"]


def test_the_width_comes_from_columns_then_from_the_terminal_then_it_is_80(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "123")
    assert terminal_columns() == 123
    monkeypatch.setenv("COLUMNS", "wide")
    monkeypatch.setattr(os, "get_terminal_size", lambda: os.terminal_size((77, 9)))
    assert terminal_columns() == 77

    def fail() -> os.terminal_size:
        raise OSError(25, "Inappropriate ioctl for device")

    monkeypatch.setattr(os, "get_terminal_size", fail)
    assert terminal_columns() == COLUMNS_DEFAULT
