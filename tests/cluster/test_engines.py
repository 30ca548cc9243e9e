"""Runs over real engines give the same bytes as the command: Spark as threads and as processes, and Dask.

They are skipped without the engines, which tests/cluster/requirements.txt lists; Spark's also without Java.
"""

from __future__ import annotations

import gzip
import importlib.util
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import Folder, environment, unmeasured
from tests.support.engines import engine_variables
from tests.support.outputs import by_command, twelve_files

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 300
RUNS = Path(__file__).with_name("engine_runs.py")


def needs(module: str) -> pytest.MarkDecorator:
    missing = importlib.util.find_spec(module) is None
    return pytest.mark.skipif(missing, reason=f"{module} is not installed: tests/cluster/requirements.txt has it")


needs_spark = [
    needs("pyspark"),
    pytest.mark.skipif(shutil.which("java") is None, reason="there is no Java, which Spark needs"),
    pytest.mark.untraced,
]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def run_engine(engine: str, master: str, folder: Folder, runs: list[str], names: list[str]) -> str:
    """Have engine_runs.py do these runs; return its output."""
    ended = subprocess.run(
        [sys.executable, str(RUNS), engine, master, str(folder.path), *runs, "--", *names],
        cwd=folder.path, env=unmeasured(environment()) | engine_variables(folder.path), capture_output=True, text=True,
        timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr[-4000:]
    return ended.stdout


def assert_run_is_alike(folder: Folder, run: str) -> None:
    assert folder.read(f"{run}.accounts.csv") == folder.read("accounts.csv"), run
    assert folder.read(f"{run}.rejects.csv") == folder.read("rejects.csv"), run


def printed(folder: Folder, state: str) -> bytes:
    """The accounts in a state, as the command prints them."""
    return folder.run("-m", "txfast", "--state", state, command=(sys.executable,)).output


# Runs under a dialect, NAME=VALUE,… before them: text ids with a state too.
TEXTS, PURSES = "ids=text", "columns.currency=note,ids=text"
DIALECT_RUNS = [TEXTS, "2:3000", "8:2000", "3:2000:5", "5:3000:12", PURSES, "3:3000", "64:2000"]


def files_of_texts(folder: Folder) -> list[str]:
    """Twelve files: clients and transactions are texts, and a note can be read as a currency."""
    chance = random.Random(11)
    names = []
    for number in range(12):
        lines = ["type,client,tx,amount,note"]
        for _ in range(chance.randrange(1, 120)):
            kind = chance.choice(["deposit", "deposit", "withdrawal", "dispute", "resolve", "chargeback", "fee"])
            client, tx = f"cus_{chance.randrange(20)}", f'"tx, {chance.randrange(30)}"'
            lines.append(f"{kind},{client},{tx},{chance.randrange(90)},{chance.choice(['EUR', 'CHF', 'ü', ''])}")
        names.append(folder.write(f"{number}.csv", "\n".join([*lines, ""]).encode()).name)
    return names


def assert_dialects_are_alike(folder: Folder, names: list[str]) -> None:
    """The DIALECT_RUNS over these files have the results of the command."""
    by_command(folder, *names, "--dialect", "ids=text")
    for run in ("2-3000", "8-2000"):
        assert_run_is_alike(folder, run)
    by_command(folder, "--state", "other", *names[:5], "--dialect", "ids=text")
    by_command(folder, "--state", "other", *names, "--dialect", "ids=text")
    assert_run_is_alike(folder, "5-3000-12")
    assert printed(folder, "state") == folder.read("accounts.csv")
    by_command(folder, "--state", "state", *names, "--dialect", "ids=text")
    assert len(folder.read("rejects.csv").splitlines()) == 1
    by_command(folder, *names, *(word for part in PURSES.split(",") for word in ("--dialect", part)))
    assert folder.read("accounts.csv").startswith(b"client,currency,available")
    for run in ("3-3000", "64-2000"):
        assert_run_is_alike(folder, run)


def assert_states_are_alike(folder: Folder, run: str, names: list[str]) -> None:
    """A run over five files, then over all, has the same results and the same state as the command."""
    by_command(folder, "--state", "other", *names[:5])
    by_command(folder, "--state", "other", *names)
    assert_run_is_alike(folder, run)
    assert printed(folder, "state") == folder.read("accounts.csv")
    by_command(folder, "--state", "state", *names)
    assert len(folder.read("rejects.csv").splitlines()) == 1


@pytest.mark.parametrize("master", [pytest.param("local[2]", marks=needs_spark)])
def test_spark_gives_what_the_command_gives(folder: Folder, master: str) -> None:
    names = twelve_files(folder)
    with gzip.open(folder.path / "more.csv.gz", "wb") as file:
        file.write(folder.read(names[3]))
    content = (folder.path / "more.csv.gz").read_bytes()
    folder.write("cut.csv.gz", content[:-20])
    names.append("more.csv.gz")
    by_command(folder, *names)
    runs = ["1:1MiB", "2:3000", "8:2000", "64:5000", "OLD", "3:2000:5", "5:3000:13"]
    output = run_engine("spark", master, folder, runs, names)
    for run in ("1-1MiB", "2-3000", "8-2000", "64-5000"):
        assert_run_is_alike(folder, run)
    assert folder.read("frame.accounts.csv") == folder.read("accounts.csv")
    found = [line.split(",") for line in folder.read("frame.rejects.txt").decode().splitlines()]
    expected = [line.split(",")[:4] for line in folder.read("rejects.csv").decode().splitlines()[1:]]
    assert found == [each for each in expected if each[0] in names[4:]]  # rejects of the second day
    assert_states_are_alike(folder, "5-3000-13", names)
    assert printed(folder, "frame.state") == folder.read("accounts.csv")
    # The error of a worker reaches the program as the same error.
    assert "InputError" in output
    assert "cut.csv.gz" in output


@pytest.mark.parametrize("master", [pytest.param("local[2]", marks=needs_spark)])
def test_spark_reads_text_ids_and_currencies(folder: Folder, master: str) -> None:
    names = files_of_texts(folder)
    run_engine("spark", master, folder, DIALECT_RUNS, names)
    assert_dialects_are_alike(folder, names)
    assert folder.read("frame.accounts.csv") == folder.read("accounts.csv")
    found = [line.split(",") for line in folder.read("frame.rejects.txt").decode().splitlines()]
    assert found == [line.split(",")[:4] for line in folder.read("rejects.csv").decode().splitlines()[1:]]


@needs("distributed")
@pytest.mark.untraced
def test_dask_reads_text_ids_and_currencies(folder: Folder) -> None:
    names = files_of_texts(folder)
    run_engine("dask", "-", folder, DIALECT_RUNS, names)
    assert_dialects_are_alike(folder, names)


@pytest.mark.parametrize("master", [pytest.param("local-cluster[2,1,1024]", marks=needs_spark)])
def test_an_executor_that_is_killed_changes_nothing(folder: Folder, master: str) -> None:
    names = twelve_files(folder)
    by_command(folder, *names)
    folder.write("cut.csv.gz", b"")
    output = run_engine("spark", master, folder, ["2:3000", "2:3000:5", "KILL", "3:1000:12"], names)
    assert "killed an executor" in output
    assert_run_is_alike(folder, "2-3000")
    assert_states_are_alike(folder, "3-1000-12-killed", names)


@needs("distributed")
@pytest.mark.untraced
def test_dask_gives_what_the_command_gives(folder: Folder) -> None:
    names = twelve_files(folder)
    by_command(folder, *names)
    run_engine("dask", "-", folder, [f"{shards}:3000" for shards in (1, 2, 8, 64)], names)
    for shards in (1, 2, 8, 64):
        assert_run_is_alike(folder, f"{shards}-3000")


@needs("distributed")
@pytest.mark.untraced
def test_the_command_of_dask_goes_on_from_a_state(folder: Folder) -> None:
    names = twelve_files(folder)
    for days in (names[:5], names):
        ran = folder.run(
            "-m", "txfast.cluster.dask", "--state", "state", "--range-size", "3000", "-o", "dask.accounts.csv",
            "--rejects", "dask.rejects.csv", *days, command=(sys.executable,),
        )  # fmt: skip
        assert ran.exit_code == 0, ran.errors
    assert_states_are_alike(folder, "dask", names)
