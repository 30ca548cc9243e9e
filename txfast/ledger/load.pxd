"""How every entry gets into a ledger: look ahead, find its slot, add it there.

Applying a batch, restoring saved columns and reading a slice all load entries with these functions. The loops belong to
the callers, since each does its own work between `find_id` and `add_id`. Callers reserve room before they add.

The functions of rows take the ids of a batch, which may be texts; `kinds` says which, and is a constant in most loops.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from txfast.batch.batch cimport TransactionBatch
from txfast.batch.ids cimport ID_ROOM_BYTES, IdSpan, id_at
from txfast.ledger.account_table cimport (
    AccountTable, find_named_slot, find_or_add, find_or_add_named, find_or_add_of_currency, find_slot,
    find_slot_of_currency, home_slots, name_address,
)
from txfast.ledger.entries cimport Log, TxId, append_entry, make_number_id, prefetch_entry, prefetch_text
from txfast.ledger.hash cimport hash_client, hash_text_transaction, hash_transaction, with_currency
from txfast.ledger.index cimport (
    NOT_FOUND, Group, Index, Probe, find_entry, home_of, insert_entry, likely_position, second_home_of,
)
from txfast.ledger.rules cimport Account
from txfast.ledger.texts cimport text_at
from txfast.text.bits cimport prefetch
from txfast.text.text_hash cimport TextKey, read_key

cdef enum:
    LOOK_AHEAD_ROWS = 16  # a power of two
    # So many rows ahead, start loading the names of clients and the columns of entries that rows name; then the ids of
    # these entries. What says where they are has loaded by then.
    NAME_AHEAD_ROWS = 8
    TX_AHEAD_ROWS = 4
    # Prefetch second homes (index.pxd) when one in eight of the last rows was there.
    ROWS_PER_SECOND_HOME = 8

# Which ids are texts, and whether accounts are of a client and a currency.
cdef enum IdKinds:
    NUMBERS = 0
    TEXT_CLIENTS = 1
    TEXT_TXS = 2
    TEXTS = 3
    BY_CURRENCY = 4

# The same, the key of the hashes of texts, and how many currencies there are.
cdef struct IdForm:
    IdKinds kinds
    TextKey key
    uint32_t currencies

# The ids of a batch: numbers, or the hashes of texts; and the numbers of currencies.
cdef struct BatchIds:
    const uint64_t* clients
    const uint64_t* txs
    const uint8_t* text
    const IdSpan* client_spans
    const IdSpan* tx_spans
    const uint16_t* currencies

# Where the searches for a row begin: computed LOOK_AHEAD_ROWS before its turn, when that memory starts to load.
cdef struct Lookup:
    Account* slots  # the client's home in the table of accounts
    Group* home  # the transaction's home in the index
    uint64_t hash  # of client and transaction


cdef inline int read_form(IdForm* form, text_ids) except -1:
    """Read a TextIds of dialect/text_ids.py, or None where all ids are numbers and accounts have no currency. Raises
    ValueError for a wrong key."""
    form.kinds = NUMBERS
    form.key = TextKey(seed=0, mask=0, multiplier=0)
    form.currencies = 0
    if text_ids is not None:
        form.kinds = <IdKinds>((TEXT_CLIENTS if text_ids.client else 0) | (TEXT_TXS if text_ids.tx else 0))
        read_key(&form.key, text_ids.key)
        if text_ids.currencies is not None:
            form.kinds = <IdKinds>(form.kinds | BY_CURRENCY)
            form.currencies = <uint32_t>len(text_ids.currencies)
    return 0


cdef inline void look_up(
    Lookup* lookup,  # OUT
    const AccountTable* table,  # IN
    const Index* index,  # IN
    const uint64_t client,  # IN
    const uint64_t tx,  # IN
) noexcept nogil:
    """Compute where the searches for a client and its transaction begin."""
    cdef uint64_t client_hash = hash_client(&table.key, client)
    lookup.slots = home_slots(table, client_hash)
    lookup.home = home_of(index, tx)
    lookup.hash = hash_transaction(client_hash, tx)


cdef inline void look_ahead(
    Lookup* lookup,  # OUT
    const AccountTable* table,  # IN
    const Index* index,  # IN
    const uint64_t client,  # IN
    const uint64_t tx,  # IN
    const bint second_home,  # IN whether the transaction is likely to be at its second home
) noexcept nogil:
    """`look_up`, and start loading the memory that the searches will read."""
    look_up(lookup, table, index, client, tx)
    prefetch(lookup.slots)
    prefetch(lookup.home)
    if second_home:
        prefetch(second_home_of(index, lookup.hash))


cdef inline bint needs_second_homes(const Py_ssize_t second_homes, const Py_ssize_t rows) noexcept nogil:
    """Whether the next rows should have their second homes prefetched, from how many of the last ones were there."""
    return ROWS_PER_SECOND_HOME * second_homes > rows


cdef inline Probe find_id(
    const Index* index,
    const Log* logs,
    const Lookup* lookup,
    const uint32_t account,  # IN its number
    const TxId tx,
) noexcept nogil:
    """Find the entry (account, tx), or the empty slot where it belongs."""
    return find_entry(index, logs, lookup.home, lookup.hash, account, tx)


cdef inline uint32_t add_id(
    Log* logs,  # IN, OUT
    const Probe* probe,  # IN returned by `find_id`: NOT_FOUND, with no entry added since
    const int kind,  # IN
    const uint32_t account,  # IN its number
    const TxId tx,  # IN
    const int64_t amount,  # IN
) noexcept nogil:
    """Append an entry to its log and put it into the index; return its position."""
    cdef uint32_t position = append_entry(logs, kind, account, tx, amount)
    insert_entry(probe.group, probe.slot, probe.hash, position)
    return position


# ---- Ids that may be texts: the number of one is its hash ------------------------------------------


cdef inline void look_up_ids(
    Lookup* lookup,  # OUT
    const AccountTable* table,  # IN
    const Index* index,  # IN
    const uint64_t client,  # IN the number, or the hash of the text; as the next one
    const uint64_t tx,  # IN
    const uint16_t currency,  # IN 0 where accounts have none
    const IdKinds kinds,  # IN
) noexcept nogil:
    """`look_up` for ids that may be texts, and accounts that may have a currency."""
    cdef uint64_t client_hash
    if kinds == NUMBERS:
        look_up(lookup, table, index, client, tx)
        return
    client_hash = client if kinds & TEXT_CLIENTS else hash_client(&table.key, client)
    if kinds & BY_CURRENCY:
        client_hash = with_currency(&table.key, client_hash, currency)
    lookup.slots = home_slots(table, client_hash)
    if kinds & TEXT_TXS:
        lookup.hash = hash_text_transaction(client_hash, tx)
        lookup.home = second_home_of(index, lookup.hash)
    else:
        lookup.hash = hash_transaction(client_hash, tx)
        lookup.home = home_of(index, tx)


cdef inline void look_ahead_to_ids(
    Lookup* lookup,  # OUT
    const AccountTable* table,  # IN
    const Index* index,  # IN
    const uint64_t client,  # IN as for `look_up_ids`
    const uint64_t tx,  # IN
    const uint16_t currency,  # IN
    const IdKinds kinds,  # IN
    const bint second_home,  # IN as for `look_ahead`
) noexcept nogil:
    """`look_ahead` for ids that may be texts, and accounts that may have a currency."""
    if kinds == NUMBERS:
        look_ahead(lookup, table, index, client, tx, second_home)
        return
    look_up_ids(lookup, table, index, client, tx, currency, kinds)
    prefetch(lookup.slots)
    prefetch(lookup.home)


cdef inline Account* client_slots(const AccountTable* table, const TxId client) noexcept nogil:
    """The home of a client's account in the table."""
    cdef uint64_t hash = client.number if client.text != NULL else hash_client(&table.key, client.number)
    return home_slots(table, with_currency(&table.key, hash, client.currency) if table.has_currencies else hash)


