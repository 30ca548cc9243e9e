"""txfast.open: the ledger of a state directory, against the reference; and its transactions, those of a Ledger too."""

from __future__ import annotations

import errno
import gc
import io
import logging
import os
import pickle
import shutil
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import txfast
from tests.support import failures, reference, replays, strategies
from tests.support.currencies import CURRENCY_SETTINGS, make_currency_file, owner_of
from tests.support.reference import HEADER
from tests.support.reference_ledger import Payment
from tests.support.rows import Row, make_file
from tests.support.segments import page_start
from tests.support.text_ids import TEXT_SETTINGS, make_text_file, text_of
from txfast.dialect.dialect import Dialect
from txfast.errors import LockedError, SourceError, StateError, UsageError
from txfast.ledger.policy import Policy
from txfast.state import compaction
from txfast.state.open_state import OpenState
from txfast.state.store import Store

OLD = Path(__file__).parents[1] / "state" / "old"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("txfast"), "disabled", True)
    monkeypatch.chdir(tmp_path)


def rows(*lines: str) -> io.BytesIO:
    return io.BytesIO(HEADER + "".join(f"{line}\n" for line in lines).encode())


def new_state(*lines: str, **given: Any) -> None:
    """Commit rows to a new state in the current folder."""
    with txfast.open("s", create=True, **given) as ledger:
        ledger.apply(rows(*lines))
        ledger.commit()


def total_of(client: int) -> int:
    """What the last commit says."""
    return int(txfast.open("s")[client].total)


def names(folder: str = "s") -> list[str]:
    return sorted(os.listdir(folder))


# ---- Against the reference -------------------------------------------------------------------------


class Model:
    """What a ledger should have: the reference's accounts and payments after these rows."""

    def __init__(self, dialect: Dialect, policy: str, applied: Sequence[Row] = ()) -> None:
        self.dialect = dialect
        self.policy = policy
        self.rows = list(applied)
        self.replay = reference.Replay(policy)
        self.replay.read("all", make_file(self.rows))

    def after(self, applied: Iterable[Row]) -> Model:
        return Model(self.dialect, self.policy, [*self.rows, *applied])

    def file(self, applied: Sequence[Row]) -> io.BytesIO:
        """Rows as a file of the dialect."""
        if self.dialect.text_ids is None:
            return io.BytesIO(make_file(applied))
        make = make_text_file if self.dialect.text_ids.currencies is None else make_currency_file
        return io.BytesIO(make(applied, self.dialect))

    def key(self, number: int) -> Any:
        """The key of a client's account, in Python."""
        if self.dialect.text_ids is None or self.dialect.text_ids.currencies is None:
            return self.shown("client", number)
        client, code = owner_of(number)
        return self.shown("client", client), code.decode("utf-8", "surrogateescape")

    def shown(self, name: str, number: int) -> int | str:
        return text_of(number).decode("utf-8", "surrogateescape") if self.dialect.has_text(name) else number

    def accounts(self) -> dict[Any, tuple[int, int, bool]]:
        return {
            self.key(client): (account.available, account.held, account.locked)
            for client, account in self.replay.accounts.items()
        }

    def transactions(self, number: int) -> dict[Any, tuple[Any, ...]]:
        return {
            self.shown("tx", tx): transaction_of(payment, self.policy)
            for (client, tx), payment in self.replay.payments.items()
            if client == number
        }


STATES = {
    "undisputed": "undisputed", "in dispute": "in dispute", "resolved": "resolved", "reversed": "resolved",
    "charged back": "charged back",
}  # fmt: skip


def transaction_of(payment: Payment, policy: str) -> tuple[Any, ...]:
    if payment.kind == "withdrawal" and dict(Policy(policy))["withdrawal-dispute"] == "reject":
        return "withdrawal", None, "undisputed", 0, 0
    return payment.kind, payment.amount, STATES[payment.state], payment.refunded, payment.moved


def units(amount: Decimal | None) -> int | None:
    return None if amount is None else int(amount * 10_000)


def accounts_in(accounts: Iterable[Any]) -> dict[Any, tuple[Any, ...]]:
    found = {}
    for account in accounts:
        key = account.client if account.currency is None else (account.client, account.currency)
        found[key] = (units(account.available), units(account.held), account.locked)
        assert account.total == account.available + account.held
    return found


def assert_as(model: Model, ledger: txfast.Ledger, clients: Iterable[int]) -> None:
    """All that can be asked of a ledger is as the reference has it."""
    expected = model.accounts()
    for number in clients:
        key = model.key(number)
        found = ledger.get(key)
        assert (key in ledger) == (key in expected) == (found is not None)
        if found is None:
            with pytest.raises(KeyError):
                ledger.transactions(key)
            continue
        assert accounts_in([found]) == {key: expected[key]}
        transactions = ledger.transactions(key)
        assert {each.tx: (each.type, units(each.amount), each.state, units(each.refunded), units(each.disputed))
                for each in transactions} == model.transactions(number)  # fmt: skip
        txs: list[Any] = [
            each.tx if isinstance(each.tx, int) else each.tx.encode("utf-8", "surrogateescape") for each in transactions
        ]
        assert txs == sorted(txs)
    assert len(ledger) == len(expected)
    assert accounts_in(ledger.accounts()) == expected
    assert list(ledger) == list(accounts_in(ledger.accounts()))


