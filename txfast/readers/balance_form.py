"""BalanceForm: in which dialect a file of balances is read.

It is that of the run, as far as its parts mean something for balances. Accounts that txfast has written are always read
as it writes them, whatever the dialect: a CSV file is known by its first line, a table by its columns.

This module must not know how files are read.
"""

from txfast.dialect.dialect import Dialect
from txfast.readers.balance_columns import AMOUNTS, CLIENT, LOCKED

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import pyarrow as pa
else:
    from txfast.late import pa

# The columns of accounts that txfast has written, in their order.
PRINTED_COLUMNS = (CLIENT, *AMOUNTS, LOCKED)
PRINTED_HEADER = ",".join(PRINTED_COLUMNS).encode()
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Bytes of a file that tell whether it has PRINTED_HEADER.
HEADER_BYTES = len(BYTE_ORDER_MARK) + len(PRINTED_HEADER) + 1
# Parts of a dialect that say how amounts are written.
AMOUNT_PARTS = ("decimal", "thousands", "amounts")
# Parts that mean something for balances, beside the form of clients.
PARTS = (*AMOUNT_PARTS, "delimiter", "quote", "skip", "comment", "encoding", "null", "decimals", "rounding")


class BalanceForm:
    """How a file of balances is read: its `dialect`, and the names that its column `client` may have.

    A file `is_printed` by txfast where `printed_form` made this. The amounts of one that `is_exact` have exactly the
    decimals of the dialect. In texts, tabs count around a client where `keeps_tabs`.
    """

    __slots__ = ("client_names", "dialect", "is_exact", "is_printed", "keeps_tabs")

    def __init__(
        self,
        dialect: Dialect,
        client_names: tuple[str, ...] = (CLIENT,),
        *,
        is_printed: bool = False,
        is_exact: bool = False,
        keeps_tabs: bool = False,
    ) -> None:
        self.dialect = dialect
        self.client_names = client_names
        self.is_printed = is_printed
        self.is_exact = is_exact
        self.keeps_tabs = keeps_tabs


def given_form(dialect: Dialect | None) -> BalanceForm:
    """The form of a file that others have made, in a run of this dialect."""
    if dialect is None:
        return BalanceForm(Dialect())
    parts = {name: value for name, value in dialect.items() if name in PARTS}
    # Without a header a name is a number of transactions' columns. A file of balances has a header.
    name = dialect.get("columns.client", CLIENT) if dialect.has_header else CLIENT
    return BalanceForm(Dialect(parts | client_part(dialect)), tuple(dict.fromkeys((name, CLIENT))))


def printed_form(dialect: Dialect | None) -> BalanceForm:
    """The form of accounts that txfast has written in a run of this dialect."""
    dialect = dialect or Dialect()
    # The header of another program's file may happen to be the same. Where the dialect has amounts of another form,
    # the number of decimals tells the difference: cents are never taken for whole units.
    is_exact = any(name in dialect for name in AMOUNT_PARTS)
    parts = {"delimiter": ",", "decimals": str(dialect.decimals), "rounding": dialect.part("rounding")}
    # Where transactions are separated by tabs, a tab may be the first byte of a client.
    keeps_tabs = dialect.delimiter in (None, "\t")
    return BalanceForm(Dialect(parts | client_part(dialect)), is_printed=True, is_exact=is_exact, keeps_tabs=keeps_tabs)


def client_part(dialect: Dialect) -> dict[str, str]:
    """The part of a dialect that says that clients are texts, where they are."""
    return {"ids.client": "text"} if dialect.has_text(CLIENT) else {}


def is_printed_file(first_bytes: bytes) -> bool:
    """Whether a CSV file that begins with these HEADER_BYTES has the first line of accounts that txfast has written."""
    start = first_bytes.removeprefix(BYTE_ORDER_MARK)
    return start.startswith(PRINTED_HEADER) and start[len(PRINTED_HEADER) : len(PRINTED_HEADER) + 1] in b"\r\n"


def is_printed_table(schema: "pa.Schema", dialect: Dialect | None) -> bool:
    """Whether a table has the columns of accounts that txfast has written. Other libraries may have changed the types
    of clients, and the digits of amounts, but not their decimals."""
    if tuple(schema.names) != PRINTED_COLUMNS:
        return False
    decimals = (dialect or Dialect()).decimals
    return pa.types.is_boolean(schema.field(LOCKED).type) and all(
        pa.types.is_decimal(schema.field(name).type) and schema.field(name).type.scale == decimals for name in AMOUNTS
    )
