"""SegmentWriter and RunWriter: write sorted rows as segments. See segment_writer.pyx."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from txfast.store.segment cimport PageFence
from txfast.store.segment_form cimport COLUMN_COUNT, TEXT_COLUMN_COUNT, Form, SegmentForm
from txfast.store.segment_row cimport RowKey, SegmentRow

cdef class SegmentWriter:
    cdef readonly str path
    cdef readonly uint64_t rows
    cdef SegmentForm form
    cdef Form row_form
    cdef uint64_t number
    cdef int descriptor
    cdef char* unfinished  # the path of a file to remove; NULL once it is finished
    # The rows of the next page, by column.
    cdef uint8_t* staged
    cdef uint8_t* columns[COLUMN_COUNT]
    cdef uint8_t* texts[TEXT_COLUMN_COUNT]
    cdef int32_t[TEXT_COLUMN_COUNT] text_bytes
    cdef int32_t page_rows
    cdef int32_t used_bytes
    # The template of a page's message, and where its numbers are.
    cdef bytes header
    cdef const uint8_t* header_start
    cdef int32_t length_place, node_place, buffer_place
    # Pages that are not in the file yet.
    cdef uint8_t* waiting
    cdef Py_ssize_t waiting_pages
    # By page, and by row.
    cdef PageFence* fences
    cdef uint64_t fence_capacity
    cdef uint64_t pages
    cdef uint64_t* hashes
    cdef uint64_t hash_capacity
    cdef RowKey first
    cdef uint64_t tx_min, tx_max
    cdef SegmentRow last

    cdef int add(self, const SegmentRow* row) except -1 nogil
    cdef int make_room(self) except -1
    cdef void stage_ids(self, const SegmentRow* row, const int32_t place) noexcept nogil
    cdef const uint8_t* stage_text(
        self, const int column, const int32_t place, const uint8_t* text, const int32_t length,
    ) noexcept nogil
    cdef int begin_page(self, const SegmentRow* row) except -1 nogil
    cdef int end_page(self) except -1 nogil
    cdef void put_columns(self, uint8_t* page) noexcept nogil
    cdef int write_waiting(self) except -1 nogil
    cdef int write_all(self, const uint8_t* content, const uint64_t byte_count) except -1 nogil
    cdef int write_bytes(self, bytes content) except -1
    cdef int write_filter(self, uint64_t* index_hash) except -1 nogil
    cdef int grow_fences(self) except -1 nogil
    cdef int grow_hashes(self) except -1 nogil
    cdef int refuse_memory(self) except -1 with gil
    cdef int refuse_order(self) except -1 with gil
    cdef int raise_failure(self, int failure) except -1 with gil

cdef class RunWriter:
    cdef str kind
    cdef object path_of
    cdef Form form
    cdef bint has_details
    cdef uint64_t rows_max
    cdef SegmentWriter writer
    cdef list written

    cdef int add(self, const SegmentRow* row) except -1 nogil
    cdef int begin_segment(self, const SegmentRow* row) except -1 with gil
    cdef int end_segment(self) except -1
