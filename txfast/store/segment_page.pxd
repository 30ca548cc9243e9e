"""SegmentPage: a page of a segment in memory, with the words of its rows. See segment_page.pyx."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from txfast.dialect.currencies cimport CurrencyCode, make_code
from txfast.ledger.entries cimport TxId
from txfast.store.segment cimport OpenSegment, PageFence
from txfast.store.segment_form cimport (
    AMOUNT, CLIENT, CURRENCY, HELD, KIND, MAX_TX, MOVED, PAGE_BYTES, PAGE_ROWS_MAX, REFUNDED, STATE, TX, PageColumns,
    SegmentForm,
)
from txfast.store.segment_row cimport SegmentRow, is_below
from txfast.text.text_hash cimport TEXT_HASH_SLACK_BYTES

cdef struct SegmentPage:
    uint8_t[PAGE_BYTES + TEXT_HASH_SLACK_BYTES] content  # first, for its alignment
    uint64_t[PAGE_ROWS_MAX] client_words
    uint64_t[PAGE_ROWS_MAX] client_hashes  # of clients that are texts
    uint64_t[PAGE_ROWS_MAX] tx_words  # all 0 of accounts
    PageColumns columns

cdef int load_page(SegmentPage* page, const OpenSegment* segment, const int64_t number) except -1 nogil


cdef inline int64_t page_of(
    const OpenSegment* segment, int64_t page, const uint64_t client_word, const uint64_t tx_word,
) noexcept nogil:
    """The page, from this one on, that has the first row with these words or greater ones; or the one before it, since
    the words of the last row of a page are not known."""
    cdef const PageFence* fences = segment.fences
    cdef int64_t step = 1, end, middle
    # Gallop: the next key is often near.
    end = page + 1
    while end < segment.pages and is_fence_below(&fences[end], client_word, tx_word):
        page = end
        end += step
        step *= 2
    end = min(end, segment.pages)
    while end - page > 1:
        middle = (page + end) // 2
        if is_fence_below(&fences[middle], client_word, tx_word):
            page = middle
        else:
            end = middle
    return page


cdef inline bint is_fence_below(
    const PageFence* fence, const uint64_t client_word, const uint64_t tx_word,
) noexcept nogil:
    """Whether a page begins with lesser words."""
    return is_below(fence.client_word, fence.tx_word, client_word, tx_word)


cdef inline int32_t row_of(
    const SegmentPage* page, int32_t row, const uint64_t client_word, const uint64_t tx_word,
) noexcept nogil:
    """The first row of a page, from this one on, with these words or greater ones; behind the last one, if there is
    none."""
    cdef int32_t rows = page.columns.rows
    cdef int32_t step = 1, end, middle
    if row >= rows or not is_row_below(page, row, client_word, tx_word):
        return row
    end = row + 1
    while end < rows and is_row_below(page, end, client_word, tx_word):
        row = end
        end += step
        step *= 2
    end = min(end, rows)
    while end - row > 1:
        middle = (row + end) // 2
        if is_row_below(page, middle, client_word, tx_word):
            row = middle
        else:
            end = middle
    return end


cdef inline bint is_row_below(
    const SegmentPage* page, const int32_t row, const uint64_t client_word, const uint64_t tx_word,
) noexcept nogil:
    """Whether a row has lesser words."""
    return is_below(page.client_words[row], page.tx_words[row], client_word, tx_word)


cdef inline int64_t number_at(const PageColumns* columns, const int column, const int32_t row) noexcept nogil:
    """A number of eight bytes; 0 where there is no such column."""
    return 0 if columns.columns[column] == NULL else (<const int64_t*>columns.columns[column])[row]


cdef inline uint8_t byte_at(const PageColumns* columns, const int column, const int32_t row) noexcept nogil:
    """The same of one byte."""
    return 0 if columns.columns[column] == NULL else columns.columns[column][row]


cdef inline void take_id(
    TxId* id,  # OUT
    const PageColumns* columns, const SegmentForm* form, const int column, const int32_t row,
    const uint64_t hash,  # IN of a text
) noexcept nogil:
    """Take an id of a row: a number, or a text that is in the page. 0 where there is no such column."""
    cdef const int32_t* offsets
    id.currency = 0
    if form.are_texts[column]:
        offsets = <const int32_t*>columns.columns[column]
        id.number = hash
        id.text = columns.texts[column] + offsets[row]
        id.length = <uint8_t>(offsets[row + 1] - offsets[row])
        return
    id.number = <uint64_t>number_at(columns, column, row)
    id.text = NULL
    id.length = 0


cdef inline void take_row(
    SegmentRow* row,  # OUT
    const SegmentPage* page, const SegmentForm* form, const int32_t place,
) noexcept nogil:
    """Take a row of a page."""
    cdef const PageColumns* columns = &page.columns
    cdef const int32_t* offsets
    row.client_word = page.client_words[place]
    row.tx_word = page.tx_words[place]
    take_id(&row.client, columns, form, CLIENT, place, page.client_hashes[place])
    take_id(&row.tx, columns, form, TX, place, page.tx_words[place])
    if form.are_texts[CURRENCY]:
        offsets = <const int32_t*>columns.columns[CURRENCY]
        make_code(columns.texts[CURRENCY] + offsets[place], offsets[place + 1] - offsets[place], &row.currency)
    else:
        row.currency = CurrencyCode(first=0, second=0)
    row.amount = number_at(columns, AMOUNT, place)
    row.held = number_at(columns, HELD, place)
    row.max_tx = <uint64_t>number_at(columns, MAX_TX, place)
    row.kind = byte_at(columns, KIND, place)
    row.state = byte_at(columns, STATE, place)
    row.refunded = number_at(columns, REFUNDED, place)
    row.moved = number_at(columns, MOVED, place)
