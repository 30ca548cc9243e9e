"""AccountColumns: the accounts of some ledgers, sorted by client. See sorted_accounts.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint16_t

from txfast.ledger.key_order cimport SortKey
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.name_order cimport NamedAccount
from txfast.ledger.sums cimport WideSum
from txfast.ledger.texts cimport TextArena

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
    cdef const int64_t* held  # units of the last decimal
    cdef const uint8_t* locked
    cdef readonly bint has_names  # clients are texts
    cdef readonly object currencies  # the run's, where accounts have one; else None
    cdef uint16_t* currency  # its number, of each account
    cdef TextArena** names  # where their names are, by ledger
    cdef Py_ssize_t names_count
    cdef WideSum available_sum
    cdef WideSum held_sum
    cdef readonly Py_ssize_t locked_count

    cdef int make_room(self, Py_ssize_t count) except -1
    cdef Py_ssize_t take_keys(self, Ledger ledger, SortKey* keys) noexcept
    cdef void fill(self, SortKey* keys, SortKey* scratch) noexcept nogil
    cdef int sort_numbers(self, ledgers) except -1
    cdef int sort_texts(self, ledgers) except -1
    cdef int sort_numbers_of_currencies(self, ledgers) except -1
    cdef int take_currencies(self, currencies, Py_ssize_t count) except -1
    cdef int finish(self, NamedAccount* named) except -1
    cdef int sort_currencies(self, NamedAccount* named) except -1
    cdef int share_names(self, AccountColumns other) except -1
    cdef void fill_named(self, const NamedAccount* named) noexcept nogil
    cdef object client_at(self, Py_ssize_t index)
    cdef int order_of(self, Py_ssize_t index, client, currency) except? -2


cdef void sort_names(
    NamedAccount* named, NamedAccount* in_order, SortKey* keys, SortKey* scratch, const Py_ssize_t count,
    const Py_ssize_t depth,
) noexcept nogil
