"""Writes the inside of one JSON string, from any bytes."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from txfast.text.bits cimport WORD_BYTES, load_word, lowest_bit
from txfast.text.csv_in cimport Field
from txfast.text.utf8 cimport utf8_bytes

cdef enum:
    # A byte becomes at most six: \u00XX.
    JSON_GROWTH = 6


cdef inline uint8_t hex_digit(const uint8_t number) noexcept nogil:
    return number + (c'0' if number < 10 else c'a' - 10)


cdef inline uint8_t* write_escaped(uint8_t* out, const uint8_t byte) noexcept nogil:
    """Write \\u00XX for a control character, and a surrogate, \\udcXX, for a byte that is not UTF-8."""
    memcpy(out, b"\\udc" if byte & 0x80 else b"\\u00", 4)
    out[4] = hex_digit(byte >> 4)
    out[5] = hex_digit(byte & 0x0F)
    return out + 6


cdef inline uint64_t special_bytes(const uint64_t word) noexcept nogil:
    """A mask whose lowest bit is the top bit of the first of eight bytes that must be escaped or looked at; 0 for none.

    Those are control characters, quotes, backslashes and bytes beyond ASCII.
    """
    cdef uint64_t ones = <uint64_t>0x0101010101010101
    cdef uint64_t quote = word ^ (ones * c'"')
    cdef uint64_t backslash = word ^ (ones * c'\\')
    # In each term a borrow can set bits above a special byte, never below it.
    return (
        word | ((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)
    ) & (ones * 0x80)


cdef inline const uint8_t* write_special(
    uint8_t** out,  # IN, OUT where to write
    const uint8_t* p,  # IN a special byte of the text
    const Field* text,  # IN
) noexcept nogil:
    """Write one special byte, or the character that it begins; move `out` past it, return where the text goes on."""
    cdef uint8_t byte = p[0]
    cdef Py_ssize_t length
    if byte == c'"' or byte == c'\\':
        out[0][0] = c'\\'
        out[0][1] = byte
        out[0] += 2
        # The quotes in a quoted field are doubled; one of the two counts.
        return p + 2 if byte == c'"' and text.quoted else p + 1
    length = utf8_bytes(p, text.end) if byte & 0x80 else 0
    if not length:
        out[0] = write_escaped(out[0], byte)
        return p + 1
    memcpy(out[0], p, length)
    out[0] += length
    return p + length


cdef inline uint8_t* write_json_string(uint8_t* out, const Field* text) noexcept nogil:
    """Write a text; return its end. A JSON parser reads text.decode("utf-8", "surrogateescape")."""
    cdef const uint8_t* p = text.start
    cdef uint64_t word, special
    cdef Py_ssize_t length
    while text.end - p >= WORD_BYTES:
        word = load_word(p)
        memcpy(out, &word, WORD_BYTES)
        special = special_bytes(word)
        length = lowest_bit(special) >> 3 if special else WORD_BYTES
        out += length
        p += length
        if special:
            p = write_special(&out, p, text)
    while p < text.end:
        if p[0] < 0x20 or p[0] >= 0x80 or p[0] == c'"' or p[0] == c'\\':
            p = write_special(&out, p, text)
        else:
            out[0] = p[0]
            out += 1
            p += 1
    return out
