"""Rows of a state that a ledger makes: of its accounts and of its entries, as they are now.

This module must not know which of them are written.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from txfast.ledger.account_table cimport name_of
from txfast.ledger.details cimport opening_of
from txfast.ledger.entries cimport (
    CHUNK_MASK, LOG_ENTRIES_MAX, Chunk, Log, chunk_of, kind_at, make_number_id, starts_of, tx_hash_at,
    txs_of,
)
from txfast.ledger.rules cimport keeps_amount
from txfast.ledger.saved_ids cimport tx_id
from txfast.store.active cimport Active, EntryState, NumberedAccount, number_changed, standing_of, state_of
from txfast.store.currency_codes cimport take_codes
from txfast.store.segment_row cimport SegmentRow
from txfast.text.bits cimport prefetch
from txfast.text.text_hash cimport hash_text


cdef int open_sealed(
    SealedLedger* ledger,  # OUT all zero before; for `close_sealed`, whatever happens
    Active* active,  # IN, OUT the accounts that may have changed
    currencies,  # IN those of the ledger; None where accounts have none
) except -1:
    """Find what a ledger has changed, for its rows. Raises MemoryError."""
    ledger.active = active
    if currencies is not None:
        take_codes(&ledger.codes, currencies)
    return number_changed(active)


cdef void close_sealed(SealedLedger* ledger) noexcept nogil:
    free(ledger.codes)
    memset(ledger, 0, sizeof(SealedLedger))


cdef inline void make_client(
    const SealedLedger* ledger, const NumberedAccount* numbered, SegmentRow* row,
) noexcept nogil:
    """Make the client and the currency of an account's row, and their word."""
    cdef const uint8_t* name
    make_number_id(&row.client, numbered.client)
    if ledger.active.table.names != NULL:
        name = name_of(ledger.active.table, numbered.account)
        row.client.text = name + 1
        row.client.length = name[0]
    if ledger.codes != NULL:
        row.currency = ledger.codes[numbered.account.currency]
    else:
        row.currency.first = row.currency.second = 0
    row.client_word = word_of(numbered)


cdef void make_account_row(const void* context, const int64_t content, SegmentRow* row, uint8_t* room) noexcept nogil:
    """Make the row of an account."""
    cdef const SealedLedger* ledger = ledger_of(context, content)
    cdef const NumberedAccount* numbered = &ledger.active.accounts[<uint32_t>content]
    make_client(ledger, numbered, row)
    make_number_id(&row.tx, 0)
    row.tx_word = 0
    row.amount = numbered.account.available
    row.held = numbered.account.held
    row.kind = numbered.account.locked
    row.state = 0
    row.max_tx = numbered.max_tx
    row.refunded = row.moved = 0
    if ledger.active.details.count:
        row.refunded = <int64_t>standing_of(ledger.active, numbered.account)
        row.moved = opening_of(ledger.active.details, numbered.account.number)


cdef uint64_t tx_word_of(const void* context, const int64_t content) noexcept nogil:
    """The word of an entry's transaction."""
    cdef const SealedLedger* ledger = ledger_of(context, content)
    cdef uint32_t position = <uint32_t>content
    cdef const Log* log = &ledger.active.logs[kind_at(position)]
    if log.has_texts:
        return tx_hash_at(log, position & <uint32_t>LOG_ENTRIES_MAX, &ledger.active.table.text_key)
    return txs_of(chunk_of(ledger.active.logs, position))[position & CHUNK_MASK]


cdef void make_entry_ids(const void* context, const int64_t content, SegmentRow* row, uint8_t* room) noexcept nogil:
    """Make the ids and the words of an entry's row."""
    cdef const SealedLedger* ledger = ledger_of(context, content)
    cdef uint32_t position = <uint32_t>content
    cdef const Log* log = &ledger.active.logs[kind_at(position)]
    cdef const Chunk* chunk = chunk_of(ledger.active.logs, position)
    make_client(ledger, &ledger.active.accounts[chunk.account[position & CHUNK_MASK]], row)
    if not log.has_texts:
        make_number_id(&row.tx, txs_of(chunk)[position & CHUNK_MASK])
    else:
        tx_id(&row.tx, log, position & <uint32_t>LOG_ENTRIES_MAX, room)
        row.tx.number = hash_text(&ledger.active.table.text_key, row.tx.text, row.tx.length)
    row.tx_word = row.tx.number


cdef void make_entry_row(const void* context, const int64_t content, SegmentRow* row, uint8_t* room) noexcept nogil:
    """Make the row of an entry."""
    cdef const SealedLedger* ledger = ledger_of(context, content)
    cdef uint32_t position = <uint32_t>content
    cdef EntryState state
    make_entry_ids(context, content, row, room)
    row.kind = kind_at(position)
    row.held = 0
    row.max_tx = 0
    row.amount = row.refunded = row.moved = 0
    row.state = 0
    if keeps_amount(ledger.active.policy, row.kind):
        state_of(&state, ledger.active, position)
        row.amount = chunk_of(ledger.active.logs, position).amount[position & CHUNK_MASK]
        row.state = state.state
        row.refunded = state.refunded
        row.moved = state.moved


# ---- Look-ahead ----------------------------------------------------------------------------------------


cdef void look_ahead_to_account(const void* ledgers, const int64_t content) noexcept nogil:
    """Start loading where an account is, and what the state has of it."""
    cdef const SealedLedger* ledger = ledger_of(ledgers, content)
    prefetch(&ledger.active.accounts[<uint32_t>content])
    prefetch(&ledger.active.saved[<uint32_t>content])


cdef void look_nearer_to_account(const void* ledgers, const int64_t content) noexcept nogil:
    """Start loading an account."""
    prefetch(ledger_of(ledgers, content).active.accounts[<uint32_t>content].account)


cdef void look_ahead_to_entry(const void* ledgers, const int64_t content) noexcept nogil:
    """Start loading an entry."""
    cdef const SealedLedger* ledger = ledger_of(ledgers, content)
    cdef uint32_t position = <uint32_t>content
    cdef const Chunk* chunk = chunk_of(ledger.active.logs, position)
    prefetch(&chunk.account[position & CHUNK_MASK])
    if keeps_amount(ledger.active.policy, kind_at(position)):
        prefetch(&chunk.amount[position & CHUNK_MASK])
        prefetch(&chunk.state[position & CHUNK_MASK])
    if ledger.active.logs[kind_at(position)].has_texts:
        prefetch(&starts_of(chunk)[position & CHUNK_MASK])
    else:
        prefetch(&txs_of(chunk)[position & CHUNK_MASK])


cdef void look_nearer_to_entry(const void* ledgers, const int64_t content) noexcept nogil:
    """Start loading the account of an entry."""
    cdef const SealedLedger* ledger = ledger_of(ledgers, content)
    cdef uint32_t position = <uint32_t>content
    prefetch(&ledger.active.accounts[chunk_of(ledger.active.logs, position).account[position & CHUNK_MASK]])
