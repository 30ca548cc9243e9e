"""Slices: rows, and what a ledger holds, in one compact binary form that is written and read in order.

What a record is says record.pxd. Accounts and entries come before rows, and each account before its entries.

A slice is read by the very process that wrote it, or its like: its format is no promise.
"""

import os

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memmove

from cpython.bytearray cimport PyByteArray_AS_STRING

from txfast.batch.batch cimport TransactionBatch
from txfast.ledger.account_table cimport find_or_add
from txfast.ledger.entries cimport CHUNK_BITS, CHUNK_MASK, LOG_COUNT, Chunk, dispute_state_at
from txfast.ledger.hash cimport HashKey
from txfast.ledger.index cimport NOT_FOUND, Probe
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.load cimport Lookup, add_entry, find, look_up
from txfast.ledger.rules cimport UNDISPUTED, Account, keeps_amount, reads_amount
from txfast.ledger.tags cimport (
    account_tag, entry_dispute_state, entry_kind, entry_tag, is_account, is_locked, is_row,
)
from txfast.spill.record cimport (
    CONTROL_BYTES, RECORD_BYTES_MAX, SLACK_BYTES, Record, fold, put_record, record_bytes, take_record,
)

from txfast.errors import SpillError

cdef enum:
    READ_BYTES = 1 << 18

# Rows that are made of a slice at once.
ROWS_AT_ONCE = 1 << 14
# Accounts and entries that a ledger is given at once.
STATE_RECORDS = 1 << 14
cdef Py_ssize_t ROWS_MAX = 1 << 62
cdef Py_ssize_t BUFFER_BYTES_MIN = 4096


cdef inline void put(
    Partition* partition, const uint8_t tag, const uint64_t client, const uint64_t second, const uint64_t third,
) noexcept nogil:
    """Write one record behind those that wait in a partition's buffer."""
    partition.filled += put_record(partition.buffer + partition.filled, tag, client, second, third)


cdef inline bint is_full(Partitions partitions, const Partition* partition) noexcept nogil:
    return partition.filled + RECORD_BYTES_MAX > partitions.buffer_bytes


