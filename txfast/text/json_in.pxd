"""Values of JSON in a line of text: where each ends, and what a string says. Leaves: they know neither keys nor rows.

The grammar is that of RFC 8259, but for two things: bytes need not be UTF-8, and a line has no line endings, so that
none of the functions goes past one. A function that returns a place returns NULL where the text breaks the grammar.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from txfast.text.bits cimport WORD_BYTES, load_word, lowest_bit
from txfast.text.csv_in cimport may_be_blank

cdef enum:
    WORD_BITS = 64
    # An escape of six bytes, \u0020, may stand for one.
    ESCAPED_BYTES_MAX = 6


cdef inline const uint8_t* skip_json_blanks(const uint8_t* p, const uint8_t* end) noexcept nogil:
    while p < end and (p[0] == c' ' or p[0] == c'\t'):
        p += 1
    return p


cdef inline uint64_t string_specials(const uint64_t word) noexcept nogil:
    """A mask whose lowest bit is the top bit of the first of eight bytes that is a quote, a backslash or a control
    character; 0 where none is."""
    cdef uint64_t ones = <uint64_t>0x0101010101010101
    cdef uint64_t quote = word ^ (ones * c'"')
    cdef uint64_t backslash = word ^ (ones * c'\\')
    # In each term a borrow can set bits above such a byte, never below it.
    return (
        ((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)
    ) & (ones * 0x80)


cdef inline const uint8_t* past_string(
    const uint8_t* opening,  # IN its opening quote
    const uint8_t* end,  # IN
    bint* has_escapes,  # OUT
) noexcept nogil:
    """The place after a string's closing quote."""
    cdef const uint8_t* p = opening + 1
    cdef uint64_t word, specials
    has_escapes[0] = False
    while p < end:
        if end - p >= WORD_BYTES:
            word = load_word(p)
            specials = string_specials(word)
            if not specials:
                p += WORD_BYTES
                continue
            p += lowest_bit(specials) >> 3
        if p[0] == c'"':
            return p + 1
        if p[0] < 0x20:
            return NULL
        if p[0] == c'\\':
            has_escapes[0] = True
            p = past_escape(p, end)
            if p == NULL:
                return NULL
        else:
            p += 1
    return NULL


cdef inline const uint8_t* past_escape(const uint8_t* backslash, const uint8_t* end) noexcept nogil:
    cdef uint32_t unit
    if end - backslash < 2:
        return NULL
    if backslash[1] == c'u':
        if end - backslash < 6 or not parse_hex(backslash + 2, &unit):
            return NULL
        return backslash + 6
    return backslash + 2 if escaped_byte(backslash[1]) else NULL


cdef inline uint8_t escaped_byte(const uint8_t letter) noexcept nogil:
    """The byte that a backslash and a letter mean; 0 for a letter that may not follow a backslash."""
    if letter == c'"' or letter == c'\\' or letter == c'/':
        return letter
    if letter == c'b':
        return 0x08
    if letter == c'f':
        return 0x0C
    if letter == c'n':
        return 0x0A
    if letter == c'r':
        return 0x0D
    return 0x09 if letter == c't' else 0


cdef inline bint parse_hex(const uint8_t* p, uint32_t* unit) noexcept nogil:
    """The number of four hexadecimal digits, in either case."""
    cdef int i
    cdef uint8_t digit
    unit[0] = 0
    for i in range(4):
        digit = p[i]
        if c'0' <= digit <= c'9':
            digit -= c'0'
        elif c'a' <= digit | 0x20 <= c'f':
            digit = (digit | 0x20) - c'a' + 10
        else:
            return False
        unit[0] = unit[0] << 4 | digit
    return True


cdef inline const uint8_t* past_digits(const uint8_t* p, const uint8_t* end) noexcept nogil:
    """The place after one digit or more."""
    if p == end or not c'0' <= p[0] <= c'9':
        return NULL
    while p < end and c'0' <= p[0] <= c'9':
        p += 1
    return p


cdef inline const uint8_t* past_number(const uint8_t* p, const uint8_t* end) noexcept nogil:
    if p < end and p[0] == c'-':
        p += 1
    # After a zero no digit follows: numbers have no leading zeros.
    p = p + 1 if p < end and p[0] == c'0' else past_digits(p, end)
    if p != NULL and p < end and p[0] == c'.':
        p = past_digits(p + 1, end)
    if p != NULL and p < end and p[0] | 0x20 == c'e':
        p += 1
        if p < end and (p[0] == c'+' or p[0] == c'-'):
            p += 1
        p = past_digits(p, end)
    return p


cdef inline bint begins_with(
    const uint8_t* p, const uint8_t* end, const char* word, const Py_ssize_t length,
) noexcept nogil:
    return end - p >= length and memcmp(p, word, length) == 0


cdef inline const uint8_t* past_plain_value(
    const uint8_t* p, const uint8_t* end, bint* has_escapes,
) noexcept nogil:
    """The place after a string, a number, true, false or null. `has_escapes` is of a string."""
    has_escapes[0] = False
    if p == end:
        return NULL
    if p[0] == c'"':
        return past_string(p, end, has_escapes)
    if begins_with(p, end, b"null", 4) or begins_with(p, end, b"true", 4):
        return p + 4
    if begins_with(p, end, b"false", 5):
        return p + 5
    return past_number(p, end)


