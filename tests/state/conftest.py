"""The state that many tests of this package begin with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import Folder
from tests.support.states import FIRST, MORE, accounts


@pytest.fixture(scope="session")
def two_snapshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a folder whose state has two snapshots with different accounts. Tests must not change it."""
    folder = Folder(tmp_path_factory.mktemp("state"))
    folder.write("in.csv", FIRST)
    accounts(folder, "in.csv")
    folder.write("in.csv", FIRST + MORE)
    accounts(folder, "in.csv")
    return folder.path