cdef inline Account* find_client(const AccountTable* table, Account* slots, const TxId client) noexcept nogil:
    """The client's account, or the empty slot where it belongs. `slots` is its home."""
    if client.text != NULL:
        return find_named_slot(table, slots, client.number, client.text, client.length, client.currency)
    if table.has_currencies:
        return find_slot_of_currency(table, slots, client.number, client.currency)
    return find_slot(table, slots, client.number)


cdef inline Account* account_of(const AccountTable* table, const TxId client) noexcept nogil:
    """The client's account; NULL where there is none."""
    cdef Account* account
    if not table.accounts:
        return NULL
    account = find_client(table, client_slots(table, client), client)
    return account if account.in_use else NULL


cdef inline Account* find_or_add_client(AccountTable* table, const TxId client) noexcept nogil:
    """The client's account, which is opened if it is new. There must be room for it, and for its name."""
    cdef Account* slots = client_slots(table, client)
    if client.text != NULL:
        return find_or_add_named(table, slots, client.number, client.text, client.length, client.currency)
    if table.has_currencies:
        return find_or_add_of_currency(table, slots, client.number, client.currency)
    return find_or_add(table, slots, client.number)


# ---- Rows of a batch -------------------------------------------------------------------------------


cdef inline BatchIds ids_of(TransactionBatch batch) noexcept nogil:
    return BatchIds(
        clients=batch.client, txs=batch.tx, text=batch.text, client_spans=batch.client_span, tx_spans=batch.tx_span,
        currencies=batch.currency,
    )


