"""The benchmark scripts run at a tiny size, and report everything. No test checks a time."""

from __future__ import annotations

import argparse
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec
from pathlib import Path

import days
import dialects
import formats
import measure
import pytest
import queries
import quotes
import rivals
import scale
import store
from contestants import BY_HAND, DUCKDB, PANDAS, POLARS, REPLAY, SUM, Contestant
from measure import BenchError
from rivals import Race

pytestmark = pytest.mark.unmeasured

RIVALS = (POLARS, DUCKDB, PANDAS)
MEGABYTE = measure.MEGABYTE


def run_script(module_file: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a user does, with all its files in `folder`."""
    paths = ("--cache", str(folder / "cache"), "-o", str(folder / "results.md"))
    command = [sys.executable, module_file, *arguments, *paths]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def section(page: str, name: str) -> str:
    return page.partition(f"<!-- {name}: begin -->\n")[2].partition(f"<!-- {name}: end -->\n")[0]


def table_of(text: str) -> list[list[str]]:
    """The cells of a section's only table, without its header."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def contestant(name: str, program: str, *, task: str = REPLAY, package: str = "") -> Contestant:
    return Contestant(name, task, [sys.executable, "-c", program], package=package)


def race_of(*contestants: Contestant) -> Race:
    return Race(contestants, total_rows=10)


@pytest.mark.slow
@pytest.mark.untraced
def test_quotes_are_measured_against_the_same_rows_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--rows", "3000", "--clients", "20", "--runs", "1", "--cache", str(tmp_path)]
    monkeypatch.setattr(quotes, "TIMES_MAX", {"a quoted note a row": 1000.0})
    assert quotes.main([*arguments, "-o", str(tmp_path / "results.md")]) == 0
    table = table_of(section((tmp_path / "results.md").read_text(), "quotes"))
    assert [cells[0] for cells in table] == list(quotes.FILES)
    assert [cells[3] for cells in table[:3]] == ["", "1000.00", ""]
    monkeypatch.setattr(quotes, "TIMES_MAX", {"no quotes": 0.5})
    assert quotes.main([*arguments, "-o", str(tmp_path / "results.md")]) == 1
    monkeypatch.setattr(quotes, "txfast_command", lambda *_: [sys.executable, "-c", "raise SystemExit(1)"])
    assert quotes.main([*arguments, "-o", str(tmp_path / "results.md")]) == 1


@pytest.mark.slow
@pytest.mark.untraced
def test_what_rows_cost_beside_a_state_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BASE_ROWS", 7_000)
    (tmp_path / "cache").mkdir()
    arguments = ["--transactions", "20000", "--accounts", "300", "--rounds", "2", "--rows", "100,1e3"]
    arguments += ["--cache", str(tmp_path / "cache"), "-o", str(tmp_path / "results.md")]
    for _ in range(2):  # the second time over the states that are kept
        assert store.main(arguments) == 0
        table = table_of(section((tmp_path / "results.md").read_text(), "store"))
        assert [cells[:2] for cells in table] == [
            [pattern, rows] for pattern in store.PATTERNS for rows in ("100", "1,000")
        ]
        assert [cells[-1] for cells in table[:2]] == [cells[-1] for cells in table[2:]]
    (tmp_path / "cache" / "store-growing-20000-300" / "runs.json").unlink()
    assert store.main(arguments) == 0, "files of a run that did not end are removed"
    assert store.main([*arguments, "--cache", str(tmp_path / "results.md")]) == 1


@pytest.mark.slow
@pytest.mark.untraced
def test_what_a_day_costs_beside_a_state_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(days, "BASE_DAYS", 2)
    (tmp_path / "cache").mkdir()
    arguments = ["--transactions", "2e3,4e3", "--rows", "200", "--written-rows", "100", "--days", "2", "--runs", "1"]
    arguments += ["--cache", str(tmp_path / "cache"), "-o", str(tmp_path / "results.md")]
    for _ in range(2):  # the second time over the states that are kept
        assert days.main(arguments) == 0
        text = section((tmp_path / "results.md").read_text(), "days")
        one, _, other = text.partition("![")
        assert [cells[:3] for cells in table_of(one)] == [
            [pattern, size, "200"] for pattern in store.PATTERNS for size in ("2,000", "4,000")
        ]
        assert all(float(cells[-1]) > 0 for cells in table_of(one))
        assert [cells[:3] for cells in table_of(other)] == [[pattern, "100", "2"] for pattern in store.PATTERNS]
        assert ElementTree.parse(tmp_path / "days.svg").getroot().tag.endswith("svg")
    monkeypatch.setattr(days, "txfast_command", lambda *_: [sys.executable, "-c", "raise SystemExit(1)"])
    assert days.main(arguments) == 1


@pytest.mark.slow
@pytest.mark.untraced
def test_dialects_are_measured_against_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--rows", "3000", "--clients", "20", "--runs", "1", "--cache", str(tmp_path)]
    monkeypatch.setattr(dialects, "TIMES_MAX", {"text ids": 1000.0})
    assert dialects.main([*arguments, "-o", str(tmp_path / "results.md")]) == 0
    table = table_of(section((tmp_path / "results.md").read_text(), "dialects"))
    assert [cells[0] for cells in table] == list(dialects.FILES)
    assert [cells[5] for cells in table if cells[0] == "text ids"] == ["spread numbers"]
    monkeypatch.setattr(dialects, "TIMES_MAX", {"the default": 0.5})
    assert dialects.main([*arguments, "-o", str(tmp_path / "results.md")]) == 1
    monkeypatch.setattr(dialects, "txfast_command", lambda *_: [sys.executable, "-c", "raise SystemExit(1)"])
    assert dialects.main([*arguments, "-o", str(tmp_path / "results.md")]) == 1


@pytest.mark.slow
@pytest.mark.untraced
def test_queries_are_measured_against_duckdb_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--rows", "3000", "--clients", "20", "--runs", "1", "--cache", str(tmp_path)]
    query = "SELECT * FROM 'FILE.csv'"
    for most, code in ((1000.0, 0), (0.001, 1)):
        monkeypatch.setattr(queries, "TIMES_MAX", {query: most})
        assert queries.main([*arguments, "-o", str(tmp_path / "results.md")]) == code
    table = table_of(section((tmp_path / "results.md").read_text(), "queries"))
    assert [cells[0] for cells in table] == [f"`{each}`" for each in queries.QUERIES]
    assert all(float(cells[4]) > 0 for cells in table)
    monkeypatch.setattr(queries, "txfast_command", lambda *_: [sys.executable, "-c", "raise SystemExit(1)"])
    assert queries.main([*arguments, "-o", str(tmp_path / "results.md")]) == 1
    monkeypatch.setattr(queries, "make_files", fail)
    assert queries.main([*arguments, "-o", str(tmp_path / "results.md")]) == 1


def fail(*_: str) -> None:
    raise SystemExit("no files")


@pytest.mark.slow
@pytest.mark.untraced
def test_formats_are_measured_with_and_without_a_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "FORMATS", ("csv.gz", "parquet"))
    arguments = ["--rows", "3000", "--clients", "20", "--rounds", "1", "--cache", str(tmp_path)]
    assert formats.main([*arguments, "-o", str(tmp_path / "results.md")]) == 0
    table = {cells[0]: cells for cells in table_of(section((tmp_path / "results.md").read_text(), "formats"))}
    assert list(table) == [
        "`txfast in.csv.gz`", "in.csv.gz", "`txfast in.parquet`", "in.parquet", "pyarrow table in memory",
        "Polars table in memory", "loop over a pandas frame",
    ]  # fmt: skip
    for cells in table.values():
        assert float(cells[2]) > 0
        assert int(cells[-1].replace(",", "")) > 0


