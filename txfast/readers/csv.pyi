from typing import Protocol, Self

from _typeshed import WriteableBuffer
from typing_extensions import disjoint_base

from txfast.batch.batch import TransactionBatch
from txfast.batch.header import Header
from txfast.errors import HeaderError
from txfast.input.last_line import LastRow
from txfast.input.position import Consumption

READ_BLOCK_BYTES: int

class _Readable(Protocol):
    def readinto(self, buffer: WriteableBuffer, /) -> int | None: ...

def take_header(batch: TransactionBatch, file: str) -> Header | None: ...
def no_header(file: str, bytes_read: int) -> HeaderError: ...
def find_spanning_row(batch: TransactionBatch) -> tuple[int, int]: ...

@disjoint_base
class CsvReader:
    def __new__(
        cls,
        file: _Readable,
        name: str,
        block_bytes: int = ...,
        consumption: Consumption | None = None,
        last_row: LastRow | None = None,
        stop_at: int | None = None,
    ) -> Self: ...
    @property
    def bytes_taken(self) -> int: ...
    @property
    def consumption(self) -> Consumption | None: ...
    @property
    def bytes_read(self) -> int: ...
    @property
    def held_bytes(self) -> int: ...
    @property
    def header(self) -> Header | None: ...
    def fill(self, batch: TransactionBatch) -> bool: ...
    def scan(self, batch: TransactionBatch) -> None: ...
