"""ExpectedAccounts: what accounts should be, and where those of a run differ.

Both sides are in ascending order of client, then of the code of the currency where accounts have one, and are compared
by one pass over them. This module must not know files.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from txfast.dialect.currencies cimport new_ranks
from txfast.ledger.key_order cimport SortKey, sort_bucket, sort_keys
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
    an earlier row has, in the same currency where accounts have one; -1 where there is none.

    `compare` the parts of some accounts in ascending order of client, then `finish`. `begin` before another comparison.
    """

    cdef readonly BalanceRows rows
    # Clients in ascending order, each as AccountColumns have it, and the row of each; NULL where the rows are in order.
    cdef SortKey* keys
    # The places of codes in the order of all, by the numbers of currencies; NULL where accounts have none. A run may
    # meet more of them before accounts are compared.
    cdef uint32_t* ranks
    cdef Py_ssize_t place  # of the next expected account
    cdef readonly Py_ssize_t twice

    def __cinit__(self, BalanceRows rows not None):
        self.rows = rows
        self.twice = -1
        self.rank_currencies()
        if not ascends(self):
            self.sort()

    def __dealloc__(self):
        free(self.keys)
        free(self.ranks)

    cdef int rank_currencies(self) except -1:
        """Rank all currencies that the run has met so far."""
        if self.rows.currencies is not None:
            free(self.ranks)
            self.ranks = NULL
            self.ranks = new_ranks(self.rows.currencies.codes)
        return 0

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
            if self.ranks != NULL:
                self.sort_currencies(keys, scratch)
            free(scratch)
            free(named)
            # Rows of one account stay in order: the later one is the one that is there twice.
            for row in range(1, count):
                if order_of_rows(self, keys[row].content, keys[row - 1].content) == 0:
                    self.twice = keys[row].content
                    break
        self.keys = keys
        return 0

    cdef void sort_currencies(self, SortKey* keys, SortKey* scratch) noexcept nogil:
        """Sort rows of one client, which are in order otherwise, by the ranks of their currencies."""
        cdef Py_ssize_t count = self.rows.rows, first = 0, index, row
        for index in range(1, count + 1):
            if index == count or order_of_clients(self, keys[index].client, keys[first].client) != 0:
                for row in range(first, index):
                    keys[row].client = self.ranks[self.rows.currency[keys[row].content]]
                if index - first > 1:
                    sort_bucket(keys + first, scratch + first, index - first)
                for row in range(first, index):
                    keys[row].client = client_of(self, keys[row].content)
                first = index

    def begin(self):
        """Begin with the first expected account. Call it once all accounts are known."""
        self.rank_currencies()
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
                self.add_missing(out)
        return self.place < self.rows.rows

    cdef void add_missing(self, DifferenceColumns out) noexcept nogil:
        """Add the next expected account as one that is not there."""
        add_difference(out, next_client(self), currency_of(self, next_row(self)), ACCOUNT, True, False)
        self.place += 1

    cdef bint compare_next(self, AccountColumns accounts, const Py_ssize_t index, DifferenceColumns out) noexcept nogil:
        """Compare an account with the next expected one; whether the account is done."""
        cdef const SortKey* balance = &accounts.balances[index]
        cdef uint16_t currency = accounts.currency[index] if accounts.currency != NULL else 0
        cdef Py_ssize_t row = 0
        cdef int found = -1
        if self.place < self.rows.rows:
            row = next_row(self)
            found = order(self, balance.client, currency, next_client(self), row)
        if found < 0:
            add_difference(out, balance.client, currency, ACCOUNT, False, True)
            return True
        if found > 0:
            self.add_missing(out)
            return False
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
            add_difference(out, client, currency_of(self, row), differs, expected[row], found)


cdef inline Py_ssize_t next_row(ExpectedAccounts expected) noexcept nogil:
    """The row of the next expected account."""
    return expected.place if expected.keys == NULL else expected.keys[expected.place].content


cdef inline uint64_t next_client(ExpectedAccounts expected) noexcept nogil:
    """Its client, as AccountColumns have it."""
    return client_of(expected, expected.place) if expected.keys == NULL else expected.keys[expected.place].client


cdef inline uint64_t client_of(ExpectedAccounts expected, const Py_ssize_t row) noexcept nogil:
    """The client of a row, as AccountColumns have it: of a text, the address."""
    return <uint64_t>expected.rows.name_at(row) if expected.rows.has_names else expected.rows.client[row]


cdef inline uint16_t currency_of(ExpectedAccounts expected, const Py_ssize_t row) noexcept nogil:
    """The number of a row's currency; 0 where accounts have none."""
    return expected.rows.currency[row] if expected.rows.currency != NULL else 0


cdef inline int order(
    ExpectedAccounts expected,
    const uint64_t client,  # IN as AccountColumns have it
    const uint16_t currency,  # IN its number
    const uint64_t other,  # IN the client of the row
    const Py_ssize_t row,  # IN
) noexcept nogil:
    """Below 0 where an account comes before that of a row, 0 where it is that."""
    cdef int found = order_of_clients(expected, client, other)
    cdef uint32_t rank, row_rank
    if found or expected.ranks == NULL:
        return found
    rank = expected.ranks[currency]
    row_rank = expected.ranks[expected.rows.currency[row]]
    return (rank > row_rank) - (rank < row_rank)


cdef inline int order_of_clients(ExpectedAccounts expected, const uint64_t client, const uint64_t other) noexcept nogil:
    """Below 0 where the first client comes before the other, 0 where they are the same."""
    if expected.rows.has_names:
        return compare_names(<const uint8_t*>client, <const uint8_t*>other)
    return (client > other) - (client < other)


cdef inline int order_of_rows(ExpectedAccounts expected, const Py_ssize_t row, const Py_ssize_t other) noexcept nogil:
    """Below 0 where a row comes before the other, 0 where both are of one account."""
    return order(expected, client_of(expected, row), currency_of(expected, row), client_of(expected, other), other)


cdef bint ascends(ExpectedAccounts expected) noexcept nogil:
    """Whether each row comes after the one before it."""
    cdef Py_ssize_t row
    for row in range(1, expected.rows.rows):
        if order_of_rows(expected, row, row - 1) <= 0:
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
