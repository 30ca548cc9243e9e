"""The driver notices every report, summary and run of accounts that an engine loses or repeats."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import pytest

from tests.support.command import Folder
from tests.support.engines import PlainJob, pieces_of
from txfast.cluster.accounts import MergedAccounts
from txfast.cluster.cutting import cut_inputs
from txfast.cluster.figures import Figures
from txfast.cluster.reduce import reduce_shard
from txfast.cluster.results import RangeReport, ShardSummary
from txfast.errors import ClusterError


def test_reports_must_be_complete_and_add_up(folder: Folder) -> None:
    parts = cut_inputs([str(folder.path / "in.csv")], 40)
    pieces, reports = pieces_of(parts, 1)
    [*_, summary] = reduce_shard([piece.content for piece in pieces[0]], len(parts), 0, 1)
    assert isinstance(summary, ShardSummary)

    def figures(reports: Sequence[RangeReport], summaries: Sequence[ShardSummary]) -> Figures:
        found = Figures(parts, 1)
        for each in chain[RangeReport | ShardSummary](reports, summaries):
            found.add(each)
        found.check()
        return found

    figures(reports, [summary])
    for wrong, summaries in ((reports[1:], [summary]), (reports, []), ([*reports, reports[0]], [summary])):
        with pytest.raises(ClusterError):
            figures(wrong, summaries)
    empty = ShardSummary(0, (0,) * len(summary.counts), 0, 0, 0, 0, 0, 0)
    with pytest.raises(ClusterError, match="were settled"):
        figures(reports, [empty])
    with pytest.raises(ClusterError, match="twice"):
        figures(reports, [summary, summary])


def test_lost_and_unordered_runs_are_noticed(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txfast.cluster.reduce.RUN_BYTES", 1)
    monkeypatch.setattr("txfast.cluster.reduce.run_blocks", lambda _: [b"x" * 25] * 3)
    job = PlainJob(cut_inputs([str(folder.path / "in.csv")]), 1)
    first, second, third = job.found_runs
    MergedAccounts(job, None).close()
    for wrong, words in (
        ([first, third, second], "run 2 of shard 0 came, and 1 is due"), ([first, first], "run 0 of shard 0"),
        ([first, second], "2 runs of accounts came, and 3 were sent"), ([], "0 runs"),
    ):  # fmt: skip
        job.found_runs = wrong
        with pytest.raises(ClusterError, match=words):
            MergedAccounts(job, None)


@pytest.mark.usefixtures("folder")
def test_without_a_state_reports_have_no_position() -> None:
    job = PlainJob(cut_inputs(["in.csv"], 9), 2)
    assert all(job.figures.report(part.number).position is None for part in job.parts)
    with pytest.raises(ClusterError, match="0 of 2 shards were saved"):
        job.figures.saved()
