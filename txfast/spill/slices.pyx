"""SliceReader: reads one slice, which Partitions wrote, back into ledgers and batches.

Only a txfast with the same SLICE_VERSION can read a slice: a slice is never kept.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memmove

from cpython.bytearray cimport PyByteArray_AS_STRING

from txfast.batch.batch cimport TransactionBatch
from txfast.batch.ids cimport IdSpan
from txfast.ledger.account_table cimport AccountTable
from txfast.ledger.details cimport Detail, find_or_add_detail, has_room, key_of_account, key_of_entry
from txfast.ledger.entries cimport state_at
from txfast.ledger.index cimport NOT_FOUND, Probe
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.load cimport (
    BY_CURRENCY, TEXTS, Lookup, add_id, find_client, find_id, find_or_add_client, look_up_ids, read_form,
)
from txfast.ledger.policy cimport DISPUTES, Policy
from txfast.ledger.rules cimport HAS_DETAILS, Account, can_be_disputed, moves_are_open
from txfast.ledger.sums cimport fits_as_total
from txfast.ledger.tags cimport (
    LOCKED, entry_kind, has_details, is_account, is_account_state, is_entry_state, is_row, log_state,
)
from txfast.spill.record cimport (
    CONTROL_BYTES, SLICE_VERSION, START_BYTES, TAG_MASK, TEXT_RECORD_BYTES_MAX, Record, RecordId, record_bytes,
    take_record, version_of,
)
from txfast.text.bits cimport TEXT_SLACK_BYTES

from txfast.errors import SpillError

cdef enum:
    READ_BYTES = 1 << 18

# Rows that one `fill` gives a new batch.
ROWS_AT_ONCE = 1 << 14
# Accounts and entries that one `restore` takes at most.
STATE_RECORDS = 1 << 14
# All that they have of texts takes fewer bytes.
STATE_BYTES = int(READ_BYTES)
cdef Py_ssize_t ROWS_MAX = 1 << 62

cdef str FAULTY = "what was spilled does not read as it was written: the disk or the memory is faulty"


class AccountTwiceError(SpillError):
    """A slice has two accounts of one `client`. Where accounts were opened whose clients may have had one on disk, that
    is the client's; else what was spilled is damaged. `currency` is the number of both accounts' currency, where
    accounts have one."""

    client = 0
    currency = 0


cdef class SliceReader:
    """Reads a slice. `readinto(view)` fills the view with its next bytes and returns their number, 0 at the end.

    First call `restore` until it returns 0, for the accounts and entries; then `fill`, for the rows. `text_ids` is that
    of the Partitions; `readinto` may add to its currencies before it gives the first record of one. Raises SpillError
    where the bytes cannot have been written by Partitions of this version. Exceptions of `readinto` pass through.
    """

    def __cinit__(self, readinto not None, *, text_ids=None):
        self.readinto = readinto
        read_form(&self.form, text_ids)
        self.currencies = None if text_ids is None else text_ids.currencies
        self.buffer = bytearray(READ_BYTES + TEXT_SLACK_BYTES)
        self.text = <uint8_t*>PyByteArray_AS_STRING(self.buffer)

    def next_is_state(self):
        """Whether an account or an entry comes next."""
        return self.state_is_next()

    def restore(self, Ledger ledger not None, Py_ssize_t records=STATE_RECORDS):
        """Put at most `records` accounts and entries into a ledger; return their number, 0 when a row or the end comes
        next. Raises MemoryError and CapacityError too."""
        cdef Py_ssize_t taken = 0, more
        check_form(ledger, &self.form)
        if not self.state_is_next():
            return 0
        ledger.reserve_rows(records, self.filled - self.offset if self.form.kinds & TEXTS else 0)
        while True:
            self.wants_details = False
            with nogil:
                more = self.take_state(ledger, records - taken)
            if more < 0:
                self.refuse_twice(ledger)
                raise SpillError(FAULTY)
            taken += more
            if not self.wants_details:
                break
            ledger.reserve_detailed(1)
        if not taken:
            raise SpillError(FAULTY)
        return taken

    cdef int refuse_twice(self, Ledger ledger) except -1:
        """Raise AccountTwiceError where the next record is of an account that the ledger has."""
        cdef Record record
        cdef uint64_t last_tx = self.last_tx
        if decode(self, &last_tx, &record) > 0 and is_account(record.tag):
            client = record.client.number
            if record.client.text != NULL:
                client = record.client.text[:record.client.length]
            if ledger.account(client, record.client.currency) is not None:
                error = AccountTwiceError(FAULTY)
                error.client = client
                error.currency = record.client.currency
                raise error
        return 0

    def pass_state(self):
        """Skip the accounts and entries that are left."""
        cdef Record record
        while self.state_is_next():
            self.take_next(&record)

    cdef int take_next(self, Record* record) except -1:
        """Read the next record. There must be one."""
        cdef Py_ssize_t taken = decode(self, &self.last_tx, record)
        if taken <= 0:
            raise SpillError(FAULTY)
        self.offset += taken
        return 0

    def fill(self, TransactionBatch batch not None, Py_ssize_t rows_max=ROWS_MAX):
        """Put the next rows, at most `rows_max`, into a batch; False where there are none.

        The batch has no text; or where ids are texts, records with these, until the next call.
        """
        cdef Py_ssize_t rows, start
        if not self.has_record():
            return False
        batch.reserve(max(<Py_ssize_t>batch.capacity, <Py_ssize_t>ROWS_AT_ONCE), 0, 0)
        if self.form.kinds & TEXTS:
            batch.reserve_spans()
        if self.form.kinds & BY_CURRENCY:
            batch.reserve_currencies()
        start = self.offset
        with nogil:
            rows = self.take_rows(batch, min(batch.capacity, rows_max))
        if rows <= 0:
            raise SpillError(FAULTY)
        if self.form.kinds & TEXTS:
            batch.attach(self.buffer, self.text + start, self.offset - start)
        else:
            batch.attach(None, NULL, 0)
        batch.scanned = True
        batch.rows = rows
        return True

    cdef bint state_is_next(self) except? -1:
        return self.has_record() and not is_row(self.text[self.offset] & TAG_MASK)

    cdef bint has_record(self) except? -1:
        """Whether there is a next record; it is then in the buffer in whole."""
        cdef Py_ssize_t rest
        if self.filled - self.offset < TEXT_RECORD_BYTES_MAX and not self.at_end:
            self.refill()
        if not self.has_begun:
            self.take_start()
        rest = self.filled - self.offset
        if rest and (rest < CONTROL_BYTES or rest < record_bytes(self.text + self.offset, self.form.kinds)):
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
        if self.currencies is not None:
            self.form.currencies = <uint32_t>len(self.currencies)
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
        cdef const uint8_t* start = self.text + self.offset
        cdef Py_ssize_t rows = 0, taken
        cdef uint64_t last_tx = self.last_tx
        cdef Record record
        while rows < rows_max:
            taken = decode(self, &last_tx, &record)
            if taken <= 0:
                if taken < 0:
                    return -1
                break
            if not is_row(record.tag):
                return -1
            batch.kind[rows] = record.tag
            batch.client[rows] = record.client.number
            batch.tx[rows] = record.tx.number
            batch.amount[rows] = record.amount
            if self.form.kinds & BY_CURRENCY:
                batch.currency[rows] = record.client.currency
            if self.form.kinds & TEXTS:
                put_span(&batch.client_span[rows], start, record.client)
                put_span(&batch.tx_span[rows], start, record.tx)
            self.offset += taken
            rows += 1
        self.last_tx = last_tx
        return rows

    cdef Py_ssize_t take_state(self, Ledger ledger, Py_ssize_t records) noexcept nogil:
        """Decode at most `records` accounts and entries into a ledger, which has room for them; return their number, -1
        where no ledger can have them."""
        cdef Py_ssize_t done = 0, taken
        cdef uint64_t last_tx
        cdef Record record
        while done < records:
            last_tx = self.last_tx
            taken = decode(self, &last_tx, &record)
            if taken <= 0:
                if taken < 0:
                    return -1
                break
            if is_row(record.tag):
                break
            if has_details(record.state) and not has_room(&ledger.details):
                self.wants_details = True
                break
            if not (put_account(ledger, &record) if is_account(record.tag) else put_entry(ledger, &record)):
                return -1
            self.offset += taken
            self.last_tx = last_tx
            done += 1
        return done


def renumber_rows(TransactionBatch batch not None, const uint16_t[::1] numbers not None):
    """Give the rows of a slice of another process the numbers that their currencies have in this one, by those that
    they have there. Raises SpillError for one that the other process did not name."""
    cdef Py_ssize_t row
    if batch.rows and batch.currency == NULL:
        raise ValueError("the rows of this batch have no currency")
    for row in range(batch.rows):
        if batch.currency[row] >= numbers.shape[0]:
            raise SpillError(FAULTY)
        batch.currency[row] = numbers[batch.currency[row]]


cdef inline Py_ssize_t decode(SliceReader reader, uint64_t* last_tx, Record* record) noexcept nogil:
    """Read the next record, and stay before it; as `take_record`."""
    return take_record(reader.text + reader.offset, reader.text + reader.filled, &reader.form, last_tx, record)


cdef inline void put_span(IdSpan* span, const uint8_t* start, const RecordId id) noexcept nogil:
    """Note where an id of a record is, counted from `start`; nothing for a number."""
    if id.text != NULL:
        span.start = <uint32_t>(id.text - start)
        span.raw_bytes = id.length
        span.length = id.length
        span.doubled = 0


cdef inline bint put_account(Ledger ledger, const Record* record) noexcept nogil:
    """Open the account of a record in a ledger, which has room for it; False where no ledger can have it."""
    cdef AccountTable* table = &ledger.table
    cdef uint64_t accounts = table.accounts
    cdef int64_t available = <int64_t>record.tx.number
    cdef Account* account
    if not is_account_state(record.state) or not fits_as_total(available, record.amount):
        return False
    if has_details(record.state) and not standing_fits(ledger.policy, record):
        return False
    account = find_or_add_client(table, record.client)
    if table.accounts == accounts:
        return False
    account.available = available
    account.held = record.amount
    account.locked = record.state & LOCKED
    if has_details(record.state):
        keep_details(ledger, key_of_account(account.number), record)
    return True


cdef inline bint put_entry(Ledger ledger, const Record* record) noexcept nogil:
    """Add the entry of a record to a ledger, which has room for it; False where no ledger can have it."""
    cdef int kind = entry_kind(record.state)
    cdef uint8_t state = log_state(record.state)
    cdef const Account* account
    cdef uint32_t position
    cdef Lookup lookup
    cdef Probe probe
    if not is_entry_state(record.state) or (has_details(record.state) and not details_fit(record)):
        return False
    look_up_ids(
        &lookup, &ledger.table, &ledger.index, record.client.number, record.tx.number, record.client.currency,
        ledger.id_kinds,
    )
    account = find_client(&ledger.table, lookup.slots, record.client)
    if not account.in_use:
        return False
    probe = find_id(&ledger.index, ledger.logs, &lookup, account.number, record.tx)
    if probe.position != <uint32_t>NOT_FOUND:
        return False
    position = add_id(ledger.logs, &probe, kind, account.number, record.tx, record.amount)
    if has_details(record.state):
        keep_details(ledger, key_of_entry(position), record)
        state |= HAS_DETAILS
    if state:
        if not can_be_disputed(ledger.policy, kind):
            return False
        state_at(ledger.logs, position)[0] = state
    return True


cdef inline bint standing_fits(const Policy policy, const Record* record) noexcept nogil:
    """Whether so many chargebacks of an account can stand. Details of an opening balance may have no number of them."""
    if record.details[0] == 0 and record.details[1] != 0:
        return True
    return policy.locked & DISPUTES and record.details[0] >= 0 and (record.details[0] > 0) == (record.state & LOCKED)


cdef inline bint details_fit(const Record* record) noexcept nogil:
    """Whether so much of an entry can be refunded, and be in dispute or charged back."""
    if record.details[0] < 0 or record.details[0] > record.amount:
        return False
    return not moves_are_open(record.state) or 0 <= record.details[1] <= record.amount - record.details[0]


cdef inline void keep_details(Ledger ledger, const uint64_t key, const Record* record) noexcept nogil:
    """Put the details of a record into a ledger, which has room for them."""
    cdef Detail* detail = find_or_add_detail(&ledger.details, key)
    detail.refunded = record.details[0]
    detail.moved = record.details[1]
