"""A few of the kills that crashes.py makes by the thousand."""

from __future__ import annotations

import platform
import random
from pathlib import Path

import pytest

from tests.campaigns.crashes import Killings, count_unnoticed

pytestmark = [
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the shim stands before functions of glibc"),
    pytest.mark.untraced,
    pytest.mark.unmeasured,
]


def test_whatever_moment_a_run_is_killed_at_nobody_can_tell(tmp_path: Path) -> None:
    chance = random.Random(11)
    killings = Killings(tmp_path, chance)
    assert count_unnoticed(tmp_path / "start" / "state" / "snapshot-1", 200, chance) == 0
    outcomes = [killings.kill() for _ in range(12)]
    assert [(where, wrong) for where, wrong in outcomes if wrong] == []
