from txfast.batch.batch import TransactionBatch
from txfast.ledger.sorted_accounts import AccountColumns

def account_buffers(accounts: AccountColumns, first: int, count: int) -> list[list[bytearray]]: ...
def transaction_buffers(
    batch: TransactionBatch,
    *,
    text_client: bool = False,
    text_tx: bool = False,
    currencies: list[bytes] | None = None,
) -> list[list[bytearray]]: ...
