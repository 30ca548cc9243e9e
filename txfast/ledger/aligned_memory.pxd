"""Zeroed memory for the ledger's tables and logs, aligned so that accesses are cheap."""

from libc.stdint cimport uintptr_t
from libc.stdlib cimport calloc

cdef enum:
    CACHE_LINE_BYTES = 64
    HUGE_PAGE_BYTES = 1 << 21


cdef inline void* allocate_zeroed(const size_t byte_count, void** allocation) noexcept nogil:
    """Memory that starts at a cache line, or at a huge page if it fills one; NULL when memory is exhausted.

    Sets `allocation` to the pointer for `free`.
    """
    cdef size_t alignment = HUGE_PAGE_BYTES if byte_count >= HUGE_PAGE_BYTES else CACHE_LINE_BYTES
    allocation[0] = calloc(1, byte_count + alignment - 1)
    if allocation[0] == NULL:
        return NULL
    return <void*>((<uintptr_t>allocation[0] + alignment - 1) & ~<uintptr_t>(alignment - 1))