cdef class Partitions:
    """So many partitions of clients, by a hash with a key of its own (16 bytes); each takes records into a buffer.
    With `by_shard` they are the shards of as many ledgers, and may be one.

    A buffer that is full is given to `write(partition, view)`, which must take all of it at once; `finish` gives out
    what is left. Raises what `write` does.
    """

    def __cinit__(
        self, uint32_t count, Py_ssize_t buffer_bytes, write not None, bytes key=None, *, bint by_shard=False,
    ):
        cdef bytes words = os.urandom(sizeof(HashKey)) if key is None else key
        cdef const uint8_t* random = words
        cdef uint32_t number
        if count < (1 if by_shard else 2):
            raise ValueError(f"{count} partitions divide nothing")
        if len(words) != sizeof(HashKey):
            raise ValueError(f"a key of {len(words)} bytes: it has {sizeof(HashKey)}")
        self.key = (<const HashKey*>random)[0]
        self.key.multiplier |= 1
        self.by_shard = by_shard
        self.count = count
        self.buffer_bytes = max(buffer_bytes, BUFFER_BYTES_MIN)
        self.write = write
        self.partitions = <Partition*>calloc(count, sizeof(Partition))
        if self.partitions == NULL:
            raise MemoryError(f"no memory for {count} partitions")
        for number in range(count):
            self.partitions[number].buffer = <uint8_t*>malloc(self.buffer_bytes + SLACK_BYTES)
            if self.partitions[number].buffer == NULL:
                raise MemoryError(f"no memory for the buffers of {count} partitions")

    def __dealloc__(self):
        self.release()

    def release(self):
        """Give the buffers back. No more records can be taken."""
        cdef uint32_t number
        if self.partitions != NULL:
            for number in range(self.count):
                free(self.partitions[number].buffer)
                self.partitions[number].buffer = NULL

    def finish(self):
        """Give out what is left in the buffers, and give these back."""
        cdef uint32_t number
        for number in range(self.count):
            if self.partition_at(number).filled:
                self.write_full(number)
        self.release()

    def counts(self, uint32_t number):
        """How many accounts, entries and rows a partition was given."""
        cdef Partition* partition = self.partition_at(number)
        return partition.accounts, partition.entries, partition.rows

    cdef int check_open(self) except -1:
        if self.partitions[0].buffer == NULL:
            raise ValueError("the partitions are finished, and take no more")
        return 0

    def add_rows(self, TransactionBatch batch not None, uint32_t shard=0):
        """Take a batch's rows: of one that was routed, those of `shard`."""
        cdef Py_ssize_t rows, place = 0
        cdef const uint32_t* routed = batch.routed_to(shard, &rows)
        cdef uint32_t full = 0
        self.check_open()
        while True:
            with nogil:
                place = self.put_rows(batch, routed, place, rows, &full)
            if place == rows:
                break
            self.write_full(full)

    def add_ledger(self, Ledger ledger not None):
        """Take all that a ledger holds: its accounts, then its entries."""
        cdef uint64_t slot = 0, entry
        cdef uint64_t slots = ledger.table.slot_mask + 1
        cdef uint64_t* clients
        cdef uint32_t full = 0
        cdef int kind
        self.check_open()
        if ledger.table.slots == NULL:
            return
        while True:
            with nogil:
                slot = self.put_accounts(ledger, slot, &full)
            if slot == slots:
                break
            self.write_full(full)
        clients = ledger.clients_by_number()
        try:
            for kind in range(LOG_COUNT):
                entry = 0
                while True:
                    with nogil:
                        entry = self.put_entries(ledger, kind, clients, entry, &full)
                    if entry == ledger.logs[kind].entries:
                        break
                    self.write_full(full)
        finally:
            free(clients)

    def add_rest(self, SliceReader reader not None):
        """Take all accounts and entries that a reader has still before its first row."""
        cdef uint32_t number
        cdef Record record
        cdef Partition* partition
        self.check_open()
        while reader.next_is_state():
            reader.take_next(&record)
            number = partition_of(self, record.client)
            self.make_room(number)
            partition = &self.partitions[number]
            if is_account(record.tag):
                put(partition, record.tag, record.client, fold(record.tx), fold(record.amount))
                partition.accounts += 1
            else:
                put(partition, record.tag, record.client, fold(record.tx - partition.last_tx), fold(record.amount))
                partition.last_tx = record.tx
                partition.entries += 1

    cdef Partition* partition_at(self, uint32_t number) except NULL:
        if number >= self.count:
            raise IndexError(f"no partition {number} of {self.count}")
        return &self.partitions[number]

    cdef int make_room(self, uint32_t number) except -1:
        if is_full(self, &self.partitions[number]):
            self.write_full(number)
        return 0

    cdef int write_full(self, uint32_t number) except -1:
        cdef Partition* partition = &self.partitions[number]
        self.write(number, <uint8_t[:partition.filled]>partition.buffer)
        partition.filled = 0
        return 0

    cdef Py_ssize_t put_rows(
        self,
        TransactionBatch batch,  # IN
        const uint32_t* routed,  # IN the rows to take; NULL for all
        Py_ssize_t place,  # IN where to begin
        Py_ssize_t rows,  # IN
        uint32_t* full,  # OUT whose buffer must be written before it can go on
    ) noexcept nogil:
        """Take rows until one does not fit; return its place, or `rows`."""
        cdef Partition* partition
        cdef uint32_t number
        cdef Py_ssize_t row
        cdef uint8_t kind
        cdef uint64_t tx
        cdef int64_t amount
        while place < rows:
            row = place if routed == NULL else routed[place]
            number = partition_of(self, batch.client[row])
            partition = &self.partitions[number]
            if is_full(self, partition):
                full[0] = number
                return place
            kind = batch.kind[row]
            tx = batch.tx[row]
            amount = 0
            if reads_amount(kind):
                amount = batch.amount[row]
            put(partition, kind, batch.client[row], fold(tx - partition.last_tx), fold(<uint64_t>amount))
            partition.last_tx = tx
            partition.rows += 1
            place += 1
        return rows

    cdef uint64_t put_accounts(self, Ledger ledger, uint64_t slot, uint32_t* full) noexcept nogil:
        """Take accounts from a slot of the table on; return the slot of one that does not fit, or their number."""
        cdef const Account* slots = ledger.table.slots
        cdef uint64_t slot_count = ledger.table.slot_mask + 1
        cdef Partition* partition
        cdef uint32_t number
        while slot < slot_count:
            if slots[slot].in_use:
                number = partition_of(self, slots[slot].client)
                partition = &self.partitions[number]
                if is_full(self, partition):
                    full[0] = number
                    return slot
                put(
                    partition, account_tag(slots[slot].locked), slots[slot].client,
                    fold(<uint64_t>slots[slot].available), fold(<uint64_t>slots[slot].held),
                )
                partition.accounts += 1
            slot += 1
        return slot_count

    cdef uint64_t put_entries(
        self, Ledger ledger, int kind, const uint64_t* clients, uint64_t entry, uint32_t* full,
    ) noexcept nogil:
        """Take entries of one log; return the place of one that does not fit, or their number."""
        cdef const Chunk* chunk
        cdef Partition* partition
        cdef uint32_t number
        cdef uint64_t client, tx, place
        cdef int64_t amount = 0
        cdef uint8_t state = UNDISPUTED
        while entry < ledger.logs[kind].entries:
            chunk = ledger.logs[kind].chunks[entry >> CHUNK_BITS]
            place = entry & CHUNK_MASK
            client = clients[chunk.account[place]]
            number = partition_of(self, client)
            partition = &self.partitions[number]
            if is_full(self, partition):
                full[0] = number
                return entry
            tx = chunk.tx[place]
            if keeps_amount(kind):
                amount = chunk.amount[place]
                state = chunk.dispute_state[place]
            put(partition, entry_tag(kind, state), client, fold(tx - partition.last_tx), fold(<uint64_t>amount))
            partition.last_tx = tx
            partition.entries += 1
            entry += 1
        return entry