@pytest.mark.slow
@pytest.mark.untraced
def test_both_scripts_write_their_section_of_one_page(tmp_path: Path) -> None:
    raced = run_script(rivals.__file__, tmp_path, "--rows", "3000", "--clients", "20", "--rounds", "1")
    assert raced.returncode == 0, raced.stderr
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    rivals_section = section(page, "rivals")
    assert "The loop by hand comes to the same accounts." in rivals_section
    table = {cells[0].strip("`"): cells for cells in table_of(rivals_section)}
    assert set(table) == {
        "txfast",
        "txfast --threads 2",
        "txfast --threads 1",
        "txfast --reader arrow",
        "txfast --reader arrow --threads 1",
        *RIVALS,
        BY_HAND,
        "readinto",
        "python -c pass",
    }
    for name, cells in table.items():
        measured = name not in RIVALS or find_spec(name.lower()) is not None
        assert (float(cells[2]) > 0 and int(cells[-1]) > 0) if measured else cells[2] == "not installed"
    chart = ElementTree.parse(tmp_path / "results.svg").getroot()
    shown = {text.text for text in chart.iter("{http://www.w3.org/2000/svg}text")}
    assert set(table) <= shown

    shape = ("--rows", "2e3,4e3", "--clients", "20", "--scale-clients", "--ids", "random,per-client")
    scaled = run_script(scale.__file__, tmp_path, *shape, "--rounds", "1")
    assert scaled.returncode == 0, scaled.stderr
    page = (tmp_path / "results.md").read_text(encoding="utf-8")
    assert section(page, "rivals") == rivals_section
    points = table_of(section(page, "scale"))
    assert [cells[:4] for cells in points] == [
        [ids, source, *size]
        for ids in ("random", "per-client")
        for size in (["2,000", "20"], ["4,000", "40"])
        for source in ("file", "pipe")
    ]
    assert all(cells[-1] for cells in points if cells[2] == "4,000")


