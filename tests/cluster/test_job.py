"""The settings of a run: which are refused, and how much of them every task is sent."""

from __future__ import annotations

import os
import pickle

import pytest

from tests.support.command import Folder
from tests.support.engines import hash_extents, run_cluster, settings_of
from tests.support.reference import HEADER
from txfast.cluster.job import make_settings, reduce_options
from txfast.cluster.state import open_state
from txfast.errors import UsageError


@pytest.mark.parametrize("paths", [[], ["in.csv"]])
def test_a_run_without_inputs_or_shards_is_refused(paths: list[str]) -> None:
    with pytest.raises(UsageError, match="no inputs" if not paths else "0 shards"):
        make_settings(
            paths, cores=2, shards=0, keep_statuses=False, range_bytes=None, memory_limit=None, spill_folder=None
        )


def test_a_memory_limit_too_small_for_a_state_is_refused(folder: Folder) -> None:
    with open_state("state", hash_extents) as state, pytest.raises(UsageError, match="the least is 256MiB"):
        make_settings(
            ["in.csv"], cores=1, shards=1, keep_statuses=False, range_bytes=None, memory_limit=200 << 20,
            spill_folder=None, state=state,
        )  # fmt: skip
    assert os.listdir(folder.path / "state") == ["lock"]


def test_a_task_is_sent_nothing_of_the_inputs(two_snapshots: Folder) -> None:
    def bytes_sent(*names: str) -> int:
        with open_state("state", hash_extents) as state:
            return len(pickle.dumps(reduce_options(settings_of(names, 3, state, 20))))

    for number in range(20):
        two_snapshots.write(f"{number}.csv", HEADER + b"deposit,9,9,9\n" * 50)
    names = [f"{number}.csv" for number in range(20)]
    run_cluster(*names, range_bytes=20)
    assert bytes_sent(*names) < bytes_sent("in.csv") + 100
