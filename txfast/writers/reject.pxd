"""A reject as its writers see it: why it is one, and its texts. See reject_text.pyx and reject_columns.pyx."""

from txfast.batch.batch cimport ROW_BYTES_KEPT, RowCursor
from txfast.readers.row cimport MALFORMED_COUNT, ROW_TOO_LONG, Columns, Field, Fields, cut_fields

cdef enum:
    # The texts of type, client, tx and amount, and the raw row.
    TEXTS = 5
    RAW_ROW = 4


cdef inline int reason_of(RowCursor cursor) noexcept nogil:
    """Its place in the names of all reasons: those of malformed rows, then those of rejected ones."""
    return cursor.malformed_reason if cursor.malformed_reason else MALFORMED_COUNT + cursor.status


cdef inline Py_ssize_t cut_texts(
    RowCursor cursor,  # IN
    const Columns* columns,  # IN
    Field* texts,  # OUT TEXTS of them
) noexcept nogil:
    """Cut the row into its texts; return how many bytes they have together. One that is missing is empty."""
    cdef Fields fields
    cdef Py_ssize_t length = 0
    cdef int place
    if cursor.malformed_reason != ROW_TOO_LONG and cut_fields(cursor.start, cursor.end, columns, &fields):
        texts[0] = fields.type
        texts[1] = fields.client
        texts[2] = fields.tx
        texts[3] = fields.amount
    else:
        for place in range(RAW_ROW):
            texts[place].start = texts[place].end = NULL
    texts[RAW_ROW].start = cursor.start
    texts[RAW_ROW].end = cursor.start
    if not cursor.batch.text_is_made:
        texts[RAW_ROW].end += min(cursor.end - cursor.start, <Py_ssize_t>ROW_BYTES_KEPT)
    texts[RAW_ROW].quoted = False
    for place in range(TEXTS):
        length += texts[place].end - texts[place].start
    return length
