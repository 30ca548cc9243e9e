"""Runs that are killed before any of their calls of the system: what they leave, and what the next run removes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from tests.support.command import ACCOUNTS, Folder, Run

TEMPORARY = (".part", ".progress", ".old")
COMMAND = ("in.csv", "-q", "-o", "a.csv", "--rejects", "r.csv")
OUTPUTS = ("a.csv", "r.csv")

# The command; it kills itself before its call number KILL_AT of one of these functions, counted from 1. With NAMED,
# temporary files have names.
PROGRAM = """
import os, signal
if "NAMED" in os.environ and hasattr(os, "O_TMPFILE"):
    del os.O_TMPFILE
calls, kill_at = 0, int(os.environ.get("KILL_AT", 0))
def watched(name, function):
    def call(*arguments, **further):
        global calls
        calls += 1
        if calls == kill_at:
            with open_file("last", "w") as file:
                file.write(name)
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **further)
    return call
open_file = open
from txfast.__main__ import entry
import txfast.command.main
for name in ("open", "dup", "write", "fsync", "close", "fchmod", "link", "rename", "unlink", "listdir"):
    setattr(os, name, watched(name, getattr(os, name)))
entry()
"""

each_way = pytest.mark.parametrize("named", [False, True], ids=["without names", "with names"])

pytestmark = [pytest.mark.untraced, pytest.mark.unmeasured]


def run(folder: Folder, *, named: bool, kill_at: int = 0) -> Run:
    variables = {"KILL_AT": str(kill_at)} | ({"NAMED": "1"} if named else {})
    return folder.run(*COMMAND, command=(sys.executable, "-c", PROGRAM), variables=variables)


def kills(folder: Folder, *, named: bool, there_before: bool) -> Iterator[str]:
    """Kill a run before each of its calls, in a folder that is as before; yield the name of that call each time."""
    for kill_at in range(1, 1000):
        for name in folder.names():
            if name != "in.csv":
                (folder.path / name).unlink()
        for name in OUTPUTS if there_before else ():
            folder.write(name, b"old")
        ended = run(folder, named=named, kill_at=kill_at)
        if ended.exit_code == 0:
            assert kill_at > 20
            return
        assert ended.exit_code == -signal.SIGKILL, ended.errors
        last = folder.path / "last"
        yield last.read_text()
        last.unlink(missing_ok=True)
    raise AssertionError("the run does not end")


def temporary_files(folder: Folder) -> list[str]:
    return [name for name in folder.names() if name.endswith(TEMPORARY)]


@pytest.fixture
def right(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run that is not killed puts out."""
    folder = Folder(tmp_path_factory.mktemp("right"))
    assert run(folder, named=False).exit_code == 0
    found = {name: folder.read(name) for name in OUTPUTS}
    assert found["a.csv"] == ACCOUNTS
    return found


@pytest.mark.slow
@pytest.mark.parametrize("there_before", [False, True], ids=["nothing there before", "outputs there before"])
@each_way
def test_a_killed_run_leaves_whole_outputs_and_nothing_that_the_next_run_does_not_remove(
    folder: Folder, right: dict[str, bytes], named: bool, there_before: bool
) -> None:
    moments: dict[str, int] = {}
    for call in kills(folder, named=named, there_before=there_before):
        moments[call] = moments.get(call, 0) + 1
        left = temporary_files(folder)
        if not named and not there_before:
            assert left == [], call
        elif not named and len(left) > len([name for name in left if name.endswith(".old")]):
            assert call in ("close", "rename")  # the new file has a name, and not yet the place of the old one
        for name in OUTPUTS:
            if there_before or (folder.path / name).exists():
                assert folder.read(name) in (right[name], b"old"), call
        (folder.path / "last").unlink()
        assert run(folder, named=named).exit_code == 0
        assert folder.names() == ["a.csv", "in.csv", "r.csv"], call
        assert {name: folder.read(name) for name in OUTPUTS} == right
    assert {"open", "dup", "write", "fsync", "close"} <= set(moments)
    assert ("rename" in moments) == (named or there_before)


@each_way
def test_a_run_killed_while_it_writes_leaves_a_file_only_where_it_needs_a_name(folder: Folder, named: bool) -> None:
    for name in OUTPUTS:
        folder.write(name, b"old")
    arguments = ("-", *COMMAND[1:])
    variables = {"NAMED": "1"} if named else {}
    reading, writing = os.pipe()
    try:
        import subprocess

        with subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            cwd=folder.path,
            env={**os.environ, **variables},
            stdin=reading,
        ) as process:
            os.write(writing, folder.read("in.csv"))
            wait_for_files(process.pid, folder)
            process.kill()
    finally:
        os.close(reading)
        os.close(writing)
    assert len(temporary_files(folder)) == (2 if named else 0)
    assert [folder.read(name) for name in OUTPUTS] == [b"old", b"old"]
    assert run(folder, named=named).exit_code == 0
    assert folder.names() == ["a.csv", "in.csv", "r.csv"]


def wait_for_files(process: int, folder: Folder) -> None:
    """Wait until a process has two of its outputs open."""
    import time

    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        targets = []
        for name in os.listdir(f"/proc/{process}/fd"):
            try:
                targets.append(os.readlink(f"/proc/{process}/fd/{name}"))
            except OSError:
                continue
        # Each has two descriptors: one for writing, one that holds the file.
        if len([target for target in targets if target.startswith(f"{folder.path.resolve()}/")]) >= 4:
            return
        time.sleep(0.01)
    raise AssertionError("the run does not open its outputs")
