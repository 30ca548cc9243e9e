from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from typing_extensions import disjoint_base

from txfast.store.active import ActiveAccounts
from txfast.store.runs import Sealed
from txfast.store.segment_form import Form

ROWS_AT_ONCE: int


@disjoint_base
class Sealing:
    def __new__(cls, actives: Sequence[ActiveAccounts], rows_at_once: int) -> Self: ...

def seal(
    actives: Sequence[ActiveAccounts],
    path_of: Callable[[str, int], str],
    forms: Mapping[str, Form],
    *,
    range_rows_max: int | None = None,
    durable: bool = True,
) -> Sealed: ...
def seal_accounts(
    actives: Sequence[ActiveAccounts], path_of: Callable[[str, int], str], form: Form
) -> list[tuple[str, dict[str, Any]]]: ...
