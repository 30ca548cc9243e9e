"""Rejects as text, a line each: CSV, or JSON.

This module must not know where the text goes, nor why a row is a reject.
"""

from libc.stdint cimport int32_t, uint8_t, uint64_t
from libc.string cimport memcpy

from txfast.batch.batch cimport MALFORMED_COUNT, TransactionBatch
from txfast.batch.cursor cimport TEXTS, RowCursor, cut_texts, reason_of
from txfast.ledger.buffers cimport column
from txfast.text.csv_in cimport Field
from txfast.text.csv_out cimport CSV_EXTRA_BYTES, CSV_GROWTH, write_csv_field
from txfast.text.json_string cimport JSON_GROWTH, write_json_string
from txfast.text.numbers_out cimport NUMBER_BYTES_MAX, write_number

from txfast.batch.batch import MALFORMED_REASONS
from txfast.ledger.ledger import STATUSES

FORMATS = ("csv", "jsonl")
COLUMN_NAMES = ("file", "line", "status", "reason", "type", "client", "tx", "amount", "row")
REJECT_BLOCK_BYTES = 1 << 18

cdef enum:
    REASONS_MAX = 32
    # The longest separator. Each is copied with all of these bytes.
    SEPARATOR_BYTES = 16
    # The most bytes of a line besides the file's name and the five texts; from columns, besides all texts.
    LINE_EXTRA_BYTES = 256
    COLUMN_COUNT = 9
    LINE_COLUMN = 1  # the one column that has numbers

# Text that many lines share.
cdef struct Piece:
    const uint8_t* start
    Py_ssize_t length

# A short piece after a text, copied without a loop.
cdef struct Separator:
    uint8_t[SEPARATOR_BYTES] text
    Py_ssize_t length


# One column of rejects: texts with their offsets, or numbers.
cdef struct RejectColumn:
    const int32_t* offsets  # of the first row's text on; NULL for numbers
    const uint8_t* text
    const uint64_t* numbers


cdef inline Piece piece_of(bytes text) noexcept:
    cdef Piece piece
    piece.start = text
    piece.length = len(text)
    return piece


cdef inline uint8_t* put(uint8_t* out, const Piece* piece) noexcept nogil:
    memcpy(out, piece.start, piece.length)
    return out + piece.length


