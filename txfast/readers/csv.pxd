"""What other readers take from the CSV reader: the scanner of a batch that holds lines. See csv.pyx."""

from txfast.batch.batch cimport TransactionBatch

cpdef int scan_lines(TransactionBatch batch) except -1
