"""Accounts and transactions as columns, in the memory layout of Arrow.

Each function makes new buffers, which belong to the caller. This module must not know pyarrow, nor where columns go.
"""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from cpython.bytearray cimport PyByteArray_AS_STRING

from txfast.batch.batch cimport KIND_MASK, NO_AMOUNT, TransactionBatch
from txfast.batch.ids cimport ID_ROOM_BYTES, IdSpan, id_at
from txfast.dialect.currencies cimport code_buffers
from txfast.ledger.sorted_accounts cimport AccountColumns
from txfast.text.bits cimport WORD_BYTES

cdef enum:
    DECIMAL_BYTES = 16

# A decimal128 without its scale: an integer of two words, the lower first.
cdef struct Decimal:
    int64_t low
    int64_t high


cdef inline Decimal widened(const int64_t units) noexcept nogil:
    return Decimal(low=units, high=-1 if units < 0 else 0)


def account_buffers(AccountColumns accounts not None, Py_ssize_t first, Py_ssize_t count):
    """The buffers of `count` accounts, from index `first` on, a list for each column: `client` (uint64; of texts the
    offsets, int32, and the bytes), `currency` (texts, where accounts have one), `available`, `held`, `total` (each
    decimal128) and `locked` (bits).

    Raises IndexError where there are fewer accounts.
    """
    if first < 0 or count < 0 or count > accounts.count - first:
        raise IndexError(f"{count} accounts from the one at {first} on, of {accounts.count}")
    cdef list buffers = [
        bytearray(count * DECIMAL_BYTES), bytearray(count * DECIMAL_BYTES), bytearray(count * DECIMAL_BYTES),
        bytearray((count + 7) // 8),
    ]
    cdef Decimal* available = <Decimal*>PyByteArray_AS_STRING(buffers[0])
    cdef Decimal* held = <Decimal*>PyByteArray_AS_STRING(buffers[1])
    cdef Decimal* total = <Decimal*>PyByteArray_AS_STRING(buffers[2])
    cdef uint8_t* locked = <uint8_t*>PyByteArray_AS_STRING(buffers[3])
    cdef int64_t units, held_units
    cdef Py_ssize_t row
    with nogil:
        for row in range(count):
            units = accounts.balances[first + row].content
            held_units = accounts.held[first + row]
            available[row] = widened(units)
            held[row] = widened(held_units)
            # It fits: the rules check every total.
            total[row] = widened(units + held_units)
            locked[row >> 3] |= (accounts.locked[first + row] != 0) << (row & 7)
    clients = client_names(accounts, first, count) if accounts.has_names else [client_numbers(accounts, first, count)]
    currencies = []
    if accounts.currencies is not None:
        currencies = [list(code_buffers(accounts.currencies.codes, accounts.currency + first, count))]
    return [clients] + currencies + [[buffer] for buffer in buffers]


cdef bytearray client_numbers(AccountColumns accounts, Py_ssize_t first, Py_ssize_t count):
    """The clients of these accounts."""
    cdef bytearray buffer = bytearray(count * WORD_BYTES)
    cdef uint64_t* clients = <uint64_t*>PyByteArray_AS_STRING(buffer)
    cdef Py_ssize_t row
    for row in range(count):
        clients[row] = accounts.balances[first + row].client
    return buffer


cdef list client_names(AccountColumns accounts, Py_ssize_t first, Py_ssize_t count):
    """The clients of these accounts, which are texts: offsets and bytes."""
    cdef bytearray offset_buffer = bytearray((count + 1) * sizeof(int32_t))
    cdef int32_t* offsets = <int32_t*>PyByteArray_AS_STRING(offset_buffer)
    cdef bytearray text_buffer
    cdef uint8_t* text
    cdef const uint8_t* name
    cdef Py_ssize_t row
    for row in range(count):
        name = <const uint8_t*>accounts.balances[first + row].client
        offsets[row + 1] = offsets[row] + name[0]
    text_buffer = bytearray(offsets[count])
    text = <uint8_t*>PyByteArray_AS_STRING(text_buffer)
    for row in range(count):
        name = <const uint8_t*>accounts.balances[first + row].client
        memcpy(text + offsets[row], name + 1, name[0])
    return [offset_buffer, text_buffer]


cdef list id_texts(TransactionBatch batch, const IdSpan* spans):
    """The ids of a batch's rows, which are texts: offsets and bytes."""
    cdef bytearray offset_buffer = bytearray((batch.rows + 1) * sizeof(int32_t))
    cdef int32_t* offsets = <int32_t*>PyByteArray_AS_STRING(offset_buffer)
    cdef uint8_t[ID_ROOM_BYTES] room
    cdef bytearray text_buffer
    cdef uint8_t* text
    cdef Py_ssize_t row
    for row in range(batch.rows):
        offsets[row + 1] = offsets[row] + spans[row].length
    text_buffer = bytearray(offsets[batch.rows])
    text = <uint8_t*>PyByteArray_AS_STRING(text_buffer)
    for row in range(batch.rows):
        memcpy(text + offsets[row], id_at(batch.text, &spans[row], room), spans[row].length)
    return [offset_buffer, text_buffer]


cdef bytearray id_numbers(TransactionBatch batch, const uint64_t* numbers):
    """The ids of a batch's rows."""
    cdef bytearray buffer = bytearray(batch.rows * WORD_BYTES)
    if batch.rows:
        memcpy(PyByteArray_AS_STRING(buffer), numbers, batch.rows * WORD_BYTES)
    return buffer


def transaction_buffers(
    TransactionBatch batch not None, *, bint text_client=False, bint text_tx=False, list currencies=None,
):
    """The buffers of a batch's well-formed rows, a list for each column: `type` (int8, indexes in KINDS), `client` and
    `tx` (uint64; of texts the offsets, int32, and the bytes), the validity (bits) and values (decimal128) of `amount`,
    and the texts of `currency` where `currencies` are the codes of the run. `text_client` and `text_tx` say which ids
    the batch's dialect takes for texts."""
    cdef Py_ssize_t count = batch.rows
    cdef list buffers = [bytearray(count), bytearray((count + 7) // 8), bytearray(count * DECIMAL_BYTES)]
    cdef int8_t* kinds = <int8_t*>PyByteArray_AS_STRING(buffers[0])
    cdef uint8_t* has_amount = <uint8_t*>PyByteArray_AS_STRING(buffers[1])
    cdef Decimal* amounts = <Decimal*>PyByteArray_AS_STRING(buffers[2])
    cdef Py_ssize_t row
    with nogil:
        for row in range(count):
            kinds[row] = batch.kind[row] & KIND_MASK
            if not batch.kind[row] & NO_AMOUNT:
                has_amount[row >> 3] |= 1 << (row & 7)
                amounts[row] = widened(batch.amount[row])
    clients = id_texts(batch, batch.client_span) if text_client else [id_numbers(batch, batch.client)]
    txs = id_texts(batch, batch.tx_span) if text_tx else [id_numbers(batch, batch.tx)]
    codes = [] if currencies is None else [list(code_buffers(currencies, batch.currency, batch.rows))]
    return [[buffers[0]], clients, txs, buffers[1:], *codes]
