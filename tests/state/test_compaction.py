"""Which runs of segments are merged, how much at a time, and what a merge that is half done gives."""

from __future__ import annotations

import json
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import txfast
from tests.support.command import Folder
from tests.support.reference import Replay
from tests.support.rows import Row, make_file
from tests.support.segment_rows import rows_of
from tests.support.states import STATE, change_manifest, files_of
from txfast.state import compaction, manifest
from txfast.state.compaction import FAN_OUT, RUNS_MAX, TIER_ROWS_MIN, greatest_overlap, next_merge, tier_of


def run_of(rows: int, tx_min: int = 0, tx_max: int = 0) -> Any:
    """A run of one segment."""
    segment = SimpleNamespace(rows=rows, tx_min=tx_min, tx_max=tx_max)
    return [SimpleNamespace(segment=segment, description={"tx_min": tx_min, "tx_max": tx_max})]


def runs_of(*tiers: int) -> list[Any]:
    """Runs of these tiers, which overlap."""
    return [run_of(TIER_ROWS_MIN * FAN_OUT**tier) for tier in tiers]


def begun(runs: list[Any]) -> tuple[int, int] | None:
    """The first run and the number of runs that are merged next."""
    found = next_merge(runs)
    return None if found is None else (found.first, found.count)


def test_runs_of_about_the_same_size_are_merged_once_there_are_enough() -> None:
    assert [tier_of(run) for run in runs_of(0, 1, 2, 3)] == [0, 1, 2, 3]
    assert tier_of(run_of(1)) == tier_of(run_of(TIER_ROWS_MIN)) == 0
    assert begun(runs_of(0, 0, 0, 0)) is None  # a look-up meets four at most
    assert begun(runs_of(0, 0, 0, 0, 0)) == (0, 5)
    assert begun(runs_of(3, 0, 0, 0, 0)) == (1, 4)
    assert begun(runs_of(3, 2, 1, 0, 0)) is None
    assert begun(runs_of(3, 2, 1, 0, 0, 0)) is None
    assert begun(runs_of(3, 1, 1, 1, 1, 0)) == (1, 4)
    assert begun(runs_of(3, 1, 1, 1, 1, 0, 0, 0, 0)) == (5, 4)
    # Smaller ones before a larger one are merged with it.
    assert begun(runs_of(3, 0, 1, 0, 1)) == (1, 4)


def test_runs_that_no_transaction_can_be_in_together_are_left_apart() -> None:
    apart = [run_of(10, 100 * number, 100 * number + 99) for number in range(RUNS_MAX)]
    assert greatest_overlap(apart) == 1
    assert begun(apart) is None
    found = begun([*apart, run_of(10, 10**6, 10**6)])  # there would be too many files
    assert found == (0, RUNS_MAX + 1)
    overlapping = [run_of(10, 100 * number, 100 * number + 399) for number in range(9)]
    assert greatest_overlap(overlapping) == 4
    assert begun(overlapping) is None
    assert begun([*overlapping, run_of(10, 0, 10**9)]) == (0, 10)


def test_ids_that_meet_at_the_ends_of_ranges_overlap() -> None:
    assert greatest_overlap([run_of(1, 1, 5), run_of(1, 5, 9)]) == 2
    assert greatest_overlap([run_of(1, 1, 5), run_of(1, 6, 9)]) == 1
    assert greatest_overlap([]) == 0


@given(st.lists(st.integers(0, 4), max_size=80))
def test_there_are_never_many_runs_of_a_tier(tiers: list[int]) -> None:
    """Whatever runs come, each is merged a few times, until no merge is due."""
    runs: list[Any] = []
    for tier in tiers:
        runs += runs_of(tier)
        while (found := next_merge(runs)) is not None:
            assert found.count >= 2
            rows = sum(run[0].segment.rows for run in runs[found.first : found.first + found.count])
            runs[found.first : found.first + found.count] = [run_of(rows)]
        sizes = [tier_of(run) for run in runs]
        assert len(runs) <= RUNS_MAX
        assert max(map(sizes.count, sizes), default=0) < 2 * FAN_OUT


# ---- In commits ------------------------------------------------------------------------------------


def run_days(folder: Path, days: int, monkeypatch: pytest.MonkeyPatch, **constants: int) -> Replay:
    """Days with few new rows each, and these constants of compaction; the reference after them."""
    for name, value in constants.items():
        monkeypatch.setattr(compaction, name, value)
    replay = Replay()
    for number in range(days):
        chance = random.Random(number)
        kinds = ("deposit", "deposit", "withdrawal", "dispute", "resolve")
        rows = [Row(chance.choice(kinds), chance.randrange(300), chance.randrange(900), 100) for _ in range(200)]
        content = make_file(rows)
        (folder / f"{number}.csv").write_bytes(content)
        replay.read(f"{number}.csv", content)
        result = txfast.process(folder / f"{number}.csv", state=folder / "state")
        result.accounts.write(folder / "out.csv")
        assert (folder / "out.csv").read_bytes() == replay.accounts_csv()
    return replay


def newest(folder: Path) -> Path:
    return max((folder / "state").glob("snapshot-*"), key=lambda path: int(path.name.partition("-")[2]))


