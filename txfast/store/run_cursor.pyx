"""RunCursor: reads the rows of a run forward, or looks for rows in it.

A run is a list of segments in the order of their keys. This module must not know that there are several runs.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport calloc, free

from cpython.bytearray cimport PyByteArray_AS_STRING

from txfast.store.file_calls cimport aligned_alloc
from txfast.store.row_values cimport RowRoom, read_values, values_of
from txfast.store.segment cimport (
    BAD_RUN, WHOLE_SEGMENT, OpenSegment, Segment, have_read, page_offset, prepare, raise_damage,
)
from txfast.store.segment_filter cimport advise_pages, probe_keys
from txfast.store.segment_page cimport SegmentPage, load_page, page_of, row_of, take_row
from txfast.store.segment_row cimport RowKey, SegmentRow, compare_rows, compare_words

cdef enum:
    CACHE_LINE_BYTES = 64
    DROPPED_PAGES = 64  # told to the system at once


cdef class RunCursor:
    """A cursor before the first row of a run, whose segments these are. Iterate it for the rows from there on, as
    tuples (row_values.pyx).

    `drops_read` says that what was read is not read again soon. Raises StateError where segments overlap; all methods
    raise StateError, SourceError and MemoryError.
    """

    def __cinit__(self, segments, *, bint drops_read=False):
        cdef Segment segment, previous = None
        self.segments = list(segments)
        self.row = &self.cursor.row
        self.cursor.drops_read = drops_read
        self.cursor.run = <OpenSegment**>calloc(len(self.segments) + 1, sizeof(OpenSegment*))
        self.cursor.page = <SegmentPage*>aligned_alloc(CACHE_LINE_BYTES, room_for_page())
        if self.cursor.run == NULL or self.cursor.page == NULL:
            raise MemoryError("no memory to read a run")
        for segment in self.segments:
            self.cursor.run[self.cursor.segment_count] = &segment.parts
            if self.cursor.segment_count:
                check_neighbours(&previous.parts, &segment.parts)
            previous = segment
            self.cursor.segment_count += 1

    def __dealloc__(self):
        free(self.cursor.run)
        free(self.cursor.page)

    def __iter__(self):
        return self

    def __next__(self):
        if not go_to_next(&self.cursor):
            raise StopIteration
        return values_of(self.row, &self.cursor.run[self.cursor.at_segment].form)

    def begin_at(self, uint64_t from_word):
        """Go to before the first row whose client's word is this one or greater."""
        begin_at(&self.cursor, from_word)

    def find_row(self, tuple key not None):
        """Go to the first row with the key of this one or a greater one, from here on; return it, or None at the end.
        """
        cdef SegmentRow row
        cdef RowRoom room
        if not self.cursor.segment_count:
            return None
        read_values(&row, &self.cursor.run[0].form, key, &room)
        if not seek_row(&self.cursor, &row):
            return None
        return values_of(self.row, &self.cursor.run[self.cursor.at_segment].form)

    def probe_rows(self, list keys not None):
        """Whether the run may have rows with the words of the keys of these, which are in order."""
        cdef Py_ssize_t count = len(keys), place
        cdef bytearray words_buffer = bytearray(count * sizeof(RowKey))
        cdef bytearray possible = bytearray(b"\1") * count
        cdef RowKey* words = <RowKey*>PyByteArray_AS_STRING(words_buffer)
        cdef uint8_t* flags = <uint8_t*>PyByteArray_AS_STRING(possible)
        cdef SegmentRow row
        cdef RowRoom room
        if not self.cursor.segment_count:
            return [False] * count
        for place in range(count):
            read_values(&row, &self.cursor.run[0].form, keys[place], &room)
            words[place] = RowKey(client_word=row.client_word, tx_word=row.tx_word)
        with nogil:
            self.probe(words, flags, count)
            self.advise(words, flags, count)
        return [bool(flag) for flag in possible]

    cdef int begin(self, const uint64_t from_word) except -1 nogil:
        return begin_at(&self.cursor, from_word)

    cdef int next(self) except -1 nogil:
        return go_to_next(&self.cursor)

    cdef int seek(self, const SegmentRow* key) except -1 nogil:
        return seek_row(&self.cursor, key)

    cdef int find(self, const SegmentRow* key) except -1 nogil:
        return seek_row(&self.cursor, key) and compare_rows(&self.cursor.row, key) == 0

    cdef int probe(self, const RowKey* keys, uint8_t* possible, const Py_ssize_t count) except -1 nogil:
        cdef Py_ssize_t number, key = 0, end
        cdef OpenSegment* segment
        for number in range(self.cursor.segment_count):
            segment = self.cursor.run[number]
            end = first_from(keys, key, count, &segment.first, False)
            clear(possible, key, end)
            # The next segment may begin with the words with which this one ends: such keys are left as they are.
            key = first_from(keys, end, count, &segment.last, False)
            probe_keys(segment, keys + end, possible + end, key - end)
            key = first_from(keys, key, count, &segment.last, True)
        clear(possible, key, count)
        return 0

    cdef int advise(self, const RowKey* keys, const uint8_t* wanted, const Py_ssize_t count) except -1 nogil:
        cdef Py_ssize_t number, key = 0, end
        cdef OpenSegment* segment
        for number in range(self.cursor.segment_count):
            segment = self.cursor.run[number]
            key = first_from(keys, key, count, &segment.first, False)
            end = first_from(keys, key, count, &segment.last, True)
            advise_pages(segment, keys + key, wanted + key, end - key)
            key = end
        return 0


