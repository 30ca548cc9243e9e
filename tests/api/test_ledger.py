"""txfast.Ledger as a mapping of accounts, a status a row, and batches that are applied in whole or not at all."""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import txfast
from tests.support import reference_rows, replays, strategies
from tests.support.reference import HEADER
from txfast.errors import CapacityError, InputError, StateError, UsageError
from txfast.ledger.ledger import Ledger as KernelLedger
from txfast.ledger.policy import Policy
from txfast.readers.table import BATCH_ROWS
from txfast.run.books import Books

NAMES = ["type", "client", "tx", "amount"]


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("txfast"), "disabled", True)


def table_of(*rows: tuple[str, int, int, str | None]) -> pa.Table:
    return pa.table([list(column) for column in zip(*rows, strict=True)], names=NAMES)


ONE_DEPOSIT = table_of(("deposit", 1, 1, "2"))


def test_accounts_are_looked_up_as_in_a_mapping() -> None:
    ledger = txfast.Ledger()
    ledger.apply(table_of(("deposit", 7, 1, "2"), ("deposit", 3, 1, "1")))
    assert ledger.get(3) == ledger[3]
    assert ledger.get(np.uint8(7)) == ledger[7]
    ledger.apply(table_of(("withdrawal", 1, 9, "1")))
    nobody: list[Any] = [True, 4, -1, 2**64, "3", None]
    for client in nobody:
        assert ledger.get(client) is None
        assert ledger.get(client, 0) == 0
        assert client not in ledger
    assert list(ledger) == [1, 3, 7]
    assert {client: ledger[client].total for client in ledger} == {1: 0, 3: 1, 7: 2}


# ---- Statuses ------------------------------------------------------------------------------------


@given(strategies.hostile_files(), st.sampled_from(replays.THREADS))
def test_each_row_has_its_status(content: bytes, threads: int) -> None:
    try:
        expected = replays.run_reference([("a", content)])
    except reference_rows.NotTransactions:
        return
    statuses = txfast.Ledger(threads=threads).apply(io.BytesIO(content), statuses=True)
    found = statuses.to_pylist()
    assert [status for status in found if status != "applied"] == [reject.reason for reject in expected.rejects]
    assert found.count("applied") == sum(expected.applied.values())


