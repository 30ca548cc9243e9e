"""What a snapshot has of entries apart from them: states of disputes, and details.

The columns come from a file and are not trusted, as in columns_in.pyx.

This module must not know files or formats; it reads buffers.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from txfast.ledger.account_table cimport AccountTable
from txfast.ledger.buffers cimport column
from txfast.ledger.columns_in cimport LedgerRestorer, is_own
from txfast.ledger.entries cimport Log, TxId, kind_at, state_at
from txfast.ledger.index cimport NOT_FOUND, Index, Probe
from txfast.ledger.load cimport Lookup, find_client, find_id, look_up_ids
from txfast.ledger.payments cimport load_payment, store_payment
from txfast.ledger.proof cimport (
    FITS, NO_ACCOUNT, NO_TRANSACTION, WITHDRAWAL_WITH_MORE, Proof, check_details, check_state, count_entry,
)
from txfast.ledger.rules cimport HAS_DETAILS, Account, Payment, can_be_disputed
from txfast.ledger.text_columns cimport EntryIds, ids_at_row, take_entry_ids
from txfast.text.bits cimport WORD_BYTES


def restore_disputes(
    LedgerRestorer restorer not None,
    Py_ssize_t rows,
    clients not None,
    txs not None,
    const uint8_t[::1] states not None,
    *,
    currencies=None,
):
    """Set the dispute states of entries that were added before. Raises as the restorer."""
    cdef const uint8_t* state = column(states, rows)
    cdef EntryIds ids
    cdef Py_ssize_t row = 0
    cdef int refusal = FITS
    take_entry_ids(&ids, rows, clients, txs, currencies, restorer.ledger)
    with nogil:
        for row in range(rows):
            if is_own(restorer, ids.clients.words[row]):
                refusal = set_dispute(restorer, &ids, row, state[row])
                if refusal:
                    break
    restorer.refuse(&ids, row, refusal)


def restore_details(
    LedgerRestorer restorer not None,
    Py_ssize_t rows,
    clients not None,
    txs not None,
    const uint8_t[::1] refunded not None,
    const uint8_t[::1] moved not None,
    *,
    currencies=None,
):
    """Set the details of entries that were added before. Raises as the restorer."""
    cdef const int64_t* refunded_units = <const int64_t*>column(refunded, rows * WORD_BYTES)
    cdef const int64_t* moved_units = <const int64_t*>column(moved, rows * WORD_BYTES)
    cdef EntryIds ids
    cdef Py_ssize_t row = 0
    cdef int refusal = FITS
    take_entry_ids(&ids, rows, clients, txs, currencies, restorer.ledger)
    restorer.ledger.reserve_detailed(restorer.count_rows(ids.clients.words, rows))
    with nogil:
        for row in range(rows):
            if is_own(restorer, ids.clients.words[row]):
                refusal = set_details(restorer, &ids, row, refunded_units[row], moved_units[row])
                if refusal:
                    break
    restorer.refuse(&ids, row, refusal)


cdef int find_payment(
    LedgerRestorer restorer,  # IN
    const EntryIds* ids,  # IN
    const Py_ssize_t row,  # IN
    Payment* payment,  # OUT as the next ones
    uint32_t* position,
    Proof** proof,
) noexcept nogil:
    """Find an entry that can be disputed, and the proof of its account; return FITS, or why there is none."""
    cdef const Index* index = &restorer.ledger.index
    cdef const AccountTable* table = &restorer.ledger.table
    cdef const Log* logs = restorer.ledger.logs
    cdef const Account* account
    cdef TxId client, tx
    cdef Lookup lookup
    cdef Probe probe
    if restorer.proofs == NULL:
        return NO_TRANSACTION
    ids_at_row(&client, &tx, ids, row, restorer.ledger.id_kinds)
    look_up_ids(&lookup, table, index, client.number, tx.number, client.currency, restorer.ledger.id_kinds)
    account = find_client(table, lookup.slots, client)
    if not account.in_use:
        return NO_ACCOUNT
    probe = find_id(index, logs, &lookup, account.number, tx)
    if probe.position == <uint32_t>NOT_FOUND:
        return NO_TRANSACTION
    if not can_be_disputed(restorer.ledger.policy, kind_at(probe.position)):
        return WITHDRAWAL_WITH_MORE
    load_payment(payment, logs, &restorer.ledger.details, probe.position)
    position[0] = probe.position
    proof[0] = &restorer.proofs[account.number]
    return FITS


cdef int set_dispute(
    LedgerRestorer restorer, const EntryIds* ids, const Py_ssize_t row, const uint8_t state,
) noexcept nogil:
    """Set the state of one entry; return FITS, or why it is refused."""
    cdef Payment payment
    cdef Proof* proof
    cdef uint32_t position
    cdef int refusal = find_payment(restorer, ids, row, &payment, &position, &proof)
    if not refusal:
        refusal = check_state(payment.state, state)
    if refusal:
        return refusal
    count_entry(restorer.ledger.policy, proof, &payment, -1)
    payment.state = state
    count_entry(restorer.ledger.policy, proof, &payment, 1)
    state_at(restorer.ledger.logs, position)[0] = state
    return FITS


cdef int set_details(
    LedgerRestorer restorer, const EntryIds* ids, const Py_ssize_t row, const int64_t refunded, const int64_t moved,
) noexcept nogil:
    """Set the details of one entry; return FITS, or why they are refused."""
    cdef Payment payment
    cdef Proof* proof
    cdef uint32_t position
    cdef int refusal = find_payment(restorer, ids, row, &payment, &position, &proof)
    if not refusal:
        refusal = check_details(restorer.ledger.policy, &payment, refunded, moved)
    if refusal:
        return refusal
    count_entry(restorer.ledger.policy, proof, &payment, -1)
    payment.refunded = refunded
    payment.moved = moved
    payment.state |= HAS_DETAILS
    count_entry(restorer.ledger.policy, proof, &payment, 1)
    store_payment(&payment, &restorer.ledger.details, position, True)
    return FITS
