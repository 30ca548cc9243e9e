"""Rejects are made only from the statuses of all shards, and only if they fit the rows."""

from __future__ import annotations

import zlib

import pytest

from tests.support.command import Folder
from tests.support.engines import PlainJob
from txfast.cluster.cutting import cut_inputs
from txfast.cluster.rejects import reject_blobs
from txfast.cluster.results import RowStatuses
from txfast.errors import ClusterError, InputError


def test_lost_statuses_are_noticed(folder: Folder) -> None:
    job = PlainJob(cut_inputs([str(folder.path / "in.csv")], 10), 2)
    assert list(job.reject_blobs("csv"))
    lost = job.statuses.pop()
    with pytest.raises(ClusterError, match=f"range {lost.range}: the statuses of 1 of 2 shards"):
        list(job.reject_blobs("csv"))


def test_statuses_that_do_not_fit_the_rows_are_refused(folder: Folder) -> None:
    [part] = cut_inputs([str(folder.path / "in.csv")])
    for content in (b"\1", b"\1" * 1000):
        with pytest.raises(InputError, match="was changed"):
            list(reject_blobs(part, 1, 1, [RowStatuses(0, 0, zlib.compress(content))], "csv"))
    for wrong in ([RowStatuses(0, 1, b"")], [RowStatuses(0, 0, b"")] * 2, []):
        with pytest.raises(ClusterError, match="range 0"):
            list(reject_blobs(part, 1, 1, wrong, "csv"))
