"""Whether a text is a word of a dialect: a type, a text of a column that is kept, or the name of a key."""

from libc.stdint cimport uint8_t
from libc.string cimport memcmp

from txfast.dialect.meaning cimport Word, Words
from txfast.text.csv_in cimport Field


cdef inline uint8_t lower_case(const uint8_t byte) noexcept nogil:
    return byte | 0x20 if c"A" <= byte <= c"Z" else byte


cdef inline bint is_text(const Field* field, const Word* word) noexcept nogil:
    """Whether a field is exactly this word."""
    return field.end - field.start == word.length and memcmp(field.start, word.text, word.length) == 0


cdef inline bint is_text_in_any_case(const Field* field, const Word* word) noexcept nogil:
    cdef Py_ssize_t index
    if field.end - field.start != word.length:
        return False
    for index in range(word.length):
        if lower_case(field.start[index]) != lower_case(word.text[index]):
            return False
    return True


cdef inline bint is_one_of(const Field* field, const Words* words) noexcept nogil:
    cdef Py_ssize_t index
    for index in range(words.count):
        if is_text(field, &words.first[index]):
            return True
    return False
