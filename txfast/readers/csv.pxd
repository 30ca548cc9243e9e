"""The CSV reader's scanner, for other readers: it makes rows of the lines in a batch. See csv.pyx."""

from txfast.batch.batch cimport TransactionBatch

cpdef int scan_lines(TransactionBatch batch) except -1
