"""TextReader: what the readers of lines share, which is to read bytes into the buffers of batches.

Blocks are cut in order, one after the other. Buffers belong to batches and are reused with them: in the steady state
nothing is allocated but the `carry`, the part of a line that was read with the block before.

This module must not know where a row ends, nor what is in it.
"""

from libc.stdint cimport uint8_t
from libc.string cimport memcmp

from txfast.batch.batch cimport TransactionBatch
from txfast.batch.header cimport Header
from txfast.text.bits cimport TEXT_SLACK_BYTES

from txfast.errors import SourceError, unreadable

# Bytes of a block, unless the caller says otherwise.
READ_BLOCK_BYTES = 1 << 18

cdef Py_ssize_t BYTES_MAX = <Py_ssize_t>1 << 62


cdef class TextReader:
    """The common part of CsvReader and JsonLinesReader, which `fill` a batch with the next block of lines, and then
    `scan` it into rows. `fill` is for one thread at a time, `scan` for any.

    `file` has `readinto`; `name` is the file's name in messages. A `consumption` advances over the bytes that each
    `fill` takes; if it has a header already, `file` starts in the middle of the input and has no header line.

    A `last_row` has `is_held_back()`, which is asked where the file ends in a line that has no ending and is not blank.
    A row that is held back is not consumed: `held_bytes` counts its bytes.

    A `dialect` says how the file is to be read, None by default.

    With `stop_at`, a number of bytes, rows that begin there or later are left to others. `bytes_taken` counts the bytes
    of the rows that were read.
    """

    def __cinit__(
        self, file not None, str name not None, Py_ssize_t block_bytes=READ_BLOCK_BYTES, consumption=None,
        last_row=None, stop_at=None, *, dialect=None,
    ):
        if block_bytes < 1:
            raise ValueError(f"a block of {block_bytes} bytes holds nothing")
        self.file = file
        self.name = name
        self.block_bytes = block_bytes
        self.carry = b""
        self.at_start = True
        self.consumption = consumption
        self.dialect = dialect
        self.last_row = last_row
        self.stop_at = BYTES_MAX if stop_at is None else stop_at
        if consumption is not None and consumption.header is not None:
            self.at_start = False
            self.header = Header(consumption.header, name, dialect=dialect)

    cdef int make_room(self, TransactionBatch batch, Py_ssize_t kept, Py_ssize_t needed) except -1:
        """Give the batch a buffer for `needed` bytes and slack, that begins with the first `kept` bytes of the old."""
        cdef Py_ssize_t capacity = 0 if batch.buffer is None else len(batch.buffer) - TEXT_SLACK_BYTES
        cdef bytearray buffer
        # A larger buffer than this reader needs comes from another reader, and is replaced.
        if needed <= capacity and (kept or capacity <= max(self.block_bytes, needed)):
            return 0
        buffer = bytearray(max(self.block_bytes, needed, 2 * kept) + TEXT_SLACK_BYTES)
        if kept:
            buffer[:kept] = memoryview(batch.buffer)[:kept]
        batch.buffer = buffer
        return 0

    cdef Py_ssize_t read_into(self, bytearray buffer, Py_ssize_t filled) except -1:
        """Read until the buffer is full or the file ends; return the number of bytes in it."""
        cdef Py_ssize_t capacity = len(buffer) - TEXT_SLACK_BYTES
        view = memoryview(buffer)
        while filled < capacity and not self.at_end:
            try:
                count = self.file.readinto(view[filled:capacity])
            except SourceError:
                raise
            except OSError as error:
                raise unreadable(self.name, error) from error
            if count is None:
                raise unreadable(self.name, "it is non-blocking and has nothing to read yet")
            if count == 0:
                self.at_end = True
            filled += count
            self.bytes_read += <Py_ssize_t>count
        return filled

    cdef Py_ssize_t read_on(
        self, TransactionBatch batch, const uint8_t* rest, const uint8_t* end, Py_ssize_t filled,
    ) except -1:
        """Consume the batch's buffer up to a rest of it, and read on behind that rest; return the bytes in the buffer.
        `filled` bytes were in it, up to `end`."""
        self.take_up_to(batch, rest, end, filled)
        filled = len(self.carry)
        self.make_room(batch, filled, filled + 1)
        batch.buffer[:filled] = self.carry
        return self.read_into(batch.buffer, filled)

    cdef int take_up_to(
        self, TransactionBatch batch, const uint8_t* rest, const uint8_t* end, Py_ssize_t filled,
    ) except -1:
        """Consume the batch's buffer of `filled` bytes up to a rest of it, which is carried to the next block."""
        self.carry = rest[:end - rest]
        return self.consume(batch, filled - len(self.carry))

    cdef int consume(self, TransactionBatch batch, Py_ssize_t count) except -1:
        """Advance the consumption, if there is one, over the first bytes of the batch's buffer."""
        self.bytes_taken += count
        if self.consumption is not None:
            with memoryview(batch.buffer) as whole, whole[:count] as block:
                self.consumption.advance(block)
        return 0

    cdef Py_ssize_t mark_bytes_in(self, const uint8_t* text, Py_ssize_t text_bytes) noexcept:
        """The length of a byte order mark where the text begins with one and is the file's first."""
        is_marked = self.at_start and text_bytes >= BOM_BYTES and memcmp(text, b"\xef\xbb\xbf", BOM_BYTES) == 0
        return BOM_BYTES if is_marked else 0
