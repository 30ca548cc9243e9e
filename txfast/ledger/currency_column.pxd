"""CurrencyColumn: a saved column of the codes of currencies. See currency_column.pyx."""

from libc.stdint cimport uint16_t

cdef class CurrencyColumn:
    cdef object currencies
    cdef uint16_t* numbers  # of the codes, in the run
    cdef Py_ssize_t rows


cdef inline int take_currencies(
    const uint16_t** numbers, const Py_ssize_t rows, CurrencyColumn given, currencies,
) except -1:
    """Read a column of `rows` codes, whose numbers must be those of `currencies`. Raises ValueError."""
    if given.rows != rows or given.currencies is not currencies:
        raise ValueError(f"a column of {given.rows} currencies, where {rows} of the ledger's are needed")
    numbers[0] = given.numbers
    return 0
