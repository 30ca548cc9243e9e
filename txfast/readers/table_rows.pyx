"""Rows of a table as transactions. Numbers are taken directly; other rows become the lines that a CSV file would have
for them, so that one parser decides what they are.

This module must not know pyarrow: it takes the buffers of columns, and checks offsets and indices before it uses them.
"""

from libc.stdint cimport INT64_MAX, INT64_MIN, int32_t, int64_t, uint8_t, uint64_t

from txfast.batch.batch cimport NO_AMOUNT, TransactionBatch
from txfast.batch.header cimport Header
from txfast.batch.ids cimport ID_BYTES_MAX
from txfast.dialect.meaning cimport KEPT_MAX, Meaning
from txfast.readers.row cimport parse_kind
from txfast.readers.scan cimport scan_lines
from txfast.text.bits cimport WORD_BYTES
from txfast.text.csv_in cimport ROW_BYTES_MAX, Field, Syntax, default_syntax, trimmed
from txfast.text.csv_out cimport write_quoted, write_text
from txfast.text.endings cimport LF, find_ending
from txfast.text.numbers_in cimport UNITS_PER_ONE, parse_amount, parse_id
from txfast.text.numbers_out cimport AMOUNT_BYTES_MAX, write_amount, write_number

# The sort of a column's values. Texts may be named by int32 indices, as in a dictionary.
cdef enum Sort:
    ABSENT = 0  # every value is null
    UNSIGNED  # uint64
    SIGNED  # int64
    UNITS  # decimal128 of scale 4
    TEXT  # binary
    LARGE_TEXT  # large_binary
    SORT_COUNT

cdef enum:
    COLUMN_COUNT = 4  # of transactions
    COLUMNS_MAX = 5 + KEPT_MAX  # that a dialect reads
    # A longer value is cut here: this much of it makes the row too long.
    VALUE_BYTES_MAX = ROW_BYTES_MAX + 1
    # A longer number, which has blanks or zeros around it, is left to the row parser.
    NUMBER_BYTES_MAX = 64
    WORDS_PER_VIEW = 4
    # A row without its texts: numbers, commas, the ending, and the bytes that writing a number overwrites after it.
    ROW_BYTES = COLUMNS_MAX * (AMOUNT_BYTES_MAX + WORD_BYTES)

# Most rows of a batch.
cdef Py_ssize_t ROWS_AT_ONCE = 1 << 14
# Most bytes of texts in a batch, unless one row alone has more.
cdef Py_ssize_t TEXT_BYTES_MAX = 1 << 22

cdef const uint8_t* NOTHING = b""

# Bytes that count for a row without text: a code for the type, two ids, a decimal.
VALUES_BYTES = 1 + 8 + 8 + 16
SORTS = ("absent", "unsigned", "signed", "units", "text", "large_text")
assert len(SORTS) == SORT_COUNT

cdef struct Column:
    Sort sort
    Py_ssize_t first  # the index of the first row's value
    const uint8_t* validity  # a bit for each value; NULL where no value is null
    const uint64_t* words
    const int32_t* indices
    const uint8_t* offsets  # int32 for TEXT, int64 for LARGE_TEXT
    const uint8_t* text  # never NULL
    Py_ssize_t values  # texts that an index may name


