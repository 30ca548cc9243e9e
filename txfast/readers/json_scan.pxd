"""The scanner of JSON lines: makes the rows of a batch from its text. See json_scan.pyx."""

from txfast.batch.batch cimport TransactionBatch

cpdef int scan_objects(TransactionBatch batch) except -1
cdef int reserve_objects(TransactionBatch batch, Py_ssize_t text_bytes) except -1