@contextmanager
def many_merges() -> Iterator[None]:
    """Inside, each commit merges runs, but not all of them at once."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"FAN_OUT": 2, "OVERLAPS_MAX": 1, "STEP_ROWS_MIN": 1, "TIER_ROWS_MIN": 2}.items():
            patch.setattr(compaction, name, value)
        yield


STEPS = st.lists(
    st.tuples(st.sampled_from(["go on", "commit", "commit", "close", "commit and close", "look"]), st.integers(0, 40)),
    min_size=3, max_size=8,
)  # fmt: skip
dialects = st.sampled_from([{}, *TEXT_SETTINGS, *CURRENCY_SETTINGS])


@given(
    strategies.policy_streams(), strategies.policies(), dialects, STEPS, st.sampled_from(replays.THREADS), st.booleans()
)
def test_a_ledger_of_a_state_is_that_of_all_rows_committed_to_it_and_applied_to_it(
    stream: list[Row],
    policy: str,
    settings: dict[str, str],
    steps: list[tuple[str, int]],
    threads: int,
    looks_at_all: bool,
) -> None:
    committed = model = Model(Dialect(settings), policy)
    clients = sorted({row.client for row in stream} | {77})
    with TemporaryDirectory() as folder, many_merges():
        ledger = txfast.open(folder, create=True, policy=policy, dialect=settings, threads=threads)
        for step, count in steps:
            part, stream = stream[:count], stream[count:]
            ledger.apply(model.file(part))
            model = model.after(part)
            if step == "look" or looks_at_all:
                assert_as(model, ledger, clients)
                assert_changed(committed, model, ledger)
            if step.startswith("commit"):
                ledger.commit()
                committed = model
                assert accounts_in(ledger.accounts(changed=True)) == {}
                assert_as(committed, txfast.open(folder), clients)
            if step.endswith("close"):
                ledger.close()
                if committed.rows:
                    assert_as(committed, txfast.open(folder), clients)
                ledger = txfast.open(folder, create=True, policy=policy, dialect=settings, threads=threads)
                model = committed
        assert_as(model, ledger, clients)
        assert_changed(committed, model, ledger)
        ledger.commit()
        ledger.close()
        assert_as(model, txfast.Ledger.load(folder, threads=threads), clients)


def assert_changed(before: Model, model: Model, ledger: txfast.StateLedger) -> None:
    """Accounts that are otherwise, and maybe some with rows that came to nothing."""
    old, new = before.accounts(), model.accounts()
    changed = accounts_in(ledger.accounts(changed=True))
    touched = {model.key(row.client) for row in model.rows[len(before.rows) :]}
    assert {key for key in new if old.get(key) != new[key]} <= changed.keys() <= touched
    assert changed.items() <= new.items()


@given(strategies.policy_streams(), strategies.policies(), dialects, st.sampled_from(replays.THREADS))
def test_a_ledger_in_memory_has_the_transactions_of_the_reference(
    stream: list[Row], policy: str, settings: dict[str, str], threads: int
) -> None:
    model = Model(Dialect(settings), policy, stream)
    ledger = txfast.Ledger(policy=policy, dialect=settings, threads=threads)
    ledger.apply(model.file(stream))
    assert_as(model, ledger, {row.client for row in stream} | {77})


@pytest.mark.parametrize("threads", replays.THREADS)
def test_large_inputs_are_applied_as_in_memory(threads: int) -> None:
    def day(number: int, count: int) -> pa.Table:
        """Most of the rows of a later day are new, the others name those of earlier days, or repeat them."""
        first = 150_000 * number
        kinds = ["deposit", "withdrawal", "deposit", "dispute", "resolve", "chargeback"]
        return pa.table(
            {
                "type": [kinds[(row + number) % (6 if number else 3)] for row in range(count)],
                "client": pa.array([row * 7919 % 5003 for row in range(first, first + count)], pa.uint64()),
                "tx": pa.array(range(first, first + count), pa.uint64()),
                "amount": [str(row % 90) for row in range(count)],
            }
        )

    in_memory = txfast.Ledger(threads=1)
    for number in range(3):
        table = day(number, 200_000)
        with txfast.open("s", create=not number, threads=threads) as ledger:
            given: Any = table.to_reader(max_chunksize=30_011) if number == 1 else table
            statuses = ledger.apply(given, statuses=True)
            assert statuses.to_pylist() == in_memory.apply(table, statuses=True).to_pylist()
            ledger.commit()
            assert len(ledger) == len(in_memory)
        found = txfast.open("s", threads=threads)
        assert found.accounts().to_arrow().equals(in_memory.accounts().to_arrow())
        for client in range(0, 5003, 500):
            assert found.transactions(client) == in_memory.transactions(client)


def test_what_came_before_a_failure_may_be_committed() -> None:
    new_state("deposit,1,1,2", "deposit,2,1,2")
    one = pa.table({"type": ["dispute"], "client": [1], "tx": [1], "amount": pa.nulls(1, pa.string())})

    def tables() -> Iterator[pa.Table]:
        yield one
        raise ArithmeticError("mine")

    with txfast.open("s") as ledger:
        with pytest.raises(ArithmeticError, match="mine"):
            ledger.apply(tables())
        with pytest.raises(txfast.InputError, match="no column amount"):
            ledger.apply([one.set_column(1, "client", pa.array([2])), one.drop_columns(["amount"])])
        ledger.commit()
    assert [account.held for account in txfast.open("s").accounts()] == [2, 2]


# ---- Transactions ----------------------------------------------------------------------------------


def test_a_transaction_says_what_later_rows_have_made_of_it() -> None:
    ledger = txfast.Ledger(policy="card")
    ledger.apply(rows("deposit,1,2,9", "deposit,1,1,5", "withdrawal,1,3,1", "refund,1,2,2", "dispute,1,2,3"))
    zero = Decimal(0)
    assert ledger.transactions(1) == [
        txfast.Transaction(1, "deposit", Decimal(5), "undisputed", zero, zero),
        txfast.Transaction(2, "deposit", Decimal(9), "in dispute", Decimal(2), Decimal(3)),
        txfast.Transaction(3, "withdrawal", Decimal(1), "undisputed", zero, zero),
    ]
    ledger.apply(rows("chargeback,1,2,"))
    assert ledger.transactions(1)[1][3:] == ("charged back", Decimal(2), Decimal(3))
    ledger.apply(rows("reversal,1,2,"))
    assert ledger.transactions(1)[1][3:] == ("resolved", Decimal(2), zero)
    assert str(ledger.transactions(1)[0].amount) == "5.0000"


def test_transactions_are_those_of_one_account_among_many_rows() -> None:
    count = 1_200_000  # several chunks of a log
    clients = pa.array([7 if row % 100_000 == 0 else 8 for row in range(count)], pa.uint64())
    table = pa.table(
        {
            "type": pa.repeat("deposit", count),
            "client": clients,
            "tx": pa.array(range(count), pa.uint64()),
            "amount": pa.repeat("1", count),
        }
    )
    ledger = txfast.Ledger(threads=1)
    ledger.apply(table)
    assert [each.tx for each in ledger.transactions(7)] == list(range(0, count, 100_000))


def test_a_client_without_an_account_has_no_transactions() -> None:
    new_state("deposit,1,1,2")
    nobody: list[Any] = [True, 4, -1, 2**64, "1", None]
    for ledger in (txfast.open("s"), txfast.Ledger.load("s")):
        for client in nobody:
            with pytest.raises(KeyError):
                ledger.transactions(client)
    opening = rows("deposit,5,1,1")
    result = txfast.process(opening, state="s", opening=io.BytesIO(b"client,available\n6,3\n"))
    assert result.accounts.get(6)
    assert txfast.open("s").transactions(6) == []


def test_accounts_with_a_currency_are_looked_up_by_a_pair() -> None:
    with txfast.open("s", create=True, dialect={"columns.currency": "ccy"}) as ledger:
        ledger.apply(io.BytesIO(b"type,client,tx,amount,ccy\ndeposit,1,1,2,EUR\ndeposit,1,1,3,USD\n"))
        ledger.commit()
    ledger = txfast.open("s")
    assert ledger[1, "USD"].total == 3
    assert [each.amount for each in ledger.transactions((1, "EUR"))] == [2]
    assert list(ledger) == [(1, "EUR"), (1, "USD")]
    for key in ((1, "CHF"), (2, "EUR")):
        assert key not in ledger
        with pytest.raises(KeyError):
            ledger.transactions(key)
    with pytest.raises(TypeError, match=r"accounts have a currency: look one up by \(client, currency\), not by 1"):
        ledger.transactions(1)


# ---- Opening ---------------------------------------------------------------------------------------


def test_a_directory_without_a_state_is_none_unless_it_is_to_be_a_new_one() -> None:
    os.mkdir("empty")
    for name in ("missing", "empty", "missing/s"):
        with pytest.raises(StateError, match=rf"/{name}: holds no state: check its name, or begin a new state with"):
            txfast.open(name)
    assert (os.listdir("."), os.listdir("empty")) == (["empty"], [])
    for name in ("missing/s", "empty"):
        ledger = txfast.open(name, create=True)
        assert (len(ledger), list(ledger), ledger.get(1)) == (0, [], None)
        assert list(ledger.accounts()) == list(ledger.accounts(changed=True)) == []
        ledger.close()
    assert (os.listdir("."), os.listdir("empty")) == (["empty"], [])


def test_a_new_state_may_be_committed_without_a_row() -> None:
    with txfast.open("s", create=True) as ledger:
        ledger.commit()
    assert len(txfast.open("s")) == 0
    with txfast.open("s") as ledger:
        ledger.commit()
    assert names() == ["lock", "snapshot-1"]


def test_create_goes_on_with_a_state_that_is_there() -> None:
    new_state("deposit,1,1,2")
    new_state("deposit,1,1,2", "deposit,1,2,3")
    assert total_of(1) == 5


def test_what_is_no_directory_is_an_error_of_the_source() -> None:
    Path("file").write_bytes(b"")
    for create in (False, True):
        with pytest.raises(SourceError, match=r"/file: cannot be used as a state directory: Not a directory") as failed:
            txfast.open("file", create=create)
        assert failed.value.errno == errno.ENOTDIR
        with pytest.raises(SourceError, match=r"x\\x00': cannot be used as a state directory: embedded null byte"):
            txfast.open("x\0", create=create)


def test_policy_and_dialect_are_those_of_the_state() -> None:
    given: dict[str, Any] = {"policy": "card", "dialect": {"decimals": 2}}
    new_state("deposit,1,1,2", "dispute,1,1,1", **given)
    for choices in ({}, given, {"policy": "card"}, {"dialect": {"decimals": 2}}):
        ledger = txfast.open("s", **choices)
        assert (str(ledger[1].held), str(ledger.transactions(1)[0].disputed)) == ("1.00", "1.00")
    ledger.apply(rows("resolve,1,1,", "dispute,1,1,2"))
    ledger.commit()
    ledger.close()
    assert txfast.open("s")[1].held == 2
    with pytest.raises(StateError, match=r"by another policy, in which redispute is after-resolve and not never"):
        txfast.open("s", policy="overdraft=none")
    with pytest.raises(StateError, match=r"by another policy"):
        txfast.open("s", policy="")
    with pytest.raises(StateError, match=r"in another dialect"):
        txfast.open("s", dialect={})
    Path("p.toml").write_text('policy = "card"\ndecimals = 3\n')
    with pytest.raises(StateError, match=r"in another dialect"):
        txfast.open("s", profile="p.toml")
    Path("p.toml").write_text('threads = 1\n[policy]\noverdraft = "none"\n')
    with pytest.raises(StateError, match=r"by another policy"):
        txfast.open("s", profile="p.toml")


def test_a_damaged_snapshot_is_passed_over_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    for line in ("deposit,1,1,2", "deposit,1,2,3"):
        new_state(line)
    Path("s/snapshot-2/manifest.json").write_bytes(b"{}")
    with txfast.open("s", logger=logging.getLogger("mine")) as ledger:
        assert ledger[1].total == 2
        ledger.apply(rows("deposit,1,3,5"))
        ledger.commit()
    assert "snapshot-2" in caplog.text
    assert "is used instead" in caplog.text
    assert (names(), total_of(1)) == (["lock", "snapshot-1", "snapshot-3"], 7)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
def test_a_state_of_an_earlier_version_is_opened_and_goes_on(number: int) -> None:
    shutil.copytree(OLD / f"format-{number}", "s")
    loaded = txfast.Ledger.load("s")
    reader = txfast.open("s", threads=2)
    assert list(reader.accounts()) == list(loaded.accounts())
    assert len(reader) == len(loaded)
    assert list(reader.accounts(changed=True)) == []
    for client in loaded:
        assert (reader[client], reader.transactions(client)) == (loaded[client], loaded.transactions(client))
    assert names() == ["snapshot-1"]
    with txfast.open("s") as ledger:
        key: Any = next(iter(ledger))
        client, currency = key if isinstance(key, tuple) else (key, "")
        # Format 5 was saved in a dialect.
        header = b"type,customer,tx,amount,currency\n" if currency else HEADER
        counts = ledger.apply(io.BytesIO(header + f"deposit,{client},123456789,7,{currency}".rstrip(",").encode()))
        expected = txfast.Ledger.load("s")
        assert ledger[key].available - expected[key].available == 7 * counts["applied"]
        assert list(ledger.accounts(changed=True)) == [ledger[key]] * counts["applied"]
        ledger.commit()
        assert list(ledger.accounts(changed=True)) == []
        accounts = list(ledger.accounts())
    assert names() == ["lock", "snapshot-1", "snapshot-2"]
    assert list(txfast.open("s").accounts()) == accounts


def test_a_state_of_an_earlier_version_that_cannot_be_written_anew_stays_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(OLD / "format-4", "s")
    with txfast.open("s") as ledger:
        with monkeypatch.context() as patch:
            patch.setattr(Store, "seal", failures.raising(SourceError("the disk is full", "s")))
            with pytest.raises(OSError, match="the disk is full"):
                ledger.apply(rows("deposit,1,99,1"))
        with pytest.raises(StateError, match="open the state again"):
            ledger.commit()
    assert names() == ["lock", "snapshot-1"]
    assert len(txfast.open("s")) == len(txfast.Ledger.load("s"))


# ---- Readers beside a writer -----------------------------------------------------------------------


def test_a_reader_sees_the_commit_that_was_the_last_when_it_opened_the_state() -> None:
    new_state(*(f"deposit,{client},{client},{client}" for client in range(1, 50)))
    reader = txfast.open("s")
    with many_merges(), txfast.open("s") as writer:
        for tx in range(100, 106):
            writer.apply(rows(f"deposit,7,{tx},1", f"deposit,{tx},{tx},1", "dispute,3,3,"))
            assert total_of(7) == tx - 93
            writer.commit()
            assert total_of(7) == tx - 92
    assert names() == ["lock", "snapshot-6", "snapshot-7"]
    # Its files have lost their names.
    assert [reader[7].total, reader[3].held, len(reader), 100 in reader] == [7, 0, 49, False]
    assert [each.tx for each in reader.transactions(7)] == [7]
    assert [account.total for account in reader.accounts()] == list(range(1, 50))
    with pytest.raises(StateError, match="another run has saved its state there since this ledger was opened"):
        reader.apply(rows("deposit,1,9,1"))
    assert reader[7].total == 7


def test_readers_beside_commits_always_see_a_whole_one() -> None:
    """Each commit moves money between two clients, and so keeps the sum."""
    new_state("deposit,1,1,1000", "deposit,2,1,1000")
    has_ended = threading.Event()
    failed: list[BaseException] = []

    def commit_often() -> None:
        try:
            with txfast.open("s", threads=1) as ledger:
                for tx in range(2, 60):
                    ledger.apply(rows(f"withdrawal,1,{tx},1", f"deposit,2,{tx},1"))
                    ledger.commit()
        except BaseException as error:
            failed.append(error)
        has_ended.set()

    writer = threading.Thread(target=commit_often)
    writer.start()
    seen = set()
    while not has_ended.is_set():
        with txfast.open("s", threads=1) as ledger:
            assert ledger[1].total + ledger[2].total == 2000
            assert sum(account.total for account in ledger.accounts()) == 2000
            assert len(ledger.transactions(2)) == ledger[2].total - 999
            seen.add(ledger[2].total)
    writer.join()
    assert not failed
    assert len(seen) > 1


def test_a_snapshot_that_is_removed_while_it_is_read_is_not_taken_for_a_damaged_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A reader that has listed the snapshots is slow: commits remove the newest of them first."""
    new_state("deposit,1,1,1")
    new_state("deposit,1,2,1")
    identity = OpenState.identity

    def slow(state: OpenState, number: int) -> str:
        monkeypatch.setattr(OpenState, "identity", identity)
        found = identity(state, number)
        shutil.copytree("s/snapshot-1", "kept")
        new_state("deposit,1,3,1")
        new_state("deposit,1,4,1")
        os.rename("kept", "s/snapshot-1")  # as if it were removed later
        return found

    monkeypatch.setattr(OpenState, "identity", slow)
    assert txfast.open("s", logger=logging.getLogger("mine"))[1].total == 4
    assert caplog.text == ""


