"""txfast: replays payment transactions into account balances, exactly and in order.

    import txfast

    result = txfast.process("january.csv", "february.parquet", rejects=True)
    result.accounts.to_polars(), result.rejects.to_pandas(), result.stats

This is the whole public interface, but for clusters: `txfast.cluster.spark.process` and `txfast.cluster.dask.process`.
Functions, classes and errors are loaded at their first use, since the command needs none of them.
"""

from txfast._version import __version__

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from txfast.api.account_rows import Account as Account
    from txfast.api.account_rows import CurrencyAccount as CurrencyAccount
    from txfast.api.differences import CurrencyDifference as CurrencyDifference
    from txfast.api.differences import Difference as Difference
    from txfast.api.ledger import Ledger as Ledger
    from txfast.api.process import process as process
    from txfast.api.read import read as read
    from txfast.api.results import Accounts as Accounts
    from txfast.api.results import Differences as Differences
    from txfast.api.results import Reject as Reject
    from txfast.api.results import Rejects as Rejects
    from txfast.api.results import Result as Result
    from txfast.api.state_ledger import StateLedger as StateLedger
    from txfast.api.state_ledger import open as open  # noqa: A004 (as os.open is)
    from txfast.api.transactions import Transaction as Transaction
    from txfast.errors import CapacityError as CapacityError
    from txfast.errors import ConservationError as ConservationError
    from txfast.errors import HeaderError as HeaderError
    from txfast.errors import InputError as InputError
    from txfast.errors import LockedError as LockedError
    from txfast.errors import MemoryLimitError as MemoryLimitError
    from txfast.errors import SourceError as SourceError
    from txfast.errors import SpillError as SpillError
    from txfast.errors import StateError as StateError
    from txfast.errors import ThreadsError as ThreadsError
    from txfast.errors import TooManyMalformedError as TooManyMalformedError
    from txfast.errors import TxfastError as TxfastError
    from txfast.errors import UnexpectedAccountsError as UnexpectedAccountsError
    from txfast.errors import UsageError as UsageError

__all__ = [
    "Account",
    "Accounts",
    "CapacityError",
    "ConservationError",
    "CurrencyAccount",
    "CurrencyDifference",
    "Difference",
    "Differences",
    "HeaderError",
    "InputError",
    "Ledger",
    "LockedError",
    "MemoryLimitError",
    "Reject",
    "Rejects",
    "Result",
    "SourceError",
    "SpillError",
    "StateError",
    "StateLedger",
    "ThreadsError",
    "TooManyMalformedError",
    "Transaction",
    "TxfastError",
    "UnexpectedAccountsError",
    "UsageError",
    "__version__",
    "open",
    "process",
    "read",
]

# Of what is neither an error nor in txfast.api.results.
ORIGINS = {
    "Ledger": "txfast.api.ledger",
    "StateLedger": "txfast.api.state_ledger",
    "Transaction": "txfast.api.transactions",
    "open": "txfast.api.state_ledger",
    "process": "txfast.api.process",
    "read": "txfast.api.read",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'txfast' has no attribute {name!r}")
    from importlib import import_module

    origin = "txfast.errors" if name.endswith("Error") else ORIGINS.get(name, "txfast.api.results")
    found: object = getattr(import_module(origin), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
