"""Accounts as an Arrow table: record batches, a Parquet file or an Arrow file.

    client     uint64, or string where clients are texts
    currency   string, where accounts have one
    available  decimal128(19, 4), or as many decimals as the amounts have
    held       decimal128(19, 4)
    total      decimal128(19, 4)
    locked     bool

This module must not know how accounts came to be.
"""

from txfast.dialect.names import DECIMALS
from txfast.errors import InputError
from txfast.printable import printable
from txfast.writers.arrow_buffers import account_buffers
from txfast.writers.sink import Sink

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol, TypeAlias

    import pyarrow as pa
    from pyarrow import parquet

    from txfast.dialect.currencies import Currencies
    from txfast.ledger.sorted_accounts import AccountColumns
    from txfast.writers.output import Output

    Writer: TypeAlias = parquet.ParquetWriter | pa.RecordBatchFileWriter

    class Accounts(Protocol):
        """Accounts in ascending order of client, then currency, in chunks."""

        @property
        def has_names(self) -> bool: ...
        @property
        def currencies(self) -> Currencies | None: ...
        def chunks(self) -> Iterator[AccountColumns]: ...
else:
    from txfast.late import pa

# Rows of a record batch, or of a row group in Parquet.
ROWS_MAX = 1 << 17
AMOUNT_DIGITS = 19


def amount_type(decimals: int = DECIMALS) -> "pa.Decimal128Type":
    """The type of amounts in tables."""
    return pa.decimal128(AMOUNT_DIGITS, decimals)


def account_schema(accounts: "Accounts", decimals: int = DECIMALS) -> "pa.Schema":
    """The schema of these accounts."""
    amounts = [(name, amount_type(decimals)) for name in ("available", "held", "total")]
    currency = [] if accounts.currencies is None else [("currency", pa.string())]
    client = ("client", pa.string() if accounts.has_names else pa.uint64())
    fields = [client, *currency, *amounts, ("locked", pa.bool_())]
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
    """A record batch of `rows` accounts, from index `first` on. Raises InputError for a client or a currency that is no
    UTF-8."""
    schema = account_schema(accounts, decimals)
    columns = account_buffers(accounts, first, rows)
    for field, buffers in zip(schema, columns, strict=True):
        if field.type == pa.string():
            check_utf8(field.name, *buffers)
    arrays = [
        pa.Array.from_buffers(field.type, rows, [None, *map(pa.py_buffer, buffers)])
        for field, buffers in zip(schema, columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def check_utf8(name: str, offsets: bytearray, texts: bytearray) -> None:
    """Raise InputError for the first of these ids, in a column of this name, that is not UTF-8: tables have no other
    texts."""
    if texts.isascii():
        return
    starts = memoryview(offsets).cast("i")
    for row in range(len(starts) - 1):
        try:
            texts[starts[row] : starts[row + 1]].decode()
        except UnicodeDecodeError as error:
            text = printable(texts[starts[row] : starts[row + 1]].decode(errors="backslashreplace"))
            raise InputError(
                f"{name} {text} is not UTF-8, as texts of a table are: say its encoding by --dialect encoding=latin-1, "
                f"or write CSV"
            ) from error


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
    schema = account_schema(accounts, decimals)
    write_batches(
        account_batches(accounts, decimals), sink, pa.parquet.ParquetWriter(sink, schema, use_dictionary=["locked"])
    )


def write_arrow(accounts: "Accounts", output: "Output", decimals: int = DECIMALS) -> None:
    """Write accounts to an open output as an Arrow IPC file. Raises as `write_parquet`."""
    sink = Sink(output)
    writer = pa.ipc.new_file(pa.PythonFile(sink, mode="w"), account_schema(accounts, decimals))
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
