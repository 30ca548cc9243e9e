"""Inputs made to hurt are no more than inputs: hostile.py's cases, at a size for every day."""

from __future__ import annotations

import pytest

from tests.campaigns import hostile

pytestmark = pytest.mark.unmeasured


@pytest.mark.untraced
@pytest.mark.parametrize("case", hostile.CASES)
def test_a_hostile_input_gives_what_it_should_in_little_memory(case: str) -> None:
    assert hostile.CASES[case](False).problems == []
