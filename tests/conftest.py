"""What pytest does around each test."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from tests.support import profiles as profiles
from tests.support.command import unmeasured


@pytest.fixture(autouse=True)
def _heard() -> Iterator[None]:
    """Have what a test starts hear signals. A shell that runs the tests in the background has them ignore Ctrl-C, nohup
    has them ignore a terminal that is closed, and so does whatever they start."""
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    }
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _measured(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have coverage of Python look away from tests marked `unmeasured`, and from the processes that they start."""
    if "COVERAGE_PROCESS_START" not in os.environ or request.node.get_closest_marker("unmeasured") is None:
        yield
        return
    for name in os.environ.keys() - unmeasured(os.environ).keys():
        monkeypatch.delenv(name)
    measuring = sys.modules["coverage"].Coverage.current()
    measuring.stop()
    yield
    measuring.start()
