"""UUIDs as texts: 36 bytes, of which 32 are digits, packed into 16 bytes and back.

Only the canonical form is packed: hyphens after 8, 12, 16 and 20 digits, and letters in lower case. So a packed UUID
stands for one text alone.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    UUID_BYTES = 36
    UUID_WORDS = 2  # of a packed one
    # Words with the same in each byte.
    ONES = 0x0101010101010101
    SIXES = 0x0606060606060606
    LOWER_HALVES = 0x0F0F0F0F0F0F0F0F
    ZERO_DIGITS = 0x3030303030303030


cdef inline uint64_t digits_at(const uint8_t* start) noexcept nogil:
    """Eight digits, one in each byte."""
    cdef uint64_t digits
    memcpy(&digits, start, sizeof(digits))
    return digits


cdef inline uint64_t two_groups(const uint8_t* one, const uint8_t* other) noexcept nogil:
    """Twice four digits."""
    cdef uint32_t low, high
    memcpy(&low, one, sizeof(low))
    memcpy(&high, other, sizeof(high))
    return low | <uint64_t>high << 32


cdef inline uint64_t take_digits(uint64_t* values, const uint64_t digits) noexcept nogil:
    """Set `values` to those of eight digits of base 16, one in each byte. 0 where all are digits, in lower case."""
    cdef uint64_t letters = digits >> 6 & ONES
    cdef uint64_t lower = digits & LOWER_HALVES
    values[0] = lower + 9 * letters  # at most 24 each, so that none carries into the next
    # Upper halves must be those of "0" or "a". A value must be below sixteen, and from ten on where it is a letter's.
    return (
        digits ^ lower ^ ZERO_DIGITS ^ (c"0" & 0xF0 ^ c"a" & 0xF0) * letters
        | values[0] >> 4 & ONES
        | (values[0] + SIXES) >> 4 & ONES ^ letters
    )


cdef inline bint pack_uuid(uint64_t* packed, const uint8_t* text) noexcept nogil:
    """Pack UUID_BYTES of text into UUID_WORDS; False where they are no UUID in canonical form."""
    cdef uint64_t[4] values
    cdef uint64_t wrong = (text[8] ^ c"-") | (text[13] ^ c"-") | (text[18] ^ c"-") | (text[23] ^ c"-")
    wrong |= take_digits(&values[0], digits_at(text))
    wrong |= take_digits(&values[1], two_groups(text + 9, text + 14))
    wrong |= take_digits(&values[2], two_groups(text + 19, text + 24))
    wrong |= take_digits(&values[3], digits_at(text + 28))
    packed[0] = values[0] << 4 | values[1]
    packed[1] = values[2] << 4 | values[3]
    return not wrong


cdef inline uint64_t digits_of(const uint64_t values) noexcept nogil:
    """The digits of eight values."""
    cdef uint64_t letters = (values + SIXES) >> 4 & ONES
    return values + ZERO_DIGITS + (c"a" - 10 - c"0") * letters


cdef inline void unpack_uuid(uint8_t* text, const uint64_t* packed) noexcept nogil:
    """Write the UUID_BYTES of a packed UUID."""
    cdef uint64_t first = digits_of(packed[0] >> 4 & LOWER_HALVES)
    cdef uint64_t second = digits_of(packed[0] & LOWER_HALVES)
    cdef uint64_t third = digits_of(packed[1] >> 4 & LOWER_HALVES)
    cdef uint64_t fourth = digits_of(packed[1] & LOWER_HALVES)
    text[8] = text[13] = text[18] = text[23] = c"-"
    memcpy(text, &first, 8)
    memcpy(text + 9, &second, 4)
    memcpy(text + 14, <uint8_t*>&second + 4, 4)
    memcpy(text + 19, &third, 4)
    memcpy(text + 24, <uint8_t*>&third + 4, 4)
    memcpy(text + 28, &fourth, 8)
