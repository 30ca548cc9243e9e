"""JSON lines in whole runs: with all outputs, beyond a memory limit, killed and resumed, and from Python."""

from __future__ import annotations

import csv
import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

import txfast
from tests.support import json_files, reference, replays, strategies
from tests.support.checkpoint_driver import DRIVER
from tests.support.command import VOLATILE_STATS, Folder
from tests.support.small_memory import small_limits

GOOD = b'{"type":"deposit","client":%d,"tx":%d,"amount":"1.5","note":"a, \\"b\\""}\n'
ODD = (
    b'{"type":" d\\u00e9posit ","client":"\\u0031","tx":"7\\t","amount":null}\n'
    b'{"type":"deposit","client":"=1+1","tx":"\\ud83d\\ude00","amount":"\\udcff\\ud83d"}\n'
    b'{"type":"deposit","client":1,"tx":1,"amount":[1]}\n'
    b'{"type":"deposit","client":2,"tx":0,"amount":true}\n'
    b'{"type":"depo\xffsit","client":"a\\nb","tx":"\\u0000","amount":"say \\"hi\\""}\r\n'
    b'{"Type":"deposit","type":"fee"}\n'
    b"\n"
    b'{"type":"withdrawal","client":1,"tx":3,"amount":1e3}\n'
    b'{"type":"withdrawal","client":1,"tx":4,"amount":1000.50}'
)


def expected_rejects(content: bytes) -> list[reference.Reject]:
    return reference.replay(("in.jsonl", content)).rejects


@pytest.mark.parametrize("threads", ["1", "3"])
def test_rejects_have_the_texts_that_the_values_mean(folder: Folder, threads: str) -> None:
    content = GOOD % (1, 1) + ODD
    folder.write("in.jsonl", content)
    expected = expected_rejects(content)
    assert len(expected) == 8
    for name in ("r.csv", "r.jsonl", "r.parquet"):
        ended = folder.run("in.jsonl", "-q", "--threads", threads, "--rejects", name)
        assert ended.exit_code == 0, ended.errors
    for found, want in zip(map(json.loads, folder.read("r.jsonl").splitlines()), expected, strict=True):
        assert (found["line"], found["reason"]) == (want.line, want.reason)
        for column in ("type", "client", "tx", "amount", "row"):
            assert found[column].encode("utf-8", "surrogateescape") == getattr(want, column), column
    rows = list(csv.reader(io.StringIO(folder.read("r.csv").decode("utf-8", "surrogateescape"))))[1:]
    for row, want in zip(rows, expected, strict=True):
        assert row[8].encode("utf-8", "surrogateescape") == want.row
        assert row[4].encode("utf-8", "surrogateescape") == want.type
    assert rows[1][5] == "'=1+1"
    table = parquet.read_table(folder.path / "r.parquet").to_pylist()
    for found, want in zip(table, expected, strict=True):
        assert (found["row"], found["type"]) == (want.row, want.type.decode("utf-8", "backslashreplace"))


def test_rejects_in_json_lines_can_be_read_again(folder: Folder) -> None:
    content = GOOD % (1, 1) + GOOD % (1, 1) + GOOD % (2, 1) * 2 + b'{"type":"fee","client":"\\udcff","tx":1}\n'
    folder.write("in.jsonl", content)
    assert folder.run("in.jsonl", "-q", "--rejects", "r.jsonl").exit_code == 0
    again = folder.run("r.jsonl", "-q", "--rejects", "again.jsonl")
    assert again.output.endswith(b"\n1,1.5000,0.0000,1.5000,false\n2,1.5000,0.0000,1.5000,false\n")
    [found] = map(json.loads, folder.read("again.jsonl").splitlines())
    assert (found["type"], found["client"], found["reason"]) == ("fee", "\udcff", "bad_type")


@given(
    st.lists(json_files.json_files(), min_size=1, max_size=2), strategies.block_sizes,
    st.sampled_from(replays.THREADS), st.integers(1, 4),
)  # fmt: skip
def test_a_memory_limit_changes_nothing(contents: list[bytes], block_bytes: int, threads: int, limit: int) -> None:
    inputs = [(f"{index}.jsonl", content) for index, content in enumerate(contents)]
    with small_limits(limit):
        replays.assert_as_reference(inputs, reader="native", block_bytes=block_bytes, threads=threads)


@pytest.mark.parametrize("threads", ["1", "4"])
def test_a_killed_run_goes_on_to_the_same_end(folder: Folder, threads: str) -> None:
    rows = b"".join(GOOD % (tx % 40, tx) + (ODD + b"\n") * (tx % 50 == 0) for tx in range(1000))
    folder.write("a.jsonl", rows)
    folder.write("b.jsonl", rows[:20_000].rpartition(b"\n")[0] + b"\n")
    run = ("a.jsonl", "b.jsonl", "-q", "-o", "out.csv", "--stats", "s.json", "--rejects", "r.csv", "--threads", threads)
    command = (sys.executable, "-c", DRIVER)

    def outputs() -> list[object]:
        stats = json.loads(folder.read("s.json"))
        figures = {name: figure for name, figure in stats.items() if name not in VOLATILE_STATS}
        return [figures, folder.read("out.csv"), folder.read("r.csv")]

    assert folder.run(*run, command=command).exit_code == 0
    expected = outputs()
    state = ("--state", "state", "--checkpoint", "0")
    for takes in ("3", "5"):
        assert folder.run(*run, *state, command=command, variables={"TAKES": takes}).exit_code == 9
    ended = folder.run(*run, *state, command=command)
    assert ended.exit_code == 0, ended.errors
    assert outputs() == expected


def test_a_file_of_malformed_lines_alone_fails_with_the_reason_and_a_hint(folder: Folder) -> None:
    for content, *words in (
        (b'{\n  "type": "deposit",\n  "client": 1\n}\n', "all 4 rows are malformed: bad_json", "of several lines? put"),
        (
            b'{"kind":"deposit","account":1,"id":1}\n',
            "missing_field, in line 1",
            "add --columns type=kind,client=account",
        ),
        (b"{}", "in.jsonl: the only row is malformed: missing_field"),
    ):
        folder.write("in.jsonl", content)
        folder.run("in.jsonl", "-q").assert_failed(*words)


def test_a_later_day_of_malformed_lines_alone_does_not_fail(folder: Folder) -> None:
    path = folder.write("in.jsonl", GOOD % (1, 1))
    assert folder.run("in.jsonl", "--state", "state", "-q").exit_code == 0
    path.write_bytes(GOOD % (1, 1) + b"{}\n")
    assert folder.run("in.jsonl", "--state", "state", "-q").exit_code == 0


def test_a_key_that_may_matter_and_is_ignored_is_warned_of(folder: Folder) -> None:
    folder.write("in.jsonl", b'\n{"type":"deposit","client":1,"tx":1,"amount":"1","Currency":"EUR"}\n')
    assert "column 'Currency' is ignored" in folder.run("in.jsonl").errors


def test_programs_read_json_lines(folder: Folder) -> None:
    path = folder.write("in.jsonl", GOOD % (1, 1) + GOOD % (2, 2) + b"{}\n")
    result = txfast.process(path, rejects=True)
    assert result.accounts.get(2) == txfast.process(io.BytesIO(path.read_bytes())).accounts.get(2)
    assert [reject["reason"] for reject in result.rejects.to_arrow().to_pylist()] == ["missing_field"]
    table = txfast.read(path).read_all()
    assert table.column("tx").to_pylist() == [1, 2]
    ledger = txfast.Ledger()
    ledger.apply(path)
    assert len(ledger) == 2
