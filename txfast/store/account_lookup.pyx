"""Loads the accounts that rows need and that a ledger does not have, where the state has them.

This module must not know entries.
"""

from libc.stdint cimport int64_t, uint64_t

from txfast.ledger.account_table cimport AccountTable
from txfast.ledger.entries cimport TxId, make_number_id
from txfast.ledger.load cimport LOOK_AHEAD_ROWS, TEXT_CLIENTS, IdKinds, client_slots
from txfast.ledger.rules cimport Account
from txfast.store.active cimport ActiveAccounts
from txfast.store.batch_rows cimport BatchRows, find_account, row_at, seek_client, slots_of
from txfast.store.load_rows cimport load_account, reserve_accounts_of
from txfast.store.run_search cimport RunSearch
from txfast.store.sought cimport SoughtKeys, SoughtRows, client_of, currency_of
from txfast.text.bits cimport prefetch


cdef int seek_missing_clients(
    ActiveAccounts active,  # IN
    SoughtRows sought,  # OUT
    const BatchRows* batches,  # IN
    const Py_ssize_t count,  # IN of batches
) except -1:
    """Look for the accounts of rows that the ledger does not have. Raises MemoryError."""
    cdef Py_ssize_t batch, rows = 0
    cdef IdKinds kinds = active.ledger.id_kinds
    for batch in range(count):
        rows += batches[batch].count
    sought.reserve(rows)
    with nogil:
        for batch in range(count):
            seek_clients_of(&active.ledger.table, sought, &batches[batch], kinds)
    return 0


cdef int seek_clients_of(
    const AccountTable* table, SoughtRows sought, const BatchRows* rows, const IdKinds kinds,
) except -1 nogil:
    """Look for the accounts of the rows of a batch that the table does not have."""
    cdef Account* slots[LOOK_AHEAD_ROWS]
    cdef Py_ssize_t i
    if not table.accounts:
        for i in range(rows.count):
            seek_client(sought, rows, row_at(rows, i), kinds)
        return 0
    for i in range(min(rows.count, <Py_ssize_t>LOOK_AHEAD_ROWS)):
        slots[i] = slots_of(table, rows, row_at(rows, i), kinds)
        prefetch(slots[i])
    for i in range(rows.count):
        if not find_account(table, slots[i & (LOOK_AHEAD_ROWS - 1)], rows, row_at(rows, i), kinds).in_use:
            seek_client(sought, rows, row_at(rows, i), kinds)
        if i + LOOK_AHEAD_ROWS < rows.count:
            slots[i & (LOOK_AHEAD_ROWS - 1)] = slots_of(table, rows, row_at(rows, i + LOOK_AHEAD_ROWS), kinds)
            prefetch(slots[i & (LOOK_AHEAD_ROWS - 1)])
    return 0


cdef int load_clients(ActiveAccounts active, SoughtRows sought, runs) except -1:
    """Load those accounts that are looked for and that one of the runs has; each newer run, which comes later, shadows
    the older ones. Raises StateError, SourceError, MemoryError and CapacityError."""
    cdef RunSearch search
    cdef Py_ssize_t i
    cdef uint64_t text_bytes = 0
    if not sought.count:
        return 0
    sought.reserve_sorting()
    with nogil:
        sought.sort()
        for i in range(sought.left if active.ledger.id_kinds & TEXT_CLIENTS else 0):
            text_bytes += 1 + sought.sought.rows[sought.keys[i].content].client_length
    reserve_accounts_of(active, sought.left, text_bytes)
    for run in reversed(runs):
        if sought.left:
            search = RunSearch(run, sought)
            with nogil:
                search.begin()
                load_found(active, sought, search)
    return 0


cdef int load_found(ActiveAccounts active, SoughtRows sought, RunSearch search) except -1 nogil:
    """Load the accounts that a run has."""
    cdef Py_ssize_t ahead = 0
    while True:
        # Where accounts go begins to load while others are looked for.
        while ahead < min(sought.left, search.next + LOOK_AHEAD_ROWS):
            prefetch(home_of(&active.ledger.table, &sought.sought, sought.keys[ahead].content))
            ahead += 1
        if not search.find_next():
            return 0
        load_account(
            active.ledger, &active.active, search.cursor.row, currency_of(&sought.sought, search.found),
        )


cdef inline const Account* home_of(
    const AccountTable* table, const SoughtKeys* keys, const int64_t content,
) noexcept nogil:
    """The home of the account of a key in the table."""
    cdef TxId client
    if keys.rows == NULL:
        make_number_id(&client, <uint64_t>content)
    else:
        client_of(&client, &keys.rows[content])
    return client_slots(table, client)
