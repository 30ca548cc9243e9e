"""Bits, words and vectors: the functions of intrinsics.h and of the compiler, each declared once, here.

They know neither text nor money. `lowest_bit` and `leading_zeros` need at least one bit that is set.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    WORD_BYTES = 8
    WINDOW_BYTES = 64  # bytes that match_64 and match_either_64 compare

cdef extern from "txfast/text/intrinsics.h" nogil:
    enum:
        # Bytes after a batch's text that may be read, so that the scanner reads whole windows.
        TEXT_SLACK_BYTES "TXFAST_SLACK_BYTES"
    # Bit i of the result is set where bytes[i] == byte.
    uint32_t match_16 "txfast_match"(const uint8_t* bytes, uint8_t byte) noexcept
    uint64_t match_64 "txfast_match_64"(const uint8_t* bytes, uint8_t byte) noexcept
    uint64_t match_either_64 "txfast_match_either_64"(const uint8_t* bytes, uint8_t one, uint8_t other) noexcept
    # Four numbers from four words of eight digits; False where a byte is no digit.
    bint four_numbers "txfast_four_numbers"(const uint64_t* digits, uint32_t* numbers) noexcept
    # The position of the lowest bit that is set.
    int lowest_bit "txfast_lowest_bit"(uint64_t mask) noexcept
    # The upper half of a 128-bit product; both halves, folded into one word.
    uint64_t multiply_high "txfast_multiply_high"(uint64_t a, uint64_t b) noexcept
    uint64_t multiply_fold "txfast_multiply_fold"(uint64_t a, uint64_t b) noexcept
    void prefetch "txfast_prefetch"(const void* address) noexcept
    void advise_huge_pages "txfast_advise_huge_pages"(void* start, size_t bytes) noexcept
    void populate "txfast_populate"(void* start, size_t bytes) noexcept

cdef extern from * nogil:
    int leading_zeros "__builtin_clzll"(uint64_t word) noexcept
    int count_bits "__builtin_popcountll"(uint64_t mask) noexcept
    uint64_t swap_bytes "__builtin_bswap64"(uint64_t word) noexcept
    # True where the result does not fit; it is then the low 64 bits.
    bint add_overflows "__builtin_add_overflow"(int64_t a, int64_t b, int64_t* result) noexcept
    bint subtract_overflows "__builtin_sub_overflow"(int64_t a, int64_t b, int64_t* result) noexcept
    bint unsigned_add_overflows "__builtin_add_overflow"(uint64_t a, uint64_t b, uint64_t* result) noexcept
    bint unsigned_multiply_overflows "__builtin_mul_overflow"(uint64_t a, uint64_t b, uint64_t* result) noexcept


cdef inline uint64_t load_word(const uint8_t* bytes) noexcept nogil:
    """The next WORD_BYTES as a word, the first one in its lowest byte."""
    cdef uint64_t word
    memcpy(&word, bytes, sizeof(word))
    return word
