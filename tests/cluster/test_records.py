"""Ranges and results are sent as records and texts, and read again without loss."""

from __future__ import annotations

from txfast.cluster.ranges import Range
from txfast.cluster.records import fields_in, record_of, result_of, text_of
from txfast.cluster.results import AccountRun, Piece, RangeReport, RowStatuses, ShardSummary
from txfast.input.position import Position


def test_ranges_and_results_are_the_same_after_their_records_are_read() -> None:
    for part in (
        Range(0, 0, "in.csv", "/in.csv"), Range(1, 0, "n\udcff", "/n\udcff", 5, 9, 9, b"type,\xff\0", 2, "9 7"),
    ):  # fmt: skip
        assert Range(**fields_in(text_of(part))) == part
    for item in (
        Piece(1, 2, 3, b"x"), AccountRun(1, 2, b"x"), AccountRun(1, 2, b"x", b"\3EUR"), RowStatuses(1, 2, b"x"),
        RangeReport(2, 3, 4, (0, 1), 5), ShardSummary(1, (1, 2), 3, 4, -5, 6, 7, 8),
        ShardSummary(1, (1, 2), 3, 4, -5, 6, 7, 8, by_currency=((b"EUR", 1 << 70, -2), (b"\xff\0", 0, 0))),
    ):  # fmt: skip
        assert result_of(record_of(item, 9)) == item


def test_positions_are_the_same_after_their_records_are_read() -> None:
    position = Position(9, 2, "ab", "lf", b"type,\xff\0", ((3, "x"), (5, "y")))
    report = RangeReport(1, 2, 3, (4,), 5, 6, position)
    assert result_of(record_of(report, 2)) == report
    summary = ShardSummary(1, (1, 2), 3, 4, -5, 6, 7, 8, (1, 2, -3), {"folder": "x", "files": {"a": {"bytes": 1}}})
    assert result_of(record_of(summary, 2)) == summary
