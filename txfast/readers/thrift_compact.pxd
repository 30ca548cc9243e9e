"""Reads structs of Thrift's compact protocol, which Parquet's metadata is written in.

The caller goes from field to field of a struct, takes the values that it knows by their type, and skips the rest. What
is read is not trusted: no value leads out of the bytes, takes more memory than they do, or recurses without end.

This module must not know what the fields mean. https://github.com/apache/thrift/blob/master/doc/specs
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

# The types of values. A boolean in a struct has no bytes of its own, one in a list has one.
cdef enum Kind:
    STOP = 0
    TRUE_VALUE = 1
    FALSE_VALUE = 2
    I8 = 3
    I16 = 4
    I32 = 5
    I64 = 6
    DOUBLE = 7
    BINARY = 8
    LIST = 9
    SET = 10
    MAP = 11
    STRUCT = 12
    UUID = 13

# The field that comes next: begin with number 0.
cdef struct FieldHead:
    int number
    int kind


cdef class CompactReader:
    """Reads values one after the other, from `offset` on. All of it raises ThriftError."""

    cdef bytes content
    cdef const uint8_t* data
    cdef Py_ssize_t size
    cdef readonly Py_ssize_t offset

    cdef int next_field(self, FieldHead* head) except -1
    cdef int64_t integer(self, int kind) except? -1
    cdef bytes binary(self)
    cdef Py_ssize_t items(self, int kind) except -1
    cdef int skip(self, int kind, int depth=*) except -1

    cdef int skip_elements(self, Py_ssize_t count, int kind, int other, int depth) except -1
    cdef Py_ssize_t list_head(self, int* kind) except -1
    cdef int64_t zigzag(self) except? -1
    cdef uint64_t varint(self) except? 0xFFFFFFFFFFFFFFFF
    cdef int byte(self) except -1
    cdef int pass_over(self, uint64_t count) except -1
    cdef Py_ssize_t check(self, uint64_t count) except -1
