"""The scanner: the one loop that makes the rows of a batch from its text.

The fast paths take plain rows and those with simple quotes, the row parser all others. Scanning needs nothing but the
header, so several threads may scan batches at once. This module must not know where a text comes from.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr

from txfast.batch.batch cimport BLANK_LINE, IGNORED_ROW, ROW_TOO_LONG, WELL_FORMED, Malformed, TransactionBatch
from txfast.batch.header cimport Columns, Header, RowForm, columns_at
from txfast.dialect.currencies cimport KnownCodes, check_codes
from txfast.dialect.meaning cimport Meaning
from txfast.readers.scan_plan cimport (
    FOUR_COLUMNS, MORE_COLUMNS, NO_FAST_PATH, ORDERED_COLUMNS, STANDARD_COLUMNS, TEXT_IDS, Layout, Plan,
    default_amounts, make_plan,
)
from txfast.readers.row cimport Row, parse_row
from txfast.readers.row_fast cimport plain_row, plain_wide_row
from txfast.readers.row_quoted cimport quoted_row
from txfast.readers.row_more cimport know_no_codes, reserve_more, store_more
from txfast.text.csv_in cimport CLOSED, close_quotes, is_comment, skip_blanks
from txfast.text.endings cimport count_lines, find_ending, past_ending

cdef enum:
    # The shortest rows of each sort, with their endings: `refund,1,1`; in a dialect `D,1,1`; one byte that is not
    # blank; a line ending between quotes.
    WELL_FORMED_BYTES_MIN = 11
    DIALECT_BYTES_MIN = 6
    MALFORMED_BYTES_MIN = 2
    SPANNING_BYTES_MIN = 4


cpdef int scan_lines(TransactionBatch batch) except -1:
    """Make rows of a batch's text, which is in the batch's buffer, under the batch's header; none without a header."""
    cdef Plan plan
    reserve_rows(batch, batch.text_bytes)
    if batch.header is not None:
        make_plan(&plan, batch.header)
        scan_text(batch, &plan)
    return 0


def rescan(
    TransactionBatch batch not None, readinto not None, Py_ssize_t text_bytes, Header header not None,
    Py_ssize_t malformed_rows, bint is_cut, bint is_head,
):
    """Scan the text of an earlier batch, its `raw_text()`, again. `readinto(view)` fills the whole view with it.

    `malformed_rows`, `is_cut` and `is_head` are those of the earlier batch. The head of a row that was too long is one
    malformed row, or none where the earlier batch had none. A batch that was cut is cut again, after its last malformed
    row.
    """
    cdef uint8_t* text = batch.text_room(text_bytes)
    readinto(memoryview(batch.buffer)[:text_bytes])
    batch.attach(batch.buffer, text, text_bytes)
    batch.header = header
    if is_head:
        hold_head(batch, malformed_rows > 0, 1)
        return
    if header.is_json:
        from txfast.readers.json_scan import scan_objects

        scan_objects(batch)
    else:
        scan_lines(batch)
    if is_cut:
        batch.cut(malformed_rows)


cdef int reserve_rows(TransactionBatch batch, Py_ssize_t text_bytes) except -1:
    """Make room for all rows that a text of this size can hold under the batch's header."""
    cdef const Meaning* meaning = NULL if batch.header is None else batch.header.form.meaning
    batch.reserve(
        text_bytes // (DIALECT_BYTES_MIN if meaning != NULL else WELL_FORMED_BYTES_MIN) + 1,
        text_bytes // MALFORMED_BYTES_MIN + 1,
        text_bytes // SPANNING_BYTES_MIN + 1,
    )
    return reserve_more(batch, meaning)


cdef int hold_head(TransactionBatch batch, bint is_malformed, Py_ssize_t lines) except -1:
    """Make the batch's text, the head of a row of `lines` lines that is too long, one malformed row, or none."""
    batch.reserve(1, 1, 1)
    batch.scanned = batch.is_head = True
    batch.lines = lines
    if is_malformed:
        batch.spanning_offset[0] = 0
        batch.spanning_end[0] = <uint32_t>batch.text_bytes
        batch.spanning_rows = 1
        batch.malformed_reason[0] = ROW_TOO_LONG
        batch.malformed_offset[0] = 0
        batch.malformed_rows = 1
    return 0


