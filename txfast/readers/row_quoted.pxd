"""The fast path for rows with quoted fields: delimiters, doubled quotes and line endings inside them.

Writers of CSV quote a field that holds a delimiter, and some quote every field. Like the fast path for plain rows, this
one leaves any other row to the row parser. It must never read a row differently from that.

It reads whole windows of WINDOW_BYTES from a row's start on, so the text has TEXT_SLACK_BYTES after it.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memchr

from txfast.batch.header cimport Fields
from txfast.readers.row cimport Row
from txfast.readers.row_fast cimport plain_currency, plain_fields, plain_fields_of_texts
from txfast.readers.scan_plan cimport PLAIN_COLUMNS_MAX, Plan
from txfast.text.bits cimport WINDOW_BYTES, count_bits, lowest_bit, match_64, match_either_64
from txfast.text.csv_in cimport ROW_BYTES_MAX, Field
from txfast.text.endings cimport CR, LF, count_lines


cdef inline const uint8_t* quoted_row(
    const uint8_t* line,  # IN
    const uint8_t* end,  # IN the end of the text
    const Plan* plan,  # IN
    Row* row,  # OUT
    Py_ssize_t* lines_inside,  # OUT the line endings inside the row
) noexcept nogil:
    """Parse a row whose quotes are only around fields and, doubled, inside them; return its line ending, or NULL for
    any other row."""
    cdef Field[PLAIN_COLUMNS_MAX] cut
    cdef Fields fields
    cdef Py_ssize_t quotes, column
    cdef uint8_t quote = <uint8_t>plan.form.syntax.quote
    cdef const uint8_t* ending
    if plan.form.syntax.quote < 0:
        return NULL
    ending = cut_by_parity(line, end, plan.form.syntax.delimiter, quote, plan.width, cut, &quotes, lines_inside)
    if ending == NULL or not quotes:
        return NULL
    for column in range(plan.width):
        if cut[column].start[0] == quote:
            quotes -= unquote(&cut[column], quote)
    # A quote that is left over is in an unquoted field, or after the closing quote of a quoted one.
    if quotes:
        return NULL
    fields.type = cut[plan.form.columns.type]
    fields.client = cut[plan.form.columns.client]
    fields.tx = cut[plan.form.columns.tx]
    fields.amount = cut[plan.form.columns.amount]
    if plan.has_currency:
        column = plan.form.columns.currency
        if has_quote(&cut[column], quote) or not plain_currency(&cut[column], plan, &row.currency):
            return NULL
    if plan.has_text_ids:
        if has_quote(&fields.client, quote) or has_quote(&fields.tx, quote):
            return NULL
        return ending if plain_fields_of_texts(&fields, plan, plan.amounts, row) else NULL
    return ending if plain_fields(&fields, &plan.tables, plan.amounts, plan.has_words, row) else NULL


cdef inline bint has_quote(const Field* field, const uint8_t quote) noexcept nogil:
    return memchr(field.start, quote, field.end - field.start) != NULL


cdef inline const uint8_t* cut_by_parity(
    const uint8_t* line,  # IN
    const uint8_t* end,  # IN the end of the text
    const uint8_t delimiter,  # IN
    const uint8_t quote,  # IN
    const Py_ssize_t width,  # IN columns
    Field* cut,  # OUT the fields, with their quotes
    Py_ssize_t* quote_count,  # OUT
    Py_ssize_t* lines_inside,  # OUT
) noexcept nogil:
    """Cut a row into fields: a byte with an odd number of quotes before it is taken to be inside a quoted field. Return
    the row's line ending, or NULL where it has more fields or fewer, is too long, or does not end in the text."""
    cdef const uint8_t* window = line
    cdef const uint8_t* ending = NULL
    cdef const uint8_t* boundary
    cdef uint64_t quotes, inside, endings, boundaries, row_bytes
    cdef uint64_t inside_before = 0
    cdef Py_ssize_t column = 0
    cdef bint has_returns = False
    quote_count[0] = lines_inside[0] = 0
    cut[0].start = line
    while ending == NULL:
        if window >= end or window - line > ROW_BYTES_MAX:
            return NULL
        quotes = match_64(window, quote)
        inside = parity_before(quotes) ^ inside_before
        endings = match_either_64(window, LF, CR)
        boundaries = (match_64(window, delimiter) | endings) & ~inside
        if endings & ~inside:
            ending = window + lowest_bit(endings & ~inside)
            row_bytes = (<uint64_t>2 << (ending - window)) - 1
            quotes &= row_bytes
            endings &= row_bytes
            boundaries &= row_bytes
        if endings & inside:
            lines_inside[0] += count_bits(endings & inside)
            has_returns |= (endings & inside & match_64(window, CR)) != 0
        quote_count[0] += count_bits(quotes)
        while boundaries:
            if column == width:
                return NULL
            boundary = window + lowest_bit(boundaries)
            boundaries &= boundaries - 1
            cut[column].end = boundary
            column += 1
            if column < width:
                cut[column].start = boundary + 1
        inside_before = 0 - (inside >> (WINDOW_BYTES - 1))
        window += WINDOW_BYTES
    # An ending after the text is not the row's, unless it is the very next byte: that is the LF of a last line without
    # an ending.
    if column < width or ending > end or ending - line > ROW_BYTES_MAX:
        return NULL
    if has_returns:
        # A CR and an LF may be one ending.
        lines_inside[0] = count_lines(line, ending)
    return ending


cdef inline uint64_t parity_before(uint64_t bits) noexcept nogil:
    """By bit: whether an odd number of bits is set up to it, itself included."""
    bits ^= bits << 1
    bits ^= bits << 2
    bits ^= bits << 4
    bits ^= bits << 8
    bits ^= bits << 16
    return bits ^ bits << 32


cdef inline Py_ssize_t unquote(Field* field, const uint8_t mark) noexcept nogil:
    """Take the quotes around a field away; return how many quotes are rightly in it: these two, and the doubled ones up
    to the first that is not doubled. 0 for a field without quotes around it."""
    cdef Py_ssize_t quotes = 2
    cdef const uint8_t* quote
    if field.end - field.start < 2 or (field.end - 1)[0] != mark:
        return 0
    field.start += 1
    field.end -= 1
    quote = <const uint8_t*>memchr(field.start, mark, field.end - field.start)
    while quote != NULL and quote + 1 < field.end and quote[1] == mark:
        quotes += 2
        quote = <const uint8_t*>memchr(quote + 2, mark, field.end - quote - 2)
    return quotes
