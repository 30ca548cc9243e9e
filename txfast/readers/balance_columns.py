"""The columns of a file of balances: which accounts a run begins with, or should end with.

Such a file has a column `client`, and amounts of the account. Other columns are ignored. This module must not know what
a run does with balances.
"""

from txfast.errors import InputError

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CLIENT = "client"
# Decimals of amounts.
BALANCE_DECIMALS = 4
# The columns of BalanceRows: three amounts, and whether the account is locked, which is 0 or 1.
AMOUNTS = ("available", "held", "total")
LOCKED = "locked"
VALUES = (*AMOUNTS, LOCKED)


class Contents:
    """What a file of balances holds: `what` it is in messages, and the names that each column of VALUES may have. It
    needs the column `client` and one of the others."""

    __slots__ = ("names", "what")

    def __init__(self, what: str, names: "Mapping[str, Sequence[str]]") -> None:
        self.what = what
        self.names = names

    @property
    def needed(self) -> str:
        """The columns that it needs, in words."""
        return f"{CLIENT} and one of {', '.join(name for names in self.names.values() for name in names)}"

    def find(self, file: str, names: "Sequence[str]") -> dict[str, int]:
        """The indexes of `client` and of those columns of VALUES that are there, among the names of all columns.

        As in a file of transactions, a name in exactly this case wins over one in any case. Raises InputError.
        """
        found = {}
        for column, others in {CLIENT: (CLIENT,), **self.names}.items():
            indexes = [index for index, name in enumerate(names) if name in others]
            indexes = indexes or [index for index, name in enumerate(names) if name.lower() in others]
            if len(indexes) > 1:
                raise self.wrong(file, f"it has two columns for {column}, {names[indexes[0]]!r} and "
                                       f"{names[indexes[1]]!r}: leave one out")  # fmt: skip
            if indexes:
                found[column] = indexes[0]
        if CLIENT not in found or len(found) == 1:
            raise self.wrong(file, f"it has no column {CLIENT if CLIENT not in found else 'with an amount'}: it needs "
                                   f"{self.needed}")  # fmt: skip
        return found

    def wrong(self, file: str, found: str) -> InputError:
        """The error for a file that is no file of balances. `found` says why, and what to do."""
        return InputError(f"{file}: not {self.what}: {found}")

    def wrong_row(self, file: str, line: int, found: str) -> InputError:
        """The error for a row that is wrong. `found` says how."""
        return InputError(f"{file}:{line}: not {self.what}: {found}: correct the row, and run it again")


OPENING = Contents("opening balances", {"available": ("available", "opening")})
EXPECTED = Contents("expected accounts", {name: (name,) for name in VALUES})
