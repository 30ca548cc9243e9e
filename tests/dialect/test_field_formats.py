"""Files in the shapes that banks, processors, spreadsheets and databases export: one command reads each of them."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.support.command import Folder
from tests.support.project import PROJECT_ROOT

FORMATS = PROJECT_ROOT / "tests" / "dialect" / "field_formats"
# The last cell of each row of the table: a command in a code span.
COMMANDS = re.findall(r"\| `(txfast .*)` \|$", (FORMATS / "README.md").read_text(encoding="utf-8"), re.M)


def file_of(command: str) -> Path:
    return FORMATS / shlex.split(command)[1]


@pytest.mark.parametrize("command", COMMANDS, ids=[file_of(command).stem for command in COMMANDS])
def test_one_command_reads_a_format_of_the_field(folder: Folder, command: str) -> None:
    file = file_of(command)
    shutil.copy(file, folder.path)
    ended = folder.run(*shlex.split(command)[1:], "-q")
    assert (ended.exit_code, ended.errors) == (0, "")
    assert ended.output == file.with_name(f"{file.stem}.expected.csv").read_bytes()


def test_every_format_has_a_command() -> None:
    expected = {path.name.removesuffix(".expected.csv") for path in FORMATS.glob("*.expected.csv")}
    assert expected == {file_of(command).stem for command in COMMANDS}
    assert len(COMMANDS) == len(expected)


@pytest.mark.parametrize("arguments", [(), ("--decimal", ",")], ids=["point", "comma"])
def test_an_unquoted_decimal_comma_is_refused_and_never_read_as_less(
    folder: Folder, arguments: tuple[str, ...]
) -> None:
    name = "unquoted-decimal-comma.csv"
    shutil.copy(FORMATS / name, folder.path)
    ended = folder.run(name, *arguments, "-q")
    ended.assert_failed(name, "too_many_fields")
