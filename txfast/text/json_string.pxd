"""The inside of one JSON string, of bytes that may be anything."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from txfast.text.bits cimport WORD_BYTES, lowest_bit
from txfast.text.csv_in cimport Field
from txfast.text.utf8 cimport utf8_bytes

cdef enum:
    # What a byte can grow to: \u00XX.
    JSON_GROWTH = 6


cdef inline uint8_t hex_digit(const uint8_t number) noexcept nogil:
    return number + (c'0' if number < 10 else c'a' - 10)


cdef inline uint8_t* write_escaped(uint8_t* out, const uint8_t byte) noexcept nogil:
    """A control character as itself, a byte that is not UTF-8 as the surrogate that stands for it."""
    memcpy(out, b"\\udc" if byte & 0x80 else b"\\u00", 4)
    out[4] = hex_digit(byte >> 4)
    out[5] = hex_digit(byte & 0x0F)
    return out + 6


cdef inline uint64_t special_bytes(const uint64_t word) noexcept nogil:
    """The top bit of the first of eight bytes that cannot stay as it is is set, and none below; 0 where all can."""
    cdef uint64_t ones = <uint64_t>0x0101010101010101
    cdef uint64_t quote = word ^ (ones * c'"')
    cdef uint64_t backslash = word ^ (ones * c'\\')
    # In each term a borrow can set bits above a byte that is special, never below.
    return (
        word | ((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash)
    ) & (ones * 0x80)


cdef inline const uint8_t* write_special(
    uint8_t** out,  # IN, OUT where to write
    const uint8_t* p,  # IN a byte that cannot stay as it is, or the first of a character beyond ASCII
    const Field* text,  # IN the text that it is in
) noexcept nogil:
    """Write one byte or character; return where the next one is."""
    cdef uint8_t byte = p[0]
    cdef Py_ssize_t length
    if byte == c'"' or byte == c'\\':
        out[0][0] = c'\\'
        out[0][1] = byte
        out[0] += 2
        # Quotes that stood in a quoted field are doubled; one of them counts.
        return p + 2 if byte == c'"' and text.quoted else p + 1
    length = utf8_bytes(p, text.end) if byte & 0x80 else 0
    if not length:
        out[0] = write_escaped(out[0], byte)
        return p + 1
    memcpy(out[0], p, length)
    out[0] += length
    return p + length


cdef inline uint8_t* write_json_string(uint8_t* out, const Field* text) noexcept nogil:
    """Write a text so that what is read is bytes.decode("utf-8", "surrogateescape"); return where it ends."""
    cdef const uint8_t* p = text.start
    cdef uint64_t word, special
    cdef Py_ssize_t length
    while text.end - p >= WORD_BYTES:
        memcpy(&word, p, WORD_BYTES)
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
