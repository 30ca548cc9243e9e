"""BatchRows: the rows of a batch that are for one ledger, and where their clients are in its table."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from txfast.batch.batch cimport TransactionBatch
from txfast.batch.ids cimport ID_ROOM_BYTES, IdSpan, id_at
from txfast.ledger.account_table cimport (
    AccountTable, find_named_slot, find_slot, find_slot_of_currency, home_slots,
)
from txfast.ledger.hash cimport hash_client, with_currency
from txfast.ledger.load cimport BY_CURRENCY, TEXT_CLIENTS, TEXT_TXS, BatchIds, IdKinds, ids_of
from txfast.ledger.rules cimport Account
from txfast.ledger.shard cimport shard_word
from txfast.store.sought cimport Sought, SoughtRows

cdef struct BatchRows:
    BatchIds ids
    const uint8_t* kinds
    const uint32_t* routed  # NULL for all rows
    Py_ssize_t count
    Py_ssize_t batch_rows  # all rows of the batch


cdef inline int take_rows(BatchRows* rows, TransactionBatch batch, const uint32_t shard) except -1:
    """Take the rows of a batch: those of the shard, if it was routed. Raises IndexError where it has no such shard."""
    rows.routed = batch.routed_to(shard, &rows.count)
    rows.ids = ids_of(batch)
    rows.kinds = batch.kind
    rows.batch_rows = batch.rows
    return 0


cdef inline Py_ssize_t row_at(const BatchRows* rows, const Py_ssize_t i) noexcept nogil:
    """The row of the batch that comes at place `i`."""
    return i if rows.routed == NULL else rows.routed[i]


cdef inline Account* slots_of(
    const AccountTable* table, const BatchRows* rows, const Py_ssize_t row, const IdKinds kinds,
) noexcept nogil:
    """The home of a row's account in the table."""
    cdef uint64_t hash = rows.ids.clients[row]
    if not kinds & TEXT_CLIENTS:
        hash = hash_client(&table.key, hash)
    return home_slots(table, with_currency(&table.key, hash, rows.ids.currencies[row]) if kinds & BY_CURRENCY else hash)


cdef inline Account* find_account(
    const AccountTable* table, Account* slots, const BatchRows* rows, const Py_ssize_t row, const IdKinds kinds,
) noexcept nogil:
    """The account of a row's client, or an empty slot. `slots` is its home."""
    cdef uint8_t[ID_ROOM_BYTES] room
    cdef const IdSpan* span
    if kinds & TEXT_CLIENTS:
        span = &rows.ids.client_spans[row]
        return find_named_slot(
            table, slots, rows.ids.clients[row], id_at(rows.ids.text, span, room), span.length,
            rows.ids.currencies[row] if kinds & BY_CURRENCY else 0,
        )
    if kinds & BY_CURRENCY:
        return find_slot_of_currency(table, slots, rows.ids.clients[row], rows.ids.currencies[row])
    return find_slot(table, slots, rows.ids.clients[row])


cdef inline int seek_client(
    SoughtRows sought, const BatchRows* rows, const Py_ssize_t row, const IdKinds kinds,
) except -1 nogil:
    """Look for the account of a row; there must be room. Raises MemoryError."""
    cdef Sought* key
    if sought.is_plain:
        sought.keys[sought.count].client = shard_word(rows.ids.clients[row])
        sought.keys[sought.count].content = <int64_t>rows.ids.clients[row]
        sought.count += 1
        return 0
    key = &sought.sought.rows[sought.count]
    key.client = rows.ids.clients[row]
    key.client_text = NULL
    key.client_length = 0
    key.currency = rows.ids.currencies[row] if kinds & BY_CURRENCY else 0
    if kinds & TEXT_CLIENTS:
        key.client_text = text_of(sought, rows, &rows.ids.client_spans[row])
        key.client_length = rows.ids.client_spans[row].length
    key.tx = 0
    key.tx_text = NULL
    key.tx_length = 0
    sought.count += 1
    return 0


cdef inline int seek_entry(
    SoughtRows sought,
    const BatchRows* rows,
    const Py_ssize_t row,
    const IdKinds kinds,
    const uint32_t account,  # IN its number
    const bint is_named,  # IN whether it names a payment
) except -1 nogil:
    """The same for the transaction of a row."""
    cdef Sought* key = &sought.sought.rows[sought.count]
    seek_client(sought, rows, row, kinds)
    key.account = account
    key.is_named = is_named
    key.tx = rows.ids.txs[row]
    if kinds & TEXT_TXS:
        key.tx_text = text_of(sought, rows, &rows.ids.tx_spans[row])
        key.tx_length = rows.ids.tx_spans[row].length
    return 0


cdef inline const uint8_t* text_of(SoughtRows sought, const BatchRows* rows, const IdSpan* span) except NULL nogil:
    """An id in the text of a batch, or a copy where it is written otherwise there. Raises MemoryError."""
    cdef uint8_t[ID_ROOM_BYTES] room
    if not span.doubled:
        return rows.ids.text + span.start
    return sought.keep_text(id_at(rows.ids.text, span, room), span.length)
