from typing_extensions import Buffer

from txfast.ledger.columns_in import Ids, LedgerRestorer
from txfast.ledger.currency_column import CurrencyColumn

def restore_disputes(
    restorer: LedgerRestorer,
    rows: int,
    clients: Ids,
    txs: Ids,
    states: Buffer,
    *,
    currencies: CurrencyColumn | None = None,
) -> None: ...
def restore_details(
    restorer: LedgerRestorer,
    rows: int,
    clients: Ids,
    txs: Ids,
    refunded: Buffer,
    moved: Buffer,
    *,
    currencies: CurrencyColumn | None = None,
) -> None: ...