cdef class RejectText:
    """Makes text of rejects: iterate the `blocks` of each batch, then take the `rest`.

    `text_format` is one of FORMATS. A block has about `block_bytes`, more where one line has more. It is a view of a
    buffer that is reused: it is valid until the next block is asked for.
    """

    cdef bint is_json
    cdef bytearray block
    cdef Py_ssize_t filled
    cdef object file
    cdef list kept  # the bytes that the pieces point to
    cdef bytes file_text
    cdef Piece file_piece
    cdef Piece[REASONS_MAX] reason_pieces
    cdef Separator[TEXTS] separators
    cdef Piece[COLUMN_COUNT + 1] column_pieces  # before each column, and after the last

    def __cinit__(self, str text_format not None, Py_ssize_t block_bytes=REJECT_BLOCK_BYTES):
        if text_format not in FORMATS:
            raise ValueError(f"format {text_format!r}: it is one of {', '.join(FORMATS)}")
        self.is_json = text_format == "jsonl"
        self.block = bytearray(max(block_bytes, 1))
        self.kept = []
        self.make_pieces()
        if not self.is_json:
            header = ",".join(COLUMN_NAMES).encode() + b"\n"
            if len(self.block) < len(header):
                self.block = bytearray(len(header))
            self.filled = len(header)
            self.block[:self.filled] = header

    cdef int make_pieces(self) except -1:
        """Make the pieces that lines share: for each reason the piece between line number and first text, and for JSON
        the separator after each text."""
        cdef int index
        cdef Piece piece
        cdef Py_ssize_t longest_reason = 0, rest = 0
        reasons = (*MALFORMED_REASONS, *STATUSES)
        if len(reasons) > REASONS_MAX:
            raise ValueError("more reasons than there is room for")
        for index, reason in enumerate(reasons):
            status = "malformed" if index < MALFORMED_COUNT else "rejected"
            text = f',"status":"{status}","reason":"{reason}","type":"' if self.is_json else f",{status},{reason},"
            self.reason_pieces[index] = self.keep(text)
            longest_reason = max(longest_reason, self.reason_pieces[index].length)
        for index, name in enumerate((*COLUMN_NAMES[len(COLUMN_NAMES) - TEXTS + 1:], None)):
            text = '"}\n' if name is None else f'","{name}":"'
            piece = self.keep(text)
            if piece.length > SEPARATOR_BYTES:
                raise ValueError(f"{text!r} is too long")
            memcpy(self.separators[index].text, piece.start, piece.length)
            self.separators[index].length = piece.length
            rest += piece.length
        rest += TEXTS * CSV_EXTRA_BYTES + NUMBER_BYTES_MAX + SEPARATOR_BYTES
        assert longest_reason + rest <= LINE_EXTRA_BYTES
        rest = COLUMN_COUNT * CSV_EXTRA_BYTES + NUMBER_BYTES_MAX
        for index in range(COLUMN_COUNT + 1):
            self.column_pieces[index] = self.keep(self.before_column(index))
            rest += self.column_pieces[index].length
        assert rest <= LINE_EXTRA_BYTES
        return 0

    cdef str before_column(self, int index):
        """What stands before a column of a line, and after the last one."""
        if not self.is_json:
            return "\n" if index == COLUMN_COUNT else "," if index else ""
        if index == COLUMN_COUNT:
            return '"}\n'
        before = "{" if not index else "," if index == LINE_COLUMN + 1 else '",'
        return f'{before}"{COLUMN_NAMES[index]}":' + ("" if index == LINE_COLUMN else '"')

    cdef Piece keep(self, str text) except *:
        """A piece that stays valid as long as this object."""
        cdef bytes kept = text.encode()
        self.kept.append(kept)
        return piece_of(kept)

    cdef int begin_file(self, bytes file) except -1:
        """Make the piece that every line of this file begins with."""
        cdef bytearray text
        cdef uint8_t[::1] view
        cdef uint8_t* start
        cdef Field name
        cdef Py_ssize_t length
        if self.file == file:
            return 0
        name.start = file
        name.end = name.start + len(file)
        name.quoted = False
        text = bytearray(JSON_GROWTH * len(file) + CSV_EXTRA_BYTES)
        view = text
        start = &view[0]
        length = (write_json_string(start, &name) if self.is_json else write_csv_field(start, &name)) - start
        written = bytes(text[:length])
        self.file_text = b'{"file":"' + written + b'","line":' if self.is_json else written + b","
        self.file_piece = piece_of(self.file_text)
        self.file = file
        return 0

    def blocks(self, bytes file not None, TransactionBatch batch not None):
        """Iterate the blocks that the rejects of an applied batch of this file fill. The rest waits for the next
        batch."""
        cdef RowCursor cursor = RowCursor(batch)
        if cursor.advance():
            self.begin_file(file)
            yield from self._filled(cursor, None)

    def column_blocks(self, RejectRows rejects not None):
        """Iterate the blocks that rejects fill which are columns. The rest waits for the next call."""
        return self._filled(None, rejects)

    def _filled(self, RowCursor cursor, RejectRows rejects):
        """Iterate the blocks that are filled from a batch, or from columns."""
        cdef Py_ssize_t needed
        while True:
            needed = self.fill_from_columns(rejects) if cursor is None else self.fill(cursor)
            if not needed:
                return
            if self.filled:
                yield memoryview(self.block)[:self.filled]
                self.filled = 0
            if needed > len(self.block):
                self.block = bytearray(needed)

    cdef Py_ssize_t fill_from_columns(self, RejectRows rejects) except -1:
        """As `fill`, from columns."""
        cdef uint8_t[::1] view = self.block
        cdef uint8_t* block = &view[0]
        cdef uint8_t* out = block + self.filled
        cdef uint8_t* end = block + view.shape[0]
        cdef Py_ssize_t needed = 0, growth = JSON_GROWTH if self.is_json else CSV_GROWTH
        with nogil:
            while rejects.row < rejects.rows:
                needed = growth * rejects.text_bytes() + LINE_EXTRA_BYTES
                if needed > end - out:
                    break
                out = self.write_columns(out, rejects)
                rejects.row += 1
                needed = 0
        self.filled = out - block
        return needed

    cdef uint8_t* write_columns(self, uint8_t* out, RejectRows rejects) noexcept nogil:
        cdef int index
        cdef Field text
        for index in range(COLUMN_COUNT):
            out = put(out, &self.column_pieces[index])
            if index == LINE_COLUMN:
                out = write_number(out, rejects.columns[index].numbers[rejects.row])
                continue
            text = rejects.text_of(index)
            out = write_json_string(out, &text) if self.is_json else write_csv_field(out, &text)
        return put(out, &self.column_pieces[COLUMN_COUNT])

    def rest(self):
        """The text that is in no block yet."""
        cdef Py_ssize_t filled = self.filled
        self.filled = 0
        return memoryview(self.block)[:filled]

    cdef Py_ssize_t fill(self, RowCursor cursor) except -1:
        """Write the line of the cursor's row, and the lines of the rows after it while the block has room.

        Return the room that the next row may need: 0 where there is no next row.
        """
        cdef uint8_t[::1] view = self.block
        cdef uint8_t* block = &view[0]
        cdef uint8_t* out = block + self.filled
        cdef uint8_t* end = block + view.shape[0]
        cdef Field[TEXTS] texts
        cdef Py_ssize_t needed, growth = JSON_GROWTH if self.is_json else CSV_GROWTH
        with nogil:
            while True:
                needed = growth * cut_texts(cursor, texts) + self.file_piece.length + LINE_EXTRA_BYTES
                if needed > end - out:
                    break
                out = self.write_line(out, cursor, texts)
                if not cursor.advance():
                    needed = 0
                    break
        self.filled = out - block
        return needed

    cdef uint8_t* write_line(self, uint8_t* out, RowCursor cursor, const Field* texts) noexcept nogil:
        cdef int index
        out = put(out, &self.file_piece)
        out = write_number(out, cursor.line)
        out = put(out, &self.reason_pieces[reason_of(cursor)])
        if self.is_json:
            for index in range(TEXTS):
                out = write_json_string(out, &texts[index])
                memcpy(out, self.separators[index].text, SEPARATOR_BYTES)
                out += self.separators[index].length
        else:
            for index in range(TEXTS):
                out = write_csv_field(out, &texts[index])
                out[0] = c','
                out += 1
            (out - 1)[0] = c'\n'
        return out


