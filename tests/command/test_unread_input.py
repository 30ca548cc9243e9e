"""Rows that are piped in where no FILE is named and a state is: they are refused, never dropped in silence."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.support.command import ACCOUNTS, COMMAND, FILE, Folder, shell
from txfast.command.unread_input import PATIENCE_SECONDS, refuse_piped_input
from txfast.errors import UsageError

STATE = ("--state", "state")
PIPED = "no FILE, and rows are piped in: add - to read them, or < /dev/null to read nothing"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    assert folder.run(*STATE, "in.csv", "-q").exit_code == 0
    return folder


def test_rows_piped_in_without_a_file_are_refused(folder: Folder) -> None:
    folder.run(*STATE, stdin=FILE).assert_misused(PIPED)
    with open(folder.path / "in.csv", "rb") as file:
        folder.run(*STATE, stdin=file).assert_misused(PIPED)
    assert folder.run(*STATE, "-q", "-", stdin=FILE).output == ACCOUNTS


def test_a_pipe_whose_writer_is_slow_is_waited_for(folder: Folder) -> None:
    ended = shell(folder, f"(sleep 1; echo deposit) | {COMMAND} --state state")
    assert ended.exit_code == 2
    assert PIPED in ended.error_lines[-1]
    assert shell(folder, f"sleep 1 | {COMMAND} --state state").output == ACCOUNTS


def test_nothing_is_piped_in_by_an_empty_file_a_device_and_a_closed_descriptor(folder: Folder) -> None:
    folder.write("empty.csv", b"")
    for redirected in ("< /dev/null", "< empty.csv", "<&-", "< /dev/zero", "< <(true)"):
        ended = shell(folder, f"{COMMAND} --state state {redirected}")
        assert (ended.output, ended.errors) == (ACCOUNTS, ""), redirected


def test_a_file_that_was_read_to_its_end_is_empty(folder: Folder) -> None:
    ended = shell(folder, f"(cat > /dev/null; {COMMAND} --state state) < in.csv")
    assert (ended.output, ended.errors) == (ACCOUNTS, "")


def test_verify_reads_nothing_that_is_piped_in(folder: Folder) -> None:
    assert folder.run(*STATE, "--verify", stdin=FILE).exit_code == 0


def test_a_pipe_that_stays_open_without_a_byte_is_not_waited_for_for_ever() -> None:
    assert 1 <= PATIENCE_SECONDS <= 10
    reading, writing = os.pipe()
    here, there = socket.socketpair()
    for descriptor in (reading, here.fileno()):
        with pytest.raises(UsageError, match=r"a pipe that has been open for 0\.01 seconds without a byte: add - to"):
            refuse_piped_input(descriptor, 0.01)
    os.write(writing, b"x")
    there.send(b"x")
    for descriptor in (reading, here.fileno()):
        with pytest.raises(UsageError, match="rows are piped in: add - to read them"):
            refuse_piped_input(descriptor, 0.01)
        # It was not taken.
        assert os.read(descriptor, 9) == b"x"
    os.close(writing)
    there.close()
    for descriptor in (reading, here.fileno()):
        refuse_piped_input(descriptor, 0.01)
    os.close(reading)
    here.close()


def test_a_state_that_is_made_anew_is_said(folder: Folder) -> None:
    ended = folder.run("--state", "stat", "in.csv")
    assert ended.error_lines[0] == (
        "warn: stat: is a new state: nothing was saved there before; if something was, check the name"
    )
    assert folder.run("--state", "stat", "in.csv").errors == ""
    assert folder.run("--state", "other", "in.csv", "-q").errors == ""
    folder.run("--state", "ledgr").assert_failed("ledgr: holds no state: there is no such directory; check its name")
    assert "ledgr" not in folder.names()
