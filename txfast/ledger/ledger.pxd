"""Ledger: the accounts of one shard of clients, and everything that was applied to them. See ledger.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from txfast.batch.batch cimport TransactionBatch
from txfast.ledger.account_table cimport AccountTable
from txfast.ledger.sums cimport WideSum
from txfast.ledger.details cimport Details
from txfast.ledger.entries cimport LOG_COUNT, Log
from txfast.ledger.index cimport Index
from txfast.ledger.load cimport IdKinds
from txfast.ledger.policy cimport Policy
from txfast.ledger.rules cimport Account, Status

cdef class Ledger:
    cdef AccountTable table
    cdef Log[LOG_COUNT] logs
    cdef Index index
    cdef uint64_t entries_expected  # in total; 0 for unknown
    cdef uint64_t memory_limit  # bytes; 0 for no limit
    cdef bint prefetch_second_homes  # many transactions of the last batch were there
    cdef uint64_t[::1] counts  # rows by kind and status: [kind * STATUS_COUNT + status]
    cdef object currencies  # the run's; None where accounts have none
    # What applied rows have added to all totals, in units of the last decimal, by currency: at least one.
    cdef WideSum* balances
    cdef Py_ssize_t balance_count
    cdef Details details
    cdef Policy policy
    cdef bint has_policy  # it is not the default one
    cdef IdKinds id_kinds  # which ids are texts, and whether accounts have currencies
    cdef readonly uint64_t unread_amounts  # applied disputes with another amount than they moved, which was ignored

    cdef uint64_t count_entries(self) noexcept nogil
    cdef uint64_t applied_rows(self) noexcept
    cdef int reserve_rows(self, Py_ssize_t rows, uint64_t text_bytes=*) except -1
    cdef int check_names(self, uint64_t name_bytes) except -1
    cdef const Account* find_account(self, client, uint16_t currency) except? NULL
    cdef int reserve_balances(self) except -1
    cdef bint reserve_index(self, const uint64_t entries) noexcept nogil
    cdef bint rebuild_index(self, const uint64_t capacity) noexcept nogil
    cdef int reserve_detailed(self, uint64_t count) except -1
    cdef void apply_by_policy(self, TransactionBatch batch, const uint32_t* routed, Py_ssize_t rows) noexcept nogil
    cdef void apply_by_default(self, TransactionBatch batch, const uint32_t* routed, Py_ssize_t rows) noexcept nogil
    cdef void apply_texts(self, TransactionBatch batch, const uint32_t* routed, Py_ssize_t rows) noexcept nogil
    cdef void apply_currencies(self, TransactionBatch batch, const uint32_t* routed, Py_ssize_t rows) noexcept nogil
    cdef void apply_any(self, TransactionBatch batch, const uint32_t* routed, Py_ssize_t rows) noexcept nogil
    cdef uint64_t bytes_with_rows(
        self, const uint64_t rows, const uint64_t detailed, const uint64_t text_bytes,
    ) noexcept nogil
    cdef uint64_t most_details(self, TransactionBatch batch, const Py_ssize_t rows) noexcept nogil
