"""A state directory from run to run: inputs that grow, runs that fail, and snapshots that are damaged."""

from __future__ import annotations

import errno
import fcntl
import gzip
import json
import os
import random
import re
import shutil
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import reference_rows, replays, strategies
from tests.support.command import ACCOUNTS, FILE, Folder
from tests.support.failures import closing_with_an_error, fail_renames, failing, raising
from tests.support.legacy_states import make_legacy_state
from tests.support.profiles import examples
from tests.support.reference import HEADER
from tests.support.replays import READERS, Outcome, run_reference
from tests.support.states import (
    FIRST,
    GROWN,
    MORE,
    STATE,
    accounts,
    change_manifest,
    content_of,
    copied,
    damage_page,
    opened_state,
    replace,
    run_with_state,
    save_new,
    snapshots,
)
from tests.support.tables import ROWS, of_texts, write_table
from txfast.command.arguments import parse_arguments
from txfast.command.main import replay_files
from txfast.errors import HeaderError, InputError, SourceError, TxfastError
from txfast.input.ref import resolve
from txfast.ledger.ledger import Ledger
from txfast.log.journal import Journal
from txfast.state import manifest
from txfast.state.directory import StateDirectory
from txfast.state.folders import remove_folder


def accounts_at_once(folder: Folder, *content: bytes) -> bytes:
    """The accounts of this content, read as one file without a state."""
    (folder.path / "whole.csv").write_bytes(b"".join(content))
    ended = folder.run("whole.csv", "-q")
    assert ended.exit_code == 0, ended.errors
    return ended.output


def rows_read(folder: Folder, *arguments: str) -> int:
    """The number of rows that a run with the state reads."""
    accounts(folder, *arguments, "--stats", "s.json")
    rows = json.loads((folder.path / "s.json").read_bytes())["rows"]
    assert isinstance(rows, int)
    return rows


# ---- From run to run -------------------------------------------------------------------------------


@pytest.mark.slow
def test_thirty_days_one_by_one_give_the_results_of_one_run(folder: Folder) -> None:
    chance = random.Random(7)
    kinds = ["deposit", "deposit", "withdrawal", "dispute", "resolve", "chargeback", "fee"]
    days = []
    for number in range(30):
        lines = [
            f"{chance.choice(kinds)},{chance.randrange(40)},{chance.randrange(300)},{chance.randrange(90)}.5\n"
            for _ in range(60)
        ]
        folder.write(f"day{number}.csv", HEADER + "".join(lines).encode())
        days.append(f"day{number}.csv")
    clean = folder.run(*days, "-q", "--rejects", "clean.csv")
    rejects = b""
    for day in days:
        printed = accounts(folder, day, "--rejects", "r.csv", "--threads", chance.choice("125"))
        head, _, rows_of_day = (folder.path / "r.csv").read_bytes().partition(b"\n")
        rejects += rows_of_day if rejects else head + b"\n" + rows_of_day
    assert printed == clean.output == accounts(folder)
    assert rejects == (folder.path / "clean.csv").read_bytes()
    assert len(snapshots(folder)) == 2


def test_the_same_input_again_adds_nothing(folder: Folder) -> None:
    assert accounts(folder, "in.csv") == ACCOUNTS
    before = content_of(folder.path / "state")
    assert rows_read(folder, "in.csv", "in.csv") == 0
    assert accounts(folder, "./in.csv") == ACCOUNTS
    assert content_of(folder.path / "state") == before


def test_an_input_named_twice_is_applied_once(folder: Folder) -> None:
    assert accounts(folder, "in.csv", "in.csv") == ACCOUNTS
    assert rows_read(folder, "in.csv") == 0


