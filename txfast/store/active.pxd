"""ActiveAccounts: what one ledger has of a state. See active.pyx.

The functions here work on `Active`, the C side of it, so that they need no GIL.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from txfast.ledger.account_table cimport AccountTable
from txfast.ledger.details cimport Details
from txfast.ledger.entries cimport (
    CHUNK_BITS, CHUNK_MASK, LOG_COUNT, LOG_ENTRIES_MAX, Log, kind_at, txs_of,
)
from txfast.ledger.key_order cimport SortKey
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.payments cimport count_standing, load_payment
from txfast.ledger.policy cimport Policy
from txfast.ledger.rules cimport HAS_DETAILS, Account, Payment, keeps_amount, moves_are_open, needs_details

# An account as the state has it. All zero: it has none.
cdef struct SavedAccount:
    int64_t available  # units of the last decimal, as is held
    int64_t held
    uint64_t max_tx  # the greatest word of its transactions
    uint64_t standing  # chargebacks, where several stand; else 0
    uint8_t locked
    uint8_t is_saved

# What an entry has that later rows change.
cdef struct EntryState:
    int64_t refunded  # units of the last decimal, as is moved; both are 0 where the ledger has no details
    int64_t moved
    uint8_t state  # a DisputeState, and WAS_REVERSED

# The saved values of an entry that a row of this run refers to, a dispute say: they show whether it has changed.
cdef struct NamedEntry:
    uint32_t position
    EntryState saved

# Entries of a log that were loaded from the state: from `first` to before `end`.
cdef struct LoadedRange:
    uint64_t first
    uint64_t end

cdef struct LoadedRanges:
    LoadedRange* ranges  # in order
    Py_ssize_t count
    Py_ssize_t capacity

# A walk over the entries of a log that the state does not have, which ends where `entry` is not below `end`.
cdef struct NewWalk:
    uint64_t entry
    uint64_t end
    const LoadedRanges* loaded
    Py_ssize_t at_range  # the first one that does not end before the entry

# An account that rows may have changed.
cdef struct NumberedAccount:
    uint64_t client  # the number; of a text its hash
    uint64_t max_tx  # the greatest word of its transactions
    const Account* account
    uint64_t place  # its new entries: how many, until they have places (new_entries.pyx)

cdef struct Active:
    # Of the ledger.
    AccountTable* table
    Log* logs
    Details* details
    Policy policy
    # Of the state, by the number of the account.
    SavedAccount* saved
    uint64_t saved_capacity
    # By log: all entries before `sealed` are in the state, and after it the ranges.
    uint64_t[LOG_COUNT] sealed
    LoadedRanges[LOG_COUNT] loaded
    NamedEntry* named
    Py_ssize_t named_count
    Py_ssize_t named_capacity
    uint64_t marked  # accounts with smaller numbers were there when the ledger was last marked as sealed
    # From `number_changed` to `forget_numbers`.
    NumberedAccount* accounts  # by number, those of `numbers` alone
    uint32_t* numbers  # of the accounts that may be new or changed
    uint64_t number_count

cdef class ActiveAccounts:
    cdef readonly Ledger ledger
    cdef Active active

    cdef int reserve_saved(self, const uint64_t accounts) except -1
    cdef int reserve_ranges(self) except -1


cdef int number_changed(Active* active) except -1
cdef void forget_numbers(Active* active) noexcept nogil
cdef int drop_repeated(Active* active) except -1 nogil
cdef int reserve_named(Active* active, const Py_ssize_t count) except -1 nogil


cdef inline uint64_t standing_of(const Active* active, const Account* account) noexcept nogil:
    """The chargebacks of an account that stand, where they are several; else 0."""
    cdef uint64_t standing = count_standing(active.details, active.policy, account)
    return standing if standing > 1 else 0


cdef inline bint is_saved(const Active* active, const uint32_t number) noexcept nogil:
    """Whether the state has the account with this number."""
    return number < active.saved_capacity and active.saved[number].is_saved


cdef inline uint64_t max_tx_of(const Active* active, const uint32_t number) noexcept nogil:
    """The greatest word of the transactions that the state has of the account with this number; 0 for none."""
    return active.saved[number].max_tx if number < active.saved_capacity else 0


cdef inline bint is_changed(
    const Active* active,
    const Account* account,  # IN as it is now
    const uint64_t max_tx,  # IN of it, as it is now
) noexcept nogil:
    """Whether the state has no such account, or has it otherwise."""
    cdef const SavedAccount* saved
    if not is_saved(active, account.number):
        return True
    saved = &active.saved[account.number]
    return (
        saved.available != account.available or saved.held != account.held or saved.locked != account.locked
        or saved.max_tx != max_tx or saved.standing != standing_of(active, account)
    )


cdef inline bint is_loaded(const LoadedRanges* loaded, const uint64_t entry) noexcept nogil:
    """Whether an entry of a log is in one of the ranges."""
    cdef Py_ssize_t low = 0, high = loaded.count, middle
    while low < high:
        middle = (low + high) // 2
        if loaded.ranges[middle].end <= entry:
            low = middle + 1
        else:
            high = middle
    return low < loaded.count and loaded.ranges[low].first <= entry


cdef inline bint is_in_state(const Active* active, const uint32_t position) noexcept nogil:
    """Whether the state has the entry at this position of the ledger."""
    cdef int kind = kind_at(position)
    cdef uint64_t entry = position & <uint32_t>LOG_ENTRIES_MAX
    return entry < active.sealed[kind] or is_loaded(&active.loaded[kind], entry)


cdef inline void pass_loaded(NewWalk* walk) noexcept nogil:
    """Go behind the ranges that an entry is in."""
    while walk.at_range < walk.loaded.count and walk.loaded.ranges[walk.at_range].first <= walk.entry:
        walk.entry = max(walk.entry, walk.loaded.ranges[walk.at_range].end)
        walk.at_range += 1


cdef inline NewWalk begin_new(const Active* active, const int kind) noexcept nogil:
    """A walk at the first entry of a log that the state does not have."""
    cdef NewWalk walk = NewWalk(
        entry=active.sealed[kind], end=active.logs[kind].entries, loaded=&active.loaded[kind], at_range=0,
    )
    pass_loaded(&walk)
    return walk


cdef inline void go_to_next_new(NewWalk* walk) noexcept nogil:
    """Go to the next entry that the state does not have."""
    walk.entry += 1
    pass_loaded(walk)


cdef inline uint64_t max_word_of(const Active* active, const int kind, const uint64_t entry) noexcept nogil:
    """What an entry contributes to `max_tx`: its id, or the greatest word where ids are texts, which have no order in
    time."""
    if active.logs[kind].has_texts:
        return ~<uint64_t>0
    return txs_of(active.logs[kind].chunks[entry >> CHUNK_BITS])[entry & CHUNK_MASK]


cdef inline uint64_t count_new(const Active* active, const int kind) noexcept nogil:
    """The entries of a log that the state does not have."""
    cdef uint64_t count = active.logs[kind].entries - active.sealed[kind]
    cdef Py_ssize_t index
    for index in range(active.loaded[kind].count):
        count -= active.loaded[kind].ranges[index].end - active.loaded[kind].ranges[index].first
    return count


cdef inline void state_of(EntryState* entry, const Active* active, const uint32_t position) noexcept nogil:
    """What the entry at this position has now; the entry is of a kind that keeps_amount."""
    cdef Payment payment
    load_payment(&payment, active.logs, active.details, position)
    entry.state = payment.state & ~<uint8_t>HAS_DETAILS
    entry.refunded = entry.moved = 0
    if needs_details(&payment):
        entry.refunded = payment.refunded
        entry.moved = payment.moved if moves_are_open(payment.state) else 0


cdef inline bint is_same_state(const EntryState* one, const EntryState* other) noexcept nogil:
    return one.state == other.state and one.refunded == other.refunded and one.moved == other.moved


cdef inline void note_named(Active* active, const uint32_t position) noexcept nogil:
    """Note that a row names the entry at this position, which is in the state, before the row is applied. There must be
    room."""
    cdef NamedEntry* named
    if not keeps_amount(active.policy, kind_at(position)):
        return
    named = &active.named[active.named_count]
    active.named_count += 1
    named.position = position
    state_of(&named.saved, active, position)


cdef inline void note_loaded(Active* active, const int kind, const uint64_t first) noexcept nogil:
    """Note that all entries of a log from this one on were loaded from the state. There must be room for a range."""
    cdef LoadedRanges* loaded = &active.loaded[kind]
    if first < active.logs[kind].entries:
        loaded.ranges[loaded.count].first = first
        loaded.ranges[loaded.count].end = active.logs[kind].entries
        loaded.count += 1


cdef inline uint64_t active_bytes(const Active* active, const uint64_t accounts, const uint64_t named) noexcept nogil:
    """The most bytes that it takes, growing to this many accounts in total, with so many more rows that name an
    entry."""
    cdef uint64_t saved = max(accounts, 2 * active.saved_capacity) + active.saved_capacity
    cdef uint64_t entries = 2 * (active.named_count + named) + active.named_capacity
    return saved * sizeof(SavedAccount) + entries * (sizeof(NamedEntry) + 2 * sizeof(SortKey))
