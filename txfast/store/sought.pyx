"""SoughtRows: keys that are looked up in a state, in the order of the state's rows.

This module must not know batches, nor what is done with what is found.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from txfast.ledger.texts cimport TEXT_BYTES_MAX, add_text, free_texts, reserve_texts, text_at
from txfast.store.currency_codes cimport take_codes
from txfast.store.row_order cimport RowOrder, sort_rows
from txfast.text.bits cimport advise_huge_pages, prefetch
from txfast.text.text_hash cimport are_same_texts

cdef enum:
    AHEAD_KEYS = 16


cdef class SoughtRows:
    """Keys of accounts, or of entries, of a ledger with these IdKinds and the currencies of its run."""

    def __cinit__(self, int kinds, currencies, *, bint are_entries):
        memset(&self.texts, 0, sizeof(TextArena))
        self.are_entries = are_entries
        self.words_decide = not kinds
        self.is_plain = not kinds and not are_entries
        if currencies is not None:
            take_codes(&self.sought.codes, currencies)

    def __dealloc__(self):
        free(self.sought.rows)
        free(self.keys)
        free(self.scratch)
        free(self.words)
        free(self.possible)
        free(self.sought.codes)
        free_texts(&self.texts)

    cdef int reserve(self, const Py_ssize_t count) except -1:
        """Make room for this many rows, before the first. Raises MemoryError."""
        self.capacity = count
        if self.is_plain:
            self.keys = <SortKey*>allocate(count * sizeof(SortKey))
        else:
            self.sought.rows = <Sought*>allocate(count * sizeof(Sought))
        return 0

    cdef int reserve_sorting(self) except -1:
        """Make room to sort the rows. Raises MemoryError."""
        if not self.is_plain:
            self.keys = <SortKey*>allocate(self.count * sizeof(SortKey))
        self.scratch = <SortKey*>allocate(self.count * sizeof(SortKey))
        self.words = <RowKey*>allocate(self.count * sizeof(RowKey))
        self.possible = <uint8_t*>allocate(self.count)
        return 0

    cdef const uint8_t* keep_text(self, const uint8_t* text, const uint8_t length) except NULL nogil:
        """A copy of a text. Raises MemoryError."""
        if not reserve_texts(&self.texts, TEXT_BYTES_MAX):
            with gil:
                raise MemoryError("no memory for an id")
        return text_at(&self.texts, add_text(&self.texts, text, length, 1)) + 1

    cdef void sort(self) noexcept nogil:
        """Sort the rows, and drop those that are there already. There must be room to sort."""
        cdef RowOrder order
        cdef Sought* kept = NULL
        cdef Sought* row = NULL
        cdef Py_ssize_t i
        order.context = &self.sought
        order.look_ahead = look_ahead_to_sought
        order.tx_word_of = NULL
        order.make_ids = NULL
        if self.are_entries:
            order.tx_word_of = tx_word_of_sought
        if not self.words_decide:
            order.make_ids = make_sought_ids
        for i in range(0 if self.is_plain else self.count):
            self.keys[i].client = shard_word(self.sought.rows[i].client)
            self.keys[i].content = i
        sort_rows(self.keys, self.scratch, self.count, &order)
        self.left = 0
        for i in range(self.count):
            if not self.is_plain:
                if i + AHEAD_KEYS < self.count:
                    prefetch(&self.sought.rows[self.keys[i + AHEAD_KEYS].content])
                row = &self.sought.rows[self.keys[i].content]
            if self.left and self.words[self.left - 1].client_word == self.keys[i].client and (
                self.is_plain or is_same(kept, row)
            ):
                if kept != NULL:
                    kept.is_named |= row.is_named
                continue
            kept = row
            self.keys[self.left] = self.keys[i]
            self.words[self.left].client_word = self.keys[i].client
            self.words[self.left].tx_word = 0 if self.is_plain else row.tx
            self.left += 1


cdef void* allocate(const size_t byte_count) except NULL:
    """Memory in huge pages, for `free`. Raises MemoryError."""
    cdef void* allocated = malloc(byte_count + 1)
    if allocated == NULL:
        raise MemoryError(f"no memory to look up rows in a state: {byte_count} bytes")
    advise_huge_pages(allocated, byte_count)
    return allocated


cdef inline bint is_same(const Sought* one, const Sought* other) noexcept nogil:
    """Whether two keys are the same."""
    return (
        one.client == other.client and one.tx == other.tx and one.currency == other.currency
        and one.client_length == other.client_length and one.tx_length == other.tx_length
        and (one.client_text == NULL or are_same_texts(one.client_text, other.client_text, one.client_length))
        and (one.tx_text == NULL or are_same_texts(one.tx_text, other.tx_text, one.tx_length))
    )


# ---- For RowOrder ------------------------------------------------------------------------------------


cdef void look_ahead_to_sought(const void* context, const int64_t content) noexcept nogil:
    prefetch(&(<const SoughtKeys*>context).rows[content])


cdef uint64_t tx_word_of_sought(const void* context, const int64_t content) noexcept nogil:
    return (<const SoughtKeys*>context).rows[content].tx


cdef void make_sought_ids(const void* context, const int64_t content, SegmentRow* row, uint8_t* room) noexcept nogil:
    make_sought_row(row, <const SoughtKeys*>context, content)
