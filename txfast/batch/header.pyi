from collections.abc import Iterable
from typing import Self

from typing_extensions import disjoint_base

from txfast.errors import HeaderError

COLUMN_NAMES: tuple[str, ...]

TELLING_NAMES: tuple[str, ...]

def telling_names(names: Iterable[str]) -> tuple[str, ...]: ...
def too_long(file: str) -> HeaderError: ...
def find_columns(names: Iterable[str]) -> list[list[int]]: ...

@disjoint_base
class Header:
    def __new__(cls, line: bytes, file: str, *, of_table: bool = False) -> Self: ...
    ignored: tuple[str, ...]
    @property
    def of_table(self) -> bool: ...
    @property
    def line(self) -> bytes: ...
    @property
    def width(self) -> int: ...
