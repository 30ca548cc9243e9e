"""States that earlier versions have saved, in old/: they are read, and go on as the newest format.

Runs of a version before 0.2 have saved day.csv: as format 1; with checkpoints, after another file, as format 2; on a
cluster, as format 3. Another run, over checkpoint.csv, was killed after its fourth checkpoint. Formats 4 and 5 are of
the last version before segments: day-4.csv under a policy, and day-5.csv, with opening-5.csv, in a dialect. Paths in
the manifests are relative.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

import txfast
from tests.support.command import VOLATILE_STATS, Folder
from tests.support.days import Killed, killed_at
from tests.support.dialect_replays import blocks_of
from tests.support.reference import HEADER, Replay
from tests.support.small_memory import small_runs
from tests.support.states import OLD, STATE, accounts, change_manifest, content_of
from txfast.state import manifest

MORE_BEFORE = HEADER + b"".join(b"deposit,%d,%d,1\n" % (9 + n % 3, n) for n in range(200))
# Of client 4, one of two disputes ended in a chargeback, and nothing in the old state says which.
UNKNOWN = b"reversal,4,2\nreversal,4,1\ndispute,4,1\nresolve,4,2\ndeposit,4,9,1\n"
NEXT = HEADER + (
    b"refund,1,1,2\ndispute,1,1\nreversal,1,1\nresolve,2,1\nrefund,2,1,7\nreversal,3,1\nreversal,3,1\nrefund,3,1,4\n"
    b"dispute,5,1\nresolve,5,2\nrefund,5,2,1\nwithdrawal,5,3,1\n"
)

# The day after it in formats 4 and 5.
NEXT_4 = HEADER + (
    b"reversal,2,1\nresolve,1,1\nrefund,1,1,1\nrefund,1,1,9\nresolve,4,2\nchargeback,3,1\ndeposit,1,1,5\ndispute,4,1\n"
    b"withdrawal,4,2,1\ndeposit,5,1,2\n"
)
ACCOUNTS_5 = b"""\
client,currency,available,held,total,locked
ann,EUR,0.00,0.00,0.00,true
ann,USD,7.00,0.00,7.00,false
bob,EUR,11.50,0.00,11.50,false
kim,JPY,-4.00,0.00,-4.00,false
zoe,USD,2.00,0.00,2.00,false
"""
NEXT_5 = b"""\
type,customer,tx,amount,currency
reversal,ann,t-1,,EUR
deposit,ann,t-1,1,USD
refund,bob,0189dd5e-7b2c-4c4e-9a1b-5d2f3c4b5a69,2.5,EUR
refund,bob,0189dd5e-7b2c-4c4e-9a1b-5d2f3c4b5a69,2.5,EUR
withdrawal,bob,w,1,EUR
deposit,kim,1,10,JPY
dispute,zoe,1,,USD
"""
AFTER_5 = b"""\
client,currency,available,held,total,locked
ann,EUR,5.25,0.00,5.25,false
ann,USD,7.00,0.00,7.00,false
bob,EUR,9.00,0.00,9.00,false
kim,JPY,6.00,0.00,6.00,false
zoe,USD,0.00,2.00,2.00,false
"""
REJECTS_5 = [
    "rejected: next.csv:3: duplicate_transaction: deposit,ann,t-1,1,USD",
    "rejected: next.csv:5: amount_too_large: refund,bob,0189dd5e-7b2c-4c4e-9a1b-5d2f3c4b5a69,2.5,EUR",
    "rejected: next.csv:6: duplicate_transaction: withdrawal,bob,w,1,EUR",
]
POLICY_4 = "card,direct-chargeback=allow"
# The options with which a format is gone on with.
OPTIONS: dict[int, tuple[str, ...]] = {
    4: ("--policy", POLICY_4),
    5: (
        "--ids", "text", "--columns", "client=customer", "--dialect", "columns.currency=currency", "--decimals", "2",
    ),
}  # fmt: skip
DIALECT_5: dict[str, str | int] = {
    "ids": "text", "columns.client": "customer", "columns.currency": "currency", "decimals": 2,
}  # fmt: skip
all_formats = pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
formats = pytest.mark.parametrize("number", [1, 2, 3])


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with the inputs of the old runs."""
    folder = Folder(tmp_path)
    folder.write("more.csv", MORE_BEFORE)
    return folder


def put_old(folder: Folder, number: int) -> Path:
    """Put the old state of a format into the folder, and the file of its day; return the path of its snapshot."""
    folder.write("day.csv", (OLD / (f"day-{number}.csv" if number in OPTIONS else "day.csv")).read_bytes())
    shutil.copytree(OLD / f"format-{number}", folder.path / "state")
    snapshot = folder.path / "state" / "snapshot-1"
    fields = json.loads((snapshot / manifest.NAME).read_bytes())
    assert fields["format"] == number
    change_manifest(snapshot, inputs={str(folder.path / name): place for name, place in fields["inputs"].items()})
    return snapshot


def reference_of(number: int, folder: Folder) -> Replay:
    run = Replay(policy=POLICY_4 if number == 4 else "")
    if number == 2:
        run.read("more.csv", MORE_BEFORE)
    run.read("day.csv", folder.read("day.csv"))
    return run


def accounts_before(number: int, folder: Folder) -> bytes:
    """The accounts in the old state of a format."""
    return ACCOUNTS_5 if number == 5 else reference_of(number, folder).accounts_csv()


def after_next(number: int, folder: Folder) -> tuple[bytes, list[str]]:
    """Write the day after that of a format; return the accounts after it, and its rejects as they are logged."""
    if number == 5:
        folder.write("next.csv", NEXT_5)
        return AFTER_5, REJECTS_5
    folder.write("next.csv", NEXT_4 if number == 4 else NEXT)
    expected = reference_of(number, folder)
    expected.read("next.csv", folder.read("next.csv"))
    rejects = [each for each in expected.rejects if each.file == "next.csv"]
    return expected.accounts_csv(), [
        f"rejected: next.csv:{each.line}: {each.reason}: {each.row.decode()}" for each in rejects
    ]


