"""The currencies of a run: codes as texts, and the numbers that batches and accounts have in their place.

A scanner knows the codes that it has met; new ones it asks of the run's Currencies (currencies.pyx). That is a Python
object here, so that runs without currencies need not import its module.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport malloc
from libc.string cimport memcpy, memset

from cpython.bytearray cimport PyByteArray_AS_STRING

from txfast.text.bits cimport WORD_BYTES, load_word

cdef enum:
    CODE_BYTES_MAX = 12
    KNOWN_BITS = 6
    KNOWN_SLOTS = 1 << KNOWN_BITS

# A code: its bytes with zeros behind them, and its length in the last byte. Two are the same where both words are.
cdef struct CurrencyCode:
    uint64_t first
    uint64_t second

cdef struct KnownCode:
    CurrencyCode code
    uint16_t number

# Codes that a scanner has met, by their hash. An unused slot has a code of length 0, which no row has.
cdef struct KnownCodes:
    KnownCode[KNOWN_SLOTS] slots
    void* currencies  # the run's Currencies, borrowed
    CurrencyCode refused  # of length 0 where each has got a number


cdef inline int new_number(KnownCodes* known, const CurrencyCode code) noexcept with gil:
    """The number of a code that a scanner does not know; 0, and the code in `refused`, where the run gives it none."""
    cdef uint8_t[16] padded
    memcpy(padded, &code, sizeof(CurrencyCode))
    try:
        return (<object>known.currencies).number((<const uint8_t*>padded)[:padded[15]])
    except Exception:
        known.refused = code
        return 0


cdef inline int check_codes(const KnownCodes* known) except -1:
    """Raise an error where a code was refused: rows of the batch have the number 0 for it."""
    cdef uint8_t[16] padded
    if known.refused.second:
        memcpy(padded, &known.refused, sizeof(CurrencyCode))
        (<object>known.currencies).number((<const uint8_t*>padded)[:padded[15]])
        raise MemoryError("no memory for another currency")
    return 0


cdef inline CurrencyCode code_of_words(
    const uint64_t first, const uint64_t second, const Py_ssize_t length,
) noexcept nogil:
    """The code with these bytes, with zeros behind them, and this length."""
    return CurrencyCode(first=first, second=second | <uint64_t>length << 56)


cdef inline bint make_code(const uint8_t* start, const Py_ssize_t length, CurrencyCode* code) noexcept nogil:
    """The code of a text; False where it is empty or too long."""
    cdef uint8_t[2 * WORD_BYTES] padded
    if not 0 < length <= CODE_BYTES_MAX:
        return False
    memset(padded, 0, sizeof(padded))
    memcpy(padded, start, length)
    code[0] = code_of_words(load_word(padded), load_word(padded + WORD_BYTES), length)
    return True


cdef inline uint16_t number_of(KnownCodes* known, const CurrencyCode code) noexcept nogil:
    """The number of a code in the run. Where there is none it is 0: call `check_codes` once all rows are scanned."""
    cdef uint64_t hash = (code.first ^ (code.second << 32 | code.second >> 32)) * <uint64_t>0x9E3779B97F4A7C15
    cdef KnownCode* slot = &known.slots[hash >> (64 - KNOWN_BITS)]
    if slot.code.first != code.first or slot.code.second != code.second:
        slot.number = <uint16_t>new_number(known, code)
        slot.code = code
    return slot.number


cdef inline tuple code_buffers(list codes, const uint16_t* numbers, const Py_ssize_t count):
    """The codes of currencies by their numbers, as a column: where each begins, and the bytes of all. `codes` are those
    of the run."""
    cdef bytearray offset_buffer = bytearray((count + 1) * sizeof(int32_t))
    cdef int32_t* offsets = <int32_t*>PyByteArray_AS_STRING(offset_buffer)
    cdef bytearray text_buffer
    cdef uint8_t* text
    cdef bytes code
    cdef Py_ssize_t row
    for row in range(count):
        code = codes[numbers[row]]
        offsets[row + 1] = offsets[row] + <int32_t>len(code)
    text_buffer = bytearray(offsets[count])
    text = <uint8_t*>PyByteArray_AS_STRING(text_buffer)
    for row in range(count):
        code = codes[numbers[row]]
        memcpy(text + offsets[row], <const uint8_t*>code, len(code))
    return offset_buffer, text_buffer


cdef inline uint32_t* new_ranks(list codes) except NULL:
    """The places of codes in the order of all, by their numbers: an array for the caller to free."""
    cdef uint32_t* ranks = <uint32_t*>malloc((len(codes) + 1) * sizeof(uint32_t))
    cdef Py_ssize_t rank
    if ranks == NULL:
        raise MemoryError(f"no memory to sort {len(codes)} currencies")
    for rank, number in enumerate(sorted(range(len(codes)), key=codes.__getitem__)):
        ranks[<Py_ssize_t>number] = <uint32_t>rank
    return ranks
