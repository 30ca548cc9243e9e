"""txfast: replays payment transactions into account balances, exactly and in order.

    import txfast

    result = txfast.process("january.csv", "february.parquet", rejects=True)
    result.accounts.to_polars(), result.rejects.to_pandas(), result.stats

This is the whole public interface, but for clusters: `txfast.cluster.spark.process` and `txfast.cluster.dask.process`.
Classes, errors and `process` are loaded at their first use, since the command needs none of them.
"""

from txfast._version import __version__

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    import logging
    from collections.abc import Mapping

    import pyarrow as pa

    from txfast.api.account_rows import Account as Account
    from txfast.api.arguments import Reader
    from txfast.api.differences import Difference as Difference
    from txfast.api.inputs import Input
    from txfast.api.ledger import Ledger as Ledger
    from txfast.api.process import process as process
    from txfast.api.results import Accounts as Accounts
    from txfast.api.results import Differences as Differences
    from txfast.api.results import Reject as Reject
    from txfast.api.results import Rejects as Rejects
    from txfast.api.results import Result as Result
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
    "ThreadsError",
    "TooManyMalformedError",
    "TxfastError",
    "UnexpectedAccountsError",
    "UsageError",
    "__version__",
    "process",
    "read",
]


def read(
    *inputs: "Input",
    max_malformed: int | None = None,
    strict: bool = False,
    reader: "Reader" = "native",
    dialect: "Mapping[str, str | int] | None" = None,
    logger: "logging.Logger | None" = None,
) -> "pa.RecordBatchReader":
    """Read the transactions in inputs, as a pyarrow RecordBatchReader: `type` (dictionary of string), `client` and `tx`
    (uint64), `amount` (decimal128(19, 4), or as many decimals as the dialect says; null where the row has none).

    Iterate its record batches, take all of them with `read_all()`, or give it to whatever takes an Arrow stream. Rows
    are read as they are asked for. The inputs are given back when the reader has come to their end, when it fails, and
    when it is closed, by `close()`, `with` or `del`. A closed reader raises UsageError where more is asked of it.

    Inputs, arguments and errors are those of `txfast.process`. Malformed rows are left out, logged, and counted
    against `max_malformed`. Rows are read and parsed, not applied, so `process` may still reject a row
    that `read` returns.

    >>> import io, txfast
    >>> file = io.BytesIO(b"type,client,tx,amount\\ndeposit,1,1,2.5\\ndispute,1,1,\\n")
    >>> txfast.read(file).read_all().to_pylist()[0]
    {'type': 'deposit', 'client': 1, 'tx': 1, 'amount': Decimal('2.5000')}
    """
    from txfast.api.read import read_transactions

    return read_transactions(
        inputs, max_malformed=max_malformed, strict=strict, reader=reader, dialect=dialect, logger=logger
    )


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'txfast' has no attribute {name!r}")
    from importlib import import_module

    if name.endswith("Error"):
        origin = "txfast.errors"
    else:
        origin = {"process": "txfast.api.process", "Ledger": "txfast.api.ledger"}.get(name, "txfast.api.results")
    found: object = getattr(import_module(origin), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
