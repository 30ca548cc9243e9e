from typing import Protocol, Self

from _typeshed import WriteableBuffer
from typing_extensions import disjoint_base

from txfast.batch.header import Header
from txfast.dialect.dialect import Dialect
from txfast.input.last_line import LastRow
from txfast.input.position import Consumption

READ_BLOCK_BYTES: int

class _Readable(Protocol):
    def readinto(self, buffer: WriteableBuffer, /) -> int | None: ...

@disjoint_base
class TextReader:
    def __new__(
        cls,
        file: _Readable,
        name: str,
        block_bytes: int = ...,
        consumption: Consumption | None = None,
        last_row: LastRow | None = None,
        stop_at: int | None = None,
        *,
        dialect: Dialect | None = None,
    ) -> Self: ...
    @property
    def bytes_taken(self) -> int: ...
    @property
    def consumption(self) -> Consumption | None: ...
    @property
    def dialect(self) -> Dialect | None: ...
    @property
    def bytes_read(self) -> int: ...
    @property
    def held_bytes(self) -> int: ...
    @property
    def header(self) -> Header | None: ...
