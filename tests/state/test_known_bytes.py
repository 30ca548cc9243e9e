"""A renamed or copied input: bytes that a state has consumed under another name are warned of."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pyarrow as pa
import pytest

from tests.support.command import Folder
from tests.support.reference import HEADER
from tests.support.states import FIRST, MORE, STATE, accounts
from tests.support.tables import ROWS, of_texts, write_table
from txfast.input.open import open_source
from txfast.input.position import HEAD_BYTES, Consumption, Position
from txfast.state import known_bytes
from txfast.state.known_bytes import find_known

LONG = FIRST + b"deposit,7,%d,1\n" % 10**9 * (3 * HEAD_BYTES // 22)


def warning(name: str, byte_count: int, known: Path) -> str:
    return (
        f"warn: {name}: begins with the {byte_count:,} bytes that were applied before as {os.path.realpath(known)}: "
        f"their rows are applied again, as new ones; to read only what is new, give the file the name that it had"
    )


def warned(folder: Folder, *arguments: str) -> list[str]:
    """The warnings of a run with the state, which ends well."""
    ended = folder.run(*STATE, *arguments)
    assert ended.exit_code == 0, ended.errors
    return [line for line in ended.error_lines if line.startswith("warn: ")]


@pytest.mark.parametrize("content", [FIRST, LONG], ids=["short", "long"])
@pytest.mark.parametrize("encode", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("added", [b"", MORE], ids=["renamed", "renamed and grown"])
def test_a_renamed_input_is_warned_of_and_applied_again(
    folder: Folder, content: bytes, encode: type[bytes], added: bytes
) -> None:
    accounts(folder, "in.csv")
    path = folder.write("tx.csv", encode(content))
    assert warned(folder, "tx.csv") == []
    path.rename(folder.path / "tx.1.csv")
    folder.write("tx.1.csv", encode(content + added))
    path.touch()
    assert warned(folder, "tx.1.csv") == [warning("tx.1.csv", len(content), path)]
    # From here on it is known under this name as well.
    assert warned(folder, "tx.1.csv") == []
    # The input is another one, also where it comes compressed or through standard input.
    folder.write("again.csv.gz", gzip.compress(content))
    [line] = warned(folder, "again.csv.gz")
    assert line.startswith(f"warn: again.csv.gz: begins with the {len(content):,} bytes that were applied before as /")
    with open(folder.path / "tx.1.csv", "rb") as file:
        ended = folder.run(*STATE, "-", stdin=file)
    # Where several are as long, the first is named.
    expected = warning("standard input", len(content + added), folder.path / ("tx.1.csv" if added else "tx.csv"))
    assert [line for line in ended.error_lines if "begins" in line] == [expected]


def test_a_copy_in_the_same_command_is_warned_of(folder: Folder) -> None:
    path = folder.write("a.csv", FIRST)
    folder.write("b.csv", FIRST + MORE)
    accounts(folder, "in.csv")
    assert warned(folder, "a.csv", "b.csv") == [warning("b.csv", len(FIRST), path)]


def test_another_file_and_one_that_has_nothing_but_the_header_in_common_are_not_warned_of(folder: Folder) -> None:
    folder.write("empty.csv", b"\n" + HEADER + b"\n \n")
    short = HEADER + MORE
    folder.write("a.csv", short)
    folder.write("long.csv", LONG)
    accounts(folder, "in.csv", "empty.csv", "a.csv", "long.csv")
    folder.write("b.csv", b"\n" + HEADER + b"\n \n" + b"deposit,9,9,1\n")
    folder.write("c.csv", short[:-1] + b"0\n")
    folder.write("d.csv", short[:-9])
    folder.write("e.csv", LONG[:-3] + b"2\n" + LONG)
    folder.write("f.csv", LONG.replace(b"deposit,1,1,5", b"deposit,1,1,6") + MORE)
    for name in "bcdef":
        assert [line for line in warned(folder, f"{name}.csv") if "begins" in line] == [], name


def test_a_copied_table_is_warned_of(folder: Folder) -> None:
    for suffix in ("parquet", "arrow"):
        path = folder.path / f"tx.{suffix}"
        write_table(path, of_texts(ROWS, pa.string()))
        accounts(folder, "in.csv", path.name)
        folder.write(f"copy.{suffix}", path.read_bytes())
        [line] = warned(folder, f"copy.{suffix}")
        assert line == warning(f"copy.{suffix}", path.stat().st_size, path)


@pytest.mark.parametrize("encode", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("added", [b"", MORE], ids=["the same", "grown"])
def test_a_pipe_with_known_bytes_is_warned_of(folder: Folder, encode: type[bytes], added: bytes) -> None:
    """Of a long one, only its first bytes are compared: it can be read only once."""
    accounts(folder, "in.csv")
    for content, known in ((FIRST, len(FIRST)), (LONG, HEAD_BYTES)):
        path = folder.write("tx.csv", content)
        accounts(folder, "tx.csv")
        run = folder.run(*STATE, "-", stdin=encode(content + added))
        assert [line for line in run.error_lines if "begins" in line] == [warning("standard input", known, path)]
        path.unlink()


def test_another_pipe_is_not_warned_of_and_is_read_whole(folder: Folder) -> None:
    write_table(folder.path / "tx.parquet", of_texts(ROWS, pa.string()))
    folder.write("tx.csv", LONG)
    folder.write("a.csv", FIRST)
    accounts(folder, "in.csv", "tx.parquet", "tx.csv", "a.csv")
    for content in (HEADER, HEADER + MORE, b"\n" + LONG, FIRST[:-9]):
        run = folder.run(*STATE, "-", "--stats", "s.json", stdin=content)
        assert [line for line in run.error_lines if "begins" in line] == []
        assert f'"bytes": {len(content)},'.encode() in folder.read("s.json")
    folder.run(*STATE, "-", stdin=gzip.compress(FIRST)[:-9]).assert_failed("gzip cannot be decompressed")


def position_of(content: bytes) -> Position:
    consumption = Consumption()
    consumption.advance(content)
    return consumption.position(content.count(b"\n"), HEADER[:-1])


def test_a_large_file_that_begins_otherwise_is_not_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(b"x" + LONG)
    known = {f"known-{number}": position_of(LONG) for number in range(100)}
    monkeypatch.setattr(known_bytes, "is_part", lambda *_: pytest.fail("the whole file was read"))
    assert find_known(lambda: open_source(str(path)), known) is None
    # One that is too short is not read either.
    path.write_bytes(LONG[:-1])
    assert find_known(lambda: open_source(str(path)), known) is None


def test_the_longest_known_part_is_named_and_a_part_hashed_in_pieces_is_found(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(LONG + MORE)
    cut = len(FIRST)
    pieces = position_of(LONG)
    pieces.parts = ((cut, position_of(FIRST).digest),)
    pieces.digest, pieces.head = position_of(LONG[cut:]).digest, ""
    for known, expected in (
        ({"a": position_of(FIRST), "b": position_of(LONG)}, ("b", len(LONG))),
        ({"a": position_of(FIRST), "b": position_of(LONG[:-1] + b"x")}, ("a", cut)),
        ({"a": position_of(FIRST), "b": pieces}, ("b", len(LONG))),
    ):
        assert find_known(lambda: open_source(str(path)), known) == expected


def test_an_input_that_cannot_be_read_is_left_to_the_run(folder: Folder) -> None:
    accounts(folder, "in.csv")
    folder.write("tx.csv.gz", gzip.compress(FIRST)[:-9])
    folder.run(*STATE, "tx.csv.gz").assert_failed("tx.csv.gz: gzip cannot be decompressed")
