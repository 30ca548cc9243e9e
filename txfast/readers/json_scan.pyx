"""The scanner of JSON lines: the one loop that makes the rows of a batch from its text.

The fast path takes rows that look like earlier ones of the block, the row parser all others. Several threads may scan
batches at once. This module must not know where a text comes from.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from txfast.batch.batch cimport BLANK_LINE, IGNORED_ROW, WELL_FORMED, Malformed, TransactionBatch
from txfast.batch.header cimport RowForm
from txfast.batch.json_object cimport JSON_ROOM_BYTES
from txfast.dialect.currencies cimport KnownCodes, check_codes
from txfast.readers.json_fast cimport Shape, are_same, learn_shape, shaped_row
from txfast.readers.json_row cimport parse_object
from txfast.readers.row cimport Row
from txfast.readers.row_more cimport know_no_codes, reserve_more, store_more
from txfast.readers.scan_plan cimport Plan, make_plan
from txfast.text.csv_in cimport is_comment, skip_blanks
from txfast.text.endings cimport find_ending, past_ending

from txfast.batch.header import JSON_HEADER, Header

cdef enum:
    # The shortest rows of each sort, with their endings: `{"type":"refund","client":1,"tx":1}`; in a dialect
    # `{"t":1,"c":1,"x":1}`; one byte.
    WELL_FORMED_BYTES_MIN = 36
    DIALECT_BYTES_MIN = 20
    MALFORMED_BYTES_MIN = 2
    # Shapes that are tried for each row: writers leave the amount out of some rows, or make it null.
    SHAPES = 4
    # Shapes that are learnt in a block: where rows have ever other keys, learning is of no use.
    LEARNT_MAX = 32

# The shapes of a block's rows, and how many were learnt. A further one takes the place of the oldest.
cdef struct Shapes:
    Shape[SHAPES] shapes
    int count
    int learnt


cdef int reserve_objects(TransactionBatch batch, Py_ssize_t text_bytes, const Plan* plan) except -1:
    """Make room for all rows that a text of this size can hold."""
    batch.reserve(
        text_bytes // (WELL_FORMED_BYTES_MIN if is_default(&plan.form) else DIALECT_BYTES_MIN) + 1,
        text_bytes // MALFORMED_BYTES_MIN + 1,
        1,
    )
    return reserve_more(batch, plan.form.meaning)


cdef bint is_default(const RowForm* form) noexcept nogil:
    """Whether rows are read in no dialect."""
    return form.keys == NULL


def scan_objects(TransactionBatch batch not None):
    """Make rows of a batch's text, which is lines of JSON with TEXT_SLACK_BYTES after them, under its header."""
    cdef Plan plan
    make_plan(&plan, Header(JSON_HEADER, "") if batch.header is None else batch.header)
    scan_objects_by(batch, &plan)


cdef int scan_objects_by(TransactionBatch batch, const Plan* plan) except -1:
    """The same by a plan that was made before. Without the GIL."""
    cdef KnownCodes known
    cdef uint8_t* room
    know_no_codes(&known, plan, batch)
    reserve_objects(batch, batch.text_bytes, plan)
    room = <uint8_t*>malloc(JSON_ROOM_BYTES)
    if room == NULL:
        raise MemoryError("no memory for the texts of a row")
    with nogil:
        if is_default(&plan.form):
            scan_lines_of(batch, plan, &known, True, room)
        else:
            scan_lines_of(batch, plan, &known, False, room)
    free(room)
    return check_codes(&known) if plan.has_currency else 0


cdef Malformed other_row_of(
    const uint8_t* line,  # IN
    const uint8_t* ending,  # IN
    const Plan* plan,  # IN
    uint8_t* room,  # as in `next_member`
    Shapes* shapes,  # IN and OUT
    Row* row,  # OUT
) noexcept nogil:
    """Parse a row of no known shape, and learn its shape. A call, so that it takes no registers from the fast path."""
    cdef Malformed malformed = parse_object(line, ending, &plan.form, room, row)
    cdef Shape* shape
    cdef Shape learnt
    cdef int i
    if malformed != WELL_FORMED or shapes.learnt == LEARNT_MAX or not learn_shape(line, ending, plan, room, &learnt):
        return malformed
    for i in range(shapes.count):
        # The row has a known shape, but values that are not plain.
        if are_same(&learnt, &shapes.shapes[i]):
            return malformed
    shape = &shapes.shapes[shapes.learnt % SHAPES]
    shape[0] = learnt
    shapes.learnt += 1
    shapes.count = min(shapes.learnt, <int>SHAPES)
    return malformed


cdef inline void scan_lines_of(
    TransactionBatch batch, const Plan* plan, KnownCodes* known, const bint is_default, uint8_t* room,
) noexcept nogil:
    """Make rows of the batch's text. `is_default` is a literal: so the default dialect has a loop of its own."""
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
    cdef const uint8_t* ending
    cdef Py_ssize_t rows = 0, malformed_rows = 0, ignored_rows = 0, lines = 0
    cdef Malformed malformed
    cdef Row row, other_row
    cdef Shapes shapes
    cdef int i
    shapes.count = 0
    shapes.learnt = 0 if plan.width else LEARNT_MAX
    while line < end:
        lines += 1
        next_line = NULL
        if is_default or not is_comment(skip_blanks(line, end, &plan.form.syntax), end, &plan.form.syntax):
            for i in range(shapes.count):
                next_line = shaped_row(line, end, &shapes.shapes[i], plan, is_default, room, &row)
                if next_line != NULL:
                    break
        malformed = WELL_FORMED
        if next_line == NULL:
            ending = find_ending(line, end)
            malformed = other_row_of(line, ending, plan, room, &shapes, &other_row)
            next_line = past_ending(ending, end)
            row = other_row
        if malformed == WELL_FORMED:
            kinds[rows] = row.kind
            clients[rows] = row.client
            txs[rows] = row.tx
            amounts[rows] = row.amount
            offsets[rows] = <uint32_t>(line - text)
            if not is_default:
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
