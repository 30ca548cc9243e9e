"""AccountColumns: the accounts of some ledgers, as columns in ascending order of client: of numbers, or of bytes; then
of the code of the currency, where accounts have one.

Writers of every format read these columns.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from cpython.bytearray cimport PyByteArray_AS_STRING

from txfast.dialect.currencies cimport new_ranks
from txfast.ledger.account_table cimport name_of
from txfast.ledger.key_order cimport SortKey, sort_keys
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.name_order cimport (
    COMPARED_NAMES_MAX, NAME_DEPTH_MAX, NamedAccount, common_prefix, compare_names, sort_by_keys, sort_few, word_of,
)
from txfast.ledger.rules cimport Account
from txfast.ledger.sums cimport WideSum, add_wide, whole
from txfast.ledger.texts cimport TextArena, release_texts, share_texts
from txfast.text.bits cimport WORD_BYTES, advise_huge_pages


cdef class AccountColumns:
    """The accounts of ledgers, as they are when this is made. `len()` is the number of accounts.

    A client is usually in one ledger only. Otherwise its accounts come in the order of the ledgers.
    """

    def __cinit__(self, ledgers):
        cdef Py_ssize_t room
        cdef Ledger ledger
        self.count = sum(map(len, ledgers))
        self.names = <TextArena**>malloc((len(ledgers) + 1) * sizeof(TextArena*))
        if self.names == NULL:
            raise MemoryError(f"no memory for the names of {len(ledgers)} ledgers")
        for ledger in ledgers:
            self.has_names = ledger.table.names != NULL
            self.currencies = ledger.currencies
            self.names[self.names_count] = share_texts(ledger.table.names)
            self.names_count += 1
        # One more: `take_keys` also writes the key of the slot after the last account.
        room = self.count + 1
        self.keys = <SortKey*>malloc(room * sizeof(SortKey))
        self.scratch = <SortKey*>malloc(room * sizeof(SortKey))
        self.marked = <SortKey*>malloc(room * sizeof(SortKey))
        if self.keys == NULL or self.scratch == NULL or self.marked == NULL:
            raise MemoryError(f"no memory to sort {self.count} accounts")
        advise_huge_pages(self.keys, room * sizeof(SortKey))
        advise_huge_pages(self.scratch, room * sizeof(SortKey))
        if self.has_names:
            self.sort_texts(ledgers)
        elif self.currencies is not None:
            self.sort_numbers_of_currencies(ledgers)
        else:
            self.sort_numbers(ledgers)
        free(self.marked)
        self.marked = NULL

    def __dealloc__(self):
        cdef Py_ssize_t index
        free(self.keys)
        free(self.scratch)
        free(self.marked)
        free(self.currency)
        for index in range(self.names_count):
            release_texts(self.names[index])
        free(self.names)

    cdef int sort_texts(self, ledgers) except -1:
        """Sort accounts by their names, and by the currencies of those with one name; make their columns."""
        cdef NamedAccount* named = <NamedAccount*>malloc((self.count + 1) * sizeof(NamedAccount))
        cdef Py_ssize_t taken = 0
        cdef Ledger ledger
        if named == NULL:
            raise MemoryError(f"no memory to sort {self.count} accounts")
        for ledger in ledgers:
            taken += take_names(ledger, named + taken)
        with nogil:
            if taken:
                sort_names(
                    named, <NamedAccount*>self.marked, self.keys, self.scratch, taken, common_prefix(named, taken),
                )
        self.finish(named)
        return 0

    cdef int sort_numbers_of_currencies(self, ledgers) except -1:
        """Sort accounts by their numbers, and by the currencies of those with one number; make their columns."""
        cdef NamedAccount* named = <NamedAccount*>malloc((self.count + 1) * sizeof(NamedAccount))
        cdef Py_ssize_t taken = 0, index
        cdef const SortKey* keys = self.keys
        cdef Ledger ledger
        if named == NULL:
            raise MemoryError(f"no memory to sort {self.count} accounts")
        for ledger in ledgers:
            taken += take_addresses(ledger, self.keys + taken)
        if sort_keys(self.keys, self.scratch, taken):
            keys = self.scratch
        for index in range(taken):
            named[index].name = <const uint8_t*>keys[index].client
            named[index].account = <const Account*>keys[index].content
        self.finish(named)
        return 0

    cdef int finish(self, NamedAccount* named) except -1:
        """Make the columns of accounts that are in the order of clients, and free them."""
        try:
            if self.currencies is not None:
                self.take_currencies(self.currencies, self.count)
                self.sort_currencies(named)
            self.fill_named(named)
        finally:
            free(named)
        return 0

    cdef int sort_currencies(self, NamedAccount* named) except -1:
        """Sort accounts of one client, which are in order otherwise, by the codes of their currencies."""
        cdef uint32_t* ranks = new_ranks(self.currencies.codes)
        cdef Py_ssize_t first = 0, index
        with nogil:
            for index in range(1, self.count + 1):
                if index == self.count or not is_same_client(&named[index], &named[first], self.has_names):
                    sort_ranks(
                        named + first, <NamedAccount*>self.marked, self.keys, self.scratch, index - first, ranks,
                    )
                    first = index
            for index in range(self.count):
                self.currency[index] = named[index].account.currency
        free(ranks)
        return 0

    cdef void fill_named(self, const NamedAccount* named) noexcept nogil:
        """Make the columns of accounts that are in their order."""
        cdef int64_t* held = <int64_t*>self.scratch
        cdef uint8_t* locked = <uint8_t*>(held + self.count)
        cdef Py_ssize_t index
        for index in range(self.count):
            self.keys[index].client = <uint64_t>named[index].name
            self.keys[index].content = named[index].account.available
            held[index] = named[index].account.held
            locked[index] = named[index].account.locked
            add_wide(&self.available_sum, self.keys[index].content)
            add_wide(&self.held_sum, held[index])
            self.locked_count += locked[index]
        self.balances = self.keys
        self.held = held
        self.locked = locked

    cdef int sort_numbers(self, ledgers) except -1:
        """Sort accounts by their numbers, and make their columns."""
        cdef Py_ssize_t room = 0
        cdef Ledger ledger
        for ledger in ledgers:
            room += self.take_keys(ledger, self.keys + room)
        with nogil:
            if sort_keys(self.marked, self.scratch, self.marked_count):
                memcpy(self.marked, self.scratch, self.marked_count * sizeof(SortKey))
            if sort_keys(self.keys, self.scratch, self.count):
                self.fill(self.scratch, self.keys)
            else:
                self.fill(self.keys, self.scratch)
        return 0

    cdef int make_room(self, Py_ssize_t count) except -1:
        """Allocate columns for `count` accounts. The caller fills them: balances in `keys`; held, then locked, in
        `scratch`."""
        free(self.keys)
        free(self.scratch)
        self.keys = <SortKey*>malloc(count * sizeof(SortKey))
        self.scratch = <SortKey*>malloc(count * sizeof(SortKey))
        if self.keys == NULL or self.scratch == NULL:
            raise MemoryError(f"no memory for {count} accounts")
        self.count = 0
        self.balances = self.keys
        self.held = <const int64_t*>self.scratch
        self.locked = <const uint8_t*>(self.held + count)
        return 0

    cdef int take_currencies(self, currencies, Py_ssize_t count) except -1:
        """Make room for the currencies of `count` accounts, which the caller fills."""
        self.currency = <uint16_t*>malloc((count + 1) * sizeof(uint16_t))
        if self.currency == NULL:
            raise MemoryError(f"no memory for the currencies of {count} accounts")
        self.currencies = currencies
        return 0

    def chunks(self):
        """Iterate the accounts in parts, each as AccountColumns: here one part with all accounts."""
        return iter((self,))

    def currency_at(self, Py_ssize_t index):
        """The code of an account's currency, bytes; None where accounts have none. Raises IndexError."""
        if not 0 <= index < self.count:
            raise IndexError(f"no account {index} of {self.count}")
        return None if self.currencies is None else self.currencies.codes[self.currency[index]]

    def by_currency(self):
        """The accounts summed up by the code of their currency, in the order of codes: `(available, held)` each, in
        units of the last decimal. Only codes that an account has; none where accounts have no currency."""
        cdef Py_ssize_t index, count = 0 if self.currencies is None else len(self.currencies)
        cdef bytearray memory = bytearray((2 * count + 1) * sizeof(WideSum)), flags = bytearray(count + 1)
        cdef WideSum* sums = <WideSum*>PyByteArray_AS_STRING(memory)
        cdef uint8_t* is_there = <uint8_t*>PyByteArray_AS_STRING(flags)
        if count:
            for index in range(self.count):
                add_wide(&sums[2 * self.currency[index]], self.balances[index].content)
                add_wide(&sums[2 * self.currency[index] + 1], self.held[index])
                is_there[self.currency[index]] = True
        return dict(sorted([
            (self.currencies.codes[number], (whole(&sums[2 * number]), whole(&sums[2 * number + 1])))
            for number in range(count) if is_there[number]
        ]))

    def account(self, Py_ssize_t index):
        """`(client, available, held, locked)` of one account, amounts in units of the last decimal. Raises IndexError.
        """
        if not 0 <= index < self.count:
            raise IndexError(f"no account {index} of {self.count}")
        return self.client_at(index), self.balances[index].content, self.held[index], bool(self.locked[index])

    cdef object client_at(self, Py_ssize_t index):
        """A client: an integer, or bytes."""
        cdef const uint8_t* name = <const uint8_t*>self.balances[index].client
        return name[1:1 + name[0]] if self.has_names else self.balances[index].client

    cdef int order_of(self, Py_ssize_t index, client, currency) except? -2:
        """Below 0 where an account comes before that of this client and currency, 0 where it is that."""
        found, wanted = (self.client_at(index), self.currency_at(index)), (client, currency)
        if currency is None:
            return (found[0] > client) - (found[0] < client)
        return (found > wanted) - (found < wanted)

    def find(self, client, currency=None):
        """The index of a client's account, an integer, or bytes where clients are texts; -1 where it has none. The
        `currency` is a code, where accounts have one. The accounts may be in descending order too."""
        cdef Py_ssize_t low = 0, high = self.count, middle
        cdef Py_ssize_t last = self.count - 1
        cdef bint descends = last > 0 and self.order_of(0, self.client_at(last), self.currency_at(last)) > 0
        cdef int order
        while low < high:
            middle = low + (high - low) // 2
            order = self.order_of(middle, client, currency)
            if order == 0:
                return middle
            if (order < 0) != descends:
                low = middle + 1
            else:
                high = middle
        return -1

    def part(self, Py_ssize_t first, Py_ssize_t step, Py_ssize_t count):
        """`count` accounts, every `step`th from index `first` on, copied. Raises IndexError."""
        cdef AccountColumns part = AccountColumns(())
        cdef SortKey* keys
        cdef int64_t* held
        cdef uint8_t* locked
        cdef Py_ssize_t index, source
        part.share_names(self)
        part.currencies = self.currencies
        if count < 1:
            return part
        source = first + (count - 1) * step
        if not (0 <= first < self.count and 0 <= source < self.count):
            raise IndexError(f"no accounts {first} to {source} of {self.count}")
        part.make_room(count)
        if self.currencies is not None:
            part.take_currencies(self.currencies, count)
            for index in range(count):
                part.currency[index] = self.currency[first + index * step]
        keys, held, locked = part.keys, <int64_t*>part.held, <uint8_t*>part.locked
        with nogil:
            for index in range(count):
                source = first + index * step
                keys[index] = self.balances[source]
                held[index] = self.held[source]
                locked[index] = self.locked[source]
                add_wide(&part.available_sum, keys[index].content)
                add_wide(&part.held_sum, held[index])
                part.locked_count += locked[index]
        part.count = count
        return part

    cdef int share_names(self, AccountColumns other) except -1:
        """Take the names of other accounts, in place of none."""
        cdef Py_ssize_t index
        free(self.names)
        self.names_count = 0
        self.has_names = other.has_names
        self.names = <TextArena**>malloc((other.names_count + 1) * sizeof(TextArena*))
        if self.names == NULL:
            raise MemoryError(f"no memory for the names of {other.names_count} ledgers")
        for index in range(other.names_count):
            self.names[index] = share_texts(other.names[index])
        self.names_count = other.names_count
        return 0

    cdef Py_ssize_t take_keys(self, Ledger ledger, SortKey* keys) noexcept:
        """Make a key of each account of a ledger, in no particular order; return their number."""
        cdef const Account* slots = ledger.table.slots
        cdef SortKey* marked = self.marked
        cdef uint64_t slot
        cdef Py_ssize_t taken = 0, marked_count = self.marked_count
        if slots == NULL:
            return 0
        # Which slots are in use is random, so a branch on it would be mispredicted: write every key, and move on after
        # those in use.
        for slot in range(ledger.table.slot_mask + 1):
            keys[taken].client = marked[marked_count].client = slots[slot].client
            keys[taken].content = slots[slot].available
            taken += slots[slot].in_use
            marked[marked_count].content = <int64_t>&slots[slot]
            marked_count += (slots[slot].held != 0) | slots[slot].locked
        self.marked_count = marked_count
        return taken

    cdef void fill(self, SortKey* keys, SortKey* scratch) noexcept nogil:
        """Make the columns of the sorted keys and the sorted marked accounts."""
        cdef int64_t* held = <int64_t*>scratch
        cdef uint8_t* locked = <uint8_t*>(held + self.count)
        cdef const Account* account
        cdef WideSum available_sum = self.available_sum
        cdef WideSum held_sum = self.held_sum
        cdef Py_ssize_t mark, slot = 0
        for slot in range(self.count):
            add_wide(&available_sum, keys[slot].content)
        memset(held, 0, self.count * (sizeof(int64_t) + sizeof(uint8_t)))
        slot = 0
        for mark in range(self.marked_count):
            account = <const Account*>self.marked[mark].content
            while keys[slot].client != self.marked[mark].client:
                slot += 1
            # Moves on only where clients are equal. A loop of its own, since it waits for the account's memory, while
            # the loop above runs ahead.
            while keys[slot].content != account.available:
                slot += 1
            held[slot] = account.held
            locked[slot] = account.locked
            slot += 1
            add_wide(&held_sum, account.held)
            self.locked_count += account.locked
        self.available_sum = available_sum
        self.held_sum = held_sum
        self.balances = keys
        self.held = held
        self.locked = locked

    @property
    def available_units(self):
        """The sum of available over all accounts, in units of the last decimal."""
        return whole(&self.available_sum)

    @property
    def held_units(self):
        """The sum of held over all accounts, in units of the last decimal."""
        return whole(&self.held_sum)

    def __len__(self):
        return self.count


