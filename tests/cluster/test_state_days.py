"""A state goes from run to run, on a cluster and on one machine, with the same results as on one machine alone."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support import reference_rows, replays
from tests.support.command import Folder
from tests.support.engines import run_cluster
from tests.support.legacy_states import make_legacy_state
from tests.support.outputs import assert_alike, by_command, on_one_machine, rejects_of, twelve_files
from tests.support.profiles import examples
from tests.support.reference import HEADER
from tests.support.replays import run_reference
from tests.support.rows import Row, make_file
from tests.support.segment_rows import rows_of_snapshot
from tests.support.small_memory import small_books, small_limits
from tests.support.states import (
    FIRST,
    GROWN,
    MORE,
    OLD,
    change_manifest,
    content_of,
    positions,
    run_with_state,
    snapshots,
)
from tests.support.strategies import hostile_files, plain_files
from tests.support.tables import ROWS, of_texts, write_table
from txfast.batch.batch import KINDS
from txfast.errors import InputError, StateError


@pytest.mark.slow
def test_days_on_a_cluster_and_on_one_machine_add_up_to_one_run(folder: Folder) -> None:
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
        assert positions("state") == positions("other")
    assert found.accounts == whole.accounts
    assert b"".join(rejects) == whole.rejects.partition(b"\n")[2]
    assert len(snapshots(folder)) == 2


POLICIES = (
    "card,direct-chargeback=allow",
    "redispute=after-resolve,locked=deposits+disputes,withdrawal-dispute=credit",
)


def files_of_lives(folder: Folder, count: int) -> list[str]:
    """Files of rows about long-lived payments of many clients: parts in dispute, refunds, chargebacks, reversals."""
    chance = random.Random(11)
    often = ("deposit", "dispute", "resolve", "chargeback", "reversal")
    for number in range(count):
        rows = [
            Row(kind, chance.randrange(25), chance.randrange(12), chance.choice([90_000, 40_000, 3]))
            for kind in chance.choices([*KINDS, *often], k=700)
        ]
        folder.write(f"lives{number}.csv", make_file(rows))
    return [f"lives{number}.csv" for number in range(count)]


@pytest.mark.parametrize("policy", POLICIES)
def test_days_under_a_policy_add_up_to_one_run_wherever_they_are_run(folder: Folder, policy: str) -> None:
    days = files_of_lives(folder, 6)
    option = ("--policy", policy)
    whole = by_command(folder, *option, *days)
    assert whole.accounts == run_reference([(day, folder.read(day)) for day in days], policy).accounts
    assert set(whole.stats["applied"]) == set(KINDS)
    assert all(whole.stats["applied"].values())
    rejects: list[bytes] = []
    for number, day in enumerate(days):
        if number % 3 == 2:
            found = on_one_machine(folder, *option, day)
        else:
            found = run_cluster(
                day, shards=(1, 2, 3, 5)[number % 4], range_bytes=(500, 1 << 20)[number % 2], policy=policy
            )
        assert_alike(found, on_one_machine(folder, *option, day, state="other"))
        rejects += found.rejects.splitlines(keepends=True)[1:]
        assert folder.run("--state", "state", "--verify").exit_code == 0
        assert folder.run("--state", "state").output == found.accounts
    assert found.accounts == whole.accounts
    assert b"".join(rejects) == whole.rejects.partition(b"\n")[2]


def test_shards_under_a_policy_have_their_details(folder: Folder) -> None:
    """Each shard writes a segment of each sort, and those of all shards make one run."""
    [day] = files_of_lives(folder, 1)
    run_cluster(day, shards=2, range_bytes=1 << 20, policy=POLICIES[0])
    on_one_machine(folder, "--policy", POLICIES[0], day, state="other")
    found, expected = (rows_of_snapshot(folder.path / name / "snapshot-1") for name in ("state", "other"))
    assert found.details
    assert found == expected
    fields = json.loads(folder.read("state/snapshot-1/manifest.json"))
    assert [(run["sort"], len(run["segments"])) for run in fields["runs"]] == [("accounts", 2), ("entries", 2)]
    for run in fields["runs"]:
        first, second = run["segments"]
        assert first["last"] < second["first"]


def test_shards_of_an_earlier_version_have_their_details(folder: Folder) -> None:
    [day] = files_of_lives(folder, 1)
    run_cluster(day, shards=2, range_bytes=1 << 20, policy=POLICIES[0])
    make_legacy_state(folder.path / "state", shards=2)
    names = [str(path.relative_to("state/snapshot-1")) for path in Path("state").rglob("details.arrow")]
    assert sorted(names) == [f"shard-{shard}/details.arrow" for shard in range(2)]
    path = Path("state/snapshot-1/shard-1/details.arrow")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(StateError, match=r"shard-1/details.arrow: is damaged"):
        run_cluster(day, policy=POLICIES[0])
    path.unlink()
    with pytest.raises(StateError, match=r"shard-1/details.arrow: is damaged: it is missing"):
        run_cluster(day, policy=POLICIES[0])


def test_a_state_of_another_policy_is_refused_on_a_cluster(folder: Folder) -> None:
    run_cluster("in.csv", policy="card")
    before = content_of(folder.path / "state")
    for policy in ("", "card,locked=closed"):
        with pytest.raises(StateError, match=r"^state: its rows were applied by another policy, in which .*locked is"):
            run_cluster("in.csv", policy=policy)
    assert content_of(folder.path / "state") == before
    assert run_cluster("in.csv", policy="card").stats["rows"] == 0


def test_a_state_in_shards_of_an_earlier_version_goes_on(folder: Folder) -> None:
    shutil.copytree(OLD / "format-3", "state")
    folder.write("day.csv", (OLD / "day.csv").read_bytes())
    inputs = json.loads(folder.read("state/snapshot-1/manifest.json"))["inputs"]
    change_manifest(
        folder.path / "state" / "snapshot-1", inputs={str(folder.path / name): at for name, at in inputs.items()}
    )
    with pytest.raises(StateError, match="go on with the default policy"):
        run_cluster("day.csv", policy="card")
    assert run_cluster("day.csv").stats["rows"] == 0
    folder.write("next.csv", HEADER + b"reversal,3,1\nrefund,3,1,4\nreversal,4,2\n")
    found = run_cluster("day.csv", "next.csv", shards=5)
    assert found.stats["applied"]["reversal"] == found.stats["applied"]["refund"] == 1
    assert rejects_of(found) == [("next.csv", 4, "chargeback_not_found")]
    assert b"\n3,6.0000,0.0000,6.0000,false\n" in found.accounts
    lines = folder.run("--state", "state", "--verify").output.decode().splitlines()
    assert lines[0].startswith("state/snapshot-2: good: format 6, ")


def test_the_command_prints_and_verifies_the_state_of_a_cluster(folder: Folder) -> None:
    names = twelve_files(folder)
    found = run_cluster(*names, shards=4)
    assert folder.run("--state", "state").output == found.accounts
    lines = folder.run("--state", "state", "--verify").output.decode().splitlines()
    assert lines[0].startswith("state/snapshot-1: good: format 6, ")
    assert f"{found.stats['accounts']} accounts" in lines[0]
    assert len(lines) == 2 + len(names)
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
    for again in (
        run_cluster(*names, shards=5), run_cluster(*names, range_bytes=1000), on_one_machine(folder, *names),
    ):  # fmt: skip
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
    assert [each["rows"] for each in found.stats["inputs"]][1:] == [0, 0, 0]
    assert run_cluster(name).stats["rows"] == 0


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("first_by", ["cluster", "command"])
@pytest.mark.parametrize("name", GROWN)
def test_only_the_new_rows_of_a_grown_input_are_applied(
    folder: Folder, name: str, first_by: str, compressed: bool
) -> None:
    range_bytes = 7
    first, added, rows = GROWN[name]
    encode = gzip.compress if compressed else bytes

    def replay(state: str = "state") -> replays.Outcome:
        return run_with_state(Path(state), path, reader="native", block_bytes=None, threads=1)

    path = folder.write("in.csv", encode(first))
    if first_by == "cluster":
        run_cluster("in.csv", range_bytes=range_bytes)
    else:
        replay()
    shutil.copytree("state", "other")
    before = content_of(folder.path / "state")
    folder.write("in.csv", encode(first) + (encode(added) if added else b""))
    if rows is None:
        with pytest.raises(InputError, match=r"^in.csv:[0-9]*: .* continues it; .* new state directory"):
            run_cluster("in.csv", range_bytes=range_bytes)
        assert content_of(folder.path / "state") == before
        return
    found = run_cluster("in.csv", range_bytes=range_bytes)
    expected = replay("other")
    assert found.stats["rows"] == expected.rows == rows
    assert found.accounts == expected.accounts == run_reference([("in.csv", first + added)]).accounts
    assert rejects_of(found) == [("in.csv", reject.line, reject.reason) for reject in expected.rejects]
    assert positions("state") == positions("other")
    assert replay().rows == 0


@pytest.mark.parametrize("name", ["rows", "no ending, then CR LF"])
@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_stats_of_a_grown_input_are_those_of_the_command(folder: Folder, name: str, compressed: bool) -> None:
    first, added, _ = GROWN[name]
    encode = gzip.compress if compressed else bytes
    folder.write("in.csv", encode(first))
    run_cluster("in.csv", range_bytes=7)
    shutil.copytree("state", "other")
    folder.write("in.csv", encode(first) + encode(added))
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
def test_an_input_with_other_content_is_new_and_the_run_says_so(
    folder: Folder, content: bytes, compressed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write("in.csv", gzip.compress(FIRST) if compressed else FIRST)
    run_cluster("in.csv", range_bytes=9)
    shutil.copytree("state", "other")
    folder.write("in.csv", content)
    caplog.clear()
    found = run_cluster("in.csv", range_bytes=9)
    [warning] = [record.getMessage() for record in caplog.records if "under this name" in record.getMessage()]
    assert warning.startswith(f"in.csv: its first {len(FIRST)} bytes are not those that were applied before under")
    assert found.stats["rows"]
    assert_alike(found, on_one_machine(folder, "in.csv", state="other"))
    caplog.clear()
    assert run_cluster("in.csv").stats["rows"] == 0
    assert "under this name" not in caplog.text


def test_a_file_that_changes_its_format_goes_on_if_its_lines_are_the_same(folder: Folder) -> None:
    """The same lines go on, compressed or not; a table and lines have nothing in common."""
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
def test_a_file_read_while_it_grows_gives_the_same_as_read_at_once(data: st.DataObject, tmp_path_factory: Any) -> None:
    content = data.draw(st.one_of(plain_files(), hostile_files()))
    folder = tmp_path_factory.mktemp("grown")
    path = folder / "grown.csv"
    whole = b"type,client,tx,amount\n" + content
    # A quoted field that is closed a day later makes other rows of those before, and the cluster refuses it.
    assume(not any(b"\n" in row or b"\r" in row for _, row in reference_rows.split_rows(whole)[0]))
    ends = sorted(index + 1 for index, byte in enumerate(whole) if byte in b"\r\n")
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


@pytest.mark.parametrize("legacy_days", [0, 1])
@pytest.mark.parametrize("policy", ["", POLICIES[0]])
def test_a_spilled_shard_is_restored_and_saved(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, policy: str, legacy_days: int
) -> None:
    names = files_of_lives(folder, 12) if policy else twelve_files(folder)
    monkeypatch.setattr("txfast.cluster.reduce.Books", small_books(0))
    expected = by_command(folder, *names, *(["--policy", policy] if policy else []))
    rejects = b""
    with small_limits(3, 3):
        for number, part in enumerate((names[:5], names[5:9], names[9:])):
            if 0 < number <= legacy_days:
                make_legacy_state(folder.path / "state", shards=2)
            found = run_cluster(*part, shards=2, range_bytes=500, policy=policy)
            assert found.stats["spilled_bytes"]
            rejects += found.rejects.partition(b"\n")[2]
    assert found.accounts == expected.accounts
    assert rejects == expected.rejects.partition(b"\n")[2]
    assert folder.run("--state", "state").output == expected.accounts


def test_dots_after_a_link_mean_what_the_system_says(folder: Folder) -> None:
    (folder.path / "deep" / "er").mkdir(parents=True)
    os.symlink("deep/er", "link")
    folder.write("in.csv", HEADER + b"deposit,1,1,7\n")
    folder.write("deep/in.csv", HEADER + b"deposit,2,2,8\n")
    found = run_cluster("in.csv", "link/../in.csv", state="link/../ledger")
    assert_alike(found, by_command(folder, "in.csv", "link/../in.csv"))
    assert run_cluster("in.csv", "deep/in.csv", "link/../in.csv", state="deep/ledger").stats["rows"] == 0
