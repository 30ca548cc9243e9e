"""Reads snapshots: checks every byte, and restores ledgers from the files.

A snapshot is not trusted: all hashes must be right, and the ledger checks every number even then. This module must not
know when snapshots are made, nor what the manifest says of inputs.
"""

import os
from functools import partial

from txfast.dialect.dialect import CURRENCY
from txfast.dialect.names import unit
from txfast.errors import CapacityError, MemoryLimitError, StateError
from txfast.ledger.columns_in import LedgerRestorer
from txfast.ledger.currency_column import CurrencyColumn
from txfast.ledger.disputes_in import restore_details, restore_disputes
from txfast.ledger.figures import has_one_client
from txfast.ledger.ledger import Ledger
from txfast.ledger.openings import restore_openings
from txfast.ledger.text_columns import TextColumn
from txfast.state import manifest
from txfast.state.arrow_columns import read_columns
from txfast.state.checked_file import check_file, read_small
from txfast.state.dialects import decimals_of, dialect_of, text_ids_of
from txfast.state.policies import policy_of
from txfast.state.snapshot_layout import (
    ACCOUNTS,
    CURRENCY_BYTES,
    DETAILS,
    DISPUTES,
    EARLIER_ENTRIES,
    ENTRIES,
    OPENINGS,
    ROW_BYTES,
    SHARD,
    row_bytes_min,
    schemas,
)

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from txfast.dialect.dialect import Dialect

# The number of shards must fit in 32 bits, also after one more doubling.
SHARDS_MAX = 1 << 31


class TooLargeError(Exception):
    """A ledger that is being restored has outgrown its limit."""


