from typing import Self

from typing_extensions import Buffer, disjoint_base

from txfast.ledger.currency_column import CurrencyColumn
from txfast.ledger.ledger import Ledger
from txfast.ledger.text_columns import TextColumn

# Numbers, or texts.
Ids = Buffer | TextColumn

ENTRY_KINDS: tuple[str, ...]
DISPUTE_STATES: tuple[str, ...]
REVERSED_FLAG: int
REFUSALS: tuple[str, ...]
PROOF_BYTES: int

@disjoint_base
class LedgerRestorer:
    @property
    def ledger(self) -> Ledger: ...
    @property
    def shard(self) -> int: ...
    @property
    def shard_count(self) -> int: ...
    def __new__(cls, ledger: Ledger, shard: int = 0, shard_count: int = 1) -> Self: ...
    def add_accounts(
        self,
        rows: int,
        clients: Ids,
        available: Buffer,
        held: Buffer,
        locked: Buffer,
        *,
        currencies: CurrencyColumn | None = None,
    ) -> None: ...
    def expect(self, entries: int) -> None: ...
    def add_entries(
        self,
        rows: int,
        clients: Ids,
        txs: Ids,
        amounts: Buffer,
        kinds: Buffer,
        states: Buffer,
        *,
        currencies: CurrencyColumn | None = None,
    ) -> None: ...
    def finish(self) -> None: ...
