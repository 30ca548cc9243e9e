from txfast.ledger.ledger import Ledger

def entries_of(
    ledger: Ledger, client: int | bytes, currency: int = 0
) -> list[tuple[int | bytes, int, int | None, int, int, int]]: ...
