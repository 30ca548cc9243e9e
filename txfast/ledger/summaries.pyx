"""check_summaries: what saved accounts say of their entries is what the restored entries make it.

A run trusts `max_tx`: it looks up no entry with a greater id. Too small a value would let a transaction be applied
twice. A reversal trusts `standing`: it unlocks the account when none is left.

This module must not know files or formats; it reads buffers.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memset

from txfast.ledger.buffers cimport column
from txfast.ledger.columns_in cimport LedgerRestorer, is_own
from txfast.ledger.entries cimport TxId
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.load cimport TEXT_CLIENTS, account_of
from txfast.ledger.proof cimport Proof
from txfast.ledger.rules cimport Account
from txfast.ledger.text_columns cimport IdColumn, account_shown, id_at_row, take_clients
from txfast.text.bits cimport WORD_BYTES


def check_summaries(
    LedgerRestorer restorer not None,
    Py_ssize_t rows,
    clients not None,
    const uint8_t[::1] max_txs not None,
    const uint8_t[::1] standing not None,
    *,
    currencies=None,
):
    """Compare these columns with the entries of accounts, all of which were restored before.

    `max_txs` has the greatest id of an account's transactions: 0 where it has none, 2^64 - 1 where it has some whose
    ids are texts. `standing` has how many of its chargebacks stand: 0 for one as for none. Raises ValueError where one
    is otherwise.
    """
    cdef const uint64_t* max_tx = <const uint64_t*>column(max_txs, rows * WORD_BYTES)
    cdef const uint64_t* chargebacks = <const uint64_t*>column(standing, rows * WORD_BYTES)
    cdef Ledger ledger = restorer.ledger
    cdef bint has_names = ledger.id_kinds & TEXT_CLIENTS
    cdef const Account* account
    cdef const Proof* proof
    cdef Proof none
    cdef IdColumn ids
    cdef TxId client
    cdef Py_ssize_t row
    memset(&none, 0, sizeof(none))
    take_clients(&ids, rows, clients, currencies, ledger)
    for row in range(rows):
        if not is_own(restorer, ids.words[row]):
            continue
        id_at_row(&client, &ids, row, has_names)
        account = account_of(&ledger.table, client)
        if account == NULL:
            raise ValueError(f"{account_shown(ledger, client)} is not among the accounts")
        proof = &none if restorer.proofs == NULL else &restorer.proofs[account.number]
        if max_tx[row] != proof.max_tx:
            raise ValueError(f"{account_shown(ledger, client)} has another max_tx than its transactions have")
        if chargebacks[row] != (proof.standing_chargebacks if proof.standing_chargebacks > 1 else 0):
            raise ValueError(f"{account_shown(ledger, client)} has another standing than its chargebacks make it")
