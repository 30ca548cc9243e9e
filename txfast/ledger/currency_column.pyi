from typing import Self

from typing_extensions import Buffer, disjoint_base

from txfast.dialect.currencies import Currencies

@disjoint_base
class CurrencyColumn:
    def __new__(cls, currencies: Currencies, rows: int, offsets: Buffer, texts: Buffer) -> Self: ...
