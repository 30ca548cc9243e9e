"""The fast path of the native reader: fields of plain rows, eight bytes at a time.

A plain field has no blanks, quotes or plus signs. Each function takes one at the place where it should begin, moves
past it, and returns False where it is anything else; the row then goes to the row parser, which alone decides. So
these must accept nothing that the row parser would read differently, and may refuse whatever they like.

They read up to 24 bytes past the byte that they look at: the text is followed by as many that may be read.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from txfast.batch cimport CHARGEBACK, DEPOSIT, DISPUTE, NO_AMOUNT, RESOLVE, WITHDRAWAL

cdef extern from * nogil:
    int trailing_zeros "__builtin_ctzll"(uint64_t word) noexcept
    bint multiply_overflows "__builtin_mul_overflow"(uint64_t a, uint64_t b, uint64_t* result) noexcept
    bint add_overflows "__builtin_add_overflow"(uint64_t a, uint64_t b, uint64_t* result) noexcept

# A type's name as two words of memory, and which of their bytes count.
cdef struct KindName:
    uint64_t first
    uint64_t first_mask
    uint16_t rest
    uint16_t rest_mask
    uint8_t kind
    uint8_t length

cdef struct Tables:
    KindName[8] kind_names  # by (first byte ^ third byte) & 7, which tells the five apart
    uint64_t[9] powers_of_ten


cdef inline void fill_kind_name(KindName* name, const char* text, uint8_t length, uint8_t kind) noexcept nogil:
    cdef uint8_t[16] padded
    cdef int i
    for i in range(16):
        padded[i] = text[i] if i < length else 0
    memcpy(&name.first, padded, 8)
    memcpy(&name.rest, padded + 8, 2)
    for i in range(16):
        padded[i] = 0xFF if i < length else 0
    memcpy(&name.first_mask, padded, 8)
    memcpy(&name.rest_mask, padded + 8, 2)
    name.kind = kind
    name.length = length


cdef inline void make_tables(Tables* tables) noexcept nogil:
    cdef int i
    # Places that no name hashes to hold one that does not hash there, so that nothing matches.
    for i in range(8):
        fill_kind_name(&tables.kind_names[i], b"deposit", 7, DEPOSIT)
    fill_kind_name(&tables.kind_names[(c"w" ^ c"t") & 7], b"withdrawal", 10, WITHDRAWAL)
    fill_kind_name(&tables.kind_names[(c"d" ^ c"s") & 7], b"dispute", 7, DISPUTE)
    fill_kind_name(&tables.kind_names[(c"r" ^ c"s") & 7], b"resolve", 7, RESOLVE)
    fill_kind_name(&tables.kind_names[(c"c" ^ c"a") & 7], b"chargeback", 10, CHARGEBACK)
    tables.powers_of_ten[0] = 1
    for i in range(1, 9):
        tables.powers_of_ten[i] = 10 * tables.powers_of_ten[i - 1]


cdef inline uint64_t load_word(const uint8_t* text) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, text, 8)
    return word


cdef inline bint take_kind(const uint8_t** place, const Tables* tables, uint8_t* kind) noexcept nogil:
    cdef const uint8_t* p = place[0]
    cdef const KindName* name = &tables.kind_names[(p[0] ^ p[2]) & 7]
    cdef uint16_t rest
    memcpy(&rest, p + 8, 2)
    if ((load_word(p) ^ name.first) & name.first_mask) | ((rest ^ name.rest) & name.rest_mask):
        return False
    kind[0] = name.kind
    place[0] = p + name.length
    return True


cdef inline int count_digits(uint64_t digits) noexcept nogil:
    """How many of a word's bytes, from the lowest, are 0 to 9: the word is text with '0' taken off each byte."""
    cdef uint64_t others = (digits | (digits + <uint64_t>0x7676767676767676)) & <uint64_t>0x8080808080808080
    return trailing_zeros(others) >> 3 if others else 8


cdef inline uint64_t combine_digits(uint64_t digits) noexcept nogil:
    """The number that eight digits make, the first in the lowest byte."""
    digits = ((digits * (1 + (10 << 8))) >> 8) & <uint64_t>0x00FF00FF00FF00FF
    digits = ((digits * (1 + (100 << 16))) >> 16) & <uint64_t>0x0000FFFF0000FFFF
    return (digits * (1 + (<uint64_t>10000 << 32))) >> 32


cdef inline uint64_t first_digits(uint64_t digits, int count) noexcept nogil:
    """The number that the first `count` of them make, 1 to 8."""
    return combine_digits(digits << (64 - 8 * count))


cdef inline bint take_id(const uint8_t** place, const Tables* tables, uint64_t* number) noexcept nogil:
    cdef const uint8_t* p = place[0]
    cdef uint64_t digits = load_word(p) ^ <uint64_t>0x3030303030303030
    cdef int count = count_digits(digits)
    cdef uint64_t head
    if count == 0:
        return False
    number[0] = first_digits(digits, count)
    p += count
    if count == 8:
        digits = load_word(p) ^ <uint64_t>0x3030303030303030
        count = count_digits(digits)
        if count:
            number[0] = number[0] * tables.powers_of_ten[count] + first_digits(digits, count)
            p += count
        if count == 8:
            digits = load_word(p) ^ <uint64_t>0x3030303030303030
            count = count_digits(digits)
            if count > 4:
                return False
            if count:
                if multiply_overflows(number[0], tables.powers_of_ten[count], &head):
                    return False
                if add_overflows(head, first_digits(digits, count), number):
                    return False
                p += count
    place[0] = p
    return True


cdef inline bint take_amount(
    const uint8_t** place,  # IN, OUT
    const Tables* tables,  # IN
    int64_t* units,  # OUT
    uint8_t* no_amount,  # OUT NO_AMOUNT where the field is empty, else 0
) noexcept nogil:
    """An amount of at most 14 digits before the point and 1 to 4 after it, or none."""
    cdef const uint8_t* p = place[0]
    cdef bint negative = p[0] == c'-'
    cdef uint64_t digits, magnitude
    cdef int count
    no_amount[0] = 0
    p += negative
    digits = load_word(p) ^ <uint64_t>0x3030303030303030
    count = count_digits(digits)
    if count == 0:
        units[0] = 0
        no_amount[0] = NO_AMOUNT
        return not negative and p[0] != c'.'
    magnitude = first_digits(digits, count)
    p += count
    if count == 8:
        digits = load_word(p) ^ <uint64_t>0x3030303030303030
        count = count_digits(digits)
        if count > 6:
            return False
        if count:
            magnitude = magnitude * tables.powers_of_ten[count] + first_digits(digits, count)
            p += count
    magnitude *= 10_000
    if p[0] == c'.':
        p += 1
        digits = load_word(p) ^ <uint64_t>0x3030303030303030
        count = count_digits(digits)
        if count == 0 or count > 4:
            return False
        # The decimals first, then zeros up to four of them.
        digits &= (<uint64_t>1 << (8 * count)) - 1
        magnitude += combine_digits(digits << 32)
        p += count
    units[0] = -<int64_t>magnitude if negative else <int64_t>magnitude
    place[0] = p
    return True
