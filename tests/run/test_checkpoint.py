"""Runs that are killed, and the same command again: it goes on from the last checkpoint, and nobody can tell."""

from __future__ import annotations

import io
import json
import logging
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

import txfast
from tests.support.checkpoint_driver import DRIVER
from tests.support.command import FILE, VOLATILE_STATS, Folder, Run
from tests.support.failures import fail_renames
from tests.support.notes import notes_file, raw_rows
from tests.support.reference import HEADER
from tests.support.replays import run_reference
from tests.support.rows import Row, make_file
from tests.support.segment_rows import rows_of_snapshot
from tests.support.states import change_manifest, content_of, damage_page, files_of, replace, save_new
from txfast.batch.batch import KINDS, MALFORMED_REASONS
from txfast.command import main as cli
from txfast.errors import StateError
from txfast.interrupts import LISTENER, Interrupted
from txfast.run import plan
from txfast.run.checkpoint import Checkpoints
from txfast.run.replay import Replay, new_replay
from txfast.state import manifest
from txfast.state.directory import StateDirectory

COMMAND = ("a.csv", "b.csv", "c.csv.gz", "-q", "-o", "out.csv", "--stats", "s.json", "--rejects")
QUIET = logging.Logger("quiet", logging.CRITICAL)
STATE = ("--state", "state", "--checkpoint", "0")
CURRENCIES = ("--columns", "currency=ccy")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    import gzip

    folder = Folder(tmp_path)
    chance = random.Random(5)
    kinds = ["deposit", "deposit", "withdrawal", "dispute", "resolve", "chargeback", "fee"]
    for name in ("a.csv", "b.csv", "c.csv.gz"):
        lines = [
            f"{chance.choice(kinds)},{chance.randrange(40)},{chance.randrange(400)},{chance.randrange(90)}.5\n"
            for _ in range(1000)
        ]
        # A dispute with another amount than its deposit's is warned of.
        lines = [line.rpartition(",")[0] + ",\n" if line.startswith("dispute") else line for line in lines]
        content = HEADER + "".join(lines).encode()
        folder.write(name, gzip.compress(content) if name.endswith("gz") else content)
    return folder


def drive(folder: Folder, *arguments: str, **variables: str) -> Run:
    return folder.run(*arguments, command=(sys.executable, "-c", DRIVER), variables=variables)


def outputs(folder: Folder, rejects: str) -> list[object]:
    """What a run puts out, without the figures that differ from run to run."""
    stats = json.loads((folder.path / "s.json").read_bytes())
    figures = {name: content for name, content in stats.items() if name not in VOLATILE_STATS}
    return [figures, *((folder.path / name).read_bytes() for name in ("out.csv", rejects))]


def clean(folder: Folder, rejects: str, *arguments: str) -> list[object]:
    """What a run puts out that nothing disturbs, and that keeps no state."""
    ended = drive(folder, *COMMAND, rejects, *arguments)
    assert ended.exit_code == 0, ended.errors
    right = outputs(folder, rejects)
    for name in ("out.csv", "s.json", rejects):
        (folder.path / name).unlink()
    return right


def killed(folder: Folder, *arguments: str, takes: int = 4, rejects: str = "r.csv") -> None:
    """Have a run be killed right after a checkpoint, inside its first input or after it."""
    ended = drive(folder, *COMMAND, rejects, *STATE, *arguments, TAKES=str(takes))
    assert ended.exit_code == 9, ended.errors
    assert checkpoints(folder)


def checkpoints(folder: Folder) -> list[str]:
    return sorted(path.name for path in (folder.path / "state").glob("checkpoint-*"))


def parts(folder: Folder) -> list[str]:
    """The rejects that a run has left for a later one, and any other temporary file."""
    return [name for name in folder.names() if name.endswith((".part", ".progress", ".old"))]


# ---- Going on --------------------------------------------------------------------------------------


five_threads = pytest.param("5", marks=pytest.mark.untraced)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("threads", "rejects", "dialect"),
    [
        ("1", "r.csv", ()),
        ("2", "r.jsonl", ()),
        pytest.param("5", "r.csv", (), marks=pytest.mark.untraced),
        ("1", "r.csv", ("--ids", "text")),
        pytest.param("5", "r.csv", ("--dialect", "ids.tx=text"), marks=pytest.mark.untraced),
        ("1", "r.csv", CURRENCIES),
        pytest.param("5", "r.jsonl", (*CURRENCIES, "--ids", "text"), marks=pytest.mark.untraced),
    ],
)
def test_a_run_killed_again_and_again_ends_as_one_that_was_not(
    folder: Folder, threads: str, rejects: str, dialect: tuple[str, ...]
) -> None:
    arguments = ("--threads", threads, *dialect)
    if CURRENCIES[0] in dialect:
        add_currencies(folder)
    right = clean(folder, rejects, *arguments)
    kills = kill_until_it_ends(folder, rejects, *arguments, takes="4" if threads == "1" else "2")
    assert kills > 2
    assert outputs(folder, rejects) == right
    assert checkpoints(folder) == []
    assert parts(folder) == []


