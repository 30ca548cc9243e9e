"""The fields of a row under a dialect that gives them another meaning than the default: words, amounts, signs.

Called by the row parser, which cuts the row. This module must not know how rows are cut.
"""

from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint16_t, uint64_t
from libc.string cimport memchr

from txfast.batch.batch cimport (
    BAD_AMOUNT, BAD_CLIENT, BAD_CURRENCY, BAD_TX, BAD_TYPE, DEPOSIT, IGNORED_ROW, MISSING_FIELD, NO_AMOUNT,
    TOO_MANY_FIELDS, WELL_FORMED, WITHDRAWAL, Malformed,
)
from txfast.batch.header cimport Fields
from txfast.batch.ids cimport ID_BYTES_MAX, ID_ROOM_BYTES, IdText, undouble
from txfast.dialect.currencies cimport CODE_BYTES_MAX, CurrencyCode, make_code
from txfast.dialect.meaning cimport (
    HALF_EVEN, HALF_UP, IGNORED_KIND, REFUSE, AmountForm, Meaning, Rounding, Word, Words,
)
from txfast.dialect.words cimport is_one_of, is_text, is_text_in_any_case
from txfast.text.csv_in cimport Field
from txfast.text.numbers_in cimport is_digit, parse_id
from txfast.text.text_hash cimport TextKey, hash_text

cdef enum:
    GROUP_DIGITS = 3  # between two marks of thousands

# A type, an amount, or both, of a row. `units` is 0 where there is no amount.
cdef struct TypedAmount:
    uint8_t kind
    bint has_amount
    int64_t units


cdef inline bint parse_kind_word(const Field* field, const Words* words, uint8_t* kind) noexcept nogil:
    """The type that a word means. The exact word wins. Otherwise case does not count, if all words that fit mean the
    same type."""
    cdef const Word* word
    cdef Py_ssize_t index
    cdef bint is_found = False
    for index in range(words.count):
        if is_text(field, &words.first[index]):
            kind[0] = words.first[index].kind
            return True
    for index in range(words.count):
        word = &words.first[index]
        if is_text_in_any_case(field, word):
            if is_found and kind[0] != word.kind:
                return False
            kind[0] = word.kind
            is_found = True
    return is_found


cdef inline bint take_digit(const uint8_t digit, uint64_t* number) noexcept nogil:
    """Append a digit to a number; False where the number no longer fits."""
    if number[0] > (<uint64_t>INT64_MAX - (digit - c"0")) // 10:
        return False
    number[0] = 10 * number[0] + (digit - c"0")
    return True


cdef inline bint take_whole_part(
    const uint8_t** start,  # IN and OUT: moved past the whole part
    const uint8_t* end,  # IN
    const int thousands,  # IN
    uint64_t* number,  # OUT
    bint* has_digits,  # OUT
) noexcept nogil:
    """The digits before the decimals, in groups of three or in one. False where they are no such number, or too
    large."""
    cdef const uint8_t* p = start[0]
    cdef Py_ssize_t digits = 0
    cdef bint is_grouped = False
    number[0] = 0
    has_digits[0] = False
    while p < end:
        if is_digit(p[0]):
            digits += 1
            if not take_digit(p[0], number):
                return False
        elif p[0] == thousands:
            # The first group has one to three digits and no zero first, all others have three.
            if is_grouped and digits != GROUP_DIGITS:
                return False
            if not is_grouped and (not 1 <= digits <= GROUP_DIGITS or start[0][0] == c"0"):
                return False
            is_grouped = True
            digits = 0
        else:
            break
        p += 1
    if is_grouped and digits != GROUP_DIGITS:
        return False
    has_digits[0] = p > start[0]
    start[0] = p
    return True


cdef inline bint rounds_up(
    const Rounding rounding, const uint64_t magnitude, const uint8_t* rest, const uint8_t* end,
) noexcept nogil:
    """Whether further digits, of which one is not 0, add one unit to a magnitude."""
    cdef uint8_t first = rest[0]
    if rounding != HALF_EVEN and rounding != HALF_UP:
        return False
    if first != c"5" or rounding == HALF_UP:
        return first >= c"5"
    rest += 1
    while rest < end:
        if rest[0] != c"0":
            return True
        rest += 1
    return magnitude & 1


