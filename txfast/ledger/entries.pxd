"""The log of applied deposits and withdrawals: append-only, in chunks that never move.

A position names an entry for good. Deposits and withdrawals have a log each, since a withdrawal can never be
disputed and so needs neither amount nor state: 21 bytes a deposit, 12 a withdrawal. Columns, not rows, so that
nothing is lost to padding and rebuilding the index reads only what it needs.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc

cdef enum:
    CHUNK_BITS = 15
    CHUNK_ENTRIES = 1 << 15
    CHUNK_MASK = CHUNK_ENTRIES - 1
    # A position's top bit tells withdrawals from deposits, so each log holds this many.
    WITHDRAWAL_BIT = 0x80000000
    LOG_ENTRIES_MAX = 0x7FFFFFFF

cdef struct DepositChunk:
    uint64_t tx[CHUNK_ENTRIES]
    int64_t amount[CHUNK_ENTRIES]
    uint32_t account[CHUNK_ENTRIES]
    uint8_t dispute_state[CHUNK_ENTRIES]

cdef struct WithdrawalChunk:
    uint64_t tx[CHUNK_ENTRIES]
    uint32_t account[CHUNK_ENTRIES]

cdef struct DepositLog:
    DepositChunk** chunks
    uint64_t chunk_count
    uint64_t entries

cdef struct WithdrawalLog:
    WithdrawalChunk** chunks
    uint64_t chunk_count
    uint64_t entries


cdef inline bint reserve_chunks(void*** chunks, uint64_t* chunk_count, uint64_t entries, size_t chunk_bytes) noexcept nogil:
    """Make room for so many entries in all; False when memory is exhausted, with what was there intact."""
    cdef uint64_t needed = (entries + CHUNK_MASK) >> CHUNK_BITS
    cdef void** directory
    if needed <= chunk_count[0]:
        return True
    directory = <void**>realloc(chunks[0], needed * sizeof(void*))
    if directory == NULL:
        return False
    chunks[0] = directory
    while chunk_count[0] < needed:
        directory[chunk_count[0]] = malloc(chunk_bytes)
        if directory[chunk_count[0]] == NULL:
            return False
        chunk_count[0] += 1
    return True


cdef inline void free_chunks(void** chunks, uint64_t chunk_count) noexcept nogil:
    cdef uint64_t i
    for i in range(chunk_count):
        free(chunks[i])
    free(chunks)


cdef inline uint32_t append_deposit(DepositLog* log, uint32_t account, uint64_t tx, int64_t amount) noexcept nogil:
    """The position of the new entry. Room was reserved before."""
    cdef uint64_t position = log.entries
    cdef DepositChunk* chunk = log.chunks[position >> CHUNK_BITS]
    cdef uint64_t place = position & CHUNK_MASK
    chunk.tx[place] = tx
    chunk.amount[place] = amount
    chunk.account[place] = account
    chunk.dispute_state[place] = 0
    log.entries = position + 1
    return <uint32_t>position


cdef inline uint32_t append_withdrawal(WithdrawalLog* log, uint32_t account, uint64_t tx) noexcept nogil:
    """The position of the new entry. Room was reserved before."""
    cdef uint64_t position = log.entries
    cdef WithdrawalChunk* chunk = log.chunks[position >> CHUNK_BITS]
    chunk.tx[position & CHUNK_MASK] = tx
    chunk.account[position & CHUNK_MASK] = account
    log.entries = position + 1
    return <uint32_t>position | <uint32_t>WITHDRAWAL_BIT


cdef inline bint is_entry(
    const DepositLog* deposits, const WithdrawalLog* withdrawals, uint32_t position, uint32_t account, uint64_t tx,
) noexcept nogil:
    """Whether the entry at this position is (account, tx)."""
    cdef uint32_t chunk = (position & <uint32_t>LOG_ENTRIES_MAX) >> CHUNK_BITS
    cdef uint32_t place = position & CHUNK_MASK
    if position & <uint32_t>WITHDRAWAL_BIT:
        return withdrawals.chunks[chunk].tx[place] == tx and withdrawals.chunks[chunk].account[place] == account
    return deposits.chunks[chunk].tx[place] == tx and deposits.chunks[chunk].account[place] == account
