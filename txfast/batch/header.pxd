"""A file's header: which of its columns are the four that matter, and how a row is cut into them. See header.pyx."""

from libc.stdint cimport uint8_t

from txfast.dialect.meaning cimport KEPT_MAX, Meaning, Words
from txfast.text.csv_in cimport Field, Syntax, take_field
from txfast.text.endings cimport find_ending

cdef enum:
    NO_COLUMN = -1

# The indexes of the columns that matter, counted from 0, or NO_COLUMN; and the number of columns in all.
cdef struct Columns:
    Py_ssize_t type
    Py_ssize_t client
    Py_ssize_t tx
    Py_ssize_t amount  # of credits, where debits have a column of their own
    Py_ssize_t width
    Py_ssize_t debit
    Py_ssize_t currency
    Py_ssize_t kept_count
    int[KEPT_MAX] kept  # columns that tell which rows are read

# How the rows of a file are cut into fields, and what these mean.
cdef struct RowForm:
    Syntax syntax
    Columns columns
    const Meaning* meaning  # NULL where it is the default
    const Words* keys  # of JSON lines in a dialect, else NULL

# A row's texts in the four columns, and what its other fields show.
cdef struct Fields:
    Field type
    Field client
    Field tx
    Field amount
    Field debit
    Field currency
    Field[KEPT_MAX] kept
    bint has_quotes  # a field is quoted
    bint has_surplus  # a field behind the last column is not empty
    bint amount_is_number  # of JSON, and no text
    bint debit_is_number


cdef inline Columns columns_at(
    const Py_ssize_t type_column, const Py_ssize_t client, const Py_ssize_t tx, const Py_ssize_t amount,
    const Py_ssize_t width,
) noexcept nogil:
    """The four columns, and no others that matter."""
    cdef Columns columns
    columns.type = type_column
    columns.client = client
    columns.tx = tx
    columns.amount = amount
    columns.width = width
    columns.debit = columns.currency = NO_COLUMN
    columns.kept_count = 0
    return columns


cdef inline bint has_more_columns(const Columns* columns) noexcept nogil:
    """Whether columns matter beside the four."""
    return columns.kept_count != 0 or columns.debit != NO_COLUMN or columns.currency != NO_COLUMN


cdef inline bint cut_fields(
    const uint8_t* start,  # IN the row, in a text
    const uint8_t* end,  # IN the end of the text
    const RowForm* form,  # IN
    Fields* fields,  # OUT
    const uint8_t** row_end,  # OUT the row's ending, or the end of the text
) noexcept nogil:
    """Cut a row into the fields that matter. False where a field in any column is badly quoted: the row then ends with
    the line on which that field opens."""
    cdef const Columns* columns = &form.columns
    cdef bint has_more = has_more_columns(columns)
    cdef Py_ssize_t column = 0
    cdef const uint8_t* field_start
    cdef Field field
    if has_more:
        clear_more(fields)
    fields.has_surplus = fields.has_quotes = False
    fields.amount_is_number = fields.debit_is_number = False
    fields.type.start = fields.client.start = fields.tx.start = fields.amount.start = NULL
    fields.type.end = fields.client.end = fields.tx.end = fields.amount.end = NULL
    while True:
        field_start = start
        start = take_field(field_start, end, &form.syntax, &field)
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
        if has_more:
            take_more(columns, column, &field, fields)
        if start == end or start[0] != form.syntax.delimiter:
            row_end[0] = start
            return True
        start += 1
        column += 1


cdef uint8_t delimiter_of(bytes line, object dialect, object columns=*) except 0


cdef inline void clear_more(Fields* fields) noexcept nogil:
    cdef Py_ssize_t index
    fields.debit.start = fields.debit.end = fields.currency.start = fields.currency.end = NULL
    for index in range(KEPT_MAX):
        fields.kept[index].start = fields.kept[index].end = NULL


cdef inline void take_more(
    const Columns* columns, const Py_ssize_t column, const Field* field, Fields* fields,
) noexcept nogil:
    """Take a field that is a debit or a currency, or tells whether the row is read."""
    cdef Py_ssize_t index
    if column == columns.debit:
        fields.debit = field[0]
    if column == columns.currency:
        fields.currency = field[0]
    for index in range(columns.kept_count):
        if column == columns.kept[index]:
            fields.kept[index] = field[0]


cdef class Header:
    """The header line of a transactions file. See header.pyx."""

    cdef readonly bytes line
    cdef readonly bint of_table
    cdef readonly bint is_json
    cdef public tuple ignored
    cdef readonly object dialect
    cdef object compiled  # keeps the meaning alive
    cdef object currencies  # the run's, where accounts have one
    cdef RowForm form

    cdef int take_keys(self, str file) except -1
    cdef int find_delimiter(self, str file) except -1
    cdef int take_columns(self, list names, str file) except -1
    cdef bint uses(self, Py_ssize_t index) noexcept
