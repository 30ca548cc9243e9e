"""States that earlier versions have saved, in old/: they are read, and go on as the newest format.

Runs of a version before 0.2 have saved day.csv: as format 1; with checkpoints, after another file, as format 2; on a
cluster, as format 3. Another run, over checkpoint.csv, was killed after its fourth checkpoint. Paths in the manifests
are relative.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.command import VOLATILE_STATS, Folder
from tests.support.reference import HEADER, Replay
from tests.support.states import OLD, STATE, accounts, change_manifest, content_of
from txfast.state import manifest

DAY = (OLD / "day.csv").read_bytes()
MORE_BEFORE = HEADER + b"".join(b"deposit,%d,%d,1\n" % (9 + n % 3, n) for n in range(200))
# Of client 4, one of two disputes ended in a chargeback, and nothing in the old state says which.
UNKNOWN = b"reversal,4,2\nreversal,4,1\ndispute,4,1\nresolve,4,2\ndeposit,4,9,1\n"
NEXT = HEADER + (
    b"refund,1,1,2\ndispute,1,1\nreversal,1,1\nresolve,2,1\nrefund,2,1,7\nreversal,3,1\nreversal,3,1\nrefund,3,1,4\n"
    b"dispute,5,1\nresolve,5,2\nrefund,5,2,1\nwithdrawal,5,3,1\n"
)

formats = pytest.mark.parametrize("number", [1, 2, 3])


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with the inputs of the old runs."""
    folder = Folder(tmp_path)
    folder.write("day.csv", DAY)
    folder.write("more.csv", MORE_BEFORE)
    return folder


def put_old(folder: Folder, number: int) -> Path:
    """Put the old state of a format into the folder; return the path of its snapshot."""
    shutil.copytree(OLD / f"format-{number}", folder.path / "state")
    snapshot = folder.path / "state" / "snapshot-1"
    fields = json.loads((snapshot / manifest.NAME).read_bytes())
    assert fields["format"] == number
    change_manifest(snapshot, inputs={str(folder.path / name): place for name, place in fields["inputs"].items()})
    return snapshot


def reference_of(number: int) -> Replay:
    run = Replay()
    if number == 2:
        run.read("more.csv", MORE_BEFORE)
    run.read("day.csv", DAY)
    return run


@formats
def test_an_old_state_is_printed_and_verified(folder: Folder, number: int) -> None:
    put_old(folder, number)
    assert accounts(folder) == reference_of(number).accounts_csv()
    ended = folder.run(*STATE, "--verify")
    assert ended.exit_code == 0
    assert f"state/snapshot-1: good: format {number}, ".encode() in ended.output


@formats
def test_an_old_state_goes_on_as_a_new_one(folder: Folder, number: int) -> None:
    before = content_of(put_old(folder, number))
    names = ("day.csv", "more.csv") if number == 2 else ("day.csv",)
    expected = reference_of(number)
    assert accounts(folder, *names) == expected.accounts_csv()
    assert content_of(folder.path / "state" / "snapshot-1") == before
    # How each dispute ended is known, but for one account.
    folder.write("next.csv", NEXT)
    expected.read("next.csv", NEXT)
    ended = folder.run(*STATE, *names, "next.csv", "warn")
    assert ended.output == expected.accounts_csv()
    rejects = [each for each in expected.rejects if each.file == "next.csv"]
    assert [line for line in ended.error_lines if not line.startswith("warn: ")] == [
        f"rejected: next.csv:{each.line}: {each.reason}: {each.row.decode()}" for each in rejects
    ]
    assert b"state/snapshot-2: good: format 4, " in folder.run(*STATE, "--verify").output


@formats
def test_a_chargeback_that_an_old_state_does_not_tell_from_a_resolve_is_never_reversed(
    folder: Folder, number: int
) -> None:
    put_old(folder, number)
    for day in ("one", "two"):  # it stays unknown in the new format
        folder.write(f"{day}.csv", HEADER + UNKNOWN + f"deposit,8,{len(day)}{ord(day[0])},1\n".encode())
        ended = folder.run(*STATE, f"{day}.csv", "warn")
        assert [line.split(": ")[2] for line in ended.error_lines if line.startswith("rejected: ")] == [
            "chargeback_not_found", "chargeback_not_found", "account_locked", "account_locked", "account_locked",
        ]  # fmt: skip
        assert b"\n4,8.0000,10.0000,18.0000,true\n" in ended.output


@formats
def test_an_old_state_has_the_default_policy(folder: Folder, number: int) -> None:
    put_old(folder, number)
    before = content_of(folder.path / "state")
    for policy, words in (
        ("redispute=after-resolve", "redispute is never and not after-resolve"),
        ("withdrawal-dispute=mark", "withdrawal-dispute is reject and not mark"),
    ):
        folder.run(*STATE, "in.csv", "--policy", policy).assert_failed(words, "go on with the default policy")
    after = content_of(folder.path / "state")
    after.pop("lock")
    assert after == before
    assert folder.run(*STATE, "in.csv", "--policy", "redispute=never").exit_code == 0


def test_a_run_goes_on_from_a_checkpoint_of_an_earlier_version(folder: Folder) -> None:
    folder.write("in.csv", (OLD / "checkpoint.csv").read_bytes())
    command = ("in.csv", "-q", "-o", "out.csv", "--stats", "s.json", "--rejects", "r.csv")

    def outputs() -> list[object]:
        stats = json.loads(folder.read("s.json"))
        figures = {name: content for name, content in stats.items() if name not in VOLATILE_STATS}
        return [figures, folder.read("out.csv"), folder.read("r.csv")]

    assert folder.run(*command).exit_code == 0
    right = outputs()
    for name in ("out.csv", "s.json", "r.csv"):
        (folder.path / name).unlink()
    checkpoint = folder.path / "state" / "checkpoint-4"
    shutil.copytree(OLD / "checkpoint" / checkpoint.name, checkpoint)
    progress = json.loads((checkpoint / manifest.NAME).read_bytes())["progress"]
    shutil.copy(OLD / "checkpoint" / "r.csv.progress", folder.path / progress["rejects"]["path"])
    said = progress["command"]
    said |= {name: str(folder.path / said[name]) for name in ("output", "rejects", "stats")}
    said["inputs"][0]["path"] = str(folder.path / "in.csv")
    progress["rejects"]["path"] = str(folder.path / progress["rejects"]["path"])
    change_manifest(checkpoint, progress=progress)
    ended = folder.run(*command, *STATE)
    assert (ended.exit_code, ended.errors) == (0, "")
    assert outputs() == right
    assert right[0]["rows"] > progress["figures"][0]["rows"] > 300  # type: ignore[index]
