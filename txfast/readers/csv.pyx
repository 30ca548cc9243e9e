"""The native CSV reader: cuts a stream of bytes into blocks of whole lines, which the scanner makes into rows.

Blocks are cut in order, one after the other. Scanning a block needs nothing but the header, so several threads may scan
blocks at once. Buffers belong to batches and are reused with them: in the steady state nothing is allocated but the
`carry`, the part of a line that was read with the block before.

This module must not know the rules, nor where its batches go.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memchr, memcmp

from cpython.bytearray cimport PyByteArray_AS_STRING

from txfast.batch.batch cimport ROW_BYTES_KEPT, TransactionBatch
from txfast.batch.header cimport Header
from txfast.readers.cutter cimport (
    Cutter, RowPassed, end_of_rows, end_of_rows_by_last_quote, go_on, is_open, new_cutter, new_row, pass_row, row_from,
)
from txfast.readers.scan cimport hold_head, reserve_rows, scan_text
from txfast.readers.scan_plan cimport Plan, make_plan
from txfast.text.bits cimport TEXT_SLACK_BYTES
from txfast.text.csv_in cimport ROW_BYTES_MAX, skip_blanks
from txfast.text.endings cimport LF, is_ending, past_ending

from txfast.batch.header import too_long
from txfast.errors import SourceError, not_transactions, unreadable

# Bytes of a block, unless the caller says otherwise.
READ_BLOCK_BYTES = 1 << 18

cdef enum:
    BOM_BYTES = 3

cdef Py_ssize_t BYTES_MAX = <Py_ssize_t>1 << 62


cdef class CsvReader:
    """Reads one CSV file: `fill` a batch with the next block of lines, then `scan` it into rows.

    `file` has `readinto`; `name` is the file's name in messages. A `consumption` advances over the bytes that each
    `fill` takes; if it has a header already, `file` starts in the middle of the input and has no header line. `fill` is
    for one thread at a time, `scan` for any.

    A `last_row` has `is_held_back()`, which is asked where the file ends in a line that has no ending and is not blank.
    It is asked too where a quoted field is open there: `is_held_back(in_quotes=True)`. A row that is held back is not
    consumed: `held_bytes` counts its bytes.

    With `stop_at`, a number of bytes, rows that begin there or later are left to others. `bytes_taken` counts the bytes
    of the rows that were read.
    """

    cdef object file
    cdef str name
    cdef Py_ssize_t block_bytes
    cdef bytes carry  # read already, after the last whole line
    cdef bint at_start
    cdef bint at_end
    cdef readonly Header header
    cdef Plan plan
    cdef readonly uint64_t bytes_read
    cdef readonly object consumption
    cdef object last_row
    cdef readonly uint64_t held_bytes
    cdef readonly Py_ssize_t bytes_taken
    cdef Py_ssize_t stop_at

    def __cinit__(
        self, file not None, str name not None, Py_ssize_t block_bytes=READ_BLOCK_BYTES, consumption=None,
        last_row=None, stop_at=None,
    ):
        if block_bytes < 1:
            raise ValueError(f"a block of {block_bytes} bytes holds nothing")
        self.file = file
        self.name = name
        self.block_bytes = block_bytes
        self.carry = b""
        self.at_start = True
        self.consumption = consumption
        self.last_row = last_row
        self.stop_at = BYTES_MAX if stop_at is None else stop_at
        if consumption is not None and consumption.header is not None:
            self.at_start = False
            self.header = Header(consumption.header, name)
            make_plan(&self.plan, self.header)

    def fill(self, TransactionBatch batch not None):
        """Put the next whole lines into the batch. False at the end of the file.

        Raises HeaderError where the file is no transactions file, and SourceError where it cannot be read.
        """
        cdef Py_ssize_t filled = len(self.carry)
        cdef Py_ssize_t end = 0
        cdef Py_ssize_t mark_bytes
        cdef uint8_t* text
        cdef const uint8_t* start
        cdef Cutter cutter = new_cutter()
        cdef bint is_first = True
        if (self.at_end and not filled) or self.bytes_taken >= self.stop_at:
            return self.finish()
        self.make_room(batch, 0, filled + 1)
        batch.buffer[:filled] = self.carry
        while True:
            self.make_room(batch, filled, filled + 1)
            filled = self.read_into(batch.buffer, filled)
            text = <uint8_t*>PyByteArray_AS_STRING(batch.buffer)
            if self.at_end:
                end = self.end_of_last_rows(text, filled)
                break
            if self.at_start and filled < BOM_BYTES:
                continue  # it may be the beginning of a byte order mark
            mark_bytes = self.mark_bytes_in(text, filled)
            with nogil:
                end = end_of_rows_by_last_quote(text + mark_bytes, filled - mark_bytes) if is_first else 0
                if not end:
                    go_on(&cutter, text + mark_bytes, text + filled)
                    end = end_of_rows(&cutter, text + mark_bytes, filled - mark_bytes)
            is_first = False
            if end:
                end = self.end_of_own_rows(text, end + mark_bytes)
                break
            # While a field is open, the row may yet end with the line of its opening.
            if cutter.opening < 0 and filled > ROW_BYTES_MAX + BOM_BYTES + 1:
                return self.pass_long_row(batch, filled)
        if not end:
            return self.finish()
        self.carry = text[end:filled - <Py_ssize_t>self.held_bytes]
        self.consume(batch, end)
        if self.at_end:
            # The scanner wants an ending: a last line without one gets an LF. After a last CR there must be none.
            text[end] = 0 if is_ending(text[end - 1]) else LF
        start = text + self.mark_bytes_in(text, end)
        self.at_start = False
        batch.attach(batch.buffer, start, text + end - start)
        if self.header is None:
            self.header = take_header(batch, self.name)
            if self.header is not None:
                make_plan(&self.plan, self.header)
        batch.header = self.header
        # For a full buffer, so that the columns keep their size from block to block.
        reserve_rows(batch, len(batch.buffer))
        return True

    def scan(self, TransactionBatch batch not None):
        """Make rows of the text that `fill` put into the batch."""
        if not batch.scanned:
            scan_text(batch, &self.plan)

    cdef int make_room(self, TransactionBatch batch, Py_ssize_t kept, Py_ssize_t needed) except -1:
        """Give the batch a buffer for `needed` bytes and slack, that begins with the first `kept` bytes of the old."""
        cdef Py_ssize_t capacity = 0 if batch.buffer is None else len(batch.buffer) - TEXT_SLACK_BYTES
        cdef bytearray buffer
        # A larger buffer than this reader needs comes from another reader, and is replaced.
        if needed <= capacity and (kept or capacity <= max(self.block_bytes, needed)):
            return 0
        buffer = bytearray(max(self.block_bytes, needed, 2 * kept) + TEXT_SLACK_BYTES)
        if kept:
            buffer[:kept] = memoryview(batch.buffer)[:kept]
        batch.buffer = buffer
        return 0

    cdef Py_ssize_t read_into(self, bytearray buffer, Py_ssize_t filled) except -1:
        """Read until the buffer is full or the file ends; return the number of bytes in it."""
        cdef Py_ssize_t capacity = len(buffer) - TEXT_SLACK_BYTES
        view = memoryview(buffer)
        while filled < capacity and not self.at_end:
            try:
                count = self.file.readinto(view[filled:capacity])
            except SourceError:
                raise
            except OSError as error:
                raise unreadable(self.name, error) from error
            if count is None:
                raise unreadable(self.name, "it is non-blocking and has nothing to read yet")
            if count == 0:
                self.at_end = True
            filled += count
            self.bytes_read += <Py_ssize_t>count
        return filled

    cdef int consume(self, TransactionBatch batch, Py_ssize_t count) except -1:
        """Advance the consumption, if there is one, over the first bytes of the batch's buffer."""
        self.bytes_taken += count
        if self.consumption is not None:
            with memoryview(batch.buffer) as whole, whole[:count] as block:
                self.consumption.advance(block)
        return 0

    cdef Py_ssize_t end_of_last_rows(self, const uint8_t* text, Py_ssize_t filled) except -1:
        """The end of this reader's rows in the file's last text: where its last row begins, if that is held back."""
        cdef Cutter cutter = new_cutter()
        cdef Py_ssize_t mark_bytes = self.mark_bytes_in(text, filled)
        cdef Py_ssize_t own_end = self.end_of_own_rows(text, filled)
        cdef Py_ssize_t row
        if (self.last_row is None and self.consumption is None) or not filled:
            return own_end
        with nogil:
            go_on(&cutter, text + mark_bytes, text + filled)
        in_quotes = cutter.opening >= 0 and is_open(text + mark_bytes + cutter.opening, text + filled)
        if not in_quotes and is_ending(text[filled - 1]):
            return own_end
        row = end_of_rows(&cutter, text + mark_bytes, filled - mark_bytes)
        row = row + mark_bytes if row else 0
        # A row that is held back may go on behind `stop_at`, as far as is known, but it begins before.
        if row >= own_end or skip_blanks(text + row, text + filled) == text + filled:
            return own_end
        if self.last_row is not None and self.last_row.is_held_back(in_quotes):
            self.held_bytes = filled - row
            return row
        if in_quotes:
            self.leave_open(mark_bytes + cutter.opening)
        return own_end

    cdef int leave_open(self, Py_ssize_t opening) except -1:
        """Note that the field that opens there in the buffer is open at the end of the file, and is taken for rows."""
        if self.consumption is not None:
            self.consumption.leave_open(self.consumption.offset_bytes + opening)
        return 0

    cdef Py_ssize_t end_of_own_rows(self, const uint8_t* text, Py_ssize_t end) noexcept:
        """The end of the rows of a text that begin before `stop_at`; the text is whole rows."""
        cdef Py_ssize_t mark_bytes = self.mark_bytes_in(text, end)
        if end <= self.stop_at - self.bytes_taken:
            return end
        return mark_bytes + row_from(text + mark_bytes, text + end, self.stop_at - self.bytes_taken - mark_bytes)

    cdef Py_ssize_t mark_bytes_in(self, const uint8_t* text, Py_ssize_t text_bytes) noexcept:
        """The length of a byte order mark where the text begins with one and is the file's first."""
        is_marked = self.at_start and text_bytes >= BOM_BYTES and memcmp(text, b"\xef\xbb\xbf", BOM_BYTES) == 0
        return BOM_BYTES if is_marked else 0

    cdef bint pass_long_row(self, TransactionBatch batch, Py_ssize_t filled) except -1:
        """Read past a row that is longer than a row may be. The batch then has its first bytes as text, and no other.

        The row is malformed, or none where it is a line of blanks. False where it is held back.
        """
        cdef const uint8_t* text = <const uint8_t*>PyByteArray_AS_STRING(batch.buffer)
        cdef const uint8_t* end = text + filled
        cdef const uint8_t* start = text + self.mark_bytes_in(text, filled)
        cdef bytes head = start[:min(end - start, <Py_ssize_t>ROW_BYTES_KEPT)]
        cdef uint64_t bytes_before = self.bytes_read - filled
        cdef Py_ssize_t taken_before = self.bytes_taken
        cdef bint is_whole = False
        cdef RowPassed row = new_row()
        mark = None if self.consumption is None or self.last_row is None else self.consumption.mark()
        self.at_start = False
        while True:
            with nogil:
                start = pass_row(start, end, is_whole, &row)
            if self.header is None and not row.is_blank:
                raise too_long(self.name)
            # A CR that was read last may be half of an ending.
            if is_whole or (row.at_end and (start < end - 1 or start[0] == LF)):
                break
            if self.at_end:
                if not row.at_end and not row.is_blank:
                    in_quotes = start < end and is_open(start, end)
                    if self.last_row is not None and self.last_row.is_held_back(in_quotes):
                        self.bytes_taken = taken_before
                        if mark is not None:
                            self.consumption.go_back(mark)
                        self.carry = b""
                        self.held_bytes = self.bytes_read - bytes_before
                        return False
                    if in_quotes:
                        self.leave_open(filled - (end - start))
                is_whole = True
                continue
            row.at_end = False
            self.carry = start[:end - start]
            self.consume(batch, filled - len(self.carry))
            filled = len(self.carry)
            self.make_room(batch, filled, filled + 1)
            batch.buffer[:filled] = self.carry
            filled = self.read_into(batch.buffer, filled)
            start = <const uint8_t*>PyByteArray_AS_STRING(batch.buffer)
            end = start + filled
        start = past_ending(start, end)
        self.carry = start[:end - start]
        self.consume(batch, filled - len(self.carry))
        batch.attach(head, head, len(head))
        batch.header = self.header
        hold_head(batch, not row.is_blank, 1 + row.lines)
        return True

    cdef bint finish(self) except -1:
        """At the end of the file: return False, or raise the error that it has no header. One that is held back comes
        with the next run."""
        if self.header is None and not self.held_bytes:
            raise no_header(self.name, self.bytes_read)
        return False


