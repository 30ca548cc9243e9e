"""Rows of runs as columns: all accounts or entries of a state, or of a range of clients, each as the newest run has it.

A ledger can be restored of them as a whole (ledger/columns_in.pyx), and so be proven. This module must not know what
is done with columns.
"""

from libc.stdint cimport uint8_t

from txfast.ledger.load cimport NUMBERS, IdKinds
from txfast.store.id_buffers cimport (
    Buffer, IdBuffers, append, append_ids, free_buffer, free_ids, take_buffer, take_ids_of,
)
from txfast.store.run_cursor cimport RunCursor
from txfast.store.run_form cimport kinds_of
from txfast.store.run_merge cimport RunMerge
from txfast.store.segment cimport Segment
from txfast.store.segment_row cimport SegmentRow

# The kinds of columns.
ACCOUNTS, OPENINGS, ENTRIES, DETAILS, SUMMARIES = "accounts", "openings", "entries", "details", "summaries"

ROWS_AT_ONCE = 1 << 16
WORDS = 1 << 64


cdef class ColumnsOfRuns:
    """What all kinds share: an iterator of `(kind, rows, columns)` of at most `rows_at_once` rows whose clients have
    words from `from_word` to before `end_word`.

    `runs` come from the oldest on. `columns` has the buffers of each column by its name: one of numbers; of texts,
    where each begins and the bytes of all. Raises StateError, SourceError and MemoryError.
    """

    cdef RunMerge merge  # None where there is no row
    cdef IdKinds kinds
    cdef Py_ssize_t rows_at_once
    cdef bint has_ended
    cdef IdBuffers ids
    cdef IdBuffers detailed  # of rows with details
    cdef object pending

    def __cinit__(self, runs not None, from_word=0, end_word=WORDS, *, Py_ssize_t rows_at_once=ROWS_AT_ONCE):
        if rows_at_once < 1 or not 0 <= from_word <= end_word <= WORDS:
            raise ValueError(f"{rows_at_once} rows at once, of words from {from_word} to {end_word}")
        cdef Segment segment
        segments = [each for run in runs for each in run]
        self.kinds = NUMBERS
        for segment in segments[:1]:
            self.kinds = kinds_of(&segment.parts.form)
        self.rows_at_once = rows_at_once
        self.has_ended = not segments or from_word == end_word
        if not self.has_ended:
            self.merge = RunMerge([RunCursor(run) for run in runs], from_word, end_word - 1)

    def __dealloc__(self):
        free_ids(&self.ids)
        free_ids(&self.detailed)

    def __iter__(self):
        return self

    def __next__(self):
        if self.pending is not None:
            pending, self.pending = self.pending, None
            return pending
        with nogil:
            while not self.has_ended and self.ids.rows < self.rows_at_once:
                if self.merge.next():
                    self.append_row(self.merge.row)
                else:
                    self.has_ended = True
        if not self.ids.rows:
            raise StopIteration
        if self.detailed.rows:
            self.pending = self.take_details()
        return self.take()

    cdef int append_row(self, const SegmentRow* row) except -1 nogil:
        """Append a row to the columns."""
        raise NotImplementedError

    cdef tuple take(self):
        """The columns, which are then empty."""
        raise NotImplementedError

    cdef tuple take_details(self):
        """The same of the rows with details."""
        raise NotImplementedError


