"""Ids that are texts: their hash, and how they are compared and copied, by words, since most are short.

The hash is keyed, so that no input can be made whose ids all collide.

One key serves a whole run, so that readers hash each id once and all ledgers use that hash. No output depends on it.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from txfast.text.bits cimport WORD_BYTES, load_word, multiply_fold

cdef enum:
    TEXT_HASH_STEP_BYTES = 2 * 8  # hashed at once
    # Bytes after a text that are read, and written where it is copied to, and do not count.
    TEXT_HASH_SLACK_BYTES = 2 * 8

cdef struct TextKey:
    uint64_t seed
    uint64_t mask
    uint64_t multiplier  # odd


cdef inline int read_key(TextKey* key, bytes words) except -1:
    """Make a key of random bytes. Raises ValueError where they are too many or too few."""
    cdef const uint8_t* random = words
    if len(words) != sizeof(TextKey):
        raise ValueError(f"a key of {len(words)} bytes: it has {sizeof(TextKey)}")
    key[0] = (<const TextKey*>random)[0]
    key.multiplier |= 1
    return 0


cdef inline uint64_t load_bytes(const uint8_t* text, const Py_ssize_t length) noexcept nogil:
    """The first bytes of a text as a word: none for a length below 1, at most eight."""
    cdef int bits = <int>(WORD_BYTES * min(max(length, 0), <Py_ssize_t>WORD_BYTES))
    # Two shifts, since shifting a word by all of its 64 bits is undefined.
    return load_word(text) & ~(~<uint64_t>0 << (bits >> 1) << (bits >> 1))


cdef inline bint are_same_texts(const uint8_t* one, const uint8_t* other, const Py_ssize_t length) noexcept nogil:
    """Whether two texts of this length are the same."""
    cdef Py_ssize_t last = length - WORD_BYTES, place = 0
    if last < 0:
        return load_bytes(one, length) == load_bytes(other, length)
    while place < last:
        if load_word(one + place) != load_word(other + place):
            return False
        place += WORD_BYTES
    return load_word(one + last) == load_word(other + last)  # some of these bytes again


cdef inline void copy_text(uint8_t* out, const uint8_t* text, Py_ssize_t length) noexcept nogil:
    """Copy a text; up to TEXT_HASH_SLACK_BYTES behind it are overwritten too."""
    cdef uint64_t[2] words
    while length > 0:
        memcpy(words, text, sizeof(words))
        memcpy(out, words, sizeof(words))
        text += sizeof(words)
        out += sizeof(words)
        length -= sizeof(words)


cdef inline uint64_t hash_text(const TextKey* key, const uint8_t* text, const Py_ssize_t length) noexcept nogil:
    """The hash of a text. TEXT_HASH_SLACK_BYTES after it must be readable."""
    cdef uint64_t hash = key.seed ^ <uint64_t>length
    cdef uint64_t low, high
    cdef Py_ssize_t last = length - TEXT_HASH_STEP_BYTES, place = 0
    while place < last:
        hash = multiply_fold(load_word(text + place) ^ key.mask, load_word(text + place + WORD_BYTES) ^ hash)
        place += TEXT_HASH_STEP_BYTES
    # The last words have some bytes again.
    if length >= WORD_BYTES:
        low = load_word(text + max(last, 0))
        high = load_word(text + length - WORD_BYTES)
    else:
        low = load_bytes(text, length)
        high = 0
    hash = multiply_fold(low ^ key.mask, high ^ hash)
    return multiply_fold(hash ^ key.mask, key.multiplier)
