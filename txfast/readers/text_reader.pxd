"""TextReader: what the readers of lines share. See text_reader.pyx."""

from libc.stdint cimport uint8_t, uint64_t

from txfast.batch.batch cimport TransactionBatch
from txfast.batch.header cimport Header

cdef enum:
    BOM_BYTES = 3

cdef class TextReader:
    cdef object file
    cdef str name
    cdef Py_ssize_t block_bytes
    cdef bytes carry  # read already, after the last whole line
    cdef bint at_start
    cdef bint at_end
    cdef readonly Header header
    cdef readonly uint64_t bytes_read
    cdef readonly object consumption
    cdef readonly object dialect
    cdef object last_row
    cdef readonly uint64_t held_bytes
    cdef readonly Py_ssize_t bytes_taken
    cdef Py_ssize_t stop_at

    cdef int make_room(self, TransactionBatch batch, Py_ssize_t kept, Py_ssize_t needed) except -1
    cdef Py_ssize_t read_into(self, bytearray buffer, Py_ssize_t filled) except -1
    cdef Py_ssize_t read_on(
        self, TransactionBatch batch, const uint8_t* rest, const uint8_t* end, Py_ssize_t filled,
    ) except -1
    cdef int take_up_to(
        self, TransactionBatch batch, const uint8_t* rest, const uint8_t* end, Py_ssize_t filled,
    ) except -1
    cdef int consume(self, TransactionBatch batch, Py_ssize_t count) except -1
    cdef Py_ssize_t mark_bytes_in(self, const uint8_t* text, Py_ssize_t text_bytes) noexcept
