from typing_extensions import Buffer

from txfast.ledger.columns_in import Ids, LedgerRestorer
from txfast.ledger.currency_column import CurrencyColumn

def check_summaries(
    restorer: LedgerRestorer,
    rows: int,
    clients: Ids,
    max_txs: Buffer,
    standing: Buffer,
    *,
    currencies: CurrencyColumn | None = None,
) -> None: ...
