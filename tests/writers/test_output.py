"""The order in which the results of a run are published, and what happens where one of them cannot be."""

from __future__ import annotations

from itertools import permutations

import pytest

from txfast.errors import SourceError
from txfast.writers.output import publication_order, publish_all

ROLES = ("rejects", "history", "stats", "report", "accounts", "state")


class Result:
    """A result that appends each call to a shared list."""

    def __init__(self, name: str, calls: list[str], *, fails: bool = False) -> None:
        self._name = name
        self._calls = calls
        self._fails = fails

    def open(self) -> None:
        self._calls.append(f"open {self._name}")

    def finish(self) -> None:
        self._calls.append(f"finish {self._name}")

    def publish(self, *, revocable: bool = False) -> None:
        if self._fails:
            raise SourceError(f"{self._name}: cannot be written: no space")
        self._calls.append(f"publish {self._name}{' for now' if revocable else ''}")

    def revoke(self) -> None:
        self._calls.append(f"revoke {self._name}")

    def discard(self) -> None:
        self._calls.append(f"discard {self._name}")


def test_results_are_published_in_one_order_however_many_a_run_has() -> None:
    for count in range(len(ROLES) + 1):
        for chosen in permutations(ROLES, count):
            results = {role: Result(role, []) for role in chosen}
            ordered = publication_order(**results)
            assert ordered == [results[role] for role in ROLES if role in results]


def test_the_last_result_is_published_for_good() -> None:
    calls: list[str] = []
    publish_all([Result(role, calls) for role in ("stats", "accounts", "state")])
    assert calls == ["publish stats for now", "publish accounts for now", "publish state"]


def test_a_result_that_cannot_be_published_takes_back_those_before_it() -> None:
    calls: list[str] = []
    results = [Result("stats", calls), Result("accounts", calls), Result("state", calls, fails=True)]
    with pytest.raises(SourceError, match="state: cannot be written"):
        publish_all(results)
    assert calls == ["publish stats for now", "publish accounts for now", "revoke accounts", "revoke stats"]
