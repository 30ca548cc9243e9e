"""--compact: the files of a state become as few as there can be, and nothing else changes."""

from __future__ import annotations

import fcntl
import json
import random
import re
import sys
from pathlib import Path

import pytest

from tests.support.checkpoint_driver import DRIVER
from tests.support.command import Folder
from tests.support.reference import Replay
from tests.support.rows import Row, make_file
from tests.support.segment_rows import rows_of_snapshot
from tests.support.states import STATE, accounts, content_of, damage_page, files_of, positions, snapshots
from txfast.state import compaction

KINDS = ("deposit", "deposit", "withdrawal", "dispute", "resolve", "chargeback", "refund")


def write_day(folder: Folder, number: int) -> bytes:
    """Write the file of a day: rows about any payment so far."""
    chance = random.Random(number)
    rows = [
        Row(chance.choice(KINDS), chance.randrange(40), chance.randrange(200), chance.randrange(1, 90_000))
        for _ in range(150)
    ]
    content = make_file(rows)
    folder.write(f"{number}.csv", content)
    return content


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with a state of ten days."""
    folder = Folder(tmp_path)
    for number in range(10):
        write_day(folder, number)
        accounts(folder, f"{number}.csv", "--policy", "card")
    return folder


def newest(folder: Folder) -> Path:
    """The newest snapshot."""
    return folder.path / "state" / max(snapshots(folder), key=lambda name: int(name.rpartition("-")[2]))


def test_few_files_are_left_and_they_have_the_same_rows(folder: Folder) -> None:
    before, rows, places = newest(folder), rows_of_snapshot(newest(folder)), positions(str(folder.path / "state"))
    printed = folder.run(*STATE).output
    files = len(files_of(before))
    byte_count = sum((before / name).stat().st_size for name in files_of(before))
    ended = folder.run(*STATE, "--compact")
    assert (ended.exit_code, ended.errors) == (0, "")
    after = newest(folder)
    now = sum((after / name).stat().st_size for name in files_of(after))
    assert ended.output.decode() == (
        f"state: compacted: {files} files of {byte_count:,} bytes before, 2 files of {now:,} bytes now\n"
    )
    assert now < byte_count
    assert [name.partition("-")[0] for name in files_of(after)] == ["accounts", "entries"]
    assert rows_of_snapshot(after) == rows
    assert positions(str(folder.path / "state")) == places
    assert folder.run(*STATE).output == printed
    # The one before is kept, as after any run.
    assert snapshots(folder) == sorted([before.name, after.name])
    lines = folder.run(*STATE, "--verify").output.decode().splitlines()
    assert lines[1] == f"state/{after.name}: 2 files of {now:,} bytes; --compact would save 0 of them"


def test_it_saves_about_what_verify_has_said(folder: Folder) -> None:
    before = sum((newest(folder) / name).stat().st_size for name in files_of(newest(folder)))
    [said] = re.findall(
        rf"{newest(folder).name}: .*would save ([0-9,]+) of", folder.run(*STATE, "--verify").output.decode()
    )
    folder.run(*STATE, "--compact")
    after = sum((newest(folder) / name).stat().st_size for name in files_of(newest(folder)))
    assert 0 < int(said.replace(",", "")) < before
    assert before > after


def test_days_after_it_go_on_as_without_it(folder: Folder) -> None:
    replay = Replay("card")
    for number in range(10):
        replay.read(f"{number}.csv", folder.read(f"{number}.csv"))
    for number in range(10, 14):
        assert folder.run(*STATE, "--compact").exit_code == 0
        replay.read(f"{number}.csv", write_day(folder, number))
        # The policy is that of the state: it need not be named to compact it.
        assert accounts(folder, f"{number}.csv", "--policy", "card") == replay.accounts_csv()
        folder.run(*STATE, f"{number}.csv").assert_failed("by another policy")
    assert folder.run(*STATE, "--verify").exit_code == 0
    names = [f"{number}.csv" for number in range(14)]
    assert accounts(folder, *names, "--policy", "card", "--stats", "s.json") == replay.accounts_csv()
    assert json.loads(folder.read("s.json"))["rows"] == 0


def test_the_dialect_of_the_state_is_kept(folder: Folder) -> None:
    words = ("--state", "shop", "-q", "--ids", "text", "--columns", "currency=ccy", "--decimals", "2")
    header = b"type,client,tx,amount,ccy\n"
    for number, rows in enumerate((b"deposit,ann,1,5,EUR\ndeposit,ann,1,6,USD\n", b"deposit,ann,2,1,USD\n")):
        folder.write(f"shop{number}.csv", header + rows)
        assert folder.run(f"shop{number}.csv", *words).exit_code == 0
    assert folder.run("--state", "shop", "--compact").exit_code == 0
    folder.write("shop2.csv", header + b"deposit,ann,1,5,EUR\ndispute,ann,2,,USD\n")
    assert folder.run("shop2.csv", *words).output == (
        b"client,currency,available,held,total,locked\nann,EUR,5.00,0.00,5.00,false\nann,USD,6.00,1.00,7.00,false\n"
    )


def test_a_merge_that_was_begun_is_ended_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that merge a few rows in each commit leave their merges half done."""
    import txfast

    for name, value in (("STEP_ROWS_MIN", 10), ("ROWS_PER_NEW_ROW", 0), ("OVERLAPS_MAX", 1), ("FAN_OUT", 2)):
        monkeypatch.setattr(compaction, name, value)
    folder = Folder(tmp_path)
    begun = 0
    for number in range(12):
        write_day(folder, number)
        txfast.process(folder.path / f"{number}.csv", state=folder.path / "state")
        merges = json.loads((newest(folder) / "manifest.json").read_bytes())["merges"]
        begun += bool(merges)
    assert begun > 3
    assert merges
    rows = rows_of_snapshot(newest(folder))
    printed = folder.run(*STATE).output
    assert folder.run(*STATE, "--verify").exit_code == 0
    assert folder.run(*STATE, "--compact").exit_code == 0
    fields = json.loads((newest(folder) / "manifest.json").read_bytes())
    assert (fields["merges"], len(fields["files"])) == ({}, 2)
    assert rows_of_snapshot(newest(folder)) == rows
    assert folder.run(*STATE).output == printed


