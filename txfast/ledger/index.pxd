"""The index from (account, tx) to the position of its entry in the log.

Open addressing in groups of sixteen slots: a tag byte and a 32-bit position each. Tag 0 is an empty slot. Entries
never leave, so a group with an empty slot ends every search through it. Tags and positions of a group lie together,
since with ids at random the memory's pages cost more than its bytes.

A transaction's first home depends on its id alone: 256 neighbouring ids lie in sixteen neighbouring groups, so
ids that count up, as most do, stay in a few cache lines. Ids next to each other lie in different groups: comparing
sixteen tags just after one of them was written waits for that write (10 ns a row). Where ids repeat (1…n in each
client) or are strided, first homes overflow; after HOME_GROUPS full groups the search goes on at a second home, from
a keyed hash of account and id, which no pattern reaches.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from txfast.ledger.entries cimport CHUNK_BITS, CHUNK_MASK, LOG_BIT, LOG_COUNT, Chunk, Log, is_entry
from txfast.ledger.hash cimport GOLDEN_RATIO, HashKey, advise_huge_pages, hash_transaction, multiply_high, prefetch

cdef extern from "txfast/intrinsics.h" nogil:
    uint32_t match_tags "txfast_match"(const uint8_t* tags, uint8_t tag) noexcept
    int lowest_bit "txfast_lowest_bit"(uint64_t mask) noexcept

cdef enum:
    GROUP_SLOTS = 16
    NEIGHBOUR_GROUPS = 16  # where 256 neighbouring ids have their homes; no index has fewer
    HOME_GROUPS = 2
    REBUILD_PREFETCH_ENTRIES = 16
    LOAD_PERCENT_MAX = 85
    NOT_FOUND = 0xFFFFFFFF

cdef struct Group:
    uint8_t[GROUP_SLOTS] tags
    uint32_t[GROUP_SLOTS] positions

cdef struct Index:
    Group* groups
    uint64_t group_count
    HashKey key

# A place in the search for one transaction: where it was found, or else where it belongs.
cdef struct Probe:
    Group* group
    int slot
    uint32_t position  # NOT_FOUND where it is not
    uint8_t tag
    bint at_second_home


cdef inline uint64_t home_group(const Index* index, uint64_t tx) noexcept nogil:
    cdef uint64_t region = multiply_high((tx >> 8) * <uint64_t>GOLDEN_RATIO, index.group_count)
    cdef uint64_t group = region + ((tx + (tx >> 4)) & (NEIGHBOUR_GROUPS - 1))
    return group if group < index.group_count else group - index.group_count


cdef inline uint64_t next_group(
    const Index* index, uint64_t group, uint64_t groups_seen, uint64_t full_hash,
) noexcept nogil:
    """Where the search goes on after so many full groups."""
    if groups_seen == HOME_GROUPS:
        return multiply_high(full_hash, index.group_count)
    return group + 1 if group + 1 < index.group_count else 0


cdef inline uint8_t tag_of(uint64_t full_hash) noexcept nogil:
    """The low byte, never 0. The high bits choose the second home, so they would say little inside a group."""
    return <uint8_t>full_hash if <uint8_t>full_hash else 1


cdef inline void prefetch_home(const Index* index, uint64_t tx) noexcept nogil:
    """Start to load the cache lines of a transaction's first home."""
    cdef Group* group = &index.groups[home_group(index, tx)]
    prefetch(group)
    prefetch(&group.positions[GROUP_SLOTS // 2])


cdef inline void prefetch_second_home(const Index* index, const uint32_t account, const uint64_t tx) noexcept nogil:
    """Start to load the cache lines of a transaction's second home."""
    cdef Group* group = &index.groups[multiply_high(hash_transaction(&index.key, account, tx), index.group_count)]
    prefetch(group)
    prefetch(&group.positions[GROUP_SLOTS // 2])


cdef inline Probe find_entry(
    const Index* index, const Log* logs, const uint32_t account, const uint64_t tx,
) noexcept nogil:
    """Find (account, tx), or the empty slot where it belongs. The index has at least one empty slot."""
    cdef uint64_t full_hash = hash_transaction(&index.key, account, tx)
    cdef uint64_t group = home_group(index, tx)
    cdef uint32_t candidates, empty, position
    cdef uint64_t groups_seen = 0
    cdef Probe probe
    probe.tag = tag_of(full_hash)
    probe.at_second_home = False
    while True:
        probe.group = &index.groups[group]
        candidates = match_tags(probe.group.tags, probe.tag)
        while candidates:
            probe.slot = lowest_bit(candidates)
            position = probe.group.positions[probe.slot]
            if is_entry(logs, position, account, tx):
                probe.position = position
                return probe
            candidates &= candidates - 1
        empty = match_tags(probe.group.tags, 0)
        if empty:
            probe.slot = lowest_bit(empty)
            probe.position = <uint32_t>NOT_FOUND
            return probe
        groups_seen += 1
        group = next_group(index, group, groups_seen, full_hash)
        probe.at_second_home = groups_seen >= HOME_GROUPS


cdef inline void insert_entry(const Probe* probe, const uint32_t position) noexcept nogil:
    """Put a position where find_entry said that it belongs."""
    probe.group.tags[probe.slot] = probe.tag
    probe.group.positions[probe.slot] = position


cdef inline void insert_new(Index* index, uint32_t account, uint64_t tx, uint32_t position) noexcept nogil:
    """Insert what is known not to be there: rebuilding compares no entries."""
    cdef uint64_t full_hash = hash_transaction(&index.key, account, tx)
    cdef uint64_t group = home_group(index, tx)
    cdef uint64_t groups_seen = 0
    cdef uint32_t empty
    cdef Probe probe
    probe.tag = tag_of(full_hash)
    while True:
        probe.group = &index.groups[group]
        empty = match_tags(probe.group.tags, 0)
        if empty:
            probe.slot = lowest_bit(empty)
            insert_entry(&probe, position)
            return
        groups_seen += 1
        group = next_group(index, group, groups_seen, full_hash)


cdef inline uint64_t index_capacity(const Index* index) noexcept nogil:
    """How many entries it takes before it must grow."""
    return index.group_count * GROUP_SLOTS * LOAD_PERCENT_MAX // 100


cdef inline void index_free(Index* index) noexcept nogil:
    free(index.groups)
    index.groups = NULL
    index.group_count = 0


cdef inline bint index_rebuild(Index* index, const Log* logs, const uint64_t capacity) noexcept nogil:
    """Make an index for so many entries from the log. False when memory is exhausted: the index is then empty
    with capacity 0, and since the log is the truth, a later call can build it again.

    The old table is freed first, so that growing never needs both.
    """
    cdef uint64_t group_count = max(<uint64_t>NEIGHBOUR_GROUPS, capacity * 100 // (GROUP_SLOTS * LOAD_PERCENT_MAX) + 1)
    cdef uint64_t i
    cdef const Chunk* chunk
    cdef int kind
    index_free(index)
    index.groups = <Group*>calloc(group_count, sizeof(Group))
    if index.groups == NULL:
        return False
    advise_huge_pages(index.groups, group_count * sizeof(Group))
    index.group_count = group_count
    for kind in range(LOG_COUNT):
        for i in range(logs[kind].entries):
            chunk = logs[kind].chunks[i >> CHUNK_BITS]
            # Past a chunk's end this loads some other group, which does no harm.
            prefetch_home(index, chunk.tx[(i + REBUILD_PREFETCH_ENTRIES) & CHUNK_MASK])
            insert_new(
                index, chunk.account[i & CHUNK_MASK], chunk.tx[i & CHUNK_MASK],
                <uint32_t>(i | <uint64_t>kind << LOG_BIT),
            )
    return True
