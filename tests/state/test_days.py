"""Days of a state, each run in another way: what the accounts and the rejects are does not depend on the days, nor on
threads, memory, checkpoints, kills or compaction."""

from __future__ import annotations

import csv
import io
import random
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import txfast
from tests.support import strategies
from tests.support.command import Folder
from tests.support.currencies import any_currency_dialects, make_currency_file
from tests.support.days import (
    ReferenceDays,
    Way,
    any_ways,
    assert_stats,
    compact,
    content_of_day,
    rows_of_days,
    run_day,
)
from tests.support.profiles import examples
from tests.support.reference import ACCOUNTS_HEADER, HEADER
from tests.support.reference_dialect_run import Replay as DialectReplay
from tests.support.replays import run_reference
from tests.support.rows import Row, make_file
from tests.support.segment_rows import rows_of_snapshot
from tests.support.states import STATE, accounts
from tests.support.text_ids import any_text_dialects, make_text_file
from txfast.command.arguments import parse_arguments
from txfast.command.main import replay_files
from txfast.dialect.dialect import Dialect
from txfast.log.journal import Journal
from txfast.run.books import Books
from txfast.run.plan import make_plan
from txfast.state import verify
from txfast.state.directory import StateDirectory

PLAIN = Way(threads=(1,), reader="native", block_bytes=200, limit=1 << 30, parts=1, kills=(), compacts=False, fan_out=4)


def reasons_in(path: Path) -> list[str]:
    """The reasons in a file of rejects."""
    with open(path, newline="", errors="surrogateescape") as file:
        return [row["reason"] for row in csv.DictReader(file)]


def verified(state: Path) -> None:
    """Read all of a state and prove it."""
    directory = StateDirectory(str(state), pytest.fail)
    directory.open_to_read()
    books = Books(make_plan(cores=1, memory_used=0))
    assert list(verify.describe(directory, books.check))
    directory.discard()


@pytest.mark.untraced
@given(rows_of_days(), st.lists(any_ways, min_size=5, max_size=5), st.just("") | strategies.policies())
def test_days_in_any_way_give_what_one_run_gives(days: list[list[Row]], ways: list[Way], policy: str) -> None:
    expected = ReferenceDays(policy)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for number, (rows, way) in enumerate(zip(days, ways, strict=False)):
            name, content = f"{number}.csv", content_of_day(number, rows)
            expected.read(name, content)

            def check(result: txfast.Result[None], accounts: bytes = expected.replay.accounts_csv()) -> None:
                result.accounts.write(folder / "out.csv")
                assert (folder / "out.csv").read_bytes() == accounts

            stats = run_day(folder, name, content, way, policy, check)
            assert_stats(stats, expected)
            if way.keeps_rejects:
                assert reasons_in(folder / "r.csv") == expected.reasons
            verified(folder / "state")
        ledger = txfast.Ledger.load(folder / "state")
        assert [(each.client, each.available, each.held, each.locked) for each in ledger.accounts()] == [
            (each.client, each.available, each.held, each.locked) for each in txfast.process(
                *(folder / f"{number}.csv" for number in range(len(days))), policy=policy
            ).accounts
        ]  # fmt: skip


@pytest.mark.untraced
@examples(0.6)
@given(
    rows_of_days(), st.lists(any_ways, min_size=5, max_size=5), st.just("") | strategies.policies(),
    any_text_dialects | any_currency_dialects,
)  # fmt: skip
def test_days_of_texts_and_currencies_in_any_way_give_what_one_run_gives(
    days: list[list[Row]], ways: list[Way], policy: str, dialect: Dialect
) -> None:
    expected = DialectReplay(dict(dialect), policy)
    make = make_text_file if dialect.currencies is None else make_currency_file
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for number, (rows, way) in enumerate(zip(days, ways, strict=False)):
            name, content = f"{number}.csv", b"\n" * number + make(rows, dialect)
            before = len(expected.rejects)
            expected.read(name, content)
            found: list[tuple[object, ...]] = []

            def take(result: txfast.Result[None], found: list[tuple[object, ...]] = found) -> None:
                found += map(tuple, result.accounts)

            # The arrow reader refuses some texts.
            run_day(folder, name, content, way._replace(reader="native"), policy, take, dialect)
            assert found == list(map(tuple, expected.accounts()))
            if way.keeps_rejects:
                assert reasons_in(folder / "r.csv") == [each.reason for each in expected.rejects[before:]]
        assert list(map(tuple, txfast.Ledger.load(folder / "state").accounts())) == found


# ---- What early days have applied ------------------------------------------------------------------

CLIENTS, DAYS, ROWS = 60, 12, 80


