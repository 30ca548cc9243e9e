"""Inputs that end in a quoted field that is not closed: rows of a later day's reading are those of the day before."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import cast

import pytest

from tests.support.command import Folder
from tests.support.replays import Outcome, run_reference
from tests.support.states import (
    LEFT_OPEN,
    NOTED,
    STATE,
    change_manifest,
    content_of,
    copied,
    positions,
    run_with_state,
)
from txfast.batch.batch import TransactionBatch
from txfast.errors import InputError, StateError
from txfast.input.position import Consumption, go_on
from txfast.input.source import Source
from txfast.readers.csv import CsvReader
from txfast.state.positions import positions_of
from txfast.state.snapshots import open_snapshot

OPEN = NOTED + b'deposit,1,2,5,"thank you\nwithdrawal,1,3,4\n'
CLOSED = b'and bye"\ndeposit,1,4,1\n'
TAKE = ("--last-line", "take")


def run(folder: Folder, path: Path, block_bytes: int | None = None) -> Outcome:
    return run_with_state(folder.path / "state", path, reader="native", block_bytes=block_bytes, threads=1)


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", LEFT_OPEN)
def test_what_was_added_must_not_close_a_field_read_as_rows(folder: Folder, name: str, compressed: bool) -> None:
    first, added, rows = LEFT_OPEN[name]
    made = gzip.compress if compressed else bytes
    path = folder.write("in.csv", made(first))
    run(folder, path)
    before = content_of(folder.path / "state")
    folder.write("in.csv", made(first) + (made(added) if added else b""))
    if rows is None:
        with pytest.raises(InputError, match=r"in.csv:3: a quoted field .* closes it; .* new state directory"):
            run(folder, path)
        assert content_of(folder.path / "state") == before
        return
    outcome = run(folder, path)
    assert outcome.rows == rows
    assert outcome.accounts == run_reference([("in.csv", first + added)]).accounts
    assert run(folder, path).rows == 0


def test_another_field_may_be_left_open_the_next_day(folder: Folder) -> None:
    first, added, _ = LEFT_OPEN["bad, open again"]
    for content in (first, first + added):
        run(folder, folder.write("in.csv", content))
    path = folder.write("in.csv", first + added + CLOSED)
    with pytest.raises(InputError, match=r"in.csv:4: a quoted field"):
        run(folder, path)


def test_a_row_over_one_mib_may_be_left_open(folder: Folder) -> None:
    first, _, _ = LEFT_OPEN["a long row"]
    run(folder, folder.write("in.csv", first))
    assert positions(str(folder.path / "state"))["in.csv"][-1] == len(b'"a\nb\n')


@pytest.mark.parametrize("threads", ["1", "4"])
def test_the_command_says_which_line_was_read_otherwise(folder: Folder, threads: str) -> None:
    folder.write("tx.csv", OPEN)
    first = folder.run(*STATE, "tx.csv", *TAKE)
    assert first.exit_code == 0
    assert first.output.endswith(b"\n1,1.0000,0.0000,1.0000,false\n")
    folder.write("tx.csv", OPEN + CLOSED)
    folder.run(*STATE, "tx.csv", *TAKE, "--threads", threads).assert_failed(
        "txfast: tx.csv:3: a quoted field that opens here was not closed when its lines were applied as rows, and what "
        "was added closes it; restore the lines as they were, or start a new state directory"
    )
    ended = folder.run(*STATE, "tx.csv", *TAKE, "--reader", "arrow")
    assert (ended.exit_code, ended.output) == (1, b"")
    assert ended.error_lines[-1].startswith("txfast: tx.csv:3: a quoted field that opens here was not closed")
    assert folder.run(*STATE).output == first.output


def test_a_field_stays_open_over_days(folder: Folder) -> None:
    path = folder.write("in.csv", OPEN)
    steps = [b"", b"deposit,1,4,1\n", b"", b'"",deposit,1,1\ndeposit,1,5,1', b"\r\n \n"]
    content = OPEN
    for step in steps:
        content += step
        folder.write("in.csv", content)
        run(folder, path, 16)
    assert run(folder, path).accounts == run_reference([("in.csv", content)]).accounts
    before = content_of(folder.path / "state")
    folder.write("in.csv", content + CLOSED)
    with pytest.raises(InputError, match=r"in.csv:3: a quoted field"):
        run(folder, path)
    assert content_of(folder.path / "state") == before


def test_a_row_that_is_held_back_closes_nothing_yet(folder: Folder) -> None:
    folder.write("tx.csv", OPEN)
    folder.run(*STATE, "tx.csv", *TAKE)
    for held in (b'x,"y', b'x,"y"\n'[:-1], b'deposit,1,5,"' + b"z" * (2 << 20)):
        folder.write("tx.csv", OPEN + b"deposit,1,4,1\n" + held)
        ended = folder.run(*STATE, "tx.csv", "--last-line", "hold")
        assert ended.exit_code == 0, ended.errors
        assert ": it is held back" in ended.errors
    folder.write("tx.csv", OPEN + b"deposit,1,4,1\n" + b'and bye"\n')
    folder.run(*STATE, "tx.csv").assert_failed("tx.csv:3: a quoted field")


@pytest.mark.parametrize("block_bytes", [4, 1 << 10])
def test_a_position_behind_the_last_row_knows_of_an_open_field(block_bytes: int) -> None:
    """A checkpoint may be taken there, before the input is finished."""
    consumption = Consumption()
    reader = CsvReader(io.BytesIO(OPEN), "in.csv", block_bytes, consumption)
    batch = TransactionBatch()
    found = []
    while reader.fill(batch):
        found.append(consumption.position(0, NOTED.partition(b"\n")[0]))
    assert [position.open_bytes for position in found[:-1]] == [0] * (len(found) - 1)
    assert found[-1].open_bytes == len(OPEN) - OPEN.index(b'"')
    source = Source("in.csv", cast(io.FileIO, io.BytesIO(OPEN + CLOSED)), None)
    opened = go_on(source, found[-1])
    assert opened is not None
    reader = CsvReader(source.file, "in.csv", block_bytes, opened[1])
    with pytest.raises(InputError, match="closes it"):
        list(iter(lambda: reader.fill(batch), False))


def test_the_arrow_reader_leaves_no_open_field_to_a_state(folder: Folder) -> None:
    folder.write("tx.csv", OPEN)
    arguments = (*STATE, "tx.csv", *TAKE)
    ended = folder.run(*arguments, "--reader", "arrow")
    assert (ended.exit_code, ended.output) == (1, b"")
    assert ended.error_lines[-1] == (
        "txfast: tx.csv: ends in a quoted field that is not closed, which the arrow reader cannot note in a state; "
        "read it with --reader native"
    )
    assert folder.run("tx.csv", "--reader", "arrow").output == folder.run(*arguments).output


def test_a_state_without_the_field_is_read_as_before(two_snapshots: Path, folder: Folder) -> None:
    snapshot = copied(two_snapshots, folder)
    [(name, position)] = json.loads((snapshot / "manifest.json").read_bytes())["inputs"].items()
    assert "open" not in position
    change_manifest(snapshot, inputs={name: position | {"open": position["offset"] + 1}})
    with pytest.raises(StateError, match=r"is damaged: inputs: .*: open is not what it should be"):
        positions_of(open_snapshot(str(snapshot)))
