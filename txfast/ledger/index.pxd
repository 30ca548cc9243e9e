"""Index: finds the position of the entry (account, tx) in the logs.

Open addressing in groups of twelve slots. A group is a cache line: each slot has a fingerprint of the hash, and a
32-bit position. A fingerprint has ten bits, since every false match costs a look at the log, which is far away: eight
are the slot's tag, 0 in an empty slot, and two are in the group's `checks`. Entries are never removed, so a search
ends at the first group that has an empty slot.

A transaction's first home depends on its id alone: 256 neighbouring ids have their homes in 64 neighbouring groups, so
ids that count up, as most do, stay in a few cache lines. Consecutive ids have different groups, since comparing tags
right after one of them was written waits for that write (10 ns a row). Where ids repeat (1…n in each client) or have a
stride, first homes overflow. After HOME_GROUPS full groups the search goes on at a second home, which is a keyed hash
of client and id, so that no pattern of ids can overflow it.

Ids that are texts have no neighbours: the search begins at the home that is a keyed hash of client and id.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free

from txfast.ledger.entries cimport (
    CHUNK_BITS, CHUNK_MASK, LOG_BIT, LOG_COUNT, Chunk, Log, is_entry, is_text_entry, tx_hash_at, txs_of,
)
from txfast.ledger.hash cimport GOLDEN_RATIO, hash_text_transaction, hash_transaction
from txfast.ledger.aligned_memory cimport allocate_zeroed
from txfast.text.bits cimport advise_huge_pages, lowest_bit, match_16, multiply_high, populate, prefetch
from txfast.text.text_hash cimport TextKey

cdef enum:
    GROUP_SLOTS = 12
    GROUP_MASK = (1 << 12) - 1
    NEIGHBOUR_GROUPS = 64  # groups that are the homes of one neighbourhood
    NEIGHBOURHOOD_BITS = 8  # a neighbourhood is 256 ids that differ in these bits only
    HOME_GROUPS = 2
    REBUILD_AHEAD_ENTRIES = 16  # a power of two
    # While rebuilding, prefetch second homes when one in eight of the last 1,024 entries went there.
    REBUILD_SAMPLE_MASK = (1 << 10) - 1
    REBUILD_ENTRIES_PER_SECOND_HOME = 8
    LOAD_PERCENT_MAX = 85
    NOT_FOUND = 0xFFFFFFFF

cdef struct Group:
    uint8_t[GROUP_SLOTS] tags
    uint32_t checks  # two bits a slot
    uint32_t[GROUP_SLOTS] positions

cdef struct Index:
    void* allocation  # for `free`
    Group* groups
    uint64_t home_count  # groups at which a neighbourhood may start
    uint64_t group_count  # NEIGHBOUR_GROUPS - 1 more, so that no neighbourhood wraps around

# The result of a search: where the transaction was found, or the empty slot where it belongs.
cdef struct Probe:
    Group* group
    int slot
    uint32_t position  # NOT_FOUND where there is no such entry
    uint64_t hash  # hash_transaction, for `insert_entry`
    bint at_second_home


cdef inline Group* home_of(const Index* index, const uint64_t tx) noexcept nogil:
    """The group where the search for a transaction begins."""
    cdef uint64_t neighbourhood = multiply_high((tx >> NEIGHBOURHOOD_BITS) * <uint64_t>GOLDEN_RATIO, index.home_count)
    return &index.groups[neighbourhood + (tx & (NEIGHBOUR_GROUPS - 1))]


cdef inline Group* second_home_of(const Index* index, const uint64_t hash) noexcept nogil:
    """The group where the search goes on when the first HOME_GROUPS are full."""
    return &index.groups[multiply_high(hash, index.group_count)]


cdef inline Group* group_after(const Index* index, Group* group) noexcept nogil:
    """The next group, round the end."""
    return group + 1 if group + 1 < &index.groups[index.group_count] else index.groups


cdef inline Group* next_group(
    const Index* index, Group* group, const uint64_t groups_seen, const uint64_t hash,
) noexcept nogil:
    """The group where the search goes on after `groups_seen` full groups."""
    return second_home_of(index, hash) if groups_seen == HOME_GROUPS else group_after(index, group)


cdef inline uint8_t tag_of(const uint64_t hash) noexcept nogil:
    """The low byte of the hash, never 0. Its high bits choose the second home, and so are alike inside a group."""
    return <uint8_t>hash if <uint8_t>hash else 1


cdef inline uint32_t check_of(const uint64_t hash) noexcept nogil:
    """The two bits of the fingerprint that are not in the tag."""
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


cdef inline uint32_t likely_position(const Group* group, const uint64_t hash) noexcept nogil:
    """The position of the first entry of a group with this hash's tag; NOT_FOUND where there is none."""
    cdef uint32_t candidates = match_16(group.tags, tag_of(hash)) & GROUP_MASK
    return group.positions[lowest_bit(candidates)] if candidates else <uint32_t>NOT_FOUND


