"""Two engines that apply rows under a policy, one file of one row at a time: the reference, and the kernel by its API.

This module does not say which outcome is right.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple, Protocol

import txfast
from tests.support.reference import HEADER, UNITS_PER_ONE, Replay


class Balances(NamedTuple):
    """What an account holds."""

    available: Decimal
    held: Decimal
    locked: bool


class Engine(Protocol):
    def apply(self, row: str) -> str:
        """Apply one row, such as `deposit,1,1,2.5`. Returns "applied" or the reason why it was not."""

    def account(self, client: int) -> Balances | None:
        """What a client's account holds; None if there is no account."""


class ReferenceEngine:
    """The reference."""

    def __init__(self, policy: str) -> None:
        self._run = Replay(policy)

    def apply(self, row: str) -> str:
        refused_before = len(self._run.rejects)
        self._run.read("in.csv", HEADER + row.encode())
        assert self._run.conserved()
        return "applied" if len(self._run.rejects) == refused_before else self._run.rejects[-1].reason

    def account(self, client: int) -> Balances | None:
        account = self._run.accounts.get(client)
        if account is None:
            return None
        available, held = (Decimal(units) / UNITS_PER_ONE for units in (account.available, account.held))
        return Balances(available, held, account.locked)


class KernelEngine:
    """The kernel, by `txfast.Ledger`."""

    def __init__(self, policy: str) -> None:
        self._ledger = txfast.Ledger(policy=policy)

    def apply(self, row: str) -> str:
        statuses = self._ledger.apply(io.BytesIO(HEADER + row.encode()), statuses=True)
        [status] = statuses.to_pylist()
        return str(status)

    def account(self, client: int) -> Balances | None:
        account = self._ledger.get(client)
        return None if account is None else Balances(account.available, account.held, account.locked)


ENGINES: tuple[Callable[[str], Engine], ...] = (ReferenceEngine, KernelEngine)
