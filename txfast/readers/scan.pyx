"""The scanner: the one loop that makes the rows of a batch from its text.

The fast path takes plain rows, the row parser all others. Scanning needs nothing but the header, so several threads may
scan batches at once. This module must not know where a text comes from.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from txfast.batch.batch cimport BLANK_LINE, ROW_TOO_LONG, WELL_FORMED, Malformed, TransactionBatch
from txfast.batch.header cimport Columns, Header
from txfast.readers.scan_plan cimport (
    FOUR_COLUMNS, MORE_COLUMNS, STANDARD_COLUMNS, TOO_MANY_COLUMNS, Layout, Plan, make_plan,
)
from txfast.readers.row cimport Row, parse_row
from txfast.readers.row_fast cimport plain_row, plain_wide_row
from txfast.text.endings cimport find_ending, is_ending, past_ending

cdef enum:
    # The shortest rows of both sorts, with their endings: `dispute,1,1`, and one byte that is not blank.
    WELL_FORMED_BYTES_MIN = 12
    MALFORMED_BYTES_MIN = 2


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
    Py_ssize_t malformed_rows, bint is_cut,
):
    """Scan the text of an earlier batch, its `raw_text()`, again. `readinto(view)` fills the whole view with it.

    `malformed_rows` and `is_cut` are those of the earlier batch. A text without an ending is the head of a line that
    was too long: one malformed row, or none where the earlier batch had none. A batch that was cut is cut again, after
    its last malformed row.
    """
    cdef uint8_t* text = batch.text_room(text_bytes)
    readinto(memoryview(batch.buffer)[:text_bytes])
    batch.attach(batch.buffer, text, text_bytes)
    batch.header = header
    if text_bytes and not is_ending(text[text_bytes - 1]):
        hold_long_line(batch, malformed_rows > 0)
        return
    scan_lines(batch)
    if is_cut:
        batch.cut(malformed_rows)


cdef int reserve_rows(TransactionBatch batch, Py_ssize_t text_bytes) except -1:
    """Make room for all rows that a text of this size can hold."""
    return batch.reserve(text_bytes // WELL_FORMED_BYTES_MIN + 1, text_bytes // MALFORMED_BYTES_MIN + 1)


cdef int hold_long_line(TransactionBatch batch, bint is_malformed) except -1:
    """Make the batch's text, the head of a line that is too long, one malformed row, or none."""
    batch.reserve(1, 1)
    batch.scanned = True
    batch.lines = 1
    if is_malformed:
        batch.malformed_reason[0] = ROW_TOO_LONG
        batch.malformed_offset[0] = 0
        batch.malformed_rows = 1
    return 0


cdef int scan_text(TransactionBatch batch, const Plan* plan) except -1:
    """Make rows of a batch's text, without the GIL: by the loop for the plan's layout."""
    with nogil:
        if plan.layout == STANDARD_COLUMNS:
            scan_rows(batch, plan, STANDARD_COLUMNS)
        elif plan.layout == FOUR_COLUMNS:
            scan_rows(batch, plan, FOUR_COLUMNS)
        elif plan.layout == MORE_COLUMNS:
            scan_rows(batch, plan, MORE_COLUMNS)
        else:
            scan_rows(batch, plan, TOO_MANY_COLUMNS)
    return 0


cdef Malformed other_row_of(
    const uint8_t* line, const uint8_t* end, const Columns* columns, Row* row,
) noexcept nogil:
    """Parse a row that is not plain. A call: inlined into each of the loops, it takes registers from their fast paths
    (2 % more instructions a row)."""
    return parse_row(line, end, columns, row)


cdef inline void scan_rows(TransactionBatch batch, const Plan* plan, const Layout layout) noexcept nogil:
    """Make rows of the batch's text: whole lines, with TEXT_SLACK_BYTES after them.

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
    cdef Py_ssize_t rows = 0, malformed_rows = 0, lines = 0
    # Known to the compiler, so `plain_row` needs no array of fields: each goes straight to the column that uses it.
    cdef Columns standard = Columns(type=0, client=1, tx=2, amount=3, width=4)
    cdef Malformed malformed
    cdef Row row, other_row
    while line < end:
        lines += 1
        next_line = NULL
        if layout == STANDARD_COLUMNS:
            next_line = plain_row(line, standard, &plan.tables, &row)
        elif layout == FOUR_COLUMNS:
            next_line = plain_row(line, plan.columns, &plan.tables, &row)
        elif layout == MORE_COLUMNS:
            next_line = plain_wide_row(line, end, plan, &row)
        malformed = WELL_FORMED
        if next_line == NULL:
            next_line = find_ending(line, end)
            malformed = other_row_of(line, next_line, &plan.columns, &other_row)
            next_line = past_ending(next_line, end)
            row = other_row
        if malformed == WELL_FORMED:
            kinds[rows] = row.kind
            clients[rows] = row.client
            txs[rows] = row.tx
            amounts[rows] = row.amount
            offsets[rows] = <uint32_t>(line - text)
            rows += 1
        elif malformed != BLANK_LINE:
            batch.malformed_reason[malformed_rows] = malformed
            batch.malformed_offset[malformed_rows] = <uint32_t>(line - text)
            malformed_rows += 1
        line = next_line
    batch.rows = rows
    batch.malformed_rows = malformed_rows
    batch.lines = lines
    batch.scanned = True
