"""One record of a slice: the compact binary form of a row, an account or an entry.

A record is a control word of 16 bits and three fields, all little-endian. A field takes only as many bytes as its
number needs, none for 0. The control word has four bits for the tag, which is the record's type (ledger/tags.pxd),
and three times four bits for the lengths of the fields:

    record     first    second                  third
    row        client   tx, as a difference     amount, 0 where the rules do not read it
    account    client   available               held
    entry      client   tx, as a difference     amount, 0 where the log does not keep it

The second and third field are folded, so that small numbers of both signs are short. A transaction's id is written as
the difference from the last id in the same partition.

In the record of an account or an entry, a byte for its state follows the control word. Where that says so, its details
(ledger/details.pxd) follow the fields, eight bytes for each of the two numbers.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t
from libc.string cimport memcmp, memcpy

from txfast.ledger.tags cimport has_details, is_account, is_row
from txfast.text.bits cimport WORD_BYTES, leading_zeros

cdef enum:
    # Every change of the records needs another version. A slice begins with "slc" and a byte for it.
    SLICE_VERSION = 2
    START_BYTES = 4
    CONTROL_BYTES = 2
    TAG_MASK = 15  # of the control word's lower byte
    DETAILS_BYTES = 16
    RECORD_BYTES_MAX = CONTROL_BYTES + 1 + 3 * 8 + DETAILS_BYTES
    # Bytes that must follow a record in memory: a field of any length is written and read as eight bytes.
    SLACK_BYTES = 8

cdef struct Record:
    uint8_t tag
    uint8_t state  # of an account or an entry; else 0
    uint64_t client
    uint64_t tx  # an account's available
    int64_t amount  # an account's held
    int64_t[2] details  # where the state says that there are any: refunded and moved


cdef inline void put_start(uint8_t* start) noexcept nogil:
    """Write the START_BYTES of a slice."""
    memcpy(start, b"slc", START_BYTES - 1)
    start[START_BYTES - 1] = SLICE_VERSION


cdef inline int version_of(const uint8_t* start) noexcept nogil:
    """The version of the slice that begins with these START_BYTES; -1 where no slice begins so."""
    return start[START_BYTES - 1] if memcmp(start, b"slc", START_BYTES - 1) == 0 else -1


cdef inline uint64_t fold(const uint64_t difference) noexcept nogil:
    return (difference << 1) ^ -(difference >> 63)


cdef inline uint64_t unfold(const uint64_t folded) noexcept nogil:
    return (folded >> 1) ^ -(folded & 1)


cdef inline int length_of(const uint64_t word) noexcept nogil:
    """The bytes that a number needs; 0 for 0."""
    return (71 - leading_zeros(word | 1)) >> 3 if word else 0


cdef inline uint8_t* put_field(uint8_t* out, const uint64_t word, const int length) noexcept nogil:
    memcpy(out, &word, sizeof(word))
    return out + length


cdef inline Py_ssize_t put_record(
    uint8_t* start, const uint8_t tag, const uint64_t client, const uint64_t second, const uint64_t third,
) noexcept nogil:
    """Write the record of a row; return its bytes. There must be room for RECORD_BYTES_MAX and the slack."""
    return put_fields(start, start + CONTROL_BYTES, tag, client, second, third)


cdef inline Py_ssize_t put_state_record(
    uint8_t* start, const uint8_t tag, const uint8_t state, const uint64_t client, const uint64_t second,
    const uint64_t third, const int64_t refunded, const int64_t moved,
) noexcept nogil:
    """The same for an account or an entry. The last two numbers are written where the state says that there are any."""
    cdef Py_ssize_t written = put_fields(start, start + CONTROL_BYTES + 1, tag, client, second, third)
    start[CONTROL_BYTES] = state
    if has_details(state):
        memcpy(start + written, &refunded, sizeof(refunded))
        memcpy(start + written + sizeof(refunded), &moved, sizeof(moved))
        written += DETAILS_BYTES
    return written


cdef inline Py_ssize_t put_fields(
    uint8_t* start, uint8_t* out, const uint8_t tag, const uint64_t client, const uint64_t second, const uint64_t third,
) noexcept nogil:
    """Write the control word at the start, and the fields at `out`; return the bytes from the start to their end."""
    cdef int client_length = length_of(client)
    cdef int second_length = length_of(second)
    cdef int third_length = length_of(third)
    cdef uint16_t control = <uint16_t>(tag | client_length << 4 | second_length << 8 | third_length << 12)
    memcpy(start, &control, sizeof(control))
    out = put_field(out, client, client_length)
    out = put_field(out, second, second_length)
    out = put_field(out, third, third_length)
    return out - start


cdef inline Py_ssize_t record_bytes(const uint8_t* start) noexcept nogil:
    """The bytes of the record that starts here; CONTROL_BYTES + 1 of them must be readable."""
    cdef uint16_t control
    cdef Py_ssize_t size
    memcpy(&control, start, sizeof(control))
    size = CONTROL_BYTES + (control >> 4 & 15) + (control >> 8 & 15) + (control >> 12)
    if is_row(control & TAG_MASK):
        return size
    return size + 1 + (DETAILS_BYTES if has_details(start[CONTROL_BYTES]) else 0)


cdef inline uint64_t take_field(const uint8_t* start, const int length) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, start, sizeof(word))
    # Two shifts, since shifting a word by all of its 64 bits is undefined.
    return word & ~(~<uint64_t>0 << 4 * length << 4 * length)


cdef inline Py_ssize_t take_record(
    const uint8_t* start, const uint8_t* end, uint64_t* last_tx, Record* record,
) noexcept nogil:
    """Read the record that starts here; return its bytes, 0 where it is incomplete, -1 where it is invalid.

    SLACK_BYTES after `end` must be readable.
    """
    cdef uint16_t control
    cdef int client_length, second_length, third_length
    cdef Py_ssize_t taken
    if end - start < CONTROL_BYTES:
        return 0
    memcpy(&control, start, sizeof(control))
    client_length = control >> 4 & 15
    second_length = control >> 8 & 15
    third_length = control >> 12
    if max(client_length, max(second_length, third_length)) > WORD_BYTES:
        return -1
    taken = record_bytes(start)
    if end - start < taken:
        return 0
    record.tag = control & TAG_MASK
    record.state = 0
    if not is_row(record.tag):
        record.state = start[CONTROL_BYTES]
        if has_details(record.state):
            memcpy(record.details, start + taken - DETAILS_BYTES, DETAILS_BYTES)
        start += 1
    start += CONTROL_BYTES
    record.client = take_field(start, client_length)
    record.tx = unfold(take_field(start + client_length, second_length))
    record.amount = <int64_t>unfold(take_field(start + client_length + second_length, third_length))
    if not is_account(record.tag):
        record.tx += last_tx[0]
        last_tx[0] = record.tx
    return taken
