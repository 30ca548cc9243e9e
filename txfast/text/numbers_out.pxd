"""Numbers as text, eight digits at a time. Each function returns where the text ends.

They write whole words: up to 8 bytes behind the text that they return must be there to be overwritten.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from txfast.text.bits cimport lowest_bit

cdef enum:
    # Sign, 15 digits, point and 4 decimals.
    AMOUNT_BYTES_MAX = 21
    NUMBER_BYTES_MAX = 20


cdef inline uint64_t split_digits(const uint64_t number) noexcept nogil:
    """The eight digits of a number below 10^8, the first in the lowest byte."""
    # Halves of four digits, then quarters of two, then single digits, each step in all parts at once; the
    # multiplications divide by 100 and 10, exactly for parts of these sizes.
    cdef uint64_t halves = number // 10_000 + ((number % 10_000) << 32)
    cdef uint64_t hundreds = ((halves * 10_486) >> 20) & <uint64_t>0x0000007F0000007F
    cdef uint64_t quarters = hundreds + ((halves - 100 * hundreds) << 16)
    cdef uint64_t tens = ((quarters * 103) >> 10) & <uint64_t>0x000F000F000F000F
    return tens + ((quarters - 10 * tens) << 8)


cdef inline uint8_t* write_eight_digits(uint8_t* out, const uint64_t number) noexcept nogil:
    """All eight digits of a number below 10^8, with leading zeros."""
    cdef uint64_t text = split_digits(number) | <uint64_t>0x3030303030303030
    memcpy(out, &text, 8)
    return out + 8


cdef inline uint8_t* write_number(uint8_t* out, const uint64_t number) noexcept nogil:
    cdef uint64_t digits
    cdef int leading
    if number >= 100_000_000:
        return write_eight_digits(write_number(out, number // 100_000_000), number % 100_000_000)
    digits = split_digits(number)
    # The last digit stays, also where it is 0.
    leading = lowest_bit(digits | <uint64_t>1 << 56) & ~7
    digits = (digits | <uint64_t>0x3030303030303030) >> leading
    memcpy(out, &digits, 8)
    return out + 8 - (leading >> 3)


cdef inline uint8_t* write_amount(uint8_t* out, const int64_t units) noexcept nogil:
    """An amount in units of 0.0001, with its four decimals."""
    cdef uint64_t magnitude = <uint64_t>units if units >= 0 else 0 - <uint64_t>units
    cdef uint64_t decimals
    out[0] = c'-'
    out = write_number(out + (units < 0), magnitude // 10_000)
    out[0] = c'.'
    decimals = (split_digits(magnitude % 10_000) | <uint64_t>0x3030303030303030) >> 32
    memcpy(out + 1, &decimals, 4)
    return out + 5
