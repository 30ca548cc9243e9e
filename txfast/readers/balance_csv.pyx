"""BalanceCsvReader: reads a CSV file of balances, block by block.

This module must not know what is in a row, nor what a run does with balances.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp, memmove

from cpython.bytearray cimport PyByteArray_AS_STRING

from txfast.readers.balance_parser cimport BalanceParser
from txfast.readers.cutter cimport Cutter, end_of_rows, end_of_rows_by_last_quote, go_on, new_cutter
from txfast.readers.file_start cimport FOUND, Found, find_delimiter, past_lines, syntax_of
from txfast.readers.text_reader cimport BOM_BYTES
from txfast.text.bits cimport TEXT_SLACK_BYTES
from txfast.text.csv_in cimport ROW_BYTES_MAX, Field, Syntax, is_comment, skip_blanks, take_field
from txfast.text.endings cimport count_lines, find_ending, is_ending, past_ending

from txfast.errors import SourceError, unreadable

READ_BLOCK_BYTES = 1 << 18


cdef class BalanceCsvReader:
    """Reads a CSV file of balances: `fill` BalanceRows with the rows of the next block.

    `file` has `readinto`; `name` is the file's in messages; `contents` (balance_columns.py) says which columns it may
    have, `form` (balance_form.py) how it is read. `rows` are the BalanceRows, None before the first `fill`.
    """

    cdef object file
    cdef str name
    cdef object contents
    cdef object form
    cdef bytearray buffer
    cdef Py_ssize_t filled
    cdef Py_ssize_t taken  # bytes of the buffer that were parsed, or are left out
    cdef bint at_end
    cdef bint has_begun  # where the first line is, and the delimiter, is known
    cdef Syntax syntax
    cdef BalanceParser parser  # None before the header

    def __cinit__(
        self, file not None, str name not None, contents not None, form not None,
        Py_ssize_t block_bytes=READ_BLOCK_BYTES,
    ):
        self.file = file
        self.name = name
        self.contents = contents
        self.form = form
        self.syntax = syntax_of(form.dialect)
        self.buffer = bytearray(block_bytes + TEXT_SLACK_BYTES)

    @property
    def rows(self):
        """The rows so far."""
        return None if self.parser is None else self.parser.rows

    def fill(self):
        """Add the next rows to `rows`; False at the end of the file.

        Raises InputError for a file or a row that is wrong, and SourceError where the file cannot be read.
        """
        cdef const uint8_t* text
        cdef Py_ssize_t end
        while True:
            end = self.next_block()
            if self.taken == end:
                if self.parser is None:
                    needed = self.contents.needed(self.form.key_names)
                    raise self.contents.wrong(self.name, f"it is empty: it needs {needed}")
                return False
            text = <const uint8_t*>PyByteArray_AS_STRING(self.buffer)
            if self.parser is None:
                self.take_header(text, text + end)
            if self.parser is not None:
                self.parser.take(text + self.taken, text + end)
            self.taken = end
            if self.parser is not None:
                return True

    cdef Py_ssize_t next_block(self) except -1:
        """Read until there are whole rows behind `taken` in the buffer, or the file ends; return where they end."""
        cdef Cutter cutter = new_cutter()
        cdef const uint8_t* text = <const uint8_t*>PyByteArray_AS_STRING(self.buffer)
        cdef Py_ssize_t end, size
        cdef bint is_first = True
        memmove(<uint8_t*>text, text + self.taken, self.filled - self.taken)
        self.filled -= self.taken
        self.taken = 0
        while True:
            self.read_on()
            text = <const uint8_t*>PyByteArray_AS_STRING(self.buffer)
            if (self.has_begun or self.begin(text)) and self.at_end:
                return self.filled
            if self.has_begun:
                size = self.filled - self.taken
                with nogil:
                    end = end_of_rows_by_last_quote(text + self.taken, size, &self.syntax) if is_first else 0
                    if not end:
                        go_on(&cutter, text + self.taken, text + self.filled, &self.syntax)
                        end = end_of_rows(&cutter, text + self.taken, size, &self.syntax)
                is_first = False
                if end:
                    return self.taken + end
                # While a field is open, the row may yet end with the line of its opening.
                if cutter.opening < 0 and size > ROW_BYTES_MAX:
                    line = 1 if self.parser is None else self.parser.rows.next_line
                    raise self.contents.wrong_row(self.name, line, "the row is longer than 1 MiB")
            self.buffer.extend(bytes(len(self.buffer)))

    cdef int read_on(self) except -1:
        """Read until the buffer is full or the file ends."""
        cdef Py_ssize_t capacity = len(self.buffer) - TEXT_SLACK_BYTES
        with memoryview(self.buffer) as view:
            while self.filled < capacity and not self.at_end:
                try:
                    count = self.file.readinto(view[self.filled:capacity])
                except SourceError:
                    raise
                except OSError as error:
                    raise unreadable(self.name, error) from error
                if count is None:
                    raise unreadable(self.name, "it is non-blocking and has nothing to read yet")
                self.at_end = count == 0
                self.filled += <Py_ssize_t>count
        return 0

    cdef bint begin(self, const uint8_t* text) except -1:
        """Find where the first line is that counts, and the delimiter. False where more text is needed."""
        cdef const uint8_t* start = text
        cdef const uint8_t* end = text + self.filled
        cdef Found found = FOUND
        if self.filled < BOM_BYTES and not self.at_end:
            return False  # it may be the beginning of a byte order mark
        if self.filled >= BOM_BYTES and memcmp(text, b"\xef\xbb\xbf", BOM_BYTES) == 0:
            start += BOM_BYTES
        start = past_lines(start, end, self.skipped_lines(), self.at_end)
        if start == NULL:
            return False
        if self.form.dialect.delimiter is None:
            keys = [name for names in self.form.key_names.values() for name in names]
            columns = {name: name for name in [*keys, *self.contents.value_names]}
            found = find_delimiter(start, end, self.at_end, &self.syntax, self.form.dialect, columns)
        if found != FOUND and not self.at_end:
            return False
        self.taken = start - text
        self.has_begun = True
        return True

    cdef Py_ssize_t skipped_lines(self) except -1:
        """The lines that the dialect skips."""
        return int(self.form.dialect.part("skip"))

    cdef int take_header(self, const uint8_t* text, const uint8_t* end) except -1:
        """Find the header, the first row that is not blank; `taken` is then where it ends. There is none where all is
        blank."""
        cdef const uint8_t* start = text + self.taken
        cdef const uint8_t* row = skip_blanks(start, end, &self.syntax)
        cdef Field field
        cdef uint64_t line = 1 + self.skipped_lines()
        cdef list names = []
        while row < end and (is_ending(row[0]) or is_comment(row, end, &self.syntax)):
            start = past_ending(find_ending(row, end), end)
            row = skip_blanks(start, end, &self.syntax)
            line += 1
        if row == end:
            return 0
        while True:
            row = start
            start = take_field(start, end, &self.syntax, &field)
            if start == NULL:
                raise self.contents.wrong(self.name, "its header is badly quoted: close each quote before a delimiter")
            names.append(field.start[:field.end - field.start].decode("utf-8", "replace"))
            line += count_lines(row, start)
            if start == end or start[0] != self.syntax.delimiter:
                break
            start += 1
        found = self.contents.find(self.name, names, self.form.key_names)
        self.parser = BalanceParser(self.name, self.contents, self.form, names, found)
        self.parser.cut_by(self.syntax.delimiter)
        self.parser.rows.skip_to(line + 1)
        self.taken = past_ending(start, end) - text
        return 0
