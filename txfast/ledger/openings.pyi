from typing_extensions import Buffer

from txfast.ledger.columns_in import Ids, LedgerRestorer
from txfast.ledger.currency_column import CurrencyColumn
from txfast.ledger.ledger import Ledger

def bytes_with_openings(ledger: Ledger, count: int, text_bytes: int = 0) -> int: ...
def open_accounts(
    ledger: Ledger,
    clients: Buffer,
    units: Buffer,
    first: int = 0,
    *,
    names: Buffer | None = None,
    name_starts: Buffer | None = None,
    currencies: Buffer | None = None,
    shard: int = 0,
    shard_count: int = 1,
) -> int: ...
def account_number(ledger: Ledger, client: int | bytes, currency: int = 0) -> int: ...
def restore_openings(
    restorer: LedgerRestorer,
    rows: int,
    clients: Ids,
    openings: Buffer,
    *,
    currencies: CurrencyColumn | None = None,
) -> None: ...
