"""LedgerRestorer: makes a ledger of columns of saved accounts and entries.

Columns come from a file and are not trusted: every value is checked, and ValueError says which one is wrong. A ledger
whose columns were refused is incomplete and must be discarded.

This module must not know files or formats; it reads buffers.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from txfast.batch.batch cimport DEPOSIT, WITHDRAWAL
from txfast.ledger.account_table cimport ACCOUNTS_MAX, AccountTable, reserve_accounts
from txfast.ledger.buffers cimport column
from txfast.ledger.details cimport Details, find_or_add_detail, key_of_account, opening_of, set_standing
from txfast.ledger.ended_disputes cimport end_disputes
from txfast.ledger.entries cimport LOG_COUNT, LOG_ENTRIES_MAX, Log, TxId, reserve_entries, state_at
from txfast.ledger.index cimport NOT_FOUND, Index, Probe
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.load cimport (
    LOOK_AHEAD_ROWS, TEXT_CLIENTS, IdKinds, Lookup, add_id, find_client, find_id, find_or_add_client,
    look_ahead_to_ids, needs_second_homes,
)
from txfast.ledger.payments cimport make_whole_payment
from txfast.ledger.policy cimport Policy
from txfast.ledger.proof cimport (
    ACCOUNT_TWICE, FITS, NO_ACCOUNT, REFUSAL_COUNT, TOTAL_OVERFLOWS, TRANSACTION_TWICE, Proof, check_entry, count_entry,
    is_proven,
)
from txfast.ledger.rules cimport DISPUTE_STATE_COUNT, UNDISPUTED, WAS_REVERSED, Account, Payment
from txfast.ledger.saved_ids cimport client_id
from txfast.ledger.sums cimport add_wide, fits_as_total
from txfast.ledger.text_columns cimport (
    EntryIds, IdColumn, account_shown, currency_at, id_at_row, id_bytes, ids_at_row, shown, take_clients,
    take_entry_ids,
)
from txfast.ledger.texts cimport NAME_ALIGNMENT, reserve_texts
from txfast.text.bits cimport WORD_BYTES, prefetch

from txfast.batch.batch import KINDS
from txfast.errors import CapacityError

cdef enum:
    PROOF_AHEAD_ROWS = LOOK_AHEAD_ROWS // 2
    # With more accounts than this the proofs do not fit the cache, and waiting for them takes a fifth of the time (at
    # two million accounts): prefetch them.
    NEAR_ACCOUNTS_MAX = 1 << 16

# The index gets an eighth more room than the saved entries need, so that the next rows do not make it grow.
cdef uint64_t SPARE_ENTRIES_DIVISOR = 8

# By code: the kinds of entries, and the states of their disputes (rules.pxd's DisputeState). To a state's code
# REVERSED_FLAG is added where a chargeback of the entry was reversed.
ENTRY_KINDS = KINDS[:LOG_COUNT]
DISPUTE_STATES = ("undisputed", "in dispute", "resolved or charged back", "resolved", "charged back")
REVERSED_FLAG = int(WAS_REVERSED)
assert len(DISPUTE_STATES) == DISPUTE_STATE_COUNT

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
    """Restores an empty ledger: call `add_accounts` for all accounts, then `add_entries`, then `restore_disputes`
    (disputes_in.pyx) for states that were saved apart from their entries, then `restore_details`, then `finish`; before
    that, `restore_openings` (openings.pyx), and `check_summaries` (summaries.pyx) last of all columns. The ledger must
    have the policy of the one that was saved.

    It takes the rows of its own shard and skips all others. Buffers are aligned to eight bytes. A value takes eight
    bytes, in `kinds` and `states` one byte, in `locked` one bit; amounts are in units of the last decimal. A column of
    ids that are texts is a TextColumn, and `currencies` is a CurrencyColumn where accounts have one. Raises ValueError
    for values that no ledger can have, MemoryError and CapacityError.
    """

    def __cinit__(self, Ledger ledger not None, uint32_t shard=0, uint32_t shard_count=1):
        if ledger.table.accounts:
            raise ValueError("the ledger is not empty")
        if not shard < shard_count:
            raise ValueError(f"no shard {shard} of {shard_count}")
        self.ledger = ledger
        self.has_names = ledger.id_kinds & TEXT_CLIENTS
        self.shard = shard
        self.shard_count = shard_count

    def __dealloc__(self):
        free(self.proofs)

    def add_accounts(
        self,
        Py_ssize_t rows,
        clients not None,
        const uint8_t[::1] available not None,
        const uint8_t[::1] held not None,
        const uint8_t[::1] locked not None,
        *,
        currencies=None,
    ):
        """Open the accounts of these columns."""
        cdef const int64_t* available_units = <const int64_t*>column(available, rows * WORD_BYTES)
        cdef const int64_t* held_units = <const int64_t*>column(held, rows * WORD_BYTES)
        cdef const uint8_t* bits = column(locked, (rows + 7) // 8)
        cdef Ledger ledger = self.ledger
        cdef AccountTable* table = &ledger.table
        cdef Account* account
        cdef IdColumn ids
        cdef TxId client
        cdef uint64_t accounts, name_bytes
        cdef Py_ssize_t row
        cdef int refusal = FITS
        cdef bint reserved
        if self.proofs != NULL:
            raise ValueError("accounts after entries")
        take_clients(&ids, rows, clients, currencies, ledger)
        ledger.reserve_balances()
        accounts = table.accounts + self.count_rows(ids.words, rows)
        if accounts > ACCOUNTS_MAX:
            raise CapacityError(f"one ledger numbers at most {ACCOUNTS_MAX} accounts")
        name_bytes = id_bytes(&ids, rows) + NAME_ALIGNMENT * rows
        ledger.check_names(name_bytes)
        with nogil:
            reserved = reserve_accounts(table, accounts) and (
                not self.has_names or reserve_texts(table.names, name_bytes)
            )
        if not reserved:
            raise MemoryError(f"no memory for {accounts} accounts")
        with nogil:
            for row in range(rows):
                if not is_own(self, ids.words[row]):
                    continue
                accounts = table.accounts
                id_at_row(&client, &ids, row, self.has_names)
                account = find_or_add_client(table, client)
                if table.accounts == accounts:
                    refusal = ACCOUNT_TWICE
                    break
                if not fits_as_total(available_units[row], held_units[row]):
                    refusal = TOTAL_OVERFLOWS
                    break
                account.available = available_units[row]
                account.held = held_units[row]
                account.locked = bits[row >> 3] >> (row & 7) & 1
                add_wide(&ledger.balances[client.currency], account.available)
                add_wide(&ledger.balances[client.currency], account.held)
        if refusal:
            raise ValueError(f"{account_shown(ledger, client)} {REFUSALS[refusal]}")

    def expect(self, uint64_t entries):
        """Announce how many entries all shards have together, so that the index gets its final size at once."""
        cdef uint64_t share = entries // self.shard_count
        self.ledger.expect(share + share // SPARE_ENTRIES_DIVISOR)

    def add_entries(
        self,
        Py_ssize_t rows,
        clients not None,
        txs not None,
        const uint8_t[::1] amounts not None,
        const uint8_t[::1] kinds not None,
        const uint8_t[::1] states not None,
        *,
        currencies=None,
    ):
        """Add the deposits and withdrawals of these columns."""
        cdef const int64_t* amount = <const int64_t*>column(amounts, rows * WORD_BYTES)
        cdef const uint8_t* kind = column(kinds, rows)
        cdef const uint8_t* state = column(states, rows)
        cdef EntryIds ids
        cdef Py_ssize_t row = 0
        cdef int refusal
        take_entry_ids(&ids, rows, clients, txs, currencies, self.ledger)
        self.reserve(&ids, kind, rows)
        with nogil:
            refusal = self.append_rows(&ids, amount, kind, state, rows, &row)
        self.refuse(&ids, row, refusal)

    cdef int refuse(self, const EntryIds* ids, Py_ssize_t row, int refusal) except -1:
        """Raise ValueError for a row that is refused."""
        cdef TxId client, tx
        if not refusal:
            return 0
        ids_at_row(&client, &tx, ids, row, self.ledger.id_kinds)
        raise ValueError(f"transaction {shown(tx)} of {account_shown(self.ledger, client)} {REFUSALS[refusal]}")

    cdef Py_ssize_t count_rows(self, const uint64_t* client, const Py_ssize_t rows) noexcept nogil:
        """The number of rows that belong to this shard."""
        cdef Py_ssize_t row, own = 0
        if self.shard_count == 1:
            return rows
        for row in range(rows):
            own += is_own(self, client[row])
        return own

    cdef int reserve(self, const EntryIds* ids, const uint8_t* kind, const Py_ssize_t rows) except -1:
        """Make room for those of these rows that belong to this shard."""
        cdef Ledger ledger = self.ledger
        cdef const uint64_t* client = ids.clients.words
        cdef uint64_t entries = self.count_rows(client, rows)
        cdef uint64_t text_bytes = id_bytes(&ids.txs, rows)
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
                and reserve_entries(&ledger.logs[<int>DEPOSIT], entries - withdrawals, True, text_bytes)
                and reserve_entries(&ledger.logs[<int>WITHDRAWAL], withdrawals, True, text_bytes)
            )
        if not reserved:
            raise MemoryError(f"no memory for {entries} transactions")
        return 0

    cdef int append_rows(
        self,
        const EntryIds* ids,
        const int64_t* amount,
        const uint8_t* kind,
        const uint8_t* state,
        const Py_ssize_t rows,
        Py_ssize_t* refused,  # OUT the row that is refused
    ) noexcept nogil:
        """Add entries, for which there is room; return FITS, or why a row is refused."""
        cdef const uint64_t* clients = ids.clients.words
        cdef const uint64_t* txs = ids.txs.words
        cdef IdKinds kinds = self.ledger.id_kinds
        cdef TxId client, tx
        cdef const AccountTable* table = &self.ledger.table
        cdef const Index* index = &self.ledger.index
        cdef Log* logs = self.ledger.logs
        cdef Lookup[LOOK_AHEAD_ROWS] lookups
        cdef Lookup* lookup
        cdef Policy policy = self.ledger.policy
        cdef Account* account
        cdef Probe probe
        cdef int refusal
        cdef Py_ssize_t row, ahead, second_homes = 0
        cdef bint are_far = table.accounts > NEAR_ACCOUNTS_MAX
        for row in range(min(rows, <Py_ssize_t>LOOK_AHEAD_ROWS)):
            look_ahead_to_ids(
                &lookups[row], table, index, clients[row], txs[row], currency_at(&ids.clients, row), kinds,
                self.prefetch_second_homes,
            )
        for row in range(rows):
            lookup = &lookups[row & (LOOK_AHEAD_ROWS - 1)]
            ahead = row + PROOF_AHEAD_ROWS
            if are_far and ahead < rows:
                ids_at_row(&client, &tx, ids, ahead, kinds)
                account = find_client(table, lookups[ahead & (LOOK_AHEAD_ROWS - 1)].slots, client)
                prefetch(&self.proofs[account.number])
            ahead = row + LOOK_AHEAD_ROWS
            refused[0] = row
            if is_own(self, clients[row]):
                ids_at_row(&client, &tx, ids, row, kinds)
                account = find_client(table, lookup.slots, client)
                if not account.in_use:
                    return NO_ACCOUNT
                refusal = check_entry(policy, kind[row], amount[row], state[row])
                if refusal:
                    return refusal
                probe = find_id(index, logs, lookup, account.number, tx)
                if probe.position != <uint32_t>NOT_FOUND:
                    return TRANSACTION_TWICE
                second_homes += probe.at_second_home
                append_payment(self, account, &probe, tx, kind[row], state[row], amount[row])
            if ahead < rows:
                look_ahead_to_ids(
                    lookup, table, index, clients[ahead], txs[ahead], currency_at(&ids.clients, ahead), kinds,
                    self.prefetch_second_homes,
                )
        self.prefetch_second_homes = needs_second_homes(second_homes, rows)
        return FITS

    def finish(self):
        """Check by proof.pxd that every account can be the result of its entries. Raises ValueError and MemoryError."""
        cdef const Account* slots = self.ledger.table.slots
        cdef const Account* account = NULL
        cdef const Proof* proof
        cdef Proof none
        cdef TxId client
        cdef uint64_t slot, several = 0
        cdef bint holds = True
        memset(&none, 0, sizeof(none))
        end_disputes(self.ledger.policy, &self.ledger.table, self.ledger.logs, self.proofs)
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
            client_id(&client, &self.ledger.table, account.client)
            client.currency = account.currency
            whose = account_shown(self.ledger, client)
            raise ValueError(f"the account of {whose} is not what its transactions make it")
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


cdef inline void append_payment(
    LedgerRestorer restorer, const Account* account, const Probe* probe, const TxId tx, const uint8_t kind,
    const uint8_t state, const int64_t amount,
) noexcept nogil:
    """Add an entry, for which there is room, to the ledger and to the proof of its account."""
    cdef uint32_t position = add_id(restorer.ledger.logs, probe, kind, account.number, tx, amount)
    cdef Proof* proof = &restorer.proofs[account.number]
    cdef Payment payment
    if state != UNDISPUTED:
        state_at(restorer.ledger.logs, position)[0] = state
    make_whole_payment(&payment, kind, state, amount)
    count_entry(restorer.ledger.policy, proof, &payment, 1)
    # Texts have no order in time.
    proof.max_tx = max(proof.max_tx, tx.number if tx.text == NULL else ~<uint64_t>0)
