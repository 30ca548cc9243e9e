"""Reads structs of Thrift's compact protocol: see thrift_compact.pxd."""

from libc.stdint cimport INT64_MAX, int64_t, uint64_t

cdef enum:
    FIELD_NUMBER_MAX = 0x7FFF
    VARINT_BITS_MAX = 70  # ten bytes
    UUID_BYTES = 16
    DOUBLE_BYTES = 8
    LONG_LIST = 15  # the number of elements follows
    NO_KIND = -1
    # Structs, lists and maps inside each other; Parquet's have up to six.
    DEPTH_MAX = 16


class ThriftError(ValueError):
    """Bytes that are no struct. `needs_more` where they may be the beginning of one."""

    def __init__(self, words, *, needs_more=False):
        super().__init__(words)
        self.needs_more = needs_more


cdef class CompactReader:

    def __cinit__(self, bytes content not None, Py_ssize_t offset=0):
        self.content = content
        self.data = content
        self.size = len(content)
        self.offset = offset
        if not 0 <= offset <= self.size:
            raise ValueError(f"no struct begins at {offset} of {self.size} bytes")

    cdef int next_field(self, FieldHead* head) except -1:
        """Go to the next field of a struct; 0 at the end. The caller has taken or skipped the value before."""
        cdef int first = self.byte()
        cdef int64_t number
        head.kind = first & 0x0F
        if head.kind == STOP:
            return 0
        number = head.number + (first >> 4) if first >> 4 else self.zigzag()
        if not 0 < number <= FIELD_NUMBER_MAX:
            raise ThriftError(f"a field has the number {number}")
        head.number = <int>number
        return 1

    cdef int64_t integer(self, int kind) except? -1:
        """An integer of the type I16, I32 or I64."""
        cdef int64_t value = self.zigzag()
        cdef int64_t most = 0x7FFF if kind == I16 else 0x7FFFFFFF if kind == I32 else INT64_MAX
        if not -most - 1 <= value <= most:
            raise ThriftError(f"the number {value} is too large for its type")
        return value

    cdef bytes binary(self):
        """A text, or bytes."""
        cdef uint64_t count = self.varint()
        cdef Py_ssize_t start = self.offset
        self.pass_over(count)
        return self.content[start:self.offset]

    cdef Py_ssize_t items(self, int kind) except -1:
        """The number of elements of a list whose elements are of this type. The caller takes or skips each."""
        cdef int found
        cdef Py_ssize_t count = self.list_head(&found)
        if count and found != kind:
            raise ThriftError(f"a list has elements of type {found} instead of {kind}")
        return count

    cdef int skip(self, int kind, int depth=0) except -1:
        """Pass over a value of this type."""
        cdef FieldHead head
        cdef Py_ssize_t count
        cdef int inner
        if depth > DEPTH_MAX:
            raise ThriftError(f"values are nested more than {DEPTH_MAX} times")
        if kind == I16 or kind == I32 or kind == I64:
            self.varint()
        elif kind == BINARY:
            self.pass_over(self.varint())
        elif kind == STRUCT:
            head.number = 0
            while self.next_field(&head):
                self.skip(head.kind, depth + 1)
        elif kind == LIST or kind == SET:
            count = self.list_head(&inner)
            self.skip_elements(count, inner, NO_KIND, depth)
        elif kind == MAP:
            count = self.check(self.varint())
            if count:
                inner = self.byte()
                self.skip_elements(count, inner >> 4, inner & 0x0F, depth)
        elif kind == I8:
            self.pass_over(1)
        elif kind == DOUBLE:
            self.pass_over(DOUBLE_BYTES)
        elif kind == UUID:
            self.pass_over(UUID_BYTES)
        elif kind != TRUE_VALUE and kind != FALSE_VALUE:
            raise ThriftError(f"there is no type {kind}")
        return 0

    cdef int skip_elements(self, Py_ssize_t count, int kind, int other, int depth) except -1:
        """Pass over the elements of a list, or of a map, whose values are of the `other` type; NO_KIND for a list."""
        cdef int each
        for _ in range(count):
            for each in (kind, other):
                if each == TRUE_VALUE or each == FALSE_VALUE:
                    self.pass_over(1)
                elif each != NO_KIND:
                    self.skip(each, depth + 1)
        return 0

    cdef Py_ssize_t list_head(self, int* kind) except -1:
        """The number of elements of a list, each of a byte at least, and their type."""
        cdef int first = self.byte()
        kind[0] = first & 0x0F
        return self.check(self.varint() if first >> 4 == LONG_LIST else first >> 4)

    cdef int64_t zigzag(self) except? -1:
        cdef uint64_t value = self.varint()
        return <int64_t>(value >> 1) ^ -<int64_t>(value & 1)

    cdef uint64_t varint(self) except? 0xFFFFFFFFFFFFFFFF:
        cdef uint64_t value = 0
        cdef int shift = 0
        cdef int byte = 0x80
        while byte >= 0x80:
            if shift >= VARINT_BITS_MAX:
                raise ThriftError("a number has more than ten bytes")
            byte = self.byte()
            if shift < 64:
                value |= <uint64_t>(byte & 0x7F) << shift
            shift += 7
        return value

    cdef int byte(self) except -1:
        if self.offset >= self.size:
            raise ThriftError("it ends inside a struct", needs_more=True)
        self.offset += 1
        return self.data[self.offset - 1]

    cdef int pass_over(self, uint64_t count) except -1:
        self.check(count)
        self.offset += <Py_ssize_t>count
        return 0

    cdef Py_ssize_t check(self, uint64_t count) except -1:
        """See that there are so many bytes more, and return their number."""
        if count > <uint64_t>(self.size - self.offset):
            raise ThriftError("it ends inside a struct", needs_more=True)
        return <Py_ssize_t>count
