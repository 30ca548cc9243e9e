"""A file's header: which of its columns are the four that matter, and how a row is cut into them. See header.pyx."""

from libc.stdint cimport uint8_t

from txfast.text.csv_in cimport Field, take_field
from txfast.text.endings cimport find_ending

# The indexes of the four columns, counted from 0, and the number of columns in all.
cdef struct Columns:
    Py_ssize_t type
    Py_ssize_t client
    Py_ssize_t tx
    Py_ssize_t amount
    Py_ssize_t width

# A row's texts in the four columns, and what its other fields show.
cdef struct Fields:
    Field type
    Field client
    Field tx
    Field amount
    bint has_quotes  # a field is quoted
    bint has_surplus  # a field behind the last column is not empty


cdef inline bint cut_fields(
    const uint8_t* start,  # IN the row, in a text
    const uint8_t* end,  # IN the end of the text
    const Columns* columns,  # IN
    Fields* fields,  # OUT
    const uint8_t** row_end,  # OUT the row's ending, or the end of the text
) noexcept nogil:
    """Cut a row into the four fields. False where a field in any column is badly quoted: the row then ends with the
    line on which that field opens."""
    cdef Py_ssize_t column = 0
    cdef const uint8_t* field_start
    cdef Field field
    fields.has_surplus = fields.has_quotes = False
    fields.type.start = fields.client.start = fields.tx.start = fields.amount.start = NULL
    fields.type.end = fields.client.end = fields.tx.end = fields.amount.end = NULL
    while True:
        field_start = start
        start = take_field(field_start, end, &field)
        if start == NULL:
            row_end[0] = find_ending(field_start, end)
            return False
        if field.quoted:
            fields.has_quotes = True
        if column == columns.type:
            fields.type = field
        elif column == columns.client:
            fields.client = field
        elif column == columns.tx:
            fields.tx = field
        elif column == columns.amount:
            fields.amount = field
        elif column >= columns.width and field.start != field.end:
            fields.has_surplus = True
        if start == end or start[0] != c',':
            row_end[0] = start
            return True
        start += 1
        column += 1


cdef class Header:
    """The header line of a transactions file. See header.pyx."""

    cdef readonly bytes line
    cdef readonly bint of_table
    cdef public tuple ignored
    cdef Columns columns
