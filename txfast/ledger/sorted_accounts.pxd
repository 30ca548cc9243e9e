"""AccountColumns: the accounts of some ledgers, sorted by client. See sorted_accounts.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from txfast.ledger.sums cimport WideSum
from txfast.ledger.ledger cimport Ledger

cdef struct SortKey:
    uint64_t client
    int64_t content  # available, in units of 0.0001; for a marked account its address

cdef class AccountColumns:
    # The two arrays that sorting needs. The columns lie in them too: new memory would cost more than filling them.
    cdef SortKey* keys
    cdef SortKey* scratch
    # The accounts that are locked or hold something, by their addresses. Most accounts are neither, and are never
    # looked at again after sorting, which would cost a cache miss each.
    cdef SortKey* marked
    cdef Py_ssize_t marked_count
    cdef Py_ssize_t count
    cdef const SortKey* balances  # clients, each with its available
    cdef const int64_t* held  # units of 0.0001
    cdef const uint8_t* locked
    cdef WideSum available_sum
    cdef WideSum held_sum
    cdef readonly Py_ssize_t locked_count

    cdef int make_room(self, Py_ssize_t count) except -1
    cdef Py_ssize_t take_keys(self, Ledger ledger, SortKey* keys) noexcept
    cdef void fill(self, SortKey* keys, SortKey* scratch) noexcept nogil


cdef bint sort_keys(SortKey* keys, SortKey* scratch, const Py_ssize_t count) noexcept nogil
