"""Accounts as CSV text.

This module must not know how accounts were made, nor where the text goes.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy

from txfast.batch.ids cimport ID_BYTES_MAX
from txfast.ledger.sorted_accounts cimport AccountColumns, SortKey
from txfast.text.csv_out cimport copy_plain, write_quoted
from txfast.text.numbers_out cimport (
    AMOUNT_BYTES_MAX, NUMBER_BYTES_MAX, write_amount, write_amount_of, write_number,
)

HEADER = b"client,available,held,total,locked\n"
CSV_BLOCK_BYTES = 1 << 18

cdef enum:
    # The longest line: client, three amounts, `false`, four commas, LF.
    LINE_BYTES_MAX = NUMBER_BYTES_MAX + 3 * AMOUNT_BYTES_MAX + 5 + 5
    # More, where clients are texts: each byte may be a quote, which is doubled.
    NAME_BYTES_MAX = 2 * ID_BYTES_MAX + 2
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
    cdef Py_ssize_t room = len(block) - len(HEADER) - LINE_SLACK_BYTES
    cdef Py_ssize_t row, last, rows_per_block, filled = len(HEADER)
    cdef AccountColumns chunk
    if not 0 <= decimals <= DECIMALS_MAX:
        raise ValueError(f"{decimals} decimals: there are 0 to {DECIMALS_MAX}")
    block[:filled] = HEADER
    for chunk in accounts.chunks():
        rows_per_block = room // (LINE_BYTES_MAX + (NAME_BYTES_MAX if chunk.has_names else 0))
        for row in range(0, chunk.count, rows_per_block):
            last = min(row + rows_per_block, chunk.count)
            with nogil:
                if decimals == STANDARD_DECIMALS and not chunk.has_names:
                    filled += format_rows(chunk, row, last, &text[filled])
                else:
                    filled += format_rows_of(chunk, row, last, decimals, &text[filled])
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


cdef Py_ssize_t format_rows_of(
    AccountColumns accounts, const Py_ssize_t first, const Py_ssize_t last, const int decimals, uint8_t* out,
) noexcept nogil:
    """The same with any number of decimals, and clients that may be texts."""
    cdef uint8_t* start = out
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
