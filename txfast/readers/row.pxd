"""The row parser: one line of text into one transaction, by every rule of the format. See also row.pyx.

Every reader ends here for whatever is not plain. Inline, so that each reader has its own copy in its loop.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcmp

from txfast.batch.batch cimport CHARGEBACK, DEPOSIT, DISPUTE, NO_AMOUNT, RESOLVE, WITHDRAWAL
from txfast.text.numbers_in cimport parse_amount, parse_id

cdef enum:
    ROW_BYTES_MAX = 1 << 20

# Why a row is malformed; the first that applies, in this order.
cdef enum Malformed:
    WELL_FORMED = 0
    ROW_TOO_LONG
    BAD_QUOTING
    MISSING_FIELD
    BAD_TYPE
    BAD_CLIENT
    BAD_TX
    BAD_AMOUNT
    BLANK_LINE  # not malformed: no row at all
    MALFORMED_COUNT = BLANK_LINE

# The places of the columns that matter, counted from 0.
cdef struct Columns:
    Py_ssize_t type
    Py_ssize_t client
    Py_ssize_t tx
    Py_ssize_t amount

# A field's text: trimmed and unquoted, but for doubled quotes, which stay doubled where the field was quoted. start is
# NULL where the row has no such field.
cdef struct Field:
    const uint8_t* start
    const uint8_t* end
    bint quoted

cdef struct Fields:
    Field type
    Field client
    Field tx
    Field amount

cdef struct Row:
    uint8_t kind  # with NO_AMOUNT where there is none
    uint64_t client
    uint64_t tx
    int64_t amount  # units of 0.0001


cdef inline bint is_blank(const uint8_t byte) noexcept nogil:
    return byte == c' ' or byte == c'\t' or byte == 0x0B or byte == 0x0C


cdef inline const uint8_t* skip_blanks(const uint8_t* start, const uint8_t* end) noexcept nogil:
    while start < end and is_blank(start[0]):
        start += 1
    return start


cdef inline Field trimmed(const uint8_t* start, const uint8_t* end) noexcept nogil:
    cdef Field field
    start = skip_blanks(start, end)
    while end > start and is_blank((end - 1)[0]):
        end -= 1
    field.start = start
    field.end = end
    field.quoted = False
    return field


cdef inline const uint8_t* take_field(const uint8_t* start, const uint8_t* end, Field* field) noexcept nogil:
    """Cut the field that begins at start; return where it stopped, at its comma or the row's end.

    NULL where its quoting is bad.
    """
    cdef const uint8_t* p = skip_blanks(start, end)
    if p < end and p[0] == c'"':
        start = p + 1
        p = start
        while True:
            if p == end:
                return NULL
            if p[0] == c'"':
                if p + 1 < end and p[1] == c'"':
                    p += 1
                else:
                    break
            p += 1
        field[0] = trimmed(start, p)
        field.quoted = True
        p = skip_blanks(p + 1, end)
        return p if p == end or p[0] == c',' else NULL
    while p < end and p[0] != c',':
        p += 1
    field[0] = trimmed(start, p)
    return p


cdef inline bint cut_fields(
    const uint8_t* start,  # IN the row
    const uint8_t* end,  # IN
    const Columns* columns,  # IN
    Fields* fields,  # OUT
) noexcept nogil:
    """Cut a row into the four fields. False where any field of it, in whatever column, is badly quoted."""
    cdef Py_ssize_t column = 0
    cdef Field field
    fields.type.start = fields.client.start = fields.tx.start = fields.amount.start = NULL
    fields.type.end = fields.client.end = fields.tx.end = fields.amount.end = NULL
    while True:
        start = take_field(start, end, &field)
        if start == NULL:
            return False
        if column == columns.type:
            fields.type = field
        elif column == columns.client:
            fields.client = field
        elif column == columns.tx:
            fields.tx = field
        elif column == columns.amount:
            fields.amount = field
        if start == end:
            return True
        start += 1
        column += 1


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
    """One line into one transaction, or the first reason why not. BLANK_LINE where the line is no row."""
    cdef Fields fields
    if skip_blanks(start, end) == end:
        return BLANK_LINE
    if end - start > ROW_BYTES_MAX:
        return ROW_TOO_LONG
    if not cut_fields(start, end, columns, &fields):
        return BAD_QUOTING
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


cdef class Header:
    """Where a file's header puts the four columns. See row.pyx."""

    cdef readonly bytes line  # as it stands
    cdef readonly bint of_table  # there is no such line, nor any other: the rows are a table's
    cdef Columns columns
    cdef readonly Py_ssize_t width  # columns in all