# ---- Writers ---------------------------------------------------------------------------------------


def test_one_ledger_at_a_time_applies() -> None:
    new_state("deposit,1,1,2")
    first, second = txfast.open("s"), txfast.open("s")
    first.apply(rows("deposit,1,2,1"))
    for use in (
        lambda: second.apply(rows("deposit,1,3,1")),
        lambda: txfast.process(rows("deposit,1,3,1"), state="s"),
        lambda: txfast.Ledger.load("s").save("s"),
    ):
        with pytest.raises(LockedError, match="another run is using it"):
            use()
    first.close()
    assert second.apply(rows("deposit,1,3,1")) == {"applied": 1}
    second.commit()
    second.close()
    assert total_of(1) == 3


@pytest.mark.parametrize(
    "other",
    [
        lambda: new_state("deposit,1,2,1"),
        lambda: txfast.process(rows("deposit,1,2,1"), state="s"),
        lambda: txfast.Ledger.load("s").save("s"),
    ],
    ids=["open", "process", "save"],
)
def test_a_ledger_is_not_committed_over_the_commit_of_another_run(other: Callable[[], object]) -> None:
    new_state("deposit,1,1,2")
    ledger = txfast.open("s")
    other()
    before = total_of(1)
    for _ in range(2):
        with pytest.raises(StateError, match="another run has saved its state there since this ledger was opened"):
            ledger.apply(rows("deposit,1,3,1"))
        ledger.commit()  # of nothing
    # It holds no lock, and can be read.
    new_state("deposit,1,9,1")
    assert [ledger[1].total, total_of(1)] == [2, before + 1]


