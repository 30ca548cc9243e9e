"""How a run divides the machine: threads, blocks and memory.

`make_plan` is a pure function: the settings and the size of the machine are its arguments. This module must not look at
the machine, nor at an input.
"""

from txfast.errors import UsageError
from txfast.input.source import READERS
from txfast.readers.text_reader import READ_BLOCK_BYTES

# More threads than this only wait for each other.
THREADS_USED_MAX = 128
# Batches that wait between two threads, beside one batch for each thread.
SPARE_BATCHES = 3

# A smaller input is not worth a thread.
THREADED_BYTES_MIN = 4 * READ_BLOCK_BYTES
# An input of this size is read in larger blocks: threads exchange batches less often, which saves a tenth of the time,
# and the blocks are small beside the ledger.
LARGE_BYTES_MIN = 1 << 26
LARGE_BLOCK_BYTES = 4 * READ_BLOCK_BYTES
# A smaller limit has no room for large blocks.
LARGE_BLOCKS_MEMORY_MIN = 1 << 30

# Bytes of a batch, text and columns, for each byte of its block. Only blocks of the shortest possible rows take more.
BATCH_BYTES_PER_BYTE = 3
# The least that a batch takes where rows are long: the beginning of a row of up to 1 MiB is kept, in a buffer twice as
# large.
BATCH_BYTES_MIN = 2 << 20
# The batches of scanners, with the spare ones, get at most a quarter of the memory: more scanners than that allows
# would each wait for a batch. Each ledger needs one more, which counts as the ledger's.
BYTES_PER_BATCH_BYTE = 4
# Memory beside ledgers, batches and spill buffers: sorted accounts as text, and the growth of Python and the allocator
# during the run.
OTHER_BYTES = 8 << 20
# A ledger with less memory would go to disk at its first rows.
LEDGER_BYTES_MIN = 24 << 20
# A table that is read gets a quarter of what is left for it and the ledgers, and at least TABLE_BYTES_MIN. Its first
# TABLE_BYTES_MIN come out of what is kept for pyarrow; only what is more is taken from the ledgers.
BYTES_PER_TABLE_BYTE = 4
TABLE_BYTES_MIN = 40 << 20
# Added to a limit that a message suggests: what Python itself takes differs from run to run.
SUGGESTED_BYTES_MORE = 8 << 20
# Of a ledger's memory, a sixteenth, and at least SPILL_BYTES_MIN, is left for its spill.
LEDGER_BYTES_PER_SPILL_BYTE = 16
SPILL_BYTES_MIN = 2 << 20


class Plan:
    """How a run divides the machine.

    `scanners` is the number of threads that turn blocks into batches, `ledgers` the number of shards of the clients.
    A ledger that would grow beyond `ledger_bytes` is moved to disk. `settling_bytes` is the memory for all partitions
    that are settled at the same time, at the end of the run; `room_bytes` is the memory for ledgers and tables;
    `table_bytes` is what a table may take while it is read, a quarter of `room_bytes` or TABLE_BYTES_MIN;
    `kept_bytes` are for libraries, and for tables where the run reads some. Without a memory limit these five are None.
    `short_bytes` is what is missing for the smallest ledgers. Results depend on nothing in a plan.
    """

    __slots__ = (
        "_block_bytes", "_large_blocks", "kept_bytes", "ledger_bytes", "ledgers", "memory_limit", "reader",
        "room_bytes", "scanners", "settling_bytes", "short_bytes", "table_bytes", "threads",
    )  # fmt: skip

    def __init__(
        self,
        *,
        reader: str,
        threads: int,
        scanners: int,
        ledgers: int,
        block_bytes: int | None,
        large_blocks: bool,
        memory_limit: int | None = None,
    ) -> None:
        self.reader = reader
        self.threads = threads
        self.scanners = scanners
        self.ledgers = ledgers
        self.memory_limit = memory_limit
        self.ledger_bytes: int | None = None
        self.settling_bytes: int | None = None
        self.table_bytes: int | None = None
        self.room_bytes: int | None = None
        self.kept_bytes: int | None = None
        self.short_bytes = 0
        self._block_bytes = block_bytes
        self._large_blocks = large_blocks

    def block_bytes(self, input_bytes: int | None) -> int:
        """The size of a block of an input. `input_bytes` is None where the size of the input is not known."""
        if self._block_bytes is not None:
            return self._block_bytes
        if self.reader == "arrow":
            from txfast.readers import arrow_csv

            return arrow_csv.PYARROW_BLOCK_BYTES
        large = self._large_blocks and input_bytes is not None and input_bytes >= LARGE_BYTES_MIN
        return LARGE_BLOCK_BYTES if large else READ_BLOCK_BYTES

    def limit_for_table(self, needed: int) -> int:
        """The memory limit that leaves so many bytes for a table."""
        assert self.memory_limit is not None
        assert self.room_bytes is not None
        limit = self.memory_limit + BYTES_PER_TABLE_BYTE * needed - self.room_bytes + SUGGESTED_BYTES_MORE
        if self._large_blocks or limit < LARGE_BLOCKS_MEMORY_MIN:
            return limit
        # With this limit, blocks are large.
        more_bytes = BATCH_BYTES_PER_BYTE * LARGE_BLOCK_BYTES - BATCH_BYTES_MIN
        return limit + (self.scanners + SPARE_BATCHES) * more_bytes

    @property
    def bytes_for_tables(self) -> int:
        """What a run that reads tables takes from its ledgers for them."""
        return 0 if self.table_bytes is None else self.table_bytes - TABLE_BYTES_MIN

    def is_threaded(self, input_bytes: int | None) -> bool:
        """Whether an input of this size gets threads. `input_bytes` is None where the size is not known."""
        return self.threads > 1 and (input_bytes is None or input_bytes >= THREADED_BYTES_MIN)


