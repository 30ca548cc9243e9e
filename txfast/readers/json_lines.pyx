"""The reader of JSON lines: cuts a stream of bytes into blocks of whole lines, which the scanner makes into rows.

A line ending inside a string is no JSON, so a line is always a row. There is no header: each row names its columns.
Several threads may scan blocks at once.

This module must not know the rules, nor where its batches go.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport free, malloc

from cpython.bytearray cimport PyByteArray_AS_STRING

from txfast.batch.batch cimport ROW_BYTES_KEPT, TransactionBatch
from txfast.batch.header cimport Header
from txfast.batch.json_object cimport JSON_ROOM_BYTES, MEMBER, NO_ROLE, Member, next_member, role_of
from txfast.dialect.meaning cimport Words
from txfast.readers.cutter cimport RowPassed, after_last_ending, new_row, pass_row
from txfast.readers.json_scan cimport reserve_objects, scan_objects_by
from txfast.readers.scan cimport hold_head
from txfast.readers.scan_plan cimport Plan, make_plan
from txfast.readers.text_reader cimport BOM_BYTES, TextReader
from txfast.text.csv_in cimport NO_QUOTE, ROW_BYTES_MAX, Syntax, is_comment, may_be_blank, skip_blanks
from txfast.text.endings cimport CR, LF, find_ending, is_ending, past_ending

from txfast.batch.header import JSON_HEADER, telling_names


cdef class JsonLinesReader(TextReader):
    """Reads one file of JSON lines: `fill` a batch with the next block of lines, then `scan` it. See TextReader.

    Its `header` is there from the first line on that is neither blank nor a comment. It says which of the keys in that
    line may change what a row means, and are ignored. Raises InputError for a dialect that JSON lines cannot have.
    """

    cdef bint has_looked  # at the keys of the first line
    cdef Header own_header  # `header`, before there is a line
    cdef Syntax syntax  # of lines: quotes mean nothing to their endings
    cdef Plan plan

    def __cinit__(self, *_, **__):
        self.own_header = self.header
        if self.own_header is None:
            self.own_header = Header(JSON_HEADER, self.name, dialect=self.dialect)
        make_plan(&self.plan, self.own_header)
        self.syntax = self.plan.form.syntax
        self.syntax.quote = NO_QUOTE

    def fill(self, TransactionBatch batch not None):
        """Put the next whole lines into the batch. False at the end of the file. Raises SourceError where it cannot be
        read."""
        cdef Py_ssize_t filled = len(self.carry)
        cdef Py_ssize_t end = 0
        cdef uint8_t* text
        cdef const uint8_t* start
        if (self.at_end and not filled) or self.bytes_taken >= self.stop_at:
            return False
        self.make_room(batch, 0, filled + 1)
        batch.buffer[:filled] = self.carry
        while True:
            self.make_room(batch, filled, filled + 1)
            filled = self.read_into(batch.buffer, filled)
            text = <uint8_t*>PyByteArray_AS_STRING(batch.buffer)
            if self.at_end:
                end = self.end_of_last_lines(text, filled)
                break
            if self.at_start and filled < BOM_BYTES:
                continue  # it may be the beginning of a byte order mark
            # A CR at the very end may be half of an ending, so it is none yet.
            end = after_last_ending(text, 0, filled - (text[filled - 1] == CR))
            if end:
                end = self.end_of_own_lines(text, end)
                break
            if filled > ROW_BYTES_MAX + BOM_BYTES + 1:
                return self.pass_long_line(batch, filled)
        if not end:
            return False
        self.carry = text[end:filled - <Py_ssize_t>self.held_bytes]
        self.consume(batch, end)
        if self.at_end:
            # The scanner wants an ending: a last line without one gets an LF. After a last CR there must be none.
            text[end] = 0 if is_ending(text[end - 1]) else LF
        start = text + self.mark_bytes_in(text, end)
        self.at_start = False
        batch.attach(batch.buffer, start, text + end - start)
        self.look_at_first_line(start, text + end)
        batch.header = self.header
        # For a full buffer, so that the columns keep their size from block to block.
        reserve_objects(batch, len(batch.buffer), &self.plan)
        return True

    def scan(self, TransactionBatch batch not None):
        """Make rows of the text that `fill` put into the batch."""
        if not batch.scanned:
            scan_objects_by(batch, &self.plan)

    cdef Py_ssize_t end_of_last_lines(self, const uint8_t* text, Py_ssize_t filled) except -1:
        """The end of this reader's lines in the file's last text: where its last line begins, if that is held back."""
        cdef Py_ssize_t own_end = self.end_of_own_lines(text, filled)
        cdef Py_ssize_t line
        cdef const uint8_t* start
        if self.last_row is None or own_end < filled or not filled or is_ending(text[filled - 1]):
            return own_end
        line = after_last_ending(text, 0, filled)
        if not line:
            line = self.mark_bytes_in(text, filled)
        start = skip_blanks(text + line, text + filled, &self.syntax)
        if start == text + filled or is_comment(start, text + filled, &self.syntax):
            return own_end
        if not self.last_row.is_held_back():
            return own_end
        # A file that is this line alone was not begun: its byte order mark is read again.
        line = after_last_ending(text, 0, filled)
        self.held_bytes = filled - line
        return line

    cdef Py_ssize_t end_of_own_lines(self, const uint8_t* text, Py_ssize_t end) noexcept:
        """The end of the lines of a text that begin before `stop_at`; the text is whole lines."""
        cdef Py_ssize_t stop = self.stop_at - self.bytes_taken
        if end <= stop:
            return end
        return past_ending(find_ending(text + stop - 1, text + end), text + end) - text

    cdef bint pass_long_line(self, TransactionBatch batch, Py_ssize_t filled) except -1:
        """Read past a line that is longer than a row may be. The batch then has its first bytes as text, and no other.

        The row is malformed, or none where the line is blank or a comment. False where it is held back.
        """
        cdef const uint8_t* text = <const uint8_t*>PyByteArray_AS_STRING(batch.buffer)
        cdef const uint8_t* end = text + filled
        cdef const uint8_t* start = text + self.mark_bytes_in(text, filled)
        cdef bytes head = start[:min(end - start, <Py_ssize_t>ROW_BYTES_KEPT)]
        cdef uint64_t bytes_before = self.bytes_read - filled
        cdef Py_ssize_t taken_before = self.bytes_taken
        cdef RowPassed row = new_row()
        mark = None if self.consumption is None or self.last_row is None else self.consumption.mark()
        self.at_start = False
        while True:
            with nogil:
                start = pass_row(start, end, self.at_end, &self.syntax, &row)
            # A CR that was read last may be half of an ending.
            if row.at_end and (self.at_end or start < end - 1 or start[0] == LF):
                break
            if self.at_end:
                if not row.is_blank and self.last_row is not None and self.last_row.is_held_back():
                    self.bytes_taken = taken_before
                    if mark is not None:
                        self.consumption.go_back(mark)
                    self.carry = b""
                    self.held_bytes = self.bytes_read - bytes_before
                    return False
                break
            row.at_end = False
            filled = self.read_on(batch, start, end, filled)
            start = <const uint8_t*>PyByteArray_AS_STRING(batch.buffer)
            end = start + filled
        start = past_ending(start, end)
        self.take_up_to(batch, start, end, filled)
        batch.attach(head, head, len(head))
        if not row.is_blank and self.header is None:
            self.header = self.own_header
        batch.header = self.header
        hold_head(batch, not row.is_blank, 1)
        return True

    cdef int look_at_first_line(self, const uint8_t* text, const uint8_t* end) except -1:
        """Set the header with the first line that is neither blank nor a comment, and look at that line's keys."""
        if self.has_looked:
            return 0
        while text < end:
            if may_be_blank(text[0]) or is_ending(text[0]):
                text += 1
            elif is_comment(text, end, &self.syntax):
                text = find_ending(text, end)
            else:
                break
        if text == end:
            return 0
        self.has_looked = True
        self.header = self.own_header
        end = find_ending(text, end)
        if end - text <= ROW_BYTES_MAX:
            self.header.ignored = telling_names(other_keys_of(text, end, self.plan.form.keys))
        return 0


cdef list other_keys_of(const uint8_t* line, const uint8_t* end, const Words* names):
    """The keys of the object that a line is, as they are written, without those that are read; none where it is no
    object. `names` are those of a dialect, or NULL."""
    cdef list keys = []
    cdef Member member
    cdef bint is_first = True
    cdef uint8_t* room = <uint8_t*>malloc(JSON_ROOM_BYTES)
    if room == NULL:
        raise MemoryError("no memory for the texts of a row")
    try:
        while next_member(&line, end, is_first, room, &member) == MEMBER:
            is_first = False
            if role_of(&member, names, room) == NO_ROLE:
                keys.append(member.key[:member.key_end - member.key].decode("utf-8", "replace"))
    finally:
        free(room)
    return keys
