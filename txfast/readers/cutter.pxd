"""The cutter: where rows end. A row goes on over the line endings inside its quoted fields (text/csv_in.pxd).

Two ways lead there. A Cutter finds the last whole row of a block: it goes from quote to quote, and looks at the bytes
beside them alone; of a block without quotes only one memchr is asked. `pass_row` finds the end of one row, byte by
byte: for headers, for rows that are too long, and for the borders of ranges. Both end a row where the row parser does.
"""

from libc.stdint cimport uint8_t
from libc.string cimport memchr

from txfast.text.csv_in cimport (
    BAD, CLOSED, OPEN, ROW_BYTES_MAX, Quoting, close_quotes, find_quote, is_blank, skip_blanks,
)
from txfast.text.endings cimport CR, count_lines, find_ending, is_ending, past_ending

cdef enum:
    # Quoted fields that a Cutter remembers. A row with more is cut a second time, slower.
    FIELDS_KEPT = 64

# How far a block is cut: offsets in a text that begins with a row.
cdef struct Cutter:
    Py_ssize_t place  # of the text before, all quotes are decided
    Py_ssize_t opening  # of a field that is open at the end of the text; -1 where none is
    bint in_bad_line  # the row at `place` has bad quoting: it ends with its line
    Py_ssize_t fields  # closed so far; of the last FIELDS_KEPT, where each opens, and what comes after it:
    Py_ssize_t[FIELDS_KEPT] openings
    Py_ssize_t[FIELDS_KEPT] ends

# A row that is being passed: what is known of it so far.
cdef struct RowPassed:
    bint at_end  # its ending was reached
    bint is_blank
    bint in_field  # not at a field's start
    bint in_bad_line
    Py_ssize_t lines  # endings inside it


cdef inline Cutter new_cutter() noexcept nogil:
    cdef Cutter cutter
    cutter.place = cutter.fields = 0
    cutter.opening = -1
    cutter.in_bad_line = False
    return cutter


cdef inline RowPassed new_row() noexcept nogil:
    return RowPassed(at_end=False, is_blank=True, in_field=False, in_bad_line=False, lines=0)


cdef inline bint opens_field(const uint8_t* text, const uint8_t* quote) noexcept nogil:
    """Whether a quote outside of quoted fields opens one: blanks alone stand before it in its field."""
    while quote > text and is_blank((quote - 1)[0]):
        quote -= 1
    return quote == text or (quote - 1)[0] == c',' or is_ending((quote - 1)[0])


cdef inline void go_on(
    Cutter* cutter,  # IN and OUT
    const uint8_t* text,  # IN what follows it is not known
    const uint8_t* end,  # IN
) noexcept nogil:
    """Decide the quotes of a text that begins as before, and may have grown."""
    cdef const uint8_t* p = text + cutter.place
    cdef const uint8_t* closing
    cdef const uint8_t* after
    cdef Quoting quoting
    cutter.opening = -1
    if memchr(p, c'"', end - p) == NULL and not cutter.in_bad_line:
        p = end
    while p < end:
        if cutter.in_bad_line:
            p = find_ending(p, end)
            cutter.in_bad_line = p == end
        p = find_quote(p, end)
        if p == end:
            break
        if not opens_field(text, p):
            p += 1
            continue
        quoting = close_quotes(p, end, False, &closing, &after)
        if quoting == OPEN:
            cutter.opening = p - text
            break
        cutter.in_bad_line = quoting == BAD
        if quoting == CLOSED:
            cutter.openings[cutter.fields % FIELDS_KEPT] = p - text
            cutter.ends[cutter.fields % FIELDS_KEPT] = after - text
            cutter.fields += 1
            p = after
    cutter.place = p - text


