"""The order of clients that are texts: by their bytes.

Eight bytes at a time, as big-endian words, by the sort of numbers: a comparing sort takes two to four times as long.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

from txfast.ledger.key_order cimport SortKey, sort_bucket
from txfast.ledger.rules cimport Account
from txfast.text.bits cimport swap_bytes
from txfast.text.text_hash cimport load_bytes

cdef enum:
    # With fewer names they are compared.
    COMPARED_NAMES_MAX = 32
    # No name has bytes from here on.
    NAME_DEPTH_MAX = 255

# A client's name, its length first, or its number; and its account.
cdef struct NamedAccount:
    const uint8_t* name
    const Account* account


cdef inline int compare_names(const uint8_t* one, const uint8_t* other) noexcept nogil:
    """Below 0 where the first name comes before the other, 0 where they are the same."""
    cdef int difference = memcmp(one + 1, other + 1, min(one[0], other[0]))
    return difference if difference else <int>one[0] - <int>other[0]


cdef inline Py_ssize_t common_prefix(const NamedAccount* named, const Py_ssize_t count) noexcept nogil:
    """The bytes with which all names begin."""
    cdef const uint8_t* first = named[0].name
    cdef Py_ssize_t prefix = first[0], index
    for index in range(1, count):
        prefix = min(prefix, <Py_ssize_t>named[index].name[0])
        while memcmp(first + 1, named[index].name + 1, prefix) != 0:
            prefix -= 1
    return prefix


cdef inline uint64_t word_of(const uint8_t* name, const Py_ssize_t depth) noexcept nogil:
    """Eight bytes of a name from a depth on, zeros behind its end."""
    return swap_bytes(load_bytes(name + 1 + min(depth, <Py_ssize_t>name[0]), name[0] - depth))


cdef inline void sort_few(NamedAccount* named, const Py_ssize_t count) noexcept nogil:
    """Sort by insertion. Equal names stay in order."""
    cdef NamedAccount moved
    cdef Py_ssize_t index, slot
    for index in range(1, count):
        moved = named[index]
        slot = index
        while slot > 0 and compare_names(named[slot - 1].name, moved.name) > 0:
            named[slot] = named[slot - 1]
            slot -= 1
        named[slot] = moved


cdef inline void sort_by_keys(
    NamedAccount* named,  # IN, OUT
    NamedAccount* in_order,  # scratch for as many, as is the last one
    SortKey* keys,  # IN by account: what it is sorted by; OUT in order
    SortKey* scratch,
    const Py_ssize_t count,  # IN
) noexcept nogil:
    """Sort accounts by a number each. Those with equal numbers stay in order."""
    cdef Py_ssize_t index
    for index in range(count):
        keys[index].content = index
    sort_bucket(keys, scratch, count)
    for index in range(count):
        in_order[index] = named[keys[index].content]
    memcpy(named, in_order, count * sizeof(NamedAccount))
