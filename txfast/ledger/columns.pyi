from collections.abc import Sequence
from typing import Self

from typing_extensions import disjoint_base

from txfast.ledger.ledger import Ledger

@disjoint_base
class AccountColumns:
    def __new__(cls, ledgers: Sequence[Ledger]) -> Self: ...
    @property
    def available_units(self) -> int: ...
    @property
    def held_units(self) -> int: ...
    @property
    def locked_count(self) -> int: ...
    def __len__(self) -> int: ...
