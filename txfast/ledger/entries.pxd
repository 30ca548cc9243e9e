"""The logs of a ledger: the applied deposits and withdrawals that it keeps, append-only, in chunks that never move.

There is one log for each kind. A position names an entry for good: its top bit is the kind, the others count inside
that log. The rules say whether a log keeps amounts and states: a deposit takes 21 bytes, a withdrawal 12.

The fields are columns: padding wastes no bytes, and a rebuild of the index reads only what it needs. The chunks of both
kinds begin with the same columns, so that appending does not branch on the kind, which is hard to predict.

The ids of transactions come before the other columns. Where they are texts, an entry has instead of a number where its
text is, in four bytes, and the log has the texts (packed_texts.pxd): an entry takes four bytes less, and one more than
the text has, or 17 for a UUID.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc

from txfast.ledger.aligned_memory cimport allocate_zeroed
from txfast.ledger.packed_texts cimport add_packed, hash_unpacked_at, is_same_at
from txfast.ledger.policy cimport Policy
from txfast.ledger.rules cimport keeps_amount
from txfast.ledger.texts cimport TextArena, free_texts, reserve_texts, text_at
from txfast.text.bits cimport advise_huge_pages, prefetch
from txfast.text.text_hash cimport TextKey

cdef enum:
    LOG_COUNT = 2  # by kind: DEPOSIT, WITHDRAWAL
    CHUNK_BITS = 19
    CHUNK_ENTRIES = 1 << 19
    CHUNK_MASK = CHUNK_ENTRIES - 1
    PREFETCH_ENTRIES = 32
    LOG_BIT = 31
    LOG_ENTRIES_MAX = 0x7FFFFFFF

# What follows the ids of a chunk: `txs_of` or `starts_of` gives these.
cdef struct Chunk:
    uint32_t account[CHUNK_ENTRIES]
    # A chunk that keeps no amounts ends after amount[0], which is written for every entry and never read.
    int64_t amount[CHUNK_ENTRIES]
    uint8_t state[CHUNK_ENTRIES]  # rules.pxd's DisputeState and flags; all zero, UNDISPUTED, in a new chunk

cdef struct Log:
    Chunk** chunks
    void** allocations  # for `free`, by chunk
    uint64_t chunk_count
    uint64_t entries
    size_t chunk_bytes
    uint64_t amount_mask  # 0 where amounts are not kept: all are then written to amount[0]
    size_t id_bytes  # of a chunk's ids, which lie before it
    bint has_texts  # ids are texts
    uint64_t* bases  # by chunk: the address in `texts` from which its starts count; NULL where ids are numbers
    TextArena texts


# The id of a transaction, and on its way into a ledger or out of it that of a client: a number, or a text.
cdef struct TxId:
    uint64_t number  # of a text its hash, where that is asked for
    const uint8_t* text  # NULL for a number
    uint8_t length
    uint16_t currency  # of a client, where accounts have one; else 0


cdef inline uint64_t* txs_of(const Chunk* chunk) noexcept nogil:
    """The ids of a chunk's entries, which are numbers."""
    return <uint64_t*>chunk - CHUNK_ENTRIES


cdef inline uint32_t* starts_of(const Chunk* chunk) noexcept nogil:
    """Where the ids of a chunk's entries are, which are texts, from the chunk's base on."""
    return <uint32_t*>chunk - CHUNK_ENTRIES


cdef inline void make_logs(Log* logs, const Policy policy, const bint has_texts) noexcept nogil:
    cdef int kind
    for kind in range(LOG_COUNT):
        logs[kind].chunks = NULL
        logs[kind].allocations = NULL
        logs[kind].chunk_count = logs[kind].entries = 0
        logs[kind].has_texts = has_texts
        logs[kind].id_bytes = CHUNK_ENTRIES * (sizeof(uint32_t) if has_texts else sizeof(uint64_t))
        logs[kind].chunk_bytes = CHUNK_ENTRIES * sizeof(uint32_t) + sizeof(int64_t)
        logs[kind].amount_mask = 0
        if keeps_amount(policy, kind):
            logs[kind].chunk_bytes = sizeof(Chunk)
            logs[kind].amount_mask = CHUNK_MASK
        logs[kind].chunk_bytes += logs[kind].id_bytes
        logs[kind].bases = NULL
        logs[kind].texts = TextArena(
            blocks=NULL, allocations=NULL, block_count=0, end=0, users=0, packed=0,
        )


cdef inline void free_logs(Log* logs, const Policy policy) noexcept nogil:
    cdef int kind
    cdef uint64_t i
    for kind in range(LOG_COUNT):
        for i in range(logs[kind].chunk_count):
            free(logs[kind].allocations[i])
        free(logs[kind].chunks)
        free(logs[kind].allocations)
        free(logs[kind].bases)
        free_texts(&logs[kind].texts)
    make_logs(logs, policy, logs[0].has_texts)


cdef inline uint64_t log_bytes(const Log* log, const uint64_t entries) noexcept nogil:
    """The bytes of a log with room for this many entries in total, without the texts of their ids."""
    return max(log.chunk_count, (entries + CHUNK_MASK) >> CHUNK_BITS) * log.chunk_bytes


