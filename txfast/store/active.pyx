"""ActiveAccounts: what one ledger has of a state, and what of that the ledger has changed since.

A ledger has the accounts and entries that rows have needed: some were loaded from the state (prefetch.pyx), others are
new. Beside the ledger, an ActiveAccounts keeps each account as the state has it, which entries the state has, and those
of them that rows have named. What seal.pyx writes follows from these. A ledger without one pays nothing for it.

This module must not know files, nor how anything is loaded or written.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memset

from txfast.batch.batch cimport WITHDRAWAL
from txfast.ledger.account_table cimport AccountTable, name_of
from txfast.ledger.entries cimport CHUNK_BITS, CHUNK_MASK, LOG_COUNT, Chunk, chunk_of
from txfast.ledger.key_order cimport SortKey, sort_keys
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.rules cimport Account, keeps_entry
from txfast.text.bits cimport advise_huge_pages, prefetch
from txfast.text.text_hash cimport hash_text

cdef enum:
    RANGES_MIN = 16
    AHEAD_ENTRIES = 16


cdef class ActiveAccounts:
    """What a ledger has of a state: nothing at first. All that the ledger has already counts as new.

    It is for one thread at a time, as the ledger is.
    """

    def __cinit__(self, Ledger ledger not None):
        memset(&self.active, 0, sizeof(Active))
        self.ledger = ledger
        self.active.table = &ledger.table
        self.active.logs = ledger.logs
        self.active.details = &ledger.details
        self.active.policy = ledger.policy

    def __dealloc__(self):
        cdef int kind
        forget_numbers(&self.active)
        free(self.active.saved)
        free(self.active.named)
        for kind in range(LOG_COUNT):
            free(self.active.loaded[kind].ranges)

    @property
    def new_entries(self):
        """The entries of the ledger that the state does not have."""
        return count_new(&self.active, 0) + count_new(&self.active, 1)

    @property
    def new_accounts(self):
        """The accounts of the ledger that the state does not have."""
        cdef uint64_t number, count = 0
        for number in range(self.active.table.accounts):
            count += not is_saved(&self.active, <uint32_t>number)
        return count

    def has_saved(self, client, uint16_t currency=0):
        """Whether the state has the account of a client, as `Ledger.account` takes it, which rows or openings have
        needed."""
        cdef const Account* account = self.ledger.find_account(client, currency)
        return account != NULL and is_saved(&self.active, account.number)

    def bytes_beside(self, uint64_t rows):
        """The most bytes that it takes beside the ledger with this many more rows, and while it is sealed; `seal` takes
        some for each row that it sorts, too, and for the files that it writes."""
        cdef uint64_t accounts = self.active.table.accounts + rows
        cdef uint64_t sealed = sizeof(NumberedAccount) + sizeof(uint32_t) + 1
        return active_bytes(&self.active, accounts, rows) + accounts * sealed

    def mark_sealed(self):
        """Note that the state has all of the ledger as it is now: what `seal` wrote has become part of it. Nothing
        may have been prefetched or applied since. Raises MemoryError only where the ledger was not sealed."""
        self.reserve_saved(self.active.table.accounts)
        if self.active.accounts == NULL:
            number_changed(&self.active)
        with nogil:
            mark_changed(&self.active)
            forget_numbers(&self.active)

    cdef int reserve_saved(self, const uint64_t accounts) except -1:
        """Make room for what the state has of this many accounts. Raises MemoryError."""
        cdef uint64_t capacity = max(accounts, 2 * self.active.saved_capacity)
        cdef SavedAccount* saved
        if accounts <= self.active.saved_capacity:
            return 0
        saved = <SavedAccount*>realloc(self.active.saved, capacity * sizeof(SavedAccount))
        if saved == NULL:
            raise MemoryError(f"no memory for {accounts} accounts of a state")
        memset(
            &saved[self.active.saved_capacity], 0, (capacity - self.active.saved_capacity) * sizeof(SavedAccount),
        )
        self.active.saved = saved
        self.active.saved_capacity = capacity
        return 0

    cdef int reserve_ranges(self) except -1:
        """Make room for one more range of each log. Raises MemoryError."""
        cdef LoadedRanges* loaded
        cdef LoadedRange* ranges
        cdef Py_ssize_t capacity
        cdef int kind
        for kind in range(LOG_COUNT):
            loaded = &self.active.loaded[kind]
            if loaded.count < loaded.capacity:
                continue
            capacity = max(2 * loaded.capacity, <Py_ssize_t>RANGES_MIN)
            ranges = <LoadedRange*>realloc(loaded.ranges, capacity * sizeof(LoadedRange))
            if ranges == NULL:
                raise MemoryError("no memory for where a ledger has the transactions of a state")
            loaded.ranges = ranges
            loaded.capacity = capacity
        return 0


cdef int drop_repeated(Active* active) except -1 nogil:
    """Of entries that were named repeatedly, keep what was noted first: what the state has. Raises MemoryError."""
    cdef SortKey* keys = <SortKey*>malloc((2 * active.named_count + 1) * sizeof(SortKey))
    cdef SortKey* sorted_keys = keys
    cdef NamedEntry* kept = <NamedEntry*>malloc((active.named_count + 1) * sizeof(NamedEntry))
    cdef Py_ssize_t i, count = 0
    if keys == NULL or kept == NULL:
        free(keys)
        free(kept)
        with gil:
            raise MemoryError(f"no memory to sort {active.named_count} transactions")
    for i in range(active.named_count):
        keys[i].client = active.named[i].position
        keys[i].content = i
    if sort_keys(keys, keys + active.named_count, active.named_count):
        sorted_keys = keys + active.named_count
    for i in range(active.named_count):
        if not i or sorted_keys[i].client != sorted_keys[i - 1].client:
            kept[count] = active.named[sorted_keys[i].content]
            count += 1
    if count:
        memcpy(active.named, kept, count * sizeof(NamedEntry))
    active.named_count = count
    free(keys)
    free(kept)
    return 0


cdef int reserve_named(Active* active, const Py_ssize_t count) except -1 nogil:
    """Make room for this many more calls of `note_named`. Raises MemoryError."""
    cdef Py_ssize_t capacity
    cdef NamedEntry* named
    if active.named_count + count <= active.named_capacity:
        return 0
    drop_repeated(active)
    capacity = 2 * (active.named_count + count)
    if capacity <= active.named_capacity:
        return 0
    named = <NamedEntry*>realloc(active.named, capacity * sizeof(NamedEntry))
    if named == NULL:
        with gil:
            raise MemoryError(f"no memory for {count} more transactions of a state that rows name")
    active.named = named
    active.named_capacity = capacity
    return 0


cdef int number_changed(Active* active) except -1:
    """Find the accounts that may be new or changed since the ledger was marked: those that were opened since, and those
    of entries that are new or that rows have named. Raises MemoryError."""
    cdef uint64_t accounts = active.table.accounts
    cdef uint8_t* needed = <uint8_t*>calloc(accounts // 8 + 1, 1)
    forget_numbers(active)
    active.accounts = <NumberedAccount*>malloc((accounts + 1) * sizeof(NumberedAccount))
    # One more: the next number is put behind the last one before it is known to be needed.
    active.numbers = <uint32_t*>malloc((accounts + 1) * sizeof(uint32_t))
    if needed == NULL or active.accounts == NULL or active.numbers == NULL:
        free(needed)
        forget_numbers(active)
        raise MemoryError(f"no memory to save {accounts} accounts")
    advise_huge_pages(active.accounts, accounts * sizeof(NumberedAccount))
    with nogil:
        need_accounts(active, needed)
        number_accounts(active, needed)
        count_entries(active)
    free(needed)
    return 0


cdef void forget_numbers(Active* active) noexcept nogil:
    free(active.accounts)
    free(active.numbers)
    active.accounts = NULL
    active.numbers = NULL
    active.number_count = 0


cdef inline void need(uint8_t* needed, const uint32_t number) noexcept nogil:
    needed[number >> 3] |= <uint8_t>(1 << (number & 7))


cdef inline bint is_needed(const uint8_t* needed, const uint32_t number) noexcept nogil:
    return needed[number >> 3] >> (number & 7) & 1


cdef void need_accounts(const Active* active, uint8_t* needed) noexcept nogil:
    """Set the bits of the accounts that may be new or changed."""
    # Where withdrawals have no entries, nothing tells which accounts they have changed.
    cdef uint64_t first = active.marked if keeps_entry(active.policy, WITHDRAWAL) else 0
    cdef const NamedEntry* named
    cdef uint64_t number
    cdef NewWalk walk
    cdef Py_ssize_t index
    cdef int kind
    for number in range(first, active.table.accounts):
        need(needed, <uint32_t>number)
    for index in range(active.named_count):
        named = &active.named[index]
        need(needed, chunk_of(active.logs, named.position).account[named.position & CHUNK_MASK])
    for kind in range(LOG_COUNT):
        walk = begin_new(active, kind)
        while walk.entry < walk.end:
            need(needed, active.logs[kind].chunks[walk.entry >> CHUNK_BITS].account[walk.entry & CHUNK_MASK])
            go_to_next_new(&walk)


cdef void number_accounts(Active* active, const uint8_t* needed) noexcept nogil:
    """Take the accounts whose bits are set."""
    cdef const AccountTable* table = active.table
    cdef const Account* account
    cdef NumberedAccount* numbered
    cdef const uint8_t* name
    cdef uint64_t slot, number
    if table.slots == NULL:
        return
    # In the order of their numbers, as most of what is kept by number is read next.
    for number in range(table.accounts):
        active.numbers[active.number_count] = <uint32_t>number
        active.number_count += is_needed(needed, <uint32_t>number)
    for slot in range(table.slot_mask + 1):
        # An empty slot has the number 0.
        account = &table.slots[(slot + AHEAD_ENTRIES) & table.slot_mask]
        prefetch(&active.accounts[account.number])
        account = &table.slots[slot]
        if not account.in_use or not is_needed(needed, account.number):
            continue
        numbered = &active.accounts[account.number]
        numbered.account = account
        numbered.place = 0
        numbered.client = account.client
        if table.names != NULL:
            name = name_of(table, account)
            numbered.client = hash_text(&table.text_key, name + 1, name[0])


cdef void count_entries(Active* active) noexcept nogil:
    """Count the entries of each account that the state does not have, and raise its greatest transaction by them."""
    cdef const Chunk* chunk
    cdef NumberedAccount* numbered
    cdef NewWalk walk
    cdef uint64_t i
    cdef int kind
    for i in range(active.number_count):
        active.accounts[active.numbers[i]].max_tx = max_tx_of(active, active.numbers[i])
    for kind in range(LOG_COUNT):
        walk = begin_new(active, kind)
        while walk.entry < walk.end:
            chunk = active.logs[kind].chunks[walk.entry >> CHUNK_BITS]
            # Behind the end of the log or of a chunk this loads another account, which is harmless.
            prefetch(&active.accounts[chunk.account[(walk.entry + AHEAD_ENTRIES) & CHUNK_MASK]])
            numbered = &active.accounts[chunk.account[walk.entry & CHUNK_MASK]]
            numbered.max_tx = max(numbered.max_tx, max_word_of(active, kind, walk.entry))
            numbered.place += 1
            go_to_next_new(&walk)


cdef void mark_changed(Active* active) noexcept nogil:
    """Note that the state has all accounts and entries as they are."""
    cdef const NumberedAccount* numbered
    cdef const Account* account
    cdef SavedAccount* saved
    cdef uint64_t i
    cdef int kind
    for i in range(active.number_count):
        numbered = &active.accounts[active.numbers[i]]
        account = numbered.account
        saved = &active.saved[active.numbers[i]]
        saved.available = account.available
        saved.held = account.held
        saved.locked = account.locked
        saved.max_tx = numbered.max_tx
        saved.standing = standing_of(active, account)
        saved.is_saved = True
    for kind in range(LOG_COUNT):
        active.sealed[kind] = active.logs[kind].entries
        active.loaded[kind].count = 0
    active.named_count = 0
    active.marked = active.table.accounts
