"""Numbers as text, eight digits at a time. Each function writes at `out` and returns the end of its text.

They write whole words: up to WORD_BYTES after that end are overwritten too.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from txfast.text.bits cimport lowest_bit

cdef enum:
    # Sign, 15 digits, point and 4 decimals.
    AMOUNT_BYTES_MAX = 21
    NUMBER_BYTES_MAX = 20
    EIGHT_DIGITS = 100_000_000
    SIXTEEN_DIGITS = 10_000_000_000_000_000


cdef inline uint64_t split_digits(const uint64_t number) noexcept nogil:
    """The eight digits of a number below 10^8, one a byte, the first in the lowest byte."""
    # Halves of four digits, then quarters of two, then single digits, each step in all parts at once. The
    # multiplications divide by 100 and 10; they are exact for numbers of these sizes.
    cdef uint64_t halves = number // 10_000 + ((number % 10_000) << 32)
    cdef uint64_t hundreds = ((halves * 10_486) >> 20) & <uint64_t>0x0000007F0000007F
    cdef uint64_t quarters = hundreds + ((halves - 100 * hundreds) << 16)
    cdef uint64_t tens = ((quarters * 103) >> 10) & <uint64_t>0x000F000F000F000F
    return tens + ((quarters - 10 * tens) << 8)


cdef inline uint8_t* write_eight_digits(uint8_t* out, const uint64_t number) noexcept nogil:
    """A number below 10^8 as eight digits, with leading zeros."""
    cdef uint64_t text = split_digits(number) | <uint64_t>0x3030303030303030
    memcpy(out, &text, 8)
    return out + 8


cdef inline uint8_t* write_short_number(uint8_t* out, const uint64_t number) noexcept nogil:
    """A number below 10^8, without leading zeros."""
    cdef uint64_t digits = split_digits(number)
    # The last digit stays, also where it is 0.
    cdef int leading = lowest_bit(digits | <uint64_t>1 << 56) & ~7
    digits = (digits | <uint64_t>0x3030303030303030) >> leading
    memcpy(out, &digits, 8)
    return out + 8 - (leading >> 3)


cdef inline uint8_t* write_number(uint8_t* out, const uint64_t number) noexcept nogil:
    """Any number, without leading zeros: at most NUMBER_BYTES_MAX bytes."""
    cdef uint64_t first_digits = number
    if number >= EIGHT_DIGITS:
        first_digits = number // EIGHT_DIGITS
        if number >= SIXTEEN_DIGITS:
            first_digits = number // SIXTEEN_DIGITS
    out = write_short_number(out, first_digits)
    if number >= EIGHT_DIGITS:
        if number >= SIXTEEN_DIGITS:
            out = write_eight_digits(out, number // EIGHT_DIGITS % EIGHT_DIGITS)
        out = write_eight_digits(out, number % EIGHT_DIGITS)
    return out


cdef inline uint8_t* write_amount_of(
    uint8_t* out, const int64_t units, const int decimals, const uint64_t scale,
) noexcept nogil:
    """An amount in units of 1 / `scale`, 10 to the power of `decimals`, with these decimals: at most AMOUNT_BYTES_MAX
    bytes."""
    cdef uint64_t magnitude = <uint64_t>units if units >= 0 else 0 - <uint64_t>units
    cdef uint64_t rest = magnitude % scale
    cdef int place
    out[0] = c'-'
    out = write_number(out + (units < 0), magnitude // scale)
    if not decimals:
        return out
    out[0] = c'.'
    for place in range(decimals, 0, -1):
        out[place] = c'0' + <uint8_t>(rest % 10)
        rest //= 10
    return out + decimals + 1


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