cdef inline bint parse_amount_in(
    const uint8_t* start, const uint8_t* end, const AmountForm* form, int64_t* units,
) noexcept nogil:
    """An amount in the form of a dialect: sign, digits, decimal mark, digits; further digits are zeros, or rounded."""
    cdef bint negative = start < end and start[0] == c"-"
    cdef const uint8_t* rest
    cdef uint64_t magnitude
    cdef bint has_digits, is_exact = True
    cdef int _
    if start < end and (start[0] == c"-" or start[0] == c"+"):
        start += 1
    if not take_whole_part(&start, end, form.thousands, &magnitude, &has_digits):
        return False
    if start < end:
        if start[0] != form.decimal:
            return False
        start += 1
    for _ in range(form.places):
        if start < end and is_digit(start[0]):
            has_digits = True
            if not take_digit(start[0], &magnitude):
                return False
            start += 1
        elif not take_digit(c"0", &magnitude):
            return False
    rest = start
    while start < end and is_digit(start[0]):
        has_digits = True
        is_exact = is_exact and start[0] == c"0"
        start += 1
    if start != end or not has_digits:
        return False
    if not is_exact:
        if form.rounding == REFUSE:
            return False
        if rounds_up(form.rounding, magnitude, rest, end):
            if magnitude == <uint64_t>INT64_MAX:
                return False
            magnitude += 1
    units[0] = -<int64_t>magnitude if negative else <int64_t>magnitude
    return True


cdef inline bint parse_amount_field(
    const Field* field,  # IN
    const Meaning* meaning,  # IN
    const bint is_number,  # IN
    TypedAmount* amount,  # OUT
) noexcept nogil:
    """The amount of a field, if it has one; False where it is none. One that `is_number` of JSON has a decimal point,
    whatever the marks in texts are."""
    cdef const AmountForm* form = &meaning.number_amounts if is_number else &meaning.amounts
    amount.units = 0
    amount.has_amount = field.start != field.end
    return not amount.has_amount or parse_amount_in(field.start, field.end, form, &amount.units)


cdef inline bint choose_credit_or_debit(
    const Fields* fields, const Meaning* meaning, TypedAmount* amount,
) noexcept nogil:
    """The amount of the column that has one which is not zero: a deposit or a withdrawal. False where both have one,
    or a text is no amount."""
    cdef TypedAmount debit
    if not parse_amount_field(&fields.amount, meaning, fields.amount_is_number, amount):
        return False
    if not parse_amount_field(&fields.debit, meaning, fields.debit_is_number, &debit):
        return False
    amount.kind = DEPOSIT
    if amount.units and debit.units:
        return False
    if debit.units or not amount.has_amount:
        amount[0] = debit
        amount.kind = WITHDRAWAL
    return True


cdef inline void empty_null(Field* field, const Words* nulls) noexcept nogil:
    """Make a field empty whose text means that it is."""
    if field.start != NULL and is_one_of(field, nulls):
        field.end = field.start


cdef inline void empty_nulls(Fields* fields, const Meaning* meaning) noexcept nogil:
    """Make the fields of a row empty whose texts mean that they are."""
    empty_null(&fields.type, &meaning.nulls)
    empty_null(&fields.client, &meaning.nulls)
    empty_null(&fields.tx, &meaning.nulls)
    empty_null(&fields.amount, &meaning.nulls)
    if meaning.has_debits:
        empty_null(&fields.debit, &meaning.nulls)
    if meaning.has_currency:
        empty_null(&fields.currency, &meaning.nulls)


cdef inline bint parse_text_id(
    const Field* field,  # IN in the text of a batch
    const TextKey* key,  # IN
    const int quote,  # IN
    uint64_t* hash,  # OUT
    IdText* id,  # OUT
) noexcept nogil:
    """An id that is a text: its hash, and where it is. False where it is empty or too long."""
    cdef uint8_t[ID_ROOM_BYTES] room
    cdef const uint8_t* start = field.start
    cdef Py_ssize_t length = field.end - field.start
    id.start = start
    id.doubled = 0
    if not 0 < length <= 2 * ID_BYTES_MAX:
        return False
    id.raw_bytes = <uint16_t>length
    if field.quoted and memchr(start, quote, length) != NULL:
        id.doubled = <uint8_t>quote
        length = undouble(start, field.end, <uint8_t>quote, room, ID_BYTES_MAX)
        start = room
    if length > ID_BYTES_MAX:
        return False
    id.length = <uint8_t>length
    hash[0] = hash_text(key, start, length)
    return True


