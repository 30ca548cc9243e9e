"""The columns of a file of balances: which accounts a run begins with, or should end with.

Such a file has a column `client`, and amounts of the account. Other columns are ignored. This module must not know what
a run does with balances.
"""

from txfast.errors import InputError

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CLIENT = "client"
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
    def value_names(self) -> list[str]:
        """All names that columns of VALUES may have."""
        return [name for names in self.names.values() for name in names]

    def needed(self, client_names: "Sequence[str]" = (CLIENT,)) -> str:
        """The columns that it needs, in words."""
        return f"{' or '.join(client_names)} and one of {', '.join(self.value_names)}"

    def find(self, file: str, names: "Sequence[str]", client_names: "Sequence[str]" = (CLIENT,)) -> dict[str, int]:
        """The indexes of `client` and of those columns of VALUES that are there, among the names of all columns.

        As in a file of transactions, a name in exactly this case wins over one in any case. Of the names that the
        column `client` may have, the first that is there counts. Raises InputError.
        """
        client_name = next((each for each in client_names if any(is_called(name, [each]) for name in names)), CLIENT)
        found: dict[str, int] = {}
        for column, others in {CLIENT: (client_name,), **self.names}.items():
            left = [(index, name) for index, name in enumerate(names) if index != found.get(CLIENT)]
            indexes = [index for index, name in left if name in others]
            indexes = indexes or [index for index, name in left if is_called(name, others)]
            if len(indexes) > 1:
                raise self.wrong(file, f"it has two columns for {column}, {names[indexes[0]]!r} and "
                                       f"{names[indexes[1]]!r}: leave one out")  # fmt: skip
            if indexes:
                found[column] = indexes[0]
        if CLIENT not in found or len(found) == 1:
            missing = "with an amount" if CLIENT in found else " or ".join(client_names)
            raise self.wrong(file, f"it has no column {missing}: it needs {self.needed(client_names)}")
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
