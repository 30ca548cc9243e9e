from collections.abc import Callable
from typing import Self

from typing_extensions import Buffer, disjoint_base

from txfast.batch.batch import TransactionBatch
from txfast.dialect.text_ids import TextIds
from txfast.errors import SpillError
from txfast.ledger.ledger import Ledger

ROWS_AT_ONCE: int
STATE_RECORDS: int
STATE_BYTES: int

class AccountTwiceError(SpillError):
    client: int | bytes
    currency: int

@disjoint_base
class SliceReader:
    def __new__(cls, readinto: Callable[[memoryview], int], *, text_ids: TextIds | None = None) -> Self: ...
    def next_is_state(self) -> bool: ...
    def restore(self, ledger: Ledger, records: int = ...) -> int: ...
    def pass_state(self) -> None: ...
    def fill(self, batch: TransactionBatch, rows_max: int = ...) -> bool: ...

def renumber_rows(batch: TransactionBatch, numbers: Buffer) -> None: ...
