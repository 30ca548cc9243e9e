"""Ledger: the accounts of one shard of clients, the logs of their applied transactions, and the index into the logs.

It must not know where batches come from, and decides nothing itself: that is for the rules (rules.pxd). All memory that
a batch can need is reserved before its first row is applied. After that, applying cannot fail, does no I/O and needs no
GIL: a batch is applied in whole or not at all.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from cython.view cimport array as cython_array

from txfast.batch.batch cimport DEPOSIT, KIND_COUNT, WITHDRAWAL, TransactionBatch
from txfast.batch.ids cimport ID_BYTES_MAX
from txfast.ledger.account_table cimport (
    ACCOUNTS_MAX, NAMES_BYTES_MAX, find_or_add, free_accounts, hash_of, home_slots, reserve_accounts,
)
from txfast.ledger.apply cimport LedgerParts, apply_rows
from txfast.ledger.details cimport details_bytes, free_details, reserve_details
from txfast.ledger.entries cimport (
    CHUNK_ENTRIES, LOG_COUNT, LOG_ENTRIES_MAX, Log, TxId, free_logs, make_logs, make_number_id, reserve_entries,
)
from txfast.ledger.hash cimport HashKey, hash_client
from txfast.ledger.index cimport Group, index_capacity, index_fill, index_free, index_reset
from txfast.ledger.load cimport (
    BY_CURRENCY, NUMBERS, TEXT_CLIENTS, TEXT_TXS, TEXTS, IdForm, account_of, read_form,
)
from txfast.ledger.payments cimport apply_to_payment, count_detailed
from txfast.ledger.policy cimport Policy, default_policy
from txfast.ledger.rules cimport APPLIED, STATUS_COUNT, Account, Status
from txfast.ledger.saved_ids cimport client_id
from txfast.ledger.sizes cimport (
    FIRST_CAPACITY_MAX, bytes_at, filled_texts, least_capacity, new_texts_bytes, texts_bytes,
)
from txfast.ledger.sums cimport WideSum, fits_as_total, reserve_sums, whole
from txfast.ledger.texts cimport (
    NAME_ALIGNMENT, TEXT_BYTES_MAX, TextArena, arena_bytes, new_texts, release_texts, reserve_texts,
)
from txfast.text.text_hash cimport TEXT_HASH_SLACK_BYTES, hash_text

import os

from txfast.errors import CapacityError

# By code: rules.pxd's Status.
STATUSES = (
    "applied", "account_locked", "duplicate_transaction", "amount_required", "negative_amount", "zero_amount",
    "insufficient_funds", "overflow", "transaction_not_found", "duplicate_dispute", "amount_too_large",
    "dispute_not_found", "dispute_not_in_progress", "chargeback_not_found", "duplicate_reversal",
)
assert len(STATUSES) == STATUS_COUNT
assert sizeof(Group) == 64, "a group of the index no longer fills a cache line: a row would touch two"
assert sizeof(Account) == 32, "an account's slot no longer fills half a cache line: a row would touch two"

cdef Status apply_to_any_payment(
    const Policy* policy, const LedgerParts* parts, Account* account, const Log* logs, const uint32_t position,
    const bint is_payment, const uint8_t kind_and_flag, const int64_t amount, WideSum* balance,
) noexcept nogil:
    """Apply a row that names a payment, by any policy."""
    return apply_to_payment(
        policy[0], False, account, logs, parts.details, position, is_payment, kind_and_flag, amount, balance,
        parts.unread_amounts,
    )


cdef inline void take_parts(Ledger ledger, LedgerParts* parts) noexcept nogil:
    """Name the parts of a ledger."""
    parts.table = &ledger.table
    parts.index = &ledger.index
    parts.logs = ledger.logs
    parts.details = &ledger.details
    parts.balances = ledger.balances
    parts.counts = &ledger.counts[0]
    parts.unread_amounts = &ledger.unread_amounts
    parts.prefetch_second_homes = &ledger.prefetch_second_homes


cdef class Ledger:
    """The accounts of some clients and everything that was ever applied to them.

    `apply(batch)` applies the rows of a batch in order, by a policy (policy.py's Policy; None is the default one).
    `text_ids` is a TextIds of dialect/text_ids.py where ids are texts, or accounts have a currency, and that of the
    readers; else None. `len(ledger)` is the number of accounts. A ledger is for one thread at a time.
    """

    def __cinit__(self, policy=None, text_ids=None):
        cdef bytes key = os.urandom(sizeof(HashKey))
        cdef const uint8_t* random = key
        cdef bytes codes
        cdef IdForm form
        self.table.key = (<const HashKey*>random)[0]
        self.table.key.multiplier |= 1
        self.details.key = self.table.key
        self.policy = default_policy()
        if policy is not None:
            codes = policy.codes
            assert len(codes) == sizeof(Policy), "policy.py and policy.pxd have the same switches"
            random = codes
            memcpy(&self.policy, random, sizeof(Policy))
            self.has_policy = any(codes)
        read_form(&form, text_ids)
        self.id_kinds = form.kinds
        self.table.text_key = form.key
        if self.id_kinds & BY_CURRENCY:
            self.currencies = text_ids.currencies
            self.table.has_currencies = True
        self.reserve_balances()
        if self.id_kinds & TEXT_CLIENTS:
            self.table.names = new_texts()
            if self.table.names == NULL:
                raise MemoryError("no memory for the names of clients")
        make_logs(self.logs, self.policy, self.id_kinds & TEXT_TXS)
        self.counts = cython_array(shape=(KIND_COUNT * STATUS_COUNT,), itemsize=sizeof(uint64_t), format="Q")
        memset(&self.counts[0], 0, self.counts.nbytes)

    def __dealloc__(self):
        free_accounts(&self.table)
        release_texts(self.table.names)
        free(self.balances)
        index_free(&self.index)
        free_logs(self.logs, self.policy)
        free_details(&self.details)

    def __len__(self):
        return self.table.accounts

    @property
    def entries(self):
        """The number of applied deposits and withdrawals in its logs."""
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

    def bytes_with(self, uint64_t rows, text_bytes=None):
        """The most bytes that the ledger needs for this many more accounts and payments, all with details if any have
        some, and to sort its accounts after that. Ids that are texts take `text_bytes` at most, which are all that they
        can take if not given."""
        if text_bytes is None:
            text_bytes = rows * TEXT_BYTES_MAX
        return self.bytes_with_rows(rows, rows if self.details.count else 0, text_bytes)

    @property
    def text_bytes(self):
        """The bytes of ids that are texts, as they are on disk: there, no UUID is packed."""
        return filled_texts(&self.table, self.logs)

    def bytes_with_batch(self, TransactionBatch batch not None, *, uint32_t shard=0):
        """The same for the rows of a batch; only those of `shard` if the batch was routed."""
        cdef Py_ssize_t rows
        batch.routed_to(shard, &rows)
        return self.bytes_with_rows(rows, self.most_details(batch, rows), batch.text_bytes)

    cdef uint64_t bytes_with_rows(
        self, const uint64_t rows, const uint64_t detailed, const uint64_t text_bytes,
    ) noexcept nogil:
        cdef uint64_t entries = self.count_entries() + rows
        cdef uint64_t texts = texts_bytes(&self.table, self.logs, rows, text_bytes)
        return texts + details_bytes(&self.details, self.details.count + detailed) + bytes_at(
            &self.table, &self.index, self.logs, self.table.accounts + rows, self.logs[<int>DEPOSIT].entries + rows,
            self.logs[<int>WITHDRAWAL].entries + rows, least_capacity(&self.index, entries),
        )

    cdef uint64_t most_details(self, TransactionBatch batch, const Py_ssize_t rows) noexcept nogil:
        """The most details that this number of rows of a batch can add."""
        return min(count_detailed(self.policy, batch.kind, batch.rows), <uint64_t>rows)

    @staticmethod
    def bytes_for(
        uint64_t accounts, uint64_t transactions, policy=None, *, uint64_t details=0, text_ids=None,
        uint64_t text_bytes=0,
    ):
        """The most bytes that a new ledger needs for this many accounts, deposits and withdrawals, and details. Where
        ids are texts, by `text_ids`, the names of all accounts and the ids of all transactions have `text_bytes`."""
        cdef Ledger empty = Ledger(policy, text_ids)
        cdef uint64_t texts = new_texts_bytes(&empty.table, empty.logs, accounts, transactions, text_bytes)
        # While the details grow, the half of them is there too.
        return texts + 3 * details_bytes(&empty.details, details) // 2 + bytes_at(
            &empty.table, &empty.index, empty.logs, accounts, transactions, CHUNK_ENTRIES,
            least_capacity(&empty.index, transactions),
        )

    def clear(self):
        """Forget everything, with the counts and the balance, and free all memory. Raises MemoryError."""
        cdef TextArena* names
        free_accounts(&self.table)
        self.table.slot_mask = self.table.capacity = self.table.accounts = 0
        if self.table.names != NULL:
            names = new_texts()
            if names == NULL:
                raise MemoryError("no memory for the names of clients")
            release_texts(self.table.names)
            self.table.names = names
        index_free(&self.index)
        free_logs(self.logs, self.policy)
        free_details(&self.details)
        memset(&self.counts[0], 0, self.counts.nbytes)
        memset(self.balances, 0, self.balance_count * sizeof(WideSum))
        self.unread_amounts = 0

    def drop_transactions(self):
        """Forget all entries, which frees most of the memory. The accounts stay. No more rows can be applied."""
        index_free(&self.index)
        free_logs(self.logs, self.policy)
        free_details(&self.details)

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
        self.reserve_rows(rows, batch.text_bytes)
        self.reserve_detailed(self.most_details(batch, rows))
        self.reserve_balances()
        with nogil:
            if not self.id_kinds:
                if self.has_policy:
                    self.apply_by_policy(batch, routed, rows)
                else:
                    self.apply_by_default(batch, routed, rows)
            elif self.id_kinds == TEXTS and not self.has_policy:
                self.apply_texts(batch, routed, rows)
            elif self.id_kinds == BY_CURRENCY and not self.has_policy:
                self.apply_currencies(batch, routed, rows)
            else:
                self.apply_any(batch, routed, rows)
        return rows - (self.applied_rows() - applied_before)

    cdef uint64_t count_entries(self) noexcept nogil:
        return self.logs[<int>DEPOSIT].entries + self.logs[<int>WITHDRAWAL].entries

    cdef uint64_t applied_rows(self) noexcept:
        cdef uint64_t applied = 0
        cdef int kind
        for kind in range(KIND_COUNT):
            applied += self.counts[kind * STATUS_COUNT + APPLIED]
        return applied

    cdef int reserve_rows(self, Py_ssize_t rows, uint64_t text_bytes=0) except -1:
        """Make room for the most that this many rows can add: an account and an entry each. All their ids that are
        texts take at most `text_bytes`, without their lengths."""
        cdef uint64_t accounts = self.table.accounts + rows
        cdef uint64_t deposits = self.logs[<int>DEPOSIT].entries + rows
        cdef uint64_t withdrawals = self.logs[<int>WITHDRAWAL].entries + rows
        cdef uint64_t entries = self.count_entries() + rows
        cdef uint64_t tx_bytes = text_bytes + rows if self.id_kinds & TEXT_TXS else 0
        cdef uint64_t name_bytes = text_bytes + NAME_ALIGNMENT * rows
        cdef bint is_large, reserved
        if max(deposits, withdrawals) > LOG_ENTRIES_MAX or accounts > ACCOUNTS_MAX:
            raise CapacityError(
                f"one ledger numbers at most {LOG_ENTRIES_MAX} deposits, as many withdrawals, and {ACCOUNTS_MAX} "
                f"accounts; split the input by client"
            )
        self.check_names(name_bytes)
        with nogil:
            reserved = reserve_accounts(&self.table, accounts) and self.reserve_index(entries)
            is_large = index_capacity(&self.index) > LOG_COUNT * CHUNK_ENTRIES
            reserved = (
                reserved
                and reserve_entries(&self.logs[<int>DEPOSIT], deposits, is_large, tx_bytes)
                and reserve_entries(&self.logs[<int>WITHDRAWAL], withdrawals, is_large, tx_bytes)
                and (self.table.names == NULL or reserve_texts(self.table.names, name_bytes))
            )
        if not reserved:
            raise MemoryError(f"no memory to apply {rows} more rows to {self.entries} transactions")
        return 0

    cdef int check_names(self, uint64_t name_bytes) except -1:
        """Raise CapacityError where names of clients that take so many bytes more are too many."""
        if self.table.names != NULL and arena_bytes(self.table.names, name_bytes) > NAMES_BYTES_MAX:
            raise CapacityError("one ledger has at most 15 GiB of clients that are texts; split the input by client")
        return 0

    # Copies of the loop, each in a function of its own, in which the compiler has folded policy and kinds of ids.

    cdef void apply_by_policy(self, TransactionBatch batch, const uint32_t* routed, Py_ssize_t rows) noexcept nogil:
        cdef LedgerParts parts
        take_parts(self, &parts)
        apply_rows(&parts, apply_to_any_payment, self.policy, False, NUMBERS, batch, routed, rows)

    cdef void apply_by_default(self, TransactionBatch batch, const uint32_t* routed, Py_ssize_t rows) noexcept nogil:
        cdef LedgerParts parts
        take_parts(self, &parts)
        apply_rows(&parts, apply_to_any_payment, default_policy(), True, NUMBERS, batch, routed, rows)

    cdef void apply_texts(self, TransactionBatch batch, const uint32_t* routed, Py_ssize_t rows) noexcept nogil:
        cdef LedgerParts parts
        take_parts(self, &parts)
        apply_rows(&parts, apply_to_any_payment, default_policy(), True, TEXTS, batch, routed, rows)

    cdef void apply_currencies(self, TransactionBatch batch, const uint32_t* routed, Py_ssize_t rows) noexcept nogil:
        cdef LedgerParts parts
        take_parts(self, &parts)
        apply_rows(&parts, apply_to_any_payment, default_policy(), True, BY_CURRENCY, batch, routed, rows)

    cdef void apply_any(self, TransactionBatch batch, const uint32_t* routed, Py_ssize_t rows) noexcept nogil:
        cdef LedgerParts parts
        take_parts(self, &parts)
        apply_rows(&parts, apply_to_any_payment, self.policy, False, self.id_kinds, batch, routed, rows)

    cdef int reserve_balances(self) except -1:
        """Make room for the balance of each currency that the run has met, or for one. Raises MemoryError."""
        cdef Py_ssize_t count = 1 if self.currencies is None else max(1, len(self.currencies))
        if not reserve_sums(&self.balances, &self.balance_count, count):
            raise MemoryError(f"no memory for the balances of {count} currencies")
        return 0

    cdef int reserve_detailed(self, uint64_t count) except -1:
        """Make room for the details of this many more entries or accounts."""
        if count and not reserve_details(&self.details, self.details.count + count):
            raise MemoryError(f"no memory for the details of {count} more payments or accounts")
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
                wanted = min(wanted, <uint64_t>FIRST_CAPACITY_MAX)
        if self.memory_limit and bytes_at(
            &self.table, &self.index, self.logs, self.table.accounts, self.logs[<int>DEPOSIT].entries,
            self.logs[<int>WITHDRAWAL].entries, wanted,
        ) + texts_bytes(&self.table, self.logs, 0, 0) + details_bytes(
            &self.details, self.details.count,
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
                client_hashes[slots[slot].number] = hash_of(&self.table, &slots[slot])
        index_fill(&self.index, self.logs, client_hashes, &self.table.text_key)
        free(client_hashes)
        return True

    def restore_account(self, uint64_t client, int64_t available, int64_t held, bint locked=False):
        """Set an account's values, in units of the last decimal; open it if it is new. Raises ValueError where the
        total does not fit in 64 bits."""
        cdef Account* account
        if self.id_kinds:
            raise ValueError("the ids of this ledger are texts, or its accounts have a currency")
        if not fits_as_total(available, held):
            raise ValueError(f"client {client}: available {available} + held {held} does not fit in 64 bits")
        self.reserve_rows(1)
        account = find_or_add(&self.table, home_slots(&self.table, hash_client(&self.table.key, client)), client)
        account.available = available
        account.locked = locked
        account.held = held

    def account(self, client, uint16_t currency=0):
        """`(available, held, locked)` of a client, an integer, or bytes where clients are texts, in units of the last
        decimal; None where it has no account. `currency` is its number, where accounts have one."""
        cdef const Account* account = self.find_account(client, currency)
        return None if account == NULL else (account.available, account.held, bool(account.locked))

    cdef const Account* find_account(self, client, uint16_t currency) except? NULL:
        """The account of a client, as `account` takes it; NULL where it has none."""
        cdef bytes padded  # keeps the text alive
        cdef TxId id
        if not self.table.accounts:
            return NULL
        make_number_id(&id, 0)
        if self.table.names == NULL:
            id.number = client
        elif 0 < len(client) <= ID_BYTES_MAX:
            padded = client + bytes(TEXT_HASH_SLACK_BYTES)
            id.text = padded
            id.length = <uint8_t>len(client)
            id.number = hash_text(&self.table.text_key, id.text, id.length)
        else:
            return NULL
        id.currency = currency
        return account_of(&self.table, id)

    def any_client(self):
        """A client of the ledger, as `account` takes it. Raises ValueError where it has none."""
        cdef uint64_t slot = 0
        cdef TxId client
        if not self.table.accounts:
            raise ValueError("the ledger has no account")
        while not self.table.slots[slot].in_use:
            slot += 1
        client_id(&client, &self.table, self.table.slots[slot].client)
        return client.number if client.text == NULL else client.text[:client.length]

    def count(self, int kind, int status):
        """The number of rows of this kind (an index in KINDS) that got this status (an index in STATUSES)."""
        if not (0 <= kind < KIND_COUNT and 0 <= status < STATUS_COUNT):
            raise IndexError(f"no kind {kind} or no status {status}")
        return self.counts[kind * STATUS_COUNT + status]

    @property
    def balance_units(self):
        """What applied rows have added to all totals less what they have taken, in units of the last decimal: the sum
        that all totals must have."""
        return sum([whole(&self.balances[currency]) for currency in range(self.balance_count)])
