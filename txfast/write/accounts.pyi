from collections.abc import Iterator

from txfast.ledger.columns import AccountColumns

HEADER: bytes
BLOCK_BYTES: int

def csv_blocks(accounts: AccountColumns, block_bytes: int = ...) -> Iterator[memoryview]: ...
