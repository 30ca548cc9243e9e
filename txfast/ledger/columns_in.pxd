"""LedgerRestorer: makes a ledger of saved columns. See columns_in.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from txfast.ledger.ledger cimport Ledger
from txfast.ledger.proof cimport Proof
from txfast.ledger.shard cimport shard_of
from txfast.ledger.text_columns cimport EntryIds

cdef class LedgerRestorer:
    cdef readonly Ledger ledger
    cdef bint has_names  # clients are texts
    cdef readonly uint32_t shard
    cdef readonly uint32_t shard_count
    cdef bint prefetch_second_homes  # many of the last rows were there
    cdef Proof* proofs  # by the number of the account; NULL before the first entries

    cdef int refuse(self, const EntryIds* ids, Py_ssize_t row, int refusal) except -1
    cdef Py_ssize_t count_rows(self, const uint64_t* client, const Py_ssize_t rows) noexcept nogil
    cdef int reserve(self, const EntryIds* ids, const uint8_t* kind, const Py_ssize_t rows) except -1
    cdef int append_rows(
        self, const EntryIds* ids, const int64_t* amount, const uint8_t* kind, const uint8_t* state,
        const Py_ssize_t rows, Py_ssize_t* refused,
    ) noexcept nogil
    cdef int keep_standing(self, uint64_t several) except -1


cdef inline bint is_own(LedgerRestorer restorer, const uint64_t client) noexcept nogil:
    """Whether a client belongs to the restorer's shard."""
    return restorer.shard_count == 1 or shard_of(client, restorer.shard_count) == restorer.shard