@pytest.mark.parametrize("reader", READERS)
def test_an_input_that_grew_adds_its_new_rows_with_their_line_numbers(folder: Folder, reader: str) -> None:
    folder.write("in.csv", FIRST)
    accounts(folder, "in.csv", "--reader", reader)
    folder.write("in.csv", FIRST + MORE)
    ended = folder.run(*STATE, "in.csv", "--reader", reader, "warn")
    assert ended.output == accounts_at_once(folder, FIRST, MORE)
    assert ended.error_lines == [
        "malformed: in.csv:6: bad_type: fee,1,4,1",
        "rejected: in.csv:8: insufficient_funds: withdrawal,1,5,99",
    ]


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", GROWN)
def test_an_input_that_grew_is_read_from_where_it_ended(
    folder: Folder, name: str, reader: str, compressed: bool
) -> None:
    first, added, rows = GROWN[name]
    made = gzip.compress if compressed else bytes

    def run() -> Outcome:
        return run_with_state(folder.path / "state", path, reader=reader, block_bytes=None, threads=1)

    path = folder.write("in.csv", made(first))
    run()
    before = content_of(folder.path / "state")
    # The new part is a gzip file of its own, as `gzip >>` appends it.
    folder.write("in.csv", made(first) + (made(added) if added else b""))
    if rows is None:
        with pytest.raises(InputError, match=r"in.csv:[0-9]*: .* continues it; .* new state directory"):
            run()
        assert content_of(folder.path / "state") == before
        return
    outcome = run()
    assert outcome.rows == rows
    assert outcome.accounts == run_reference([("in.csv", first + added)]).accounts
    assert run().rows == 0


def test_an_input_that_grows_in_small_steps_keeps_its_line_numbers(folder: Folder) -> None:
    content = FIRST.replace(b"\n", b"\r\n")
    steps = [content[:-2], content[:-1], content, content + b" ", content + b" \r", content + b" \r\nfee,1,9,1\r\n"]
    for step in steps:
        folder.write("in.csv", step)
        ended = folder.run(*STATE, "in.csv")
        assert ended.exit_code == 0, ended.errors
    assert ended.error_lines == ["malformed: in.csv:6: bad_type: fee,1,9,1"]


def test_the_arrow_reader_does_not_skip_a_byte_order_mark_inside_an_input(folder: Folder) -> None:
    folder.write("in.csv", FIRST)
    accounts(folder, "in.csv")
    folder.write("in.csv", FIRST + b"\xef\xbb\xbfdeposit,1,9,9\n")
    folder.run(*STATE, "in.csv", "--reader", "arrow").assert_failed("in.csv", "byte order mark", "--reader native")
    assert folder.run(*STATE, "in.csv").error_lines[0].startswith("malformed: in.csv:5: bad_type")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(FIRST.replace(b"1,1,5", b"1,1,6") + MORE, id="changed in the middle"),
        pytest.param(FIRST[:-14], id="truncated"),
        pytest.param(HEADER + b"deposit,9,9,9\n", id="replaced"),
    ],
)
@pytest.mark.parametrize("encode", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("reader", READERS)
def test_an_input_with_other_content_is_a_new_input_and_the_run_says_so(
    folder: Folder, content: bytes, encode: type[bytes], reader: str
) -> None:
    folder.write("in.csv", encode(FIRST))
    accounts(folder, "in.csv")
    folder.write("in.csv", encode(content))
    run = folder.run(*STATE, "in.csv", "--stats", "s.json", "--reader", reader)
    assert run.error_lines[0] == (
        f"warn: in.csv: its first {len(FIRST)} bytes are not those that were applied before under this name: it is "
        f"read from its start as a new input; if it should be the same input, restore what was applied, and begin with "
        f"the state before this run"
    )
    assert json.loads(folder.read("s.json"))["rows"] == len(content.splitlines()) - 1
    folder.write("both.csv", FIRST + content.removeprefix(HEADER))
    assert accounts(folder) == folder.run("both.csv", "-q").output
    run = folder.run(*STATE, "in.csv", "--stats", "s.json", "-q")
    assert (json.loads(folder.read("s.json"))["rows"], run.errors) == (0, "")


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_a_table_with_other_content_is_a_new_input_and_the_run_says_so(folder: Folder, suffix: str) -> None:
    name = f"t.{suffix}"
    write_table(folder.path / name, of_texts(ROWS, pa.string()))
    accounts(folder, name)
    assert folder.run(*STATE, name).error_lines == []
    write_table(folder.path / name, of_texts([*ROWS, ("deposit", "9", "9", "9")], pa.string()))
    expected = f"warn: {name}: it does not have the content that was applied before under this name: it is read from"
    assert folder.run(*STATE, name).error_lines[0].startswith(expected)


def test_lines_longer_than_a_block_are_followed(folder: Folder) -> None:
    long = b"deposit,1,7," + b"9" * (3 << 20)
    for step in (HEADER, HEADER + b" " * (3 << 20), HEADER + b" " * (3 << 20) + b"\n", FIRST + long + b"\n"):
        folder.write("in.csv", step)
        assert folder.run(*STATE, "in.csv").exit_code == 0
    folder.write("in.csv", FIRST + long + b"\n" + MORE)
    assert folder.run(*STATE, "in.csv").error_lines[0].startswith("malformed: in.csv:7: bad_type")


def test_standard_input_is_always_new(folder: Folder) -> None:
    for _ in range(2):
        assert folder.run(*STATE, "-", "-q", "--rejects", "r.csv", stdin=FILE).output == ACCOUNTS
        assert len((folder.path / "r.csv").read_bytes().splitlines()) > 2
    assert b"duplicate_transaction" in (folder.path / "r.csv").read_bytes()


def test_without_an_input_the_accounts_are_printed_and_nothing_is_read(folder: Folder) -> None:
    accounts(folder, "in.csv")
    before = content_of(folder.path / "state")
    assert folder.run(*STATE).output == ACCOUNTS
    assert folder.run(*STATE, "-o", "a.csv").output == b""
    assert (folder.path / "a.csv").read_bytes() == ACCOUNTS
    assert content_of(folder.path / "state") == before


def test_without_an_input_there_must_be_a_state(folder: Folder) -> None:
    (folder.path / "state").mkdir()
    for arguments in ((), ("--verify",)):
        folder.run(*STATE, *arguments).assert_failed("state: holds no state", "no run has ended there")


def test_only_its_owner_can_read_the_directory(folder: Folder) -> None:
    accounts(folder, "in.csv")
    assert (folder.path / "state").stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in (folder.path / "state").rglob("*"))


