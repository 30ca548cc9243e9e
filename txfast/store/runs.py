"""Runs of a state's segments, and what a ledger adds to them.

A run is a list of segments in the order of their keys, which do not overlap. Of several runs, each newer one shadows
the older ones. This module must not know what is in a segment.
"""

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from txfast.store.segment import Segment

    Run = Sequence[Segment]
    # The path of a new segment, and its description.
    Written = list[tuple[str, dict[str, Any]]]

ACCOUNTS, ENTRIES, CHANGES = "accounts", "entries", "changes"


class Runs:
    """The runs of a state, each kind from the oldest to the newest: of accounts, of entries, and of changes of entries
    that an older run has."""

    __slots__ = ("accounts", "changes", "entries")

    def __init__(
        self, accounts: "Sequence[Run]" = (), entries: "Sequence[Run]" = (), changes: "Sequence[Run]" = ()
    ) -> None:
        self.accounts = accounts
        self.entries = entries
        self.changes = changes


class Sealed:
    """What `seal` has written: a run of each kind, as its segments in order, none where there was nothing to write.

    `new_accounts` and `new_entries` are those that the state did not have; `balance_units` is what the sum of all
    totals has changed by.
    """

    __slots__ = ("accounts", "balance_units", "changes", "entries", "new_accounts", "new_entries")

    def __init__(
        self,
        accounts: "Written",
        entries: "Written",
        changes: "Written",
        new_accounts: int,
        new_entries: int,
        balance_units: int,
    ) -> None:
        self.accounts = accounts
        self.entries = entries
        self.changes = changes
        self.new_accounts = new_accounts
        self.new_entries = new_entries
        self.balance_units = balance_units
