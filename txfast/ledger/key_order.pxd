"""Sorts keys. See key_order.pyx."""

from libc.stdint cimport int64_t, uint64_t

cdef struct SortKey:
    uint64_t client  # of a text the address of its length, which its bytes follow
    int64_t content  # available, in units of the last decimal; for a marked account its address


cdef bint sort_keys(SortKey* keys, SortKey* scratch, const Py_ssize_t count) noexcept nogil
cdef void sort_bucket(SortKey* keys, SortKey* scratch, const Py_ssize_t count) noexcept nogil
