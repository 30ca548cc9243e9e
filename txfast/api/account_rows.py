"""Single accounts, and parts of accounts, of a result: by index, by slice, by client.

In memory, accounts are one AccountColumns, and a look-up takes a few steps. Accounts that went to disk come in chunks,
which are read from the first one on. This module must not know tables.
"""

import operator
from decimal import Decimal
from itertools import islice
from typing import NamedTuple, cast

from txfast.ledger.sorted_accounts import AccountColumns
from txfast.report.stats import decimal_text

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Protocol

    from txfast.dialect.currencies import Currencies

    class AccountChunks(Protocol):
        """Accounts in chunks; a chunk is valid until the next one is asked for."""

        @property
        def has_names(self) -> bool: ...
        @property
        def currencies(self) -> Currencies | None: ...
        def chunks(self) -> Iterator[AccountColumns]: ...
        def __len__(self) -> int: ...


CLIENT_MAX = 2**64 - 1
# Of clients that are texts, in any locale.
NAME_CODING = ("utf-8", "surrogateescape")


class Account(NamedTuple):
    """One account. Amounts have four decimals, or those of the dialect; `total` is what is available and what is held
    together.

    Where accounts have a currency, each is a CurrencyAccount in its place.
    """

    client: int | str
    available: Decimal
    held: Decimal
    total: Decimal
    locked: bool

    @property
    def currency(self) -> str | None:
        """The code of its currency: None, since it has none."""
        return None


class CurrencyAccount(NamedTuple):
    """One account of a client in a currency. It is used as an Account: all else is as there."""

    client: int | str
    currency: str
    available: Decimal
    held: Decimal
    total: Decimal
    locked: bool


def account_of(
    client: int | bytes, available: int, held: int, locked: bool, decimals: int, currency: bytes | None = None
) -> Account:
    """An account whose amounts are given in units of their last decimal; `currency` is its code, if it has one."""
    amounts = [amount_of(units, decimals) for units in (available, held, available + held)]
    if currency is None:
        return Account._make((shown_id(client), *amounts, locked))
    owner = (shown_id(client), currency.decode(*NAME_CODING))
    return cast("Account", CurrencyAccount._make((*owner, *amounts, locked)))


def amount_of(units: int, decimals: int) -> Decimal:
    """An amount that is given in units of its last decimal."""
    return Decimal(decimal_text(units, decimals))


def shown_id(given: int | bytes) -> int | str:
    """An id as programs see it: a text has surrogates for bytes that are no UTF-8."""
    return given if isinstance(given, int) else given.decode(*NAME_CODING)


def client_key(client: object, *, has_names: bool) -> int | bytes | None:
    """A client's id as ledgers know it: bytes where clients are texts, else an int. None where it is no such id."""
    if not has_names:
        return client_number(client)
    if not isinstance(client, str | bytes):
        return None
    try:
        return bytes(client) if isinstance(client, bytes) else client.encode(*NAME_CODING)
    except UnicodeEncodeError:
        return None


def account_key(key: object, *, has_names: bool, has_currencies: bool) -> "tuple[int | bytes, bytes | None] | None":
    """The client and the currency of an account as ledgers know them, from a client; or from a pair of a client and a
    code, where accounts have a currency. None where there is no such id or code. Raises TypeError for anything but a
    pair where there must be one."""
    if not has_currencies:
        client = client_key(key, has_names=has_names)
        return None if client is None else (client, None)
    if not isinstance(key, tuple) or len(key) != 2:
        raise TypeError(f"accounts have a currency: look one up by (client, currency), not by {key!r}")
    client, code = client_key(key[0], has_names=has_names), client_key(key[1], has_names=True)
    return (client, code) if client is not None and isinstance(code, bytes) else None


def client_number(client: object) -> int | None:
    """A client's id as an int, from any integer type; None where it is no client id, as True and False are not."""
    if isinstance(client, bool):
        return None
    try:
        number = int(operator.index(client))  # type: ignore[arg-type]
    except TypeError:
        return None
    return number if 0 <= number <= CLIENT_MAX else None


class AccountParts:
    """Accounts that were copied from several chunks. `has_names` and `currencies` are as those of the chunks."""

    def __init__(
        self, parts: "Sequence[AccountColumns]", *, has_names: bool = False, currencies: "Currencies | None" = None
    ) -> None:
        self._parts = parts
        self.has_names = has_names
        self.currencies = currencies

    def chunks(self) -> "Iterator[AccountColumns]":
        """Iterate the parts."""
        return iter(self._parts)

    def __len__(self) -> int:
        return sum(map(len, self._parts))


def account_at(accounts: "AccountChunks", index: int, decimals: int) -> Account:
    """The account at an index, which must be one of them. Its amounts have these decimals."""
    for chunk in accounts.chunks():
        if index < len(chunk):
            return account_of(*chunk.account(index), decimals, chunk.currency_at(index))
        index -= len(chunk)
    raise IndexError("fewer accounts than there are said to be")


def account_of_key(accounts: "AccountChunks", key: tuple[int | bytes, bytes | None], decimals: int) -> Account | None:
    """The account of a client, and a currency where accounts have one; its amounts have these decimals. None where
    there is none."""
    for chunk in accounts.chunks():
        index = chunk.find(*key)
        if index >= 0:
            return account_of(*chunk.account(index), decimals, chunk.currency_at(index))
    return None


def ascends(accounts: "AccountChunks") -> bool:
    """Whether accounts are in ascending order of client, then currency, as those of a slice may not be."""
    owners = (
        (chunk.account(index)[0], chunk.currency_at(index) or b"")
        for chunk in accounts.chunks()
        for index in range(len(chunk))
    )
    first = list(islice(owners, 2))
    return first == sorted(first)


def chosen_accounts(accounts: "AccountChunks", chosen: range) -> "AccountChunks":
    """The accounts at these indices, in the order of the range, as a copy."""
    if isinstance(accounts, AccountColumns):
        return accounts.part(chosen.start, chosen.step, len(chosen))
    ascending = chosen if chosen.step > 0 else chosen[::-1]
    parts: list[AccountColumns] = []
    first, taken = 0, 0
    for chunk in accounts.chunks():
        if taken == len(ascending):
            break
        inside = ascending[taken : taken + len(range(ascending[taken], first + len(chunk), ascending.step))]
        if inside:
            ordered = inside if chosen.step > 0 else inside[::-1]
            parts.append(chunk.part(ordered[0] - first, ordered.step, len(ordered)))
        taken += len(inside)
        first += len(chunk)
    in_order = parts if chosen.step > 0 else parts[::-1]
    return AccountParts(in_order, has_names=accounts.has_names, currencies=accounts.currencies)
