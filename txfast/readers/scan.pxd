"""The scanner: makes the rows of a batch from its text. See scan.pyx."""

from txfast.batch.batch cimport TransactionBatch
from txfast.readers.scan_plan cimport Plan

cpdef int scan_lines(TransactionBatch batch) except -1
cdef int scan_text(TransactionBatch batch, const Plan* plan) except -1
cdef int reserve_rows(TransactionBatch batch, Py_ssize_t text_bytes) except -1
cdef int hold_head(TransactionBatch batch, bint is_malformed, Py_ssize_t lines) except -1