cdef int scan_text(TransactionBatch batch, const Plan* plan) except -1:
    """Make rows of a batch's text, without the GIL: by the loop for the plan's layout. Raises CapacityError for a
    currency too many."""
    cdef KnownCodes known
    know_no_codes(&known, plan, batch)
    with nogil:
        if plan.layout == STANDARD_COLUMNS:
            scan_rows(batch, plan, &known, STANDARD_COLUMNS)
        elif plan.layout == ORDERED_COLUMNS:
            scan_rows(batch, plan, &known, ORDERED_COLUMNS)
        elif plan.layout == FOUR_COLUMNS:
            scan_rows(batch, plan, &known, FOUR_COLUMNS)
        elif plan.layout == MORE_COLUMNS:
            scan_rows(batch, plan, &known, MORE_COLUMNS)
        elif plan.layout == TEXT_IDS:
            scan_rows(batch, plan, &known, TEXT_IDS)
        else:
            scan_rows(batch, plan, &known, NO_FAST_PATH)
    return check_codes(&known) if plan.has_currency else 0


cdef Malformed other_row_of(
    const uint8_t* start,  # IN
    const uint8_t* end,  # IN
    const Plan* plan,  # IN
    Row* row,  # OUT
    const uint8_t** row_end,  # OUT
    Py_ssize_t* lines_inside,  # OUT the line endings inside the row
) noexcept nogil:
    """Parse a row that is not plain. A call: inlined into each of the loops, it takes registers from their fast paths
    (2 % more instructions a row)."""
    cdef bint has_quotes
    cdef Malformed malformed
    if plan.width and not is_comment(skip_blanks(start, end, &plan.form.syntax), end, &plan.form.syntax):
        row_end[0] = quoted_row(start, end, plan, row, lines_inside)
        if row_end[0] != NULL:
            return WELL_FORMED
    malformed = parse_row(start, end, &plan.form, row, row_end, &has_quotes)
    lines_inside[0] = count_lines(start, row_end[0]) if has_quotes else 0
    return malformed


cdef void note_spanning(
    TransactionBatch batch, const RowForm* form, const uint8_t* start, const uint8_t* row_end, Py_ssize_t line,
) noexcept nogil:
    """Note a row with line endings inside, and whether a line in it looks like a row. `line` is its line's index."""
    cdef const uint8_t* p = start
    cdef const uint8_t* closing
    cdef const uint8_t* after
    batch.spanning_offset[batch.spanning_rows] = <uint32_t>(start - batch.text)
    batch.spanning_end[batch.spanning_rows] = <uint32_t>(row_end - batch.text)
    batch.spanning_rows += 1
    while batch.line_like_row < 0:
        p = skip_blanks(p, row_end, &form.syntax)
        if p < row_end and p[0] == form.syntax.quote:
            if close_quotes(p, row_end, True, &form.syntax, &closing, &after) != CLOSED:
                return
            line = find_line_like_row(batch, form, p, closing, line)
            p = after
        while p < row_end and p[0] != form.syntax.delimiter:
            p += 1
        if p == row_end:
            return
        p += 1


cdef Py_ssize_t find_line_like_row(
    TransactionBatch batch, const RowForm* form, const uint8_t* opening, const uint8_t* closing, Py_ssize_t line,
) noexcept nogil:
    """Note the first line inside a quoted field that looks like a row, without what follows the closing quote on it:
    that is the rest of a row. `line` is the index of the line on which the field opens; return that of its end."""
    cdef const uint8_t* inner = find_ending(opening, closing)
    cdef const uint8_t* inner_end
    cdef const uint8_t* row_end
    cdef bint has_quotes
    cdef Row row
    while inner < closing:
        inner = past_ending(inner, closing)
        line += 1
        inner_end = find_ending(inner, closing)
        if (
            batch.line_like_row < 0
            and memchr(inner, form.syntax.delimiter, inner_end - inner) != NULL  # most text has fewer fields than a row
            and parse_row(inner, inner_end, form, &row, &row_end, &has_quotes) == WELL_FORMED
        ):
            batch.line_like_row = line
        inner = inner_end
    return line


