"""prefetch: loads what the rows of batches need of a state into a ledger, before they are applied.

After it the ledger has each account of the rows that the state has, and each entry of the state that could decide what
a row does. Applying then needs no state. What the ledger has already is not loaded again.

This module must not know manifests, nor what rows do.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from txfast.batch.batch cimport TransactionBatch
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.shard cimport shard_of, shard_word
from txfast.store.active cimport ActiveAccounts, forget_numbers
from txfast.store.batch_rows cimport BatchRows, take_rows
from txfast.store.account_lookup cimport load_clients, seek_missing_clients
from txfast.store.entry_lookup cimport load_entries, seek_missing_entries
from txfast.store.run_form cimport check_runs
from txfast.store.sought cimport Sought, SoughtRows


def prefetch(
    ActiveAccounts active not None, runs not None, batches not None, uint32_t shard=0, uint32_t shard_count=1,
):
    """Load what the rows of these batches need of a state's Runs into the ledger; of batches that were routed, the rows
    of the shard. More rows at once are faster: 131,072 at least.

    Call it before the batches are applied, and apply no others in between. Raises StateError, SourceError, MemoryError
    and CapacityError: the ledger must be discarded then.
    """
    cdef TransactionBatch batch
    cdef SoughtRows sought
    cdef Py_ssize_t count = 0
    cdef BatchRows* rows
    cdef Ledger ledger = active.ledger
    if not runs.accounts and not active.active.saved_capacity:
        return
    check_runs(ledger, runs.accounts)
    check_runs(ledger, runs.entries)
    forget_numbers(&active.active)
    for batch in batches:
        if batch.shard_count and batch.shard_count != shard_count:
            raise ValueError(f"a batch of {batch.shard_count} shards, where there are {shard_count}")
    rows = <BatchRows*>malloc((len(batches) + 1) * sizeof(BatchRows))
    if rows == NULL:
        raise MemoryError(f"no memory for {len(batches)} batches")
    try:
        for batch in batches:
            take_rows(&rows[count], batch, shard)
            count += 1
        sought = SoughtRows(ledger.id_kinds, ledger.currencies, are_entries=False)
        seek_missing_clients(active, sought, rows, count)
        load_clients(active, sought, runs.accounts)
        sought = None  # free its memory first
        sought = SoughtRows(ledger.id_kinds, ledger.currencies, are_entries=True)
        seek_missing_entries(active, sought, rows, count)
        load_entries(active, sought, [*runs.entries, *runs.changes])
    finally:
        free(rows)


def prefetch_accounts(
    ActiveAccounts active not None,
    runs not None,
    const uint64_t[::1] clients not None,
    *,
    const uint8_t[::1] names=None,
    const uint64_t[::1] name_starts=None,
    const uint16_t[::1] currencies=None,
    uint32_t shard=0,
    uint32_t shard_count=1,
):
    """Load the accounts of these clients that are of the shard, as `open_accounts` (ledger/openings.pyx) takes them:
    call it before. Raises as `prefetch`, and ValueError."""
    cdef Ledger ledger = active.ledger
    cdef SoughtRows sought = SoughtRows(ledger.id_kinds, ledger.currencies, are_entries=False)
    cdef bint has_names = ledger.table.names != NULL, has_currencies = ledger.table.has_currencies
    cdef Py_ssize_t row, count = clients.shape[0]
    cdef Sought* key
    if has_names and (names is None or name_starts is None or name_starts.shape[0] != count):
        raise ValueError(f"no names of {count} clients that are texts")
    if has_currencies and (currencies is None or currencies.shape[0] != count):
        raise ValueError(f"no currencies of {count} clients")
    check_runs(ledger, runs.accounts)
    forget_numbers(&active.active)
    sought.reserve(count)
    for row in range(count):
        if shard_of(clients[row], shard_count) != shard:
            continue
        if sought.is_plain:
            sought.keys[sought.count].client = shard_word(clients[row])
            sought.keys[sought.count].content = <int64_t>clients[row]
        else:
            key = &sought.sought.rows[sought.count]
            memset(key, 0, sizeof(Sought))
            key.client = clients[row]
            if has_names:
                key.client_text = &names[name_starts[row]] + 1
                key.client_length = names[name_starts[row]]
            if has_currencies:
                key.currency = currencies[row]
        sought.count += 1
    load_clients(active, sought, runs.accounts)