cdef inline bint reserve_entries(
    Log* log, const uint64_t entries, const bint is_large, const uint64_t text_bytes,
) noexcept nogil:
    """Make room for this many entries in total, and for ids that take this many bytes more. False when memory is
    exhausted; all entries are then as before.

    `is_large` says that many more entries will come. Otherwise the first chunk stays on small pages, since a short
    run touches only a few of them.
    """
    cdef uint64_t needed = (entries + CHUNK_MASK) >> CHUNK_BITS
    cdef Chunk** chunks
    cdef void** allocations
    cdef uint64_t* bases
    cdef uint8_t* chunk
    if text_bytes and not reserve_texts(&log.texts, text_bytes):
        return False
    if needed <= log.chunk_count:
        return True
    chunks = <Chunk**>realloc(log.chunks, needed * sizeof(Chunk*))
    if chunks == NULL:
        return False
    log.chunks = chunks
    allocations = <void**>realloc(log.allocations, needed * sizeof(void*))
    if allocations == NULL:
        return False
    log.allocations = allocations
    if log.has_texts:
        bases = <uint64_t*>realloc(log.bases, needed * sizeof(uint64_t))
        if bases == NULL:
            return False
        log.bases = bases
    while log.chunk_count < needed:
        chunk = <uint8_t*>allocate_zeroed(log.chunk_bytes, &allocations[log.chunk_count])
        if chunk == NULL:
            return False
        if is_large or log.chunk_count:
            advise_huge_pages(chunk, log.chunk_bytes)
        chunks[log.chunk_count] = <Chunk*>(chunk + log.id_bytes)
        log.chunk_count += 1
    return True


cdef inline uint32_t position_of(const int kind, const uint64_t entry) noexcept nogil:
    """The position that names entry number `entry` of a log, from 0 on."""
    return <uint32_t>(entry | <uint64_t>kind << LOG_BIT)


cdef inline void make_number_id(TxId* tx, const uint64_t number) noexcept nogil:
    """Make an id of a number. It is no result, as in `make_whole_payment`."""
    tx.number = number
    tx.text = NULL
    tx.length = tx.currency = 0


cdef inline uint32_t append_entry(
    Log* logs, const int kind, const uint32_t account, const TxId tx, const int64_t amount,
) noexcept nogil:
    """Append an entry, for which there is room; return its position."""
    cdef Log* log = &logs[kind]
    cdef uint64_t position = log.entries
    cdef uint64_t number = position >> CHUNK_BITS
    cdef Chunk* chunk = log.chunks[number]
    cdef uint64_t slot = position & CHUNK_MASK
    cdef uint64_t slot_ahead = (slot + PREFETCH_ENTRIES) & CHUNK_MASK
    # Load the memory that the next entries are written to: waiting for it costs 7 ns a row.
    if tx.text == NULL:
        txs_of(chunk)[slot] = tx.number
        prefetch(&txs_of(chunk)[slot_ahead])
    else:
        if not slot:
            log.bases[number] = log.texts.end
        starts_of(chunk)[slot] = <uint32_t>(add_packed(&log.texts, tx.text, tx.length) - log.bases[number])
        prefetch(&starts_of(chunk)[slot_ahead])
    chunk.account[slot] = account
    chunk.amount[slot & log.amount_mask] = amount
    log.entries = position + 1
    prefetch(&chunk.account[slot_ahead])
    prefetch(&chunk.amount[slot_ahead & log.amount_mask])
    return position_of(kind, position)


cdef inline int kind_at(const uint32_t position) noexcept nogil:
    """The kind of the entry at this position."""
    return <int>(position >> LOG_BIT)


cdef inline Chunk* chunk_of(const Log* logs, const uint32_t position) noexcept nogil:
    return logs[kind_at(position)].chunks[(position & <uint32_t>LOG_ENTRIES_MAX) >> CHUNK_BITS]


cdef inline uint8_t* state_at(const Log* logs, const uint32_t position) noexcept nogil:
    """Where the state of the entry at this position is stored. Only of a kind that keeps_amount."""
    return &chunk_of(logs, position).state[position & CHUNK_MASK]


cdef inline uint64_t address_at(const Log* log, const uint64_t entry) noexcept nogil:
    """The address of the id of an entry, which is a text."""
    return log.bases[entry >> CHUNK_BITS] + starts_of(log.chunks[entry >> CHUNK_BITS])[entry & CHUNK_MASK]


cdef inline bint is_entry(
    const Log* logs, const uint32_t position, const uint32_t account, const TxId tx,
) noexcept nogil:
    """Whether the entry at this position is (account, tx)."""
    cdef const Chunk* chunk = chunk_of(logs, position)
    cdef const Log* log
    if tx.text == NULL:
        return txs_of(chunk)[position & CHUNK_MASK] == tx.number and chunk.account[position & CHUNK_MASK] == account
    if chunk.account[position & CHUNK_MASK] != account:
        return False
    log = &logs[kind_at(position)]
    return is_same_at(&log.texts, address_at(log, position & <uint32_t>LOG_ENTRIES_MAX), tx.text, tx.length)


cdef inline void prefetch_entry(const Log* logs, const uint32_t position) noexcept nogil:
    """Start loading the account and the start of the id of an entry, whose id is a text."""
    cdef Chunk* chunk = chunk_of(logs, position)
    prefetch(&chunk.account[position & CHUNK_MASK])
    prefetch(&starts_of(chunk)[position & CHUNK_MASK])


cdef inline void prefetch_text(const Log* logs, const uint32_t position) noexcept nogil:
    """Start loading the id of an entry, which is a text."""
    cdef const Log* log = &logs[kind_at(position)]
    prefetch(text_at(&log.texts, address_at(log, position & <uint32_t>LOG_ENTRIES_MAX)))


cdef inline uint64_t tx_hash_at(const Log* log, const uint64_t entry, const TextKey* key) noexcept nogil:
    """The hash of the id of an entry, which is a text."""
    return hash_unpacked_at(&log.texts, address_at(log, entry), key)
