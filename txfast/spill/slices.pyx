"""SliceReader: reads one slice, which Partitions wrote, back into ledgers and batches.

Only a txfast with the same SLICE_VERSION can read a slice: a slice is never kept.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memmove

from cpython.bytearray cimport PyByteArray_AS_STRING

from txfast.batch.batch cimport TransactionBatch
from txfast.ledger.account_table cimport find_or_add
from txfast.ledger.entries cimport dispute_state_at
from txfast.ledger.index cimport NOT_FOUND, Probe
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.load cimport Lookup, add_entry, find, look_up
from txfast.ledger.rules cimport UNDISPUTED, Account
from txfast.ledger.sums cimport fits_as_total
from txfast.ledger.tags cimport entry_dispute_state, entry_kind, is_account, is_locked, is_row
from txfast.spill.record cimport (
    CONTROL_BYTES, RECORD_BYTES_MAX, SLACK_BYTES, SLICE_VERSION, START_BYTES, TAG_MASK, Record, record_bytes,
    take_record, version_of,
)

from txfast.errors import SpillError

cdef enum:
    READ_BYTES = 1 << 18

# Rows that one `fill` gives a new batch.
ROWS_AT_ONCE = 1 << 14
# Accounts and entries that one `restore` takes at most.
STATE_RECORDS = 1 << 14
cdef Py_ssize_t ROWS_MAX = 1 << 62

cdef str FAULTY = "what was spilled does not read as it was written: the disk or the memory is faulty"


cdef class SliceReader:
    """Reads a slice. `readinto(view)` fills the view with its next bytes and returns their number, 0 at the end.

    First call `restore` until it returns 0, for the accounts and entries; then `fill`, for the rows. Raises SpillError
    where the bytes cannot have been written by Partitions of this version. Exceptions of `readinto` pass through.
    """

    def __cinit__(self, readinto not None):
        self.readinto = readinto
        self.buffer = bytearray(READ_BYTES + SLACK_BYTES)
        self.text = <uint8_t*>PyByteArray_AS_STRING(self.buffer)

    def next_is_state(self):
        """Whether an account or an entry comes next."""
        return self.state_is_next()

    def restore(self, Ledger ledger not None, Py_ssize_t records=1 << 14):
        """Put at most `records` accounts and entries into a ledger; return their number, 0 when a row or the end comes
        next. Raises MemoryError and CapacityError too."""
        cdef Py_ssize_t taken
        if not self.state_is_next():
            return 0
        ledger.reserve_rows(records)
        with nogil:
            taken = self.take_state(ledger, records)
        if taken <= 0:
            raise SpillError(FAULTY)
        return taken

    def pass_state(self):
        """Skip the accounts and entries that are left."""
        cdef Record record
        while self.state_is_next():
            self.take_next(&record)

    cdef int take_next(self, Record* record) except -1:
        """Read the next record. There must be one."""
        cdef Py_ssize_t taken = take_record(self.text + self.offset, self.text + self.filled, &self.last_tx, record)
        if taken <= 0:
            raise SpillError(FAULTY)
        self.offset += taken
        return 0

    def fill(self, TransactionBatch batch not None, Py_ssize_t rows_max=ROWS_MAX):
        """Put the next rows, at most `rows_max`, into a batch, which then has no text; False where there are none."""
        cdef Py_ssize_t rows
        if not self.has_record():
            return False
        batch.reserve(max(<Py_ssize_t>batch.capacity, <Py_ssize_t>ROWS_AT_ONCE), 0, 0)
        batch.attach(None, NULL, 0)
        batch.scanned = True
        with nogil:
            rows = self.take_rows(batch, min(batch.capacity, rows_max))
        if rows <= 0:
            raise SpillError(FAULTY)
        batch.rows = rows
        return True

    cdef bint state_is_next(self) except? -1:
        return self.has_record() and not is_row(self.text[self.offset] & TAG_MASK)

    cdef bint has_record(self) except? -1:
        """Whether there is a next record; it is then in the buffer in whole."""
        cdef Py_ssize_t rest
        if self.filled - self.offset < RECORD_BYTES_MAX and not self.at_end:
            self.refill()
        if not self.has_begun:
            self.take_start()
        rest = self.filled - self.offset
        if rest and (rest < CONTROL_BYTES or rest < record_bytes(self.text + self.offset)):
            raise SpillError("what was spilled ends within a record: the disk or the memory is faulty")
        return rest > 0

    cdef int refill(self) except -1:
        """Read until the buffer is full or the slice ends."""
        memmove(self.text, self.text + self.offset, self.filled - self.offset)
        self.filled -= self.offset
        self.offset = 0
        view = memoryview(self.buffer)
        while self.filled < READ_BYTES and not self.at_end:
            count = self.readinto(view[self.filled:READ_BYTES])
            self.at_end = count == 0
            self.filled += <Py_ssize_t>count
        return 0

    cdef int take_start(self) except -1:
        """Check the version, which comes first. An empty slice has none."""
        cdef int version
        self.has_begun = True
        if not self.filled:
            return 0
        version = version_of(self.text) if self.filled >= START_BYTES else -1
        if version < 0:
            raise SpillError(FAULTY)
        if version != SLICE_VERSION:
            raise SpillError(
                f"a slice has version {version}, and this version of txfast reads {SLICE_VERSION}: use the same "
                f"version of txfast in all processes of a run"
            )
        self.offset = START_BYTES
        return 0

    cdef Py_ssize_t take_rows(self, TransactionBatch batch, const Py_ssize_t rows_max) noexcept nogil:
        """Decode at most `rows_max` rows of those in the buffer; return their number, -1 where a record is no row."""
        cdef const uint8_t* text = self.text
        cdef const uint8_t* end = text + self.filled
        cdef Py_ssize_t rows = 0, offset = self.offset, taken
        cdef uint64_t last_tx = self.last_tx
        cdef Record record
        while rows < rows_max:
            taken = take_record(text + offset, end, &last_tx, &record)
            if taken <= 0:
                if taken < 0:
                    return -1
                break
            if not is_row(record.tag):
                return -1
            batch.kind[rows] = record.tag
            batch.client[rows] = record.client
            batch.tx[rows] = record.tx
            batch.amount[rows] = record.amount
            offset += taken
            rows += 1
        self.offset = offset
        self.last_tx = last_tx
        return rows

    cdef Py_ssize_t take_state(self, Ledger ledger, Py_ssize_t records) noexcept nogil:
        """Decode at most `records` accounts and entries into a ledger, which has room for them; return their number, -1
        where no ledger can have them."""
        cdef const uint8_t* text = self.text
        cdef const uint8_t* end = text + self.filled
        cdef Py_ssize_t done = 0, taken
        cdef uint64_t last_tx, accounts
        cdef uint32_t position
        cdef uint8_t state
        cdef Account* account
        cdef Record record
        cdef Lookup lookup
        cdef Probe probe
        while done < records:
            last_tx = self.last_tx
            taken = take_record(text + self.offset, end, &last_tx, &record)
            if taken <= 0:
                if taken < 0:
                    return -1
                break
            if is_row(record.tag):
                break
            look_up(&lookup, &ledger.table, &ledger.index, record.client, record.tx)
            accounts = ledger.table.accounts
            account = find_or_add(&ledger.table, lookup.slots, record.client)
            if is_account(record.tag):
                if ledger.table.accounts == accounts or not fits_as_total(<int64_t>record.tx, record.amount):
                    return -1
                account.available = <int64_t>record.tx
                account.held = record.amount
                account.locked = is_locked(record.tag)
            else:
                if ledger.table.accounts != accounts:
                    return -1
                probe = find(&ledger.index, ledger.logs, &lookup, account.number, record.tx)
                if probe.position != <uint32_t>NOT_FOUND:
                    return -1
                position = add_entry(
                    ledger.logs, &probe, entry_kind(record.tag), account.number, record.tx, record.amount
                )
                state = entry_dispute_state(record.tag)
                if state != UNDISPUTED:
                    dispute_state_at(ledger.logs, position)[0] = state
            self.offset += taken
            self.last_tx = last_tx
            done += 1
        return done
