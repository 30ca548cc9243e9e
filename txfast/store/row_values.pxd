"""Rows of segments as tuples of Python values. See row_values.pyx."""

from libc.stdint cimport uint8_t

from txfast.batch.ids cimport ID_ROOM_BYTES
from txfast.store.segment_form cimport SegmentForm
from txfast.store.segment_row cimport SegmentRow

# The texts of a row.
cdef struct RowRoom:
    uint8_t[ID_ROOM_BYTES] client
    uint8_t[ID_ROOM_BYTES] tx

cdef int read_values(SegmentRow* row, const SegmentForm* form, tuple values, RowRoom* room) except -1
cdef tuple values_of(const SegmentRow* row, const SegmentForm* form)
