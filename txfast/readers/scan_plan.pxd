"""Plan: how to scan the rows of one file. It is made once from the file's header and then only read.

Everything that the fast path has to know of a file is here, so that the loop over its rows decides nothing twice.
"""

from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.string cimport memcpy, memset

from txfast.batch.batch cimport CHARGEBACK, DEPOSIT, DISPUTE, REFUND, RESOLVE, REVERSAL, WITHDRAWAL
from txfast.batch.header cimport NO_COLUMN, Columns, Header, RowForm
from txfast.dialect.meaning cimport DECIMALS_MAX, IGNORED_KIND, Meaning, Word, Words

cdef enum:
    FIELDS = 4
    DECIMALS = 4
    # Columns that the fast path follows. The rows of a wider header go to the row parser.
    PLAIN_COLUMNS_MAX = 32
    # The most digits before the point that are read at once.
    WHOLE_DIGITS_MAX = 15
    # Decimals that are read at once.
    DECIMALS_AT_ONCE = 8
    # Words of a dialect that the fast path knows, in a table of this size, a power of two, and the bytes of a word.
    DIALECT_WORDS_MAX = 24
    WORD_SLOTS = 64
    WORD_SLOT_BITS = 6
    DIALECT_WORD_BYTES_MAX = 16
    # Multipliers that are tried to find a hash without collisions.
    HASHES_TRIED = 4096

# A type's name as its first 8 and its next 2 bytes, with masks for those that count.
cdef struct KindName:
    uint64_t first
    uint64_t first_mask
    uint16_t rest
    uint16_t rest_mask
    uint8_t kind
    uint8_t length

# A word of a dialect as its first 8 and its next 8 bytes. An unused slot has no length, so that nothing matches.
cdef struct DialectWord:
    uint64_t first
    uint64_t second
    uint8_t length
    uint8_t kind

cdef struct Tables:
    KindName[8] kind_names  # by (first byte + fifth byte) & 7, a hash in which the seven words do not collide
    uint64_t[9] powers_of_ten
    uint64_t[DECIMALS_AT_ONCE + 2] decimals_masks  # by number of decimals + 1: which bytes after the point count
    DialectWord[WORD_SLOTS] words
    uint64_t[9] word_masks  # by number of bytes: the first bytes of a word
    uint64_t multiplier  # of the hash of `words`

# How the fast path reads an amount.
cdef struct PlainAmounts:
    uint8_t decimal
    int decimals  # the most that are read at once
    int decimals_shift  # bits, so that decimals at the end of a word are a number; with 0 decimals they do not count
    uint64_t scale  # units of 1
    uint64_t decimals_scale  # units of the number that the decimals are
    Py_ssize_t whole_digits_max  # so that an amount surely fits

# How a file's rows look: for each layout there is a loop of its own.
cdef enum Layout:
    STANDARD_COLUMNS  # type, client, tx, amount, and nothing that is not the default
    ORDERED_COLUMNS  # the same order, with another delimiter, quote, words or form of amounts
    FOUR_COLUMNS  # the same four in any order
    MORE_COLUMNS  # others among them, or a currency, PLAIN_COLUMNS_MAX in all at most
    TEXT_IDS  # the same four or more, with ids that are texts
    NO_FAST_PATH  # more columns, or a dialect that only the row parser knows

cdef struct Plan:
    Layout layout
    RowForm form
    Py_ssize_t width  # columns in all; 0 with NO_FAST_PATH
    Py_ssize_t[PLAIN_COLUMNS_MAX] others  # the columns that do not matter
    Py_ssize_t other_count
    Tables tables
    PlainAmounts amounts
    bint has_words  # the types have words of the dialect
    bint has_text_ids
    bint has_currency


cdef inline void make_plan(Plan* plan, Header header) noexcept:
    """Compile a header."""
    cdef Py_ssize_t column
    cdef Py_ssize_t width = header.form.columns.width
    plan.form = header.form
    plan.amounts = default_amounts()
    plan.has_words = header.form.meaning != NULL
    plan.has_text_ids = header.form.meaning != NULL and (
        header.form.meaning.text_client or header.form.meaning.text_tx
    )
    plan.has_currency = header.form.columns.currency != NO_COLUMN
    make_tables(&plan.tables)
    if width > PLAIN_COLUMNS_MAX or not take_meaning(plan, header.is_json):
        plan.layout = NO_FAST_PATH
    elif plan.has_text_ids:
        plan.layout = TEXT_IDS
    elif width > FIELDS:
        plan.layout = MORE_COLUMNS
    elif not is_in_order(&plan.form.columns):
        plan.layout = FOUR_COLUMNS
    else:
        plan.layout = STANDARD_COLUMNS if is_standard(&plan.form) else ORDERED_COLUMNS
    plan.width = width if plan.layout != NO_FAST_PATH else 0
    plan.other_count = 0
    for column in range(plan.width):
        if not matters(&plan.form.columns, column):
            plan.others[plan.other_count] = column
            plan.other_count += 1


