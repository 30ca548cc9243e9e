"""DifferenceColumns: some differences between accounts as columns, and their texts as CSV, JSON lines and for Arrow.

Whoever compares accounts fills them, and clears them once they are written. This module must not know why two values
were compared.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from cpython.bytearray cimport PyByteArray_AS_STRING

from txfast.text.bits cimport WORD_BYTES
from txfast.text.numbers_out cimport AMOUNT_BYTES_MAX, NUMBER_BYTES_MAX, write_amount, write_number

# The columns of a file of differences.
COLUMN_NAMES = ("client", "column", "expected", "found")
# What differs, by its code. An account that is on one side only is a difference too.
NAMES = ("account", "available", "held", "total", "locked")
assert len(NAMES) == DIFFERS_COUNT
CSV_HEADER = ",".join(COLUMN_NAMES).encode() + b"\n"

cdef enum:
    NAME_BYTES_MAX = 16
    # Of a line: its numbers and texts, and the names and signs between them.
    LINE_BYTES_MAX = NUMBER_BYTES_MAX + NAME_BYTES_MAX + 2 * AMOUNT_BYTES_MAX + 64


cdef class DifferenceColumns:
    """Up to 16,384 differences. `rows` is their number."""

    def __len__(self):
        return self.rows

    def clear(self):
        """Forget the differences."""
        self.rows = 0

    def first_texts(self, Py_ssize_t count):
        """Iterate the first ones, at most `count`, as (client, column, expected, found), the last three as text."""
        cdef Py_ssize_t row
        for row in range(min(count, self.rows)):
            yield (
                self.client[row], NAMES[self.differs[row]], value_text(self.differs[row], self.expected[row]),
                value_text(self.differs[row], self.found[row]),
            )

    def csv(self):
        """The differences as lines of CSV, without the header."""
        return self.lines(b"", b",", b",", b",", b"\n")

    def json_lines(self):
        """The differences as JSON, an object a line. Amounts are text, so that no reader makes floats of them."""
        return self.lines(b'{"client": ', b', "column": "', b'", "expected": "', b'", "found": "', b'"}\n')

    cdef bytes lines(self, bytes start, bytes column, bytes expected, bytes found, bytes end):
        cdef bytearray lines = bytearray(self.rows * LINE_BYTES_MAX + WORD_BYTES)
        cdef uint8_t* first = <uint8_t*>PyByteArray_AS_STRING(lines)
        cdef uint8_t* out = first
        cdef Py_ssize_t row
        for row in range(self.rows):
            out = write_number(put(out, start), self.client[row])
            out = put(put(out, column), NAMES[self.differs[row]].encode())
            out = write_value(put(out, expected), self.differs[row], self.expected[row])
            out = write_value(put(out, found), self.differs[row], self.found[row])
            out = put(out, end)
        return bytes(memoryview(lines)[:out - first])

    def clients(self):
        """The clients, 8 bytes each."""
        return (<const char*>self.client)[:self.rows * sizeof(int64_t)]

    def codes(self):
        """The indexes in NAMES, a byte each."""
        return (<const char*>self.differs)[:self.rows]

    def values(self, bint expected):
        """`(offsets, text)` of the expected values, or of those that were found, as Arrow lays strings out."""
        cdef bytearray text = bytearray(self.rows * AMOUNT_BYTES_MAX + WORD_BYTES)
        cdef bytearray offsets = bytearray((self.rows + 1) * sizeof(int32_t))
        cdef int32_t* offset = <int32_t*>PyByteArray_AS_STRING(offsets)
        cdef uint8_t* first = <uint8_t*>PyByteArray_AS_STRING(text)
        cdef uint8_t* out = first
        cdef Py_ssize_t row
        for row in range(self.rows):
            out = write_value(out, self.differs[row], self.expected[row] if expected else self.found[row])
            offset[row + 1] = <int32_t>(out - first)
        return bytes(offsets), bytes(memoryview(text)[:out - first])


def value_text(int differs, int64_t value):
    """A value as text."""
    cdef uint8_t[AMOUNT_BYTES_MAX + WORD_BYTES] text
    cdef uint8_t* out = write_value(text, differs, value)
    return (<const char*>text)[:out - text].decode("ascii")


cdef inline uint8_t* put(uint8_t* out, bytes text) noexcept:
    cdef const uint8_t* start = text
    memcpy(out, start, len(text))
    return out + len(text)


cdef inline uint8_t* write_value(uint8_t* out, const int differs, const int64_t value) noexcept:
    if differs == ACCOUNT:
        return put(out, b"present" if value else b"missing")
    if differs == LOCKED:
        return put(out, b"true" if value else b"false")
    return write_amount(out, value)
