"""Reads a page of a segment, and checks all of it: its hash, its columns, the order of its keys, its values.

So whoever looks at the rows of a page needs no checks. A page of 600 rows takes 1 us beside reading it.

This module must not know which page is read next.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memset

from txfast.batch.ids cimport ID_BYTES_MAX
from txfast.dialect.currencies cimport CODE_BYTES_MAX
from txfast.ledger.rules cimport is_dispute_state
from txfast.ledger.shard cimport shard_word
from txfast.ledger.sums cimport fits_as_total
from txfast.store.page_hash cimport hash_page
from txfast.store.segment cimport (
    BAD_ORDER, BAD_ROWS, BAD_VALUE, HASH_DIFFERS, OpenSegment, PageFence, page_offset, raise_damage, read_at,
)
from txfast.store.segment_form cimport TEXT_COLUMN_COUNT, find_columns
from txfast.store.segment_row cimport compare_rows, compare_words, is_below
from txfast.text.text_hash cimport hash_text


cdef int load_page(SegmentPage* page, const OpenSegment* segment, const int64_t number) except -1 nogil:
    """Read a page of rows of a segment that is prepared. Raises StateError and SourceError."""
    cdef const PageFence* fence = &segment.fences[number]
    cdef const SegmentForm* form = &segment.form
    read_at(segment, page.content, PAGE_BYTES, page_offset(number), number)
    if hash_page(page.content, PAGE_BYTES, segment.number, number) != fence.hash:
        raise_damage(segment, HASH_DIFFERS, number)
    if not find_columns(&page.columns, form, page.content, <int32_t>fence.rows) or not are_texts_inside(page, form):
        raise_damage(segment, BAD_ROWS, number)
    if not (are_accounts(&page.columns) if form.are_accounts else are_entries(&page.columns)):
        raise_damage(segment, BAD_VALUE, number)
    take_words(page, form)
    if not is_ordered(page, form) or not is_between(page, segment, number):
        raise_damage(segment, BAD_ORDER, number)
    return 0


cdef bint are_texts_inside(const SegmentPage* page, const SegmentForm* form) noexcept nogil:
    """Whether all texts have a length that they can have. They are inside their column then."""
    cdef const int32_t* offsets
    cdef int32_t most, row
    cdef int column
    for column in range(TEXT_COLUMN_COUNT):
        if not form.are_texts[column]:
            continue
        most = CODE_BYTES_MAX if column == CURRENCY else ID_BYTES_MAX
        offsets = <const int32_t*>page.columns.columns[column]
        if offsets[0]:
            return False
        for row in range(page.columns.rows):
            # The difference of two numbers of any size, without overflow.
            if not 0 < <int64_t>offsets[row + 1] - offsets[row] <= most:
                return False
    return True


cdef bint are_accounts(const PageColumns* columns) noexcept nogil:
    """Whether all rows can be accounts."""
    cdef const int64_t* available = <const int64_t*>columns.columns[AMOUNT]
    cdef const int64_t* held = <const int64_t*>columns.columns[HELD]
    cdef bint fit = True
    cdef uint8_t flags = 0
    cdef int32_t row
    for row in range(columns.rows):
        flags |= columns.columns[KIND][row]
        fit &= fits_as_total(available[row], held[row])
    return fit and flags <= 1


cdef bint are_entries(const PageColumns* columns) noexcept nogil:
    """Whether all rows can be entries."""
    cdef const int64_t* amount = <const int64_t*>columns.columns[AMOUNT]
    cdef const int64_t* refunded = <const int64_t*>columns.columns[REFUNDED]
    cdef const int64_t* moved = <const int64_t*>columns.columns[MOVED]
    cdef const uint8_t* state = columns.columns[STATE]
    cdef int64_t signs = 0
    cdef uint8_t kinds = 0, states = 0
    cdef int32_t row
    for row in range(columns.rows):
        kinds |= columns.columns[KIND][row]
        states |= state[row]
    for row in range(columns.rows):
        signs |= amount[row]
    if kinds > 1 or signs < 0:
        return False
    if states:
        for row in range(columns.rows):
            if not is_dispute_state(state[row]):
                return False
    if refunded != NULL:
        for row in range(columns.rows):
            if not 0 <= refunded[row] <= amount[row] or not 0 <= moved[row] <= amount[row] - refunded[row]:
                return False
    return True


cdef void take_words(SegmentPage* page, const SegmentForm* form) noexcept nogil:
    """Make the words of all rows."""
    cdef const PageColumns* columns = &page.columns
    cdef const uint64_t* numbers = <const uint64_t*>columns.columns[CLIENT]
    cdef int32_t rows = columns.rows, row
    if form.are_texts[CLIENT]:
        take_hashes(page.client_hashes, columns, form, CLIENT)
        numbers = page.client_hashes
    for row in range(rows):
        page.client_words[row] = shard_word(numbers[row])
    if form.are_accounts:
        memset(page.tx_words, 0, rows * sizeof(uint64_t))
    elif form.are_texts[TX]:
        take_hashes(page.tx_words, columns, form, TX)
    else:
        memcpy(page.tx_words, columns.columns[TX], rows * sizeof(uint64_t))


cdef void take_hashes(
    uint64_t* hashes,  # OUT
    const PageColumns* columns, const SegmentForm* form, const int column,
) noexcept nogil:
    """Make the hashes of all texts of a column."""
    cdef const int32_t* offsets = <const int32_t*>columns.columns[column]
    cdef const uint8_t* texts = columns.texts[column]
    cdef int32_t row
    for row in range(columns.rows):
        hashes[row] = hash_text(&form.text_key, texts + offsets[row], offsets[row + 1] - offsets[row])


cdef bint is_ordered(const SegmentPage* page, const SegmentForm* form) noexcept nogil:
    """Whether each row has a greater key than the one before."""
    cdef const uint64_t* client = &page.client_words[0]
    cdef const uint64_t* tx = &page.tx_words[0]
    cdef SegmentRow one, other
    cdef int32_t row
    cdef int32_t rising = 1
    for row in range(1, page.columns.rows):
        rising += is_below(client[row - 1], tx[row - 1], client[row], tx[row])
    if rising == page.columns.rows:
        return True
    for row in range(1, page.columns.rows):
        if is_below(client[row], tx[row], client[row - 1], tx[row - 1]):
            return False
        # Rows with the same words are in the order of their ids.
        if client[row] == client[row - 1] and tx[row] == tx[row - 1]:
            take_row(&one, page, form, row - 1)
            take_row(&other, page, form, row)
            if compare_rows(&one, &other) >= 0:
                return False
    return True


cdef bint is_between(const SegmentPage* page, const OpenSegment* segment, const int64_t number) noexcept nogil:
    """Whether a page begins where its index says, and ends before the next one begins."""
    cdef const PageFence* fence = &segment.fences[number]
    cdef int32_t last = page.columns.rows - 1
    if compare_words(page.client_words[0], page.tx_words[0], fence.client_word, fence.tx_word):
        return False
    if number + 1 == segment.pages:
        return not compare_words(
            page.client_words[last], page.tx_words[last], segment.last.client_word, segment.last.tx_word
        )
    fence += 1
    return compare_words(page.client_words[last], page.tx_words[last], fence.client_word, fence.tx_word) <= 0
