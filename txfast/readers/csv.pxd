"""What others need to have lines scanned. See scan.pyx."""

from txfast.batch.batch cimport TransactionBatch

cdef extern from "txfast/text/intrinsics.h" nogil:
    enum:
        # Bytes behind a block that the fast path may read.
        SLACK_BYTES "TXFAST_SLACK_BYTES"

cdef int scan_lines(TransactionBatch batch) except -1
