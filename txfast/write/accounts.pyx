"""Accounts as they are put out: columns in order of client, and their CSV text.

This module must not know how accounts came to be; it asks ledgers for their columns.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from cython.view cimport array as cython_array

HEADER = b"client,available,held,total,locked\n"

cdef enum:
    RADIX_BITS = 11
    RADIX = 1 << 11
    RADIX_TURNS = 6  # cover 64 bits
    # 20 digits of client; three amounts of sign, 15 digits, point and 4 decimals; "false"; commas and LF.
    ROW_BYTES_MAX = 20 + 3 * 21 + 5 + 5

cdef struct SortKey:
    uint64_t client
    uint32_t place


cdef class Accounts:
    """The accounts of some ledgers, in ascending order of client.

    `Accounts.collect(ledgers)` makes it; the ledgers have no client in common. `len()` is the number of accounts.
    """

    cdef const uint64_t[::1] client
    cdef const int64_t[::1] available
    cdef const int64_t[::1] held
    cdef const uint8_t[::1] locked
    cdef uint32_t[::1] order  # places in the columns, by ascending client

    @staticmethod
    def collect(ledgers):
        """Take the accounts of these ledgers."""
        cdef Accounts accounts = Accounts.__new__(Accounts)
        cdef Py_ssize_t count = sum(map(len, ledgers))
        cdef Py_ssize_t room = max(count, 1)
        cdef Py_ssize_t filled = 0
        cdef uint64_t[::1] client = cython_array(shape=(room,), itemsize=sizeof(uint64_t), format="Q")
        cdef int64_t[::1] available = cython_array(shape=(room,), itemsize=sizeof(int64_t), format="q")
        cdef int64_t[::1] held = cython_array(shape=(room,), itemsize=sizeof(int64_t), format="q")
        cdef uint8_t[::1] locked = cython_array(shape=(room,), itemsize=sizeof(uint8_t), format="B")
        for ledger in ledgers:
            filled += ledger.export_accounts(client[filled:], available[filled:], held[filled:], locked[filled:])
        accounts.client = client[:count]
        accounts.available = available[:count]
        accounts.held = held[:count]
        accounts.locked = locked[:count]
        accounts.order = cython_array(shape=(room,), itemsize=sizeof(uint32_t), format="I")[:count]
        if count and not sort_clients(&client[0], count, &accounts.order[0]):
            raise MemoryError(f"no memory to sort {count} accounts")
        return accounts

    def __len__(self):
        return self.client.shape[0]

    def csv_blocks(self, Py_ssize_t block_bytes=1 << 18):
        """Iterate the accounts as CSV text, header first, in blocks of about so many bytes.

        Each block is a view of one buffer, good until the next is asked for.
        """
        cdef bytearray block = bytearray(max(block_bytes, 4096))
        cdef uint8_t[::1] text = block
        cdef Py_ssize_t rows_per_block = (len(block) - len(HEADER)) // ROW_BYTES_MAX
        cdef Py_ssize_t row = 0, last, filled = len(HEADER)
        block[:filled] = HEADER
        while True:
            last = min(row + rows_per_block, len(self))
            with nogil:
                filled += self.format_rows(row, last, &text[filled])
            yield memoryview(block)[:filled]
            row = last
            filled = 0
            if row == len(self):
                break

    cdef Py_ssize_t format_rows(self, Py_ssize_t first, Py_ssize_t last, uint8_t* out) noexcept nogil:
        """Write the rows' text; return how many bytes it took, at most ROW_BYTES_MAX each."""
        cdef uint8_t* start = out
        cdef Py_ssize_t row
        cdef uint32_t place
        for row in range(first, last):
            place = self.order[row]
            out = write_number(out, self.client[place])
            out = write_amount(out, self.available[place])
            out = write_amount(out, self.held[place])
            out = write_amount(out, self.available[place] + self.held[place])
            if self.locked[place]:
                memcpy(out, b",true\n", 6)
                out += 6
            else:
                memcpy(out, b",false\n", 7)
                out += 7
        return out - start


cdef bint sort_clients(const uint64_t* client, Py_ssize_t count, uint32_t* order) noexcept nogil:
    """Fill `order` with the places of the clients in ascending order. False when memory is exhausted.

    A radix sort from the lowest digit up, which passes over the digits that are the same in all clients.
    """
    cdef SortKey* keys = <SortKey*>malloc(count * sizeof(SortKey))
    cdef SortKey* sorted_keys = <SortKey*>malloc(count * sizeof(SortKey))
    cdef SortKey* swap
    cdef uint64_t varying = 0
    cdef Py_ssize_t starts[RADIX]
    cdef Py_ssize_t i, total, occurrences
    cdef int turn, shift, digit
    if keys == NULL or sorted_keys == NULL:
        free(keys)
        free(sorted_keys)
        return False
    for i in range(count):
        keys[i].client = client[i]
        keys[i].place = <uint32_t>i
        varying |= client[i] ^ client[0]
    for turn in range(RADIX_TURNS):
        shift = turn * RADIX_BITS
        if not (varying >> shift) & (RADIX - 1):
            continue
        memset(starts, 0, sizeof(starts))
        for i in range(count):
            starts[(keys[i].client >> shift) & (RADIX - 1)] += 1
        total = 0
        for digit in range(RADIX):
            occurrences = starts[digit]
            starts[digit] = total
            total += occurrences
        for i in range(count):
            digit = (keys[i].client >> shift) & (RADIX - 1)
            sorted_keys[starts[digit]] = keys[i]
            starts[digit] += 1
        swap = keys
        keys = sorted_keys
        sorted_keys = swap
    for i in range(count):
        order[i] = keys[i].place
    free(keys)
    free(sorted_keys)
    return True


cdef const char* DIGIT_PAIRS = (
    b"0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
    b"5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899"
)


cdef inline uint8_t* write_number(uint8_t* out, uint64_t number) noexcept nogil:
    """Write a number's digits; return where they end."""
    cdef uint8_t digits[20]
    cdef uint8_t* first = digits + 20
    cdef uint64_t rest
    cdef Py_ssize_t length
    while number >= 100:
        rest = number // 100
        first -= 2
        memcpy(first, DIGIT_PAIRS + 2 * (number - 100 * rest), 2)
        number = rest
    if number >= 10:
        first -= 2
        memcpy(first, DIGIT_PAIRS + 2 * number, 2)
    else:
        first -= 1
        first[0] = <uint8_t>(c'0' + number)
    length = digits + 20 - first
    memcpy(out, first, length)
    return out + length


cdef inline uint8_t* write_amount(uint8_t* out, int64_t units) noexcept nogil:
    """Write a comma and an amount, with four decimals; return where it ends."""
    cdef uint64_t magnitude = <uint64_t>units
    cdef uint64_t whole, decimals
    out[0] = c','
    out += 1
    if units < 0:
        out[0] = c'-'
        out += 1
        magnitude = 0 - magnitude
    whole = magnitude // 10_000
    decimals = magnitude - 10_000 * whole
    out = write_number(out, whole)
    out[0] = c'.'
    memcpy(out + 1, DIGIT_PAIRS + 2 * (decimals // 100), 2)
    memcpy(out + 3, DIGIT_PAIRS + 2 * (decimals % 100), 2)
    return out + 5
