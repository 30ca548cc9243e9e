"""BalanceRows: rows of a file of balances as columns. See balance_rows.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t

cdef enum:
    VALUE_COUNT = 4  # available, held and total in units of the last decimal; locked, 0 or 1

cdef class BalanceRows:
    cdef uint64_t* client  # of a text its hash
    cdef readonly object currencies  # the run's; None where accounts have none
    cdef uint16_t* currency  # their numbers; NULL where accounts have none
    cdef int64_t* values[VALUE_COUNT]  # NULL where the file has no such column
    cdef bint[VALUE_COUNT] has
    cdef readonly Py_ssize_t rows
    cdef Py_ssize_t capacity
    cdef readonly uint64_t next_line  # of the row that comes next, where no line is passed over
    # Where lines do not follow each other: the row, and its line.
    cdef list breaks
    cdef readonly bint has_names  # clients are texts
    # Their names, each with its length before it, one after the other; and where each begins.
    cdef uint8_t* names
    cdef uint64_t* name_start
    cdef Py_ssize_t names_end
    cdef Py_ssize_t names_capacity

    cdef int reserve_row(self) except -1
    cdef const uint8_t* name_at(self, const Py_ssize_t row) noexcept nogil
