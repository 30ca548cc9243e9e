"""AccountTable: finds the account of a client. Open addressing with linear probing, which starts at a pair of slots.

The slots are the accounts themselves, and a pair fills a cache line, so a row usually touches one line here.

Where clients are texts, an account has two words of 32 bits in place of the client's number: the upper half of the
name's hash, which tells most other clients apart, and where the name is.

Where accounts have a currency, each is of a client and a currency.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free

from txfast.ledger.hash cimport HashKey, hash_client, with_currency
from txfast.ledger.aligned_memory cimport allocate_zeroed
from txfast.ledger.rules cimport Account
from txfast.ledger.texts cimport NAME_ALIGNMENT, TextArena, add_text, hash_at, is_text_at, text_at
from txfast.text.bits cimport advise_huge_pages, populate
from txfast.text.text_hash cimport TextKey

cdef enum:
    ACCOUNT_LOAD_PERCENT_MAX = 70
    ACCOUNTS_MAX = 0xFFFFFFFF
    # The most bytes of blocks of names: what an account has of an address then fits in 32 bits.
    NAMES_BYTES_MAX = 0x400000000

cdef struct AccountTable:
    void* allocation  # for `free`
    Account* slots
    uint64_t slot_mask  # the number of slots, a power of two, - 1
    uint64_t capacity  # accounts that fit before it must grow
    uint64_t accounts
    HashKey key
    TextArena* names  # of clients that are texts; NULL where they are numbers
    TextKey text_key  # of the hash of texts
    bint has_currencies


cdef inline Account* home_slots(const AccountTable* table, const uint64_t client_hash) noexcept nogil:
    """The two slots, in one cache line, where the search for a client begins. `client_hash` is its hash_client."""
    return &table.slots[client_hash & table.slot_mask & ~<uint64_t>1]


cdef inline Account* find_slot(const AccountTable* table, Account* pair, const uint64_t client) noexcept nogil:
    """The client's account, or the empty slot where it belongs. `pair` is the client's home."""
    # Which slot of the pair it is cannot be predicted, so this is not a branch.
    cdef Account* likely = pair + (pair.client != client)
    if likely.client == client and likely.in_use:
        return likely
    while pair.in_use and pair.client != client:
        pair += 1
        if pair > &table.slots[table.slot_mask]:
            pair = table.slots
    return pair


cdef inline void add_account(AccountTable* table, Account* slot, const uint64_t client) noexcept nogil:
    """Open the client's account in the empty slot where it belongs."""
    slot.in_use = True
    slot.client = client
    slot.number = <uint32_t>table.accounts
    table.accounts += 1


cdef inline uint64_t name_address(const Account* account) noexcept nogil:
    """The address of the name of an account's client."""
    return <uint64_t>NAME_ALIGNMENT * <uint32_t>account.client


cdef inline const uint8_t* name_of(const AccountTable* table, const Account* account) noexcept nogil:
    """The name of an account's client: its length, then its bytes."""
    return text_at(table.names, name_address(account))


cdef inline bint is_other(const Account* slot, const uint64_t client, const uint16_t currency) noexcept nogil:
    """Whether a slot has not the client and the currency. Not a branch."""
    return (slot.client ^ client | slot.currency ^ currency) != 0


cdef inline Account* find_slot_of_currency(
    const AccountTable* table, Account* slot, const uint64_t client, const uint16_t currency,
) noexcept nogil:
    """`find_slot` for a client's account in a currency."""
    slot += is_other(slot, client, currency) & slot.in_use
    while slot.in_use and is_other(slot, client, currency):
        slot += 1
        if slot > &table.slots[table.slot_mask]:
            slot = table.slots
    return slot


cdef inline bint is_other_name(const Account* slot, const uint64_t client_hash, const uint16_t currency) noexcept nogil:
    """Whether a slot has certainly not the currency and a client, a text with this hash. Not a branch."""
    return (slot.client >> 32 ^ client_hash >> 32 | slot.currency ^ currency) != 0


cdef inline Account* find_named_slot(
    const AccountTable* table,
    Account* slot,  # IN the client's home
    const uint64_t client_hash,  # IN the hash of the name
    const uint8_t* name,  # IN
    const uint8_t length,  # IN
    const uint16_t currency,  # IN 0 where accounts have none
) noexcept nogil:
    """`find_slot` for a client that is a text."""
    slot += is_other_name(slot, client_hash, currency) & slot.in_use
    while slot.in_use and (
        is_other_name(slot, client_hash, currency) or not is_text_at(table.names, name_address(slot), name, length)
    ):
        slot += 1
        if slot > &table.slots[table.slot_mask]:
            slot = table.slots
    return slot