def test_writing_a_section_again_replaces_it_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    measure.write_section(page, "first", ["one"])
    measure.write_section(page, "second", ["two"])
    page.write_text(page.read_text() + "By hand.\n")
    measure.write_section(page, "first", ["three", "four"])
    assert page.read_text() == (
        f"{measure.RESULTS_TITLE}\n"
        "<!-- first: begin -->\nthree\n\nfour\n<!-- first: end -->\n\n"
        "<!-- second: begin -->\ntwo\n<!-- second: end -->\n"
        "By hand.\n"
    )


def test_a_section_without_its_end_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- first: begin -->\none\n")
    with pytest.raises(BenchError, match="marker"):
        measure.write_section(page, "first", ["two"])
    assert page.read_text() == "<!-- first: begin -->\none\n"


def test_a_race_fails_if_txfast_gives_different_accounts(tmp_path: Path) -> None:
    race = race_of(contestant("txfast", "print(1)"), contestant("txfast --threads 1", "print(2)"))
    with pytest.raises(BenchError, match="txfast --threads 1: its accounts are not those of txfast"):
        race.run(1, tmp_path)


def test_a_race_fails_if_txfast_fails(tmp_path: Path) -> None:
    race = race_of(contestant("txfast", "raise SystemExit('no such file')"))
    with pytest.raises(BenchError, match="txfast: no such file"):
        race.run(1, tmp_path)


def test_a_rival_that_does_not_run_is_listed_with_the_reason(tmp_path: Path) -> None:
    race = race_of(
        contestant("txfast", "print('client\\n' * 100)"),
        contestant(POLARS, "", package="no_such_package"),
        contestant(DUCKDB, "raise SystemExit('out of luck')"),
        contestant(PANDAS, "print('client\\n' * 50)", task=SUM),
    )
    race.run(1, tmp_path)
    remarks = [cells[2] for cells in table_of(rivals.rivals_table(race))]
    assert remarks[1:3] == ["not installed", "failed: out of luck"]
    assert remarks[3].startswith("failed: it sums up 51 clients")
    chart = rivals.rivals_chart(race)
    assert "not installed" in chart
    assert chart.count(">failed<") == 2


def test_times_on_fewer_rows_are_scaled_and_marked(tmp_path: Path) -> None:
    by_hand = Contestant(BY_HAND, REPLAY, [sys.executable, "-c", ""], rows=2)
    race = race_of(contestant("txfast", "print(1)"), by_hand)
    race.run(1, tmp_path)
    assert race.remark_on_hand().startswith("The loop by hand got the first 2 rows;")
    cells = table_of(rivals.rivals_table(race))[1]
    assert cells[2].startswith("≈ ")
    rate = float(cells[4].replace(",", ""))
    assert rate == pytest.approx(10 / race.seconds(by_hand)[0], abs=1)


def test_peak_memory_is_that_of_the_measured_process_only(tmp_path: Path) -> None:
    ballast = bytearray(200 * MEGABYTE)
    ballast[::4096] = b"x" * len(ballast[::4096])
    output = tmp_path / "output"
    small = measure.run_measured([sys.executable, "-c", "pass"], output)
    large = measure.run_measured([sys.executable, "-c", "b'x' * 100_000_000"], output)
    assert small.peak_bytes < 100 * MEGABYTE <= large.peak_bytes < 200 * MEGABYTE


def test_a_piped_file_need_not_be_read_to_its_end(tmp_path: Path) -> None:
    fed, output = tmp_path / "fed", tmp_path / "output"
    fed.write_bytes(b"first\n" * 1_000_000)
    whole = "import os, sys; print(os.path.exists('/dev/stdin'), len(sys.stdin.read()))"
    assert not measure.run_measured([sys.executable, "-c", whole], output, fed=fed).failure
    assert output.read_text().split()[1] == "6000000"
    assert not measure.run_measured([sys.executable, "-c", "print(input())"], output, fed=fed).failure
    assert output.read_text() == "first\n"


@pytest.mark.parametrize("text", ["", "0", "1e6,", "five", "inf", "-1"])
def test_sizes_are_whole_numbers_from_1(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        measure.whole_numbers(text)


def test_sizes_are_sorted_and_distinct() -> None:
    assert measure.whole_numbers("5e6,1000000,1e6") == [1_000_000, 5_000_000]
