"""AccountColumns: the accounts of some ledgers, as columns in ascending order of client.

What is put out, in whatever format, is made from these.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from cython.view cimport array as cython_array

from txfast.ledger.hash cimport advise_huge_pages, prefetch
from txfast.ledger.ledger cimport Ledger
cdef enum:
    RADIX_BITS = 11
    RADIX = 1 << 11
    RADIX_TURNS = 6  # cover 64 bits
    PREFETCH_ACCOUNTS = 32


cdef class AccountColumns:
    """`client`, `available`, `held` (units of 0.0001) and `locked`, one place each for an account.

    The ledgers have no client in common. `len()` is the number of accounts.
    """

    def __cinit__(self, ledgers):
        cdef Py_ssize_t count = sum(map(len, ledgers))
        cdef Py_ssize_t room = max(count, 1)
        cdef Py_ssize_t filled = 0
        cdef SortKey* keys = <SortKey*>malloc(room * sizeof(SortKey))
        cdef SortKey* scratch = <SortKey*>malloc(room * sizeof(SortKey))
        cdef Ledger ledger
        try:
            if keys == NULL or scratch == NULL:
                raise MemoryError(f"no memory to sort {count} accounts")
            advise_huge_pages(keys, room * sizeof(SortKey))
            advise_huge_pages(scratch, room * sizeof(SortKey))
            self.client = cython_array(shape=(room,), itemsize=sizeof(uint64_t), format="Q")[:count]
            self.available = cython_array(shape=(room,), itemsize=sizeof(int64_t), format="q")[:count]
            self.held = cython_array(shape=(room,), itemsize=sizeof(int64_t), format="q")[:count]
            self.locked = cython_array(shape=(room,), itemsize=sizeof(uint8_t), format="B")[:count]
            for ledger in ledgers:
                filled += take_keys(ledger, keys + filled)
            with nogil:
                self.fill(sorted_keys(keys, scratch, count))
        finally:
            free(keys)
            free(scratch)

    cdef void fill(self, const SortKey* keys) noexcept nogil:
        cdef Py_ssize_t place
        cdef Py_ssize_t last = self.client.shape[0] - 1
        for place in range(last + 1):
            prefetch(keys[min(place + PREFETCH_ACCOUNTS, last)].account)
            self.client[place] = keys[place].client
            self.available[place] = keys[place].account.available
            self.held[place] = keys[place].account.held
            self.locked[place] = keys[place].account.locked

    def columns(self):
        """client, available, held and locked, each as a memoryview."""
        return self.client, self.available, self.held, self.locked

    def __len__(self):
        return self.client.shape[0]


cdef Py_ssize_t take_keys(Ledger ledger, SortKey* keys) noexcept:
    """Make a key of each account in a ledger, in no particular order; return how many there are."""
    cdef uint64_t slot
    cdef Py_ssize_t filled = 0
    if ledger.table.slots == NULL:
        return 0
    for slot in range(ledger.table.slot_mask + 1):
        if ledger.table.slots[slot].in_use:
            keys[filled].client = ledger.table.slots[slot].client
            keys[filled].account = &ledger.table.slots[slot]
            filled += 1
    return filled


cdef SortKey* sorted_keys(SortKey* keys, SortKey* scratch, const Py_ssize_t count) noexcept nogil:
    """Sort by client; return whichever of the two arrays the result is in.

    A radix sort from the lowest digit up, which passes over digits that are the same in all clients.
    """
    cdef SortKey* swap
    cdef uint64_t varying = 0
    cdef Py_ssize_t starts[RADIX]
    cdef Py_ssize_t i, total, occurrences
    cdef int turn, shift, digit
    for i in range(count):
        varying |= keys[i].client ^ keys[0].client
    for turn in range(RADIX_TURNS):
        shift = turn * RADIX_BITS
        if not (varying >> shift) & (RADIX - 1):
            continue
        memset(starts, 0, sizeof(starts))
        for i in range(count):
            starts[(keys[i].client >> shift) & (RADIX - 1)] += 1
        total = 0
        for digit in range(RADIX):
            occurrences = starts[digit]
            starts[digit] = total
            total += occurrences
        for i in range(count):
            digit = (keys[i].client >> shift) & (RADIX - 1)
            scratch[starts[digit]] = keys[i]
            starts[digit] += 1
        swap = keys
        keys = scratch
        scratch = swap
    return keys
