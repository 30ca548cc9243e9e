"""What a state directory holds from run to run, and what becomes of it when something goes wrong."""

from __future__ import annotations

import errno
import fcntl
import gzip
import io
import json
import os
import random
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import reference, replays, strategies
from tests.support.bare_ledger import accounts_csv, apply_rows
from tests.support.command import ACCOUNTS, FILE, Folder
from tests.support.failures import fail_renames, failing
from tests.support.profiles import examples
from tests.support.reference import HEADER
from tests.support.replays import READERS, Outcome, run_reference
from tests.support.rows import Row
from tests.support.states import FIRST, GROWN, MORE, content_of, run_with_state, snapshots
from txfast.command.arguments import parse_arguments
from txfast.command.main import replay_files
from txfast.errors import CapacityError, InputError, MemoryLimitError, SourceError, StateError, TxfastError
from txfast.input.position import read_into
from txfast.input.ref import resolve
from txfast.input.source import Source
from txfast.ledger.ledger import Ledger
from txfast.log.journal import Journal
from txfast.state import manifest
from txfast.state.arrow_columns import buffer_of, read_columns
from txfast.state.directory import StateDirectory, remove_folder
from txfast.state.segments import Segments
from txfast.state.snapshot import Snapshot
from txfast.state.snapshot_layout import ACCOUNTS as ACCOUNTS_FILE
from txfast.state.snapshot_layout import ENTRIES as ENTRIES_FILE
from txfast.state.snapshot_layout import schemas
from txfast.state.snapshot_writer import SnapshotWriter

STATE = ("--state", "state")
@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def run_once(folder: Folder, *content: bytes) -> bytes:
    """The accounts of these bytes, as one file without a state."""
    (folder.path / "whole.csv").write_bytes(b"".join(content))
    ended = folder.run("whole.csv", "-q")
    assert ended.exit_code == 0, ended.errors
    return ended.output


def accounts(folder: Folder, *arguments: str) -> bytes:
    """The accounts of a run with the state, which ends well."""
    ended = folder.run(*STATE, "-q", *arguments)
    assert ended.exit_code == 0, ended.errors
    return ended.output


def rows_read(folder: Folder, *arguments: str) -> int:
    """How many rows a run with the state reads."""
    accounts(folder, *arguments, "--stats", "s.json")
    rows = json.loads((folder.path / "s.json").read_bytes())["rows"]
    assert isinstance(rows, int)
    return rows


# ---- From run to run -------------------------------------------------------------------------------


def test_thirty_days_one_by_one_are_as_all_at_once(folder: Folder) -> None:
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
def test_an_input_that_grew_adds_its_new_rows_with_their_lines(folder: Folder, reader: str) -> None:
    folder.write("in.csv", FIRST)
    accounts(folder, "in.csv", "--reader", reader)
    folder.write("in.csv", FIRST + MORE)
    ended = folder.run(*STATE, "in.csv", "--reader", reader, "warn")
    assert ended.output == run_once(folder, FIRST, MORE)
    assert ended.error_lines == [
        "error: in.csv:6: bad_type: fee,1,4,1",
        "warn: in.csv:8: insufficient_funds: withdrawal,1,5,99",
    ]


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", GROWN)
def test_an_input_that_grew_goes_on_where_it_ended(folder: Folder, name: str, reader: str, compressed: bool) -> None:
    first, added, rows = GROWN[name]
    made = gzip.compress if compressed else bytes

    def run() -> Outcome:
        return run_with_state(folder.path / "state", path, reader=reader, block_bytes=None, threads=1)

    path = folder.write("in.csv", made(first))
    run()
    before = content_of(folder.path / "state")
    # Another member, as `gzip >>` adds it.
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


def test_what_grows_in_small_steps_keeps_its_lines(folder: Folder) -> None:
    content = FIRST.replace(b"\n", b"\r\n")
    steps = [content[:-2], content[:-1], content, content + b" ", content + b" \r", content + b" \r\nfee,1,9,1\r\n"]
    for step in steps:
        folder.write("in.csv", step)
        ended = folder.run(*STATE, "in.csv")
        assert ended.exit_code == 0, ended.errors
    assert ended.error_lines == ["error: in.csv:6: bad_type: fee,1,9,1"]


