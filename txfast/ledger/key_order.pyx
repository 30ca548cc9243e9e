"""Sorts keys: a number each, and what goes with it.

This module must not know what the numbers are.
"""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset

from txfast.text.bits cimport leading_zeros, multiply_high

cdef enum:
    # Not a power of two: buckets of equal sizes would then all begin in the same few lines of the cache.
    BUCKETS = 2100
    SMALL_BUCKETS = 512
    INSERTION_KEYS_MAX = 32


cdef bint sort_keys(SortKey* keys, SortKey* scratch, const Py_ssize_t count) noexcept nogil:
    """Sort by client; return whether the result is in the second array. Equal clients stay in order.

    A radix sort from the highest digit down: the first pass spreads the keys over buckets that fit the nearest cache,
    so that all further passes stay inside it.
    """
    cdef Py_ssize_t[BUCKETS] ends
    cdef Py_ssize_t start = 0
    cdef int bucket
    if count < 2:
        return False
    spread(keys, scratch, count, BUCKETS, ends)
    for bucket in range(BUCKETS):
        sort_bucket(scratch + start, keys + start, ends[bucket] - start)
        start = ends[bucket]
    return True


cdef void sort_bucket(
    SortKey* keys,  # IN, OUT
    SortKey* scratch,
    const Py_ssize_t count,  # IN
) noexcept nogil:
    """Sort keys in place. Equal clients stay in order."""
    cdef Py_ssize_t[SMALL_BUCKETS] ends
    cdef Py_ssize_t start = 0
    cdef int bucket
    if count > INSERTION_KEYS_MAX:
        spread(keys, scratch, count, SMALL_BUCKETS, ends)
        # The highest client is never in the bucket of the lowest, unless all clients are equal.
        if ends[0] == count:
            return
        memcpy(keys, scratch, count * sizeof(SortKey))
        # Each level divides a range of clients that is hundreds of times smaller: there are at most eight levels.
        for bucket in range(SMALL_BUCKETS):
            if ends[bucket] - start > INSERTION_KEYS_MAX:
                sort_bucket(keys + start, scratch + start, ends[bucket] - start)
            start = ends[bucket]
    sort_by_insertion(keys, count)


cdef inline uint64_t bucket_of(
    const uint64_t client, const uint64_t lowest, const int leading, const uint64_t buckets,
) noexcept nogil:
    return multiply_high((client - lowest) << leading, buckets)


cdef inline void spread(
    const SortKey* source,  # IN at least one
    SortKey* target,  # OUT
    const Py_ssize_t count,  # IN
    const int buckets,  # IN
    Py_ssize_t* ends,  # OUT where the keys of each bucket end
) noexcept nogil:
    """One stable pass: bucket n gets the nth part of the range from the lowest client to the highest."""
    cdef uint64_t lowest = ~<uint64_t>0, highest = 0
    cdef Py_ssize_t i, start = 0, occurrences
    cdef Py_ssize_t* end
    cdef int bucket, leading
    for i in range(count):
        lowest = min(lowest, source[i].client)
        highest = max(highest, source[i].client)
    leading = leading_zeros((highest - lowest) | 1)  # of 0 it is undefined
    memset(ends, 0, buckets * sizeof(Py_ssize_t))
    for i in range(count):
        ends[bucket_of(source[i].client, lowest, leading, buckets)] += 1
    for bucket in range(buckets):
        occurrences = ends[bucket]
        ends[bucket] = start
        start += occurrences
    for i in range(count):
        end = &ends[bucket_of(source[i].client, lowest, leading, buckets)]
        target[end[0]] = source[i]
        end[0] += 1


cdef inline void sort_by_insertion(SortKey* keys, const Py_ssize_t count) noexcept nogil:
    """Sort keys that are few, or nearly in order. Equal clients stay in order."""
    cdef Py_ssize_t i, slot
    cdef SortKey key
    for i in range(1, count):
        key = keys[i]
        slot = i
        while slot > 0 and keys[slot - 1].client > key.client:
            keys[slot] = keys[slot - 1]
            slot -= 1
        keys[slot] = key
