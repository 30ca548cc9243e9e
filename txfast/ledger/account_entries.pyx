"""The entries of one account, with what later rows have made of them: for somebody who looks at it.

This module must not know what is done with them.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from txfast.batch.ids cimport ID_ROOM_BYTES
from txfast.ledger.entries cimport CHUNK_BITS, CHUNK_ENTRIES, CHUNK_MASK, LOG_COUNT, Log, TxId, position_of
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.payments cimport load_payment
from txfast.ledger.rules cimport Account, Payment, dispute_state, keeps_amount, moves_are_open
from txfast.ledger.saved_ids cimport tx_id


def entries_of(Ledger ledger not None, client, uint16_t currency=0):
    """The entries of a client's account, as `Ledger.account` takes it, in the order in which each kind was applied: a
    list of `(tx, kind, amount, state, refunded, moved)`, which is empty where there is no account.

    `tx` is an integer, or bytes where ids are texts. `kind` is an index in KINDS, `state` one in DISPUTE_STATES.
    Amounts are in units of the last decimal: `moved` is what is in dispute or charged back. Where the policy keeps no
    amounts of the kind, `amount` is None. All entries of the ledger are looked at.
    """
    cdef const Account* account = ledger.find_account(client, currency)
    cdef const Log* log
    cdef uint64_t entry
    cdef int kind
    entries = []
    if account == NULL:
        return entries
    for kind in range(LOG_COUNT):
        log = &ledger.logs[kind]
        entry = next_of(log, 0, account.number)
        while entry < log.entries:
            entries.append(entry_at(ledger, kind, entry))
            entry = next_of(log, entry + 1, account.number)
    return entries


cdef uint64_t next_of(const Log* log, uint64_t entry, const uint32_t account) noexcept nogil:
    """The first entry of a log from this one on that is of the account with this number; else the number of entries."""
    cdef const uint32_t* accounts
    cdef uint64_t slot, end
    while entry < log.entries:
        accounts = log.chunks[entry >> CHUNK_BITS].account
        slot = entry & CHUNK_MASK
        end = min(log.entries - entry + slot, <uint64_t>CHUNK_ENTRIES)
        while slot < end and accounts[slot] != account:
            slot += 1
        entry = (entry & ~<uint64_t>CHUNK_MASK) + slot
        if slot < end:
            break
    return entry


cdef tuple entry_at(Ledger ledger, const int kind, const uint64_t entry):
    """An entry as `entries_of` has it."""
    cdef uint8_t[ID_ROOM_BYTES] room
    cdef Payment payment
    cdef TxId id
    tx_id(&id, &ledger.logs[kind], entry, room)
    tx = id.number if id.text == NULL else id.text[:id.length]
    if not keeps_amount(ledger.policy, kind):
        return tx, kind, None, 0, 0, 0
    load_payment(&payment, ledger.logs, &ledger.details, position_of(kind, entry))
    return (
        tx, kind, payment.amount, dispute_state(payment.state), payment.refunded,
        payment.moved if moves_are_open(payment.state) else 0,
    )
