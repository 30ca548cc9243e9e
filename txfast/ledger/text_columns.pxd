"""Columns of ids: numbers, or texts as Arrow has them. See text_columns.pyx."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint64_t

from txfast.ledger.buffers cimport column
from txfast.ledger.currency_column cimport CurrencyColumn, take_currencies
from txfast.ledger.entries cimport TxId, make_number_id
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.load cimport BY_CURRENCY, TEXT_CLIENTS, TEXT_TXS, IdKinds
from txfast.text.bits cimport WORD_BYTES

# A column of ids that is read. The objects that were given to `take_ids` and `take_clients` keep it alive.
cdef struct IdColumn:
    const uint64_t* words  # the numbers, or the hashes of the texts
    const int32_t* offsets  # where each text begins, and where the last one ends; NULL for numbers
    const uint8_t* texts
    const uint16_t* currencies  # of clients; NULL where accounts have none

# The ids of entries.
cdef struct EntryIds:
    IdColumn clients
    IdColumn txs

cdef class TextColumn:
    cdef IdColumn ids
    cdef Py_ssize_t rows

cdef str shown(const TxId id)
cdef str account_shown(Ledger ledger, const TxId client)


cdef inline int take_ids(IdColumn* ids, const Py_ssize_t rows, ids_given, const bint are_texts) except -1:
    """Read a column of `rows` ids: a TextColumn, or a buffer of numbers. Raises ValueError and TypeError."""
    cdef TextColumn texts
    cdef const uint8_t[::1] numbers
    ids.currencies = NULL
    if are_texts:
        texts = <TextColumn?>ids_given
        if texts.rows != rows:
            raise ValueError(f"a column of {texts.rows} ids, where {rows} are needed")
        ids[0] = texts.ids
        return 0
    numbers = ids_given
    ids.words = <const uint64_t*>column(numbers, rows * WORD_BYTES)
    ids.offsets = NULL
    ids.texts = NULL
    return 0


cdef inline int take_clients(IdColumn* ids, const Py_ssize_t rows, clients, currencies, Ledger ledger) except -1:
    """The same for the clients of accounts, with a CurrencyColumn where these have a currency."""
    take_ids(ids, rows, clients, ledger.id_kinds & TEXT_CLIENTS)
    if ledger.id_kinds & BY_CURRENCY:
        take_currencies(&ids.currencies, rows, <CurrencyColumn?>currencies, ledger.currencies)
    return 0


cdef inline int take_entry_ids(
    EntryIds* ids, const Py_ssize_t rows, clients, txs, currencies, Ledger ledger,
) except -1:
    """The same for the clients and the transactions of entries."""
    take_clients(&ids.clients, rows, clients, currencies, ledger)
    return take_ids(&ids.txs, rows, txs, ledger.id_kinds & TEXT_TXS)


cdef inline uint64_t id_bytes(const IdColumn* ids, const Py_ssize_t rows) noexcept nogil:
    """The bytes of all texts of a column with their lengths; 0 for numbers."""
    return 0 if ids.offsets == NULL else <uint64_t>(ids.offsets[rows] + rows)


cdef inline uint16_t currency_at(const IdColumn* ids, const Py_ssize_t row) noexcept nogil:
    """The number of the currency of a row; 0 where accounts have none."""
    return ids.currencies[row] if ids.currencies != NULL else 0


cdef inline void id_at_row(TxId* id, const IdColumn* ids, const Py_ssize_t row, const bint is_text) noexcept nogil:
    """Make an id of that of a row; of a text with its hash."""
    make_number_id(id, ids.words[row])
    id.currency = currency_at(ids, row)
    if is_text:
        id.text = ids.texts + ids.offsets[row]
        id.length = <uint8_t>(ids.offsets[row + 1] - ids.offsets[row])


cdef inline void ids_at_row(
    TxId* client,  # OUT
    TxId* tx,  # OUT
    const EntryIds* ids,  # IN
    const Py_ssize_t row,  # IN
    const IdKinds kinds,  # IN
) noexcept nogil:
    """The same for both ids of an entry."""
    id_at_row(client, &ids.clients, row, kinds & TEXT_CLIENTS)
    id_at_row(tx, &ids.txs, row, kinds & TEXT_TXS)
