"""IdBuffers: the ids of rows on their way into columns: numbers, or texts as Arrow has them."""

from libc.stdint cimport int32_t, uint8_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

from cpython.bytearray cimport PyByteArray_FromStringAndSize

from txfast.dialect.currencies cimport CurrencyCode
from txfast.ledger.entries cimport TxId
from txfast.ledger.load cimport BY_CURRENCY, TEXT_CLIENTS, TEXT_TXS, IdKinds
from txfast.store.segment_row cimport SegmentRow
from txfast.text.bits cimport WORD_BYTES

# Bytes that grow.
cdef struct Buffer:
    uint8_t* bytes
    Py_ssize_t size
    Py_ssize_t capacity

# A column of ids: numbers, or where each text begins, and the bytes of all.
cdef struct IdBuffer:
    Buffer values
    Buffer texts

cdef struct IdBuffers:
    IdBuffer clients
    IdBuffer currencies
    IdBuffer txs
    Py_ssize_t rows


cdef inline int append(Buffer* buffer, const void* bytes, const Py_ssize_t size) except -1 nogil:
    """Append bytes. Raises MemoryError."""
    cdef Py_ssize_t capacity = max(2 * buffer.capacity, buffer.size + size)
    cdef uint8_t* grown
    if buffer.size + size > buffer.capacity:
        grown = <uint8_t*>realloc(buffer.bytes, capacity)
        if grown == NULL:
            with gil:
                raise MemoryError(f"no memory for {capacity} bytes of a column")
        buffer.bytes = grown
        buffer.capacity = capacity
    memcpy(buffer.bytes + buffer.size, bytes, size)
    buffer.size += size
    return 0


cdef inline int append_text(IdBuffer* ids, const uint8_t* text, const Py_ssize_t length) except -1 nogil:
    """Append a text to a column of texts."""
    cdef int32_t end
    if not ids.values.size:
        end = 0
        append(&ids.values, &end, sizeof(end))
    append(&ids.texts, text, length)
    end = <int32_t>ids.texts.size
    append(&ids.values, &end, sizeof(end))
    return 0


cdef inline int append_id(IdBuffer* ids, const TxId* id) except -1 nogil:
    """Append an id."""
    if id.text != NULL:
        append_text(ids, id.text, id.length)
    else:
        append(&ids.values, &id.number, sizeof(uint64_t))
    return 0


cdef inline int append_ids(
    IdBuffers* ids, const SegmentRow* row, const IdKinds kinds, const bint with_tx,
) except -1 nogil:
    """Append the ids of a row."""
    append_id(&ids.clients, &row.client)
    if kinds & BY_CURRENCY:
        append_text(&ids.currencies, <const uint8_t*>&row.currency, (<const uint8_t*>&row.currency)[15])
    if with_tx:
        append_id(&ids.txs, &row.tx)
    ids.rows += 1
    return 0


cdef inline list take_buffer(Buffer* buffer):
    """A list of a copy of the bytes, never without any, which are then forgotten."""
    cdef Py_ssize_t size = buffer.size
    buffer.size = 0
    return [PyByteArray_FromStringAndSize(<char*>buffer.bytes, size) if size else bytearray(WORD_BYTES)]


cdef inline dict take_ids_of(IdBuffers* ids, const IdKinds kinds, const bint with_tx):
    """The buffers of each column of ids, by its name, which are then forgotten: of numbers one, of texts two."""
    cdef dict columns = {"client": take_buffer(&ids.clients.values)}
    if kinds & TEXT_CLIENTS:
        columns["client"] += take_buffer(&ids.clients.texts)
    if kinds & BY_CURRENCY:
        columns["currency"] = take_buffer(&ids.currencies.values) + take_buffer(&ids.currencies.texts)
    if with_tx:
        columns["tx"] = take_buffer(&ids.txs.values)
        if kinds & TEXT_TXS:
            columns["tx"] += take_buffer(&ids.txs.texts)
    ids.rows = 0
    return columns


cdef inline void free_buffer(Buffer* buffer) noexcept nogil:
    free(buffer.bytes)
    memset(buffer, 0, sizeof(Buffer))


cdef inline void free_ids(IdBuffers* ids) noexcept nogil:
    free_buffer(&ids.clients.values)
    free_buffer(&ids.clients.texts)
    free_buffer(&ids.currencies.values)
    free_buffer(&ids.currencies.texts)
    free_buffer(&ids.txs.values)
    free_buffer(&ids.txs.texts)
