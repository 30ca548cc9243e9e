"""--verify: what it says of a state directory that is good."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.command import Folder
from tests.support.states import FIRST, MORE, STATE, copied, files_of
from txfast.errors import StateError
from txfast.run.books import Books
from txfast.run.plan import make_plan
from txfast.state import directory, verify


def test_verify_describes_each_snapshot_and_its_inputs(two_snapshots: Path, folder: Folder) -> None:
    copied(two_snapshots, folder)
    ended = folder.run(*STATE, "--verify")
    assert ended.exit_code == 0
    text = ended.output.decode()
    found = r"state/snapshot-2: good: format 6, \d{4}-.*Z, 2 accounts, 3 deposits and withdrawals, 1 input"
    assert re.search(found, text)
    assert f"{two_snapshots}/in.csv: {len(FIRST + MORE)} bytes, 8 lines" in text
    assert "state/snapshot-1: good" in text
    lines = text.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["state/snapshot-2"] * 3 + ["state/snapshot-1"] * 3
    # What the folder's files take, and how much of that rows take which newer ones have replaced.
    for number, line in ((2, lines[1]), (1, lines[4])):
        snapshot = folder.path / "state" / f"snapshot-{number}"
        sizes = [(snapshot / name).stat().st_size for name in files_of(snapshot)]
        words = f"state/snapshot-{number}: {len(sizes)} files of {sum(sizes):,} bytes; --compact would save "
        assert line.startswith(words), line
        saved = int(line.removeprefix(words).removesuffix(" of them").replace(",", ""))
        assert 0 <= saved < sum(sizes)
        assert bool(saved) == (number == 2)


@pytest.mark.parametrize("parts", [1, 3])
def test_a_state_that_is_larger_than_the_memory_is_checked_in_parts(
    two_snapshots: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch, parts: int
) -> None:
    copied(two_snapshots, folder)
    monkeypatch.setattr(Books, "parts_that_fit", lambda *_: parts)
    books = Books(make_plan(cores=1, memory_used=0, memory_limit=256 << 20))
    state = directory.StateDirectory(str(folder.path / "state"), lambda message: pytest.fail(str(message)))
    state.open_to_read()
    lines = list(verify.describe(state, books.check))
    assert [line.partition(": good: ")[0].rpartition("/")[2] for line in lines if ": good: " in line] == [
        "snapshot-2", "snapshot-1",
    ]  # fmt: skip
    assert sum(map(len, books.ledgers)) == 0
    damaged = max((folder.path / "state" / "snapshot-2").glob("accounts*"))
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.chmod(0o600)
    damaged.write_bytes(content)
    with pytest.raises(StateError):
        list(verify.describe(state, books.check))
