from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

from typing_extensions import disjoint_base

from txfast.store.run_cursor import RunCursor
from txfast.store.segment import Segment
from txfast.store.segment_form import Form

WORD_MAX: int

@disjoint_base
class RunMerge:
    def __new__(cls, cursors: Iterable[RunCursor], from_word: int = 0, last_word: int = ...) -> Self: ...
    def __iter__(self) -> RunMerge: ...
    def __next__(self) -> tuple[Any, ...]: ...

def merge(
    runs: Sequence[Sequence[Segment]],
    path_of: Callable[[str, int], str],
    form: Form,
    *,
    from_word: int = 0,
    rows_max: int | None = None,
    durable: bool = True,
) -> tuple[list[tuple[str, dict[str, Any]]], int | None]: ...
