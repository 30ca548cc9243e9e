from typing_extensions import Buffer

from txfast.ledger.columns_in import Ids, LedgerRestorer

def restore_disputes(restorer: LedgerRestorer, rows: int, clients: Ids, txs: Ids, states: Buffer) -> None: ...
def restore_details(
    restorer: LedgerRestorer, rows: int, clients: Ids, txs: Ids, refunded: Buffer, moved: Buffer
) -> None: ...
