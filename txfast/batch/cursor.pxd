"""RowCursor: walks through the rows of a batch that are reported, and cuts their texts. See cursor.pyx."""

from libc.stdint cimport uint8_t, uint64_t

from txfast.batch.batch cimport MALFORMED_COUNT, ROW_BYTES_KEPT, ROW_TOO_LONG, TransactionBatch
from txfast.batch.header cimport Columns, Fields, cut_fields
from txfast.text.csv_in cimport Field

cdef enum:
    # The texts of a reported row: type, client, tx and amount, then the raw row.
    TEXTS = 5
    RAW_ROW = 4

cdef class RowCursor:
    cdef TransactionBatch batch
    cdef Columns columns
    cdef bint has_raw_rows  # False for a table: its lines were made by the reader
    cdef bint wants_applied
    cdef bint wants_rejected
    cdef bint wants_malformed
    # Every line is a row, so that rows before a row are lines before it.
    cdef bint without_blank_lines
    cdef Py_ssize_t rows_passed
    cdef Py_ssize_t malformed_passed
    cdef Py_ssize_t spanning_passed  # rows with line endings inside, before the one it stands on
    # Where there are blank lines, endings are counted: up to this offset, which is in this line.
    cdef Py_ssize_t counted_to
    cdef uint64_t counted_line

    # The row that it stands on.
    cdef uint64_t line
    cdef const uint8_t* start
    cdef const uint8_t* end
    cdef uint8_t malformed_reason
    cdef uint8_t status

    cdef bint advance(self) noexcept nogil
    cdef void stand_on(self, Py_ssize_t offset, Py_ssize_t rows_before) noexcept nogil
    cdef const uint8_t* end_of_row(self, Py_ssize_t offset) noexcept nogil


cdef inline int reason_of(RowCursor cursor) noexcept nogil:
    """The row's index in the names of all reasons: MALFORMED_REASONS, then the ledger's STATUSES."""
    return cursor.malformed_reason if cursor.malformed_reason else MALFORMED_COUNT + cursor.status


cdef inline Py_ssize_t cut_texts(RowCursor cursor, Field* texts) noexcept nogil:
    """Cut the row into its TEXTS; return their length in bytes, all together. A missing text is empty."""
    cdef Fields fields
    cdef const uint8_t* row_end
    cdef Py_ssize_t length = 0
    cdef int index
    if cursor.malformed_reason != ROW_TOO_LONG and cut_fields(
        cursor.start, cursor.end, &cursor.columns, &fields, &row_end,
    ):
        texts[0] = fields.type
        texts[1] = fields.client
        texts[2] = fields.tx
        texts[3] = fields.amount
    else:
        for index in range(RAW_ROW):
            texts[index].start = texts[index].end = NULL
    texts[RAW_ROW].start = texts[RAW_ROW].end = cursor.start
    if cursor.has_raw_rows:
        texts[RAW_ROW].end += min(cursor.end - cursor.start, <Py_ssize_t>ROW_BYTES_KEPT)
    texts[RAW_ROW].quoted = False
    for index in range(TEXTS):
        length += texts[index].end - texts[index].start
    return length
