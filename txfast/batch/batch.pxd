"""TransactionBatch: what readers make and ledgers take. See batch.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from txfast.batch.header cimport Header

# The kind of a transaction; NO_AMOUNT is added where the row has none.
cdef enum Kind:
    DEPOSIT = 0
    WITHDRAWAL = 1
    DISPUTE = 2
    RESOLVE = 3
    CHARGEBACK = 4
    KIND_COUNT = 5
    KIND_MASK = 7
    NO_AMOUNT = 8

# Why a row is malformed: the first reason that applies, in this order. Their names are in batch.pyx.
cdef enum Malformed:
    WELL_FORMED = 0
    ROW_TOO_LONG
    BAD_QUOTING
    MISSING_FIELD
    BAD_TYPE
    BAD_CLIENT
    BAD_TX
    BAD_AMOUNT
    BLANK_LINE  # not malformed: no row at all
    MALFORMED_COUNT = BLANK_LINE

cdef extern from "txfast/text/intrinsics.h" nogil:
    enum:
        # Bytes behind a batch's text that may be read, so that the scanner reads whole windows.
        TEXT_SLACK_BYTES "TXFAST_SLACK_BYTES"

cdef enum:
    # A reported raw row is cut here.
    ROW_BYTES_KEPT = 1 << 16

cdef class TransactionBatch:
    # Well-formed rows, a column each, in input order.
    cdef uint8_t* kind
    cdef uint64_t* client
    cdef uint64_t* tx
    cdef int64_t* amount  # units of 0.0001
    cdef uint32_t* offset  # bytes from the start of the block's text to the row
    cdef uint8_t* status  # what the ledger made of the row, where it was asked to say
    cdef uint32_t* routed  # rows by shard, in input order inside each; only where there are several shards
    cdef uint32_t* shard_starts  # where each shard's rows start in `routed`, and where the last one's end
    cdef uint32_t shard_capacity  # shards that `shard_starts` has room for
    cdef uint32_t shard_count  # 0 where the rows are not routed
    cdef readonly Py_ssize_t rows
    cdef readonly Py_ssize_t capacity

    cdef readonly uint64_t unsettled_shards  # a bit for each whose rows went to disk, and have no status yet

    # Malformed rows, in input order.
    cdef uint8_t* malformed_reason
    cdef uint32_t* malformed_offset
    cdef readonly Py_ssize_t malformed_rows
    cdef readonly Py_ssize_t malformed_capacity

    # The block of text that the rows came from, kept alive for rejects.
    cdef object block
    cdef public Header header  # of the text; None before the reader has found it, and where there is no text
    cdef bytearray buffer  # where readers put text; reused with the batch
    cdef readonly bint is_cut  # there were rows behind these, which nobody wants
    cdef public uint64_t input_bytes_read  # of its input, when this block was
    cdef public object consumed  # where its input was when it was read, for those who keep that
    cdef bint scanned  # False while the text waits to be scanned
    cdef const uint8_t* text
    cdef readonly Py_ssize_t text_bytes
    # Lines of the text, and of the block before it (a header, blank lines before that).
    cdef readonly Py_ssize_t lines
    cdef readonly Py_ssize_t lines_before
    cdef readonly uint64_t first_line

    cdef void release_columns(self) noexcept
    cdef void release_malformed(self) noexcept
    cdef const uint32_t* routed_to(self, uint32_t shard, Py_ssize_t* rows) except? NULL
    cdef uint8_t* text_room(self, Py_ssize_t text_bytes) except NULL
    cdef int reserve(self, Py_ssize_t rows, Py_ssize_t malformed_rows) except -1
    cdef void attach(self, object block, const uint8_t* text, Py_ssize_t text_bytes) noexcept
