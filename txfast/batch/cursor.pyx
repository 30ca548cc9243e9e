"""RowCursor and report(): the rows of a batch that are reported, in input order, with their line numbers and texts.

Nothing is looked up before a row is reported: of each row the batch has only its offset in the text.

This module must not know who reports, nor why a row was rejected.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize

from txfast.batch.batch cimport ROW_BYTES_KEPT, TransactionBatch
from txfast.batch.header cimport NO_COLUMN, columns_at
from txfast.batch.json_object cimport JSON_ROOM_BYTES
from txfast.text.bits cimport WINDOW_BYTES, WORD_BYTES, count_bits, lowest_bit, match_64
from txfast.text.csv_in cimport default_syntax
from txfast.text.endings cimport CR, LF, count_lines, find_ending

cdef enum:
    MALFORMED_BIT = 0x80

# Marks the bytes of malformed rows in `outcomes_of`.
MALFORMED = MALFORMED_BIT

# Greater than the offset of any row.
cdef uint64_t NO_OFFSET = <uint64_t>1 << 32


def report(TransactionBatch batch not None, *, bint applied=False, bint rejected=True, bint malformed=True):
    """Iterate a batch's chosen rows in input order: (line number, malformed reason, status, raw row).

    Reason and status are codes: an index in MALFORMED_REASONS and one in the ledger's STATUSES. At most one of them is
    not 0; both are 0 for an applied row. The raw row has no line ending and is cut at 64 KiB. Of a batch that was not
    applied, choose `malformed` alone. Raises ValueError where well-formed rows are chosen of a batch without text.
    """
    cdef RowCursor cursor = RowCursor(batch, applied=applied, rejected=rejected, malformed=malformed)
    while cursor.advance():
        yield (
            cursor.line, cursor.malformed_reason, cursor.status,
            cursor.start[:min(cursor.end - cursor.start, ROW_BYTES_KEPT)],
        )


def outcomes_of(TransactionBatch batch not None):
    """What became of each row of an applied batch, a byte each, in input order: the ledger's status; of a malformed row
    MALFORMED and the reason."""
    cdef bytes outcomes = PyBytes_FromStringAndSize(NULL, batch.rows + batch.malformed_rows)
    cdef uint8_t* out = <uint8_t*>PyBytes_AS_STRING(outcomes)
    cdef Py_ssize_t row = 0, malformed
    with nogil:
        for malformed in range(batch.malformed_rows):
            while row < batch.rows and batch.offset[row] < batch.malformed_offset[malformed]:
                out[0] = batch.status[row]
                out += 1
                row += 1
            out[0] = MALFORMED_BIT | batch.malformed_reason[malformed]
            out += 1
        if row < batch.rows:
            memcpy(out, &batch.status[row], batch.rows - row)
    return outcomes


cdef class RowCursor:
    """Walks through a batch's rows in input order, and stops at each wanted row.

    After `advance()`: `line` is the row's line number; `start` and `end` are the bounds of its raw text, without the
    line ending and not cut; `malformed_reason` and `status` are codes as in `report()`. Raises ValueError where
    well-formed rows are wanted of a batch without text.
    """

    def __cinit__(
        self, TransactionBatch batch not None, *, bint applied=False, bint rejected=True, bint malformed=True,
    ):
        if batch.text == NULL and batch.rows and (applied or rejected):
            raise ValueError("the rows were not kept as text")
        self.batch = batch
        # Without a header no row has any of the four texts.
        self.form.columns = columns_at(NO_COLUMN, NO_COLUMN, NO_COLUMN, NO_COLUMN, 0)
        self.form.syntax = default_syntax()
        self.form.keys = NULL
        if batch.header is not None:
            self.form = batch.header.form
            if batch.header.is_json:
                self.json_room = <uint8_t*>malloc(JSON_ROOM_BYTES)
                if self.json_room == NULL:
                    raise MemoryError("no memory for the texts of a row")
        self.has_raw_rows = batch.header is None or not batch.header.of_table
        self.wants_applied = applied
        self.wants_rejected = rejected
        self.wants_malformed = malformed
        self.counted_line = batch.first_line
        self.without_blank_lines = batch.lines == batch.rows + batch.malformed_rows

    def __dealloc__(self):
        free(self.json_room)

    cdef bint advance(self) noexcept nogil:
        """Go to the next wanted row; False where there is none."""
        cdef const uint32_t* offsets = self.batch.offset
        cdef const uint8_t* statuses = self.batch.status
        cdef bint wants_applied = self.wants_applied
        cdef bint wants_rejected = self.wants_rejected
        cdef Py_ssize_t row = self.rows_passed
        cdef Py_ssize_t rows = self.batch.rows
        cdef uint64_t malformed_offset, eight_statuses
        cdef bint malformed_follows
        while True:
            malformed_follows = self.malformed_passed < self.batch.malformed_rows
            malformed_offset = NO_OFFSET
            if malformed_follows:
                malformed_offset = self.batch.malformed_offset[self.malformed_passed]
            while row < rows and offsets[row] < malformed_offset:
                # Pass over eight applied rows at once: most rows are applied, and mostly those are not wanted.
                if not wants_applied and row + WORD_BYTES <= rows and offsets[row + WORD_BYTES - 1] < malformed_offset:
                    memcpy(&eight_statuses, &statuses[row], WORD_BYTES)
                    if not eight_statuses:
                        row += WORD_BYTES
                        continue
                    if wants_rejected:
                        row += lowest_bit(eight_statuses) >> 3
                if wants_rejected if statuses[row] else wants_applied:
                    self.malformed_reason = 0
                    self.status = statuses[row]
                    self.stand_on(offsets[row], row + self.malformed_passed)
                    self.rows_passed = row + 1
                    return True
                row += 1
            self.rows_passed = row
            if not malformed_follows:
                return False
            self.malformed_passed += 1
            if self.wants_malformed:
                self.malformed_reason = self.batch.malformed_reason[self.malformed_passed - 1]
                self.status = 0
                self.stand_on(malformed_offset, row + self.malformed_passed - 1)
                return True

    cdef void stand_on(self, Py_ssize_t offset, Py_ssize_t rows_before) noexcept nogil:
        """Find the line number and the bounds of the row at an offset; `rows_before` counts malformed rows too."""
        cdef const uint8_t* text = self.batch.text
        cdef Py_ssize_t text_bytes = self.batch.text_bytes
        if self.without_blank_lines:
            # Every line before it is a row: no text needs to be read.
            self.line = self.batch.first_line + rows_before
        else:
            self.counted_line += count_endings(text, self.counted_to, offset, text_bytes)
            if not self.has_raw_rows:
                self.counted_line -= self.endings_inside(offset)
            self.counted_to = offset
            self.line = self.counted_line
        self.start = text + offset
        self.end = self.end_of_row(offset)

    cdef Py_ssize_t endings_inside(self, Py_ssize_t offset) noexcept nogil:
        """The line endings inside rows of a table, from the one that it stands on up to an offset: its rows count."""
        cdef const uint8_t* text = self.batch.text
        cdef Py_ssize_t row = self.spanning_passed, endings = 0
        while row < self.batch.spanning_rows and self.batch.spanning_offset[row] < offset:
            endings += count_lines(text + self.batch.spanning_offset[row], text + self.batch.spanning_end[row])
            row += 1
        return endings

    cdef const uint8_t* end_of_row(self, Py_ssize_t offset) noexcept nogil:
        """Where the row at an offset ends: with its line, but for the rows that have line endings inside."""
        cdef const uint8_t* text = self.batch.text
        while (
            self.spanning_passed < self.batch.spanning_rows
            and self.batch.spanning_offset[self.spanning_passed] < offset
        ):
            self.spanning_passed += 1
        if (
            self.spanning_passed < self.batch.spanning_rows
            and self.batch.spanning_offset[self.spanning_passed] == offset
        ):
            return text + self.batch.spanning_end[self.spanning_passed]
        return find_ending(text + offset, text + self.batch.text_bytes)


cdef Py_ssize_t count_endings(
    const uint8_t* text,
    Py_ssize_t index,  # IN where to begin
    const Py_ssize_t offset,  # IN where to stop: a row starts there
    const Py_ssize_t text_bytes,  # IN how many may be read
) noexcept nogil:
    """Count the lines that end between two offsets. CR LF is one ending, at its LF."""
    cdef Py_ssize_t endings = 0
    cdef uint64_t feeds, returns
    while index < offset and index + WINDOW_BYTES <= text_bytes:
        feeds = match_64(text + index, LF)
        returns = match_64(text + index, CR)
        if returns:
            returns &= ~(feeds >> 1)
            # A CR at the window's end is half of an ending where the next byte is LF.
            if returns >> (WINDOW_BYTES - 1) and index + WINDOW_BYTES <= offset and text[index + WINDOW_BYTES] == LF:
                returns ^= <uint64_t>1 << (WINDOW_BYTES - 1)
            feeds |= returns
        if offset - index < WINDOW_BYTES:
            feeds &= (<uint64_t>1 << (offset - index)) - 1
        endings += count_bits(feeds)
        index += WINDOW_BYTES
    while index < offset:
        endings += text[index] == LF or (text[index] == CR and text[index + 1] != LF)
        index += 1
    return endings
