"""A run from its beginning to its end, for programs and the command alike: what it looks at, and what it leaves."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import txfast
from tests.support.command import FILE, environment, unmeasured
from txfast.api.run import RunSettings
from txfast.errors import InputError
from txfast.input.ref import resolve
from txfast.input.source import READERS
from txfast.log.journal import Journal
from txfast.run.outputs import Outputs
from txfast.run.session import Session

WAITING = """
import os, signal, sys, threading, txfast
process = txfast.process
threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT]).start()
try:
    process(sys.argv[1])
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("txfast"), "disabled", True)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A run over a file that hands its accounts out, and keeps a state."""
    (tmp_path / "in.csv").write_bytes(FILE)
    settings = RunSettings(
        Journal(quiet=True), rejects=False, max_malformed=None, policy=None, dialect=None, reader=READERS[0], threads=1,
        memory_limit=None, memory_said="", spill_dir=None, state=str(tmp_path / "state"), checkpoint=None,
        last_line=None, progress="never",
    )  # fmt: skip
    outputs = Outputs(None, state=settings.state, warn=lambda _: None)
    return Session(settings.journal, settings, [resolve(str(tmp_path / "in.csv"))], outputs)


def test_all_files_are_looked_at_before_a_table_is_read(tmp_path: Path) -> None:
    asked = []

    def tables() -> Iterator[pa.Table]:
        asked.append(1)
        yield pa.table({"type": ["deposit"], "client": [1], "tx": [1], "amount": ["1"]})

    (tmp_path / "cut.csv.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(InputError, match=r"cut\.csv\.gz"):
        txfast.process(tables(), tmp_path / "cut.csv.gz")
    assert asked == []


def test_ctrl_c_ends_a_wait_for_the_writer_of_a_named_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    ended = subprocess.run(
        [sys.executable, "-c", WAITING, str(tmp_path / "pipe")],
        capture_output=True, text=True, timeout=60, check=False, env=unmeasured(environment()),
    )  # fmt: skip
    assert (ended.stdout, ended.stderr) == ("interrupted\n", "")


def test_the_books_of_a_run_that_fails_are_closed_and_its_outputs_discarded(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []
    monkeypatch.setattr(session.replay, "close", lambda: closed.append("books"))
    monkeypatch.setattr(session.outputs, "discard", lambda: closed.append("outputs"))
    with pytest.raises(ValueError, match="no more"), session:
        raise ValueError("no more")
    assert closed == ["books", "outputs"]


def test_the_accounts_of_a_run_that_ends_well_can_be_read_after_it(session: Session) -> None:
    with session:
        session.begin()
        session.read()
        accounts = session.collect()
        session.publish()
    assert len(accounts) > 0
    assert session.outputs.state is not None
    assert session.outputs.state.snapshots() == [1]
    session.close_books()


def test_outputs_are_discarded_where_the_rest_cannot_be_cleaned_up(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OSError("no")

    closed = []
    monkeypatch.setattr(session.replay, "close", fail)
    monkeypatch.setattr(session.outputs, "discard", lambda: closed.append("outputs"))
    with pytest.raises(OSError, match="no"), session:
        raise ValueError
    assert closed == ["outputs"]
