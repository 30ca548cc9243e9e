"""SegmentRow: a row of a segment, an account or an entry, and the order of rows.

Rows are in the order of two words, of their client and of their transaction: hashes, or a number as it is. Rows with
the same words are in the order of their ids: client, currency, transaction.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcmp

from txfast.dialect.currencies cimport CurrencyCode
from txfast.ledger.entries cimport TxId

cdef extern from * nogil:
    """
    /* One comparison of 128 bits, without branches. */
    static inline int txfast_is_below(uint64_t client, uint64_t tx, uint64_t other_client, uint64_t other_tx) {
        return ((unsigned __int128)client << 64 | tx) < ((unsigned __int128)other_client << 64 | other_tx);
    }
    """
    # Whether the words of one row are less than those of another.
    bint is_below "txfast_is_below"(
        uint64_t client, uint64_t tx, uint64_t other_client, uint64_t other_tx,
    ) noexcept

cdef struct RowKey:
    uint64_t client_word  # shard_word of the client's number, or of the hash of its text
    uint64_t tx_word  # the transaction's number, or the hash of its text; 0 of an account

cdef struct SegmentRow:
    uint64_t client_word  # as in a RowKey
    uint64_t tx_word
    TxId client  # a number, or a text and its hash; its `currency` is not used, as that of `tx`
    TxId tx
    CurrencyCode currency  # all zero where accounts have none
    int64_t amount  # units of the last decimal; of an account: available
    int64_t held
    uint64_t max_tx
    uint8_t kind  # of an account: 1 where it is locked
    uint8_t state
    int64_t refunded  # of an account: the chargebacks that stand, where they are several
    int64_t moved  # of an account: its opening balance


cdef inline int compare_words(
    const uint64_t client, const uint64_t tx, const uint64_t other_client, const uint64_t other_tx,
) noexcept nogil:
    """Below 0, 0 or above 0, by the words of two rows."""
    if client != other_client:
        return -1 if client < other_client else 1
    return (tx > other_tx) - (tx < other_tx)


cdef inline int compare_ids(const TxId* one, const TxId* other) noexcept nogil:
    """The same by two ids, which are both numbers or both texts."""
    cdef int order
    if one.text == NULL:
        return (one.number > other.number) - (one.number < other.number)
    order = memcmp(one.text, other.text, min(one.length, other.length))
    return order if order else <int>one.length - <int>other.length


cdef inline int compare_rows(const SegmentRow* one, const SegmentRow* other) noexcept nogil:
    """The same by all of their keys: 0 where they are of the same account, or entry."""
    cdef int order = compare_words(one.client_word, one.tx_word, other.client_word, other.tx_word)
    if order:
        return order
    order = compare_ids(&one.client, &other.client)
    if not order:
        # The bytes of a code, zeros, its length: the order of codes as texts.
        order = memcmp(&one.currency, &other.currency, sizeof(CurrencyCode))
    return order if order else compare_ids(&one.tx, &other.tx)
