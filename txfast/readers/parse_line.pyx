"""parse_line(): calls the row parser from Python, for tests and tools. The parser itself is row.pxd."""

from libc.stdint cimport uint8_t

from txfast.batch.batch cimport BLANK_LINE, IGNORED_ROW, KIND_MASK, NO_AMOUNT, WELL_FORMED, Malformed
from txfast.batch.header cimport Header
from txfast.batch.ids cimport ID_ROOM_BYTES, IdSpan, IdText, id_at, span_in
from txfast.dialect.meaning cimport Meaning
from txfast.readers.row cimport Row, parse_row
from txfast.text.text_hash cimport TEXT_HASH_SLACK_BYTES

from txfast.batch.batch import KINDS, MALFORMED_REASONS


def parse_line(bytes line not None, Header header not None):
    """Parse one raw row of a file with this header, without its line ending.

    Return (type, client, tx, amount in units of the last decimal or None) for a well-formed row, where ids that are
    texts are bytes; the name of the reason for a malformed one, None for a blank line and for a row that the header's
    dialect ignores. Raises ValueError where the text goes on after the row.
    """
    cdef bytes padded = line + bytes(TEXT_HASH_SLACK_BYTES)
    cdef const uint8_t* start = padded
    cdef const Meaning* meaning = header.form.meaning
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
    client = bytes_of(&row.client_text) if meaning != NULL and meaning.text_client else row.client
    tx = bytes_of(&row.tx_text) if meaning != NULL and meaning.text_tx else row.tx
    return KINDS[row.kind & KIND_MASK], client, tx, None if row.kind & NO_AMOUNT else row.amount


cdef bytes bytes_of(const IdText* id):
    """The bytes of an id."""
    cdef uint8_t[ID_ROOM_BYTES] room
    cdef IdSpan span = span_in(id.start, id)
    return id_at(id.start, &span, room)[:span.length]
