"""RunSearch: finds sought rows in one run. See run_search.pyx."""

from libc.stdint cimport int64_t

from txfast.store.run_cursor cimport Cursor, RunCursor
from txfast.store.segment cimport Segment
from txfast.store.sought cimport SoughtRows

cdef class RunSearch:
    cdef RunCursor cursor
    cdef SoughtRows sought
    cdef bint is_dense  # many of its rows are sought
    cdef Py_ssize_t next  # of the keys that are left: the next one to look for
    cdef Py_ssize_t kept  # keys that were not found
    cdef int64_t found  # the place in `sought` of the row that `cursor` is at

    cdef int begin(self) except -1 nogil
    cdef bint find_next(self) except? 0 nogil


cdef inline str place_of(const Cursor* cursor):
    """The beginning of a message: the file of the row where a cursor is is damaged, and in which page the row is."""
    segment = <Segment>cursor.run[cursor.at_segment].owner
    return f"{segment.path}: is damaged: page {cursor.at_page + 1}"
