"""The logs of applied deposits and withdrawals: append-only, in chunks that never move.

A position names an entry for good: its top bit says in which log. A withdrawal can never be disputed, and so needs
neither amount nor state: 12 bytes, where a deposit has 21. Columns, not rows, so that nothing is lost to padding and
rebuilding the index reads only what it needs. Both sorts of chunk begin alike, so that appending has no branch
that nobody can predict.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc

from txfast.batch cimport DEPOSIT
from txfast.ledger.hash cimport advise_huge_pages

cdef enum:
    LOG_COUNT = 2  # by kind: DEPOSIT, WITHDRAWAL
    CHUNK_BITS = 18
    CHUNK_ENTRIES = 1 << 18
    CHUNK_MASK = CHUNK_ENTRIES - 1
    LOG_BIT = 31
    LOG_ENTRIES_MAX = 0x7FFFFFFF

cdef struct Chunk:
    uint64_t tx[CHUNK_ENTRIES]
    uint32_t account[CHUNK_ENTRIES]
    # A withdrawals' chunk ends after the first amount, which nobody reads.
    int64_t amount[CHUNK_ENTRIES]
    uint8_t dispute_state[CHUNK_ENTRIES]  # all zero, UNDISPUTED, in a new chunk

cdef struct Log:
    Chunk** chunks
    uint64_t chunk_count
    uint64_t entries
    size_t chunk_bytes
    uint64_t amount_mask  # 0 for withdrawals: all their amounts go to one place


cdef inline void make_logs(Log* logs) noexcept nogil:
    cdef int kind
    for kind in range(LOG_COUNT):
        logs[kind].chunks = NULL
        logs[kind].chunk_count = logs[kind].entries = 0
        logs[kind].chunk_bytes = CHUNK_ENTRIES * (sizeof(uint64_t) + sizeof(uint32_t)) + sizeof(int64_t)
        logs[kind].amount_mask = 0
    logs[<int>DEPOSIT].chunk_bytes = sizeof(Chunk)
    logs[<int>DEPOSIT].amount_mask = CHUNK_MASK


cdef inline void free_logs(Log* logs) noexcept nogil:
    cdef int kind
    cdef uint64_t i
    for kind in range(LOG_COUNT):
        for i in range(logs[kind].chunk_count):
            free(logs[kind].chunks[i])
        free(logs[kind].chunks)
    make_logs(logs)


cdef inline bint reserve_entries(Log* log, uint64_t entries) noexcept nogil:
    """Make room for so many entries in all; False when memory is exhausted, with what was there intact."""
    cdef uint64_t needed = (entries + CHUNK_MASK) >> CHUNK_BITS
    cdef Chunk** chunks
    if needed <= log.chunk_count:
        return True
    chunks = <Chunk**>realloc(log.chunks, needed * sizeof(Chunk*))
    if chunks == NULL:
        return False
    log.chunks = chunks
    while log.chunk_count < needed:
        chunks[log.chunk_count] = <Chunk*>calloc(1, log.chunk_bytes)
        if chunks[log.chunk_count] == NULL:
            return False
        # Not for the first, which a short run hardly touches.
        if log.chunk_count:
            advise_huge_pages(chunks[log.chunk_count], log.chunk_bytes)
        log.chunk_count += 1
    return True


cdef inline uint32_t append_entry(
    Log* logs, const int kind, const uint32_t account, const uint64_t tx, const int64_t amount,
) noexcept nogil:
    """The position of the new deposit or withdrawal. Room was reserved before."""
    cdef Log* log = &logs[kind]
    cdef uint64_t position = log.entries
    cdef Chunk* chunk = log.chunks[position >> CHUNK_BITS]
    cdef uint64_t place = position & CHUNK_MASK
    chunk.tx[place] = tx
    chunk.account[place] = account
    chunk.amount[place & log.amount_mask] = amount
    log.entries = position + 1
    return <uint32_t>(position | <uint64_t>kind << LOG_BIT)


cdef inline Chunk* chunk_of(const Log* logs, const uint32_t position) noexcept nogil:
    return logs[position >> LOG_BIT].chunks[(position & <uint32_t>LOG_ENTRIES_MAX) >> CHUNK_BITS]


cdef inline bint is_entry(
    const Log* logs, const uint32_t position, const uint32_t account, const uint64_t tx,
) noexcept nogil:
    """Whether the entry at this position is (account, tx)."""
    cdef const Chunk* chunk = chunk_of(logs, position)
    return chunk.tx[position & CHUNK_MASK] == tx and chunk.account[position & CHUNK_MASK] == account