def test_the_arrow_reader_does_not_skip_a_mark_inside_an_input(folder: Folder) -> None:
    folder.write("in.csv", FIRST)
    accounts(folder, "in.csv")
    folder.write("in.csv", FIRST + b"\xef\xbb\xbfdeposit,1,9,9\n")
    folder.run(*STATE, "in.csv", "--reader", "arrow").assert_failed("in.csv", "byte order mark", "--reader native")
    assert folder.run(*STATE, "in.csv").error_lines[0].startswith("error: in.csv:5: bad_type")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(FIRST.replace(b"1,1,5", b"1,1,6") + MORE, id="changed in the middle"),
        pytest.param(FIRST[:-14], id="truncated"),
        pytest.param(HEADER + b"deposit,9,9,9\n", id="replaced"),
    ],
)
def test_an_input_of_other_content_is_a_new_one(folder: Folder, content: bytes) -> None:
    folder.write("in.csv", FIRST)
    accounts(folder, "in.csv")
    folder.write("in.csv", content)
    assert rows_read(folder, "in.csv") == len(content.splitlines()) - 1
    folder.write("both.csv", FIRST + content.removeprefix(HEADER))
    assert accounts(folder) == folder.run("both.csv", "-q").output
    assert rows_read(folder, "in.csv") == 0


def test_long_lines_are_followed(folder: Folder) -> None:
    long = b"deposit,1,7," + b"9" * (3 << 20)
    for step in (HEADER, HEADER + b" " * (3 << 20), HEADER + b" " * (3 << 20) + b"\n", FIRST + long + b"\n"):
        folder.write("in.csv", step)
        assert folder.run(*STATE, "in.csv").exit_code == 0
    folder.write("in.csv", FIRST + long + b"\n" + MORE)
    assert folder.run(*STATE, "in.csv").error_lines[0].startswith("error: in.csv:7: bad_type")


def test_standard_input_is_always_new(folder: Folder) -> None:
    for _ in range(2):
        assert folder.run(*STATE, "-", "-q", "--rejects", "r.csv", stdin=FILE).output == ACCOUNTS
        assert len((folder.path / "r.csv").read_bytes().splitlines()) > 2
    assert b"duplicate_transaction" in (folder.path / "r.csv").read_bytes()


def test_without_an_input_the_accounts_are_printed_and_nothing_is_read(folder: Folder) -> None:
    accounts(folder, "in.csv")
    before = content_of(folder.path / "state")
    assert folder.run(*STATE, stdin=b"no transactions").output == ACCOUNTS
    assert folder.run(*STATE, "-o", "a.csv").output == b""
    assert (folder.path / "a.csv").read_bytes() == ACCOUNTS
    assert content_of(folder.path / "state") == before


def test_without_an_input_there_must_be_a_state(folder: Folder) -> None:
    folder.run(*STATE).assert_failed("state", "no run has ended there")
    folder.run(*STATE, "--verify").assert_failed("state")


def test_the_directory_is_private(folder: Folder) -> None:
    accounts(folder, "in.csv")
    assert (folder.path / "state").stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in (folder.path / "state").rglob("*"))


def test_conservation_counts_what_was_loaded(folder: Folder) -> None:
    folder.write("in.csv", FIRST)
    accounts(folder, "in.csv")
    folder.write("more.csv", HEADER + MORE + b"dispute,1,1\nchargeback,1,1\n")
    ended = folder.run(*STATE, "more.csv", "-q", "--stats", "s.json")
    assert ended.exit_code == 0
    stats = json.loads((folder.path / "s.json").read_bytes())
    assert (stats["conserved"], stats["accounts"], stats["total"]) == (True, 2, "5.0000")
    assert stats["inputs"] == [{"file": "more.csv", "bytes": (folder.path / "more.csv").stat().st_size, "rows": 6}]


