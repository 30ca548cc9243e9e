"""AccountColumns: the accounts of some ledgers, sorted. See columns.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from txfast.ledger.rules cimport Account

cdef struct SortKey:
    uint64_t client
    const Account* account

cdef class AccountColumns:
    cdef uint64_t[::1] client
    cdef int64_t[::1] available
    cdef int64_t[::1] held
    cdef uint8_t[::1] locked

    cdef void fill(self, const SortKey* keys) noexcept nogil
