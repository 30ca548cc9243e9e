"""Outputs: a file appears whole or not at all, and results are published in one order, all or none."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import pytest

from tests.support.failures import failing
from txfast.errors import SourceError
from txfast.writers import file as file_module
from txfast.writers.output import Output, publication_order, publish_all

ROLES = ("rejects", "stats", "accounts", "state")
fail_for_want_of_space = failing(errno.ENOSPC)


# ---- One output ------------------------------------------------------------------------------------


def test_the_system_starts_to_write_a_large_file_to_the_disk_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    monkeypatch.setattr(file_module, "WRITE_BACK_BYTES", 10)
    monkeypatch.setattr(os, "posix_fadvise", lambda *arguments: told.append(arguments[-1]))
    output = Output(str(tmp_path / "out"))
    output.open()
    for block in (b"123456", b"7890", b"1", b"23456789012"):
        output.write(block)
    assert told == [os.POSIX_FADV_DONTNEED] * 2
    output.finish()
    output.publish()
    assert (tmp_path / "out").read_bytes() == b"1234567890123456789012"


def test_a_file_is_whole_on_systems_without_early_write_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_module, "WRITE_BACK_BYTES", 10)
    monkeypatch.delattr(os, "posix_fadvise")
    output = Output(str(tmp_path / "out"))
    output.open()
    output.write(b"123456789012")
    output.finish()
    output.publish()
    assert (tmp_path / "out").read_bytes() == b"123456789012"


@pytest.mark.parametrize(("call", "step"), [("fsync", Output.finish), ("rename", Output.publish)])
def test_a_file_that_does_not_reach_the_disk_leaves_the_old_one(
    call: str, step: Callable[[Output], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").write_bytes(b"old")
    output = Output(str(tmp_path / "out"))
    output.open()
    output.write(b"new")
    monkeypatch.setattr(os, call, fail_for_want_of_space)
    with pytest.raises(SourceError, match="out: cannot be written: No space left on device"):
        step(output)
    output.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out").read_bytes() == b"old"


@pytest.mark.parametrize("call", ["open", "fsync"])
def test_a_folder_that_cannot_be_synced_is_no_failure(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = Output(str(tmp_path / "out"))
    output.open()
    output.write(b"new")
    succeeding, folder = getattr(os, call), os.stat(tmp_path)

    def fail_for_the_folder(file: str | int, *arguments: int) -> object:
        if os.path.samestat(os.stat(file), folder):
            fail_for_want_of_space()
        return succeeding(file, *arguments)

    monkeypatch.setattr(os, call, fail_for_the_folder)
    output.publish()
    assert (tmp_path / "out").read_bytes() == b"new"


def test_a_destination_that_cannot_be_looked_up_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "stat", fail_for_want_of_space)
    with pytest.raises(SourceError, match="out: cannot be written: No space left on device"):
        Output(str(tmp_path / "out")).open()


def followed(path: Path) -> dict[str, object]:
    """The progress of an output whose temporary file a run has left."""
    output = Output(str(path))
    output.follow()
    output.open()
    output.write(b"old")
    progress = output.progress()
    output.keep_temporary()
    output.discard()
    return progress


def test_an_output_goes_on_after_the_bytes_of_an_earlier_run(tmp_path: Path) -> None:
    progress = followed(tmp_path / "out")
    output = Output(str(tmp_path / "out"))
    output.reopen(str(progress["path"]), 3, str(progress["xxh3_128"]))
    output.write(b"new")
    assert output.progress()["bytes"] == 6
    output.finish()
    output.publish()
    assert (tmp_path / "out").read_bytes() == b"oldnew"


def test_an_output_that_cannot_go_on_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    progress = followed(tmp_path / "out")
    output = Output(str(tmp_path / "out"))
    output.follow()
    with pytest.raises(SourceError, match="is not what was written to it"):
        output.reopen(str(progress["path"]), 3, "0")
    monkeypatch.setattr(os, "ftruncate", fail_for_want_of_space)
    with pytest.raises(SourceError, match="cannot be written: No space left on device"):
        output.reopen(str(progress["path"]), 3, str(progress["xxh3_128"]))
    monkeypatch.setattr(os, "fsync", fail_for_want_of_space)
    output.open()
    with pytest.raises(SourceError, match="cannot be written: No space left on device"):
        output.progress()
    output.discard()


# ---- Outputs that are revoked ----------------------------------------------------------------------


def published_as_new(path: Path) -> Output:
    """An output that was published over an old file, and may be revoked."""
    path.write_bytes(b"old")
    output = Output(str(path))
    output.open()
    output.write(b"new")
    output.finish()
    output.publish(revocable=True)
    assert path.read_bytes() == b"new"
    return output


def test_a_replaced_file_that_cannot_be_put_back_keeps_its_second_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = published_as_new(tmp_path / "out")
    monkeypatch.setattr(os, "rename", fail_for_want_of_space)
    output.revoke()
    output.discard()
    assert sorted(path.read_bytes() for path in tmp_path.iterdir()) == [b"new", b"old"]


def test_nothing_is_revoked_on_a_file_system_without_second_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)  # such file systems need it to have a name
    monkeypatch.setattr(os, "link", fail_for_want_of_space)
    output = published_as_new(tmp_path / "out")
    output.revoke()
    output.discard()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"new"]


def test_a_device_has_nothing_to_revoke() -> None:
    output = Output(os.devnull)
    output.open()
    output.write(b"new")
    output.finish()
    output.publish(revocable=True)
    output.revoke()
    output.discard()


def test_an_output_that_cannot_be_closed_is_discarded_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = Output(str(tmp_path / "out"))
    output.open()
    with monkeypatch.context() as patch:
        patch.setattr(os, "close", fail_for_want_of_space)
        output.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_write_to_a_full_pipe_that_does_not_block_waits_for_its_reader() -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    output = Output(f"/dev/fd/{write_end}")
    output.open()
    found = bytearray()

    def read_late() -> None:
        time.sleep(0.2)
        while len(found) < 1 << 20:
            found.extend(os.read(read_end, 1 << 16))

    reader = threading.Thread(target=read_late)
    reader.start()
    block = bytes(range(256)) * 4096
    output.write(block)
    reader.join()
    output.finish()
    os.close(read_end)
    os.close(write_end)
    assert bytes(found) == block


# ---- All results of a run --------------------------------------------------------------------------


class Result:
    """A result that appends each call to a shared list."""

    def __init__(self, name: str, calls: list[str], *, fails: bool = False) -> None:
        self._name = name
        self._calls = calls
        self._fails = fails

    def open(self) -> None:
        self._calls.append(f"open {self._name}")

    def finish(self) -> None:
        self._calls.append(f"finish {self._name}")

    def publish(self, *, revocable: bool = False) -> None:
        if self._fails:
            raise SourceError(f"{self._name}: cannot be written: no space", self._name)
        self._calls.append(f"publish {self._name}{' for now' if revocable else ''}")

    def revoke(self) -> None:
        self._calls.append(f"revoke {self._name}")

    def discard(self) -> None:
        self._calls.append(f"discard {self._name}")


def test_results_are_published_in_one_order_however_many_a_run_has() -> None:
    for count in range(len(ROLES) + 1):
        for chosen in permutations(ROLES, count):
            results = {role: Result(role, []) for role in chosen}
            ordered = publication_order(**results)
            assert ordered == [results[role] for role in ROLES if role in results]


def test_the_last_result_is_published_for_good() -> None:
    calls: list[str] = []
    publish_all([Result(role, calls) for role in ("stats", "accounts", "state")])
    assert calls == ["publish stats for now", "publish accounts for now", "publish state"]


def test_a_result_that_cannot_be_published_takes_back_those_before_it() -> None:
    calls: list[str] = []
    results = [Result("stats", calls), Result("accounts", calls), Result("state", calls, fails=True)]
    with pytest.raises(SourceError, match="state: cannot be written"):
        publish_all(results)
    assert calls == ["publish stats for now", "publish accounts for now", "revoke accounts", "revoke stats"]


def test_an_output_may_be_finished_twice_and_a_device_has_nothing_temporary_to_keep() -> None:
    output = Output("/dev/null")
    output.open()
    output.write(b"x")
    output.keep_temporary()
    output.finish()
    output.finish()
    output.publish()
    output.discard()
