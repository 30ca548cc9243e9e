"""The reference for rules: what one well-formed row does to its client's account, under a policy.

It is written from the rules alone, as reference.py is, and must not import `txfast`. It must not know what a file is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tests.support.reference_policy import Policy

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1

# Transaction ids belong to their client.
Key = tuple[int, int]

# What an amount in dispute does to (available, held), as multiples of the amount.
Moves = Mapping[str, tuple[int, int]]
DEPOSIT_MOVES: Moves = {"dispute": (-1, +1), "resolve": (+1, -1), "chargeback": (0, -1)}
WITHDRAWAL_MOVES: Mapping[str, Moves] = {
    "hold": {"dispute": (0, +1), "resolve": (0, -1), "chargeback": (+1, -1)},
    "credit": {"dispute": (+1, -1), "resolve": (-1, +1), "chargeback": (0, +1)},
    "mark": {"dispute": (0, 0), "resolve": (0, 0), "chargeback": (+1, 0)},
}


@dataclass(slots=True)
class Account:
    """One client's balances: integers in units of 0.0001."""

    client: int
    available: int = 0
    held: int = 0
    locked: bool = False

    @property
    def total(self) -> int:
        return self.available + self.held

    def change(self, *, available: int = 0, held: int = 0) -> bool:
        """Add to both balances. Returns False, and changes nothing, if available, held or total would not fit."""
        new_available = self.available + available
        new_held = self.held + held
        for balance in (new_available, new_held, new_available + new_held):
            if not INT64_MIN <= balance <= INT64_MAX:
                return False
        self.available = new_available
        self.held = new_held
        return True


@dataclass(slots=True)
class Payment:
    """An applied deposit or withdrawal.

    amount        units, as applied
    refunded      units, the sum of its refunds
    state         "undisputed", "in dispute", "resolved", "charged back" or "reversed"
    moved         units that are in dispute or charged back now
    was_reversed  whether a chargeback of it was ever reversed
    """

    kind: str
    amount: int
    refunded: int = 0
    state: str = "undisputed"
    moved: int = 0
    was_reversed: bool = False

    @property
    def left(self) -> int:
        """What of it is not refunded, in dispute or charged back."""
        return self.amount - self.refunded - self.moved


class Applied(NamedTuple):
    """An applied row: its kind, the kind of the payment that it is or names, and the units that it was about."""

    client: int
    kind: str
    payment: str
    units: int


