"""Accounts and transactions as columns, in the memory layout of Arrow.

Each function makes new buffers, which belong to the caller. This module must not know pyarrow, nor where columns go.
"""

from libc.stdint cimport int8_t, int64_t, uint8_t, uint64_t

from cpython.bytearray cimport PyByteArray_AS_STRING

from txfast.batch.batch cimport KIND_MASK, NO_AMOUNT, TransactionBatch
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
    """The buffers of `count` accounts, from index `first` on: `client` (uint64), `available`, `held`, `total` (each
    decimal128 of scale 4) and `locked` (bits).

    Raises IndexError where there are fewer accounts.
    """
    if first < 0 or count < 0 or count > accounts.count - first:
        raise IndexError(f"{count} accounts from the one at {first} on, of {accounts.count}")
    cdef list buffers = [
        bytearray(count * WORD_BYTES), bytearray(count * DECIMAL_BYTES), bytearray(count * DECIMAL_BYTES),
        bytearray(count * DECIMAL_BYTES), bytearray((count + 7) // 8),
    ]
    cdef uint64_t* clients = <uint64_t*>PyByteArray_AS_STRING(buffers[0])
    cdef Decimal* available = <Decimal*>PyByteArray_AS_STRING(buffers[1])
    cdef Decimal* held = <Decimal*>PyByteArray_AS_STRING(buffers[2])
    cdef Decimal* total = <Decimal*>PyByteArray_AS_STRING(buffers[3])
    cdef uint8_t* locked = <uint8_t*>PyByteArray_AS_STRING(buffers[4])
    cdef int64_t units, held_units
    cdef Py_ssize_t row
    with nogil:
        for row in range(count):
            units = accounts.balances[first + row].content
            held_units = accounts.held[first + row]
            clients[row] = accounts.balances[first + row].client
            available[row] = widened(units)
            held[row] = widened(held_units)
            # It fits: the rules check every total.
            total[row] = widened(units + held_units)
            locked[row >> 3] |= (accounts.locked[first + row] != 0) << (row & 7)
    return buffers


def transaction_buffers(TransactionBatch batch not None):
    """The buffers of a batch's well-formed rows: `type` (int8, indexes in KINDS), `client` and `tx` (uint64), and the
    validity (bits) and values (decimal128 of scale 4) of `amount`."""
    cdef Py_ssize_t count = batch.rows
    cdef list buffers = [
        bytearray(count), bytearray(count * WORD_BYTES), bytearray(count * WORD_BYTES), bytearray((count + 7) // 8),
        bytearray(count * DECIMAL_BYTES),
    ]
    cdef int8_t* kinds = <int8_t*>PyByteArray_AS_STRING(buffers[0])
    cdef uint64_t* clients = <uint64_t*>PyByteArray_AS_STRING(buffers[1])
    cdef uint64_t* txs = <uint64_t*>PyByteArray_AS_STRING(buffers[2])
    cdef uint8_t* has_amount = <uint8_t*>PyByteArray_AS_STRING(buffers[3])
    cdef Decimal* amounts = <Decimal*>PyByteArray_AS_STRING(buffers[4])
    cdef Py_ssize_t row
    with nogil:
        for row in range(count):
            kinds[row] = batch.kind[row] & KIND_MASK
            clients[row] = batch.client[row]
            txs[row] = batch.tx[row]
            if not batch.kind[row] & NO_AMOUNT:
                has_amount[row >> 3] |= 1 << (row & 7)
                amounts[row] = widened(batch.amount[row])
    return buffers
