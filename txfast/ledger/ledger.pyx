"""Ledger: accounts, the log of their applied transactions, and the index into it.

A ledger holds one shard of clients. It takes batches and never knows where they came from; what a row does to
an account is in rules.pxd alone. All memory that a batch can need is reserved before its first row is applied,
so applying cannot fail: a batch is applied whole, without the GIL, or not at all.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from cython.view cimport array as cython_array

from txfast.batch cimport (
    CHARGEBACK, DEPOSIT, DISPUTE, KIND_COUNT, KIND_MASK, NO_AMOUNT, RESOLVE, WITHDRAWAL, TransactionBatch,
)
from txfast.ledger.account_table cimport (
    ACCOUNTS_MAX, find_or_add, free_accounts, prefetch_account, reserve_accounts,
)
from txfast.ledger.checked cimport add_wide, fits_as_total
from txfast.ledger.entries cimport (
    CHUNK_BITS, CHUNK_MASK, LOG_ENTRIES_MAX, WITHDRAWAL_BIT, DepositChunk, WithdrawalChunk, append_deposit,
    append_withdrawal, free_chunks, reserve_chunks,
)
from txfast.ledger.hash cimport HashKey
from txfast.ledger.index cimport (
    NOT_FOUND, Probe, find_entry, index_capacity, index_free, index_rebuild, insert_entry, prefetch_home,
)
from txfast.ledger.rules cimport (
    APPLIED, STATUS_COUNT, Account, chargeback, deposit, dispute, resolve, withdrawal,
)

import os

from txfast.errors import CapacityError

# By code: rules.pxd's Status.
STATUSES = (
    "applied", "account_locked", "duplicate_transaction", "amount_required", "negative_amount",
    "insufficient_funds", "overflow", "transaction_not_found", "duplicate_dispute", "dispute_not_found",
    "dispute_not_in_progress",
)
assert len(STATUSES) == STATUS_COUNT
assert sizeof(Account) == 24, "an account's slot has grown: a row then touches more cache lines"

cdef Py_ssize_t PREFETCH_ROWS = 12
cdef uint64_t INDEX_CAPACITY_MIN = 4096


cdef class Ledger:
    """The accounts of some clients and everything that was ever applied to them.

    `apply(batch)` applies a batch's rows in their order. `len(ledger)` is the number of accounts.
    Not for use by two threads at once.
    """

    def __cinit__(self):
        cdef bytes key = os.urandom(32)
        cdef const uint8_t* random = key
        self.table.key = (<const HashKey*>random)[0]
        self.index.key = (<const HashKey*>random)[1]
        self.table.key.multiplier |= 1
        self.index.key.multiplier |= 1
        self.held = cython_array(shape=(1024,), itemsize=sizeof(int64_t), format="q")
        self.counts = cython_array(shape=(KIND_COUNT * STATUS_COUNT,), itemsize=sizeof(uint64_t), format="Q")
        memset(&self.counts[0], 0, self.counts.nbytes)

    def __dealloc__(self):
        free_accounts(&self.table)
        index_free(&self.index)
        free_chunks(<void**>self.deposits.chunks, self.deposits.chunk_count)
        free_chunks(<void**>self.withdrawals.chunks, self.withdrawals.chunk_count)

    def __len__(self):
        return self.table.accounts

    @property
    def entries(self):
        """How many deposits and withdrawals were applied."""
        return self.deposits.entries + self.withdrawals.entries

    def expect(self, uint64_t entries):
        """Size the index for so many entries in all, so that it need not grow on the way there."""
        entries = min(entries, <uint64_t>2 * LOG_ENTRIES_MAX)
        if entries > index_capacity(&self.index):
            with nogil:
                if not index_rebuild(&self.index, &self.deposits, &self.withdrawals, entries):
                    with gil:
                        raise MemoryError(f"no memory for an index of {entries} transactions")

    def apply(self, TransactionBatch batch not None, *, bint keep_status=False):
        """Apply a batch's rows in order; return how many of them were rejected.

        With `keep_status` the batch remembers what became of each row, for its `report()`.
        Raises MemoryError or CapacityError, and has then applied none of them.
        """
        cdef uint64_t applied_before = self.applied_rows()
        self.reserve_rows(batch.rows)
        with nogil:
            self.apply_rows(batch, keep_status)
        return batch.rows - (self.applied_rows() - applied_before)

    cdef uint64_t applied_rows(self) noexcept:
        cdef uint64_t applied = 0
        cdef int kind
        for kind in range(KIND_COUNT):
            applied += self.counts[kind * STATUS_COUNT + APPLIED]
        return applied

    cdef int reserve_rows(self, Py_ssize_t rows) except -1:
        """Make room for whatever so many rows may add: an account and an entry each."""
        cdef uint64_t entries = self.deposits.entries + self.withdrawals.entries + rows
        cdef uint64_t accounts = self.table.accounts + rows
        cdef uint64_t deposits = self.deposits.entries + rows
        cdef uint64_t withdrawals = self.withdrawals.entries + rows
        cdef bint reserved
        if max(deposits, withdrawals) > LOG_ENTRIES_MAX or accounts > ACCOUNTS_MAX:
            raise CapacityError(
                f"one ledger numbers at most {LOG_ENTRIES_MAX} deposits, as many withdrawals, and {ACCOUNTS_MAX} "
                f"accounts; split the input by client"
            )
        with nogil:
            reserved = (
                reserve_accounts(&self.table, accounts)
                and reserve_chunks(
                    <void***>&self.deposits.chunks, &self.deposits.chunk_count, deposits, sizeof(DepositChunk),
                )
                and reserve_chunks(
                    <void***>&self.withdrawals.chunks, &self.withdrawals.chunk_count, withdrawals,
                    sizeof(WithdrawalChunk),
                )
            )
            if reserved and entries > index_capacity(&self.index):
                entries = max(entries, 2 * index_capacity(&self.index), INDEX_CAPACITY_MIN)
                reserved = index_rebuild(&self.index, &self.deposits, &self.withdrawals, entries)
        if not reserved:
            raise MemoryError(f"no memory to apply {rows} more rows to {self.entries} transactions")
        self.reserve_held(accounts)
        return 0

    cdef int reserve_held(self, uint64_t accounts) except -1:
        cdef Py_ssize_t room = self.held.shape[0]
        cdef int64_t[::1] grown
        if accounts <= <uint64_t>room:
            return 0
        grown = cython_array(shape=(max(accounts, 2 * room),), itemsize=sizeof(int64_t), format="q")
        grown[:room] = self.held
        self.held = grown
        return 0

    cdef void apply_rows(self, TransactionBatch batch, bint keep_status) noexcept nogil:
        cdef const uint8_t* kinds = batch.kind
        cdef const uint64_t* clients = batch.client
        cdef const uint64_t* txs = batch.tx
        cdef const int64_t* amounts = batch.amount
        cdef uint8_t* statuses = batch.status
        cdef Py_ssize_t row, ahead, last = batch.rows - 1
        cdef Account* account
        cdef Probe probe
        cdef uint64_t accounts_before
        cdef int kind, status
        cdef bint has_amount, found
        cdef uint8_t* dispute_state
        cdef int64_t amount
        cdef uint64_t place
        for row in range(batch.rows):
            ahead = min(row + PREFETCH_ROWS, last)
            prefetch_account(&self.table, clients[ahead])
            prefetch_home(&self.index, txs[ahead])
            accounts_before = self.table.accounts
            account = find_or_add(&self.table, clients[row])
            if self.table.accounts != accounts_before:
                self.held[account.number] = 0
            probe = find_entry(&self.index, &self.deposits, &self.withdrawals, account.number, txs[row])
            kind = kinds[row] & KIND_MASK
            amount = amounts[row]
            if kind <= WITHDRAWAL:
                found = probe.position != <uint32_t>NOT_FOUND
                has_amount = not kinds[row] & NO_AMOUNT
                if kind == DEPOSIT:
                    status = deposit(account, self.held[account.number], found, has_amount, amount)
                    if status == APPLIED:
                        insert_entry(
                            &self.index, &probe,
                            append_deposit(&self.deposits, account.number, txs[row], amount),
                        )
                        add_wide(&self.balance, amount)
                else:
                    status = withdrawal(account, self.held[account.number], found, has_amount, amount)
                    if status == APPLIED:
                        insert_entry(
                            &self.index, &probe, append_withdrawal(&self.withdrawals, account.number, txs[row]),
                        )
                        add_wide(&self.balance, -amount)
            else:
                # What was not found has the withdrawal bit too: neither can be disputed.
                dispute_state = NULL
                amount = 0
                if not probe.position & <uint32_t>WITHDRAWAL_BIT:
                    place = probe.position & CHUNK_MASK
                    dispute_state = &self.deposits.chunks[probe.position >> CHUNK_BITS].dispute_state[place]
                    amount = self.deposits.chunks[probe.position >> CHUNK_BITS].amount[place]
                if kind == DISPUTE:
                    status = dispute(account, &self.held[account.number], dispute_state, amount)
                elif kind == RESOLVE:
                    status = resolve(account, &self.held[account.number], dispute_state, amount)
                else:
                    status = chargeback(account, &self.held[account.number], dispute_state, amount)
                    if status == APPLIED:
                        add_wide(&self.balance, -amount)
            self.counts[kind * STATUS_COUNT + status] += 1
            if keep_status:
                statuses[row] = status

    def restore_account(self, uint64_t client, int64_t available, int64_t held, bint locked=False):
        """Set an account as it was saved, opening it where it is new. Amounts in units of 0.0001."""
        cdef Account* account
        if not fits_as_total(available, held):
            raise ValueError(f"client {client}: available {available} + held {held} does not fit in 64 bits")
        self.reserve_rows(1)
        account = find_or_add(&self.table, client)
        account.available = available
        account.locked = locked
        self.held[account.number] = held

    def count(self, int kind, int status):
        """How many rows of this kind (a place in KINDS) met this status (a place in STATUSES)."""
        if not (0 <= kind < KIND_COUNT and 0 <= status < STATUS_COUNT):
            raise IndexError(f"no kind {kind} or no status {status}")
        return self.counts[kind * STATUS_COUNT + status]

    @property
    def balance_units(self):
        """Applied deposits less withdrawals and chargebacks, in units of 0.0001: what all totals must add up to."""
        return (<object>self.balance.high << 64) + self.balance.low

    def export_accounts(
        self, uint64_t[::1] client, int64_t[::1] available, int64_t[::1] held, uint8_t[::1] locked,
    ):
        """Fill the columns with this ledger's accounts, in no particular order."""
        cdef uint64_t slot, slots = self.table.slot_mask + 1 if self.table.slots != NULL else 0
        cdef Account* account
        cdef Py_ssize_t filled = 0
        if not len(self) <= min(client.shape[0], available.shape[0], held.shape[0], locked.shape[0]):
            raise ValueError(f"columns too short for {len(self)} accounts")
        with nogil:
            for slot in range(slots):
                account = &self.table.slots[slot]
                if account.in_use:
                    client[filled] = account.client
                    available[filled] = account.available
                    held[filled] = self.held[account.number]
                    locked[filled] = account.locked
                    filled += 1
        return filled
