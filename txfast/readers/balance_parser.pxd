"""BalanceParser: parses rows of balances. See balance_parser.pyx."""

from libc.stdint cimport uint8_t, uint64_t

from txfast.dialect.currencies cimport KnownCodes
from txfast.readers.balance_row cimport RowsForm
from txfast.readers.balance_rows cimport BalanceRows

cdef class BalanceParser:
    cdef str name
    cdef object contents
    cdef object form
    cdef object compiled  # keeps the meaning alive
    cdef bint of_table
    cdef RowsForm rows_form
    cdef KnownCodes known
    cdef readonly BalanceRows rows

    cdef int cut_by(self, const uint8_t delimiter) except -1
    cdef int take(self, const uint8_t* row, const uint8_t* end) except -1
    cdef object wrong_row(self, uint64_t line, int wrong, bytes row)
    cdef str what_is_wrong(self, int wrong)
    cdef str what_is_wrong_with(self, int wrong, str name)
