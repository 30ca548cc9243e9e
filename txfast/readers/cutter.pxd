"""The cutter: where rows end. A row goes on over the line endings inside its quoted fields (text/csv_in.pxd).

There are three ways. `end_of_rows_by_last_quote` finds the last whole row of a block from a few lines before its last
quote; a block without quotes takes one memchr. If these lines leave it in doubt, a Cutter goes from quote to quote
through the whole block, and looks only at the bytes beside them. `pass_row` finds the end of one row, byte by
byte: for headers, for rows that are too long, and for the borders of ranges. All end a row where the row parser does.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memchr

from txfast.text.bits cimport WINDOW_BYTES, leading_zeros, match_64
from txfast.text.csv_in cimport (
    BAD, CLOSED, OPEN, ROW_BYTES_MAX, Quoting, Syntax, close_quotes, find_quote, is_blank, is_comment, skip_blanks,
)
from txfast.text.endings cimport CR, count_lines, find_ending, is_ending, past_ending

cdef enum:
    # Quoted fields that a Cutter remembers. A row with more is cut a second time, slower.
    FIELDS_KEPT = 64
    # Lines before a block's last quote, and their bytes, that are looked at before a Cutter goes through the block.
    LINES_BACK = 8
    BYTES_BACK = 4096

# How far a block is cut: offsets in a text that begins with a row.
cdef struct Cutter:
    Py_ssize_t place  # all quotes before it are decided
    Py_ssize_t opening  # of a field that is open at the end of the text; -1 where none is
    bint in_bad_line  # the row at `place` has bad quoting, or is a comment: it ends with its line
    Py_ssize_t after_field  # after the last quoted field, or 0
    Py_ssize_t fields  # closed so far; of the last FIELDS_KEPT, where each opens, and what comes after it:
    Py_ssize_t[FIELDS_KEPT] openings
    Py_ssize_t[FIELDS_KEPT] ends

# A row that is being passed: what is known of it so far.
cdef struct RowPassed:
    bint at_end  # its ending was reached
    bint is_blank
    bint in_field  # not at a field's start
    bint in_bad_line
    bint in_comment
    Py_ssize_t lines  # endings inside it


cdef inline Cutter new_cutter() noexcept nogil:
    cdef Cutter cutter
    cutter.place = cutter.fields = cutter.after_field = 0
    cutter.opening = -1
    cutter.in_bad_line = False
    return cutter


cdef inline RowPassed new_row() noexcept nogil:
    return RowPassed(
        at_end=False, is_blank=True, in_field=False, in_bad_line=False, in_comment=False, lines=0,
    )


cdef inline bint opens_field(const uint8_t* text, const uint8_t* quote, const Syntax* syntax) noexcept nogil:
    """Whether a quote outside of quoted fields opens one: blanks alone stand before it in its field."""
    while quote > text and is_blank((quote - 1)[0], syntax):
        quote -= 1
    return quote == text or (quote - 1)[0] == syntax.delimiter or is_ending((quote - 1)[0])


cdef inline bint is_in_comment(
    const Cutter* cutter, const uint8_t* text, const uint8_t* quote, const Syntax* syntax,
) noexcept nogil:
    """Whether a quote is in a comment. The row of a line with a quoted field before it is none."""
    cdef Py_ssize_t line
    if not syntax.comment_bytes:
        return False
    line = after_last_ending(text, cutter.after_field, quote - text)
    return (line != 0 or cutter.after_field == 0) and is_comment(
        skip_blanks(text + line, quote, syntax), quote, syntax,
    )


cdef inline void go_on(
    Cutter* cutter,  # IN and OUT
    const uint8_t* text,  # IN what follows it is not known
    const uint8_t* end,  # IN
    const Syntax* syntax,  # IN
) noexcept nogil:
    """Decide the quotes of a text that begins as before, and may have grown."""
    cdef const uint8_t* p = text + cutter.place
    cdef const uint8_t* closing
    cdef const uint8_t* after
    cdef Quoting quoting
    cutter.opening = -1
    if syntax.quote < 0 or (memchr(p, syntax.quote, end - p) == NULL and not cutter.in_bad_line):
        p = end
    while p < end:
        if cutter.in_bad_line:
            p = find_ending(p, end)
            cutter.in_bad_line = p == end
        p = find_quote(p, end, <uint8_t>syntax.quote)
        if p == end:
            break
        if not opens_field(text, p, syntax):
            p += 1
            continue
        if is_in_comment(cutter, text, p, syntax):
            cutter.in_bad_line = True
            continue
        quoting = close_quotes(p, end, False, syntax, &closing, &after)
        if quoting == OPEN:
            cutter.opening = p - text
            break
        cutter.in_bad_line = quoting == BAD
        if quoting == CLOSED:
            cutter.openings[cutter.fields % FIELDS_KEPT] = p - text
            cutter.ends[cutter.fields % FIELDS_KEPT] = cutter.after_field = after - text
            cutter.fields += 1
            p = after
    cutter.place = p - text


cdef inline Py_ssize_t end_of_rows_by_last_quote(
    const uint8_t* text, Py_ssize_t text_bytes, const Syntax* syntax,
) noexcept nogil:
    """The end of the last whole row in a text that begins with a row; 0 where there is none, or it is in doubt.

    A line begins a row or is inside a quoted field. It is not inside one if the next quote that is not doubled could
    not close it. From a line that begins a row on, rows are passed up to the one with the text's last quote: behind it,
    a line is a row. For rows with a quoted field each this takes a tenth of the time of a Cutter.
    """
    cdef const uint8_t* end = text + text_bytes
    cdef const uint8_t* quote
    cdef const uint8_t* p
    cdef Py_ssize_t start, found
    cdef RowPassed row
    # A CR at the very end may be half of an ending, so it is none yet.
    cdef Py_ssize_t last = text_bytes - 1 if text_bytes and text[text_bytes - 1] == CR else text_bytes
    if syntax.quote < 0 or memchr(text, syntax.quote, text_bytes) == NULL:
        return after_last_ending(text, 0, last)
    if syntax.comment_bytes:
        return 0  # a quote in a comment closes nothing
    quote = find_last_quote(text, end, <uint8_t>syntax.quote)
    start = start_of_row_before(text, quote - text, end, syntax)
    if start < 0:
        return 0
    while text + start <= quote:
        row = new_row()
        p = pass_row(text + start, end, False, syntax, &row)
        if not row.at_end or (p == end - 1 and p[0] == CR):
            return start
        start = past_ending(p, end) - text
    found = after_last_ending(text, start, last)
    return found if found else start


cdef inline const uint8_t* find_last_quote(
    const uint8_t* text, const uint8_t* end, const uint8_t quote,
) noexcept nogil:
    """The last quote of a text that has one."""
    cdef uint64_t quotes
    while end - text >= WINDOW_BYTES:
        quotes = match_64(end - WINDOW_BYTES, quote)
        if quotes:
            return end - 1 - leading_zeros(quotes)
        end -= WINDOW_BYTES
    while (end - 1)[0] != quote:
        end -= 1
    return end - 1


cdef inline Py_ssize_t start_of_row_before(
    const uint8_t* text, const Py_ssize_t offset, const uint8_t* end, const Syntax* syntax,
) noexcept nogil:
    """Where one of the last few lines before an offset begins, if it is certain that a row begins there; else -1."""
    cdef const uint8_t* closing
    cdef const uint8_t* after
    cdef Py_ssize_t start = offset + 1
    cdef int lines = LINES_BACK
    while lines:
        lines -= 1
        start = after_last_ending(text, max(0, offset - BYTES_BACK), start - 1)
        # No line begins in these bytes, or the text does, which begins with a row.
        if start == 0:
            return 0 if offset <= BYTES_BACK else -1
        # Take the byte before the line for an opening quote: a field around the line opens there or earlier.
        if close_quotes(text + start - 1, end, False, syntax, &closing, &after) == BAD:
            return start
    return -1


cdef inline Py_ssize_t end_of_rows(
    const Cutter* cutter, const uint8_t* text, Py_ssize_t text_bytes, const Syntax* syntax,
) noexcept nogil:
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
    return after_last_ending(text, 0, end) if field == 0 else end_of_rows_before(text, end, syntax)


cdef inline Py_ssize_t end_of_rows_before(
    const uint8_t* text, Py_ssize_t text_bytes, const Syntax* syntax,
) noexcept nogil:
    """The same for a text before a quoted field, row by row: for a row with more fields than a Cutter remembers."""
    cdef const uint8_t* end = text + text_bytes
    cdef const uint8_t* p = text
    cdef Py_ssize_t found = 0
    cdef RowPassed row
    while True:
        row = new_row()
        p = pass_row(p, end, False, syntax, &row)
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
    const Syntax* syntax,  # IN
    RowPassed* row,  # IN and OUT
) noexcept nogil:
    """Return the row's ending, and set `at_end`. If the text ends first, return where to go on: call it again from
    there once there is more text."""
    cdef const uint8_t* closing
    cdef const uint8_t* after
    cdef Quoting quoting
    while p < end:
        if row.in_bad_line or row.in_comment:
            p = find_ending(p, end)
            row.at_end = p < end
            return p
        if not row.in_field:
            p = skip_blanks(p, end, syntax)
            if p == end:
                return end
            if row.is_blank and syntax.comment_bytes:
                if not is_whole and end - p < syntax.comment_bytes and find_ending(p, end) == end:
                    return p
                row.in_comment = is_comment(p, end, syntax)
                if row.in_comment:
                    continue
            if p[0] == syntax.quote:
                row.is_blank = False
                quoting = close_quotes(p, end, is_whole, syntax, &closing, &after)
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
        while p < end and p[0] != syntax.delimiter and not is_ending(p[0]):
            p += 1
        if p == end:
            return end
        if is_ending(p[0]):
            row.at_end = True
            return p
        row.in_field = False
        p += 1
    return end


cdef inline bint is_open(const uint8_t* opening, const uint8_t* end, const Syntax* syntax) noexcept nogil:
    """Whether the field that opens at a quote is still open at the end of an input."""
    cdef const uint8_t* closing
    cdef const uint8_t* after
    return end - opening <= ROW_BYTES_MAX and close_quotes(opening, end, True, syntax, &closing, &after) != CLOSED


cdef inline Py_ssize_t row_from(
    const uint8_t* text,  # IN whole rows
    const uint8_t* end,  # IN
    const Py_ssize_t offset,  # IN
    const Syntax* syntax,  # IN
) noexcept nogil:
    """Where the first row begins at an offset or later, or the text ends."""
    cdef const uint8_t* p = text
    cdef RowPassed row
    while p < end and p - text < offset:
        row = new_row()
        p = past_ending(pass_row(p, end, True, syntax, &row), end)
    return p - text
