"""A file of JSON lines that grows: a state reads each row of it once, and never a part of one."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import json_files, replays
from tests.support.command import Folder
from tests.support.states import STATE, accounts, positions, run_with_state
from tests.support.writing import being_written
from txfast.batch.header import JSON_HEADER

FIRST = b'{"type":"deposit","client":1,"tx":1,"amount":"5"}\n{"type":"deposit","client":2,"tx":2,"amount":7}\n'
CUT = b'{"type":"deposit","client":9,"tx":9,"amount":98761234.5'
REST = b'6}\n{"type":"deposit","client":9,"tx":10,"amount":1}\n'
# A line without its end, the end, and what a run then says of it.
OPEN_LINES = {
    "inside": (CUT, REST, "\n9,98761235.5600,"),
    "brace": (CUT[:1], b"}\n", "missing_field: {}"),
    "long": (b'{"note":"' + b"x" * (1 << 21), b'"}\n', "row_too_long"),
}


@pytest.fixture(autouse=True)
def state(folder: Folder) -> None:
    """A state that is not new, so that runs do not say so."""
    accounts(folder, "in.csv")


@pytest.mark.parametrize("encode", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n \r\n"], ids=["", "mark", "blank lines"])
@pytest.mark.parametrize("kind", OPEN_LINES)
def test_the_last_line_of_a_file_open_for_writing_is_held_back(
    folder: Folder, kind: str, start: bytes, encode: type[bytes]
) -> None:
    cut, rest, found = OPEN_LINES[kind]
    path = folder.write("tx.jsonl", encode(start + FIRST + cut))
    with being_written(path) as writer:
        first = folder.run(*STATE, "tx.jsonl")
        blank_lines = start.count(b"\n")
        assert f"tx.jsonl:{3 + blank_lines}: the last line has no line ending" in first.errors
        assert b"\n9," not in first.output
        assert positions(str(folder.path / "state"))["tx.jsonl"][:2] == (len(start + FIRST), 2 + blank_lines)
        writer.write(encode(rest))
    again = folder.run(*STATE, "tx.jsonl")
    assert found in again.output.decode() + again.errors
    assert accounts(folder, "tx.jsonl") == again.output


def test_a_first_line_that_is_held_back_is_no_position(folder: Folder) -> None:
    """The file may yet become one of another format."""
    for start in (b"", b"\xef\xbb\xbf", b"\n\n"):
        path = folder.write("tx", start + CUT)
        with being_written(path):
            assert "the last line has no line ending" in folder.run(*STATE, "tx").errors
        assert "tx" not in positions(str(folder.path / "state"))
    folder.write("tx", b"\n\ntype,client,tx,amount\ndeposit,5,50,1\n")
    assert b"\n5,1.0000," in accounts(folder, "tx")


def test_a_line_that_was_taken_and_is_continued_fails_the_run(folder: Folder) -> None:
    path = folder.write("tx.jsonl", FIRST[:-1])
    before = accounts(folder, "tx.jsonl", "--last-line", "take")
    assert positions(str(folder.path / "state"))["tx.jsonl"][3] == JSON_HEADER
    path.write_bytes(FIRST[:-1] + b" x\n")
    folder.run(*STATE, "tx.jsonl").assert_failed("tx.jsonl:2: the last line had no line ending", "continues it")
    path.write_bytes(FIRST + FIRST[:5] + b"\n")
    assert accounts(folder, "tx.jsonl") == before


def test_the_same_bytes_under_another_name_are_warned_of(folder: Folder) -> None:
    folder.write("a.jsonl", FIRST)
    folder.write("b.jsonl", FIRST)
    accounts(folder, "a.jsonl")
    for arguments in (("b.jsonl",), ("-",)):
        warned = folder.run(*STATE, *arguments, stdin=FIRST if arguments == ("-",) else b"")
        assert "a.jsonl" in warned.errors


@given(json_files.json_files(), st.lists(st.integers(0, 1000), max_size=3), st.sampled_from([1, 7, 1 << 18]))
def test_a_file_that_grows_line_by_line_gives_what_one_run_gives(
    content: bytes, places: list[int], block_bytes: int
) -> None:
    """It grows at line endings; its last line may lack its own."""
    content = content.replace(b"\r\n", b"\n")
    lines = content.splitlines(keepends=True) if b"\x0b" not in content else [content]
    lines = [line for line in lines if line.endswith((b"\n", b"\r"))]
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    expected = replays.run_reference([("in", content)])
    # With less than the first row it is a file without a header.
    first = next((start for start in starts if content[:start].strip(b"\xef\xbb\xbf \t\r\n\v\f")), len(content))
    cuts = sorted({max(starts[place % len(starts)], first) for place in places} | {len(content)})
    rejects = []
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "in")
        for cut in cuts:
            path.write_bytes(content[:cut])
            outcome = run_with_state(Path(name, "state"), path, reader="native", block_bytes=block_bytes, threads=1)
            rejects += [(reject.line, reject.reason, reject.row) for reject in outcome.rejects]
    assert outcome.accounts == expected.accounts
    assert rejects == [(reject.line, reject.reason, reject.row) for reject in expected.rejects]
