"""The row parser of JSON lines: one line into one transaction, by every rule of the format.

It alone decides whether a row is well-formed: the fast path hands it every row that it does not know. What the four
fields may hold is the same as in CSV.
"""

from libc.stdint cimport uint8_t

from txfast.batch.batch cimport BAD_JSON, BLANK_LINE, ROW_TOO_LONG, Malformed
from txfast.batch.header cimport Fields
from txfast.batch.json_object cimport cut_object
from txfast.readers.row cimport Row, parse_fields
from txfast.text.csv_in cimport ROW_BYTES_MAX, Syntax, default_syntax, skip_blanks


cdef inline Malformed parse_object(
    const uint8_t* start,  # IN the line
    const uint8_t* end,  # IN its ending
    uint8_t* room,  # JSON_ROOM_BYTES, aligned for words
    Row* row,  # OUT
) noexcept nogil:
    """Parse one line. WELL_FORMED with the row; or the first reason why it is malformed; or BLANK_LINE."""
    cdef Fields fields
    cdef Syntax syntax = default_syntax()
    if skip_blanks(start, end, &syntax) == end:
        return BLANK_LINE
    if end - start > ROW_BYTES_MAX:
        return ROW_TOO_LONG
    if not cut_object(start, end, room, &fields):
        return BAD_JSON
    return parse_fields(&fields, row)
