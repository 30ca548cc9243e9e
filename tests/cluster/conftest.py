"""What pytest does around each test of a cluster."""

from __future__ import annotations

import pytest

from txfast.cluster import command


class NoWatch:
    """In place of the watch over signals: in this process the signals belong to pytest."""

    def check(self) -> None: ...
    def hold(self) -> None: ...
    def release(self) -> None: ...


@pytest.fixture(autouse=True)
def signals_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "SignalWatch", NoWatch)
