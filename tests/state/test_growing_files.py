"""Files that another program is still writing: no state ever holds a part of a row."""

from __future__ import annotations

import gzip
import json
import os
import time
from pathlib import Path

import pytest

from tests.support.command import FILE, Folder
from tests.support.reference import HEADER
from tests.support.replays import READERS
from tests.support.states import FIRST, STATE, accounts
from tests.support.writing import being_written

CUT = b"deposit,9,9,98761234.5"
REST = b"6\ndeposit,9,10,1\n"
OLD = 3600


def make_old(path: Path) -> None:
    then = time.time() - OLD
    os.utime(path, (then, then))


def consumed(folder: Folder, name: str) -> tuple[int, int]:
    """The bytes and the lines of an input that the newest snapshot has consumed."""
    newest = max((folder.path / "state").glob("snapshot-*"), key=lambda path: int(path.name.partition("-")[2]))
    position = json.loads((newest / "manifest.json").read_bytes())["inputs"][os.path.realpath(folder.path / name)]
    return position["offset"], position["lines"]


def stats_of(folder: Folder) -> tuple[int, int]:
    """The bytes and the rows of a run's one input."""
    [found] = json.loads((folder.path / "s.json").read_bytes())["inputs"]
    return found["bytes"], found["rows"]


@pytest.fixture(autouse=True)
def state(folder: Folder) -> None:
    """A state that is not new, so that runs do not say so."""
    accounts(folder, "in.csv")


# ---- While a program writes ------------------------------------------------------------------------


@pytest.mark.parametrize("threads", ["1", "4"])
@pytest.mark.parametrize("reader", READERS)
def test_the_last_line_of_a_file_open_for_writing_is_held_back_and_taken_whole_by_the_next_run(
    folder: Folder, reader: str, threads: str
) -> None:
    path = folder.write("tx.csv", FIRST + CUT)
    make_old(path)
    arguments = ("tx.csv", "--reader", reader, "--threads", threads, "--stats", "s.json", "--rejects", "r.csv")
    with being_written(path) as writer:
        first = folder.run(*STATE, *arguments)
        assert first.exit_code == 0
        assert first.error_lines == [
            "warn: tx.csv:5: the last line has no line ending, and a program has the file open for writing: it is held "
            "back, and the next run reads it; --last-line take applies it now"
        ]
        assert b"\n9," not in first.output
        assert stats_of(folder) == (len(FIRST), 3)
        assert consumed(folder, "tx.csv") == (len(FIRST), 4)
        # Nothing is there yet that could be applied.
        again = folder.run(*STATE, *arguments)
        assert again.error_lines == first.error_lines
        assert stats_of(folder) == (0, 0)
        writer.write(REST)
        second = folder.run(*STATE, *arguments)
    assert second.exit_code == 0
    assert second.error_lines == []
    assert b"\n9,98761235.5600,0.0000,98761235.5600,false\n" in second.output
    assert stats_of(folder) == (len(CUT + REST), 2)
    assert consumed(folder, "tx.csv") == (len(FIRST + CUT + REST), 6)


LONG = FIRST + b"deposit,7,1,1\n" * 100_000


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("read", [FIRST + CUT, FIRST, HEADER[:-3], LONG + CUT], ids=["row", "line", "header", "long"])
def test_a_growing_file_that_ends_inside_a_character_is_held_back_at_its_last_line(
    folder: Folder, read: bytes, reader: str, compressed: bool
) -> None:
    start = LONG if read.startswith(LONG) else FIRST
    whole = (start + CUT + REST).decode().encode("utf-16")
    cut = whole[: 2 * len(read) + 3]  # behind the mark, and half of the next character
    pack = gzip.compress if compressed else bytes
    path = folder.write("tx.csv", pack(cut))
    make_old(path)
    arguments = (*STATE, "tx.csv", "--reader", reader)
    message = f"tx.csv: UTF-16 that ends inside a character, at byte {len(cut) - 1:,} of it: it was cut short, or is"
    folder.run(*arguments).assert_failed(message)
    with being_written(path) as writer:
        first = folder.run(*arguments)
        assert first.exit_code == 0
        [warning] = [line for line in first.error_lines if line.startswith("warn: ")]
        assert "the file ends inside a character, and a program has the file open for writing" in warning
        assert b"\n9," not in first.output
        for rule in ("take", "fail"):
            folder.run(*arguments, "--last-line", rule).assert_failed(message)
        folder.run("tx.csv").assert_failed(message)
        writer.write(pack(whole[len(cut) :]))
    then = folder.run(*arguments, "-q")
    assert (then.exit_code, then.errors) == (0, "")
    assert b"\n9,98761235.5600," in then.output


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("content", [FIRST, FIRST + b" \t", FIRST[:-1] + b"\r"], ids=["LF", "blanks", "CR"])
def test_a_file_open_for_writing_that_ends_with_a_whole_row_is_taken(
    folder: Folder, content: bytes, reader: str
) -> None:
    path = folder.write("tx.csv", content)
    with being_written(path):
        ended = folder.run(*STATE, "tx.csv", "--reader", reader)
    assert ended.error_lines == []
    assert b"\n2,0.0000,7.0000,7.0000,false\n" in ended.output


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n \n"], ids=["plain", "mark", "blank lines"])
def test_a_header_without_its_ending_is_held_back(folder: Folder, start: bytes, reader: str) -> None:
    path = folder.write("tx.csv", start + HEADER[:-1])
    arguments = (*STATE, "tx.csv", "--reader", reader, "--stats", "s.json")
    with being_written(path) as writer:
        ended = folder.run(*arguments)
        assert ended.exit_code == 0, ended.errors
        [line] = ended.error_lines
        line_number = 1 + len(start.splitlines()) * start.endswith(b"\n")
        assert line.startswith(f"warn: tx.csv:{line_number}: the last line has no line ending")
        writer.write(b",note\ndeposit,9,9,1,x\n")
    ended = folder.run(*arguments)
    assert ended.error_lines == []
    assert b"\n9,1.0000," in ended.output
    assert stats_of(folder) == (len(start + HEADER + b",note" + b"deposit,9,9,1,x\n"), 1)


