from typing import Self

from typing_extensions import disjoint_base

from txfast.batch.header import Header

@disjoint_base
class RowSearch:
    def __new__(cls, offset: int, header: Header, *, in_quotes: bool = ..., holds_open: bool = ...) -> Self: ...
    @property
    def found(self) -> int | None: ...
    @property
    def is_impossible(self) -> bool: ...
    def search(self, text: bytes, *, is_whole: bool) -> int: ...
