"""The transactions of one account, as programs see them.

This module must not know where they are kept.
"""

from decimal import Decimal
from typing import NamedTuple

from txfast.api.account_rows import amount_of, shown_id
from txfast.ledger.columns_in import DISPUTE_STATES, ENTRY_KINDS

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterable

    # As `entries_of` (ledger/account_entries.pyx) has them.
    Entry = tuple[int | bytes, int, int | None, int, int, int]


class Transaction(NamedTuple):
    """An applied deposit or withdrawal, with what later rows have made of it.

    `type` is `deposit` or `withdrawal`. `state` is `undisputed`, `in dispute`, `resolved` (also after a chargeback that
    was reversed) or `charged back`; `resolved or charged back` where an early version of txfast has kept no more.
    `refunded` is the sum of its refunds, `disputed` the part of it that is in dispute or charged back. Amounts have
    four decimals, or those of the dialect.

    The amount of a withdrawal is None where the policy has withdrawals that cannot be disputed, as the default one:
    it is not kept then.
    """

    tx: int | str
    type: str
    amount: Decimal | None
    state: str
    refunded: Decimal
    disputed: Decimal


def transactions_of(entries: "Iterable[Entry]", decimals: int) -> list[Transaction]:
    """Entries as transactions, in ascending order of tx; their amounts have these decimals."""
    return [
        Transaction(
            shown_id(tx),
            ENTRY_KINDS[kind],
            None if units is None else amount_of(units, decimals),
            DISPUTE_STATES[state],
            amount_of(refunded, decimals),
            amount_of(disputed, decimals),
        )
        for tx, kind, units, state, refunded, disputed in sorted(entries, key=lambda entry: entry[0])
    ]