def test_a_line_that_is_too_long_is_held_back_as_well(folder: Folder) -> None:
    long = b"deposit,9,9," + b"9" * (3 << 20)
    path = folder.write("tx.csv", FIRST + long)
    with being_written(path) as writer:
        ended = folder.run(*STATE, "tx.csv", "--stats", "s.json")
        assert [line[:40] for line in ended.error_lines] == ["warn: tx.csv:5: the last line has no lin"]
        assert stats_of(folder) == (len(FIRST), 3)
        assert consumed(folder, "tx.csv") == (len(FIRST), 4)
        writer.write(b"9\ndeposit,9,10,1\n")
    ended = folder.run(*STATE, "tx.csv", "--stats", "s.json")
    assert [line[:37] for line in ended.error_lines] == ["malformed: tx.csv:5: row_too_long: de"]
    assert stats_of(folder) == (len(long) + 17, 2)


@pytest.mark.parametrize("reader", READERS)
def test_a_compressed_file_that_grows_member_by_member_is_held_back_at_its_last_line(
    folder: Folder, reader: str
) -> None:
    path = folder.write("tx.csv.gz", gzip.compress(FIRST + CUT))
    with being_written(path) as writer:
        ended = folder.run(*STATE, "tx.csv.gz", "--reader", reader)
        assert [line[:43] for line in ended.error_lines] == ["warn: tx.csv.gz:5: the last line has no lin"]
        assert consumed(folder, "tx.csv.gz") == (len(FIRST), 4)
        writer.write(gzip.compress(REST))
    ended = folder.run(*STATE, "tx.csv.gz", "--reader", reader)
    assert ended.error_lines == []
    assert b"\n9,98761235.5600," in ended.output


def test_only_the_file_that_grows_is_held_back(folder: Folder) -> None:
    growing = folder.write("a.csv", FIRST + CUT)
    make_old(folder.write("b.csv", HEADER + b"deposit,8,1,4"))
    with being_written(growing):
        ended = folder.run(*STATE, "a.csv", "b.csv")
    assert [line[:12] for line in ended.error_lines] == ["warn: a.csv:"]
    assert b"\n8,4.0000," in ended.output
    assert b"\n9," not in ended.output


def test_standard_input_that_is_a_growing_file_is_held_back_and_a_pipe_is_not(folder: Folder) -> None:
    path = folder.write("tx.csv", FIRST + CUT)
    with being_written(path), open(path, "rb") as file:
        ended = folder.run(*STATE, "-", stdin=file)
        assert [line[:27] for line in ended.error_lines] == ["warn: standard input:5: the"]
        assert b"\n9," not in ended.output
        ended = folder.run(*STATE, "-", stdin=HEADER + CUT)
    assert ended.error_lines == []
    assert b"\n9,98761234.5000," in ended.output


def test_without_a_state_nothing_is_held_back(folder: Folder) -> None:
    path = folder.write("tx.csv", FIRST + CUT)
    with being_written(path):
        ended = folder.run("tx.csv")
    assert ended.error_lines == []
    assert b"\n9,98761234.5000," in ended.output


def test_a_file_that_was_closed_just_now_is_taken(folder: Folder) -> None:
    path = folder.write("tx.csv", FIRST)
    with being_written(path) as writer:
        writer.write(CUT)
    ended = folder.run(*STATE, "tx.csv")
    assert ended.error_lines == []
    assert b"\n9,98761234.5000," in ended.output


# ---- The option ------------------------------------------------------------------------------------


