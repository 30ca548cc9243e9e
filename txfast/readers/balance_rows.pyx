"""BalanceRows: rows of a file of balances as columns, in the order of the file.

balance_parser.pyx fills them. This module must not know formats.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t
from libc.stdlib cimport free, realloc

from bisect import bisect_right

from txfast.batch.ids cimport ID_BYTES_MAX
from txfast.text.text_hash cimport TEXT_HASH_SLACK_BYTES

from txfast.readers.balance_columns import VALUES

assert len(VALUES) == VALUE_COUNT

cdef enum:
    # Room for one more name: its length, its bytes, and what comparing and copying it touches behind it.
    NAME_ROOM_BYTES = 1 + ID_BYTES_MAX + TEXT_HASH_SLACK_BYTES

cdef Py_ssize_t ROWS_MIN = 1 << 12
cdef Py_ssize_t NAMES_MIN = 1 << 16


cdef class BalanceRows:
    """Rows of a file of balances: a client and some of VALUES each. `columns` are the names of those that there are.

    Amounts are in units of the last decimal. `rows` is their number; `line_of` gives a row's place in the file. With
    `has_names`, clients are texts. `currencies` are those of the run, None where accounts have none.
    """

    def __cinit__(self, columns not None, *, bint has_names=False, currencies=None):
        cdef int value
        for value in range(VALUE_COUNT):
            self.has[value] = VALUES[value] in columns
        self.has_names = has_names
        self.currencies = currencies
        self.next_line = 1
        self.breaks = []

    def __dealloc__(self):
        cdef int value
        free(self.client)
        free(self.currency)
        free(self.names)
        free(self.name_start)
        for value in range(VALUE_COUNT):
            free(self.values[value])

    def __len__(self):
        return self.rows

    @property
    def columns(self):
        """The names of the columns, but for `client` and `currency`."""
        return tuple([VALUES[value] for value in range(VALUE_COUNT) if self.has[value]])

    @property
    def memory_bytes(self):
        """The bytes that the rows take, with room for more."""
        words = 1 + len(self.columns) + self.has_names
        row_bytes = words * <Py_ssize_t>sizeof(int64_t)
        if self.currencies is not None:
            row_bytes += <Py_ssize_t>sizeof(uint16_t)
        return self.capacity * row_bytes + self.names_capacity

    @property
    def clients(self):
        """The clients, as a memory view that is valid until rows are added; of texts their hashes. There must be rows.
        """
        cdef uint64_t[::1] view = <uint64_t[:self.rows]>self.client
        return view

    @property
    def currency_numbers(self):
        """The numbers of the currencies, in the same way; None where accounts have none."""
        cdef uint16_t[::1] view
        if self.currencies is None:
            return None
        view = <uint16_t[:self.rows]>self.currency
        return view

    @property
    def text_bytes(self):
        """The bytes of all names, with the length before each; 0 where clients are numbers."""
        return self.names_end

    @property
    def name_texts(self):
        """The names of clients that are texts, each with its length before it, in the same way; else None."""
        cdef uint8_t[::1] view
        if not self.has_names:
            return None
        view = <uint8_t[:self.names_end + <Py_ssize_t>TEXT_HASH_SLACK_BYTES]>self.names
        return view

    @property
    def name_starts(self):
        """Where each name begins in `name_texts`, in the same way."""
        cdef uint64_t[::1] view
        if not self.has_names:
            return None
        view = <uint64_t[:self.rows]>self.name_start
        return view

    def client_of(self, Py_ssize_t row):
        """The client of a row: an integer, or bytes. Raises IndexError."""
        cdef const uint8_t* name
        if not 0 <= row < self.rows:
            raise IndexError(f"no row {row} of {self.rows}")
        if not self.has_names:
            return self.client[row]
        name = self.name_at(row)
        return name[1:1 + name[0]]

    def currency_of(self, Py_ssize_t row):
        """The code of a row's currency, bytes; None where accounts have none. Raises IndexError."""
        if not 0 <= row < self.rows:
            raise IndexError(f"no row {row} of {self.rows}")
        return None if self.currencies is None else self.currencies.codes[self.currency[row]]

    def owner_of(self, Py_ssize_t row):
        """Whose account a row is of: its client and the code of its currency, as above."""
        return self.client_of(row), self.currency_of(row)

    cdef const uint8_t* name_at(self, const Py_ssize_t row) noexcept nogil:
        """The name of a row's client, its length first. It is valid until rows are added."""
        return self.names + self.name_start[row]

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
        self.rows = self.names_end = 0
        self.breaks = [(0, self.next_line)]

    def skip_to(self, uint64_t line):
        """Note that the next row is in this line."""
        if line != self.next_line:
            self.breaks.append((self.rows, line))
            self.next_line = line

    cdef int reserve_row(self) except -1:
        """Make room for one more row."""
        cdef Py_ssize_t capacity = self.capacity + max(self.capacity // 2, ROWS_MIN)
        cdef int value
        if self.rows == self.capacity:
            self.client = <uint64_t*>resized(self.client, capacity * sizeof(uint64_t))
            if self.currencies is not None:
                self.currency = <uint16_t*>resized(self.currency, capacity * sizeof(uint16_t))
            if self.has_names:
                self.name_start = <uint64_t*>resized(self.name_start, capacity * sizeof(uint64_t))
            for value in range(VALUE_COUNT):
                if self.has[value]:
                    self.values[value] = <int64_t*>resized(self.values[value], capacity * sizeof(int64_t))
            self.capacity = capacity
        if self.has_names and self.names_end + NAME_ROOM_BYTES > self.names_capacity:
            capacity = self.names_capacity + max(self.names_capacity // 2, NAMES_MIN)
            self.names = <uint8_t*>resized(self.names, capacity)
            self.names_capacity = capacity
        return 0


cdef void* resized(void* array, Py_ssize_t size) except NULL:
    """An array of this many bytes, with the old content. On failure the old array stays."""
    cdef void* grown = realloc(array, size)
    if grown == NULL:
        raise MemoryError(f"no memory for rows of balances: {size} bytes are needed")
    return grown
