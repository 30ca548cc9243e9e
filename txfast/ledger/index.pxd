"""The index from (account, tx) to the position of its entry in the log.

Open addressing in groups of twelve slots, a cache line each: a tag and a 32-bit position a slot. Tag 0 is an empty
slot. Entries never leave, so a group with an empty slot ends every search through it. Tags have ten bits, since each
that is right by chance costs a look at the log, which is far away; two of them are in the group's `checks`.

A transaction's first home depends on its id alone: 256 neighbouring ids lie in 64 neighbouring groups, so ids that
count up, as most do, stay in a few cache lines. Ids next to each other lie in different groups: comparing tags just
after one of them was written waits for that write (10 ns a row). Where ids repeat (1…n in each client) or are strided,
first homes overflow; after HOME_GROUPS full groups the search goes on at a second home, from a keyed hash of client
and id, which no pattern reaches.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free

from txfast.ledger.entries cimport CHUNK_BITS, CHUNK_MASK, LOG_BIT, LOG_COUNT, Chunk, Log, is_entry
from txfast.ledger.hash cimport GOLDEN_RATIO, hash_transaction
from txfast.ledger.memory cimport allocate_zeroed
from txfast.text.bits cimport advise_huge_pages, lowest_bit, match_16, multiply_high, populate, prefetch

cdef enum:
    GROUP_SLOTS = 12
    GROUP_MASK = (1 << 12) - 1
    NEIGHBOUR_GROUPS = 64  # where the ids of a neighbourhood have their homes
    NEIGHBOURHOOD_BITS = 8
    HOME_GROUPS = 2
    REBUILD_AHEAD_ENTRIES = 16  # a power of two
    # Second homes are prefetched after a run of so many entries of which one in so many was there.
    REBUILD_SAMPLE_MASK = (1 << 10) - 1
    REBUILD_SAMPLE_SHARE = 8
    LOAD_PERCENT_MAX = 85
    NOT_FOUND = 0xFFFFFFFF

cdef struct Group:
    uint8_t[GROUP_SLOTS] tags
    uint32_t checks  # two bits a slot
    uint32_t[GROUP_SLOTS] positions

cdef struct Index:
    void* allocation  # what to free
    Group* groups
    uint64_t home_count  # where neighbourhoods may start
    uint64_t group_count  # NEIGHBOUR_GROUPS - 1 more, so that none begins again at the start

# A place in the search for one transaction: where it was found, or else where it belongs.
cdef struct Probe:
    Group* group
    int slot
    uint32_t position  # NOT_FOUND where it is not
    uint64_t hash  # hash_transaction, for `insert_entry`
    bint at_second_home


cdef inline Group* home_of(const Index* index, const uint64_t tx) noexcept nogil:
    """The group where the search for a transaction begins."""
    cdef uint64_t neighbourhood = multiply_high((tx >> NEIGHBOURHOOD_BITS) * <uint64_t>GOLDEN_RATIO, index.home_count)
    return &index.groups[neighbourhood + (tx & (NEIGHBOUR_GROUPS - 1))]


cdef inline Group* second_home_of(const Index* index, const uint64_t hash) noexcept nogil:
    """The group where it goes on when the first ones are full."""
    return &index.groups[multiply_high(hash, index.group_count)]


cdef inline Group* next_group(
    const Index* index, Group* group, const uint64_t groups_seen, const uint64_t hash,
) noexcept nogil:
    """Where the search goes on after so many full groups."""
    if groups_seen == HOME_GROUPS:
        return second_home_of(index, hash)
    return group + 1 if group + 1 < &index.groups[index.group_count] else index.groups


cdef inline uint8_t tag_of(const uint64_t hash) noexcept nogil:
    """The low byte, never 0. The high bits choose the second home, so they would say little inside a group."""
    return <uint8_t>hash if <uint8_t>hash else 1


cdef inline uint32_t check_of(const uint64_t hash) noexcept nogil:
    return <uint32_t>(hash >> 8) & 3


cdef inline Probe find_entry(
    const Index* index,
    const Log* logs,
    Group* home,  # IN home_of the transaction
    const uint64_t hash,  # IN its hash_transaction
    const uint32_t account,
    const uint64_t tx,
) noexcept nogil:
    """Find (account, tx), or the empty slot where it belongs. The index has at least one empty slot."""
    cdef uint8_t tag = tag_of(hash)
    cdef uint32_t candidates, empty, position
    cdef uint64_t groups_seen = 0
    cdef Probe probe
    probe.group = home
    probe.hash = hash
    while True:
        candidates = match_16(probe.group.tags, tag) & GROUP_MASK
        while candidates:
            probe.slot = lowest_bit(candidates)
            position = probe.group.positions[probe.slot]
            if (probe.group.checks >> 2 * probe.slot & 3) == check_of(hash) and is_entry(logs, position, account, tx):
                probe.position = position
                probe.at_second_home = groups_seen >= HOME_GROUPS
                return probe
            candidates &= candidates - 1
        empty = match_16(probe.group.tags, 0) & GROUP_MASK
        if empty:
            probe.slot = lowest_bit(empty)
            probe.position = <uint32_t>NOT_FOUND
            probe.at_second_home = groups_seen >= HOME_GROUPS
            return probe
        groups_seen += 1
        probe.group = next_group(index, probe.group, groups_seen, hash)


cdef inline void insert_entry(
    Group* group, const int slot, const uint64_t hash, const uint32_t position,
) noexcept nogil:
    """Put a position into an empty slot."""
    group.tags[slot] = tag_of(hash)
    group.checks |= check_of(hash) << 2 * slot
    group.positions[slot] = position


cdef inline bint insert_new(
    Index* index, const uint64_t tx, const uint64_t hash, const uint32_t position,
) noexcept nogil:
    """Insert what is known not to be there: rebuilding compares no entries. Say whether it went to its second home."""
    cdef Group* group = home_of(index, tx)
    cdef uint64_t groups_seen = 0
    cdef uint32_t empty
    while True:
        empty = match_16(group.tags, 0) & GROUP_MASK
        if empty:
            insert_entry(group, lowest_bit(empty), hash, position)
            return groups_seen >= HOME_GROUPS
        groups_seen += 1
        group = next_group(index, group, groups_seen, hash)


cdef inline uint64_t index_capacity(const Index* index) noexcept nogil:
    """How many entries it takes before it must grow."""
    return index.group_count * GROUP_SLOTS * LOAD_PERCENT_MAX // 100


cdef inline void index_free(Index* index) noexcept nogil:
    free(index.allocation)
    index.allocation = index.groups = NULL
    index.home_count = index.group_count = 0


cdef inline uint64_t groups_for(const uint64_t capacity) noexcept nogil:
    """How many groups an index for so many entries has."""
    return capacity * 100 // (GROUP_SLOTS * LOAD_PERCENT_MAX) + NEIGHBOUR_GROUPS


cdef inline uint64_t capacity_bytes(const uint64_t capacity) noexcept nogil:
    """The bytes that an index for so many entries takes."""
    return groups_for(capacity) * sizeof(Group) if capacity else 0


cdef inline bint index_reset(Index* index, const uint64_t capacity) noexcept nogil:
    """Make it an empty index for so many entries. False when memory is exhausted: it then has capacity 0.

    The old table is freed first, so that growing never needs both.
    """
    cdef uint64_t groups = groups_for(capacity)
    index_free(index)
    index.groups = <Group*>allocate_zeroed(groups * sizeof(Group), &index.allocation)
    if index.groups == NULL:
        return False
    advise_huge_pages(index.groups, groups * sizeof(Group))
    populate(index.groups, groups * sizeof(Group))
    index.home_count = groups - (NEIGHBOUR_GROUPS - 1)
    index.group_count = groups
    return True


cdef inline void index_fill(
    Index* index,  # IN, OUT
    const Log* logs,  # IN
    const uint64_t* client_hashes,  # IN by the number of an account
) noexcept nogil:
    """Put all entries of the logs into an empty index that has room for them."""
    cdef uint64_t[REBUILD_AHEAD_ENTRIES] hashes
    cdef const Chunk* chunk
    cdef uint64_t entry, ahead, tx, hash, second_homes
    cdef int kind
    cdef bint prefetch_second_homes = False
    for kind in range(LOG_COUNT):
        second_homes = 0
        for ahead in range(logs[kind].entries + REBUILD_AHEAD_ENTRIES):
            if ahead >= REBUILD_AHEAD_ENTRIES:
                entry = ahead - REBUILD_AHEAD_ENTRIES
                chunk = logs[kind].chunks[entry >> CHUNK_BITS]
                second_homes += insert_new(
                    index, chunk.tx[entry & CHUNK_MASK], hashes[entry & (REBUILD_AHEAD_ENTRIES - 1)],
                    <uint32_t>(entry | <uint64_t>kind << LOG_BIT),
                )
                if not entry & REBUILD_SAMPLE_MASK:
                    prefetch_second_homes = REBUILD_SAMPLE_SHARE * second_homes > REBUILD_SAMPLE_MASK
                    second_homes = 0
            if ahead < logs[kind].entries:
                chunk = logs[kind].chunks[ahead >> CHUNK_BITS]
                # Past a chunk's end this loads some other hash, which does no harm.
                prefetch(&client_hashes[chunk.account[(ahead + REBUILD_AHEAD_ENTRIES) & CHUNK_MASK]])
                tx = chunk.tx[ahead & CHUNK_MASK]
                hash = hash_transaction(client_hashes[chunk.account[ahead & CHUNK_MASK]], tx)
                hashes[ahead & (REBUILD_AHEAD_ENTRIES - 1)] = hash
                prefetch(home_of(index, tx))
                if prefetch_second_homes:
                    prefetch(second_home_of(index, hash))
