"""Rejects as columns, in the memory layout of Arrow.

This module must not know pyarrow, where the columns go, nor why a row is a reject.
"""

from libc.stdint cimport int8_t, int32_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from cpython.buffer cimport PyBUF_READ
from cpython.memoryview cimport PyMemoryView_FromMemory

from txfast.batch.batch cimport MALFORMED_COUNT, TransactionBatch
from txfast.batch.cursor cimport RAW_ROW, TEXTS, RowCursor, cut_texts, reason_of
from txfast.text.csv_in cimport Field
from txfast.text.json_string cimport hex_digit
from txfast.text.utf8 cimport utf8_bytes

from txfast.batch.batch import MALFORMED_REASONS
from txfast.ledger.ledger import STATUSES

# The meanings of the codes in the columns `status` and `reason`.
STATUS_NAMES = ("malformed", "rejected")
REASON_NAMES = (*MALFORMED_REASONS, *STATUSES)

# A group is full with this many rows, or with this many bytes of text.
ROWS_MAX = 1 << 17
TEXT_BYTES_MAX = 1 << 24

cdef enum:
    # A byte becomes at most four: \xXX.
    TEXT_GROWTH = 4
    TEXT_BYTES_MIN = 1 << 16

# A column of texts, one after another. `offsets` are the starts of all texts and the end of the last.
cdef struct TextColumn:
    int32_t* offsets
    uint8_t* text
    Py_ssize_t capacity
    Py_ssize_t filled


