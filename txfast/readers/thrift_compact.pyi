from typing import Self

from typing_extensions import disjoint_base

class ThriftError(ValueError):
    needs_more: bool
    def __init__(self, words: str, *, needs_more: bool = False) -> None: ...

@disjoint_base
class CompactReader:
    @property
    def offset(self) -> int: ...
    def __new__(cls, content: bytes, offset: int = 0) -> Self: ...