def test_conservation_includes_the_accounts_that_were_loaded(folder: Folder) -> None:
    folder.write("in.csv", FIRST)
    accounts(folder, "in.csv")
    folder.write("more.csv", HEADER + MORE + b"dispute,1,1\nchargeback,1,1\n")
    ended = folder.run(*STATE, "more.csv", "-q", "--stats", "s.json")
    assert ended.exit_code == 0
    stats = json.loads((folder.path / "s.json").read_bytes())
    assert (stats["conserved"], stats["accounts"], stats["total"]) == (True, 2, "5.0000")
    assert stats["inputs"] == [{"file": "more.csv", "bytes": (folder.path / "more.csv").stat().st_size, "rows": 6}]


# ---- Anything, cut anywhere ------------------------------------------------------------------------


@examples(0.5)
@given(
    data=st.data(),
    threads=st.sampled_from([1, 3]),
    reader=st.sampled_from(READERS),
    policy=st.just("") | strategies.policies(),
)
def test_a_file_that_grows_in_steps_gives_the_results_of_one_read_at_once(
    data: st.DataObject, threads: int, reader: str, policy: str
) -> None:
    content = data.draw(st.one_of(strategies.plain_files(), strategies.hostile_files(), strategies.policy_files()))
    try:
        whole = run_reference([("grown.csv", content)], policy)
    except reference_rows.NotTransactions:
        return
    # Cut after a line, or inside CR LF; the first step has the header.
    lines = re.findall(rb"[^\r\n]*(?:\r\n|\r|\n)", content)
    ends = {sum(map(len, lines[:count])) for count in range(1, len(lines) + 1)}
    ends |= {end - 1 for end in ends if content[end - 2 : end] == b"\r\n"}
    cuts = sorted(data.draw(st.sets(st.sampled_from(sorted(ends)), max_size=4))) if ends else []
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "grown.csv"
        rejects: list[replays.Reject] = []
        outcome = None
        for end in [*cuts, len(content)]:
            path.write_bytes(content[:end])
            block_bytes = data.draw(strategies.block_sizes)
            block_bytes = replays.fit_block(reader, [("grown.csv", content)], block_bytes)
            try:
                outcome = run_with_state(
                    Path(made) / "state",
                    path,
                    reader=reader,
                    block_bytes=block_bytes,
                    threads=threads,
                    policy=policy,
                )
            except HeaderError:
                continue
            except InputError as error:
                if "--reader native" in str(error) or "what was added closes it" in str(error):
                    return  # the arrow reader cannot carry it, or a cut is inside a quoted field
                raise
            rejects += [reject._replace(file="grown.csv") for reject in outcome.rejects]
        assert outcome is not None
        assert outcome.accounts == whole.accounts
        assert rejects == whole.rejects


