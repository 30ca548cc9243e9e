"""For the fuzz targets: functions of the kernel and contents of batches, which Python cannot reach otherwise.

Built by run.py and by the tests, never with the package. A text ends where its memory ends, so that a sanitizer notices
every read past it, but for the slack that the fast path needs.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport malloc
from libc.string cimport memchr, memcpy, memset

from txfast.batch.batch cimport KIND_MASK, NO_AMOUNT, WELL_FORMED, TransactionBatch
from txfast.batch.header cimport Columns, Fields, RowForm, columns_at
from txfast.batch.ids cimport ID_ROOM_BYTES, IdSpan, id_at
from txfast.dialect.meaning cimport Meaning
from txfast.ledger.sorted_accounts cimport AccountColumns
from txfast.readers.scan_plan cimport FIELDS, Tables, default_amounts, make_tables
from txfast.readers.row cimport Row, parse_row
from txfast.readers.row_fast cimport plain_fields
from txfast.text.bits cimport WORD_BYTES
from txfast.text.csv_in cimport Field, default_syntax
from txfast.text.numbers_in cimport parse_amount, parse_id
from txfast.text.numbers_out cimport AMOUNT_BYTES_MAX, NUMBER_BYTES_MAX, write_amount, write_number

from txfast.batch.batch import KINDS, MALFORMED_REASONS

cdef enum:
    # Bytes that readers/row_fast.pxd may read from a field's start.
    PLAIN_SLACK_BYTES = 24
    TEXT_BYTES_MAX = 1 << 12

cdef Tables tables
make_tables(&tables)

cdef uint8_t* text_memory = <uint8_t*>malloc(TEXT_BYTES_MAX)


cdef uint8_t* copied(bytes text, Py_ssize_t slack) except NULL:
    """A text at the end of its memory, with `slack` bytes after it: an ending, and the beginning of another line.

    It is valid until the next text is copied: allocating memory for each would take most of the time.
    """
    cdef uint8_t* copy = text_memory + TEXT_BYTES_MAX - len(text) - slack
    if len(text) + slack > TEXT_BYTES_MAX:
        raise ValueError(f"a text of {len(text)} bytes is too long")
    memcpy(copy, <const uint8_t*>text, len(text))
    if slack:
        memset(copy + len(text), c'7', slack)
        copy[len(text)] = c'\n'
    return copy


cdef object row_tuple(const uint8_t kind, uint64_t client, uint64_t tx, int64_t amount):
    return KINDS[kind & KIND_MASK], client, tx, None if kind & NO_AMOUNT else amount


def parse(
    bytes line not None,
    Py_ssize_t type_column,
    Py_ssize_t client_column,
    Py_ssize_t tx_column,
    Py_ssize_t amount_column,
    Py_ssize_t width,
):
    """Parse the first row of a text of these columns: the row, the reason why it is malformed, or "" for a blank line."""
    cdef RowForm form = form_at(columns_at(type_column, client_column, tx_column, amount_column, width))
    cdef uint8_t* text = copied(line, 0)
    cdef const uint8_t* row_end
    cdef bint has_quotes
    cdef Row row
    cdef int malformed = parse_row(text, text + len(line), &form, &row, &row_end, &has_quotes)
    if malformed == WELL_FORMED:
        return row_tuple(row.kind, row.client, row.tx, row.amount)
    return MALFORMED_REASONS[malformed] if malformed < len(MALFORMED_REASONS) else ""


def read_amount(bytes text not None):
    """An amount in units of 0.0001, or None."""
    cdef uint8_t* copy = copied(text, 0)
    cdef int64_t units = 0
    cdef bint accepted = parse_amount(copy, copy + len(text), &units)
    return units if accepted else None


def read_id(bytes text not None):
    cdef uint8_t* copy = copied(text, 0)
    cdef uint64_t number = 0
    cdef bint accepted = parse_id(copy, copy + len(text), &number)
    return number if accepted else None


def print_amount(int64_t units):
    cdef uint8_t[AMOUNT_BYTES_MAX + WORD_BYTES] text
    cdef uint8_t* start = text
    return start[:write_amount(start, units) - start]


def print_number(uint64_t number):
    cdef uint8_t[NUMBER_BYTES_MAX + WORD_BYTES] text
    cdef uint8_t* start = text
    return start[:write_number(start, number) - start]


cdef bint cut_plainly(const uint8_t* line, const uint8_t* end, Field* cut) noexcept:
    """Cut a line at its commas, as the fast path does; False where there are not three."""
    cdef const uint8_t* boundary
    cdef int column
    for column in range(FIELDS):
        boundary = <const uint8_t*>memchr(line, c",", end - line)
        if (boundary == NULL) != (column == FIELDS - 1):
            return False
        cut[column].start = line
        cut[column].end = end if boundary == NULL else boundary
        line = cut[column].end + 1
    return True


cdef RowForm form_at(Columns columns) noexcept:
    """The form of rows with these columns, in the default dialect."""
    cdef RowForm form
    form.syntax = default_syntax()
    form.columns = columns
    form.meaning = NULL
    return form


def plain_agrees(bytes line not None):
    """Whether the fast path reads this line as the row parser does, or refuses it."""
    cdef uint8_t* text = copied(line, PLAIN_SLACK_BYTES)
    cdef RowForm form = form_at(columns_at(0, 1, 2, 3, 4))
    cdef Field[FIELDS] cut
    cdef Fields fields
    cdef const uint8_t* row_end
    cdef bint has_quotes
    cdef Row row, parsed
    cdef bint agrees = True
    if cut_plainly(text, text + len(line), cut):
        fields.type, fields.client, fields.tx, fields.amount = cut[0], cut[1], cut[2], cut[3]
        if plain_fields(&fields, &tables, default_amounts(), False, &row):
            agrees = (
                parse_row(text, text + len(line), &form, &parsed, &row_end, &has_quotes) == WELL_FORMED
                and row_end == text + len(line)
                and row.kind == parsed.kind
                and row.client == parsed.client
                and row.tx == parsed.tx
                and row.amount == parsed.amount
            )
    return agrees


cdef str id_text(TransactionBatch batch, const IdSpan* span):
    cdef uint8_t[ID_ROOM_BYTES] room
    return id_at(batch.text, span, room)[:span.length].decode("utf-8", "surrogateescape")


def rows_of(TransactionBatch batch not None):
    """A batch's rows in their order: each a transaction, or the reason why it is malformed. Ids that are texts are
    str, with surrogates for bytes that are not UTF-8."""
    cdef Py_ssize_t i
    cdef const Meaning* meaning = NULL if batch.header is None else batch.header.form.meaning
    rows = [row_tuple(batch.kind[i], batch.client[i], batch.tx[i], batch.amount[i]) for i in range(batch.rows)]
    if meaning != NULL and meaning.text_client:
        rows = [(row[0], id_text(batch, &batch.client_span[i]), *row[2:]) for i, row in enumerate(rows)]
    if meaning != NULL and meaning.text_tx:
        rows = [(*row[:2], id_text(batch, &batch.tx_span[i]), row[3]) for i, row in enumerate(rows)]
    if batch.text == NULL:  # there are neither offsets nor malformed rows
        return rows
    placed = [(batch.offset[i], row) for i, row in enumerate(rows)]
    placed += [
        (batch.malformed_offset[i], MALFORMED_REASONS[batch.malformed_reason[i]]) for i in range(batch.malformed_rows)
    ]
    placed.sort()
    return [row for _, row in placed]


def make_batch(list rows not None):
    """A batch of (code of the kind, client, tx, amount or None)."""
    cdef TransactionBatch batch = TransactionBatch()
    cdef Py_ssize_t index
    batch.reserve(len(rows), 1, 0)
    for index, (kind, client, tx, amount) in enumerate(rows):
        batch.kind[index] = kind | (NO_AMOUNT if amount is None else 0)
        batch.client[index] = client
        batch.tx[index] = tx
        batch.amount[index] = amount or 0
        batch.offset[index] = <int32_t>index
    batch.rows = len(rows)
    return batch


def statuses_of(TransactionBatch batch not None):
    """The status code of each row."""
    return [batch.status[index] for index in range(batch.rows)]


def accounts_of(AccountColumns accounts not None):
    """The accounts, in their order: client, available and held in units of 0.0001, and whether it is locked."""
    cdef Py_ssize_t i
    return [
        (accounts.balances[i].client, accounts.balances[i].content, accounts.held[i], accounts.locked[i] != 0)
        for i in range(accounts.count)
    ]


def run_over(bytes text not None):
    """The planted bug: after the right word, read one byte too many."""
    cdef uint8_t* copy = copied(text, 0)
    cdef uint8_t byte = 0
    if len(text) >= 6 and copy[0] == c"r" and copy[1] == c"e" and copy[2] == c"f" and copy[3] == c"u":
        if copy[4] == c"n" and copy[5] == c"d":
            byte = (<volatile uint8_t*>copy)[len(text)]
    return byte