def random_days(ids: str) -> list[list[Row]]:
    """Deposits and withdrawals whose ids grow over all clients, grow in each, or are random."""
    chance = random.Random(ids)
    grown = dict.fromkeys(range(CLIENTS), 0)
    days: list[list[Row]] = []
    last = 0
    for _ in range(DAYS):
        rows = []
        for _ in range(ROWS):
            client = chance.randrange(CLIENTS)
            grown[client] += 1
            last += 1
            tx = {"growing": last, "by client": grown[client], "random": chance.randrange(1 << 64)}[ids]
            rows.append(Row(chance.choice(["deposit", "deposit", "withdrawal"]), client, tx, chance.randrange(1, 90)))
        days.append(rows)
    return days


WAYS = [
    PLAIN,
    PLAIN._replace(threads=(3,), block_bytes=90),
    PLAIN._replace(limit=7, parts=2),
    PLAIN._replace(limit=0, threads=(2,)),
    PLAIN._replace(kills=(2, 1, 3), threads=(1, 4)),
    PLAIN._replace(reader="arrow"),
    PLAIN._replace(fan_out=2),
    PLAIN._replace(compacts=True),
]


@pytest.mark.untraced
@pytest.mark.parametrize("ids", ["growing", "by client", "random"])
def test_each_id_of_an_early_day_is_known_on_a_late_one(tmp_path: Path, ids: str) -> None:
    """All deposits and withdrawals that were applied are duplicates; disputes find them."""
    chance = random.Random(1)
    expected = ReferenceDays()
    days = random_days(ids)
    for number, rows in enumerate(days):
        content = content_of_day(number, rows)
        expected.read(f"{number}.csv", content)
        assert_stats(run_day(tmp_path, f"{number}.csv", content, WAYS[number % len(WAYS)], ""), expected)
    known = [row for rows in days for row in rows if (row.client, row.tx) in expected.replay.payments]
    again = [row._replace(kind=chance.choice(["deposit", "withdrawal"]), amount=1) for row in known]
    chance.shuffle(again)
    for number, way in enumerate(WAYS):
        stats = run_day(tmp_path, f"again-{number}.csv", content_of_day(DAYS + number, again), way, "")
        assert stats["applied"]["deposit"] == stats["applied"]["withdrawal"] == 0
        assert stats["rejected"]["duplicate_transaction"] == len(again)
    # A third of the deposits comes into dispute, by different ways; what the days after it do finds that.
    deposits = [row for row in known if row.kind == "deposit"]
    kinds = ("dispute", "dispute", "resolve", "chargeback", "dispute", "refund")
    for number, (kind, way) in enumerate(zip(kinds, WAYS, strict=False)):
        rows = [row._replace(kind=kind, amount=None) for row in deposits[number % 2 :: 3]]
        chance.shuffle(rows)
        content = content_of_day(number, rows)
        expected.read(f"{kind}-{number}.csv", content)
        assert_stats(run_day(tmp_path, f"{kind}-{number}.csv", content, way, ""), expected)
    ledger = txfast.Ledger.load(tmp_path / "state")
    ledger.accounts().write(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == expected.replay.accounts_csv()


@pytest.mark.untraced
@pytest.mark.parametrize("keeps_rejects", [False, True])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("kills", [(1,), (2,), (2, 1), (3, 1)])
def test_a_checkpoint_among_batches_that_are_looked_up_together_loses_nothing(
    tmp_path: Path, threads: int, kills: tuple[int, ...], keeps_rejects: bool
) -> None:
    """What later batches of them change is in no checkpoint before, and in the next one."""
    expected = ReferenceDays("card")
    first = [Row("deposit", client, tx, 100) for client in range(3) for tx in range(20)]
    second = [Row(kind, client, tx, 7) for tx in range(20) for kind in ("dispute", "refund") for client in range(3)]
    # Some of the same batches, some of earlier days.
    second[::7] = [Row("deposit", row.client, 100 + row.tx, 5) for row in second[::7]]
    for number, rows in enumerate((first, second, [row._replace(kind="resolve") for row in second])):
        content = content_of_day(number, rows)
        expected.read(f"{number}.csv", content)
        way = PLAIN._replace(threads=(threads,), kills=kills, keeps_rejects=keeps_rejects)
        assert_stats(run_day(tmp_path, f"{number}.csv", content, way, "card"), expected)
        verified(tmp_path / "state")


def test_what_a_day_costs_is_what_is_new(folder: Folder) -> None:
    """A day of one client writes that account and its transactions, whatever else the state has."""
    rows = [Row("deposit", client, client, 10_000) for client in range(5_000)]
    folder.write("first.csv", make_file(rows))
    accounts(folder, "first.csv")
    first = folder.path / "state" / "snapshot-1"
    before = {path.name: path.stat().st_ino for path in first.glob("*.arrow")}
    folder.write("second.csv", make_file([Row("deposit", 7, 9_000, 1), Row("dispute", 9, 9)]))
    accounts(folder, "second.csv")
    second = folder.path / "state" / "snapshot-2"
    after = {path.name: path.stat() for path in second.glob("*.arrow")}
    assert {name: after[name].st_ino for name in before} == before
    new = [stat.st_size for name, stat in after.items() if name not in before]
    assert len(new) == 3  # two accounts, an entry, and a change
    assert sum(new) < 3 * (80 << 10)
    found = rows_of_snapshot(second)
    assert [row["state"] for row in found.entries if row["client"] == 9] == [1]
    assert len(found.accounts) == 5_000


# ---- Readers beside commits ------------------------------------------------------------------------


def test_readers_beside_commits_see_a_whole_commit(tmp_path: Path) -> None:
    """Each day moves the same amount between clients, so that each whole commit has the same total."""
    first = [Row("deposit", client, client, 1_000_000) for client in range(40)]
    (tmp_path / "0.csv").write_bytes(make_file(first))
    txfast.process(tmp_path / "0.csv", state=tmp_path / "state")
    seen: list[int] = []
    failures: list[BaseException] = []
    is_over = threading.Event()

    def totals() -> Iterator[int]:
        yield sum(int(account.total * 10_000) for account in txfast.Ledger.load(tmp_path / "state").accounts())
        with txfast.open(tmp_path / "state") as ledger:
            yield sum(int(account.total * 10_000) for account in ledger.accounts())
            yield sum(int(ledger[client].total * 10_000) for client in range(40))

    def read() -> None:
        try:
            while not is_over.is_set():
                seen.extend(totals())
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for day in range(1, 26):
            rows = []
            for pair in range(0, 40, 2):
                tx = 1_000 * day + pair
                rows += [Row("withdrawal", pair, tx, 100), Row("deposit", pair + 1, tx, 100)]
            (tmp_path / f"{day}.csv").write_bytes(make_file(rows))
            txfast.process(tmp_path / f"{day}.csv", state=tmp_path / "state")
            if day % 8 == 0:
                compact(tmp_path / "state")
    finally:
        is_over.set()
        for reader in readers:
            reader.join(60)
    assert failures == []
    assert len(seen) > 10
    assert set(seen) == {40 * 1_000_000}


def test_a_reader_keeps_what_it_has_opened_while_commits_replace_it(tmp_path: Path) -> None:
    (tmp_path / "0.csv").write_bytes(make_file([Row("deposit", client, client, 10_000) for client in range(9)]))
    txfast.process(tmp_path / "0.csv", state=tmp_path / "state")
    with txfast.open(tmp_path / "state") as ledger:
        assert ledger[1].available == 1
        for day in range(1, 5):
            (tmp_path / f"{day}.csv").write_bytes(make_file([Row("deposit", 2, 100 + day, 10_000)]))
            txfast.process(tmp_path / f"{day}.csv", state=tmp_path / "state")
        assert not (tmp_path / "state" / "snapshot-1").exists()
        assert ledger[2].available == 1
        assert [account.available for account in ledger.accounts()] == [1] * 9
    with txfast.open(tmp_path / "state") as ledger:
        assert ledger[2].available == 5


def test_accounts_are_printed_though_commits_remove_what_was_found(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run has found the last snapshot, and has read no account yet, when two other ones end."""
    for day in (1, 2):
        txfast.process(io.BytesIO(HEADER + b"deposit,1,%d,5\n" % day), state=folder.path / "state")
    load = StateDirectory.load

    def load_late(self: StateDirectory, *arguments: Any) -> None:
        load(self, *arguments)
        monkeypatch.setattr(StateDirectory, "load", load)
        for day in (3, 4):
            txfast.process(io.BytesIO(HEADER + b"deposit,1,%d,5\n" % day), state=folder.path / "state")
        assert not (folder.path / "state" / "snapshot-2").exists()

    monkeypatch.setattr(StateDirectory, "load", load_late)
    monkeypatch.setattr(sys, "stdin", None)  # pytest's own is no file
    settings = parse_arguments(["--state", str(folder.path / "state"), "-o", str(folder.path / "out.csv")])
    replay_files(settings, Journal(quiet=True))
    assert folder.read("out.csv") == ACCOUNTS_HEADER + b"1,10.0000,0.0000,10.0000,false\n"


def test_a_day_without_a_change_writes_nothing(folder: Folder) -> None:
    folder.write("a.csv", HEADER + b"deposit,1,1,5\n")
    assert accounts(folder, "a.csv") == ACCOUNTS_HEADER + b"1,5.0000,0.0000,5.0000,false\n"
    folder.write("b.csv", HEADER + b"withdrawal,1,2,9\n")
    accounts(folder, "b.csv")  # its position is new
    first, second = (folder.path / "state" / f"snapshot-{number}" for number in (1, 2))
    assert sorted(path.name for path in second.glob("*.arrow")) == sorted(path.name for path in first.glob("*.arrow"))
    accounts(folder, "b.csv")
    assert not second.with_name("snapshot-3").exists()
    expected = run_reference([("a.csv", folder.read("a.csv")), ("b.csv", folder.read("b.csv"))])
    assert folder.run(*STATE).output == expected.accounts
