"""Accounts as an Arrow table: record batches, a Parquet file or an Arrow file.

    client     uint64
    available  decimal128(19, 4), or as many decimals as the amounts have
    held       decimal128(19, 4)
    total      decimal128(19, 4)
    locked     bool

This module must not know how accounts came to be.
"""

from txfast.dialect.names import DECIMALS
from txfast.writers.arrow_buffers import account_buffers
from txfast.writers.sink import Sink

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol, TypeAlias

    import pyarrow as pa
    from pyarrow import parquet

    from txfast.ledger.sorted_accounts import AccountColumns
    from txfast.writers.output import Output

    Writer: TypeAlias = parquet.ParquetWriter | pa.RecordBatchFileWriter

    class Accounts(Protocol):
        """Accounts in ascending order of client, in chunks."""

        def chunks(self) -> Iterator[AccountColumns]: ...
else:
    from txfast.late import pa

# Rows of a record batch, or of a row group in Parquet.
ROWS_MAX = 1 << 17
AMOUNT_DIGITS = 19


def amount_type(decimals: int = DECIMALS) -> "pa.Decimal128Type":
    """The type of amounts in tables."""
    return pa.decimal128(AMOUNT_DIGITS, decimals)


def account_schema(decimals: int = DECIMALS) -> "pa.Schema":
    """The schema of accounts."""
    amounts = [(name, amount_type(decimals)) for name in ("available", "held", "total")]
    fields = [("client", pa.uint64()), *amounts, ("locked", pa.bool_())]
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in fields])


def account_batches(accounts: "Accounts", decimals: int = DECIMALS) -> "Iterator[pa.RecordBatch]":
    """Iterate accounts as record batches of ROWS_MAX rows, fewer in the last one, each with its own memory.

    They do not depend on the chunks that the accounts come in, so that the same accounts make the same file.
    """
    pending: list[pa.RecordBatch] = []
    rows = 0
    for chunk in accounts.chunks():
        first = 0
        while first < len(chunk):
            taken = min(ROWS_MAX - rows, len(chunk) - first)
            pending.append(account_batch(chunk, first, taken, decimals))
            first += taken
            rows += taken
            if rows == ROWS_MAX:
                yield joined(pending)
                pending, rows = [], 0
    if pending:
        yield joined(pending)


def account_batch(accounts: "AccountColumns", first: int, rows: int, decimals: int = DECIMALS) -> "pa.RecordBatch":
    """A record batch of `rows` accounts, from index `first` on."""
    schema = account_schema(decimals)
    arrays = [
        pa.Array.from_buffers(field.type, rows, [None, pa.py_buffer(buffer)])
        for field, buffer in zip(schema, account_buffers(accounts, first, rows), strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def joined(batches: "list[pa.RecordBatch]") -> "pa.RecordBatch":
    """Several record batches as one."""
    if len(batches) == 1:
        return batches[0]
    [batch] = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return batch


def write_parquet(accounts: "Accounts", output: "Output", decimals: int = DECIMALS) -> None:
    """Write accounts to an open output as Parquet. Raises SourceError, and BrokenPipeError where it is a pipe without a
    reader."""
    sink = Sink(output)
    schema = account_schema(decimals)
    write_batches(
        account_batches(accounts, decimals), sink, pa.parquet.ParquetWriter(sink, schema, use_dictionary=["locked"])
    )


def write_arrow(accounts: "Accounts", output: "Output", decimals: int = DECIMALS) -> None:
    """Write accounts to an open output as an Arrow IPC file. Raises as `write_parquet`."""
    sink = Sink(output)
    writer = pa.ipc.new_file(pa.PythonFile(sink, mode="w"), account_schema(decimals))
    write_batches(account_batches(accounts, decimals), sink, writer)


def write_batches(batches: "Iterator[pa.RecordBatch]", sink: Sink, writer: "Writer") -> None:
    """Write all accounts, then the file's end. A writer that fails must not write that end: the sink is abandoned."""
    try:
        for batch in batches:
            writer.write_batch(batch)
        writer.close()
    except BaseException:
        sink.abandoned = True
        raise
