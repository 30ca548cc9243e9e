"""Parses lines that somebody else has already cut: what the arrow reader gets from pyarrow.

This module must not know pyarrow: it takes the offsets and bytes of a binary column as buffers.
"""

from libc.stdint cimport int32_t, uint8_t

from txfast.batch cimport TransactionBatch
from txfast.read.row cimport (
    BLANK_LINE, WELL_FORMED, Columns, Header, Malformed, Row, parse_row, skip_blanks,
)


def parse_lines(
    TransactionBatch batch not None,
    Header header not None,
    object offsets not None,
    const signed char[::1] text,
    Py_ssize_t first,
    Py_ssize_t count,
    Py_ssize_t lines_before,
):
    """Fill the batch with the lines `first` to `first + count` of a binary column, `lines_before` of its block.

    `offsets` is a buffer of at least `first + count + 1` int32, in bytes of `text`; `text` is None where all
    lines are empty. Both buffers are kept alive by the batch.
    """
    cdef const signed char[::1] offset_bytes = offsets
    cdef const int32_t* starts
    cdef const uint8_t* text_start = NULL
    if offset_bytes.nbytes < <Py_ssize_t>((first + count + 1) * sizeof(int32_t)):
        raise ValueError("offsets too short for that many lines")
    starts = <const int32_t*>&offset_bytes[0] + first
    if starts[count] > starts[0]:
        if text is None or text.nbytes < starts[count]:
            raise ValueError("text too short for those offsets")
        text_start = <const uint8_t*>&text[0] + starts[0]
    batch.reserve(count, count)
    batch.attach((offset_bytes, text), text_start, starts[count] - starts[0])
    batch.line_starts = starts
    batch.lines = count
    batch.lines_before = lines_before
    with nogil:
        fill_batch(batch, &header.columns)


cdef void fill_batch(TransactionBatch batch, const Columns* columns) noexcept nogil:
    cdef const int32_t* starts = batch.line_starts
    cdef Py_ssize_t line, rows = 0, malformed_rows = 0
    cdef Malformed malformed
    cdef Row row
    for line in range(batch.lines):
        malformed = parse_row(
            batch.text + (starts[line] - starts[0]), batch.text + (starts[line + 1] - starts[0]), columns, &row,
        )
        if malformed == WELL_FORMED:
            batch.kind[rows] = row.kind
            batch.client[rows] = row.client
            batch.tx[rows] = row.tx
            batch.amount[rows] = row.amount
            batch.offset[rows] = starts[line] - starts[0]
            rows += 1
        elif malformed != BLANK_LINE:
            batch.malformed_reason[malformed_rows] = malformed
            batch.malformed_offset[malformed_rows] = starts[line] - starts[0]
            malformed_rows += 1
    batch.rows = rows
    batch.malformed_rows = malformed_rows


def find_header(
    object offsets not None, const signed char[::1] text, Py_ssize_t first, Py_ssize_t count, str file not None,
):
    """Look for a header in the lines of a binary column: (lines up to its end, the Header).

    The Header is None where all lines are blank. Raises InputError where the first line that is not blank is none.
    """
    cdef const signed char[::1] offset_bytes = offsets
    cdef const int32_t* starts = <const int32_t*>&offset_bytes[0] + first
    cdef Py_ssize_t line
    cdef const uint8_t* start
    cdef const uint8_t* end
    for line in range(count):
        if starts[line] == starts[line + 1]:
            continue
        start = <const uint8_t*>&text[0] + starts[line]
        end = <const uint8_t*>&text[0] + starts[line + 1]
        if skip_blanks(start, end) != end:
            return line + 1, Header(start[:end - start], file)
    return count, None
