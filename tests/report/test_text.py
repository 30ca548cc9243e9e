"""The figures of a run as lines and as a table."""

from __future__ import annotations

import re

import pytest

from txfast.report.text import summary_lines, summary_table

STATS = {
    "inputs": [{"file": "a.csv", "bytes": 1_000_000, "rows": 3}, {"file": "b.csv", "bytes": 1, "rows": 0}],
    "rows": 3,
    "applied": {"deposit": 1},
    "malformed": {"bad_type": 1},
    "rejected": {"insufficient_funds": 1},
    "accounts": 1_234,
    "seconds": {"total": 0.5, "read": 0.25},
    "rows_per_second": 6.0,
}
MORE_STATS = STATS | {
    "version": "1.2", "locked_accounts": 5, "available": "-1.0000", "held": "2.0000", "total": "1.0000",
    "conserved": True, "peak_memory_bytes": 12_300_000, "spilled_bytes": 4_000_000, "threads": 2, "reader": "native",
}  # fmt: skip


def test_a_table_has_a_row_for_each_figure() -> None:
    rows = [re.split(r"  +", line) for line in summary_table(MORE_STATS, 80).splitlines()]
    assert rows == [
        ["rows", "3", "2 inputs, 1.0 MB"],
        ["applied", "1", "deposit 1"],
        ["rejected", "1", "insufficient_funds 1"],
        ["malformed", "1", "bad_type 1"],
        ["accounts", "1,234", "5 locked"],
        ["available", "-1.0000"],
        ["held", "2.0000"],
        ["total", "1.0000"],
        ["conserved", "yes"],
        ["seconds", "0.500", "read 0.250 s"],
        ["rows/s", "6", "txfast 1.2, reader native, threads 2"],
        ["peak memory", "12.3 MB"],
        ["spilled", "4.0 MB"],
    ]


def test_a_table_says_that_there_are_more_currencies() -> None:
    sums = {f"C{number:02}": f"{number}.0000" for number in range(22)}
    stats = MORE_STATS | {"available": sums, "held": sums, "total": sums}
    rows = [re.split(r"  +", line) for line in summary_table(stats, 80).splitlines()]
    first = rows.index(["available C00", "0.0000"])
    assert rows[first + 57 : first + 62] == [
        ["available C19", "19.0000"],
        ["held C19", "19.0000"],
        ["total C19", "19.0000"],
        ["and 2 more currencies", "the stats have all"],
        ["conserved", "yes"],
    ]


def test_a_table_leaves_missing_figures_out() -> None:
    names = [line.split()[0] for line in summary_table(STATS, 80).splitlines()]
    assert names == ["rows", "applied", "rejected", "malformed", "accounts", "seconds", "rows/s"]


def test_lines_leave_missing_figures_out() -> None:
    assert summary_lines(STATS) == [
        "3 rows in 0.500 s (6 rows/s): read 0.250 s",
        "1,234 accounts",
        "applied 1: deposit 1",
        "rejected 1: insufficient_funds 1",
        "malformed 1: bad_type 1",
    ]
    assert summary_lines(STATS | {"total": "1.0000"})[-1] == "total 1.0000"


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_a_table_fits_the_terminal(columns: int) -> None:
    assert max(map(len, summary_table(MORE_STATS, columns).splitlines())) <= columns