def no_header(str file not None, uint64_t bytes_read):
    """The error for a file that ended before its header."""
    found = "it has no header, only blank lines" if bytes_read else "it is empty"
    return not_transactions(file, f"{found}: check the export that made it")


def take_header(TransactionBatch batch not None, str file not None):
    """Find the header in a batch's text: the first row that is not blank. Move the text after it, and return it.

    None where all lines are blank. Raises HeaderError where the first row is no header.
    """
    cdef const uint8_t* start = batch.text
    cdef const uint8_t* end = start + batch.text_bytes
    cdef const uint8_t* row_start
    cdef RowPassed row
    while start < end and batch.header is None:
        row_start = start
        row = new_row()
        start = pass_row(row_start, end, True, &row)
        if not row.is_blank:
            batch.header = Header(row_start[:start - row_start], file)
        start = past_ending(start, end)
        batch.lines_before += 1 + row.lines
    batch.text_bytes = end - start
    batch.text = start
    return batch.header


def find_spanning_row(TransactionBatch batch not None):
    """Of a batch's lines with their endings: the index of the first line on which a row begins that goes on over the
    line's ending, or -1; and the bytes from where a field opens that is still open at the end, or 0."""
    cdef const uint8_t* p = batch.text
    cdef const uint8_t* end = p + batch.text_bytes
    cdef Py_ssize_t line = 0
    cdef RowPassed row
    if memchr(p, c'"', end - p) == NULL:
        return -1, 0
    while p < end:
        row = new_row()
        p = pass_row(p, end, False, &row)
        if row.lines:
            return line, 0
        if not row.at_end:
            return -1, end - p
        p = past_ending(p, end)
        line += 1
    return -1, 0