# ---- Runs that do not end well ---------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [("--strict",), ("missing.csv",), ("-o", "missing/a.csv")])
def test_a_run_that_fails_leaves_the_state_as_it_was(folder: Folder, arguments: tuple[str, ...]) -> None:
    folder.write("first.csv", FIRST)
    accounts(folder, "first.csv")
    before = content_of(folder.path / "state")
    ended = folder.run(*STATE, "in.csv", *arguments)
    assert ended.exit_code == (3 if arguments == ("--strict",) else 1)
    assert content_of(folder.path / "state") == before


def test_the_accounts_are_taken_back_where_the_state_cannot_be_published(
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


def test_a_second_run_fails_at_once(folder: Folder) -> None:
    accounts(folder, "in.csv")
    with open(folder.path / "state" / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for arguments in (("in.csv",), (), ("--verify",)):
            folder.run(*STATE, *arguments).assert_failed("state", "another run")
    assert accounts(folder) == ACCOUNTS


def test_what_a_killed_run_was_writing_is_removed(folder: Folder) -> None:
    accounts(folder, "in.csv")
    part = folder.path / "state" / "snapshot-2.part"
    shutil.copytree(folder.path / "state" / "snapshot-1", part)
    folder.write("first.csv", FIRST)
    accounts(folder, "first.csv")
    assert snapshots(folder) == ["snapshot-1", "snapshot-2"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--verify",), "--verify needs --state"),
        (("--state", "", "in.csv"), "the name of the folder is empty"),
        ((*STATE, "--verify", "in.csv"), "--verify reads no FILE"),
        ((*STATE, "--verify", "-o", "a.csv"), "leave --output out"),
        ((*STATE, "--verify", "--stats", "s.json"), "leave --stats out"),
    ],
)
def test_what_makes_no_sense_is_refused(folder: Folder, arguments: tuple[str, ...], words: str) -> None:
    folder.run(*arguments).assert_misused(words)


def test_a_directory_that_cannot_be_made_is_named(folder: Folder) -> None:
    folder.run("in.csv", "--state", "in.csv/state").assert_failed("in.csv/state", "cannot be used as a state directory")
    folder.run("in.csv", "--state", "in.csv").assert_failed("in.csv", "cannot be used as a state directory")


# ---- Damage ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_snapshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state with two snapshots of different accounts."""
    folder = Folder(tmp_path_factory.mktemp("state"))
    folder.write("in.csv", FIRST)
    accounts(folder, "in.csv")
    folder.write("in.csv", FIRST + MORE)
    accounts(folder, "in.csv")
    return folder.path


def copied(two_snapshots: Path, folder: Folder) -> Path:
    """A copy of that state; its newest snapshot."""
    shutil.copytree(two_snapshots / "state", folder.path / "state")
    return folder.path / "state" / "snapshot-2"


def damages(chance: random.Random, content: bytes) -> Iterator[bytes]:
    """Files that are nearly this one: shorter, longer, with a bit turned."""
    while True:
        place = chance.randrange(len(content))
        yield content[:place]
        turned = bytearray(content)
        turned[place] ^= 1 << chance.randrange(8)
        yield bytes(turned)
        turned = bytearray(content)
        turned[place] = chance.randrange(256)
        if turned != content:
            yield bytes(turned)
        yield content + bytes([chance.randrange(256)])


def test_any_byte_of_a_snapshot_that_changes_is_noticed(two_snapshots: Path, folder: Folder) -> None:
    snapshot = copied(two_snapshots, folder)
    Snapshot.open(str(snapshot)).restore([Ledger()])
    chance = random.Random(3)
    for file in (ACCOUNTS_FILE, ENTRIES_FILE, manifest.NAME):
        whole = (snapshot / file).read_bytes()
        for _, damaged in zip(range(70), damages(chance, whole), strict=False):
            (snapshot / file).write_bytes(damaged)
            with pytest.raises(StateError, match=r"is damaged|is missing"):
                Snapshot.open(str(snapshot))
        (snapshot / file).unlink()
        with pytest.raises(StateError, match="missing"):
            Snapshot.open(str(snapshot))
        (snapshot / file).write_bytes(whole)


def sealed(snapshot: Path) -> None:
    """Have the manifest's hashes be those of the files, as whoever means no well would."""
    from xxhash import xxh3_128_hexdigest

    fields = json.loads((snapshot / manifest.NAME).read_bytes())
    del fields["hash"]
    for file in (ACCOUNTS_FILE, ENTRIES_FILE):
        content = (snapshot / file).read_bytes()
        fields["files"][file] = {"bytes": len(content), "xxh3_128": xxh3_128_hexdigest(content)}
    (snapshot / manifest.NAME).write_bytes(manifest.text_of(fields))


def test_bytes_with_the_right_hash_are_not_trusted_either(two_snapshots: Path, folder: Folder) -> None:
    snapshot = copied(two_snapshots, folder)
    chance = random.Random(4)
    refused = 0
    for file in (ACCOUNTS_FILE, ENTRIES_FILE):
        whole = (snapshot / file).read_bytes()
        for _, damaged in zip(range(100), damages(chance, whole), strict=False):
            (snapshot / file).write_bytes(damaged)
            sealed(snapshot)
            try:
                Snapshot.open(str(snapshot)).restore([Ledger()])
            except StateError:
                refused += 1
        (snapshot / file).write_bytes(whole)
    assert refused > 50


def test_a_damaged_snapshot_gives_way_to_the_one_before_it(two_snapshots: Path, folder: Folder) -> None:
    snapshot = copied(two_snapshots, folder)
    (snapshot / ENTRIES_FILE).write_bytes(b"")
    ended = folder.run(*STATE)
    assert ended.exit_code == 0
    assert ended.output == run_once(folder, FIRST)
    [line] = ended.error_lines
    assert line.startswith("warn: state/snapshot-2/entries.arrow: is damaged")
    # Inputs too are as far consumed as they were then.
    shutil.copy(two_snapshots / "in.csv", folder.path / "in.csv")
    (folder.path / "in.csv").rename(two_snapshots / "in.csv")
    folder.run(*STATE, "--verify").assert_failed("snapshot-2/entries.arrow", "is damaged")
    ended = folder.run(*STATE, str(two_snapshots / "in.csv"), "--stats", "s.json", "-q")
    assert ended.output == run_once(folder, FIRST, MORE)
    assert json.loads((folder.path / "s.json").read_bytes())["rows"] == 4
    assert snapshots(folder) == ["snapshot-1", "snapshot-3"]


def test_where_no_snapshot_is_good_the_run_fails(two_snapshots: Path, folder: Folder) -> None:
    snapshot = copied(two_snapshots, folder)
    (snapshot / ENTRIES_FILE).write_bytes(b"")
    (snapshot.with_name("snapshot-1") / manifest.NAME).unlink()
    before = content_of(folder.path / "state")
    for arguments in ((), ("in.csv",)):
        folder.run(*STATE, *arguments).assert_failed("entries.arrow: is damaged", "no good snapshot is left")
    assert content_of(folder.path / "state") == before


def test_another_format_is_refused_by_its_number(two_snapshots: Path, folder: Folder) -> None:
    snapshot = copied(two_snapshots, folder)
    fields = json.loads((snapshot / manifest.NAME).read_bytes())
    del fields["hash"]
    (snapshot / manifest.NAME).write_bytes(manifest.text_of({**fields, "format": 7, "txfast": "9.1"}))
    for arguments in ((), ("in.csv",), ("--verify",)):
        folder.run(*STATE, *arguments).assert_failed("state format 7", "txfast '9.1'")


@pytest.mark.parametrize("field", ["accounts", "entries", "balance_units", "files", "inputs", "created"])
@pytest.mark.parametrize("content", [None, -1, "x", 1 << 70, {}, [], True])
def test_a_manifest_of_odd_fields_is_refused(two_snapshots: Path, folder: Folder, field: str, content: object) -> None:
    snapshot = copied(two_snapshots, folder)
    fields = json.loads((snapshot / manifest.NAME).read_bytes())
    del fields["hash"]
    (snapshot / manifest.NAME).write_bytes(manifest.text_of({**fields, field: content}))
    state = StateDirectory(str(folder.path / "state"), lambda message: warnings.append(message))
    warnings: list[object] = []
    state.load(lambda snapshot: snapshot.restore([Ledger()]))
    assert len(warnings) == (0 if (field, content) in (("inputs", {}), ("created", "x")) else 1)


def test_verify_says_what_is_there(two_snapshots: Path, folder: Folder) -> None:
    copied(two_snapshots, folder)
    ended = folder.run(*STATE, "--verify")
    assert ended.exit_code == 0
    text = ended.output.decode()
    found = r"state/snapshot-2: good: format 1, \d{4}-.*Z, 2 accounts, 3 deposits and withdrawals, 1 inputs"
    assert re.search(found, text)
    assert f"{two_snapshots}/in.csv: {len(FIRST + MORE)} bytes, 8 lines" in text
    assert "state/snapshot-1: good" in text


def test_the_files_are_what_arrow_takes_them_for(two_snapshots: Path) -> None:
    snapshot = two_snapshots / "state" / "snapshot-1"
    table = pa.ipc.open_file(snapshot / ACCOUNTS_FILE).read_all()
    assert table.to_pylist() == [
        {"client": 1, "available": 50_000, "held": 0, "locked": False},
        {"client": 2, "available": 0, "held": 70_000, "locked": False},
    ]
    assert table.schema.metadata[b"amounts"] == b"units of 0.0001"
    entries = pa.ipc.open_file(snapshot / ENTRIES_FILE).read_all()
    assert entries.to_pylist() == [
        {"client": 1, "tx": 1, "amount": 50_000, "kind": 0, "state": 0},
        {"client": 2, "tx": 2, "amount": 70_000, "kind": 0, "state": 1},
    ]


# ---- One after the other ---------------------------------------------------------------------------


def write_one_after_the_other(path: Path, ledgers: list[Ledger], steps: list[list[Row]]) -> Iterator[Path]:
    """Snapshots that share their entries, each after some more rows and without the one before it."""
    segments = Segments()
    for number, rows in enumerate(steps):
        for place, ledger in enumerate(ledgers):
            apply_rows(ledger, [row for row in rows if row.client % len(ledgers) == place])
        folder = path / f"snapshot-{number}"
        writer = SnapshotWriter(str(path / "part"), segments=segments)
        for ledger in ledgers:
            writer.add(ledger)
        writer.finish({})
        writer.close()
        (path / "part").rename(folder)
        segments = writer.segments_in(str(folder))
        if number:
            shutil.rmtree(path / f"snapshot-{number - 1}")
        yield folder


def segment_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("entries*.arrow"))


