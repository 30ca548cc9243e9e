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

Ids that are texts have no neighbours: their search begins at the second home.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free

from txfast.ledger.entries cimport (
    CHUNK_BITS, CHUNK_MASK, LOG_BIT, LOG_COUNT, Chunk, Log, TxId, is_entry, tx_hash_at, txs_of,
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


cdef inline uint64_t groups_before(const bint is_text) noexcept nogil:
    """The groups that a search counts as seen when it begins: one for a text begins at the second home."""
    return HOME_GROUPS if is_text else 0


cdef inline Probe find_entry(
    const Index* index,
    const Log* logs,
    Group* home,  # IN home_of the transaction; of a text second_home_of
    const uint64_t hash,  # IN its hash_transaction; of a text its hash_text_transaction
    const uint32_t account,
    const TxId tx,
) noexcept nogil:
    """Find (account, tx), or the empty slot where it belongs. The index has at least one empty slot."""
    cdef uint8_t tag = tag_of(hash)
    cdef uint32_t candidates, empty, position
    cdef uint64_t groups_seen = groups_before(tx.text != NULL)
    cdef Probe probe
    probe.group = home
    probe.hash = hash
    probe.at_second_home = groups_seen >= HOME_GROUPS
    while True:
        candidates = match_16(probe.group.tags, tag) & GROUP_MASK
        while candidates:
            probe.slot = lowest_bit(candidates)
            position = probe.group.positions[probe.slot]
            if (probe.group.checks >> 2 * probe.slot & 3) == check_of(hash) and is_entry(logs, position, account, tx):
                probe.position = position
                return probe
            candidates &= candidates - 1
        empty = match_16(probe.group.tags, 0) & GROUP_MASK
        if empty:
            probe.slot = lowest_bit(empty)
            probe.position = <uint32_t>NOT_FOUND
            return probe
        groups_seen += 1
        probe.at_second_home = groups_seen >= HOME_GROUPS
        probe.group = next_group(index, probe.group, groups_seen, hash)


cdef inline uint32_t likely_position(const Group* group, const uint64_t hash) noexcept nogil:
    """The position of the first entry of a group with this hash's tag; NOT_FOUND where there is none."""
    cdef uint32_t candidates = match_16(group.tags, tag_of(hash)) & GROUP_MASK
    return group.positions[lowest_bit(candidates)] if candidates else <uint32_t>NOT_FOUND


cdef inline void insert_entry(
    Group* group, const int slot, const uint64_t hash, const uint32_t position,
) noexcept nogil:
    """Put a position into an empty slot."""
    group.tags[slot] = tag_of(hash)
    group.checks |= check_of(hash) << 2 * slot
    group.positions[slot] = position


cdef inline bint insert_new(
    Index* index, Group* home, const uint64_t hash, const uint32_t position, const bint is_text,
) noexcept nogil:
    """Insert an entry that is known to be new, so that no entries are compared; return whether it went to its second
    home."""
    cdef Group* group = home
    cdef uint64_t groups_seen = groups_before(is_text)
    cdef uint32_t empty
    while True:
        empty = match_16(group.tags, 0) & GROUP_MASK
        if empty:
            insert_entry(group, lowest_bit(empty), hash, position)
            return groups_seen >= HOME_GROUPS
        groups_seen += 1
        group = next_group(index, group, groups_seen, hash)


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
    const TextKey* key,  # IN of ids that are texts
) noexcept nogil:
    """Put all entries of the logs into an empty index, which has room for them."""
    cdef uint64_t[REBUILD_AHEAD_ENTRIES] hashes
    cdef Group* homes[REBUILD_AHEAD_ENTRIES]
    cdef const Chunk* chunk
    cdef uint64_t entry, ahead, client_hash, hash, second_homes
    cdef int kind, slot
    cdef bint has_texts, prefetch_second_homes = False
    for kind in range(LOG_COUNT):
        has_texts = logs[kind].has_texts
        second_homes = 0
        for ahead in range(logs[kind].entries + REBUILD_AHEAD_ENTRIES):
            slot = <int>(ahead & (REBUILD_AHEAD_ENTRIES - 1))
            if ahead >= REBUILD_AHEAD_ENTRIES:
                entry = ahead - REBUILD_AHEAD_ENTRIES
                second_homes += insert_new(
                    index, homes[slot], hashes[slot], <uint32_t>(entry | <uint64_t>kind << LOG_BIT), has_texts,
                )
                if not entry & REBUILD_SAMPLE_MASK:
                    prefetch_second_homes = REBUILD_ENTRIES_PER_SECOND_HOME * second_homes > REBUILD_SAMPLE_MASK
                    second_homes = 0
            if ahead < logs[kind].entries:
                chunk = logs[kind].chunks[ahead >> CHUNK_BITS]
                # After the end of a chunk this loads an unrelated hash, which is harmless.
                prefetch(&client_hashes[chunk.account[(ahead + REBUILD_AHEAD_ENTRIES) & CHUNK_MASK]])
                client_hash = client_hashes[chunk.account[ahead & CHUNK_MASK]]
                if has_texts:
                    hash = hash_text_transaction(client_hash, tx_hash_at(&logs[kind], ahead, key))
                    homes[slot] = second_home_of(index, hash)
                else:
                    hash = hash_transaction(client_hash, txs_of(chunk)[ahead & CHUNK_MASK])
                    homes[slot] = home_of(index, txs_of(chunk)[ahead & CHUNK_MASK])
                hashes[slot] = hash
                prefetch(homes[slot])
                if prefetch_second_homes and not has_texts:
                    prefetch(second_home_of(index, hash))
