"""SegmentForm: which columns the rows of a segment have, and where they are in a page. See segment_form.pyx."""

from libc.stdint cimport int32_t, uint8_t, uint64_t

from txfast.store.key_filter cimport FilterKey
from txfast.text.bits cimport WORD_BYTES
from txfast.text.text_hash cimport TextKey

cdef enum:
    PAGE_BYTES = 1 << 14
    # More rows than a page of any form has: a row takes at least 20 bytes.
    PAGE_ROWS_MAX = 1 << 10

# The columns of a page, in their order.
cdef enum:
    CLIENT
    CURRENCY
    TX
    AMOUNT  # of an account: available
    HELD
    MAX_TX
    KIND  # of an account: flags
    STATE
    REFUNDED  # of an account: standing
    MOVED  # of an account: opening
    COLUMN_COUNT
    # Those before this one may be texts: a column has the offsets of them, then come their bytes.
    TEXT_COLUMN_COUNT = TX + 1

cdef struct SegmentForm:
    uint8_t are_accounts
    uint8_t has_details
    uint8_t[TEXT_COLUMN_COUNT] are_texts
    uint8_t[COLUMN_COUNT] widths  # bytes a row, of a text those of its offset; 0 for a column that is not there
    int32_t header_bytes  # of a page: its columns follow
    int32_t row_bytes  # without the bytes of texts
    int32_t room_bytes  # for rows and texts in a page, whatever the columns are padded with
    TextKey text_key
    FilterKey filter_key

# The columns of a page in memory.
cdef struct PageColumns:
    int32_t rows
    const uint8_t* columns[COLUMN_COUNT]  # numbers, or the offsets of texts; NULL where there is no such column
    const uint8_t* texts[TEXT_COLUMN_COUNT]

cdef class Form:
    cdef readonly str kind
    cdef readonly object text_ids
    cdef readonly bytes key
    cdef SegmentForm[2] forms  # without details, and with them

    cdef int take_columns(self, SegmentForm* form) except -1
    cdef list numbered(self, bint has_details)
    cdef uint64_t word_of(self, id) except? 0


cdef inline Py_ssize_t padded(const Py_ssize_t byte_count) noexcept nogil:
    """The bytes of a buffer in a page, with those behind it up to the next word."""
    return (byte_count + WORD_BYTES - 1) & ~<Py_ssize_t>(WORD_BYTES - 1)


cdef inline int32_t rows_max(const SegmentForm* form) noexcept nogil:
    """The most rows of a page, where all texts are of one byte."""
    cdef int texts = form.are_texts[CLIENT] + form.are_texts[CURRENCY] + form.are_texts[TX]
    return form.room_bytes // (form.row_bytes + texts)


cdef inline bint find_columns(
    PageColumns* found,  # OUT
    const SegmentForm* form,  # IN
    const uint8_t* page,  # IN
    const int32_t rows,  # IN from 1 to `rows_max`
) noexcept nogil:
    """Find the columns of a page, whose bytes may be any: False where it has no room for them. Only the last offset of
    a column of texts is checked then."""
    cdef const uint8_t* end = page + PAGE_BYTES
    cdef const uint8_t* column = page + form.header_bytes
    cdef const uint8_t* text
    cdef int32_t text_bytes
    cdef int number
    found.rows = rows
    for number in range(COLUMN_COUNT):
        found.columns[number] = NULL
        if not form.widths[number]:
            continue
        found.columns[number] = column
        if number < TEXT_COLUMN_COUNT and form.are_texts[number]:
            text = column + padded((rows + 1) * <Py_ssize_t>sizeof(int32_t))
            if text > end:
                return False
            text_bytes = (<const int32_t*>column)[rows]
            if text_bytes < 0 or text_bytes > end - text:
                return False
            found.texts[number] = text
            column = text + padded(text_bytes)
        else:
            column += padded(rows * <Py_ssize_t>form.widths[number])
        if column > end:
            return False
    return True
