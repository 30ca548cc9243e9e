"""All accounts of a store, sorted by client: in memory, or on disk where they do not fit.

This module must not know when they are read, nor what becomes of them.
"""

from txfast.ledger.ledger import Ledger
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.run.bytes_on_disk import ACCOUNT_BYTES
from txfast.store.columns_of_runs import WORDS

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable

    from txfast.spill.settled import Settled
    from txfast.state.store import Store

# Parts of random clients differ in size: this many fit where one was planned.
MARGIN_PERCENT = 125


class AccountFigures:
    """The figures of all accounts of a store, as those of AccountColumns. Only their number is known at once; all
    accounts are read for the others."""

    def __init__(self, store: "Store") -> None:
        self._store = store
        self._sums: dict[bytes | None, tuple[int, int]] | None = None
        self._locked = 0

    def __len__(self) -> int:
        return self._store.accounts

    def _read(self) -> "dict[bytes | None, tuple[int, int]]":
        """The sums of available and held, by currency. Raises StateError."""
        if self._sums is None:
            self._sums = {}
            for code, available, held, locked in self._store.account_sums():
                before = self._sums.get(code, (0, 0))
                self._sums[code] = (before[0] + available, before[1] + held)
                self._locked += locked
        return self._sums

    @property
    def available_units(self) -> int:
        return sum(available for available, _ in self._read().values())

    @property
    def held_units(self) -> int:
        return sum(held for _, held in self._read().values())

    @property
    def locked_count(self) -> int:
        self._read()
        return self._locked

    def by_currency(self) -> dict[bytes, tuple[int, int]]:
        """The accounts summed up by the code of their currency; nothing where they have none."""
        sums = self._read()
        return {code: sums[code] for code in sorted(code for code in sums if code is not None)}


def accounts_of(
    store: "Store", limit_bytes: int, new_settled: "Callable[[int], Settled]", shard: int = 0, shards: int = 1
) -> "AccountColumns | Settled":
    """All accounts of a store, or those of one of its `shards`: in memory where they take at most `limit_bytes` (0 for
    no limit), else in what `new_settled` gives for so many bytes on disk.

    Raises StateError, MemoryError, CapacityError and SpillError.
    """
    parts = -(-parts_for(store, limit_bytes) // shards)
    begin, count = shard * parts, shards * parts
    if parts == 1:
        return AccountColumns([store.account_ledger(shard * WORDS // shards, (shard + 1) * WORDS // shards)])
    settled = new_settled(store.accounts * ACCOUNT_BYTES // shards + store.account_text_bytes // shards)
    for part in range(begin, begin + parts):
        ledger = store.account_ledger(part * WORDS // count, (part + 1) * WORDS // count)
        settled.add(ledger)
        ledger.clear()
    return settled


def parts_for(store: "Store", limit_bytes: int) -> int:
    """Into how many parts the accounts are divided, so that each fits into the limit."""
    if not limit_bytes:
        return 1
    needed = Ledger.bytes_for(store.accounts, 0, text_ids=store.text_ids, text_bytes=store.account_text_bytes)
    least = Ledger.bytes_for(0, 0, text_ids=store.text_ids)
    return max(1, -(-(needed - least) * MARGIN_PERCENT // 100 // max(1, limit_bytes - least)))