cdef class RejectRows:
    """Rejects that are columns, as Arrow has them in memory, for `RejectText.column_blocks`.

    `columns` has for each of COLUMN_NAMES (index of its first value, offsets, values): int32 offsets and the text, and
    for `line` None and uint64 numbers. Raises ValueError where a buffer is too short, or an offset leads out of its
    text.
    """

    cdef list buffers  # they stay alive as long as this object
    cdef RejectColumn[COLUMN_COUNT] columns
    cdef Py_ssize_t rows
    cdef Py_ssize_t row  # the next to be written

    def __cinit__(self, Py_ssize_t rows, columns not None):
        cdef int index
        if rows < 0 or len(columns) != COLUMN_COUNT:
            raise ValueError(f"{rows} rows of {len(columns)} columns")
        self.rows = rows
        self.buffers = []
        for index, (first, offsets, values) in enumerate(columns):
            if rows:
                self.take_column(&self.columns[index], first, offsets, values, index == LINE_COLUMN)

    cdef int take_column(
        self, RejectColumn* taken, const Py_ssize_t first, offsets, values, const bint has_numbers,
    ) except -1:
        cdef const uint8_t[::1] view, text
        cdef Py_ssize_t text_bytes
        if first < 0:
            raise ValueError(f"no values begin at {first}")
        if has_numbers:
            view = memoryview(values).cast("B")
            self.buffers.append(view)
            taken.numbers = <const uint64_t*>column(view, (first + self.rows) * <Py_ssize_t>sizeof(uint64_t)) + first
            return 0
        view = memoryview(offsets).cast("B")
        self.buffers.append(view)
        taken.offsets = <const int32_t*>column(view, (first + self.rows + 1) * <Py_ssize_t>sizeof(int32_t)) + first
        text = memoryview(b"" if values is None else values).cast("B")
        self.buffers.append(text)
        text_bytes = text.shape[0]
        taken.text = &text[0] if text_bytes else NULL
        if not are_in_order(taken.offsets, self.rows + 1, text_bytes):
            raise ValueError("offsets that lead out of their text")
        return 0

    cdef Field text_of(self, const int index) noexcept nogil:
        """The text of the next row in a column."""
        cdef const RejectColumn* texts = &self.columns[index]
        cdef Field text
        text.start = texts.text + texts.offsets[self.row]
        text.end = texts.text + texts.offsets[self.row + 1]
        text.quoted = False
        return text

    cdef Py_ssize_t text_bytes(self) noexcept nogil:
        """The bytes of all texts of the next row."""
        cdef Py_ssize_t total = 0
        cdef int index
        for index in range(COLUMN_COUNT):
            if index != LINE_COLUMN:
                total += self.columns[index].offsets[self.row + 1] - self.columns[index].offsets[self.row]
        return total


cdef bint are_in_order(const int32_t* offsets, const Py_ssize_t count, const Py_ssize_t text_bytes) noexcept nogil:
    """Whether these offsets ascend from 0 or more up to `text_bytes` or less."""
    cdef int32_t last = 0
    cdef Py_ssize_t index
    for index in range(count):
        if offsets[index] < last:
            return False
        last = offsets[index]
    return last <= text_bytes
