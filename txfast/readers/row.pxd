"""The row parser: one line of text into one transaction, by every rule of the format.

It alone decides whether a row is well-formed: the fast path hands it every row that is not plain. Inline, so that it
stands in the loops of its users. parse_line.pyx calls it for Python.

The names of the reasons for malformed rows are in batch/batch.pyx, their codes in batch/batch.pxd.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcmp

from txfast.batch.batch cimport (
    BAD_AMOUNT, BAD_CLIENT, BAD_QUOTING, BAD_TX, BAD_TYPE, BLANK_LINE, CHARGEBACK, DEPOSIT, DISPUTE, MISSING_FIELD,
    NO_AMOUNT, RESOLVE, ROW_TOO_LONG, TOO_MANY_FIELDS, WELL_FORMED, WITHDRAWAL, Malformed,
)
from txfast.batch.header cimport Columns, Fields, cut_fields
from txfast.text.csv_in cimport ROW_BYTES_MAX, Field, skip_blanks
from txfast.text.numbers_in cimport parse_amount, parse_id

cdef struct Row:
    uint8_t kind  # with NO_AMOUNT where there is none
    uint64_t client
    uint64_t tx
    int64_t amount  # units of 0.0001


cdef inline bint parse_kind(const Field* field, uint8_t* kind) noexcept nogil:
    cdef Py_ssize_t length = field.end - field.start
    if length == 7 and memcmp(field.start, b"deposit", 7) == 0:
        kind[0] = DEPOSIT
    elif length == 10 and memcmp(field.start, b"withdrawal", 10) == 0:
        kind[0] = WITHDRAWAL
    elif length == 7 and memcmp(field.start, b"dispute", 7) == 0:
        kind[0] = DISPUTE
    elif length == 7 and memcmp(field.start, b"resolve", 7) == 0:
        kind[0] = RESOLVE
    elif length == 10 and memcmp(field.start, b"chargeback", 10) == 0:
        kind[0] = CHARGEBACK
    else:
        return False
    return True


cdef inline Malformed parse_row(
    const uint8_t* start,  # IN the row, without its line ending
    const uint8_t* end,  # IN
    const Columns* columns,  # IN
    Row* row,  # OUT
) noexcept nogil:
    """Parse one line. WELL_FORMED with the row; or the first reason why it is malformed; or BLANK_LINE."""
    cdef Fields fields
    if skip_blanks(start, end) == end:
        return BLANK_LINE
    if end - start > ROW_BYTES_MAX:
        return ROW_TOO_LONG
    if not cut_fields(start, end, columns, &fields):
        return BAD_QUOTING
    if fields.has_surplus:
        return TOO_MANY_FIELDS
    if fields.type.start == NULL or fields.client.start == NULL or fields.tx.start == NULL:
        return MISSING_FIELD
    if fields.type.start == fields.type.end:
        return MISSING_FIELD
    if not parse_kind(&fields.type, &row.kind):
        return BAD_TYPE
    if not parse_id(fields.client.start, fields.client.end, &row.client):
        return BAD_CLIENT
    if not parse_id(fields.tx.start, fields.tx.end, &row.tx):
        return BAD_TX
    row.amount = 0
    if fields.amount.start == fields.amount.end:
        row.kind |= NO_AMOUNT
    elif not parse_amount(fields.amount.start, fields.amount.end, &row.amount):
        return BAD_AMOUNT
    return WELL_FORMED
