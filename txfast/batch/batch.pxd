"""TransactionBatch: a block of transactions as columns. See batch.pyx."""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from txfast.batch.header cimport Header
from txfast.batch.ids cimport IdSpan

# The type of a transaction. NO_AMOUNT is added where the row has no amount.
cdef enum Kind:
    DEPOSIT = 0
    WITHDRAWAL = 1
    DISPUTE = 2
    RESOLVE = 3
    CHARGEBACK = 4
    REFUND = 5
    REVERSAL = 6
    KIND_COUNT = 7
    KIND_MASK = 7
    NO_AMOUNT = 8

# Why a row is malformed: the first reason that applies, in this order. Their names are in batch.pyx.
cdef enum Malformed:
    WELL_FORMED = 0
    ROW_TOO_LONG
    BAD_QUOTING
    BAD_JSON
    TOO_MANY_FIELDS
    MISSING_FIELD
    BAD_TYPE
    BAD_CLIENT
    BAD_TX
    BAD_CURRENCY
    BAD_AMOUNT
    MALFORMED_COUNT
    # Of the row parser, for a line that is neither well-formed nor malformed:
    BLANK_LINE = MALFORMED_COUNT
    IGNORED_ROW  # by the file's dialect

cdef enum:
    # A reported raw row is cut here.
    ROW_BYTES_KEPT = 1 << 16

cdef class TransactionBatch:
    # Well-formed rows, a column each, in input order.
    cdef uint8_t* kind
    cdef uint64_t* client  # the number; of a text its hash, as in `tx`
    cdef uint64_t* tx
    cdef IdSpan* client_span  # where clients are texts, in the batch's text; NULL before the first such batch
    cdef IdSpan* tx_span
    cdef uint16_t* currency  # its number in the run, where accounts have one; NULL before the first such batch
    cdef int64_t* amount  # units of the last decimal
    cdef uint32_t* offset  # bytes from the start of the block's text to the row
    cdef uint8_t* status  # the ledger's status of the row; not set while its shard is in `unsettled_shards`
    cdef uint32_t* routed  # with several shards: rows by shard, in input order inside each
    cdef uint32_t* shard_starts  # where each shard's rows start in `routed`, and where the last shard's end
    cdef uint32_t shard_capacity  # shards that `shard_starts` has room for
    cdef uint32_t shard_count  # 0 where the rows are not routed
    cdef readonly Py_ssize_t rows
    cdef readonly Py_ssize_t capacity
    cdef Py_ssize_t span_capacity
    cdef Py_ssize_t currency_capacity

    cdef readonly uint64_t unsettled_shards  # a bit for each shard whose rows went to disk and have no status yet

    # Malformed rows, in input order.
    cdef uint8_t* malformed_reason
    cdef uint32_t* malformed_offset
    cdef readonly Py_ssize_t malformed_rows
    cdef readonly Py_ssize_t malformed_capacity

    cdef readonly Py_ssize_t ignored_rows  # rows that are nothing in the file's dialect

    # Rows with line endings inside, well-formed or malformed, in input order: where each begins and ends in the text.
    cdef uint32_t* spanning_offset
    cdef uint32_t* spanning_end
    cdef readonly Py_ssize_t spanning_rows
    cdef readonly Py_ssize_t spanning_capacity
    # The first line inside a quoted field that looks like a row: its index among the lines of the text; -1 for none.
    cdef Py_ssize_t line_like_row

    # The text that the rows came from: whole rows with their endings, and TEXT_SLACK_BYTES after them. NULL where there
    # is none.
    cdef const uint8_t* text
    cdef readonly Py_ssize_t text_bytes
    cdef object block  # keeps the text alive: most often the buffer
    cdef bytearray buffer  # where readers put text; reused with the batch
    cdef public Header header  # of the text; None before the reader has found it, and where there is no text
    cdef bint scanned  # False while the text waits to be scanned
    cdef readonly bint is_head  # the text is the beginning of one row that is too long
    cdef readonly bint is_cut  # rows after the last malformed row were dropped

    # Lines of the text, and of the block before the text: the header, and blank lines before it.
    cdef readonly Py_ssize_t lines
    cdef readonly Py_ssize_t lines_before
    cdef readonly uint64_t first_line  # the number of the text's first line in its file

    cdef public uint64_t input_bytes_read  # bytes of the input that were read when this block was, it included
    cdef public object consumed  # in runs that take checkpoints: the Position in the input after this block

    cdef void release_columns(self) noexcept
    cdef void release_spans(self) noexcept
    cdef void release_malformed(self) noexcept
    cdef void release_spanning(self) noexcept
    cdef const uint32_t* routed_to(self, uint32_t shard, Py_ssize_t* rows) except? NULL
    cdef uint8_t* text_room(self, Py_ssize_t text_bytes) except NULL
    cdef int reserve(self, Py_ssize_t rows, Py_ssize_t malformed_rows, Py_ssize_t spanning_rows) except -1
    cdef int reserve_spans(self) except -1
    cdef int reserve_currencies(self) except -1
    cdef void attach(self, object block, const uint8_t* text, Py_ssize_t text_bytes) noexcept