cdef Py_ssize_t take_addresses(Ledger ledger, SortKey* keys) noexcept:
    """Take all accounts of a ledger, by client, with their addresses; return their number."""
    cdef const Account* slots = ledger.table.slots
    cdef uint64_t slot
    cdef Py_ssize_t taken = 0
    if slots == NULL:
        return 0
    for slot in range(ledger.table.slot_mask + 1):
        if slots[slot].in_use:
            keys[taken].client = slots[slot].client
            keys[taken].content = <int64_t>&slots[slot]
            taken += 1
    return taken


cdef inline bint is_same_client(
    const NamedAccount* one, const NamedAccount* other, const bint has_names,
) noexcept nogil:
    return compare_names(one.name, other.name) == 0 if has_names else one.name == other.name


cdef void sort_ranks(
    NamedAccount* named,  # IN, OUT
    NamedAccount* in_order,  # scratch for as many, as are the next two
    SortKey* keys,
    SortKey* scratch,
    const Py_ssize_t count,  # IN
    const uint32_t* ranks,  # IN of currencies, by their numbers
) noexcept nogil:
    """Sort accounts of one client by the ranks of their currencies."""
    cdef Py_ssize_t index
    if count < 2:
        return
    for index in range(count):
        keys[index].client = ranks[named[index].account.currency]
    sort_by_keys(named, in_order, keys, scratch, count)