# ---- Runs that fail --------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [("--strict",), ("missing.csv",), ("-o", "missing/a.csv")])
def test_a_run_that_fails_leaves_the_state_as_it_was(folder: Folder, arguments: tuple[str, ...]) -> None:
    folder.write("first.csv", FIRST)
    accounts(folder, "first.csv")
    before = content_of(folder.path / "state")
    ended = folder.run(*STATE, "in.csv", *arguments)
    assert ended.exit_code == (3 if arguments == ("--strict",) else 1)
    assert content_of(folder.path / "state") == before


def test_the_accounts_are_revoked_where_the_state_cannot_be_published(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.path)
    folder.write("a.csv", b"old")
    settings = parse_arguments(["in.csv", *STATE, "-q", "-o", "a.csv"])
    fail_renames(monkeypatch, "snapshot")
    with pytest.raises(TxfastError, match="snapshot-1: cannot be written: No space"):
        replay_files(settings, Journal(quiet=True))
    assert (folder.path / "a.csv").read_bytes() == b"old"
    assert folder.names() == ["a.csv", "in.csv", "state"]
    assert snapshots(folder) == []


def test_a_second_run_at_the_same_time_fails_at_once(folder: Folder) -> None:
    accounts(folder, "in.csv")
    for name in ("state/lock", "state"):
        descriptor = os.open(folder.path / name, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        folder.run(*STATE, "in.csv").assert_failed("state", "another run is using it")
        os.close(descriptor)
    assert accounts(folder, "in.csv") == ACCOUNTS


@pytest.mark.parametrize("name", ["snapshot-2.part", "snapshot-2.0a1b2c3d.part", "snapshot-9.0a1b2c3d.part"])
def test_the_half_written_snapshot_of_a_killed_run_is_removed(folder: Folder, name: str) -> None:
    accounts(folder, "in.csv")
    shutil.copytree(folder.path / "state" / "snapshot-1", folder.path / "state" / name)
    folder.write("first.csv", FIRST)
    accounts(folder, "first.csv")
    assert snapshots(folder) == ["snapshot-1", "snapshot-2"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--state", "", "in.csv"), "the name of the folder is empty"),
        *(
            (arguments, words)
            for name in ("--verify", "--compact")
            for arguments, words in (
                ((name,), f"{name} needs --state"),
                ((*STATE, name, "in.csv"), f"{name} reads no FILE"),
                ((*STATE, name, "-o", "a.csv"), "leave --output out"),
                ((*STATE, name, "--stats", "s.json"), "leave --stats out"),
                ((*STATE, name, "--opening", "in.csv"), "leave --opening out"),
                ((*STATE, name, "--expect", "in.csv"), "leave --expect out"),
            )
        ),
        ((*STATE, "--verify", "--compact"), "--verify and --compact exclude each other"),
        ((*STATE, "--verify", "--account", "1"), "--verify and --account exclude each other"),
    ],
)
def test_options_that_do_not_fit_a_state_are_refused(folder: Folder, arguments: tuple[str, ...], words: str) -> None:
    folder.run(*arguments).assert_misused(words)


