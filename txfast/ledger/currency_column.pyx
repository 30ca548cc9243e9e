"""CurrencyColumn: a saved column of codes of currencies, as Arrow has texts: where each begins, and the bytes of all.

It comes from a file and is not trusted. A state has codes; their numbers are those of the run that reads it.

This module must not know files or formats; it reads buffers.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from txfast.dialect.currencies cimport CODE_BYTES_MAX, CurrencyCode, KnownCodes, check_codes, make_code, number_of
from txfast.ledger.buffers cimport column


cdef class CurrencyColumn:
    """A column of `rows` codes: `offsets` has 32 bits for each, and for the end of the last one; `texts` the bytes of
    all. Codes that `currencies` do not have yet are added to them.

    Raises ValueError for offsets that are out of order or outside of the texts, and for a text that is no code;
    CapacityError where the currencies are too many, and MemoryError.
    """

    def __cinit__(
        self, currencies not None, Py_ssize_t rows, const uint8_t[::1] offsets not None,
        const uint8_t[::1] texts not None,
    ):
        cdef const int32_t* given = <const int32_t*>column(offsets, (rows + 1) * sizeof(int32_t))
        cdef Py_ssize_t text_bytes = texts.shape[0], row = 0
        cdef const uint8_t* text = &texts[0] if text_bytes else NULL
        cdef KnownCodes known
        cdef CurrencyCode code
        cdef int64_t start = 0, length
        cdef bint is_code = given[0] == 0
        memset(&known, 0, sizeof(KnownCodes))
        known.currencies = <void*>currencies
        self.currencies = currencies
        self.rows = rows
        self.numbers = <uint16_t*>malloc((rows + 1) * sizeof(uint16_t))
        if self.numbers == NULL:
            raise MemoryError(f"no memory for a column of {rows} currencies")
        with nogil:
            while is_code and row < rows:
                length = given[row + 1] - start
                is_code = start + length <= text_bytes and make_code(text + start, length, &code)
                if is_code:
                    self.numbers[row] = number_of(&known, code)
                    start += length
                    row += 1
        if not is_code:
            raise ValueError(f"row {row} has no currency, which is a text of 1 to {CODE_BYTES_MAX} bytes")
        check_codes(&known)

    def __dealloc__(self):
        free(self.numbers)
