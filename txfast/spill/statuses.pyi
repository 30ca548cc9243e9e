from collections.abc import Callable
from typing import Self

from typing_extensions import Buffer, disjoint_base

from txfast.batch.batch import TransactionBatch
from txfast.spill.partitions import Partitions

@disjoint_base
class StatusReader:
    def __new__(cls, partitions: Partitions, readinto: Callable[[int, memoryview], int], buffer_bytes: int) -> Self: ...
    def fill(self, batch: TransactionBatch, shard: int = 0) -> None: ...

def statuses_of(batch: TransactionBatch, shard: int = 0) -> bytes: ...
def set_statuses(batch: TransactionBatch, shard: int, statuses: Buffer) -> None: ...
