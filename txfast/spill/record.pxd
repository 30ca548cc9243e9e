"""One record of a slice: the compact binary form of a row, an account or an entry. Inline leaves.

A record is a control word of 16 bits and up to three fields, little-endian, of as few bytes as they need. Of the
control word four bits, the tag, say what the record is, and three times four bits how many bytes each field takes:

    tag                      first    second                        third
    a row's kind             client   tx, as a difference           amount, where it matters
    ACCOUNT (_LOCKED)        client   available                     held
    DEPOSITED and so on      client   tx, as a difference           amount
    WITHDRAWN                client   tx, as a difference           nothing

Signed numbers and differences are folded, so that small ones of both signs are short. An id is written as the
difference from the last one in the same partition. Accounts and entries come
before rows, and each account before its entries.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t
from libc.string cimport memcpy

from txfast.batch.batch cimport KIND_COUNT, KIND_MASK
from txfast.text.bits cimport WORD_BYTES, leading_zeros

cdef enum Tag:
    # Rows have their kind, with NO_AMOUNT where it belongs.
    ACCOUNT = 5
    DEPOSITED = 6
    WITHDRAWN = 7
    ACCOUNT_LOCKED = 13
    DEPOSITED_IN_DISPUTE = 14
    DEPOSITED_DISPUTE_OVER = 15

cdef enum:
    CONTROL_BYTES = 2
    RECORD_BYTES_MAX = 26
    # A field is written and read as eight bytes, whatever its length.
    SLACK_BYTES = 8

cdef struct Record:
    uint8_t tag
    uint64_t client
    uint64_t tx  # or what is available
    int64_t amount  # or what is held


cdef inline uint64_t fold(const uint64_t difference) noexcept nogil:
    return (difference << 1) ^ -(difference >> 63)


cdef inline uint64_t unfold(const uint64_t folded) noexcept nogil:
    return (folded >> 1) ^ -(folded & 1)


cdef inline int length_of(const uint64_t word) noexcept nogil:
    """How many bytes a number needs; none for 0."""
    return (71 - leading_zeros(word | 1)) >> 3 if word else 0


cdef inline uint8_t* put_field(uint8_t* out, const uint64_t word, const int length) noexcept nogil:
    memcpy(out, &word, sizeof(word))
    return out + length


cdef inline Py_ssize_t put_record(
    uint8_t* start, const uint8_t tag, const uint64_t client, const uint64_t second, const uint64_t third,
) noexcept nogil:
    """Write one record, where there is room for it, and slack; return how many bytes it took."""
    cdef uint8_t* out = start + CONTROL_BYTES
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
    """How many bytes the record takes that starts here."""
    cdef uint16_t control
    memcpy(&control, start, sizeof(control))
    return CONTROL_BYTES + (control >> 4 & 15) + (control >> 8 & 15) + (control >> 12)


cdef inline uint64_t take_field(const uint8_t* start, const int length) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, start, sizeof(word))
    # Shifted twice, since no word is shifted by all of its bits.
    return word & ~(~<uint64_t>0 << 4 * length << 4 * length)


cdef inline Py_ssize_t take_record(
    const uint8_t* start, const uint8_t* end, uint64_t* last_tx, Record* record,
) noexcept nogil:
    """Read the record that starts here; return how many bytes it took, 0 where it is not whole, -1 where it is none.

    Behind `end` there is slack.
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
    taken = CONTROL_BYTES + client_length + second_length + third_length
    if end - start < taken:
        return 0
    start += CONTROL_BYTES
    record.tag = control & 15
    record.client = take_field(start, client_length)
    record.tx = unfold(take_field(start + client_length, second_length))
    record.amount = <int64_t>unfold(take_field(start + client_length + second_length, third_length))
    if record.tag != ACCOUNT and record.tag != ACCOUNT_LOCKED:
        record.tx += last_tx[0]
        last_tx[0] = record.tx
    return taken


cdef inline bint is_row(const uint8_t tag) noexcept nogil:
    return (tag & KIND_MASK) < KIND_COUNT
