"""AccountColumns: the accounts of some ledgers, sorted. See columns.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from txfast.ledger.sums cimport WideSum
from txfast.ledger.ledger cimport Ledger

# What is sorted: a client, with what is available (units of 0.0001) or with the address of its account.
cdef struct SortKey:
    uint64_t client
    int64_t content

cdef class AccountColumns:
    # Two arrays that sorting needs and the columns then lie in: another would cost more to provide than to fill.
    cdef SortKey* keys
    cdef SortKey* scratch
    # The accounts that hold something or are locked, by their addresses. Most are neither, and those are not looked
    # up again once they are sorted: that would cost a cache miss for each.
    cdef SortKey* marked
    cdef Py_ssize_t marked_count
    cdef Py_ssize_t count
    cdef const SortKey* balances  # each with what is available
    cdef const int64_t* held  # units of 0.0001
    cdef const uint8_t* locked
    cdef WideSum available_sum
    cdef WideSum held_sum
    cdef readonly Py_ssize_t locked_count

    cdef int make_room(self, Py_ssize_t count) except -1
    cdef Py_ssize_t take_keys(self, Ledger ledger, SortKey* keys) noexcept
    cdef void fill(self, SortKey* keys, SortKey* scratch) noexcept nogil
