"""A line inside a quoted field that looks like a row is warned of, once in a run: a quote before it may be wrong."""

from __future__ import annotations

import gzip

import pytest

from tests.support.command import Folder
from tests.support.notes import NOTE_HEADER
from tests.support.states import STATE

# Line 5 looks like a row. Lines 3 and 8 do not: they are too short, or have a field too many.
START = (
    NOTE_HEADER + b'deposit,1,1,5,"a\nnote\nof\ndeposit,666,2,1,three\nlines"\ndeposit,1,3,5,"b\ndeposit,6,4,1,x,y\n"\n'
)
MORE = b'deposit,1,5,5,x\ndeposit,1,6,5,"c\n\ndeposit,666,7,5,x"\n'


def warning(name: str, line: int) -> str:
    return (
        f"warn: {name}:{line}: this line looks like a row, but is part of a quoted field, so it is not applied; if it "
        f"should be a row, a quote before it is wrong"
    )


@pytest.mark.parametrize("threads", ["1", "4"])
@pytest.mark.parametrize("name", ["tx.csv", "tx.csv.gz"])
@pytest.mark.parametrize("arguments", [(), STATE], ids=["without", "state"])
def test_a_run_warns_of_the_first_such_line(
    folder: Folder, name: str, threads: str, arguments: tuple[str, ...]
) -> None:
    made = gzip.compress if name.endswith("gz") else bytes
    folder.run(*arguments, "in.csv", "-q")
    folder.write(name, made(START))
    folder.write("other.csv", START.replace(b"deposit,1,", b"deposit,2,"))
    ended = folder.run(*arguments, name, "other.csv", "--threads", threads)
    assert ended.exit_code == 0
    assert ended.error_lines[0] == warning(name, 5)
    assert len(ended.error_lines) == 1, "once in a run"
    assert b"\n666," not in ended.output
    folder.write(name, made(START) + made(MORE))
    ended = folder.run(*arguments, name, "--threads", threads)
    assert ended.error_lines == [warning(name, 13 if arguments else 5)]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b'note,type,client,tx,amount\n"paid by\nphone",deposit,1,1,100.00\n', 0),
        (b'note,type,client,tx,amount\n"paid by\r\nphone" \t,deposit,1,1,100.00\n', 0),
        (b'a,b,type,client,tx,amount\n"1\n2","\n",deposit,1,1,100.00\n', 0),
        (b'a,b,type,client,tx,amount\n"x\ny","x,x,deposit,6,6,6",deposit,1,1,100\n', 0),
        (b'type,client,tx,amount,note,more\ndeposit,1,1,100,"a\nb","c\ndeposit,6,6,6"\n', 4),
        (b'type,client,tx,amount,note,more\ndeposit,1,1,100,"a\r\ndeposit,6,6,6\r\n","c\ndeposit,6,6,6"\n', 3),
        (b'note,type,client,tx,amount\n"a\nx,deposit,6,6,6",deposit,1,1,100.00\n', 3),
    ],
)
def test_the_rest_of_a_row_behind_its_quotes_is_no_line_inside_them(folder: Folder, content: bytes, line: int) -> None:
    folder.write("tx.csv", content)
    ended = folder.run("tx.csv")
    assert b"\n1,100.0000," in ended.output
    assert ended.error_lines == ([warning("tx.csv", line)] if line else [])


def test_lines_before_a_field_with_bad_quoting_are_looked_at(folder: Folder) -> None:
    folder.write("tx.csv", NOTE_HEADER + b'deposit,1,1,"5\n","bad"x\ndeposit,1,2,1\n')
    assert folder.run("tx.csv").error_lines == ['malformed: tx.csv:2: bad_quoting: deposit,1,1,"5\\x0a","bad"x']


def test_a_quiet_run_does_not_and_bad_quoting_is_none(folder: Folder) -> None:
    folder.write("tx.csv", START)
    assert folder.run("tx.csv", "-q").error_lines == []
    folder.write("tx.csv", NOTE_HEADER + b'deposit,1,1,5,"a\ndeposit,1,2,1,"b"\n')
    ended = folder.run("tx.csv")
    assert ended.error_lines == ['malformed: tx.csv:2: bad_quoting: deposit,1,1,5,"a']
    assert b"\n1,1.0000," in ended.output