cdef inline const uint8_t* fast_row(
    const uint8_t* line,  # IN
    const uint8_t* end,  # IN
    const Plan* plan,  # IN
    const Layout layout,  # IN
    const Columns standard,  # IN
    Row* row,  # OUT
) noexcept nogil:
    """Parse a row by the fast path of a layout; return the next line, or NULL where the row is not plain."""
    if layout == STANDARD_COLUMNS:
        return plain_row(line, standard, c",", default_amounts(), False, &plan.tables, row)
    if layout == NO_FAST_PATH or (plan.form.syntax.comment_bytes and is_comment(line, end, &plan.form.syntax)):
        return NULL
    if layout == MORE_COLUMNS or layout == TEXT_IDS:
        return plain_wide_row(line, end, plan, layout == TEXT_IDS, row)
    return plain_row(
        line, standard if layout == ORDERED_COLUMNS else plan.form.columns, plan.form.syntax.delimiter, plan.amounts,
        plan.has_words, &plan.tables, row,
    )


cdef inline void scan_rows(
    TransactionBatch batch, const Plan* plan, KnownCodes* known, const Layout layout,
) noexcept nogil:
    """Make rows of the batch's text: whole rows, with TEXT_SLACK_BYTES after them.

    `layout` is the plan's, as a literal: so each layout has a loop of its own, without the fast paths of the others. In
    one loop for all, a row of the standard layout takes 7 % more instructions.
    """
    # Copies in locals: read through `batch`, each would be loaded again after every store.
    cdef uint8_t* kinds = batch.kind
    cdef uint64_t* clients = batch.client
    cdef uint64_t* txs = batch.tx
    cdef int64_t* amounts = batch.amount
    cdef uint32_t* offsets = batch.offset
    cdef const uint8_t* text = batch.text
    cdef const uint8_t* end = text + batch.text_bytes
    cdef const uint8_t* line = text
    cdef const uint8_t* next_line
    cdef const uint8_t* row_end
    cdef Py_ssize_t lines_inside
    cdef Py_ssize_t rows = 0, malformed_rows = 0, ignored_rows = 0, lines = 0
    # Known to the compiler, so `plain_row` needs no array of fields: each goes straight to the column that uses it.
    cdef Columns standard = columns_at(0, 1, 2, 3, 4)
    cdef Malformed malformed
    cdef Row row, other_row
    while line < end:
        lines += 1
        next_line = fast_row(line, end, plan, layout, standard, &row)
        malformed = WELL_FORMED
        if next_line == NULL:
            malformed = other_row_of(line, end, plan, &other_row, &row_end, &lines_inside)
            next_line = past_ending(row_end, end)
            row = other_row
            if lines_inside:
                note_spanning(batch, &plan.form, line, row_end, lines - 1)
                lines += lines_inside
        if malformed == WELL_FORMED:
            kinds[rows] = row.kind
            clients[rows] = row.client
            txs[rows] = row.tx
            amounts[rows] = row.amount
            offsets[rows] = <uint32_t>(line - text)
            if layout == MORE_COLUMNS or layout == TEXT_IDS or layout == NO_FAST_PATH:
                store_more(batch, plan, known, rows, &row)
            rows += 1
        elif malformed == IGNORED_ROW:
            ignored_rows += 1
        elif malformed != BLANK_LINE:
            batch.malformed_reason[malformed_rows] = malformed
            batch.malformed_offset[malformed_rows] = <uint32_t>(line - text)
            malformed_rows += 1
        line = next_line
    batch.rows = rows
    batch.malformed_rows = malformed_rows
    batch.ignored_rows = ignored_rows
    batch.lines = lines
    batch.scanned = True
