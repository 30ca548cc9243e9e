"""DifferenceColumns: some differences between accounts as columns, and their texts as CSV, JSON lines and for Arrow.

Whoever compares accounts fills them, and clears them once they are written. This module must not know why two values
were compared.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t
from libc.string cimport memcpy

from cpython.bytearray cimport PyByteArray_AS_STRING

from txfast.batch.ids cimport ID_BYTES_MAX
from txfast.dialect.currencies cimport CODE_BYTES_MAX, code_buffers
from txfast.dialect.meaning cimport DECIMALS_MAX
from txfast.text.bits cimport WORD_BYTES
from txfast.text.csv_in cimport Field
from txfast.text.csv_out cimport copy_plain, write_quoted
from txfast.text.json_string cimport JSON_GROWTH, write_json_string
from txfast.text.numbers_out cimport AMOUNT_BYTES_MAX, NUMBER_BYTES_MAX, write_amount_of, write_number

from txfast.dialect.dialect import CURRENCY
from txfast.dialect.names import DECIMALS

# The columns of a file of differences. Where accounts have a currency, CURRENCY stands behind `client`.
COLUMN_NAMES = ("client", "column", "expected", "found")
# What differs, by its code. An account that is on one side only is a difference too.
NAMES = ("account", "available", "held", "total", "locked")
assert len(NAMES) == DIFFERS_COUNT

cdef enum:
    NAME_BYTES_MAX = 16
    # Of a line: its numbers and texts, and the names and signs between them.
    LINE_BYTES_MAX = NUMBER_BYTES_MAX + NAME_BYTES_MAX + 2 * AMOUNT_BYTES_MAX + 64
    # More, where a client is a text, in quotes.
    CLIENT_BYTES_MAX = JSON_GROWTH * ID_BYTES_MAX + 2
    # More, where accounts have a currency: that, in quotes, and its name.
    CURRENCY_TEXT_MAX = JSON_GROWTH * CODE_BYTES_MAX + 2 + 16


def column_names(bint has_currencies):
    """The columns of a file of differences, in their order."""
    client, *others = COLUMN_NAMES
    return (client, CURRENCY, *others) if has_currencies else COLUMN_NAMES


cdef class DifferenceColumns:
    """Up to 16,384 differences. `rows` is their number. Amounts have these `decimals`; clients are texts where it
    `has_names`. `currencies` are those of the run, None where accounts have none."""

    def __cinit__(self, *, int decimals=DECIMALS, bint has_names=False, currencies=None):
        if not 0 <= decimals <= DECIMALS_MAX:
            raise ValueError(f"{decimals} decimals: there are 0 to {DECIMALS_MAX}")
        self.decimals = decimals
        self.has_names = has_names
        self.currencies = currencies
        self.scale = 1
        for _ in range(decimals):
            self.scale *= 10

    def __len__(self):
        return self.rows

    def clear(self):
        """Forget the differences."""
        self.rows = 0

    def first_texts(self, Py_ssize_t count):
        """Iterate the first ones, at most `count`, as (client, currency, column, expected, found), the last three as
        text. A client that is a text and a currency have surrogates for bytes that are no UTF-8; the currency is None
        where accounts have none."""
        cdef Py_ssize_t row
        cdef const uint8_t* name
        for row in range(min(count, self.rows)):
            client = self.client[row]
            if self.has_names:
                name = <const uint8_t*>self.client[row]
                client = name[1:1 + name[0]].decode("utf-8", "surrogateescape")
            code = None
            if self.currencies is not None:
                code = self.currencies.codes[self.currency[row]].decode("utf-8", "surrogateescape")
            yield (
                client, code, NAMES[self.differs[row]], self.text_of(self.differs[row], self.expected[row]),
                self.text_of(self.differs[row], self.found[row]),
            )

    def csv(self):
        """The differences as lines of CSV, without the header."""
        return self.lines(b"", b",", b",", b",", b",", b"\n", False)

    def json_lines(self):
        """The differences as JSON, an object a line. Amounts are text, so that no reader makes floats of them."""
        return self.lines(
            b'{"client": ', b', "currency": ', b', "column": "', b'", "expected": "', b'", "found": "', b'"}\n', True,
        )

    cdef bytes lines(
        self, bytes start, bytes currency, bytes column, bytes expected, bytes found, bytes end, bint is_json,
    ):
        cdef Py_ssize_t line_bytes = LINE_BYTES_MAX + CURRENCY_TEXT_MAX + (CLIENT_BYTES_MAX if self.has_names else 0)
        cdef bytearray lines = bytearray(self.rows * line_bytes + WORD_BYTES)
        cdef uint8_t* first = <uint8_t*>PyByteArray_AS_STRING(lines)
        cdef uint8_t* out = first
        cdef bytes code
        cdef Py_ssize_t row
        for row in range(self.rows):
            out = self.write_client(put(out, start), row, is_json)
            if self.currencies is not None:
                code = self.currencies.codes[self.currency[row]]
                out = write_text(put(out, currency), code, len(code), is_json)
            out = put(put(out, column), NAMES[self.differs[row]].encode())
            out = self.write_value(put(out, expected), self.differs[row], self.expected[row])
            out = self.write_value(put(out, found), self.differs[row], self.found[row])
            out = put(out, end)
        return bytes(memoryview(lines)[:out - first])

    cdef uint8_t* write_client(self, uint8_t* out, const Py_ssize_t row, const bint is_json) noexcept:
        """A client: a number, or a text as a field of CSV or a JSON string."""
        cdef const uint8_t* name
        if not self.has_names:
            return write_number(out, self.client[row])
        name = <const uint8_t*>self.client[row]
        return write_text(out, name + 1, name[0], is_json)

    cdef uint8_t* write_value(self, uint8_t* out, const int differs, const int64_t value) noexcept:
        if differs == ACCOUNT:
            return put(out, b"present" if value else b"missing")
        if differs == LOCKED:
            return put(out, b"true" if value else b"false")
        return write_amount_of(out, value, self.decimals, self.scale)

    cdef str text_of(self, const int differs, const int64_t value):
        """A value as text."""
        cdef uint8_t[AMOUNT_BYTES_MAX + WORD_BYTES] text
        cdef uint8_t* out = self.write_value(text, differs, value)
        return (<const char*>text)[:out - text].decode("ascii")

    def clients(self):
        """The buffers of the clients, as Arrow lays them out: of numbers one, 8 bytes each; of texts offsets, int32,
        and bytes."""
        if self.has_names:
            return self.client_names()
        return [bytearray((<const char*>self.client)[:self.rows * sizeof(int64_t)])]

    cdef list client_names(self):
        cdef bytearray offsets = bytearray((self.rows + 1) * sizeof(int32_t))
        cdef int32_t* offset = <int32_t*>PyByteArray_AS_STRING(offsets)
        cdef bytearray texts = bytearray()
        cdef const uint8_t* name
        cdef Py_ssize_t row
        for row in range(self.rows):
            name = <const uint8_t*>self.client[row]
            texts += name[1:1 + name[0]]
            offset[row + 1] = <int32_t>len(texts)
        return [offsets, texts]

    def currency_buffers(self):
        """The buffers of the currencies, as Arrow lays them out: offsets, int32, and bytes; None where accounts have
        none."""
        return None if self.currencies is None else code_buffers(self.currencies.codes, self.currency, self.rows)

    def codes(self):
        """The indexes in NAMES, a byte each."""
        return (<const char*>self.differs)[:self.rows]

    def values(self, bint expected):
        """`(offsets, text)` of the expected values, or of those that were found, as Arrow lays strings out."""
        cdef bytearray text = bytearray(self.rows * AMOUNT_BYTES_MAX + WORD_BYTES)
        cdef bytearray offsets = bytearray((self.rows + 1) * sizeof(int32_t))
        cdef int32_t* offset = <int32_t*>PyByteArray_AS_STRING(offsets)
        cdef uint8_t* first = <uint8_t*>PyByteArray_AS_STRING(text)
        cdef uint8_t* out = first
        cdef Py_ssize_t row
        for row in range(self.rows):
            out = self.write_value(out, self.differs[row], self.expected[row] if expected else self.found[row])
            offset[row + 1] = <int32_t>(out - first)
        return bytes(offsets), bytes(memoryview(text)[:out - first])


cdef inline uint8_t* write_text(
    uint8_t* out, const uint8_t* start, const Py_ssize_t length, const bint is_json,
) noexcept:
    """Write a text as a field of CSV or a JSON string; return its end."""
    cdef uint8_t* plain_end
    cdef Field text
    if is_json:
        text.start = start
        text.end = start + length
        text.quoted = False
        out[0] = c'"'
        out = write_json_string(out + 1, &text)
        out[0] = c'"'
        return out + 1
    # A formula stays as it is: it is a client or a currency of the accounts, which are data.
    plain_end = copy_plain(out, start, start + length)
    return plain_end if plain_end != NULL else write_quoted(out, start, start + length)


cdef inline uint8_t* put(uint8_t* out, bytes text) noexcept:
    cdef const uint8_t* start = text
    memcpy(out, start, len(text))
    return out + len(text)
