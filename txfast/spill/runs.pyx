"""Runs: sorted accounts in a compact binary form, and RunMerge, which merges many of them into one.

A run has its accounts in ascending order of client. An account takes 17 bytes for available, held and locked; its
client follows: a number in eight bytes, or the length of a text in one byte, and its bytes. Where accounts have a
currency, two bytes before the client have its number.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove

from cpython.bytearray cimport PyByteArray_AS_STRING

from txfast.batch.ids cimport ID_BYTES_MAX
from txfast.ledger.key_order cimport SortKey
from txfast.ledger.name_order cimport compare_names, word_of
from txfast.ledger.sorted_accounts cimport AccountColumns
from txfast.ledger.sums cimport fits_as_total
from txfast.ledger.texts cimport (
    TEXT_BYTES_MAX, TextArena, add_text, new_texts, release_texts, reserve_texts, text_at,
)
from txfast.text.text_hash cimport TEXT_HASH_SLACK_BYTES

from txfast.errors import SpillError

cdef enum:
    BALANCE_BYTES = 17  # available, held, locked
    CURRENCY_BYTES = 2
    CLIENT_BYTES = 8  # of one that is a number
    ACCOUNT_BYTES_MAX = BALANCE_BYTES + CURRENCY_BYTES + 1 + ID_BYTES_MAX
    RUN_BLOCK_ACCOUNTS = 4096
    CHUNK_ACCOUNTS = 1 << 14
    FAULTY_ACCOUNT = -2  # in place of the number of a run

cdef str FAULTY = "a spilled account has a total or a client that no account has: the disk or the memory is faulty"
cdef str CUT_OFF = "what was spilled ends within an account: the disk or the memory is faulty"

# The part of a run that is in memory.
cdef struct Run:
    uint8_t* buffer
    Py_ssize_t offset  # of the next account in the buffer
    Py_ssize_t end  # of the accounts in the buffer that are whole
    Py_ssize_t filled  # bytes of the buffer

# An entry of the heap that orders the runs by their next client.
cdef struct Head:
    uint64_t client  # of a text its first eight bytes
    const uint8_t* name  # NULL for a number; else the length of the text, and its bytes
    Py_ssize_t run


def run_blocks(AccountColumns accounts not None):
    """Iterate accounts as the blocks of a run. A block is valid until the next one."""
    cdef bint has_names = accounts.has_names
    cdef Py_ssize_t account_bytes = ACCOUNT_BYTES_MAX if has_names else BALANCE_BYTES + CURRENCY_BYTES + CLIENT_BYTES
    cdef bytearray block = bytearray(RUN_BLOCK_ACCOUNTS * account_bytes)
    cdef uint8_t* start = <uint8_t*>PyByteArray_AS_STRING(block)
    cdef uint8_t* out
    cdef Py_ssize_t first, row
    for first in range(0, accounts.count, RUN_BLOCK_ACCOUNTS):
        out = start
        for row in range(first, min(accounts.count, first + RUN_BLOCK_ACCOUNTS)):
            memcpy(out, &accounts.balances[row].content, sizeof(int64_t))
            memcpy(out + 8, &accounts.held[row], sizeof(int64_t))
            out[16] = accounts.locked[row]
            out += BALANCE_BYTES
            if accounts.currency != NULL:
                memcpy(out, &accounts.currency[row], CURRENCY_BYTES)
                out += CURRENCY_BYTES
            out = put_client(out, accounts.balances[row].client, has_names)
        yield memoryview(block)[:out - start]


def renumber_run(uint8_t[::1] run not None, const uint16_t[::1] numbers not None, *, bint has_names):
    """Give the accounts of a run of another process the numbers that their currencies have in this one, by those that
    they have there. Clients are texts where the run `has_names`. Raises SpillError for a run that no process made."""
    cdef Py_ssize_t offset = 0, client
    cdef uint16_t number
    while offset < run.shape[0]:
        client = offset + BALANCE_BYTES + CURRENCY_BYTES
        if client >= run.shape[0]:
            raise SpillError(CUT_OFF)
        memcpy(&number, &run[client - CURRENCY_BYTES], CURRENCY_BYTES)
        if number >= numbers.shape[0]:
            raise SpillError(FAULTY)
        memcpy(&run[client - CURRENCY_BYTES], &numbers[number], CURRENCY_BYTES)
        offset = client + (1 + run[client] if has_names else <Py_ssize_t>CLIENT_BYTES)
    if offset > run.shape[0]:
        raise SpillError(CUT_OFF)


cdef inline uint8_t* put_client(uint8_t* out, const uint64_t client, const bint has_names) noexcept nogil:
    """Write a client, which is a number, or where its name is; return the end."""
    cdef const uint8_t* name = <const uint8_t*>client
    if has_names:
        memcpy(out, name, 1 + name[0])
        return out + 1 + name[0]
    memcpy(out, &client, sizeof(client))
    return out + sizeof(client)


cdef class RunMerge:
    """Merges runs that have no client in common: iterate it for AccountColumns, each valid until the next.

    `readers` has a function for each run, which fills a view with its next bytes and returns their number, 0 at the
    end. `has_names` says that clients are texts, `currencies` are those of the accounts, None where they have none.
    Raises SpillError where a run ends within an account, or has one whose total does not fit.
    """

    cdef list readers
    cdef Run* runs
    cdef Head* heads
    cdef Py_ssize_t head_count
    cdef Py_ssize_t buffer_bytes
    cdef Py_ssize_t client_offset  # in an account
    cdef bint has_names
    cdef Py_ssize_t currency_count
    cdef AccountColumns chunk

    def __cinit__(self, readers, Py_ssize_t buffer_bytes, *, bint has_names=False, currencies=None):
        cdef Py_ssize_t number, count
        self.readers = list(readers)
        self.has_names = has_names
        self.client_offset = BALANCE_BYTES if currencies is None else BALANCE_BYTES + CURRENCY_BYTES
        count = len(self.readers)
        if has_names:
            self.buffer_bytes = max(buffer_bytes, <Py_ssize_t>ACCOUNT_BYTES_MAX)
        else:
            self.buffer_bytes = max(buffer_bytes // self.account_bytes(), 1) * self.account_bytes()
        self.runs = <Run*>calloc(count + 1, sizeof(Run))
        self.heads = <Head*>calloc(count + 1, sizeof(Head))
        if self.runs == NULL or self.heads == NULL:
            raise MemoryError(f"no memory to merge {count} runs of accounts")
        for number in range(count):
            # Texts are read by whole words.
            self.runs[number].buffer = <uint8_t*>calloc(self.buffer_bytes + TEXT_HASH_SLACK_BYTES, 1)
            if self.runs[number].buffer == NULL:
                raise MemoryError(f"no memory to merge {count} runs of accounts")
        self.chunk = AccountColumns(())
        self.chunk.make_room(CHUNK_ACCOUNTS)
        self.chunk.has_names = has_names
        if currencies is not None:
            self.currency_count = len(currencies)
            self.chunk.take_currencies(currencies, CHUNK_ACCOUNTS)

    cdef Py_ssize_t account_bytes(self) noexcept nogil:
        """The bytes of an account whose client is a number."""
        return self.client_offset + CLIENT_BYTES

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
        self.begin_names()
        while True:
            with nogil:
                taken = self.merge(&filled)
            if taken == FAULTY_ACCOUNT:
                raise SpillError(FAULTY)
            if taken < 0 or filled == CHUNK_ACCOUNTS:
                self.chunk.count = filled
                yield self.chunk
                filled = 0
            if taken < 0:
                return
            if not filled:
                self.begin_names()
            # The buffer of the run with the next client may be used up.
            if self.runs[taken].offset == self.runs[taken].end:
                if self.read_on(taken):
                    self.take_head(&self.heads[0], taken)
                else:
                    self.head_count -= 1
                    self.heads[0] = self.heads[self.head_count]
                self.sink(0)

    cdef int begin_names(self) except -1:
        """Begin a chunk: forget the names of the last one, unless somebody shares them."""
        cdef TextArena* names = self.chunk.names[0] if self.chunk.names_count else NULL
        if not self.has_names:
            return 0
        if names != NULL and names.users == 1:
            names.end = 0
            return 0
        self.chunk.names_count = 0
        release_texts(names)
        names = new_texts()
        if names == NULL or not reserve_texts(names, CHUNK_ACCOUNTS * TEXT_BYTES_MAX):
            release_texts(names)
            raise MemoryError(f"no memory for the clients of {CHUNK_ACCOUNTS} accounts")
        self.chunk.names[0] = names
        self.chunk.names_count = 1
        return 0

    cdef bint read_on(self, Py_ssize_t number) except? -1:
        """Fill the buffer of a run again; False at its end."""
        cdef Run* run = &self.runs[number]
        cdef Py_ssize_t filled = run.filled - run.offset
        memmove(run.buffer, run.buffer + run.offset, filled)
        reader = self.readers[number]
        while filled < self.buffer_bytes:
            count = reader(<uint8_t[:self.buffer_bytes - filled]>(run.buffer + filled))
            if not count:
                break
            filled += <Py_ssize_t>count
        run.offset = 0
        run.filled = filled
        run.end = self.end_of_accounts(run)
        if filled and not run.end:
            raise SpillError(CUT_OFF)
        return filled > 0

    cdef Py_ssize_t end_of_accounts(self, const Run* run) noexcept nogil:
        """Where the last whole account in the buffer of a run ends."""
        cdef Py_ssize_t end = 0, after
        if not self.has_names:
            return run.filled // self.account_bytes() * self.account_bytes()
        while run.filled - end > self.client_offset:
            after = end + self.client_offset + 1 + run.buffer[end + self.client_offset]
            if after > run.filled:
                break
            end = after
        return end

    cdef void take_head(self, Head* head, Py_ssize_t number) noexcept nogil:
        """Make the head of a run, which has an account in its buffer."""
        cdef const uint8_t* client = self.runs[number].buffer + self.runs[number].offset + self.client_offset
        head.run = number
        head.name = client if self.has_names else NULL
        if self.has_names:
            head.client = word_of(client, 0)
        else:
            memcpy(&head.client, client, sizeof(head.client))

    cdef void add_head(self, Py_ssize_t number) noexcept nogil:
        cdef Head head
        cdef Py_ssize_t index = self.head_count
        self.take_head(&head, number)
        self.head_count += 1
        while index and comes_before(&head, &self.heads[(index - 1) >> 1]):
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
            below += below + 1 < self.head_count and comes_before(&self.heads[below + 1], &self.heads[below])
            if not comes_before(&self.heads[below], &head):
                break
            self.heads[index] = self.heads[below]
            index = below
        self.heads[index] = head

    cdef Py_ssize_t merge(self, Py_ssize_t* filled) noexcept nogil:
        """Move accounts into the chunk until it is full or a run's buffer is used up; return that run, or the next one
        where the chunk is full, or -1 at the end of all runs. FAULTY_ACCOUNT where no ledger can have an account."""
        cdef SortKey* keys = self.chunk.keys
        cdef int64_t* held = <int64_t*>self.chunk.scratch
        cdef uint8_t* locked = <uint8_t*>(held + CHUNK_ACCOUNTS)
        cdef TextArena* names = self.chunk.names[0] if self.has_names else NULL
        cdef Py_ssize_t number
        cdef const uint8_t* account
        cdef Run* run
        while self.head_count:
            number = self.heads[0].run
            run = &self.runs[number]
            if run.offset == run.end or filled[0] == CHUNK_ACCOUNTS:
                return number
            account = run.buffer + run.offset
            memcpy(&keys[filled[0]].content, account, sizeof(int64_t))
            memcpy(&held[filled[0]], account + 8, sizeof(int64_t))
            locked[filled[0]] = account[16]
            if not fits_as_total(keys[filled[0]].content, held[filled[0]]):
                return FAULTY_ACCOUNT
            keys[filled[0]].client = self.heads[0].client
            if self.chunk.currency != NULL:
                memcpy(&self.chunk.currency[filled[0]], account + BALANCE_BYTES, CURRENCY_BYTES)
                if self.chunk.currency[filled[0]] >= self.currency_count:
                    return FAULTY_ACCOUNT
            account += self.client_offset
            run.offset += self.client_offset + (1 + account[0] if self.has_names else <Py_ssize_t>CLIENT_BYTES)
            if self.has_names:
                if not account[0]:
                    return FAULTY_ACCOUNT
                keys[filled[0]].client = <uint64_t>text_at(names, add_text(names, account + 1, account[0], 1))
            filled[0] += 1
            if run.offset < run.end:
                self.take_head(&self.heads[0], number)
                self.sink(0)
        return -1


cdef inline bint comes_before(const Head* one, const Head* other) noexcept nogil:
    """Whether the client of a head comes before that of another."""
    if one.client != other.client or one.name == NULL:
        return one.client < other.client
    return compare_names(one.name, other.name) < 0
