from typing import Self

from typing_extensions import disjoint_base

from txfast.dialect.currencies import Currencies

@disjoint_base
class SoughtRows:
    def __new__(cls, kinds: int, currencies: Currencies | None, *, are_entries: bool) -> Self: ...
