from collections.abc import Sequence
from typing import Self

from _typeshed import ReadableBuffer
from typing_extensions import disjoint_base

from txfast.batch.batch import TransactionBatch
from txfast.batch.header import Header

SORTS: tuple[str, ...]
VALUES_BYTES: int

@disjoint_base
class TableColumns:
    def __new__(
        cls,
        rows: int,
        columns: Sequence[
            tuple[str, int, ReadableBuffer | None, ReadableBuffer | None, ReadableBuffer | None, ReadableBuffer | None]
        ],
    ) -> Self: ...
    @property
    def rows(self) -> int: ...
    @property
    def rows_held(self) -> int: ...
    def hold(self, batch: TransactionBatch) -> bool: ...

def parse(batch: TransactionBatch, header: Header, *, keep_text: bool = True) -> None: ...
def write_lines(batch: TransactionBatch, *, decimal: int, has_texts: bool) -> None: ...
def units_fit(values: ReadableBuffer, first: int, count: int) -> bool: ...
def bytes_of_views(views: ReadableBuffer, first: int, rows: int) -> int: ...
