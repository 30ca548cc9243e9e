"""Rows of a state that a ledger makes: of its accounts and of its entries. See ledger_rows.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from txfast.dialect.currencies cimport CurrencyCode
from txfast.ledger.shard cimport shard_word
from txfast.store.active cimport Active, NumberedAccount
from txfast.store.segment_row cimport SegmentRow

# A ledger whose rows are written; nothing may be prefetched or applied meanwhile.
cdef struct SealedLedger:
    const Active* active
    CurrencyCode* codes  # by the numbers of currencies; NULL where accounts have none

cdef int open_sealed(SealedLedger* ledger, Active* active, currencies) except -1
cdef void close_sealed(SealedLedger* ledger) noexcept nogil
cdef void make_account_row(const void* context, const int64_t content, SegmentRow* row, uint8_t* room) noexcept nogil
cdef void look_ahead_to_account(const void* ledgers, const int64_t content) noexcept nogil
cdef void look_nearer_to_account(const void* ledgers, const int64_t content) noexcept nogil
cdef void look_ahead_to_entry(const void* ledgers, const int64_t content) noexcept nogil
cdef void look_nearer_to_entry(const void* ledgers, const int64_t content) noexcept nogil
cdef uint64_t tx_word_of(const void* context, const int64_t content) noexcept nogil
cdef void make_entry_ids(const void* context, const int64_t content, SegmentRow* row, uint8_t* room) noexcept nogil
cdef void make_entry_row(const void* context, const int64_t content, SegmentRow* row, uint8_t* room) noexcept nogil


# The content of a sort key: which ledger, and the number of the account, or the position of the entry.

cdef inline int64_t content_of(const Py_ssize_t ledger, const uint32_t place) noexcept nogil:
    return <int64_t>ledger << 32 | place


cdef inline const SealedLedger* ledger_of(const void* ledgers, const int64_t content) noexcept nogil:
    return &(<const SealedLedger*>ledgers)[content >> 32]


cdef inline uint64_t word_of(const NumberedAccount* account) noexcept nogil:
    """The word of the account's client."""
    return shard_word(account.client)
