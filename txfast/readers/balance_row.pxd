"""The row parser of balances: one row of text into a client, a currency and values, by every rule of the format.

Inline, so that it stands in the loop of balance_parser.pyx. This module must not know what a run does with balances.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from txfast.batch.ids cimport IdText
from txfast.dialect.currencies cimport CurrencyCode
from txfast.dialect.meaning cimport Meaning
from txfast.readers.balance_rows cimport VALUE_COUNT
from txfast.readers.row cimport is_word
from txfast.readers.row_dialect cimport empty_null, parse_amount_in, parse_currency, parse_text_id
from txfast.text.csv_in cimport ROW_BYTES_MAX, Field, Syntax, is_comment, skip_blanks, take_field, trimmed
from txfast.text.endings cimport count_lines, find_ending, is_ending
from txfast.text.numbers_in cimport parse_id

cdef enum:
    LOCKED = VALUE_COUNT - 1

# What a row can have that no row of balances has. BAD_VALUE and INEXACT_VALUE have the column's number added.
cdef enum Wrong:
    FITS = 0
    BLANK = 1
    TOO_LONG = 2
    BAD_QUOTING = 3
    SURPLUS = 4
    BAD_CLIENT = 5
    EMPTY_CLIENT = 6
    BAD_CURRENCY = 7
    EMPTY_CURRENCY = 8
    BAD_VALUE = 12
    EMPTY_VALUE = 16
    INEXACT_VALUE = 20

# How the rows of a file are cut, where its columns are, and what their texts mean.
cdef struct RowsForm:
    Syntax syntax
    uint8_t client_delimiter  # the byte that is no blank around a client
    uint8_t currency_delimiter  # the same around a currency
    Py_ssize_t client  # the number of the column
    Py_ssize_t currency  # the same, or -1 where accounts have none
    Py_ssize_t[VALUE_COUNT] values  # the numbers of the columns, or -1
    Py_ssize_t width
    const Meaning* meaning
    bint is_exact  # amounts have exactly the decimals of the dialect

# A row's texts, and what its other fields show.
cdef struct BalanceFields:
    Field client
    Field currency
    Field[VALUE_COUNT] values
    bint has_quotes
    bint has_surplus  # a field behind the last column is not empty

cdef struct Balance:
    uint64_t client  # the number; of a text its hash
    IdText client_text  # where clients are texts
    CurrencyCode currency  # where accounts have one
    int64_t[VALUE_COUNT] values


cdef inline int parse_balance(
    const uint8_t* start,  # IN the row, in a text
    const uint8_t* end,  # IN the end of the text, which is at a row's end
    const RowsForm* form,  # IN
    Balance* balance,  # OUT
    const uint8_t** row_end,  # OUT the row's ending, or the end of the text
    Py_ssize_t* lines,  # OUT of the row
) noexcept nogil:
    """Parse one row; return FITS, BLANK, or the first thing that is wrong with it."""
    cdef BalanceFields fields
    cdef int value, wrong
    lines[0] = 1
    row_end[0] = skip_blanks(start, end, &form.syntax)
    if row_end[0] == end or is_ending(row_end[0][0]):
        return BLANK
    if is_comment(row_end[0], end, &form.syntax):
        row_end[0] = find_ending(row_end[0], end)
        return BLANK
    if not cut_balance(start, end, form, &fields, row_end):
        return BAD_QUOTING
    if fields.has_quotes:
        lines[0] += count_lines(start, row_end[0])
    if row_end[0] - start > ROW_BYTES_MAX:
        return TOO_LONG
    if fields.has_surplus:
        return SURPLUS
    wrong = parse_client(&fields.client, form, balance)
    if not wrong and form.currency >= 0:
        wrong = parse_code(&fields.currency, form, balance)
    if wrong:
        return wrong
    for value in range(VALUE_COUNT):
        if form.values[value] >= 0:
            wrong = parse_value(&fields.values[value], value, form, &balance.values[value])
            if wrong:
                return wrong + value
    return FITS


cdef inline int parse_client(Field* field, const RowsForm* form, Balance* balance) noexcept nogil:
    """FITS, EMPTY_CLIENT or BAD_CLIENT."""
    empty_null(field, &form.meaning.nulls)
    if field.start == field.end:
        return EMPTY_CLIENT
    if form.meaning.text_client:
        if not parse_text_id(
            field, &form.meaning.text_key, form.syntax.quote, &balance.client, &balance.client_text,
        ):
            return BAD_CLIENT
    elif not parse_id(field.start, field.end, &balance.client):
        return BAD_CLIENT
    return FITS


cdef inline int parse_code(Field* field, const RowsForm* form, Balance* balance) noexcept nogil:
    """FITS, EMPTY_CURRENCY or BAD_CURRENCY."""
    empty_null(field, &form.meaning.nulls)
    if field.start == field.end:
        return EMPTY_CURRENCY
    return FITS if parse_currency(field, form.syntax.quote, &balance.currency) else BAD_CURRENCY


cdef inline int parse_value(Field* field, const int value, const RowsForm* form, int64_t* number) noexcept nogil:
    """FITS, EMPTY_VALUE, BAD_VALUE or INEXACT_VALUE."""
    empty_null(field, &form.meaning.nulls)
    if field.start == field.end:
        return EMPTY_VALUE
    if value == LOCKED:
        number[0] = is_word(field, b"true", 4)
        return FITS if number[0] or is_word(field, b"false", 5) else BAD_VALUE
    if not parse_amount_in(field.start, field.end, &form.meaning.amounts, number):
        return BAD_VALUE
    if form.is_exact and not has_all_decimals(field, form):
        return INEXACT_VALUE
    return FITS


cdef inline bint has_all_decimals(const Field* field, const RowsForm* form) noexcept nogil:
    """Whether an amount that was parsed has exactly the decimals of the dialect."""
    cdef int places = form.meaning.amounts.places
    cdef const uint8_t* mark = field.end
    while mark > field.start and (mark - 1)[0] != form.meaning.amounts.decimal:
        mark -= 1
    return field.end - mark == places if mark > field.start else places == 0


cdef inline bint cut_balance(
    const uint8_t* start,  # IN the row, in a text
    const uint8_t* end,  # IN the end of the text
    const RowsForm* form,  # IN
    BalanceFields* fields,  # OUT
    const uint8_t** row_end,  # OUT the row's ending, or the end of the text
) noexcept nogil:
    """Cut a row into its fields. False where one is badly quoted: the row then ends with the line on which it opens."""
    cdef Field field
    cdef Py_ssize_t column = 0
    cdef const uint8_t* p = start
    cdef int value
    fields.has_quotes = fields.has_surplus = False
    fields.client.start = fields.client.end = fields.currency.start = fields.currency.end = NULL
    for value in range(VALUE_COUNT):
        fields.values[value].start = fields.values[value].end = NULL
    while True:
        row_end[0] = p
        p = take_field(p, end, &form.syntax, &field)
        if p == NULL:
            row_end[0] = find_ending(row_end[0], end)
            return False
        fields.has_quotes |= field.quoted
        if column == form.client:
            fields.client = field
            if form.client_delimiter != form.syntax.delimiter:
                fields.client = trimmed_again(row_end[0], p, field.quoted, form, form.client_delimiter)
        elif column == form.currency:
            fields.currency = field
            if form.currency_delimiter != form.syntax.delimiter:
                fields.currency = trimmed_again(row_end[0], p, field.quoted, form, form.currency_delimiter)
        elif column >= form.width:
            fields.has_surplus |= field.start != field.end
        else:
            for value in range(VALUE_COUNT):
                if column == form.values[value]:
                    fields.values[value] = field
        if p == end or p[0] != form.syntax.delimiter:
            row_end[0] = p
            return True
        p += 1
        column += 1


cdef inline Field trimmed_again(
    const uint8_t* start, const uint8_t* end, const bint is_quoted, const RowsForm* form, const uint8_t delimiter,
) noexcept nogil:
    """A text, from the start of its field to the end, without what is blank around it where this is the delimiter; in
    its quotes, where it has some."""
    cdef Syntax syntax = form.syntax
    cdef Field field
    if is_quoted:
        start = skip_blanks(start, end, &form.syntax) + 1
        while (end - 1)[0] != form.syntax.quote:
            end -= 1
        end -= 1
    syntax.delimiter = delimiter
    field = trimmed(start, end, &syntax)
    field.quoted = is_quoted
    return field
