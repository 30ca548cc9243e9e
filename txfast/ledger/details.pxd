"""Details: what a ledger keeps of few entries and accounts only, so that all others take no memory for it.

Of an entry: its refunds, and the part of it that is in dispute or charged back. Of an account: the number of its
chargebacks that stand, where several do, and its opening balance. Open addressing with linear probing; a key that was
added stays.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from txfast.ledger.hash cimport HashKey, hash_client

cdef enum:
    DETAILS_MIN = 1024  # slots

cdef struct Detail:
    uint64_t key  # key_of_entry or key_of_account; 0 in an empty slot
    int64_t refunded  # units of the last decimal; of an account, the chargebacks that stand
    int64_t moved  # units of the last decimal: in dispute, or charged back; of an account, its opening balance

cdef struct Details:
    HashKey key
    Detail* slots
    uint64_t slot_count  # 0, or a power of two
    uint64_t count


cdef inline uint64_t key_of_entry(const uint32_t position) noexcept nogil:
    return <uint64_t>1 << 32 | position


cdef inline uint64_t key_of_account(const uint32_t number) noexcept nogil:
    return <uint64_t>2 << 32 | number


cdef inline Detail* slot_of(const Details* details, const uint64_t key) noexcept nogil:
    """The slot with this key, or the empty one where it belongs. There must be slots, and an empty one among them."""
    cdef uint64_t mask = details.slot_count - 1
    cdef uint64_t slot = hash_client(&details.key, key) & mask
    while details.slots[slot].key and details.slots[slot].key != key:
        slot = (slot + 1) & mask
    return &details.slots[slot]


cdef inline Detail* find_detail(const Details* details, const uint64_t key) noexcept nogil:
    """The details of this key; NULL where there are none."""
    cdef Detail* found
    if not details.count:
        return NULL
    found = slot_of(details, key)
    return found if found.key else NULL


cdef inline Detail* find_or_add_detail(Details* details, const uint64_t key) noexcept nogil:
    """The details of this key, which are all zero if they are new. There must be room."""
    cdef Detail* found = slot_of(details, key)
    if not found.key:
        found.key = key
        details.count += 1
    return found


cdef inline uint64_t standing_in(const Detail* detail) noexcept nogil:
    """The chargebacks of an account that stand, in its details."""
    return <uint64_t>detail.refunded


cdef inline void set_standing(Detail* detail, const uint64_t standing) noexcept nogil:
    detail.refunded = <int64_t>standing


cdef inline int64_t opening_of(const Details* details, const uint32_t number) noexcept nogil:
    """The opening balance of the account with this number, in units of the last decimal; 0 where it has none."""
    cdef const Detail* detail = find_detail(details, key_of_account(number))
    return 0 if detail == NULL else detail.moved


cdef inline void set_opening(Details* details, const uint32_t number, const int64_t opening) noexcept nogil:
    """Keep an opening balance that is not 0. There must be room."""
    find_or_add_detail(details, key_of_account(number)).moved = opening


cdef inline bint has_room(const Details* details) noexcept nogil:
    """Whether there is room for the details of one more."""
    return 2 * (details.count + 1) <= details.slot_count


cdef inline uint64_t detail_slots_for(const Details* details, const uint64_t count) noexcept nogil:
    """The number of slots of details with room for this many in total: half of them stay empty."""
    cdef uint64_t slot_count = max(details.slot_count, <uint64_t>DETAILS_MIN)
    if not count:
        return details.slot_count
    while slot_count < 2 * count:
        slot_count *= 2
    return slot_count


cdef inline uint64_t details_bytes(const Details* details, const uint64_t count) noexcept nogil:
    """The most bytes that it takes, growing to this many in total."""
    cdef uint64_t slot_count = detail_slots_for(details, count)
    if slot_count > details.slot_count:
        slot_count += details.slot_count
    return slot_count * sizeof(Detail)


cdef inline bint reserve_details(Details* details, const uint64_t count) noexcept nogil:
    """Make room for this many in total. False when memory is exhausted; nothing is changed then."""
    cdef Details grown = details[0]
    cdef uint64_t i
    grown.slot_count = detail_slots_for(details, count)
    if grown.slot_count == details.slot_count:
        return True
    grown.slots = <Detail*>calloc(grown.slot_count, sizeof(Detail))
    if grown.slots == NULL:
        return False
    for i in range(details.slot_count):
        if details.slots[i].key:
            slot_of(&grown, details.slots[i].key)[0] = details.slots[i]
    free(details.slots)
    details[0] = grown
    return True


cdef inline void free_details(Details* details) noexcept nogil:
    free(details.slots)
    details.slots = NULL
    details.slot_count = details.count = 0
