"""Line endings: LF, CR LF or a lone CR. Inline, so that each user has its own copy."""

from libc.stdint cimport uint8_t, uint64_t

from txfast.text.bits cimport WINDOW_BYTES, lowest_bit, match_either_64

cdef enum:
    LF = 0x0A
    CR = 0x0D


cdef inline bint is_ending(const uint8_t byte) noexcept nogil:
    return byte == LF or byte == CR


cdef inline const uint8_t* find_ending(const uint8_t* start, const uint8_t* end) noexcept nogil:
    """Where the first line ending begins, or `end`."""
    cdef uint64_t endings
    while end - start >= WINDOW_BYTES:
        endings = match_either_64(start, LF, CR)
        if endings:
            return start + lowest_bit(endings)
        start += WINDOW_BYTES
    while start < end and not is_ending(start[0]):
        start += 1
    return start


cdef inline const uint8_t* past_ending(const uint8_t* ending, const uint8_t* end) noexcept nogil:
    """The start of the next line, after the ending at `ending`."""
    if ending < end and ending[0] == CR:
        ending += 1
        return ending + 1 if ending < end and ending[0] == LF else ending
    return ending + 1 if ending < end else end


cdef inline Py_ssize_t count_lines(const uint8_t* start, const uint8_t* end) noexcept nogil:
    """Count the line endings in a text that ends in none, nor inside one. CR LF is one ending."""
    cdef Py_ssize_t lines = 0
    cdef const uint8_t* ending = find_ending(start, end)
    while ending < end:
        lines += 1
        ending = find_ending(past_ending(ending, end), end)
    return lines
