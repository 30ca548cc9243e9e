"""Disputes of which an older version has saved only that they are over.

These functions must not know columns or files.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from txfast.ledger.account_table cimport AccountTable
from txfast.ledger.entries cimport CHUNK_BITS, CHUNK_MASK, LOG_COUNT, Chunk, Log
from txfast.ledger.payments cimport make_whole_payment
from txfast.ledger.policy cimport Policy
from txfast.ledger.proof cimport Proof, count_entry
from txfast.ledger.rules cimport CHARGED_BACK, DISPUTE_OVER, RESOLVED, Payment, keeps_amount


cdef inline int end_disputes(
    const Policy policy,  # IN
    const AccountTable* table,  # IN
    const Log* logs,  # IN; OUT the states of entries
    Proof* proofs,  # IN, OUT by the number of the account; NULL where there are no entries
) except -1:
    """Say how disputes ended of which an older version has saved only that they did: for the client where the account
    is open, against him where it is locked and no other dispute ended. Else it stays unknown. Raises MemoryError."""
    cdef Chunk* chunk
    cdef uint8_t* locked
    cdef uint64_t slot, entry, ended = 0
    cdef uint32_t number
    cdef Payment payment
    cdef int kind
    for slot in range(table.accounts if proofs != NULL else 0):
        ended += proofs[slot].ended_disputes
    if not ended:
        return 0
    locked = <uint8_t*>calloc(table.accounts, 1)
    if locked == NULL:
        raise MemoryError(f"no memory to check {table.accounts} accounts")
    for slot in range(table.slot_mask + 1):
        if table.slots[slot].in_use:
            locked[table.slots[slot].number] = table.slots[slot].locked
    for kind in range(LOG_COUNT):
        if not keeps_amount(policy, kind):
            continue
        for entry in range(logs[kind].entries):
            chunk = logs[kind].chunks[entry >> CHUNK_BITS]
            if chunk.state[entry & CHUNK_MASK] != DISPUTE_OVER:
                continue
            number = chunk.account[entry & CHUNK_MASK]
            if locked[number] and proofs[number].ended_disputes != 1:
                continue
            make_whole_payment(&payment, kind, DISPUTE_OVER, chunk.amount[entry & CHUNK_MASK])
            count_entry(policy, &proofs[number], &payment, -1)
            payment.state = CHARGED_BACK if locked[number] else RESOLVED
            count_entry(policy, &proofs[number], &payment, 1)
            chunk.state[entry & CHUNK_MASK] = payment.state
    free(locked)
    return 0
