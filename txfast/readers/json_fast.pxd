"""The fast path for JSON lines: rows that differ from an earlier one in nothing but values.

A program writes its objects alike: the same keys in the same order, with the same blanks. The bytes before, between and
after the values of a well-formed row are its shape. If another row has the same bytes there, its values are where the
shape says, and no key needs to be read. The values that matter must then be plain, as in row_fast.pxd. Values of other
keys are parsed in full. A dialect that needs more columns than the four and a currency has no shapes.

A function that meets anything else leaves the row to the row parser: that alone decides. So the fast path may pass on
any row, but must never read one otherwise than the row parser does.

It reads up to LITERAL_BYTES_MAX from any place in the text and up to VALUE_BYTES from where a value begins. The text
has TEXT_SLACK_BYTES after it, which is more.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from txfast.batch.header cimport Fields
from txfast.batch.json_object cimport MEMBER, NO_ROLE, Member, Step, next_member, role_of
from txfast.dialect.meaning cimport AMOUNT, CLIENT, CURRENCY, TX, TYPE, Meaning
from txfast.readers.row cimport Row
from txfast.readers.row_fast cimport load_word, plain_currency, plain_fields, plain_fields_of_texts
from txfast.readers.scan_plan cimport Plan, PlainAmounts, default_amounts
from txfast.text.bits cimport WORD_BYTES, lowest_bit, match_16
from txfast.text.csv_in cimport ROW_BYTES_MAX, Field
from txfast.text.endings cimport CR, LF
from txfast.text.json_in cimport begins_with, past_string, past_value
from txfast.text.numbers_in cimport is_digit

cdef enum:
    VALUES_MAX = 32
    LITERAL_WORDS = 8
    LITERAL_BYTES_MAX = LITERAL_WORDS * WORD_BYTES
    # No plain value is longer, but for ids that are texts.
    VALUE_BYTES = 32
    SHAPED_ROLES = CURRENCY + 1

# The bytes before a value, up to where its text begins.
cdef struct Literal:
    uint64_t[LITERAL_WORDS] words
    uint64_t last_mask  # the bytes of the last word that count
    int last_word
    int length
    int role  # of the value: a Role below SHAPED_ROLES, or NO_ROLE
    bint is_string  # of a value with a role; those of other keys begin with their first byte, whatever it is
    bint is_any_text

cdef struct Shape:
    int values
    Literal[VALUES_MAX + 1] literals  # the last is behind the last value, up to the line's ending


cdef inline bint follows(const uint8_t* p, const Literal* literal) noexcept nogil:
    """Whether the text has the literal here."""
    cdef int word = 0
    while word < literal.last_word:
        if load_word(p) != literal.words[word]:
            return False
        p += WORD_BYTES
        word += 1
    return (load_word(p) ^ literal.words[word]) & literal.last_mask == 0


cdef inline uint32_t match_either_16(const uint8_t* p, const uint8_t one, const uint8_t other) noexcept nogil:
    return match_16(p, one) | match_16(p, other)


cdef inline const uint8_t* end_of_value(const uint8_t* p, const bint is_string) noexcept nogil:
    """The quote after a string, or what may follow another value; NULL where neither comes within VALUE_BYTES."""
    cdef uint32_t found = match_16(p, c'"') if is_string else match_either_16(p, c",", c"}")
    if not found:
        found = (match_16(p + 16, c'"') if is_string else match_either_16(p + 16, c",", c"}")) << 16
    return p + lowest_bit(found) if found else NULL


cdef inline bint is_null(const Field* field) noexcept nogil:
    return field.end - field.start == 4 and begins_with(field.start, field.end, b"null", 4)


cdef inline bint may_be_number(const Field* field) noexcept nogil:
    """Whether digits that are no string keep to what JSON asks of numbers: there are some, without leading zeros."""
    cdef const uint8_t* p = field.start + (field.start[0] == c"-")
    return field.start != field.end and not (p[0] == c"0" and is_digit(p[1]))


cdef inline bint has_digits_alone(const Field* field) noexcept nogil:
    cdef const uint8_t* p = field.start
    while p < field.end and is_digit(p[0]):
        p += 1
    return p == field.end


cdef inline const uint8_t* end_of_text(const uint8_t* p, const uint8_t* limit) noexcept nogil:
    """The quote after a string without escapes, of any length; NULL where there is none."""
    cdef bint has_escapes
    cdef const uint8_t* past = past_string(p - 1, limit, &has_escapes)
    return past - 1 if past != NULL and not has_escapes else NULL


cdef inline PlainAmounts amounts_of(const Plan* plan, const bint is_string) noexcept nogil:
    """How amounts are written in strings, or as numbers, which have a decimal point."""
    cdef PlainAmounts amounts = plan.amounts
    if not is_string:
        amounts.decimal = c"."
    return amounts


cdef inline const uint8_t* take_plain_value(
    const uint8_t* start,  # IN
    const uint8_t* end,  # IN the end of the text
    const uint8_t* limit,  # IN of the row
    const Literal* literal,  # IN before the value
    const bint is_default,  # IN a constant
    Field* field,  # OUT
) noexcept nogil:
    """Take the value of one of the four keys; return its end, or NULL where it is not plain."""
    cdef const uint8_t* p
    if not is_default and literal.is_any_text and literal.is_string:
        p = end_of_text(start, limit)
    else:
        p = end_of_value(start, literal.is_string)
    # A value that goes on behind the text is none.
    if p == NULL or p > end:
        return NULL
    field.start = start
    field.end = p
    if literal.is_string:
        return p
    if literal.role == AMOUNT and is_null(field):
        field.end = field.start
        return p
    if not may_be_number(field) or (not is_default and literal.is_any_text and not has_digits_alone(field)):
        return NULL
    return p


cdef inline const uint8_t* shaped_row(
    const uint8_t* line,  # IN
    const uint8_t* end,  # IN the end of the text
    const Shape* shape,  # IN
    const Plan* plan,  # IN
    const bint is_default,  # IN a constant: whether the plan is of no dialect
    uint8_t* room,  # as in `next_member`
    Row* row,  # OUT
) noexcept nogil:
    """Parse a row of this shape; return the next line, or NULL where the row has another one, or is not plain."""
    cdef Field[<int>SHAPED_ROLES] cut
    cdef Fields fields
    cdef bint amount_is_string = False
    cdef const Literal* literal = shape.literals
    cdef const uint8_t* p = line
    cdef const uint8_t* limit = line + min(end - line, <Py_ssize_t>ROW_BYTES_MAX)
    cdef bint has_escapes
    cdef int _
    cut[<int>AMOUNT].start = cut[<int>AMOUNT].end = line
    cut[<int>CURRENCY].start = cut[<int>CURRENCY].end = line
    for _ in range(shape.values):
        if not follows(p, literal):
            return NULL
        p += literal.length
        if literal.role == NO_ROLE:
            p = past_value(p, limit, <uint64_t*>room, &has_escapes)
            if p == NULL:
                return NULL
        else:
            p = take_plain_value(p, end, limit, literal, is_default, &cut[literal.role])
            if p == NULL:
                return NULL
            if not is_default and literal.role == AMOUNT:
                amount_is_string = literal.is_string
        literal += 1
    if not follows(p, literal):
        return NULL
    p += literal.length
    if p - line > ROW_BYTES_MAX:
        return NULL
    if not is_default and plan.has_currency and not plain_currency(&cut[<int>CURRENCY], plan, &row.currency):
        return NULL
    fields.type = cut[<int>TYPE]
    fields.client = cut[<int>CLIENT]
    fields.tx = cut[<int>TX]
    fields.amount = cut[<int>AMOUNT]
    if is_default:
        if not plain_fields(&fields, &plan.tables, default_amounts(), False, row):
            return NULL
    elif plan.has_text_ids:
        if not plain_fields_of_texts(&fields, plan, amounts_of(plan, amount_is_string), row):
            return NULL
    elif not plain_fields(&fields, &plan.tables, amounts_of(plan, amount_is_string), plan.has_words, row):
        return NULL
    if p[0] == LF:
        return p + 1
    return p + 1 + (p[1] == LF) if p[0] == CR else NULL


cdef inline bint add_literal(
    Shape* shape, const uint8_t* start, const uint8_t* end, const int role, const bint is_string,
) noexcept nogil:
    """Add the literal before the next value; False where it is too long, or there are too many."""
    cdef Literal* literal = &shape.literals[shape.values]
    cdef Py_ssize_t length = end - start
    if length > LITERAL_BYTES_MAX:
        return False
    memcpy(literal.words, start, length)
    literal.length = <int>length
    literal.last_word = <int>((length - 1) // WORD_BYTES)
    literal.last_mask = ~<uint64_t>0 >> (8 * (-length & (WORD_BYTES - 1)))
    literal.role = role
    literal.is_string = is_string
    return True


cdef inline bint learn_shape(
    const uint8_t* line,  # IN a well-formed row
    const uint8_t* ending,  # IN
    const Plan* plan,  # IN
    uint8_t* room,  # as in `next_member`
    Shape* shape,  # OUT
) noexcept nogil:
    """Take the shape of a row. False where the fast path could not follow it."""
    cdef const uint8_t* place = line
    cdef const uint8_t* literal_start = line
    cdef bint[<int>SHAPED_ROLES] seen
    cdef Member member
    cdef bint is_string
    cdef int role
    memset(seen, 0, sizeof(seen))
    memset(shape, 0, sizeof(Shape))
    while next_member(&place, ending, literal_start == line, room, &member) == MEMBER:
        role = role_of(&member, plan.form.keys, room)
        if shape.values == VALUES_MAX:
            return False
        if role != NO_ROLE:
            # Which of two keys counts is for the row parser to say.
            if seen[role]:
                return False
            seen[role] = True
        is_string = role != NO_ROLE and member.value[0] == c'"'
        # A number may be the word of a type, or a currency: left to the row parser, like all words that are no strings.
        if (role == TYPE or role == CURRENCY) and not is_string:
            return False
        if not add_literal(shape, literal_start, member.value + is_string, role, is_string):
            return False
        shape.literals[shape.values].is_any_text = is_any_text(plan.form.meaning, role)
        shape.values += 1
        literal_start = member.value_end - is_string
    return add_literal(shape, literal_start, ending, NO_ROLE, False)


cdef inline bint is_any_text(const Meaning* meaning, const int role) noexcept nogil:
    """Whether the values of a Role may be any texts: ids, or currencies."""
    if meaning == NULL:
        return False
    return (role == CLIENT and meaning.text_client) or (role == TX and meaning.text_tx) or role == CURRENCY


cdef inline bint are_same(const Shape* one, const Shape* other) noexcept nogil:
    return memcmp(one, other, sizeof(Shape)) == 0
