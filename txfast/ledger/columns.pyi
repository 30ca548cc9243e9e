from collections.abc import Sequence
from typing import Self

from typing_extensions import disjoint_base

from txfast.ledger.ledger import Ledger

@disjoint_base
class AccountColumns:
    def __new__(cls, ledgers: Sequence[Ledger]) -> Self: ...
    def columns(self) -> tuple[memoryview, memoryview, memoryview, memoryview]: ...
    def __len__(self) -> int: ...
