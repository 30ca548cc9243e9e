/* What Cython cannot say: wide multiplications, and the comparison of many bytes at once.
 * Little-endian 64-bit machines with GCC or Clang. TXFAST_PORTABLE leaves the vector unit out. */
#ifndef TXFAST_INTRINSICS_H
#define TXFAST_INTRINSICS_H

#include <stdint.h>
#include <string.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__ || !defined(__SIZEOF_INT128__)
#error "txfast needs a little-endian 64-bit machine and GCC or Clang"
#endif

/* The upper half of a 128-bit product: scales a hash to a range that is no power of two. */
static inline uint64_t txfast_multiply_high(uint64_t a, uint64_t b) {
    return (uint64_t)(((unsigned __int128)a * b) >> 64);
}

/* Both halves of a 128-bit product, folded: one multiplication that mixes every bit into every other. */
static inline uint64_t txfast_multiply_fold(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Ask for huge pages in a table that is accessed at random, before it is touched: a fifth less time with random ids. */
static inline void txfast_advise_huge_pages(void *start, size_t bytes) {
#if defined(__linux__)
    const uintptr_t huge_page = 1 << 21;
    uintptr_t first = ((uintptr_t)start + huge_page - 1) & ~(huge_page - 1);
    uintptr_t end = ((uintptr_t)start + bytes) & ~(huge_page - 1);
    if (end > first) {
        (void)madvise((void *)first, end - first, MADV_HUGEPAGE);
    }
#else
    (void)start;
    (void)bytes;
#endif
}

static inline void txfast_prefetch(const void *address) { __builtin_prefetch(address, 1); }

/* The place of the lowest bit that is set; one is. */
static inline int txfast_lowest_bit(uint64_t mask) { return __builtin_ctzll(mask); }

/* txfast_match: bit i of the result is set where bytes[i] == byte, for sixteen bytes. */
#if defined(__SSE2__) && !defined(TXFAST_PORTABLE)
#include <emmintrin.h>
static inline uint32_t txfast_match(const uint8_t *bytes, uint8_t byte) {
    /* Spread by a multiplication: GCC spreads a byte through the stack, and waits there for its own store. */
    __m128i wanted = _mm_set1_epi32((int)(0x01010101u * byte));
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)bytes), wanted));
}
#else
static inline uint32_t txfast_match_eight(const uint8_t *bytes, uint8_t byte) {
    const uint64_t low_seven = 0x7f7f7f7f7f7f7f7fULL;
    uint64_t word;
    memcpy(&word, bytes, 8);
    word ^= 0x0101010101010101ULL * byte;
    /* The top bit of each byte that is zero, and of no other. */
    word = ~(((word & low_seven) + low_seven) | word | low_seven);
    return (uint32_t)(((word >> 7) * 0x0102040810204080ULL) >> 56);
}
static inline uint32_t txfast_match(const uint8_t *bytes, uint8_t byte) {
    return txfast_match_eight(bytes, byte) | txfast_match_eight(bytes + 8, byte) << 8;
}
#endif

/* The same for sixty-four bytes. */
static inline uint64_t txfast_match_64(const uint8_t *bytes, uint8_t byte) {
    return (uint64_t)txfast_match(bytes, byte) | (uint64_t)txfast_match(bytes + 16, byte) << 16 |
           (uint64_t)txfast_match(bytes + 32, byte) << 32 | (uint64_t)txfast_match(bytes + 48, byte) << 48;
}

#endif
