"""RunMerge: the rows of several runs in order, of equal keys the newest alone. See run_merge.pyx."""

from libc.stdint cimport uint64_t

from txfast.store.run_cursor cimport Cursor
from txfast.store.segment_row cimport SegmentRow

# A run that is not at its end: the words of its next row.
cdef struct MergedRun:
    uint64_t client_word
    uint64_t tx_word
    Py_ssize_t age  # 0 for the newest run
    Cursor* cursor

cdef class RunMerge:
    # The row that `next` has found, until its next call.
    cdef const SegmentRow* row
    cdef list cursors
    cdef MergedRun* heap  # the least row first
    cdef Py_ssize_t count
    cdef uint64_t first_word
    cdef uint64_t last_word
    cdef bint is_begun

    # Go to the next row: 1, and 0 at the end.
    cdef int next(self) except -1 nogil
    cdef int begin(self) except -1 nogil
    cdef int advance(self, const Py_ssize_t place) except -1 nogil
    cdef void sift_down(self, Py_ssize_t place) noexcept nogil
