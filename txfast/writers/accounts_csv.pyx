"""Accounts as CSV text.

This module must not know how accounts were made, nor where the text goes.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from cpython.bytearray cimport PyByteArray_AS_STRING

from txfast.batch.ids cimport ID_BYTES_MAX
from txfast.dialect.currencies cimport CODE_BYTES_MAX
from txfast.ledger.key_order cimport SortKey
from txfast.ledger.sorted_accounts cimport AccountColumns
from txfast.text.csv_out cimport copy_plain, write_quoted
from txfast.text.numbers_out cimport (
    AMOUNT_BYTES_MAX, NUMBER_BYTES_MAX, write_amount, write_amount_of, write_number,
)

HEADER = b"client,available,held,total,locked\n"
HEADER_WITH_CURRENCY = b"client,currency,available,held,total,locked\n"
CSV_BLOCK_BYTES = 1 << 18

cdef enum:
    # The longest line: client, three amounts, `false`, four commas, LF.
    LINE_BYTES_MAX = NUMBER_BYTES_MAX + 3 * AMOUNT_BYTES_MAX + 5 + 5
    # More, where clients are texts: each byte may be a quote, which is doubled.
    NAME_BYTES_MAX = 2 * ID_BYTES_MAX + 2
    # Room for a currency: its length, then its field, of at most 26 bytes, and what writing overwrites after it.
    CURRENCY_ROOM_BYTES = 64
    CURRENCY_TEXT_MAX = 2 * CODE_BYTES_MAX + 2
    # Bytes after the last line that writing may overwrite: a number's word, or a copied amount.
    LINE_SLACK_BYTES = 32
    CSV_BLOCK_BYTES_MIN = 4096
    STANDARD_DECIMALS = 4
    DECIMALS_MAX = 9


def csv_blocks(accounts not None, Py_ssize_t block_bytes=CSV_BLOCK_BYTES, *, int decimals=STANDARD_DECIMALS):
    """Iterate accounts as CSV text, header first, in blocks of about `block_bytes`. Amounts have these `decimals`.

    `accounts` are AccountColumns, or an object whose `chunks()` iterates such. Each block is a view of one buffer: it
    is valid until the next block is asked for.
    """
    cdef bytearray block = bytearray(max(block_bytes, CSV_BLOCK_BYTES_MIN))
    cdef uint8_t[::1] text = block
    cdef bytes header = HEADER if accounts.currencies is None else HEADER_WITH_CURRENCY
    cdef bytearray currencies = currency_fields(() if accounts.currencies is None else accounts.currencies.codes)
    cdef const uint8_t* fields = <const uint8_t*>PyByteArray_AS_STRING(currencies)
    cdef Py_ssize_t room = len(block) - len(header) - LINE_SLACK_BYTES
    cdef Py_ssize_t row, last, rows_per_block, filled = len(header)
    cdef AccountColumns chunk
    if not 0 <= decimals <= DECIMALS_MAX:
        raise ValueError(f"{decimals} decimals: there are 0 to {DECIMALS_MAX}")
    block[:filled] = header
    for chunk in accounts.chunks():
        rows_per_block = room // (LINE_BYTES_MAX + CURRENCY_TEXT_MAX + (NAME_BYTES_MAX if chunk.has_names else 0))
        for row in range(0, chunk.count, rows_per_block):
            last = min(row + rows_per_block, chunk.count)
            with nogil:
                if decimals == STANDARD_DECIMALS and not chunk.has_names and chunk.currency == NULL:
                    filled += format_rows(chunk, row, last, &text[filled])
                else:
                    filled += format_rows_of(chunk, row, last, decimals, fields, &text[filled])
            yield memoryview(block)[:filled]
            filled = 0
    if filled:
        yield memoryview(block)[:filled]


cdef Py_ssize_t format_rows(
    AccountColumns accounts, const Py_ssize_t first, const Py_ssize_t last, uint8_t* out,
) noexcept nogil:
    """Write the lines of these accounts; return their length, at most LINE_BYTES_MAX each."""
    cdef uint8_t* start = out
    cdef const SortKey* balances = accounts.balances
    cdef uint8_t* available
    cdef int64_t held
    cdef Py_ssize_t available_bytes
    cdef Py_ssize_t row
    for row in range(first, last):
        out = write_number(out, balances[row].client)
        out[0] = c','
        available = out + 1
        out = write_amount(available, balances[row].content)
        held = accounts.held[row]
        if held:
            out[0] = c','
            out = write_amount(out + 1, held)
            out[0] = c','
            out = write_amount(out + 1, balances[row].content + held)
        else:
            # Most accounts hold nothing: then the text of total is the text of available.
            memcpy(out, b",0.0000,", 8)
            available_bytes = out - available
            memcpy(out + 8, available, available_bytes)
            out += 8 + available_bytes
        out = write_locked(out, accounts.locked[row])
    return out - start


cdef bytearray currency_fields(codes):
    """The field of each currency, CURRENCY_ROOM_BYTES apart: its length, then its bytes."""
    cdef bytearray fields = bytearray(CURRENCY_ROOM_BYTES * max(1, len(codes)))
    cdef uint8_t* out = <uint8_t*>PyByteArray_AS_STRING(fields)
    cdef bytes name
    for code in codes:
        name = bytes([len(code)]) + code + bytes(LINE_SLACK_BYTES)
        out[0] = <uint8_t>(write_name(out + 1, name) - (out + 1))
        out += CURRENCY_ROOM_BYTES
    return fields


cdef Py_ssize_t format_rows_of(
    AccountColumns accounts, const Py_ssize_t first, const Py_ssize_t last, const int decimals,
    const uint8_t* currencies,  # IN by number, as `currency_fields` makes them
    uint8_t* out,  # OUT
) noexcept nogil:
    """The same with any number of decimals, clients that may be texts, and accounts that may have a currency."""
    cdef uint8_t* start = out
    cdef const uint8_t* currency
    cdef uint64_t scale = 1
    cdef Py_ssize_t row
    cdef int _
    for _ in range(decimals):
        scale *= 10
    for row in range(first, last):
        if accounts.has_names:
            out = write_name(out, <const uint8_t*>accounts.balances[row].client)
        else:
            out = write_number(out, accounts.balances[row].client)
        if accounts.currency != NULL:
            currency = currencies + CURRENCY_ROOM_BYTES * accounts.currency[row]
            out[0] = c','
            memcpy(out + 1, currency + 1, currency[0])
            out += 1 + currency[0]
        out[0] = c','
        out = write_amount_of(out + 1, accounts.balances[row].content, decimals, scale)
        out[0] = c','
        out = write_amount_of(out + 1, accounts.held[row], decimals, scale)
        out[0] = c','
        out = write_amount_of(out + 1, accounts.balances[row].content + accounts.held[row], decimals, scale)
        out = write_locked(out, accounts.locked[row])
    return out - start


cdef inline uint8_t* write_name(uint8_t* out, const uint8_t* name) noexcept nogil:
    """A client that is a text, in quotes where it needs them; a formula stays as it is, since accounts are data."""
    cdef const uint8_t* start = name + 1
    cdef const uint8_t* end = start + name[0]
    cdef uint8_t* plain_end = copy_plain(out, start, end)
    return plain_end if plain_end != NULL else write_quoted(out, start, end)


cdef inline uint8_t* write_locked(uint8_t* out, const bint locked) noexcept nogil:
    """The last field of a line, and its ending."""
    if locked:
        memcpy(out, b",true\n", 6)
        return out + 6
    memcpy(out, b",false\n", 7)
    return out + 7
