"""Books: the ledgers of a run, in memory or moved to disk under a memory limit, up to the collected accounts.

This module must not know where batches come from, nor where accounts are written.
"""

import time

from txfast.batch.batch import KINDS
from txfast.dialect.names import DECIMALS
from txfast.ledger.figures import balances_of, counts_of
from txfast.ledger.ledger import STATUSES, Ledger
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.run.conservation import added, check_accounts, check_sum
from txfast.run.machine import return_free_memory
from txfast.run.openings import Openings
from txfast.run.plan import LEDGER_BYTES_MIN, Plan

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from txfast.batch.batch import TransactionBatch
    from txfast.dialect.currencies import Currencies
    from txfast.dialect.dialect import Dialect
    from txfast.dialect.text_ids import TextIds
    from txfast.ledger.policy import Policy
    from txfast.run.stored import StoredLedgers
    from txfast.spill.file import SpillFile
    from txfast.spill.settled import Settled
    from txfast.spill.spill import Spill
    from txfast.state.snapshot import Snapshot

# Memory beside a ledger while it is restored.
RESTORING_BYTES = 16 << 20
# Extrapolating from the first block undercounts by about 3 %: pad it.
EXPECTED_MARGIN = 1.03


class Books:
    """The ledgers of a run, by shard: `route` and `apply` batches, then `collect` the accounts; `close` in the end.

    With `keep_statuses` the outcome of each row is kept for the reports, even if the row was moved to disk. Such rows
    are in a file in `spill_folder`, which is gone when the books are closed. Rows are applied by `policy`, and were
    read in a `dialect`, each None for the default one.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        policy: "Policy | None" = None,
        dialect: "Dialect | None" = None,
        keep_statuses: bool = False,
        spill_folder: str | None = None,
    ) -> None:
        self.keep_statuses = keep_statuses
        self.policy = policy
        self.dialect = dialect
        self.ledger_bytes = plan.ledger_bytes
        self.settling_bytes = plan.settling_bytes or 0
        self.seconds: dict[str, float] = {}  # by stage
        self._plan = plan
        self._spill_folder = spill_folder
        self._spill_file: SpillFile | None = None
        self.stored: StoredLedgers | None = None  # in a run with a state
        self.begin()

    @property
    def decimals(self) -> int:
        """The decimals of amounts, which ledgers count in units of the last one."""
        return DECIMALS if self.dialect is None else self.dialect.decimals

    @property
    def currencies(self) -> "Currencies | None":
        """The currencies that rows were found to have; None where accounts have none."""
        return None if self.dialect is None else self.dialect.currencies

    @property
    def text_ids(self) -> "TextIds | None":
        """Which ids are texts, and the currencies; None where all ids are numbers and accounts have no currency."""
        return None if self.dialect is None else self.dialect.text_ids

    @property
    def has_text_clients(self) -> bool:
        """Whether clients are texts."""
        return self.dialect is not None and self.dialect.has_text("client")

    def begin(self) -> None:
        """Begin with empty ledgers, and drop any that were restored."""
        self.close()
        self.stored = None
        self.ledgers = [Ledger(self.policy, self.text_ids) for _ in range(self._plan.ledgers)]
        if self.ledger_bytes is not None:
            for ledger in self.ledgers:
                ledger.limit_memory(self.ledger_bytes)
        self._spill_file = None
        self._spills: list[Spill | None] = [None] * len(self.ledgers)
        self._settled: Settled | None = None
        # Counts and balance of ledgers that were given up.
        self._counts_before = [0] * (len(KINDS) * len(STATUSES))
        self._balances_before = [0]
        self._unread_amounts_before = 0
        self.openings = Openings(self)
        self.begin_input(None)

    def begin_input(self, input_bytes: int | None) -> None:
        """Note that the next batches are of another input. `input_bytes` is None where its size is not known."""
        self._input_bytes = input_bytes
        self._entries_before = [ledger.entries for ledger in self.ledgers]
        for ledger in self.ledgers:
            ledger.expect(0)

    def make_room(self, count: int, at_once: bool) -> int:
        """Give `count` bytes of the ledgers' memory away, all or none; return how many are missing.

        A ledger that has become too large moves to disk in this call if `at_once`, else at its next batch. With
        `at_once`, no batch may be applied meanwhile. Raises SpillError.
        """
        missing = self.missing_for(count)
        if missing or self.ledger_bytes is None:
            return missing
        self.ledger_bytes -= -(-count // len(self.ledgers))
        self.ledger_bytes = max(self.ledger_bytes, 0)
        self.settling_bytes = max(self.settling_bytes - count, LEDGER_BYTES_MIN)
        if at_once:
            for shard, ledger in enumerate(self.ledgers):
                ledger.limit_memory(self.ledger_bytes)
                if len(ledger) and ledger.bytes_with(0) > self.ledger_bytes:
                    self._start_spill(shard)
            if self.is_spilled:
                return_free_memory()
        return 0

    def missing_for(self, count: int) -> int:
        """How many bytes are missing to give `count` away; 0 where `make_room` would."""
        if self.ledger_bytes is None:
            return 0
        missing = max(0, count - len(self.ledgers) * self.ledger_bytes)
        return missing and missing + self._plan.short_bytes

    def close(self) -> None:
        """Close the spill file: its disk space is free again, and the accounts in it are gone."""
        if self._spill_file is not None:
            self._spill_file.close()

    # ---- Restoring ---------------------------------------------------------------------------------

    def begin_with(
        self, snapshot: "Snapshot | None", new_folder: "Callable[[], str]", key: bytes | None = None
    ) -> None:
        """Go on from a snapshot, whose policy and dialect all rows have from then on, or begin a state where it is
        None. Segments are read when rows need them; what an earlier version saved becomes segments at once.
        `new_folder` gives the folder of the next snapshot; a new store has this `key`. Raises as `restore`, and
        SourceError."""
        from txfast.run.stored import StoredLedgers
        from txfast.state.snapshots import store_of
        from txfast.state.store import Store

        if snapshot is not None:
            self._take_choices(snapshot)
        found = None if snapshot is None else store_of(snapshot)
        store = Store(self.text_ids, key) if found is None else found
        store.limit_memory(self._plan.memory_limit)
        if found is None and snapshot is not None:
            parts = self.parts_that_fit(snapshot) * len(self.ledgers)
            store.add_parts(snapshot.parts(parts, self._restoring_bytes), new_folder())
        self.stored = StoredLedgers(store, new_folder)
        for ledger in self.ledgers:
            self.stored.take(ledger)

    def restore(self, snapshot: "Snapshot") -> None:
        """Replace all ledgers by the content of a snapshot, whose policy and dialect all rows have from then on. Raises
        StateError, CapacityError, MemoryError and SpillError."""
        self._take_choices(snapshot)
        parts = self.parts_that_fit(snapshot)
        if parts == 1:
            snapshot.restore(self.ledgers)
            return
        from txfast.run.bytes_on_disk import bytes_of_snapshot

        expected = bytes_of_snapshot(snapshot)
        for part, ledger in snapshot.parts(parts * len(self.ledgers), self._restoring_bytes):
            shard = part // parts
            (self._spills[shard] or self._start_spill(shard, expected)).add_ledger(ledger)
            ledger.clear()  # so that two are never in memory at once

    def _take_choices(self, snapshot: "Snapshot") -> None:
        """Begin with empty ledgers of a snapshot's policy and dialect."""
        self.policy = snapshot.policy
        if snapshot.dialect == self.dialect:
            snapshot.use_dialect(self.dialect)  # whatever was read before has the numbers of its currencies
        self.dialect = snapshot.dialect
        self.begin()

    def check(self, snapshot: "Snapshot") -> None:
        """Read all of a snapshot, in parts that fit, and keep nothing of it. Raises as `restore`."""
        for _, ledger in snapshot.parts(self.parts_that_fit(snapshot) * len(self.ledgers), self._restoring_bytes):
            ledger.clear()  # before there is another

    def parts_that_fit(self, snapshot: "Snapshot") -> int:
        """Into how many parts each ledger is divided, so that one part fits in memory while it is restored."""
        if self.ledger_bytes is None:
            return 1
        from txfast.ledger.columns_in import PROOF_BYTES

        least = Ledger.bytes_for(0, 0, snapshot.policy, text_ids=snapshot.text_ids)
        sizes = (snapshot.accounts, snapshot.entries, snapshot.details, snapshot.text_bytes)
        accounts, entries, details, text_bytes = (size // len(self.ledgers) for size in sizes)
        needed = Ledger.bytes_for(
            accounts, entries, snapshot.policy, details=details, text_ids=snapshot.text_ids, text_bytes=text_bytes
        )
        needed -= least
        needed += accounts * PROOF_BYTES
        return max(1, -(-needed // (self._restoring_bytes - least - RESTORING_BYTES)))

    @property
    def _restoring_bytes(self) -> int:
        """Memory that a ledger may take while it is restored; 0 without a limit."""
        if self.ledger_bytes is None:
            return 0
        least = Ledger.bytes_for(0, 0, self.policy, text_ids=self.text_ids)
        return max(self.ledger_bytes, least + RESTORING_BYTES + LEDGER_BYTES_MIN)

    # ---- Applying ----------------------------------------------------------------------------------

    def route(self, batch: "TransactionBatch") -> None:
        """Sort a scanned batch's rows by shard."""
        if len(self.ledgers) > 1:
            from txfast.ledger.route import route

            route(batch, len(self.ledgers))

    @property
    def batches_together(self) -> int:
        """How many batches of the input are looked up together in a state: several, since the same pages serve them
        all; of an input whose size is not known, one."""
        if self.stored is None or not self._input_bytes:
            return 1
        return self.stored.batches_together(self._plan.block_bytes(self._input_bytes))

    def prefetch(self, batches: "Sequence[TransactionBatch]", shard: int) -> int:
        """Before batches are applied: load from the state what their rows of one shard need. Return for how many of
        them, at least one: a memory limit may not have room for all. Raises StateError, and as `apply`."""
        if self.stored is None or self._spills[shard] is not None:
            return len(batches)
        return self.stored.prefetch(self.ledgers[shard], batches, shard, len(self.ledgers), self.ledger_bytes)

    def apply(self, batch: "TransactionBatch", shard: int) -> None:
        """Apply a batch's rows of one shard, or move them to disk. In a run with a state, `prefetch` comes first.

        Calls for one shard come one at a time, in the order of batches; those for several shards may run at once.
        Raises MemoryError, CapacityError and SpillError.
        """
        ledger, spill = self.ledgers[shard], self._spills[shard]
        limit = self.ledger_bytes
        if spill is None and limit is not None and self._bytes_with(ledger, batch, shard) > limit:
            spill = self._start_spill(shard, self._bytes_expected(batch))
        if spill is not None:
            spill.add_rows(batch, shard)
            batch.leave_unsettled(shard)
            return
        if self._input_bytes:
            before = self._entries_before[shard]
            so_far = ledger.entries - before + len(batch) / len(self.ledgers)
            ledger.expect(before + int(EXPECTED_MARGIN * so_far * self._input_bytes / batch.input_bytes_read))
        if self.stored is not None:
            self.stored.use(ledger)
        ledger.apply(batch, shard=shard)

    def _bytes_with(self, ledger: Ledger, batch: "TransactionBatch", shard: int) -> int:
        """The most bytes that a ledger takes with the rows of its shard."""
        if self.stored is None:
            return ledger.bytes_with_batch(batch, shard=shard)
        return self.stored.bytes_with_batch(ledger, batch, shard)

    def _start_spill(self, shard: int, bytes_expected: int | None = None) -> "Spill":
        """Move a ledger to disk, and all its rows from now on: about `bytes_expected`, by default the ledger's own."""
        from txfast.run.bytes_on_disk import bytes_of_ledger
        from txfast.spill.spill import STARTING, Spill

        assert self.ledger_bytes is not None
        with STARTING:
            if self._settled is None:
                own = bytes_of_ledger(self.ledgers[shard])
                self._settled = self._new_settled(own if bytes_expected is None else bytes_expected)
        started = Spill(
            self.spill_file, self.ledger_bytes, self._settled, policy=self.policy, text_ids=self.text_ids,
            keep_statuses=self.keep_statuses, stored=self.stored,
        )  # fmt: skip
        if self.stored is None:
            started.add_ledger(self.ledgers[shard])
        else:
            self._seal(self.ledgers[shard])
        self.ledgers[shard].clear()
        self._spills[shard] = started
        return started

    def move_to_disk(self, shard: int) -> None:
        """Move a ledger to disk, to which no row was applied in this run."""
        ledger, spill = self.ledgers[shard], self._spills[shard]
        if spill is None:
            self._start_spill(shard)
        else:
            spill.add_ledger(ledger)
            ledger.clear()

    def _new_settled(self, bytes_expected: int, tally: "Callable[[Ledger], None] | None" = None) -> "Settled":
        """Collects accounts in the spill file, which is made where there is none; about so many bytes go there."""
        from txfast.spill.file import SpillFile
        from txfast.spill.settled import Settled

        if self._spill_file is None:
            self._spill_file = SpillFile(self._spill_folder)
            self._spill_file.expect(bytes_expected)
        return Settled(
            self._spill_file, self._plan.memory_limit or 0, tally or self._give_up, has_names=self.has_text_clients,
            currencies=self.currencies,
        )  # fmt: skip

    def _seal(self, ledger: Ledger) -> None:
        """Seal a ledger, and give it up: the caller clears it."""
        assert self.stored is not None
        self.stored.seal((ledger,))
        self._give_up(ledger)
        self.stored.take(ledger)  # for what comes after it is cleared

    def _bytes_expected(self, batch: "TransactionBatch") -> int:
        """An estimate of the bytes that go to disk from this batch on, from the size of the input."""
        from txfast.run.bytes_on_disk import bytes_from

        return bytes_from(
            batch, self._input_bytes or 0, self.ledgers, keeps_texts=self.text_ids is not None,
            keeps_statuses=self.keep_statuses,
        )  # fmt: skip

    def _give_up(self, ledger: Ledger) -> None:
        """Keep the counts and the balance of a ledger before it is cleared."""
        self._counts_before = [sum(counts) for counts in zip(self._counts_before, counts_of(ledger), strict=True)]
        self._balances_before = added(self._balances_before, balances_of(ledger))
        self._unread_amounts_before += ledger.unread_amounts

    # ---- Collecting --------------------------------------------------------------------------------

    def collect(self, begins: "Callable[[int, int], object] | None" = None) -> "AccountColumns | Settled":
        """The accounts, once all rows are applied, in a run without a state. Where ledgers are on disk, `begins` is
        told of each partition, as by `settle`.

        Raises ConservationError where accounts do not add up, SpillError and MemoryLimitError where ledgers were moved
        to disk.
        """
        accounts: AccountColumns | Settled
        if self._settled is not None:
            accounts = self._settle(self._settled, begins)
        else:
            if self.ledger_bytes is not None:
                for ledger in self.ledgers:
                    ledger.drop_transactions()
            accounts = AccountColumns(self.ledgers)
        check_accounts(accounts, self._balances, self.currencies, self.decimals)
        return accounts

    def seal(self, begins: "Callable[[int, int], object] | None" = None) -> None:
        """In a run with a state, once all rows are applied: seal what they have changed, before accounts are collected.
        Raises as `collect`, StateError and SourceError."""
        assert self.stored is not None, "the run has a state"
        started = time.perf_counter()
        if self._settled is not None:
            self._settle(self._settled, begins)
        else:
            self.stored.seal(self.ledgers)
        self.seconds["save"] = time.perf_counter() - started
        self.stored.check(self._balances, self.decimals)

    def collect_stored(self, shard: int = 0, shards: int = 1) -> "AccountColumns | Settled":
        """All accounts of the state, or of one of its `shards`, once all changes are sealed. Raises as `seal`."""
        from functools import partial

        from txfast.run.stored_accounts import accounts_of

        assert self.stored is not None, "the run has a state"
        if not self.stored.accounts_before and self._settled is None:
            accounts: AccountColumns | Settled = AccountColumns(self.ledgers)
        else:
            for ledger in self.ledgers:
                self._give_up(ledger)
                ledger.clear()
            counted = partial(self._new_settled, tally=lambda _: None)  # rows were, when they were applied
            accounts = accounts_of(self.stored.store, self._restoring_bytes, counted, shard, shards)
        if shards == 1:
            check_sum(accounts.available_units + accounts.held_units, self.stored.units(self._balances), self.decimals)
        return accounts

    def _settle(self, settled: "Settled", begins: "Callable[[int, int], object] | None") -> "Settled":
        """Settle every partition on disk, and the ledgers in memory."""
        from txfast.spill.settle import settle

        started = time.perf_counter()
        for ledger, spilled in zip(self.ledgers, self._spills, strict=True):
            if spilled is None and self.stored is None:
                settled.add(ledger)
                ledger.clear()
            elif spilled is None:
                self._seal(ledger)
                ledger.clear()
        spills = [spilled for spilled in self._spills if spilled is not None]
        settle(spills, settled, self._plan.threads, self.settling_bytes, begins)
        self.seconds["settle"] = time.perf_counter() - started
        return settled

    @property
    def _balances(self) -> list[int]:
        """What applied rows have left, by the number of the currency; with accounts that were restored."""
        return added(self._balances_before, *map(balances_of, self.ledgers))

    # ---- Figures -----------------------------------------------------------------------------------

    def counts(self) -> list[int]:
        """Rows by kind and, within it, by status: [kind * len(STATUSES) + status]."""
        counted = [self._counts_before, *map(counts_of, self.ledgers)]
        return [sum(each) for each in zip(*counted, strict=True)]

    def add_unread_amounts(self, count: int) -> None:
        """Count disputes that were applied before the ledgers were restored, as `unread_amounts`."""
        self._unread_amounts_before += count

    @property
    def unread_amounts(self) -> int:
        """Applied disputes with an amount that the policy ignores, and that is not what they moved."""
        return self._unread_amounts_before + sum(ledger.unread_amounts for ledger in self.ledgers)

    @property
    def is_spilled(self) -> bool:
        """Whether some ledgers were moved to disk."""
        return any(spill is not None for spill in self._spills)

    @property
    def spills(self) -> "list[Spill | None]":
        """By shard, the ledger and the rows that were moved to disk; None for a ledger in memory."""
        return self._spills

    @property
    def spill_file(self) -> "SpillFile":
        """The file that ledgers were moved to. Only books that are spilled have one."""
        assert self._spill_file is not None, "no ledger was moved to disk"
        return self._spill_file

    @property
    def spilled_bytes(self) -> int:
        """Bytes written to disk because of the memory limit."""
        return 0 if self._spill_file is None else self._spill_file.bytes_written
