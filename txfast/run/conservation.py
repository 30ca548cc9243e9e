"""Checks that the accounts hold the sum of all applied rows.

This module must not know how accounts are kept.
"""

from itertools import zip_longest

from txfast.dialect.names import unit
from txfast.errors import ConservationError
from txfast.printable import printable

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from txfast.dialect.currencies import Currencies
    from txfast.ledger.sorted_accounts import AccountColumns
    from txfast.spill.settled import Settled


def added(*balances: list[int]) -> list[int]:
    """Balances by the number of the currency, added up."""
    return [sum(each) for each in zip_longest(*balances, fillvalue=0)]


def check_accounts(
    accounts: "AccountColumns | Settled", left: list[int], currencies: "Currencies | None", decimals: int
) -> None:
    """Raise ConservationError where the accounts, or those of one currency, are not what is `left` of each."""
    if currencies is None:
        check_sum(accounts.available_units + accounts.held_units, sum(left), decimals)
        return
    sums, codes = accounts.by_currency(), currencies.codes
    left = left + [0] * (len(codes) - len(left))
    for code, balance in zip(codes, left, strict=False):  # there may be a balance, 0, before any currency
        name = printable(f" of {code.decode(errors='backslashreplace')}")
        check_sum(sum(sums.get(code, ())), balance, decimals, name)


def check_sum(held: int, expected: int, decimals: int, currency: str = "") -> None:
    """Raise ConservationError where accounts do not hold what is expected, in units of the last decimal."""
    if held != expected:
        raise ConservationError(
            f"the accounts do not add up: they hold {held:,} units of {unit(decimals)}{currency}, and applied rows "
            f"left {expected:,}; nothing is put out, since this is a defect: please report it"
        )
