from collections.abc import Iterator
from typing import Protocol

from txfast.ledger.sorted_accounts import AccountColumns

HEADER: bytes
HEADER_WITH_CURRENCY: bytes
CSV_BLOCK_BYTES: int

class _Accounts(Protocol):
    def chunks(self) -> Iterator[AccountColumns]: ...

def csv_blocks(accounts: _Accounts, block_bytes: int = ..., *, decimals: int = ...) -> Iterator[memoryview]: ...
