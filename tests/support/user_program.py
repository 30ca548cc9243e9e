"""A user's program. mypy checks the types that it asserts, and tests/api runs it."""

import io
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, assert_type

import polars as pl
import pyarrow as pa

import txfast

FILE = b"type,client,tx,amount\ndeposit,1,1,2.5\nwithdrawal,1,2,3\n"


def batches() -> Iterator[pa.RecordBatch]:
    yield pa.RecordBatch.from_pylist([{"type": "deposit", "client": 2, "tx": 1, "amount": "1"}])


def total_of(result: txfast.Result) -> Decimal:
    """A result with or without rejects."""
    assert_type(result.rejects, txfast.Rejects | None)
    return sum((account.total for account in result.accounts), Decimal(0))


def main(folder: Path) -> None:
    (folder / "in.csv").write_bytes(FILE)
    frame = pl.DataFrame({"type": ["dispute"], "client": [1], "tx": [1], "amount": [None]})
    result = txfast.process(str(folder / "in.csv"), io.BytesIO(FILE), frame, batches(), rejects=True, threads=1)
    assert_type(result, txfast.Result[txfast.Rejects])
    assert_type(result.stats, dict[str, Any])
    assert_type(result.rejects, txfast.Rejects)
    assert_type(txfast.process(io.BytesIO(FILE)).rejects, None)
    assert_type(txfast.process(io.BytesIO(FILE), rejects=False).rejects, None)
    assert_type(txfast.process(io.BytesIO(FILE), rejects=bool(folder.name)), txfast.Result)
    assert_type(txfast.process(io.BytesIO(FILE), rejects=str(folder / "r.csv")).rejects, None)
    assert_type(txfast.process(folder / "in.csv", state=folder / "state", last_line="take", checkpoint=9).rejects, None)
    assert_type(total_of(result), Decimal)
    assert_type(result.accounts.to_polars(), pl.DataFrame)
    for account in result.accounts:
        assert_type(account, txfast.Account)
        assert_type(account.total, Decimal)
    for reject in result.rejects:
        assert_type(reject.row, bytes)
    ledger = txfast.Ledger()
    assert_type(ledger.apply(folder / "in.csv"), dict[str, int])
    assert_type(ledger.apply(folder / "in.csv", statuses=False), dict[str, int])
    assert_type(ledger.apply(folder / "in.csv", statuses=True), Any)  # pyarrow has no types of its own
    assert_type(ledger[1].locked, bool)
    assert_type(ledger.get(1), txfast.Account | None)
    assert_type(ledger.get(1, 0), txfast.Account | int)
    assert_type(result.accounts[0], txfast.Account)
    assert_type(result.accounts[1:], txfast.Accounts)
    assert_type(result.accounts.get(1), txfast.Account | None)
    assert_type(result.accounts.get(1, ""), txfast.Account | str)
    assert_type(result.rejects[0], txfast.Reject)
    assert_type(result.rejects[:1], txfast.Rejects)
    ledger.save(folder / "ledger")
    assert_type(txfast.Ledger.load(folder / "ledger"), txfast.Ledger)
    assert_type(ledger.transactions(1), list[txfast.Transaction])
    with txfast.open(folder / "new", create=True, threads=1) as kept:
        assert_type(kept, txfast.StateLedger)
        assert_type(kept.apply(folder / "in.csv"), dict[str, int])
        assert_type(kept.transactions(1)[0].amount, Decimal | None)
        assert_type(kept.accounts(changed=True), txfast.Accounts)
        assert_type(kept.get(1), txfast.Account | None)
        kept.commit()
    assert_type(txfast.open(folder / "new")[1], txfast.Account)
    with (folder / "in.csv").open("rb") as file:
        for batch in txfast.read(file, strict=True):
            assert_type(batch, Any)  # pyarrow has no types of its own
    try:
        txfast.process("missing.csv")
    except txfast.SourceError as error:
        assert_type(error.filename, str | None)
    print(len(result.accounts), len(result.rejects), ledger[1].available)
