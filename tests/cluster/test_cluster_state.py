"""A state on a cluster: what one run leaves and the next begins with, held to the command's own `--state`."""

import fcntl
import gzip
import json
import os
import pickle
import random
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import replays
from tests.support.command import Folder
from tests.support.engines import (
    InPlace,
    Now,
    SparkInPlace,
    hash_extents,
    pieces_of,
    run_cluster,
    run_command,
    settings_of,
)
from tests.support.outputs import (
    Outputs,
    assert_alike,
    assert_same_tables,
    by_command,
    rejects_of,
    twelve_files,
)
from tests.support.profiles import examples
from tests.support.reference import HEADER
from tests.support.replays import run_reference
from tests.support.small_memory import SmallLedger, small_books, small_limits
from tests.support.states import FIRST, GROWN, MORE, content_of, run_with_state, snapshots
from tests.support.strategies import hostile_files, plain_files
from tests.support.tables import ROWS, of_texts, write_table
from txfast.cluster import dask
from txfast.cluster.blocks import Report, Summary, reduce_shard
from txfast.cluster.job import Settings, State, make_settings, reducing
from txfast.cluster.ranges import Extent, cut_inputs, hash_extent, input_key, look_at_inputs
from txfast.cluster.records import fields_in, read_record, record_of, text_of
from txfast.cluster.state import ClusterState, open_state
from txfast.errors import ClusterError, InputError, LockedError, MemoryLimitError, SourceError, StateError, UsageError
from txfast.input.position import Place
from txfast.ledger.ledger import Ledger
from txfast.run.books import Books
from txfast.state import manifest
from txfast.state.directory import StateDirectory
from txfast.state.snapshot import Snapshot


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.chdir(tmp_path)
    return Folder(tmp_path)


def on_one_machine(folder: Folder, *names: str, state: str = "state") -> Outputs:
    """The same by the command."""
    return by_command(folder, "--state", state, *names)


def places(state: str) -> dict[str, tuple[int, int, str, bytes]]:
    """Where inputs were read up to, by their file's name."""
    directory = StateDirectory(state, pytest.fail)
    directory.load(lambda _: None)
    return {
        os.path.basename(key): (place.offset_bytes, place.lines, place.ending, place.header)
        for key, place in directory.inputs.items()
    }


# ---- From run to run -------------------------------------------------------------------------------


def test_days_on_a_cluster_and_on_one_machine_are_as_all_at_once(folder: Folder) -> None:
    days = twelve_files(folder)
    whole = by_command(folder, *days)
    chance = random.Random(3)
    rejects: list[bytes] = []
    for number, day in enumerate(days):
        if number % 4 == 2:
            found = on_one_machine(folder, day)
        else:
            shards, range_bytes = chance.choice([1, 2, 3, 8, 13]), chance.choice([37, 500, 1 << 20])
            found = run_cluster(day, shards=shards, range_bytes=range_bytes)
        expected = on_one_machine(folder, day, state="other")
        assert_alike(found, expected)
        rejects += found.rejects.splitlines(keepends=True)[1:]
        assert places("state") == places("other")
    assert found.accounts == whole.accounts
    assert b"".join(rejects) == whole.rejects.partition(b"\n")[2]
    assert len(snapshots(folder)) == 2


def test_the_command_prints_and_verifies_what_a_cluster_left(folder: Folder) -> None:
    names = twelve_files(folder)
    found = run_cluster(*names, shards=4)
    assert folder.run("--state", "state").output == found.accounts
    said = folder.run("--state", "state", "--verify").output.decode().splitlines()
    assert said[0].startswith("state/snapshot-1: good: format 3, ")
    assert f"{found.stats['accounts']} accounts" in said[0]
    assert len(said) == 1 + len(names)
    assert folder.run("--state", "state", "--memory-limit", "256MiB").output == found.accounts


