"""The functions that Dask's workers run: the tasks of a run, and small ones that take a part of a task's result.

This module must not import distributed.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from typing import Any

from txfast.cluster.map import map_range
from txfast.cluster.ranges import Range
from txfast.cluster.reduce import reduce_shard
from txfast.cluster.rejects import reject_blobs
from txfast.cluster.results import AccountRun, RangeReport, RowStatuses, ShardSummary

# The result of a map task: reports, and for each shard the contents of its pieces.
Mapped = tuple[list[RangeReport], list[list[bytes]]]
# The result of a reduce task: summary, runs of accounts, and statuses by range.
Reduced = tuple[ShardSummary, list[AccountRun], dict[int, RowStatuses]]


def map_ranges(parts: Sequence[Range], shards: int) -> Mapped:
    """Read the ranges of a task and divide their rows."""
    reports: list[RangeReport] = []
    slices: list[list[bytes]] = [[] for _ in range(shards)]
    for part in parts:
        for item in map_range(part, shards):
            if isinstance(item, RangeReport):
                reports.append(item)
            else:
                slices[item.shard].append(item.content)
    return reports, slices


def reports_of(mapped: Mapped) -> list[RangeReport]:
    return mapped[0]


def slice_of(mapped: Mapped, shard: int) -> list[bytes]:
    return mapped[1][shard]


def reduce_slices(slices: list[list[bytes]], shard: int, options: dict[str, Any]) -> Reduced:
    """Settle a shard."""
    runs: list[AccountRun] = []
    statuses: dict[int, RowStatuses] = {}
    for item in reduce_shard((piece for pieces in slices for piece in pieces), shard=shard, **options):
        if isinstance(item, AccountRun):
            runs.append(item)
        elif isinstance(item, RowStatuses):
            statuses[item.range] = item
        else:
            return item, runs, statuses
    raise AssertionError("the summary is the last")


def summary_of(reduced: Reduced) -> ShardSummary:
    return reduced[0]


def runs_of(reduced: Reduced) -> list[AccountRun]:
    return reduced[1]


def statuses_of_ranges(reduced: Reduced, numbers: list[int]) -> list[RowStatuses]:
    return [reduced[2][number] for number in numbers if number in reduced[2]]


def rejects_of_ranges(
    parts: Sequence[Range], first_lines: list[int], shards: int, statuses: list[list[RowStatuses]], reject_format: str
) -> list[bytes]:
    """Read the ranges of a task once more, for their rejects."""
    blobs: list[bytes] = []
    by_range: dict[int, list[RowStatuses]] = defaultdict(list)
    for each in chain(*statuses):
        by_range[each.range].append(each)
    for part, first_line in zip(parts, first_lines, strict=True):
        blobs += reject_blobs(part, first_line, shards, by_range[part.number], reject_format)
    return blobs