cdef class RejectColumns:
    """Collects rejects as columns: iterate the `groups` of each batch, then take the `rest`.

    A group is (number of rows, names of files, buffers of the columns). The buffers are those of `file` (int32, indexes
    in the names), `line` (uint64), `status` and `reason` (int8, indexes in STATUS_NAMES and REASON_NAMES), then offsets
    (int32) and bytes of `type`, `client`, `tx`, `amount` (UTF-8) and `row` (any bytes). They are reused: a group is
    valid until the next one is asked for.
    """

    cdef Py_ssize_t rows_max
    cdef Py_ssize_t text_bytes_max
    cdef Py_ssize_t rows
    cdef Py_ssize_t text_bytes
    cdef list files
    cdef int32_t* file
    cdef uint64_t* line
    cdef int8_t* status
    cdef int8_t* reason
    cdef TextColumn[TEXTS] texts

    def __cinit__(self, Py_ssize_t rows_max=ROWS_MAX, Py_ssize_t text_bytes_max=TEXT_BYTES_MAX):
        cdef int index
        if not (1 <= rows_max <= ROWS_MAX and text_bytes_max <= TEXT_BYTES_MAX):
            raise ValueError(f"groups of {rows_max} rows or {text_bytes_max} bytes")
        self.rows_max = rows_max
        self.text_bytes_max = text_bytes_max
        self.files = []
        self.file = <int32_t*>malloc(rows_max * sizeof(int32_t))
        self.line = <uint64_t*>malloc(rows_max * sizeof(uint64_t))
        self.status = <int8_t*>malloc(rows_max * sizeof(int8_t))
        self.reason = <int8_t*>malloc(rows_max * sizeof(int8_t))
        if not (self.file and self.line and self.status and self.reason):
            raise MemoryError(f"no memory for {rows_max} rejects")
        for index in range(TEXTS):
            self.texts[index].offsets = <int32_t*>malloc((rows_max + 1) * sizeof(int32_t))
            self.texts[index].text = <uint8_t*>malloc(TEXT_BYTES_MIN)
            self.texts[index].capacity = TEXT_BYTES_MIN
            if not (self.texts[index].offsets and self.texts[index].text):
                raise MemoryError(f"no memory for {rows_max} rejects")
            self.texts[index].offsets[0] = 0

    def __dealloc__(self):
        cdef int index
        free(self.file)
        free(self.line)
        free(self.status)
        free(self.reason)
        for index in range(TEXTS):
            free(self.texts[index].offsets)
            free(self.texts[index].text)

    def groups(self, str file not None, TransactionBatch batch not None):
        """Iterate the groups that the rejects of an applied batch of this file fill. The rest waits for the next
        batch."""
        cdef RowCursor cursor = RowCursor(batch)
        cdef bint more = cursor.advance()
        if not more:
            return
        while True:
            if not self.files or self.files[len(self.files) - 1] != file:
                self.files.append(file)
            if not self.fill(cursor, <int32_t>(len(self.files) - 1)):
                return
            yield self.rest()

    def rest(self):
        """The rows that are in no group yet, as a group."""
        cdef int index
        cdef TextColumn* column
        buffers = [
            view_of(self.file, self.rows * sizeof(int32_t)),
            view_of(self.line, self.rows * sizeof(uint64_t)),
            view_of(self.status, self.rows),
            view_of(self.reason, self.rows),
        ]
        for index in range(TEXTS):
            column = &self.texts[index]
            buffers.append(view_of(column.offsets, (self.rows + 1) * sizeof(int32_t)))
            buffers.append(view_of(column.text, column.filled))
            column.filled = 0
        group = (self.rows, self.files, buffers)
        self.rows = self.text_bytes = 0
        self.files = []
        return group

    cdef bint fill(self, RowCursor cursor, const int32_t file) except? True:
        """Add the cursor's row, and the rows after it while the group has room.

        True where the group is full and the cursor stands on a row that is not in it.
        """
        cdef Field[TEXTS] texts
        cdef bint enough_memory = True
        cdef bint more = True
        with nogil:
            while more and self.rows < self.rows_max and self.text_bytes < self.text_bytes_max:
                cut_texts(cursor, texts)
                enough_memory = self.reserve_texts(texts)
                if not enough_memory:
                    break
                self.add_row(cursor, texts, file)
                more = cursor.advance()
        if not enough_memory:
            raise MemoryError("no memory for the texts of more rejects")
        return more

    cdef bint reserve_texts(self, const Field* texts) noexcept nogil:
        """Make room for these texts in any case; False where there is no memory for it."""
        cdef TextColumn* column
        cdef uint8_t* text
        cdef Py_ssize_t needed
        cdef int index
        for index in range(TEXTS):
            column = &self.texts[index]
            needed = column.filled + TEXT_GROWTH * (texts[index].end - texts[index].start)
            if needed > column.capacity:
                text = <uint8_t*>realloc(column.text, 2 * needed)
                if text == NULL:
                    return False
                column.text = text
                column.capacity = 2 * needed
        return True

    cdef void add_row(self, RowCursor cursor, const Field* texts, const int32_t file) noexcept nogil:
        cdef Py_ssize_t row = self.rows
        cdef TextColumn* column
        cdef const Field* text
        cdef Py_ssize_t length
        cdef int index
        cdef int reason = reason_of(cursor)
        self.file[row] = file
        self.line[row] = cursor.line
        self.status[row] = reason >= MALFORMED_COUNT
        self.reason[row] = reason
        for index in range(TEXTS):
            column = &self.texts[index]
            text = &texts[index]
            if index == RAW_ROW:
                length = text.end - text.start
                memcpy(column.text + column.filled, text.start, length)
            else:
                length = write_readable(column.text + column.filled, text)
            column.filled += length
            self.text_bytes += length
            column.offsets[row + 1] = <int32_t>column.filled
        self.rows = row + 1


cdef inline object view_of(void* start, Py_ssize_t length):
    return PyMemoryView_FromMemory(<char*>start, length, PyBUF_READ)


cdef inline Py_ssize_t write_readable(uint8_t* out, const Field* text) noexcept nogil:
    """Write a text as UTF-8, any other byte as Python's "backslashreplace" shows it; return the length."""
    cdef const uint8_t* p = text.start
    cdef uint8_t* first = out
    cdef Py_ssize_t length
    while p < text.end:
        length = 1 if p[0] < 0x80 else utf8_bytes(p, text.end)
        if length == 1:
            out[0] = p[0]
            out += 1
            # The quotes in a quoted field are doubled; one of the two counts.
            p += 2 if p[0] == c'"' and text.quoted else 1
        elif length:
            memcpy(out, p, length)
            out += length
            p += length
        else:
            memcpy(out, b"\\x", 2)
            out[2] = hex_digit(p[0] >> 4)
            out[3] = hex_digit(p[0] & 0x0F)
            out += 4
            p += 1
    return out - first
