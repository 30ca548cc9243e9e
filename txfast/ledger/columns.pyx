"""AccountColumns: the accounts of some ledgers, as columns in ascending order of client.

What is put out, in whatever format, is made from these.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from cython.view cimport array as cython_array

from txfast.ledger.hash cimport advise_huge_pages, prefetch
from txfast.ledger.ledger cimport Ledger
cdef extern from * nogil:
    int leading_zeros "__builtin_clzll"(uint64_t word) noexcept

cdef enum:
    RADIX_BITS = 11
    RADIX = 1 << 11
    BUCKET_RADIX_BITS = 9
    BUCKET_RADIX = 1 << 9
    INSERTION_KEYS_MAX = 32
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

    A radix sort from the highest digit down: the first spreads the keys over buckets that fit the nearest cache, so
    that what is left to do in each is done there.
    """
    cdef uint64_t lowest = ~<uint64_t>0, highest = 0
    cdef Py_ssize_t ends[RADIX]
    cdef Py_ssize_t i, start = 0
    cdef int digit, shift
    for i in range(count):
        lowest = min(lowest, keys[i].client)
        highest = max(highest, keys[i].client)
    if count < 2 or lowest == highest:
        return keys
    shift = max(64 - leading_zeros(highest - lowest) - RADIX_BITS, 0)
    sort_by_digit(keys, scratch, count, lowest, shift, RADIX, ends)
    for digit in range(RADIX):
        sort_bucket(scratch + start, keys + start, ends[digit] - start, lowest, shift)
        start = ends[digit]
    return scratch


cdef void sort_by_digit(
    const SortKey* source,  # IN
    SortKey* target,  # OUT
    const Py_ssize_t count,  # IN
    const uint64_t lowest,  # IN what is taken off each client
    const int shift,  # IN the digit's lowest bit
    const int radix,  # IN how many digits there are, a power of two
    Py_ssize_t* ends,  # OUT where the keys of each digit end
) noexcept nogil:
    """One stable pass, by one digit."""
    cdef Py_ssize_t i, start = 0, occurrences
    cdef int digit
    memset(ends, 0, radix * sizeof(Py_ssize_t))
    for i in range(count):
        ends[((source[i].client - lowest) >> shift) & (radix - 1)] += 1
    for digit in range(radix):
        occurrences = ends[digit]
        ends[digit] = start
        start += occurrences
    for i in range(count):
        digit = ((source[i].client - lowest) >> shift) & (radix - 1)
        target[ends[digit]] = source[i]
        ends[digit] += 1


cdef void sort_bucket(
    SortKey* keys,  # IN, OUT
    SortKey* scratch,
    const Py_ssize_t count,  # IN
    const uint64_t lowest,  # IN
    const int width,  # IN the bits that the clients may differ in
) noexcept nogil:
    cdef Py_ssize_t ends[BUCKET_RADIX]
    cdef int shift = max(width - BUCKET_RADIX_BITS, 0)
    if count < 2 or width == 0:
        return
    if count > INSERTION_KEYS_MAX:
        sort_by_digit(keys, scratch, count, lowest, shift, 1 << (width - shift), ends)
        memcpy(keys, scratch, count * sizeof(SortKey))
        if shift == 0:
            return
    if sort_by_insertion(keys, count):
        return
    # Clients crowd together in places: a digit after the other, from the lowest, whatever they are.
    shift = 0
    while shift < width:
        sort_by_digit(keys, scratch, count, lowest, shift, BUCKET_RADIX, ends)
        memcpy(keys, scratch, count * sizeof(SortKey))
        shift += BUCKET_RADIX_BITS


cdef bint sort_by_insertion(SortKey* keys, const Py_ssize_t count) noexcept nogil:
    """Sort what is nearly in order, or short. False, with all keys there still, where it would take too long."""
    cdef Py_ssize_t moves_left = INSERTION_KEYS_MAX * count
    cdef Py_ssize_t i, place
    cdef SortKey key
    for i in range(1, count):
        key = keys[i]
        place = i
        while place > 0 and keys[place - 1].client > key.client:
            keys[place] = keys[place - 1]
            place -= 1
        keys[place] = key
        moves_left -= i - place
        if moves_left < 0:
            return False
    return True
