"""parse_line(): calls the row parser from Python, for tests and tools. The parser itself is row.pxd."""

from libc.stdint cimport uint8_t

from txfast.batch.batch cimport BLANK_LINE, IGNORED_ROW, KIND_MASK, NO_AMOUNT, WELL_FORMED, Malformed
from txfast.batch.header cimport Header
from txfast.readers.row cimport Row, parse_row

from txfast.batch.batch import KINDS, MALFORMED_REASONS


def parse_line(bytes line not None, Header header not None):
    """Parse one raw row of a file with this header, without its line ending.

    Return (type, client, tx, amount in units of 0.0001 or None) for a well-formed row, the name of the reason for a
    malformed one, None for a blank line and for a row that the header's dialect ignores. Raises ValueError where the
    text goes on after the row.
    """
    cdef const uint8_t* start = line
    cdef const uint8_t* row_end
    cdef bint has_quotes
    cdef Row row
    cdef Malformed malformed = parse_row(start, start + len(line), &header.form, &row, &row_end, &has_quotes)
    if row_end != start + len(line):
        raise ValueError("more than one row")
    if malformed == BLANK_LINE or malformed == IGNORED_ROW:
        return None
    if malformed != WELL_FORMED:
        return MALFORMED_REASONS[<int>malformed]
    return KINDS[row.kind & KIND_MASK], row.client, row.tx, None if row.kind & NO_AMOUNT else row.amount
