"""ExpectedAccounts: what accounts should be, and where those of a run differ.

Both sides are in ascending order of client, and are compared by one pass over them. This module must not know where
either comes from, nor where differences go.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, malloc

from txfast.ledger.key_order cimport SortKey, sort_keys
from txfast.ledger.name_order cimport NamedAccount, common_prefix, compare_names
from txfast.ledger.rules cimport Account
from txfast.ledger.sorted_accounts cimport AccountColumns, sort_names
from txfast.readers.balance_rows cimport VALUE_COUNT, BalanceRows
from txfast.writers.difference_columns cimport (
    ACCOUNT, AVAILABLE, DIFFERENCES_MAX, DIFFERS_COUNT, HELD, LOCKED, TOTAL, DifferenceColumns, Differs,
    add_difference,
)

assert VALUE_COUNT == DIFFERS_COUNT - AVAILABLE, "the columns of balances are those that can differ"
# Memory of each row beside its columns while rows are sorted, and after that.
SORTING_BYTES = 2 * sizeof(SortKey)
SORTED_BYTES = sizeof(SortKey)


cdef class ExpectedAccounts:
    """The rows of a file of expected accounts, in any order, made ready to be compared. `twice` is a row whose client
    an earlier row has; -1 where there is none.

    `compare` the parts of some accounts in ascending order of client, then `finish`. `begin` before another comparison.
    """

    cdef readonly BalanceRows rows
    # Clients in ascending order, each as AccountColumns have it, and the row of each; NULL where the rows are in order.
    cdef SortKey* keys
    cdef Py_ssize_t place  # of the next expected account
    cdef readonly Py_ssize_t twice

    def __cinit__(self, BalanceRows rows not None):
        self.rows = rows
        self.twice = -1
        if not ascends(rows):
            self.sort()

    def __dealloc__(self):
        free(self.keys)

    def __len__(self):
        return self.rows.rows

    cdef int sort(self) except -1:
        cdef Py_ssize_t count = self.rows.rows, row
        cdef SortKey* keys = <SortKey*>malloc(count * sizeof(SortKey))
        cdef SortKey* scratch = <SortKey*>malloc(count * sizeof(SortKey))
        cdef Py_ssize_t named_count = 2 * count if self.rows.has_names else 0
        cdef NamedAccount* named = <NamedAccount*>malloc((named_count + 1) * sizeof(NamedAccount))
        if keys == NULL or scratch == NULL or named == NULL:
            free(keys)
            free(scratch)
            free(named)
            raise MemoryError(f"no memory to sort {count} expected accounts")
        with nogil:
            if self.rows.has_names:
                sort_rows_by_name(self.rows, named, keys, scratch)
            else:
                for row in range(count):
                    keys[row].client = self.rows.client[row]
                    keys[row].content = row
                if sort_keys(keys, scratch, count):
                    keys, scratch = scratch, keys
            free(scratch)
            free(named)
            # Equal clients stay in order: the later row is the one that is there twice.
            for row in range(1, count):
                if order(keys[row].client, keys[row - 1].client, self.rows.has_names) == 0:
                    self.twice = keys[row].content
                    break
        self.keys = keys
        return 0

    def begin(self):
        """Begin with the first expected account."""
        self.place = 0

    def compare(self, AccountColumns accounts not None, Py_ssize_t first, DifferenceColumns out not None):
        """Compare accounts from index `first` on, until all are compared or `out` is full; return the index of the
        first that is left."""
        if not 0 <= first <= accounts.count:
            raise IndexError(f"no account {first} of {accounts.count}")
        with nogil:
            while first < accounts.count and out.rows <= DIFFERENCES_MAX - DIFFERS_COUNT:
                first += self.compare_next(accounts, first, out)
        return first

    def finish(self, DifferenceColumns out not None):
        """After the last account: add the expected ones that are left, until `out` is full; False where none is."""
        with nogil:
            while self.place < self.rows.rows and out.rows < DIFFERENCES_MAX:
                add_difference(out, self.client_at(self.place), ACCOUNT, True, False)
                self.place += 1
        return self.place < self.rows.rows

    cdef uint64_t client_at(self, const Py_ssize_t place) noexcept nogil:
        """An expected client, as AccountColumns have it: of a text, the address."""
        if self.keys != NULL:
            return self.keys[place].client
        return <uint64_t>self.rows.name_at(place) if self.rows.has_names else self.rows.client[place]

    cdef bint compare_next(self, AccountColumns accounts, const Py_ssize_t index, DifferenceColumns out) noexcept nogil:
        """Compare an account with the next expected one; whether the account is done."""
        cdef const SortKey* balance = &accounts.balances[index]
        cdef uint64_t expected = self.client_at(self.place) if self.place < self.rows.rows else 0
        cdef Py_ssize_t row
        cdef int found = -1
        if self.place < self.rows.rows:
            found = order(balance.client, expected, self.rows.has_names)
        if found < 0:
            add_difference(out, balance.client, ACCOUNT, False, True)
            return True
        if found > 0:
            add_difference(out, expected, ACCOUNT, True, False)
            self.place += 1
            return False
        row = self.place if self.keys == NULL else self.keys[self.place].content
        self.place += 1
        self.compare_value(AVAILABLE, row, balance.client, balance.content, out)
        self.compare_value(HELD, row, balance.client, accounts.held[index], out)
        self.compare_value(TOTAL, row, balance.client, balance.content + accounts.held[index], out)
        self.compare_value(LOCKED, row, balance.client, accounts.locked[index], out)
        return True

    cdef void compare_value(
        self, const Differs differs, const Py_ssize_t row, const uint64_t client, const int64_t found,
        DifferenceColumns out,
    ) noexcept nogil:
        """Compare one value, where the file has such a column."""
        cdef const int64_t* expected = self.rows.values[differs - AVAILABLE]
        if expected != NULL and expected[row] != found:
            add_difference(out, client, differs, expected[row], found)


cdef inline int order(const uint64_t client, const uint64_t other, const bint has_names) noexcept nogil:
    """Below 0 where the first client comes before the other, 0 where they are the same."""
    if has_names:
        return compare_names(<const uint8_t*>client, <const uint8_t*>other)
    return (client > other) - (client < other)


cdef bint ascends(BalanceRows rows) noexcept nogil:
    """Whether each client comes after the one before it."""
    cdef Py_ssize_t row
    for row in range(1, rows.rows):
        if rows.has_names:
            if compare_names(rows.name_at(row), rows.name_at(row - 1)) <= 0:
                return False
        elif rows.client[row] <= rows.client[row - 1]:
            return False
    return True


cdef void sort_rows_by_name(
    BalanceRows rows,  # IN
    NamedAccount* named,  # scratch for twice as many
    SortKey* keys,  # OUT the address of each name, and its row
    SortKey* scratch,
) noexcept nogil:
    """Sort rows by the bytes of their clients. Equal ones stay in order."""
    cdef Py_ssize_t count = rows.rows, row
    for row in range(count):
        named[row].name = rows.name_at(row)
        # Sorting moves the pointer along and does not follow it: here it is the row.
        named[row].account = <const Account*>row
    sort_names(named, named + count, keys, scratch, count, common_prefix(named, count))
    for row in range(count):
        keys[row].client = <uint64_t>named[row].name
        keys[row].content = <int64_t>named[row].account