def test_a_directory_that_cannot_be_made_is_named(folder: Folder) -> None:
    folder.run("in.csv", "--state", "in.csv/state").assert_failed("in.csv/state", "cannot be used as a state directory")
    folder.run("in.csv", "--state", "in.csv").assert_failed("in.csv", "cannot be used as a state directory")


def test_an_input_that_is_gone_is_named(folder: Folder) -> None:
    with pytest.raises(SourceError, match=r"gone\.csv: cannot be read: No such file"):
        resolve(str(folder.path / "gone.csv")).real_path()


# ---- Damaged snapshots -----------------------------------------------------------------------------


each_form = pytest.mark.parametrize("is_legacy", [False, True], ids=["segments", "legacy"])


def newest_file(snapshot: Path) -> Path:
    """A file with entries that a snapshot alone has."""
    return max(snapshot.glob("entries*.arrow"))


@each_form
def test_the_snapshot_before_a_damaged_one_is_used(two_snapshots: Path, folder: Folder, is_legacy: bool) -> None:
    """One that is empty or missing is found before the run begins, in either form."""
    snapshot = copied(two_snapshots, folder)
    if is_legacy:
        make_legacy_state(folder.path / "state")
    damaged = newest_file(snapshot)
    replace(damaged, b"")
    ended = folder.run(*STATE)
    assert ended.exit_code == 0
    assert ended.output == accounts_at_once(folder, FIRST)
    [line] = ended.error_lines
    assert line.startswith(f"warn: state/snapshot-2/{damaged.name}: is damaged")
    damaged.unlink()
    assert folder.run(*STATE).output == ended.output
    replace_missing = f"state/snapshot-2/{damaged.name}"
    # The positions in inputs are those of the older snapshot too.
    shutil.copy(two_snapshots / "in.csv", folder.path / "in.csv")
    (folder.path / "in.csv").rename(two_snapshots / "in.csv")
    folder.run(*STATE, "--verify").assert_failed(replace_missing, "missing")
    ended = folder.run(*STATE, str(two_snapshots / "in.csv"), "--stats", "s.json", "-q")
    assert ended.output == accounts_at_once(folder, FIRST, MORE)
    assert json.loads((folder.path / "s.json").read_bytes())["rows"] == 4
    assert snapshots(folder) == ["snapshot-1", "snapshot-3"]


@each_form
def test_where_no_snapshot_is_good_the_run_fails(two_snapshots: Path, folder: Folder, is_legacy: bool) -> None:
    snapshot = copied(two_snapshots, folder)
    if is_legacy:
        make_legacy_state(folder.path / "state")
    damaged = newest_file(snapshot)
    replace(damaged, b"")
    (snapshot.with_name("snapshot-1") / manifest.NAME).unlink()
    before = content_of(folder.path / "state")
    for arguments in ((), ("in.csv",)):
        folder.run(*STATE, *arguments).assert_failed(f"{damaged.name}: is damaged", "no good snapshot is left")
    assert content_of(folder.path / "state") == before


@pytest.mark.parametrize("arguments", [(), ("in.csv",), ("--account", "2"), ("--compact",), ("--verify",)])
def test_a_damaged_page_fails_what_reads_it(two_snapshots: Path, folder: Folder, arguments: tuple[str, ...]) -> None:
    """It is found when it is read: then no snapshot before it is used in its place, and nothing is changed."""
    snapshot = copied(two_snapshots, folder)
    folder.write("in.csv", HEADER + b"deposit,2,99,1\n")
    damaged = min(snapshot.glob("accounts*.arrow"), key=lambda path: path.stat().st_mtime)
    damage_page(damaged)
    before = content_of(folder.path / "state")
    folder.run(*STATE, *arguments).assert_failed(f"state/snapshot-2/{damaged.name}", "is damaged")
    assert content_of(folder.path / "state") == before
    assert folder.run(*STATE, "in.csv", "-o", "out.csv", "--rejects", "r.csv", "--stats", "s.json").exit_code == 1
    assert not {"out.csv", "r.csv", "s.json"} & set(folder.names())


