"""Buffers of columns: their size and alignment are checked before anything is read or written."""

from libc.stdint cimport uint8_t, uintptr_t

from txfast.text.bits cimport WORD_BYTES


cdef inline uint8_t* column(const uint8_t[::1] view, const Py_ssize_t bytes_needed) except NULL:
    """The first byte of a column that has at least `bytes_needed` and is aligned to a word. Raises ValueError."""
    if view.shape[0] < max(bytes_needed, <Py_ssize_t>1):
        raise ValueError(f"a column of {view.shape[0]} bytes, where {bytes_needed} are needed")
    if <uintptr_t>&view[0] % WORD_BYTES:
        raise ValueError("a column that begins inside a word")
    return <uint8_t*>&view[0]
