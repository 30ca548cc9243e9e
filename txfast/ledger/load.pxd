"""The one way for an entry into a ledger: look ahead, find its slot, add it there.

Applying a batch, restoring saved columns and reading a slice all load entries with these functions. The loops belong to
the callers, since each does its own work between `find` and `add_entry`. Callers reserve room before they add.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t

from txfast.ledger.account_table cimport AccountTable, home_slots
from txfast.ledger.entries cimport Log, append_entry
from txfast.ledger.hash cimport hash_client, hash_transaction
from txfast.ledger.index cimport Group, Index, Probe, find_entry, home_of, insert_entry, second_home_of
from txfast.ledger.rules cimport Account
from txfast.text.bits cimport prefetch

cdef enum:
    LOOK_AHEAD_ROWS = 16  # a power of two
    # Prefetch second homes (index.pxd) when one in eight of the last rows was there.
    ROWS_PER_SECOND_HOME = 8

# Where the searches for a row begin: computed LOOK_AHEAD_ROWS before its turn, when that memory starts to load.
cdef struct Lookup:
    Account* slots  # the client's home in the table of accounts
    Group* home  # the transaction's home in the index
    uint64_t hash  # of client and transaction


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


cdef inline Probe find(
    const Index* index,
    const Log* logs,
    const Lookup* lookup,
    const uint32_t account,  # IN its number
    const uint64_t tx,
) noexcept nogil:
    """Find the entry (account, tx), or the empty slot where it belongs."""
    return find_entry(index, logs, lookup.home, lookup.hash, account, tx)


cdef inline uint32_t add_entry(
    Log* logs,  # IN, OUT
    const Probe* probe,  # IN returned by `find`: NOT_FOUND, with no entry added since
    const int kind,  # IN
    const uint32_t account,  # IN its number
    const uint64_t tx,  # IN
    const int64_t amount,  # IN
) noexcept nogil:
    """Append an entry to its log and put it into the index; return its position."""
    cdef uint32_t position = append_entry(logs, kind, account, tx, amount)
    insert_entry(probe.group, probe.slot, probe.hash, position)
    return position
