"""The columns of a file of balances: which accounts a run begins with, or should end with.

Such a file has a column `client`, `currency` where accounts have one and only then, and amounts of the account. Other
columns are ignored. This module must not know what a run does with balances.
"""

from txfast.dialect.dialect import CURRENCY
from txfast.errors import InputError

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CLIENT = "client"
# The columns that tell whose account a row is of, where accounts have no currency, and the names of each.
CLIENTS = {CLIENT: (CLIENT,)}
# The columns of BalanceRows: three amounts, and whether the account is locked, which is 0 or 1.
AMOUNTS = ("available", "held", "total")
LOCKED = "locked"
VALUES = (*AMOUNTS, LOCKED)


class Contents:
    """What a file of balances holds: `what` it is in messages, and the names that each column of VALUES may have. It
    needs the columns that tell whose account a row is of, and one of the others.

    `key_names` are the names that each of the former may have.
    """

    __slots__ = ("names", "what")

    def __init__(self, what: str, names: "Mapping[str, Sequence[str]]") -> None:
        self.what = what
        self.names = names

    @property
    def value_names(self) -> list[str]:
        """All names that columns of VALUES may have."""
        return [name for names in self.names.values() for name in names]

    def needed(self, key_names: "Mapping[str, Sequence[str]]" = CLIENTS) -> str:
        """The columns that it needs, in words."""
        return f"{', '.join(map(' or '.join, key_names.values()))} and one of {', '.join(self.value_names)}"

    def find(
        self, file: str, names: "Sequence[str]", key_names: "Mapping[str, Sequence[str]]" = CLIENTS
    ) -> dict[str, int]:
        """The indexes of the columns in `key_names`, and of those of VALUES that are there, among the names of all
        columns.

        As in a file of transactions, a name in exactly this case wins over one in any case. Of the names that a column
        in `key_names` may have, the first that is there counts. Raises InputError.
        """
        found: dict[str, int] = {}
        for column, others in {**key_names, **self.names}.items():
            taken = [found[key] for key in key_names if key in found]
            left = [(index, name) for index, name in enumerate(names) if index not in taken]
            if column in key_names:
                first = next((each for each in others if any(is_called(name, [each]) for _, name in left)), column)
                others = (first,)
            indexes = [index for index, name in left if name in others]
            indexes = indexes or [index for index, name in left if is_called(name, others)]
            if len(indexes) > 1:
                raise self.wrong(file, f"it has two columns for {column}, {names[indexes[0]]!r} and "
                                       f"{names[indexes[1]]!r}: leave one out")  # fmt: skip
            if indexes:
                found[column] = indexes[0]
        currencies = [] if CURRENCY in key_names else [name for name in names if is_called(name, [CURRENCY])]
        if currencies:
            raise self.wrong(
                file,
                f"it has a column {currencies[0]!r}, and accounts of this run have no currency: add --columns "
                f"currency=NAME, the column of transactions, or leave this column out",
            )
        missing = [" or ".join(others) for key, others in key_names.items() if key not in found]
        if missing or len(found) == len(key_names):
            column = missing[0] if missing else "with an amount"
            raise self.wrong(file, f"it has no column {column}: it needs {self.needed(key_names)}")
        return found

    def wrong(self, file: str, found: str) -> InputError:
        """The error for a file that is no file of balances. `found` says why, and what to do."""
        return InputError(f"{file}: not {self.what}: {found}")

    def wrong_row(self, file: str, line: int, found: str) -> InputError:
        """The error for a row that is wrong. `found` says how."""
        return InputError(f"{file}:{line}: not {self.what}: {found}: correct the row, and run it again")


def is_called(name: str, others: "Sequence[str]") -> bool:
    """Whether this is one of the other names, in any case."""
    return name.lower() in map(str.lower, others)


OPENING = Contents("opening balances", {"available": ("available", "opening")})
EXPECTED = Contents("expected accounts", {name: (name,) for name in VALUES})
