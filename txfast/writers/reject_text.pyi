from collections.abc import Iterator, Sequence
from typing import Self

from typing_extensions import Buffer, disjoint_base

from txfast.batch.batch import TransactionBatch

FORMATS: tuple[str, ...]
COLUMN_NAMES: tuple[str, ...]
REJECT_BLOCK_BYTES: int

@disjoint_base
class RejectText:
    def __new__(cls, text_format: str, block_bytes: int = ...) -> Self: ...
    def blocks(self, file: bytes, batch: TransactionBatch) -> Iterator[memoryview]: ...
    def column_blocks(self, rejects: RejectRows) -> Iterator[memoryview]: ...
    def rest(self) -> memoryview: ...

@disjoint_base
class RejectRows:
    def __new__(cls, rows: int, columns: Sequence[tuple[int, Buffer | None, Buffer | None]]) -> Self: ...
