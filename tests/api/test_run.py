"""process with a state, checkpoints and a rejects file: the same as the command with the options of these names."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import txfast
from tests.support.command import VOLATILE_STATS, Folder
from tests.support.reference import HEADER
from txfast.errors import InputError, LockedError, StateError, TooManyMalformedError, UsageError
from txfast.run.checkpoint import Checkpoints
from txfast.state.lock import DirectoryLock

DAYS = [
    HEADER + b"deposit,1,1,5\nwithdrawal,1,2,9\nfee,1,3,1\ndeposit,2,1,7\n",
    HEADER + b"dispute,1,1,\ndeposit,3,1,1\ndeposit,2,1,7\n",
    HEADER + b"chargeback,1,1,\nresolve,2,1,\n",
]


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("txfast"), "disabled", True)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    for number, content in enumerate(DAYS):
        made.write(f"{number}.csv", content)
    return made


def csv_of(folder: Folder, accounts: txfast.Accounts) -> bytes:
    accounts.write(folder.path / "ours.csv")
    return folder.read("ours.csv")


def steady(stats: dict[str, Any]) -> dict[str, Any]:
    """The figures that do not change from run to run, nor with the form of a path."""
    kept = {name: value for name, value in stats.items() if name not in VOLATILE_STATS}
    return {**kept, "inputs": [{**each, "file": Path(each["file"]).name} for each in kept["inputs"]]}


# ---- A state -------------------------------------------------------------------------------------


def test_days_with_a_state_are_as_the_command_has_them(folder: Folder) -> None:
    for day in (0, 1, 1, 2):
        theirs = folder.run(f"{day}.csv", "-q", "--state", "theirs", "--rejects", "r.csv", "--stats", "s.json")
        result = txfast.process(
            folder.path / f"{day}.csv", state=folder.path / "ours", rejects=folder.path / "ours-r.csv"
        )
        assert csv_of(folder, result.accounts) == theirs.output
        assert steady(result.stats) == steady(json.loads(folder.read("s.json")))
        assert result.rejects is None
        assert folder.read("ours-r.csv").replace(bytes(folder.path) + b"/", b"") == folder.read("r.csv")
    # Either goes on with the other's state.
    assert folder.run("--state", "ours", "-q").output == folder.run("--state", "theirs", "-q").output
    assert folder.run("--state", "ours", "--verify").exit_code == 0
    folder.write("2.csv", DAYS[2] + b"deposit,9,9,9\n")
    grown = txfast.process(folder.path / "2.csv", state=str(folder.path / "theirs"), rejects=True)
    assert grown.stats["rows"] == 1
    assert grown.accounts.get(9) is not None
    assert len(grown.rejects) == 0
    assert txfast.Ledger.load(folder.path / "theirs")[9].total == 9


def test_tables_and_open_files_are_new_to_a_state(folder: Folder) -> None:
    table = pa.table({"type": ["deposit"], "client": [1], "tx": [1], "amount": ["5"]})
    for already in (0, 2):
        result = txfast.process(table, io.BytesIO(DAYS[0]), folder.path / "1.csv", state=folder.path / "s")
        assert result.stats["inputs"][0]["rows"] == 1
        assert result.stats["inputs"][2]["rows"] == (0 if already else 3)
    assert [int(account.held) for account in result.accounts] == [5, 0, 0]


def test_a_run_that_fails_leaves_the_state_and_the_rejects_as_they_were(folder: Folder) -> None:
    state, rejects = folder.path / "s", folder.write("r.csv", b"mine")
    txfast.process(folder.path / "0.csv", state=state)
    before = folder.run("--state", "s", "-q").output
    with pytest.raises(InputError, match="not a transactions file"):
        txfast.process(folder.path / "1.csv", folder.write("bad.csv", b"a,b\n"), state=state, rejects=rejects)
    assert rejects.read_bytes() == b"mine"
    # As the command: a run that stops has its rejects.
    with pytest.raises(TooManyMalformedError) as caught:
        txfast.process(folder.path / "1.csv", io.BytesIO(DAYS[0]), state=state, rejects=rejects, strict=True)
    assert caught.value.rejects is None
    assert len(rejects.read_bytes().splitlines()) == 5
    assert folder.run("--state", "s", "-q").output == before
    lock = DirectoryLock()
    lock.take(str(state))
    with pytest.raises(LockedError, match="another run is using it"):
        txfast.process(folder.path / "1.csv", state=state)
    lock.release()


def test_a_last_line_is_taken_held_or_fails(folder: Folder) -> None:
    path = folder.write("in.csv", HEADER + b"deposit,1,1,5\ndeposit,1,2,1")
    held = txfast.process(path, state=folder.path / "s", last_line="hold")
    assert [account.total for account in held.accounts] == [5]
    with pytest.raises(InputError, match=r"in\.csv"):
        txfast.process(path, state=folder.path / "s", last_line="fail")
    taken = txfast.process(path, state=folder.path / "s", last_line="take")
    assert [account.total for account in taken.accounts] == [6]
    assert taken.stats["rows"] == 1


# ---- Checkpoints ---------------------------------------------------------------------------------


@pytest.mark.parametrize("checkpoints", [2, 4])
@pytest.mark.parametrize("by_command", [True, False])
def test_a_call_goes_on_from_its_checkpoint(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, by_command: bool, checkpoints: int
) -> None:
    names = [f"{number}.csv" for number in range(3)]
    expected = folder.run(*names, "-q", "--rejects", "expected.csv")
    monkeypatch.chdir(folder.path)
    take, taken = Checkpoints.take, []

    def interrupted(self: Checkpoints, *arguments: Any) -> None:
        take(self, *arguments)
        taken.append(1)
        if len(taken) == checkpoints:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "take", interrupted)
        with pytest.raises(KeyboardInterrupt):
            txfast.process(*names, state="s", checkpoint=0, rejects="r.csv")
    assert any(name.startswith("checkpoint-") for name in (each.name for each in (folder.path / "s").iterdir()))
    assert not (folder.path / "r.csv").exists()
    if by_command:
        found = folder.run(*names, "-q", "--state", "s", "--checkpoint", "0", "--rejects", "r.csv").output
    else:
        result = txfast.process(*names, state="s", checkpoint=0.5, rejects="r.csv")
        assert result.stats["rows"] == 9
        found = csv_of(folder, result.accounts)
    assert found == expected.output
    assert folder.read("r.csv") == folder.read("expected.csv")
    assert sorted(each.name for each in (folder.path / "s").iterdir()) == ["lock", "snapshot-1"]


def test_a_call_that_fails_discards_its_checkpoints(folder: Folder) -> None:
    with pytest.raises(InputError):
        txfast.process(folder.path / "0.csv", folder.write("bad.csv", b"a,b\n"), state=folder.path / "s", checkpoint=0)
    assert [each.name for each in (folder.path / "s").iterdir()] == ["lock"]


# ---- What does not go together -------------------------------------------------------------------

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "checkpoint without a state": ({"checkpoint": 1}, r"checkpoint=1.0 needs state="),
    "last line without a state": ({"last_line": "take"}, r"last_line='take' needs state="),
    "arrow reader": ({"state": "s", "checkpoint": 1, "reader": "arrow"}, r"needs reader='native'"),
    "rejects in memory": ({"state": "s", "checkpoint": 1, "rejects": True}, r"rejects that can be cut back: .* True"),
    "rejects as Parquet": ({"state": "s", "checkpoint": 1, "rejects": "r.pq"}, r"rejects that can be cut back"),
    "little memory for a state": ({"state": "s", "memory_limit": "128MiB"}, r"'128MiB' is too little for state="),
    "little memory for Parquet": ({"rejects": "r.pq", "memory_limit": "128MiB"}, r"too little for rejects='r.pq'"),
    "little memory for zstd": ({"rejects": "r.csv.zst", "memory_limit": "128MiB"}, r"too little for rejects="),
    "rejects over an input": ({"rejects": "0.csv"}, r"rejects='0.csv' would overwrite the input"),
    "rejects without a suffix": ({"rejects": "file"}, r"it is True, False or the path of a rejects file: 'file': a na"),
}


@pytest.mark.parametrize(("options", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_go_together_is_refused(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], reason: str
) -> None:
    monkeypatch.chdir(folder.path)
    before = folder.names()
    with pytest.raises(UsageError, match=reason):
        txfast.process("0.csv", **options)
    assert folder.names() == before


def test_inputs_that_do_not_go_with_a_state_are_refused(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.path)
    with pytest.raises(UsageError, match=r"checkpoint=1.0 needs files: io.BytesIO cannot be read a second time"):
        txfast.process(io.BytesIO(DAYS[0]), state="s", checkpoint=1)
    with pytest.raises(UsageError, match=r"checkpoint=1.0 needs files: .* cannot be read a second time"):
        txfast.process("/dev/null", state="s", checkpoint=1)
    with pytest.raises(UsageError, match=r"state= goes with files here and tables: s3://bucket/key is elsewhere"):
        txfast.process("s3://bucket/key", state="s")
    (folder.path / "s" / "snapshot-1").mkdir(parents=True)
    with pytest.raises(StateError, match=r"snapshot-1"):
        txfast.process("0.csv", state="s")