cdef inline Malformed parse_ids(
    const Fields* fields,  # IN
    const Meaning* meaning,  # IN
    const int quote,  # IN
    uint64_t* client,  # OUT
    uint64_t* tx,  # OUT
    IdText* client_text,  # OUT where clients are texts
    IdText* tx_text,  # OUT where transactions are
) noexcept nogil:
    """Parse both ids. WELL_FORMED, or BAD_CLIENT, or BAD_TX."""
    if meaning.text_client:
        if not parse_text_id(&fields.client, &meaning.text_key, quote, client, client_text):
            return BAD_CLIENT
    elif not parse_id(fields.client.start, fields.client.end, client):
        return BAD_CLIENT
    if meaning.text_tx:
        if not parse_text_id(&fields.tx, &meaning.text_key, quote, tx, tx_text):
            return BAD_TX
    elif not parse_id(fields.tx.start, fields.tx.end, tx):
        return BAD_TX
    return WELL_FORMED


cdef inline bint parse_currency(const Field* field, const int quote, CurrencyCode* code) noexcept nogil:
    """The code of a currency, as it is. False where it is empty or too long."""
    cdef uint8_t[CODE_BYTES_MAX + 1] room
    cdef Py_ssize_t length = field.end - field.start
    if length and field.quoted and memchr(field.start, quote, length) != NULL:
        length = undouble(field.start, field.end, <uint8_t>quote, room, CODE_BYTES_MAX)
        return make_code(room, length, code)
    return make_code(field.start, length, code)


cdef inline Malformed parse_fields_in_dialect(
    Fields* fields,  # IN and OUT: texts that mean nothing become empty
    const Meaning* meaning,  # IN
    const int quote,  # IN
    uint8_t* kind,  # OUT with NO_AMOUNT where there is none
    uint64_t* client,  # OUT
    uint64_t* tx,  # OUT
    IdText* client_text,  # OUT where clients are texts
    IdText* tx_text,  # OUT where transactions are
    CurrencyCode* currency,  # OUT where accounts have one
    int64_t* units,  # OUT
) noexcept nogil:
    """Parse the fields of a row. WELL_FORMED; the first reason why it is malformed; or IGNORED_ROW."""
    cdef TypedAmount amount
    cdef Py_ssize_t index
    cdef Malformed malformed
    cdef bint has_type, is_type, is_amount = True
    for index in range(meaning.kept_count):
        if not is_one_of(&fields.kept[index], &meaning.kept[index]):
            return IGNORED_ROW
    if meaning.nulls.count:
        empty_nulls(fields, meaning)
    amount.kind = 0
    is_type = True
    if meaning.has_debits:
        has_type = fields.amount.start != fields.amount.end or fields.debit.start != fields.debit.end
    elif meaning.has_signs:
        has_type = fields.amount.start != fields.amount.end
    else:
        has_type = fields.type.start != fields.type.end
        is_type = has_type and parse_kind_word(&fields.type, &meaning.types, &amount.kind)
        if is_type and amount.kind == IGNORED_KIND:
            return IGNORED_ROW
    if fields.has_surplus:
        return TOO_MANY_FIELDS
    if not has_type or fields.client.start == NULL or fields.tx.start == NULL:
        return MISSING_FIELD
    if meaning.has_currency and fields.currency.start == NULL:
        return MISSING_FIELD
    if not is_type:
        return BAD_TYPE
    malformed = parse_ids(fields, meaning, quote, client, tx, client_text, tx_text)
    if malformed != WELL_FORMED:
        return malformed
    if meaning.has_currency and not parse_currency(&fields.currency, quote, currency):
        return BAD_CURRENCY
    if meaning.has_debits:
        is_amount = choose_credit_or_debit(fields, meaning, &amount)
    else:
        is_amount = parse_amount_field(&fields.amount, meaning, fields.amount_is_number, &amount)
    if not is_amount:
        return BAD_AMOUNT
    if meaning.has_signs:
        amount.kind = meaning.negative_kind if amount.units < 0 else meaning.positive_kind
        amount.units = -amount.units if amount.units < 0 else amount.units
    kind[0] = amount.kind if amount.has_amount else amount.kind | NO_AMOUNT
    units[0] = amount.units
    return WELL_FORMED
