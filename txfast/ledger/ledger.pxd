"""Ledger: the accounts of one shard of clients, and everything that was applied to them. See ledger.pyx."""

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
    cdef uint64_t entries_expected  # in total; 0 for unknown
    cdef uint64_t memory_limit  # bytes; 0 for no limit
    cdef bint prefetch_second_homes  # many transactions of the last batch were there
    cdef uint64_t[::1] counts  # rows by kind and status: [kind * STATUS_COUNT + status]
    cdef WideSum balance  # applied deposits less withdrawals and chargebacks, in units of 0.0001

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