cdef Py_ssize_t take_names(Ledger ledger, NamedAccount* named) noexcept:
    """Take all accounts of a ledger whose clients are texts; return their number."""
    cdef const Account* slots = ledger.table.slots
    cdef uint64_t slot
    cdef Py_ssize_t taken = 0
    if slots == NULL:
        return 0
    for slot in range(ledger.table.slot_mask + 1):
        if slots[slot].in_use:
            named[taken].name = name_of(&ledger.table, &slots[slot])
            named[taken].account = &slots[slot]
            taken += 1
    return taken


cdef void sort_names(
    NamedAccount* named,  # IN, OUT
    NamedAccount* in_order,  # scratch for as many, as are the next two
    SortKey* keys,
    SortKey* scratch,
    const Py_ssize_t count,  # IN
    const Py_ssize_t depth,  # IN bytes in which all names are alike
) noexcept nogil:
    """Sort accounts by the bytes of their names. Those with equal names stay in order."""
    cdef Py_ssize_t index, first = 0
    if count <= COMPARED_NAMES_MAX or depth >= NAME_DEPTH_MAX:
        sort_few(named, count)
        return
    for index in range(count):
        keys[index].client = word_of(named[index].name, depth)
    sort_by_keys(named, in_order, keys, scratch, count)
    for index in range(1, count + 1):
        if index == count or keys[index].client != keys[first].client:
            if index - first > 1:
                sort_names(
                    named + first, in_order + first, keys + first, scratch + first, index - first, depth + WORD_BYTES,
                )
            first = index
