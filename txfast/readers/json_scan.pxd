"""The scanner of JSON lines: makes the rows of a batch from its text. See json_scan.pyx."""

from txfast.batch.batch cimport TransactionBatch
from txfast.readers.scan_plan cimport Plan

cdef int scan_objects_by(TransactionBatch batch, const Plan* plan) except -1
cdef int reserve_objects(TransactionBatch batch, Py_ssize_t text_bytes, const Plan* plan) except -1