def make_plan(
    *,
    cores: int,
    memory_used: int,
    threads: int | None = None,
    memory_limit: int | None = None,
    memory_reserved: int = 0,
    reads_tables: bool = False,
    reader: str = READERS[0],
    block_bytes: int | None = None,
) -> Plan:
    """Divide the machine for a run.

    `cores` and `memory_used` (bytes that the process has now) describe the machine. `threads` counts scanners and
    appliers together, by default one for each core. `memory_limit` is in bytes, for the whole process; of it,
    `memory_reserved` bytes are kept for libraries, and more where the run `reads_tables`. `block_bytes` is the size of
    a block, by default the one that suits the reader and the input. Raises UsageError for an unknown reader, and for
    fewer threads than one.
    """
    if reader not in READERS:
        raise UsageError(f"reader {reader!r}: it is one of {', '.join(READERS)}")
    threads = cores if threads is None else threads
    if threads < 1:
        raise UsageError(f"{threads} threads: at least one is needed")
    threads = used = min(threads, THREADS_USED_MAX)
    scanners = max(1, used // 2)
    ledgers = max(1, used - scanners)
    large_blocks = memory_limit is None or memory_limit >= LARGE_BLOCKS_MEMORY_MIN
    plan = Plan(
        reader=reader, threads=threads, scanners=scanners, ledgers=ledgers, block_bytes=block_bytes,
        large_blocks=large_blocks, memory_limit=memory_limit,
    )  # fmt: skip
    if memory_limit is not None:
        divide_memory(plan, memory_limit - memory_reserved - memory_used - OTHER_BYTES, reads_tables=reads_tables)
        plan.kept_bytes = memory_reserved + (plan.bytes_for_tables if reads_tables else 0)
    return plan


def divide_memory(plan: Plan, room: int, *, reads_tables: bool = False) -> None:
    """Divide `room` bytes among batches, tables and ledgers. A small room gives fewer scanners and ledgers, so that
    each gets enough."""
    batch_bytes = max(BATCH_BYTES_MIN, BATCH_BYTES_PER_BYTE * plan.block_bytes(LARGE_BYTES_MIN))
    scanners_max = room // BYTES_PER_BATCH_BYTE // batch_bytes - SPARE_BATCHES
    plan.scanners = max(1, min(plan.scanners, scanners_max))
    room -= (plan.scanners + SPARE_BATCHES) * batch_bytes
    plan.room_bytes = room
    plan.table_bytes = max(TABLE_BYTES_MIN, room // BYTES_PER_TABLE_BYTE)
    if reads_tables:
        room -= plan.bytes_for_tables
    plan.ledgers = max(1, min(plan.ledgers, room // (LEDGER_BYTES_MIN + batch_bytes)))
    room -= plan.ledgers * batch_bytes
    plan.settling_bytes = max(room, LEDGER_BYTES_MIN)
    share = room // plan.ledgers
    share -= max(SPILL_BYTES_MIN, share // LEDGER_BYTES_PER_SPILL_BYTE)
    plan.ledger_bytes = max(share, 0)
    plan.short_bytes = max(-share, 0) * plan.ledgers
