"""The tasks that Dask runs, called in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.command import Folder
from tests.support.engines import DaskClient
from tests.support.outputs import assert_same_tables, by_command, on_one_machine, twelve_files
from txfast.cluster import dask


def test_the_tasks_of_dask_give_the_same_as_the_command(folder: Folder) -> None:
    names = twelve_files(folder)
    expected = by_command(folder, *names)
    client: Any = DaskClient()
    accounts, rejects, stats = dask.process(client, names, rejects=True, range_bytes=500)
    assert stats["shards"] == 3
    assert rejects is not None
    assert_same_tables(accounts, rejects, expected)
    assert stats["rejected"] == expected.stats["rejected"]
    _, none, _ = dask.process(client, names, shards=2)
    assert none is None


def test_process_on_dask_goes_on_from_a_state(folder: Folder) -> None:
    names = twelve_files(folder)
    client: Any = DaskClient()
    for days in (names[:4], names[:8]):
        dask.process(client, days, rejects=True, range_bytes=500, state=Path("state"))
    accounts, rejects, _ = dask.process(client, names[8:], rejects=True, range_bytes=500, state="state")
    on_one_machine(folder, *names[:8], state="other")
    assert rejects is not None
    assert_same_tables(accounts, rejects, on_one_machine(folder, *names[8:], state="other"))
