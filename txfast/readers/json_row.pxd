"""The row parser of JSON lines: one line into one transaction, by every rule of the format.

It alone decides whether a row is well-formed: the fast path hands it every row that it does not know. What the fields
may hold is the same as in CSV.
"""

from libc.stdint cimport uint8_t, uint16_t

from txfast.batch.batch cimport BAD_JSON, BLANK_LINE, ROW_TOO_LONG, WELL_FORMED, Malformed
from txfast.batch.header cimport Fields, RowForm
from txfast.batch.ids cimport JSON_ESCAPES, IdText
from txfast.batch.json_object cimport Found, Member, cut_object
from txfast.dialect.meaning cimport CLIENT, ROLES_MAX, TX
from txfast.readers.row cimport Row, parse_fields
from txfast.readers.row_dialect cimport parse_fields_in_dialect
from txfast.text.csv_in cimport NO_QUOTE, ROW_BYTES_MAX, is_comment, skip_blanks
from txfast.text.json_in cimport trim_escaped


cdef inline Malformed parse_object(
    const uint8_t* start,  # IN the line
    const uint8_t* end,  # IN its ending
    const RowForm* form,  # IN
    uint8_t* room,  # JSON_ROOM_BYTES, aligned for words
    Row* row,  # OUT
) noexcept nogil:
    """Parse one line. WELL_FORMED with the row; or the first reason why it is malformed; or BLANK_LINE or
    IGNORED_ROW."""
    cdef Fields fields
    cdef Found[<int>ROLES_MAX] found
    cdef Malformed malformed
    cdef const uint8_t* first = skip_blanks(start, end, &form.syntax)
    if first == end or is_comment(first, end, &form.syntax):
        return BLANK_LINE
    if end - start > ROW_BYTES_MAX:
        return ROW_TOO_LONG
    if not cut_object(start, end, form.keys, room, &fields, found):
        return BAD_JSON
    if form.meaning == NULL:
        return parse_fields(&fields, row)
    malformed = parse_fields_in_dialect(
        &fields, form.meaning, NO_QUOTE, &row.kind, &row.client, &row.tx, &row.client_text, &row.tx_text,
        &row.currency, &row.amount,
    )
    if malformed == WELL_FORMED and form.meaning.text_client:
        locate_id(&found[<int>CLIENT].member, &row.client_text)
    if malformed == WELL_FORMED and form.meaning.text_tx:
        locate_id(&found[<int>TX].member, &row.tx_text)
    return malformed


cdef inline void locate_id(const Member* member, IdText* id) noexcept nogil:
    """Say where in the line an id is whose text was parsed as a copy without escapes."""
    cdef const uint8_t* start = member.value + 1
    cdef const uint8_t* end = member.value_end - 1
    if not member.value_has_escapes:
        return
    trim_escaped(&start, &end)
    id.start = start
    # An id of at most 255 bytes: with escapes it has at most six times as many.
    id.raw_bytes = <uint16_t>(end - start)
    id.doubled = JSON_ESCAPES
