"""Parses lines that somebody else has already cut: what the arrow reader gets from pyarrow.

This module must not know pyarrow: it takes the offsets and bytes of a binary column as buffers.
"""

from libc.stdint cimport int32_t, uint8_t

from txfast.batch.batch cimport BLANK_LINE, WELL_FORMED, Malformed, TransactionBatch
from txfast.batch.header cimport Columns, Header
from txfast.readers.row cimport Row, parse_row
from txfast.text.csv_in cimport skip_blanks


def hold_lines(
    TransactionBatch batch not None,
    Header header,
    object offsets not None,
    const signed char[::1] text,
    Py_ssize_t first,
    Py_ssize_t count,
    str file not None,
):
    """Put the lines `first` to `first + count` of a binary column into the batch, to be parsed; return the header.

    `offsets` is a buffer of at least `first + count + 1` int32, in bytes of `text`; `text` is None where all lines
    are empty. Both are kept alive by the batch. Where `header` is None it is looked for in these lines, and the batch
    then holds those after it; None is returned where all of them are blank. Raises InputError where the first line
    that is not blank is no header, and ValueError where the lines do not lie in the buffers, one behind the other.
    """
    cdef const signed char[::1] offset_bytes = offsets
    cdef const int32_t* starts
    cdef const uint8_t* text_start = b""
    cdef Py_ssize_t lines_before = 0
    cdef Py_ssize_t offset_count = offset_bytes.nbytes // <Py_ssize_t>sizeof(int32_t)
    if first < 0 or count < 0:
        raise ValueError(f"no {count} lines begin at line {first}")
    if first >= offset_count or count >= offset_count - first:
        raise ValueError("offsets too short for that many lines")
    starts = <const int32_t*>&offset_bytes[0] + first
    if not ascend(starts, count):
        raise ValueError("offsets that do not ascend")
    if starts[count] > 0:
        if text is None or text.nbytes < starts[count]:
            raise ValueError("text too short for those offsets")
        text_start = <const uint8_t*>&text[0]
    if header is None:
        lines_before = count_blank_lines(text_start, starts, count)
        if lines_before < count:
            start = starts[lines_before]
            header = Header(text_start[start:starts[lines_before + 1]], file)
            lines_before += 1
    starts += lines_before
    count -= lines_before
    batch.attach((offset_bytes, text), text_start + starts[0], starts[count] - starts[0])
    batch.header = header
    batch.line_starts = starts
    batch.lines = count
    batch.lines_before = lines_before
    batch.reserve(count, count)
    return header


def parse_lines(TransactionBatch batch not None, Header header not None):
    """Make rows of the lines that the batch holds."""
    with nogil:
        fill_batch(batch, &header.columns)


cdef bint ascend(const int32_t* starts, Py_ssize_t count) noexcept nogil:
    """Whether no line starts before 0 or ends before it starts."""
    cdef Py_ssize_t line
    cdef int32_t wrong = starts[0]
    for line in range(count):
        # Negative where one of them is: without a branch, eight lines at once.
        wrong |= starts[line + 1] | -(starts[line + 1] < starts[line])
    return wrong >= 0


cdef Py_ssize_t count_blank_lines(const uint8_t* text, const int32_t* starts, Py_ssize_t count) noexcept nogil:
    """How many lines hold nothing before the first that does."""
    cdef Py_ssize_t line = 0
    while line < count and skip_blanks(text + starts[line], text + starts[line + 1]) == text + starts[line + 1]:
        line += 1
    return line


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
