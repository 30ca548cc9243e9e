"""--verify: what it says of a state directory that is good."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.command import Folder
from tests.support.states import FIRST, MORE, STATE, copied


def test_verify_describes_each_snapshot_and_its_inputs(two_snapshots: Path, folder: Folder) -> None:
    copied(two_snapshots, folder)
    ended = folder.run(*STATE, "--verify")
    assert ended.exit_code == 0
    text = ended.output.decode()
    found = r"state/snapshot-2: good: format 1, \d{4}-.*Z, 2 accounts, 3 deposits and withdrawals, 1 inputs"
    assert re.search(found, text)
    assert f"{two_snapshots}/in.csv: {len(FIRST + MORE)} bytes, 8 lines" in text
    assert "state/snapshot-1: good" in text
