"""SoughtRows: keys that are looked up in a state. See sought.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from txfast.dialect.currencies cimport CurrencyCode
from txfast.ledger.entries cimport TxId, make_number_id
from txfast.ledger.key_order cimport SortKey
from txfast.ledger.shard cimport shard_word
from txfast.ledger.texts cimport TextArena
from txfast.store.segment_row cimport RowKey, SegmentRow

# The key of an account or an entry.
cdef struct Sought:
    uint64_t client  # the number; of a text its hash, as is tx
    uint64_t tx  # 0 of an account
    const uint8_t* client_text  # NULL for a number, as is the next one
    const uint8_t* tx_text
    uint32_t account  # of an entry: the number of its account
    uint16_t currency
    uint8_t client_length
    uint8_t tx_length
    bint is_named  # a row names the entry, which such rows change

# What makes rows of keys.
cdef struct SoughtKeys:
    Sought* rows  # NULL where the content of a sort key is all of it: the number of an account's client
    CurrencyCode* codes  # by the numbers of currencies; NULL where accounts have none

cdef class SoughtRows:
    cdef SoughtKeys sought
    cdef bint are_entries
    cdef bint is_plain  # accounts whose clients are numbers, without currencies
    cdef bint words_decide  # rows with the same words are the same
    cdef Py_ssize_t count
    cdef Py_ssize_t capacity
    # The rows in order: their places in `content`. Those that were found are no longer among them.
    cdef SortKey* keys
    cdef SortKey* scratch
    cdef RowKey* words  # of these rows
    cdef uint8_t* possible  # for searches
    cdef Py_ssize_t left
    cdef TextArena texts  # ids that are written otherwise in a batch

    cdef int reserve(self, const Py_ssize_t count) except -1
    cdef int reserve_sorting(self) except -1
    cdef const uint8_t* keep_text(self, const uint8_t* text, const uint8_t length) except NULL nogil
    cdef void sort(self) noexcept nogil


cdef inline void client_of(TxId* id, const Sought* sought) noexcept nogil:
    """The id of a client, with the number of its currency."""
    id.number = sought.client
    id.text = sought.client_text
    id.length = sought.client_length
    id.currency = sought.currency


cdef inline void tx_of(TxId* id, const Sought* sought) noexcept nogil:
    """The id of a transaction."""
    id.number = sought.tx
    id.text = sought.tx_text
    id.length = sought.tx_length
    id.currency = 0


cdef inline void make_sought_row(
    SegmentRow* row,  # OUT its ids and words
    const SoughtKeys* keys,  # IN
    const int64_t content,  # IN of its sort key
) noexcept nogil:
    """Make the row of a key."""
    cdef const Sought* sought
    row.currency.first = row.currency.second = 0
    if keys.rows == NULL:
        make_number_id(&row.client, <uint64_t>content)
        make_number_id(&row.tx, 0)
        row.client_word = shard_word(<uint64_t>content)
        row.tx_word = 0
        return
    sought = &keys.rows[content]
    client_of(&row.client, sought)
    tx_of(&row.tx, sought)
    row.client_word = shard_word(sought.client)
    row.tx_word = sought.tx
    if keys.codes != NULL:
        row.currency = keys.codes[sought.currency]


cdef inline uint16_t currency_of(const SoughtKeys* keys, const int64_t content) noexcept nogil:
    """The number of the currency of a key."""
    return 0 if keys.rows == NULL else keys.rows[content].currency
