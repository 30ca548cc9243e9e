"""Warnings about rows that may mean something else than the policy takes them for: once a run.

This module must not know where warnings go.
"""

from txfast.batch.batch import KINDS
from txfast.ledger.ledger import STATUSES

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def rule_warnings(counts: "Sequence[int]", unread_amounts: int) -> "Iterator[str]":
    """Iterate the warnings of a run, from its counts by kind and status, and from how many applied disputes had another
    amount than they moved."""
    missing = counts[KINDS.index("reversal") * len(STATUSES) + STATUSES.index("chargeback_not_found")]
    if not unread_amounts and not missing:
        return
    # Imported late: most runs have no such warning.
    from txfast.text.words import counted

    if unread_amounts:
        yield (
            f"{counted(unread_amounts, 'dispute')} with another amount than is left of the payment: the amount was "
            f"ignored, and all that is left is in dispute; for disputes of a part, set the policy "
            f"dispute-amount=partial"
        )
    if missing:
        yield (
            f"{counted(missing, 'reversal')} rejected, because no chargeback was found: a chargeback must be applied, "
            f"in this run or in the state, before the row that reverses it"
        )
