"""Which bytes are UTF-8, by Unicode's strict rules: no overlong forms, no surrogates, nothing above U+10FFFF."""

from libc.stdint cimport uint8_t


cdef inline bint continues(const uint8_t byte) noexcept nogil:
    return byte & 0xC0 == 0x80


cdef inline Py_ssize_t utf8_bytes(const uint8_t* p, const uint8_t* end) noexcept nogil:
    """The length in bytes of the character that starts at `p`, with a byte above 0x7F; 0 where none starts there.

    Where Python's decoder reports an error of several bytes, this is 0 for each of them.
    """
    cdef uint8_t lead = p[0]
    cdef Py_ssize_t left = end - p
    if lead < 0xC2 or lead > 0xF4 or left < 2 or not continues(p[1]):
        return 0
    if lead < 0xE0:
        return 2
    if left < 3 or not continues(p[2]):
        return 0
    if lead < 0xF0:
        return 0 if (lead == 0xE0 and p[1] < 0xA0) or (lead == 0xED and p[1] > 0x9F) else 3
    if left < 4 or not continues(p[3]):
        return 0
    return 0 if (lead == 0xF0 and p[1] < 0x90) or (lead == 0xF4 and p[1] > 0x8F) else 4
