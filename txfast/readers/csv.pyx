"""The native CSV reader: cuts a stream of bytes into blocks of whole rows, which the scanner makes into transactions.

Blocks are cut in order, one after the other. Scanning a block needs nothing but the header, so several threads may scan
blocks at once.

This module must not know the rules, nor where its batches go.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memchr

from cpython.bytearray cimport PyByteArray_AS_STRING

from txfast.batch.batch cimport ROW_BYTES_KEPT, TransactionBatch
from txfast.batch.header cimport Header
from txfast.readers.cutter cimport (
    Cutter, RowPassed, end_of_rows, end_of_rows_by_last_quote, go_on, is_open, new_cutter, new_row, pass_row, row_from,
)
from txfast.readers.file_start cimport (
    FOUND, MORE_NEEDED, Found, count_fields, find_delimiter, past_lines, syntax_of,
)
from txfast.readers.scan cimport hold_head, reserve_rows, scan_text
from txfast.readers.scan_plan cimport Plan, make_plan
from txfast.readers.text_reader cimport BOM_BYTES, TextReader
from txfast.text.csv_in cimport ROW_BYTES_MAX, Syntax, is_comment, skip_blanks
from txfast.text.endings cimport LF, is_ending, past_ending

from txfast.batch.header import JSON_HEADER, made_header, too_long
from txfast.errors import not_transactions
from txfast.input.first_bytes import BLANKS, FIRST_BYTES


cdef class CsvReader(TextReader):
    """Reads one CSV file: `fill` a batch with the next block of rows, then `scan` it. See TextReader.

    `last_row` is asked too where a quoted field is open at the end of the file: `is_held_back(in_quotes=True)`.
    """

    cdef Syntax syntax
    cdef bint knows_syntax  # the delimiter was given or found
    # Before the first row, in the first block: a byte order mark, and the lines that the dialect skips; -1 until known.
    cdef Py_ssize_t head_bytes
    cdef Py_ssize_t skipped_lines
    cdef Plan plan

    def __cinit__(self, *_, **__):
        dialect = self.dialect
        self.syntax = syntax_of(dialect)
        self.knows_syntax = dialect is not None and (dialect.delimiter is not None or not dialect.has_header)
        self.head_bytes = -1
        if self.header is not None:
            self.head_bytes = 0
            self.take_header(self.header)

    def fill(self, TransactionBatch batch not None):
        """Put the next whole lines into the batch. False at the end of the file.

        Raises HeaderError where the file is no transactions file, and SourceError where it cannot be read.
        """
        cdef Py_ssize_t filled = len(self.carry)
        cdef Py_ssize_t end = 0
        cdef Py_ssize_t head_bytes
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
            if not self.knows_syntax or self.head_bytes < 0:
                if not self.begin(text, filled):
                    continue
            if self.at_end:
                end = self.end_of_last_rows(text, filled)
                break
            head_bytes = self.head_bytes_now()
            with nogil:
                end = 0
                if is_first:
                    end = end_of_rows_by_last_quote(text + head_bytes, filled - head_bytes, &self.syntax)
                if not end:
                    go_on(&cutter, text + head_bytes, text + filled, &self.syntax)
                    end = end_of_rows(&cutter, text + head_bytes, filled - head_bytes, &self.syntax)
            is_first = False
            if end:
                end = self.end_of_own_rows(text, end + head_bytes)
                break
            # While a field is open, the row may yet end with the line of its opening.
            if cutter.opening < 0 and filled - head_bytes > ROW_BYTES_MAX + BOM_BYTES + 1:
                return self.pass_long_row(batch, filled)
        if not end:
            return self.finish()
        self.carry = text[end:filled - <Py_ssize_t>self.held_bytes]
        self.consume(batch, end)
        if self.at_end:
            # The scanner wants an ending: a last line without one gets an LF. After a last CR there must be none.
            text[end] = 0 if is_ending(text[end - 1]) else LF
        start = text + self.head_bytes_now()
        batch.attach(batch.buffer, start, text + end - start)
        batch.lines_before = self.skipped_lines_now()
        self.at_start = False
        if self.header is None:
            self.take_header(take_header(batch, self.name, dialect=self.dialect))
        batch.header = self.header
        # For a full buffer, so that the columns keep their size from block to block.
        reserve_rows(batch, len(batch.buffer))
        return True

    def scan(self, TransactionBatch batch not None):
        """Make rows of the text that `fill` put into the batch."""
        if not batch.scanned:
            scan_text(batch, &self.plan)

    cdef int take_header(self, Header header) except -1:
        """Read rows under this header, unless it is None."""
        self.header = header
        if header is not None:
            self.syntax = header.form.syntax
            self.knows_syntax = True
            make_plan(&self.plan, header)
        return 0

    cdef bint begin(self, const uint8_t* text, Py_ssize_t filled) except -1:
        """Find where the first row begins, and the delimiter, in the text that was read. False where more is needed."""
        cdef const uint8_t* start
        cdef const uint8_t* end = text + filled
        cdef Found found = FOUND
        if self.head_bytes < 0:
            if filled < BOM_BYTES and not self.at_end:
                return False  # it may be the beginning of a byte order mark
            start = text + self.mark_bytes_in(text, filled)
            start = past_lines(start, end, 0 if self.dialect is None else int(self.dialect.part("skip")), self.at_end)
            if start == NULL:
                return False
            self.head_bytes = start - text
            self.skipped_lines = 0 if self.dialect is None else int(self.dialect.part("skip"))
        if not self.knows_syntax:
            found = find_delimiter(text + self.head_bytes_now(), end, self.at_end, &self.syntax, self.dialect)
            self.knows_syntax = found == FOUND
        return found != MORE_NEEDED

    cdef Py_ssize_t head_bytes_now(self) noexcept:
        """The bytes before the first row in the current block."""
        return self.head_bytes if self.at_start else 0

    cdef Py_ssize_t skipped_lines_now(self) noexcept:
        """The lines that the dialect skips in the current block."""
        return self.skipped_lines if self.at_start else 0

    cdef Py_ssize_t end_of_last_rows(self, const uint8_t* text, Py_ssize_t filled) except -1:
        """The end of this reader's rows in the file's last text: where its last row begins, if that is held back."""
        cdef Cutter cutter = new_cutter()
        cdef Py_ssize_t head_bytes = self.head_bytes_now()
        cdef Py_ssize_t own_end = self.end_of_own_rows(text, filled)
        cdef const uint8_t* line
        cdef Py_ssize_t row
        if (self.last_row is None and self.consumption is None) or not filled:
            return own_end
        with nogil:
            go_on(&cutter, text + head_bytes, text + filled, &self.syntax)
        in_quotes = cutter.opening >= 0 and is_open(text + head_bytes + cutter.opening, text + filled, &self.syntax)
        if not in_quotes and is_ending(text[filled - 1]):
            return own_end
        row = end_of_rows(&cutter, text + head_bytes, filled - head_bytes, &self.syntax)
        row = row + head_bytes if row else 0
        # A row that is held back may go on behind `stop_at`, as far as is known, but it begins before.
        line = skip_blanks(text + row, text + filled, &self.syntax)
        if row >= own_end or line == text + filled or is_comment(line, text + filled, &self.syntax):
            return own_end
        if self.last_row is not None and self.last_row.is_held_back(in_quotes):
            self.held_bytes = filled - row
            return row
        if in_quotes:
            self.leave_open(head_bytes + cutter.opening)
        return own_end

    cdef int leave_open(self, Py_ssize_t opening) except -1:
        """Note that the field that opens there in the buffer is open at the end of the file, and is taken for rows."""
        if self.consumption is not None:
            self.consumption.leave_open(self.consumption.offset_bytes + opening)
        return 0

    cdef Py_ssize_t end_of_own_rows(self, const uint8_t* text, Py_ssize_t end) noexcept:
        """The end of the rows of a text that begin before `stop_at`; the text is whole rows."""
        cdef Py_ssize_t head_bytes = self.head_bytes_now()
        cdef Py_ssize_t offset = self.stop_at - self.bytes_taken - head_bytes
        if end <= self.stop_at - self.bytes_taken:
            return end
        return head_bytes + row_from(text + head_bytes, text + end, offset, &self.syntax)

    cdef bint pass_long_row(self, TransactionBatch batch, Py_ssize_t filled) except -1:
        """Read past a row that is longer than a row may be. The batch then has its first bytes as text, and no other.

        The row is malformed, or none where it is a line of blanks. False where it is held back.
        """
        cdef const uint8_t* text = <const uint8_t*>PyByteArray_AS_STRING(batch.buffer)
        cdef const uint8_t* end = text + filled
        cdef const uint8_t* start = text + self.head_bytes_now()
        cdef Py_ssize_t skipped_lines = self.skipped_lines_now()
        cdef bytes head = start[:min(end - start, <Py_ssize_t>ROW_BYTES_KEPT)]
        cdef uint64_t bytes_before = self.bytes_read - filled
        cdef Py_ssize_t taken_before = self.bytes_taken
        cdef bint is_whole = False
        cdef RowPassed row = new_row()
        mark = None if self.consumption is None or self.last_row is None else self.consumption.mark()
        self.at_start = False
        while True:
            with nogil:
                start = pass_row(start, end, is_whole, &self.syntax, &row)
            if self.header is None and not row.is_blank:
                raise too_long(self.name)
            # A CR that was read last may be half of an ending.
            if is_whole or (row.at_end and (start < end - 1 or start[0] == LF)):
                break
            if self.at_end:
                if not row.at_end and not row.is_blank:
                    in_quotes = start < end and is_open(start, end, &self.syntax)
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
            filled = self.read_on(batch, start, end, filled)
            start = <const uint8_t*>PyByteArray_AS_STRING(batch.buffer)
            end = start + filled
        start = past_ending(start, end)
        self.take_up_to(batch, start, end, filled)
        batch.attach(head, head, len(head))
        batch.lines_before = skipped_lines
        batch.header = self.header
        hold_head(batch, not row.is_blank, 1 + row.lines)
        return True

    cdef bint finish(self) except -1:
        """At the end of the file: return False, or raise the error that it has no header. A header that is held back
        is no error."""
        if self.header is None and not self.held_bytes:
            raise no_header(self.name, self.bytes_read, self.skipped_lines)
        return False


def no_header(str file not None, uint64_t bytes_read, Py_ssize_t skipped_lines=0):
    """The error for a file that ended before its header, without the lines that its dialect skips."""
    found = "it has no header, only blank lines" if bytes_read else "it is empty"
    if skipped_lines and bytes_read:
        found = f"it has no header behind the {skipped_lines} lines that skip leaves out"
    return not_transactions(file, f"{found}: check the export that made it")


def take_header(TransactionBatch batch not None, str file not None, *, dialect=None):
    """Find the header in a batch's text: the first row that is not blank. Move the text after it, and return it.

    Where the dialect has no header, it is made from the first row, which stays in the text. None where all lines are
    blank. Raises HeaderError where the first row is no header.
    """
    cdef Syntax syntax = syntax_of(dialect)
    cdef const uint8_t* start = batch.text
    cdef const uint8_t* end = start + batch.text_bytes
    cdef const uint8_t* row_start
    cdef RowPassed row
    if dialect is None or (dialect.delimiter is None and dialect.has_header):
        find_delimiter(start, end, True, &syntax, dialect)
    while start < end and batch.header is None:
        row_start = start
        row = new_row()
        start = pass_row(row_start, end, True, &syntax, &row)
        if not row.is_blank and dialect is not None and not dialect.has_header:
            line = made_header(count_fields(row_start, end, &syntax), chr(syntax.delimiter), dialect)
            batch.header = Header(line, file, dialect=dialect)
            start = row_start
            break
        if not row.is_blank:
            batch.header = csv_header(row_start[:start - row_start], file, dialect)
        start = past_ending(start, end)
        batch.lines_before += 1 + row.lines
    batch.text_bytes = end - start
    batch.text = start
    return batch.header


cdef Header csv_header(bytes line, str file, object dialect):
    """The header of a CSV file. Raises HeaderError, also where the line begins as JSON lines do."""
    if line.lstrip(BLANKS).startswith(JSON_HEADER):
        if dialect is not None and ("comment" in dialect or "skip" in dialect):
            raise not_transactions(
                file, "behind the lines that the dialect leaves out it goes on as JSON lines do: remove these lines"
            )
        raise not_transactions(
            file, f"it begins with more than {FIRST_BYTES} blank bytes, then as JSON lines do: remove the blank lines"
        )
    return Header(line, file, dialect=dialect)


def find_spanning_row(TransactionBatch batch not None, Header header=None, dialect=None):
    """Of a batch's lines with their endings, under a header, or in a dialect with the header among them: the index of
    the first line on which a row begins that goes on over the line's ending, or -1; and the bytes from where a field
    opens that is still open at the end, or 0."""
    cdef const uint8_t* p = batch.text
    cdef const uint8_t* end = p + batch.text_bytes
    cdef Py_ssize_t line = 0
    cdef RowPassed row
    cdef Syntax syntax = syntax_of(dialect)
    if header is not None:
        syntax = header.form.syntax
    elif dialect is None or dialect.delimiter is None:
        find_delimiter(p, end, True, &syntax, dialect)
    if memchr(p, syntax.quote, end - p) == NULL:
        return -1, 0
    while p < end:
        row = new_row()
        p = pass_row(p, end, False, &syntax, &row)
        if row.lines:
            return line, 0
        if not row.at_end:
            return -1, end - p
        p = past_ending(p, end)
        line += 1
    return -1, 0
