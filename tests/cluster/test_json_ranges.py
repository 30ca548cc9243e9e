"""JSON lines on a cluster: ranges of any size give what one run gives, with a state and without."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import json_files, replays
from tests.support.command import Folder
from tests.support.engines import run_cluster, run_ranges
from tests.support.outputs import assert_alike, by_command, on_one_machine, rejects_of
from tests.support.reference import HEADER
from tests.support.writing import being_written
from txfast.cluster.cutting import cut_inputs

ROWS = b"".join(
    b'{"type":"deposit","client":%d,"tx":%d,"amount":"1.5","note":"a \\" b"}%s\n' % (tx % 7, tx, b"\r" * (tx % 2))
    for tx in range(60)
)


@given(st.lists(json_files.json_files(), min_size=1, max_size=2), st.integers(1, 80), st.sampled_from([1, 3]))
def test_ranges_of_any_size_give_the_same_as_one_run(
    tmp_path_factory: pytest.TempPathFactory, files: list[bytes], range_bytes: int, shards: int
) -> None:
    path = tmp_path_factory.mktemp("files")
    inputs = [(str(path / f"{number}.jsonl"), content) for number, content in enumerate(files)]
    for name, content in inputs:
        Path(name).write_bytes(content)
    found = run_ranges([name for name, _ in inputs], shards, range_bytes)
    expected = replays.run_reference(inputs)
    assert found.accounts == expected.accounts
    assert rejects_of(found) == [(reject.file, reject.line, reject.reason) for reject in expected.rejects]


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n \r\n", b"\xef\xbb\xbf\n"])
@pytest.mark.parametrize("range_bytes", [1, 33, 1 << 20])
def test_days_with_a_state_give_the_same_as_on_one_machine(folder: Folder, start: bytes, range_bytes: int) -> None:
    folder.write("other.csv", HEADER + b"dispute,1,1,\n")
    lines = ROWS.splitlines(keepends=True)
    for day in (1, 20, 20, 60):
        folder.write("tx.jsonl", start + b"".join(lines[:day]))
        found = run_cluster("tx.jsonl", "other.csv", range_bytes=range_bytes, state="cluster")
        assert_alike(found, on_one_machine(folder, "tx.jsonl", "other.csv", state="single"))
    # Each goes on with the state of the other.
    folder.write("tx.jsonl", start + ROWS + ROWS[:100].partition(b"\n")[0] + b"\n")
    found = run_cluster("tx.jsonl", range_bytes=range_bytes, state="single")
    assert_alike(found, on_one_machine(folder, "tx.jsonl", state="cluster"))


@pytest.mark.parametrize("range_bytes", [7, 1 << 20])
def test_the_last_line_of_a_growing_input_is_held_back(
    folder: Folder, caplog: pytest.LogCaptureFixture, range_bytes: int
) -> None:
    path = folder.write("tx.jsonl", ROWS[:-9])
    with being_written(path) as writer:
        found = run_cluster("tx.jsonl", range_bytes=range_bytes)
        assert found.stats["rows"] == 59
        warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert any(line.startswith("tx.jsonl:60: the last line has no line ending") for line in warnings)
        writer.write(ROWS[-9:])
    assert run_cluster("tx.jsonl", range_bytes=range_bytes).stats["rows"] == 1


def test_an_ignored_key_is_told_as_the_command_does(folder: Folder) -> None:
    folder.write("tx.jsonl", ROWS.replace(b'"note"', b'"currency"'))
    found = run_ranges(["tx.jsonl"], 2, 500)
    assert_alike(found, by_command(folder, "tx.jsonl"))


def test_a_cut_file_of_json_lines_begins_with_its_first_object(folder: Folder) -> None:
    folder.write("tx.jsonl", b"\n \r\n" + ROWS)
    first, *_ = cut_inputs(["tx.jsonl"], 100)
    assert (first.header, first.start, first.lines_before) == (b"{", 4, 2)
