"""NewEntries: the entries of ledgers that the state does not have, in the order in which a run has them.

Accounts are sorted by the words of their clients; then all entries of an account get places next to each other, in the
order of the log, which takes four bytes an entry. What is left to sort are the entries of one account: mostly deposits
in order, then withdrawals in order, which are merged.

This module must not know what else is written.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc

from txfast.batch.ids cimport ID_ROOM_BYTES
from txfast.ledger.entries cimport CHUNK_BITS, CHUNK_MASK, LOG_COUNT, Chunk, kind_at, position_of
from txfast.store.active cimport Active, NewWalk, NumberedAccount, begin_new, count_new, go_to_next_new
from txfast.store.ledger_rows cimport (
    content_of, look_ahead_to_account, look_ahead_to_entry, make_account_row, make_entry_ids, make_entry_row,
    tx_word_of, word_of,
)
from txfast.store.row_order cimport sort_client, sort_rows
from txfast.store.segment_row cimport SegmentRow
from txfast.store.word_ranges cimport PARTS, PART_SHIFT, cut_ranges
from txfast.text.bits cimport prefetch

cdef enum:
    AHEAD_ENTRIES = 16
    # An account is a key to sort; so many entries take as much memory as one.
    ENTRIES_A_KEY = 2 * 16 // 4
    GROUP_MIN = 256


cdef class NewEntries:
    """Entries of ledgers, whose accounts were numbered. `write` takes those of a range of words; each range only once.
    """

    def __dealloc__(self):
        free(self.keys)
        free(self.scratch)
        free(self.positions)
        free(self.group)
        free(self.group_scratch)

    cdef list ranges(self, const uint64_t keys_max):
        """Cut the entries into ranges of words that take about as much memory as so many keys. Raises MemoryError."""
        cdef uint64_t* parts
        cdef const Active* active
        cdef const NumberedAccount* numbered
        cdef Py_ssize_t index
        cdef uint64_t i, keys = 0
        for index in range(self.ledger_count):
            active = self.ledgers[index].active
            keys += active.number_count + (count_new(active, 0) + count_new(active, 1)) // ENTRIES_A_KEY
        if keys <= keys_max:
            return [(0, ~<uint64_t>0, keys)]
        parts = <uint64_t*>calloc(PARTS, sizeof(uint64_t))
        if parts == NULL:
            raise MemoryError("no memory to count transactions")
        for index in range(self.ledger_count):
            active = self.ledgers[index].active
            for i in range(active.number_count):
                numbered = &active.accounts[active.numbers[i]]
                if numbered.place:
                    parts[word_of(numbered) >> PART_SHIFT] += 1 + numbered.place // ENTRIES_A_KEY
        cut = cut_ranges(parts, keys_max)
        free(parts)
        return cut

    cdef int write(self, RunWriter writer, const uint64_t first, const uint64_t last) except -1 nogil:
        """Write the entries of accounts whose clients have words from the first to the last. Raises MemoryError and
        SourceError."""
        cdef uint64_t start = 0
        cdef Py_ssize_t account = 0, end
        self.take_accounts(first, last)
        self.take_positions(first, last)
        self.account_ahead = 0
        self.place_ahead = 0
        while account < self.accounts:
            if account + AHEAD_ENTRIES < self.accounts:
                prefetch(account_at(self.ledgers, &self.keys[account + AHEAD_ENTRIES]))
            end = account + 1
            while end < self.accounts and self.keys[end].client == self.keys[account].client:
                end += 1
            if end == account + 1:
                self.write_account(writer, self.keys[account].content >> 32, start, self.end_of(account))
            else:
                self.write_client(writer, account, end, start)
            start = self.end_of(end - 1)
            account = end
        return 0

    cdef uint64_t end_of(self, const Py_ssize_t account) noexcept nogil:
        """The place behind the entries of an account."""
        return account_at(self.ledgers, &self.keys[account]).place

    cdef int take_accounts(self, const uint64_t first, const uint64_t last) except -1 nogil:
        """Sort the accounts of a range of words that have entries."""
        cdef const Active* active
        cdef const NumberedAccount* numbered
        cdef Py_ssize_t index
        cdef uint64_t i, most = 0, word
        for index in range(self.ledger_count):
            most += self.ledgers[index].active.number_count
        self.accounts = 0
        if most > self.key_capacity:
            free(self.keys)
            free(self.scratch)
            self.key_capacity = 0
            # All that is not used of it takes no memory.
            self.keys = <SortKey*>malloc(most * sizeof(SortKey))
            self.scratch = <SortKey*>malloc(most * sizeof(SortKey))
            if self.keys == NULL or self.scratch == NULL:
                raise_no_memory(most)
            self.key_capacity = most
        for index in range(self.ledger_count):
            active = self.ledgers[index].active
            for i in range(active.number_count):
                numbered = &active.accounts[active.numbers[i]]
                word = word_of(numbered)
                if numbered.place and first <= word <= last:
                    self.keys[self.accounts].client = word
                    self.keys[self.accounts].content = content_of(index, active.numbers[i])
                    self.accounts += 1
        sort_rows(self.keys, self.scratch, self.accounts, &self.account_order)
        return 0

    cdef int take_positions(self, const uint64_t first, const uint64_t last) except -1 nogil:
        """Give the entries of these accounts their places."""
        cdef NumberedAccount* numbered
        cdef Py_ssize_t account, index
        cdef uint64_t places = 0, entries
        for account in range(self.accounts):
            if account + AHEAD_ENTRIES < self.accounts:
                prefetch(account_at(self.ledgers, &self.keys[account + AHEAD_ENTRIES]))
            numbered = account_at(self.ledgers, &self.keys[account])
            entries = numbered.place
            numbered.place = places
            places += entries
        if places > self.position_capacity:
            free(self.positions)
            self.position_capacity = 0
            self.positions = <uint32_t*>malloc(places * sizeof(uint32_t))
            if self.positions == NULL:
                raise_no_memory(places)
            self.position_capacity = places
        for index in range(self.ledger_count):
            place_entries(self.ledgers[index].active, self.positions, first, last)
        return 0

    cdef int write_account(
        self, RunWriter writer, const Py_ssize_t ledger, const uint64_t start, const uint64_t end,
    ) except -1 nogil:
        """Write the entries of an account, which are in the order of their logs."""
        cdef const uint32_t* positions = self.positions + start
        cdef uint64_t count = end - start, one = 0, middle = 0, other
        cdef bint takes_other
        while middle < count and not kind_at(positions[middle]):
            middle += 1
        if not are_in_order(self.ledgers, ledger, positions, 0, middle) or not are_in_order(
            self.ledgers, ledger, positions, middle, count
        ):
            self.reserve_group(count)
            self.take_group(ledger, start, end, 0)
            return self.write_group(writer, start, count)
        other = middle
        while one < middle or other < count:
            takes_other = one == middle or (other < count and (
                tx_word_of(self.ledgers, content_of(ledger, positions[other]))
                < tx_word_of(self.ledgers, content_of(ledger, positions[one]))
            ))
            self.look_ahead(start + one + other - middle + AHEAD_ENTRIES)
            self.write_entry(writer, content_of(ledger, positions[other if takes_other else one]))
            other += takes_other
            one += not takes_other
        return 0

    cdef int write_client(
        self, RunWriter writer, const Py_ssize_t first, const Py_ssize_t end, const uint64_t start,
    ) except -1 nogil:
        """Write the entries of accounts whose clients have the same word: those of a client in several currencies."""
        cdef uint64_t count = self.end_of(end - 1) - start, taken = 0
        cdef Py_ssize_t account
        self.reserve_group(count)
        for account in range(first, end):
            self.take_group(self.keys[account].content >> 32, start + taken, self.end_of(account), taken)
            taken = self.end_of(account) - start
        return self.write_group(writer, start, count)

    cdef void take_group(
        self, const Py_ssize_t ledger, const uint64_t start, const uint64_t end, uint64_t taken,
    ) noexcept nogil:
        """Take the entries from one place to before another to be sorted, behind those that were taken before."""
        cdef uint64_t place
        for place in range(start, end):
            self.group[taken].client = 0
            self.group[taken].content = content_of(ledger, self.positions[place])
            taken += 1

    cdef int write_group(self, RunWriter writer, const uint64_t start, const uint64_t count) except -1 nogil:
        """Sort the entries that were taken, whose places are from this one on, and write them."""
        cdef uint64_t i
        sort_client(self.group, self.group_scratch, count, &self.entry_order)
        for i in range(count):
            self.look_ahead(start + i + AHEAD_ENTRIES)
            self.write_entry(writer, self.group[i].content)
        return 0

    cdef int write_entry(self, RunWriter writer, const int64_t content) except -1 nogil:
        cdef SegmentRow row
        cdef uint8_t[ID_ROOM_BYTES] room
        make_entry_row(self.ledgers, content, &row, room)
        return writer.add(&row)

    cdef int reserve_group(self, const uint64_t count) except -1 nogil:
        """Make room to sort the entries of an account. Raises MemoryError."""
        if count > self.group_capacity:
            free(self.group)
            free(self.group_scratch)
            self.group_capacity = 0
            self.group = <SortKey*>malloc(max(2 * count, <uint64_t>GROUP_MIN) * sizeof(SortKey))
            self.group_scratch = <SortKey*>malloc(max(2 * count, <uint64_t>GROUP_MIN) * sizeof(SortKey))
            if self.group == NULL or self.group_scratch == NULL:
                raise_no_memory(count)
            self.group_capacity = max(2 * count, <uint64_t>GROUP_MIN)
        return 0

    cdef void look_ahead(self, const uint64_t place) noexcept nogil:
        """Start loading the columns of entries up to this place."""
        cdef int64_t content
        while self.account_ahead < self.accounts and self.place_ahead < place:
            content = self.keys[self.account_ahead].content
            if self.place_ahead == account_at(self.ledgers, &self.keys[self.account_ahead]).place:
                self.account_ahead += 1
                continue
            look_ahead_to_entry(self.ledgers, content_of(content >> 32, self.positions[self.place_ahead]))
            self.place_ahead += 1


cdef NewEntries new_entries(SealedLedger* ledgers, const Py_ssize_t count, const bint ids_decide):
    """The new entries of ledgers; `ids_decide` says that rows with the same words may have other ids."""
    cdef NewEntries entries = NewEntries()
    entries.ledgers = ledgers
    entries.ledger_count = count
    entries.account_order.context = entries.entry_order.context = ledgers
    entries.account_order.look_ahead = look_ahead_to_account
    entries.account_order.tx_word_of = NULL
    entries.entry_order.look_ahead = look_ahead_to_entry
    entries.entry_order.tx_word_of = tx_word_of
    entries.account_order.make_ids = entries.entry_order.make_ids = NULL
    if ids_decide:
        entries.account_order.make_ids = make_account_row
        entries.entry_order.make_ids = make_entry_ids
    return entries


cdef inline NumberedAccount* account_at(const SealedLedger* ledgers, const SortKey* key) noexcept nogil:
    """The account of a key."""
    return &ledgers[key.content >> 32].active.accounts[<uint32_t>key.content]


cdef void place_entries(
    const Active* active, uint32_t* positions, const uint64_t first, const uint64_t last,
) noexcept nogil:
    """Put the positions of new entries into their places, of accounts whose clients have words in this range."""
    cdef const Chunk* chunk
    cdef NumberedAccount* numbered
    cdef bint are_all = not first and last == ~<uint64_t>0
    cdef NewWalk walk
    cdef int kind
    for kind in range(LOG_COUNT):
        walk = begin_new(active, kind)
        while walk.entry < walk.end:
            chunk = active.logs[kind].chunks[walk.entry >> CHUNK_BITS]
            # Behind the end of the log or of a chunk this loads another account, which is harmless.
            prefetch(&active.accounts[chunk.account[(walk.entry + AHEAD_ENTRIES) & CHUNK_MASK]])
            numbered = &active.accounts[chunk.account[walk.entry & CHUNK_MASK]]
            if are_all or first <= word_of(numbered) <= last:
                positions[numbered.place] = position_of(kind, walk.entry)
                numbered.place += 1
            go_to_next_new(&walk)


cdef bint are_in_order(
    const SealedLedger* ledgers, const Py_ssize_t ledger, const uint32_t* positions, const uint64_t start,
    const uint64_t end,
) noexcept nogil:
    """Whether the transactions of entries ascend."""
    cdef uint64_t i, word, before = 0
    for i in range(start, end):
        word = tx_word_of(ledgers, content_of(ledger, positions[i]))
        if i > start and word <= before:
            return False
        before = word
    return True


cdef int raise_no_memory(const uint64_t rows) except -1 with gil:
    raise MemoryError(f"no memory to sort {rows} rows")
