from collections.abc import Sequence
from typing import Self

from typing_extensions import disjoint_base

from txfast.store.segment import Segment
from txfast.store.sought import SoughtRows

@disjoint_base
class RunSearch:
    def __new__(cls, run: Sequence[Segment], sought: SoughtRows) -> Self: ...