def test_damage_that_a_run_does_not_read_is_found_by_verify(folder: Folder) -> None:
    """Entries of accounts that no row names, for instance: what a run costs is what it needs."""
    folder.write("old.csv", HEADER + b"deposit,1,1,5\ndeposit,2,2,7\n")
    accounts(folder, "old.csv")
    [entries] = (folder.path / "state" / "snapshot-1").glob("entries*.arrow")
    damage_page(entries)
    folder.write("new.csv", HEADER + b"deposit,1,3,5\ndeposit,3,4,1\n")
    assert folder.run(*STATE, "new.csv", "-q").output == accounts_at_once(
        folder, HEADER + b"deposit,1,1,5\ndeposit,2,2,7\ndeposit,1,3,5\ndeposit,3,4,1\n"
    )
    folder.run(*STATE, "--verify").assert_failed(f"state/snapshot-2/{entries.name}: is damaged")
    folder.write("dispute.csv", HEADER + b"dispute,1,1\n")
    folder.run(*STATE, "dispute.csv").assert_failed(f"{entries.name}", "is damaged")


def test_an_unknown_format_is_refused_with_its_number(two_snapshots: Path, folder: Folder) -> None:
    snapshot = copied(two_snapshots, folder)
    change_manifest(snapshot, format=7, txfast="9.1")
    for arguments in ((), ("in.csv",), ("--verify",)):
        folder.run(*STATE, *arguments).assert_failed("state format 7", "txfast '9.1'")


FIELDS = ("accounts", "entries", "balance_units", "files", "inputs", "created")


@pytest.mark.parametrize(
    ("is_legacy", "field"),
    [
        *((is_legacy, field) for field in FIELDS for is_legacy in (False, True)),
        *((False, field) for field in ("key", "next_segment", "merges", "runs")),
    ],
)
@pytest.mark.parametrize("content", [None, -1, "x", 1 << 70, {}, [], True])
def test_a_manifest_with_a_wrong_field_is_refused(
    two_snapshots: Path, folder: Folder, field: str, content: object, is_legacy: bool
) -> None:
    snapshot = copied(two_snapshots, folder)
    if is_legacy:
        make_legacy_state(folder.path / "state")
    change_manifest(snapshot, **{field: content})
    state = StateDirectory(str(folder.path / "state"), lambda message: warnings.append(message))
    warnings: list[object] = []
    state.load(lambda snapshot: snapshot.restore([Ledger()]))
    harmless = [("inputs", {}), ("created", "x"), ("merges", {})]
    assert len(warnings) == (0 if (field, content) in harmless else 1)


# ---- Errors of the system --------------------------------------------------------------------------


def test_a_directory_that_cannot_be_listed_is_named(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    state = opened_state(folder)
    monkeypatch.setattr(os, "listdir", failing(errno.EIO))
    with pytest.raises(SourceError, match="state: cannot be read: Input/output error"):
        state.snapshots()
    state.discard()


@pytest.mark.parametrize("name", ["sync_folder", "StateDirectory.names"])
def test_a_published_snapshot_stays_where_old_ones_cannot_be_removed(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    rename = os.rename

    def rename_and_break(*paths: str) -> None:
        rename(*paths)
        monkeypatch.setattr(f"txfast.state.directory.{name}", raising(SourceError("broken", "broken")))

    state = opened_state(folder)
    for number in (1, 2, 3):
        save_new(state)
        if number == 3:
            monkeypatch.setattr("txfast.state.directory.os.rename", rename_and_break)
        state.publish()
    monkeypatch.undo()
    state.discard()
    assert snapshots(folder) == ["snapshot-2", "snapshot-3"]


def test_a_lock_is_released_where_its_file_cannot_be_closed(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    state = opened_state(folder)
    monkeypatch.setattr(os, "close", closing_with_an_error())
    state.discard()
    monkeypatch.undo()
    opened_state(folder).discard()


def test_a_folder_that_cannot_be_removed_stays_whole(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder.path / "snapshot-1"
    path.mkdir()
    (path / "file").write_bytes(b"x")
    monkeypatch.setattr(os, "rename", failing(errno.EACCES))
    remove_folder(str(path))
    assert content_of(path) == {"file": b"x"}
