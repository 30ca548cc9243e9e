"""The native CSV reader: cuts a stream of bytes into blocks of whole lines, and scans blocks into batches.

Cutting goes in order, one block after the other; scanning a block needs the header alone, so several threads may
scan blocks at once. Buffers belong to batches and are used again with them: in the steady state nothing is
allocated but what keeps, from block to block, the line that the one begins and the other ends.

This module must not know rules, nor what becomes of its batches.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp

from cpython.bytearray cimport PyByteArray_AS_STRING

from txfast.batch.batch cimport BLANK_LINE, ROW_BYTES_KEPT, ROW_TOO_LONG, WELL_FORMED, Malformed, TransactionBatch
from txfast.batch.header cimport Columns, Fields, Header
from txfast.readers.row cimport Row, parse_row
from txfast.readers.row_fast cimport FIELDS, Tables, make_tables, plain_fields
from txfast.text.bits cimport WINDOW_BYTES, lowest_bit, match_either_64
from txfast.text.csv_in cimport ROW_BYTES_MAX, Field, is_blank, skip_blanks
from txfast.text.endings cimport CR, LF, find_ending, is_ending, past_ending

from txfast.errors import InputError, SourceError

BLOCK_BYTES = 1 << 18

cdef enum:
    BOM_BYTES = 3
    # The shortest row that can be well-formed, with its ending: `dispute,1,1`.
    WELL_FORMED_BYTES_MIN = 12
    MALFORMED_BYTES_MIN = 2
    # Columns that the fast path follows; a wider header takes the row parser.
    PLAIN_COLUMNS_MAX = 32

# How to scan the rows of one file.
cdef struct Plan:
    Columns columns
    bint is_standard  # type, client, tx, amount and nothing else
    Py_ssize_t width  # 0 where the fast path cannot follow the columns
    bint[PLAIN_COLUMNS_MAX] is_other
    Tables tables


cdef class CsvReader:
    """Reads one CSV file: `fill` a batch with the next block, then `scan` it.

    `file` has `readinto`; `name` is the file's in messages. A `consumption` is advanced over what each `fill` takes;
    where it has a header, the file is inside its input, behind that. `fill` is for one thread at a time, `scan` for
    any.
    """

    cdef object file
    cdef str name
    cdef Py_ssize_t block_bytes
    cdef bytes carry  # what was read behind the last whole line
    cdef bint at_start
    cdef bint at_end
    cdef readonly Header header
    cdef Plan plan
    cdef readonly uint64_t bytes_read
    cdef readonly object consumption

    def __cinit__(self, file not None, str name not None, Py_ssize_t block_bytes=BLOCK_BYTES, consumption=None):
        if block_bytes < 1:
            raise ValueError(f"a block of {block_bytes} bytes holds nothing")
        self.file = file
        self.name = name
        self.block_bytes = block_bytes
        self.carry = b""
        self.at_start = True
        self.consumption = consumption
        if consumption is not None and consumption.header is not None:
            self.header = Header(consumption.header, name)
            self.at_start = False
            make_plan(&self.plan, self.header)

    def fill(self, TransactionBatch batch not None):
        """Put the next whole lines into the batch. False at the end of the file.

        Raises InputError where the file is no transactions file, and SourceError where it cannot be read.
        """
        cdef Py_ssize_t filled = len(self.carry)
        cdef Py_ssize_t searched = 0
        cdef Py_ssize_t end = 0
        cdef uint8_t* text
        if self.at_end and not filled:
            return self.finish()
        self.make_room(batch, 0, filled + 1)
        batch.buffer[:filled] = self.carry
        while True:
            self.make_room(batch, filled, filled + 1)
            filled = self.read_into(batch.buffer, filled)
            text = <uint8_t*>PyByteArray_AS_STRING(batch.buffer)
            if self.at_end:
                end = filled
                break
            end = after_last_ending(text, searched, filled)
            if end:
                break
            if filled > ROW_BYTES_MAX + BOM_BYTES + 1:
                self.pass_long_line(batch, filled)
                return True
            searched = filled - 1
        if not end:
            return self.finish()
        self.carry = text[end:filled]
        self.consume(batch, end)
        if self.at_end:
            # The last line gets an ending, and where it has one, no LF stands behind it.
            text[end] = 0 if is_ending(text[end - 1]) else LF
        batch.attach(batch.buffer, text, end)
        if self.header is None:
            self.take_header(batch)
        batch.header = self.header
        # For a full buffer, so that the columns stay the same from block to block.
        filled = len(batch.buffer)
        batch.reserve(filled // WELL_FORMED_BYTES_MIN + 1, filled // MALFORMED_BYTES_MIN + 1)
        return True

    def scan(self, TransactionBatch batch not None):
        """Make rows of the text that `fill` put into the batch."""
        if not batch.scanned:
            with nogil:
                scan_text(batch, &self.plan)

    cdef int make_room(self, TransactionBatch batch, Py_ssize_t kept, Py_ssize_t needed) except -1:
        """See that the batch's buffer takes so many bytes, and slack behind them; `kept` bytes of it stay."""
        cdef Py_ssize_t capacity = 0 if batch.buffer is None else len(batch.buffer) - SLACK_BYTES
        cdef bytearray buffer
        # Another reader's buffer may be of another size.
        if needed <= capacity and (kept or capacity <= max(self.block_bytes, needed)):
            return 0
        buffer = bytearray(max(self.block_bytes, needed, 2 * kept) + SLACK_BYTES)
        if kept:
            buffer[:kept] = memoryview(batch.buffer)[:kept]
        batch.buffer = buffer
        return 0

    cdef Py_ssize_t read_into(self, bytearray buffer, Py_ssize_t filled) except -1:
        """Read until the buffer is full or the file ends; return how many bytes are in it."""
        cdef Py_ssize_t capacity = len(buffer) - SLACK_BYTES
        view = memoryview(buffer)
        while filled < capacity and not self.at_end:
            try:
                count = self.file.readinto(view[filled:capacity])
            except OSError as error:
                raise SourceError(f"{self.name}: cannot be read: {error.strerror or error}") from error
            if count is None:
                raise SourceError(f"{self.name}: cannot be read: it is non-blocking and has nothing to read yet")
            if count == 0:
                self.at_end = True
            filled += count
            self.bytes_read += <Py_ssize_t>count
        return filled

    cdef int consume(self, TransactionBatch batch, Py_ssize_t count) except -1:
        """Have the consumption know of so many bytes of the batch's buffer."""
        if self.consumption is not None:
            with memoryview(batch.buffer) as whole, whole[:count] as block:
                self.consumption.advance(block)
        return 0

    cdef int take_header(self, TransactionBatch batch) except -1:
        """Move the batch's text past the header, and past the lines that hold nothing before it."""
        cdef const uint8_t* start = batch.text
        cdef const uint8_t* end = start + batch.text_bytes
        cdef const uint8_t* line
        start = self.past_byte_order_mark(start, end)
        while start < end and self.header is None:
            line = start
            start = find_ending(line, end)
            if skip_blanks(line, start) != start:
                self.header = Header(line[:start - line], self.name)
                make_plan(&self.plan, self.header)
            start = past_ending(start, end)
            batch.lines_before += 1
        batch.text_bytes = end - start
        batch.text = start
        return 0

    cdef const uint8_t* past_byte_order_mark(self, const uint8_t* start, const uint8_t* end) noexcept:
        """The start of the file's text where these are its first bytes, else what came in."""
        if self.at_start and end - start >= BOM_BYTES and memcmp(start, b"\xef\xbb\xbf", BOM_BYTES) == 0:
            start += BOM_BYTES
        self.at_start = False
        return start

    cdef int pass_long_line(self, TransactionBatch batch, Py_ssize_t filled) except -1:
        """Read past a line that is longer than a row may be, and make a batch of it alone, with its head as text.

        It is malformed, unless it is all blank and so is nothing.
        """
        cdef const uint8_t* text = <const uint8_t*>PyByteArray_AS_STRING(batch.buffer)
        cdef const uint8_t* end = text + filled
        cdef const uint8_t* start = self.past_byte_order_mark(text, end)
        cdef const uint8_t* ending
        cdef bytes head = start[:ROW_BYTES_KEPT]
        cdef bint blank = True
        while True:
            ending = find_ending(start, end)
            blank = blank and skip_blanks(start, ending) == ending
            if self.header is None and not blank:
                raise InputError(f"{self.name}: not a transactions file: its header is longer than 1 MiB")
            # A CR that was read last may be half of an ending.
            if ending < end - 1 or self.at_end or (ending < end and ending[0] == LF):
                break
            self.carry = ending[:end - ending]
            self.consume(batch, filled - len(self.carry))
            filled = len(self.carry)
            batch.buffer[:filled] = self.carry
            filled = self.read_into(batch.buffer, filled)
            start = <const uint8_t*>PyByteArray_AS_STRING(batch.buffer)
            end = start + filled
        start = past_ending(ending, end)
        self.carry = start[:end - start]
        self.consume(batch, filled - len(self.carry))
        batch.attach(head, head, len(head))
        batch.header = self.header
        batch.reserve(1, 1)
        batch.scanned = True
        batch.lines = 1
        if not blank:
            batch.malformed_reason[0] = ROW_TOO_LONG
            batch.malformed_offset[0] = 0
            batch.malformed_rows = 1
        return 0

    cdef bint finish(self) except -1:
        """At the end of the file: False, or the error that it never was one of transactions."""
        if self.header is None:
            raise InputError(
                f"{self.name}: not a transactions file: "
                + ("it has no header" if self.bytes_read else "it is empty")
            )
        return False


