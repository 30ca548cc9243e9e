"""The buffers of columns, which come from outside: looked at before anything in them is."""

from libc.stdint cimport uint8_t, uintptr_t

from txfast.text.bits cimport WORD_BYTES


cdef inline uint8_t* column(const uint8_t[::1] view, const Py_ssize_t bytes_needed) except NULL:
    """A column's first byte, after a look at whether it has so many, at a word's boundary."""
    if view.shape[0] < max(bytes_needed, <Py_ssize_t>1):
        raise ValueError(f"a column of {view.shape[0]} bytes, where {bytes_needed} are needed")
    if <uintptr_t>&view[0] % WORD_BYTES:
        raise ValueError("a column that begins inside a word")
    return <uint8_t*>&view[0]
