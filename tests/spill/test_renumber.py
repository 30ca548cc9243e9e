"""Rows and accounts of another process get the numbers that their currencies have in this one."""

from __future__ import annotations

import io
from array import array

import pytest

from txfast.batch.batch import TransactionBatch
from txfast.dialect.dialect import Dialect
from txfast.errors import SpillError
from txfast.ledger.ledger import Ledger
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.readers.csv import CsvReader
from txfast.spill.partitions import Partitions
from txfast.spill.runs import RunMerge, renumber_run, run_blocks
from txfast.spill.slices import SliceReader, renumber_rows

FORMS: tuple[dict[str, str], ...] = ({}, {"ids": "text"}, {"ids.client": "text"})
ROWS = b"deposit,7,1,1,A\ndeposit,7,2,2,B\ndeposit,88,3,4,C\ndeposit,88,4,8,A\n"


def dialect_of(form: dict[str, str]) -> Dialect:
    return Dialect({"columns.currency": "ccy", **form})


def batch_of(rows: bytes, dialect: Dialect | None) -> TransactionBatch:
    header = b"type,client,tx,amount" + (b"\n" if dialect is None else b",ccy\n")
    reader = CsvReader(io.BytesIO(header + rows), "in.csv", dialect=dialect)
    batch = TransactionBatch()
    assert reader.fill(batch)
    reader.scan(batch)
    return batch


def accounts_of(batch: TransactionBatch, dialect: Dialect) -> AccountColumns:
    ledger = Ledger(None, dialect.text_ids)
    ledger.apply(batch)
    return AccountColumns([ledger])


def shown(accounts: AccountColumns) -> list[tuple[int | bytes, bytes | None, int]]:
    """(client, code, units) of each account."""
    rows = [(accounts.account(index), accounts.currency_at(index)) for index in range(len(accounts))]
    return [(client, code, available // 10_000) for (client, available, _, _), code in rows]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_rows_are_those_of_the_codes(form: dict[str, str]) -> None:
    sender, receiver = dialect_of(form), dialect_of(form)
    batch = batch_of(ROWS, sender)
    assert receiver.currencies is not None
    assert sender.currencies is not None
    for code in (b"C", b"x", b"B", b"A"):
        receiver.currencies.number(code)
    renumber_rows(batch, array("H", map(receiver.currencies.number, sender.currencies.codes)))
    assert [each[1:] for each in shown(accounts_of(batch, receiver))] == [(b"A", 1), (b"B", 2), (b"A", 8), (b"C", 4)]


def test_rows_of_an_unknown_currency_are_refused() -> None:
    renumber_rows(TransactionBatch(), array("H"))
    batch = batch_of(ROWS, dialect_of({}))
    with pytest.raises(SpillError, match="the disk or the memory is faulty"):
        renumber_rows(batch, array("H", [0, 1]))
    with pytest.raises(ValueError, match="have no currency"):
        renumber_rows(batch_of(b"deposit,1,1,1\n", None), array("H", [0]))


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_run_is_that_of_the_codes(form: dict[str, str]) -> None:
    dialect, receiver = dialect_of(form), dialect_of(form)
    has_names = dialect.has_text("client")
    accounts = accounts_of(batch_of(ROWS, dialect), dialect)
    run = bytearray(b"".join(run_blocks(accounts)))
    assert receiver.currencies is not None
    assert dialect.currencies is not None
    for code in (b"x", b"C", b"B", b"A"):
        receiver.currencies.number(code)
    numbers = array("H", map(receiver.currencies.number, dialect.currencies.codes))
    original = bytes(run)
    renumber_run(run, numbers, has_names=has_names)
    assert run != original
    [chunk] = RunMerge([io.BytesIO(run).readinto], 1 << 12, has_names=has_names, currencies=receiver.currencies)
    assert shown(chunk) == shown(accounts)
    renumber_run(bytearray(), numbers, has_names=has_names)
    for wrong, table, words in (
        (original, numbers[:2], "the disk or the memory is faulty"), (original[:-1], numbers, "ends within an account"),
        (original[:19], numbers, "ends within an account"), (original[:3], numbers, "ends within an account"),
    ):  # fmt: skip
        with pytest.raises(SpillError, match=words):
            renumber_run(bytearray(wrong), table, has_names=has_names)


def test_currencies_may_be_named_while_a_slice_is_read() -> None:
    """A record of a currency that nobody has named before is refused."""
    dialect = dialect_of({})
    batch = batch_of(ROWS, dialect)
    content = bytearray()
    slices = Partitions(1, 1 << 12, lambda _, view: content.extend(view), by_shard=True, text_ids=dialect.text_ids)
    slices.add_rows(batch)
    slices.finish()
    for codes in ((b"A", b"B", b"C"), (b"A", b"B")):
        receiver = dialect_of({})
        currencies = receiver.currencies
        assert currencies is not None
        file = io.BytesIO(content)

        def read_into(view: memoryview) -> int:
            for code in codes:  # noqa: B023
                currencies.number(code)  # noqa: B023
            return file.readinto(view)  # noqa: B023

        reader = SliceReader(read_into, text_ids=receiver.text_ids)
        taken = TransactionBatch()
        if len(codes) == 3:
            assert reader.fill(taken)
            assert len(taken) == 4
        else:
            with pytest.raises(SpillError, match="the disk or the memory is faulty"):
                reader.fill(taken)
