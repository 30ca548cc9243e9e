"""Segment: a file of sorted rows that SegmentWriter has written, and whose description a manifest has.

The file is opened when it is first needed, and stays open: its name may be gone meanwhile. Its index is read whole
then. It is read by `pread` alone, by any number of threads at once, and not mapped: a page is checked when it is read,
and what was checked stays in memory as it was.

Nothing in the file is trusted, and nothing in the description. StateError says which page of the file is damaged.

This module must not know what is looked for, nor in which order segments stand.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc

from txfast.store.file_calls cimport (
    advise_file, atomic_add, close_file, file_size, is_set, open_to_read, publish, read_file, set_flag,
)
from txfast.store.key_filter cimport blocks_for, filter_bytes
from txfast.store.page_hash cimport hash_page
from txfast.store.segment_form cimport Form, rows_max
from txfast.store.segment_row cimport compare_words

import os

from txfast.errors import StateError, unreadable

# By code: Damage.
DAMAGES = (
    "does not have its hash", "is cut off", "has other rows than it should", "has columns beyond its end",
    "has keys that are out of order", "has a value that no row has", "begins before the end of the one before",
)
assert len(DAMAGES) == DAMAGE_COUNT

# A row of the least form and its part of a page take this: more rows cannot be in a file.
cdef uint64_t ROWS_MAX = <uint64_t>1 << 40

# Bytes of filters that all segments keep, and the most of them.
cdef uint64_t kept_bytes = 0
FILTER_BYTES_MAX = 1 << 26
cdef uint64_t kept_bytes_max = FILTER_BYTES_MAX


def keep_filters(uint64_t byte_count):
    """Set the most bytes of filters that are kept in memory once they were read whole: 64 MiB if it is never called.
    A filter that is kept already stays."""
    global kept_bytes_max
    kept_bytes_max = byte_count


cdef class Segment:
    """A segment in the file at `path`, with the `description` that its writer gave, of a state whose segments of its
    kind have this `form`. Raises StateError where no segment has such a description."""

    def __cinit__(self, str path not None, dict description not None, Form form not None):
        self.parts.descriptor = -1
        self.parts.owner = <PyObject*>self
        self.path = path
        self.description = description
        has_details = description.get("has_details")
        if not isinstance(has_details, bool):
            self.refuse("has_details")
        self.parts.form = form.forms[<bint>has_details]
        self.take_description()

    def __dealloc__(self):
        self.release()

    @property
    def rows(self):
        """The number of its rows."""
        return self.parts.rows

    @property
    def first(self):
        """The two words of its first row: of the client, and of the transaction, which is 0 of an account."""
        return self.parts.first.client_word, self.parts.first.tx_word

    @property
    def last(self):
        """The same of its last row."""
        return self.parts.last.client_word, self.parts.last.tx_word

    @property
    def has_details(self):
        return bool(self.parts.form.has_details)

    def moved_to(self, str path not None):
        """Note that the file has another path now."""
        self.path = path

    def open(self):
        """Open the file, if it is not open. Raises StateError where it is cut off, and SourceError."""
        self.open_file()

    def close(self):
        """Close the file. No thread may read it meanwhile. It is opened again when it is needed again."""
        self.release()

    cdef void release(self) noexcept:
        """Close the file, and forget what was read."""
        if self.parts.descriptor >= 0:
            close_file(self.parts.descriptor)
        free(self.parts.fences)
        if self.parts.filter != NULL:
            atomic_add(&kept_bytes, 0 - filter_bytes(self.parts.blocks))
        free(self.parts.filter)
        self.parts.descriptor = -1
        self.parts.is_ready = False
        self.parts.fences = NULL
        self.parts.filter_hashes = NULL
        self.parts.filter = NULL

    # ---- Description ---------------------------------------------------------------------------------

    cdef int take_description(self) except -1:
        """Take the numbers of the description."""
        cdef OpenSegment* parts = &self.parts
        cdef uint64_t pages = self.take_word(self.description.get("pages"), "pages")
        parts.rows = self.take_word(self.description.get("rows"), "rows")
        if not 0 < parts.rows < ROWS_MAX:
            self.refuse("rows")
        if not 0 < pages <= parts.rows:
            self.refuse("pages")
        parts.pages = <int64_t>pages
        parts.blocks = blocks_for(parts.rows)
        parts.number = self.take_word(self.description.get("number"), "number")
        parts.index_hash = self.take_word(self.description.get("index_hash"), "index_hash")
        parts.tx_min = self.take_word(self.description.get("tx_min"), "tx_min")
        parts.tx_max = self.take_word(self.description.get("tx_max"), "tx_max")
        self.take_key(&parts.first, "first")
        self.take_key(&parts.last, "last")
        if is_before(&parts.last, &parts.first):
            self.refuse("last")
        if parts.tx_min > parts.tx_max:
            self.refuse("tx_max")
        return 0

    cdef uint64_t take_word(self, value, name) except? 0:
        """A word of the description."""
        if type(value) is not int or not 0 <= value < 1 << 64:
            self.refuse(name)
        return value

    cdef int take_key(self, RowKey* key, name) except -1:
        """The two words of a key."""
        words = self.description.get(name)
        if not isinstance(words, list) or len(words) != 2:
            self.refuse(name)
        key.client_word = self.take_word(words[0], name)
        key.tx_word = self.take_word(words[1], name)
        return 0

    cdef int refuse(self, name) except -1:
        raise StateError(f"{self.path}: is damaged: its {name} is not what it should be")

    # ---- Index ---------------------------------------------------------------------------------------

    cdef int open_file(self) except -1:
        """Open the file, if it is not open."""
        cdef OpenSegment* parts = &self.parts
        cdef int64_t byte_count
        cdef int descriptor
        if parts.descriptor >= 0:
            return 0
        descriptor = open_to_read(os.fsencode(self.path))
        if descriptor < 0:
            raise_failure(parts, descriptor)
        byte_count = file_size(descriptor)
        if byte_count < 0 or <uint64_t>byte_count < index_offset(parts) + index_bytes(parts.pages, parts.blocks):
            close_file(descriptor)
            if byte_count < 0:
                raise_failure(parts, <int>byte_count)
            raise_damage(parts, CUT_OFF, WHOLE_SEGMENT)
        parts.descriptor = descriptor
        return 0

    cdef int read_index(self) except -1:
        """Read the index, if it is not read."""
        cdef OpenSegment* parts = &self.parts
        cdef uint64_t byte_count = index_bytes(parts.pages, parts.blocks)
        cdef PageFence* fences
        if parts.is_ready:
            return 0
        self.open_file()
        fences = <PageFence*>malloc(byte_count)
        if fences == NULL:
            raise MemoryError(f"no memory for the index of {parts.rows} rows")
        try:
            read_at(parts, <uint8_t*>fences, byte_count, index_offset(parts), SEGMENT_INDEX)
            if hash_page(<uint8_t*>fences, byte_count, parts.number, <uint64_t>INDEX_NUMBER) != parts.index_hash:
                raise_damage(parts, HASH_DIFFERS, SEGMENT_INDEX)
            check_fences(parts, fences)
        except BaseException:
            free(fences)
            raise
        parts.fences = fences
        parts.filter_hashes = <uint64_t*>&fences[parts.pages]
        set_flag(&parts.is_ready)
        return 0


cdef inline bint is_before(const RowKey* one, const RowKey* other) noexcept nogil:
    return compare_words(one.client_word, one.tx_word, other.client_word, other.tx_word) < 0


cdef int check_fences(const OpenSegment* segment, const PageFence* fences) except -1:
    """Check that pages have as many rows as they can, and are in order."""
    cdef uint64_t rows = 0
    cdef uint64_t most = rows_max(&segment.form)
    cdef int64_t page
    cdef bint is_ordered = (
        compare_words(
            segment.first.client_word, segment.first.tx_word, fences[0].client_word, fences[0].tx_word
        ) == 0
        and compare_words(
            fences[segment.pages - 1].client_word, fences[segment.pages - 1].tx_word,
            segment.last.client_word, segment.last.tx_word,
        ) <= 0
    )
    for page in range(segment.pages):
        if not 0 < fences[page].rows <= most:
            raise_damage(segment, BAD_INDEX, SEGMENT_INDEX)
        rows += fences[page].rows
        if page and compare_words(
            fences[page - 1].client_word, fences[page - 1].tx_word, fences[page].client_word, fences[page].tx_word
        ) > 0:
            is_ordered = False
    if rows != segment.rows:
        raise_damage(segment, BAD_INDEX, SEGMENT_INDEX)
    if not is_ordered:
        raise_damage(segment, BAD_ORDER, SEGMENT_INDEX)
    return 0


cdef int prepare(OpenSegment* segment) except -1 nogil:
    """Open the file and read its index, once. Raises StateError, SourceError and MemoryError."""
    if is_set(&segment.is_ready):
        return 0
    # The GIL, which is not given up meanwhile, keeps two threads from doing the same.
    with gil:
        (<Segment>segment.owner).read_index()
    return 0


cdef int read_at(
    const OpenSegment* segment,
    uint8_t* out,  # OUT
    const uint64_t byte_count,
    const uint64_t offset,
    const int64_t page,  # IN what is read, for messages
) except -1 nogil:
    """Read a part of the file. Raises StateError where the file ends before, and SourceError."""
    cdef int64_t done = read_file(segment.descriptor, out, byte_count, offset)
    if done < 0:
        raise_failure(segment, <int>done)
    if <uint64_t>done != byte_count:
        raise_damage(segment, CUT_OFF, page)
    return 0


cdef void will_read(const OpenSegment* segment, const uint64_t offset, const uint64_t byte_count) noexcept nogil:
    """Ask the system to read a part of the file ahead."""
    advise_file(segment.descriptor, offset, byte_count, True)


cdef void have_read(const OpenSegment* segment, const uint64_t offset, const uint64_t byte_count) noexcept nogil:
    """Tell the system that a part of the file is not needed again soon."""
    advise_file(segment.descriptor, offset, byte_count, False)


cdef bint keep_filter(OpenSegment* segment, uint8_t* filter) noexcept nogil:
    """Keep a whole filter, which `free` can free. False where too many are kept, or another thread has been faster: the
    filter then stays the caller's."""
    cdef uint64_t byte_count = filter_bytes(segment.blocks)
    if atomic_add(&kept_bytes, byte_count) <= kept_bytes_max and publish(&segment.filter, filter):
        return True
    atomic_add(&kept_bytes, 0 - byte_count)
    return False


cdef int raise_damage(const OpenSegment* segment, const Damage damage, const int64_t page) except -1 with gil:
    """Raise StateError: this page, or the whole (WHOLE_SEGMENT and the like), is damaged so."""
    if page >= 0:
        what = f"page {page + 1}"
    elif page <= SEGMENT_FILTER:
        what = f"page {SEGMENT_FILTER - page + 1} of its filter"
    else:
        what = "its index" if page == SEGMENT_INDEX else "it"
    raise StateError(f"{(<Segment>segment.owner).path}: is damaged: {what} {DAMAGES[<int>damage]}")


cdef int raise_failure(const OpenSegment* segment, const int failure) except -1 with gil:
    """Raise SourceError for an error of the system, which is below 0."""
    raise unreadable((<Segment>segment.owner).path, OSError(-failure, os.strerror(-failure)))
