"""RunCursor: reads the rows of a run forward, or looks for rows in it. See run_cursor.pyx.

`Cursor` is the C side of it, so that several can be used without the GIL.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from txfast.store.segment cimport OpenSegment
from txfast.store.segment_page cimport SegmentPage
from txfast.store.segment_row cimport RowKey, SegmentRow

cdef struct Cursor:
    # The row that the last call has found, until the next call; its texts are in the page.
    SegmentRow row
    OpenSegment** run
    Py_ssize_t segment_count
    # Where it is: in which segment, at which of its pages, at which row.
    Py_ssize_t at_segment
    int64_t at_page
    int32_t at_row
    bint has_page  # this page is in `page`
    bint is_on_row  # `row` is this row; else this row is the next one
    bint drops_read  # the system need not keep pages in memory that were read
    SegmentPage* page

cdef class RunCursor:
    cdef const SegmentRow* row  # of `cursor`
    cdef Cursor cursor
    cdef list segments

    # Go to before the first row whose client's word is this one or greater; any place, also back.
    cdef int begin(self, const uint64_t from_word) except -1 nogil
    # Go to the next row: 1, and 0 at the end.
    cdef int next(self) except -1 nogil
    # Go to the first row from this one on with this key or a greater one: 1, and 0 at the end. Never back.
    cdef int seek(self, const SegmentRow* key) except -1 nogil
    # The same; 1 where the row has this key.
    cdef int find(self, const SegmentRow* key) except -1 nogil
    # Set those of `possible` to 0 whose keys no segment has; those that are 0 already are not looked for. Keys are in
    # order. It does not move the cursor, as `advise`.
    cdef int probe(self, const RowKey* keys, uint8_t* possible, const Py_ssize_t count) except -1 nogil
    # Ask the system for the pages where those of these keys are that are wanted, so that `seek` does not wait for each.
    cdef int advise(self, const RowKey* keys, const uint8_t* wanted, const Py_ssize_t count) except -1 nogil


# What the methods do.
cdef int begin_at(Cursor* cursor, const uint64_t from_word) except -1 nogil
cdef int go_to_next(Cursor* cursor) except -1 nogil
cdef int seek_row(Cursor* cursor, const SegmentRow* key) except -1 nogil
