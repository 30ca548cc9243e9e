from collections.abc import Sequence

from typing_extensions import Buffer

from txfast.batch.batch import TransactionBatch
from txfast.store.active import ActiveAccounts
from txfast.store.runs import Runs

def prefetch(
    active: ActiveAccounts, runs: Runs, batches: Sequence[TransactionBatch], shard: int = 0, shard_count: int = 1
) -> None: ...
def prefetch_accounts(
    active: ActiveAccounts,
    runs: Runs,
    clients: Buffer,
    *,
    names: Buffer | None = None,
    name_starts: Buffer | None = None,
    currencies: Buffer | None = None,
    shard: int = 0,
    shard_count: int = 1,
) -> None: ...
