from collections.abc import Iterator
from typing import Self

from typing_extensions import disjoint_base

from txfast.batch.batch import TransactionBatch

MALFORMED: int

def outcomes_of(batch: TransactionBatch) -> bytes: ...
def report(
    batch: TransactionBatch, *, applied: bool = False, rejected: bool = True, malformed: bool = True
) -> Iterator[tuple[int, int, int, bytes]]: ...

@disjoint_base
class RowCursor:
    def __new__(
        cls, batch: TransactionBatch, *, applied: bool = False, rejected: bool = True, malformed: bool = True
    ) -> Self: ...