class Snapshot:
    """A snapshot whose `fields` are those of its manifest.

    Made by `open`, which checks every byte; or by a caller that checks the `files` by other means, as a cluster does.

    `of_shard` gives the part of one shard. After `restore`, the part's `restored` has its accounts, entries and balance
    in units of the last decimal; the sums over all shards must be those of the whole snapshot (`check_restored`).
    """

    def __init__(self, folder: str, fields: "dict[str, Any]") -> None:
        path = os.path.join(folder, manifest.NAME)
        self.folder = folder
        self.fields = manifest.Fields(path, fields)
        self.accounts: int = self.fields.take("accounts", int)
        self.entries: int = self.fields.take("entries", int)
        self.balance_units = self.fields.whole("balance_units")
        self.created: str = self.fields.take("created", str)
        self.policy = policy_of(self.fields)
        self.dialect = dialect_of(self.fields)
        self.text_ids = text_ids_of(self.dialect)
        self._saved_shards = self.fields.parts("shards") if "shards" in self.fields.names() else []
        self._shard, self._shard_count = 0, 1
        self._in_files: tuple[int, int] = (self.accounts, self.entries)  # of all shards in the files
        self.restored = (0, 0, 0)
        # The name of each file and its kind (ACCOUNTS, ENTRIES, DISPUTES, DETAILS, OPENINGS), in the order in which
        # they are read.
        self._files = self._files_named(self.fields.part("files").names())
        if {name for name, _ in self._files} != set(self.fields.part("files").names()):
            raise StateError(f"{path}: is damaged: its files are not those of a snapshot")

    def be_of(self, dialect: "Dialect | None") -> None:
        """Be of this dialect, which equals its own. Its currencies, and its key of the hashes of ids, are then those of
        the snapshot."""
        self.dialect = dialect
        self.text_ids = text_ids_of(dialect)

    def _files_named(self, names: "Sequence[str]") -> list[tuple[str, str]]:
        """The names that the files must have, given how many there are, and the kind of each file."""
        if self._saved_shards:
            return self._files_of_shards(range(len(self._saved_shards)), names)
        more = [(kind, kind) for kind in (DISPUTES, DETAILS, OPENINGS) if kind in names]
        earlier = [EARLIER_ENTRIES.format(number + 1) for number in range(len(names) - 2 - len(more))]
        return [(ACCOUNTS, ACCOUNTS), *((name, ENTRIES) for name in (*earlier, ENTRIES)), *more]

    def _files_of_shards(self, saved: range, names: "Sequence[str]") -> list[tuple[str, str]]:
        kinds = (ACCOUNTS, ENTRIES, DETAILS, OPENINGS)
        files = [(f"{SHARD.format(number)}/{kind}", kind) for kind in kinds for number in saved]
        return [(name, kind) for name, kind in files if kind not in (DETAILS, OPENINGS) or name in names]

    @classmethod
    def open(cls, folder: str) -> "Snapshot":
        """Read the manifest and hash all files.

        Raises StateError where a byte of them was changed or the format is unknown, and SourceError.
        """
        snapshot = cls.open_unchecked(folder)
        for path, byte_count, digest in snapshot.files():
            check_file(path, byte_count, digest)
        return snapshot

    @classmethod
    def open_unchecked(cls, folder: str) -> "Snapshot":
        """Read the manifest alone. Raises as `open`."""
        path = os.path.join(folder, manifest.NAME)
        return cls(folder, manifest.parse(path, read_small(path, manifest.BYTES_MAX)))

    @property
    def details(self) -> int:
        """About how many entries and accounts have details, by the size of their files."""
        return self._share_of(sum(self._rows_max(kind) for kind in (DETAILS, OPENINGS)))

    @property
    def text_bytes(self) -> int:
        """About how many bytes all ids take that are texts, by the size of their files."""
        if self.text_ids is None:
            return 0
        accounts, entries = self._in_files
        currency_bytes = 0 if self.text_ids.currencies is None else CURRENCY_BYTES
        client_bytes, *others = ROW_BYTES[ACCOUNTS]
        names = 0
        if self.text_ids.client:
            names = max(0, self._bytes_of(ACCOUNTS) - accounts * (currency_bytes + sum(others)))
            client_bytes = names // max(1, accounts)  # with each entry too
        if not self.text_ids.tx:
            return self._share_of(names)
        _, _, *others = ROW_BYTES[ENTRIES]
        row_bytes = client_bytes + currency_bytes + sum(others)
        return self._share_of(names + max(0, self._bytes_of(ENTRIES) - entries * row_bytes))

    def _share_of(self, count: int) -> int:
        """The share that is this shard's of something in all files that are read."""
        accounts, _ = self._in_files
        return -(-count * self.accounts // max(1, accounts))

    def _bytes_of(self, kind: str) -> int:
        """The size of all files of a kind."""
        files = self.fields.part("files")
        return sum(int(files.part(name).take("bytes", int)) for name, each in self._files if each == kind)

    def _rows_max(self, kind: str) -> int:
        """The most rows that the files of a kind have bytes for."""
        return self._bytes_of(kind) // row_bytes_min(kind, self.text_ids)

    def files(self) -> "Iterator[tuple[str, int, str]]":
        """Iterate the files: path, expected bytes and expected hash. Raises StateError."""
        files = self.fields.part("files")
        for name, _ in self._files:
            said = files.part(name)
            yield os.path.join(self.folder, name), said.take("bytes", int), said.take("xxh3_128", str)

    def of_shard(self, shard: int, shard_count: int, dialect: "Dialect | None" = None) -> "Snapshot":
        """The part of this snapshot for one shard; it need not have been saved in as many shards.

        `dialect`, by default the saved one, is the run's, which has the same parts: where clients are texts, all tasks
        of a run have to hash them by one key. `accounts` and `entries` are estimates, exact where clients are numbers
        and were saved in as many shards.
        """
        import copy

        snapshot = copy.copy(self)
        if dialect is not None:
            snapshot.be_of(dialect)
        snapshot._shard, snapshot._shard_count = shard, shard_count
        saved, overlapping = 1, range(1)
        if self._saved_shards:
            # Shards are ranges of the clients' hashes, so that a shard of one division overlaps few of another. Hashes
            # of texts are others in each run.
            saved = len(self._saved_shards)
            overlapping = range(shard * saved // shard_count, -(-(shard + 1) * saved // shard_count))
            if self.text_ids is not None and self.text_ids.client:
                overlapping = range(saved)
            snapshot._files = self._files_of_shards(overlapping, self.fields.part("files").names())
            counted = [self._saved_shards[number] for number in overlapping]
            snapshot.accounts = sum(each.take("accounts", int) for each in counted)
            snapshot.entries = sum(each.take("entries", int) for each in counted)
        snapshot._in_files = (snapshot.accounts, snapshot.entries)
        # The share of the overlapping shards that is this one's, by the size of the ranges.
        snapshot.accounts = -(-snapshot.accounts * saved // (shard_count * len(overlapping)))
        snapshot.entries = -(-snapshot.entries * saved // (shard_count * len(overlapping)))
        return snapshot

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
        """Read all files once; each restorer takes its shard. `check` is called after each record batch."""
        # The manifest is not trusted: no more entries are expected than the files have bytes for.
        entries = min(self.entries, self._rows_max(ENTRIES))
        for restorer in restorers:
            restorer.expect(entries * self._shard_count)
        path = self.folder
        known = schemas(text_ids=self.text_ids)
        try:
            for name, kind in self._files:
                adders = [adder(restorer, kind) for restorer in restorers]
                path = os.path.join(self.folder, name)
                for rows, columns in read_columns(path, known[kind]):
                    given, currencies = self._columns(rows, dict(zip(known[kind].names, columns, strict=True)))
                    for add in adders:
                        add(rows, *given, currencies=currencies)
                    check()
            path = self.folder
            for restorer in restorers:
                restorer.finish()
        except CapacityError:
            raise
        except ValueError as error:
            raise StateError(f"{path}: is damaged: {error}") from error

    def _columns(
        self, rows: int, columns: "dict[str, list[memoryview]]"
    ) -> "tuple[list[memoryview | TextColumn], CurrencyColumn | None]":
        """Columns as restorers take them, from the buffers of each by its name: all but the currencies, and these.
        Raises ValueError, CapacityError and MemoryError."""
        codes = columns.pop(CURRENCY, None)
        given = [self._column(rows, *buffers) for buffers in columns.values()]
        if codes is None:
            return given, None
        assert self.text_ids is not None, "the schema has codes only then"
        assert self.text_ids.currencies is not None
        return given, CurrencyColumn(self.text_ids.currencies, rows, *codes)

    def _column(self, rows: int, values: memoryview, texts: memoryview | None = None) -> "memoryview | TextColumn":
        """A column as restorers take it. Raises ValueError and MemoryError."""
        if texts is None:
            return values
        assert self.text_ids is not None, "the schema has texts only then"
        return TextColumn(self.text_ids, rows, values, texts)

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
    }
    return adders[kind]