@pytest.mark.parametrize("threads", ["1", pytest.param("4", marks=pytest.mark.untraced)])
def test_rejects_of_rows_of_many_lines_have_their_text_after_a_kill(folder: Folder, threads: str) -> None:
    import gzip

    contents = [(name, notes_file(500, seed)) for seed, name in enumerate(["a.csv", "b.csv", "c.csv.gz"])]
    for name, content in contents:
        folder.write(name, gzip.compress(content) if name.endswith("gz") else content)
    for takes in (3, 4):
        killed(folder, "--threads", threads, takes=takes)
    ended = drive(folder, *COMMAND, "r.csv", *STATE, "--threads", threads)
    assert ended.exit_code == 0, ended.errors
    expected = run_reference(contents)
    assert folder.read("out.csv") == expected.accounts
    assert raw_rows(folder.read("r.csv")) == [(each.line, each.reason, each.row) for each in expected.rejects]


def add_currencies(folder: Folder) -> None:
    """Give each row of the inputs a currency: new ones come late, too."""
    import gzip

    for number, name in enumerate(("a.csv", "b.csv", "c.csv.gz")):
        content = folder.read(name)
        header, *lines = (gzip.decompress(content) if name.endswith("gz") else content).splitlines()
        codes = [b"EUR", b"USD", b"GBP", b"JPY"][: number + 2]
        lines = [line + b"," + codes[index * 7 // 3 % len(codes)] for index, line in enumerate(lines)]
        content = b"\n".join([header + b",ccy", *lines, b""])
        folder.write(name, gzip.compress(content) if name.endswith("gz") else content)


def kill_until_it_ends(folder: Folder, rejects: str, *arguments: str, takes: str) -> int:
    """Have the command be killed at its checkpoints, again and again; how often it was when it ended well."""
    kills = 0
    while True:
        ended = drive(folder, *COMMAND, rejects, *STATE, *arguments, TAKES=takes)
        if ended.exit_code != 9:
            assert (ended.exit_code, ended.errors) == (0, "")
            return kills
        kills += 1
        # Nothing appears before the end.
        assert not (folder.path / "out.csv").exists()


POLICY = ("--policy", "card,direct-chargeback=allow")


def write_lives(folder: Folder) -> None:
    """Replace the inputs by rows about payments that live long, and have details."""
    import gzip

    chance = random.Random(8)
    for name in COMMAND[:3]:
        often = ("deposit", "deposit", "dispute", "chargeback", "reversal")
        rows = [
            Row(kind, chance.randrange(40), chance.randrange(30), chance.choice([90_000, 40_000, 3]))
            for kind in chance.choices([*KINDS, *often], k=1500)
        ]
        folder.write(name, gzip.compress(make_file(rows)) if name.endswith("gz") else make_file(rows))


@pytest.mark.parametrize("threads", ["1", pytest.param("4", marks=pytest.mark.untraced)])
def test_a_run_killed_under_a_policy_ends_as_one_that_was_not(folder: Folder, threads: str) -> None:
    write_lives(folder)
    right = clean(folder, "r.csv", "--threads", threads, *POLICY)
    kills = kill_until_it_ends(folder, "r.csv", "--threads", threads, *POLICY, takes="4" if threads == "1" else "2")
    assert kills > 2
    assert outputs(folder, "r.csv") == right
    assert rows_of_snapshot(folder.path / "state" / "snapshot-1").details
    assert (checkpoints(folder), parts(folder)) == ([], [])


def test_a_dispute_with_another_amount_is_warned_of_by_the_run_that_goes_on(folder: Folder) -> None:
    rows = [
        Row("deposit", 1, 1, 50_000),
        Row("dispute", 1, 1, 30_000),
        *(Row("deposit", 2, tx, 1) for tx in range(900)),
    ]
    folder.write("in.csv", make_file(rows))
    command = ("in.csv", "-o", "out.csv", "--state", "state", "--checkpoint", "0")
    assert drive(folder, *command, TAKES="4").exit_code == 9
    ended = drive(folder, *command)
    assert (ended.exit_code, len(ended.error_lines)) == (0, 1)
    assert ended.errors.startswith("warn: 1 dispute with another amount than is left of the payment")


@pytest.mark.parametrize("policy", [(), ("--policy", "card")])
def test_a_command_with_another_policy_discards_it(folder: Folder, policy: tuple[str, ...]) -> None:
    write_lives(folder)
    right = clean(folder, "r.csv", *policy)
    killed(folder, "--threads", "1", *POLICY)
    ended = folder.run(*(word for word in COMMAND if word != "-q"), "r.csv", *STATE, *policy)
    assert ended.exit_code == 0
    assert "is not resumed, and the run begins anew: it is of another command, whose policy differs" in ended.errors
    assert outputs(folder, "r.csv") == right


def test_one_whose_rows_another_policy_has_applied_is_discarded(folder: Folder) -> None:
    """Its command is the same, as only a forger can make it."""
    write_lives(folder)
    right = clean(folder, "r.csv", "--policy", "card")
    killed(folder, "--threads", "1", "--policy", "card")
    path = folder.path / "state" / checkpoints(folder)[-1]
    policy = json.loads((path / manifest.NAME).read_bytes())["policy"]
    change_manifest(path, policy=policy | {"zero-amount": "reject"})
    ended = folder.run(*(word for word in COMMAND if word != "-q"), "r.csv", *STATE, "--policy", "card")
    assert "is not resumed, and the run begins anew: state: its rows were applied by another policy" in ended.errors
    assert outputs(folder, "r.csv") == right


@pytest.mark.parametrize("threads", ["1", "4"])
def test_what_a_checkpoint_has_written_is_not_written_again(folder: Folder, threads: str) -> None:
    right = clean(folder, "r.csv", "--threads", threads)
    killed(folder, "--threads", threads, takes=3)
    checkpoint = folder.path / "state" / checkpoints(folder)[-1]
    written = {name: (checkpoint / name).stat().st_ino for name in files_of(checkpoint)}
    assert len([name for name in written if name.startswith("entries")]) == 2
    ended = drive(folder, *COMMAND, "r.csv", "--state", "state", "--threads", threads)
    assert (ended.exit_code, ended.errors) == (0, "")
    assert outputs(folder, "r.csv") == right
    snapshot = folder.path / "state" / "snapshot-1"
    assert {name: (snapshot / name).stat().st_ino for name in written} == written
    assert_as_one_without_checkpoints(folder, threads)


@pytest.mark.parametrize("threads", ["1", "4"])
def test_many_checkpoints_leave_a_state_as_others_do(folder: Folder, threads: str) -> None:
    right = clean(folder, "r.csv", "--threads", threads)
    ended = drive(folder, *COMMAND, "r.csv", *STATE, "--threads", threads)
    assert (ended.exit_code, ended.errors) == (0, "")
    assert outputs(folder, "r.csv") == right
    assert_as_one_without_checkpoints(folder, threads)


def assert_as_one_without_checkpoints(folder: Folder, threads: str) -> None:
    """The state is one as a run without checkpoints leaves it: the same rows, whoever goes on from it, and nothing to
    complain of."""
    folder.run("a.csv", "b.csv", "c.csv.gz", "--state", "whole", "-q", "--threads", threads)
    assert [name.partition("-")[0] for name in files_of(folder.path / "whole" / "snapshot-1")] == [
        "accounts", "entries",
    ]  # fmt: skip
    first, other = (rows_of_snapshot(folder.path / name / "snapshot-1") for name in ("state", "whole"))
    assert first == other
    folder.write("more.csv", HEADER + b"".join(b"dispute,%d,%d\n" % (n % 40, n % 400) for n in range(4000)))
    runs = [folder.run("more.csv", "--state", state, "warn") for state in ("state", "whole")]
    assert runs[0].output == runs[1].output
    assert runs[0].errors == runs[1].errors
    assert folder.run("--state", "state", "--verify").exit_code == 0


def make_table(folder: Folder, name: str) -> None:
    """Have a table in the place of a CSV file, of the same well-formed rows."""
    table = pa.Table.from_batches(txfast.read(io.BytesIO((folder.path / name).read_bytes()), logger=QUIET))
    parquet.write_table(table, folder.path / name, row_group_size=100)


@pytest.mark.untraced
@pytest.mark.parametrize("threads", ["1", "4"])
def test_a_signal_inside_a_table_ends_the_run_and_leaves_the_last_checkpoint(folder: Folder, threads: str) -> None:
    make_table(folder, "b.csv")
    right = clean(folder, "r.csv", "--threads", threads)
    variables = {"SIGNAL": "SIGTERM", "INPUT": "b.csv", "BATCHES": "5", "ENDS": "1"}
    ended = drive(folder, *COMMAND, "r.csv", *STATE, "--threads", threads, **variables)
    assert ended.exit_code == -signal.SIGTERM, ended.errors
    assert len(checkpoints(folder)) == 1
    ended = drive(folder, *COMMAND, "r.csv", *STATE, "--threads", threads)
    assert (ended.exit_code, ended.errors) == (0, "")
    assert outputs(folder, "r.csv") == right


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["1", "4"])
def test_a_table_among_the_inputs_is_consumed_whole(folder: Folder, threads: str) -> None:
    make_table(folder, "b.csv")
    right = clean(folder, "r.csv", "--threads", threads)
    assert kill_until_it_ends(folder, "r.csv", "--threads", threads, takes="2") > 2
    assert outputs(folder, "r.csv") == right
    assert checkpoints(folder) == []


@pytest.mark.untraced
@pytest.mark.parametrize("threads", ["1", "4"])
def test_blank_lines_before_the_header_let_checkpoints_wait_and_the_run_go_on(folder: Folder, threads: str) -> None:
    folder.write("a.csv", b"\n" * 100_000 + folder.read("a.csv"))
    right = clean(folder, "r.csv", "--threads", threads)
    assert drive(folder, *COMMAND, "r.csv", *STATE, "--threads", threads).exit_code == 0
    assert outputs(folder, "r.csv") == right


@pytest.mark.untraced
def test_it_goes_on_with_another_number_of_threads_and_without_the_option(folder: Folder) -> None:
    right = clean(folder, "r.csv", "--threads", "3")
    killed(folder, "--threads", "1", takes=7)
    killed(folder, "--threads", "4")
    ended = folder.run(*COMMAND, "r.csv", "--state", "state", "--threads", "3")
    assert (ended.exit_code, ended.errors) == (0, "")
    assert outputs(folder, "r.csv") == right
    assert checkpoints(folder) == []


def test_it_goes_on_from_what_an_earlier_run_has_finished(folder: Folder) -> None:
    folder.write("first.csv", HEADER + b"deposit,1,9999,5\n")
    assert folder.run("first.csv", "-q", "--state", "clean").exit_code == 0
    assert folder.run("first.csv", "-q", "--state", "state").exit_code == 0
    assert folder.run(*COMMAND, "r.csv", "--state", "clean", "--threads", "1").exit_code == 0
    right = outputs(folder, "r.csv")
    killed(folder, "--threads", "1")
    # Whoever only looks at the finished accounts leaves the checkpoint where it is.
    assert folder.run("--state", "state").output.count(b"\n") == 2
    verified = folder.run("--state", "state", "--verify")
    assert verified.exit_code == 0
    assert b"state/checkpoint-" in verified.output
    assert folder.run(*COMMAND, "r.csv", *STATE, "--threads", "1").errors == ""
    assert outputs(folder, "r.csv") == right


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("threads", ["1", five_threads])
def test_a_signal_has_a_checkpoint_taken_first(folder: Folder, number: str, threads: str) -> None:
    right = clean(folder, "r.csv", "--threads", threads)
    state = ("--state", "state", "--checkpoint", "1000", "--threads", threads)
    ended = drive(folder, *COMMAND, "r.csv", *state, BATCHES="9", SIGNAL=number)
    assert ended.exit_code == -getattr(signal, number)
    assert checkpoints(folder) == ["checkpoint-1"]
    assert len(parts(folder)) == 1
    ended = drive(folder, *COMMAND, "r.csv", *state)
    assert (ended.exit_code, ended.errors) == (0, "")
    assert outputs(folder, "r.csv") == right


def test_a_second_signal_ends_it_at_once(folder: Folder) -> None:
    state = ("--state", "state", "--checkpoint", "1000", "--threads", "1")
    ended = drive(folder, *COMMAND, "r.csv", *state, BATCHES="9", SIGNAL="SIGTERM", SIGNALS="2")
    assert ended.exit_code == -signal.SIGTERM
    assert checkpoints(folder) == []
    assert parts(folder) == []


# ---- Checkpoints of no use -------------------------------------------------------------------------


def assert_begun_anew(folder: Folder, right: list[object], *words: str) -> None:
    """The same command warns, in one line, and gives what is right."""
    ended = folder.run(*(word for word in COMMAND if word != "-q"), "r.csv", *STATE, "--threads", "1")
    assert ended.exit_code == 0, ended.errors
    warnings = [line for line in ended.error_lines if line.startswith("warn: ")]
    assert len(warnings) == 1
    assert [word for word in (*words, "is not resumed, and the run begins anew") if word not in warnings[0]] == []
    assert outputs(folder, "r.csv") == right
    assert checkpoints(folder) == []


def test_an_older_one_is_resumed_where_the_newer_one_is_damaged(folder: Folder) -> None:
    """A crash can leave both."""
    right = clean(folder, "r.csv", "--threads", "1")
    killed(folder, "--threads", "1", takes=2)
    [older] = checkpoints(folder)
    shutil.copytree(folder.path / "state" / older, folder.path / "kept")
    killed(folder, "--threads", "1", takes=2)
    [newer] = checkpoints(folder)
    shutil.move(folder.path / "kept", folder.path / "state" / older)
    (folder.path / "state" / newer / manifest.NAME).write_bytes(b"{}")
    ended = folder.run(*(word for word in COMMAND if word != "-q"), "r.csv", *STATE, "--threads", "1")
    warnings = [line for line in ended.error_lines if line.startswith("warn: ")]
    assert len(warnings) == 1
    assert f"{newer}: is not resumed, and an older one is: " in warnings[0]
    assert outputs(folder, "r.csv") == right
    assert checkpoints(folder) == []


@pytest.mark.parametrize("damage", ["missing", "short", "changed"])
def test_rejects_that_are_not_what_they_were_discard_it(folder: Folder, damage: str) -> None:
    right = clean(folder, "r.csv", "--threads", "1")
    killed(folder, "--threads", "1", takes=8)
    [name] = parts(folder)
    content = (folder.path / name).read_bytes()
    if damage == "missing":
        (folder.path / name).unlink()
    else:
        folder.write(name, content[:50] if damage == "short" else b"x" + content[1:])
    assert_begun_anew(folder, right, name)
    assert parts(folder) == []


def test_rejects_after_the_checkpoint_do_not_count(folder: Folder) -> None:
    right = clean(folder, "r.csv", "--threads", "1")
    killed(folder, "--threads", "1")
    [name] = parts(folder)
    with open(folder.path / name, "ab") as file:
        file.write(b"what the killed run wrote later\n")
    assert drive(folder, *COMMAND, "r.csv", *STATE, "--threads", "1").errors == ""
    assert outputs(folder, "r.csv") == right


def test_an_input_that_changed_discards_it(folder: Folder) -> None:
    killed(folder, "--threads", "1")
    content = (folder.path / "a.csv").read_bytes()
    folder.write("a.csv", content.replace(b"deposit", b"dispute", 1))
    right = clean(folder, "r2.csv", "--threads", "1")
    shutil.move(folder.path / parts(folder)[0], folder.path / parts(folder)[0])
    ended = drive(folder, *COMMAND[:-1], *("--rejects", "r.csv"), *STATE, "--threads", "1")
    assert ended.exit_code == 0
    assert outputs(folder, "r.csv") == right


@pytest.mark.parametrize("sort", ["accounts", "entries", "manifest"])
@pytest.mark.parametrize("damage", ["changed", "short", "missing"])
def test_a_checkpoint_whose_damage_shows_at_once_is_discarded(folder: Folder, sort: str, damage: str) -> None:
    """In the manifest, or in the sizes of files."""
    if (sort, damage) == ("manifest", "missing"):
        pytest.skip("it is no checkpoint then")
    right = clean(folder, "r.csv", "--threads", "1")
    killed(folder, "--threads", "1")
    [path] = list((folder.path / "state" / checkpoints(folder)[-1]).glob(f"{sort}*"))[:1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if sort != "manifest" and damage == "changed":
        content += b"\0"
    path.unlink()
    if damage != "missing":
        path.write_bytes(content if damage == "changed" else content[:-1])
    assert_begun_anew(folder, right, path.name, "is missing" if damage == "missing" else "is damaged")


@pytest.mark.parametrize("sort", ["accounts", "entries"])
def test_a_damaged_page_of_a_checkpoint_fails_the_run_that_reads_it(folder: Folder, sort: str) -> None:
    right = clean(folder, "r.csv", "--threads", "1")
    killed(folder, "--threads", "1")
    for path in (folder.path / "state" / checkpoints(folder)[-1]).glob(f"{sort}*"):
        damage_page(path)
    before = content_of(folder.path / "state")
    drive(folder, *COMMAND, "r.csv", *STATE, "--threads", "1").assert_failed(f"/{sort}-", ".arrow: is damaged")
    assert not {"out.csv", "r.csv", "s.json"} & set(folder.names())
    assert {name: content for name, content in before.items() if "snapshot" in name} == {}
    # Whoever does not want to mend it takes another command, or removes the checkpoint.
    shutil.rmtree(folder.path / "state" / checkpoints(folder)[-1])
    assert drive(folder, *COMMAND, "r.csv", *STATE, "--threads", "1").exit_code == 0
    assert outputs(folder, "r.csv") == right


def test_one_of_another_format_is_refused_and_stays(folder: Folder) -> None:
    killed(folder, "--threads", "1")
    [name] = checkpoints(folder)
    path = folder.path / "state" / name / manifest.NAME
    fields = json.loads(path.read_bytes())
    del fields["hash"]
    path.write_bytes(manifest.text_of({**fields, "format": 7}))
    folder.run(*COMMAND, "r.csv", *STATE).assert_failed("state format 7")
    assert checkpoints(folder) == [name]


def test_another_command_discards_it_and_its_rejects(folder: Folder) -> None:
    killed(folder, "--threads", "1")
    assert len(parts(folder)) == 1
    ended = folder.run("a.csv", "--state", "state", "-o", "out.csv")
    assert ended.exit_code == 0
    assert "of another command, whose inputs differs" in ended.error_lines[0]
    assert checkpoints(folder) == parts(folder) == []


@pytest.mark.parametrize(("arguments", "exit_code"), [(("--strict",), 3), (("missing.csv",), 1)])
def test_a_run_that_fails_discards_its_own(folder: Folder, arguments: tuple[str, ...], exit_code: int) -> None:
    ended = drive(folder, "b.csv", "-q", *STATE, *arguments)
    assert ended.exit_code == exit_code
    assert checkpoints(folder) == []


def test_a_finished_run_leaves_no_use_for_it(folder: Folder) -> None:
    killed(folder, "--threads", "1")
    kept = folder.path / "kept"
    shutil.copytree(folder.path / "state" / checkpoints(folder)[-1], kept)
    assert folder.run(*COMMAND, "r.csv", *STATE).exit_code == 0
    shutil.copytree(kept, folder.path / "state" / "checkpoint-3")
    ended = folder.run(*COMMAND, "r.csv", *STATE)
    assert (ended.exit_code, ended.errors) == (0, "")
    assert json.loads((folder.path / "s.json").read_bytes())["rows"] == 0


def test_another_run_does_not_touch_it(folder: Folder) -> None:
    import fcntl

    killed(folder, "--threads", "1")
    before = checkpoints(folder)
    with open(folder.path / "state" / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder.run(*COMMAND, "r.csv", *STATE).assert_failed("another run")
    assert checkpoints(folder) == before


def change_progress(folder: Folder, **changes: object) -> None:
    """Have a checkpoint's manifest say something else of its progress, with a hash that fits."""
    path = folder.path / "state" / checkpoints(folder)[-1] / manifest.NAME
    fields = json.loads(path.read_bytes())
    del fields["hash"]
    fields["progress"] |= changes
    path.write_bytes(manifest.text_of(fields))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"malformed": []}, "its progress does not agree with the command's inputs"),
        ({"malformed": [-1] * len(MALFORMED_REASONS)}, "its progress does not agree with the command's inputs"),
        ({"malformed": [1 << 63] * len(MALFORMED_REASONS)}, "its progress does not agree with the command's inputs"),
        (
            {"figures": [{"file": "a.csv", "bytes": 1, "rows": 1}] * 9},
            "its progress does not agree with the command's inputs",
        ),
        ({"counts": [1]}, "checkpoint"),
    ],
)
def test_progress_that_cannot_be_discards_it(folder: Folder, changes: dict[str, object], words: str) -> None:
    right = clean(folder, "r.csv", "--threads", "1")
    killed(folder, "--threads", "1")
    change_progress(folder, **changes)
    assert_begun_anew(folder, right, words)
    assert parts(folder) == []


