"""Settled: the accounts of settled ledgers, each sorted on disk, and merged when they are read.

This module must not know output formats.
"""

import threading

from txfast.ledger.sorted_accounts import AccountColumns
from txfast.spill.file import Stream
from txfast.spill.runs import RunMerge, run_blocks

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from txfast.dialect.currencies import Currencies
    from txfast.ledger.ledger import Ledger
    from txfast.spill.file import SpillFile

# Merging reads each run into a buffer of at most RUN_BUFFER_BYTES_MAX, and into MERGE_BYTES for all runs together.
RUN_BUFFER_BYTES_MAX = 1 << 16
MERGE_BYTES = 3 << 20


class Settled:
    """Collects the accounts of ledgers to which all their rows were applied. It has the interface of AccountColumns.

    `memory_limit`, in bytes for the whole process, is for messages only. `tally` is called with every ledger before it
    is cleared, for its counts and balance. Any thread may call `add` and `give_up`; calls of `tally` are serialised.
    `has_names` says that clients are texts, `currencies` are those of accounts, None where they have none.
    """

    def __init__(
        self,
        file: "SpillFile",
        memory_limit: int,
        tally: "Callable[[Ledger], None]",
        *,
        has_names: bool = False,
        currencies: "Currencies | None" = None,
    ) -> None:
        self.memory_limit = memory_limit
        self._tally = tally
        self.has_names = has_names
        self.currencies = currencies
        self.stopped = False  # a failure or an interrupt ended the run: settle nothing more
        self.available_units = 0
        self.held_units = 0
        self.locked_count = 0
        self._file = file
        self._count = 0
        self._by_currency: dict[bytes, tuple[int, int]] = {}
        self._runs: list[Stream] = []
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._count

    def add(self, ledger: "Ledger") -> None:
        """Write the accounts of a ledger to disk. The caller clears it."""
        ledger.drop_transactions()
        accounts = AccountColumns([ledger])
        run = Stream(self._file)
        for block in run_blocks(accounts):
            run.write(block)
        self.give_up(ledger)
        with self._lock:
            self._runs.append(run)
            self._count += len(accounts)
            self.available_units += accounts.available_units
            self.held_units += accounts.held_units
            self.locked_count += accounts.locked_count
            for code, (available, held) in accounts.by_currency().items():
                before = self._by_currency.get(code, (0, 0))
                self._by_currency[code] = (before[0] + available, before[1] + held)

    def by_currency(self) -> dict[bytes, tuple[int, int]]:
        """The accounts summed up by the code of their currency, as by AccountColumns."""
        return dict(sorted(self._by_currency.items()))

    def give_up(self, ledger: "Ledger") -> None:
        """Tally a ledger that is about to be cleared."""
        with self._lock:
            self._tally(ledger)

    def chunks(self) -> "Iterator[AccountColumns]":
        """Iterate all accounts in ascending order of client, in parts; each is valid until the next."""
        return merged_runs(self._runs, has_names=self.has_names, currencies=self.currencies)


def merged_runs(
    runs: "Sequence[Stream]", *, has_names: bool = False, currencies: "Currencies | None" = None
) -> "Iterator[AccountColumns]":
    """Iterate the accounts of several runs in ascending order of client, in parts; each is valid until the next.
    `has_names` and `currencies` are as those of Settled."""
    buffer_bytes = min(RUN_BUFFER_BYTES_MAX, MERGE_BYTES // max(1, len(runs)))
    return iter(RunMerge([run.reader() for run in runs], buffer_bytes, has_names=has_names, currencies=currencies))