def rescan(
    TransactionBatch batch not None, readinto not None, Py_ssize_t text_bytes, Header header not None,
    Py_ssize_t malformed_rows, bint is_cut,
):
    """Put a text that was scanned before into a batch, with its rows. `readinto(view)` gives it, all at once.

    What has no ending is the head of a line that was too long, and is nothing where no row was malformed. What was
    cut is cut again, behind the last of its malformed rows.
    """
    cdef uint8_t* text
    cdef Py_ssize_t capacity = 0 if batch.buffer is None else len(batch.buffer) - SLACK_BYTES
    if batch.buffer is None or text_bytes > capacity:
        batch.buffer = bytearray(text_bytes + SLACK_BYTES)
    readinto(memoryview(batch.buffer)[:text_bytes])
    text = <uint8_t*>PyByteArray_AS_STRING(batch.buffer)
    batch.attach(batch.buffer, text, text_bytes)
    batch.header = header
    if text_bytes and not is_ending(text[text_bytes - 1]):
        batch.reserve(1, 1)
        batch.scanned = True
        batch.lines = 1
        if malformed_rows:
            batch.malformed_reason[0] = ROW_TOO_LONG
            batch.malformed_offset[0] = 0
            batch.malformed_rows = 1
        return
    scan_lines(batch)
    if is_cut:
        batch.cut(malformed_rows)