cdef class SliceReader:
    """Reads what one partition was given. `readinto(view)` gives its bytes, 0 at the end.

    First `restore` what is state, until there is no more, then `fill` batches with the rows.
    Raises SpillError where the bytes cannot be what was written, and what `readinto` does.
    """

    cdef object readinto
    cdef bytearray buffer
    cdef uint8_t* text  # the buffer's
    cdef Py_ssize_t place
    cdef Py_ssize_t filled
    cdef bint at_end
    cdef uint64_t last_tx

    def __cinit__(self, readinto not None):
        self.readinto = readinto
        self.buffer = bytearray(READ_BYTES + SLACK_BYTES)
        self.text = <uint8_t*>PyByteArray_AS_STRING(self.buffer)

    def next_is_state(self):
        """Whether an account or an entry comes next."""
        if not self.has_record():
            return False
        return not is_row(self.text[self.place] & 15)

    def restore(self, Ledger ledger not None, Py_ssize_t records=1 << 14):
        """Put up to so many accounts and entries into a ledger; return how many they were, 0 when a row or the end
        comes next. Raises MemoryError and CapacityError too."""
        cdef Py_ssize_t taken
        if not self.next_is_state():
            return 0
        ledger.reserve_rows(records)
        with nogil:
            taken = self.take_state(ledger, records)
        if taken <= 0:
            raise SpillError("what was spilled does not read as it was written: the disk or the memory is faulty")
        return taken

    def pass_state(self):
        """Pass over the accounts and entries that are left."""
        cdef Record record
        while self.next_is_state():
            self.take_next(&record)

    cdef int take_next(self, Record* record) except -1:
        """Read the next record, which is there."""
        cdef Py_ssize_t taken = take_record(self.text + self.place, self.text + self.filled, &self.last_tx, record)
        if taken <= 0:
            raise SpillError("what was spilled does not read as it was written: the disk or the memory is faulty")
        self.place += taken
        return 0

    def fill(self, TransactionBatch batch not None, Py_ssize_t rows_max=ROWS_MAX):
        """Put the next rows into a batch, which has no text then, at most so many; False where there are none."""
        cdef Py_ssize_t rows
        if not self.has_record():
            return False
        batch.reserve(max(<Py_ssize_t>batch.capacity, <Py_ssize_t>ROWS_AT_ONCE), 0)
        batch.attach(None, NULL, 0)
        batch.scanned = True
        with nogil:
            rows = self.take_rows(batch, min(batch.capacity, rows_max))
        if rows <= 0:
            raise SpillError("what was spilled does not read as it was written: the disk or the memory is faulty")
        batch.rows = rows
        return True

    cdef bint has_record(self) except? -1:
        """Whether a whole record comes next, read if need be."""
        cdef Py_ssize_t rest
        if self.filled - self.place < RECORD_BYTES_MAX and not self.at_end:
            self.refill()
        rest = self.filled - self.place
        if rest and (rest < CONTROL_BYTES or rest < record_bytes(self.text + self.place)):
            raise SpillError("what was spilled ends within a record: the disk or the memory is faulty")
        return rest > 0

    cdef int refill(self) except -1:
        """Read on until the buffer is full, or to the end."""
        memmove(self.text, self.text + self.place, self.filled - self.place)
        self.filled -= self.place
        self.place = 0
        view = memoryview(self.buffer)
        while self.filled < READ_BYTES and not self.at_end:
            count = self.readinto(view[self.filled:READ_BYTES])
            self.at_end = count == 0
            self.filled += <Py_ssize_t>count
        return 0

    cdef Py_ssize_t take_rows(self, TransactionBatch batch, const Py_ssize_t rows_max) noexcept nogil:
        """Decode rows into a batch as long as they are wanted and whole records are there; -1 for what is no row."""
        cdef const uint8_t* text = self.text
        cdef const uint8_t* end = text + self.filled
        cdef Py_ssize_t rows = 0, place = self.place, taken
        cdef uint64_t last_tx = self.last_tx
        cdef Record record
        while rows < rows_max:
            taken = take_record(text + place, end, &last_tx, &record)
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
            place += taken
            rows += 1
        self.place = place
        self.last_tx = last_tx
        return rows

    cdef Py_ssize_t take_state(self, Ledger ledger, Py_ssize_t records) noexcept nogil:
        """Decode accounts and entries into a ledger that has room for them; -1 where they cannot be one's."""
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
            taken = take_record(text + self.place, end, &last_tx, &record)
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
                if ledger.table.accounts == accounts:
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
            self.place += taken
            self.last_tx = last_tx
            done += 1
        return done


def any_client(Ledger ledger not None):
    """One of a ledger's clients; there must be one."""
    cdef const Account* slots = ledger.table.slots
    cdef uint64_t slot
    if not ledger.table.accounts:
        raise ValueError("the ledger has no account")
    for slot in range(ledger.table.slot_mask + 1):
        if slots[slot].in_use:
            return slots[slot].client
