"""BalanceForm: in which dialect a file of balances is read.

It is that of the run, as far as its parts mean something for balances. Accounts that txfast has written are always read
as it writes them, whatever the dialect: a CSV file is known by its first line, a table by its columns.

This module must not know how files are read.
"""

from txfast.dialect.dialect import CURRENCY, Dialect
from txfast.readers.balance_columns import AMOUNTS, CLIENT, CLIENTS, LOCKED

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from txfast.dialect.currencies import Currencies
else:
    from txfast.late import pa

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Parts of a dialect that say how amounts are written.
AMOUNT_PARTS = ("decimal", "thousands", "amounts")
# Parts that mean something for balances, beside the form of clients and the names of columns.
PARTS = (*AMOUNT_PARTS, "delimiter", "quote", "skip", "comment", "encoding", "null", "decimals", "rounding")


class BalanceForm:
    """How a file of balances is read: its `dialect`, and the names that its columns `client` and `currency` may have.
    `currencies` are those of the run, None where accounts have none: then there is no such column.

    A file `is_printed` by txfast where `printed_form` made this. The amounts of one that `is_exact` have exactly the
    decimals of the dialect. In texts, tabs count around a client and a currency where `keeps_tabs`.
    """

    __slots__ = ("currencies", "dialect", "is_exact", "is_printed", "keeps_tabs", "key_names")

    def __init__(
        self,
        dialect: Dialect,
        key_names: "Mapping[str, Sequence[str]]" = CLIENTS,
        currencies: "Currencies | None" = None,
        *,
        is_printed: bool = False,
        is_exact: bool = False,
        keeps_tabs: bool = False,
    ) -> None:
        self.dialect = dialect
        self.key_names = key_names
        self.currencies = currencies
        self.is_printed = is_printed
        self.is_exact = is_exact
        self.keeps_tabs = keeps_tabs


def given_form(dialect: Dialect | None) -> BalanceForm:
    """The form of a file that others have made, in a run of this dialect."""
    if dialect is None:
        return BalanceForm(Dialect())
    parts = {name: value for name, value in dialect.items() if name in PARTS}
    key_names = {}
    for key in keys_of(dialect):
        # Without a header a name is a number of transactions' columns. A file of balances has a header.
        name = dialect.get(f"columns.{key}", key) if dialect.has_header else key
        key_names[key] = tuple(dict.fromkeys((name, key)))
    return BalanceForm(dialect.with_parts(parts | client_part(dialect)), key_names, dialect.currencies)


def printed_form(dialect: Dialect | None) -> BalanceForm:
    """The form of accounts that txfast has written in a run of this dialect."""
    dialect = dialect or Dialect()
    # The header of another program's file may happen to be the same. Where the dialect has amounts of another form,
    # the number of decimals tells the difference: cents are never taken for whole units.
    is_exact = any(name in dialect for name in AMOUNT_PARTS)
    parts = {"delimiter": ",", "decimals": str(dialect.decimals), "rounding": dialect.part("rounding")}
    # Where transactions are separated by tabs, a tab may be the first byte of a client, and of a currency.
    keeps_tabs = dialect.delimiter in (None, "\t")
    return BalanceForm(
        dialect.with_parts(parts | client_part(dialect)), {key: (key,) for key in keys_of(dialect)}, dialect.currencies,
        is_printed=True, is_exact=is_exact, keeps_tabs=keeps_tabs,
    )  # fmt: skip


def keys_of(dialect: Dialect | None) -> tuple[str, ...]:
    """The columns that tell whose account a row is of, in a run of this dialect."""
    return (CLIENT, CURRENCY) if dialect is not None and dialect.has_currency else (CLIENT,)


def printed_columns(dialect: Dialect | None) -> tuple[str, ...]:
    """The columns of accounts that txfast has written in a run of this dialect, in their order."""
    return (*keys_of(dialect), *AMOUNTS, LOCKED)


def client_part(dialect: Dialect) -> dict[str, str]:
    """The part of a dialect that says that clients are texts, where they are."""
    return {"ids.client": "text"} if dialect.has_text(CLIENT) else {}


def is_printed_file(first_bytes: bytes, dialect: Dialect | None) -> bool:
    """Whether a CSV file that begins with these bytes has the first line of accounts that txfast has written in a run
    of this dialect."""
    header = ",".join(printed_columns(dialect)).encode()
    start = first_bytes.removeprefix(BYTE_ORDER_MARK)
    return start.startswith(header) and start[len(header) : len(header) + 1] in b"\r\n"


def is_printed_table(schema: "pa.Schema", dialect: Dialect | None) -> bool:
    """Whether a table has the columns of accounts that txfast has written. Other libraries may have changed the types
    of clients, and the digits of amounts, but not their decimals."""
    if tuple(schema.names) != printed_columns(dialect):
        return False
    decimals = (dialect or Dialect()).decimals
    return pa.types.is_boolean(schema.field(LOCKED).type) and all(
        pa.types.is_decimal(schema.field(name).type) and schema.field(name).type.scale == decimals for name in AMOUNTS
    )
