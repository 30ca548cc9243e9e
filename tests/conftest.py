"""The folder in which most tests run the command. And what pytest does around each test: signals are heard, and
coverage follows only the tests that it is for."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import profiles as profiles
from tests.support.command import Folder, unmeasured


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with in.csv in it."""
    return Folder(tmp_path)


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    """Restore the handlers of SIGINT and SIGHUP for processes that a test starts.

    Tests that run in a shell's background inherit "ignore SIGINT", and under nohup "ignore SIGHUP".
    """
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _measured(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stop coverage of Python in tests marked `unmeasured` and in the processes that they start."""
    if "COVERAGE_PROCESS_START" not in os.environ or request.node.get_closest_marker("unmeasured") is None:
        yield
        return
    for name in os.environ.keys() - unmeasured(os.environ).keys():
        monkeypatch.delenv(name)
    measuring = sys.modules["coverage"].Coverage.current()
    measuring.stop()
    yield
    measuring.start()
