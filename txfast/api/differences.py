"""Accounts of a result, compared with those that a program expected.

This module must not know tables of results.
"""

from typing import NamedTuple

from txfast.api.inputs import balance_input
from txfast.dialect.names import DECIMALS
from txfast.readers.balance_columns import EXPECTED
from txfast.report.comparison import differences
from txfast.run.balances import BalanceFile, read_expected
from txfast.writers.differences import difference_batch

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import pyarrow as pa

    from txfast.api.inputs import Input
    from txfast.dialect.dialect import Dialect
    from txfast.report.comparison import Chunks


class Difference(NamedTuple):
    """A value of an account that is not as expected: its `column`, and both values as text.

    `column` is available, held, total or locked; or account, whose values are `present` and `missing`, where only one
    side has the account. Where accounts have a currency, differences are CurrencyDifference tuples.
    """

    client: int | str
    column: str
    expected: str
    found: str

    @property
    def currency(self) -> str | None:
        """The code of the account's currency: None, since it has none."""
        return None


class CurrencyDifference(NamedTuple):
    """A Difference of an account with a currency: the same fields, and `currency`."""

    client: int | str
    currency: str
    column: str
    expected: str
    found: str


def compare(accounts: "Chunks", expected: "Input", dialect: "Dialect | None") -> "list[pa.RecordBatch]":
    """The differences of accounts in ascending order of client, of a run of this dialect, as record batches. Raises as
    `Accounts.differences`."""
    file = BalanceFile(balance_input("expected", expected), EXPECTED, dialect=dialect)
    decimals = DECIMALS if dialect is None else dialect.decimals
    return [difference_batch(found) for found in differences(accounts, read_expected(file), decimals)]
