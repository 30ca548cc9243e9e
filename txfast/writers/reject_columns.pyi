from collections.abc import Iterator
from typing import Self

from typing_extensions import disjoint_base

from txfast.batch.batch import TransactionBatch

STATUS_NAMES: tuple[str, ...]
REASON_NAMES: tuple[str, ...]
ROWS_MAX: int
TEXT_BYTES_MAX: int

_Group = tuple[int, list[str], list[memoryview]]

@disjoint_base
class RejectColumns:
    def __new__(cls, rows_max: int = ..., text_bytes_max: int = ...) -> Self: ...
    def groups(self, file: str, batch: TransactionBatch) -> Iterator[_Group]: ...
    def rest(self) -> _Group: ...
