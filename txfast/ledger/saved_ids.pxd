"""Ids on their way out of a ledger: of the client of an account, and of an entry."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from txfast.ledger.account_table cimport AccountTable
from txfast.ledger.entries cimport CHUNK_BITS, CHUNK_MASK, Log, TxId, address_at, make_number_id, txs_of
from txfast.ledger.packed_texts cimport unpacked_at, unpacked_bytes_at
from txfast.ledger.rules cimport Account
from txfast.ledger.texts cimport NAME_ALIGNMENT, TextArena
from txfast.text.text_hash cimport hash_text


cdef inline void make_text_id(
    TxId* id,  # OUT
    const TextArena* arena,  # IN
    const uint64_t address,  # IN
    uint8_t* room,  # ID_ROOM_BYTES; the text may be there
) noexcept nogil:
    """Make an id of the text at an address. Its hash is not set."""
    id.number = 0
    id.text = unpacked_at(arena, address, room)
    id.length = unpacked_bytes_at(arena, address)
    id.currency = 0


cdef inline void client_id(TxId* id, const AccountTable* table, const uint64_t client) noexcept nogil:
    """Make an id of what an account has as its `client`; of a text with its hash."""
    if table.names == NULL:
        make_number_id(id, client)
        return
    make_text_id(id, table.names, <uint64_t>NAME_ALIGNMENT * <uint32_t>client, NULL)
    id.number = hash_text(&table.text_key, id.text, id.length)


cdef inline void tx_id(TxId* id, const Log* log, const uint64_t entry, uint8_t* room) noexcept nogil:
    """Make an id of that of an entry; of a text without its hash, which may be in `room` (`make_text_id`)."""
    if log.has_texts:
        make_text_id(id, &log.texts, address_at(log, entry), room)
    else:
        make_number_id(id, txs_of(log.chunks[entry >> CHUNK_BITS])[entry & CHUNK_MASK])


cdef inline void take_by_number(
    const AccountTable* table,  # IN
    uint64_t* clients,  # OUT by the number of the account: what it has as its `client`
    uint16_t* currencies,  # OUT the same way; NULL where they are not asked for
) noexcept nogil:
    """Take the clients of all accounts, and their currencies."""
    cdef const Account* slots = table.slots
    cdef uint64_t slot
    if slots == NULL:
        return
    for slot in range(table.slot_mask + 1):
        if slots[slot].in_use:
            clients[slots[slot].number] = slots[slot].client
            if currencies != NULL:
                currencies[slots[slot].number] = slots[slot].currency
