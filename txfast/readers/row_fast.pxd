"""The fast path of the native reader: plain fields, from text to numbers, eight bytes at a time.

A plain field has no blanks, quotes or plus signs. Each function returns False where its field is anything else; the
row then goes to the row parser, which alone decides. So these accept nothing that the row parser would read
differently, and may refuse whatever they like.

They read up to 24 bytes from a field's start or from its point: the text is followed by as many that may be read.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from txfast.batch.batch cimport CHARGEBACK, DEPOSIT, DISPUTE, NO_AMOUNT, RESOLVE, WITHDRAWAL
from txfast.batch.header cimport Fields
from txfast.readers.row cimport Row
from txfast.text.bits cimport (
    four_numbers, lowest_bit, match_16, unsigned_add_overflows, unsigned_multiply_overflows,
)
from txfast.text.csv_in cimport Field

cdef enum:
    FIELDS = 4
    DECIMALS = 4
    # So that an amount surely fits.
    WHOLE_DIGITS_MAX = 14

# A type's name as two words of memory, and which of their bytes count.
cdef struct KindName:
    uint64_t first
    uint64_t first_mask
    uint16_t rest
    uint16_t rest_mask
    uint8_t kind
    uint8_t length

cdef struct Tables:
    KindName[8] kind_names  # by (first byte ^ third byte) & 7, which tells the five apart
    uint64_t[9] powers_of_ten
    uint64_t[DECIMALS + 2] decimals_masks  # by how many they are, plus 1: which bytes behind the point count


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


cdef inline void make_tables(Tables* tables) noexcept nogil:
    cdef int i
    # Places that no name hashes to hold one that does not hash there, so that nothing matches.
    for i in range(8):
        fill_kind_name(&tables.kind_names[i], b"deposit", 7, DEPOSIT)
    fill_kind_name(&tables.kind_names[(c"w" ^ c"t") & 7], b"withdrawal", 10, WITHDRAWAL)
    fill_kind_name(&tables.kind_names[(c"d" ^ c"s") & 7], b"dispute", 7, DISPUTE)
    fill_kind_name(&tables.kind_names[(c"r" ^ c"s") & 7], b"resolve", 7, RESOLVE)
    fill_kind_name(&tables.kind_names[(c"c" ^ c"a") & 7], b"chargeback", 10, CHARGEBACK)
    tables.powers_of_ten[0] = 1
    for i in range(1, 9):
        tables.powers_of_ten[i] = 10 * tables.powers_of_ten[i - 1]
    for i in range(DECIMALS + 2):
        tables.decimals_masks[i] = (<uint64_t>1 << 8 * max(i - 1, 0)) - 1


cdef inline uint64_t load_word(const uint8_t* text) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, text, 8)
    return word


cdef inline bint plain_kind(const Field* field, const Tables* tables, uint8_t* kind) noexcept nogil:
    cdef const uint8_t* start = field.start
    cdef const KindName* name = &tables.kind_names[(start[0] ^ start[2]) & 7]
    cdef uint16_t rest
    memcpy(&rest, start + 8, 2)
    kind[0] = name.kind
    return (
        (((load_word(start) ^ name.first) & name.first_mask) | ((rest ^ name.rest) & name.rest_mask)) == 0
        and field.end - start == name.length
    )


cdef inline uint64_t few_digits(const uint8_t* start, const Py_ssize_t length) noexcept nogil:
    """1 to 8 bytes of text less `0`, in the last bytes of a word: the digits of a number, if they are digits.

    Of no bytes, or of more than 8, what comes out is never taken for digits where the first byte is none.
    """
    return (load_word(start) ^ <uint64_t>0x3030303030303030) << (-8 * length & 63)


cdef inline bint many_digits(
    const uint8_t* start, Py_ssize_t length, const Tables* tables, uint64_t* number,
) noexcept nogil:
    """The number that 9 to 20 digits make, below 2^64."""
    cdef uint64_t[4] digits
    cdef uint32_t[4] parts
    cdef uint64_t high, power
    cdef Py_ssize_t last = length - 8 if length <= 16 else length - 16
    if length > 20:
        return False
    digits[0] = few_digits(start, 8)
    digits[1] = few_digits(start + 8, 8) if length > 16 else 0
    digits[2] = few_digits(start + length - last, last)
    digits[3] = 0
    if not four_numbers(digits, parts):
        return False
    high = parts[0]
    if length > 16:
        high = high * tables.powers_of_ten[8] + parts[1]
    power = tables.powers_of_ten[last]
    return not unsigned_multiply_overflows(high, power, &high) and not unsigned_add_overflows(high, parts[2], number)


cdef inline bint plain_fields(
    const Fields* fields,  # IN
    const Tables* tables,  # IN
    Row* row,  # OUT
) noexcept nogil:
    """Parse the four fields of a row; False where one of them is not plain.

    The three numbers and the amount's decimals, a word of digits each, become numbers together.
    """
    cdef const uint8_t* amount = fields.amount.start
    cdef Py_ssize_t client_length = fields.client.end - fields.client.start
    cdef Py_ssize_t tx_length = fields.tx.end - fields.tx.start
    cdef Py_ssize_t amount_length = fields.amount.end - amount
    cdef bint no_amount = amount_length == 0
    cdef bint negative = amount[0] == c'-'
    cdef Py_ssize_t whole_length, places
    cdef uint64_t[FIELDS] digits
    cdef uint32_t[FIELDS] numbers
    cdef int64_t units
    if not plain_kind(&fields.type, tables, &row.kind):
        return False
    amount += negative
    amount_length -= negative
    # A plain amount has its point in these 16 bytes; where there is none, it ends instead.
    whole_length = min(<Py_ssize_t>lowest_bit(match_16(amount, c".") | 1 << 16), amount_length)
    places = amount_length - whole_length - 1  # -1 without a point
    if places == 0 or places > DECIMALS or whole_length > WHOLE_DIGITS_MAX:
        return False
    digits[0] = few_digits(fields.client.start, client_length)
    digits[1] = few_digits(fields.tx.start, tx_length)
    digits[2] = 0 if no_amount else few_digits(amount, whole_length)
    digits[3] = load_word(amount + whole_length + 1) ^ <uint64_t>0x3030303030303030
    # Digits that are not there are zeros behind those that are.
    digits[3] = (digits[3] & tables.decimals_masks[places + 1]) << 32
    if not four_numbers(digits, numbers):
        return False
    row.client = numbers[0]
    row.tx = numbers[1]
    units = numbers[2]
    if client_length > 8 and not many_digits(fields.client.start, client_length, tables, &row.client):
        return False
    if tx_length > 8 and not many_digits(fields.tx.start, tx_length, tables, &row.tx):
        return False
    if whole_length > 8 and not many_digits(amount, whole_length, tables, <uint64_t*>&units):
        return False
    units = 10_000 * units + numbers[3]
    row.amount = -units if negative else units
    row.kind |= NO_AMOUNT if no_amount else 0
    return True
