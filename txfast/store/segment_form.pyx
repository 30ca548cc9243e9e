"""Form: which columns the segments of a state have, by the ids of its accounts and entries.

    entries    client, [currency], tx, amount, kind, state, [refunded, moved]
    accounts   client, [currency], available, held, max_tx, flags, [standing, opening]

A client and a transaction are numbers or texts. The last two columns are those of segments with details.

This module must not know files.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memset

from txfast.ledger.shard cimport shard_word
from txfast.store.key_filter cimport read_filter_key
from txfast.text.text_hash cimport TEXT_HASH_SLACK_BYTES, hash_text, read_key

from txfast.store.arrow_frame import TEXTS, page_header

ACCOUNTS, ENTRIES = "accounts", "entries"

# The names and types of columns, by their numbers. None: there is no such column.
COLUMNS = {
    ACCOUNTS: (
        ("client", "uint64"), ("currency", TEXTS), None, ("available", "int64"), ("held", "int64"),
        ("max_tx", "uint64"), ("flags", "uint8"), None, ("standing", "uint64"), ("opening", "int64"),
    ),
    ENTRIES: (
        ("client", "uint64"), ("currency", TEXTS), ("tx", "uint64"), ("amount", "int64"), None, None,
        ("kind", "uint8"), ("state", "uint8"), ("refunded", "int64"), ("moved", "int64"),
    ),
}
assert {len(columns) for columns in COLUMNS.values()} == {COLUMN_COUNT}
# Bytes a row. A text has an offset.
WIDTHS = {"int64": 8, "uint64": 8, "uint8": 1, TEXTS: 4}


cdef class Form:
    """The columns of segments of a kind, ACCOUNTS or ENTRIES, in a state whose ids have these `text_ids`: None where
    they are numbers, and accounts have no currency. `key` has 32 random bytes, for filters. Raises ValueError."""

    def __cinit__(self, str kind not None, text_ids, bytes key not None):
        cdef SegmentForm* form
        cdef int has_details
        if kind not in COLUMNS:
            raise ValueError(f"no segments of {kind}")
        self.kind = kind
        self.text_ids = text_ids
        self.key = key
        for has_details in range(2):
            form = &self.forms[has_details]
            memset(form, 0, sizeof(SegmentForm))
            form.are_accounts = kind == ACCOUNTS
            form.has_details = has_details
            if text_ids is not None:
                read_key(&form.text_key, text_ids.key)
            read_filter_key(&form.filter_key, key)
            self.take_columns(form)

    cdef int take_columns(self, SegmentForm* form) except -1:
        """Set the widths of columns, and the room for them."""
        cdef list columns = self.numbered(form.has_details)
        cdef int number, padding = 0
        for number, column in enumerate(columns):
            if column is None:
                continue
            form.widths[number] = WIDTHS[column[1]]
            form.row_bytes += form.widths[number]
            padding += WORD_BYTES
            if column[1] == TEXTS:
                form.are_texts[number] = True
                padding += WORD_BYTES + form.widths[number]  # one offset more than rows
        form.header_bytes = len(page_header([column for column in columns if column], PAGE_BYTES))
        form.room_bytes = PAGE_BYTES - form.header_bytes - padding
        assert rows_max(form) <= PAGE_ROWS_MAX
        return 0

    cdef list numbered(self, bint has_details):
        """The name and type of each column, by its number; None for one that is not there."""
        columns = list(COLUMNS[self.kind])
        if self.text_ids is None or self.text_ids.currencies is None:
            columns[CURRENCY] = None
        if self.text_ids is not None and self.text_ids.client:
            columns[CLIENT] = ("client", TEXTS)
        if columns[TX] is not None and self.text_ids is not None and self.text_ids.tx:
            columns[TX] = ("tx", TEXTS)
        if not has_details:
            columns[REFUNDED] = columns[MOVED] = None
        return columns

    def columns(self, bint has_details):
        """The names and types of the columns of a segment, in their order."""
        return [column for column in self.numbered(has_details) if column is not None]

    def sort_key(self, tuple row not None):
        """What rows are sorted by, of a row as `SegmentWriter.add_row` takes it."""
        client, code, tx = row[:3]
        if self.kind == ACCOUNTS:
            tx = 0
        return shard_word(self.word_of(client)), self.word_of(tx), client, code or b"", tx

    cdef uint64_t word_of(self, id) except? 0:
        """The number of an id, or the hash of its text."""
        cdef const SegmentForm* form = &self.forms[0]
        cdef bytes padded_text
        cdef const uint8_t* text
        if isinstance(id, int):
            return id
        padded_text = id + bytes(TEXT_HASH_SLACK_BYTES)
        text = padded_text
        return hash_text(&form.text_key, text, len(padded_text) - TEXT_HASH_SLACK_BYTES)
