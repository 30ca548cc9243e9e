"""Fields of a CSV row, cut out of its text. Leaves: they know neither columns nor what a field holds."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp

from txfast.text.bits cimport WINDOW_BYTES, lowest_bit, match_64
from txfast.text.endings cimport is_ending

cdef extern from "txfast/text/intrinsics.h":
    enum:
        # A longer row, its line ending not counted, is not parsed.
        ROW_BYTES_MAX "TXFAST_ROW_BYTES_MAX"

cdef enum:
    COMMENT_BYTES_MAX = 16
    NO_QUOTE = -1  # differs from every byte

# How a text is cut into lines and fields.
cdef struct Syntax:
    uint8_t delimiter
    int quote  # a byte, or NO_QUOTE
    Py_ssize_t comment_bytes  # 0 where no line is a comment
    uint8_t[COMMENT_BYTES_MAX] comment  # what a comment begins with

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


cdef inline Syntax default_syntax() noexcept nogil:
    cdef Syntax syntax
    syntax.delimiter = c","
    syntax.quote = c'"'
    syntax.comment_bytes = 0
    return syntax


cdef inline bint may_be_blank(const uint8_t byte) noexcept nogil:
    """Whether a byte is a blank, unless it is the delimiter."""
    return byte == c' ' or byte == c'\t' or byte == 0x0B or byte == 0x0C


cdef inline bint is_blank(const uint8_t byte, const Syntax* syntax) noexcept nogil:
    return may_be_blank(byte) and byte != syntax.delimiter


cdef inline const uint8_t* skip_blanks(
    const uint8_t* start, const uint8_t* end, const Syntax* syntax,
) noexcept nogil:
    while start < end and is_blank(start[0], syntax):
        start += 1
    return start


cdef inline bint is_comment(const uint8_t* start, const uint8_t* end, const Syntax* syntax) noexcept nogil:
    """Whether a line is a comment, from its first byte on that is not blank."""
    return (
        syntax.comment_bytes != 0
        and end - start >= syntax.comment_bytes
        and memcmp(start, syntax.comment, syntax.comment_bytes) == 0
    )


cdef inline Field trimmed(const uint8_t* start, const uint8_t* end, const Syntax* syntax) noexcept nogil:
    cdef Field field
    start = skip_blanks(start, end, syntax)
    while end > start and is_blank((end - 1)[0], syntax):
        end -= 1
    field.start = start
    field.end = end
    field.quoted = False
    return field


cdef inline const uint8_t* find_quote(const uint8_t* start, const uint8_t* end, const uint8_t quote) noexcept nogil:
    """Where the first quote is, or `end`. Inline: most quoted fields are shorter than a call of memchr takes."""
    cdef uint64_t quotes
    while end - start >= WINDOW_BYTES:
        quotes = match_64(start, quote)
        if quotes:
            return start + lowest_bit(quotes)
        start += WINDOW_BYTES
    while start < end and start[0] != quote:
        start += 1
    return start


cdef inline Quoting close_quotes(
    const uint8_t* opening,  # IN the quote that opens a field
    const uint8_t* end,  # IN the end of the text that is there
    const bint is_whole,  # IN whether nothing follows that text
    const Syntax* syntax,  # IN
    const uint8_t** closing,  # OUT where CLOSED: the closing quote
    const uint8_t** after,  # OUT where CLOSED: the delimiter or line ending after the field, or the end
) noexcept nogil:
    """Find where a quoted field is closed.

    The first quote that is not doubled decides: the field is closed if blanks and then a delimiter, a line ending or
    the end follow it. That must show within ROW_BYTES_MAX from the opening.
    """
    cdef bint is_cut = end - opening > ROW_BYTES_MAX + 1
    cdef const uint8_t* limit = opening + ROW_BYTES_MAX + 1 if is_cut else end
    cdef uint8_t quote = <uint8_t>syntax.quote
    cdef const uint8_t* p = find_quote(opening + 1, limit, quote)
    while p + 1 < limit and p[1] == quote:
        p = find_quote(p + 2, limit, quote)
    closing[0] = p
    if p < limit:
        p = skip_blanks(p + 1, limit, syntax)
    if p < limit:
        after[0] = p
        return CLOSED if p[0] == syntax.delimiter or is_ending(p[0]) else BAD
    after[0] = end
    if is_cut:
        return BAD
    if not is_whole:
        return OPEN
    return BAD if closing[0] == end else CLOSED


cdef inline const uint8_t* take_field(
    const uint8_t* start, const uint8_t* end, const Syntax* syntax, Field* field,
) noexcept nogil:
    """Cut the field that begins at `start` in a text; return its end: its delimiter, the row's ending, or the end of
    the text. NULL for bad quoting."""
    cdef const uint8_t* p = skip_blanks(start, end, syntax)
    cdef const uint8_t* closing
    cdef const uint8_t* after
    if p < end and p[0] == syntax.quote:
        if close_quotes(p, end, True, syntax, &closing, &after) != CLOSED:
            return NULL
        field[0] = trimmed(p + 1, closing, syntax)
        field.quoted = True
        return after
    while p < end and p[0] != syntax.delimiter and not is_ending(p[0]):
        p += 1
    field[0] = trimmed(start, p, syntax)
    return p
