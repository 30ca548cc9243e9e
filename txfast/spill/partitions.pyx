"""Partitions: rows and ledgers, divided by client into slices, for disk or for other processes.

Every partition is written as one slice, which SliceReader (slices.pyx) reads. A slice begins with its version. Its
records (record.pxd) follow: accounts and entries before rows, each account before its entries. A partition that was
given nothing is an empty slice, without a version.
"""

import os

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc

from txfast.batch.batch cimport TransactionBatch
from txfast.batch.ids cimport ID_ROOM_BYTES, IdSpan, id_at
from txfast.ledger.details cimport Detail, find_detail, key_of_account, key_of_entry
from txfast.ledger.entries cimport CHUNK_BITS, CHUNK_MASK, LOG_COUNT, Chunk, make_number_id, position_of
from txfast.ledger.hash cimport HashKey
from txfast.ledger.ledger cimport Ledger
from txfast.ledger.load cimport BY_CURRENCY, TEXT_CLIENTS, TEXT_TXS, TEXTS, BatchIds, IdKinds, ids_of, read_form
from txfast.ledger.rules cimport HAS_DETAILS, UNDISPUTED, Account, keeps_amount, reads_amount
from txfast.ledger.saved_ids cimport client_id, take_by_number, tx_id
from txfast.ledger.tags cimport ACCOUNT, ENTRY, entry_state_of, is_account
from txfast.spill.record cimport (
    RECORD_BYTES_MAX, SLACK_BYTES, START_BYTES, TEXT_RECORD_BYTES_MAX, Record, RecordId, fold, put_record, put_start,
    put_state_record,
)
from txfast.spill.slices cimport SliceReader, check_form

cdef Py_ssize_t BUFFER_BYTES_MIN = 4096


cdef inline void fold_tx(Partition* partition, RecordId* tx) noexcept nogil:
    """Make of a transaction that is a number the difference from the last one, folded."""
    cdef uint64_t last_tx = partition.last_tx
    if tx.text == NULL:
        partition.last_tx = tx.number
        tx.number = fold(tx.number - last_tx)


cdef inline void put_state(
    Partition* partition,
    const uint8_t tag,
    uint8_t state,
    const RecordId client,
    const RecordId second,  # folded
    const int64_t third,
    const Detail* detail,  # IN NULL for none
    const IdKinds kinds,
) noexcept nogil:
    """Append the record of an account or an entry to a partition's buffer, which is not full."""
    cdef int64_t refunded = 0, moved = 0
    state &= ~<uint8_t>HAS_DETAILS
    if detail != NULL:
        state |= HAS_DETAILS
        refunded = detail.refunded
        moved = detail.moved
    partition.filled += put_state_record(
        partition.buffer + partition.filled, tag, state, client, second, fold(<uint64_t>third), refunded, moved, kinds,
    )


cdef inline void take_row_id(
    RecordId* id,  # OUT
    const uint64_t word,  # IN the number, or the hash of the text
    const uint8_t* text,  # IN of the batch
    const IdSpan* span,  # IN NULL for a number
    uint8_t* room,  # ID_ROOM_BYTES; a text may be there
) noexcept nogil:
    make_number_id(id, word)
    if span != NULL:
        id.text = id_at(text, span, room)
        id.length = span.length


cdef inline bint is_full(Partitions partitions, const Partition* partition) noexcept nogil:
    return partition.filled + partitions.record_bytes_max > partitions.buffer_bytes