@all_formats
def test_an_old_state_is_printed_and_verified(folder: Folder, number: int) -> None:
    before = content_of(put_old(folder, number))
    assert accounts(folder) == accounts_before(number, folder)
    assert accounts(folder, "--memory-limit", "256MiB", "--threads", "3") == accounts_before(number, folder)
    ended = folder.run(*STATE, "--verify")
    assert ended.exit_code == 0
    [first, *inputs] = ended.output.decode().splitlines()
    assert first.startswith(f"state/snapshot-1: good: format {number}, ")
    assert len(inputs) == 1 + (number == 2)  # nothing is to be compacted
    assert content_of(folder.path / "state" / "snapshot-1") == before


@all_formats
def test_an_old_state_goes_on_as_a_new_one(folder: Folder, number: int) -> None:
    before = content_of(put_old(folder, number))
    options = OPTIONS.get(number, ())
    names = ("day.csv", "more.csv") if number == 2 else ("day.csv",)
    assert accounts(folder, *names, *options) == accounts_before(number, folder)
    assert content_of(folder.path / "state" / "snapshot-1") == before
    # How each dispute ended is known, but for one account.
    expected, rejects = after_next(number, folder)
    ended = folder.run(*STATE, *names, "next.csv", *options, "warn")
    assert ended.output == expected
    assert [line for line in ended.error_lines if not line.startswith("warn: ")] == rejects
    assert content_of(folder.path / "state" / "snapshot-1") == before
    verified = folder.run(*STATE, "--verify").output.decode()
    assert "state/snapshot-2: good: format 6, " in verified
    assert f"state/snapshot-1: good: format {number}, " in verified
    # The new snapshot needs nothing of the old one, and goes on as any other.
    shutil.rmtree(folder.path / "state" / "snapshot-1")
    assert accounts(folder) == expected
    assert accounts(folder, "next.csv", *options) == expected


@all_formats
@pytest.mark.parametrize("limit", [0, 2])
def test_an_old_state_goes_on_where_it_does_not_fit_in_memory(folder: Folder, number: int, limit: int) -> None:
    put_old(folder, number)
    expected, rejects = after_next(number, folder)
    options = dict(zip(OPTIONS.get(number, ())[::2], OPTIONS.get(number, ())[1::2], strict=True))
    with small_runs(limit, 3):
        result = txfast.process(
            folder.path / "next.csv", state=folder.path / "state", policy=options.get("--policy"), rejects=True,
            dialect=DIALECT_5 if number == 5 else None, threads=2,
        )  # fmt: skip
        result.accounts.write(folder.path / "out.csv")
    assert folder.read("out.csv") == expected
    assert [each.reason for each in result.rejects] == [line.split(": ")[2] for line in rejects]
    assert accounts(folder) == expected
    assert folder.run(*STATE, "--verify").exit_code == 0


@all_formats
def test_an_old_state_is_asked_for_one_client(folder: Folder, number: int) -> None:
    put_old(folder, number)
    client, *others = ("bob", "ann") if number == 5 else ("2", "1")
    lines = accounts_before(number, folder).splitlines(keepends=True)
    wanted = [line for line in lines[1:] if line.split(b",")[0] == client.encode()]
    assert folder.run(*STATE, "--account", client).output == b"".join([lines[0], *wanted])
    for other in others:
        wanted += [line for line in lines[1:] if line.split(b",")[0] == other.encode()]
    ended = folder.run(*STATE, "--account", client, *(word for other in others for word in ("--account", other)))
    assert ended.output == b"".join([lines[0], *sorted(wanted)])
    folder.run(*STATE, "--account", "77").assert_failed("has no account of client 77")


@all_formats
def test_what_a_run_changes_in_an_old_state_is_put_out_alone(folder: Folder, number: int) -> None:
    put_old(folder, number)
    before = set(accounts_before(number, folder).splitlines())
    expected, _ = after_next(number, folder)
    head, *lines = expected.splitlines()
    ended = folder.run(*STATE, "next.csv", "-q", "--changed", *OPTIONS.get(number, ()))
    assert ended.output.splitlines() == [head, *(line for line in lines if line not in before)]


@all_formats
def test_an_old_state_is_not_compacted(folder: Folder, number: int) -> None:
    before = content_of(put_old(folder, number))
    folder.run(*STATE, "--compact").assert_failed("state: was saved by an earlier version", "run txfast with inputs")
    assert content_of(folder.path / "state" / "snapshot-1") == before


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


@all_formats
def test_an_old_state_goes_on_with_checkpoints(
    folder: Folder, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has becomes segments, which each checkpoint has too."""
    put_old(folder, number)
    expected, _ = after_next(number, folder)
    monkeypatch.chdir(folder.path)
    options = dict(zip(OPTIONS.get(number, ())[::2], OPTIONS.get(number, ())[1::2], strict=True))
    for kill in (2, 1, 0):
        with blocks_of(60, 1), killed_at(kill), suppress(Killed):
            result = txfast.process(
                "next.csv", state="state", policy=options.get("--policy"), threads=1, checkpoint=0,
                dialect=DIALECT_5 if number == 5 else None,
            )  # fmt: skip
            result.accounts.write("out.csv")
        assert bool(list((folder.path / "state").glob("checkpoint-*"))) == bool(kill)
        assert folder.run(*STATE, "--verify").exit_code == 0
    assert folder.read("out.csv") == expected
    assert accounts(folder) == expected
