from collections.abc import Callable
from typing import Self

from typing_extensions import disjoint_base

from txfast.batch.batch import TransactionBatch
from txfast.dialect.text_ids import TextIds
from txfast.ledger.ledger import Ledger
from txfast.spill.slices import SliceReader

@disjoint_base
class Partitions:
    def __new__(
        cls,
        count: int,
        buffer_bytes: int,
        write: Callable[[int, memoryview], object],
        key: bytes | None = None,
        *,
        by_shard: bool = False,
        text_ids: TextIds | None = None,
    ) -> Self: ...
    @property
    def count(self) -> int: ...
    def release(self) -> None: ...
    def finish(self) -> None: ...
    def counts(self, number: int) -> tuple[int, int, int]: ...
    def add_rows(self, batch: TransactionBatch, shard: int = 0) -> None: ...
    def add_ledger(self, ledger: Ledger) -> None: ...
    def add_rest(self, reader: SliceReader) -> None: ...
