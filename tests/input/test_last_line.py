"""Whether a file is still being written: what the system says of it, and what is done where it does not."""

from __future__ import annotations

import errno
import fcntl
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.failures import failing
from txfast.errors import InputError
from txfast.input import last_line
from txfast.input.last_line import LastRow, file_system_of, growth_of, is_open_for_writing, is_shared
from txfast.input.open import open_source
from txfast.input.source import AUTO, Source

LINE = b"type,client,tx,amount\ndeposit,1,1,5"


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Source]:
    """An old file that was read to its end."""
    path = tmp_path / "in.csv"
    path.write_bytes(LINE)
    os.utime(path, (0, 0))
    source = open_source(str(path))
    while source.file.readinto(bytearray(64)):
        pass
    yield source
    source.close()


def test_a_file_that_a_program_has_open_for_writing_is_told_from_others(source: Source) -> None:
    descriptor = source.file.fileno()
    assert is_open_for_writing(descriptor) is False
    with open(source.name, "ab"):
        assert is_open_for_writing(descriptor) is True
        assert growth_of(source, is_read=True) == "a program has the file open for writing"
    with open(source.name, "rb"):
        assert is_open_for_writing(descriptor) is False
    assert growth_of(source, is_read=True) == ""


def test_no_lease_stays_behind(source: Source) -> None:
    assert is_open_for_writing(source.file.fileno()) is False
    assert fcntl.fcntl(source.file.fileno(), fcntl.F_GETLEASE) == fcntl.F_UNLCK


# Asks whether a file is open for writing, and has a program open it while the lease is there.
ASKED_IN_THAT_MOMENT = """
import fcntl, os, subprocess, sys, time
real, writers = fcntl.fcntl, []
def slowed(descriptor, command, argument):
    if command == fcntl.F_SETLEASE and argument == fcntl.F_UNLCK:
        writers.append(subprocess.Popen([sys.executable, "-c", f"open({sys.argv[1]!r}, 'ab')"]))
        while real(descriptor, fcntl.F_GETLEASE) == fcntl.F_RDLCK:
            time.sleep(0.01)
    return real(descriptor, command, argument)
fcntl.fcntl = slowed
from txfast.input.last_line import is_open_for_writing
print(is_open_for_writing(os.open(sys.argv[1], os.O_RDONLY)), writers[0].wait(60))
"""


def test_a_program_that_opens_the_file_in_that_moment_does_not_end_the_run(source: Source) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ASKED_IN_THAT_MOMENT, source.name],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (0, "False 0\n"), ended.stderr


@pytest.mark.parametrize("number", [errno.EACCES, errno.EINVAL])
@pytest.mark.parametrize(("age", "reason"), [(0, "the file was changed less than a minute ago"), (61, "")])
def test_where_the_system_does_not_say_the_time_of_the_last_change_counts(
    source: Source, monkeypatch: pytest.MonkeyPatch, number: int, age: int, reason: str
) -> None:
    monkeypatch.setattr(fcntl, "fcntl", failing(number))
    then = time.time() - age
    os.utime(source.name, (then, then))
    assert growth_of(source, is_read=True) == reason


def test_a_lease_says_nothing_of_programs_on_other_machines(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_line, "is_shared", lambda _: True)
    with open(source.name, "ab"):
        assert growth_of(source, is_read=True) == ""
    os.utime(source.name)
    assert growth_of(source, is_read=True) == "the file was changed less than a minute ago"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("nfs4", True), ("cifs", True), ("9p", True), ("fuse.sshfs", True), ("fuse", True), ("ext4", False), ("", False)],
)
def test_file_systems_that_other_machines_write_to_are_known(
    source: Source, monkeypatch: pytest.MonkeyPatch, kind: str, expected: bool
) -> None:
    device = os.fstat(source.file.fileno()).st_dev
    other = "29 1 0:1 / / rw,relatime shared:1 - fuse /dev/x rw"
    line = f"30 1 {os.major(device)}:{os.minor(device)} / /mnt rw shared:1 master:2 - {kind or 'xfs'} server:/x rw"
    mounts = "\n".join([other, line] if kind else [other])
    assert file_system_of(device, mounts) == kind
    monkeypatch.setattr(last_line, "file_system_of", lambda *_: kind)
    assert is_shared(source.file.fileno()) is expected


def test_a_file_that_has_grown_since_its_end_was_read_is_not_complete(source: Source) -> None:
    with open(source.name, "ab") as file:
        file.write(b"0\n")
    os.utime(source.name, (0, 0))
    assert growth_of(source, is_read=True) == "the file has grown meanwhile"
    assert growth_of(source, is_read=False) == ""


def test_what_is_no_regular_file_does_not_grow() -> None:
    reading, writing = os.pipe()
    source = Source("pipe", os.fdopen(reading, "rb", buffering=0), None)
    assert growth_of(source, is_read=True) == ""
    os.close(writing)
    source.close()
    assert growth_of(Source("memory", io.BytesIO(LINE), None), is_read=True) == ""  # type: ignore[arg-type]


def test_the_rule_comes_first(source: Source) -> None:
    with open(source.name, "ab"):
        assert not LastRow(source, "take").is_held_back()
        assert LastRow(source, AUTO).is_held_back()
        with pytest.raises(InputError, match=r"in\.csv: its last line has no line ending"):
            LastRow(source, "fail").is_held_back()
    held = LastRow(source, "hold")
    assert held.is_held_back()
    assert held.reason == "--last-line hold is given"
