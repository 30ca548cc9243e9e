"""A few of the damages and kills of crashes.py."""

from __future__ import annotations

import platform
import random
from pathlib import Path

import pytest

from tests.campaigns.crashes import Killings, count_unnoticed, count_wrong

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the shim replaces functions of glibc"),
    pytest.mark.untraced,
    pytest.mark.unmeasured,
]


def test_a_run_killed_at_any_moment_goes_on_without_a_trace(tmp_path: Path) -> None:
    chance = random.Random(11)
    killings = Killings(tmp_path, chance)
    assert count_unnoticed(tmp_path / "start" / "state" / "snapshot-1", 200, chance) == 0
    assert count_wrong(tmp_path / "start", 30, chance) == 0
    outcomes = [killings.kill() for _ in range(12)]
    assert [(where, wrong) for where, wrong in outcomes if wrong] == []
