"""How a run divides the machine: threads, blocks and memory. A pure function of what was asked for and what there is.

This module must not look at the machine, and must not know inputs.
"""

from txfast.errors import UsageError
from txfast.input.source import READERS
from txfast.readers.csv import READ_BLOCK_BYTES

# Cap: beyond 128 threads only contend.
THREADS_USED_MAX = 128
# Batches on their way beyond those that threads work on.
SPARE_BATCHES = 3

# A smaller input is not worth a thread.
THREADED_BYTES_MIN = 4 * READ_BLOCK_BYTES
# An input of this size is read in larger blocks: threads hand over less often (a tenth of the time), and the memory for
# blocks does not show.
LARGE_BYTES_MIN = 1 << 26
LARGE_BLOCK_BYTES = 4 * READ_BLOCK_BYTES
# A smaller limit has no room for large blocks.
LARGE_BLOCKS_MEMORY_MIN = 1 << 30

# A batch takes three bytes for each of its block, columns included, unless all its rows are as short as can be.
BATCH_BYTES_PER_BYTE = 3
# Memory beside ledgers, batches and the buffers of what is moved to disk: sorted accounts as text, and what Python and
# the system take while the run goes on.
OTHER_BYTES = 8 << 20
# With less for itself a ledger would go to disk at once.
LEDGER_BYTES_MIN = 24 << 20
# The share of a ledger's memory that its rows on disk take for buffers, and the least.
SPILL_SHARE = 16
SPILL_BYTES_MIN = 2 << 20


class Plan:
    """How a run divides the machine.

    `scanners` threads turn blocks into batches, for as many `ledgers`, each a shard of the clients. Under a limit,
    `ledger_bytes` is what each ledger may take before it is moved to disk, and `settling_bytes` what all that is
    settled in the end may take together; without a limit both are None. Results depend on none of these.
    """

    __slots__ = (
        "_block_bytes", "_large_blocks", "ledger_bytes", "ledgers", "memory_limit", "reader", "scanners",
        "settling_bytes", "threads",
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
        ledger_bytes: int | None = None,
        settling_bytes: int | None = None,
    ) -> None:
        self.reader = reader
        self.threads = threads
        self.scanners = scanners
        self.ledgers = ledgers
        self.memory_limit = memory_limit
        self.ledger_bytes = ledger_bytes
        self.settling_bytes = settling_bytes
        self._block_bytes = block_bytes
        self._large_blocks = large_blocks

    def block_bytes(self, input_bytes: int | None) -> int:
        """How much is read at once of an input of this size; None where the size is not known."""
        if self._block_bytes is not None:
            return self._block_bytes
        if self.reader == "arrow":
            from txfast.readers import arrow_csv

            return arrow_csv.PYARROW_BLOCK_BYTES
        large = self._large_blocks and input_bytes is not None and input_bytes >= LARGE_BYTES_MIN
        return LARGE_BLOCK_BYTES if large else READ_BLOCK_BYTES

    def is_threaded(self, input_bytes: int | None) -> bool:
        """Whether threads are started for an input of this size; None where the size is not known."""
        return self.threads > 1 and (input_bytes is None or input_bytes >= THREADED_BYTES_MIN)


def make_plan(
    *,
    cores: int,
    memory_used: int,
    threads: int | None = None,
    memory_limit: int | None = None,
    memory_reserved: int = 0,
    reader: str = READERS[0],
    block_bytes: int | None = None,
) -> Plan:
    """Divide the machine for a run.

    `cores` and `memory_used` (bytes that the process has now) are what there is; the rest is what was asked for.
    `threads` counts scanners and appliers together, by default one for each core. Of `memory_limit`, in bytes for the
    whole process, `memory_reserved` are not for the run. `block_bytes` is read at once, by default what suits the
    reader and the input. Raises UsageError for a reader that there is not, and for no threads.
    """
    if reader not in READERS:
        raise UsageError(f"reader {reader!r}: it is one of {', '.join(READERS)}")
    threads = cores if threads is None else threads
    if threads < 1:
        raise UsageError(f"{threads} threads: at least one is needed")
    used = min(threads, THREADS_USED_MAX)
    scanners = max(1, used // 2)
    ledgers = max(1, used - scanners)
    large_blocks = memory_limit is None or memory_limit >= LARGE_BLOCKS_MEMORY_MIN
    plan = Plan(
        reader=reader, threads=threads, scanners=scanners, ledgers=ledgers, block_bytes=block_bytes,
        large_blocks=large_blocks, memory_limit=memory_limit,
    )  # fmt: skip
    if memory_limit is not None:
        divide_memory(plan, memory_limit - memory_reserved - memory_used - OTHER_BYTES)
    return plan


def divide_memory(plan: Plan, room: int) -> None:
    """Divide so many bytes among batches and ledgers: fewer ledgers where each would get too little."""
    batch_bytes = BATCH_BYTES_PER_BYTE * plan.block_bytes(LARGE_BYTES_MIN)
    room -= (plan.scanners + SPARE_BATCHES) * batch_bytes
    plan.ledgers = max(1, min(plan.ledgers, room // (LEDGER_BYTES_MIN + batch_bytes)))
    room -= plan.ledgers * batch_bytes
    plan.settling_bytes = max(room, LEDGER_BYTES_MIN)
    share = room // plan.ledgers
    plan.ledger_bytes = max(share - max(SPILL_BYTES_MIN, share // SPILL_SHARE), 0)
