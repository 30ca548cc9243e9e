"""The codes of a run's currencies by their numbers, for rows that have codes where a ledger has numbers."""

from libc.stdint cimport uint8_t
from libc.stdlib cimport malloc

from txfast.dialect.currencies cimport CurrencyCode, make_code


cdef inline int take_codes(
    CurrencyCode** codes,  # OUT an array for the caller to free
    currencies,  # IN the run's
) except -1:
    """Take the codes of all currencies that the run has met. Raises MemoryError."""
    cdef Py_ssize_t count = len(currencies), number
    cdef bytes code
    codes[0] = <CurrencyCode*>malloc((count + 1) * sizeof(CurrencyCode))
    if codes[0] == NULL:
        raise MemoryError(f"no memory for the codes of {count} currencies")
    for number in range(count):
        code = currencies.codes[number]
        make_code(<const uint8_t*>code, len(code), &codes[0][number])
    return 0
