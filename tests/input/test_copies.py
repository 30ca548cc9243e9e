"""Files of one run with the same bytes are warned of: without a state their rows are applied twice."""

from __future__ import annotations

import os

import pytest

import txfast
from tests.support.command import FILE, Folder
from tests.support.reference import HEADER
from txfast.input import copies
from txfast.input.copies import copies_among
from txfast.input.ref import resolve

LONG = HEADER + b"".join(b"deposit,1,%d,1\n" % tx for tx in range(1_000))


def test_a_copy_and_a_file_named_twice_are_warned_of(folder: Folder) -> None:
    folder.write("copy.csv", FILE)
    os.link(folder.path / "in.csv", folder.path / "link.csv")
    run = folder.run("in.csv", "copy.csv", "link.csv", "in.csv", "-o", "out.csv")
    assert [line for line in run.error_lines if line.startswith("warn")] == [
        f"warn: {name}: has the same bytes as in.csv, which is read before it: its rows are applied again, as new ones;"
        f" name each file once"
        for name in ("copy.csv", "link.csv", "in.csv")
    ]
    assert folder.run("in.csv", "copy.csv", "-q").errors == ""


def test_a_program_is_warned_too(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    txfast.process(folder.path / "in.csv", folder.path / "in.csv")
    assert "has the same bytes as" in caplog.text


@pytest.mark.parametrize("block_bytes", [7, 1 << 20])
def test_other_files_are_none(folder: Folder, block_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies, "BLOCK_BYTES", block_bytes)
    contents = {
        "a": LONG, "b": LONG[:-2] + b"2\n", "c": LONG + b"\n",
        "d": LONG.replace(b"deposit,1,7,", b"deposit,2,7,"), "e": LONG,
        "f": HEADER, "g": HEADER, "h": b"", "i": b"",
    }  # fmt: skip
    names = [str(folder.write(name, content)) for name, content in contents.items()]
    refs = [resolve(name) for name in (*names, "-", "s3://bucket/x", str(folder.path / "missing"))]
    assert [(ref.name[-1], other.name[-1]) for ref, other in copies_among(refs)] == [("e", "a")]
    (folder.path / "e").unlink()
    assert list(copies_among(refs)) == []
