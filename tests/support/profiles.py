"""Hypothesis profiles: how many examples a property test tries.

HYPOTHESIS_PROFILE chooses one: `default`, `ci` (a third of the examples), `quick` (a tenth of them) or `thorough` (a
hundred times as many).
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "default", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
settings.register_profile("ci", settings.get_profile("default"), max_examples=16)
settings.register_profile("quick", settings.get_profile("default"), max_examples=5)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def examples(share: float) -> settings:
    """Settings with this share of the profile's examples, for a test whose examples are slower or faster than most."""
    return settings(max_examples=max(1, round(settings().max_examples * share)))
