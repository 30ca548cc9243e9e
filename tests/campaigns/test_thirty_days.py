"""A few days and commits of thirty_days.py and readers_beside_commits.py; and faults that they must find."""

from __future__ import annotations

import io
import random
import shutil
from pathlib import Path

import pytest

import txfast
from tests.campaigns import readers_beside_commits, thirty_days
from tests.campaigns.readers_beside_commits import QUIET, TornError
from tests.campaigns.thirty_days import Days, PromiseError, Way
from tests.support.random_days import EarlyRows
from tests.support.rows import Row, make_file

pytestmark = [pytest.mark.slow, pytest.mark.untraced, pytest.mark.unmeasured]

PLAIN = Way("one", ("--threads", "1"), 0, "")
TASKS = Way("tasks", ("--shards", "2", "--range-size", "2000"), 0, "")


def test_days_that_are_run_in_other_ways_keep_what_a_state_promises(tmp_path: Path) -> None:
    days = thirty_days.run_days(tmp_path, seed=3, days=4, rows=300, engines=["one", "tasks"])
    assert days.counts["one"]
    assert days.counts["tasks"]
    assert days.early.duplicates > 50
    assert days.early.disputes > 50


def test_a_day_that_a_state_has_lost_is_found(tmp_path: Path) -> None:
    days = Days(tmp_path, random.Random(1), "growing", clients=20)
    for _ in range(2):
        days.run_day(TASKS, 100)
    shutil.rmtree(days.state)
    (tmp_path / "state.before").rename(days.state)
    with pytest.raises(PromiseError, match="the rejects differ"):
        days.run_day(PLAIN, 100)


PAID, TAKEN, DISPUTED = Row("deposit", 1, 1, 5), Row("withdrawal", 1, 2, 5), Row("dispute", 1, 1)


@pytest.mark.parametrize(
    ("rows", "reasons", "wrong"),
    [
        ([PAID, TAKEN, DISPUTED], ["duplicate_transaction", "duplicate_transaction", ""], 0),
        ([TAKEN._replace(tx=1)], ["duplicate_transaction"], 0),
        ([TAKEN._replace(tx=1)], [""], 1),
        ([PAID, TAKEN], ["insufficient_funds", ""], 2),
        ([DISPUTED, DISPUTED], ["", "duplicate_dispute"], 0),
        ([DISPUTED, DISPUTED], ["transaction_not_found", "transaction_not_found"], 2),
        ([DISPUTED, Row("chargeback", 1, 1), PAID], ["", "", "account_locked"], 0),
        ([DISPUTED, Row("chargeback", 1, 1), Row("reversal", 1, 1), PAID], ["", "", "", "account_locked"], 1),
        ([PAID._replace(client=2), DISPUTED._replace(client=2)], ["", ""], 0),
    ],
)
def test_what_is_promised_of_earlier_days_is_checked(rows: list[Row], reasons: list[str], wrong: int) -> None:
    early = EarlyRows()
    assert early.check_day([PAID, TAKEN], ["", ""]) == []
    assert len(early.check_day(rows, reasons)) == wrong


# ---- Readers beside commits ------------------------------------------------------------------------


def test_readers_see_whole_commits(tmp_path: Path) -> None:
    reads, wrong = readers_beside_commits.watch(tmp_path, commits=12, seed=1)
    assert wrong == []
    assert [each["last"] for each in reads] == [12, 12]


@pytest.mark.parametrize("way", readers_beside_commits.WAYS)
def test_half_a_commit_is_found_and_so_is_an_older_one(tmp_path: Path, way: str) -> None:
    readers_beside_commits.begin(tmp_path)
    readers_beside_commits.commit_by_open(tmp_path, [1, 2])
    assert readers_beside_commits.look(tmp_path / "state", way, last=2) == 2
    with pytest.raises(TornError, match="after commit 3 was seen"):
        readers_beside_commits.look(tmp_path / "state", way, last=3)
    half = make_file(readers_beside_commits.moves(3)[::2])
    txfast.process(io.BytesIO(half), state=tmp_path / "state", logger=QUIET)
    with pytest.raises(TornError, match="no commit left"):
        readers_beside_commits.look(tmp_path / "state", way, last=2)
