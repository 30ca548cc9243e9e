"""Arithmetic that notices when it does not fit.

Money is a signed 64-bit count of units of 0.0001. Helpers return False instead of raising, since they run
without the GIL; the result is written only when it fits.
"""

from libc.stdint cimport int64_t, uint64_t

cdef extern from * nogil:
    bint add_overflows "__builtin_add_overflow"(int64_t a, int64_t b, int64_t* result) noexcept
    bint subtract_overflows "__builtin_sub_overflow"(int64_t a, int64_t b, int64_t* result) noexcept
    bint unsigned_add_overflows "__builtin_add_overflow"(uint64_t a, uint64_t b, uint64_t* result) noexcept

# A sum over many amounts: 128 bits in two halves, two's complement.
cdef struct WideSum:
    uint64_t low
    int64_t high


cdef inline bint fits_as_total(int64_t available, int64_t held) noexcept nogil:
    """Whether available + held fits, as every account's total must."""
    cdef int64_t total
    return not add_overflows(available, held, &total)


cdef inline void add_wide(WideSum* wide, const int64_t amount) noexcept nogil:
    cdef bint carry = unsigned_add_overflows(wide.low, <uint64_t>amount, &wide.low)
    wide.high += (amount >> 63) + carry


cdef inline object whole(const WideSum* wide):
    """A sum as a Python number."""
    return (<object>wide.high << 64) + wide.low
