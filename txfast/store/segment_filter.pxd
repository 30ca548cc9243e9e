"""What is asked of a segment before its pages: which keys it may have, and that pages be read ahead. See
segment_filter.pyx."""

from libc.stdint cimport uint8_t

from txfast.store.segment cimport OpenSegment
from txfast.store.segment_row cimport RowKey

cdef int probe_keys(
    OpenSegment* segment, const RowKey* keys, uint8_t* possible, const Py_ssize_t count,
) except -1 nogil
cdef int advise_pages(
    OpenSegment* segment, const RowKey* keys, const uint8_t* wanted, const Py_ssize_t count,
) except -1 nogil
