/* What Cython cannot say: a wide multiplication, and the comparison of sixteen bytes at once.
 * Little-endian 64-bit machines with GCC or Clang. TXFAST_PORTABLE leaves the vector unit out. */
#ifndef TXFAST_INTRINSICS_H
#define TXFAST_INTRINSICS_H

#include <stdint.h>
#include <string.h>

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

static inline void txfast_prefetch(const void *address) { __builtin_prefetch(address, 1); }

static inline int txfast_lowest_bit(uint32_t mask) { return __builtin_ctz(mask); }

/* Bit i of the result is set where tags[i] == tag, for the sixteen tags of a group. */
#if defined(__SSE2__) && !defined(TXFAST_PORTABLE)
#include <emmintrin.h>
static inline uint32_t txfast_match(const uint8_t *tags, uint8_t tag) {
    /* Spread by a multiplication: GCC spreads a byte through the stack, and waits there for its own store. */
    __m128i wanted = _mm_set1_epi32((int)(0x01010101u * tag));
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)tags), wanted));
}
#else
static inline uint32_t txfast_match_eight(const uint8_t *tags, uint8_t tag) {
    const uint64_t low_seven = 0x7f7f7f7f7f7f7f7fULL;
    uint64_t word;
    memcpy(&word, tags, 8);
    word ^= 0x0101010101010101ULL * tag;
    /* The top bit of each byte that is zero, and of no other. */
    word = ~(((word & low_seven) + low_seven) | word | low_seven);
    return (uint32_t)(((word >> 7) * 0x0102040810204080ULL) >> 56);
}
static inline uint32_t txfast_match(const uint8_t *tags, uint8_t tag) {
    return txfast_match_eight(tags, tag) | txfast_match_eight(tags + 8, tag) << 8;
}
#endif

#endif