@examples(0.5)
@given(
    st.lists(strategies.streams(amounts=strategies.edge_amounts), min_size=1, max_size=6), st.integers(1, 3),
    st.integers(1, 3),
)  # fmt: skip
def test_snapshots_that_share_their_entries_are_as_those_that_do_not(
    steps: list[list[Row]], ledgers: int, shards: int
) -> None:
    whole = [Ledger() for _ in range(ledgers)]
    with tempfile.TemporaryDirectory() as made:
        for number, folder in enumerate(write_one_after_the_other(Path(made), whole, steps)):
            assert len(segment_names(folder)) == number + 1
            restored = [Ledger() for _ in range(shards)]
            Snapshot.open(str(folder)).restore(restored)
            assert accounts_csv(restored) == accounts_csv(whole)
            assert sum(ledger.entries for ledger in restored) == sum(ledger.entries for ledger in whole)
    # Every deposit is in the state that it was in.
    endings = [Row(kind, row.client, row.tx, None) for rows in steps for row in rows for kind in ("resolve", "dispute")]
    if shards == ledgers == 1:
        assert apply_rows(restored[0], endings) == apply_rows(whole[0], endings)


STEPS = [[Row("deposit", client, 100 * day + client, 5) for client in range(9)] for day in range(7)]


def test_entries_are_written_as_one_again_when_they_are_many_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("txfast.state.segments.SEGMENTS_MAX", 3)
    counts = [len(segment_names(folder)) for folder in write_one_after_the_other(tmp_path, [Ledger()], STEPS)]
    assert counts == [1, 2, 3, 1, 2, 3, 1]