cdef int scan_lines(TransactionBatch batch) except -1:
    """Make rows of the lines that the batch has as text, under a header, in a buffer with slack behind them."""
    cdef Plan plan
    make_plan(&plan, batch.header)
    batch.reserve(
        batch.text_bytes // WELL_FORMED_BYTES_MIN + 1, batch.text_bytes // MALFORMED_BYTES_MIN + 1
    )
    with nogil:
        scan_text(batch, &plan)
    return 0


cdef Py_ssize_t after_last_ending(const uint8_t* text, Py_ssize_t start, Py_ssize_t end) noexcept nogil:
    """Where the last whole line ends, or 0. A CR at the very end may be half of an ending, so it is none yet."""
    cdef Py_ssize_t place = end - 1
    if place >= start and text[place] == CR:
        place -= 1
    while place >= start and not is_ending(text[place]):
        place -= 1
    return place + 1 if place >= start else 0


cdef void make_plan(Plan* plan, Header header) noexcept:
    """Work out how the fast path finds the four fields."""
    cdef Py_ssize_t column
    plan.columns = header.columns
    plan.is_standard = (
        header.width == FIELDS
        and header.columns.type == 0
        and header.columns.client == 1
        and header.columns.tx == 2
    )
    plan.width = header.width if header.width <= PLAIN_COLUMNS_MAX else 0
    for column in range(plan.width):
        plan.is_other[column] = True
    if plan.width:
        plan.is_other[plan.columns.type] = plan.is_other[plan.columns.client] = False
        plan.is_other[plan.columns.tx] = plan.is_other[plan.columns.amount] = False
    make_tables(&plan.tables)


