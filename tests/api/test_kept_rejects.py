"""Rejects of a result under a memory limit: beyond a share of it they are in a file without a name."""

from __future__ import annotations

import gc
import io
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import txfast
from tests.support.command import environment, unmeasured
from txfast.api import kept_rejects
from txfast.errors import SpillError
from txfast.spill.file import SpillFile

HEADER = b"type,client,tx,amount\n"
ROWS = HEADER + b"".join(b"fee,%d,%d,1,%s\n" % (row, row, b"x" * 50) for row in range(300_000)) + b"deposit,1,1,5\n"


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_rejects, "LIMIT_BYTES_PER_BYTE", 1 << 20)
    monkeypatch.setattr("txfast.api.run.LIMIT_BYTES_PER_BYTE", 1 << 20)


@pytest.mark.usefixtures("few")
def test_rejects_on_disk_are_those_in_memory(tmp_path: Path) -> None:
    in_memory = txfast.process(io.BytesIO(ROWS), rejects=True, memory_limit="1TiB")
    on_disk = txfast.process(io.BytesIO(ROWS), rejects=True, memory_limit="256MiB", spill_dir=str(tmp_path / "made"))
    assert os.listdir(tmp_path / "made") == []
    assert len(on_disk.rejects) == 300_000
    assert on_disk.rejects.to_arrow().equals(in_memory.rejects.to_arrow())
    assert on_disk.rejects[-1] == in_memory.rejects[-1]
    some = on_disk.rejects[5:8]
    del on_disk
    gc.collect()
    assert list(some) == list(in_memory.rejects[5:8])
    assert list(pickle.loads(pickle.dumps(some))) == list(some)


@pytest.mark.usefixtures("few")
def test_rejects_of_a_run_that_stopped_are_kept_too(tmp_path: Path) -> None:
    with pytest.raises(txfast.TooManyMalformedError) as raised:
        txfast.process(
            io.BytesIO(ROWS), rejects=True, max_malformed=200_000, memory_limit="256MiB", spill_dir=str(tmp_path)
        )
    assert raised.value.rejects is not None
    assert len(raised.value.rejects) == 200_001


@pytest.mark.usefixtures("few")
def test_a_folder_that_cannot_hold_rejects_fails_the_run(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(ROWS)
    with pytest.raises(SpillError, match="cannot hold what does not fit in the memory limit"):
        txfast.process(path, rejects=True, memory_limit="256MiB", spill_dir="/proc/made")


def test_a_file_that_cannot_be_mapped_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SpillFile(str(tmp_path))
    file.append(b"x")
    monkeypatch.setattr("mmap.mmap", lambda *_, **__: (_ for _ in ()).throw(OSError(12, "Cannot allocate memory")))
    with pytest.raises(SpillError, match="Cannot allocate memory"):
        file.mapped()
    file.close()


PROGRAM = """\
import sys, txfast
result = txfast.process(sys.argv[1], rejects=True, memory_limit="256MiB", spill_dir=sys.argv[2])
anonymous = [int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")]
print(len(result.rejects), result.stats["peak_memory_bytes"] >> 20, anonymous[0] >> 10)
"""


@pytest.mark.unmeasured
def test_many_rejects_keep_within_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(HEADER + b"deposit,1,1,5\n" + ROWS[len(HEADER) :] * 12)
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path), str(tmp_path)],
        capture_output=True, text=True, check=True, env=unmeasured(environment()),
    )  # fmt: skip
    rejects, peak, anonymous = map(int, ended.stdout.split())
    assert rejects == 3_600_012
    assert peak < 256
    assert anonymous < 200
