"""BalanceCsvReader: reads a CSV file of balances, block by block.

Fields and numbers are read as those of transactions. But a wrong row fails the run: what was left out of a file of
balances would make each balance of the run doubtful. This module must not know what a run does with balances.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memmove

from cpython.bytearray cimport PyByteArray_AS_STRING

from txfast.readers.balance_rows cimport VALUE_COUNT, BalanceRows
from txfast.readers.cutter cimport Cutter, end_of_rows, end_of_rows_by_last_quote, go_on, new_cutter
from txfast.readers.row cimport is_word
from txfast.text.bits cimport TEXT_SLACK_BYTES
from txfast.text.csv_in cimport ROW_BYTES_MAX, Field, Syntax, default_syntax, skip_blanks, take_field
from txfast.text.endings cimport count_lines, find_ending, is_ending, past_ending
from txfast.text.numbers_in cimport parse_amount, parse_id

from txfast.errors import SourceError, unreadable
from txfast.readers.balance_columns import CLIENT, VALUES
from txfast.readers.balance_rows import what_is_wrong

READ_BLOCK_BYTES = 1 << 18

cdef enum:
    LOCKED = VALUE_COUNT - 1
    SHOWN_BYTES_MAX = 80
    BOM_BYTES = 3

# What a row can have that no row of balances has.
cdef enum Wrong:
    FITS
    BLANK
    TOO_LONG
    BAD_QUOTING
    SURPLUS
    BAD_CLIENT
    BAD_VALUE  # and the column's number more

# Where the columns are in a row: for each, its number or -1.
cdef struct Places:
    Py_ssize_t client
    Py_ssize_t[VALUE_COUNT] values
    Py_ssize_t width

# A row's texts, and what its other fields show.
cdef struct Fields:
    Field client
    Field[VALUE_COUNT] values
    bint has_quotes
    bint has_surplus  # a field behind the last column is not empty

cdef struct Balance:
    uint64_t client
    int64_t[VALUE_COUNT] values


cdef class BalanceCsvReader:
    """Reads a CSV file of balances: `fill` BalanceRows with the rows of the next block.

    `file` has `readinto`; `name` is the file's in messages; `contents` (balance_columns.py) says which columns it may
    have. `rows` are the BalanceRows, which the first `fill` makes.
    """

    cdef object file
    cdef str name
    cdef object contents
    cdef bytearray buffer
    cdef Py_ssize_t filled
    cdef Py_ssize_t taken  # bytes of the buffer that were parsed
    cdef bint at_end
    cdef Syntax syntax
    cdef Places places
    cdef readonly BalanceRows rows

    def __cinit__(self, file not None, str name not None, contents not None, Py_ssize_t block_bytes=READ_BLOCK_BYTES):
        self.file = file
        self.name = name
        self.contents = contents
        self.syntax = default_syntax()
        self.buffer = bytearray(block_bytes + TEXT_SLACK_BYTES)

    def fill(self):
        """Add the next rows to `rows`; False at the end of the file.

        Raises InputError for a file or a row that is wrong, and SourceError where the file cannot be read.
        """
        cdef const uint8_t* text
        cdef Py_ssize_t end
        while True:
            end = self.next_block()
            if not end:
                if self.rows is None:
                    raise self.contents.wrong(self.name, f"it is empty: it needs {self.contents.needed}")
                return False
            text = <const uint8_t*>PyByteArray_AS_STRING(self.buffer)
            if self.rows is None:
                self.take_header(text, text + end)
            else:
                self.taken = 0
            if self.rows is not None:
                self.take_rows(text + self.taken, text + end)
            self.taken = end
            if self.rows is not None:
                return True

    cdef Py_ssize_t next_block(self) except -1:
        """Read until whole rows are in the buffer; return where they end, 0 at the end of the file."""
        cdef Cutter cutter = new_cutter()
        cdef const uint8_t* text = <const uint8_t*>PyByteArray_AS_STRING(self.buffer)
        cdef Py_ssize_t end
        cdef bint is_first = True
        memmove(<uint8_t*>text, text + self.taken, self.filled - self.taken)
        self.filled -= self.taken
        self.taken = 0
        while True:
            self.read_on()
            text = <const uint8_t*>PyByteArray_AS_STRING(self.buffer)
            if self.at_end:
                return self.filled
            with nogil:
                end = end_of_rows_by_last_quote(text, self.filled, &self.syntax) if is_first else 0
                if not end:
                    go_on(&cutter, text, text + self.filled, &self.syntax)
                    end = end_of_rows(&cutter, text, self.filled, &self.syntax)
            is_first = False
            if end:
                return end
            # While a field is open, the row may yet end with the line of its opening.
            if cutter.opening < 0 and self.filled > ROW_BYTES_MAX:
                line = 1 if self.rows is None else self.rows.next_line
                raise self.contents.wrong_row(self.name, line, "the row is longer than 1 MiB")
            self.buffer.extend(bytes(len(self.buffer)))

    cdef int read_on(self) except -1:
        """Read until the buffer is full or the file ends."""
        cdef Py_ssize_t capacity = len(self.buffer) - TEXT_SLACK_BYTES
        with memoryview(self.buffer) as view:
            while self.filled < capacity and not self.at_end:
                try:
                    count = self.file.readinto(view[self.filled:capacity])
                except SourceError:
                    raise
                except OSError as error:
                    raise unreadable(self.name, error) from error
                if count is None:
                    raise unreadable(self.name, "it is non-blocking and has nothing to read yet")
                self.at_end = count == 0
                self.filled += <Py_ssize_t>count
        return 0

    cdef int take_header(self, const uint8_t* text, const uint8_t* end) except -1:
        """Find the header, the first row that is not blank; `taken` is then where it ends."""
        cdef const uint8_t* start = text
        cdef const uint8_t* row
        cdef Field field
        cdef uint64_t line = 1
        cdef list names = []
        if end - start >= BOM_BYTES and memcmp(start, b"\xef\xbb\xbf", BOM_BYTES) == 0:
            start += BOM_BYTES
        row = skip_blanks(start, end, &self.syntax)
        while row < end and is_ending(row[0]):
            start = past_ending(row, end)
            row = skip_blanks(start, end, &self.syntax)
            line += 1
        self.taken = start - text
        if row == end:
            return 0
        while True:
            row = start
            start = take_field(start, end, &self.syntax, &field)
            if start == NULL:
                raise self.contents.wrong(self.name, "its header is badly quoted: close each quote before a comma")
            names.append(field.start[:field.end - field.start].decode("utf-8", "replace"))
            line += count_lines(row, start)
            if start == end or start[0] != self.syntax.delimiter:
                break
            start += 1
        found = self.contents.find(self.name, names)
        self.places.client = found[CLIENT]
        self.places.width = len(names)
        for index, name in enumerate(VALUES):
            self.places.values[index] = found.get(name, -1)
        self.rows = BalanceRows(found)
        self.rows.skip_to(line + 1)
        self.taken = past_ending(start, end) - text
        return 0

    cdef int take_rows(self, const uint8_t* start, const uint8_t* end) except -1:
        """Parse rows up to the end of a text of whole rows."""
        cdef BalanceRows rows = self.rows
        cdef const uint8_t* row = start
        cdef const uint8_t* row_end = start
        cdef uint64_t line = rows.next_line
        cdef Balance balance
        cdef Py_ssize_t lines
        cdef int wrong
        while row < end:
            wrong = parse_balance(row, end, &self.syntax, &self.places, &balance, &row_end, &lines)
            if wrong == FITS:
                if rows.rows == rows.capacity:
                    rows.reserve(1)
                if line != rows.next_line:
                    rows.skip_to(line)
                put_balance(rows, &balance)
            elif wrong != BLANK:
                raise self.wrong_row(line, wrong, row[:min(row_end - row, <Py_ssize_t>SHOWN_BYTES_MAX)])
            line += <uint64_t>lines
            row = past_ending(row_end, end)
        # Blank lines at the end of the block count too.
        if line != rows.next_line:
            rows.skip_to(line)
        return 0

    cdef object wrong_row(self, uint64_t line, int wrong, bytes row):
        """The error for a row that is wrong."""
        if wrong >= BAD_VALUE:
            name = VALUES[wrong - BAD_VALUE]
            found = what_is_wrong("bad_amount", name)
        elif wrong == BAD_CLIENT:
            found = what_is_wrong("bad_client", "")
        else:
            found = {
                TOO_LONG: "the row is longer than 1 MiB", BAD_QUOTING: "bad_quoting",
                SURPLUS: "too_many_fields: it has more fields than the header",
            }[wrong]
        return self.contents.wrong_row(self.name, line, f"{found}: {row.decode('utf-8', 'backslashreplace')!r}")


cdef inline void put_balance(BalanceRows rows, const Balance* balance) noexcept nogil:
    """Append a row, for which there is room."""
    cdef int value
    rows.client[rows.rows] = balance.client
    for value in range(VALUE_COUNT):
        if rows.has[value]:
            rows.values[value][rows.rows] = balance.values[value]
    rows.rows += 1
    rows.next_line += 1


cdef int parse_balance(
    const uint8_t* start,  # IN the row, in a text
    const uint8_t* end,  # IN the end of the text, which is at a row's end
    const Syntax* syntax,  # IN
    const Places* places,  # IN
    Balance* balance,  # OUT
    const uint8_t** row_end,  # OUT the row's ending, or the end of the text
    Py_ssize_t* lines,  # OUT of the row
) noexcept nogil:
    """Parse one row; return FITS, BLANK, or the first thing that is wrong with it."""
    cdef Fields fields
    cdef int value
    lines[0] = 1
    row_end[0] = skip_blanks(start, end, syntax)
    if row_end[0] == end or is_ending(row_end[0][0]):
        return BLANK
    if not cut_balance(start, end, syntax, places, &fields, row_end):
        return BAD_QUOTING
    if fields.has_quotes:
        lines[0] += count_lines(start, row_end[0])
    if row_end[0] - start > ROW_BYTES_MAX:
        return TOO_LONG
    if fields.has_surplus:
        return SURPLUS
    if not parse_id(fields.client.start, fields.client.end, &balance.client):
        return BAD_CLIENT
    for value in range(LOCKED):
        if places.values[value] >= 0 and not parse_amount(
            fields.values[value].start, fields.values[value].end, &balance.values[value],
        ):
            return BAD_VALUE + value
    if places.values[<int>LOCKED] >= 0:
        balance.values[<int>LOCKED] = is_word(&fields.values[<int>LOCKED], b"true", 4)
        if not balance.values[<int>LOCKED] and not is_word(&fields.values[<int>LOCKED], b"false", 5):
            return BAD_VALUE + LOCKED
    return FITS


cdef bint cut_balance(
    const uint8_t* start,  # IN the row, in a text
    const uint8_t* end,  # IN the end of the text
    const Syntax* syntax,  # IN
    const Places* places,  # IN
    Fields* fields,  # OUT
    const uint8_t** row_end,  # OUT the row's ending, or the end of the text
) noexcept nogil:
    """Cut a row into its fields. False where one is badly quoted: the row then ends with the line on which it opens."""
    cdef Field field
    cdef Py_ssize_t column = 0
    cdef const uint8_t* p = start
    cdef int value
    fields.has_quotes = fields.has_surplus = False
    fields.client.start = fields.client.end = NULL
    for value in range(VALUE_COUNT):
        fields.values[value].start = fields.values[value].end = NULL
    while True:
        row_end[0] = p
        p = take_field(p, end, syntax, &field)
        if p == NULL:
            row_end[0] = find_ending(row_end[0], end)
            return False
        fields.has_quotes |= field.quoted
        if column == places.client:
            fields.client = field
        elif column >= places.width:
            fields.has_surplus |= field.start != field.end
        else:
            for value in range(VALUE_COUNT):
                if column == places.values[value]:
                    fields.values[value] = field
        if p == end or p[0] != syntax.delimiter:
            row_end[0] = p
            return True
        p += 1
        column += 1