cdef class AccountColumnsOfRuns(ColumnsOfRuns):
    """ACCOUNTS of runs of accounts: `client`, `available`, `held`, `locked` (a bit each), and `currency` behind
    `client` where accounts have one. After them OPENINGS, those with an opening balance: `client`, `opening`."""

    cdef Buffer available
    cdef Buffer held
    cdef Buffer locked
    cdef Buffer openings

    def __dealloc__(self):
        free_buffer(&self.available)
        free_buffer(&self.held)
        free_buffer(&self.locked)
        free_buffer(&self.openings)

    cdef int append_row(self, const SegmentRow* row) except -1 nogil:
        cdef int bit = self.ids.rows & 7
        cdef uint8_t empty = 0
        if not bit:
            append(&self.locked, &empty, 1)
        self.locked.bytes[self.locked.size - 1] |= row.kind << bit
        append_ids(&self.ids, row, self.kinds, False)
        append(&self.available, &row.amount, sizeof(row.amount))
        append(&self.held, &row.held, sizeof(row.held))
        if row.moved:
            append_ids(&self.detailed, row, self.kinds, False)
            append(&self.openings, &row.moved, sizeof(row.moved))
        return 0

    cdef tuple take(self):
        """The columns, which are then empty."""
        cdef Py_ssize_t rows = self.ids.rows
        columns = take_ids_of(&self.ids, self.kinds, False)
        columns["available"] = take_buffer(&self.available)
        columns["held"] = take_buffer(&self.held)
        columns["locked"] = take_buffer(&self.locked)
        return ACCOUNTS, rows, columns

    cdef tuple take_details(self):
        """The same of those with an opening balance."""
        cdef Py_ssize_t rows = self.detailed.rows
        columns = take_ids_of(&self.detailed, self.kinds, False)
        columns["opening"] = take_buffer(&self.openings)
        return OPENINGS, rows, columns


cdef class SummaryColumnsOfRuns(ColumnsOfRuns):
    """SUMMARIES of runs of accounts: `client`, `max_tx`, `standing`, and `currency` behind `client` where accounts have
    one."""

    cdef Buffer max_txs
    cdef Buffer standing

    def __dealloc__(self):
        free_buffer(&self.max_txs)
        free_buffer(&self.standing)

    cdef int append_row(self, const SegmentRow* row) except -1 nogil:
        append_ids(&self.ids, row, self.kinds, False)
        append(&self.max_txs, &row.max_tx, sizeof(row.max_tx))
        append(&self.standing, &row.refunded, sizeof(row.refunded))
        return 0

    cdef tuple take(self):
        """The columns, which are then empty."""
        cdef Py_ssize_t rows = self.ids.rows
        columns = take_ids_of(&self.ids, self.kinds, False)
        columns["max_tx"] = take_buffer(&self.max_txs)
        columns["standing"] = take_buffer(&self.standing)
        return SUMMARIES, rows, columns


cdef class EntryColumnsOfRuns(ColumnsOfRuns):
    """ENTRIES of runs of entries and, after these, of changes: `client`, `tx`, `amount`, `kind`, `state`, and
    `currency` behind `client` where accounts have one. After them DETAILS, those with details: `client`, `tx`,
    `refunded`, `moved`."""

    cdef Buffer amounts
    cdef Buffer kinds_of_rows
    cdef Buffer states
    cdef Buffer refunded
    cdef Buffer moved

    def __dealloc__(self):
        free_buffer(&self.amounts)
        free_buffer(&self.kinds_of_rows)
        free_buffer(&self.states)
        free_buffer(&self.refunded)
        free_buffer(&self.moved)

    cdef int append_row(self, const SegmentRow* row) except -1 nogil:
        append_ids(&self.ids, row, self.kinds, True)
        append(&self.amounts, &row.amount, sizeof(row.amount))
        append(&self.kinds_of_rows, &row.kind, sizeof(row.kind))
        append(&self.states, &row.state, sizeof(row.state))
        if row.refunded or row.moved:
            append_ids(&self.detailed, row, self.kinds, True)
            append(&self.refunded, &row.refunded, sizeof(row.refunded))
            append(&self.moved, &row.moved, sizeof(row.moved))
        return 0

    cdef tuple take(self):
        """The columns, which are then empty."""
        cdef Py_ssize_t rows = self.ids.rows
        columns = take_ids_of(&self.ids, self.kinds, True)
        columns["amount"] = take_buffer(&self.amounts)
        columns["kind"] = take_buffer(&self.kinds_of_rows)
        columns["state"] = take_buffer(&self.states)
        return ENTRIES, rows, columns

    cdef tuple take_details(self):
        """The same of those with details."""
        cdef Py_ssize_t rows = self.detailed.rows
        columns = take_ids_of(&self.detailed, self.kinds, True)
        columns["refunded"] = take_buffer(&self.refunded)
        columns["moved"] = take_buffer(&self.moved)
        return DETAILS, rows, columns
