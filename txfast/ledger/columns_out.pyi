from typing import Self

from typing_extensions import Buffer, disjoint_base

from txfast.ledger.ledger import Ledger

ENTRY_KINDS: tuple[str, ...]
DISPUTE_STATES: tuple[str, ...]
REVERSED_FLAG: int

@disjoint_base
class SavedLedger:
    def __new__(cls, ledger: Ledger) -> Self: ...
    @property
    def total_units(self) -> int: ...
    def client_column(self, rows: int, clients: bytearray) -> bytearray | tuple[bytearray, bytearray]: ...
    def tx_column(self, kind: int, rows: int, txs: bytearray) -> bytearray | tuple[bytearray, bytearray]: ...
    def new_currencies(self, rows: int) -> bytearray | None: ...
    def currency_columns(self, rows: int, currencies: Buffer | None) -> list[tuple[bytearray, bytearray]]: ...
    def entries(self, kind: int) -> int: ...
    def can_be_disputed(self, kind: int) -> bool: ...
    @property
    def has_details(self) -> bool: ...
    def copy_accounts(
        self,
        first: int,
        count: int,
        clients: Buffer,
        available: Buffer,
        held: Buffer,
        locked: Buffer,
        *,
        currencies: Buffer | None = None,
    ) -> None: ...
    def copy_entries(
        self,
        kind: int,
        first: int,
        count: int,
        clients: Buffer,
        txs: Buffer,
        amounts: Buffer,
        kinds: Buffer,
        states: Buffer,
        *,
        currencies: Buffer | None = None,
    ) -> None: ...
    def copy_disputes(
        self,
        kind: int,
        first: int,
        end: int,
        count: int,
        clients: Buffer,
        txs: Buffer,
        states: Buffer,
        *,
        currencies: Buffer | None = None,
    ) -> tuple[int, int]: ...
    def copy_details(
        self,
        kind: int,
        first: int,
        end: int,
        count: int,
        clients: Buffer,
        txs: Buffer,
        refunded: Buffer,
        moved: Buffer,
        *,
        currencies: Buffer | None = None,
    ) -> tuple[int, int]: ...
    def copy_openings(
        self, first: int, count: int, clients: Buffer, openings: Buffer, *, currencies: Buffer | None = None
    ) -> tuple[int, int]: ...