def test_the_same_inputs_again_add_nothing_and_the_snapshot_stays(folder: Folder) -> None:
    names = twelve_files(folder)
    with pa.CompressedOutputStream("13.csv.gz", "gzip") as file:
        file.write(folder.read(names[0]))
    write_table(folder.path / "14.parquet", of_texts(ROWS, pa.string()))
    write_table(folder.path / "15.arrow", of_texts(ROWS, pa.string()))
    names += ["13.csv.gz", "14.parquet", "15.arrow"]
    first = run_cluster(*names)
    before = content_of(folder.path / "state")
    for again in (run_cluster(*names, shards=5), run_cluster(*names, range_bytes=1000), on_one_machine(folder, *names)):
        assert again.accounts == first.accounts
        assert again.stats["rows"] == 0
        assert again.rejects.count(b"\n") == 1
    assert content_of(folder.path / "state") == before


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet"])
def test_an_input_named_twice_is_applied_once(folder: Folder, suffix: str) -> None:
    name = f"twice.{suffix}"
    if suffix == "parquet":
        write_table(folder.path / name, of_texts(ROWS, pa.string()))
    else:
        content = folder.read("in.csv")
        folder.write(name, gzip.compress(content) if suffix.endswith("gz") else content)
    os.symlink(name, f"link.{suffix}")
    found = run_cluster(name, f"link.{suffix}", name, f"file://{folder.path}/{name}")
    assert found.accounts == by_command(folder, name).accounts
    assert [each["rows"] for each in found.stats["inputs"]][1:] == [0, 0, 0]  # type: ignore[attr-defined]
    assert run_cluster(name).stats["rows"] == 0


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("first_by", ["cluster", "command"])
@pytest.mark.parametrize("name", GROWN)
def test_an_input_that_grew_goes_on_where_it_ended(
    folder: Folder, name: str, first_by: str, compressed: bool
) -> None:
    range_bytes = 7
    first, added, rows = GROWN[name]
    made = gzip.compress if compressed else bytes

    def on_one_machine(state: str = "state") -> replays.Outcome:
        return run_with_state(Path(state), path, reader="native", block_bytes=None, threads=1)

    path = folder.write("in.csv", made(first))
    if first_by == "cluster":
        run_cluster("in.csv", range_bytes=range_bytes)
    else:
        on_one_machine()
    shutil.copytree("state", "other")
    before = content_of(folder.path / "state")
    folder.write("in.csv", made(first) + (made(added) if added else b""))
    if rows is None:
        with pytest.raises(InputError, match=r"^in.csv:[0-9]*: .* continues it; .* new state directory"):
            run_cluster("in.csv", range_bytes=range_bytes)
        assert content_of(folder.path / "state") == before
        return
    found = run_cluster("in.csv", range_bytes=range_bytes)
    expected = on_one_machine("other")
    assert found.stats["rows"] == expected.rows == rows
    assert found.accounts == expected.accounts == run_reference([("in.csv", first + added)]).accounts
    assert rejects_of(found) == [("in.csv", reject.line, reject.reason) for reject in expected.rejects]
    assert places("state") == places("other")
    assert on_one_machine().rows == 0


@pytest.mark.parametrize("name", ["rows", "no ending, then CR LF"])
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_stats_of_an_input_that_grew_are_those_of_the_command(folder: Folder, name: str, compressed: bool) -> None:
    first, added, _ = GROWN[name]
    made = gzip.compress if compressed else bytes
    folder.write("in.csv", made(first))
    run_cluster("in.csv", range_bytes=7)
    shutil.copytree("state", "other")
    folder.write("in.csv", made(first) + made(added))
    assert_alike(run_cluster("in.csv", range_bytes=7), on_one_machine(folder, "in.csv", state="other"))


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(FIRST.replace(b"1,1,5", b"1,1,6") + MORE, id="changed in the middle"),
        pytest.param(FIRST[:-14], id="truncated"),
        pytest.param(HEADER + b"deposit,9,9,9\n", id="replaced"),
        pytest.param(gzip.compress(HEADER + b"deposit,9,9,9\n"), id="compressed"),
    ],
)
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_an_input_of_other_content_is_a_new_one(folder: Folder, content: bytes, compressed: bool) -> None:
    folder.write("in.csv", gzip.compress(FIRST) if compressed else FIRST)
    run_cluster("in.csv", range_bytes=9)
    shutil.copytree("state", "other")
    folder.write("in.csv", content)
    found = run_cluster("in.csv", range_bytes=9)
    assert found.stats["rows"]
    assert_alike(found, on_one_machine(folder, "in.csv", state="other"))
    assert run_cluster("in.csv").stats["rows"] == 0


def test_what_a_file_becomes_goes_on_by_what_it_says(folder: Folder) -> None:
    """The same lines compressed or not, as the command has it; a table that is none any more is new."""
    folder.write("in.csv", FIRST)
    run_cluster("in.csv", range_bytes=9)
    folder.write("in.csv", gzip.compress(FIRST + MORE))
    assert run_cluster("in.csv").stats["rows"] == 4
    folder.write("in.csv", FIRST + MORE)
    assert run_cluster("in.csv").stats["rows"] == 0
    write_table(folder.path / "t.parquet", of_texts(ROWS, pa.string()))
    run_cluster("t.parquet")
    shutil.copy("in.csv", "t.parquet")
    assert run_cluster("t.parquet").stats["rows"] == (FIRST + MORE).count(b"\n") - 1


