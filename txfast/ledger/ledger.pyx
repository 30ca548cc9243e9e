"""Ledger: the accounts of one shard of clients, the logs of their applied transactions, and the index into the logs.

It must not know where batches come from, nor the rules (rules.pxd). All memory that a batch can need is reserved before
its first row is applied. After that, applying cannot fail, does no I/O and needs no GIL: a batch is applied in whole or
not at all.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from cython.view cimport array as cython_array

from txfast.batch.batch cimport (
    DEPOSIT, DISPUTE, KIND_COUNT, KIND_MASK, NO_AMOUNT, RESOLVE, WITHDRAWAL, TransactionBatch,
)
from txfast.ledger.account_table cimport (
    ACCOUNTS_MAX, AccountTable, find_or_add, find_slot, free_accounts, grown_table_bytes, home_slots,
    reserve_accounts, table_bytes,
)
from txfast.ledger.entries cimport (
    CHUNK_ENTRIES, LOG_COUNT, LOG_ENTRIES_MAX, Log, amount_at, dispute_state_at, free_logs, kind_at, log_bytes,
    make_logs, reserve_entries,
)
from txfast.ledger.hash cimport HashKey, hash_client
from txfast.ledger.index cimport (
    NOT_FOUND, Group, Index, Probe, capacity_bytes, index_capacity, index_fill, index_free, index_reset,
)
from txfast.ledger.load cimport LOOK_AHEAD_ROWS, Lookup, add_entry, find, look_ahead, needs_second_homes
from txfast.ledger.rules cimport (
    APPLIED, STATUS_COUNT, Account, adds_entry, can_be_disputed, change_of_total, chargeback, deposit_or_withdraw,
    dispute, resolve,
)
from txfast.ledger.sums cimport WideSum, add_wide, fits_as_total, whole

import os

from txfast.errors import CapacityError

# By code: rules.pxd's Status.
STATUSES = (
    "applied", "account_locked", "duplicate_transaction", "amount_required", "negative_amount",
    "insufficient_funds", "overflow", "transaction_not_found", "duplicate_dispute", "dispute_not_found",
    "dispute_not_in_progress",
)
assert len(STATUSES) == STATUS_COUNT
assert sizeof(Group) == 64, "a group of the index no longer fills a cache line: a row would touch two"
assert sizeof(Account) == 32, "an account's slot no longer fills half a cache line: a row would touch two"

cdef enum:
    STATUS_STRIDE = 16  # of the counts by kind and status: STATUS_COUNT, rounded up to a power of two

cdef uint64_t INDEX_CAPACITY_MIN = 4096
# An expected number of entries is trusted up to here, until as many were applied.
cdef uint64_t FIRST_CAPACITY_MAX = 1 << 24
# The index grows by at least an eighth.
cdef uint64_t GROWTH_MIN_DIVISOR = 8
# Memory for sorting an account: a key of 16 bytes in each of three arrays.
cdef uint64_t SORTING_BYTES = 48
cdef object COUNT_MAX = 2**63 - 1


def counts_of(Ledger ledger not None):
    """The rows that were applied or rejected, by kind and then by status: a list for `add_counts`."""
    return [ledger.counts[i] for i in range(ledger.counts.shape[0])]


def add_counts(Ledger ledger not None, list counts not None):
    """Add the counts of rows that were applied before the ledger was restored. Raises ValueError for other lists."""
    cdef Py_ssize_t i
    if len(counts) != KIND_COUNT * STATUS_COUNT:
        raise ValueError(f"{len(counts)} counts of rows")
    wrong = [count for count in counts if not isinstance(count, int) or not 0 <= count <= COUNT_MAX]
    if wrong:
        raise ValueError(f"{wrong[0]!r} is no count of rows")
    for i in range(len(counts)):
        ledger.counts[i] += <uint64_t>counts[i]


cdef uint64_t least_capacity(const Index* index, const uint64_t entries) noexcept nogil:
    """The least capacity of an index for this many entries: the present one, or one that is worth growing to."""
    if entries <= index_capacity(index):
        return index_capacity(index)
    return max(entries + entries // GROWTH_MIN_DIVISOR, INDEX_CAPACITY_MIN)


cdef class Ledger:
    """The accounts of some clients and everything that was ever applied to them.

    `apply(batch)` applies the rows of a batch in order. `len(ledger)` is the number of accounts. A ledger is for one
    thread at a time.
    """

    def __cinit__(self):
        cdef bytes key = os.urandom(sizeof(HashKey))
        cdef const uint8_t* random = key
        self.table.key = (<const HashKey*>random)[0]
        self.table.key.multiplier |= 1
        make_logs(self.logs)
        self.counts = cython_array(shape=(KIND_COUNT * STATUS_COUNT,), itemsize=sizeof(uint64_t), format="Q")
        memset(&self.counts[0], 0, self.counts.nbytes)

    def __dealloc__(self):
        free_accounts(&self.table)
        index_free(&self.index)
        free_logs(self.logs)

    def __len__(self):
        return self.table.accounts

    @property
    def entries(self):
        """The number of applied deposits and withdrawals."""
        return self.count_entries()

    @property
    def capacity(self):
        """The deposits and withdrawals that fit before the index must grow."""
        return index_capacity(&self.index)

    def expect(self, uint64_t entries):
        """Announce how many entries there will be in total; 0 for unknown.

        A hint: the index then grows to that size at once, and not by doubling.
        """
        self.entries_expected = entries

    def limit_memory(self, uint64_t memory_bytes):
        """Set a soft limit, in bytes: near it the index grows in smaller steps. Call `bytes_with` before each batch to
        see whether the batch stays within the limit."""
        self.memory_limit = memory_bytes

    def bytes_with(self, uint64_t rows):
        """The most bytes that the ledger needs to apply this many more rows, and to sort its accounts after that."""
        cdef uint64_t entries = self.count_entries() + rows
        return self.bytes_at(
            self.table.accounts + rows, self.logs[<int>DEPOSIT].entries + rows,
            self.logs[<int>WITHDRAWAL].entries + rows, least_capacity(&self.index, entries),
        )

    cdef uint64_t bytes_at(
        self, uint64_t accounts, uint64_t deposits, uint64_t withdrawals, uint64_t capacity,
    ) noexcept nogil:
        """The most bytes that it needs at any time, growing to these numbers and to an index of this capacity."""
        cdef uint64_t held = table_bytes(&self.table) + log_bytes(&self.logs[<int>DEPOSIT], 0)
        cdef uint64_t table = grown_table_bytes(&self.table, accounts)
        cdef uint64_t index = capacity_bytes(max(capacity, index_capacity(&self.index)))
        cdef uint64_t logs = log_bytes(&self.logs[<int>DEPOSIT], deposits)
        cdef uint64_t while_growing
        logs += log_bytes(&self.logs[<int>WITHDRAWAL], withdrawals)
        held += log_bytes(&self.logs[<int>WITHDRAWAL], 0)
        # While the table of accounts grows, the old one and the old index are there too.
        while_growing = 0
        if table > table_bytes(&self.table):
            while_growing = held + table + capacity_bytes(index_capacity(&self.index))
        # While the index is rebuilt, there is an array of all clients' hashes.
        if capacity > index_capacity(&self.index):
            while_growing = max(while_growing, table + index + logs + accounts * sizeof(uint64_t))
        # Moving or saving a ledger needs an array of its clients. Sorting needs memory for keys; the entries and the
        # index are dropped before.
        return max(
            max(while_growing, table + index + logs + accounts * sizeof(uint64_t)), table + accounts * SORTING_BYTES
        )

    @staticmethod
    def bytes_for(uint64_t accounts, uint64_t transactions):
        """The most bytes that a new ledger needs for this many accounts, and deposits and withdrawals."""
        cdef Ledger empty = Ledger()
        return empty.bytes_at(
            accounts, transactions, CHUNK_ENTRIES, least_capacity(&empty.index, transactions)
        )

    def clear(self):
        """Forget everything, with the counts and the balance, and free all memory."""
        free_accounts(&self.table)
        self.table.slot_mask = self.table.capacity = self.table.accounts = 0
        index_free(&self.index)
        free_logs(self.logs)
        memset(&self.counts[0], 0, self.counts.nbytes)
        memset(&self.balance, 0, sizeof(self.balance))

    def drop_transactions(self):
        """Forget all entries, which frees most of the memory. The accounts stay. No more rows can be applied."""
        index_free(&self.index)
        free_logs(self.logs)

    cdef uint64_t* clients_by_number(self) except NULL:
        """The clients by the number of their account. The caller frees the array."""
        cdef uint64_t* clients = <uint64_t*>malloc((self.table.accounts + 1) * sizeof(uint64_t))
        cdef const Account* slots = self.table.slots
        cdef uint64_t slot
        if clients == NULL:
            raise MemoryError(f"no memory for the clients of {self.table.accounts} accounts")
        if slots != NULL:
            for slot in range(self.table.slot_mask + 1):
                if slots[slot].in_use:
                    clients[slots[slot].number] = slots[slot].client
        return clients

    def apply(self, TransactionBatch batch not None, *, uint32_t shard=0):
        """Apply the rows of a batch in order; only those of `shard` if the batch was routed. Return how many of them
        were rejected.

        The batch keeps the status of each row, for reports. Raises MemoryError or CapacityError, and has then applied
        no row.
        """
        cdef uint64_t applied_before = self.applied_rows()
        cdef Py_ssize_t rows
        cdef const uint32_t* routed = batch.routed_to(shard, &rows)
        if routed != NULL and rows == 0:
            return 0
        self.reserve_rows(rows)
        with nogil:
            self.apply_rows(batch, routed, rows)
        return rows - (self.applied_rows() - applied_before)

    cdef uint64_t count_entries(self) noexcept nogil:
        return self.logs[<int>DEPOSIT].entries + self.logs[<int>WITHDRAWAL].entries

    cdef uint64_t applied_rows(self) noexcept:
        cdef uint64_t applied = 0
        cdef int kind
        for kind in range(KIND_COUNT):
            applied += self.counts[kind * STATUS_COUNT + APPLIED]
        return applied

    cdef int reserve_rows(self, Py_ssize_t rows) except -1:
        """Make room for the most that this many rows can add: an account and an entry each."""
        cdef uint64_t accounts = self.table.accounts + rows
        cdef uint64_t deposits = self.logs[<int>DEPOSIT].entries + rows
        cdef uint64_t withdrawals = self.logs[<int>WITHDRAWAL].entries + rows
        cdef uint64_t entries = self.count_entries() + rows
        cdef bint is_large, reserved
        if max(deposits, withdrawals) > LOG_ENTRIES_MAX or accounts > ACCOUNTS_MAX:
            raise CapacityError(
                f"one ledger numbers at most {LOG_ENTRIES_MAX} deposits, as many withdrawals, and {ACCOUNTS_MAX} "
                f"accounts; split the input by client"
            )
        with nogil:
            reserved = reserve_accounts(&self.table, accounts) and self.reserve_index(entries)
            is_large = index_capacity(&self.index) > LOG_COUNT * CHUNK_ENTRIES
            reserved = (
                reserved
                and reserve_entries(&self.logs[<int>DEPOSIT], deposits, is_large)
                and reserve_entries(&self.logs[<int>WITHDRAWAL], withdrawals, is_large)
            )
        if not reserved:
            raise MemoryError(f"no memory to apply {rows} more rows to {self.entries} transactions")
        return 0

    cdef bint reserve_index(self, const uint64_t entries) noexcept nogil:
        """Make room in the index for this many entries. False when memory is exhausted, as in `rebuild_index`."""
        cdef uint64_t capacity = index_capacity(&self.index)
        cdef uint64_t least = least_capacity(&self.index, entries)
        cdef uint64_t wanted = 2 * capacity
        if entries <= capacity:
            return True
        if self.entries_expected >= entries:
            wanted = self.entries_expected
            # The first estimates count rejected rows too. They are much better once this many entries were applied.
            if capacity < FIRST_CAPACITY_MAX:
                wanted = min(wanted, FIRST_CAPACITY_MAX)
        if self.memory_limit and self.bytes_at(
            self.table.accounts, self.logs[<int>DEPOSIT].entries, self.logs[<int>WITHDRAWAL].entries, wanted
        ) > self.memory_limit:
            wanted = least
        return self.rebuild_index(max(wanted, least)) or self.rebuild_index(least)

    cdef bint rebuild_index(self, const uint64_t capacity) noexcept nogil:
        """Build an index of this capacity from the logs. False when memory is exhausted: the capacity is then 0, and a
        later call can build the index again, since the logs have all entries."""
        cdef uint64_t* client_hashes
        cdef const Account* slots = self.table.slots
        cdef uint64_t slot
        if not index_reset(&self.index, capacity):
            return False
        if self.count_entries() == 0:
            return True
        client_hashes = <uint64_t*>malloc(self.table.accounts * sizeof(uint64_t))
        if client_hashes == NULL:
            index_free(&self.index)
            return False
        for slot in range(self.table.slot_mask + 1):
            if slots[slot].in_use:
                client_hashes[slots[slot].number] = hash_client(&self.table.key, slots[slot].client)
        index_fill(&self.index, self.logs, client_hashes)
        free(client_hashes)
        return True

    cdef void apply_rows(
        self,
        TransactionBatch batch,  # IN; OUT its statuses
        const uint32_t* routed,  # IN the rows to apply; NULL for all
        const Py_ssize_t count,  # IN the number of rows to apply
    ) noexcept nogil:
        # Copies in locals: the compiler would read members of `self` again after every store.
        cdef const uint8_t* kinds = batch.kind
        cdef const uint64_t* clients = batch.client
        cdef const uint64_t* txs = batch.tx
        cdef const int64_t* amounts = batch.amount
        cdef uint8_t* statuses = batch.status
        cdef AccountTable table = self.table
        cdef Index index = self.index
        cdef Log[LOG_COUNT] logs = self.logs
        cdef WideSum balance = self.balance
        cdef bint prefetch_second_homes = self.prefetch_second_homes
        cdef uint64_t[KIND_COUNT * STATUS_STRIDE] counts
        cdef Lookup[LOOK_AHEAD_ROWS] lookups
        cdef Lookup* lookup
        cdef Py_ssize_t i, row, ahead, second_homes = 0
        cdef Account* account
        cdef Probe probe
        cdef uint8_t* dispute_state
        cdef int64_t amount
        cdef int kind, status
        cdef bint found
        memset(counts, 0, sizeof(counts))
        for i in range(min(count, <Py_ssize_t>LOOK_AHEAD_ROWS)):
            row = i if routed == NULL else routed[i]
            look_ahead(&lookups[i], &table, &index, clients[row], txs[row], prefetch_second_homes)
        for i in range(count):
            row = i if routed == NULL else routed[i]
            lookup = &lookups[i & (LOOK_AHEAD_ROWS - 1)]
            account = find_or_add(&table, lookup.slots, clients[row])
            probe = find(&index, logs, lookup, account.number, txs[row])
            if i + LOOK_AHEAD_ROWS < count:
                ahead = i + LOOK_AHEAD_ROWS
                if routed != NULL:
                    ahead = routed[ahead]
                look_ahead(lookup, &table, &index, clients[ahead], txs[ahead], prefetch_second_homes)
            found = probe.position != <uint32_t>NOT_FOUND
            second_homes += probe.at_second_home
            kind = kinds[row] & KIND_MASK
            if adds_entry(kind):
                amount = amounts[row]
                status = deposit_or_withdraw(account, kind, found, not kinds[row] & NO_AMOUNT, amount)
                if status == APPLIED:
                    add_entry(logs, &probe, kind, account.number, txs[row], amount)
                    add_wide(&balance, change_of_total(kind, amount))
            else:
                dispute_state = NULL
                amount = 0
                if found and can_be_disputed(kind_at(probe.position)):
                    dispute_state = dispute_state_at(logs, probe.position)
                    amount = amount_at(logs, probe.position)
                if kind == DISPUTE:
                    status = dispute(account, dispute_state, amount)
                elif kind == RESOLVE:
                    status = resolve(account, dispute_state, amount)
                else:
                    status = chargeback(account, dispute_state, amount)
                    if status == APPLIED:
                        add_wide(&balance, -amount)
            counts[kind * STATUS_STRIDE + status] += 1
            statuses[row] = status
        self.table.accounts = table.accounts
        self.prefetch_second_homes = needs_second_homes(second_homes, count)
        for kind in range(LOG_COUNT):
            self.logs[kind].entries = logs[kind].entries
        self.balance = balance
        for kind in range(KIND_COUNT):
            for status in range(STATUS_COUNT):
                self.counts[kind * STATUS_COUNT + status] += counts[kind * STATUS_STRIDE + status]

    def restore_account(self, uint64_t client, int64_t available, int64_t held, bint locked=False):
        """Set an account's values, in units of 0.0001; open it if it is new. Raises ValueError where the total does not
        fit in 64 bits."""
        cdef Account* account
        if not fits_as_total(available, held):
            raise ValueError(f"client {client}: available {available} + held {held} does not fit in 64 bits")
        self.reserve_rows(1)
        account = find_or_add(&self.table, home_slots(&self.table, hash_client(&self.table.key, client)), client)
        account.available = available
        account.locked = locked
        account.held = held

    def account(self, uint64_t client):
        """`(available, held, locked)` of a client, in units of 0.0001; None where it has no account."""
        cdef const Account* account
        if not self.table.accounts:
            return None
        account = find_slot(&self.table, home_slots(&self.table, hash_client(&self.table.key, client)), client)
        return (account.available, account.held, bool(account.locked)) if account.in_use else None

    def any_client(self):
        """A client of the ledger. Raises ValueError where it has none."""
        cdef uint64_t slot
        if not self.table.accounts:
            raise ValueError("the ledger has no account")
        for slot in range(self.table.slot_mask + 1):
            if self.table.slots[slot].in_use:
                return self.table.slots[slot].client

    def count(self, int kind, int status):
        """The number of rows of this kind (an index in KINDS) that got this status (an index in STATUSES)."""
        if not (0 <= kind < KIND_COUNT and 0 <= status < STATUS_COUNT):
            raise IndexError(f"no kind {kind} or no status {status}")
        return self.counts[kind * STATUS_COUNT + status]

    @property
    def balance_units(self):
        """Applied deposits less withdrawals and chargebacks, in units of 0.0001: the sum that all totals must have."""
        return whole(&self.balance)