cdef inline size_t room_for_page() noexcept nogil:
    """The bytes of a page, up to a whole cache line."""
    return (sizeof(SegmentPage) + CACHE_LINE_BYTES - 1) // CACHE_LINE_BYTES * CACHE_LINE_BYTES


cdef int check_neighbours(const OpenSegment* one, const OpenSegment* other) except -1:
    """Check that a segment begins behind the one before it."""
    if compare_words(
        other.first.client_word, other.first.tx_word, one.last.client_word, one.last.tx_word
    ) < 0:
        raise_damage(other, BAD_RUN, WHOLE_SEGMENT)
    return 0


cdef Py_ssize_t first_from(
    const RowKey* keys, Py_ssize_t key, Py_ssize_t end, const RowKey* bound, const bint is_behind,
) noexcept nogil:
    """The first key, from one to before another, that is not below the bound; or, where `is_behind`, that is above."""
    cdef Py_ssize_t middle
    while key < end:
        middle = (key + end) // 2
        if compare_words(
            keys[middle].client_word, keys[middle].tx_word, bound.client_word, bound.tx_word
        ) < <int>is_behind:
            key = middle + 1
        else:
            end = middle
    return key


cdef inline void clear(uint8_t* possible, const Py_ssize_t first, const Py_ssize_t end) noexcept nogil:
    cdef Py_ssize_t key
    for key in range(first, end):
        possible[key] = 0


# ---- Moving --------------------------------------------------------------------------------------

cdef int begin_at(Cursor* cursor, const uint64_t from_word) except -1 nogil:
    """Go to before the first row whose client's word is this one or greater."""
    cursor.at_segment = 0
    cursor.at_page = cursor.at_row = 0
    cursor.has_page = cursor.is_on_row = False
    go_to(cursor, from_word, 0)
    return 0


cdef int go_to_next(Cursor* cursor) except -1 nogil:
    """Go to the next row: 1, and 0 at the end."""
    cdef OpenSegment* segment
    if cursor.is_on_row:
        cursor.at_row += 1
        cursor.is_on_row = False
    while not cursor.has_page or cursor.at_row == cursor.page.columns.rows:
        if cursor.at_segment == cursor.segment_count:
            return 0
        if cursor.has_page:
            leave_page(cursor)
        segment = cursor.run[cursor.at_segment]
        if cursor.at_page == segment.pages:
            leave_segment(cursor)
            continue
        prepare(segment)
        load_page(cursor.page, segment, cursor.at_page)
        cursor.has_page = True
    put_row(cursor)
    return 1


cdef int seek_row(Cursor* cursor, const SegmentRow* key) except -1 nogil:
    """Go to the first row from this one on with this key or a greater one: 1, and 0 at the end."""
    if cursor.is_on_row and compare_rows(&cursor.row, key) >= 0:
        return 1
    if not go_to(cursor, key.client_word, key.tx_word):
        return 0
    while go_to_next(cursor):
        # Rows may have the same words and other ids.
        if compare_rows(&cursor.row, key) >= 0:
            return 1
    return 0


cdef int go_to(Cursor* cursor, const uint64_t client_word, const uint64_t tx_word) except -1 nogil:
    """Go to before the first row from this one on with these words or greater ones: 1, and 0 at the end."""
    cdef OpenSegment* segment
    cursor.is_on_row = False
    while cursor.at_segment < cursor.segment_count:
        segment = cursor.run[cursor.at_segment]
        if compare_words(client_word, tx_word, segment.last.client_word, segment.last.tx_word) > 0:
            leave_segment(cursor)
            continue
        if cursor.has_page:
            cursor.at_row = row_of(cursor.page, cursor.at_row, client_word, tx_word)
            if cursor.at_row < cursor.page.columns.rows:
                return 1
            leave_page(cursor)
        prepare(segment)
        cursor.at_page = page_of(segment, cursor.at_page, client_word, tx_word)
        load_page(cursor.page, segment, cursor.at_page)
        cursor.has_page = True
    return 0


cdef inline void put_row(Cursor* cursor) noexcept nogil:
    """Take the row where the cursor is."""
    take_row(&cursor.row, cursor.page, &cursor.run[cursor.at_segment].form, cursor.at_row)
    cursor.is_on_row = True


cdef void leave_page(Cursor* cursor) noexcept nogil:
    """Go to before the next page."""
    cursor.at_page += 1
    cursor.at_row = 0
    cursor.has_page = False
    if cursor.drops_read and cursor.at_page % DROPPED_PAGES == 0:
        have_read(
            cursor.run[cursor.at_segment], page_offset(cursor.at_page - DROPPED_PAGES),
            page_offset(DROPPED_PAGES) - page_offset(0),
        )


cdef void leave_segment(Cursor* cursor) noexcept nogil:
    """Go to before the next segment."""
    cursor.at_segment += 1
    cursor.at_page = cursor.at_row = 0
    cursor.has_page = False
