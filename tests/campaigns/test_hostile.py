"""The cases of hostile.py, with small inputs."""

from __future__ import annotations

import pytest

from tests.campaigns import hostile

pytestmark = pytest.mark.unmeasured


@pytest.mark.slow
@pytest.mark.untraced
@pytest.mark.parametrize("case", hostile.CASES)
def test_a_hostile_input_gives_the_right_result_in_little_memory(case: str) -> None:
    assert hostile.CASES[case](False).problems == []
