"""Inputs that nobody means well with, each in its small version; `tests/hostile.py --full` has the large ones."""

from __future__ import annotations

import hostile
import pytest


@pytest.mark.parametrize("case", hostile.CASES)
def test_a_hostile_input_comes_to_what_it_must(case: str) -> None:
    hostile.CASES[case](False)


def test_a_case_that_fails_is_told_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def failing(full: bool) -> hostile.Outcome:
        raise hostile.HostileError(f"full is {full}")

    monkeypatch.setitem(hostile.CASES, "failing", failing)
    assert hostile.main(["failing"]) == 1
    assert "FAILED: full is False" in capsys.readouterr().out
