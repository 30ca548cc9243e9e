"""BalanceRows: rows of a file of balances as columns. See balance_rows.pyx."""

from libc.stdint cimport int64_t, uint64_t

cdef enum:
    VALUE_COUNT = 4  # available, held and total in units of 0.0001; locked, 0 or 1

cdef class BalanceRows:
    cdef uint64_t* client
    cdef int64_t* values[VALUE_COUNT]  # NULL where the file has no such column
    cdef bint[VALUE_COUNT] has
    cdef readonly Py_ssize_t rows
    cdef Py_ssize_t capacity
    cdef readonly uint64_t next_line  # of the row that comes next, where no line is passed over
    # Where lines do not follow each other: the row, and its line.
    cdef list breaks

    cdef int reserve(self, Py_ssize_t rows) except -1
