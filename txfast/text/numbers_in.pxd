"""Numbers from text: transaction and client ids, and amounts of money. No floats, no locale, no exceptions.

Each function takes the trimmed and unquoted text of a field, and returns False where it is not acceptable.
"""

from libc.stdint cimport INT64_MAX, UINT64_MAX, int64_t, uint8_t, uint64_t

cdef enum:
    UNITS_PER_ONE = 10_000


cdef inline bint is_digit(const uint8_t byte) noexcept nogil:
    return c'0' <= byte <= c'9'


cdef inline bint parse_digits(
    const uint8_t** start,  # IN, OUT moved past the digits
    const uint8_t* end,  # IN
    const uint64_t limit,  # IN
    uint64_t* number,  # OUT
) noexcept nogil:
    """The number of the leading digits, 0 without any. False where it is greater than the limit."""
    cdef uint64_t digit
    number[0] = 0
    while start[0] < end and is_digit(start[0][0]):
        digit = start[0][0] - c'0'
        if number[0] > (limit - digit) // 10:
            return False
        number[0] = number[0] * 10 + digit
        start[0] += 1
    return True


cdef inline bint parse_id(const uint8_t* start, const uint8_t* end, uint64_t* number) noexcept nogil:
    """An unsigned 64-bit id: digits, with at most one leading plus sign."""
    if start < end and start[0] == c'+':
        start += 1
    if start == end:
        return False
    return parse_digits(&start, end, UINT64_MAX, number) and start == end


cdef inline bint parse_amount(const uint8_t* start, const uint8_t* end, int64_t* units) noexcept nogil:
    """An amount in units of 0.0001: sign, digits, point, digits; after the fourth decimal only zeros."""
    cdef bint negative = start < end and start[0] == c'-'
    cdef const uint8_t* group
    cdef Py_ssize_t digits
    cdef uint64_t magnitude
    cdef int _
    if start < end and (start[0] == c'-' or start[0] == c'+'):
        start += 1
    group = start
    if not parse_digits(&start, end, INT64_MAX // UNITS_PER_ONE, &magnitude):
        return False
    digits = start - group
    if start < end and start[0] == c'.':
        start += 1
    group = start
    for _ in range(4):
        magnitude *= 10
        if start < end and is_digit(start[0]):
            magnitude += start[0] - c'0'
            start += 1
    while start < end and start[0] == c'0':
        start += 1
    digits += start - group
    if start != end or digits == 0 or magnitude > <uint64_t>INT64_MAX:
        return False
    units[0] = -<int64_t>magnitude if negative else <int64_t>magnitude
    return True
