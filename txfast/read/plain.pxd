"""The fast path of the native reader: plain fields, from text to numbers, eight bytes at a time.

A plain field has no blanks, quotes or plus signs. Each function returns False where its field is anything else; the
row then goes to the row parser, which alone decides. So these accept nothing that the row parser would read
differently, and may refuse whatever they like.

They read up to 24 bytes from a field's start or from its point: the text is followed by as many that may be read.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t
from libc.string cimport memcpy

from txfast.batch cimport CHARGEBACK, DEPOSIT, DISPUTE, NO_AMOUNT, RESOLVE, WITHDRAWAL

cdef extern from * nogil:
    bint multiply_overflows "__builtin_mul_overflow"(uint64_t a, uint64_t b, uint64_t* result) noexcept
    bint unsigned_add_overflows "__builtin_add_overflow"(uint64_t a, uint64_t b, uint64_t* result) noexcept

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


cdef inline bint plain_kind(
    const uint8_t* start, const uint8_t* end, const Tables* tables, uint8_t* kind,
) noexcept nogil:
    cdef const KindName* name = &tables.kind_names[(start[0] ^ start[2]) & 7]
    cdef uint16_t rest
    memcpy(&rest, start + 8, 2)
    kind[0] = name.kind
    return (
        (((load_word(start) ^ name.first) & name.first_mask) | ((rest ^ name.rest) & name.rest_mask)) == 0
        and end - start == name.length
    )


cdef inline bint combine_digits(uint64_t digits, uint64_t* number) noexcept nogil:
    """The number that eight digits make, the first in the lowest byte: text less b"00000000".

    False where one of them is no digit.
    """
    if (digits | (digits + <uint64_t>0x7676767676767676)) & <uint64_t>0x8080808080808080:
        return False
    digits = ((digits * (1 + (10 << 8))) >> 8) & <uint64_t>0x00FF00FF00FF00FF
    digits = ((digits * (1 + (100 << 16))) >> 16) & <uint64_t>0x0000FFFF0000FFFF
    number[0] = (digits * (1 + (<uint64_t>10000 << 32))) >> 32
    return True


cdef inline bint few_digits(const uint8_t* start, Py_ssize_t length, uint64_t* number) noexcept nogil:
    """The number that 1 to 8 digits make."""
    cdef uint64_t digits = load_word(start) ^ <uint64_t>0x3030303030303030
    return combine_digits(digits << (64 - 8 * length), number)


cdef inline bint plain_number(
    const uint8_t* start, const uint8_t* end, const Tables* tables, uint64_t* number,
) noexcept nogil:
    """The number that 1 to 20 digits make, below 2^64."""
    cdef Py_ssize_t length = end - start
    cdef uint64_t high, low
    if 1 <= length <= 8:
        return few_digits(start, length, number)
    if not 1 <= length <= 20:
        return False
    if not few_digits(start, 8, &high):
        return False
    start += 8
    length -= 8
    if length > 8:
        if not few_digits(start, 8, &low):
            return False
        high = high * tables.powers_of_ten[8] + low
        start += 8
        length -= 8
    return (
        few_digits(start, length, &low)
        and not multiply_overflows(high, tables.powers_of_ten[length], &high)
        and not unsigned_add_overflows(high, low, number)
    )


cdef inline bint plain_amount(
    const uint8_t* start,  # IN
    const uint8_t* end,  # IN
    const uint8_t* point,  # IN the first point at or after the start, or anything from end on
    const Tables* tables,  # IN
    int64_t* units,  # OUT
    uint8_t* no_amount,  # OUT NO_AMOUNT where the field is empty, else 0
) noexcept nogil:
    """An amount of at most 14 digits before the point and 1 to 4 after it, or none."""
    cdef bint negative = start[0] == c'-'
    cdef uint64_t whole, decimals = 0
    cdef Py_ssize_t places
    no_amount[0] = 0
    if start == end:
        units[0] = 0
        no_amount[0] = NO_AMOUNT
        return True
    start += negative
    if point < end:
        places = end - point - 1
        if not 1 <= places <= 4 or not few_digits(point + 1, places, &decimals):
            return False
        decimals *= tables.powers_of_ten[4 - places]
        end = point
    if end - start > 14 or not plain_number(start, end, tables, &whole):
        return False
    whole = 10_000 * whole + decimals
    units[0] = -<int64_t>whole if negative else <int64_t>whole
    return True
