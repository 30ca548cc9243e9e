"""The table of accounts: from a client to its account, by open addressing with linear probing.

The slots hold the accounts themselves, so that a row touches one cache line here. Held amounts lie in an array
of their own by account number, since only disputes need them.
"""

from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from txfast.ledger.hash cimport HashKey, hash_client, prefetch
from txfast.ledger.rules cimport Account

cdef enum:
    ACCOUNT_LOAD_PERCENT_MAX = 70
    ACCOUNTS_MAX = 0xFFFFFFFF

cdef struct AccountTable:
    Account* slots
    uint64_t slot_mask  # slot count - 1, a power of two less one
    uint64_t capacity  # accounts that it takes before it must grow
    uint64_t accounts
    HashKey key


cdef inline Account* find_slot(const AccountTable* table, uint64_t client) noexcept nogil:
    """The client's account, or the empty slot where it belongs."""
    cdef uint64_t slot = hash_client(&table.key, client) & table.slot_mask
    while table.slots[slot].in_use and table.slots[slot].client != client:
        slot = (slot + 1) & table.slot_mask
    return &table.slots[slot]


cdef inline void prefetch_account(const AccountTable* table, uint64_t client) noexcept nogil:
    """Start to load the cache line where the client's account is likely to be."""
    prefetch(&table.slots[hash_client(&table.key, client) & table.slot_mask])


cdef inline Account* find_or_add(AccountTable* table, uint64_t client) noexcept nogil:
    """The client's account, opened when it is new. Room was reserved before."""
    cdef Account* account = find_slot(table, client)
    if not account.in_use:
        account.in_use = True
        account.client = client
        account.number = <uint32_t>table.accounts
        table.accounts += 1
    return account


cdef inline bint reserve_accounts(AccountTable* table, uint64_t accounts) noexcept nogil:
    """Make room for so many accounts in all; False when memory is exhausted, with what was there intact."""
    cdef uint64_t slot_count = table.slot_mask + 1 if table.slots != NULL else 1024
    cdef AccountTable grown = table[0]
    cdef uint64_t i
    if accounts <= table.capacity:
        return True
    while slot_count * ACCOUNT_LOAD_PERCENT_MAX // 100 < accounts:
        slot_count *= 2
    grown.slots = <Account*>calloc(slot_count, sizeof(Account))
    if grown.slots == NULL:
        return False
    grown.slot_mask = slot_count - 1
    grown.capacity = slot_count * ACCOUNT_LOAD_PERCENT_MAX // 100
    if table.slots != NULL:
        for i in range(table.slot_mask + 1):
            if table.slots[i].in_use:
                find_slot(&grown, table.slots[i].client)[0] = table.slots[i]
    free(table.slots)
    table[0] = grown
    return True


cdef inline void free_accounts(AccountTable* table) noexcept nogil:
    free(table.slots)
    table.slots = NULL
