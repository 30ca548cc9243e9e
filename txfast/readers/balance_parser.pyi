from collections.abc import Sequence
from typing import Self

from typing_extensions import disjoint_base

from txfast.batch.batch import TransactionBatch
from txfast.readers.balance_columns import Contents
from txfast.readers.balance_form import BalanceForm
from txfast.readers.balance_rows import BalanceRows

@disjoint_base
class BalanceParser:
    def __new__(
        cls,
        name: str,
        contents: Contents,
        form: BalanceForm,
        names: Sequence[str],
        found: dict[str, int],
        *,
        of_table: bool = False,
    ) -> Self: ...
    @property
    def rows(self) -> BalanceRows: ...
    def take_batch(self, batch: TransactionBatch) -> None: ...