@pytest.mark.parametrize("threads", replays.THREADS)
def test_statuses_are_in_the_order_of_the_rows_of_many_batches(threads: int) -> None:
    rows = 300_000
    table = pa.table(
        {
            "type": ["deposit", "fee", "deposit"] * (rows // 3),
            "client": [1, 2, 3] * (rows // 3),
            "tx": list(range(rows)),
            "amount": ["1", "1", None] * (rows // 3),
        }
    )
    given: list[Any] = [table, table.to_batches(max_chunksize=1000), table.to_reader(max_chunksize=70_001)]
    for each in given:
        statuses = txfast.Ledger(threads=threads).apply(each, statuses=True)
        assert isinstance(statuses, pa.DictionaryArray)
        assert statuses.to_pylist() == ["applied", "bad_type", "amount_required"] * (rows // 3)
    assert len(table.append_column("status", statuses)) == rows


def test_an_input_without_rows_has_no_statuses() -> None:
    assert txfast.Ledger().apply(io.BytesIO(HEADER), statuses=True).to_pylist() == []
    assert txfast.Ledger().apply(iter(()), statuses=True).to_pylist() == []


# ---- Batches in whole or not at all --------------------------------------------------------------


class Mine(Exception):  # noqa: N818 (a test's)
    pass


GOOD = table_of(("deposit", 1, 1, "1"), ("deposit", 2, 1, "2"), ("fee", 1, 1, "1"))
AFTER = table_of(("deposit", 1, 2, "10"))
FAULTY: dict[str, tuple[Any, type[Exception]]] = {
    "float": (pa.table({"type": ["deposit"], "client": [1], "tx": [9], "amount": [0.5]}), InputError),
    "no column": (GOOD.drop_columns(["tx"]), InputError),
    "no table": ("a.csv", UsageError),
    "stream that fails": (None, OSError),
}


def failing_stream() -> pa.RecordBatchReader:
    def batches() -> Iterator[pa.RecordBatch]:
        yield from table_of(("deposit", 5, 1, "1")).to_batches()
        raise OSError("the line is dead")

    return pa.RecordBatchReader.from_batches(GOOD.schema, batches())


@pytest.mark.parametrize("threads", replays.THREADS)
@pytest.mark.parametrize(("faulty", "kind"), FAULTY.values(), ids=FAULTY.keys())
def test_a_batch_that_fails_leaves_the_ledger_as_it_was_before_it(
    faulty: Any, kind: type[Exception], threads: int
) -> None:
    ledger = txfast.Ledger(threads=threads)

    def batches() -> Iterator[Any]:
        yield GOOD
        yield GOOD.slice(0, 0)
        yield failing_stream() if faulty is None else faulty
        yield AFTER

    with pytest.raises(kind):
        ledger.apply(batches())
    assert {account.client: int(account.total) for account in ledger.accounts()} == {1: 1, 2: 2}
    assert ledger.apply([AFTER]) == {"applied": 1}
    assert ledger[1].total == 11


@pytest.mark.parametrize("threads", replays.THREADS)
def test_a_generator_that_fails_leaves_the_batches_before(threads: int) -> None:
    ledger = txfast.Ledger(threads=threads)

    def batches() -> Iterator[Any]:
        yield from GOOD.to_batches()
        yield from AFTER.to_batches()
        raise Mine

    with pytest.raises(Mine):
        ledger.apply(batches())
    assert ledger[1].total == 11
    assert ledger.apply(GOOD) == {"applied": 0, "duplicate_transaction": 2, "bad_type": 1}


@pytest.mark.parametrize("threads", replays.THREADS)
def test_a_stream_that_fails_leaves_the_batches_before(threads: int) -> None:
    ledger = txfast.Ledger(threads=threads)
    with pytest.raises(OSError, match="the line is dead"):
        ledger.apply(failing_stream())
    assert ledger.apply(AFTER) == {"applied": 1}
    assert {account.client: int(account.total) for account in ledger.accounts()} == {1: 10, 5: 1}


def test_a_stream_without_batches_applies_nothing_and_needs_its_columns() -> None:
    ledger = txfast.Ledger()
    reader = GOOD.to_reader()
    assert ledger.apply(reader)["applied"] == 2
    assert ledger.apply(reader) == {"applied": 0}
    with pytest.raises(InputError, match="no column tx"):
        ledger.apply(pa.RecordBatchReader.from_batches(GOOD.drop_columns(["tx"]).schema, []))


def test_a_file_that_fails_after_rows_breaks_the_ledger() -> None:
    rows = io.BytesIO(HEADER + b"deposit,5,1,1\n" * 200_000)

    class Fails(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            count = rows.readinto(buffer)
            if not count:
                raise Mine
            return count

    ledger = txfast.Ledger(threads=1)
    with pytest.raises(Mine):
        ledger.apply(Fails())
    with pytest.raises(StateError, match="holds a part of an input"):
        ledger.get(5)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_text_of_a_large_table_that_is_not_utf_8_is_a_malformed_row(kind: pa.DataType) -> None:
    rows = BATCH_ROWS + 1
    words = pa.array([b"deposit"] * (rows - 1) + [b"\xff"], pa.binary() if kind == pa.string() else pa.large_binary())
    table = pa.table({"type": words.view(kind), "client": range(rows), "tx": range(rows), "amount": ["1"] * rows})
    for each in (table, [table], iter(table.to_batches())):
        assert txfast.Ledger().apply(each) == {"applied": rows - 1, "bad_type": 1}


def test_a_batch_that_only_some_ledgers_have_applied_breaks_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = txfast.Ledger(threads=4)
    first = ledger._books.ledgers[0]
    rows = table_of(*(("deposit", client, 1, "1") for client in range(100)))

    class Full(KernelLedger):
        def apply(self, batch: object, *, shard: int = 0) -> int:  # noqa: ARG002 (the ledger's)
            raise CapacityError("it is full")

    monkeypatch.setattr(ledger._books, "ledgers", [first, Full()])
    with pytest.raises(CapacityError):
        ledger.apply([rows.slice(0, 0), rows])
    with pytest.raises(StateError, match="holds a part of an input"):
        len(ledger)


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.parametrize(
    "use",
    [lambda ledger: ledger.get(1), len, list, lambda ledger: ledger.apply(ONE_DEPOSIT), lambda ledger: 1 in ledger],
    ids=["get", "len", "iterate", "apply", "in"],
)
def test_a_generator_or_a_file_that_uses_the_ledger_is_told_at_once(
    threads: int, use: Callable[[txfast.Ledger], object]
) -> None:
    """Before, the two waited for each other for ever."""
    ledger = txfast.Ledger(threads=threads)

    def tables() -> Iterator[pa.Table]:
        yield ONE_DEPOSIT
        use(ledger)
        yield ONE_DEPOSIT

    class File(io.BytesIO):
        def readinto(self, buffer: Any) -> int:
            use(ledger)
            return super().readinto(buffer)

    with pytest.raises(txfast.LockedError, match="this ledger is applying the input that this call comes from"):
        ledger.apply(tables())
    with pytest.raises(RuntimeError, match="this ledger is applying"):
        ledger.apply(File(HEADER + b"deposit,1,5,1\n"))
    # What came before stays, and the ledger can be used.
    assert [account.client for account in ledger.accounts()] == [1]
    other = txfast.Ledger()

    def of_another() -> Iterator[pa.Table]:
        ledger.get(1)
        yield ONE_DEPOSIT

    assert other.apply(of_another()) == {"applied": 1}


# ---- Policies ------------------------------------------------------------------------------------


@given(strategies.policy_files(), strategies.policies(), st.sampled_from(replays.THREADS), st.booleans())
def test_a_ledger_and_a_run_mean_by_rows_what_their_policy_says(
    content: bytes, policy: str, threads: int, as_mapping: bool
) -> None:
    expected = replays.run_reference([("a", content)], policy)
    given = dict(Policy(policy)) if as_mapping else policy
    ledger = txfast.Ledger(policy=given, threads=threads)
    statuses = ledger.apply(io.BytesIO(content), statuses=True).to_pylist()
    assert [status for status in statuses if status != "applied"] == [reject.reason for reject in expected.rejects]
    assert statuses.count("applied") == sum(expected.applied.values())
    assert csv_of(ledger.accounts()) == expected.accounts
    if expected.rows > sum(expected.malformed.values()):
        result = txfast.process(io.BytesIO(content), policy=given, threads=threads, rejects=True)
        assert csv_of(result.accounts) == expected.accounts
        assert [reject["reason"] for reject in result.rejects.to_arrow().to_pylist()] == [
            reject.reason for reject in expected.rejects
        ]
        assert (result.stats["policy"], result.stats["conserved"]) == (dict(Policy(policy)), True)


def csv_of(accounts: txfast.Accounts) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        accounts.write(f"{folder}/a.csv")
        return Path(folder, "a.csv").read_bytes()


DISPUTED = table_of(
    ("deposit", 1, 1, "9"), ("deposit", 1, 2, "5"), ("refund", 1, 1, "2"), ("dispute", 1, 1, "3"),
    ("chargeback", 1, 1, None), ("dispute", 1, 2, None), ("chargeback", 1, 2, None),
)  # fmt: skip
# A row for each of the reasons that came with policies, and what the card policy with a few more says.
REASONS = {
    "zero_amount": ("deposit", 2, 1, "0"),
    "amount_too_large": ("dispute", 2, 2, "5.0001"),
    "chargeback_not_found": ("reversal", 2, 2, None),
    "duplicate_reversal": ("reversal", 1, 1, None),
}


def test_each_reason_of_a_policy_is_a_status() -> None:
    ledger = txfast.Ledger(policy="card,zero-amount=reject")
    assert ledger.apply(DISPUTED) == {"applied": 7}
    assert ledger.apply(table_of(("reversal", 1, 1, None), ("deposit", 2, 2, "5"))) == {"applied": 2}
    assert ledger.apply(table_of(*REASONS.values()), statuses=True).to_pylist() == list(REASONS)
    assert ledger.apply(table_of(*REASONS.values())) == {"applied": 0, **dict.fromkeys(REASONS, 1)}
    assert ledger[1].locked  # the other chargeback stands


def test_a_loaded_ledger_goes_on_under_the_policy_of_its_state(tmp_path: Path) -> None:
    ledger = txfast.Ledger(policy={"redispute": "after-resolve", "locked": "disputes", "dispute-amount": "partial"})
    ledger.apply(DISPUTED)
    ledger.save(tmp_path / "s")
    for _ in range(2):
        ledger = txfast.Ledger.load(tmp_path / "s", threads=2)
        assert ledger[1].locked
        ledger.save(tmp_path / "s")  # again, under the same policy
    assert ledger.apply(table_of(("reversal", 1, 1, None))) == {"applied": 1}
    assert ledger[1].locked
    assert ledger.apply(table_of(("reversal", 1, 2, None), ("dispute", 1, 1, "1.5"))) == {"applied": 2}
    assert (ledger[1].available, ledger[1].held, ledger[1].locked) == (Decimal("10.5"), Decimal("1.5"), False)
    ledger.save(tmp_path / "s")
    # A run goes on with it under this policy, and is refused under another.
    given = table_of(("resolve", 1, 1, None))
    with pytest.raises(StateError, match=r"go on with --policy redispute=after-resolve,locked=disputes,dispute-amount"):
        txfast.process(given, state=tmp_path / "s")
    result = txfast.process(
        given, state=tmp_path / "s", policy="dispute-amount=partial,locked=disputes,redispute=after-resolve"
    )
    assert result.accounts.get(1) == (1, Decimal(12), Decimal(0), Decimal(12), False)


def test_a_ledger_of_another_policy_is_not_saved_over_a_state(tmp_path: Path) -> None:
    txfast.Ledger(policy="card").save(tmp_path / "s")
    with pytest.raises(StateError, match="holds a state that this ledger does not go on from"):
        txfast.Ledger().save(tmp_path / "s")
    assert len(txfast.Ledger.load(tmp_path / "s")) == 0


def test_a_ledger_is_not_saved_over_what_was_committed_while_it_was_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def commit(tx: int) -> None:
        txfast.process(io.BytesIO(HEADER + b"deposit,1,%d,1\n" % tx), state=tmp_path / "s")

    def restore_late(self: Books, snapshot: Any) -> None:
        restore(self, snapshot)
        monkeypatch.setattr(Books, "restore", restore)
        commit(2)

    commit(1)
    restore = Books.restore
    monkeypatch.setattr(Books, "restore", restore_late)
    ledger = txfast.Ledger.load(tmp_path / "s")
    ledger.apply(io.BytesIO(HEADER + b"deposit,1,3,1\n"))
    with pytest.raises(StateError, match="holds a state that this ledger does not go on from"):
        ledger.save(tmp_path / "s")
    assert [each.tx for each in txfast.Ledger.load(tmp_path / "s").transactions(1)] == [1, 2]