cdef inline bint is_nested(const uint8_t byte) noexcept nogil:
    """Whether a value that begins with this byte is an object or an array."""
    return byte == c'{' or byte == c'['


cdef inline const uint8_t* past_key(const uint8_t* p, const uint8_t* end) noexcept nogil:
    """The place after a key, its colon and blanks, where a value must follow."""
    cdef bint has_escapes
    p = skip_json_blanks(p, end)
    if p == end or p[0] != c'"':
        return NULL
    p = past_string(p, end, &has_escapes)
    if p == NULL:
        return NULL
    p = skip_json_blanks(p, end)
    return skip_json_blanks(p + 1, end) if p < end and p[0] == c':' else NULL


cdef inline const uint8_t* past_nested(
    const uint8_t* p,  # IN its opening bracket
    const uint8_t* end,  # IN
    uint64_t* levels,  # room for a bit for each byte of the text: whether each open bracket is an object's
) noexcept nogil:
    """The place after an object or an array, however deep it is: without recursion."""
    cdef Py_ssize_t depth = 0
    cdef uint64_t in_objects = 0  # the last WORD_BITS levels; the others are in `levels`
    cdef bint has_escapes, in_object
    while True:
        # Here a value must follow.
        if p < end and is_nested(p[0]):
            if depth and depth % WORD_BITS == 0:
                levels[depth // WORD_BITS - 1] = in_objects
            in_object = p[0] == c'{'
            in_objects = in_objects << 1 | in_object
            depth += 1
            p = skip_json_blanks(p + 1, end)
            if p == end:
                return NULL
            if p[0] != (c'}' if in_object else c']'):
                if in_object:
                    p = past_key(p, end)
                    if p == NULL:
                        return NULL
                continue
        else:
            p = past_plain_value(p, end, &has_escapes)
            if p == NULL:
                return NULL
        # Here a comma must follow, or closing brackets.
        while True:
            p = skip_json_blanks(p, end)
            if p == end:
                return NULL
            in_object = in_objects & 1
            if p[0] == c',':
                p = past_key(p + 1, end) if in_object else skip_json_blanks(p + 1, end)
                if p == NULL:
                    return NULL
                break
            if p[0] != (c'}' if in_object else c']'):
                return NULL
            p += 1
            depth -= 1
            if not depth:
                return p
            in_objects >>= 1
            if depth % WORD_BITS == 0:
                in_objects = levels[depth // WORD_BITS - 1]


cdef inline const uint8_t* past_value(
    const uint8_t* p,  # IN
    const uint8_t* end,  # IN
    uint64_t* levels,  # as in `past_nested`
    bint* has_escapes,  # OUT of a string
) noexcept nogil:
    """The place after any value."""
    if p < end and is_nested(p[0]):
        has_escapes[0] = False
        return past_nested(p, end, levels)
    return past_plain_value(p, end, has_escapes)


cdef inline uint8_t* write_character(uint8_t* out, const uint32_t code) noexcept nogil:
    """Write a character as UTF-8; return its end.

    A lone surrogate from U+DC80 to U+DCFF is the byte that Python's "surrogateescape" makes it of, as the rejects file
    does. Any other has three bytes, which are no UTF-8.
    """
    if code < 0x80 or 0xDC80 <= code <= 0xDCFF:
        out[0] = code & 0xFF
        return out + 1
    if code < 0x800:
        out[0] = 0xC0 | code >> 6
    else:
        if code < 0x10000:
            out[0] = 0xE0 | code >> 12
        else:
            out[0] = 0xF0 | code >> 18
            out[1] = 0x80 | (code >> 12 & 0x3F)
            out += 1
        out[1] = 0x80 | (code >> 6 & 0x3F)
        out += 1
    out[1] = 0x80 | (code & 0x3F)
    return out + 2


cdef inline uint8_t* write_unescaped(uint8_t* out, const uint8_t* p, const uint8_t* end) noexcept nogil:
    """Write what the inside of a well-formed string says; return its end. It is never longer than the string."""
    cdef uint32_t code, low
    while p < end:
        if p[0] != c'\\':
            out[0] = p[0]
            out += 1
            p += 1
        elif p[1] != c'u':
            out[0] = escaped_byte(p[1])
            out += 1
            p += 2
        else:
            parse_hex(p + 2, &code)
            p += 6
            if 0xD800 <= code < 0xDC00 and end - p >= 6 and p[0] == c'\\' and p[1] == c'u':
                parse_hex(p + 2, &low)
                if 0xDC00 <= low < 0xE000:
                    code = 0x10000 + ((code - 0xD800) << 10 | (low - 0xDC00))
                    p += 6
            out = write_character(out, code)
    return out


cdef inline void trim_escaped(const uint8_t** start, const uint8_t** end) noexcept nogil:
    """Move the bounds of the inside of a well-formed string past blanks, also those that are escaped."""
    cdef uint8_t[ESCAPED_BYTES_MAX] character
    cdef const uint8_t* p = start[0]
    cdef const uint8_t* past
    cdef const uint8_t* past_last = start[0]
    cdef bint is_before = True
    while p < end[0]:
        past = p + 1
        if p[0] == c'\\':
            past = p + ESCAPED_BYTES_MAX if p[1] == c'u' else p + 2
        write_unescaped(character, p, past)
        if not may_be_blank(character[0]):
            if is_before:
                start[0] = p
            is_before = False
            past_last = past
        p = past
    end[0] = past_last