cdef void scan_text(TransactionBatch batch, const Plan* plan) noexcept nogil:
    """Make rows of the batch's text, which begins a line, ends with one, and has slack behind it."""
    # Copies in locals: through `batch` they would be read again after every store.
    cdef uint8_t* kinds = batch.kind
    cdef uint64_t* clients = batch.client
    cdef uint64_t* txs = batch.tx
    cdef int64_t* amounts = batch.amount
    cdef uint32_t* offsets = batch.offset
    cdef const uint8_t* text = batch.text
    cdef const uint8_t* end = text + batch.text_bytes
    cdef const uint8_t* line = text
    cdef const uint8_t* next_line
    cdef Py_ssize_t rows = 0, malformed_rows = 0, lines = 0
    # Known to the compiler, so that it makes a plain row's fields of its boundaries without a detour.
    cdef Columns standard = Columns(type=0, client=1, tx=2, amount=3)
    cdef Malformed malformed
    cdef Row row, other_row
    while line < end:
        lines += 1
        next_line = NULL
        if plan.is_standard:
            next_line = plain_row(line, standard, &plan.tables, &row)
        elif plan.width == FIELDS:
            next_line = plain_row(line, plan.columns, &plan.tables, &row)
        elif plan.width:
            next_line = plain_wide_row(line, end, plan, &row)
        malformed = WELL_FORMED
        if next_line == NULL:
            next_line = find_ending(line, end)
            malformed = parse_row(line, next_line, &plan.columns, &other_row)
            next_line = past_ending(next_line, end)
            row = other_row
        if malformed == WELL_FORMED:
            kinds[rows] = row.kind
            clients[rows] = row.client
            txs[rows] = row.tx
            amounts[rows] = row.amount
            offsets[rows] = <uint32_t>(line - text)
            rows += 1
        elif malformed != BLANK_LINE:
            batch.malformed_reason[malformed_rows] = malformed
            batch.malformed_offset[malformed_rows] = <uint32_t>(line - text)
            malformed_rows += 1
        line = next_line
    batch.rows = rows
    batch.malformed_rows = malformed_rows
    batch.lines = lines
    batch.scanned = True


cdef inline const uint8_t* plain_row(
    const uint8_t* line,  # IN
    const Columns columns,  # IN
    const Tables* tables,  # IN
    Row* row,  # OUT
) noexcept nogil:
    """Parse a plain row of the four columns, in any order; return the next line, or NULL where it is not plain.

    All boundaries are found at once, in the 64 bytes from the line's start, so that no field waits for the end of
    the one before it.
    """
    cdef uint64_t boundaries = match_either_64(line, c",", LF)
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
            wrong |= boundary[0] ^ c","
    if boundary[0] == c"," and boundaries:
        cut[FIELDS - 1].start = boundary + 1
        boundary = line + lowest_bit(boundaries)
        wrong |= boundary[0] ^ LF
        cut[FIELDS - 1].end = boundary - ((boundary - 1)[0] == CR)
    elif boundary[0] == LF and columns.amount == FIELDS - 1:
        # A row that ends before its amount, as those of disputes do.
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
    return boundary + 1 if plain_fields(&fields, tables, row) else NULL


cdef const uint8_t* plain_wide_row(
    const uint8_t* line, const uint8_t* end, const Plan* plan, Row* row,
) noexcept nogil:
    """The same for a row of any length, with other columns among the four."""
    cdef Field[PLAIN_COLUMNS_MAX] cut
    cdef Fields fields
    cdef const uint8_t* window = line
    cdef const uint8_t* boundary = line
    cdef uint64_t boundaries
    cdef Py_ssize_t column = 0
    cut[0].start = line
    while window < end and column < plan.width and boundary[0] != LF:
        boundaries = match_either_64(window, c",", LF)
        while boundaries and column < plan.width and boundary[0] != LF:
            boundary = window + lowest_bit(boundaries)
            boundaries &= boundaries - 1
            cut[column].end = boundary
            column += 1
            if column < plan.width:
                cut[column].start = boundary + 1
        window += WINDOW_BYTES
    if column < plan.width or boundary[0] != LF or boundary - line > ROW_BYTES_MAX:
        return NULL
    cut[column - 1].end -= (boundary - 1)[0] == CR
    for column in range(plan.width):
        if plan.is_other[column] and not is_plain_text(cut[column].start, cut[column].end):
            return NULL
    fields.type = cut[plan.columns.type]
    fields.client = cut[plan.columns.client]
    fields.tx = cut[plan.columns.tx]
    fields.amount = cut[plan.columns.amount]
    return boundary + 1 if plain_fields(&fields, &plan.tables, row) else NULL


cdef inline bint is_plain_text(const uint8_t* start, const uint8_t* end) noexcept nogil:
    """Whether a field of another column surely ends where it seems to, and is all in one line."""
    if start == end:
        return True
    if start[0] == c'"':
        # Quoted, with neither a comma nor a quote inside.
        if end - start < 2 or (end - 1)[0] != c'"' or memchr(start + 1, c'"', end - start - 2) != NULL:
            return False
    # A quote may stand behind blanks.
    return not is_blank(start[0]) and memchr(start, CR, end - start) == NULL
