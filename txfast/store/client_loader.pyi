from typing import Self

from typing_extensions import disjoint_base

from txfast.ledger.ledger import Ledger
from txfast.store.runs import Runs

@disjoint_base
class ClientLoader:
    def __new__(cls, ledger: Ledger, client: int | bytes) -> Self: ...

def load_client(ledger: Ledger, runs: Runs, client: int | bytes) -> None: ...
