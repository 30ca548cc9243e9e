"""TransactionBatch: a block of transactions as columns, the one thing that passes from readers to ledgers.

A batch keeps the text that its rows came from. A row's raw text and line number are looked up there, and only
when somebody asks; nothing but an offset is stored per row. Batches are reused: a reader fills one again when
its rows have been applied and reported.

This module must not know how text is parsed nor what a transaction does.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

KINDS = ("deposit", "withdrawal", "dispute", "resolve", "chargeback")

cdef Py_ssize_t ROW_BYTES_KEPT = 1 << 16
cdef uint8_t LF = 0x0A
cdef uint8_t CR = 0x0D


cdef class TransactionBatch:
    """Columns of transactions, and which rows of the same block were malformed.

    Readers create it; Python code sees how many `rows` are well-formed, how many `malformed_rows` stand between
    them, the `lines` of the block and the number of its `first_line`, and iterates `report()`.
    """

    def __dealloc__(self):
        self.release_columns()
        self.release_malformed()

    cdef void release_columns(self) noexcept:
        free(self.kind)
        free(self.client)
        free(self.tx)
        free(self.amount)
        free(self.offset)
        free(self.status)
        free(self.routed)
        free(self.shard_starts)
        self.kind = self.status = NULL
        self.routed = self.shard_starts = NULL
        self.client = self.tx = NULL
        self.amount = NULL
        self.offset = NULL
        self.capacity = 0

    cdef void release_malformed(self) noexcept:
        free(self.malformed_reason)
        free(self.malformed_offset)
        self.malformed_reason = NULL
        self.malformed_offset = NULL
        self.malformed_capacity = 0

    cdef int reserve(self, Py_ssize_t rows, Py_ssize_t malformed_rows) except -1:
        """Make room for so many rows of each sort, and forget the rows that were there.

        Room that is never written costs no memory, so callers may ask for the most that a block could hold.
        """
        self.rows = self.malformed_rows = 0
        self.shard_count = 0
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
        return 0

    cdef void attach(self, object block, const uint8_t* text, Py_ssize_t text_bytes) noexcept:
        """Name the text that the rows will be looked up in. `block` is what keeps it alive."""
        self.block = block
        self.text = text
        self.text_bytes = text_bytes
        self.line_starts = NULL
        self.scanned = False
        self.lines = self.lines_before = 0
        self.first_line = 1

    def number_lines(self, uint64_t next_line):
        """Say which line of its file the block begins with; return the number of the line after it.

        Lines are numbered when batches are in order again, since a block is parsed before those in front of it are.
        """
        self.first_line = next_line + self.lines_before
        return self.first_line + self.lines

    def report(self, *, bint applied=False, bint rejected=True, bint malformed=True):
        """Iterate the chosen rows in input order, as (line, malformed reason, status, raw row without its ending,
        cut at 64 KiB).

        Reason and status are codes: at most one of them is not 0, and both are 0 for an applied row. A batch
        that was applied without keeping statuses has none to report, so then only `malformed` may be asked for.
        """
        cdef Py_ssize_t row = 0, bad = 0
        cdef LineCursor cursor = LineCursor(self)
        cdef uint8_t status
        if not (applied or rejected):
            row = self.rows
        if not malformed:
            bad = self.malformed_rows
        while row < self.rows or bad < self.malformed_rows:
            if bad < self.malformed_rows and (
                row == self.rows or self.malformed_offset[bad] < self.offset[row]
            ):
                cursor.move_to(self.malformed_offset[bad])
                yield cursor.line, self.malformed_reason[bad], 0, cursor.text()
                bad += 1
                continue
            status = self.status[row]
            if (rejected and status) or (applied and not status):
                cursor.move_to(self.offset[row])
                yield cursor.line, 0, status, cursor.text()
            row += 1

    def count_malformed(self, list counts not None):
        """Add the batch's malformed rows to a list of counts by reason code."""
        cdef Py_ssize_t row
        cdef Py_ssize_t[256] found
        memset(found, 0, sizeof(found))
        for row in range(self.malformed_rows):
            found[self.malformed_reason[row]] += 1
        for row in range(len(counts)):
            counts[row] += found[row]

    def __len__(self):
        return self.rows


cdef class LineCursor:
    """Walks forward through a batch's text and knows the number of the line that it stands on."""

    cdef TransactionBatch batch
    cdef Py_ssize_t position  # bytes, or lines where the text has line starts
    cdef Py_ssize_t end
    cdef uint64_t line

    def __cinit__(self, TransactionBatch batch):
        self.batch = batch
        self.line = batch.first_line

    cdef void move_to(self, Py_ssize_t offset) noexcept:
        """Go to the line that starts at this offset."""
        cdef const uint8_t* text = self.batch.text
        cdef const int32_t* starts = self.batch.line_starts
        if starts != NULL:
            # Empty lines share their start with the line after them, and are never rows.
            while starts[self.position + 1] <= starts[0] + offset:
                self.position += 1
            self.line = self.batch.first_line + self.position
            return
        while self.position < offset:
            # CR LF is one ending, at its LF.
            if text[self.position] == LF or (
                text[self.position] == CR and text[self.position + 1] != LF
            ):
                self.line += 1
            self.position += 1

    cdef bytes text(self):
        """The raw line, without its ending, cut at 64 KiB."""
        cdef const uint8_t* text = self.batch.text
        cdef const int32_t* starts = self.batch.line_starts
        cdef Py_ssize_t start, last, end = self.position
        if starts != NULL:
            start = starts[self.position] - starts[0]
            end = starts[self.position + 1] - starts[0]
            return text[start:min(end, start + ROW_BYTES_KEPT)]
        last = min(self.batch.text_bytes, self.position + ROW_BYTES_KEPT)
        while end < last and text[end] != LF and text[end] != CR:
            end += 1
        return text[self.position:end]
