"""Ledger: the accounts of one shard of clients. See ledger.pyx."""

from libc.stdint cimport uint32_t, uint64_t

from txfast.batch.batch cimport TransactionBatch
from txfast.ledger.account_table cimport AccountTable
from txfast.ledger.sums cimport WideSum
from txfast.ledger.entries cimport LOG_COUNT, Log
from txfast.ledger.index cimport Index

cdef class Ledger:
    cdef AccountTable table
    cdef Log[LOG_COUNT] logs
    cdef Index index
    cdef uint64_t entries_expected  # in all; 0 where nobody knows
    cdef uint64_t memory_limit  # bytes that its growth should stay within; 0 where there is no limit
    cdef bint prefetch_second_homes  # since the pattern of ids leads many transactions there
    # Rows by kind and status: [kind * STATUS_COUNT + status].
    cdef uint64_t[::1] counts
    # What came in by deposits less what went out by withdrawals and chargebacks.
    cdef WideSum balance

    cdef uint64_t count_entries(self) noexcept nogil
    cdef uint64_t applied_rows(self) noexcept
    cdef int reserve_rows(self, Py_ssize_t rows) except -1
    cdef uint64_t* clients_by_number(self) except NULL
    cdef uint64_t bytes_at(
        self, uint64_t accounts, uint64_t deposits, uint64_t withdrawals, uint64_t capacity,
    ) noexcept nogil
    cdef bint reserve_index(self, const uint64_t entries) noexcept nogil
    cdef bint rebuild_index(self, const uint64_t capacity) noexcept nogil
    cdef void apply_rows(self, TransactionBatch batch, const uint32_t* routed, const Py_ssize_t count) noexcept nogil
