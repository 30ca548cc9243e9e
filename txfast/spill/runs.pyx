"""Runs: sorted accounts in a compact binary form, and RunMerge, which merges many of them into one.

A run has its accounts in ascending order of client. An account takes 25 bytes: client, available, held, locked.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy

from cpython.bytearray cimport PyByteArray_AS_STRING

from txfast.ledger.key_order cimport SortKey
from txfast.ledger.sorted_accounts cimport AccountColumns
from txfast.ledger.sums cimport fits_as_total

from txfast.errors import SpillError

cdef enum:
    ACCOUNT_BYTES = 25
    RUN_BLOCK_ACCOUNTS = 4096
    CHUNK_ACCOUNTS = 1 << 14
    FAULTY_ACCOUNT = -2  # in place of the number of a run

# The part of a run that is in memory.
cdef struct Run:
    uint8_t* buffer
    Py_ssize_t offset  # of the next account in the buffer
    Py_ssize_t end  # of the accounts in the buffer

# An entry of the heap that orders the runs by their next client.
cdef struct Head:
    uint64_t client
    Py_ssize_t run


def run_blocks(AccountColumns accounts not None):
    """Iterate accounts as the blocks of a run. A block is valid until the next one."""
    cdef bytearray block = bytearray(RUN_BLOCK_ACCOUNTS * ACCOUNT_BYTES)
    cdef uint8_t* out = <uint8_t*>PyByteArray_AS_STRING(block)
    cdef Py_ssize_t first, row, count
    for first in range(0, accounts.count, RUN_BLOCK_ACCOUNTS):
        count = min(accounts.count - first, <Py_ssize_t>RUN_BLOCK_ACCOUNTS)
        for row in range(count):
            memcpy(out + row * ACCOUNT_BYTES, &accounts.balances[first + row], sizeof(SortKey))
            memcpy(out + row * ACCOUNT_BYTES + 16, &accounts.held[first + row], sizeof(int64_t))
            out[row * ACCOUNT_BYTES + 24] = accounts.locked[first + row]
        yield memoryview(block)[:count * ACCOUNT_BYTES]


cdef class RunMerge:
    """Merges runs that have no client in common: iterate it for AccountColumns, each valid until the next.

    `readers` has a function for each run, which fills a view with its next bytes and returns their number, 0 at the
    end. Raises SpillError where a run ends within an account, or has one whose total does not fit.
    """

    cdef list readers
    cdef Run* runs
    cdef Head* heads
    cdef Py_ssize_t head_count
    cdef Py_ssize_t buffer_bytes
    cdef AccountColumns chunk

    def __cinit__(self, readers, Py_ssize_t buffer_bytes):
        cdef Py_ssize_t number, count
        self.readers = list(readers)
        count = len(self.readers)
        self.buffer_bytes = max(buffer_bytes // ACCOUNT_BYTES, 1) * ACCOUNT_BYTES
        self.runs = <Run*>calloc(count + 1, sizeof(Run))
        self.heads = <Head*>calloc(count + 1, sizeof(Head))
        if self.runs == NULL or self.heads == NULL:
            raise MemoryError(f"no memory to merge {count} runs of accounts")
        for number in range(count):
            self.runs[number].buffer = <uint8_t*>malloc(self.buffer_bytes)
            if self.runs[number].buffer == NULL:
                raise MemoryError(f"no memory to merge {count} runs of accounts")
        self.chunk = AccountColumns(())
        self.chunk.make_room(CHUNK_ACCOUNTS)

    def __dealloc__(self):
        cdef Py_ssize_t number
        if self.runs != NULL:
            for number in range(len(self.readers)):
                free(self.runs[number].buffer)
        free(self.runs)
        free(self.heads)

    def __iter__(self):
        cdef Py_ssize_t number, filled = 0, taken
        for number in range(len(self.readers)):
            if self.read_on(number):
                self.add_head(number)
        while True:
            with nogil:
                taken = self.merge(&filled)
            if taken == FAULTY_ACCOUNT:
                raise SpillError("a spilled account has a total that no account has: the disk or the memory is faulty")
            if taken < 0 or filled == CHUNK_ACCOUNTS:
                self.chunk.count = filled
                yield self.chunk
                filled = 0
            if taken < 0:
                return
            # The buffer of the run with the next client may be used up.
            if self.runs[taken].offset == self.runs[taken].end:
                if self.read_on(taken):
                    self.heads[0].client = self.next_client(taken)
                else:
                    self.head_count -= 1
                    self.heads[0] = self.heads[self.head_count]
                self.sink(0)

    cdef bint read_on(self, Py_ssize_t number) except? -1:
        """Fill the buffer of a run again; False at its end."""
        cdef Run* run = &self.runs[number]
        cdef Py_ssize_t filled = 0
        reader = self.readers[number]
        while filled < self.buffer_bytes:
            count = reader(<uint8_t[:self.buffer_bytes - filled]>(run.buffer + filled))
            if not count:
                break
            filled += <Py_ssize_t>count
        if filled % ACCOUNT_BYTES:
            raise SpillError("what was spilled ends within an account: the disk or the memory is faulty")
        run.offset = 0
        run.end = filled
        return filled > 0

    cdef uint64_t next_client(self, Py_ssize_t number) noexcept nogil:
        cdef uint64_t client
        memcpy(&client, self.runs[number].buffer + self.runs[number].offset, sizeof(client))
        return client

    cdef void add_head(self, Py_ssize_t number) noexcept nogil:
        cdef Head head = Head(client=self.next_client(number), run=number)
        cdef Py_ssize_t index = self.head_count
        self.head_count += 1
        while index and self.heads[(index - 1) >> 1].client > head.client:
            self.heads[index] = self.heads[(index - 1) >> 1]
            index = (index - 1) >> 1
        self.heads[index] = head

    cdef void sink(self, Py_ssize_t index) noexcept nogil:
        """Move a head down the heap to its place."""
        cdef Head head = self.heads[index]
        cdef Py_ssize_t below
        while True:
            below = 2 * index + 1
            if below >= self.head_count:
                break
            below += below + 1 < self.head_count and self.heads[below + 1].client < self.heads[below].client
            if self.heads[below].client >= head.client:
                break
            self.heads[index] = self.heads[below]
            index = below
        self.heads[index] = head

    cdef Py_ssize_t merge(self, Py_ssize_t* filled) noexcept nogil:
        """Move accounts into the chunk until it is full or a run's buffer is used up; return that run, or the next one
        where the chunk is full, or -1 at the end of all runs. FAULTY_ACCOUNT where an account's total does not fit."""
        cdef SortKey* keys = self.chunk.keys
        cdef int64_t* held = <int64_t*>self.chunk.scratch
        cdef uint8_t* locked = <uint8_t*>(held + CHUNK_ACCOUNTS)
        cdef Py_ssize_t number
        cdef const uint8_t* account
        while self.head_count:
            number = self.heads[0].run
            if self.runs[number].offset == self.runs[number].end or filled[0] == CHUNK_ACCOUNTS:
                return number
            account = self.runs[number].buffer + self.runs[number].offset
            memcpy(&keys[filled[0]], account, sizeof(SortKey))
            memcpy(&held[filled[0]], account + 16, sizeof(int64_t))
            if not fits_as_total(keys[filled[0]].content, held[filled[0]]):
                return FAULTY_ACCOUNT
            locked[filled[0]] = account[24]
            filled[0] += 1
            self.runs[number].offset += ACCOUNT_BYTES
            if self.runs[number].offset < self.runs[number].end:
                self.heads[0].client = self.next_client(number)
                self.sink(0)
        return -1