cdef inline bint matters(const Columns* columns, const Py_ssize_t column) noexcept nogil:
    """Whether a column is one of those that rows are read from."""
    return (
        column == columns.type or column == columns.client or column == columns.tx or column == columns.amount
        or column == columns.currency
    )


cdef inline bint is_in_order(const Columns* columns) noexcept nogil:
    """Whether the columns of a file of FIELDS columns are in the standard order."""
    return columns.type == 0 and columns.client == 1 and columns.tx == 2


cdef inline bint is_standard(const RowForm* form) noexcept nogil:
    """Whether all is the default but the names and the order of columns."""
    return (
        form.meaning == NULL and form.syntax.delimiter == c"," and form.syntax.quote == c'"'
        and not form.syntax.comment_bytes
    )


cdef inline PlainAmounts default_amounts() noexcept nogil:
    return PlainAmounts(
        decimal=c".", decimals=DECIMALS, decimals_shift=8 * (DECIMALS_AT_ONCE - DECIMALS), scale=10_000,
        decimals_scale=1, whole_digits_max=14,
    )


cdef inline bint take_meaning(Plan* plan, const bint is_json) noexcept:
    """Compile what a dialect says of types and amounts. False where only the row parser knows it."""
    cdef const Meaning* meaning = plan.form.meaning
    cdef int places
    if meaning == NULL:
        return True
    if meaning.has_signs or meaning.has_debits or meaning.kept_count or meaning.nulls.count:
        return False
    places = meaning.amounts.places
    plan.amounts.decimal = meaning.amounts.decimal
    plan.amounts.decimals = min(places, DECIMALS_AT_ONCE)
    plan.amounts.decimals_shift = 8 * max(0, DECIMALS_AT_ONCE - places) & 63
    plan.amounts.scale = meaning.amounts.scale
    plan.amounts.decimals_scale = 10 if places == DECIMALS_MAX else 1
    plan.amounts.whole_digits_max = min(WHOLE_DIGITS_MAX, 18 - places)
    return find_hash(&plan.tables, &meaning.types, plan.form.syntax.quote, is_json)


cdef inline bint find_hash(Tables* tables, const Words* types, const int quote, const bint is_json) noexcept nogil:
    """Make the table of a dialect's words, by the first multiplier under which no two collide. False where there is
    none. Words that are long, begin with the quote, have escapes in JSON, or whose rows are ignored, are left to the
    row parser."""
    cdef uint64_t multiplier = <uint64_t>0x9E3779B97F4A7C15
    cdef Py_ssize_t index, words = 0
    cdef int _
    cdef bint collides
    for index in range(types.count):
        words += types.first[index].length <= DIALECT_WORD_BYTES_MAX and types.first[index].kind != IGNORED_KIND
    if words > DIALECT_WORDS_MAX:
        return False
    for _ in range(HASHES_TRIED):
        memset(tables.words, 0, sizeof(tables.words))
        tables.multiplier = multiplier | 1
        collides = False
        for index in range(types.count):
            if not collides:
                collides = not add_word(tables, &types.first[index], quote, is_json)
        if not collides:
            return True
        multiplier = multiplier * <uint64_t>6364136223846793005 + <uint64_t>1442695040888963407
    return False


cdef inline bint has_escapes(const Word* word) noexcept nogil:
    """Whether a string of JSON cannot have the bytes of a word as they are."""
    cdef Py_ssize_t index
    for index in range(word.length):
        if word.text[index] < 0x20 or word.text[index] == c'"' or word.text[index] == c"\\":
            return True
    return False


cdef inline bint add_word(Tables* tables, const Word* word, const int quote, const bint is_json) noexcept nogil:
    """Put a word into its slot; False where another one is there."""
    cdef uint8_t[DIALECT_WORD_BYTES_MAX] padded
    cdef uint64_t first, second
    cdef DialectWord* slot
    if word.length > DIALECT_WORD_BYTES_MAX or word.kind == IGNORED_KIND or word.text[0] == quote:
        return True
    if is_json and has_escapes(word):
        return True
    memset(padded, 0, sizeof(padded))
    memcpy(padded, word.text, word.length)
    memcpy(&first, padded, 8)
    memcpy(&second, padded + 8, 8)
    slot = &tables.words[word_slot(tables.multiplier, first, second)]
    if slot.length:
        return False
    slot.first = first
    slot.second = second
    slot.length = <uint8_t>word.length
    slot.kind = word.kind
    return True


cdef inline uint64_t word_slot(const uint64_t multiplier, const uint64_t first, const uint64_t second) noexcept nogil:
    return ((first ^ (second << 32 | second >> 32)) * multiplier) >> (64 - WORD_SLOT_BITS)


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
    for i in range(DECIMALS_AT_ONCE + 1):
        tables.decimals_masks[i] = tables.word_masks[max(i - 1, 0)] = (<uint64_t>1 << 8 * max(i - 1, 0)) - 1
    tables.decimals_masks[DECIMALS_AT_ONCE + 1] = tables.word_masks[8] = <uint64_t>0 - 1


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