class Ledger:
    """Accounts by client, payments by (client, tx), and the list of all applied rows."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.accounts: dict[int, Account] = {}
        self.payments: dict[Key, Payment] = {}
        self.applied: list[Applied] = []
        self.openings: dict[int, int] = {}

    def open(self, client: int, units: int) -> bool:
        """Open an account that begins with this much available; False where the client has one already."""
        if client in self.accounts:
            return False
        self.accounts[client] = Account(client, available=units)
        self.openings[client] = units
        return True

    def apply(self, kind: str, client: int, tx: int, amount: int | None) -> str:
        """Apply one well-formed row. Returns "applied" or the reason of the rejection."""
        account = self.accounts.get(client, Account(client))
        outcome = self._outcome(kind, account, (client, tx), amount)
        if client not in self.accounts and self.policy.opens_account(kind, amount, outcome):
            self.accounts[client] = account
        return outcome

    def _outcome(self, kind: str, account: Account, key: Key, amount: int | None) -> str:
        if account.locked and not self.policy.locked_takes(kind):
            return "account_locked"
        if kind in ("deposit", "withdrawal"):
            return self._pay(kind, account, key, amount)
        if kind == "dispute":
            return self._dispute(account, key, amount)
        if kind == "resolve":
            return self._resolve(account, key)
        if kind == "chargeback":
            return self._charge_back(account, key)
        if kind == "refund":
            return self._refund(account, key, amount)
        if kind == "reversal":
            return self._reverse(account, key)
        raise ValueError(f"no kind of transaction: {kind!r}")

    def _pay(self, kind: str, account: Account, key: Key, amount: int | None) -> str:
        """A deposit or a withdrawal."""
        has_id = kind == "deposit" or self.policy.withdrawal_ids == "checked"
        if has_id and key in self.payments:
            return "duplicate_transaction"
        if amount is None:
            return "amount_required"
        if amount < 0:
            return "negative_amount"
        if amount == 0 and self.policy.zero_amount == "reject":
            return "zero_amount"
        if kind == "withdrawal" and account.available < amount and not self.policy.may_overdraw("withdrawal"):
            return "insufficient_funds"
        if not account.change(available=amount if kind == "deposit" else -amount):
            return "overflow"
        if has_id:
            self.payments[key] = Payment(kind, amount)
        self._note(kind, key, kind, amount)
        return "applied"

    def _dispute(self, account: Account, key: Key, amount: int | None) -> str:
        payment = self.payments.get(key)
        if payment is None or (payment.kind == "withdrawal" and self.policy.withdrawal_dispute == "reject"):
            return "transaction_not_found"
        if payment.state in ("in dispute", "charged back"):
            return "duplicate_dispute"
        if payment.state != "undisputed" and self.policy.redispute == "never":
            return "duplicate_dispute"
        moved = payment.left
        if amount is not None and self.policy.dispute_amount == "partial":
            if not 0 < amount <= payment.left:
                return "amount_too_large"
            moved = amount
        # The dispute of a withdrawal never takes available down.
        if payment.kind == "deposit" and account.available < moved and not self.policy.may_overdraw("dispute"):
            return "insufficient_funds"
        if not self._move(account, "dispute", payment, moved):
            return "overflow"
        payment.state = "in dispute"
        payment.moved = moved
        self._note("dispute", key, payment.kind, moved)
        return "applied"

    def _resolve(self, account: Account, key: Key) -> str:
        payment = self.payments.get(key)
        if payment is None or payment.state == "undisputed":
            return "dispute_not_found"
        if payment.state != "in dispute":
            return "dispute_not_in_progress"
        moved = payment.moved
        if not self._move(account, "resolve", payment, moved):
            return "overflow"
        payment.state = "resolved"
        payment.moved = 0
        self._note("resolve", key, payment.kind, moved)
        return "applied"

    def _charge_back(self, account: Account, key: Key) -> str:
        payment = self.payments.get(key)
        if payment is not None and self._can_charge_back_directly(payment):
            return self._charge_back_directly(account, key, payment)
        if payment is None or payment.state == "undisputed":
            return "dispute_not_found"
        if payment.state != "in dispute":
            return "dispute_not_in_progress"
        if not self._move(account, "chargeback", payment, payment.moved):
            return "overflow"
        payment.state = "charged back"
        account.locked = True
        self._note("chargeback", key, payment.kind, payment.moved)
        return "applied"

    def _can_charge_back_directly(self, payment: Payment) -> bool:
        is_over = payment.state not in ("in dispute", "charged back")
        return self.policy.direct_chargeback == "allow" and payment.kind == "deposit" and is_over

    def _charge_back_directly(self, account: Account, key: Key, payment: Payment) -> str:
        """A chargeback of a deposit that is not in dispute takes all that is left of it from available."""
        moved = payment.left
        if account.available < moved and not self.policy.may_overdraw("dispute"):
            return "insufficient_funds"
        if not account.change(available=-moved):
            return "overflow"
        payment.state = "charged back"
        payment.moved = moved
        account.locked = True
        self._note("chargeback", key, payment.kind, moved)
        return "applied"

    def _refund(self, account: Account, key: Key, amount: int | None) -> str:
        payment = self.payments.get(key)
        if payment is None or payment.kind != "deposit":
            return "transaction_not_found"
        if amount is None:
            return "amount_required"
        if amount < 0:
            return "negative_amount"
        if amount > payment.left:
            return "amount_too_large"
        if account.available < amount and not self.policy.may_overdraw("refund"):
            return "insufficient_funds"
        if not account.change(available=-amount):
            return "overflow"
        payment.refunded += amount
        self._note("refund", key, payment.kind, amount)
        return "applied"

    def _reverse(self, account: Account, key: Key) -> str:
        payment = self.payments.get(key)
        if payment is None or payment.state != "charged back":
            was_reversed = payment is not None and payment.was_reversed
            return "duplicate_reversal" if was_reversed else "chargeback_not_found"
        moved = payment.moved
        # The chargeback of a withdrawal gave the money back: the reversal takes it again.
        if not account.change(available=moved if payment.kind == "deposit" else -moved):
            return "overflow"
        payment.state = "reversed"
        payment.moved = 0
        payment.was_reversed = True
        account.locked = any(
            other.state == "charged back" for (client, _), other in self.payments.items() if client == account.client
        )
        self._note("reversal", key, payment.kind, moved)
        return "applied"

    def _move(self, account: Account, kind: str, payment: Payment, units: int) -> bool:
        """Move what is in dispute. Returns False, and changes nothing, where the result would not fit."""
        moves = DEPOSIT_MOVES if payment.kind == "deposit" else WITHDRAWAL_MOVES[self.policy.withdrawal_dispute]
        available, held = moves[kind]
        return account.change(available=available * units, held=held * units)

    def _note(self, kind: str, key: Key, payment: str, units: int) -> None:
        client, _ = key
        self.applied.append(Applied(client, kind, payment, units))

    # ---- Conservation ------------------------------------------------------------------------------

    def conserved(self) -> bool:
        """Whether available + held of every client is what its opening balance and its applied rows brought in, less
        what these took out.

        The sum is computed from the list of applied rows, not from the balances, so it detects a forged account.
        """
        expected: Counter[int] = Counter(self.openings)
        for row in self.applied:
            expected[row.client] += self._brought_in(row)
        return all(account.total == expected[client] for client, account in self.accounts.items())

    def _brought_in(self, row: Applied) -> int:
        """The units that an applied row brought into its account from outside, or took out of it (below zero)."""
        # A withdrawal in dispute stands in held until the dispute ends, beside what else there is.
        holds = row.payment == "withdrawal" and self.policy.withdrawal_dispute == "hold"
        match row.kind, row.payment:
            case ("deposit", _) | ("reversal", "deposit"):
                return row.units
            case ("withdrawal", _) | ("refund", _) | ("chargeback", "deposit") | ("reversal", "withdrawal"):
                return -row.units
            case ("chargeback", "withdrawal"):
                return 0 if holds else row.units  # with hold, it came in when the dispute began
            case ("dispute", _):
                return row.units if holds else 0
            case ("resolve", _):
                return -row.units if holds else 0
        raise AssertionError(row)