def test_a_checkpoint_of_another_snapshot_with_the_same_number_is_not_gone_on_from(folder: Folder) -> None:
    right = clean(folder, "r.csv", "--threads", "1")
    killed(folder, "--threads", "1")
    change_progress(folder, base_hash="0" * 32)
    ended = drive(folder, *COMMAND, "r.csv", *STATE, "--threads", "1")
    assert ended.exit_code == 0
    assert outputs(folder, "r.csv") == right
    assert checkpoints(folder) == parts(folder) == []


def test_a_run_that_another_has_overtaken_takes_no_checkpoint_and_removes_none(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(folder, "--threads", "1")
    before = content_of(folder.path / "state")
    state = StateDirectory(str(folder.path / "state"), lambda _: None)
    state.open()
    checkpoints = Checkpoints(state, {}, 0.0, None)
    monkeypatch.setattr(checkpoints, "_holds", True)
    monkeypatch.setattr(checkpoints, "_rows_before", -1)
    # Another run has published a snapshot, although this one holds the lock.
    save_new(other := StateDirectory(str(folder.path / "state"), lambda _: None))
    other.publish()
    before |= {path: content for path, content in content_of(folder.path / "state").items() if "snapshot" in path}
    with pytest.raises(StateError, match="another run has saved its state there"):
        checkpoints.take(new_replay(threads=1), None)
    checkpoints.discard()
    checkpoints.close()
    state.discard()
    assert content_of(folder.path / "state") == before


def test_no_file_is_removed_but_a_part_of_the_rejects(folder: Folder) -> None:
    killed(folder, "--threads", "1")
    victim = folder.write("victim.csv", b"mine")
    change_progress(folder, rejects={"path": str(victim), "bytes": 4, "xxh3_128": "0"})
    ended = folder.run("a.csv", "--state", "state", "-o", "out.csv")
    assert ended.exit_code == 0
    assert checkpoints(folder) == []
    assert victim.read_bytes() == b"mine"


def test_what_a_killed_run_was_writing_is_removed(folder: Folder) -> None:
    killed(folder, "--threads", "1")
    (folder.path / "state" / "checkpoint-9.part").mkdir()
    assert drive(folder, *COMMAND, "r.csv", *STATE, "--threads", "1").exit_code == 0
    assert checkpoints(folder) == []


def test_a_run_that_cannot_go_on_gives_back_what_it_opened(folder: Folder) -> None:
    killed(folder, "--threads", "1")
    (folder.path / "out.csv").mkdir()
    folder.run(*COMMAND, "r.csv", *STATE, "--threads", "1").assert_failed("out.csv: cannot be written")


# ---- Runs that end before they replay anything -----------------------------------------------------


def forge_newest_snapshot(folder: Folder) -> None:
    change_manifest(folder.path / "state" / "snapshot-1", format=7)


def damage_newest_snapshot(folder: Folder) -> None:
    snapshot = folder.path / "state" / "snapshot-1"
    replace(snapshot / files_of(snapshot)[0], b"")


def forge_older_checkpoint(folder: Folder) -> None:
    """An older checkpoint, of an unknown format, beside the one that waits."""
    state = folder.path / "state"
    [name] = checkpoints(folder)
    shutil.move(state / name, state / "checkpoint-100")
    shutil.copytree(state / "checkpoint-100", state / name)
    change_manifest(state / name, format=7)


def replace_input(folder: Folder) -> None:
    folder.write("b.csv", b"%PDF-1.7")


def replace_output(folder: Folder) -> None:
    (folder.path / "out.csv").mkdir()


OWN = (*COMMAND, "r.csv", "--policy", "card")
OTHER_POLICY = ("--policy", "card,zero-amount=reject")
# By name: what is done before a run, its arguments, its exit code.
FAILING: dict[str, tuple[Callable[[Folder], object] | None, tuple[str, ...], int]] = {
    "another policy": (None, (*COMMAND, "r.csv", *OTHER_POLICY), 1),
    "the default policy": (None, (*COMMAND, "r.csv"), 1),
    "another policy and rejects": (None, (*COMMAND, "r2.csv", *OTHER_POLICY), 1),
    "no such policy": (None, (*COMMAND, "r.csv", "--policy", "crad"), 2),
    "no such option": (None, (*OWN, "--stat"), 2),
    "an output that is an input": (None, (*OWN, "-o", "a.csv"), 2),
    "a later input is missing": (lambda folder: (folder.path / "b.csv").unlink(), OWN, 1),
    "the input that it is inside is missing": (lambda folder: (folder.path / "a.csv").unlink(), OWN, 1),
    "another input is missing": (None, (*OWN, "missing.csv"), 1),
    "an input of another format": (replace_input, OWN, 1),
    "no transactions file": (lambda folder: folder.write("x.csv", b"a,b\n1,2\n"), ("x.csv", "--policy", "card"), 1),
    "no text": (lambda folder: folder.write("x.csv", bytes(range(256))), ("x.csv", "--policy", "card"), 1),
    "a place that is a folder": (replace_output, OWN, 1),
    "no folder for the rejects": (None, (*COMMAND, "no/r.csv", "--policy", "card"), 1),
    "a snapshot of another format": (forge_newest_snapshot, (*COMMAND, "r2.csv", "--policy", "card"), 1),
    "a damaged snapshot": (damage_newest_snapshot, (*COMMAND, "r2.csv", "--policy", "card"), 1),
    "a checkpoint of another format": (forge_older_checkpoint, (*COMMAND, "r2.csv", "--policy", "card"), 1),
}


@pytest.mark.parametrize(("prepare", "arguments", "exit_code"), FAILING.values(), ids=FAILING.keys())
@pytest.mark.parametrize("checkpoint", [(), ("--checkpoint", "0")])
def test_a_run_that_ends_before_it_replays_anything_leaves_all_as_it_was(
    folder: Folder,
    prepare: Callable[[Folder], object] | None,
    arguments: tuple[str, ...],
    exit_code: int,
    checkpoint: tuple[str, ...],
) -> None:
    before = save_a_day_and_be_killed(folder)
    if prepare is not None:
        prepare(folder)
        before = content_of(folder.path / "state")
    kept = {name: folder.read(name) for name in parts(folder)}
    ended = drive(folder, *arguments, "--state", "state", *checkpoint)
    assert ended.exit_code == exit_code, ended.errors
    assert content_of(folder.path / "state") == before
    assert {name: folder.read(name) for name in parts(folder)} == kept


def test_a_run_that_failed_at_once_goes_on_when_its_inputs_are_there_again(folder: Folder) -> None:
    for argument in ("right", "state"):
        folder.write("day.csv", FILE)
        assert folder.run("day.csv", "--state", argument, "-q").exit_code == 0
    assert drive(folder, *COMMAND, "r.csv", "--state", "right").exit_code == 0
    right = outputs(folder, "r.csv")
    killed(folder)
    taken = checkpoints(folder)
    shutil.move(folder.path / "b.csv", folder.path / "away")
    drive(folder, *COMMAND, "r.csv", *STATE).assert_failed("b.csv: cannot be read")
    shutil.move(folder.path / "away", folder.path / "b.csv")
    assert checkpoints(folder) == taken
    ended = drive(folder, *(word for word in COMMAND if word != "-q"), "r.csv", *STATE)
    assert ended.exit_code == 0
    assert "begins anew" not in ended.errors
    assert outputs(folder, "r.csv") == right
    assert (checkpoints(folder), parts(folder)) == ([], [])


def test_a_program_that_fails_before_its_first_row_leaves_all_as_it_was(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = save_a_day_and_be_killed(folder)
    monkeypatch.chdir(folder.path)

    def tables() -> Iterator[pa.Table]:
        raise ZeroDivisionError
        yield

    for given in (tables(), io.BytesIO(b"a,b\n"), "missing.csv", pa.table({"a": [1]})):
        with pytest.raises((ZeroDivisionError, txfast.TxfastError)):
            txfast.process(given, state="state", policy="card", logger=QUIET)
    with pytest.raises(StateError, match="by another policy"):
        txfast.process("a.csv", state="state", logger=QUIET)
    assert content_of(folder.path / "state") == before


def test_another_command_that_fails_after_its_first_row_discards_it(folder: Folder) -> None:
    save_a_day_and_be_killed(folder)
    ended = folder.run("a.csv", "--state", "state", "--policy", "card", "--strict")
    assert ended.exit_code == 3
    assert "is not resumed, and the run begins anew: it is of another command" in ended.error_lines[0]
    assert (checkpoints(folder), parts(folder)) == ([], [])


@pytest.mark.parametrize("rejects", ["r.csv", "r2.csv"])
def test_another_command_replaces_it_by_its_own(folder: Folder, rejects: str) -> None:
    save_a_day_and_be_killed(folder)
    [earlier] = parts(folder)
    again = (*COMMAND, rejects, "--policy", "card", "--max-malformed", "100000")
    # At the first time, nothing was replayed yet.
    assert drive(folder, *again, *STATE, TAKES="1").exit_code == 9
    assert (checkpoints(folder), parts(folder)) == (["checkpoint-3"], [earlier])
    assert drive(folder, *again, *STATE, TAKES="2").exit_code == 9
    assert checkpoints(folder) == ["checkpoint-4"]
    # With the same place of the rejects too.
    [own] = parts(folder)
    assert own != earlier
    assert own.startswith(rejects)
    ended = drive(folder, *again, *STATE)
    assert (ended.exit_code, ended.errors) == (0, "")
    assert (checkpoints(folder), parts(folder)) == ([], [])


def save_a_day_and_be_killed(folder: Folder) -> dict[str, bytes]:
    """Save a state, then have the command that goes on be killed after a checkpoint; what the state has in it."""
    folder.write("day.csv", FILE)
    assert folder.run("day.csv", "--state", "state", "-q", "--policy", "card").exit_code == 0
    killed(folder, "--threads", "1", "--policy", "card")
    assert len(parts(folder)) == 1
    return content_of(folder.path / "state")


# ---- In this process -------------------------------------------------------------------------------


@pytest.fixture
def in_process(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int | str]:
    """Runs the command in this process, in small blocks, and says how it ends: with an exit code or by a signal. It
    is sent so many signals at the ninth batch."""
    report = Replay._report
    monkeypatch.chdir(folder.path)
    monkeypatch.setattr(plan, "READ_BLOCK_BYTES", 2048)
    monkeypatch.setattr(cli, "end_by_signal", lambda name: name)

    def run(*arguments: str, signals_sent: int = 0) -> int | str:
        batches = 0

        def report_and_signal(replay: Replay, *rest: Any) -> None:
            nonlocal batches
            report(replay, *rest)
            batches += 1
            for _ in range(signals_sent if batches == 9 else 0):
                signal.raise_signal(signal.SIGTERM)

        monkeypatch.setattr(Replay, "_report", report_and_signal)
        monkeypatch.setattr(sys, "argv", ["txfast", *arguments])
        return cli.main()

    return run


@pytest.mark.parametrize("rejects", [("--rejects", "r.csv"), ()])
def test_a_run_that_a_signal_ended_goes_on(
    folder: Folder, in_process: Callable[..., int | str], rejects: tuple[str, ...]
) -> None:
    inputs = ("a.csv", "b.csv", "c.csv.gz", "-q", "--threads", "1")
    assert in_process(*inputs, "-o", "right.csv") == 0
    state = (*inputs, "-o", "out.csv", *rejects, "--state", "state", "--checkpoint", "1000")
    assert in_process(*state, signals_sent=1) == "SIGTERM"
    assert checkpoints(folder) == ["checkpoint-1"]
    assert len(parts(folder)) == len(rejects) // 2
    assert not (folder.path / "out.csv").exists()
    assert in_process(*state) == 0
    assert (folder.path / "out.csv").read_bytes() == (folder.path / "right.csv").read_bytes()
    assert checkpoints(folder) == parts(folder) == []


def test_a_second_signal_in_this_process_ends_it_at_once(folder: Folder, in_process: Callable[..., int | str]) -> None:
    state = ("--state", "state", "--checkpoint", "1000", "--threads", "1")
    assert in_process(*COMMAND, "r.csv", *state, signals_sent=2) == "SIGTERM"
    assert checkpoints(folder) == parts(folder) == []


def test_a_checkpoint_that_cannot_be_published_fails_the_run(
    folder: Folder, in_process: Callable[..., int | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_renames(monkeypatch, "checkpoint")
    assert in_process(*COMMAND, "r.csv", *STATE, "--threads", "1") == 1
    assert sorted(os.listdir(folder.path / "state")) == ["lock"]
    assert parts(folder) == []


def test_a_run_that_never_began_leaves_nothing(
    folder: Folder, in_process: Callable[..., int | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("txfast.run.session.new_replay", fail)
    assert in_process(*COMMAND, "r.csv", *STATE) == 1
    assert folder.names() == ["a.csv", "b.csv", "c.csv.gz", "in.csv"]


class Spilled:
    is_spilled = True

    @property
    def books(self) -> Spilled:
        return self


def test_no_checkpoint_is_taken_between_inputs_of_ledgers_on_disk(tmp_path: Path) -> None:
    said: list[str] = []
    LISTENER.listen(())
    LISTENER.defer()
    state = StateDirectory(str(tmp_path / "state"), lambda message: said.append(str(message)))
    found = Checkpoints(state, {}, 0, None)
    assert found.is_due()
    found.begin_input(Spilled(), 1)  # type: ignore[arg-type]
    assert said == ["ledgers went to disk for want of memory: from here on no checkpoint is taken"]
    assert not found.is_due()
    # From here on a signal ends the run at once.
    LISTENER.arrived = signal.SIGTERM
    with pytest.raises(Interrupted, match="SIGTERM"):
        LISTENER.check()
    LISTENER.listen(())


# ---- What cannot go on -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("in.csv", "--checkpoint", "1"), "--checkpoint 1 needs --state DIR"),
        (("-", *STATE), "standard input cannot be read a second time"),
        (("pipe", *STATE), "pipe cannot be read a second time"),
        (("in.csv", *STATE, "--rejects", "r.parquet"), "not r.parquet"),
        (("in.csv", *STATE, "--rejects", "/dev/stderr"), "not /dev/stderr"),
        (("in.csv", *STATE, "--reader", "arrow"), "needs --reader native"),
        (("in.csv", "--state", "state", "--checkpoint", "soon"), "'soon' is no number of seconds"),
        (("in.csv", "--state", "state", "--checkpoint", "-1"), "--checkpoint"),
    ],
)
def test_what_could_not_be_resumed_is_refused(folder: Folder, arguments: tuple[str, ...], words: str) -> None:
    os.mkfifo(folder.path / "pipe")
    folder.run(*arguments).assert_misused(words)


def test_a_run_without_a_checkpoint_is_as_ever(folder: Folder) -> None:
    folder.write("in.csv", FILE)
    assert folder.run("in.csv", *STATE, "-q").exit_code == 0
    assert checkpoints(folder) == []
