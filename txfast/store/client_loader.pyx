"""load_client: loads all that a state has of one client into a ledger, to look at it.

This module must not know batches.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from txfast.batch.ids cimport ID_BYTES_MAX
from txfast.dialect.currencies cimport KnownCodes, check_codes, number_of
from txfast.ledger.entries cimport TxId, make_number_id
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.load cimport BY_CURRENCY, TEXT_CLIENTS, account_of
from txfast.ledger.proof cimport ACCOUNT_TWICE, NO_ACCOUNT
from txfast.ledger.rules cimport Account
from txfast.ledger.shard cimport shard_word
from txfast.store.active cimport ActiveAccounts
from txfast.store.load_rows cimport LoadRoom, load_account, load_entry, refuse_row, reserve_accounts_of
from txfast.store.run_cursor cimport RunCursor
from txfast.store.run_form cimport check_runs
from txfast.store.run_merge cimport RunMerge
from txfast.store.run_search cimport place_of
from txfast.store.segment_row cimport SegmentRow, compare_ids
from txfast.text.text_hash cimport TEXT_HASH_SLACK_BYTES, hash_text


cdef class ClientLoader:
    """A ledger into which the accounts and the entries of one client are loaded."""

    cdef ActiveAccounts active
    cdef TxId client
    cdef bytes padded  # keeps the text alive
    cdef KnownCodes known

    def __cinit__(self, Ledger ledger not None, client not None):
        self.active = ActiveAccounts(ledger)
        memset(&self.known, 0, sizeof(KnownCodes))
        self.known.currencies = <void*>ledger.currencies
        make_number_id(&self.client, 0)
        if not ledger.id_kinds & TEXT_CLIENTS:
            self.client.number = client
        else:
            self.padded = client + bytes(TEXT_HASH_SLACK_BYTES)
            self.client.text = self.padded
            self.client.length = <uint8_t>len(client)
            self.client.number = hash_text(&ledger.table.text_key, self.client.text, self.client.length)

    cdef RunMerge rows_in(self, runs):
        """The rows of these runs whose clients have the client's word."""
        cdef uint64_t word = shard_word(self.client.number)
        return RunMerge([RunCursor(run) for run in runs], word, word)

    cdef uint16_t currency_of(self, const SegmentRow* row) except? 0:
        """The number of a row's currency in the run. Raises CapacityError and MemoryError."""
        cdef uint16_t currency = 0
        if self.active.ledger.id_kinds & BY_CURRENCY:
            currency = number_of(&self.known, row.currency)
            check_codes(&self.known)
        return currency

    cdef int load_accounts(self, runs) except -1:
        """Load the client's accounts."""
        cdef Ledger ledger = self.active.ledger
        cdef RunMerge rows = self.rows_in(runs)
        cdef TxId client = self.client
        while rows.next():
            if compare_ids(&rows.row.client, &self.client) == 0:
                client.currency = self.currency_of(rows.row)
                reserve_accounts_of(self.active, 1, 1 + self.client.length)
                if account_of(&ledger.table, client) != NULL:
                    refuse_row(ledger, rows.row, client.currency, place_of(rows.heap[0].cursor), ACCOUNT_TWICE)
                load_account(ledger, &self.active.active, rows.row, client.currency)
        return 0

    cdef int load_entries(self, runs) except -1:
        """Load the entries of these accounts."""
        cdef Ledger ledger = self.active.ledger
        cdef RunMerge rows = self.rows_in(runs)
        cdef LoadRoom room
        cdef TxId client = self.client
        cdef const Account* account
        cdef uint32_t position
        cdef int refusal
        room.entries = room.text_bytes = 0
        while rows.next():
            if compare_ids(&rows.row.client, &self.client) == 0:
                client.currency = self.currency_of(rows.row)
                account = account_of(&ledger.table, client)
                refusal = NO_ACCOUNT
                if account != NULL:
                    refusal = load_entry(ledger, &room, rows.row, account.number, client.currency, &position)
                if refusal:
                    refuse_row(ledger, rows.row, client.currency, place_of(rows.heap[0].cursor), refusal)
        return 0


def load_client(Ledger ledger not None, runs not None, client not None):
    """Load the accounts and the entries of a client, an integer, or bytes where clients are texts, into a ledger that
    has none of them. Raises StateError, SourceError, MemoryError and CapacityError."""
    cdef ClientLoader loader
    cdef uint64_t accounts_before = ledger.table.accounts
    if ledger.id_kinds & TEXT_CLIENTS and not 0 < len(client) <= ID_BYTES_MAX:
        return
    check_runs(ledger, runs.accounts)
    check_runs(ledger, runs.entries)
    loader = ClientLoader(ledger, client)
    loader.load_accounts(runs.accounts)
    if ledger.table.accounts > accounts_before:
        loader.load_entries([*runs.entries, *runs.changes])
