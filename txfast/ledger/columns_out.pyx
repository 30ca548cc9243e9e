"""SavedLedger: a ledger as columns, to be saved. LedgerRestorer (columns_in.pyx) makes a ledger of them again.

This module must not know files or formats; it fills buffers.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from txfast.dialect.currencies cimport code_buffers
from txfast.ledger.buffers cimport column
from txfast.ledger.details cimport Detail, find_detail, key_of_entry, opening_of
from txfast.ledger.entries cimport (
    CHUNK_BITS, CHUNK_ENTRIES, CHUNK_MASK, LOG_COUNT, Chunk, Log, address_at, position_of, txs_of,
)
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.rules cimport (
    DISPUTE_STATE_COUNT, HAS_DETAILS, UNDISPUTED, WAS_REVERSED, Account, can_be_disputed, keeps_amount,
    moves_are_open,
)
from txfast.ledger.sums cimport WideSum, add_wide, whole
from txfast.ledger.text_columns cimport copy_texts
from txfast.ledger.texts cimport NAME_ALIGNMENT
from txfast.text.bits cimport WORD_BYTES

from txfast.batch.batch import KINDS

# By code: the kinds of entries, and the states of their disputes (rules.pxd's DisputeState). To a state's code
# REVERSED_FLAG is added where a chargeback of the entry was reversed.
ENTRY_KINDS = KINDS[:LOG_COUNT]
DISPUTE_STATES = ("undisputed", "in dispute", "resolved or charged back", "resolved", "charged back")
REVERSED_FLAG = int(WAS_REVERSED)
assert len(DISPUTE_STATES) == DISPUTE_STATE_COUNT


cdef class SavedLedger:
    """A ledger whose accounts and entries can be copied into columns; no rows may be applied meanwhile.

    Accounts come in order of appearance, the entries of each kind in the order in which they were applied. Buffers
    are bytes, aligned to eight. A value takes eight bytes, in `kinds` and `states` one byte, in `locked` one bit.
    Amounts are in units of the last decimal.

    An id that is a text is copied as a reference; `client_column` and `tx_column` replace references by the texts.
    Where accounts have a currency, its number is copied into two bytes of `currencies`, which are `new_currencies`;
    `currency_columns` replaces numbers by the codes.
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
        """The sum of all totals, in units of the last decimal."""
        return whole(&self.total)

    def __dealloc__(self):
        free(self.accounts_by_number)

    def client_column(self, Py_ssize_t rows, uint8_t[::1] clients not None):
        """A column of `rows` clients that was filled: itself, or where clients are texts, their offsets and bytes as
        Arrow has them. It is then used up."""
        cdef uint64_t* words = <uint64_t*>column(clients, rows * WORD_BYTES)
        cdef Py_ssize_t row
        if self.ledger.table.names == NULL:
            return clients.base
        for row in range(rows):
            words[row] = <uint64_t>NAME_ALIGNMENT * <uint32_t>words[row]
        return copy_texts(self.ledger.table.names, words, rows)

    def tx_column(self, int kind, Py_ssize_t rows, uint8_t[::1] txs not None):
        """The same for the transactions of entries of a kind."""
        cdef const uint64_t* addresses = <const uint64_t*>column(txs, rows * WORD_BYTES)
        if not 0 <= kind < LOG_COUNT:
            raise IndexError(f"no log of kind {kind}")
        if not self.ledger.logs[kind].has_texts:
            return txs.base
        return copy_texts(&self.ledger.logs[kind].texts, addresses, rows)

    def new_currencies(self, Py_ssize_t rows):
        """A zeroed buffer for the numbers of currencies of `rows` rows; None where accounts have none."""
        return None if self.ledger.currencies is None else bytearray(rows * sizeof(uint16_t))

    def currency_columns(self, Py_ssize_t rows, const uint8_t[::1] currencies):
        """A list of the column of `rows` currencies that was filled: the offsets of codes, and their bytes. It is empty
        where accounts have no currency."""
        cdef const uint16_t* numbers = self.numbers_in(currencies, rows)
        return [] if numbers == NULL else [code_buffers(self.ledger.currencies.codes, numbers, rows)]

    cdef uint16_t* numbers_in(self, const uint8_t[::1] currencies, const Py_ssize_t rows) except? NULL:
        """The numbers in a buffer that `new_currencies` has made; NULL where accounts have no currency."""
        if self.ledger.currencies is None:
            return NULL
        if currencies is None:
            raise ValueError("accounts have a currency: a buffer for its number is missing")
        return <uint16_t*>column(currencies, rows * sizeof(uint16_t))

    def entries(self, int kind):
        """The number of entries of a kind, which is an index in ENTRY_KINDS."""
        if not 0 <= kind < LOG_COUNT:
            raise IndexError(f"no log of kind {kind}")
        return self.ledger.logs[kind].entries

    def can_be_disputed(self, int kind):
        """Whether entries of a kind, which is an index in ENTRY_KINDS, can be disputed."""
        return can_be_disputed(self.ledger.policy, kind)

    cdef int check_disputable(self, int kind, Py_ssize_t first, Py_ssize_t end) except -1:
        """Raise an exception where entries of a kind cannot be disputed, or not all from `first` to `end` exist."""
        if not (0 <= first <= end <= <Py_ssize_t>self.entries(kind)):
            raise IndexError(f"no entries from {first} to {end}")
        if not can_be_disputed(self.ledger.policy, kind):
            raise ValueError(f"entries of kind {kind} cannot be disputed")
        return 0

    @property
    def has_details(self):
        """Whether some entries or accounts may have details."""
        return self.ledger.details.count > 0

    def copy_accounts(
        self,
        Py_ssize_t first,
        Py_ssize_t count,
        uint8_t[::1] clients not None,
        uint8_t[::1] available not None,
        uint8_t[::1] held not None,
        uint8_t[::1] locked not None,
        *,
        uint8_t[::1] currencies=None,
    ):
        """Fill columns with `count` accounts, from the number `first` on."""
        cdef uint64_t* client = <uint64_t*>column(clients, count * WORD_BYTES)
        cdef int64_t* available_units = <int64_t*>column(available, count * WORD_BYTES)
        cdef int64_t* held_units = <int64_t*>column(held, count * WORD_BYTES)
        cdef uint8_t* bits = column(locked, (count + 7) // 8)
        cdef uint16_t* currency = self.numbers_in(currencies, count)
        cdef const Account** accounts = self.accounts_by_number + first
        cdef Py_ssize_t row
        if not (0 <= first and 0 <= count <= <Py_ssize_t>self.ledger.table.accounts - first):
            raise IndexError(f"no {count} accounts from {first} on")
        with nogil:
            memset(bits, 0, (count + 7) // 8)
            for row in range(count):
                put_account(client, currency, row, accounts[row])
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
        *,
        uint8_t[::1] currencies=None,
    ):
        """Fill columns with `count` entries of a kind, from the position `first` in its log on. The amount of a kind
        whose amounts the log does not keep is 0."""
        cdef uint64_t* client = <uint64_t*>column(clients, count * WORD_BYTES)
        cdef uint64_t* tx = <uint64_t*>column(txs, count * WORD_BYTES)
        cdef int64_t* amount = <int64_t*>column(amounts, count * WORD_BYTES)
        cdef uint8_t* kind_codes = column(kinds, count)
        cdef uint8_t* state = column(states, count)
        cdef uint16_t* currency = self.numbers_in(currencies, count)
        cdef const Account** accounts = self.accounts_by_number
        cdef const Chunk* chunk
        cdef Py_ssize_t row, rows = 0, slot, in_chunk
        if not (0 <= first and 0 <= count <= <Py_ssize_t>self.entries(kind) - first):
            raise IndexError(f"no {count} entries from {first} on")
        with nogil:
            memset(kind_codes, kind, count)
            while rows < count:
                chunk = self.ledger.logs[kind].chunks[(first + rows) >> CHUNK_BITS]
                slot = (first + rows) & CHUNK_MASK
                in_chunk = min(count - rows, CHUNK_ENTRIES - slot)
                if self.ledger.logs[kind].has_texts:
                    for row in range(in_chunk):
                        tx[rows + row] = address_at(&self.ledger.logs[kind], first + rows + row)
                else:
                    memcpy(tx + rows, txs_of(chunk) + slot, in_chunk * sizeof(uint64_t))
                for row in range(in_chunk):
                    put_account(client, currency, rows + row, accounts[chunk.account[slot + row]])
                if keeps_amount(self.ledger.policy, kind):
                    memcpy(amount + rows, chunk.amount + slot, in_chunk * sizeof(int64_t))
                    for row in range(in_chunk):
                        state[rows + row] = chunk.state[slot + row] & ~<uint8_t>HAS_DETAILS
                else:
                    memset(amount + rows, 0, in_chunk * sizeof(int64_t))
                    memset(state + rows, 0, in_chunk)
                rows += in_chunk

    def copy_disputes(
        self,
        int kind,
        Py_ssize_t first,
        Py_ssize_t end,
        Py_ssize_t count,
        uint8_t[::1] clients not None,
        uint8_t[::1] txs not None,
        uint8_t[::1] states not None,
        *,
        uint8_t[::1] currencies=None,
    ):
        """Fill columns with at most `count` entries that were ever disputed, out of those of a kind from `first` to
        `end`; return their number, and the position in the log where the next call must begin."""
        cdef uint64_t* client = <uint64_t*>column(clients, count * WORD_BYTES)
        cdef uint64_t* tx = <uint64_t*>column(txs, count * WORD_BYTES)
        cdef uint8_t* state = column(states, count)
        cdef uint16_t* currency = self.numbers_in(currencies, count)
        cdef const Chunk* chunk
        cdef Py_ssize_t rows = 0, slot
        self.check_disputable(kind, first, end)
        with nogil:
            while first < end and rows < count:
                chunk = self.ledger.logs[kind].chunks[first >> CHUNK_BITS]
                slot = first & CHUNK_MASK
                if chunk.state[slot] & ~<uint8_t>HAS_DETAILS != UNDISPUTED:
                    put_account(client, currency, rows, self.accounts_by_number[chunk.account[slot]])
                    tx[rows] = word_of_tx(&self.ledger.logs[kind], first)
                    state[rows] = chunk.state[slot] & ~<uint8_t>HAS_DETAILS
                    rows += 1
                first += 1
        return rows, first

    def copy_details(
        self,
        int kind,
        Py_ssize_t first,
        Py_ssize_t end,
        Py_ssize_t count,
        uint8_t[::1] clients not None,
        uint8_t[::1] txs not None,
        uint8_t[::1] refunded not None,
        uint8_t[::1] moved not None,
        *,
        uint8_t[::1] currencies=None,
    ):
        """The same as `copy_disputes` for entries with details. `moved` is 0 where no dispute or chargeback stands."""
        cdef uint64_t* client = <uint64_t*>column(clients, count * WORD_BYTES)
        cdef uint64_t* tx = <uint64_t*>column(txs, count * WORD_BYTES)
        cdef int64_t* refunded_units = <int64_t*>column(refunded, count * WORD_BYTES)
        cdef int64_t* moved_units = <int64_t*>column(moved, count * WORD_BYTES)
        cdef uint16_t* currency = self.numbers_in(currencies, count)
        cdef const Detail* detail
        cdef const Chunk* chunk
        cdef Py_ssize_t rows = 0, slot
        self.check_disputable(kind, first, end)
        with nogil:
            while first < end and rows < count:
                chunk = self.ledger.logs[kind].chunks[first >> CHUNK_BITS]
                slot = first & CHUNK_MASK
                if chunk.state[slot] & HAS_DETAILS:
                    detail = find_detail(&self.ledger.details, key_of_entry(position_of(kind, first)))
                    put_account(client, currency, rows, self.accounts_by_number[chunk.account[slot]])
                    tx[rows] = word_of_tx(&self.ledger.logs[kind], first)
                    refunded_units[rows] = detail.refunded
                    moved_units[rows] = detail.moved if moves_are_open(chunk.state[slot]) else 0
                    rows += 1
                first += 1
        return rows, first

    def copy_openings(
        self, Py_ssize_t first, Py_ssize_t count, uint8_t[::1] clients not None, uint8_t[::1] openings not None, *,
        uint8_t[::1] currencies=None,
    ):
        """Fill columns with the opening balances that are not 0, of at most `count` accounts, looking from the number
        `first` on; return how many there are, and the number from which to go on."""
        cdef uint64_t* client = <uint64_t*>column(clients, count * WORD_BYTES)
        cdef int64_t* units = <int64_t*>column(openings, count * WORD_BYTES)
        cdef uint16_t* currency = self.numbers_in(currencies, count)
        cdef Py_ssize_t end = self.ledger.table.accounts, rows = 0
        if not 0 <= first <= end:
            raise IndexError(f"no account {first} of {end}")
        with nogil:
            while first < end and rows < count:
                units[rows] = opening_of(&self.ledger.details, <uint32_t>first)
                put_account(client, currency, rows, self.accounts_by_number[first])
                rows += units[rows] != 0
                first += 1
        return rows, first


cdef inline void put_account(
    uint64_t* clients,  # OUT
    uint16_t* currencies,  # OUT NULL where accounts have none
    const Py_ssize_t row,  # IN
    const Account* account,  # IN
) noexcept nogil:
    """Copy what an account has as its client, and its currency."""
    clients[row] = account.client
    if currencies != NULL:
        currencies[row] = account.currency


cdef inline uint64_t word_of_tx(const Log* log, const uint64_t entry) noexcept nogil:
    """The id of an entry, or where it is, if it is a text."""
    if log.has_texts:
        return address_at(log, entry)
    return txs_of(log.chunks[entry >> CHUNK_BITS])[entry & CHUNK_MASK]
