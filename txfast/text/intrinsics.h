/* What Cython cannot express: wide multiplications, and work on many bytes at once. For little-endian 64-bit
 * machines with GCC or Clang. TXFAST_PORTABLE leaves SSE2 intrinsics out. */
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

/* A longer row is not parsed, and no quoted field reaches further than this from its opening. Tests make it small. */
#if !defined(TXFAST_ROW_BYTES_MAX)
#define TXFAST_ROW_BYTES_MAX (1 << 20)
#endif

/* Bytes after a batch's text that may be read. TXFAST_PLANTED_OVERRUN makes the fast path read past the end of its
 * memory, to prove that the sanitizers notice (tests/campaigns/sanitizers.py). */
#if defined(TXFAST_PLANTED_OVERRUN)
#define TXFAST_SLACK_BYTES 0
#else
#define TXFAST_SLACK_BYTES 128
#endif

/* The upper half of a 128-bit product: scales a hash to a range of any size. */
static inline uint64_t txfast_multiply_high(uint64_t a, uint64_t b) {
    return (uint64_t)(((unsigned __int128)a * b) >> 64);
}

/* Both halves of a 128-bit product, folded: one multiplication that mixes every bit into every other. */
static inline uint64_t txfast_multiply_fold(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Ask for huge pages in new memory, before it is touched: tables accessed at random then take a fifth less time. */
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

/* Map a table's memory now. A page that is read before it is written is otherwise mapped twice, and the second mapping
 * interrupts every other thread. */
static inline void txfast_populate(void *start, size_t bytes) {
#if defined(__linux__)
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; before that it is refused, and pages come one by one */
#endif
    const uintptr_t page = 1 << 12;
    uintptr_t first = ((uintptr_t)start + page - 1) & ~(page - 1);
    uintptr_t end = ((uintptr_t)start + bytes) & ~(page - 1);
    if (end > first) {
        (void)madvise((void *)first, end - first, MADV_POPULATE_WRITE);
    }
#else
    (void)start;
    (void)bytes;
#endif
}

static inline void txfast_prefetch(const void *address) { __builtin_prefetch(address, 1); }

/* The position of the lowest bit that is set. The mask is not 0. */
static inline int txfast_lowest_bit(uint64_t mask) { return __builtin_ctzll(mask); }

/* txfast_match: bit i of the result is set where bytes[i] == byte, for sixteen bytes. */
#if defined(__SSE2__) && !defined(TXFAST_PORTABLE)
#include <emmintrin.h>
static inline uint32_t txfast_match(const uint8_t *bytes, uint8_t byte) {
    /* Spread by a multiplication: GCC spreads a byte through the stack, and waits there for its own store. */
    __m128i wanted = _mm_set1_epi32((int)(0x01010101u * byte));
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)bytes), wanted));
}
static inline uint32_t txfast_match_either(const uint8_t *bytes, uint8_t one, uint8_t other) {
    __m128i text = _mm_loadu_si128((const __m128i *)bytes);
    __m128i found = _mm_or_si128(
        _mm_cmpeq_epi8(text, _mm_set1_epi8((char)one)), _mm_cmpeq_epi8(text, _mm_set1_epi8((char)other)));
    return (uint32_t)_mm_movemask_epi8(found);
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
static inline uint32_t txfast_match_either(const uint8_t *bytes, uint8_t one, uint8_t other) {
    return txfast_match(bytes, one) | txfast_match(bytes, other);
}
#endif

/* The same for sixty-four bytes. */
static inline uint64_t txfast_match_64(const uint8_t *bytes, uint8_t byte) {
    return (uint64_t)txfast_match(bytes, byte) | (uint64_t)txfast_match(bytes + 16, byte) << 16 |
           (uint64_t)txfast_match(bytes + 32, byte) << 32 | (uint64_t)txfast_match(bytes + 48, byte) << 48;
}

/* The same for either of two bytes: the boundaries of fields. */
static inline uint64_t txfast_match_either_64(const uint8_t *bytes, uint8_t one, uint8_t other) {
    uint64_t mask = 0;
    for (int i = 0; i < 64; i += 16) {
        mask |= (uint64_t)txfast_match_either(bytes + i, one, other) << i;
    }
    return mask;
}

/* Four numbers from four words of eight digits each. A digit is its text less '0', the first one in the lowest byte.
 * False where a byte is no digit. */
#if defined(__SSE2__) && !defined(TXFAST_PORTABLE)
static inline int txfast_four_numbers(const uint64_t digits[4], uint32_t numbers[4]) {
    __m128i low = _mm_set_epi64x((long long)digits[1], (long long)digits[0]);
    __m128i high = _mm_set_epi64x((long long)digits[3], (long long)digits[2]);
    const __m128i nine = _mm_set1_epi8(9);
    __m128i above = _mm_or_si128(_mm_subs_epu8(low, nine), _mm_subs_epu8(high, nine));
    /* Digits become pairs, pairs become numbers of four digits, and these become numbers of eight. */
    const __m128i tens = _mm_set1_epi16(1 + 10 * 256);
    const __m128i hundreds = _mm_set1_epi32(100 + (1 << 16));
    const __m128i ten_thousands = _mm_set1_epi32(10000 + (1 << 16));
    low = _mm_madd_epi16(_mm_srli_epi16(_mm_mullo_epi16(low, tens), 8), hundreds);
    high = _mm_madd_epi16(_mm_srli_epi16(_mm_mullo_epi16(high, tens), 8), hundreds);
    _mm_storeu_si128((__m128i *)numbers, _mm_madd_epi16(_mm_packs_epi32(low, high), ten_thousands));
    return _mm_movemask_epi8(_mm_cmpeq_epi8(above, _mm_setzero_si128())) == 0xffff;
}
#else
static inline int txfast_four_numbers(const uint64_t digits[4], uint32_t numbers[4]) {
    uint64_t outside = 0;
    for (int i = 0; i < 4; i++) {
        uint64_t word = digits[i];
        outside |= (word | (word + 0x7676767676767676ULL)) & 0x8080808080808080ULL;
        word = ((word * (1 + (10 << 8))) >> 8) & 0x00FF00FF00FF00FFULL;
        word = ((word * (1 + (100 << 16))) >> 16) & 0x0000FFFF0000FFFFULL;
        numbers[i] = (uint32_t)((word * (1 + (10000ULL << 32))) >> 32);
    }
    return outside == 0;
}
#endif

/* A UUID in canonical form, packed and back: 36 bytes with 32 digits of base 16, letters in lower case, and a hyphen
 * behind the 8th, 12th, 16th and 20th. A byte of `packed` has two digits, of which the second comes eight digits after
 * the first one. */
typedef signed char txfast_bytes __attribute__((vector_size(16)));
typedef uint64_t txfast_words __attribute__((vector_size(16)));
#define TXFAST_NIBBLES 0x0f0f0f0f0f0f0f0fULL

static inline uint64_t txfast_two_groups(const uint8_t *one, const uint8_t *other) {
    uint32_t low, high;
    memcpy(&low, one, 4);
    memcpy(&high, other, 4);
    return low | (uint64_t)high << 32;
}

/* The values of sixteen digits. Clears bits in `valid` where a byte is none. */
static inline txfast_words txfast_values(txfast_words text, txfast_words *valid) {
    txfast_bytes digits = (txfast_bytes)text;
    txfast_bytes are_letters = (digits >= 'a') & (digits <= 'f');
    *valid &= (txfast_words)(are_letters | ((digits >= '0') & (digits <= '9')));
    return (txfast_words)((digits & 0x0f) + (are_letters & 9));
}

static inline txfast_words txfast_digits(txfast_words values) {
    txfast_bytes numbers = (txfast_bytes)values;
    return (txfast_words)(numbers + '0' + ((numbers > 9) & ('a' - 10 - '0')));
}

/* False where the text is no UUID in canonical form; `packed` is then of no use. */
static inline int txfast_pack_uuid(const uint8_t text[36], uint64_t packed[2]) {
    uint64_t first, last;
    memcpy(&first, text, 8);
    memcpy(&last, text + 28, 8);
    txfast_words valid = {~0ULL, ~0ULL};
    txfast_words upper = {first, txfast_two_groups(text + 19, text + 24)};
    txfast_words lower = {txfast_two_groups(text + 9, text + 14), last};
    txfast_words both = txfast_values(upper, &valid) << 4 | txfast_values(lower, &valid);
    memcpy(packed, &both, 16);
    return text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-' && (valid[0] & valid[1]) == ~0ULL;
}

static inline void txfast_unpack_uuid(uint8_t text[36], const uint64_t packed[2]) {
    txfast_words both = {packed[0], packed[1]};
    txfast_words upper = txfast_digits(both >> 4 & TXFAST_NIBBLES);
    txfast_words lower = txfast_digits(both & TXFAST_NIBBLES);
    text[8] = text[13] = text[18] = text[23] = '-';
    memcpy(text, &upper, 8);
    memcpy(text + 9, &lower, 4);
    memcpy(text + 14, (uint8_t *)&lower + 4, 4);
    memcpy(text + 19, (uint8_t *)&upper + 8, 4);
    memcpy(text + 24, (uint8_t *)&upper + 12, 4);
    memcpy(text + 28, (uint8_t *)&lower + 8, 8);
}

#endif
