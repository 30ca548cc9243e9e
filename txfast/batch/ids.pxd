"""Ids that are texts: where a row's id is in the text of its batch.

The batch has the hash of the id in place of a number (text/text_hash.pxd).
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from txfast.text.json_in cimport write_unescaped
from txfast.text.text_hash cimport TEXT_HASH_SLACK_BYTES

cdef enum:
    ID_BYTES_MAX = 255
    # Room for an id, and for what hashing reads behind it.
    ID_ROOM_BYTES = ID_BYTES_MAX + TEXT_HASH_SLACK_BYTES
    # In `doubled`, which no quote is: the id is in a string of JSON, and has escapes.
    JSON_ESCAPES = 1

# An id in a text that is at hand.
cdef struct IdText:
    const uint8_t* start
    uint16_t raw_bytes  # as it is written there
    uint8_t length  # in bytes, from 1 to ID_BYTES_MAX
    uint8_t doubled  # the quote that is doubled inside, or JSON_ESCAPES; 0 for neither

# The same in the text of a batch.
cdef struct IdSpan:
    uint32_t start  # bytes from the start of the text
    uint16_t raw_bytes
    uint8_t length
    uint8_t doubled


cdef inline IdSpan span_in(const uint8_t* text, const IdText* id) noexcept nogil:
    """The span of an id in the text that it is in."""
    return IdSpan(
        start=<uint32_t>(id.start - text), raw_bytes=id.raw_bytes, length=id.length, doubled=id.doubled,
    )


cdef inline Py_ssize_t undouble(
    const uint8_t* start,  # IN
    const uint8_t* end,  # IN
    const uint8_t quote,  # IN
    uint8_t* out,  # OUT
    const Py_ssize_t room,  # IN the most bytes that are written
) noexcept nogil:
    """Copy the text of a quoted field with each doubled quote as one; return its length, `room` + 1 if it is longer."""
    cdef Py_ssize_t length = 0
    while start < end:
        if length == room:
            return room + 1
        out[length] = start[0]
        length += 1
        start += 2 if start[0] == quote and start + 1 < end and start[1] == quote else 1
    return length


cdef inline const uint8_t* id_at(const uint8_t* text, const IdSpan* span, uint8_t* room) noexcept nogil:
    """The bytes of an id in the text of a batch: there, or in `room`, of ID_ROOM_BYTES, where quotes are doubled or
    characters escaped."""
    cdef const uint8_t* start = text + span.start
    if not span.doubled:
        return start
    if span.doubled == JSON_ESCAPES:
        write_unescaped(room, start, start + span.raw_bytes)
    else:
        undouble(start, start + span.raw_bytes, span.doubled, room, ID_BYTES_MAX)
    return room
