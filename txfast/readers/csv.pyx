"""The native CSV reader: cuts a stream of bytes into blocks of whole lines, which the scanner makes into rows.

Blocks are cut in order, one after the other. Scanning a block needs nothing but the header, so several threads may scan
blocks at once. Buffers belong to batches and are reused with them: in the steady state nothing is allocated but the
`carry`, the part of a line that was read with the block before.

This module must not know the rules, nor where its batches go.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp

from cpython.bytearray cimport PyByteArray_AS_STRING

from txfast.batch.batch cimport ROW_BYTES_KEPT, TransactionBatch
from txfast.batch.header cimport Header
from txfast.readers.scan cimport hold_long_line, reserve_rows, scan_text
from txfast.readers.scan_plan cimport Plan, make_plan
from txfast.text.bits cimport TEXT_SLACK_BYTES
from txfast.text.csv_in cimport ROW_BYTES_MAX, skip_blanks
from txfast.text.endings cimport CR, LF, find_ending, is_ending, past_ending

from txfast.errors import InputError, SourceError, unreadable

# Bytes of a block, unless the caller says otherwise.
READ_BLOCK_BYTES = 1 << 18

cdef enum:
    BOM_BYTES = 3


cdef class CsvReader:
    """Reads one CSV file: `fill` a batch with the next block of lines, then `scan` it into rows.

    `file` has `readinto`; `name` is the file's name in messages. A `consumption` advances over the bytes that each
    `fill` takes; if it has a header already, `file` starts in the middle of the input and has no header line. `fill` is
    for one thread at a time, `scan` for any.

    A `last_row` has `is_held_back()`, which is asked where the file ends in a line that has no ending and is not blank.
    A line that is held back is no row, and is not consumed: `held_bytes` counts its bytes.
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

    def __cinit__(
        self, file not None, str name not None, Py_ssize_t block_bytes=READ_BLOCK_BYTES, consumption=None,
        last_row=None,
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
        if consumption is not None and consumption.header is not None:
            self.at_start = False
            self.header = Header(consumption.header, name)
            make_plan(&self.plan, self.header)

    def fill(self, TransactionBatch batch not None):
        """Put the next whole lines into the batch. False at the end of the file.

        Raises InputError where the file is no transactions file, and SourceError where it cannot be read.
        """
        cdef Py_ssize_t filled = len(self.carry)
        cdef Py_ssize_t searched = 0
        cdef Py_ssize_t end = 0
        cdef uint8_t* text
        cdef const uint8_t* start
        if self.at_end and not filled:
            return self.finish()
        self.make_room(batch, 0, filled + 1)
        batch.buffer[:filled] = self.carry
        while True:
            self.make_room(batch, filled, filled + 1)
            filled = self.read_into(batch.buffer, filled)
            text = <uint8_t*>PyByteArray_AS_STRING(batch.buffer)
            if self.at_end:
                end = self.end_of_rows(text, filled)
                break
            end = after_last_ending(text, searched, filled)
            if end:
                break
            if filled > ROW_BYTES_MAX + BOM_BYTES + 1:
                return self.pass_long_line(batch, filled)
            searched = filled - 1
        if not end:
            return self.finish()
        self.carry = text[end:filled - <Py_ssize_t>self.held_bytes]
        self.consume(batch, end)
        if self.at_end:
            # The scanner wants an ending: a last line without one gets an LF. After a last CR there must be none.
            text[end] = 0 if is_ending(text[end - 1]) else LF
        start = self.past_byte_order_mark(text, text + end)
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
        if self.consumption is not None:
            with memoryview(batch.buffer) as whole, whole[:count] as block:
                self.consumption.advance(block)
        return 0

    cdef Py_ssize_t end_of_rows(self, const uint8_t* text, Py_ssize_t filled) except -1:
        """The end of the rows in the file's last text: where its last row begins, if that is held back."""
        cdef Py_ssize_t row
        if self.last_row is None or not filled or is_ending(text[filled - 1]):
            return filled
        row = after_last_ending(text, 0, filled)
        if skip_blanks(text + row, text + filled) == text + filled or not self.last_row.is_held_back():
            return filled
        self.held_bytes = filled - row
        return row

    cdef const uint8_t* past_byte_order_mark(self, const uint8_t* start, const uint8_t* end) noexcept:
        """Skip a byte order mark where these are the file's first bytes."""
        if self.at_start and end - start >= BOM_BYTES and memcmp(start, b"\xef\xbb\xbf", BOM_BYTES) == 0:
            start += BOM_BYTES
        self.at_start = False
        return start

    cdef bint pass_long_line(self, TransactionBatch batch, Py_ssize_t filled) except -1:
        """Read past a line that is longer than a row may be. The batch then has its first bytes as text, and no other.

        The line is one malformed row, or none where it is all blank. False where it is held back.
        """
        cdef const uint8_t* text = <const uint8_t*>PyByteArray_AS_STRING(batch.buffer)
        cdef const uint8_t* end = text + filled
        cdef const uint8_t* start = self.past_byte_order_mark(text, end)
        cdef const uint8_t* ending
        cdef bytes head = start[:ROW_BYTES_KEPT]
        cdef bint blank = True
        cdef uint64_t bytes_before = self.bytes_read - filled
        mark = None if self.consumption is None or self.last_row is None else self.consumption.mark()
        while True:
            ending = find_ending(start, end)
            blank = blank and skip_blanks(start, ending) == ending
            if self.header is None and not blank:
                raise InputError(
                    f"{self.name}: not a transactions file: its header is longer than 1 MiB: is it text, in lines?"
                )
            # A CR that was read last may be half of an ending.
            if ending < end - 1 or self.at_end or (ending < end and ending[0] == LF):
                break
            self.carry = ending[:end - ending]
            self.consume(batch, filled - len(self.carry))
            filled = len(self.carry)
            batch.buffer[:filled] = self.carry
            filled = self.read_into(batch.buffer, filled)
            start = <const uint8_t*>PyByteArray_AS_STRING(batch.buffer)
            end = start + filled
        if ending == end and not blank and self.last_row is not None and self.last_row.is_held_back():
            if mark is not None:
                self.consumption.go_back(mark)
            self.carry = b""
            self.held_bytes = self.bytes_read - bytes_before
            return False
        start = past_ending(ending, end)
        self.carry = start[:end - start]
        self.consume(batch, filled - len(self.carry))
        batch.attach(head, head, len(head))
        batch.header = self.header
        hold_long_line(batch, not blank)
        return True

    cdef bint finish(self) except -1:
        """At the end of the file: return False, or raise the error that it has no header. One that is held back comes
        with the next run."""
        if self.header is None and not self.held_bytes:
            raise InputError(
                f"{self.name}: not a transactions file: "
                + ("it has no header, only blank lines" if self.bytes_read else "it is empty")
                + ": check the export that made it"
            )
        return False


def take_header(TransactionBatch batch not None, str file not None):
    """Find the header in a batch's text: the first line that is not blank. Move the text after it, and return it.

    None where all lines are blank. Raises InputError where the first other line is no header.
    """
    cdef const uint8_t* start = batch.text
    cdef const uint8_t* end = start + batch.text_bytes
    cdef const uint8_t* line
    while start < end and batch.header is None:
        line = start
        start = find_ending(line, end)
        if skip_blanks(line, start) != start:
            batch.header = Header(line[:start - line], file)
        start = past_ending(start, end)
        batch.lines_before += 1
    batch.text_bytes = end - start
    batch.text = start
    return batch.header


cdef Py_ssize_t after_last_ending(const uint8_t* text, Py_ssize_t start, Py_ssize_t end) noexcept nogil:
    """The end of the last whole line, or 0. A CR at the very end may be half of an ending, so it is none yet."""
    cdef Py_ssize_t index = end - 1
    if index >= start and text[index] == CR:
        index -= 1
    while index >= start and not is_ending(text[index]):
        index -= 1
    return index + 1 if index >= start else 0
