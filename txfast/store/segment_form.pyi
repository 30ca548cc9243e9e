from typing import Any, Literal, Self

from typing_extensions import disjoint_base

from txfast.dialect.text_ids import TextIds

ACCOUNTS: str
ENTRIES: str
# The name and the type of a column.
Column = tuple[str, str]
COLUMNS: dict[str, tuple[Column | None, ...]]
WIDTHS: dict[str, int]

@disjoint_base
class Form:
    def __new__(cls, kind: Literal["accounts", "entries"], text_ids: TextIds | None, key: bytes) -> Self: ...
    @property
    def kind(self) -> str: ...
    @property
    def text_ids(self) -> TextIds | None: ...
    @property
    def key(self) -> bytes: ...
    def columns(self, has_details: bool) -> list[Column]: ...
    def sort_key(self, row: tuple[Any, ...]) -> tuple[Any, ...]: ...
