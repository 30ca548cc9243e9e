from collections.abc import Iterator
from typing import Self

from typing_extensions import disjoint_base

from txfast.batch.batch import TransactionBatch

FORMATS: tuple[str, ...]
COLUMN_NAMES: tuple[str, ...]
REJECT_BLOCK_BYTES: int

@disjoint_base
class RejectText:
    def __new__(cls, text_format: str, block_bytes: int = ...) -> Self: ...
    def blocks(self, file: bytes, batch: TransactionBatch) -> Iterator[memoryview]: ...
    def rest(self) -> memoryview: ...