def test_where_files_have_no_second_names_all_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link, calls = os.link, 0

    def fail_at_the_third(old: str, new: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        link(old, new)

    monkeypatch.setattr(os, "link", fail_at_the_third)
    ledger = Ledger()
    counts = []
    for folder in write_one_after_the_other(tmp_path, [ledger], STEPS):
        counts.append(len(segment_names(folder)))
        restored = Ledger()
        Snapshot.open(str(folder)).restore([restored])
        assert accounts_csv([restored]) == accounts_csv([ledger])
        assert restored.entries == ledger.entries
    assert counts == [1, 2, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("damage", ["entries-1.arrow", "entries-2.arrow", "disputes.arrow", "another name"])
def test_damage_to_a_shared_file_is_noticed(tmp_path: Path, damage: str) -> None:
    *_, folder = write_one_after_the_other(tmp_path, [Ledger()], STEPS[:3])
    Snapshot.open(str(folder)).restore([Ledger()])
    if damage == "another name":
        fields = json.loads((folder / manifest.NAME).read_bytes())
        fields["files"]["more.arrow"] = fields["files"].pop("entries-1.arrow")
        del fields["hash"]
        (folder / manifest.NAME).write_bytes(manifest.text_of(fields))
    else:
        content = bytearray((folder / damage).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / damage).write_bytes(content)
    with pytest.raises(StateError, match="is damaged"):
        Snapshot.open(str(folder))


# ---- What the system refuses -----------------------------------------------------------------------


def write_snapshot(path: Path, *, durable: bool = True) -> None:
    ledger = Ledger()
    apply_rows(ledger, [Row("deposit", 1, 1, 5)])
    writer = SnapshotWriter(str(path), durable=durable)
    try:
        writer.add(ledger)
        writer.finish({})
    finally:
        writer.close()


@pytest.mark.parametrize("call", ["mkdir", "open", "write", "fsync"])
def test_a_snapshot_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(os, call, failing(errno.ENOSPC))
    with pytest.raises(SourceError, match=r"snapshot.*: cannot be written: No space left on device"):
        write_snapshot(tmp_path / "snapshot")


def closing_with_an_error() -> Callable[[int], None]:
    close = os.close

    def close_and_fail(descriptor: int) -> None:
        close(descriptor)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    return close_and_fail


def test_what_is_only_measured_waits_for_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
    write_snapshot(tmp_path / "snapshot", durable=False)
    Snapshot.open(str(tmp_path / "snapshot")).restore([Ledger()])


def test_a_folder_whose_names_do_not_reach_the_disk_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def fail_for_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_for_folders)
    with pytest.raises(SourceError, match="snapshot: cannot be written: Input/output error"):
        write_snapshot(tmp_path / "snapshot")


def failing_with(error: BaseException) -> Callable[..., None]:
    def fail(*_: object) -> None:
        raise error

    return fail


def test_what_cannot_be_read_is_no_damage(two_snapshots: Path, folder: Folder) -> None:
    snapshot = copied(two_snapshots, folder)
    for file in (ACCOUNTS_FILE, manifest.NAME):
        (snapshot / file).unlink()
        (snapshot / file).mkdir()
        with pytest.raises(SourceError, match="cannot be read: Is a directory"):
            Snapshot.open(str(snapshot))
    with pytest.raises(SourceError, match=r"missing: cannot be read: .*No such file"):
        list(read_columns(str(snapshot / "missing"), schemas()[ACCOUNTS_FILE]))


def test_a_manifest_without_end_is_not_read(
    two_snapshots: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = copied(two_snapshots, folder)
    monkeypatch.setattr(manifest, "BYTES_MAX", 100)
    with pytest.raises(StateError, match=r"manifest.json: is damaged: it is too long"):
        Snapshot.open(str(snapshot))


@pytest.mark.parametrize("error", [MemoryError("no memory"), CapacityError("too many accounts")])
def test_what_does_not_fit_is_no_damage(
    two_snapshots: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    snapshot = Snapshot.open(str(copied(two_snapshots, folder)))
    monkeypatch.setattr("txfast.state.arrow_columns.buffer_of", failing_with(error))
    with pytest.raises(type(error), match=str(error)):
        snapshot.restore([Ledger()])


def test_parts_that_are_too_large_for_the_limit_are_refused(two_snapshots: Path, folder: Folder) -> None:
    snapshot = Snapshot.open(str(copied(two_snapshots, folder)))
    assert [(place, len(part)) for place, part in snapshot.parts(1, 0)] == [(0, 2)]
    with pytest.raises(MemoryLimitError, match="a client that is too large for the memory limit"):
        list(snapshot.parts(2, 1))


def change_manifest(snapshot: Path, **changes: object) -> None:
    """Have the manifest say something else, with a hash that fits."""
    fields = json.loads((snapshot / manifest.NAME).read_bytes())
    del fields["hash"]
    (snapshot / manifest.NAME).write_bytes(manifest.text_of({**fields, **changes}))


@pytest.mark.parametrize(("changes", "words"), [
    ({"accounts": 3}, "it has 2 accounts and 3 transactions, where 3 and 3 were saved"),
    ({"entries": 4}, "it has 2 accounts and 3 transactions, where 2 and 4 were saved"),
    ({"balance_units": 1}, r"its accounts have \d+ units of 0.0001, where 1 were saved"),
])  # fmt: skip
def test_sums_that_differ_from_those_saved_are_damage(
    two_snapshots: Path, folder: Folder, changes: dict[str, object], words: str
) -> None:
    path = copied(two_snapshots, folder)
    change_manifest(path, **changes)
    for load in (lambda snapshot: snapshot.restore([Ledger()]), lambda snapshot: list(snapshot.parts(2, 0))):
        with pytest.raises(StateError, match=words):
            load(Snapshot.open(str(path)))


def test_record_batches_are_as_large_as_they_are_written_at_most(
    two_snapshots: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = Snapshot.open(str(copied(two_snapshots, folder)))
    monkeypatch.setattr("txfast.state.arrow_columns.BATCH_ROWS", 1)
    with pytest.raises(StateError, match=r"accounts.arrow: is damaged: it has a record batch of 2 rows"):
        snapshot.restore([Ledger()])


def test_an_empty_record_batch_has_nothing(two_snapshots: Path, folder: Folder) -> None:
    snapshot = copied(two_snapshots, folder)
    table = pa.ipc.open_file(snapshot / ACCOUNTS_FILE).read_all()
    with pa.ipc.new_file(str(snapshot / ACCOUNTS_FILE), table.schema) as writer:
        writer.write_batch(pa.RecordBatch.from_pylist([], schema=table.schema))
        writer.write_table(table)
    sealed(snapshot)
    ledger = Ledger()
    Snapshot.open(str(snapshot)).restore([ledger])
    assert len(ledger) == 2


def test_a_column_without_values_is_none() -> None:
    class Bare:
        null_count = offset = 0

        def buffers(self) -> tuple[None, None]:
            return None, None

    with pytest.raises(ValueError, match="a column without values"):
        buffer_of(Bare())
    with pytest.raises(ValueError, match="nulls"):
        buffer_of(pa.nulls(3, pa.uint64()))


def test_fields_of_a_manifest_are_what_they_should_be() -> None:
    for text in (b"[]", b"{}", b'"hash"', b"\xff", b"["):
        with pytest.raises(StateError, match="it is no manifest"):
            manifest.parse("m.json", text)
    fields = manifest.Fields("m.json", {"word": "red", "text": "\ud800\udfff\U0001f600", "list": [1, "2"]})
    with pytest.raises(StateError, match="word is not what it should be"):
        fields.choice("word", ("blue",))
    assert fields.choice("word", ("red",)) == "red"
    with pytest.raises(StateError, match="text is not what it should be"):
        fields.encoded("text")
    with pytest.raises(StateError, match="list is not what it should be"):
        fields.numbers("list")
    with pytest.raises(StateError, match=r"list: .* is not what it should be"):
        fields.parts("list")


def opened_state(folder: Folder) -> StateDirectory:
    state = StateDirectory(str(folder.path / "state"), lambda message: pytest.fail(str(message)))
    state.open()
    return state


def save_new(state: StateDirectory) -> None:
    save = state.saver(changed=True)
    assert save is not None
    save(Ledger())
    state.finish()


def test_a_state_that_cannot_be_listed_is_told_of(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    state = opened_state(folder)
    monkeypatch.setattr(os, "listdir", failing(errno.EIO))
    with pytest.raises(SourceError, match="state: cannot be read: Input/output error"):
        state.snapshots()
    state.discard()


@pytest.mark.parametrize("name", ["sync_folder", "StateDirectory.names"])
def test_what_was_published_stays_where_old_snapshots_cannot_be_removed(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    state = opened_state(folder)
    for number in (1, 2, 3):
        save_new(state)
        if number == 3:
            monkeypatch.setattr(f"txfast.state.directory.{name}", failing_with(SourceError("broken")))
        state.publish()
    monkeypatch.undo()
    state.discard()
    assert snapshots(folder) == ["snapshot-2", "snapshot-3"]


def test_a_lock_that_will_not_close_is_given_free(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    state = opened_state(folder)
    monkeypatch.setattr(os, "close", closing_with_an_error())
    state.discard()
    monkeypatch.undo()
    opened_state(folder).discard()


def test_an_input_that_vanishes_is_told_of(folder: Folder) -> None:
    with pytest.raises(SourceError, match=r"gone\.csv: cannot be read: No such file"):
        resolve(str(folder.path / "gone.csv")).real_path()


def test_a_folder_that_cannot_be_removed_stays_whole(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder.path / "snapshot-1"
    path.mkdir()
    (path / "file").write_bytes(b"x")
    monkeypatch.setattr(os, "rename", failing(errno.EACCES))
    remove_folder(str(path))
    assert content_of(path) == {"file": b"x"}


def test_an_input_that_cannot_be_read_on_is_told_of() -> None:
    class Broken(io.RawIOBase):
        error: OSError

        def readinto(self, _: object) -> int:
            raise self.error

    broken = Broken()
    source = Source("in.csv", cast(io.FileIO, broken), None)
    broken.error = OSError(errno.EIO, "Input/output error")
    with pytest.raises(SourceError, match=r"in\.csv: cannot be read: Input/output error"):
        read_into(source, memoryview(bytearray(1)))
    broken.error = SourceError("in.csv: is cut short")
    with pytest.raises(SourceError, match="is cut short"):
        read_into(source, memoryview(bytearray(1)))


# ---- Anything, cut anywhere ------------------------------------------------------------------------


@examples(0.5)
@given(data=st.data(), threads=st.sampled_from([1, 3]), reader=st.sampled_from(READERS))
def test_a_file_that_grows_in_steps_is_as_one_read_at_once(data: st.DataObject, threads: int, reader: str) -> None:
    content = data.draw(st.one_of(strategies.plain_files(), strategies.hostile_files()))
    try:
        whole = run_reference([("grown.csv", content)])
    except reference.NotTransactions:
        return
    # Cut behind a line, or inside CR LF; the first step has the header.
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
                    Path(made) / "state", path, reader=reader, block_bytes=block_bytes, threads=threads
                )
            except InputError as error:
                if "byte order mark" in str(error):
                    return  # the arrow reader cannot carry one inside an input
                if "not a transactions file" not in str(error):
                    raise
                continue
            rejects += [reject._replace(file="grown.csv") for reject in outcome.rejects]
        assert outcome is not None
        assert outcome.accounts == whole.accounts
        assert rejects == whole.rejects