cdef inline Account* find_or_add_named(
    AccountTable* table, Account* pair, const uint64_t client_hash, const uint8_t* name, const uint8_t length,
    const uint16_t currency,
) noexcept nogil:
    """`find_or_add` for a client that is a text. There must be room for the name too."""
    cdef Account* account = find_named_slot(table, pair, client_hash, name, length, currency)
    cdef uint64_t address
    if not account.in_use:
        address = add_text(table.names, name, length, NAME_ALIGNMENT)
        add_account(table, account, client_hash >> 32 << 32 | address // NAME_ALIGNMENT)
        account.currency = currency
    return account


cdef inline uint64_t hash_of(const AccountTable* table, const Account* account) noexcept nogil:
    """The hash of an account's client, and of its currency where it has one."""
    cdef uint64_t hash
    if table.names != NULL:
        hash = hash_at(table.names, name_address(account), &table.text_key)
    else:
        hash = hash_client(&table.key, account.client)
    return with_currency(&table.key, hash, account.currency) if table.has_currencies else hash


cdef inline Account* find_or_add(AccountTable* table, Account* pair, const uint64_t client) noexcept nogil:
    """The client's account, which is opened if it is new. There must be room."""
    cdef Account* account = find_slot(table, pair, client)
    if not account.in_use:
        add_account(table, account, client)
    return account


cdef inline Account* find_or_add_of_currency(
    AccountTable* table, Account* pair, const uint64_t client, const uint16_t currency,
) noexcept nogil:
    """`find_or_add` for a client's account in a currency."""
    cdef Account* account = find_slot_of_currency(table, pair, client, currency)
    if not account.in_use:
        add_account(table, account, client)
        account.currency = currency
    return account


cdef inline void remove_last(AccountTable* table, Account* account) noexcept nogil:
    """Remove the account that was added last, to which nothing was applied."""
    if table.names != NULL:
        table.names.end = name_address(account)
    account.in_use = False
    account.client = account.number = account.currency = 0
    table.accounts -= 1


cdef inline uint64_t slots_for(const AccountTable* table, const uint64_t accounts) noexcept nogil:
    """The number of slots of a table with room for this many accounts in total."""
    cdef uint64_t slot_count = table.slot_mask + 1 if table.slots != NULL else 1024
    while slot_count * ACCOUNT_LOAD_PERCENT_MAX // 100 < accounts:
        slot_count *= 2
    return slot_count


cdef inline uint64_t table_bytes(const AccountTable* table) noexcept nogil:
    return (table.slot_mask + 1) * sizeof(Account) if table.slots != NULL else 0


cdef inline uint64_t grown_table_bytes(const AccountTable* table, const uint64_t accounts) noexcept nogil:
    """The bytes of a table with room for this many accounts in total."""
    return slots_for(table, accounts) * sizeof(Account)


cdef inline Account* free_slot(const AccountTable* table, Account* slot) noexcept nogil:
    """The first empty slot from this one on."""
    while slot.in_use:
        slot += 1
        if slot > &table.slots[table.slot_mask]:
            slot = table.slots
    return slot


cdef inline bint reserve_accounts(AccountTable* table, uint64_t accounts) noexcept nogil:
    """Make room for this many accounts in total. False when memory is exhausted; the table is then unchanged."""
    cdef uint64_t slot_count = slots_for(table, accounts)
    cdef AccountTable grown = table[0]
    cdef Account* pair
    cdef uint64_t i
    if accounts <= table.capacity:
        return True
    grown.slots = <Account*>allocate_zeroed(slot_count * sizeof(Account), &grown.allocation)
    if grown.slots == NULL:
        return False
    advise_huge_pages(grown.slots, slot_count * sizeof(Account))
    populate(grown.slots, slot_count * sizeof(Account))
    grown.slot_mask = slot_count - 1
    grown.capacity = slot_count * ACCOUNT_LOAD_PERCENT_MAX // 100
    if table.slots != NULL:
        for i in range(table.slot_mask + 1):
            if table.slots[i].in_use:
                pair = home_slots(&grown, hash_of(table, &table.slots[i]))
                free_slot(&grown, pair)[0] = table.slots[i]
    free(table.allocation)
    table[0] = grown
    return True


cdef inline void free_accounts(AccountTable* table) noexcept nogil:
    free(table.allocation)
    table.allocation = table.slots = NULL
