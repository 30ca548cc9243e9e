"""What is asked of a segment before its pages: which keys it may have, and that pages be read ahead.

Of a filter, single pages are read where few keys are asked for, else the whole. All that is read is checked.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free

from txfast.store.file_calls cimport aligned_alloc, load_pointer
from txfast.store.key_filter cimport AHEAD_KEYS, BLOCK_BYTES, bits_of, block_of, filter_bytes, filter_hash, has_bits
from txfast.store.page_hash cimport hash_page
from txfast.store.segment cimport (
    FILTER_NUMBER, HASH_DIFFERS, SEGMENT_FILTER, filter_offset, filter_page_bytes, filter_pages,
    keep_filter, page_offset, prepare, raise_damage, read_at, will_read,
)
from txfast.store.segment_form cimport PAGE_BYTES
from txfast.store.segment_page cimport page_of
from txfast.text.bits cimport advise_huge_pages, prefetch

cdef enum:
    # Read the whole filter where more keys than one in so many pages are asked for.
    PAGES_A_KEY = 2


cdef int probe_keys(
    OpenSegment* segment,
    const RowKey* keys,  # IN in order, from the segment's first one to its last one
    uint8_t* possible,  # IN, OUT 0 where the segment cannot have the key; keys with 0 are not looked for
    const Py_ssize_t count,
) except -1 nogil:
    """Find out which keys a segment may have. Raises StateError, SourceError and MemoryError."""
    cdef Py_ssize_t asked = 0, key
    cdef uint8_t* filter
    cdef bint is_kept
    for key in range(count):
        possible[key] &= segment.tx_min <= keys[key].tx_word <= segment.tx_max
        asked += possible[key]
    if not asked:
        return 0
    prepare(segment)
    filter = load_pointer(&segment.filter)
    if filter != NULL:
        probe_whole(segment, filter, keys, possible, count)
        return 0
    if <uint64_t>asked * PAGES_A_KEY < filter_pages(segment.blocks):
        return probe_pages(segment, keys, possible, count)
    filter = new_filter(segment)
    try:
        read_filter(segment, filter)
        probe_whole(segment, filter, keys, possible, count)
        is_kept = keep_filter(segment, filter)
        if is_kept:
            filter = NULL
    finally:
        free(filter)
    return 0


cdef uint8_t* new_filter(const OpenSegment* segment) except NULL nogil:
    """Memory for a whole filter, for `free`."""
    cdef uint8_t* filter = <uint8_t*>aligned_alloc(BLOCK_BYTES, filter_bytes(segment.blocks))
    if filter == NULL:
        with gil:
            raise MemoryError(f"no memory for the filter of {segment.rows} rows")
    advise_huge_pages(filter, filter_bytes(segment.blocks))
    return filter


cdef int read_filter(const OpenSegment* segment, uint8_t* filter) except -1 nogil:
    """Read a whole filter, and check it."""
    cdef uint64_t page
    will_read(segment, filter_offset(segment.pages), filter_bytes(segment.blocks))
    for page in range(filter_pages(segment.blocks)):
        read_filter_page(segment, filter + page * PAGE_BYTES, page)
    return 0


cdef int read_filter_page(const OpenSegment* segment, uint8_t* out, const uint64_t page) except -1 nogil:
    """Read a page of a filter, and check it."""
    cdef uint64_t byte_count = filter_page_bytes(segment.blocks, page)
    cdef int64_t name = SEGMENT_FILTER - <int64_t>page
    read_at(segment, out, byte_count, filter_offset(segment.pages) + page * PAGE_BYTES, name)
    if hash_page(out, byte_count, segment.number, <uint64_t>FILTER_NUMBER + page) != segment.filter_hashes[page]:
        raise_damage(segment, HASH_DIFFERS, name)
    return 0


cdef inline uint64_t hash_of(const OpenSegment* segment, const RowKey* key) noexcept nogil:
    return filter_hash(&segment.form.filter_key, key.client_word, key.tx_word)


cdef void probe_whole(
    const OpenSegment* segment, const uint8_t* filter, const RowKey* keys, uint8_t* possible, const Py_ssize_t count,
) noexcept nogil:
    """Look for keys in a whole filter: of some at once, so that their blocks are loaded together."""
    cdef uint64_t[AHEAD_KEYS] hashes
    cdef Py_ssize_t first = 0, end, key
    cdef const uint8_t* block
    while first < count:
        end = min(count, first + AHEAD_KEYS)
        for key in range(first, end):
            if possible[key]:
                hashes[key - first] = hash_of(segment, &keys[key])
                prefetch(filter + block_of(hashes[key - first], segment.blocks) * BLOCK_BYTES)
        for key in range(first, end):
            if possible[key]:
                block = filter + block_of(hashes[key - first], segment.blocks) * BLOCK_BYTES
                possible[key] = has_bits(block, bits_of(&segment.form.filter_key, hashes[key - first]))
        first = end


cdef int probe_pages(
    const OpenSegment* segment, const RowKey* keys, uint8_t* possible, const Py_ssize_t count,
) except -1 nogil:
    """Look for keys in single pages of a filter, all of which are asked for before the first is read."""
    cdef uint8_t[PAGE_BYTES] content
    cdef uint64_t hash, offset, page
    cdef uint64_t loaded = ~<uint64_t>0
    cdef Py_ssize_t key
    for key in range(count):
        if possible[key]:
            offset = block_of(hash_of(segment, &keys[key]), segment.blocks) * BLOCK_BYTES
            page = offset // PAGE_BYTES
            will_read(
                segment, filter_offset(segment.pages) + page * PAGE_BYTES, filter_page_bytes(segment.blocks, page)
            )
    for key in range(count):
        if possible[key]:
            hash = hash_of(segment, &keys[key])
            offset = block_of(hash, segment.blocks) * BLOCK_BYTES
            page = offset // PAGE_BYTES
            if page != loaded:
                read_filter_page(segment, content, page)
                loaded = page
            possible[key] = has_bits(content + offset % PAGE_BYTES, bits_of(&segment.form.filter_key, hash))
    return 0


cdef int advise_pages(
    OpenSegment* segment,
    const RowKey* keys,  # IN in order
    const uint8_t* wanted,
    const Py_ssize_t count,
) except -1 nogil:
    """Ask the system to read ahead the pages where those of these keys are that are wanted. Raises StateError,
    SourceError and MemoryError."""
    cdef int64_t page = 0, first = -1, end = -1
    cdef Py_ssize_t key
    for key in range(count):
        if not wanted[key]:
            continue
        prepare(segment)
        page = page_of(segment, page, keys[key].client_word, keys[key].tx_word)
        if page > end:
            advise_range(segment, first, end)
            first = page
        end = max(end, page + 1)
    advise_range(segment, first, end)
    return 0


cdef void advise_range(const OpenSegment* segment, const int64_t first, const int64_t end) noexcept nogil:
    """Ask for the pages from the first to before the end, where there are any."""
    if first >= 0:
        will_read(segment, page_offset(first), page_offset(end) - page_offset(first))
