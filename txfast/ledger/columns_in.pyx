"""LedgerRestorer: makes a ledger of the columns that SavedLedger (columns_out.pyx) filled.

Columns come from a file and are not trusted: every value is checked, and ValueError says which one is wrong. A ledger
whose columns were refused is incomplete and must be discarded.

This module must not know files or formats; it reads buffers.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from txfast.batch.batch cimport DEPOSIT, WITHDRAWAL
from txfast.ledger.account_table cimport (
    ACCOUNTS_MAX, AccountTable, find_or_add, find_slot, home_slots, reserve_accounts,
)
from txfast.ledger.buffers cimport column
from txfast.ledger.details cimport Details, find_or_add_detail, key_of_account, opening_of, set_standing
from txfast.ledger.entries cimport (
    CHUNK_BITS, CHUNK_MASK, LOG_COUNT, LOG_ENTRIES_MAX, Chunk, Log, kind_at, reserve_entries, state_at,
)
from txfast.ledger.hash cimport hash_client
from txfast.ledger.index cimport NOT_FOUND, Index, Probe
from txfast.ledger.ledger cimport Ledger, refuse_texts
from txfast.ledger.load cimport LOOK_AHEAD_ROWS, Lookup, add_entry, find, look_ahead, look_up, needs_second_homes
from txfast.ledger.payments cimport load_payment, make_whole_payment, store_payment
from txfast.ledger.policy cimport Policy
from txfast.ledger.proof cimport (
    ACCOUNT_TWICE, FITS, NO_ACCOUNT, NO_TRANSACTION, REFUSAL_COUNT, TOTAL_OVERFLOWS, TRANSACTION_TWICE,
    WITHDRAWAL_WITH_MORE, Proof, check_details, check_entry, check_state, count_entry, is_proven,
)
from txfast.ledger.rules cimport (
    CHARGED_BACK, DISPUTE_OVER, HAS_DETAILS, RESOLVED, UNDISPUTED, Account, Payment, can_be_disputed, keeps_amount,
)
from txfast.ledger.shard cimport shard_of
from txfast.ledger.sums cimport add_wide, fits_as_total
from txfast.text.bits cimport WORD_BYTES, prefetch

from txfast.errors import CapacityError

cdef enum:
    PROOF_AHEAD_ROWS = LOOK_AHEAD_ROWS // 2
    # With more accounts than this the proofs do not fit the cache, and waiting for them takes a fifth of the time (at
    # two million accounts): prefetch them.
    NEAR_ACCOUNTS_MAX = 1 << 16

# The index gets an eighth more room than the saved entries need, so that the next rows do not make it grow.
cdef uint64_t SPARE_ENTRIES_DIVISOR = 8

# By code: proof.pxd's Refusal.
REFUSALS = (
    "", "has two accounts", "has a total that does not fit in 64 bits", "has no account",
    "is neither deposit nor withdrawal", "has an unknown state of dispute", "has an amount below 0",
    "is a withdrawal with an amount or a dispute", "is there twice", "is not there", "has had a dispute undone",
    "has details twice", "has other amounts refunded or in dispute than it can",
)
assert len(REFUSALS) == REFUSAL_COUNT
# Memory that each account takes until `finish`.
PROOF_BYTES = sizeof(Proof)


cdef class LedgerRestorer:
    """Restores an empty ledger: call `add_accounts` for all accounts, then `add_entries`, then `add_disputes` for
    states that were saved apart from their entries, then `add_details`, then `finish`; before that, `restore_openings`
    (openings.pyx). The ledger must have the policy of the one that was saved.

    It takes the rows of its own shard and skips all others. Buffers have the layout of SavedLedger's. Raises
    ValueError for values that no ledger can have, MemoryError and CapacityError.
    """

    cdef readonly Ledger ledger
    cdef readonly uint32_t shard
    cdef readonly uint32_t shard_count
    cdef bint prefetch_second_homes  # many of the last rows were there
    cdef Proof* proofs  # by the number of the account; NULL before the first entries

    def __cinit__(self, Ledger ledger not None, uint32_t shard=0, uint32_t shard_count=1):
        refuse_texts(ledger)
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
        """Open the accounts of these columns."""
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
                if not is_own(self, client[row]):
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
                add_wide(&ledger.balances[0], account.available)
                add_wide(&ledger.balances[0], account.held)
        if refusal:
            raise ValueError(f"client {client[row]} {REFUSALS[refusal]}")

    def expect(self, uint64_t entries):
        """Announce how many entries all shards have together, so that the index gets its final size at once."""
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
        """Add the deposits and withdrawals of these columns."""
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
        """Set the dispute states of entries that were added before."""
        cdef const uint64_t* client = <const uint64_t*>column(clients, rows * WORD_BYTES)
        cdef const uint64_t* tx = <const uint64_t*>column(txs, rows * WORD_BYTES)
        cdef const uint8_t* state = column(states, rows)
        cdef Py_ssize_t row
        cdef int refusal = FITS
        with nogil:
            for row in range(rows):
                if is_own(self, client[row]):
                    refusal = self.set_dispute(client[row], tx[row], state[row])
                    if refusal:
                        break
        if refusal:
            raise ValueError(f"transaction {tx[row]} of client {client[row]} {REFUSALS[refusal]}")

    def add_details(
        self,
        Py_ssize_t rows,
        const uint8_t[::1] clients not None,
        const uint8_t[::1] txs not None,
        const uint8_t[::1] refunded not None,
        const uint8_t[::1] moved not None,
    ):
        """Set the details of entries that were added before."""
        cdef const uint64_t* client = <const uint64_t*>column(clients, rows * WORD_BYTES)
        cdef const uint64_t* tx = <const uint64_t*>column(txs, rows * WORD_BYTES)
        cdef const int64_t* refunded_units = <const int64_t*>column(refunded, rows * WORD_BYTES)
        cdef const int64_t* moved_units = <const int64_t*>column(moved, rows * WORD_BYTES)
        cdef Py_ssize_t row
        cdef int refusal = FITS
        self.ledger.reserve_detailed(self.count_rows(client, rows))
        with nogil:
            for row in range(rows):
                if is_own(self, client[row]):
                    refusal = self.set_details(client[row], tx[row], refunded_units[row], moved_units[row])
                    if refusal:
                        break
        if refusal:
            raise ValueError(f"transaction {tx[row]} of client {client[row]} {REFUSALS[refusal]}")

    cdef int find_payment(
        self, const uint64_t client, const uint64_t tx, Payment* payment, uint32_t* position, Proof** proof,
    ) noexcept nogil:
        """Find an entry that can be disputed, and the proof of its account; return FITS, or why there is none."""
        cdef const Index* index = &self.ledger.index
        cdef const AccountTable* table = &self.ledger.table
        cdef const Log* logs = self.ledger.logs
        cdef const Account* account
        cdef Lookup lookup
        cdef Probe probe
        if self.proofs == NULL:
            return NO_TRANSACTION
        look_up(&lookup, table, index, client, tx)
        account = find_slot(table, lookup.slots, client)
        if not account.in_use:
            return NO_ACCOUNT
        probe = find(index, logs, &lookup, account.number, tx)
        if probe.position == <uint32_t>NOT_FOUND:
            return NO_TRANSACTION
        if not can_be_disputed(self.ledger.policy, kind_at(probe.position)):
            return WITHDRAWAL_WITH_MORE
        load_payment(payment, logs, &self.ledger.details, probe.position)
        position[0] = probe.position
        proof[0] = &self.proofs[account.number]
        return FITS

    cdef int set_dispute(self, const uint64_t client, const uint64_t tx, const uint8_t state) noexcept nogil:
        """Set the state of one entry; return FITS, or why it is refused."""
        cdef Payment payment
        cdef Proof* proof
        cdef uint32_t position
        cdef int refusal = self.find_payment(client, tx, &payment, &position, &proof)
        if not refusal:
            refusal = check_state(payment.state, state)
        if refusal:
            return refusal
        count_entry(self.ledger.policy, proof, &payment, -1)
        payment.state = state
        count_entry(self.ledger.policy, proof, &payment, 1)
        state_at(self.ledger.logs, position)[0] = state
        return FITS

    cdef int set_details(
        self, const uint64_t client, const uint64_t tx, const int64_t refunded, const int64_t moved,
    ) noexcept nogil:
        """Set the details of one entry; return FITS, or why they are refused."""
        cdef Payment payment
        cdef Proof* proof
        cdef uint32_t position
        cdef int refusal = self.find_payment(client, tx, &payment, &position, &proof)
        if not refusal:
            refusal = check_details(self.ledger.policy, &payment, refunded, moved)
        if refusal:
            return refusal
        count_entry(self.ledger.policy, proof, &payment, -1)
        payment.refunded = refunded
        payment.moved = moved
        payment.state |= HAS_DETAILS
        count_entry(self.ledger.policy, proof, &payment, 1)
        store_payment(&payment, &self.ledger.details, position, True)
        return FITS

    cdef Py_ssize_t count_rows(self, const uint64_t* client, const Py_ssize_t rows) noexcept nogil:
        """The number of rows that belong to this shard."""
        cdef Py_ssize_t row, own = 0
        if self.shard_count == 1:
            return rows
        for row in range(rows):
            own += is_own(self, client[row])
        return own

    cdef int reserve(self, const uint64_t* client, const uint8_t* kind, const Py_ssize_t rows) except -1:
        """Make room for those of these rows that belong to this shard."""
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
                withdrawals += is_own(self, client[row])
        withdrawals += ledger.logs[<int>WITHDRAWAL].entries
        entries += ledger.count_entries()
        if max(withdrawals, entries - withdrawals) > LOG_ENTRIES_MAX:
            raise CapacityError(f"one ledger numbers at most {LOG_ENTRIES_MAX} deposits, and as many withdrawals")
        with nogil:
            # One entry more: searching needs an empty slot in the index.
            reserved = (
                reserve_accounts(&ledger.table, 1)
                and ledger.reserve_index(entries + 1)
                and reserve_entries(&ledger.logs[<int>DEPOSIT], entries - withdrawals, True, 0)
                and reserve_entries(&ledger.logs[<int>WITHDRAWAL], withdrawals, True, 0)
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
        Py_ssize_t* refused,  # OUT the row that is refused
    ) noexcept nogil:
        """Add entries, for which there is room; return FITS, or why a row is refused."""
        cdef const AccountTable* table = &self.ledger.table
        cdef const Index* index = &self.ledger.index
        cdef Log* logs = self.ledger.logs
        cdef Lookup[LOOK_AHEAD_ROWS] lookups
        cdef Lookup* lookup
        cdef Policy policy = self.ledger.policy
        cdef Account* account
        cdef Payment payment
        cdef Probe probe
        cdef uint32_t position
        cdef int refusal
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
            if is_own(self, client[row]):
                account = find_slot(table, lookup.slots, client[row])
                if not account.in_use:
                    return NO_ACCOUNT
                refusal = check_entry(policy, kind[row], amount[row], state[row])
                if refusal:
                    return refusal
                probe = find(index, logs, lookup, account.number, tx[row])
                if probe.position != <uint32_t>NOT_FOUND:
                    return TRANSACTION_TWICE
                second_homes += probe.at_second_home
                position = add_entry(logs, &probe, kind[row], account.number, tx[row], amount[row])
                if state[row] != UNDISPUTED:
                    state_at(logs, position)[0] = state[row]
                make_whole_payment(&payment, kind[row], state[row], amount[row])
                count_entry(policy, &self.proofs[account.number], &payment, 1)
            if ahead < rows:
                look_ahead(lookup, table, index, client[ahead], tx[ahead], self.prefetch_second_homes)
        self.prefetch_second_homes = needs_second_homes(second_homes, rows)
        return FITS

    def finish(self):
        """Check by proof.pxd that every account can be the result of its entries. Raises ValueError and MemoryError."""
        cdef const Account* slots = self.ledger.table.slots
        cdef const Account* account = NULL
        cdef const Proof* proof
        cdef Proof none
        cdef uint64_t slot, several = 0
        cdef bint holds = True
        memset(&none, 0, sizeof(none))
        self.end_disputes()
        if slots == NULL:
            return
        with nogil:
            for slot in range(self.ledger.table.slot_mask + 1):
                account = &slots[slot]
                if account.in_use:
                    proof = &none if self.proofs == NULL else &self.proofs[account.number]
                    several += proof.standing_chargebacks > 1
                    holds = is_proven(
                        self.ledger.policy, account, proof, opening_of(&self.ledger.details, account.number),
                    )
                    if not holds:
                        break
        if not holds:
            raise ValueError(f"the account of client {account.client} is not what its transactions make it")
        self.keep_standing(several)

    cdef int keep_standing(self, uint64_t several) except -1:
        """Keep the numbers of chargebacks that stand, of the accounts with several."""
        cdef const Account* slots = self.ledger.table.slots
        cdef Details* details = &self.ledger.details
        cdef uint64_t slot, standing
        self.ledger.reserve_detailed(several)
        for slot in range(self.ledger.table.slot_mask + 1 if several else 0):
            standing = self.proofs[slots[slot].number].standing_chargebacks if slots[slot].in_use else 0
            if standing > 1:
                set_standing(find_or_add_detail(details, key_of_account(slots[slot].number)), standing)
        return 0

    cdef int end_disputes(self) except -1:
        """Say how disputes ended of which an older version has saved only that they did: for the client where the
        account is open, against him where it is locked and no other dispute ended. Else it stays unknown."""
        cdef const AccountTable* table = &self.ledger.table
        cdef Chunk* chunk
        cdef uint8_t* locked
        cdef uint64_t slot, entry, ended = 0
        cdef uint32_t number
        cdef Payment payment
        cdef int kind
        for slot in range(table.accounts if self.proofs != NULL else 0):
            ended += self.proofs[slot].ended_disputes
        if not ended:
            return 0
        locked = <uint8_t*>calloc(table.accounts, 1)
        if locked == NULL:
            raise MemoryError(f"no memory to check {table.accounts} accounts")
        for slot in range(table.slot_mask + 1):
            if table.slots[slot].in_use:
                locked[table.slots[slot].number] = table.slots[slot].locked
        for kind in range(LOG_COUNT):
            if not keeps_amount(self.ledger.policy, kind):
                continue
            for entry in range(self.ledger.logs[kind].entries):
                chunk = self.ledger.logs[kind].chunks[entry >> CHUNK_BITS]
                if chunk.state[entry & CHUNK_MASK] != DISPUTE_OVER:
                    continue
                number = chunk.account[entry & CHUNK_MASK]
                if locked[number] and self.proofs[number].ended_disputes != 1:
                    continue
                make_whole_payment(&payment, kind, DISPUTE_OVER, chunk.amount[entry & CHUNK_MASK])
                count_entry(self.ledger.policy, &self.proofs[number], &payment, -1)
                payment.state = CHARGED_BACK if locked[number] else RESOLVED
                count_entry(self.ledger.policy, &self.proofs[number], &payment, 1)
                chunk.state[entry & CHUNK_MASK] = payment.state
        free(locked)
        return 0


cdef inline bint is_own(LedgerRestorer restorer, const uint64_t client) noexcept nogil:
    """Whether a client belongs to the restorer's shard."""
    return restorer.shard_count == 1 or shard_of(client, restorer.shard_count) == restorer.shard
