"""Ledgers from the columns that `saved` made of others.

Columns come from outside and are trusted in nothing: whatever bytes they hold, the ledger takes them or ValueError
says what is wrong. A ledger that refused some is of no use any more.

This module must not know files nor formats; it takes buffers.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from txfast.batch.batch cimport DEPOSIT, WITHDRAWAL
from txfast.ledger.account_table cimport (
    ACCOUNTS_MAX, AccountTable, find_or_add, find_slot, home_slots, reserve_accounts,
)
from txfast.ledger.buffers cimport column
from txfast.ledger.entries cimport CHUNK_MASK, LOG_BIT, LOG_ENTRIES_MAX, Chunk, Log, chunk_of, reserve_entries
from txfast.ledger.hash cimport hash_client
from txfast.ledger.index cimport NOT_FOUND, Index, Probe
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.load cimport (
    LOOK_AHEAD_ROWS, Lookup, add_entry, find, look_ahead, look_up, needs_second_homes,
)
from txfast.ledger.rules cimport DISPUTE_OVER, IN_DISPUTE, UNDISPUTED, Account
from txfast.ledger.shard cimport shard_of
from txfast.ledger.sums cimport add_wide, fits_as_total
from txfast.text.bits cimport WORD_BYTES, add_overflows, prefetch, unsigned_add_overflows

from txfast.errors import CapacityError

cdef enum:
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
    NO_TRANSACTION
    DISPUTE_UNDONE

REFUSALS = (
    "", "has two accounts", "has a total that does not fit in 64 bits", "has no account",
    "is neither deposit nor withdrawal", "has an unknown state of dispute", "deposits less than nothing",
    "is a withdrawal with an amount or a dispute", "is there twice",
    "is not there", "has had a dispute undone",
)

# What the entries say of one account.
cdef struct Proof:
    uint64_t deposited  # units of 0.0001, as is disputed; the greatest number where it does not fit
    int64_t disputed
    uint8_t has_withdrawals
    uint8_t has_ended_disputes


cdef class LedgerRestorer:
    """Makes an empty ledger what was saved: `add_accounts`, all of them; then `add_entries`, and `add_disputes` that
    came later; then `finish`.

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

    def add_disputes(
        self,
        Py_ssize_t rows,
        const uint8_t[::1] clients not None,
        const uint8_t[::1] txs not None,
        const uint8_t[::1] states not None,
    ):
        """Say what has become since of deposits that were added."""
        cdef const uint64_t* client = <const uint64_t*>column(clients, rows * WORD_BYTES)
        cdef const uint64_t* tx = <const uint64_t*>column(txs, rows * WORD_BYTES)
        cdef const uint8_t* state = column(states, rows)
        cdef Py_ssize_t row
        cdef int refusal = FITS
        with nogil:
            for row in range(rows):
                if self.shard_count == 1 or shard_of(client[row], self.shard_count) == self.shard:
                    refusal = self.dispute(client[row], tx[row], state[row])
                    if refusal:
                        break
        if refusal:
            raise ValueError(f"transaction {tx[row]} of client {client[row]} {REFUSALS[refusal]}")

    cdef int dispute(self, const uint64_t client, const uint64_t tx, const uint8_t state) noexcept nogil:
        """FITS, or why a deposit cannot have come to this state."""
        cdef const Index* index = &self.ledger.index
        cdef const AccountTable* table = &self.ledger.table
        cdef const Account* account
        cdef Lookup lookup
        cdef Proof* proof
        cdef Probe probe
        cdef Chunk* chunk
        cdef uint64_t place
        if self.proofs == NULL:
            return NO_TRANSACTION
        look_up(&lookup, table, index, client, tx)
        account = find_slot(table, lookup.slots, client)
        if not account.in_use:
            return NO_ACCOUNT
        probe = find(index, self.ledger.logs, &lookup, account.number, tx)
        if probe.position == <uint32_t>NOT_FOUND:
            return NO_TRANSACTION
        if probe.position >> LOG_BIT != DEPOSIT:
            return WITHDRAWAL_WITH_MORE
        chunk = chunk_of(self.ledger.logs, probe.position)
        place = probe.position & CHUNK_MASK
        if state > DISPUTE_OVER:
            return UNKNOWN_STATE
        # A dispute that is over stays over, and what was in one does not come out of it undisputed.
        if state < chunk.dispute_state[place]:
            return DISPUTE_UNDONE
        if state == chunk.dispute_state[place]:
            return FITS
        proof = &self.proofs[account.number]
        if chunk.dispute_state[place] == IN_DISPUTE and proof.disputed >= 0:
            proof.disputed -= chunk.amount[place]
        chunk.dispute_state[place] = state
        note_state(proof, chunk.amount[place], state)
        return FITS

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
            look_ahead(&lookups[row], table, index, client[row], tx[row], self.prefetch_second_homes)
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
                probe = find(index, logs, lookup, account.number, tx[row])
                if probe.position != <uint32_t>NOT_FOUND:
                    return TRANSACTION_TWICE
                second_homes += probe.at_second_home
                position = add_entry(logs, &probe, kind[row], account.number, tx[row], amount[row])
                if state[row] != UNDISPUTED:
                    chunk_of(logs, position).dispute_state[position & CHUNK_MASK] = state[row]
                note(&self.proofs[account.number], kind[row], amount[row], state[row])
            if ahead < rows:
                look_ahead(lookup, table, index, client[ahead], tx[ahead], self.prefetch_second_homes)
        self.prefetch_second_homes = needs_second_homes(second_homes, rows)
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
    note_state(proof, amount, state)


cdef inline void note_state(Proof* proof, const int64_t amount, const uint8_t state) noexcept nogil:
    """Add what became of a deposit to what is said of its account."""
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
