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

An id that is a text has TEXT_CODE in place of its length. Its length in bytes, from 1 to 255, comes before the fields,
and its bytes are the field.

Where accounts are of a client and a currency, the number of the currency, two bytes, comes before all that.

In the record of an account or an entry, a byte for its state follows the control word. Where that says so, its details
(ledger/details.pxd) follow the fields, eight bytes for each of the two numbers.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t
from libc.string cimport memcmp, memcpy

from txfast.batch.ids cimport ID_BYTES_MAX
from txfast.ledger.entries cimport TxId, make_number_id
from txfast.ledger.load cimport BY_CURRENCY, TEXT_CLIENTS, TEXT_TXS, IdForm, IdKinds
from txfast.ledger.tags cimport has_details, is_account, is_row
from txfast.text.bits cimport WORD_BYTES, leading_zeros, load_word
from txfast.text.text_hash cimport copy_text, hash_text

cdef enum:
    # Every change of the records needs another version. A slice begins with "slc" and a byte for it.
    SLICE_VERSION = 3
    START_BYTES = 4
    CONTROL_BYTES = 2
    TAG_MASK = 15  # of the control word's lower byte
    TEXT_CODE = WORD_BYTES + 1  # greater lengths are invalid
    DETAILS_BYTES = 16
    CURRENCY_BYTES = 2
    RECORD_BYTES_MAX = CONTROL_BYTES + 1 + 3 * 8 + DETAILS_BYTES
    # Where ids may be texts, and accounts have a currency.
    TEXT_RECORD_BYTES_MAX = RECORD_BYTES_MAX + CURRENCY_BYTES + 2 * (1 + ID_BYTES_MAX)
    # Bytes that must follow a record in memory: a field of any length is written and read by whole words.
    SLACK_BYTES = 16

# A client or a transaction.
ctypedef TxId RecordId

cdef struct Record:
    uint8_t tag
    uint8_t state  # of an account or an entry; else 0
    RecordId client  # of a text with its hash, as `tx`
    RecordId tx  # an account's available
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


cdef inline int code_of(const RecordId id) noexcept nogil:
    """The length of a field with this id, as the control word has it."""
    return TEXT_CODE if id.text != NULL else length_of(id.number)


cdef inline uint8_t* put_field(uint8_t* out, const uint64_t word, const int length) noexcept nogil:
    memcpy(out, &word, sizeof(word))
    return out + length


cdef inline uint8_t* put_length(uint8_t* out, const RecordId id) noexcept nogil:
    """Write the length of an id, where it is a text."""
    if id.text == NULL:
        return out
    out[0] = id.length
    return out + 1


cdef inline uint8_t* put_id(uint8_t* out, const RecordId id, const int code) noexcept nogil:
    if id.text == NULL:
        return put_field(out, id.number, code)
    copy_text(out, id.text, id.length)
    return out + id.length


cdef inline Py_ssize_t put_record(
    uint8_t* start, const uint8_t tag, const RecordId client, const RecordId second, const uint64_t third,
    const IdKinds kinds,
) noexcept nogil:
    """Write the record of a row, whose numbers are folded; return its bytes. There must be room for the longest record
    and the slack."""
    return put_fields(start, start + CONTROL_BYTES, tag, client, second, third, kinds)


cdef inline Py_ssize_t put_state_record(
    uint8_t* start, const uint8_t tag, const uint8_t state, const RecordId client, const RecordId second,
    const uint64_t third, const int64_t refunded, const int64_t moved, const IdKinds kinds,
) noexcept nogil:
    """The same for an account or an entry. The last two numbers are written where the state says that there are any."""
    cdef Py_ssize_t written = put_fields(start, start + CONTROL_BYTES + 1, tag, client, second, third, kinds)
    start[CONTROL_BYTES] = state
    if has_details(state):
        memcpy(start + written, &refunded, sizeof(refunded))
        memcpy(start + written + sizeof(refunded), &moved, sizeof(moved))
        written += DETAILS_BYTES
    return written


cdef inline Py_ssize_t put_fields(
    uint8_t* start, uint8_t* out, const uint8_t tag, const RecordId client, const RecordId second, const uint64_t third,
    const IdKinds kinds,
) noexcept nogil:
    """Write the control word at the start, and the fields at `out`; return the bytes from the start to their end."""
    cdef int client_code = code_of(client)
    cdef int second_code = code_of(second)
    cdef int third_length = length_of(third)
    cdef uint16_t control = <uint16_t>(tag | client_code << 4 | second_code << 8 | third_length << 12)
    memcpy(start, &control, sizeof(control))
    if kinds & BY_CURRENCY:
        memcpy(out, &client.currency, CURRENCY_BYTES)
        out += CURRENCY_BYTES
    out = put_length(put_length(out, client), second)
    out = put_id(out, client, client_code)
    out = put_id(out, second, second_code)
    out = put_field(out, third, third_length)
    return out - start


