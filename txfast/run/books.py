"""Books: the ledgers of a run, in memory or moved to disk under a memory limit, up to the collected accounts.

This module must not know where batches come from, nor where accounts are written.
"""

import time
from itertools import zip_longest

from txfast.batch.batch import KINDS
from txfast.dialect.names import DECIMALS, unit
from txfast.errors import ConservationError
from txfast.ledger.figures import balances_of, counts_of
from txfast.ledger.ledger import STATUSES, Ledger
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.printable import printable
from txfast.run.machine import return_free_memory
from txfast.run.plan import LEDGER_BYTES_MIN, Plan

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable

    from txfast.batch.batch import TransactionBatch
    from txfast.dialect.currencies import Currencies
    from txfast.dialect.dialect import Dialect
    from txfast.dialect.text_ids import TextIds
    from txfast.ledger.policy import Policy
    from txfast.readers.balance_rows import BalanceRows
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
        self.begin()

    @property
    def decimals(self) -> int:
        """The decimals of amounts: what the ledgers count is units of the last one."""
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
        self._openings = [0]  # of accounts that this run has opened, by the number of the currency
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

    def restore(self, snapshot: "Snapshot") -> None:
        """Replace all ledgers by the content of a snapshot, whose policy and dialect are those of all rows from then
        on.

        Raises StateError, CapacityError, MemoryError and SpillError.
        """
        self.policy = snapshot.policy
        if snapshot.dialect == self.dialect:
            snapshot.be_of(self.dialect)  # whatever was read before has the numbers of its currencies
        self.dialect = snapshot.dialect
        self.begin()
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

    # ---- Opening balances --------------------------------------------------------------------------

    def begin_opening(self) -> None:
        """Before any row is applied: accounts with opening balances come next."""
        self._known = [len(ledger) for ledger in self.ledgers]

    def open_accounts(self, rows: "BalanceRows") -> "tuple[int, bool] | None":
        """Open an account for each row, with its `available`, which may be below 0.

        Return None; or the first row whose client has an account already, and whether it had one before the opening
        balances. Accounts that are on disk are not looked at: two of one client are found when they are settled. Raises
        MemoryError, CapacityError and SpillError.
        """
        from txfast.ledger.openings import account_number, bytes_with_openings, open_accounts

        clients, units, count = rows.clients, rows.units("available"), len(self.ledgers)
        names, name_starts, currencies = rows.name_texts, rows.name_starts, rows.currency_numbers
        first, is_known = len(rows), False
        for shard, ledger in enumerate(self.ledgers):
            if (
                self.ledger_bytes is not None
                and len(ledger)
                and bytes_with_openings(ledger, len(rows), rows.text_bytes) > self.ledger_bytes
            ):
                self._move_to_disk(shard)
            before = [-balance for balance in balances_of(ledger)]
            refused = open_accounts(
                ledger, clients, units, names=names, name_starts=name_starts, currencies=currencies, shard=shard,
                shard_count=count,
            )  # fmt: skip
            self._openings = added(self._openings, before, balances_of(ledger))
            if refused < first:
                first = refused
                currency = 0 if currencies is None else currencies[refused]
                is_known = account_number(ledger, rows.client_of(refused), currency) < self._known[shard]
        return None if first == len(rows) else (first, is_known)

    def add_openings(self, balances: "dict[bytes | None, int]") -> None:
        """Count opening balances from before the ledgers were restored, as `openings`."""
        for code, units in balances.items():
            number = 0 if code is None or self.currencies is None else self.currencies.number(code)
            self._openings = added(self._openings, [0] * number + [units])

    @property
    def openings(self) -> "dict[bytes | None, int]":
        """The opening balances of accounts that this run has opened, summed up by the code of their currency, None
        where accounts have none; without sums of 0."""
        codes = [None] if self.currencies is None else self.currencies.codes
        return {code: units for code, units in zip(codes, self._openings, strict=False) if units}

    def end_opening(self) -> None:
        """After the last opening balance: what follows in a ledger that is on disk are rows."""
        for shard, ledger in enumerate(self.ledgers):
            if self._spills[shard] is not None and len(ledger):
                self._move_to_disk(shard)

    def _move_to_disk(self, shard: int) -> None:
        """Move a ledger to disk, to which no row was applied in this run."""
        ledger, spill = self.ledgers[shard], self._spills[shard]
        self._known[shard] = 0
        if spill is None:
            self._start_spill(shard)
        else:
            spill.add_ledger(ledger)
            ledger.clear()

    # ---- Applying ----------------------------------------------------------------------------------

    def route(self, batch: "TransactionBatch") -> None:
        """Sort a scanned batch's rows by shard."""
        if len(self.ledgers) > 1:
            from txfast.ledger.route import route

            route(batch, len(self.ledgers))

    def apply(self, batch: "TransactionBatch", shard: int) -> None:
        """Apply a batch's rows of one shard, or move them to disk.

        Calls for one shard come one at a time, in the order of batches; calls for several shards may run at once.

        Raises MemoryError, CapacityError and SpillError.
        """
        ledger, spill = self.ledgers[shard], self._spills[shard]
        limit = self.ledger_bytes
        if spill is None and limit is not None and ledger.bytes_with_batch(batch, shard=shard) > limit:
            spill = self._start_spill(shard, self._bytes_expected(batch))
        if spill is not None:
            spill.add_rows(batch, shard)
            batch.leave_unsettled(shard)
            return
        if self._input_bytes:
            before = self._entries_before[shard]
            so_far = ledger.entries - before + len(batch) / len(self.ledgers)
            ledger.expect(before + int(EXPECTED_MARGIN * so_far * self._input_bytes / batch.input_bytes_read))
        ledger.apply(batch, shard=shard)

    def _start_spill(self, shard: int, bytes_expected: int | None = None) -> "Spill":
        """Move a ledger to disk, and all its rows from now on: about `bytes_expected`, by default the ledger's own."""
        from txfast.run.bytes_on_disk import bytes_of_ledger
        from txfast.spill.file import SpillFile
        from txfast.spill.settled import Settled
        from txfast.spill.spill import STARTING, Spill

        assert self.ledger_bytes is not None
        with STARTING:
            if self._spill_file is None:
                self._spill_file = SpillFile(self._spill_folder)
                own = bytes_of_ledger(self.ledgers[shard])
                self._spill_file.expect(own if bytes_expected is None else bytes_expected)
                self._settled = Settled(
                    self._spill_file, self._plan.memory_limit or 0, self._give_up, has_names=self.has_text_clients,
                    currencies=self.currencies,
                )  # fmt: skip
        assert self._settled is not None
        started = Spill(
            self._spill_file,
            self.ledger_bytes,
            self._settled,
            policy=self.policy,
            text_ids=self.text_ids,
            keep_statuses=self.keep_statuses,
        )
        started.add_ledger(self.ledgers[shard])
        self.ledgers[shard].clear()
        self._spills[shard] = started
        return started

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

    def collect(
        self,
        save: "Callable[[Ledger], object] | None" = None,
        begins: "Callable[[int, int], object] | None" = None,
    ) -> "AccountColumns | Settled":
        """The accounts, once all rows are applied. `save` is called with every ledger before that, one by one. Where
        ledgers are on disk, `begins` is told of each partition, as by `settle`.

        Raises ConservationError where accounts do not add up, SpillError and MemoryLimitError where ledgers were moved
        to disk, and what `save` raises.
        """
        accounts: AccountColumns | Settled
        if self._settled is not None:
            accounts = self._settle(self._settled, save, begins)
        else:
            if save is not None:
                started = time.perf_counter()
                for ledger in self.ledgers:
                    save(ledger)
                self.seconds["save"] = time.perf_counter() - started
            if self.ledger_bytes is not None:
                for ledger in self.ledgers:
                    ledger.drop_transactions()
            accounts = AccountColumns(self.ledgers)
        self._check_conservation(accounts)
        return accounts

    def _check_conservation(self, accounts: "AccountColumns | Settled") -> None:
        """Raise ConservationError where the accounts, or those of one currency, do not add up."""
        left = added(self._balances_before, *map(balances_of, self.ledgers))
        if self.currencies is None:
            self._check_sum("", accounts.available_units + accounts.held_units, sum(left))
            return
        sums, codes = accounts.by_currency(), self.currencies.codes
        left += [0] * (len(codes) - len(left))
        for code, balance in zip(codes, left, strict=False):  # there may be a balance, 0, before any currency
            self._check_sum(
                printable(f" of {code.decode(errors='backslashreplace')}"), sum(sums.get(code, ())), balance
            )

    def _check_sum(self, currency: str, held: int, expected: int) -> None:
        if held != expected:
            raise ConservationError(
                f"the accounts do not add up: they hold {held:,} units of {unit(self.decimals)}{currency}, and applied "
                f"rows left {expected:,}; nothing is put out, since this is a defect: please report it"
            )

    def _settle(
        self,
        settled: "Settled",
        save: "Callable[[Ledger], object] | None",
        begins: "Callable[[int, int], object] | None",
    ) -> "Settled":
        """Settle every partition on disk, and the ledgers in memory."""
        from txfast.spill.settle import settle

        started = time.perf_counter()
        settled.save = save
        for ledger, spilled in zip(self.ledgers, self._spills, strict=True):
            if spilled is None:
                settled.add(ledger)
                ledger.clear()
        spills = [spilled for spilled in self._spills if spilled is not None]
        settle(spills, settled, self._plan.threads, self.settling_bytes, begins)
        self.seconds["settle"] = time.perf_counter() - started
        return settled

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


def added(*balances: list[int]) -> list[int]:
    """Balances by the number of the currency, added up."""
    return [sum(each) for each in zip_longest(*balances, fillvalue=0)]