cdef inline Py_ssize_t end_of_rows(const Cutter* cutter, const uint8_t* text, Py_ssize_t text_bytes) noexcept nogil:
    """The end of the last whole row in a text whose quotes were decided, its ending included; 0 where there is none."""
    cdef Py_ssize_t end = text_bytes if cutter.opening < 0 else cutter.opening
    cdef Py_ssize_t field = cutter.fields
    cdef Py_ssize_t found
    # A CR at the very end may be half of an ending, so it is none yet.
    if cutter.opening < 0 and end and text[end - 1] == CR:
        end -= 1
    # Backwards from the end, over the quoted fields.
    while field > max(0, cutter.fields - FIELDS_KEPT):
        field -= 1
        found = after_last_ending(text, cutter.ends[field % FIELDS_KEPT], end)
        if found:
            return found
        end = cutter.openings[field % FIELDS_KEPT]
    return after_last_ending(text, 0, end) if field == 0 else end_of_rows_before(text, end)


cdef inline Py_ssize_t end_of_rows_before(const uint8_t* text, Py_ssize_t text_bytes) noexcept nogil:
    """The same for a text before a quoted field, row by row: for a row with more fields than a Cutter remembers."""
    cdef const uint8_t* end = text + text_bytes
    cdef const uint8_t* p = text
    cdef Py_ssize_t found = 0
    cdef RowPassed row
    while True:
        row = new_row()
        p = pass_row(p, end, False, &row)
        if not row.at_end:
            return found
        # An ending before a quoted field is whole.
        while p < end and is_ending(p[0]):
            p += 1
        found = p - text


cdef inline Py_ssize_t after_last_ending(const uint8_t* text, Py_ssize_t start, Py_ssize_t end) noexcept nogil:
    """The end of the last line that ends in a part of a text, or 0."""
    while end > start and not is_ending(text[end - 1]):
        end -= 1
    return end if end > start else 0


cdef inline const uint8_t* pass_row(
    const uint8_t* p,  # IN a row's start, or where it returned before
    const uint8_t* end,  # IN the end of the text
    const bint is_whole,  # IN whether nothing follows the text
    RowPassed* row,  # IN and OUT
) noexcept nogil:
    """Go on to the row's ending. Without `at_end` it stops before: the text from there on is needed again, and more."""
    cdef const uint8_t* closing
    cdef const uint8_t* after
    cdef Quoting quoting
    while p < end:
        if row.in_bad_line:
            p = find_ending(p, end)
            row.at_end = p < end
            return p
        if not row.in_field:
            p = skip_blanks(p, end)
            if p == end:
                return end
            if p[0] == c'"':
                row.is_blank = False
                quoting = close_quotes(p, end, is_whole, &closing, &after)
                if quoting == OPEN:
                    return p
                row.in_bad_line = quoting == BAD
                if quoting == CLOSED:
                    row.lines += count_lines(p, closing)
                    row.in_field = True
                    p = after
                continue
            row.in_field = not is_ending(p[0])
            row.is_blank = row.is_blank and not row.in_field
        while p < end and p[0] != c',' and not is_ending(p[0]):
            p += 1
        if p == end:
            return end
        if is_ending(p[0]):
            row.at_end = True
            return p
        row.in_field = False
        p += 1
    return end


cdef inline bint is_open(const uint8_t* opening, const uint8_t* end) noexcept nogil:
    """Whether the field that opens at a quote is still open at the end of an input."""
    cdef const uint8_t* closing
    cdef const uint8_t* after
    return end - opening <= ROW_BYTES_MAX and close_quotes(opening, end, True, &closing, &after) != CLOSED


cdef inline Py_ssize_t row_from(
    const uint8_t* text,  # IN whole rows
    const uint8_t* end,  # IN
    const Py_ssize_t offset,  # IN
) noexcept nogil:
    """Where the first row begins at an offset or later, or the text ends."""
    cdef const uint8_t* p = text
    cdef RowPassed row
    while p < end and p - text < offset:
        row = new_row()
        p = past_ending(pass_row(p, end, True, &row), end)
    return p - text
