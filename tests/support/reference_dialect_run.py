"""The reference for runs under a dialect: decodes inputs, applies their rows, and counts what becomes of each.

It is written from the rules alone, as reference.py is, and must not import `txfast`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from tests.support.reference_dialect import DecodedRow, Dialect, Ignored, Malformed, read_rows
from tests.support.reference_ledger import Account as Balances
from tests.support.reference_ledger import Ledger
from tests.support.reference_policy import Policy
from tests.support.reference_rows import NotTransactions


class Account(NamedTuple):
    """A client's balances as decimal numbers with all places of the dialect."""

    client: int | str
    available: Decimal
    held: Decimal
    total: Decimal
    locked: bool

    @property
    def currency(self) -> None:
        return None


class CurrencyAccount(NamedTuple):
    """The same of a client in one currency."""

    client: int | str
    currency: str
    available: Decimal
    held: Decimal
    total: Decimal
    locked: bool


class Reject(NamedTuple):
    """A row that was not applied. `amount` is None where the rules do not say which text it is."""

    file: str
    line: int
    status: str
    reason: str
    type: bytes
    client: bytes
    tx: bytes
    amount: bytes | None
    row: bytes


class Replay:
    """A run under a dialect and a policy. Call `read` for each input in order, then look at the attributes.

    rejects     the rows that are malformed or rejected, in input order
    rows        malformed + rejected + applied
    ignored     rows that the dialect leaves out
    applied     counts by type, without zeros; `malformed` and `rejected` by reason

    By the rules, an input whose rows are all malformed fails the run. A run that `takes_malformed` goes on, so that
    tests see what becomes of such rows.
    """

    def __init__(self, settings: Mapping[str, str], policy: str = "", *, takes_malformed: bool = True) -> None:
        self.takes_malformed = takes_malformed
        self._settings = settings
        self._decimals = Dialect.of(settings).decimals
        self._ledger = Ledger(Policy.parse(policy))
        self.rejects: list[Reject] = []
        self.rows = 0
        self.ignored = 0
        self.applied: Counter[str] = Counter()
        self.malformed: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()

    def open(self, balances: Mapping[tuple[int | str, str | None], Decimal]) -> None:
        """Begin with these balances, by client and currency, which is None where accounts have none."""
        for owner, amount in balances.items():
            self._ledger.open(owner, int(amount.scaleb(self._decimals)))  # type: ignore[arg-type]  # as below

    def read(self, name: str, content: bytes) -> None:
        """Apply one input. Raises NotTransactions."""
        rows_before, malformed_before = self.rows, self.malformed.total()
        for decoded in read_rows(content, self._settings):
            self._read_row(name, decoded)
        rows = self.rows - rows_before
        if not self.takes_malformed and rows and rows == self.malformed.total() - malformed_before:
            raise NotTransactions(f"{name}: all {rows} rows are malformed")

    def _read_row(self, name: str, decoded: DecodedRow) -> None:
        outcome = decoded.outcome
        if isinstance(outcome, Ignored):
            self.ignored += 1
            return
        self.rows += 1
        if isinstance(outcome, Malformed):
            status, reason = "malformed", outcome.reason
            self.malformed[reason] += 1
        else:
            # An account is of a client, or of a client and a currency: rules only compare these.
            owner = (outcome.client, outcome.currency)
            status, reason = "rejected", self._ledger.apply(outcome.kind, owner, outcome.tx, outcome.amount)  # type: ignore[arg-type]
            if reason == "applied":
                self.applied[outcome.kind] += 1
                return
            self.rejected[reason] += 1
        self.rejects.append(Reject(name, decoded.line, status, reason, *decoded.texts, decoded.row))

    def accounts(self) -> list[Account | CurrencyAccount]:
        """The accounts, ascending by client, then by currency."""
        accounts: list[Account | CurrencyAccount] = []
        owned: dict[tuple[int | str, str | None], Balances] = dict(self._ledger.accounts)  # type: ignore[arg-type]
        for client, currency in sorted(owned, key=lambda owner: (order_of(owner[0]), order_of(owner[1] or ""))):
            each = owned[client, currency]
            available, held, total = map(self._number, (each.available, each.held, each.total))
            if currency is None:
                accounts.append(Account(client, available, held, total, each.locked))
            else:
                accounts.append(CurrencyAccount(client, currency, available, held, total, each.locked))
        return accounts

    def _number(self, units: int) -> Decimal:
        return Decimal(units).scaleb(-self._decimals)


def order_of(client: int | str) -> tuple[int, bytes]:
    """What accounts are in order of: numbers, or bytes of texts."""
    return (client, b"") if isinstance(client, int) else (0, client.encode("utf-8", "surrogateescape"))
