"""Fixtures of the cluster's tests: a folder to run in, and one with a state."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import Folder
from tests.support.engines import run_cluster
from tests.support.states import FIRST, MORE
from txfast.cluster import command


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """The current folder, with in.csv in it."""
    monkeypatch.chdir(tmp_path)
    return Folder(tmp_path)


@pytest.fixture
def two_snapshots(folder: Folder) -> Folder:
    """A folder with the state of two runs on a cluster."""
    folder.write("in.csv", FIRST)
    run_cluster("in.csv")
    folder.write("in.csv", FIRST + MORE)
    run_cluster("in.csv")
    return folder


class NoListener:
    """Replaces the listener for signals: in this process signals are for pytest."""

    def listen(self) -> None: ...
    def check(self) -> None: ...
    def hold(self) -> None: ...
    def stop_listening(self) -> None: ...
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


@pytest.fixture(autouse=True)
def _signals_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "LISTENER", NoListener())
