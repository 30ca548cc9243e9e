"""SegmentWriter: writes sorted rows as a segment. RunWriter: writes them as several, each of so many rows at most.

A segment is an Arrow IPC file that other programs can read:

    the schema          SCHEMA_BYTES: Arrow's magic bytes and the message with the schema
    rows                pages of PAGE_BYTES: a record batch each
    a gap               of GAP_BYTES; it begins with the end of the Arrow stream
    the filter          of all keys (key_filter.pxd)
    the index           a PageFence for each page of rows, then the hash of each page of the filter
    the footer          of the Arrow file

Pages of the filter and the index have hashes too. `finish` returns the description of the segment, without which it
cannot be read: its number of rows and pages, its first and its last key, the hash of its index.

This module must not know which rows are written, nor where a state has its files.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset, strdup

from txfast.ledger.aligned_memory cimport allocate_zeroed
from txfast.store.file_calls cimport close_file, create_file, remove_file, sync_file, write_file
from txfast.store.key_filter cimport blocks_for, fill_filter, filter_bytes, filter_hash
from txfast.store.page_hash cimport hash_page
from txfast.store.row_values cimport RowRoom, read_values
from txfast.store.segment cimport (
    FILTER_NUMBER, GAP_BYTES, INDEX_NUMBER, SCHEMA_BYTES, filter_page_bytes, filter_pages, index_bytes,
)
from txfast.store.segment_form cimport (
    AMOUNT, CLIENT, CURRENCY, HELD, KIND, MAX_TX, MOVED, PAGE_BYTES, PAGE_ROWS_MAX, REFUNDED, STATE, TX, padded,
)
from txfast.store.segment_row cimport compare_rows
from txfast.text.text_hash cimport TEXT_HASH_SLACK_BYTES, copy_text

import os

from txfast.errors import unwritable
from txfast.store.arrow_frame import END_OF_STREAM, footer, page_header, places, start_of_file

cdef enum:
    WAITING_PAGES_MAX = 64  # written at once
    FENCES_MIN = 64
    HASHES_MIN = 1024

# Rows of a segment: its filter takes 8 MiB while it is written, and the hashes of its keys 32 MiB.
SEGMENT_ROWS_MAX = 1 << 22


cdef class SegmentWriter:
    """Writes the rows of a segment, in ascending order of their keys: call `add` for each, then `finish`.

    `number` is any number below 2^63, by which the segment's pages are told from those of others. The file must not be
    there yet; it is removed if the segment is not finished. Raises SourceError and MemoryError.
    """

    def __cinit__(self, str path not None, Form form not None, uint64_t number, *, bint has_details=False):
        self.descriptor = -1
        self.path = path
        self.row_form = form
        self.form = form.forms[has_details]
        self.number = number
        self.tx_min = ~<uint64_t>0
        self.make_room()
        columns = form.columns(has_details)
        self.header = page_header(columns, PAGE_BYTES)
        self.header_start = self.header
        self.length_place, self.node_place, self.buffer_place = places(self.header)
        encoded = os.fsencode(path)
        self.descriptor = create_file(encoded)
        if self.descriptor < 0:
            self.raise_failure(self.descriptor)
        self.unfinished = strdup(encoded)
        self.write_bytes(start_of_file(columns, SCHEMA_BYTES))

    def __dealloc__(self):
        if self.descriptor >= 0:
            close_file(self.descriptor)
        if self.unfinished != NULL:
            remove_file(self.unfinished)
        free(self.unfinished)
        free(self.staged)
        free(self.waiting)
        free(self.fences)
        free(self.hashes)

    cdef int make_room(self) except -1:
        """Allocate memory for the rows of a page, and for the pages that are written at once."""
        cdef Py_ssize_t byte_count = 0
        cdef uint8_t* room
        cdef int column
        for column in range(COLUMN_COUNT):
            byte_count += padded((PAGE_ROWS_MAX + 1) * <Py_ssize_t>self.form.widths[column])
        byte_count += TEXT_COLUMN_COUNT * <Py_ssize_t>(PAGE_BYTES + TEXT_HASH_SLACK_BYTES)
        self.staged = room = <uint8_t*>malloc(byte_count)
        self.waiting = <uint8_t*>malloc(WAITING_PAGES_MAX * PAGE_BYTES)
        if room == NULL or self.waiting == NULL:
            raise MemoryError("no memory to write a segment")
        for column in range(COLUMN_COUNT):
            self.columns[column] = room
            room += padded((PAGE_ROWS_MAX + 1) * <Py_ssize_t>self.form.widths[column])
        for column in range(TEXT_COLUMN_COUNT):
            self.texts[column] = room
            room += PAGE_BYTES + TEXT_HASH_SLACK_BYTES
        return 0

    def add_row(self, tuple values not None):
        """Add a row of Python values (row_values.pyx)."""
        cdef SegmentRow row
        cdef RowRoom room
        read_values(&row, &self.form, values, &room)
        self.add(&row)

    cdef int add(self, const SegmentRow* row) except -1 nogil:
        """Add a row, whose key must be greater than that of the row before."""
        cdef SegmentForm* form = &self.form
        cdef int32_t byte_count = form.row_bytes
        cdef int32_t place
        if self.rows:
            if compare_rows(&self.last, row) >= 0:
                self.refuse_order()
        else:
            self.first.client_word = row.client_word
            self.first.tx_word = row.tx_word
        if form.are_texts[CLIENT]:
            byte_count += row.client.length
        if form.are_texts[CURRENCY]:
            byte_count += <int32_t>(row.currency.second >> 56)
        if form.are_texts[TX]:
            byte_count += row.tx.length
        if self.used_bytes + byte_count > form.room_bytes:
            self.end_page()
        if not self.page_rows:
            self.begin_page(row)
        if self.rows == self.hash_capacity:
            self.grow_hashes()
        self.hashes[self.rows] = filter_hash(&form.filter_key, row.client_word, row.tx_word)
        self.rows += 1
        self.tx_min = min(self.tx_min, row.tx_word)
        self.tx_max = max(self.tx_max, row.tx_word)
        self.used_bytes += byte_count
        place = self.page_rows
        self.page_rows += 1
        self.stage_ids(row, place)
        (<int64_t*>self.columns[AMOUNT])[place] = row.amount
        self.columns[KIND][place] = row.kind
        if form.are_accounts:
            (<int64_t*>self.columns[HELD])[place] = row.held
            (<uint64_t*>self.columns[MAX_TX])[place] = row.max_tx
        else:
            self.columns[STATE][place] = row.state
        if form.has_details:
            (<int64_t*>self.columns[REFUNDED])[place] = row.refunded
            (<int64_t*>self.columns[MOVED])[place] = row.moved
        return 0

    cdef void stage_ids(self, const SegmentRow* row, const int32_t place) noexcept nogil:
        """Put the ids of a row into the columns, and note its key as the last one."""
        cdef SegmentForm* form = &self.form
        self.last = row[0]
        if form.are_texts[CLIENT]:
            self.last.client.text = self.stage_text(CLIENT, place, row.client.text, row.client.length)
        else:
            (<uint64_t*>self.columns[CLIENT])[place] = row.client.number
        if form.are_texts[CURRENCY]:
            self.stage_text(CURRENCY, place, <const uint8_t*>&row.currency, <int32_t>(row.currency.second >> 56))
        if form.are_accounts:
            return
        if form.are_texts[TX]:
            self.last.tx.text = self.stage_text(TX, place, row.tx.text, row.tx.length)
        else:
            (<uint64_t*>self.columns[TX])[place] = row.tx.number

    cdef const uint8_t* stage_text(
        self, const int column, const int32_t place, const uint8_t* text, const int32_t length,
    ) noexcept nogil:
        """Put a text into a column; return where it is now. It stays there until the first row of the next page."""
        cdef uint8_t* staged = self.texts[column] + self.text_bytes[column]
        copy_text(staged, text, length)
        self.text_bytes[column] += length
        (<int32_t*>self.columns[column])[place + 1] = self.text_bytes[column]
        return staged

    # ---- Pages ---------------------------------------------------------------------------------------

    cdef int begin_page(self, const SegmentRow* row) except -1 nogil:
        """Begin a page with this row."""
        cdef int column = 0
        if self.pages == self.fence_capacity:
            self.grow_fences()
        self.fences[self.pages].client_word = row.client_word
        self.fences[self.pages].tx_word = row.tx_word
        self.used_bytes = 0
        for column in range(TEXT_COLUMN_COUNT):
            self.text_bytes[column] = 0
            if self.form.are_texts[column]:
                (<int32_t*>self.columns[column])[0] = 0
        return 0

    cdef int end_page(self) except -1 nogil:
        """Put the rows together as a page."""
        cdef uint8_t* page = self.waiting + self.waiting_pages * PAGE_BYTES
        cdef PageFence* fence = &self.fences[self.pages]
        memcpy(page, self.header_start, self.form.header_bytes)
        self.put_columns(page)
        fence.rows = self.page_rows
        fence.hash = hash_page(page, PAGE_BYTES, self.number, self.pages)
        self.pages += 1
        self.page_rows = 0
        self.waiting_pages += 1
        if self.waiting_pages == WAITING_PAGES_MAX:
            self.write_waiting()
        return 0

    cdef void put_columns(self, uint8_t* page) noexcept nogil:
        """Put the columns into a page, and say in its message where they are."""
        cdef int64_t[2] node = [self.page_rows, 0]
        cdef uint8_t* nodes = page + self.node_place
        cdef uint8_t* buffers = page + self.buffer_place
        cdef uint8_t* body = page + self.form.header_bytes
        cdef uint8_t* out = body
        cdef uint8_t* column_start
        cdef int column = 0
        memcpy(page + self.length_place, node, sizeof(int64_t))
        for column in range(COLUMN_COUNT):
            if not self.form.widths[column]:
                continue
            memcpy(nodes, node, sizeof(node))
            nodes += sizeof(node)
            column_start = out
            buffers = put_buffer(buffers, out - body, 0)  # all values are there
            if column < TEXT_COLUMN_COUNT and self.form.are_texts[column]:
                out = put_column(out, self.columns[column], (self.page_rows + 1) * <Py_ssize_t>sizeof(int32_t))
                buffers = put_buffer(buffers, column_start - body, (self.page_rows + 1) * <int64_t>sizeof(int32_t))
                buffers = put_buffer(buffers, out - body, self.text_bytes[column])
                out = put_column(out, self.texts[column], self.text_bytes[column])
            else:
                out = put_column(out, self.columns[column], self.page_rows * <Py_ssize_t>self.form.widths[column])
                buffers = put_buffer(
                    buffers, column_start - body, self.page_rows * <int64_t>self.form.widths[column],
                )
        memset(out, 0, page + PAGE_BYTES - out)

    cdef int write_waiting(self) except -1 nogil:
        """Write the pages that wait."""
        cdef Py_ssize_t pages = self.waiting_pages
        self.waiting_pages = 0
        return self.write_all(self.waiting, pages * PAGE_BYTES)

    cdef int write_all(self, const uint8_t* content, const uint64_t byte_count) except -1 nogil:
        """Write bytes at the end of the file."""
        cdef int failure = write_file(self.descriptor, content, byte_count)
        if failure:
            self.raise_failure(failure)
        return 0

    cdef int write_bytes(self, bytes content) except -1:
        cdef const uint8_t* start = content
        return self.write_all(start, len(content))

    # ---- What follows the pages ----------------------------------------------------------------------

    def finish(self, *, bint durable=True):
        """Write what follows the rows; return the description of the segment, values for JSON by name. The file is on
        disk then, where `durable`. Raises ValueError where there are no rows."""
        cdef int failure = 0
        cdef uint64_t index_hash = 0
        if not self.rows:
            raise ValueError("a segment without rows")
        if self.descriptor < 0:
            raise ValueError("the segment is finished")
        with nogil:
            if self.page_rows:
                self.end_page()
            self.write_waiting()
        self.write_bytes(END_OF_STREAM.ljust(GAP_BYTES, b"\0"))
        with nogil:
            self.write_filter(&index_hash)
        self.write_bytes(
            footer(
                self.row_form.columns(self.form.has_details), self.pages, self.form.header_bytes, PAGE_BYTES,
                SCHEMA_BYTES,
            )
        )
        if durable:
            with nogil:
                failure = sync_file(self.descriptor)
            if failure:
                self.raise_failure(failure)
        close_file(self.descriptor)
        self.descriptor = -1
        free(self.unfinished)
        self.unfinished = NULL
        return {
            "rows": self.rows,
            "pages": self.pages,
            "number": self.number,
            "first": [self.first.client_word, self.first.tx_word],
            "last": [self.last.client_word, self.last.tx_word],
            "tx_min": self.tx_min,
            "tx_max": self.tx_max,
            "has_details": bool(self.form.has_details),
            "index_hash": index_hash,
        }

    cdef int write_filter(self, uint64_t* index_hash) except -1 nogil:
        """Write the filter and the index."""
        cdef uint64_t blocks = blocks_for(self.rows), page
        cdef uint64_t fence_bytes = self.pages * sizeof(PageFence)
        cdef void* allocation = NULL
        cdef uint8_t* filter = <uint8_t*>allocate_zeroed(filter_bytes(blocks), &allocation)
        cdef uint8_t* index = <uint8_t*>malloc(index_bytes(self.pages, blocks))
        cdef uint64_t* hashes
        try:
            if filter == NULL or index == NULL:
                with gil:
                    raise MemoryError(f"no memory for the index of {self.rows} rows")
            fill_filter(filter, blocks, &self.form.filter_key, self.hashes, self.rows)
            memset(index, 0, index_bytes(self.pages, blocks))
            memcpy(index, self.fences, fence_bytes)
            hashes = <uint64_t*>(index + fence_bytes)
            for page in range(filter_pages(blocks)):
                hashes[page] = hash_page(
                    filter + page * PAGE_BYTES, filter_page_bytes(blocks, page), self.number,
                    <uint64_t>FILTER_NUMBER + page,
                )
            index_hash[0] = hash_page(index, index_bytes(self.pages, blocks), self.number, <uint64_t>INDEX_NUMBER)
            self.write_all(filter, filter_bytes(blocks))
            self.write_all(index, index_bytes(self.pages, blocks))
        finally:
            free(allocation)
            free(index)
        return 0

    # ---- Memory and failures -------------------------------------------------------------------------

    cdef int grow_fences(self) except -1 nogil:
        cdef uint64_t capacity = max(2 * self.fence_capacity, <uint64_t>FENCES_MIN)
        cdef void* grown = realloc(self.fences, capacity * sizeof(PageFence))
        if grown == NULL:
            self.refuse_memory()
        self.fences = <PageFence*>grown
        self.fence_capacity = capacity
        return 0

    cdef int grow_hashes(self) except -1 nogil:
        cdef uint64_t capacity = max(2 * self.hash_capacity, <uint64_t>HASHES_MIN)
        cdef void* grown = realloc(self.hashes, capacity * sizeof(uint64_t))
        if grown == NULL:
            self.refuse_memory()
        self.hashes = <uint64_t*>grown
        self.hash_capacity = capacity
        return 0

    cdef int refuse_memory(self) except -1 with gil:
        raise MemoryError(f"no memory for the index of {self.rows} rows")

    cdef int refuse_order(self) except -1 with gil:
        raise ValueError(f"{self.path}: row {self.rows} has no greater key than the one before")

    cdef int raise_failure(self, int failure) except -1 with gil:
        """Raise SourceError for an error of the system, which is below 0."""
        raise unwritable(self.path, OSError(-failure, os.strerror(-failure)))


cdef inline uint8_t* put_buffer(uint8_t* out, const int64_t offset, const int64_t byte_count) noexcept nogil:
    """Say where a buffer of a column is; return the place of the next one."""
    cdef int64_t[2] buffer = [offset, byte_count]
    memcpy(out, buffer, sizeof(buffer))
    return out + sizeof(buffer)


cdef inline uint8_t* put_column(uint8_t* out, const uint8_t* column, const Py_ssize_t byte_count) noexcept nogil:
    """Put a column into a page; return the place of the next one."""
    cdef Py_ssize_t end = padded(byte_count)
    memcpy(out, column, byte_count)
    memset(out + byte_count, 0, end - byte_count)
    return out + end


cdef class RunWriter:
    """Writes sorted rows as the segments of a run: call `add` for each row, then `finish`.

    `path_of(kind, number)` names the file of a segment, by the `kind` given and a number from 0 on.
    """

    def __cinit__(self, str kind not None, path_of, Form form not None, bint has_details=False):
        self.kind = kind
        self.path_of = path_of
        self.form = form
        self.has_details = has_details
        self.rows_max = SEGMENT_ROWS_MAX
        self.written = []

    def add_row(self, tuple values not None):
        """Add a row of Python values (row_values.pyx)."""
        cdef SegmentRow row
        cdef RowRoom room
        read_values(&row, &self.form.forms[self.has_details], values, &room)
        self.add(&row)

    cdef int add(self, const SegmentRow* row) except -1 nogil:
        """Add a row, whose key must be greater than that of the row before."""
        if self.writer is None or self.writer.rows == self.rows_max:
            self.begin_segment(row)
        return self.writer.add(row)

    cdef int begin_segment(self, const SegmentRow* row) except -1 with gil:
        """Begin the next segment, with this row."""
        if self.writer is not None:
            if compare_rows(&self.writer.last, row) >= 0:
                self.writer.refuse_order()
            self.end_segment()
        path = self.path_of(self.kind, len(self.written))
        number = int.from_bytes(os.urandom(8), "little") >> 1
        self.writer = SegmentWriter(path, self.form, number, has_details=self.has_details)
        return 0

    cdef int end_segment(self) except -1:
        writer, self.writer = self.writer, None
        self.written.append((writer.path, writer.finish(durable=False)))
        return 0

    def finish(self, bint durable=True):
        """End the run; return the paths and the descriptions of its segments in order. They are on disk then, where
        `durable`. Raises SourceError and MemoryError."""
        if self.writer is not None:
            self.end_segment()
        if durable:
            for path, _ in self.written:
                sync(path)
        return self.written


def sync(path):
    """See that a file is on disk. Raises SourceError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unwritable(path, error) from error
