from typing import Protocol, Self

from _typeshed import WriteableBuffer
from typing_extensions import disjoint_base

from txfast.readers.balance_columns import Contents
from txfast.readers.balance_form import BalanceForm
from txfast.readers.balance_rows import BalanceRows

READ_BLOCK_BYTES: int

class _Readable(Protocol):
    def readinto(self, buffer: WriteableBuffer, /) -> int | None: ...

@disjoint_base
class BalanceCsvReader:
    def __new__(
        cls, file: _Readable, name: str, contents: Contents, form: BalanceForm, block_bytes: int = ...
    ) -> Self: ...
    @property
    def rows(self) -> BalanceRows | None: ...
    def fill(self) -> bool: ...
