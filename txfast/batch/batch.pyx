"""TransactionBatch: a block of transactions as columns. Readers make it, ledgers apply it.

A batch keeps the text of its rows: whole rows with their endings. A row has only its offset there; its raw text and its
line number are looked up when it is reported (cursor.pyx). Batches are reused: a reader fills one again after its rows
were applied and reported.

This module must not know which rows are well-formed, nor what a transaction does.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from cpython.bytearray cimport PyByteArray_AS_STRING

from txfast.text.bits cimport TEXT_SLACK_BYTES

from txfast.dialect.names import KINDS

# The names of batch.pxd's Malformed, by code.
MALFORMED_REASONS = (
    "", "row_too_long", "bad_quoting", "bad_json", "too_many_fields", "missing_field", "bad_type", "bad_client",
    "bad_tx", "bad_currency", "bad_amount",
)
assert len(KINDS) == KIND_COUNT
assert len(MALFORMED_REASONS) == MALFORMED_COUNT

cdef enum:
    SHARD_BITS = 64


def malformed_by_reason(counts not None):
    """Malformed rows by the name of the reason, from counts by its code."""
    return {reason: counts[code] for code, reason in enumerate(MALFORMED_REASONS) if code}


cdef class TransactionBatch:
    """Columns of well-formed transactions, and the malformed rows among them.

    `rows` and `malformed_rows` are their numbers, `ignored_rows` counts rows that the file's dialect ignores, `lines`
    counts the lines of the text, `first_line` is the number of the first of them, and `header` the header of the file.
    `report()` in cursor.pyx iterates the rows.
    """

    def __dealloc__(self):
        self.release_columns()
        self.release_spans()
        self.release_malformed()
        self.release_spanning()
        free(self.shard_starts)
        free(self.currency)

    cdef void release_columns(self) noexcept:
        free(self.kind)
        free(self.client)
        free(self.tx)
        free(self.amount)
        free(self.offset)
        free(self.status)
        free(self.routed)
        self.kind = self.status = NULL
        self.routed = NULL
        self.client = self.tx = NULL
        self.amount = NULL
        self.offset = NULL
        self.capacity = 0

    cdef void release_spans(self) noexcept:
        free(self.client_span)
        free(self.tx_span)
        self.client_span = self.tx_span = NULL
        self.span_capacity = 0

    cdef void release_malformed(self) noexcept:
        free(self.malformed_reason)
        free(self.malformed_offset)
        self.malformed_reason = NULL
        self.malformed_offset = NULL
        self.malformed_capacity = 0

    cdef void release_spanning(self) noexcept:
        free(self.spanning_offset)
        free(self.spanning_end)
        self.spanning_offset = self.spanning_end = NULL
        self.spanning_capacity = 0

    cdef int reserve(self, Py_ssize_t rows, Py_ssize_t malformed_rows, Py_ssize_t spanning_rows) except -1:
        """Make room for this many rows of each sort, and forget the rows that were there. Raises MemoryError.

        Memory that is never written costs nothing, so callers may reserve the most that a block could hold.
        """
        self.rows = self.malformed_rows = self.spanning_rows = self.ignored_rows = 0
        self.shard_count = 0
        self.unsettled_shards = 0
        if rows > self.capacity:
            self.release_columns()
            self.kind = <uint8_t*>malloc(rows * sizeof(uint8_t))
            self.client = <uint64_t*>malloc(rows * sizeof(uint64_t))
            self.tx = <uint64_t*>malloc(rows * sizeof(uint64_t))
            self.amount = <int64_t*>malloc(rows * sizeof(int64_t))
            self.offset = <uint32_t*>malloc(rows * sizeof(uint32_t))
            self.status = <uint8_t*>malloc(rows * sizeof(uint8_t))
            self.routed = <uint32_t*>malloc(rows * sizeof(uint32_t))
            if not (
                self.kind and self.client and self.tx and self.amount and self.offset and self.status and self.routed
            ):
                self.release_columns()
                raise MemoryError(f"no memory for a batch of {rows} rows")
            self.capacity = rows
        if malformed_rows > self.malformed_capacity:
            self.release_malformed()
            self.malformed_reason = <uint8_t*>malloc(malformed_rows * sizeof(uint8_t))
            self.malformed_offset = <uint32_t*>malloc(malformed_rows * sizeof(uint32_t))
            if not (self.malformed_reason and self.malformed_offset):
                self.release_malformed()
                raise MemoryError(f"no memory for a batch of {malformed_rows} malformed rows")
            self.malformed_capacity = malformed_rows
        if spanning_rows > self.spanning_capacity:
            self.release_spanning()
            self.spanning_offset = <uint32_t*>malloc(spanning_rows * sizeof(uint32_t))
            self.spanning_end = <uint32_t*>malloc(spanning_rows * sizeof(uint32_t))
            if not (self.spanning_offset and self.spanning_end):
                self.release_spanning()
                raise MemoryError(f"no memory for a batch of {spanning_rows} rows with line endings inside")
            self.spanning_capacity = spanning_rows
        return 0

    cdef int reserve_spans(self) except -1:
        """Make room for where the ids of all rows are, which `reserve` has made room for. Raises MemoryError."""
        if self.capacity > self.span_capacity:
            self.release_spans()
            self.client_span = <IdSpan*>malloc(self.capacity * sizeof(IdSpan))
            self.tx_span = <IdSpan*>malloc(self.capacity * sizeof(IdSpan))
            if not (self.client_span and self.tx_span):
                self.release_spans()
                raise MemoryError(f"no memory for the ids of a batch of {self.capacity} rows")
            self.span_capacity = self.capacity
        return 0

    cdef int reserve_currencies(self) except -1:
        """Make room for the currencies of all rows, which `reserve` has made room for. Raises MemoryError."""
        if self.capacity > self.currency_capacity:
            free(self.currency)
            self.currency_capacity = 0
            self.currency = <uint16_t*>malloc(self.capacity * sizeof(uint16_t))
            if self.currency == NULL:
                raise MemoryError(f"no memory for the currencies of a batch of {self.capacity} rows")
            self.currency_capacity = self.capacity
        return 0

    cdef uint8_t* text_room(self, Py_ssize_t text_bytes) except NULL:
        """The batch's buffer, with room for a text of this size and TEXT_SLACK_BYTES after it."""
        if self.buffer is None or len(self.buffer) < text_bytes + TEXT_SLACK_BYTES:
            self.buffer = bytearray(text_bytes + TEXT_SLACK_BYTES)
        return <uint8_t*>PyByteArray_AS_STRING(self.buffer)

    cdef void attach(self, object block, const uint8_t* text, Py_ssize_t text_bytes) noexcept:
        """Set the text that rows are looked up in, and forget header and line numbers. `block` keeps the text alive."""
        self.block = block
        self.text = text
        self.text_bytes = text_bytes
        self.header = None
        self.scanned = self.is_cut = self.is_head = False
        self.lines = self.lines_before = 0
        self.line_like_row = -1
        self.first_line = 1

    def number_lines(self, uint64_t next_line):
        """Number the block's lines, from the number of its first line on; return the number of the line after it.

        Blocks are parsed out of order, so lines are numbered later, when batches are in order again.
        """
        self.first_line = next_line + self.lines_before
        return self.first_line + self.lines

    def leave_unsettled(self, int shard):
        """Note that a shard's rows went to disk: they have no status yet."""
        if not 0 <= shard < SHARD_BITS:
            raise IndexError(f"shard {shard}: must be from 0 to {SHARD_BITS - 1}")
        self.unsettled_shards |= <uint64_t>1 << shard

    cdef const uint32_t* routed_to(self, uint32_t shard, Py_ssize_t* rows) except? NULL:
        """The rows of a shard, and their number; NULL for all rows of a batch that was not routed."""
        if not self.shard_count:
            rows[0] = self.rows
            return NULL
        if shard >= self.shard_count:
            raise IndexError(f"no shard {shard} in a batch of {self.shard_count}")
        rows[0] = self.shard_starts[shard + 1] - self.shard_starts[shard]
        if self.routed == NULL:  # the batch never had a row
            return NULL
        return self.routed + self.shard_starts[shard]

    def shard_rows(self, uint32_t shard):
        """The number of rows for a shard: all rows where the batch was not routed."""
        cdef Py_ssize_t rows
        self.routed_to(shard, &rows)
        return rows

    @property
    def row_in_quotes(self):
        """The number of the first line inside a quoted field that looks like a row, once lines are numbered; or 0."""
        return 0 if self.line_like_row < 0 else self.first_line + self.line_like_row

    def raw_text(self):
        """A copy of the text. Each row has an ending, but the head of a row that is too long has none."""
        cdef bytes text
        if self.text == NULL:
            return b""
        text = self.text[:self.text_bytes]
        is_whole = self.block is not self.buffer or text.endswith((b"\n", b"\r")) or not text
        return text if is_whole else text + b"\n"

    def cut(self, Py_ssize_t malformed_rows):
        """Forget all rows after a malformed row, counted from 1. The batch is then `is_cut`."""
        if not 1 <= malformed_rows <= self.malformed_rows:
            raise IndexError(f"no malformed row {malformed_rows} in a batch that has {self.malformed_rows}")
        self.malformed_rows = malformed_rows
        while self.rows and self.offset[self.rows - 1] > self.malformed_offset[malformed_rows - 1]:
            self.rows -= 1
        self.shard_count = 0
        self.is_cut = True

    def count_malformed(self, list counts not None):
        """Add the malformed rows to a list of counts by reason code."""
        cdef Py_ssize_t row
        cdef Py_ssize_t[256] found
        memset(found, 0, sizeof(found))
        for row in range(self.malformed_rows):
            found[self.malformed_reason[row]] += 1
        for row in range(len(counts)):
            counts[row] += found[row]

    def __len__(self):
        return self.rows