def test_a_state_that_was_removed_meanwhile_is_not_begun_anew() -> None:
    new_state("deposit,1,1,2")
    ledger = txfast.open("s")
    shutil.rmtree("s")
    with pytest.raises(StateError, match="snapshot-1, from which this ledger goes on, was removed meanwhile"):
        ledger.apply(rows("deposit,1,2,2"))
    assert ledger[1].total == 2


def test_a_commit_over_another_that_the_lock_has_not_kept_out_is_refused() -> None:
    """A file system may not keep the lock."""
    new_state("deposit,1,1,2")
    with txfast.open("s") as ledger:
        ledger.apply(rows("deposit,1,2,2"))
        shutil.copytree("s/snapshot-1", "s/snapshot-2")
        for _ in range(2):
            with pytest.raises(StateError, match="another run has saved its state there"):
                ledger.commit()
        assert ledger[1].total == 4
    assert names() == ["lock", "snapshot-1", "snapshot-2"]


def test_a_ledger_that_ends_without_a_commit_leaves_the_state_as_it_was() -> None:
    new_state("deposit,1,1,2")
    before = {str(path): path.read_bytes() for path in Path("s").rglob("*") if path.is_file()}

    class Mine(Exception):  # noqa: N818 (a test's)
        pass

    def fail_in_the_block() -> None:
        with txfast.open("s") as ledger:
            ledger.apply(rows("deposit,1,2,2"))
            assert list(ledger.accounts(changed=True))
            raise Mine

    def forget() -> None:
        ledger = txfast.open("s")
        ledger.apply(rows("deposit,1,2,2"))
        assert list(ledger.accounts(changed=True))
        assert len(names()) == 3  # a part

    def fail_in_a_generator() -> None:
        def tables() -> Iterator[pa.Table]:
            raise Mine
            yield

        with txfast.open("s") as ledger:
            ledger.apply(tables())

    for use in (fail_in_the_block, fail_in_a_generator):
        with pytest.raises(Mine):
            use()
    forget()
    gc.collect()
    assert {str(path): path.read_bytes() for path in Path("s").rglob("*") if path.is_file()} == before
    assert names() == ["lock", "snapshot-1"]
    new_state("deposit,1,3,2")  # nobody holds the lock


