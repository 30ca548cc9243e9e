"""Plan: how to scan the rows of one file. It is made once from the file's header and then only read.

Everything that the fast path has to know of a file is here, so that the loop over its rows decides nothing twice.
"""

from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.string cimport memcpy

from txfast.batch.batch cimport CHARGEBACK, DEPOSIT, DISPUTE, REFUND, RESOLVE, REVERSAL, WITHDRAWAL
from txfast.batch.header cimport Columns, Header

cdef enum:
    FIELDS = 4
    DECIMALS = 4
    # Columns that the fast path follows. The rows of a wider header go to the row parser.
    PLAIN_COLUMNS_MAX = 32

# A type's name as its first 8 and its next 2 bytes, with masks for those that count.
cdef struct KindName:
    uint64_t first
    uint64_t first_mask
    uint16_t rest
    uint16_t rest_mask
    uint8_t kind
    uint8_t length

cdef struct Tables:
    KindName[8] kind_names  # by (first byte + fifth byte) & 7, a hash in which the seven words do not collide
    uint64_t[9] powers_of_ten
    uint64_t[DECIMALS + 2] decimals_masks  # by number of decimals + 1: which bytes after the point count

# How a header's columns are arranged: for each there is a loop of its own.
cdef enum Layout:
    STANDARD_COLUMNS  # type, client, tx, amount
    FOUR_COLUMNS  # the same four in another order
    MORE_COLUMNS  # others among them, PLAIN_COLUMNS_MAX in all at most
    TOO_MANY_COLUMNS  # for the fast path

cdef struct Plan:
    Layout layout
    Columns columns
    Py_ssize_t width  # columns in all; 0 with TOO_MANY_COLUMNS
    bint[PLAIN_COLUMNS_MAX] is_other  # by column: whether it is none of the four
    Tables tables


cdef inline void make_plan(Plan* plan, Header header) noexcept:
    """Compile a header."""
    cdef Py_ssize_t column
    plan.columns = header.columns
    plan.width = header.columns.width if header.columns.width <= PLAIN_COLUMNS_MAX else 0
    if header.columns.width > PLAIN_COLUMNS_MAX:
        plan.layout = TOO_MANY_COLUMNS
    elif header.columns.width > FIELDS:
        plan.layout = MORE_COLUMNS
    elif header.columns.type == 0 and header.columns.client == 1 and header.columns.tx == 2:
        plan.layout = STANDARD_COLUMNS
    else:
        plan.layout = FOUR_COLUMNS
    for column in range(plan.width):
        plan.is_other[column] = True
    if plan.width:
        plan.is_other[plan.columns.type] = plan.is_other[plan.columns.client] = False
        plan.is_other[plan.columns.tx] = plan.is_other[plan.columns.amount] = False
    make_tables(&plan.tables)


cdef inline void make_tables(Tables* tables) noexcept nogil:
    cdef int i
    # The unused slot holds "deposit", which hashes elsewhere and so never matches.
    for i in range(8):
        fill_kind_name(&tables.kind_names[i], b"deposit", 7, DEPOSIT)
    fill_kind_name(&tables.kind_names[(c"w" + c"d") & 7], b"withdrawal", 10, WITHDRAWAL)
    fill_kind_name(&tables.kind_names[(c"d" + c"u") & 7], b"dispute", 7, DISPUTE)
    fill_kind_name(&tables.kind_names[(c"r" + c"l") & 7], b"resolve", 7, RESOLVE)
    fill_kind_name(&tables.kind_names[(c"c" + c"g") & 7], b"chargeback", 10, CHARGEBACK)
    fill_kind_name(&tables.kind_names[(c"r" + c"n") & 7], b"refund", 6, REFUND)
    fill_kind_name(&tables.kind_names[(c"r" + c"r") & 7], b"reversal", 8, REVERSAL)
    tables.powers_of_ten[0] = 1
    for i in range(1, 9):
        tables.powers_of_ten[i] = 10 * tables.powers_of_ten[i - 1]
    for i in range(DECIMALS + 2):
        tables.decimals_masks[i] = (<uint64_t>1 << 8 * max(i - 1, 0)) - 1


cdef inline void fill_kind_name(KindName* name, const char* text, uint8_t length, uint8_t kind) noexcept nogil:
    cdef uint8_t[16] padded
    cdef int i
    for i in range(16):
        padded[i] = text[i] if i < length else 0
    memcpy(&name.first, padded, 8)
    memcpy(&name.rest, padded + 8, 2)
    for i in range(16):
        padded[i] = 0xFF if i < length else 0
    memcpy(&name.first_mask, padded, 8)
    memcpy(&name.rest_mask, padded + 8, 2)
    name.kind = kind
    name.length = length