cdef class Partitions:
    """`count` partitions, at least two, by a hash of the client with the 16 bytes of `key`, which is random by default.
    With `by_shard` they are the shards that as many ledgers would have, at least one. `text_ids` is that of all batches
    and ledgers.

    Each partition collects its records in a buffer of `buffer_bytes`. When that is full, `write(partition, view)` gets
    it and must take all of it; `finish` writes the rest. Exceptions of `write` pass through.
    """

    def __cinit__(
        self, uint32_t count, Py_ssize_t buffer_bytes, write not None, bytes key=None, *, bint by_shard=False,
        text_ids=None,
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
        read_form(&self.form, text_ids)
        self.record_bytes_max = TEXT_RECORD_BYTES_MAX if self.form.kinds else RECORD_BYTES_MAX
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
            put_start(self.partitions[number].buffer)
            self.partitions[number].filled = START_BYTES

    def __dealloc__(self):
        self.release()

    def release(self):
        """Free the buffers. No more records can be added."""
        cdef uint32_t number
        if self.partitions != NULL:
            for number in range(self.count):
                free(self.partitions[number].buffer)
                self.partitions[number].buffer = NULL

    def finish(self):
        """Write the rest of the buffers, and free them."""
        cdef uint32_t number
        for number in range(self.count):
            if self.partitions[number].filled and sum(self.counts(number)):
                self.write_buffer(number)
        self.release()

    def counts(self, uint32_t number):
        """The accounts, entries and rows that a partition was given."""
        cdef Partition* partition = self.partition_at(number)
        return partition.accounts, partition.entries, partition.rows

    cdef int check_open(self) except -1:
        if self.partitions[0].buffer == NULL:
            raise ValueError("the partitions are finished, and take no more")
        return 0

    def add_rows(self, TransactionBatch batch not None, uint32_t shard=0):
        """Add the rows of a batch; only those of `shard` if the batch was routed."""
        cdef Py_ssize_t rows, index = 0
        cdef const uint32_t* routed = batch.routed_to(shard, &rows)
        cdef uint32_t full = 0
        self.check_open()
        if rows and self.form.kinds & TEXTS and batch.client_span == NULL:
            raise ValueError("the ids of this batch are numbers")
        if rows and self.form.kinds & BY_CURRENCY and batch.currency == NULL:
            raise ValueError("the rows of this batch have no currency")
        while True:
            with nogil:
                index = self.put_rows(batch, routed, index, rows, &full)
            if index == rows:
                break
            self.write_buffer(full)

    def add_ledger(self, Ledger ledger not None):
        """Add everything that a ledger holds: its accounts, then its entries."""
        cdef uint64_t slot = 0, entry
        cdef uint64_t slots = ledger.table.slot_mask + 1
        cdef uint64_t* clients
        cdef uint16_t* currencies = NULL
        cdef uint32_t full = 0
        cdef int kind
        self.check_open()
        check_form(ledger, &self.form)
        if ledger.table.slots == NULL:
            return
        while True:
            with nogil:
                slot = self.put_accounts(ledger, slot, &full)
            if slot == slots:
                break
            self.write_buffer(full)
        clients = <uint64_t*>malloc((ledger.table.accounts + 1) * sizeof(uint64_t))
        if self.form.kinds & BY_CURRENCY:
            currencies = <uint16_t*>malloc((ledger.table.accounts + 1) * sizeof(uint16_t))
        try:
            if clients == NULL or (self.form.kinds & BY_CURRENCY and currencies == NULL):
                raise MemoryError(f"no memory for the clients of {ledger.table.accounts} accounts")
            take_by_number(&ledger.table, clients, currencies)
            for kind in range(LOG_COUNT):
                entry = 0
                while True:
                    with nogil:
                        entry = self.put_entries(ledger, kind, clients, currencies, entry, &full)
                    if entry == ledger.logs[kind].entries:
                        break
                    self.write_buffer(full)
        finally:
            free(clients)
            free(currencies)

    def add_rest(self, SliceReader reader not None):
        """Add all accounts and entries that a reader has left before its first row."""
        cdef uint32_t number
        cdef Record record
        cdef Partition* partition
        self.check_open()
        while reader.state_is_next():
            reader.take_next(&record)
            number = partition_of(self, record.client.number)
            self.make_room(number)
            partition = &self.partitions[number]
            if is_account(record.tag):
                record.tx.number = fold(record.tx.number)
                partition.accounts += 1
            else:
                fold_tx(partition, &record.tx)
                partition.entries += 1
            partition.filled += put_state_record(
                partition.buffer + partition.filled, record.tag, record.state, record.client, record.tx,
                fold(<uint64_t>record.amount), record.details[0], record.details[1], self.form.kinds,
            )

    cdef Partition* partition_at(self, uint32_t number) except NULL:
        if number >= self.count:
            raise IndexError(f"no partition {number} of {self.count}")
        return &self.partitions[number]

    cdef int make_room(self, uint32_t number) except -1:
        if is_full(self, &self.partitions[number]):
            self.write_buffer(number)
        return 0

    cdef int write_buffer(self, uint32_t number) except -1:
        cdef Partition* partition = &self.partitions[number]
        self.write(number, <uint8_t[:partition.filled]>partition.buffer)
        partition.filled = 0
        return 0

    cdef Py_ssize_t put_rows(
        self,
        TransactionBatch batch,  # IN
        const uint32_t* routed,  # IN the rows to add; NULL for all
        Py_ssize_t index,  # IN where to begin
        Py_ssize_t rows,  # IN
        uint32_t* full,  # OUT the partition that has no room, and must be written first
    ) noexcept nogil:
        """Put rows into the buffers; return the index of the first one that has no room, or `rows`."""
        cdef BatchIds ids = ids_of(batch)
        cdef const IdSpan* client_spans = ids.client_spans if self.form.kinds & TEXT_CLIENTS else NULL
        cdef const IdSpan* tx_spans = ids.tx_spans if self.form.kinds & TEXT_TXS else NULL
        cdef uint8_t[ID_ROOM_BYTES] client_room
        cdef uint8_t[ID_ROOM_BYTES] tx_room
        cdef RecordId client, tx
        cdef Partition* partition
        cdef uint32_t number
        cdef Py_ssize_t row
        cdef uint8_t kind
        cdef int64_t amount
        while index < rows:
            row = index if routed == NULL else routed[index]
            number = partition_of(self, ids.clients[row])
            partition = &self.partitions[number]
            if is_full(self, partition):
                full[0] = number
                return index
            kind = batch.kind[row]
            amount = 0
            if reads_amount(kind):
                amount = batch.amount[row]
            take_row_id(
                &client, ids.clients[row], ids.text, NULL if client_spans == NULL else client_spans + row, client_room,
            )
            if self.form.kinds & BY_CURRENCY:
                client.currency = ids.currencies[row]
            take_row_id(&tx, ids.txs[row], ids.text, NULL if tx_spans == NULL else tx_spans + row, tx_room)
            fold_tx(partition, &tx)
            partition.filled += put_record(
                partition.buffer + partition.filled, kind, client, tx, fold(<uint64_t>amount), self.form.kinds,
            )
            partition.rows += 1
            index += 1
        return rows

    cdef uint64_t put_accounts(self, Ledger ledger, uint64_t slot, uint32_t* full) noexcept nogil:
        """Put accounts into the buffers, from a slot of the table on; return the slot of the first one that has no
        room, or the number of slots."""
        cdef const Account* slots = ledger.table.slots
        cdef uint64_t slot_count = ledger.table.slot_mask + 1
        cdef RecordId client, available
        cdef Partition* partition
        cdef uint32_t number
        while slot < slot_count:
            if slots[slot].in_use:
                client_id(&client, &ledger.table, slots[slot].client)
                client.currency = slots[slot].currency
                number = partition_of(self, client.number)
                partition = &self.partitions[number]
                if is_full(self, partition):
                    full[0] = number
                    return slot
                make_number_id(&available, fold(<uint64_t>slots[slot].available))
                put_state(
                    partition, ACCOUNT, slots[slot].locked, client, available, slots[slot].held,
                    find_detail(&ledger.details, key_of_account(slots[slot].number)), self.form.kinds,
                )
                partition.accounts += 1
            slot += 1
        return slot_count

    cdef uint64_t put_entries(
        self, Ledger ledger, int kind, const uint64_t* clients, const uint16_t* currencies, uint64_t entry,
        uint32_t* full,
    ) noexcept nogil:
        """Put entries of one log into the buffers; return the first one that has no room, or their number."""
        cdef const Chunk* chunk
        cdef Partition* partition
        cdef RecordId client, tx
        cdef uint8_t[ID_ROOM_BYTES] tx_room
        cdef uint32_t number
        cdef uint64_t slot
        cdef const Detail* detail = NULL
        cdef int64_t amount = 0
        cdef uint8_t state = UNDISPUTED
        while entry < ledger.logs[kind].entries:
            chunk = ledger.logs[kind].chunks[entry >> CHUNK_BITS]
            slot = entry & CHUNK_MASK
            client_id(&client, &ledger.table, clients[chunk.account[slot]])
            if currencies != NULL:
                client.currency = currencies[chunk.account[slot]]
            number = partition_of(self, client.number)
            partition = &self.partitions[number]
            if is_full(self, partition):
                full[0] = number
                return entry
            tx_id(&tx, &ledger.logs[kind], entry, tx_room)
            fold_tx(partition, &tx)
            if keeps_amount(ledger.policy, kind):
                amount = chunk.amount[slot]
                state = chunk.state[slot]
                detail = NULL
                if state & HAS_DETAILS:
                    detail = find_detail(&ledger.details, key_of_entry(position_of(kind, entry)))
            put_state(partition, ENTRY, entry_state_of(kind, state), client, tx, amount, detail, self.form.kinds)
            partition.entries += 1
            entry += 1
        return entry
