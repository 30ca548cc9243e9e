from collections.abc import Callable, Iterable, Iterator
from typing import Self

from _typeshed import WriteableBuffer
from typing_extensions import Buffer, disjoint_base

from txfast.dialect.currencies import Currencies
from txfast.ledger.sorted_accounts import AccountColumns

def run_blocks(accounts: AccountColumns) -> Iterator[memoryview]: ...
def renumber_run(run: WriteableBuffer, numbers: Buffer, *, has_names: bool) -> None: ...

@disjoint_base
class RunMerge:
    def __new__(
        cls,
        readers: Iterable[Callable[[memoryview], int]],
        buffer_bytes: int,
        *,
        has_names: bool = False,
        currencies: Currencies | None = None,
    ) -> Self: ...
    def __iter__(self) -> Iterator[AccountColumns]: ...