@examples(0.3)
@given(data=st.data())
def test_a_file_that_grows_is_as_one_read_at_once(data: st.DataObject, tmp_path_factory: Any) -> None:
    content = data.draw(st.one_of(plain_files(), hostile_files()))
    folder = tmp_path_factory.mktemp("grown")
    path = folder / "grown.csv"
    whole = b"type,client,tx,amount\n" + content
    ends = sorted(place + 1 for place, byte in enumerate(whole) if byte in b"\r\n")
    cuts = sorted(data.draw(st.sets(st.sampled_from(ends), max_size=4)))
    rejects: list[tuple[str, int, str]] = []
    for end in [*cuts, len(whole)]:
        path.write_bytes(whole[:end])
        found = run_cluster(
            str(path), shards=data.draw(st.sampled_from([1, 2, 5])), range_bytes=data.draw(st.integers(1, 100)),
            state=str(folder / "state"),
        )  # fmt: skip
        rejects += rejects_of(found)
    expected = run_reference([("grown.csv", whole)])
    assert found.accounts == expected.accounts
    assert rejects == [(str(path), reject.line, reject.reason) for reject in expected.rejects]


def test_a_shard_that_does_not_fit_in_memory_begins_and_is_saved_all_the_same(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = twelve_files(folder)
    monkeypatch.setattr("txfast.cluster.blocks.Books", small_books(0))
    monkeypatch.setattr(Books, "parts_that_fit", lambda *_: 3)
    monkeypatch.setattr(Snapshot, "parts", lambda snapshot, count, _, parts=Snapshot.parts: parts(snapshot, count, 0))
    expected = by_command(folder, *names)
    rejects = b""
    with small_limits(3):
        for part in (names[:5], names[5:9], names[9:]):
            found = run_cluster(*part, shards=2, range_bytes=500)
            assert found.stats["spilled_bytes"]
            rejects += found.rejects.partition(b"\n")[2]
    assert found.accounts == expected.accounts
    assert rejects == expected.rejects.partition(b"\n")[2]
    assert folder.run("--state", "state").output == expected.accounts


def test_the_command_of_an_engine_goes_on_from_a_state(folder: Folder) -> None:
    names = twelve_files(folder)
    expected = by_command(folder, *names)
    assert run_command(*names[:7], "--state", "state", "-o", "a.csv") == 0
    assert run_command(*names, "--state", "state", "-o", "a.csv", "--shards", "5") == 0
    assert folder.read("a.csv") == expected.accounts


def test_a_program_has_dask_go_on_from_a_state(folder: Folder) -> None:
    names = twelve_files(folder)
    client: Any = Now()
    for days in (names[:4], names[:8]):
        dask.process(client, days, rejects=True, range_bytes=500, state=Path("state"))
    accounts, rejects, _ = dask.process(client, names[8:], rejects=True, range_bytes=500, state="state")
    on_one_machine(folder, *names[:8], state="other")
    assert rejects is not None
    assert_same_tables(accounts, rejects, on_one_machine(folder, *names[8:], state="other"))


# ---- What may go wrong -----------------------------------------------------------------------------


@pytest.fixture
def two_snapshots(folder: Folder) -> Folder:
    """A state that two runs on a cluster have left."""
    folder.write("in.csv", FIRST)
    run_cluster("in.csv")
    folder.write("in.csv", FIRST + MORE)
    run_cluster("in.csv")
    return folder


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", ["changed", "longer", "missing", "manifest"])
def test_a_damaged_snapshot_gives_way_to_the_one_before_it(
    two_snapshots: Folder, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    last = two_snapshots.path / "state" / "snapshot-2"
    victim = max(last.glob("shard-*/entries.arrow"), key=lambda path: path.stat().st_size)
    if harm == "changed":
        damage(victim)
    elif harm == "longer":
        victim.write_bytes(victim.read_bytes() + b"x")
    elif harm == "missing":
        victim.unlink()
    else:
        victim = last / manifest.NAME
        damage(victim)
    found = run_cluster("in.csv")
    assert found.stats["rows"] == 4
    assert found.accounts == run_reference([("in.csv", FIRST + MORE)]).accounts
    [record] = caplog.records
    assert str(victim.relative_to(two_snapshots.path)) in record.getMessage()
    assert "is used instead" in record.getMessage()
    assert snapshots(two_snapshots) == ["snapshot-1", "snapshot-3"]


def test_where_no_snapshot_is_good_the_run_fails(two_snapshots: Folder) -> None:
    for path in (two_snapshots.path / "state").glob("snapshot-*/shard-1/accounts.arrow"):
        damage(path)
    before = content_of(two_snapshots.path / "state")
    with pytest.raises(StateError, match="no good snapshot is left"):
        run_cluster("in.csv")
    two_snapshots.run("--state", "state").assert_failed("accounts.arrow: is damaged", "no good snapshot is left")
    assert content_of(two_snapshots.path / "state") == before


def test_one_run_at_a_time_holds_the_directory(folder: Folder) -> None:
    with open_state("state", hash_extents):
        with pytest.raises(LockedError):
            run_cluster("in.csv")
        assert run_command("in.csv", "--state", "state", "-o", "a.csv") == 1
    assert folder.names() == ["in.csv", "state"]


def test_a_run_that_fails_leaves_the_state_as_it_was(two_snapshots: Folder) -> None:
    before = content_of(two_snapshots.path / "state")

    def failing(settings: Settings, state: State | None) -> Any:
        SparkInPlace(settings, state)
        raise ClusterError("shard 1 was lost")

    two_snapshots.write("more.csv", HEADER + b"deposit,9,9,9\n")
    assert run_command("more.csv", "--state", "state", "-o", "a.csv", engine=failing) == 1
    with pytest.raises(SourceError, match=r"missing\.csv: cannot be read"):
        run_cluster("missing.csv")
    assert content_of(two_snapshots.path / "state") == before


def test_a_shard_that_is_settled_twice_is_saved_once(folder: Folder) -> None:
    """As where a task is lost, or tried twice at once."""
    with open_state("state", hash_extents) as state:
        settings = settings_of(["in.csv"], 2, state)
        pieces, _ = pieces_of(settings.ranges, 2)

        def settle() -> list[object]:
            contents = [piece.content for piece in pieces[0]]
            return list(
                reduce_shard(
                    contents, len(settings.ranges), 0, 2, begin_with=settings.begin_with, save_in=settings.save_in
                )
            )

        *_, first = settle()
        assert state is not None
        SparkInPlace(settings, state)
        *_, late = settle()
        assert isinstance(first, Summary)
        assert isinstance(late, Summary)
        assert first.saved is not None
        assert late.saved is not None
        assert first.saved["folder"] != late.saved["folder"]
        assert first.saved["accounts"] == late.saved["accounts"]
    # What the engine loses of a run that has ended is made again.
    *_, again = settle()
    assert isinstance(again, Summary)
    assert again.saved is None
    names = os.listdir(folder.path / "state" / "snapshot-1")
    assert sorted(names) == [manifest.NAME, "shard-0", "shard-1"]
    assert run_cluster("in.csv").stats["rows"] == 0


def test_what_a_killed_run_has_left_is_removed(two_snapshots: Folder) -> None:
    left = two_snapshots.path / "state" / "snapshot-3.part"
    shutil.copytree(two_snapshots.path / "state" / "snapshot-2" / "shard-0", left / "shard-0-0123456789abcdef")
    two_snapshots.write("more.csv", HEADER + b"deposit,9,9,9\n")
    run_cluster("more.csv", shards=2)
    assert sorted(os.listdir(two_snapshots.path / "state")) == ["lock", "snapshot-2", "snapshot-3"]
    names = os.listdir(two_snapshots.path / "state" / "snapshot-3")
    assert sorted(names) == [manifest.NAME, "shard-0", "shard-1"]
    assert run_cluster("in.csv", "more.csv").stats["rows"] == 0


class Killed(BaseException):
    """In place of a run's end by a signal that nobody hears."""


@pytest.mark.unmeasured
def test_whatever_moment_a_run_is_killed_at_the_next_one_goes_on(
    two_snapshots: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before any call that changes the disk: from there on none is made, whoever would still clean up."""
    shutil.copytree("state", "before")
    two_snapshots.write("in.csv", FIRST + MORE + b"deposit,9,9,9\ndispute,9,9,\nwithdrawal,9,10,1\n")
    expected = run_reference([("in.csv", two_snapshots.read("in.csv"))]).accounts
    calls = last = 0
    is_over = False

    def dying(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > last:
                raise Killed
            return function(*arguments, **options)

        return call

    while not is_over:
        calls, last = 0, last + 1
        shutil.rmtree("state")
        shutil.copytree("before", "state")
        with monkeypatch.context() as patched:
            for name in ("rename", "mkdir", "fsync", "unlink", "rmdir", "open", "write"):
                patched.setattr(os, name, dying(getattr(os, name)))
            patched.setattr(fcntl, "flock", lambda *_: None)  # a process that is killed gives its lock back
            with suppress(Killed):
                run_cluster("in.csv", shards=2)
                is_over = True
        found = run_cluster("in.csv")
        assert found.accounts == expected
        assert found.stats["rows"] in (0, 3)
    assert last > 50


def test_a_shard_of_a_run_that_changed_nothing_is_settled_again(two_snapshots: Folder) -> None:
    def settle() -> object:
        pieces, _ = pieces_of(settings.ranges, 1)
        contents = [piece.content for piece in pieces[0]]
        *_, summary = reduce_shard(
            contents, len(settings.ranges), 0, 1, begin_with=settings.begin_with, save_in=settings.save_in
        )
        assert isinstance(summary, Summary)
        return summary.counts, summary.accounts, summary.available_units

    with open_state("state", hash_extents) as state:
        settings = settings_of(["in.csv"], 1, state)
        SparkInPlace(settings, state)
        before = settle()
    assert settle() == before
    assert sorted(os.listdir(two_snapshots.path / "state")) == ["lock", "snapshot-1", "snapshot-2"]


def test_a_state_that_workers_do_not_reach_is_told(folder: Folder) -> None:
    with open_state("state", hash_extents) as state:
        settings = replace(settings_of(["in.csv"], 3, state), save_in=str(folder.path / "elsewhere"))
        with pytest.raises(ClusterError, match="0 of 3 shards were saved: do all workers reach"):
            SparkInPlace(settings, state)
    assert os.listdir(folder.path / "state") == ["lock"]


def test_a_worker_that_does_not_see_a_snapshot_fails_the_run(two_snapshots: Folder) -> None:
    """And does not have an older one used in its place."""
    before = content_of(two_snapshots.path / "state")

    def elsewhere(extents: Sequence[Extent]) -> list[str]:
        return hash_extents([replace(extent, path=f"/elsewhere{extent.path}") for extent in extents])

    with pytest.raises(SourceError, match="cannot be read"), open_state("state", elsewhere) as state:
        settings_of(["in.csv"], 3, state)
    assert content_of(two_snapshots.path / "state") == before


def test_a_file_that_is_replaced_while_it_is_looked_at_fails_the_run(two_snapshots: Folder) -> None:
    before = content_of(two_snapshots.path / "state")

    def rotated(extents: Sequence[Extent]) -> list[str]:
        hashed = hash_extents(extents)
        if any(extent.path.endswith("in.csv") for extent in extents):
            two_snapshots.write("new.csv", HEADER + b"deposit,2,1,999\n" * 99).rename("in.csv")
        return hashed

    with pytest.raises(InputError, match=r"in\.csv: was changed"), open_state("state", rotated) as state:
        SparkInPlace(settings_of(["in.csv"], 3, state), state)
    assert content_of(two_snapshots.path / "state") == before


def test_a_state_that_would_know_too_much_is_not_published(
    two_snapshots: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content_of(two_snapshots.path / "state")
    monkeypatch.setattr(manifest, "BYTES_MAX", 2000)
    two_snapshots.write("more.csv", HEADER + b"deposit,9,9,9\n" * 30)
    with pytest.raises(StateError, match=r"manifest\.json: would take [0-9]* bytes, and 2000 is the most"):
        run_cluster("more.csv", range_bytes=5, shards=1)
    assert content_of(two_snapshots.path / "state") == before


def test_what_is_behind_a_link_is_what_the_system_says(folder: Folder) -> None:
    (folder.path / "deep" / "er").mkdir(parents=True)
    os.symlink("deep/er", "link")
    folder.write("in.csv", HEADER + b"deposit,1,1,7\n")
    folder.write("deep/in.csv", HEADER + b"deposit,2,2,8\n")
    found = run_cluster("in.csv", "link/../in.csv", state="link/../ledger")
    assert_alike(found, by_command(folder, "in.csv", "link/../in.csv"))
    assert run_cluster("in.csv", "deep/in.csv", "link/../in.csv", state="deep/ledger").stats["rows"] == 0


@pytest.mark.parametrize("name", ["s3://bucket/ledger", "a\0b", "in.csv"])
def test_what_is_no_folder_here_is_no_state(folder: Folder, name: str) -> None:
    for options in ((), ("in.csv",)):
        if "\0" not in name:
            folder.run("--state", name, *options).assert_failed(name, "cannot be used as a state directory")
    with pytest.raises(SourceError, match="cannot be used as a state directory"):
        run_cluster("in.csv", state=name)
    assert folder.names() == ["in.csv"]


@pytest.mark.parametrize(("name", "words"), [("-", "name files or locations"), ("a\0b", "cannot be read")])
def test_what_is_no_input_is_told(folder: Folder, name: str, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        run_cluster(name)
    assert os.listdir(folder.path / "state") == ["lock"]


def test_a_limit_on_memory_that_is_too_little_for_a_state_is_refused(folder: Folder) -> None:
    with open_state("state", hash_extents) as state, pytest.raises(UsageError, match="the least is 256MiB"):
        make_settings(
            ["in.csv"], cores=1, shards=1, keep_statuses=False, range_bytes=None, memory_limit=200 << 20,
            spill_folder=None, state=state,
        )  # fmt: skip
    assert os.listdir(folder.path / "state") == ["lock"]


class Altered(SparkInPlace):
    """A cluster that loses something of what it is to tell."""

    def __init__(self, settings: Settings, state: State | None, what: str) -> None:
        self.what = what
        super().__init__(settings, state)

    def of_kind(self, *kinds: int) -> list[Any]:
        return [self.altered(record) for record in super().of_kind(*kinds)]

    def altered(self, record: Any) -> Any:
        item = read_record(record)
        if isinstance(item, Summary) and item.shard == 1:
            if self.what == "saved":
                fields = fields_in(text_of(item)) | {"saved": None}
            elif self.what == "restored":
                fields = fields_in(text_of(item)) | {"restored": (1, 1, 1)}
            else:
                return record
            return record_of(Summary(**fields), 3)
        if isinstance(item, Report) and self.what == "place":
            return record_of(Report(**fields_in(text_of(item)) | {"place": None}), 3)
        return record


@pytest.mark.parametrize(
    ("what", "error", "words"),
    [
        ("saved", ClusterError, "2 of 3 shards were saved"), ("restored", StateError, "were saved"),
        ("place", ClusterError, r"in\.csv: nobody says how far"),
    ],
)  # fmt: skip
def test_what_the_cluster_loses_of_a_state_is_noticed(
    two_snapshots: Folder, what: str, error: type[Exception], words: str
) -> None:
    before = content_of(two_snapshots.path / "state")
    two_snapshots.write("in.csv", FIRST + MORE + b"deposit,9,9,9\n")
    with (
        pytest.raises(error, match=words),
        open_state("state", hash_extents) as state,
    ):
        Altered(settings_of(["in.csv"], 3, state), state, what)
    assert content_of(two_snapshots.path / "state") == before


def test_hashes_that_are_lost_are_noticed() -> None:
    from txfast.cluster import spark

    assert spark.in_order_of_numbers([(1, "b"), (0, "a")], 2) == ["a", "b"]
    for wrong in ([(0, "a")], [(0, "a"), (2, "b")], []):
        with pytest.raises(ClusterError, match="hashes came, of 2"):
            spark.in_order_of_numbers(wrong, 2)


def test_an_extent_that_a_worker_does_not_see_fails_the_run(folder: Folder) -> None:
    length = len(folder.read("in.csv"))
    path = str(folder.path / "in.csv")
    assert hash_extent(Extent(path, 0, length))
    assert hash_extent(Extent(path, 0, length)) != hash_extent(Extent(path, 1, length))
    assert hash_extent(Extent(path, 0, length)) == hash_extent(Extent(f"file://{path}", 0, length))
    with pytest.raises(ClusterError, match=f"ends at byte {length} where a worker sees it, and at {length + 1} "):
        hash_extent(Extent(path, 0, length + 1))
    for missing in (path + "x", f"file://{path}x", path + "\0"):
        with pytest.raises(SourceError, match="cannot be read"):
            hash_extent(Extent(missing, 0, 1))
    # What bytes look like is nothing to it.
    folder.write("in.csv", b"\x1f\x8b\x08 no gzip")
    assert hash_extent(Extent(path, 0, 5))


def test_inputs_are_known_by_what_is_nobody_s_secret(folder: Folder) -> None:
    assert input_key("s3://user:sec%2Fret@bucket/a@1/in.csv") == "s3://bucket/a@1/in.csv"
    assert input_key("hdfs://nn:8020/a@1/x.csv") != input_key("hdfs://nn:8020/b@1/x.csv")
    assert input_key("gs://bucket/a%20b") == input_key("gcs://bucket/a b")
    with_options = {input_key(f"s3://bucket/in.csv{options}") for options in ("", "?endpoint_override=a", "?token=b")}
    assert len(with_options) == 3
    assert input_key("abfss://jan@account.dfs.core.windows.net/in.csv") == (
        "abfs://jan@account.dfs.core.windows.net/in.csv"
    )
    assert input_key("abfs://:secret@account/jan/in.csv") == "abfs://account/jan/in.csv"
    assert input_key("s3://b/x?a=\udcff").startswith("s3://b/x?")
    assert all("token" not in key for key in with_options)
    os.symlink("in.csv", "link.csv")
    assert input_key("link.csv") == input_key(f"file://{folder.path}/link.csv") == str(folder.path / "in.csv")
    with pytest.raises(SourceError, match="cannot be read"):
        input_key("missing.csv")
    with pytest.raises(SourceError, match=r"file://host/in\.csv: cannot be read"):
        input_key("file://host/in.csv")


# ---- What is kept ----------------------------------------------------------------------------------


def saved_as(folder: Folder, shards: int) -> Snapshot:
    lines = b"".join(b"deposit,%d,%d,1.5\ndispute,%d,%d,\n" % (n * 7919, n, n * 7919, n) for n in range(400))
    folder.write("many.csv", HEADER + lines + b"chargeback,0,0\n")
    run_cluster("many.csv", shards=shards, range_bytes=1 << 20)
    return Snapshot.open("state/snapshot-1")


@pytest.mark.parametrize("saved", [1, 2, 3, 8])
@pytest.mark.parametrize("asked", [1, 2, 3, 5, 8, 24])
def test_any_number_of_shards_is_restored_from_any_other(folder: Folder, saved: int, asked: int) -> None:
    snapshot = saved_as(folder, saved)
    sums = [0, 0, 0]
    for shard in range(asked):
        view = snapshot.of_shard(shard, asked)
        ledgers = [Ledger(), Ledger()]
        view.restore(ledgers)
        if saved == asked:
            assert (view.accounts, view.entries) == view.restored[:2]
        parts = snapshot.of_shard(shard, asked)
        assert sum(len(ledger) for _, ledger in parts.parts(3, 0)) == view.restored[0] == sum(map(len, ledgers))
        assert parts.restored == view.restored
        sums = [sum(each) for each in zip(sums, view.restored, strict=True)]
    snapshot.check_restored(*sums)
    assert sums[0] == 400


def test_only_the_shards_that_are_asked_for_are_read(folder: Folder) -> None:
    snapshot = saved_as(folder, 8)
    for number in (2, 3):
        shutil.rmtree(f"state/snapshot-1/shard-{number}")
    snapshot.of_shard(0, 4).restore([Ledger()])
    snapshot.of_shard(4, 8).restore([Ledger()])
    for shard, count in ((1, 4), (2, 8), (0, 1)):
        with pytest.raises(SourceError):
            snapshot.of_shard(shard, count).restore([Ledger()])


@pytest.mark.parametrize(("limit", "asked"), [(3, 1), (3, 5), (1, 2), (1000, 3)])
def test_parts_that_do_not_fit_are_restored_in_halves(
    folder: Folder, limit: int, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Down to one client, which then has to fit."""
    snapshot = saved_as(folder, 3)
    monkeypatch.setattr("txfast.state.snapshot.Ledger", SmallLedger)
    sums = [0, 0, 0]
    for shard in range(asked):
        view = snapshot.of_shard(shard, asked)
        parts = [(place, len(ledger)) for place, ledger in view.parts(2, limit)]
        assert sorted({place for place, _ in parts}) == [0, 1]
        assert [place for place, _ in parts] == sorted(place for place, _ in parts)
        assert all(accounts <= limit + 1 for _, accounts in parts)  # the first takes nothing
        sums = [sum(each) for each in zip(sums, view.restored, strict=True)]
    snapshot.check_restored(*sums)
    monkeypatch.setattr(SmallLedger, "bytes_with", lambda *_: limit + 1)
    with pytest.raises(MemoryLimitError, match="a client that is too large for the memory limit"):
        list(snapshot.parts(2, limit))


def test_a_task_is_sent_nothing_of_the_inputs(two_snapshots: Folder) -> None:
    def sizes(*names: str) -> int:
        with open_state("state", hash_extents) as state:
            return len(pickle.dumps(reducing(settings_of(names, 3, state, 20))))

    for number in range(20):
        two_snapshots.write(f"{number}.csv", HEADER + b"deposit,9,9,9\n" * 50)
    names = [f"{number}.csv" for number in range(20)]
    few = sizes("in.csv")
    run_cluster(*names, range_bytes=20)
    assert sizes(*names) < few + 100


@pytest.mark.parametrize(
    "change",
    [
        {"shards": [{"accounts": 1, "entries": 1}]}, {"shards": []}, {"shards": "x"}, {"shards": [1]}, {"files": {}},
        {"accounts": 1}, {"entries": 1},
    ],
)  # fmt: skip
def test_a_manifest_of_odd_fields_is_refused(folder: Folder, change: dict[str, object]) -> None:
    saved_as(folder, 3)
    path = folder.path / "state" / "snapshot-1" / manifest.NAME
    fields = json.loads(path.read_bytes())
    del fields["hash"]
    path.write_bytes(manifest.text_of(fields | change))
    before = content_of(folder.path / "state")
    with pytest.raises(StateError, match="damaged"):
        run_cluster("many.csv")
    folder.run("--state", "state").assert_failed("is damaged")
    assert content_of(folder.path / "state") == before


@pytest.mark.parametrize("ends", [[0], [5, 5], [9, 5], [1 << 40], ["x"], [-1], [None]])
def test_parts_of_inputs_that_make_no_sense_are_refused(folder: Folder, ends: list[object]) -> None:
    run_cluster("in.csv", range_bytes=9)
    path = folder.path / "state" / "snapshot-1" / manifest.NAME
    fields = json.loads(path.read_bytes())
    del fields["hash"]
    [place] = fields["inputs"].values()
    assert place["parts"]
    place["parts"] = [{"end": end, "xxh3_128": "0"} for end in ends]
    path.write_bytes(manifest.text_of(fields))
    folder.run("--state", "state").assert_failed("manifest.json: is damaged: inputs: ", "is not what it should be")


def test_a_snapshot_of_one_machine_says_where_inputs_were_read_in_parts(folder: Folder) -> None:
    run_cluster("in.csv", range_bytes=9)
    assert on_one_machine(folder, "in.csv").stats["rows"] == 0
    folder.write("in.csv", folder.read("in.csv") + b"deposit,3,3,3\n")
    on_one_machine(folder, "in.csv")
    fields = json.loads((folder.path / "state" / "snapshot-2" / manifest.NAME).read_bytes())
    assert fields["format"] == manifest.SHARDED_FORMAT
    # And still goes on from there.
    assert run_cluster("in.csv").stats["rows"] == 0
    assert on_one_machine(folder, "in.csv").stats["rows"] == 0
    folder.write("in.csv", folder.read("in.csv").replace(b"deposit,3", b"deposit,4"))
    assert on_one_machine(folder, "in.csv").stats["rows"] == 4


def test_places_of_a_cluster_are_read_again_from_records() -> None:
    place = Place(9, 2, "ab", "lf", b"type,\xff\0", ((3, "x"), (5, "y")))
    report = Report(1, 2, 3, (4,), 5, 6, place)
    assert read_record(record_of(report, 2)) == report
    summary = Summary(1, (1, 2), 3, 4, -5, 6, 7, 8, (1, 2, -3), {"folder": "x", "files": {"a": {"bytes": 1}}})
    assert read_record(record_of(summary, 2)) == summary


def test_without_a_state_there_is_none() -> None:
    with open_state(None, hash_extents) as state:
        assert state is None


def test_a_cluster_that_hashes_otherwise_finds_nothing_good(two_snapshots: Folder) -> None:
    """Each file is asked for, whole, by a path that holds anywhere."""
    asked: list[Extent] = []

    def hash_to_nothing(extents: Sequence[Extent]) -> list[str]:
        asked.extend(extents)
        return [""] * len(extents)

    directory = StateDirectory("state", pytest.fail)
    with pytest.raises(StateError, match="no good snapshot"):
        ClusterState(directory, hash_to_nothing).begin(look_at_inputs(["in.csv"], followed=True))
    assert {extent.path for extent in asked} == {
        str(path) for path in (two_snapshots.path / "state").glob("snapshot-*/shard-*/*.arrow")
    }
    assert all(os.path.getsize(extent.path) == extent.end for extent in asked)


@pytest.mark.usefixtures("folder")
def test_all_in_one_process_knows_nothing_of_a_state() -> None:
    """Without one nothing is followed."""
    job = InPlace(cut_inputs(["in.csv"], 9), 2)
    assert all(job.figures.report(part.number).place is None for part in job.parts)
    with pytest.raises(ClusterError, match="0 of 2 shards were saved"):
        job.figures.saved()