def test_a_process_that_was_forked_takes_nothing_away() -> None:
    new_state("deposit,1,1,2")
    with txfast.open("s") as ledger:
        ledger.apply(rows("deposit,1,2,2"))
        assert list(ledger.accounts(changed=True))
        child = os.fork()
        if not child:  # pragma: no cover (not measured)
            ledger.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        with pytest.raises(LockedError):
            txfast.open("s").apply(rows("deposit,1,2,2"))
        ledger.commit()
    assert total_of(1) == 4


def test_a_closed_ledger_says_so() -> None:
    new_state("deposit,1,1,2")
    ledger = txfast.open("s")
    ledger.apply(rows("deposit,1,2,2"))
    ledger.close()
    ledger.close()
    uses: list[Callable[[], object]] = [
        lambda: ledger[1], lambda: ledger.get(1), lambda: 1 in ledger, lambda: len(ledger), lambda: list(ledger),
        lambda: ledger.transactions(1), ledger.accounts, lambda: ledger.accounts(changed=True), ledger.commit,
        lambda: ledger.apply(rows()), ledger.__enter__,
    ]  # fmt: skip
    for use in uses:
        with pytest.raises(StateError, match=r"/s: this ledger is closed: open it again by txfast\.open"):
            use()
    assert repr(ledger) == f"<txfast ledger in {os.path.abspath('s')}, closed>"


