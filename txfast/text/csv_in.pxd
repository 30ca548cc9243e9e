"""Fields of a CSV row, cut out of its text. Leaves: they know neither columns nor what a field holds."""

from libc.stdint cimport uint8_t, uint64_t

from txfast.text.bits cimport WINDOW_BYTES, lowest_bit, match_64
from txfast.text.endings cimport is_ending

cdef extern from "txfast/text/intrinsics.h":
    enum:
        # A longer row, its line ending not counted, is not parsed.
        ROW_BYTES_MAX "TXFAST_ROW_BYTES_MAX"

# Whether a field that a quote opens is closed as it should be. OPEN: more text is needed to say so.
cdef enum Quoting:
    CLOSED
    BAD
    OPEN

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


cdef inline const uint8_t* find_quote(const uint8_t* start, const uint8_t* end) noexcept nogil:
    """Where the first quote is, or `end`. Inline: most quoted fields are shorter than a call of memchr takes."""
    cdef uint64_t quotes
    while end - start >= WINDOW_BYTES:
        quotes = match_64(start, c'"')
        if quotes:
            return start + lowest_bit(quotes)
        start += WINDOW_BYTES
    while start < end and start[0] != c'"':
        start += 1
    return start


cdef inline Quoting close_quotes(
    const uint8_t* opening,  # IN the quote that opens a field
    const uint8_t* end,  # IN the end of the text that is there
    const bint is_whole,  # IN whether nothing follows that text
    const uint8_t** closing,  # OUT where CLOSED: the closing quote
    const uint8_t** after,  # OUT where CLOSED: the delimiter or line ending after the field, or the end
) noexcept nogil:
    """Find where a quoted field is closed.

    The first quote that is not doubled decides: the field is closed if blanks and then a delimiter, a line ending or
    the end follow it. That must show within ROW_BYTES_MAX from the opening.
    """
    cdef bint is_cut = end - opening > ROW_BYTES_MAX + 1
    cdef const uint8_t* limit = opening + ROW_BYTES_MAX + 1 if is_cut else end
    cdef const uint8_t* p = find_quote(opening + 1, limit)
    while p + 1 < limit and p[1] == c'"':
        p = find_quote(p + 2, limit)
    closing[0] = p
    if p < limit:
        p = skip_blanks(p + 1, limit)
    if p < limit:
        after[0] = p
        return CLOSED if p[0] == c',' or is_ending(p[0]) else BAD
    after[0] = end
    if is_cut:
        return BAD
    if not is_whole:
        return OPEN
    return BAD if closing[0] == end else CLOSED


cdef inline const uint8_t* take_field(const uint8_t* start, const uint8_t* end, Field* field) noexcept nogil:
    """Cut the field that begins at `start` in a text; return its end: its delimiter, the row's ending, or the end of
    the text. NULL for bad quoting."""
    cdef const uint8_t* p = skip_blanks(start, end)
    cdef const uint8_t* closing
    cdef const uint8_t* after
    if p < end and p[0] == c'"':
        if close_quotes(p, end, True, &closing, &after) != CLOSED:
            return NULL
        field[0] = trimmed(p + 1, closing)
        field.quoted = True
        return after
    while p < end and p[0] != c',' and not is_ending(p[0]):
        p += 1
    field[0] = trimmed(start, p)
    return p