def test_a_commit_merges_a_few_times_what_it_adds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replay = run_days(
        tmp_path, 14, monkeypatch, STEP_ROWS_MIN=1, STEPS=10**6, ROWS_PER_NEW_ROW=1, FAN_OUT=2, OVERLAPS_MAX=1,
        TIER_ROWS_MIN=4,
    )  # fmt: skip
    merges: list[dict[str, Any]] = []
    for number in range(14, 22):
        before = set(files_of(newest(tmp_path)))
        (tmp_path / "day.csv").write_bytes(b"\n" * number + make_file([Row("deposit", 7, 10_000 + number, 1)]))
        txfast.process(tmp_path / "day.csv", state=tmp_path / "state")
        replay.read("day.csv", (tmp_path / "day.csv").read_bytes())
        snapshot = newest(tmp_path)
        merges.append(json.loads((snapshot / manifest.NAME).read_bytes())["merges"])
        new = [name for name in files_of(snapshot) if name not in before]
        # The account and the entry of the row; and what was merged: all rows of a client at least.
        assert len(rows_of([snapshot / name for name in new])) < 100
        ledger = txfast.Ledger.load(tmp_path / "state")
        ledger.accounts().write(tmp_path / "out.csv")
        assert (tmp_path / "out.csv").read_bytes() == replay.accounts_csv()
    assert sum("entries" in each for each in merges) > 3
    # A merge goes on where it ended.
    words = [each["entries"]["next_word"] for each in merges if "entries" in each]
    assert words != sorted(words, reverse=True)


@pytest.mark.parametrize("sort", ["accounts", "entries"])
@pytest.mark.parametrize(
    "change", [{"first": -1}, {"first": 99}, {"count": 0}, {"count": 99}, {"next_word": -1}, {"next_word": 1 << 64},
               {"next_word": None}, {"first": "0"}, {"count": 1.0}],
)  # fmt: skip
def test_a_merge_that_cannot_be_is_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sort: str, change: dict[str, object]
) -> None:
    run_days(tmp_path, 6, monkeypatch, STEP_ROWS_MIN=1, ROWS_PER_NEW_ROW=0, FAN_OUT=2, OVERLAPS_MAX=1)
    snapshot = newest(tmp_path)
    merges = json.loads((snapshot / manifest.NAME).read_bytes())["merges"]
    assert set(merges) >= {"accounts", "entries"}
    for folder in (tmp_path / "state").glob("snapshot-*"):
        change_manifest(folder, merges={**merges, sort: {**merges[sort], **change}})
    Folder(tmp_path).run(*STATE).assert_failed(f"manifest.json: is damaged: merges: {sort}: ", "is not what it should")


# ---- Over many commits -----------------------------------------------------------------------------

WORDS = 1 << 40  # of clients, over which the rows of a segment are spread evenly


def segment_of(rows: float, first: int = 0, end: int = WORDS) -> Any:
    segment = SimpleNamespace(rows=rows, first=(first, 0), last=(end, 0))
    return SimpleNamespace(segment=segment, description={"tx_min": 0, "tx_max": 0})


def rows_between(runs: list[Any], first: int, end: int) -> float:
    """The rows of runs from one word to before another."""
    rows = 0.0
    for each in (each.segment for run in runs for each in run):
        words = min(end, each.last[0]) - max(first, each.first[0])
        rows += each.rows * max(0, words) / (each.last[0] - each.first[0])
    return rows


def merge_rows(_: Any, __: str, inputs: list[Any], ___: str, from_word: int, rows_max: int) -> tuple[list[Any], Any]:
    """What `merged_run` does, with numbers of rows alone."""
    if rows_between(inputs, from_word, WORDS) <= rows_max:
        return [segment_of(rows_between(inputs, from_word, WORDS), from_word)], None
    low, high = from_word, WORDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if rows_between(inputs, from_word, middle) < rows_max else (low, middle)
    return [segment_of(rows_between(inputs, from_word, high), from_word, high)], high


@pytest.mark.parametrize("rows_before", [0, 10_000_000])
def test_small_days_leave_few_runs_and_files(monkeypatch: pytest.MonkeyPatch, rows_before: int) -> None:
    """Each step of a merge makes a file, and new runs come while it goes on."""
    monkeypatch.setattr(compaction, "merged_run", merge_rows)
    runs = [[segment_of(rows_before)]] if rows_before else []
    store = SimpleNamespace(runs={"accounts": runs}, merges={})
    written = 0.0
    for day in range(1_000):
        runs.append([segment_of(1_000)])
        before = {id(each) for run in runs for each in run}
        compaction.compact(store, "", {"accounts": 1_000}, {})
        added = sum(each.segment.rows for run in runs for each in run if id(each) not in before)
        assert added <= (8_000 if day < 100 else compaction.STEP_ROWS_MAX)
        written += 1_000 + added
        assert len(runs) <= RUNS_MAX
        assert sum(map(len, runs)) <= 2 * RUNS_MAX
    assert written <= 6 * 1_000 * 1_000
    assert sum(each.segment.rows for run in runs for each in run) >= rows_before + 999_000
