from collections.abc import Sequence
from typing import Self

from typing_extensions import disjoint_base

from txfast.store.segment import Segment

ACCOUNTS: str
OPENINGS: str
ENTRIES: str
DETAILS: str
SUMMARIES: str
ROWS_AT_ONCE: int
WORDS: int

@disjoint_base
class ColumnsOfRuns:
    def __new__(
        cls,
        runs: Sequence[Sequence[Segment]],
        from_word: int = 0,
        end_word: int = ...,
        *,
        rows_at_once: int = ...,
    ) -> Self: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> tuple[str, int, dict[str, list[bytearray]]]: ...

@disjoint_base
class AccountColumnsOfRuns(ColumnsOfRuns): ...

@disjoint_base
class SummaryColumnsOfRuns(ColumnsOfRuns): ...

@disjoint_base
class EntryColumnsOfRuns(ColumnsOfRuns): ...
