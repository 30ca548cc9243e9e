"""DifferenceColumns: some differences between accounts as columns. See difference_columns.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint64_t

cdef enum:
    # More differences than this are never in it at once.
    DIFFERENCES_MAX = 1 << 14

# What differs. Values of ACCOUNT are 1 where there is one, else 0; so are those of LOCKED where it is.
cdef enum Differs:
    ACCOUNT = 0
    AVAILABLE
    HELD
    TOTAL
    LOCKED
    DIFFERS_COUNT

cdef class DifferenceColumns:
    cdef uint64_t[DIFFERENCES_MAX] client
    cdef uint8_t[DIFFERENCES_MAX] differs
    cdef int64_t[DIFFERENCES_MAX] expected
    cdef int64_t[DIFFERENCES_MAX] found
    cdef readonly Py_ssize_t rows

    cdef bytes lines(self, bytes start, bytes column, bytes expected, bytes found, bytes end)


cdef inline void add_difference(
    DifferenceColumns out, const uint64_t client, const Differs differs, const int64_t expected, const int64_t found,
) noexcept nogil:
    """Append a difference, for which there is room."""
    out.client[out.rows] = client
    out.differs[out.rows] = differs
    out.expected[out.rows] = expected
    out.found[out.rows] = found
    out.rows += 1