def test_the_directory_is_that_of_the_opening_wherever_the_program_goes() -> None:
    with txfast.open("s", create=True) as ledger:
        os.mkdir("elsewhere")
        os.chdir("elsewhere")
        ledger.apply(rows("deposit,1,1,2"))
        ledger.commit()
    assert os.listdir(".") == []
    assert txfast.open("../s")[1].total == 2


def test_a_commit_keeps_how_far_files_were_read() -> None:
    Path("day.csv").write_bytes(rows("deposit,1,1,2").getvalue())
    txfast.process("day.csv", state="s")
    with txfast.open("s") as ledger:
        assert ledger.apply("day.csv") == {"applied": 0, "duplicate_transaction": 1}
        ledger.apply(rows("deposit,1,2,3"))
        ledger.commit()
    assert txfast.process("day.csv", state="s").stats["rows"] == 0
    with Path("day.csv").open("ab") as file:
        file.write(b"deposit,1,3,4\n")
    assert txfast.process("day.csv", state="s").stats["rows"] == 1
    assert total_of(1) == 9


def test_ledgers_that_nobody_closes_leave_no_file_open() -> None:
    new_state("deposit,1,1,2")
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        assert total_of(1) == 2
    assert len(os.listdir("/proc/self/fd")) == before


def test_threads_may_share_a_ledger() -> None:
    new_state(*(f"deposit,{client},1,1" for client in range(100)))
    failed: list[BaseException] = []
    with txfast.open("s") as ledger:

        def use(tx: int) -> None:
            try:
                for client in range(100):
                    assert ledger[client].total >= 1
                    assert ledger.apply(rows(f"deposit,{client},{tx},1")) == {"applied": 1}
                    assert tx in [each.tx for each in ledger.transactions(client)]
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=use, args=(tx,)) for tx in range(2, 6)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert not failed
        ledger.commit()
    assert {account.total for account in txfast.open("s").accounts()} == {5}


