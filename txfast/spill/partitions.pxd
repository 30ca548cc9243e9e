"""Partitions: rows and ledgers, divided by client into slices. See partitions.pyx."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from txfast.batch.batch cimport TransactionBatch
from txfast.ledger.hash cimport HashKey, hash_client
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.load cimport IdForm
from txfast.ledger.shard cimport shard_of
from txfast.text.bits cimport multiply_high

cdef struct Partition:
    uint8_t* buffer  # records that are not written yet; NULL once the partitions are finished
    Py_ssize_t filled  # bytes of the buffer
    uint64_t last_tx
    # The records that it was given so far.
    uint64_t rows
    uint64_t accounts
    uint64_t entries

cdef class Partitions:
    cdef HashKey key
    cdef bint by_shard
    cdef IdForm form  # of all ids
    cdef Py_ssize_t record_bytes_max
    cdef Partition* partitions
    cdef readonly uint32_t count
    cdef Py_ssize_t buffer_bytes
    cdef object write

    cdef Partition* partition_at(self, uint32_t number) except NULL
    cdef int check_open(self) except -1
    cdef int make_room(self, uint32_t number) except -1
    cdef int write_buffer(self, uint32_t number) except -1
    cdef Py_ssize_t put_rows(
        self, TransactionBatch batch, const uint32_t* routed, Py_ssize_t index, Py_ssize_t rows, uint32_t* full,
    ) noexcept nogil
    cdef uint64_t put_accounts(self, Ledger ledger, uint64_t slot, uint32_t* full) noexcept nogil
    cdef uint64_t put_entries(
        self, Ledger ledger, int kind, const uint64_t* clients, const uint16_t* currencies, uint64_t entry,
        uint32_t* full,
    ) noexcept nogil


cdef inline uint32_t partition_of(Partitions partitions, const uint64_t client) noexcept nogil:
    """The partition that a client belongs to: a number, or the hash of a text."""
    if partitions.by_shard:
        return shard_of(client, partitions.count)
    return <uint32_t>multiply_high(hash_client(&partitions.key, client), partitions.count)
