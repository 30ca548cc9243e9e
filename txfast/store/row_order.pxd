"""Sorts rows of a state by their words. See row_order.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from txfast.ledger.key_order cimport SortKey
from txfast.store.segment_row cimport SegmentRow

# Makes the ids and the words of the row that a key's content names; a text may be in `room`, of ID_ROOM_BYTES.
ctypedef void (*MakeRow)(const void* context, const int64_t content, SegmentRow* row, uint8_t* room) noexcept nogil

# What is asked of the rows that keys name.
cdef struct RowOrder:
    const void* context
    # Starts loading what the next two read.
    void (*look_ahead)(const void* context, const int64_t content) noexcept nogil
    uint64_t (*tx_word_of)(const void* context, const int64_t content) noexcept nogil  # NULL: rows have no transactions
    MakeRow make_ids  # NULL: rows with the same words are the same

cdef void sort_rows(
    SortKey* keys, SortKey* scratch, const Py_ssize_t count, const RowOrder* order,
) noexcept nogil
cdef void sort_client(
    SortKey* keys, SortKey* scratch, const Py_ssize_t count, const RowOrder* order,
) noexcept nogil