cdef class TableColumns:
    """The columns of some rows of a table that matter, type, client, tx and amount or those that a dialect reads:
    `hold` them in batches, a block's worth of rows each.

    `columns` has for each column (sort, index of its first value in the buffers, validity, values, offsets, indices),
    laid out as in Arrow. `sort` is one of SORTS; a buffer that it does not need is None. Offsets are int32, for
    `large_text` int64; with indices, int32 each, offsets and values are those of a dictionary. Raises ValueError where
    a buffer is too short, or an index or an offset leads out of its buffer.
    """

    cdef Column[COLUMNS_MAX] columns
    cdef Py_ssize_t column_count
    cdef list buffers
    cdef readonly Py_ssize_t rows
    cdef readonly Py_ssize_t rows_held

    def __cinit__(self, Py_ssize_t rows, columns not None):
        cdef int index
        if rows < 0 or not 0 < len(columns) <= COLUMNS_MAX:
            raise ValueError(f"{rows} rows of {len(columns)} columns")
        self.rows = rows
        self.column_count = len(columns)
        self.buffers = []
        for index, (sort, first, validity, values, offsets, indices) in enumerate(columns):
            self.take_column(&self.columns[index], SORTS.index(sort), first, validity, values, offsets, indices)

    cdef int take_column(
        self, Column* column, int sort, Py_ssize_t first, validity, values, offsets, indices,
    ) except -1:
        cdef Py_ssize_t end = first + self.rows
        cdef Py_ssize_t text_bytes, offset_bytes
        cdef bint in_bounds
        if first < 0:
            raise ValueError(f"no values begin at {first}")
        column.sort = <Sort>sort
        column.first = first
        column.validity = NULL if validity is None else self.bytes_of(validity, (end + 7) // 8)
        if sort == ABSENT:
            return 0
        if sort != TEXT and sort != LARGE_TEXT:
            column.words = <const uint64_t*>self.bytes_of(values, end * (2 if sort == UNITS else 1) * WORD_BYTES)
            return 0
        offset_bytes = sizeof(int32_t) if sort == TEXT else sizeof(int64_t)
        column.offsets = self.bytes_of(offsets, offset_bytes)
        column.values = len(memoryview(offsets).cast("B")) // offset_bytes - 1
        if indices is not None:
            column.indices = <const int32_t*>self.bytes_of(indices, end * <Py_ssize_t>sizeof(int32_t))
        elif column.values < end:
            raise ValueError(f"{column.values} values, where {end} are needed")
        text_bytes = 0 if values is None else len(memoryview(values).cast("B"))
        column.text = NOTHING
        if values is not None:
            column.text = self.bytes_of(values, 0)
        with nogil:
            in_bounds = are_in_bounds(column, self.rows, text_bytes)
        if not in_bounds:
            raise ValueError("indices or offsets that lead out of their buffers")
        return 0

    cdef const uint8_t* bytes_of(self, buffer, Py_ssize_t bytes_needed) except NULL:
        """The first byte of a buffer with at least this many bytes, which is kept alive."""
        cdef const uint8_t[::1] view = memoryview(buffer).cast("B")
        if view.shape[0] < bytes_needed:
            raise ValueError(f"a buffer of {view.shape[0]} bytes, where {bytes_needed} are needed")
        self.buffers.append(view)
        return NOTHING if not view.shape[0] else &view[0]

    def hold(self, TransactionBatch batch not None):
        """Give the batch the next rows, for `parse`; False where there are no more."""
        cdef Py_ssize_t first = self.rows_held
        cdef Py_ssize_t count, text_bytes = 0
        with nogil:
            count = self.rows_that_fit(first, &text_bytes)
        if not count:
            return False
        self.rows_held += count
        # `parse` makes room for its columns: it knows how long the lines are.
        batch.attach((self, first, count, text_bytes), NULL, 0)
        return True

    cdef Py_ssize_t rows_that_fit(self, Py_ssize_t first, Py_ssize_t* text_bytes) noexcept nogil:
        """The number of rows that a batch takes from `first` on, and the most bytes that their texts take."""
        cdef Py_ssize_t rows_max = min(self.rows - first, ROWS_AT_ONCE)
        cdef Py_ssize_t row, bytes_of_row
        cdef int index
        for row in range(rows_max):
            bytes_of_row = 0
            for index in range(self.column_count):
                if is_text(&self.columns[index]):
                    bytes_of_row += text_bytes_at(&self.columns[index], first + row)
            if row and text_bytes[0] + bytes_of_row > TEXT_BYTES_MAX:
                return row
            text_bytes[0] += bytes_of_row
        return rows_max

    cdef bint read_rows(self, TransactionBatch batch, const Py_ssize_t first, const Py_ssize_t count) noexcept nogil:
        """Take the values of these rows directly; False where a row needs its text. The batch has room for them.

        It takes them exactly as parse_row would take their lines.
        """
        # Copies in locals: read through `self`, each would be loaded again after every store.
        cdef Column kinds = self.columns[0], clients = self.columns[1], txs = self.columns[2], amounts = self.columns[3]
        cdef uint8_t* kind = batch.kind
        cdef uint64_t* client = batch.client
        cdef uint64_t* tx = batch.tx
        cdef int64_t* amount = batch.amount
        cdef Py_ssize_t row
        for row in range(count):
            if not (
                read_kind(&kinds, first + row, &kind[row])
                and read_id(&clients, first + row, &client[row])
                and read_id(&txs, first + row, &tx[row])
                and read_amount(&amounts, first + row, &kind[row], &amount[row])
            ):
                return False
        return True

    cdef uint8_t* write_rows(
        self, uint8_t* out, Py_ssize_t row, const Py_ssize_t end, const uint8_t decimal, const bint has_texts,
    ) noexcept nogil:
        """Write these rows as lines; return their end. There is room for them. `decimal` is the decimal mark."""
        # Copies in locals: read through `self`, each would be loaded again after every store.
        cdef Column kinds = self.columns[0], clients = self.columns[1], txs = self.columns[2], amounts = self.columns[3]
        cdef Py_ssize_t column
        if self.column_count != COLUMN_COUNT or decimal != c"." or has_texts:
            while row < end:
                for column in range(self.column_count):
                    out = write_value_in_dialect(out, &self.columns[column], row, decimal, has_texts)
                    out[0] = c","
                    out += 1
                (out - 1)[0] = LF
                row += 1
            return out
        while row < end:
            out = write_value(out, &kinds, row)
            out[0] = c","
            out = write_value(out + 1, &clients, row)
            out[0] = c","
            out = write_value(out + 1, &txs, row)
            out[0] = c","
            out = write_value(out + 1, &amounts, row)
            out[0] = LF
            out += 1
            row += 1
        return out


def parse(TransactionBatch batch not None, Header header not None, *, bint keep_text=True):
    """Make transactions of the rows that the batch was given by `hold`.

    Without `keep_text` a batch without malformed rows may have no text: its rows can then be counted, not reported. The
    batch does not keep the columns. One that was parsed already is left as it is.
    """
    cdef TableColumns columns
    cdef Py_ssize_t first, count
    cdef bint are_numbers
    cdef const Meaning* meaning = header.form.meaning
    if type(batch.block) is not tuple:
        return
    columns, first, count, _ = batch.block
    if not keep_text and meaning == NULL:
        batch.reserve(count, 0, 0)
        with nogil:
            are_numbers = columns.read_rows(batch, first, count)
        if are_numbers:
            batch.attach(None, NULL, count * <Py_ssize_t>VALUES_BYTES)
            batch.header = header
            batch.rows = batch.lines = count
            return
    write_lines(
        batch, decimal=c"." if meaning == NULL else meaning.amounts.decimal,
        has_texts=meaning != NULL and (meaning.text_client or meaning.text_tx or meaning.has_currency),
    )
    batch.header = header
    scan_lines(batch)
    # Rows count, whatever line endings are in their ids.
    batch.lines = count
    batch.line_like_row = -1


def write_lines(TransactionBatch batch not None, *, int decimal, bint has_texts):
    """Write the rows that the batch was given by `hold` as lines into its text, numbers with this decimal mark, a byte.
    """
    cdef TableColumns columns
    cdef Py_ssize_t first, count, text_bytes
    cdef uint8_t mark = <uint8_t>decimal
    cdef uint8_t* text
    cdef uint8_t* end
    columns, first, count, text_bytes = batch.block
    text = batch.text_room(text_bytes + count * ROW_BYTES)
    with nogil:
        end = columns.write_rows(text, first, first + count, mark, has_texts)
    batch.attach(batch.buffer, text, end - text)


def bytes_of_views(views not None, Py_ssize_t first, Py_ssize_t rows):
    """The bytes of the texts of these rows, from a buffer of Arrow's views: 16 bytes each, of which the first four are
    the length. Raises ValueError where the buffer is too short."""
    cdef const int32_t[::1] words = memoryview(views).cast("B").cast("i")
    cdef Py_ssize_t row
    cdef int64_t total = 0
    if first < 0 or rows < 0 or first + rows > words.shape[0] // WORDS_PER_VIEW:
        raise ValueError(f"{words.shape[0] // WORDS_PER_VIEW} views, where {first + rows} are needed")
    for row in range(first, first + rows):
        total += max(words[row * WORDS_PER_VIEW], 0)
    return total


cdef inline bint is_null(const Column* column, const Py_ssize_t row) noexcept nogil:
    cdef Py_ssize_t index = column.first + row
    if column.sort == ABSENT:
        return True
    return column.validity != NULL and not column.validity[index >> 3] >> (index & 7) & 1


cdef inline bint is_text(const Column* column) noexcept nogil:
    return column.sort == TEXT or column.sort == LARGE_TEXT


cdef inline int64_t offset_at(const Column* column, const Py_ssize_t value) noexcept nogil:
    """The offset at which a text begins."""
    if column.sort == TEXT:
        return (<const int32_t*>column.offsets)[value]
    return (<const int64_t*>column.offsets)[value]


cdef bint are_in_bounds(const Column* column, const Py_ssize_t rows, const Py_ssize_t text_bytes) noexcept nogil:
    """Whether the offsets of each row's text ascend within the text. Of a dictionary only the texts count that an index
    names: it may be larger than the rows."""
    cdef Py_ssize_t row, value
    cdef Py_ssize_t end = column.first + rows
    if column.indices == NULL:
        if offset_at(column, column.first) < 0 or offset_at(column, end) > text_bytes:
            return False
        for value in range(column.first, end):
            if offset_at(column, value) > offset_at(column, value + 1):
                return False
        return True
    for row in range(rows):
        if not is_null(column, row):
            value = column.indices[column.first + row]
            if not (
                0 <= value < column.values
                and 0 <= offset_at(column, value) <= offset_at(column, value + 1) <= text_bytes
            ):
                return False
    return True


cdef inline Py_ssize_t value_at(const Column* column, const Py_ssize_t row) noexcept nogil:
    """The index of a row's text among the values."""
    return column.first + row if column.indices == NULL else column.indices[column.first + row]


cdef inline Py_ssize_t text_bytes_at(const Column* column, const Py_ssize_t row) noexcept nogil:
    """The most bytes of a text in a line: each byte may become two, between two quotes."""
    cdef Py_ssize_t value
    if is_null(column, row):
        return 0
    value = value_at(column, row)
    return 2 * min(offset_at(column, value + 1) - offset_at(column, value), <int64_t>VALUE_BYTES_MAX) + 2


cdef inline Field text_at(const Column* column, const Py_ssize_t row) noexcept nogil:
    """A row's text as it is: one that must be trimmed, or has quotes, is not what the row parser would take."""
    cdef Py_ssize_t value = value_at(column, row)
    cdef Field field
    field.start = column.text + offset_at(column, value)
    field.end = column.text + offset_at(column, value + 1)
    field.quoted = False
    return field


cdef inline bint read_kind(const Column* column, const Py_ssize_t row, uint8_t* kind) noexcept nogil:
    cdef Field field
    if not is_text(column) or is_null(column, row):
        return False
    field = text_at(column, row)
    return parse_kind(&field, kind)


cdef inline bint read_id(const Column* column, const Py_ssize_t row, uint64_t* number) noexcept nogil:
    cdef Field field
    if is_null(column, row):
        return False
    if is_text(column):
        field = text_at(column, row)
        return field.end - field.start <= NUMBER_BYTES_MAX and parse_id(field.start, field.end, number)
    number[0] = column.words[column.first + row] if column.sort == UNSIGNED or column.sort == SIGNED else 0
    return column.sort == UNSIGNED or (column.sort == SIGNED and <int64_t>number[0] >= 0)


cdef inline bint read_amount(
    const Column* column, const Py_ssize_t row, uint8_t* kind, int64_t* amount,
) noexcept nogil:
    cdef int64_t units
    cdef Field field
    if is_text(column) and not is_null(column, row):
        field = text_at(column, row)
        return field.end - field.start <= NUMBER_BYTES_MAX and parse_amount(field.start, field.end, amount)
    if is_null(column, row):
        kind[0] |= NO_AMOUNT
        amount[0] = 0
        return True
    if column.sort == UNITS:
        units = <int64_t>column.words[2 * (column.first + row)]
        amount[0] = units
        # The magnitude of the lowest number does not fit.
        return units != INT64_MIN
    if column.sort != SIGNED and column.sort != UNSIGNED:
        return False
    units = <int64_t>column.words[column.first + row]
    if not -(INT64_MAX // UNITS_PER_ONE) <= units <= INT64_MAX // UNITS_PER_ONE:
        return False
    amount[0] = units * UNITS_PER_ONE
    return units >= 0 or column.sort == SIGNED


cdef inline uint8_t* write_value(uint8_t* out, const Column* column, const Py_ssize_t row) noexcept nogil:
    """Write a value as a field, nothing for a null; return its end."""
    cdef Py_ssize_t index = column.first + row
    cdef int64_t number
    if is_null(column, row):
        return out
    if column.sort == UNSIGNED:
        return write_number(out, column.words[index])
    if column.sort == SIGNED:
        number = <int64_t>column.words[index]
        out[0] = c"-"
        return write_number(out + (number < 0), <uint64_t>number if number >= 0 else 0 - <uint64_t>number)
    if column.sort == UNITS:
        return write_amount(out, <int64_t>column.words[2 * index])
    index = value_at(column, row)
    return write_text(
        out, column.text + offset_at(column, index),
        min(offset_at(column, index + 1) - offset_at(column, index), <int64_t>VALUE_BYTES_MAX),
    )


cdef inline uint8_t* write_value_in_dialect(
    uint8_t* out, const Column* column, const Py_ssize_t row, const uint8_t decimal, const bint has_texts,
) noexcept nogil:
    """Write a value as a field, numbers with this decimal mark; return the field's end. Where ids are texts, or
    accounts have a currency, line endings are a part of them."""
    cdef uint8_t* start = out
    cdef uint8_t* point
    cdef Field text, id
    cdef Syntax syntax = default_syntax()
    if has_texts and is_text(column) and not is_null(column, row):
        text = text_at(column, row)
        id = trimmed(text.start, text.end, &syntax)
        if id.end - id.start <= ID_BYTES_MAX and find_ending(id.start, id.end) != id.end:
            # Tabs around it count for some readers of the line. A longer text has no room in it.
            if text.end - text.start <= VALUE_BYTES_MAX:
                id = text
            return write_quoted(out, id.start, id.end)
    if decimal == c"." or column.sort != UNITS or is_null(column, row):
        return write_value(out, column, row)
    out = write_value(out + 1, column, row)
    point = start + 1
    while point[0] != c".":
        point += 1
    point[0] = decimal
    start[0] = out[0] = c'"'  # the mark may be a comma
    return out + 1


def units_fit(values not None, Py_ssize_t first, Py_ssize_t count):
    """Whether all of `count` decimals of 128 bits, from index `first` in their buffer on, fit 64 bits."""
    cdef const uint8_t[::1] view = memoryview(values).cast("B")
    cdef const int64_t* halves
    cdef Py_ssize_t row
    cdef int64_t wrong = 0
    if first < 0 or count < 0 or view.shape[0] < (first + count) * 2 * WORD_BYTES:
        raise ValueError(f"a buffer of {view.shape[0]} bytes, where {(first + count) * 2 * WORD_BYTES} are needed")
    if not count:
        return True
    halves = <const int64_t*>&view[0] + 2 * first
    with nogil:
        for row in range(count):
            wrong |= halves[2 * row + 1] ^ (halves[2 * row] >> 63)
    return wrong == 0
