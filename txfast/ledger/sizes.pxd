"""Sizes: the most memory that a ledger takes without its details, now or after it has grown; and how large its index
should be.

These functions must not know rows.
"""

from libc.stdint cimport uint64_t

from txfast.batch.batch cimport DEPOSIT, WITHDRAWAL
from txfast.ledger.account_table cimport AccountTable, grown_table_bytes, table_bytes
from txfast.ledger.entries cimport Log, log_bytes
from txfast.ledger.index cimport Index, capacity_bytes, index_capacity
from txfast.ledger.packed_texts cimport unpacked_bytes
from txfast.ledger.texts cimport NAME_ALIGNMENT, TEXT_BLOCK_BYTES, arena_bytes

cdef enum:
    INDEX_CAPACITY_MIN = 4096
    # An expected number of entries is trusted up to here, until as many were applied.
    FIRST_CAPACITY_MAX = 1 << 24
    # The index grows by at least an eighth.
    GROWTH_MIN_DIVISOR = 8
    # Memory for sorting an account: a key of 16 bytes in each of three arrays; one array more for clients' names.
    SORTING_BYTES = 48
    SORTING_NAME_BYTES = 16


cdef inline uint64_t least_capacity(const Index* index, const uint64_t entries) noexcept nogil:
    """The least capacity of an index for this many entries: the present one, or one that is worth growing to."""
    if entries <= index_capacity(index):
        return index_capacity(index)
    return max(entries + entries // GROWTH_MIN_DIVISOR, <uint64_t>INDEX_CAPACITY_MIN)


cdef inline uint64_t texts_bytes(
    const AccountTable* table,  # IN as it is now, as are the logs
    const Log* logs,  # IN
    const uint64_t rows,  # IN that come, and the bytes of all their ids
    const uint64_t text_bytes,  # IN
) noexcept nogil:
    """The most bytes of ids that are texts, beside `bytes_at`."""
    cdef uint64_t texts = 0
    if table.names != NULL:
        texts += arena_bytes(table.names, text_bytes + NAME_ALIGNMENT * rows)
        texts += SORTING_NAME_BYTES * (table.accounts + rows)
    if logs[<int>DEPOSIT].has_texts:
        texts += arena_bytes(&logs[<int>DEPOSIT].texts, text_bytes + rows)
        texts += arena_bytes(&logs[<int>WITHDRAWAL].texts, text_bytes + rows)
    return texts


cdef inline uint64_t filled_texts(const AccountTable* table, const Log* logs) noexcept nogil:
    """The bytes of all ids that are texts, as they are outside of the ledger."""
    cdef uint64_t names = table.names.end if table.names != NULL else 0
    return names + unpacked_bytes(&logs[<int>DEPOSIT].texts) + unpacked_bytes(&logs[<int>WITHDRAWAL].texts)


cdef inline uint64_t new_texts_bytes(
    const AccountTable* table,  # IN of an empty ledger, as are the logs
    const Log* logs,  # IN
    const uint64_t accounts,  # IN in total, as are the next two
    const uint64_t transactions,  # IN
    const uint64_t text_bytes,  # IN of all names, and of all ids of transactions
) noexcept nogil:
    """The most bytes of ids that are texts in a new ledger with all these, beside `bytes_at`."""
    cdef uint64_t texts = 0
    if table.names != NULL:
        texts += TEXT_BLOCK_BYTES + (NAME_ALIGNMENT + SORTING_NAME_BYTES) * accounts
    if logs[<int>DEPOSIT].has_texts:
        texts += 2 * <uint64_t>TEXT_BLOCK_BYTES + transactions
    return texts + text_bytes if texts else 0


cdef inline uint64_t bytes_at(
    const AccountTable* table,  # IN as it is now, as are the next two
    const Index* index,  # IN
    const Log* logs,  # IN
    const uint64_t accounts,  # IN in total, as are the next two
    const uint64_t deposits,  # IN
    const uint64_t withdrawals,  # IN
    const uint64_t capacity,  # IN of the index
) noexcept nogil:
    """The most bytes that they need at any time, growing to these numbers and to an index of this capacity."""
    cdef uint64_t held = table_bytes(table)
    cdef uint64_t grown = grown_table_bytes(table, accounts)
    cdef uint64_t in_all = grown + capacity_bytes(max(capacity, index_capacity(index)))
    cdef uint64_t while_growing = 0
    held += log_bytes(&logs[<int>DEPOSIT], 0) + log_bytes(&logs[<int>WITHDRAWAL], 0)
    in_all += log_bytes(&logs[<int>DEPOSIT], deposits) + log_bytes(&logs[<int>WITHDRAWAL], withdrawals)
    # While the index is rebuilt, there is an array of all clients' hashes. Moving or saving a ledger needs an array of
    # its clients.
    in_all += accounts * sizeof(uint64_t)
    # While the table of accounts grows, the old one and the old index are there too.
    if grown > table_bytes(table):
        while_growing = held + grown + capacity_bytes(index_capacity(index))
    # Sorting needs memory for keys; the entries and the index are dropped before.
    return max(max(while_growing, in_all), grown + accounts * SORTING_BYTES)
