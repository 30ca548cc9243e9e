"""Sorts rows of a state: by the words of client and transaction, and by their ids where both words are the same.

A key has the word of the client, and in `content` which row it is. The words of transactions are asked for only where
clients are the same, and ids where all words are: often the rows of a client come in the order of their transactions,
and hardly ever do other ids have the same words.

This module must not know where rows come from.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from txfast.batch.ids cimport ID_ROOM_BYTES
from txfast.ledger.key_order cimport SortKey, sort_bucket, sort_keys
from txfast.store.segment_row cimport SegmentRow, compare_rows

cdef enum:
    AHEAD_KEYS = 16


cdef void sort_rows(
    SortKey* keys,  # IN, OUT
    SortKey* scratch,  # room for as many
    const Py_ssize_t count,  # IN
    const RowOrder* order,  # IN
) noexcept nogil:
    """Sort keys. Keys of equal rows stay in order."""
    cdef Py_ssize_t first = 0, end = 0, ahead = 0
    if sort_keys(keys, scratch, count):
        memcpy(keys, scratch, count * sizeof(SortKey))
    if order.tx_word_of == NULL and order.make_ids == NULL:
        return
    while first < count:
        while ahead < min(count, first + AHEAD_KEYS):
            order.look_ahead(order.context, keys[ahead].content)
            ahead += 1
        end = first + 1
        while end < count and keys[end].client == keys[first].client:
            end += 1
        if end - first > 1:
            sort_client(keys + first, scratch, end - first, order)
        first = end


cdef void sort_client(
    SortKey* keys, SortKey* scratch, const Py_ssize_t count, const RowOrder* order,
) noexcept nogil:
    """Sort keys of one word of a client."""
    cdef uint64_t word = keys[0].client
    cdef bint in_order = True
    cdef Py_ssize_t i, first = 0, end
    if order.tx_word_of == NULL:
        sort_ties(keys, scratch, count, order)
        return
    for i in range(count):
        keys[i].client = order.tx_word_of(order.context, keys[i].content)
        in_order &= not i or keys[i - 1].client <= keys[i].client
    if not in_order:
        sort_bucket(keys, scratch, count)
    while order.make_ids != NULL and first < count:
        end = first + 1
        while end < count and keys[end].client == keys[first].client:
            end += 1
        if end - first > 1:
            sort_ties(keys + first, scratch, end - first, order)
        first = end
    for i in range(count):
        keys[i].client = word


cdef void sort_ties(
    SortKey* keys, SortKey* scratch, const Py_ssize_t count, const RowOrder* order,
) noexcept nogil:
    """Sort keys whose words are the same, by merging from pairs up."""
    cdef SortKey* source = keys
    cdef SortKey* target = scratch
    cdef Py_ssize_t width = 1, first
    if are_in_order(keys, count, order):
        return
    while width < count:
        first = 0
        while first < count:
            merge_halves(source, target, first, min(first + width, count), min(first + 2 * width, count), order)
            first += 2 * width
        source, target = target, source
        width *= 2
    if source != keys:
        memcpy(keys, source, count * sizeof(SortKey))


cdef bint are_in_order(const SortKey* keys, const Py_ssize_t count, const RowOrder* order) noexcept nogil:
    """Whether the rows of these keys are in order."""
    cdef SegmentRow[2] rows
    cdef uint8_t[2 * ID_ROOM_BYTES] room
    cdef Py_ssize_t i
    order.make_ids(order.context, keys[0].content, &rows[0], room)
    for i in range(1, count):
        order.make_ids(order.context, keys[i].content, &rows[i & 1], room + (i & 1) * ID_ROOM_BYTES)
        if compare_rows(&rows[(i - 1) & 1], &rows[i & 1]) > 0:
            return False
    return True


cdef void merge_halves(
    const SortKey* source,  # IN
    SortKey* target,  # OUT
    Py_ssize_t one,  # IN where the first half begins
    const Py_ssize_t middle,  # IN where the second one does
    const Py_ssize_t end,  # IN
    const RowOrder* order,  # IN
) noexcept nogil:
    """Merge two halves that are in order."""
    cdef SegmentRow[2] rows
    cdef uint8_t[2 * ID_ROOM_BYTES] room
    cdef Py_ssize_t other = middle, place
    cdef bint takes_other
    for place in range(one, end):
        takes_other = one == middle
        if one < middle and other < end:
            order.make_ids(order.context, source[one].content, &rows[0], room)
            order.make_ids(order.context, source[other].content, &rows[1], room + ID_ROOM_BYTES)
            takes_other = compare_rows(&rows[0], &rows[1]) > 0
        target[place] = source[other if takes_other else one]
        other += takes_other
        one += not takes_other
