"""SliceReader: reads one slice. See slices.pyx."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp

from txfast.batch.batch cimport TransactionBatch
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.load cimport IdForm
from txfast.spill.record cimport Record
from txfast.text.text_hash cimport TextKey

cdef class SliceReader:
    cdef object readinto
    cdef IdForm form  # of all ids
    cdef object currencies  # whose numbers records have; None where accounts have none
    cdef bytearray buffer
    cdef uint8_t* text  # of the buffer
    cdef Py_ssize_t offset  # of the next record in the text
    cdef Py_ssize_t filled  # bytes of the text
    cdef bint at_end  # `readinto` has no more bytes
    cdef bint has_begun  # the version was read
    cdef uint64_t last_tx
    cdef bint wants_details  # the next record has details, for which its ledger has no room

    cdef bint state_is_next(self) except? -1
    cdef int take_next(self, Record* record) except -1
    cdef int refuse_twice(self, Ledger ledger) except -1
    cdef bint has_record(self) except? -1
    cdef int refill(self) except -1
    cdef int take_start(self) except -1
    cdef Py_ssize_t take_rows(self, TransactionBatch batch, Py_ssize_t rows_max) noexcept nogil
    cdef Py_ssize_t take_state(self, Ledger ledger, Py_ssize_t records) noexcept nogil


cdef inline int check_form(Ledger ledger, const IdForm* form) except -1:
    """Raise ValueError for a ledger whose ids have another form: its hashes would be others."""
    if ledger.id_kinds != form.kinds or (
        form.kinds and memcmp(&ledger.table.text_key, &form.key, sizeof(TextKey)) != 0
    ):
        raise ValueError("the ids of this ledger have another form, or another key")
    return 0
