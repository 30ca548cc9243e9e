"""Loads the entries that rows need and that a ledger does not have, where the state has them; and notes which entries
of the state rows name.

A deposit or a withdrawal needs the entry of the same ids, which would make it a duplicate; other rows need the one that
they name. Most rows need none: that of an account that is new; with an id that is greater than all that the state has
of the account; and of an account that is locked and takes no such row.

This module must not know accounts that the ledger does not have.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memchr

from txfast.batch.batch cimport DEPOSIT, KIND_MASK, NO_AMOUNT, REVERSAL, WITHDRAWAL
from txfast.ledger.entries cimport TxId
from txfast.ledger.index cimport NOT_FOUND, Probe
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.load cimport LOOK_AHEAD_ROWS, IdKinds, Lookup, find_id, look_ahead_to_ids
from txfast.ledger.rules cimport Account, adds_entry, keeps_entry, refused_while_locked
from txfast.store.active cimport (
    Active, ActiveAccounts, is_in_state, is_saved, max_tx_of, note_loaded, note_named, reserve_named,
)
from txfast.store.batch_rows cimport BatchRows, find_account, row_at, seek_entry, slots_of
from txfast.store.load_rows cimport LoadRoom, load_entry, refuse_row
from txfast.store.run_search cimport RunSearch, place_of
from txfast.store.sought cimport Sought, SoughtRows, tx_of
from txfast.text.bits cimport prefetch

cdef enum:
    # So many rows ahead the account is found, and what the state has of it begins to load.
    SAVED_AHEAD_ROWS = LOOK_AHEAD_ROWS // 2


cdef int seek_missing_entries(
    ActiveAccounts active,  # IN, OUT the entries that rows name
    SoughtRows sought,  # OUT
    const BatchRows* batches,  # IN
    const Py_ssize_t count,  # IN of batches
) except -1:
    """Look for the entries that rows need and that the ledger does not have. Raises MemoryError."""
    cdef Py_ssize_t batch, rows = 0
    cdef bint unlocks = False
    for batch in range(count):
        rows += batches[batch].count
    sought.reserve(rows)
    with nogil:
        # A reversal may unlock an account for the rows after it.
        for batch in range(count):
            unlocks |= has_reversals(&batches[batch])
        for batch in range(count):
            seek_entries_of(active, sought, &batches[batch], unlocks)
        drop_entries_at_hand(active.ledger, &active.active, sought)
    return 0


cdef bint has_reversals(const BatchRows* rows) noexcept nogil:
    """Whether a batch may have a reversal."""
    if not rows.batch_rows:
        return False
    return (
        memchr(rows.kinds, REVERSAL, rows.batch_rows) != NULL
        or memchr(rows.kinds, REVERSAL | NO_AMOUNT, rows.batch_rows) != NULL
    )


cdef int seek_entries_of(
    ActiveAccounts active, SoughtRows sought, const BatchRows* rows, const bint unlocks,
) except -1 nogil:
    """Look for the entries that the rows of a batch need, though the ledger may have them."""
    cdef const Active* saved = &active.active
    cdef IdKinds kinds = active.ledger.id_kinds
    cdef Account* accounts[LOOK_AHEAD_ROWS]  # first their homes
    cdef Py_ssize_t ahead, i, row
    if not saved.table.accounts:
        return 0
    for ahead in range(rows.count + LOOK_AHEAD_ROWS):
        i = ahead - LOOK_AHEAD_ROWS
        if i >= 0:
            row = row_at(rows, i)
            if needs_entry(saved, accounts[i & (LOOK_AHEAD_ROWS - 1)], rows, row, unlocks):
                seek_entry(
                    sought, rows, row, kinds, accounts[i & (LOOK_AHEAD_ROWS - 1)].number,
                    not adds_entry(rows.kinds[row] & KIND_MASK),
                )
        if ahead < rows.count:
            accounts[ahead & (LOOK_AHEAD_ROWS - 1)] = slots_of(saved.table, rows, row_at(rows, ahead), kinds)
            prefetch(accounts[ahead & (LOOK_AHEAD_ROWS - 1)])
        i = ahead - SAVED_AHEAD_ROWS
        if 0 <= i < rows.count:
            accounts[i & (LOOK_AHEAD_ROWS - 1)] = find_account(
                saved.table, accounts[i & (LOOK_AHEAD_ROWS - 1)], rows, row_at(rows, i), kinds,
            )
            prefetch(&saved.saved[accounts[i & (LOOK_AHEAD_ROWS - 1)].number])
    return 0


cdef inline bint needs_entry(
    const Active* active, const Account* account, const BatchRows* rows, const Py_ssize_t row, const bint unlocks,
) noexcept nogil:
    """Whether the state may have an entry that decides what a row does. `account` may be an empty slot."""
    cdef int kind = rows.kinds[row] & KIND_MASK
    if not account.in_use or not is_saved(active, account.number):
        return False
    if rows.ids.txs[row] > max_tx_of(active, account.number):
        return False
    if adds_entry(kind) and not keeps_entry(active.policy, kind):
        return False
    return unlocks or not account.locked or not refused_while_locked(active.policy, kind)


cdef int drop_entries_at_hand(Ledger ledger, Active* active, SoughtRows sought) except -1 nogil:
    """Look no longer for entries that the ledger has. Note those that the state has too and that rows name."""
    cdef IdKinds kinds = ledger.id_kinds
    cdef Lookup[LOOK_AHEAD_ROWS] lookups
    cdef const Sought* key
    cdef TxId tx
    cdef Probe probe
    cdef Py_ssize_t ahead, i, kept = 0
    if not ledger.count_entries():
        return 0
    for ahead in range(sought.count + LOOK_AHEAD_ROWS):
        i = ahead - LOOK_AHEAD_ROWS
        if i >= 0:
            key = &sought.sought.rows[i]
            tx_of(&tx, key)
            probe = find_id(&ledger.index, ledger.logs, &lookups[i & (LOOK_AHEAD_ROWS - 1)], key.account, tx)
            if probe.position == <uint32_t>NOT_FOUND:
                sought.sought.rows[kept] = key[0]
                kept += 1
            elif key.is_named and is_in_state(active, probe.position):
                reserve_named(active, 1)
                note_named(active, probe.position)
        if ahead < sought.count:
            key = &sought.sought.rows[ahead]
            look_ahead_to_ids(
                &lookups[ahead & (LOOK_AHEAD_ROWS - 1)], &ledger.table, &ledger.index, key.client, key.tx, key.currency,
                kinds, False,
            )
    sought.count = kept
    return 0


cdef int load_entries(ActiveAccounts active, SoughtRows sought, runs) except -1:
    """Load those entries that are looked for and that one of the runs has; each newer run, which comes later, shadows
    the older ones. Raises StateError, SourceError, MemoryError and CapacityError."""
    cdef RunSearch search
    cdef LoadRoom room
    cdef uint64_t deposits = active.active.logs[<int>DEPOSIT].entries
    cdef uint64_t withdrawals = active.active.logs[<int>WITHDRAWAL].entries
    room.entries = room.text_bytes = 0
    if not sought.count:
        return 0
    active.reserve_ranges()
    sought.reserve_sorting()
    with nogil:
        sought.sort()
    for run in reversed(runs):
        if sought.left:
            search = RunSearch(run, sought)
            with nogil:
                search.begin()
                load_found(active, sought, search, &room)
    note_loaded(&active.active, DEPOSIT, deposits)
    note_loaded(&active.active, WITHDRAWAL, withdrawals)
    return 0


cdef int load_found(ActiveAccounts active, SoughtRows sought, RunSearch search, LoadRoom* room) except -1 nogil:
    """Load the entries that a run has, and note those that rows name."""
    cdef const Sought* key
    cdef uint32_t position
    cdef int refusal
    while search.find_next():
        key = &sought.sought.rows[search.found]
        refusal = load_entry(active.ledger, room, search.cursor.row, key.account, key.currency, &position)
        if refusal:
            with gil:
                refuse_row(active.ledger, search.cursor.row, key.currency, place_of(&search.cursor.cursor), refusal)
        if key.is_named:
            reserve_named(&active.active, 1)
            note_named(&active.active, position)
    return 0
