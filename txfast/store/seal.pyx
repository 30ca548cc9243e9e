"""seal: writes what ledgers have that their state does not have yet, as runs of new segments.

These are a run of the accounts that are new or changed, one of new entries, and one of entries that the state has and
rows have changed. Each run is in the order of its keys over all ledgers. Where there are many rows, they are sorted and
written by ranges of the words of clients, so that the memory for it is bounded.

This module must not know manifests, nor which runs there are already.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc

from txfast.batch.ids cimport ID_ROOM_BYTES
from txfast.ledger.entries cimport CHUNK_MASK, chunk_of
from txfast.ledger.key_order cimport SortKey
from txfast.ledger.rules cimport Account
from txfast.ledger.sums cimport WideSum, add_wide, whole
from txfast.store.active cimport (
    Active, ActiveAccounts, EntryState, NamedEntry, NumberedAccount, SavedAccount, drop_repeated,
    is_changed, is_same_state, state_of,
)
from txfast.store.ledger_rows cimport (
    SealedLedger, close_sealed, content_of, ledger_of, look_ahead_to_account, look_ahead_to_entry,
    look_nearer_to_account, look_nearer_to_entry, make_account_row, make_entry_ids, make_entry_row, open_sealed,
    tx_word_of, word_of,
)
from txfast.store.new_entries cimport NewEntries, new_entries
from txfast.store.row_order cimport MakeRow, RowOrder, sort_rows
from txfast.store.run_form cimport check_form
from txfast.store.segment_form cimport Form
from txfast.store.segment_row cimport SegmentRow
from txfast.store.segment_writer cimport RunWriter
from txfast.store.word_ranges cimport PARTS, PART_SHIFT, cut_ranges

from txfast.store.runs import ACCOUNTS, CHANGES, ENTRIES, Sealed

cdef enum:
    AHEAD_ROWS = 16
    NEAR_ROWS = 8

# So many rows are sorted at once: a key takes 32 bytes meanwhile.
ROWS_AT_ONCE = 1 << 22

# Takes the keys of a ledger's rows whose clients have words from one to another; returns how many there are. Where
# `parts` are given, it counts the rows of each part instead.
ctypedef Py_ssize_t (*TakeKeys)(
    const SealedLedger* ledger, const Py_ssize_t index, const uint64_t first, const uint64_t last, SortKey* keys,
    uint64_t* parts,
) noexcept nogil

# A kind of rows.
cdef struct KindOfRows:
    bint are_accounts
    uint64_t (*most)(const Active* active) noexcept nogil  # rows that a ledger may have
    TakeKeys take
    RowOrder order
    # Starts loading what `make` reads, once what `order.look_ahead` has asked for is there.
    void (*look_nearer)(const void* ledgers, const int64_t content) noexcept nogil
    MakeRow make


def seal(actives, path_of, forms, *, range_rows_max=None, durable=True):
    """Write what the ledgers of these ActiveAccounts have that is new or changed; return a Sealed.

    `path_of(kind, number)` names the file of the next segment of a kind (ACCOUNTS, ENTRIES, CHANGES), from number 0 on;
    `forms` has the Form of ACCOUNTS and of ENTRIES. About `range_rows_max` rows are sorted at once. Files are on disk
    when it returns, where `durable`.

    The ledgers must have different clients. They are not changed: call `mark_sealed` once the state has the segments.
    Raises MemoryError and SourceError.
    """
    cdef Sealing sealing = Sealing(actives, ROWS_AT_ONCE if range_rows_max is None else range_rows_max)
    accounts = sealing.write(ACCOUNTS, path_of, forms[ACCOUNTS], durable)
    changes = sealing.write(CHANGES, path_of, forms[ENTRIES], durable)
    entries = sealing.write_entries(path_of, forms[ENTRIES], durable)
    entries_added = sum([active.new_entries for active in sealing.actives])
    changed_units = whole(&sealing.total) - whole(&sealing.saved_total)
    return Sealed(accounts, entries, changes, sealing.new_accounts, entries_added, changed_units)


def seal_accounts(actives, path_of, form):
    """Write the run of accounts alone, for somebody who looks at it: the files may be lost. Return its segments, as a
    Sealed has them. Raises as `seal`."""
    cdef Sealing sealing = Sealing(actives, ROWS_AT_ONCE)
    return sealing.write(ACCOUNTS, path_of, form, False)


cdef class Sealing:
    """The ledgers whose rows are written, and memory to sort them."""

    cdef list actives
    cdef SealedLedger* ledgers
    cdef Py_ssize_t count
    cdef uint64_t rows_at_once
    cdef SortKey* keys
    cdef SortKey* scratch
    cdef uint64_t capacity  # of both
    cdef uint64_t new_accounts
    # Of the accounts that are written: the sum of their totals, now and as the state has them.
    cdef WideSum total
    cdef WideSum saved_total

    def __cinit__(self, actives, uint64_t rows_at_once):
        cdef ActiveAccounts active
        self.actives = list(actives)
        self.rows_at_once = rows_at_once
        self.ledgers = <SealedLedger*>calloc(len(self.actives) + 1, sizeof(SealedLedger))
        if self.ledgers == NULL:
            raise MemoryError("no memory for ledgers")
        for active in self.actives:
            active.reserve_saved(active.active.table.accounts)  # so that `mark_sealed` does not fail
            drop_repeated(&active.active)
            self.count += 1
            open_sealed(&self.ledgers[self.count - 1], &active.active, active.ledger.currencies)

    def __dealloc__(self):
        cdef Py_ssize_t index
        for index in range(self.count):
            close_sealed(&self.ledgers[index])
        free(self.ledgers)
        self.release_keys()

    cdef list write(self, kind, path_of, Form form, durable):
        """Write a run of a kind; return its segments."""
        cdef RunWriter writer
        cdef KindOfRows rows_of
        cdef uint64_t rows = 0, first, last, count
        cdef Py_ssize_t index
        kind_of_rows(&rows_of, kind, self.ledgers, self.ids_decide())
        for index in range(self.count):
            rows += rows_of.most(self.ledgers[index].active)
        if not rows:
            return []
        writer = self.new_writer(kind, path_of, form)
        for first, last, count in self.ranges(&rows_of, rows):
            self.reserve(count)
            with nogil:
                self.write_range(writer, &rows_of, first, last)
        return writer.finish(durable)

    cdef list write_entries(self, path_of, Form form, durable):
        """Write the run of new entries; return its segments."""
        cdef NewEntries entries = new_entries(self.ledgers, self.count, self.ids_decide())
        cdef RunWriter writer
        cdef uint64_t first, last
        if not sum([active.new_entries for active in self.actives]):
            return []
        self.release_keys()
        writer = self.new_writer(ENTRIES, path_of, form)
        for first, last, _ in entries.ranges(self.rows_at_once):
            with nogil:
                entries.write(writer, first, last)
        return writer.finish(durable)

    cdef RunWriter new_writer(self, kind, path_of, Form form):
        """A writer of a run of a kind. Raises ValueError where the ledgers have other ids than the form."""
        cdef ActiveAccounts active
        for active in self.actives:
            check_form(active.ledger, &form.forms[0])
        return RunWriter(kind, path_of, form, self.has_details())

    cdef bint ids_decide(self) noexcept:
        """Whether rows with the same words may have other ids: texts, or accounts of a client in several currencies."""
        cdef ActiveAccounts active
        for active in self.actives:
            if active.ledger.id_kinds:
                return True
        return False

    cdef bint has_details(self) noexcept nogil:
        """Whether some rows may have details."""
        cdef Py_ssize_t index
        for index in range(self.count):
            if self.ledgers[index].active.details.count:
                return True
        return False

    cdef list ranges(self, const KindOfRows* rows_of, const uint64_t rows):
        """Cut the rows into ranges of words that can be sorted at once: the first word, the last one, and the most rows
        of each. `rows` is the most in all."""
        cdef uint64_t* parts
        cdef Py_ssize_t index
        if rows <= self.rows_at_once:
            return [(0, ~<uint64_t>0, rows)]
        parts = <uint64_t*>calloc(PARTS, sizeof(uint64_t))
        if parts == NULL:
            raise MemoryError("no memory to count rows")
        with nogil:
            for index in range(self.count):
                rows_of.take(&self.ledgers[index], index, 0, ~<uint64_t>0, NULL, parts)
        found = cut_ranges(parts, self.rows_at_once)
        free(parts)
        return found

    cdef void release_keys(self) noexcept nogil:
        free(self.keys)
        free(self.scratch)
        self.keys = self.scratch = NULL
        self.capacity = 0

    cdef int reserve(self, const uint64_t rows) except -1:
        """Make room to sort this many rows. Raises MemoryError."""
        if rows > self.capacity:
            self.release_keys()
            self.keys = <SortKey*>malloc(rows * sizeof(SortKey))
            self.scratch = <SortKey*>malloc(rows * sizeof(SortKey))
            if self.keys == NULL or self.scratch == NULL:
                raise MemoryError(f"no memory to sort {rows} rows")
            self.capacity = rows
        return 0

    cdef int write_range(
        self, RunWriter writer, const KindOfRows* rows_of, const uint64_t first, const uint64_t last,
    ) except -1 nogil:
        """Write the rows whose clients have words from the first to the last."""
        cdef SegmentRow row
        cdef uint8_t[ID_ROOM_BYTES] room
        cdef Py_ssize_t count = 0, i, index
        for index in range(self.count):
            count += rows_of.take(&self.ledgers[index], index, first, last, self.keys + count, NULL)
        sort_rows(self.keys, self.scratch, count, &rows_of.order)
        for i in range(count):
            if i + AHEAD_ROWS < count:
                rows_of.order.look_ahead(self.ledgers, self.keys[i + AHEAD_ROWS].content)
            if i + NEAR_ROWS < count:
                rows_of.look_nearer(self.ledgers, self.keys[i + NEAR_ROWS].content)
            rows_of.make(self.ledgers, self.keys[i].content, &row, room)
            if rows_of.are_accounts:
                self.count_account(self.keys[i].content)
            writer.add(&row)
        return 0

    cdef void count_account(self, const int64_t content) noexcept nogil:
        """Count an account that is written, and its total."""
        cdef const Active* active = ledger_of(self.ledgers, content).active
        cdef const Account* account = active.accounts[<uint32_t>content].account
        cdef const SavedAccount* saved = &active.saved[account.number]
        self.new_accounts += not saved.is_saved
        add_wide(&self.total, account.available)
        add_wide(&self.total, account.held)
        add_wide(&self.saved_total, saved.available)
        add_wide(&self.saved_total, saved.held)


# ---- The rows of each kind --------------------------------------------------------------------------


cdef void kind_of_rows(KindOfRows* rows_of, kind, const SealedLedger* ledgers, const bint ids_decide) noexcept:
    """What to do for a kind of runs."""
    rows_of.are_accounts = kind == ACCOUNTS
    rows_of.order.context = ledgers
    if kind == ACCOUNTS:
        rows_of.most = most_accounts
        rows_of.take = take_accounts
        rows_of.order.look_ahead = look_ahead_to_account
        rows_of.order.tx_word_of = NULL
        rows_of.order.make_ids = make_account_row
        rows_of.look_nearer = look_nearer_to_account
        rows_of.make = make_account_row
    else:
        rows_of.most = most_changes
        rows_of.take = take_changes
        rows_of.order.look_ahead = look_ahead_to_entry
        rows_of.order.tx_word_of = tx_word_of
        rows_of.order.make_ids = make_entry_ids
        rows_of.look_nearer = look_nearer_to_entry
        rows_of.make = make_entry_row
    if not ids_decide:
        rows_of.order.make_ids = NULL


cdef inline void take_key(
    const uint64_t word, const int64_t content, const uint64_t first, const uint64_t last, SortKey* keys,
    Py_ssize_t* count, uint64_t* parts,
) noexcept nogil:
    """Take a key, or count it where there are no keys."""
    if parts != NULL:
        parts[word >> PART_SHIFT] += 1
    elif first <= word <= last:
        keys[count[0]].client = word
        keys[count[0]].content = content
        count[0] += 1


cdef uint64_t most_accounts(const Active* active) noexcept nogil:
    return active.number_count


cdef Py_ssize_t take_accounts(
    const SealedLedger* ledger, const Py_ssize_t index, const uint64_t first, const uint64_t last, SortKey* keys,
    uint64_t* parts,
) noexcept nogil:
    """Take the keys of accounts that are new or changed."""
    cdef const NumberedAccount* numbered
    cdef Py_ssize_t count = 0
    cdef uint64_t i
    for i in range(ledger.active.number_count):
        if i + AHEAD_ROWS < ledger.active.number_count:
            look_nearer_to_account(ledger, ledger.active.numbers[i + AHEAD_ROWS])
        numbered = &ledger.active.accounts[ledger.active.numbers[i]]
        if is_changed(ledger.active, numbered.account, numbered.max_tx):
            take_key(
                word_of(numbered), content_of(index, ledger.active.numbers[i]), first, last, keys, &count, parts,
            )
    return count


cdef uint64_t most_changes(const Active* active) noexcept nogil:
    return active.named_count


cdef Py_ssize_t take_changes(
    const SealedLedger* ledger, const Py_ssize_t index, const uint64_t first, const uint64_t last, SortKey* keys,
    uint64_t* parts,
) noexcept nogil:
    """Take the keys of entries that the state has otherwise."""
    cdef const Active* active = ledger.active
    cdef const NamedEntry* named
    cdef EntryState state
    cdef uint64_t word
    cdef uint32_t account
    cdef Py_ssize_t count = 0, i
    for i in range(active.named_count):
        named = &active.named[i]
        account = chunk_of(active.logs, named.position).account[named.position & CHUNK_MASK]
        state_of(&state, active, named.position)
        if not is_same_state(&state, &named.saved):
            word = word_of(&active.accounts[account])
            take_key(word, content_of(index, named.position), first, last, keys, &count, parts)
    return count
