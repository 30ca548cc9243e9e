"""Writes one CSV field: quoted where it must be, and so that no spreadsheet runs it as a formula."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from txfast.text.bits cimport WORD_BYTES, load_word, lowest_bit
from txfast.text.csv_in cimport Field
from txfast.text.endings cimport CR, LF

cdef enum:
    # A text becomes at most twice as long, with two quotes and an apostrophe more.
    CSV_GROWTH = 2
    CSV_EXTRA_BYTES = 3


cdef inline bint is_digit(const uint8_t byte) noexcept nogil:
    return c'0' <= byte <= c'9'


cdef inline const uint8_t* skip_digits(const uint8_t* p, const uint8_t* end) noexcept nogil:
    while p < end and is_digit(p[0]):
        p += 1
    return p


cdef inline const uint8_t* skip_spaces(const uint8_t* p, const uint8_t* end) noexcept nogil:
    """Skip the characters that spreadsheets strip from a cell: control characters and Unicode's blanks."""
    while p < end:
        if p[0] <= 0x20 or p[0] == 0x7F:
            p += 1
        elif end - p >= 2 and p[0] == 0xC2 and (p[1] == 0x85 or p[1] == 0xA0):  # next line, no-break space
            p += 2
        elif end - p >= 3 and p[0] == 0xE2 and p[1] == 0x80 and (0x80 <= p[2] <= 0x8F or 0xA8 <= p[2] <= 0xAF):
            p += 3  # spaces of all widths, marks of direction, line and paragraph separators
        elif end - p >= 3 and p[0] == 0xE3 and p[1] == 0x80 and p[2] == 0x80:  # ideographic space
            p += 3
        elif end - p >= 3 and p[0] == 0xEF and p[1] == 0xBB and p[2] == 0xBF:  # byte order mark
            p += 3
        else:
            break
    return p


cdef inline bint is_number(const uint8_t* p, const uint8_t* end) noexcept nogil:
    """Whether the whole text is a decimal number: -5.00, +3, .5, 1e-7."""
    cdef const uint8_t* digits
    cdef Py_ssize_t count
    if p < end and (p[0] == c'+' or p[0] == c'-'):
        p += 1
    digits = p
    p = skip_digits(p, end)
    count = p - digits
    if p < end and p[0] == c'.':
        digits = p + 1
        p = skip_digits(digits, end)
        count += p - digits
    if not count:
        return False
    if p < end and (p[0] == c'e' or p[0] == c'E'):
        p += 1
        if p < end and (p[0] == c'+' or p[0] == c'-'):
            p += 1
        if p == end:
            return False
        p = skip_digits(p, end)
    return p == end


cdef inline bint is_formula(const uint8_t* start, const uint8_t* end) noexcept nogil:
    """Whether a spreadsheet might run the text as a formula.

    It might where the text is no number and begins with = + - or @ (in full width too, and after spaces), or with a
    tab or a line ending.
    """
    cdef const uint8_t* p
    # Nearly all texts begin with one of these, and are decided here.
    if start == end or (c'.' <= start[0] <= c'<') or (c'A' <= start[0] < 0x7F):
        return False
    if start[0] == c'\t' or start[0] == c'\r' or start[0] == c'\n':
        return True
    p = skip_spaces(start, end)
    if p == end:
        return False
    if p[0] == c'=' or p[0] == c'@':
        return True
    if p[0] == c'+' or p[0] == c'-':
        return not is_number(p, end)
    return (
        end - p >= 3 and p[0] == 0xEF
        and ((p[1] == 0xBC and (p[2] == 0x9D or p[2] == 0x8B or p[2] == 0x8D or p[2] == 0xA0)))
    )


cdef inline bint is_special(const uint8_t byte) noexcept nogil:
    """Whether a field with this byte must be quoted."""
    return (byte == c',') | (byte == c'"') | (byte == c'\n') | (byte == c'\r')


cdef inline uint64_t bytes_equal(const uint64_t word, const uint8_t byte) noexcept nogil:
    """A mask whose lowest bit is the top bit of the first of eight bytes that equals `byte`; 0 where none does."""
    cdef uint64_t ones = <uint64_t>0x0101010101010101
    cdef uint64_t difference = word ^ (ones * byte)
    return (difference - ones) & ~difference & (ones * 0x80)


cdef inline uint8_t* copy_plain(uint8_t* out, const uint8_t* p, const uint8_t* end) noexcept nogil:
    """Copy a field that needs no quotes; return its end, or NULL where it needs them."""
    cdef uint64_t word
    while end - p >= WORD_BYTES:
        word = load_word(p)
        memcpy(out, &word, WORD_BYTES)
        if bytes_equal(word, c',') | bytes_equal(word, c'"') | bytes_equal(word, c'\n') | bytes_equal(word, c'\r'):
            return NULL
        out += WORD_BYTES
        p += WORD_BYTES
    while p < end:
        if is_special(p[0]):
            return NULL
        out[0] = p[0]
        out += 1
        p += 1
    return out


cdef inline uint8_t* copy_doubling_quotes(uint8_t* out, const uint8_t* p, const uint8_t* end) noexcept nogil:
    cdef uint64_t word, quotes
    cdef Py_ssize_t length
    while p < end:
        if end - p >= WORD_BYTES:
            word = load_word(p)
            memcpy(out, &word, WORD_BYTES)
            quotes = bytes_equal(word, c'"')
            length = (lowest_bit(quotes) >> 3) + 1 if quotes else WORD_BYTES
        else:
            out[0] = p[0]
            quotes = p[0] == c'"'
            length = 1
        out += length
        p += length
        if quotes:
            out[0] = c'"'
            out += 1
    return out


cdef inline uint8_t* write_quoted(uint8_t* out, const uint8_t* start, const uint8_t* end) noexcept nogil:
    """Write a text in quotes; return the end of these."""
    out[0] = c'"'
    out = copy_doubling_quotes(out + 1, start, end)
    out[0] = c'"'
    return out + 1


cdef inline uint8_t* write_text(uint8_t* out, const uint8_t* text, const Py_ssize_t length) noexcept nogil:
    """Write a text as a field that the row parser reads back. A CR or LF in it becomes two characters, `\\r`
    or `\\n`."""
    cdef Py_ssize_t index
    cdef bint is_plain = True
    for index in range(length):
        is_plain &= text[index] != c"," and text[index] != c'"' and text[index] != LF and text[index] != CR
        out[index] = text[index]
    if is_plain:
        return out + length
    out[0] = c'"'
    out += 1
    for index in range(length):
        if text[index] == LF or text[index] == CR:
            out[0] = c"\\"
            out[1] = c"n" if text[index] == LF else c"r"
            out += 2
            continue
        out[0] = text[index]
        out += 1
        if text[index] == c'"':
            out[0] = c'"'
            out += 1
    out[0] = c'"'
    return out + 1


cdef inline uint8_t* write_csv_field(uint8_t* out, const Field* text) noexcept nogil:
    """Write a text as a field; return its end. It has at most CSV_GROWTH * length + CSV_EXTRA_BYTES bytes."""
    cdef bint formula = is_formula(text.start, text.end)
    cdef uint8_t* plain_end
    out[0] = c"'"
    plain_end = copy_plain(out + formula, text.start, text.end)
    if plain_end != NULL:
        return plain_end
    out[0] = c'"'
    out[1] = c"'"
    out += 1 + formula
    if text.quoted:
        # The quotes in a quoted field are doubled already.
        memcpy(out, text.start, text.end - text.start)
        out += text.end - text.start
    else:
        out = copy_doubling_quotes(out, text.start, text.end)
    out[0] = c'"'
    return out + 1
