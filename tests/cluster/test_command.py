"""The command of an engine: its outputs, exit codes and options are like those of txfast."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from pyarrow import parquet

from tests.support.command import Folder
from tests.support.engines import run_command
from tests.support.failures import fail_renames
from tests.support.outputs import by_command, twelve_files
from txfast.cluster import command, dask, spark
from txfast.errors import ClusterError


def test_the_command_writes_the_same_files_as_txfast(folder: Folder) -> None:
    names = twelve_files(folder)
    expected = by_command(folder, *names)
    outputs = ("-o", "a.csv", "--rejects", "r.csv", "--stats", "s.json")
    assert run_command(*names, *outputs) == 0
    assert folder.read("a.csv") == expected.accounts
    assert folder.read("r.csv") == expected.rejects
    assert json.loads(folder.read("s.json"))["rejected"] == expected.stats["rejected"]
    for suffix in ("jsonl", "parquet"):
        assert run_command(*names, "-o", "a.parquet", "--rejects", f"r.{suffix}") == 0
        folder.run("-q", *names, "-o", "b.parquet", "--rejects", f"q.{suffix}")
    assert folder.read("r.jsonl") == folder.read("q.jsonl")
    assert parquet.read_table("r.parquet").equals(parquet.read_table("q.parquet"))
    assert folder.read("a.parquet") == folder.read("b.parquet")


def test_a_command_that_fails_leaves_old_outputs_as_they_were(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.write("a.csv", b"old")
    folder.write("r.csv", b"old")

    def failing(*_: object) -> Any:
        raise ClusterError("shard 1 was lost")

    assert run_command("in.csv", "-o", "a.csv", "--rejects", "r.csv", engine=failing) == 1
    assert run_command("missing.csv", "-o", "a.csv") == 1
    fail_renames(monkeypatch, "a.csv")
    assert run_command("in.csv", "-o", "a.csv", "--rejects", "r.csv") == 1
    assert (folder.read("a.csv"), folder.read("r.csv")) == (b"old", b"old")
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "txfast: shard 1 was lost"
    assert "missing.csv: cannot be read" in said[1]
    assert sorted(folder.names()) == ["a.csv", "in.csv", "r.csv"]


@pytest.mark.parametrize(("raised", "signal_name"), [(KeyboardInterrupt(), "SIGINT"), (BrokenPipeError(), "SIGPIPE")])
def test_signals_end_a_command(
    folder: Folder, raised: BaseException, signal_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    def end_by_signal(name: str) -> int:
        ended.append(name)
        return 130

    monkeypatch.setattr(command, "end_by_signal", end_by_signal)

    def interrupted(*_: object) -> Any:
        raise raised

    assert run_command(str(folder.path / "in.csv"), engine=interrupted) == 130
    assert ended == [signal_name]


@pytest.mark.parametrize(("engine", "module"), [("spark", "pyspark.sql"), ("dask", "distributed")])
def test_a_missing_engine_is_reported(
    folder: Folder, engine: str, module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    main = {"spark": spark.main, "dask": dask.main}[engine]
    assert main([str(folder.path / "in.csv"), "-o", str(folder.path / "a.csv")]) == 1
    assert f"pip install 'txfast[{engine}]'" in capsys.readouterr().err
    assert folder.names() == ["in.csv"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--shards", "0"], "no number of shards"), (["--range-size", "0KiB"], "is no size"),
        (["--range-size", "many"], "is no size"), (["--memory-limit", "1KiB"], "too little"),
        (["-o", "x/"], "names a folder"), (["--rejects", "r.txt"], ".txt means no format"),
        (["--stats", "s.csv"], ".csv means CSV"),
        (["--output-format", "xml"], "invalid choice"),
    ],
)  # fmt: skip
def test_a_wrong_value_of_an_option_is_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.make_parser("dask").parse_args(["in.csv", *arguments])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_the_size_of_a_range_may_have_a_unit() -> None:
    sizes = {"1": 1, "2KiB": 2048, "3mib": 3 << 20, "1GiB": 1 << 30}
    assert {text: command.range_size(text) for text in sizes} == sizes


def test_the_command_of_an_engine_goes_on_from_a_state(folder: Folder) -> None:
    names = twelve_files(folder)
    expected = by_command(folder, *names)
    assert run_command(*names[:7], "--state", "state", "-o", "a.csv") == 0
    assert run_command(*names, "--state", "state", "-o", "a.csv", "--shards", "5") == 0
    assert folder.read("a.csv") == expected.accounts


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "in.csv"], "--output in.csv would overwrite the input in.csv"),
        (["--rejects", "./in.csv"], "--rejects ./in.csv would overwrite the input in.csv"),
        (["-o", "a", "--stats", "a"], "--output a and --stats a are the same file"),
        (["--stats", "-"], "the stats and the accounts would both go to standard output: name a file"),
        (["-o", "a.xlsx"], "'a.xlsx': .xlsx means Excel"),
        (["--shards", "70000"], "70000 shards: there are 1 to 65536"),
    ],
)
def test_a_command_line_that_is_wrong_ends_with_2_and_changes_nothing(
    folder: Folder, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = folder.read("in.csv")
    assert run_command("in.csv", *arguments) == 2
    assert message in capsys.readouterr().err
    assert folder.read("in.csv") == before
    assert folder.names() == ["in.csv"]


def test_the_policy_may_be_said_in_several_options(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    parse = command.make_parser("dask").parse_args
    options = parse(["in.csv", "--policy", "overdraft=all,locked=deposits", "--policy", "locked=disputes"])
    assert command.settings_of(options, 2).policy == "locked=disputes,overdraft=all"
    assert command.settings_of(parse(["in.csv"]), 2).policy == ""
    for arguments, words in (
        (["--policy", "redispute=maybe"], "policy redispute=maybe: it is one of never, after-resolve"),
        (["--policy", ""], "the policy is empty: is a variable of the shell not set?"),
    ):
        assert run_command("in.csv", "-o", "b.csv", *arguments) == 2
        assert words in capsys.readouterr().err
    assert folder.names() == ["in.csv"]


@pytest.mark.parametrize("option", ["--opening", "--expect", "--differences"])
def test_options_of_one_machine_are_refused_with_what_to_do(capsys: pytest.CaptureFixture[str], option: str) -> None:
    with pytest.raises(SystemExit) as end:
        command.make_parser("dask").parse_args(["in.csv", option, "b.csv"])
    assert end.value.code == 2
    assert f"{option} is for txfast on one machine" in capsys.readouterr().err
