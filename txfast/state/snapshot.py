"""Snapshots of a state: what a run that ended well has left, or a run that goes on. Restores ledgers from them.

A snapshot is not trusted: the ledger checks every number, even where all hashes are right. Segments are the files of a
snapshot (segment_snapshot.py); earlier versions wrote others (legacy_snapshot.py). This module must not know when
snapshots are made, nor what the manifest says of inputs.
"""

import os
from functools import partial

from txfast.dialect.names import unit
from txfast.errors import CapacityError, MemoryLimitError, StateError
from txfast.ledger.columns_in import LedgerRestorer
from txfast.ledger.disputes_in import restore_details, restore_disputes
from txfast.ledger.figures import has_one_client
from txfast.ledger.ledger import Ledger
from txfast.ledger.openings import restore_openings
from txfast.ledger.summaries import check_summaries
from txfast.state import manifest
from txfast.state.checked_file import check_file
from txfast.state.dialects import decimals_of, dialect_of, text_ids_of
from txfast.state.policies import policy_of
from txfast.state.restored_columns import columns_as_taken
from txfast.state.snapshot_layout import ACCOUNTS, DETAILS, DISPUTES, ENTRIES, OPENINGS, SUMMARIES

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any, Self

    from txfast.dialect.dialect import Dialect
    from txfast.state.restored_columns import Columns

# The number of shards must fit in 32 bits, also after one more doubling.
SHARDS_MAX = 1 << 31


class TooLargeError(Exception):
    """A ledger that is being restored has outgrown its limit."""


