"""On a cluster, too, no state holds a part of a row, and bytes under another name are warned of."""

from __future__ import annotations

import gzip
import logging
import os
import shutil
from pathlib import Path

import pytest

from tests.support.command import Folder
from tests.support.engines import run_cluster
from tests.support.outputs import assert_alike, on_one_machine
from tests.support.reference import HEADER
from tests.support.states import FIRST, LEFT_OPEN, content_of, positions, run_with_state
from tests.support.writing import being_written
from txfast.errors import InputError

CUT = b"deposit,9,9,98761234.5"
REST = b"6\ndeposit,9,10,1\n"


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    caplog.clear()
    return found


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("range_bytes", [7, 1 << 20])
def test_the_last_line_of_a_growing_input_is_held_back(
    folder: Folder, caplog: pytest.LogCaptureFixture, range_bytes: int, compressed: bool
) -> None:
    encode = gzip.compress if compressed else bytes
    run_cluster("in.csv")
    [line] = warnings(caplog)
    assert line == "state: is a new state: nothing was saved there before; if something was, check the name"
    shutil.copytree("state", "other")
    path = folder.write("tx.csv", encode(FIRST + CUT))
    with being_written(path) as writer:
        found = run_cluster("tx.csv", range_bytes=range_bytes)
        [line] = warnings(caplog)
        assert line.startswith("tx.csv:5: the last line has no line ending, and a program has the file open for writ")
        assert b"\n9," not in found.accounts
        assert_alike(found, on_one_machine(folder, "tx.csv", state="other"))
        writer.write(encode(REST))
    found = run_cluster("tx.csv", range_bytes=range_bytes)
    assert warnings(caplog) == []
    assert b"\n9,98761235.5600," in found.accounts
    assert_alike(found, on_one_machine(folder, "tx.csv", state="other"))


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("range_bytes", [7, 40, 1 << 20])
def test_a_row_whose_quotes_are_open_is_held_back_whole(
    folder: Folder, caplog: pytest.LogCaptureFixture, range_bytes: int, compressed: bool
) -> None:
    encode = gzip.compress if compressed else bytes
    header = HEADER[:-1] + b",note\n"
    start = header + b"deposit,1,1,5,x\n" + b'deposit,9,9,7,"a note\ndeposit,2,2,2,of\nmany lines\n'
    run_cluster("in.csv")
    shutil.copytree("state", "other")
    path = folder.write("tx.csv", encode(start))
    warnings(caplog)
    with being_written(path) as writer:
        found = run_cluster("tx.csv", range_bytes=range_bytes)
        [line] = warnings(caplog)
        assert line.startswith("tx.csv:3: the last row has a quoted field that is not closed, and a program has the f")
        assert (found.stats["rows"], found.stats["malformed"]["bad_quoting"]) == (1, 0)
        assert_alike(found, on_one_machine(folder, "tx.csv", state="other"))
        writer.write(encode(b'and an end"\ndeposit,9,10,1,x\n'))
    found = run_cluster("tx.csv", range_bytes=range_bytes)
    assert warnings(caplog) == []
    assert found.stats["applied"]["deposit"] == found.stats["rows"] == 2
    assert b"\n9,8.0000," in found.accounts
    assert_alike(found, on_one_machine(folder, "tx.csv", state="other"))


def test_a_compressed_input_of_which_only_a_part_of_the_header_is_there_adds_nothing(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    run_cluster("in.csv")
    warnings(caplog)
    path = folder.write("tx.csv.gz", gzip.compress(HEADER[:-4]))
    with being_written(path) as writer:
        assert run_cluster("tx.csv.gz").stats["rows"] == 0
        [line] = warnings(caplog)
        assert line.startswith("tx.csv.gz:1: the last line has no line ending")
        writer.write(gzip.compress(HEADER[-4:] + b"deposit,9,9,1\n"))
    assert run_cluster("tx.csv.gz").stats["rows"] == 1


def test_bytes_under_another_name_are_warned_of(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    content = FIRST + b"deposit,7,7,1\n" * 6000
    folder.write("tx.csv", content)
    run_cluster("in.csv", "tx.csv", range_bytes=1 << 15)
    warnings(caplog)
    os.rename("tx.csv", "tx.1.csv")
    folder.write("other.csv", content[:-15] + b"deposit,7,8,1\n")
    assert run_cluster("tx.1.csv", "other.csv").stats["rows"] == 12005
    [line] = warnings(caplog)
    assert line.startswith(f"tx.1.csv: begins with the {len(content):,} bytes that were applied before as /")
    assert "/tx.csv: their rows are applied again" in line


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("range_bytes", [13, 1 << 20])
@pytest.mark.parametrize("name", [name for name in LEFT_OPEN if "long" not in name and "MiB" not in name])
def test_what_was_added_must_not_close_a_field_read_as_rows(
    folder: Folder, name: str, range_bytes: int, compressed: bool
) -> None:
    first, added, rows = LEFT_OPEN[name]
    encode = gzip.compress if compressed else bytes
    path = folder.write("tx.csv", encode(first))
    run_cluster("tx.csv", range_bytes=range_bytes)
    run_with_state(Path("other"), path, reader="native", block_bytes=None, threads=1)
    assert positions("state") == positions("other")
    before = content_of(folder.path / "state")
    folder.write("tx.csv", encode(first) + (encode(added) if added else b""))
    if rows is None:
        with pytest.raises(InputError, match=r"tx.csv:3: a quoted field .* closes it; .* new state directory"):
            run_cluster("tx.csv", range_bytes=range_bytes)
        assert content_of(folder.path / "state") == before
        return
    assert run_cluster("tx.csv", range_bytes=range_bytes).stats["rows"] == rows
    run_with_state(Path("other"), path, reader="native", block_bytes=None, threads=1)
    assert positions("state") == positions("other")
