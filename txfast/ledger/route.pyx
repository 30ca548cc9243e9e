"""route: sorts the rows of a batch by the shards of their clients, for a run with several ledgers.

A run with one ledger does not need this module and does not import it.
"""

from libc.stdint cimport uint32_t
from libc.stdlib cimport realloc
from libc.string cimport memset

from txfast.batch.batch cimport TransactionBatch
from txfast.ledger.shard cimport shard_of

cdef uint32_t SHARDS_MAX = 1 << 16


def route(TransactionBatch batch not None, uint32_t shard_count):
    """Sort a batch's rows by the shards of their clients, 1 to 65,536; rows of one shard stay in order.

    `Ledger.apply(batch, shard=n)` then applies the rows of shard n. Raises ValueError and MemoryError.
    """
    cdef uint32_t* starts = batch.shard_starts
    if not 1 <= shard_count <= SHARDS_MAX:
        raise ValueError(f"{shard_count} shards: there are 1 to {SHARDS_MAX}")
    if shard_count > batch.shard_capacity:
        starts = <uint32_t*>realloc(starts, (shard_count + 2) * sizeof(uint32_t))
        if starts == NULL:
            raise MemoryError(f"no memory to route {shard_count} shards")
        batch.shard_starts = starts
        batch.shard_capacity = shard_count
    batch.shard_count = shard_count
    with nogil:
        route_rows(batch)


cdef void route_rows(TransactionBatch batch) noexcept nogil:
    """A counting sort of the rows by shard, into `routed`."""
    cdef uint32_t* starts = batch.shard_starts
    cdef Py_ssize_t row
    cdef uint32_t shard
    # Rows of shard s are counted at s + 2, so that the sums are the start of shard s at s + 1. Filling shard s moves
    # that to its end, which is the start of shard s + 1: every start is then at its own index.
    memset(starts, 0, (batch.shard_count + 2) * sizeof(uint32_t))
    for row in range(batch.rows):
        starts[shard_of(batch.client[row], batch.shard_count) + 2] += 1
    for shard in range(2, batch.shard_count + 2):
        starts[shard] += starts[shard - 1]
    for row in range(batch.rows):
        shard = shard_of(batch.client[row], batch.shard_count)
        batch.routed[starts[shard + 1]] = <uint32_t>row
        starts[shard + 1] += 1
