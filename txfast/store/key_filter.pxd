"""The filter of a segment: it rules out most keys that the segment does not have.

It is a Bloom filter in blocks of a cache line. With 16 bits a key, one key in a thousand passes that is not there.
Its hash is keyed, so that no input can be made whose ids all pass.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from txfast.text.bits cimport advise_huge_pages, multiply_fold, multiply_high, prefetch

cdef enum:
    BLOCK_BYTES = 64
    BLOCK_KEYS = 32  # 16 bits a key
    AHEAD_KEYS = 16
    FILTER_GOLDEN = 0x9E3779B97F4A7C15

cdef struct FilterKey:
    uint64_t[4] words


cdef inline int read_filter_key(FilterKey* key, bytes words) except -1:
    """Make a key of random bytes. Raises ValueError where they are too many or too few."""
    if len(words) != sizeof(FilterKey):
        raise ValueError(f"a key of {len(words)} bytes: it has {sizeof(FilterKey)}")
    memcpy(key, <const uint8_t*>words, sizeof(FilterKey))
    return 0


cdef inline uint64_t filter_hash(
    const FilterKey* key, const uint64_t client_word, const uint64_t tx_word,
) noexcept nogil:
    """The hash of the words of a row."""
    cdef uint64_t client = multiply_fold(client_word ^ key.words[0], key.words[1] | 1)
    return multiply_fold(tx_word ^ client, (client ^ key.words[2]) | 1)


cdef inline uint64_t blocks_for(const uint64_t keys) noexcept nogil:
    """The blocks of a filter of so many keys."""
    return (keys + BLOCK_KEYS - 1) // BLOCK_KEYS


cdef inline uint64_t block_of(const uint64_t hash, const uint64_t blocks) noexcept nogil:
    """The block in which a key with this hash is."""
    return multiply_high(hash, blocks)


cdef inline uint64_t bits_of(const FilterKey* key, const uint64_t hash) noexcept nogil:
    """Where the bits of a key with this hash are in its block: seven numbers of nine bits."""
    return multiply_fold(hash ^ key.words[3], <uint64_t>FILTER_GOLDEN)


cdef inline void set_bits(uint8_t* block, uint64_t bits) noexcept nogil:
    """Add a key with these bits to its block."""
    cdef int _
    for _ in range(7):
        block[bits >> 3 & 63] |= <uint8_t>(1 << (bits & 7))
        bits >>= 9


cdef inline bint has_bits(const uint8_t* block, uint64_t bits) noexcept nogil:
    """Whether a block may have a key with these bits. Testing all bits is faster than to stop at the first."""
    cdef int found = 1, _
    for _ in range(7):
        found &= block[bits >> 3 & 63] >> (bits & 7)
        bits >>= 9
    return found


cdef inline uint64_t filter_bytes(const uint64_t blocks) noexcept nogil:
    """The bytes of a filter."""
    return blocks * BLOCK_BYTES


cdef inline void fill_filter(
    uint8_t* filter,  # OUT all zero before
    const uint64_t blocks, const FilterKey* key, const uint64_t* hashes, const uint64_t count,
) noexcept nogil:
    """Make the filter of keys with these hashes."""
    cdef uint64_t row
    advise_huge_pages(filter, filter_bytes(blocks))
    for row in range(count):
        if row + AHEAD_KEYS < count:
            prefetch(filter + block_of(hashes[row + AHEAD_KEYS], blocks) * BLOCK_BYTES)
        set_bits(filter + block_of(hashes[row], blocks) * BLOCK_BYTES, bits_of(key, hashes[row]))