# ---- Where it fails --------------------------------------------------------------------------------


def test_without_a_state_it_fails_and_makes_none(folder: Folder) -> None:
    folder.run("--state", "other", "--compact").assert_failed("other: holds no state")
    assert "other" not in folder.names()
    (folder.path / "empty").mkdir()
    folder.run("--state", "empty", "--compact").assert_failed("empty: holds no state")


def test_it_does_not_run_beside_a_run(folder: Folder) -> None:
    before = content_of(folder.path / "state")
    with open(folder.path / "state" / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder.run(*STATE, "--compact").assert_failed("state: another run is using it")
    assert content_of(folder.path / "state") == before


def test_a_checkpoint_is_run_to_its_end_first(folder: Folder) -> None:
    write_day(folder, 10)
    command = ("10.csv", *STATE, "-q", "--checkpoint", "0", "--policy", "card", "--threads", "1")
    killed = folder.run(*command, command=(sys.executable, "-c", DRIVER), variables={"TAKES": "2"})
    assert killed.exit_code == 9, killed.errors
    before = content_of(folder.path / "state")
    folder.run(*STATE, "--compact").assert_failed("state: a run left a checkpoint there: run its command again")
    assert content_of(folder.path / "state") == before
    assert folder.run(*command, command=(sys.executable, "-c", DRIVER)).exit_code == 0
    assert folder.run(*STATE, "--compact").exit_code == 0


@pytest.mark.parametrize("sort", ["accounts", "entries", "changes"])
def test_damage_fails_it_and_nothing_is_changed(folder: Folder, sort: str) -> None:
    path = max(path for path in newest(folder).glob(f"{sort}*"))
    damage_page(path)
    before = content_of(folder.path / "state")
    folder.run(*STATE, "--compact").assert_failed(f"{newest(folder).name}/{path.name}: is damaged")
    assert content_of(folder.path / "state") == before


def test_a_full_disk_fails_it_and_nothing_is_changed(folder: Folder) -> None:
    before = content_of(folder.path / "state")
    limited = ("bash", "-c", 'ulimit -f 8; trap "" XFSZ; exec "$@"', "-", sys.executable, "-m", "txfast")
    ended = folder.run(*STATE, "--compact", command=limited)
    ended.assert_failed(".arrow: cannot be written: File too large")
    assert content_of(folder.path / "state") == before


def test_only_its_owner_can_read_what_it_writes(folder: Folder) -> None:
    open_to_all = ("bash", "-c", 'umask 0; exec "$@"', "-", sys.executable, "-m", "txfast")
    assert folder.run(*STATE, "--compact", command=open_to_all).exit_code == 0
    assert newest(folder).stat().st_mode & 0o777 == 0o700
