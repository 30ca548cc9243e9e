"""Segment: a file of sorted rows in pages, which never changes. See segment.pyx.

`OpenSegment` is the C side of it, so that reading needs no GIL. Call `prepare` before anything else is read of it.
"""

from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint8_t, uint64_t

from txfast.store.key_filter cimport filter_bytes
from txfast.store.page_hash cimport HASH_STEP_BYTES
from txfast.store.segment_form cimport PAGE_BYTES, SegmentForm
from txfast.store.segment_row cimport RowKey

cdef enum:
    # Before the first page: the schema.
    SCHEMA_BYTES = 1 << 12
    # Between the last page and the filter: the end of the Arrow stream.
    GAP_BYTES = 1 << 6

# What the index says of a page.
cdef struct PageFence:
    uint64_t client_word  # of its first row, as is tx_word
    uint64_t tx_word
    uint64_t rows
    uint64_t hash

cdef struct OpenSegment:
    int descriptor  # below 0 until it is opened
    uint64_t rows
    int64_t pages
    uint64_t number  # by which its pages are hashed
    uint64_t index_hash
    RowKey first  # of its rows, as is `last`
    RowKey last
    uint64_t tx_min  # the least word of transactions
    uint64_t tx_max
    uint64_t blocks  # of its filter
    SegmentForm form
    PageFence* fences  # by page; NULL until the index is read
    uint64_t* filter_hashes  # by page of the filter; in the memory of `fences`
    uint8_t* filter  # once it was read whole and is kept (`keep_filter`); else NULL
    int is_ready  # see `prepare`
    PyObject* owner  # the Segment, borrowed

cdef class Segment:
    cdef readonly str path
    cdef readonly dict description
    cdef OpenSegment parts

    cdef int take_description(self) except -1
    cdef uint64_t take_word(self, value, name) except? 0
    cdef int take_key(self, RowKey* key, name) except -1
    cdef int open_file(self) except -1
    cdef int read_index(self) except -1
    cdef int refuse(self, name) except -1
    cdef void release(self) noexcept


# The ways in which a segment may be damaged. Their words are DAMAGES, in segment.pyx.
cdef enum Damage:
    HASH_DIFFERS
    CUT_OFF
    BAD_INDEX
    BAD_ROWS
    BAD_ORDER
    BAD_VALUE
    BAD_RUN
    DAMAGE_COUNT

# What is damaged, where it is no page: these in place of its number.
cdef enum:
    WHOLE_SEGMENT = -1
    SEGMENT_INDEX = -2
    SEGMENT_FILTER = -3  # less the number of its page


# By these the hashes of other pages than those of rows are told from them.
cdef enum:
    FILTER_NUMBER = 0x10000000000  # and the number of the page in the filter
    INDEX_NUMBER = 0x20000000000


cdef inline uint64_t filter_pages(const uint64_t blocks) noexcept nogil:
    """The pages of a filter. The last one may be shorter."""
    return (filter_bytes(blocks) + PAGE_BYTES - 1) // PAGE_BYTES


cdef inline uint64_t filter_page_bytes(const uint64_t blocks, const uint64_t page) noexcept nogil:
    """The bytes of this page of a filter."""
    return min(filter_bytes(blocks) - page * PAGE_BYTES, <uint64_t>PAGE_BYTES)


cdef inline uint64_t index_bytes(const uint64_t pages, const uint64_t blocks) noexcept nogil:
    """The bytes of an index: they are a multiple of HASH_STEP_BYTES."""
    cdef uint64_t used = pages * sizeof(PageFence) + filter_pages(blocks) * sizeof(uint64_t)
    return used + (0 - used) % HASH_STEP_BYTES


cdef inline uint64_t page_offset(const int64_t page) noexcept nogil:
    """Where a page begins in its file, from number 0 on."""
    return SCHEMA_BYTES + <uint64_t>page * PAGE_BYTES


cdef inline uint64_t filter_offset(const int64_t pages) noexcept nogil:
    """Where the filter begins. The index follows it."""
    return page_offset(pages) + GAP_BYTES


cdef inline uint64_t index_offset(const OpenSegment* segment) noexcept nogil:
    """Where the index begins."""
    return filter_offset(segment.pages) + filter_bytes(segment.blocks)


cdef int prepare(OpenSegment* segment) except -1 nogil
cdef int read_at(
    const OpenSegment* segment, uint8_t* out, const uint64_t byte_count, const uint64_t offset, const int64_t page,
) except -1 nogil
cdef void will_read(const OpenSegment* segment, const uint64_t offset, const uint64_t byte_count) noexcept nogil
cdef void have_read(const OpenSegment* segment, const uint64_t offset, const uint64_t byte_count) noexcept nogil
cdef int raise_damage(const OpenSegment* segment, const Damage damage, const int64_t page) except -1 with gil
cdef int raise_failure(const OpenSegment* segment, const int failure) except -1 with gil
cdef bint keep_filter(OpenSegment* segment, uint8_t* filter) noexcept nogil
