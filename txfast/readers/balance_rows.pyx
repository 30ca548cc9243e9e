"""BalanceRows: rows of a file of balances as columns of numbers, in the order of the file.

The file's readers fill them: balance_csv.pyx, balance_table.py. This module must not know formats.
"""

from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from bisect import bisect_right

from txfast.batch.batch cimport NO_AMOUNT, TransactionBatch
from txfast.text.numbers_in cimport UNITS_PER_ONE

from txfast.batch.batch import MALFORMED_REASONS
from txfast.batch.cursor import report
from txfast.readers.balance_columns import CLIENT, LOCKED, VALUES

assert len(VALUES) == VALUE_COUNT

cdef Py_ssize_t ROWS_MIN = 1 << 12
# Of each row, at most: a client and the values.
ROW_BYTES = sizeof(uint64_t) + VALUE_COUNT * sizeof(int64_t)


cdef class BalanceRows:
    """Rows of a file of balances: a client and some of VALUES each. `columns` are the names of those that there are.

    Amounts are in units of 0.0001. `rows` is their number; `line_of` gives a row's place in the file.
    """

    def __cinit__(self, columns not None):
        cdef int value
        for value in range(VALUE_COUNT):
            self.has[value] = VALUES[value] in columns
        self.next_line = 1
        self.breaks = []

    def __dealloc__(self):
        cdef int value
        free(self.client)
        for value in range(VALUE_COUNT):
            free(self.values[value])

    def __len__(self):
        return self.rows

    @property
    def columns(self):
        """The names of the columns, but for `client`."""
        return tuple([VALUES[value] for value in range(VALUE_COUNT) if self.has[value]])

    @property
    def memory_bytes(self):
        """The bytes that the rows take, with room for more."""
        return self.capacity * (1 + len(self.columns)) * <Py_ssize_t>sizeof(int64_t)

    @property
    def clients(self):
        """The clients, as a memory view that is valid until rows are added. There must be rows."""
        cdef uint64_t[::1] view = <uint64_t[:self.rows]>self.client
        return view

    def units(self, str name not None):
        """A column of VALUES that there is, in the same way."""
        cdef int value = VALUES.index(name)
        cdef int64_t[::1] view
        if not self.has[value]:
            raise ValueError(f"no column {name!r}")
        view = <int64_t[:self.rows]>self.values[value]
        return view

    def line_of(self, Py_ssize_t row):
        """The line of a row in its file; of a table's row, its number from 1."""
        at = bisect_right(self.breaks, row, key=lambda place: place[0]) - 1
        first, line = self.breaks[at] if at >= 0 else (0, 1)
        return line + row - first

    def clear(self):
        """Forget the rows. Those that come next follow them in the file."""
        self.rows = 0
        self.breaks = [(0, self.next_line)]

    def skip_to(self, uint64_t line):
        """Note that the next row is in this line."""
        if line != self.next_line:
            self.breaks.append((self.rows, line))
            self.next_line = line

    cdef int reserve(self, Py_ssize_t rows) except -1:
        """Make room for this many more rows."""
        cdef Py_ssize_t capacity = max(self.capacity, ROWS_MIN)
        cdef int value
        while capacity < self.rows + rows:
            capacity += capacity // 2
        if capacity == self.capacity:
            return 0
        self.client = <uint64_t*>resized(self.client, capacity)
        for value in range(VALUE_COUNT):
            if self.has[value]:
                self.values[value] = <int64_t*>resized(self.values[value], capacity)
        self.capacity = capacity
        return 0

    def add_batch(self, TransactionBatch batch not None, str name not None, Py_ssize_t rows_before):
        """Take a column of VALUES, and the clients, from the rows of a batch, where they are `client` and `amount`. The
        batch's first row is the row `rows_before` + 1 of those that were added last with `begin_table`.

        Return None, or `(row of the batch, what is wrong with it)`.
        """
        cdef int value = VALUES.index(name)
        cdef Py_ssize_t row, first = self.rows + rows_before
        if first + batch.rows > self.capacity or not self.has[value]:
            raise ValueError("no room for these rows")
        if batch.malformed_rows:
            batch.number_lines(1)
            line, reason, *_ = next(report(batch, rejected=False))
            return line - 1, what_is_wrong(MALFORMED_REASONS[reason], name)
        for row in range(batch.rows):
            if batch.kind[row] & NO_AMOUNT:
                return row, f"{name} is empty"
        if batch.rows:
            memcpy(self.client + first, batch.client, batch.rows * sizeof(uint64_t))
            memcpy(self.values[value] + first, batch.amount, batch.rows * sizeof(int64_t))
        if name == LOCKED:
            for row in range(batch.rows):
                if not 0 <= batch.amount[row] <= UNITS_PER_ONE:
                    return row, what_is_wrong("bad_amount", name)
                self.values[value][first + row] = batch.amount[row] // UNITS_PER_ONE
        return None

    def begin_table(self, Py_ssize_t rows):
        """Make room for the rows that `add_batch` adds next, column by column; `end_table` counts them."""
        self.reserve(rows)

    def end_table(self, Py_ssize_t rows):
        """Count the rows that `add_batch` has added."""
        if not 0 <= rows <= self.capacity - self.rows:
            raise ValueError(f"no room for {rows} rows")
        self.rows += rows
        self.next_line += <uint64_t>rows


def what_is_wrong(str reason not None, str name not None):
    """What is wrong with a row whose client and amount were malformed for this reason."""
    if reason == "bad_client":
        return f"bad_client: {CLIENT} is no number from 0 to 2^64 - 1"
    if reason == "bad_amount":
        if name == LOCKED:
            return f"{name} is neither true nor false"
        return f"bad_amount: {name} is no amount with at most four decimals"
    return reason


cdef void* resized(void* array, Py_ssize_t capacity) except NULL:
    """An array of this many words, with the old content. On failure the old array stays."""
    cdef void* grown = realloc(array, capacity * sizeof(int64_t))
    if grown == NULL:
        raise MemoryError(f"no memory for {capacity} rows of balances")
    return grown