@pytest.mark.parametrize("reader", READERS)
def test_the_user_may_decide(folder: Folder, reader: str) -> None:
    path = folder.write("tx.csv", FIRST + CUT)
    make_old(path)
    ended = folder.run(*STATE, "tx.csv", "--last-line", "hold", "--reader", reader)
    assert [line[:68] for line in ended.error_lines] == [
        "warn: tx.csv:5: the last line has no line ending, and --last-line ho"
    ]
    assert consumed(folder, "tx.csv") == (len(FIRST), 4)
    refused = folder.run(*STATE, "tx.csv", "--reader", reader, variables={"TXFAST_LAST_LINE": "fail"})
    refused.assert_failed("tx.csv: its last line has no line ending", "--last-line")
    assert consumed(folder, "tx.csv") == (len(FIRST), 4)
    with being_written(path):
        ended = folder.run(*STATE, "tx.csv", "--last-line", "take", "--reader", reader)
    assert ended.error_lines == []
    assert b"\n9,98761234.5000," in ended.output


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_a_row_whose_quotes_are_open_is_held_back_and_taken_whole_when_they_are_closed(
    folder: Folder, compressed: bool, ending: bytes
) -> None:
    encode = gzip.compress if compressed else bytes
    start = ending.join([b"type,client,tx,amount,note", b"deposit,9,1,5,x", b""])
    held = ending.join([b'deposit,9,2,7,"a note', b"deposit,9,3,100,of", b""])
    rest = ending.join([b'three ""lines"""', b"withdrawal,9,3,1,x", b""])
    arguments = (*STATE, "tx.csv", "--last-line", "hold", "--stats", "s.json")
    for content in (start + held, start + held + b"x" * 5000):
        folder.write("tx.csv", encode(content))
        ended = folder.run(*arguments)
        assert ended.error_lines == [
            "warn: tx.csv:3: the last row has a quoted field that is not closed, and --last-line hold is given: it is "
            "held back, and the next run reads it; --last-line take applies it now"
        ]
        assert b"\n9,5.0000," in ended.output
        assert consumed(folder, "tx.csv") == (len(start), 2)
    folder.write("tx.csv", encode(start + held + rest))
    ended = folder.run(*arguments)
    [line] = ended.error_lines
    assert line.startswith("warn: tx.csv:4: this line looks like a row")
    assert b"\n9,11.0000," in ended.output
    assert stats_of(folder) == (len(held + rest), 2)
    assert consumed(folder, "tx.csv") == (len(start + held + rest), 6)


@pytest.mark.parametrize("rule", ["hold", "fail"])
def test_the_arrow_reader_refuses_to_hold_back_a_row_whose_quotes_are_open(folder: Folder, rule: str) -> None:
    folder.write("tx.csv", HEADER + b'deposit,9,1,5\ndeposit,9,2,"7\n')
    ended = folder.run(*STATE, "tx.csv", "--last-line", rule, "--reader", "arrow")
    words = "the arrow reader cannot hold back a row of many lines" if rule == "hold" else "it ends inside a quoted fie"
    assert (ended.exit_code, ended.output) == (1, b"")
    assert words in ended.error_lines[-1]


@pytest.mark.parametrize("reader", READERS)
def test_the_choice_holds_for_pipes_too(folder: Folder, reader: str) -> None:
    ended = folder.run(*STATE, "-", "--last-line", "hold", "--reader", reader, stdin=FIRST + CUT)
    assert b"\n9," not in ended.output
    assert b"\n2,0.0000,7.0000" in ended.output
    ended = folder.run(*STATE, "-", "--last-line", "fail", "--reader", reader, stdin=FIRST + CUT)
    ended.assert_failed("standard input: its last line has no line ending")
    assert folder.run(*STATE, "-", "--last-line", "fail", "--reader", reader, stdin=FIRST).exit_code == 0


def test_the_option_needs_a_state_and_one_of_its_words(folder: Folder) -> None:
    folder.run("in.csv", "--last-line", "hold").assert_misused("--last-line hold needs --state DIR")
    folder.run("in.csv", *STATE, "--last-line", "wait").assert_misused("take, hold, fail")


# ---- Checkpoints -----------------------------------------------------------------------------------


def test_a_line_held_back_is_no_part_of_a_checkpoint(folder: Folder) -> None:
    path = folder.write("tx.csv", FIRST + CUT)
    arguments = ("--checkpoint", "0", "--stats", "s.json", "-o", "a.csv")
    with being_written(path) as writer:
        # The second input fails after the first is done and a checkpoint is taken: it stays in place of a crash.
        ended = folder.run(*STATE, *arguments, "tx.csv", "in.csv")
        assert [line[:13] for line in ended.error_lines] == ["warn: tx.csv:"]
        writer.write(REST)
    ended = folder.run(*STATE, *arguments, "tx.csv", "in.csv")
    assert ended.error_lines == []
    assert b"\n9,98761235.5600," in folder.read("a.csv")
    assert folder.read("in.csv") == FILE
