"""DifferenceColumns: some differences between accounts as columns. See difference_columns.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t

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
    cdef uint64_t[DIFFERENCES_MAX] client  # of a text the address of its length, which its bytes follow
    cdef uint16_t[DIFFERENCES_MAX] currency  # its number, where accounts have one
    cdef uint8_t[DIFFERENCES_MAX] differs
    cdef int64_t[DIFFERENCES_MAX] expected
    cdef int64_t[DIFFERENCES_MAX] found
    cdef readonly Py_ssize_t rows
    cdef readonly bint has_names  # clients are texts
    cdef readonly object currencies  # the run's; None where accounts have none
    cdef int decimals  # of amounts
    cdef uint64_t scale  # 10 to the power of `decimals`

    cdef bytes lines(
        self, bytes start, bytes currency, bytes column, bytes expected, bytes found, bytes end, bint is_json,
    )
    cdef uint8_t* write_client(self, uint8_t* out, const Py_ssize_t row, const bint is_json) noexcept
    cdef uint8_t* write_value(self, uint8_t* out, const int differs, const int64_t value) noexcept
    cdef str text_of(self, const int differs, const int64_t value)
    cdef list client_names(self)


cdef inline void add_difference(
    DifferenceColumns out, const uint64_t client, const uint16_t currency, const Differs differs,
    const int64_t expected, const int64_t found,
) noexcept nogil:
    """Append a difference, for which there is room."""
    out.client[out.rows] = client
    out.currency[out.rows] = currency
    out.differs[out.rows] = differs
    out.expected[out.rows] = expected
    out.found[out.rows] = found
    out.rows += 1
