"""The row parser: one row of text into one transaction, by every rule of the format.

It alone decides whether a row is well-formed: the fast path hands it every row that is not plain. Inline, so that it
stands in the loops of its users. parse_line.pyx calls it for Python.

The names of the reasons for malformed rows are in batch/batch.pyx, their codes in batch/batch.pxd.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from txfast.batch.batch cimport (
    BAD_AMOUNT, BAD_CLIENT, BAD_QUOTING, BAD_TX, BAD_TYPE, BLANK_LINE, CHARGEBACK, DEPOSIT, DISPUTE, MISSING_FIELD,
    NO_AMOUNT, REFUND, RESOLVE, REVERSAL, ROW_TOO_LONG, TOO_MANY_FIELDS, WELL_FORMED, WITHDRAWAL, Malformed,
)
from txfast.batch.header cimport Fields, RowForm, cut_fields
from txfast.batch.ids cimport IdText
from txfast.dialect.currencies cimport CurrencyCode
from txfast.readers.row_dialect cimport parse_fields_in_dialect
from txfast.text.csv_in cimport ROW_BYTES_MAX, Field, is_comment, skip_blanks
from txfast.text.endings cimport find_ending, is_ending
from txfast.text.numbers_in cimport parse_amount, parse_id

cdef struct Row:
    uint8_t kind  # with NO_AMOUNT where there is none
    uint64_t client  # of a text its hash
    uint64_t tx
    int64_t amount  # units of the last decimal
    IdText client_text  # where the dialect says that clients are texts
    IdText tx_text
    CurrencyCode currency  # where accounts have one


cdef inline bint is_word(const Field* field, const char* word, const Py_ssize_t length) noexcept nogil:
    """Whether a field is this word of lower-case letters, in any case."""
    cdef Py_ssize_t i
    if field.end - field.start != length:
        return False
    for i in range(length):
        if field.start[i] | 0x20 != word[i]:  # 0x20 makes a lower-case letter of an upper-case one, and of nothing else
            return False
    return True


cdef inline bint parse_kind(const Field* field, uint8_t* kind) noexcept nogil:
    if is_word(field, b"deposit", 7):
        kind[0] = DEPOSIT
    elif is_word(field, b"withdrawal", 10) or is_word(field, b"withdraw", 8):
        kind[0] = WITHDRAWAL
    elif is_word(field, b"dispute", 7):
        kind[0] = DISPUTE
    elif is_word(field, b"resolve", 7):
        kind[0] = RESOLVE
    elif is_word(field, b"chargeback", 10):
        kind[0] = CHARGEBACK
    elif is_word(field, b"refund", 6):
        kind[0] = REFUND
    elif is_word(field, b"reversal", 8):
        kind[0] = REVERSAL
    else:
        return False
    return True


cdef inline Malformed parse_row(
    const uint8_t* start,  # IN the row, in a text
    const uint8_t* end,  # IN the end of the text, which is at a row's end
    const RowForm* form,  # IN
    Row* row,  # OUT
    const uint8_t** row_end,  # OUT the row's ending, or the end of the text
    bint* has_quotes,  # OUT whether a field is quoted, so that the row may hold line endings
) noexcept nogil:
    """Parse one row. WELL_FORMED with the row; or the first reason why it is malformed; or BLANK_LINE or
    IGNORED_ROW."""
    cdef Fields fields
    cdef bint is_well_quoted
    has_quotes[0] = False
    row_end[0] = skip_blanks(start, end, &form.syntax)
    if row_end[0] == end or is_ending(row_end[0][0]):
        return BLANK_LINE
    if is_comment(row_end[0], end, &form.syntax):
        row_end[0] = find_ending(row_end[0], end)
        return BLANK_LINE
    is_well_quoted = cut_fields(start, end, form, &fields, row_end)
    has_quotes[0] = fields.has_quotes
    if row_end[0] - start > ROW_BYTES_MAX:
        return ROW_TOO_LONG
    if not is_well_quoted:
        return BAD_QUOTING
    if form.meaning != NULL:
        return parse_fields_in_dialect(
            &fields, form.meaning, form.syntax.quote, &row.kind, &row.client, &row.tx, &row.client_text, &row.tx_text,
            &row.currency, &row.amount,
        )
    if fields.has_surplus:
        return TOO_MANY_FIELDS
    return parse_fields(&fields, row)


cdef inline Malformed parse_fields(const Fields* fields, Row* row) noexcept nogil:
    """Parse the four fields of a row. WELL_FORMED with the row, or the first reason why it is malformed."""
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