cdef inline Py_ssize_t id_bytes(const int code, const uint8_t** length) noexcept nogil:
    """The bytes of a field with this code, with its length where it is a text; moves on behind that length."""
    if code != TEXT_CODE:
        return code
    length[0] += 1
    return 1 + (length[0] - 1)[0]


cdef inline Py_ssize_t record_bytes(const uint8_t* start, const IdKinds kinds) noexcept nogil:
    """The bytes of the record that starts here; CONTROL_BYTES of them, and the slack, must be readable."""
    cdef const uint8_t* lengths = start + CONTROL_BYTES
    cdef uint16_t control
    cdef Py_ssize_t size
    memcpy(&control, start, sizeof(control))
    size = CONTROL_BYTES + (control >> 12)
    if not is_row(control & TAG_MASK):
        size += 1 + (DETAILS_BYTES if has_details(start[CONTROL_BYTES]) else 0)
        lengths += 1
    if kinds & BY_CURRENCY:
        size += CURRENCY_BYTES
        lengths += CURRENCY_BYTES
    size += id_bytes(control >> 4 & 15, &lengths)
    return size + id_bytes(control >> 8 & 15, &lengths)


cdef inline uint64_t take_field(const uint8_t* start, const int length) noexcept nogil:
    # Two shifts, since shifting a word by all of its 64 bits is undefined.
    return load_word(start) & ~(~<uint64_t>0 << 4 * length << 4 * length)


cdef inline bint is_code(const int code, const bint is_text) noexcept nogil:
    """Whether a field can have this code: an id that is a text, or a number."""
    return code == TEXT_CODE if is_text else code <= WORD_BYTES


cdef inline const uint8_t* take_id(
    RecordId* id,  # OUT
    const uint8_t* field,  # IN
    const int code,  # IN
    const uint8_t** length,  # IN, OUT of the next field that is a text
) noexcept nogil:
    """Read an id; return the end of its field."""
    if code != TEXT_CODE:
        make_number_id(id, take_field(field, code))
        return field + code
    id.text = field
    id.length = length[0][0]
    id.currency = 0
    length[0] += 1
    return field + id.length


cdef inline Py_ssize_t take_record(
    const uint8_t* start, const uint8_t* end, const IdForm* form, uint64_t* last_tx, Record* record,
) noexcept nogil:
    """Read the record that starts here; return its bytes, 0 where it is incomplete, -1 where it is invalid.

    SLACK_BYTES after `end` must be readable. Texts are where the record is.
    """
    cdef const uint8_t* lengths
    cdef const uint8_t* field
    cdef uint16_t control, currency = 0
    cdef int client_code, second_code, third_length
    cdef Py_ssize_t taken
    if end - start < CONTROL_BYTES:
        return 0
    memcpy(&control, start, sizeof(control))
    client_code = control >> 4 & 15
    second_code = control >> 8 & 15
    third_length = control >> 12
    record.tag = control & TAG_MASK
    if third_length > WORD_BYTES or not is_code(client_code, form.kinds & TEXT_CLIENTS):
        return -1
    if not is_code(second_code, form.kinds & TEXT_TXS and not is_account(record.tag)):
        return -1
    taken = record_bytes(start, form.kinds)
    if end - start < taken:
        return 0
    record.state = 0
    lengths = start + CONTROL_BYTES
    if not is_row(record.tag):
        record.state = start[CONTROL_BYTES]
        if has_details(record.state):
            memcpy(record.details, start + taken - DETAILS_BYTES, DETAILS_BYTES)
        lengths += 1
    if form.kinds & BY_CURRENCY:
        memcpy(&currency, lengths, CURRENCY_BYTES)
        lengths += CURRENCY_BYTES
        if currency >= form.currencies:
            return -1
    field = lengths + (client_code == TEXT_CODE) + (second_code == TEXT_CODE)
    field = take_id(&record.client, field, client_code, &lengths)
    record.client.currency = currency
    field = take_id(&record.tx, field, second_code, &lengths)
    record.amount = <int64_t>unfold(take_field(field, third_length))
    if client_code == TEXT_CODE and not hash_id(&record.client, form):
        return -1
    if second_code == TEXT_CODE:
        return taken if hash_id(&record.tx, form) else -1
    record.tx.number = unfold(record.tx.number)
    if not is_account(record.tag):
        record.tx.number += last_tx[0]
        last_tx[0] = record.tx.number
    return taken


cdef inline bint hash_id(RecordId* id, const IdForm* form) noexcept nogil:
    """Set the hash of a text; False where it is empty, as no id is."""
    id.number = hash_text(&form.key, id.text, id.length)
    return id.length > 0
