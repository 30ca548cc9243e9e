"""RunSearch: finds sought rows in one run, in the order of both.

This module must not know what is done with the rows that are found.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from txfast.store.run_cursor cimport RunCursor
from txfast.store.segment_row cimport SegmentRow
from txfast.store.sought cimport SoughtRows, make_sought_row
from txfast.text.bits cimport prefetch

cdef enum:
    AHEAD_KEYS = 8

# Where a run has fewer rows than this for each that is sought, most pages are read anyway, and it takes less time to
# look at them than to ask the filters.
cdef uint64_t DENSE_ROWS = 8


cdef class RunSearch:
    """A search for the sought rows that are left in a run: a sequence of Segments. After `begin`, `find_next` goes from
    one that the run has to the next; after the last one, those that the run does not have are left."""

    def __cinit__(self, run, SoughtRows sought not None):
        self.cursor = RunCursor(run)
        self.sought = sought
        self.is_dense = sum([segment.rows for segment in run]) < DENSE_ROWS * sought.left

    cdef int begin(self) except -1 nogil:
        """Ask which rows the run may have, and have the system read ahead where they are. Raises StateError,
        SourceError and MemoryError."""
        memset(self.sought.possible, 1, self.sought.left)
        if not self.is_dense:
            self.cursor.probe(self.sought.words, self.sought.possible, self.sought.left)
        self.cursor.advise(self.sought.words, self.sought.possible, self.sought.left)
        return 0

    cdef bint find_next(self) except? 0 nogil:
        """Find the next row that the run has: `cursor` is then at it. False where there is no other one. Raises as
        `begin`."""
        cdef SegmentRow row
        cdef int64_t content
        while self.next < self.sought.left:
            if self.next + AHEAD_KEYS < self.sought.left and self.sought.sought.rows != NULL:
                prefetch(&self.sought.sought.rows[self.sought.keys[self.next + AHEAD_KEYS].content])
            if self.sought.possible[self.next]:
                content = self.sought.keys[self.next].content
                make_sought_row(&row, &self.sought.sought, content)
                if self.cursor.find(&row):
                    self.found = content
                    self.next += 1
                    return True
            self.sought.keys[self.kept] = self.sought.keys[self.next]
            self.sought.words[self.kept] = self.sought.words[self.next]
            self.kept += 1
            self.next += 1
        self.sought.left = self.next = self.kept
        return False