def test_a_state_ledger_is_saved_by_commit_alone() -> None:
    new_state("deposit,1,1,2")
    ledger = txfast.StateLedger.load("s", threads=1)
    assert repr(ledger) == "<txfast ledger of 1 account>"
    with pytest.raises(UsageError, match=r"saved by commit\(\); for a second state, copy the directory"):
        ledger.save("other")
    with pytest.raises(TypeError, match="cannot be pickled: open the directory where it is needed"):
        pickle.dumps(ledger)
    assert os.listdir(".") == ["s"]


@pytest.mark.parametrize("threads", [1, 4])
def test_a_generator_that_uses_the_ledger_is_told_at_once(threads: int) -> None:
    ledger = txfast.open("s", create=True, threads=threads)
    one = pa.table({"type": ["deposit"], "client": [1], "tx": [1], "amount": ["1"]})
    uses: list[Callable[[], object]] = [
        ledger.commit, ledger.close, ledger.accounts, lambda: ledger[1], lambda: ledger.transactions(1),
        ledger.__enter__,
    ]  # fmt: skip

    def tables(use: Callable[[], object]) -> Iterator[pa.Table]:
        yield one
        use()

    for use in uses:
        with pytest.raises(LockedError, match="this ledger is applying the input that this call comes from"):
            ledger.apply(tables(use))
    assert ledger[1].total == 1
    ledger.commit()
    ledger.close()
    assert total_of(1) == 1


