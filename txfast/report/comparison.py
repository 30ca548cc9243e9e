"""A comparison of a run's accounts with those that were expected.

Differences come some at a time, so that memory is bounded however many there are. This module must not know where they
are written.
"""

from txfast.dialect.names import DECIMALS
from txfast.printable import shown_account
from txfast.report.expected import ExpectedAccounts
from txfast.text.words import counted
from txfast.writers.difference_columns import DifferenceColumns

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    from txfast.ledger.sorted_accounts import AccountColumns

    class Chunks(Protocol):
        """Accounts in ascending order of client, in parts."""

        def chunks(self) -> Iterator[AccountColumns]: ...


# Differences that are named on standard error; all are counted.
NAMED_MAX = 10


def differences(
    accounts: "Chunks", expected: ExpectedAccounts, decimals: int = DECIMALS
) -> "Iterator[DifferenceColumns]":
    """Iterate the differences between accounts, whose amounts have these decimals, and what was expected, in order of
    client, then currency; each part is valid until the next. Raises as the accounts' `chunks`."""
    out = DifferenceColumns(decimals=decimals, has_names=expected.rows.has_names, currencies=expected.rows.currencies)
    expected.begin()
    for chunk in accounts.chunks():
        first = 0
        while first < len(chunk):
            first = expected.compare(chunk, first, out)
            # The names of a chunk are valid until the next one.
            if len(out) and (first < len(chunk) or chunk.has_names):
                yield out
                out.clear()
    more = True
    while more:
        more = expected.finish(out)
        if len(out):
            yield out
            out.clear()


def difference_text(client: int | str, currency: str | None, column: str, expected: str, found: str) -> str:
    """A difference in words; `currency` is None where accounts have none."""
    owner = shown_account(
        client if isinstance(client, int) else client.encode(errors="surrogateescape"),
        None if currency is None else currency.encode(errors="surrogateescape"),
    )
    return f"{owner}: {column}: expected {expected}, found {found}"


def outcome_text(count: int, file: str, differences_path: str | None) -> str:
    """What a comparison has found that found `count` differences, with what to do."""
    way_out = f"see {differences_path}"
    if differences_path is None:
        way_out = "to see all, add --differences FILE.csv" if count > NAMED_MAX else "they are named above"
    return (
        f"the accounts are not those of {file}: {counted(count, 'difference')}: {way_out}; no accounts written, and "
        f"no state changed"
    )
