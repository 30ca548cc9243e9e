"""The tasks that Dask runs, called in this process."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from concurrent.futures import CancelledError
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.command import Folder
from tests.support.engines import DaskClient
from tests.support.outputs import assert_same_tables, by_command, on_one_machine, twelve_files
from txfast.cluster import dask
from txfast.errors import ClusterError, InputError, MemoryLimitError, StateError, TxfastError, UsageError


def test_the_tasks_of_dask_give_the_same_as_the_command(folder: Folder) -> None:
    names = twelve_files(folder)
    expected = by_command(folder, *names)
    client: Any = DaskClient()
    accounts, rejects, stats = dask.process(client, names, rejects=True, range_bytes=500)
    assert stats["shards"] == 3
    assert rejects is not None
    assert_same_tables(accounts, rejects, expected)
    assert stats["rejected"] == expected.stats["rejected"]
    _, none, _ = dask.process(client, names, shards=2)
    assert none is None


def test_process_on_dask_goes_on_from_a_state(folder: Folder) -> None:
    names = twelve_files(folder)
    client: Any = DaskClient()
    for days in (names[:4], names[:8]):
        dask.process(client, days, rejects=True, range_bytes=500, state=Path("state"))
    accounts, rejects, _ = dask.process(client, names[8:], rejects=True, range_bytes=500, state="state")
    on_one_machine(folder, *names[:8], state="other")
    assert rejects is not None
    assert_same_tables(accounts, rejects, on_one_machine(folder, *names[8:], state="other"))


def test_process_on_dask_takes_a_policy_and_goes_on_under_it(folder: Folder) -> None:
    names = twelve_files(folder)
    client: Any = DaskClient()
    policy = {"redispute": "after-resolve", "locked": "disputes", "overdraft": "all"}
    text = ",".join(f"{name}={value}" for name, value in policy.items())
    dask.process(client, names[:6], range_bytes=500, state="state", policy=policy)
    with pytest.raises(StateError, match="its rows were applied by another policy"):
        dask.process(client, names[6:], state="state")
    accounts, rejects, stats = dask.process(client, names[6:], rejects=True, state="state", policy=text)
    on_one_machine(folder, *names[:6], "--policy", text, state="other")
    assert rejects is not None
    assert_same_tables(accounts, rejects, on_one_machine(folder, *names[6:], "--policy", text, state="other"))
    assert stats["policy"] == {**stats["policy"], **policy}
    wrong: tuple[Any, ...] = ("kard", {"redispute": "x"}, {"redispute": "never,locked=disputes"})
    for each in wrong:
        with pytest.raises(UsageError, match=r"policy .*: (it is one of|there is no such preset)"):
            dask.process(client, names, policy=each)


# ---- What Dask and its workers raise -------------------------------------------------------------


class KilledWorker(Exception):  # noqa: N818 (Dask's name)
    """Stands for Dask's error of this name."""


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (InputError("in.csv: was changed"), InputError, "in.csv: was changed"),
        (MemoryError(), MemoryLimitError, "a worker of Dask is out of memory: MemoryError: give workers more"),
        (RuntimeError("Error during deserialization of the\ntask graph."), ClusterError, "install the txfast of this"),
        (ModuleNotFoundError("No module named 'txfast'"), ClusterError, "run a Python without txfast"),
        (KilledWorker("map_ranges-1"), ClusterError, "workers of Dask ended while they ran the same task"),
        (CancelledError("map_ranges-1 cancelled"), ClusterError, "or was restarted: map_ranges-1 cancelled: check"),
        (OSError("Timed out trying to connect"), ClusterError, "cannot be reached, or was restarted: Timed out"),
        (OSError(2, "No such file", "x"), ClusterError, "a worker of Dask failed: FileNotFoundError: "),
        (KeyError("a\nb"), ClusterError, "a worker of Dask failed: KeyError: "),
    ],
)
def test_an_error_of_dask_is_one_line(error: Exception, kind: type[TxfastError], words: str) -> None:
    with pytest.raises(kind) as raised, dask.worker_errors():
        raise error
    message = str(raised.value)
    assert words in message
    assert "\n" not in message


class Without(DaskClient):
    """A client of which one kind of call fails."""

    def __init__(self, call: str) -> None:
        self.call = call

    def submit(self, function: Callable[..., Any], *arguments: Any, pure: bool) -> Any:
        self._fail("submit")
        made: Any = super().submit(function, *arguments, pure=pure)
        if function.__name__ == self.call:
            made.result = lambda: self._fail(self.call)
        return made

    def gather(self, values: list[Any]) -> list[Any]:
        self._fail("gather")
        return super().gather(values)

    def _fail(self, call: str) -> None:
        if call == self.call:
            raise KilledWorker("a task")


@pytest.mark.parametrize("call", ["submit", "gather", "runs_of", "rejects_of_ranges"])
@pytest.mark.parametrize("state", [None, "state"])
def test_a_call_of_dask_that_fails_ends_the_run(folder: Folder, call: str, state: str | None) -> None:
    names = twelve_files(folder)
    client: Any = DaskClient()
    dask.process(client, names[:1], state=state)
    failing: Any = Without(call)
    with pytest.raises(ClusterError, match="workers of Dask ended"):
        dask.process(failing, names, rejects=True, state=state)


# ---- The connection to a scheduler ---------------------------------------------------------------


class Connection(DaskClient):
    """A client that is connected to a scheduler with a worker, or without one."""

    def __init__(self, address: object) -> None:
        if address == "nowhere":
            raise OSError("Timed out trying to connect to nowhere")
        self.address = address

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def wait_for_workers(self, count: int, *, timeout: float) -> None:
        assert (count, timeout) == (1, dask.WORKERS_SECONDS)
        if self.address == "empty":
            raise TimeoutError("Only 0/1 workers arrived")


class LocalCluster(Connection):
    def __init__(self, *, host: str, threads_per_worker: int, dashboard_address: None) -> None:
        assert (host, threads_per_worker, dashboard_address) == ("127.0.0.1", 1, None)


@pytest.fixture
def _distributed(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("distributed")
    module.Client, module.LocalCluster = Connection, LocalCluster
    monkeypatch.setitem(sys.modules, "distributed", module)
    for name in dask.LOGGERS:
        monkeypatch.setattr(logging.getLogger(name), "level", logging.WARNING)


@pytest.mark.usefixtures("_distributed")
@pytest.mark.parametrize("arguments", [[], ["--scheduler", "tcp://here:1"]])
def test_the_command_of_dask_runs_where_it_is_told(folder: Folder, arguments: list[str]) -> None:
    names = twelve_files(folder)
    expected = by_command(folder, *names)
    assert dask.main([*names, *arguments, "-o", "a.csv", "--state", "state"]) == 0
    assert folder.read("a.csv") == expected.accounts
    assert {logging.getLogger(name).level for name in dask.LOGGERS} == {logging.CRITICAL}


@pytest.mark.usefixtures("_distributed")
@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("nowhere", "txfast: Dask's scheduler cannot be reached, or was restarted: Timed out trying to connect to"),
        ("empty", "txfast: Dask's scheduler at empty has no worker: start one: dask worker empty"),
    ],
)
def test_a_scheduler_that_is_not_there_or_has_no_worker_is_reported(
    folder: Folder, address: str, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = twelve_files(folder)
    assert dask.main([*names, "--scheduler", address, "-o", "a.csv"]) == 1
    assert capsys.readouterr().err.startswith(line)
    assert not (folder.path / "a.csv").exists()
