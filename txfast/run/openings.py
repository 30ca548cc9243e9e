"""Openings: the accounts that a run opens with an opening balance, before it applies a row.

This module must not know where opening balances come from.
"""

from txfast.ledger.figures import balances_of
from txfast.run.conservation import added

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from txfast.dialect.currencies import Currencies
    from txfast.ledger.ledger import Ledger
    from txfast.readers.balance_rows import BalanceRows
    from txfast.run.stored import StoredLedgers
    from txfast.spill.spill import Spill

    class Books(Protocol):
        """The ledgers of a run (books.py)."""

        ledgers: list[Ledger]
        ledger_bytes: int | None
        stored: StoredLedgers | None

        @property
        def currencies(self) -> Currencies | None: ...
        @property
        def spills(self) -> Sequence[Spill | None]: ...
        def move_to_disk(self, shard: int) -> None: ...


class Openings:
    """Opens accounts in the ledgers of books: `begin`, then `open_accounts` for each block of rows, then `end`."""

    def __init__(self, books: "Books") -> None:
        self._books = books
        self._known: list[int] = []
        self._units = [0]  # by the number of the currency

    def begin(self) -> None:
        """Before any row is applied: accounts with opening balances come next."""
        self._known = [len(ledger) for ledger in self._books.ledgers]

    def open_accounts(self, rows: "BalanceRows") -> "tuple[int, bool] | None":
        """Open an account for each row, with its `available`, which may be below 0.

        Return None; or the first row whose client has an account already, and whether it had one before the opening
        balances. Accounts that are on disk are not looked at: two of one client are found when they are settled. Raises
        MemoryError, CapacityError, StateError and SpillError.
        """
        from txfast.ledger.openings import account_number, bytes_with_openings, open_accounts

        books = self._books
        clients, units, count = rows.clients, rows.units("available"), len(books.ledgers)
        names, name_starts, currencies = rows.name_texts, rows.name_starts, rows.currency_numbers
        first, is_known = len(rows), False
        for shard, ledger in enumerate(books.ledgers):
            if (
                books.ledger_bytes is not None
                and len(ledger)
                and bytes_with_openings(ledger, len(rows), rows.text_bytes) > books.ledger_bytes
            ):
                self._known[shard] = 0
                books.move_to_disk(shard)
            if books.stored is not None:
                books.stored.load_clients(ledger, rows, shard, count)
            before = [-balance for balance in balances_of(ledger)]
            refused = open_accounts(
                ledger, clients, units, names=names, name_starts=name_starts, currencies=currencies, shard=shard,
                shard_count=count,
            )  # fmt: skip
            self._units = added(self._units, before, balances_of(ledger))
            if refused < first:
                first = refused
                client, currency = rows.client_of(refused), 0 if currencies is None else currencies[refused]
                is_known = account_number(ledger, client, currency) < self._known[shard] or (
                    books.stored is not None and books.stored.has_saved(ledger, client, currency)
                )
        return None if first == len(rows) else (first, is_known)

    def end(self) -> None:
        """After the last opening balance: what follows in a ledger that is on disk are rows."""
        for shard, ledger in enumerate(self._books.ledgers):
            if self._books.spills[shard] is not None and len(ledger):
                self._books.move_to_disk(shard)

    def add(self, balances: "dict[bytes | None, int]") -> None:
        """Count opening balances from before the ledgers were restored, as `balances` gives them."""
        currencies = self._books.currencies
        for code, units in balances.items():
            number = 0 if code is None or currencies is None else currencies.number(code)
            self._units = added(self._units, [0] * number + [units])

    def balances(self) -> "dict[bytes | None, int]":
        """The opening balances of accounts that this run has opened, summed up by the code of their currency, None
        where accounts have none; without sums of 0."""
        currencies = self._books.currencies
        codes = [None] if currencies is None else currencies.codes
        return {code: units for code, units in zip(codes, self._units, strict=False) if units}