cdef inline void look_ahead_to_row(
    Lookup* lookup,  # OUT
    const AccountTable* table,  # IN
    const Index* index,  # IN
    const BatchIds* ids,  # IN
    const Py_ssize_t row,  # IN
    const IdKinds kinds,  # IN
    const bint second_home,  # IN as for `look_ahead`
) noexcept nogil:
    """`look_ahead` for a row of a batch."""
    look_ahead_to_ids(
        lookup, table, index, ids.clients[row], ids.txs[row], ids.currencies[row] if kinds & BY_CURRENCY else 0, kinds,
        second_home,
    )


cdef inline void look_ahead_to_name(
    const Lookup* lookup, const AccountTable* table, const uint64_t client_hash,
) noexcept nogil:
    """Start loading the name of the account where the client, a text, is likely to be."""
    cdef const Account* likely = lookup.slots + (lookup.slots.client >> 32 != client_hash >> 32)
    prefetch(text_at(table.names, name_address(likely)))


cdef inline void look_ahead_to_entry(const Lookup* lookup, const Log* logs) noexcept nogil:
    """Start loading the columns of the entry that a row, which names one, is likely to find."""
    cdef uint32_t position = likely_position(lookup.home, lookup.hash)
    if position != <uint32_t>NOT_FOUND:
        prefetch_entry(logs, position)


cdef inline void look_ahead_to_tx(const Lookup* lookup, const Log* logs) noexcept nogil:
    """The same for the text of its id, once the columns have loaded."""
    cdef uint32_t position = likely_position(lookup.home, lookup.hash)
    if position != <uint32_t>NOT_FOUND:
        prefetch_text(logs, position)


cdef inline Account* account_of_row(
    AccountTable* table,  # IN, OUT with room for one account more
    const Lookup* lookup,  # IN
    const BatchIds* ids,  # IN
    const Py_ssize_t row,  # IN
    const IdKinds kinds,  # IN
) noexcept nogil:
    """The account of a row's client, which is opened if it is new."""
    cdef uint8_t[ID_ROOM_BYTES] room
    cdef const IdSpan* span
    cdef uint16_t currency = ids.currencies[row] if kinds & BY_CURRENCY else 0
    if not kinds & TEXT_CLIENTS:
        if kinds & BY_CURRENCY:
            return find_or_add_of_currency(table, lookup.slots, ids.clients[row], currency)
        return find_or_add(table, lookup.slots, ids.clients[row])
    span = &ids.client_spans[row]
    return find_or_add_named(table, lookup.slots, ids.clients[row], id_at(ids.text, span, room), span.length, currency)


cdef inline void tx_of_row(
    TxId* tx,  # OUT
    const BatchIds* ids,  # IN
    const Py_ssize_t row,  # IN
    const IdKinds kinds,  # IN
    uint8_t* room,  # ID_ROOM_BYTES; a text may be there
) noexcept nogil:
    """The id of a row's transaction."""
    cdef const IdSpan* span
    if not kinds & TEXT_TXS:
        make_number_id(tx, ids.txs[row])
        return
    span = &ids.tx_spans[row]
    tx.number = 0
    tx.text = id_at(ids.text, span, room)
    tx.length = span.length
    tx.currency = 0
