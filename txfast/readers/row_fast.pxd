"""The fast path: plain rows, from text to numbers, eight bytes at a time.

A plain row has no blanks, quotes or plus signs where they would matter. A function that meets anything else passes the
row on to the row parser: that alone decides. So the fast path may pass on any row, but must never read one otherwise
than the row parser does.

It reads up to WINDOW_BYTES from a row's start, and up to 24 bytes from a field's start or from its decimal point: the
text has TEXT_SLACK_BYTES after it.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy

from txfast.batch.batch cimport NO_AMOUNT
from txfast.batch.ids cimport ID_BYTES_MAX, IdText
from txfast.batch.header cimport Columns, Fields
from txfast.dialect.currencies cimport CODE_BYTES_MAX, CurrencyCode, code_of_words
from txfast.readers.scan_plan cimport (
    DECIMALS_AT_ONCE, DIALECT_WORD_BYTES_MAX, FIELDS, PLAIN_COLUMNS_MAX, DialectWord, KindName, Plan, PlainAmounts,
    Tables, word_slot,
)
from txfast.readers.row cimport Row
from txfast.text.bits cimport (
    WINDOW_BYTES, four_numbers, load_word, lowest_bit, match_16, match_64, match_either_64, unsigned_add_overflows,
    unsigned_multiply_overflows,
)
from txfast.text.csv_in cimport ROW_BYTES_MAX, Field, may_be_blank
from txfast.text.endings cimport CR, LF
from txfast.text.text_hash cimport hash_text


cdef inline const uint8_t* plain_row(
    const uint8_t* line,  # IN
    const Columns columns,  # IN
    const uint8_t delimiter,  # IN
    const PlainAmounts amounts,  # IN
    const bint has_words,  # IN whether the types have words of a dialect
    const Tables* tables,  # IN
    Row* row,  # OUT
) noexcept nogil:
    """Parse a plain row of four columns, in any order; return the next line, or NULL where the row is not plain.

    All boundaries of fields are found at once, in the 64 bytes from the line's start, so that no field has to wait for
    the end of the one before it.
    """
    cdef uint64_t boundaries = match_either_64(line, delimiter, LF)
    cdef Field[FIELDS] cut
    cdef const uint8_t* boundary = line - 1
    cdef Fields fields
    cdef uint8_t wrong = 0
    cdef int column
    for column in range(FIELDS - 1):
        if not boundaries:
            return NULL
        cut[column].start = boundary + 1
        boundary = line + lowest_bit(boundaries)
        cut[column].end = boundary
        boundaries &= boundaries - 1
        if column < FIELDS - 2:
            wrong |= boundary[0] ^ delimiter
    if boundary[0] == delimiter and boundaries:
        cut[FIELDS - 1].start = boundary + 1
        boundary = line + lowest_bit(boundaries)
        wrong |= boundary[0] ^ LF
        cut[FIELDS - 1].end = boundary - ((boundary - 1)[0] == CR)
    elif boundary[0] == LF and columns.amount == FIELDS - 1:
        # The row ends before its amount: mostly a dispute, a resolve or a chargeback.
        cut[FIELDS - 2].end -= (boundary - 1)[0] == CR
        cut[FIELDS - 1].start = cut[FIELDS - 1].end = boundary
    else:
        return NULL
    if wrong:
        return NULL
    fields.type = cut[columns.type]
    fields.client = cut[columns.client]
    fields.tx = cut[columns.tx]
    fields.amount = cut[columns.amount]
    return boundary + 1 if plain_fields(&fields, tables, amounts, has_words, row) else NULL


cdef inline const uint8_t* plain_wide_row(
    const uint8_t* line,  # IN
    const uint8_t* end,  # IN
    const Plan* plan,  # IN
    const bint has_text_ids,  # IN a constant
    Row* row,  # OUT
) noexcept nogil:
    """The same for a row of any length, with other columns among the four, or ids that are texts."""
    cdef Field[PLAIN_COLUMNS_MAX] cut
    cdef Fields fields
    cdef const uint8_t* window = line
    cdef const uint8_t* boundary
    cdef uint64_t delimiters, ends = 0
    cdef Py_ssize_t column = 0, index
    cut[0].start = line
    while not ends:
        if window >= end:
            return NULL
        # Where ids are numbers, a CR in one shows by itself.
        ends = match_either_64(window, LF, CR) if has_text_ids else match_64(window, LF)
        delimiters = match_64(window, plan.form.syntax.delimiter) & (ends & -ends) - 1
        while delimiters and column + 1 < plan.width:
            boundary = window + lowest_bit(delimiters)
            delimiters &= delimiters - 1
            cut[column].end = boundary
            column += 1
            cut[column].start = boundary + 1
        if delimiters:
            return NULL
        window += WINDOW_BYTES
    if column + 2 < plan.width:
        return NULL
    boundary = window - WINDOW_BYTES + lowest_bit(ends)
    cut[column].end = boundary
    if has_text_ids:
        boundary += boundary[0] == CR
    else:
        cut[column].end -= (boundary - 1)[0] == CR
    if boundary >= end or boundary[0] != LF or boundary - line > ROW_BYTES_MAX:
        return NULL
    if column + 1 < plan.width:
        # Like a row of four columns, it may end before its amount.
        if plan.form.columns.amount != column + 1:
            return NULL
        cut[column + 1].start = cut[column + 1].end = boundary
    for index in range(plan.other_count):
        if not is_plain_text(
            cut[plan.others[index]].start, cut[plan.others[index]].end, plan.form.syntax.quote,
        ):
            return NULL
    if plan.has_currency and not plain_currency(&cut[plan.form.columns.currency], plan, &row.currency):
        return NULL
    fields.type = cut[plan.form.columns.type]
    fields.client = cut[plan.form.columns.client]
    fields.tx = cut[plan.form.columns.tx]
    fields.amount = cut[plan.form.columns.amount]
    if has_text_ids:
        return boundary + 1 if plain_fields_of_texts(&fields, plan, plan.amounts, row) else NULL
    return boundary + 1 if plain_fields(&fields, &plan.tables, plan.amounts, plan.has_words, row) else NULL


cdef inline bint is_plain_text(const uint8_t* start, const uint8_t* end, const int quote) noexcept nogil:
    """Whether a field of another column certainly ends at this boundary, and in this line."""
    if start == end:
        return True
    if start[0] == quote:
        # Quoted, and no quote inside.
        if end - start < 2 or (end - 1)[0] != quote or memchr(start + 1, quote, end - start - 2) != NULL:
            return False
    # After blanks there may be a quote. A CR may end the line.
    return not may_be_blank(start[0]) and memchr(start, CR, end - start) == NULL


cdef inline bint plain_currency(const Field* field, const Plan* plan, CurrencyCode* code) noexcept nogil:
    """The code of a currency; False where it is quoted, may have blanks around it or a CR in it, or has no right
    length."""
    cdef Py_ssize_t length = field.end - field.start
    cdef uint64_t first, second
    if not 0 < length <= CODE_BYTES_MAX or field.start[0] == plan.form.syntax.quote:
        return False
    if may_be_blank(field.start[0]) or may_be_blank((field.end - 1)[0]):
        return False
    if match_16(field.start, CR) & (1 << length) - 1:
        return False
    load_text(field.start, length, &plan.tables, &first, &second)
    code[0] = code_of_words(first, second, length)
    return True


cdef inline void load_text(
    const uint8_t* text, const Py_ssize_t length, const Tables* tables, uint64_t* first, uint64_t* second,
) noexcept nogil:
    """A text of up to 16 bytes as its first 8 and its next 8, with zeros behind it."""
    first[0] = load_word(text) & tables.word_masks[min(length, 8)]
    second[0] = load_word(text + 8) & tables.word_masks[max(length - 8, 0)]


cdef inline bint plain_kind(const Field* field, const Tables* tables, uint8_t* kind) noexcept nogil:
    cdef const uint8_t* start = field.start
    cdef const KindName* name = &tables.kind_names[(start[0] + start[4]) & 7]
    cdef uint16_t rest
    memcpy(&rest, start + 8, 2)
    kind[0] = name.kind
    return (
        (((load_word(start) ^ name.first) & name.first_mask) | ((rest ^ name.rest) & name.rest_mask)) == 0
        and field.end - start == name.length
    )


cdef inline bint plain_word(const Field* field, const Tables* tables, uint8_t* kind) noexcept nogil:
    """The type that a word of the dialect means; False for any other text."""
    cdef Py_ssize_t length = field.end - field.start
    cdef uint64_t first, second
    cdef const DialectWord* word
    if not 0 < length <= DIALECT_WORD_BYTES_MAX:
        return False
    load_text(field.start, length, tables, &first, &second)
    word = &tables.words[word_slot(tables.multiplier, first, second)]
    kind[0] = word.kind
    return ((first ^ word.first) | (second ^ word.second)) == 0 and word.length == length


cdef inline uint64_t few_digits(const uint8_t* start, const Py_ssize_t length) noexcept nogil:
    """1 to 8 bytes of text less `0`, in the last bytes of a word: the digits of a number, if they are digits.

    For a length of 0 or above 8: if the text's first byte is no digit, the result still has a byte that is no digit.
    """
    return (load_word(start) ^ <uint64_t>0x3030303030303030) << (-8 * length & 63)


cdef inline bint many_digits(
    const uint8_t* start, Py_ssize_t length, const Tables* tables, uint64_t* number,
) noexcept nogil:
    """The number of 9 to 20 digits, below 2^64."""
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


cdef inline bint plain_text_id(
    const Field* field,  # IN
    const Plan* plan,  # IN
    uint64_t* hash,  # OUT
    IdText* id,  # OUT
) noexcept nogil:
    """An id that is a text; False where it is quoted, may have blanks around it, or has no right length."""
    cdef Py_ssize_t length = field.end - field.start
    if not 0 < length <= ID_BYTES_MAX:
        return False
    if may_be_blank(field.start[0]) or may_be_blank((field.end - 1)[0]) or field.start[0] == plan.form.syntax.quote:
        return False
    id.start = field.start
    id.raw_bytes = <uint16_t>length
    id.length = <uint8_t>length
    id.doubled = 0
    hash[0] = hash_text(&plan.form.meaning.text_key, field.start, length)
    return True


cdef inline bint plain_fields_of_texts(
    Fields* fields, const Plan* plan, const PlainAmounts amounts, Row* row,
) noexcept nogil:
    """`plain_fields` for ids of which at least one is a text. In its place the others are parsed beside a number."""
    cdef Field client = fields.client
    cdef Field tx = fields.tx
    cdef uint64_t client_hash, tx_hash
    if plan.form.meaning.text_client:
        if not plain_text_id(&client, plan, &client_hash, &row.client_text):
            return False
        fields.client = placeholder()
    if plan.form.meaning.text_tx:
        if not plain_text_id(&tx, plan, &tx_hash, &row.tx_text):
            return False
        fields.tx = placeholder()
    if not plain_fields(fields, &plan.tables, amounts, plan.has_words, row):
        return False
    if plan.form.meaning.text_client:
        row.client = client_hash
    if plan.form.meaning.text_tx:
        row.tx = tx_hash
    return True


cdef inline Field placeholder() noexcept nogil:
    """A field with a number, in place of an id that is a text. A number is read as a word."""
    cdef const uint8_t* zero = b"00000000"
    return Field(start=zero, end=zero + 1, quoted=False)


cdef inline bint plain_fields(
    const Fields* fields,  # IN
    const Tables* tables,  # IN
    const PlainAmounts amounts,  # IN
    const bint has_words,  # IN whether the types have words of a dialect
    Row* row,  # OUT
) noexcept nogil:
    """Parse the four fields of a row; False where one of them is not plain.

    Client, tx, the amount's whole part and its decimals are a word of digits each, and become numbers together.
    """
    cdef const uint8_t* amount = fields.amount.start
    cdef Py_ssize_t client_length = fields.client.end - fields.client.start
    cdef Py_ssize_t tx_length = fields.tx.end - fields.tx.start
    cdef Py_ssize_t amount_length = fields.amount.end - amount
    cdef bint no_amount = amount_length == 0
    cdef bint negative = amount[0] == c'-'
    cdef Py_ssize_t whole_length, decimals
    cdef uint64_t[FIELDS] digits
    cdef uint32_t[FIELDS] numbers
    cdef int64_t units
    if has_words:
        if not plain_word(&fields.type, tables, &row.kind):
            return False
    elif not plain_kind(&fields.type, tables, &row.kind):
        return False
    amount += negative
    amount_length -= negative
    # A plain amount has its point in these 16 bytes, or ends without one.
    whole_length = min(<Py_ssize_t>lowest_bit(match_16(amount, amounts.decimal) | 1 << 16), amount_length)
    decimals = amount_length - whole_length - 1  # -1 without a point
    if decimals == 0 or decimals > amounts.decimals or whole_length > amounts.whole_digits_max:
        return False
    digits[0] = few_digits(fields.client.start, client_length)
    digits[1] = few_digits(fields.tx.start, tx_length)
    digits[2] = 0 if no_amount else few_digits(amount, whole_length)
    digits[3] = load_word(amount + whole_length + 1) ^ <uint64_t>0x3030303030303030
    # Missing decimals are zeros.
    digits[3] = (digits[3] & tables.decimals_masks[decimals + 1]) << amounts.decimals_shift
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
    units = amounts.scale * units + amounts.decimals_scale * numbers[3]
    row.amount = -units if negative else units
    row.kind |= NO_AMOUNT if no_amount else 0
    return True
