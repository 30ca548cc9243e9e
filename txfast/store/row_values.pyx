"""Rows of segments as tuples of Python values, for tools and tests.

    of an entry     client, currency, tx, amount, kind, state, refunded, moved
    of an account   client, currency, available, held, max_tx, flags, standing, opening

A client and a transaction are an int, or bytes; a currency is bytes, or None where accounts have none.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memset

from txfast.batch.ids cimport ID_BYTES_MAX
from txfast.dialect.currencies cimport CurrencyCode, make_code
from txfast.ledger.entries cimport TxId, make_number_id
from txfast.ledger.shard cimport shard_word
from txfast.store.segment_form cimport CLIENT, CURRENCY, TX
from txfast.text.text_hash cimport TextKey, hash_text


cdef int read_values(
    SegmentRow* row,  # OUT
    const SegmentForm* form,
    tuple values,
    RowRoom* room,  # OUT the texts
) except -1:
    """Make a row of values. Raises ValueError, TypeError and OverflowError."""
    cdef bytes code
    memset(row, 0, sizeof(SegmentRow))
    if form.are_accounts:
        client, currency, row.amount, row.held, row.max_tx, row.kind, standing, row.moved = values
        row.refunded = <int64_t><uint64_t>standing
        make_number_id(&row.tx, 0)
    else:
        client, currency, tx, row.amount, row.kind, row.state, row.refunded, row.moved = values
        read_id(&row.tx, tx, form.are_texts[TX], &form.text_key, room.tx)
    read_id(&row.client, client, form.are_texts[CLIENT], &form.text_key, room.client)
    row.client_word = shard_word(row.client.number)
    row.tx_word = row.tx.number
    if form.are_texts[CURRENCY] != (currency is not None):
        raise ValueError(f"a currency {currency!r}")
    if currency is not None:
        code = currency
        if not make_code(<const uint8_t*>code, len(code), &row.currency):
            raise ValueError(f"a currency of {len(code)} bytes")
    return 0


cdef int read_id(TxId* id, value, bint is_text, const TextKey* key, uint8_t* room) except -1:
    """Make an id of a number, or of a text, which is copied into `room`."""
    cdef bytes text
    if not is_text:
        make_number_id(id, value)
        return 0
    text = value
    if not 0 < len(text) <= ID_BYTES_MAX:
        raise ValueError(f"an id of {len(text)} bytes")
    memset(room, 0, ID_ROOM_BYTES)
    memcpy(room, <const uint8_t*>text, len(text))
    id.text = room
    id.length = <uint8_t>len(text)
    id.number = hash_text(key, room, id.length)
    id.currency = 0
    return 0


cdef tuple values_of(const SegmentRow* row, const SegmentForm* form):
    """The values of a row."""
    client = value_of(&row.client)
    code = code_of(&row.currency) if form.are_texts[CURRENCY] else None
    if form.are_accounts:
        return (client, code, row.amount, row.held, row.max_tx, row.kind, <uint64_t>row.refunded, row.moved)
    return (client, code, value_of(&row.tx), row.amount, row.kind, row.state, row.refunded, row.moved)


cdef object value_of(const TxId* id):
    """The number, or the text, of an id."""
    if id.text == NULL:
        return id.number
    return id.text[:id.length]


cdef bytes code_of(const CurrencyCode* code):
    """The text of a currency's code."""
    return (<const uint8_t*>code)[:code.second >> 56]
