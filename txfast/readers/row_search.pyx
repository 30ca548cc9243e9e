"""Where a row begins in the middle of a file: for the borders of ranges, where the text before was not read.

A line begins a row, unless it is inside a quoted field; only the text before it says which. A search assumes one of the
two, and follows the text. If the other assumption contradicts the text, or leads to the same row, the row begins there.

This module must not know where a text comes from.
"""

from libc.stdint cimport uint8_t

from txfast.readers.cutter cimport RowPassed, is_open, new_row, pass_row
from txfast.batch.header cimport Header
from txfast.text.csv_in cimport BAD, OPEN, Quoting, Syntax, close_quotes
from txfast.text.endings cimport CR, past_ending


cdef class RowSearch:
    """The search for the first row that begins `offset` bytes behind the start of a line, or later.

    The line begins a row or, if it starts `in_quotes`, is inside a quoted field that is closed later. `search` the text
    from that line on, in pieces, until `found` has the offset of the row, or `is_impossible` says that the line is not
    in quotes. Rows are cut as under `header`. With `holds_open`, a row whose quoted field is still open at the end of
    the file is held back whole: no row begins on its later lines.
    """

    cdef readonly object found  # None until it is known
    cdef readonly bint is_impossible
    cdef Py_ssize_t offset
    cdef bint in_quotes
    cdef bint holds_open
    cdef bint at_row_start
    cdef Py_ssize_t place  # of the next piece
    cdef RowPassed row
    cdef Syntax syntax

    def __cinit__(
        self, Py_ssize_t offset, Header header not None, *, bint in_quotes=False, bint holds_open=False,
    ):
        self.offset = offset
        self.syntax = header.form.syntax
        self.in_quotes = in_quotes
        self.holds_open = holds_open
        self.at_row_start = not in_quotes
        self.row = new_row()

    def search(self, bytes text not None, *, bint is_whole):
        """Search the next piece; return how many of its bytes are done with. The next piece begins after them, and has
        more text where nothing was done. A piece that ends the file `is_whole`."""
        cdef const uint8_t* start = text
        cdef const uint8_t* end = start + len(text)
        cdef const uint8_t* p = self.past_quotes(start, end, is_whole) if self.in_quotes else start
        if self.in_quotes:  # still
            return 0
        while True:
            if self.at_row_start and self.place + (p - start) >= self.offset:
                self.found = self.place + (p - start)
                break
            self.at_row_start = False
            p = pass_row(p, end, False, &self.syntax, &self.row)
            if is_whole and not self.row.at_end:
                if self.holds_open and p < end and p[0] == self.syntax.quote and is_open(p, end, &self.syntax):
                    p = end
                p = pass_row(p, end, True, &self.syntax, &self.row)
                if not self.row.at_end:
                    self.found = self.place + (p - start)
                    break
            # A CR at the end may be half of an ending.
            if self.row.at_end and not is_whole and p == end - 1 and p[0] == CR:
                self.row.at_end = False
                break
            if not self.row.at_end:
                break
            p = past_ending(p, end)
            self.row = new_row()
            self.at_row_start = True
        self.place += p - start
        return p - start

    cdef const uint8_t* past_quotes(self, const uint8_t* start, const uint8_t* end, bint is_whole) noexcept:
        """Leave the quoted field that the text starts in, if the text tells where it ends."""
        cdef const uint8_t* closing
        cdef const uint8_t* after
        cdef Quoting quoting
        if self.syntax.quote < 0:
            self.is_impossible = True
            return start
        # Take the byte before the text for the opening quote, which is there or earlier; it is not read.
        quoting = close_quotes(start - 1, end, is_whole and not self.holds_open, &self.syntax, &closing, &after)
        if quoting == OPEN and is_whole:
            self.found = self.place + (end - start)
        self.is_impossible = quoting == BAD
        if quoting == OPEN or quoting == BAD:
            return start
        self.in_quotes = False
        self.row.is_blank = False
        self.row.in_field = True
        return after