# ---- Commits that fail -----------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 3])
def test_a_commit_that_fails_may_be_called_again(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    new_state(*(f"deposit,{client},1,2" for client in range(9)))
    places = [
        (Store, "seal"),
        (Store, "compact"),
        (Store, "link_into"),
        (OpenState, "publish"),
        (OpenState, "new_folder"),
    ]
    with txfast.open("s", threads=threads) as ledger:
        for tx, (owner, name) in enumerate(places, 2):
            ledger.apply(rows(f"deposit,{tx},{tx},1", f"deposit,{tx + 90},1,1"))
            with monkeypatch.context() as patch:
                patch.setattr(owner, name, failures.raising(SourceError("the disk is full", "s")))
                for _ in range(2):
                    with pytest.raises(OSError, match="the disk is full"):
                        ledger.commit()
            assert total_of(tx) == 2
            assert [ledger[tx].total, ledger[tx + 90].total] == [3, 1]
            assert len(ledger) == len(list(ledger))
            ledger.apply(rows(f"deposit,50,{tx},1"))
            changed = [account.client for account in ledger.accounts(changed=True)]
            assert changed == [tx, 50, tx + 90]
            assert len(ledger) == len(list(ledger)) == 9 + tx
            ledger.commit()
            assert (total_of(tx), total_of(50)) == (3, tx - 1)
            assert list(ledger.accounts(changed=True)) == []
    assert names() == ["lock", "snapshot-5", "snapshot-6"]
    assert len(txfast.Ledger.load("s")) == 15


def test_a_commit_whose_rename_fails_may_be_called_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with txfast.open("s", create=True) as ledger:
        ledger.apply(rows("deposit,1,1,2"))
        with monkeypatch.context() as patch:
            failures.fail_renames(patch, "snapshot-1")
            with pytest.raises(SourceError, match="No space left on device"):
                ledger.commit()
        with pytest.raises(StateError, match="holds no state"):
            txfast.open("s")
        ledger.commit()
    assert total_of(1) == 2


def test_a_copy_of_a_segment_that_fails_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system without hard links."""
    new_state("deposit,1,1,2")
    monkeypatch.setattr(os, "link", failures.failing(errno.EPERM))
    with txfast.open("s") as ledger:
        ledger.apply(rows("deposit,2,1,2"))
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "copyfileobj", failures.failing(errno.ENOSPC))
            with pytest.raises(SourceError, match="No space left on device"):
                ledger.commit()
        ledger.commit()
    assert (total_of(1), total_of(2)) == (2, 2)
    assert len(txfast.Ledger.load("s")) == 2


def test_no_folder_for_accounts_that_were_changed_is_an_error_of_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    with txfast.open("s", create=True) as ledger:
        ledger.apply(rows("deposit,1,1,2"))
        monkeypatch.setattr("txfast.state.open_state.mkdtemp", failures.failing(errno.ENOSPC))
        with pytest.raises(SourceError, match="cannot be written: No space left on device"):
            ledger.accounts(changed=True)
        ledger.commit()
    assert total_of(1) == 2


# ---- Damage ----------------------------------------------------------------------------------------


def damage(sort: str) -> str:
    """Change a byte of the first page of rows in a segment."""
    [path] = Path("s/snapshot-1").glob(f"{sort}-*.arrow")
    content = bytearray(path.read_bytes())
    content[page_start(0) + 600] ^= 1
    path.write_bytes(content)
    return path.name


def test_damaged_accounts_are_told_when_they_are_read() -> None:
    new_state(*(f"deposit,{client},1,2" for client in range(1000)))
    name = damage("accounts")
    ledger = txfast.open("s")
    reads: list[Callable[[], object]] = [
        lambda: ledger[1], lambda: ledger.get(1), lambda: ledger.transactions(1), lambda: list(ledger),
        ledger.accounts,
    ]  # fmt: skip
    for read in reads:
        with pytest.raises(StateError, match=rf"{name}: .*damaged"):
            read()
    assert len(ledger) == 1000
    # Once rows need them, a part of what they need may be in the ledger.
    with pytest.raises(StateError, match=rf"{name}: .*damaged"):
        ledger.apply(rows("deposit,1,2,2"))
    with pytest.raises(StateError, match="could not be applied to its end: open the state again, which is as it was"):
        ledger.commit()
    ledger.close()
    assert names() == ["lock", "snapshot-1"]


def test_damaged_transactions_are_told_when_they_are_read() -> None:
    new_state("deposit,1,1,2", "deposit,2,1,2")
    name = damage("entries")
    with txfast.open("s") as ledger:
        assert ledger[1].total == 2
        assert len(list(ledger.accounts())) == 2
        with pytest.raises(StateError, match=rf"{name}: .*damaged"):
            ledger.transactions(1)
        # Rows that do not need them.
        assert ledger.apply(rows("deposit,1,2,2")) == {"applied": 1}
        ledger.commit()
        with pytest.raises(StateError, match=rf"{name}: .*damaged"):
            ledger.apply(rows("dispute,1,1,"))
        assert repr(ledger) == "<txfast ledger, broken>"
    assert total_of(1) == 4


# ---- Ctrl-C ----------------------------------------------------------------------------------------


@contextmanager
def interrupted(owner: type, name: str, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Inside, Ctrl-C comes before this method does its work."""
    method = getattr(owner, name)

    def press(self: Any, *given: Any, **named: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return method(self, *given, **named)

    with patch.context() as inside:
        inside.setattr(owner, name, press)
        yield


@pytest.mark.parametrize("name", ["seal", "compact", "link_into"])
def test_a_ctrl_c_waits_for_the_end_of_a_commit(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with txfast.open("s", create=True) as ledger:
        ledger.apply(rows("deposit,1,1,2"))
        with interrupted(Store, name, monkeypatch), pytest.raises(KeyboardInterrupt):
            ledger.commit()
        assert total_of(1) == 2
        ledger.apply(rows("deposit,1,2,2"))
        ledger.commit()
    assert total_of(1) == 4


def test_a_handler_of_a_program_that_raises_in_a_commit_breaks_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(BaseException):
        pass

    def handle(*_: object) -> None:
        raise Mine

    new_state("deposit,1,1,2")
    with txfast.open("s") as ledger:
        ledger.apply(rows("deposit,1,2,2"))
        signal.signal(signal.SIGINT, handle)
        with interrupted(Store, "compact", monkeypatch), pytest.raises(Mine):
            ledger.commit()
        with pytest.raises(StateError, match="open the state again, which is as it was committed last"):
            ledger.commit()
    assert (total_of(1), names()) == (2, ["lock", "snapshot-1"])


@pytest.mark.parametrize("threads", [1, 4])
def test_a_ctrl_c_in_apply_leaves_the_state_as_it_was(threads: int) -> None:
    new_state("deposit,1,1,2")
    text = io.BytesIO(HEADER + b"deposit,1,3,1\n" * 500_000)

    class Pressed(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            if text.tell() > 3_000_000:
                signal.raise_signal(signal.SIGINT)
            return text.readinto(buffer)

    with txfast.open("s", threads=threads) as ledger:
        with pytest.raises(KeyboardInterrupt):
            ledger.apply(Pressed())
        with pytest.raises(StateError, match="could not be applied to its end"):
            ledger.commit()
    assert total_of(1) == 2


def test_a_ctrl_c_while_a_state_is_opened_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    new_state("deposit,1,1,2")
    before = len(os.listdir("/proc/self/fd"))
    with interrupted(OpenState, "identity", monkeypatch), pytest.raises(KeyboardInterrupt):
        txfast.open("s")
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before
    new_state("deposit,1,2,2")
