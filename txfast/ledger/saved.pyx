"""A ledger as columns, and ledgers from columns: what is saved of them, and how that is made a ledger again.

Columns that come from outside are trusted in nothing: whatever bytes they hold, the ledger takes them or ValueError
says what is wrong. A ledger that refused some is of no use any more.

This module must not know files nor formats; it fills and takes buffers.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from txfast.batch cimport DEPOSIT, WITHDRAWAL
from txfast.ledger.account_table cimport (
    ACCOUNTS_MAX, AccountTable, find_or_add, find_slot, home_slots, reserve_accounts,
)
from txfast.ledger.checked cimport WideSum, add_overflows, add_wide, fits_as_total, unsigned_add_overflows, whole
from txfast.ledger.entries cimport (
    CHUNK_BITS, CHUNK_ENTRIES, CHUNK_MASK, LOG_COUNT, LOG_ENTRIES_MAX, Chunk, Log, append_entry, chunk_of,
    reserve_entries,
)
from txfast.ledger.hash cimport hash_client, hash_transaction, prefetch
from txfast.ledger.index cimport NOT_FOUND, Group, Index, Probe, find_entry, home_of, insert_entry, second_home_of
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.rules cimport DISPUTE_OVER, IN_DISPUTE, UNDISPUTED, Account
from txfast.ledger.shard cimport shard_of

from txfast.errors import CapacityError

cdef enum:
    WORD_BYTES = 8
    LOOK_AHEAD_ROWS = 16  # a power of two
    PROOF_AHEAD_ROWS = LOOK_AHEAD_ROWS // 2
    # Of more accounts, proofs lie too far away to be waited for (a fifth of the time at two million).
    NEAR_ACCOUNTS_MAX = 1 << 16

# More than one ledger's growth: the next rows find room.
cdef uint64_t SPARE_ENTRIES_DIVISOR = 8

# Why columns are refused.
cdef enum Refusal:
    FITS = 0
    ACCOUNT_TWICE
    TOTAL_OVERFLOWS
    NO_ACCOUNT
    UNKNOWN_KIND
    UNKNOWN_STATE
    NEGATIVE_DEPOSIT
    WITHDRAWAL_WITH_MORE
    TRANSACTION_TWICE

REFUSALS = (
    "", "has two accounts", "has a total that does not fit in 64 bits", "has no account",
    "is neither deposit nor withdrawal", "has an unknown state of dispute", "deposits less than nothing",
    "is a withdrawal with an amount or a dispute", "is there twice",
)

# What the entries say of one account.
cdef struct Proof:
    uint64_t deposited  # units of 0.0001, as is disputed; the greatest number where it does not fit
    int64_t disputed
    uint8_t has_withdrawals
    uint8_t has_ended_disputes

# What is worked out for an entry some rows before its turn.
cdef struct Lookup:
    Account* slots
    Group* home
    uint64_t hash


cdef uint8_t* column(const uint8_t[::1] view, const Py_ssize_t bytes_needed) except NULL:
    """A column's first byte, after a look at whether it has so many, at a word's boundary."""
    if view.shape[0] < max(bytes_needed, <Py_ssize_t>1):
        raise ValueError(f"a column of {view.shape[0]} bytes, where {bytes_needed} are needed")
    if <uintptr_t>&view[0] % WORD_BYTES:
        raise ValueError("a column that begins inside a word")
    return <uint8_t*>&view[0]


cdef class SavedLedger:
    """A ledger to be copied as columns, while nothing is applied to it. Accounts are in the order of their appearance,
    deposits and withdrawals each in the order in which they were applied.

    Buffers are of bytes, aligned to eight: numbers of eight bytes, but `kinds` and `states` of one and `locked` of a
    bit. Amounts are in units of 0.0001.
    """

    cdef Ledger ledger
    cdef const Account** accounts_by_number
    cdef WideSum total

    def __cinit__(self, Ledger ledger not None):
        cdef const Account* slots = ledger.table.slots
        cdef uint64_t slot
        self.ledger = ledger
        self.accounts_by_number = <const Account**>malloc((ledger.table.accounts + 1) * sizeof(Account*))
        if self.accounts_by_number == NULL:
            raise MemoryError(f"no memory to save {ledger.table.accounts} accounts")
        if slots != NULL:
            for slot in range(ledger.table.slot_mask + 1):
                if slots[slot].in_use:
                    self.accounts_by_number[slots[slot].number] = &slots[slot]
                    add_wide(&self.total, slots[slot].available)
                    add_wide(&self.total, slots[slot].held)

    @property
    def total_units(self):
        """What all accounts have together, in units of 0.0001."""
        return whole(&self.total)

    def __dealloc__(self):
        free(self.accounts_by_number)

    def entries(self, int kind):
        """How many deposits, or withdrawals, there are, by the kind's place in KINDS."""
        if not 0 <= kind < LOG_COUNT:
            raise IndexError(f"no log of kind {kind}")
        return self.ledger.logs[kind].entries

    def copy_accounts(
        self,
        Py_ssize_t first,
        Py_ssize_t count,
        uint8_t[::1] clients not None,
        uint8_t[::1] available not None,
        uint8_t[::1] held not None,
        uint8_t[::1] locked not None,
    ):
        """Fill columns with so many accounts from this number on."""
        cdef uint64_t* client = <uint64_t*>column(clients, count * WORD_BYTES)
        cdef int64_t* available_units = <int64_t*>column(available, count * WORD_BYTES)
        cdef int64_t* held_units = <int64_t*>column(held, count * WORD_BYTES)
        cdef uint8_t* bits = column(locked, (count + 7) // 8)
        cdef const Account** accounts = self.accounts_by_number + first
        cdef Py_ssize_t row
        if not (0 <= first and 0 <= count <= <Py_ssize_t>self.ledger.table.accounts - first):
            raise IndexError(f"no {count} accounts from {first} on")
        with nogil:
            memset(bits, 0, (count + 7) // 8)
            for row in range(count):
                client[row] = accounts[row].client
                available_units[row] = accounts[row].available
                held_units[row] = accounts[row].held
                bits[row >> 3] |= accounts[row].locked << (row & 7)

    def copy_entries(
        self,
        int kind,
        Py_ssize_t first,
        Py_ssize_t count,
        uint8_t[::1] clients not None,
        uint8_t[::1] txs not None,
        uint8_t[::1] amounts not None,
        uint8_t[::1] kinds not None,
        uint8_t[::1] states not None,
    ):
        """Fill columns with so many deposits, or withdrawals, from this place in their log on. A withdrawal's amount
        is 0: the log does not keep it."""
        cdef uint64_t* client = <uint64_t*>column(clients, count * WORD_BYTES)
        cdef uint64_t* tx = <uint64_t*>column(txs, count * WORD_BYTES)
        cdef int64_t* amount = <int64_t*>column(amounts, count * WORD_BYTES)
        cdef uint8_t* kind_codes = column(kinds, count)
        cdef uint8_t* state = column(states, count)
        cdef const Account** accounts = self.accounts_by_number
        cdef const Chunk* chunk
        cdef Py_ssize_t row, rows = 0, place, in_chunk
        if not (0 <= first and 0 <= count <= <Py_ssize_t>self.entries(kind) - first):
            raise IndexError(f"no {count} entries from {first} on")
        with nogil:
            memset(kind_codes, kind, count)
            while rows < count:
                chunk = self.ledger.logs[kind].chunks[(first + rows) >> CHUNK_BITS]
                place = (first + rows) & CHUNK_MASK
                in_chunk = min(count - rows, CHUNK_ENTRIES - place)
                memcpy(tx + rows, chunk.tx + place, in_chunk * sizeof(uint64_t))
                for row in range(in_chunk):
                    client[rows + row] = accounts[chunk.account[place + row]].client
                if kind == DEPOSIT:
                    memcpy(amount + rows, chunk.amount + place, in_chunk * sizeof(int64_t))
                    memcpy(state + rows, chunk.dispute_state + place, in_chunk)
                else:
                    memset(amount + rows, 0, in_chunk * sizeof(int64_t))
                    memset(state + rows, 0, in_chunk)
                rows += in_chunk


cdef class LedgerRestorer:
    """Makes an empty ledger what was saved: `add_accounts`, all of them; then `add_entries`; then `finish`.

    Of what it is given it takes the rows of its shard. Buffers are as SavedLedger's. Raises ValueError for what no
    ledger ever held, MemoryError, and CapacityError.
    """

    cdef Ledger ledger
    cdef uint32_t shard
    cdef uint32_t shard_count
    cdef bint prefetch_second_homes  # since many transactions went there
    cdef Proof* proofs  # by number of the account

    def __cinit__(self, Ledger ledger not None, uint32_t shard=0, uint32_t shard_count=1):
        if ledger.table.accounts:
            raise ValueError("the ledger is not empty")
        if not shard < shard_count:
            raise ValueError(f"no shard {shard} of {shard_count}")
        self.ledger = ledger
        self.shard = shard
        self.shard_count = shard_count

    def __dealloc__(self):
        free(self.proofs)

    def add_accounts(
        self,
        Py_ssize_t rows,
        const uint8_t[::1] clients not None,
        const uint8_t[::1] available not None,
        const uint8_t[::1] held not None,
        const uint8_t[::1] locked not None,
    ):
        """Open accounts."""
        cdef const uint64_t* client = <const uint64_t*>column(clients, rows * WORD_BYTES)
        cdef const int64_t* available_units = <const int64_t*>column(available, rows * WORD_BYTES)
        cdef const int64_t* held_units = <const int64_t*>column(held, rows * WORD_BYTES)
        cdef const uint8_t* bits = column(locked, (rows + 7) // 8)
        cdef Ledger ledger = self.ledger
        cdef AccountTable* table = &ledger.table
        cdef Account* account
        cdef uint64_t accounts
        cdef Py_ssize_t row
        cdef int refusal = FITS
        cdef bint reserved
        if self.proofs != NULL:
            raise ValueError("accounts after entries")
        accounts = table.accounts + self.count_rows(client, rows)
        if accounts > ACCOUNTS_MAX:
            raise CapacityError(f"one ledger numbers at most {ACCOUNTS_MAX} accounts")
        with nogil:
            reserved = reserve_accounts(table, accounts)
        if not reserved:
            raise MemoryError(f"no memory for {accounts} accounts")
        with nogil:
            for row in range(rows):
                if self.shard_count > 1 and shard_of(client[row], self.shard_count) != self.shard:
                    continue
                accounts = table.accounts
                account = find_or_add(table, home_slots(table, hash_client(&table.key, client[row])), client[row])
                if table.accounts == accounts:
                    refusal = ACCOUNT_TWICE
                    break
                if not fits_as_total(available_units[row], held_units[row]):
                    refusal = TOTAL_OVERFLOWS
                    break
                account.available = available_units[row]
                account.held = held_units[row]
                account.locked = bits[row >> 3] >> (row & 7) & 1
                add_wide(&ledger.balance, account.available)
                add_wide(&ledger.balance, account.held)
        if refusal:
            raise ValueError(f"client {client[row]} {REFUSALS[refusal]}")

    def expect(self, uint64_t entries):
        """Say how many entries there will be in all shards, so that the index need not grow on the way."""
        cdef uint64_t share = entries // self.shard_count
        self.ledger.expect(share + share // SPARE_ENTRIES_DIVISOR)

    def add_entries(
        self,
        Py_ssize_t rows,
        const uint8_t[::1] clients not None,
        const uint8_t[::1] txs not None,
        const uint8_t[::1] amounts not None,
        const uint8_t[::1] kinds not None,
        const uint8_t[::1] states not None,
    ):
        """Append deposits and withdrawals."""
        cdef const uint64_t* client = <const uint64_t*>column(clients, rows * WORD_BYTES)
        cdef const uint64_t* tx = <const uint64_t*>column(txs, rows * WORD_BYTES)
        cdef const int64_t* amount = <const int64_t*>column(amounts, rows * WORD_BYTES)
        cdef const uint8_t* kind = column(kinds, rows)
        cdef const uint8_t* state = column(states, rows)
        cdef Py_ssize_t row = 0
        cdef int refusal
        self.reserve(client, kind, rows)
        with nogil:
            refusal = self.append_rows(client, tx, amount, kind, state, rows, &row)
        if refusal:
            raise ValueError(f"transaction {tx[row]} of client {client[row]} {REFUSALS[refusal]}")

    cdef Py_ssize_t count_rows(self, const uint64_t* client, const Py_ssize_t rows) noexcept nogil:
        """How many are of this shard."""
        cdef Py_ssize_t row, own = 0
        if self.shard_count == 1:
            return rows
        for row in range(rows):
            own += shard_of(client[row], self.shard_count) == self.shard
        return own

    cdef int reserve(self, const uint64_t* client, const uint8_t* kind, const Py_ssize_t rows) except -1:
        """Make room for the rows of this shard."""
        cdef Ledger ledger = self.ledger
        cdef uint64_t entries = self.count_rows(client, rows)
        cdef uint64_t withdrawals = 0
        cdef Py_ssize_t row
        cdef bint reserved
        if self.proofs == NULL:
            self.proofs = <Proof*>calloc(ledger.table.accounts + 1, sizeof(Proof))
            if self.proofs == NULL:
                raise MemoryError(f"no memory to check {ledger.table.accounts} accounts")
        for row in range(rows):
            if kind[row] == WITHDRAWAL:
                withdrawals += self.shard_count == 1 or shard_of(client[row], self.shard_count) == self.shard
        withdrawals += ledger.logs[<int>WITHDRAWAL].entries
        entries += ledger.count_entries()
        if max(withdrawals, entries - withdrawals) > LOG_ENTRIES_MAX:
            raise CapacityError(f"one ledger numbers at most {LOG_ENTRIES_MAX} deposits, and as many withdrawals")
        with nogil:
            # An index that is only looked at needs a slot too.
            reserved = (
                reserve_accounts(&ledger.table, 1)
                and ledger.reserve_index(entries + 1)
                and reserve_entries(&ledger.logs[<int>DEPOSIT], entries - withdrawals, True)
                and reserve_entries(&ledger.logs[<int>WITHDRAWAL], withdrawals, True)
            )
        if not reserved:
            raise MemoryError(f"no memory for {entries} transactions")
        return 0

    cdef inline void look_up(self, Lookup* lookup, const uint64_t client, const uint64_t tx) noexcept nogil:
        cdef uint64_t client_hash = hash_client(&self.ledger.table.key, client)
        lookup.slots = home_slots(&self.ledger.table, client_hash)
        lookup.home = home_of(&self.ledger.index, tx)
        lookup.hash = hash_transaction(client_hash, tx)
        prefetch(lookup.slots)
        prefetch(lookup.home)
        if self.prefetch_second_homes:
            prefetch(second_home_of(&self.ledger.index, lookup.hash))

    cdef int append_rows(
        self,
        const uint64_t* client,
        const uint64_t* tx,
        const int64_t* amount,
        const uint8_t* kind,
        const uint8_t* state,
        const Py_ssize_t rows,
        Py_ssize_t* refused,  # OUT the row that does not fit
    ) noexcept nogil:
        """FITS, or why a row does not. Room was reserved before."""
        cdef const AccountTable* table = &self.ledger.table
        cdef const Index* index = &self.ledger.index
        cdef Log* logs = self.ledger.logs
        cdef Lookup[LOOK_AHEAD_ROWS] lookups
        cdef Lookup* lookup
        cdef Account* account
        cdef Probe probe
        cdef uint32_t position
        cdef Py_ssize_t row, ahead, second_homes = 0
        cdef bint are_far = table.accounts > NEAR_ACCOUNTS_MAX
        for row in range(min(rows, <Py_ssize_t>LOOK_AHEAD_ROWS)):
            self.look_up(&lookups[row], client[row], tx[row])
        for row in range(rows):
            lookup = &lookups[row & (LOOK_AHEAD_ROWS - 1)]
            ahead = row + PROOF_AHEAD_ROWS
            if are_far and ahead < rows:
                account = find_slot(table, lookups[ahead & (LOOK_AHEAD_ROWS - 1)].slots, client[ahead])
                prefetch(&self.proofs[account.number])
            ahead = row + LOOK_AHEAD_ROWS
            refused[0] = row
            if self.shard_count == 1 or shard_of(client[row], self.shard_count) == self.shard:
                account = find_slot(table, lookup.slots, client[row])
                if not account.in_use:
                    return NO_ACCOUNT
                if kind[row] > WITHDRAWAL:
                    return UNKNOWN_KIND
                if state[row] > DISPUTE_OVER:
                    return UNKNOWN_STATE
                if amount[row] < 0:
                    return NEGATIVE_DEPOSIT
                if kind[row] == WITHDRAWAL and (amount[row] or state[row]):
                    return WITHDRAWAL_WITH_MORE
                probe = find_entry(index, logs, lookup.home, lookup.hash, account.number, tx[row])
                if probe.position != <uint32_t>NOT_FOUND:
                    return TRANSACTION_TWICE
                second_homes += probe.at_second_home
                position = append_entry(logs, kind[row], account.number, tx[row], amount[row])
                insert_entry(probe.group, probe.slot, lookup.hash, position)
                if state[row] != UNDISPUTED:
                    chunk_of(logs, position).dispute_state[position & CHUNK_MASK] = state[row]
                note(&self.proofs[account.number], kind[row], amount[row], state[row])
            if ahead < rows:
                self.look_up(lookup, client[ahead], tx[ahead])
        self.prefetch_second_homes = LOG_COUNT * WORD_BYTES * second_homes > rows
        return FITS

    def finish(self):
        """See that the entries account for the accounts, as far as they can.

        Of every account: what is held is the sum of its deposits in dispute, and what it holds in all is no more than
        its deposits, exactly so much where it is not locked and has no withdrawals; where it is locked, a dispute has
        ended.
        """
        cdef const Account* slots = self.ledger.table.slots
        cdef const Account* account = NULL
        cdef Proof none
        cdef uint64_t slot
        cdef bint holds = True
        memset(&none, 0, sizeof(none))
        if slots == NULL:
            return
        with nogil:
            for slot in range(self.ledger.table.slot_mask + 1):
                account = &slots[slot]
                if account.in_use:
                    holds = is_proven(account, &none if self.proofs == NULL else &self.proofs[account.number])
                    if not holds:
                        break
        if not holds:
            raise ValueError(f"the account of client {account.client} is not what its transactions make it")


cdef inline void note(Proof* proof, const int kind, const int64_t amount, const uint8_t state) noexcept nogil:
    """Add an entry to what is said of its account."""
    if kind == WITHDRAWAL:
        proof.has_withdrawals = True
        return
    if unsigned_add_overflows(proof.deposited, <uint64_t>amount, &proof.deposited):
        proof.deposited = ~<uint64_t>0
    if state == IN_DISPUTE and add_overflows(proof.disputed, amount, &proof.disputed):
        proof.disputed = -1  # what no account holds
    proof.has_ended_disputes |= state == DISPUTE_OVER


cdef inline bint is_proven(const Account* account, const Proof* proof) noexcept nogil:
    """Whether an account, whose total fits, can be what these entries made."""
    cdef int64_t total = account.available + account.held
    if account.held != proof.disputed or account.held < 0:
        return False
    if total > 0 and <uint64_t>total > proof.deposited:
        return False
    if account.locked:
        return proof.has_ended_disputes
    return total >= 0 and (proof.has_withdrawals or <uint64_t>total == proof.deposited)
