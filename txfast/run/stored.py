"""StoredLedgers: what a run with a state does for its ledgers: it loads the accounts and transactions that rows need,
before they are applied, and seals what they have changed.

This module must not know where batches come from, nor when a snapshot is taken.
"""

import os
import threading
from contextlib import contextmanager

from txfast.ledger.figures import balances_of
from txfast.ledger.ledger import Ledger
from txfast.run.conservation import added, check_sum
from txfast.store.active import ActiveAccounts
from txfast.store.prefetch import prefetch, prefetch_accounts

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from txfast.batch.batch import TransactionBatch
    from txfast.readers.balance_rows import BalanceRows
    from txfast.state.store import Store
    from txfast.store.runs import Run
    from txfast.store.segment_form import Form

# The bytes of blocks whose rows are looked up together, and the most blocks. Batches take three times as many bytes,
# which come out of what is kept for the store.
TOGETHER_BYTES = 16 << 20
TOGETHER_MAX = 1 << 8


class StoredLedgers:
    """The ledgers of a run over a `store`: `take` each, `prefetch` before a batch is applied, and `seal` what it has
    changed into files of the folder that `new_folder` gives.

    Several threads may prefetch at once, each for a ledger of its own. If loading fails, `has_failed` is True: the
    ledger is incomplete, so no more rows may be applied.
    """

    def __init__(self, store: "Store", new_folder: "Callable[[], str]") -> None:
        self.store = store
        self._new_folder = new_folder
        self.accounts_before = store.accounts
        self._units_before = store.balance_units
        self._view = store.view
        self._actives: dict[int, ActiveAccounts] = {}
        self._prefetched: dict[int, int] = {}  # by ledger, the batches that come next and may be applied
        self._loaded = [0]  # the totals of accounts that were loaded, by currency
        self._lock = threading.Lock()
        self.has_failed = False

    def take(self, ledger: Ledger) -> None:
        """Begin with an empty ledger, or with one whose accounts and entries are all new to the store."""
        self._actives[id(ledger)] = ActiveAccounts(ledger)
        self._prefetched[id(ledger)] = 0

    def drop(self, ledger: Ledger) -> None:
        """Forget a ledger whose accounts are in the store."""
        del self._actives[id(ledger)], self._prefetched[id(ledger)]

    def batches_together(self, block_bytes: int) -> int:
        """How many batches of such blocks are looked up together."""
        return min(max(1, TOGETHER_BYTES // block_bytes), TOGETHER_MAX) if self.accounts_before else 1

    def prefetch(
        self, ledger: Ledger, batches: "Sequence[TransactionBatch]", shard: int, shards: int, limit: int | None = None
    ) -> int:
        """Before batches are applied in their order: load the accounts and transactions that their rows of a shard
        need. Return for how many of them, at least one: the ledger may take at most `limit` bytes, and the caller
        checks that for one batch. Raises StateError, MemoryError and CapacityError."""
        count = len(batches)
        while limit is not None and count > 1 and not self._have_room(ledger, batches[:count], shard, limit):
            count //= 2
        if limit is None or count > 1 or self.bytes_with_batch(ledger, batches[0], shard) <= limit:
            if self._view.accounts:
                with self._loading(ledger):
                    prefetch(self._actives[id(ledger)], self._view, batches[:count], shard, shards)
            self._prefetched[id(ledger)] = count
        return count

    def _have_room(self, ledger: Ledger, batches: "Sequence[TransactionBatch]", shard: int, limit: int) -> bool:
        """Whether a ledger may take the rows of a shard of these batches."""
        rows = sum(batch.shard_rows(shard) for batch in batches)
        return bytes_with(ledger, batches) + self.bytes_beside(ledger, rows) <= limit

    def bytes_with_batch(self, ledger: Ledger, batch: "TransactionBatch", shard: int = 0) -> int:
        """The most bytes that a ledger takes with the rows of a shard of this batch, and what is beside it."""
        return ledger.bytes_with_batch(batch, shard=shard) + self.bytes_beside(ledger, batch.shard_rows(shard))

    def bytes_beside(self, ledger: Ledger, rows: int) -> int:
        """The most bytes that are taken beside a ledger for its accounts and entries, with this many more rows, until
        it is sealed."""
        return self._actives[id(ledger)].bytes_beside(rows)

    def use(self, ledger: Ledger) -> None:
        """Before each batch is applied. Raises AssertionError where it was not prefetched: its rows would be applied as
        if the state were not there."""
        self._prefetched[id(ledger)] -= 1
        assert self._prefetched[id(ledger)] >= 0, "rows are looked up before they are applied"

    def load_clients(self, ledger: Ledger, rows: "BalanceRows", shard: int, shards: int) -> None:
        """Load the accounts that these rows name, of a shard. Raises StateError, MemoryError and CapacityError."""
        if self._view.accounts:
            with self._loading(ledger):
                prefetch_accounts(
                    self._actives[id(ledger)], self._view, rows.clients, names=rows.name_texts,
                    name_starts=rows.name_starts, currencies=rows.currency_numbers, shard=shard, shard_count=shards,
                )  # fmt: skip

    def has_saved(self, ledger: Ledger, client: int | bytes, currency: int) -> bool:
        """Whether an account of the ledger is in the state too."""
        return self._actives[id(ledger)].has_saved(client, currency)

    @contextmanager
    def _loading(self, ledger: Ledger) -> "Iterator[None]":
        """Note the totals of the accounts that are loaded meanwhile."""
        before = [-units for units in balances_of(ledger)]
        try:
            yield
        except BaseException:
            self.has_failed = True
            raise
        loaded = added(before, balances_of(ledger))
        with self._lock:
            self._loaded = added(self._loaded, loaded)

    def seal(self, ledgers: "Sequence[Ledger]", folder: str | None = None) -> None:
        """Add what these ledgers have changed to the store, in files in `folder`, by default that of the next snapshot.
        They stay as they are. Raises SourceError, StateError and MemoryError."""
        actives = self.actives(ledgers)
        with self._lock:
            self.store.seal(actives, folder or self._new_folder())
            self._view = self.store.view
        for active in actives:
            active.mark_sealed()

    def moved_to(self, folder: str) -> None:
        """Note the folder that has all files of the store from now on; some of them were merged."""
        self.store.moved_to(folder)
        self.take_view()

    def take_view(self) -> None:
        """Look up in the files that the store has now: some of them were merged."""
        self._view = self.store.view

    def actives(self, ledgers: "Sequence[Ledger]") -> list[ActiveAccounts]:
        """What each of these ledgers has of the store."""
        return [self._actives[id(ledger)] for ledger in ledgers]

    def count_accounts(self, ledgers: "Sequence[Ledger]") -> int:
        """How many accounts there are, in the store and in these ledgers."""
        return self.store.accounts + sum(active.new_accounts for active in self.actives(ledgers))

    def units(self, balances: list[int]) -> int:
        """The total of all accounts, from the balances of all ledgers of the run."""
        return self._units_before + self.changed_units(balances)

    def changed_units(self, balances: list[int]) -> int:
        """What rows have changed in the total of all accounts, from the balances of all ledgers of the run."""
        return sum(balances) - sum(self._loaded)

    def check(self, balances: list[int], decimals: int) -> None:
        """Raise ConservationError where what was sealed is not what applied rows have changed."""
        check_sum(self.store.balance_units, self.units(balances), decimals)


def bytes_with(ledger: Ledger, batches: "Sequence[TransactionBatch]") -> int:
    """The most bytes that a ledger needs for all rows of these batches."""
    return ledger.bytes_with(sum(map(len, batches)), sum(batch.text_bytes for batch in batches))


def accounts_run(actives: "Sequence[ActiveAccounts]", form: "Form", folder: str) -> "Run":
    """The accounts that the store of these does not have, or has otherwise: a run of its own, in files in `folder`,
    which may be removed then. The ledgers are not sealed. Raises SourceError, StateError and MemoryError."""
    from txfast.store.seal import seal_accounts
    from txfast.store.segment import Segment

    written = seal_accounts(actives, lambda sort, number: os.path.join(folder, f"{sort}-{number}"), form)
    run = [Segment(path, description, form) for path, description in written]
    for segment in run:
        segment.open()
    return run
