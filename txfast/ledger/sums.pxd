"""Sums of money: totals that must fit in 64 bits, and exact sums over any number of accounts.

Money is a signed 64-bit count of units of the last decimal. All but `whole` run without the GIL, so `fits_as_total`
returns False instead of raising an exception.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport realloc
from libc.string cimport memset

from txfast.text.bits cimport add_overflows, unsigned_add_overflows

# A sum of any number of amounts: 128 bits in two halves, two's complement.
cdef struct WideSum:
    uint64_t low
    int64_t high


cdef inline bint fits_as_total(int64_t available, int64_t held) noexcept nogil:
    """Whether available + held fits in 64 bits, as the total of every account must."""
    cdef int64_t total
    return not add_overflows(available, held, &total)


cdef inline void add_wide(WideSum* wide, const int64_t amount) noexcept nogil:
    cdef bint carry = unsigned_add_overflows(wide.low, <uint64_t>amount, &wide.low)
    wide.high += (amount >> 63) + carry


cdef inline bint reserve_sums(WideSum** sums, Py_ssize_t* count, const Py_ssize_t wanted) noexcept nogil:
    """Make an array of sums one of so many, if it has fewer: new ones are 0. False when memory is exhausted."""
    cdef WideSum* grown
    if wanted > count[0]:
        grown = <WideSum*>realloc(sums[0], wanted * sizeof(WideSum))
        if grown == NULL:
            return False
        memset(&grown[count[0]], 0, (wanted - count[0]) * sizeof(WideSum))
        sums[0] = grown
        count[0] = wanted
    return True


cdef inline int compare_wide(const WideSum* wide, const int64_t amount) noexcept nogil:
    """-1, 0 or 1 where the sum is less than the amount, the same or more."""
    cdef int64_t high = amount >> 63
    if wide.high != high:
        return -1 if wide.high < high else 1
    return (wide.low > <uint64_t>amount) - (wide.low < <uint64_t>amount)


cdef inline object whole(const WideSum* wide):
    """The sum as a Python int."""
    return (<object>wide.high << 64) + wide.low
