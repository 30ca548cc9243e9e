"""The scanner: the one loop that makes the rows of a batch from its text.

The fast path takes plain rows, the row parser all others.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from txfast.batch.batch cimport BLANK_LINE, WELL_FORMED, Malformed, TransactionBatch
from txfast.batch.header cimport Columns
from txfast.readers.scan_plan cimport FOUR_COLUMNS, MORE_COLUMNS, STANDARD_COLUMNS, Layout, Plan
from txfast.readers.row cimport Row, parse_row
from txfast.readers.row_fast cimport plain_row, plain_wide_row
from txfast.text.endings cimport find_ending, past_ending


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
    cdef Columns standard = Columns(type=0, client=1, tx=2, amount=3)
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
            malformed = parse_row(line, next_line, &plan.columns, &other_row)
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
