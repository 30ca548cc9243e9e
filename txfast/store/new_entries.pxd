"""NewEntries: the entries of ledgers that the state does not have, in order. See new_entries.pyx."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from txfast.ledger.key_order cimport SortKey
from txfast.store.ledger_rows cimport SealedLedger
from txfast.store.row_order cimport RowOrder
from txfast.store.segment_writer cimport RunWriter

cdef class NewEntries:
    cdef SealedLedger* ledgers  # borrowed
    cdef Py_ssize_t ledger_count
    cdef RowOrder account_order
    cdef RowOrder entry_order
    # The accounts of a range, in order; those of each have their positions one after the other.
    cdef SortKey* keys
    cdef SortKey* scratch
    cdef uint64_t key_capacity
    cdef Py_ssize_t accounts
    cdef uint32_t* positions
    cdef uint64_t position_capacity
    # The entry whose columns begin to load: its account, and its place among the positions.
    cdef Py_ssize_t account_ahead
    cdef uint64_t place_ahead
    # To sort the entries of one account.
    cdef SortKey* group
    cdef SortKey* group_scratch
    cdef uint64_t group_capacity

    cdef list ranges(self, const uint64_t keys_max)
    cdef int write(self, RunWriter writer, const uint64_t first, const uint64_t last) except -1 nogil
    cdef int take_accounts(self, const uint64_t first, const uint64_t last) except -1 nogil
    cdef int take_positions(self, const uint64_t first, const uint64_t last) except -1 nogil
    cdef int write_account(
        self, RunWriter writer, const Py_ssize_t ledger, const uint64_t start, const uint64_t end,
    ) except -1 nogil
    cdef uint64_t end_of(self, const Py_ssize_t account) noexcept nogil
    cdef int write_client(
        self, RunWriter writer, const Py_ssize_t first, const Py_ssize_t end, const uint64_t start,
    ) except -1 nogil
    cdef void take_group(
        self, const Py_ssize_t ledger, const uint64_t start, const uint64_t end, uint64_t taken,
    ) noexcept nogil
    cdef int write_group(self, RunWriter writer, const uint64_t start, const uint64_t count) except -1 nogil
    cdef int write_entry(self, RunWriter writer, const int64_t content) except -1 nogil
    cdef int reserve_group(self, const uint64_t count) except -1 nogil
    cdef void look_ahead(self, const uint64_t place) noexcept nogil


cdef NewEntries new_entries(SealedLedger* ledgers, const Py_ssize_t count, const bint ids_decide)
