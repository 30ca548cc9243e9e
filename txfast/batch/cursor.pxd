"""RowCursor: walks through the rows of a batch that are reported, and cuts their texts. See cursor.pyx."""

from libc.stdint cimport uint8_t, uint64_t

from txfast.batch.batch cimport MALFORMED_COUNT, ROW_BYTES_KEPT, ROW_TOO_LONG, TransactionBatch
from txfast.batch.header cimport NO_COLUMN, Fields, RowForm, cut_fields
from txfast.batch.json_object cimport Found, cut_object
from txfast.dialect.meaning cimport ROLES_MAX
from txfast.text.csv_in cimport Field

cdef enum:
    # The texts of a reported row: type, client, tx and amount, then the raw row.
    TEXTS = 5
    RAW_ROW = 4

cdef class RowCursor:
    cdef TransactionBatch batch
    cdef RowForm form
    cdef uint8_t* json_room  # where the texts of JSON lines are written; NULL for CSV
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
    cdef Py_ssize_t endings_inside(self, Py_ssize_t offset) noexcept nogil
    cdef const uint8_t* end_of_row(self, Py_ssize_t offset) noexcept nogil


cdef inline int reason_of(RowCursor cursor) noexcept nogil:
    """The row's index in the names of all reasons: MALFORMED_REASONS, then the ledger's STATUSES."""
    return cursor.malformed_reason if cursor.malformed_reason else MALFORMED_COUNT + cursor.status


cdef inline bint cut_row(RowCursor cursor, Fields* fields) noexcept nogil:
    """Cut the row into its four fields; False where it cannot be cut. They are valid until the next row is cut."""
    cdef const uint8_t* row_end
    cdef Found[<int>ROLES_MAX] found
    if cursor.malformed_reason == ROW_TOO_LONG:
        return False
    if cursor.json_room != NULL:
        return cut_object(cursor.start, cursor.end, cursor.form.keys, cursor.json_room, fields, found)
    return cut_fields(cursor.start, cursor.end, &cursor.form, fields, &row_end)


cdef inline bint has_amount(const Field* field) noexcept nogil:
    """Whether a text has a digit that is not 0: of a credit and a debit, that one counts."""
    cdef const uint8_t* p = field.start
    while p < field.end:
        if c"1" <= p[0] <= c"9":
            return True
        p += 1
    return False


cdef inline Py_ssize_t cut_texts(RowCursor cursor, Field* texts) noexcept nogil:
    """Cut the row into its TEXTS; return their length in bytes, all together. A missing text is empty."""
    cdef Fields fields
    cdef Py_ssize_t length = 0
    cdef int index
    if cut_row(cursor, &fields):
        texts[0] = fields.type
        texts[1] = fields.client
        texts[2] = fields.tx
        texts[3] = fields.amount
        if cursor.form.columns.debit != NO_COLUMN and not has_amount(&fields.amount) and has_amount(&fields.debit):
            texts[3] = fields.debit
        if cursor.form.syntax.quote != c'"':
            # Quotes of another kind stay as they are, and those of this kind were never doubled.
            texts[0].quoted = texts[1].quoted = texts[2].quoted = texts[3].quoted = False
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
