"""ExpectedAccounts: what accounts should be, and where those of a run differ.

Both sides are in ascending order of client, and are compared by one pass over them. This module must not know where
either comes from, nor where differences go.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc

from txfast.ledger.key_order cimport SortKey, sort_keys
from txfast.ledger.sorted_accounts cimport AccountColumns
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
    cdef SortKey* keys  # clients in ascending order, and the row of each; NULL where the rows are in that order
    cdef Py_ssize_t place  # of the next expected account
    cdef readonly Py_ssize_t twice

    def __cinit__(self, BalanceRows rows not None):
        self.rows = rows
        self.twice = -1
        if not ascends(rows.client, rows.rows):
            self.sort()

    def __dealloc__(self):
        free(self.keys)

    def __len__(self):
        return self.rows.rows

    cdef int sort(self) except -1:
        cdef Py_ssize_t count = self.rows.rows, row
        cdef const uint64_t* client = self.rows.client
        cdef SortKey* keys = <SortKey*>malloc(count * sizeof(SortKey))
        cdef SortKey* scratch = <SortKey*>malloc(count * sizeof(SortKey))
        if keys == NULL or scratch == NULL:
            free(keys)
            free(scratch)
            raise MemoryError(f"no memory to sort {count} expected accounts")
        with nogil:
            for row in range(count):
                keys[row].client = client[row]
                keys[row].content = row
            if sort_keys(keys, scratch, count):
                keys, scratch = scratch, keys
            free(scratch)
            # Equal clients stay in order: the later row is the one that is there twice.
            for row in range(1, count):
                if keys[row].client == keys[row - 1].client:
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
        return self.rows.client[place] if self.keys == NULL else self.keys[place].client

    cdef bint compare_next(self, AccountColumns accounts, const Py_ssize_t index, DifferenceColumns out) noexcept nogil:
        """Compare an account with the next expected one; whether the account is done."""
        cdef const SortKey* balance = &accounts.balances[index]
        cdef uint64_t expected = self.client_at(self.place) if self.place < self.rows.rows else 0
        cdef Py_ssize_t row
        if self.place == self.rows.rows or balance.client < expected:
            add_difference(out, balance.client, ACCOUNT, False, True)
            return True
        if balance.client > expected:
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


cdef bint ascends(const uint64_t* clients, const Py_ssize_t count) noexcept nogil:
    """Whether each client is greater than the one before it."""
    cdef Py_ssize_t row
    for row in range(1, count):
        if clients[row] <= clients[row - 1]:
            return False
    return True