cdef inline Probe find_text_entry(
    const Index* index,
    const Log* logs,
    Group* home,  # IN second_home_of the hash
    const uint64_t hash,  # IN its hash_text_transaction
    const uint32_t account,
    const uint8_t* tx,
    const uint8_t length,
) noexcept nogil:
    """`find_entry` for an id that is a text."""
    cdef uint8_t tag = tag_of(hash)
    cdef uint32_t candidates, empty, position
    cdef Probe probe
    probe.group = home
    probe.hash = hash
    probe.at_second_home = False
    while True:
        candidates = match_16(probe.group.tags, tag) & GROUP_MASK
        while candidates:
            probe.slot = lowest_bit(candidates)
            position = probe.group.positions[probe.slot]
            if (probe.group.checks >> 2 * probe.slot & 3) == check_of(hash) and is_text_entry(
                logs, position, account, tx, length,
            ):
                probe.position = position
                return probe
            candidates &= candidates - 1
        empty = match_16(probe.group.tags, 0) & GROUP_MASK
        if empty:
            probe.slot = lowest_bit(empty)
            probe.position = <uint32_t>NOT_FOUND
            return probe
        probe.group = group_after(index, probe.group)


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
    """Insert an entry that is known to be new, so that no entries are compared; return whether it went to its second
    home."""
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


cdef inline void insert_new_text(Index* index, const uint64_t hash, const uint32_t position) noexcept nogil:
    """`insert_new` for an id that is a text."""
    cdef Group* group = second_home_of(index, hash)
    cdef uint32_t empty = match_16(group.tags, 0) & GROUP_MASK
    while not empty:
        group = group_after(index, group)
        empty = match_16(group.tags, 0) & GROUP_MASK
    insert_entry(group, lowest_bit(empty), hash, position)


cdef inline uint64_t index_capacity(const Index* index) noexcept nogil:
    """The entries that fit before the index must grow."""
    return index.group_count * GROUP_SLOTS * LOAD_PERCENT_MAX // 100


cdef inline void index_free(Index* index) noexcept nogil:
    free(index.allocation)
    index.allocation = index.groups = NULL
    index.home_count = index.group_count = 0


cdef inline uint64_t groups_for(const uint64_t capacity) noexcept nogil:
    """The number of groups of an index with this capacity."""
    return capacity * 100 // (GROUP_SLOTS * LOAD_PERCENT_MAX) + NEIGHBOUR_GROUPS


cdef inline uint64_t capacity_bytes(const uint64_t capacity) noexcept nogil:
    """The bytes of an index with this capacity."""
    return groups_for(capacity) * sizeof(Group) if capacity else 0


cdef inline bint index_reset(Index* index, const uint64_t capacity) noexcept nogil:
    """Make an empty index with this capacity. False when memory is exhausted; the capacity is then 0.

    The old groups are freed first, so that growing never needs memory for both.
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
    """Put all entries of the logs into an empty index, which has room for them."""
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
                    index, txs_of(chunk)[entry & CHUNK_MASK], hashes[entry & (REBUILD_AHEAD_ENTRIES - 1)],
                    <uint32_t>(entry | <uint64_t>kind << LOG_BIT),
                )
                if not entry & REBUILD_SAMPLE_MASK:
                    prefetch_second_homes = REBUILD_ENTRIES_PER_SECOND_HOME * second_homes > REBUILD_SAMPLE_MASK
                    second_homes = 0
            if ahead < logs[kind].entries:
                chunk = logs[kind].chunks[ahead >> CHUNK_BITS]
                # After the end of a chunk this loads an unrelated hash, which is harmless.
                prefetch(&client_hashes[chunk.account[(ahead + REBUILD_AHEAD_ENTRIES) & CHUNK_MASK]])
                tx = txs_of(chunk)[ahead & CHUNK_MASK]
                hash = hash_transaction(client_hashes[chunk.account[ahead & CHUNK_MASK]], tx)
                hashes[ahead & (REBUILD_AHEAD_ENTRIES - 1)] = hash
                prefetch(home_of(index, tx))
                if prefetch_second_homes:
                    prefetch(second_home_of(index, hash))


cdef inline void index_fill_texts(
    Index* index,  # IN, OUT
    const Log* logs,  # IN whose ids are texts
    const uint64_t* client_hashes,  # IN by the number of an account
    const TextKey* key,  # IN
) noexcept nogil:
    """`index_fill` for ids that are texts."""
    cdef uint64_t[REBUILD_AHEAD_ENTRIES] hashes
    cdef uint64_t entry, ahead, hash
    cdef uint32_t account
    cdef int kind
    for kind in range(LOG_COUNT):
        for ahead in range(logs[kind].entries + REBUILD_AHEAD_ENTRIES):
            if ahead >= REBUILD_AHEAD_ENTRIES:
                entry = ahead - REBUILD_AHEAD_ENTRIES
                hash = hashes[entry & (REBUILD_AHEAD_ENTRIES - 1)]
                insert_new_text(index, hash, <uint32_t>(entry | <uint64_t>kind << LOG_BIT))
            if ahead < logs[kind].entries:
                account = logs[kind].chunks[ahead >> CHUNK_BITS].account[ahead & CHUNK_MASK]
                hash = hash_text_transaction(client_hashes[account], tx_hash_at(&logs[kind], ahead, key))
                hashes[ahead & (REBUILD_AHEAD_ENTRIES - 1)] = hash
                prefetch(second_home_of(index, hash))