class Snapshot:
    """A snapshot whose `fields` are those of its manifest. `snapshots.py` makes one of the right class.

    `of_shard` gives the part of one shard. After `restore`, the part's `restored` has its accounts, entries and balance
    in units of the last decimal; the sums over all shards must be those of the whole snapshot (`check_restored`).
    """

    def __init__(self, folder: str, fields: "dict[str, Any]") -> None:
        self.path = os.path.join(folder, manifest.NAME)
        self.folder = folder
        self.fields = manifest.Fields(self.path, fields)
        self.accounts: int = self.fields.take("accounts", int)
        self.entries: int = self.fields.take("entries", int)
        self.balance_units = self.fields.whole("balance_units")
        self.created: str = self.fields.take("created", str)
        self.policy = policy_of(self.fields)
        self.dialect = dialect_of(self.fields)
        self.text_ids = text_ids_of(self.dialect)
        self._shard, self._shard_count = 0, 1
        self.restored = (0, 0, 0)

    def use_dialect(self, dialect: "Dialect | None") -> None:
        """Use this dialect, which equals the saved one: its currencies, and its key of the hashes of ids, are those of
        the snapshot from now on."""
        self.dialect = dialect
        self.text_ids = text_ids_of(dialect)

    def check_files(self) -> None:
        """Hash all files. Raises StateError where a byte of them was changed, and SourceError."""
        for path, byte_count, digest in self.files():
            check_file(path, byte_count, digest)

    def check_before_use(self) -> None:
        """Check what a run must know of the files before it begins. Raises as `check_files`."""
        self.check_files()

    @property
    def details(self) -> int:
        """About how many entries and accounts have details."""
        raise NotImplementedError

    @property
    def text_bytes(self) -> int:
        """About how many bytes all ids take that are texts."""
        raise NotImplementedError

    def files(self) -> "Iterator[tuple[str, int, str]]":
        """Iterate the files: path, expected bytes and expected hash. Raises StateError."""
        raise NotImplementedError

    def of_shard(self, shard: int, shard_count: int, dialect: "Dialect | None" = None) -> "Self":
        """The part of this snapshot for one shard; it need not have been saved in as many shards.

        `dialect`, by default the saved one, is the run's, which has the same parts: where clients are texts, all tasks
        of a run have to hash them by one key. `accounts` and `entries` are estimates.
        """
        import copy

        snapshot = copy.copy(self)
        if dialect is not None:
            snapshot.use_dialect(dialect)
        snapshot._shard, snapshot._shard_count = shard, shard_count
        snapshot.accounts = -(-self.accounts // shard_count)
        snapshot.entries = -(-self.entries // shard_count)
        return snapshot

    def batches(self, first: int, count: int, shards: int) -> "Iterator[tuple[str, str, int, Mapping[str, Columns]]]":
        """Iterate what is saved, at least that of `count` of `shards` shards from `first` on: the path of the file or
        the folder, the kind (a name in snapshot_layout.py), and the rows with the buffers of each column.

        Accounts come first. Raises StateError, SourceError, and ValueError for what is damaged.
        """
        raise NotImplementedError

    def entries_max(self) -> int:
        """The most entries that the files have bytes for: the manifest is not trusted."""
        raise NotImplementedError

    # ---- Restoring ---------------------------------------------------------------------------------

    def restore(self, ledgers: "Sequence[Ledger]") -> None:
        """Fill empty ledgers, each with its shard. Raises StateError, CapacityError, MemoryError and SourceError."""
        self._restore([self._restorer(ledger, shard, len(ledgers)) for shard, ledger in enumerate(ledgers)])
        self._check_sums(
            sum(map(len, ledgers)), sum(ledger.entries for ledger in ledgers),
            sum(ledger.balance_units for ledger in ledgers),
        )  # fmt: skip

    def parts(self, count: int, limit_bytes: int) -> "Iterator[tuple[int, Ledger]]":
        """Iterate the snapshot in parts, for a caller without the memory for all of it: `(shard, ledger)`, for each of
        `count` shards.

        A shard comes as several ledgers, each with some of its clients, where one would take more than `limit_bytes`
        (0 for no limit). The files are read once for each ledger. Raises as `restore`, and MemoryLimitError where a
        single client takes more.
        """
        accounts = entries = balance = 0
        for shard in range(count):
            for ledger in self._ledgers_of(shard, count, limit_bytes):
                accounts += len(ledger)
                entries += ledger.entries
                balance += ledger.balance_units
                yield shard, ledger
        self._check_sums(accounts, entries, balance)

    def _ledgers_of(self, shard: int, count: int, limit_bytes: int) -> "Iterator[Ledger]":
        """Iterate the ledgers of one of `count` shards: one, or those of its halves where it is too large."""
        ledger = Ledger(self.policy, self.text_ids)
        ledger.limit_memory(limit_bytes)

        def check_size() -> None:
            if limit_bytes and ledger.bytes_with(0) > limit_bytes:
                raise TooLargeError

        try:
            self._restore([self._restorer(ledger, shard, count)], check_size)
        except TooLargeError as error:
            if not len(ledger) or has_one_client(ledger) or self._shard_count * count > SHARDS_MAX:
                raise MemoryLimitError(
                    f"{self.folder}: has a client that is too large for the memory limit: name one that is higher"
                ) from error
            ledger.clear()
            for half in (2 * shard, 2 * shard + 1):
                yield from self._ledgers_of(half, 2 * count, limit_bytes)
            return
        yield ledger

    def _restorer(self, ledger: Ledger, shard: int, count: int) -> LedgerRestorer:
        """A restorer for one of the `count` shards of this snapshot, which may be of a shard itself."""
        return LedgerRestorer(ledger, self._shard * count + shard, self._shard_count * count)

    def _restore(self, restorers: "Sequence[LedgerRestorer]", check: "Callable[[], None]" = lambda: None) -> None:
        """Read all of these shards once; each restorer takes its own. `check` is called after each record batch."""
        entries = min(self.entries, self.entries_max())
        for restorer in restorers:
            restorer.expect(entries * self._shard_count)
        path = self.folder
        try:
            for found, kind, rows, columns in self.batches(
                restorers[0].shard, len(restorers), restorers[0].shard_count
            ):
                path = found
                given, currencies = columns_as_taken(rows, columns, self.text_ids)
                for restorer in restorers:
                    adder(restorer, kind)(rows, *given, currencies=currencies)
                check()
            path = self.folder
            for restorer in restorers:
                restorer.finish()
        except (CapacityError, StateError):
            raise
        except ValueError as error:
            raise StateError(f"{path}: is damaged: {error}") from error

    def _check_sums(self, accounts: int, entries: int, balance: int) -> None:
        self.restored = (accounts, entries, balance)
        if self._shard_count == 1:
            self.check_restored(*self.restored)

    def check_restored(self, accounts: int, entries: int, balance: int) -> None:
        """Raise StateError where these are not the numbers that were saved."""
        if (accounts, entries) != (self.accounts, self.entries):
            raise StateError(
                f"{self.folder}: is damaged: it has {accounts:,} accounts and {entries:,} transactions, where "
                f"{self.accounts:,} and {self.entries:,} were saved"
            )
        if balance != self.balance_units:
            units = f"units of {unit(decimals_of(self.dialect))}"
            raise StateError(
                f"{self.folder}: is damaged: its accounts have {balance:,} {units}, where {self.balance_units:,} were "
                f"saved"
            )


def adder(restorer: LedgerRestorer, kind: str) -> "Callable[..., object]":
    """What puts the columns of this kind of file into the restorer's ledger."""
    adders: dict[str, Callable[..., object]]
    adders = {
        ACCOUNTS: restorer.add_accounts,
        ENTRIES: restorer.add_entries,
        DISPUTES: partial(restore_disputes, restorer),
        DETAILS: partial(restore_details, restorer),
        OPENINGS: partial(restore_openings, restorer),
        SUMMARIES: partial(check_summaries, restorer),
    }
    return adders[kind]
