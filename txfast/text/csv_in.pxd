"""Fields of a CSV row, cut out of its text. Leaves: they know neither columns nor what a field holds."""

from libc.stdint cimport uint8_t

cdef enum:
    # A longer row, its line ending not counted, is not parsed.
    ROW_BYTES_MAX = 1 << 20

# A field's text, trimmed and unquoted. In a quoted field, doubled quotes stay doubled. `start` is NULL where the row
# has no such field.
cdef struct Field:
    const uint8_t* start
    const uint8_t* end
    bint quoted


cdef inline bint is_blank(const uint8_t byte) noexcept nogil:
    return byte == c' ' or byte == c'\t' or byte == 0x0B or byte == 0x0C


cdef inline const uint8_t* skip_blanks(const uint8_t* start, const uint8_t* end) noexcept nogil:
    while start < end and is_blank(start[0]):
        start += 1
    return start


cdef inline Field trimmed(const uint8_t* start, const uint8_t* end) noexcept nogil:
    cdef Field field
    start = skip_blanks(start, end)
    while end > start and is_blank((end - 1)[0]):
        end -= 1
    field.start = start
    field.end = end
    field.quoted = False
    return field


cdef inline const uint8_t* take_field(const uint8_t* start, const uint8_t* end, Field* field) noexcept nogil:
    """Cut the field that begins at `start`; return its end: its comma, or the row's end. NULL for bad quoting."""
    cdef const uint8_t* p = skip_blanks(start, end)
    if p < end and p[0] == c'"':
        start = p + 1
        p = start
        while True:
            if p == end:
                return NULL
            if p[0] == c'"':
                if p + 1 < end and p[1] == c'"':
                    p += 1
                else:
                    break
            p += 1
        field[0] = trimmed(start, p)
        field.quoted = True
        p = skip_blanks(p + 1, end)
        return p if p == end or p[0] == c',' else NULL
    while p < end and p[0] != c',':
        p += 1
    field[0] = trimmed(start, p)
    return p
