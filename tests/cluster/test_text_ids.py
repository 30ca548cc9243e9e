"""Text ids on a cluster: what one machine gives, in all outputs and states, by a key that nobody sees."""

from __future__ import annotations

import json
import pickle
import random
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import strategies
from tests.support.command import Folder
from tests.support.engines import (
    DaskClient,
    PlainJob,
    WorkersJob,
    hash_extents,
    pieces_of,
    run_cluster,
    run_command,
    run_ranges,
    settings_of,
)
from tests.support.legacy_states import make_legacy_state
from tests.support.outputs import assert_alike, assert_same_tables, by_command
from tests.support.profiles import examples
from tests.support.rows import Row
from tests.support.small_memory import small_reducers, small_reducers_of_parts
from tests.support.text_ids import TEXT_SETTINGS, any_text_dialects, make_text_file
from txfast.cluster import dask, spark_workers
from txfast.cluster.accounts import MergedAccounts
from txfast.cluster.cutting import cut_inputs
from txfast.cluster.job import reduce_options
from txfast.cluster.ranges import Range
from txfast.cluster.records import fields_in, text_of
from txfast.cluster.sent_dialect import dialect_in, dialect_text
from txfast.cluster.state import open_state
from txfast.dialect.dialect import Dialect
from txfast.state.snapshots import open_snapshot

TEXT = {"ids": "text"}
KINDS = ("deposit", "deposit", "deposit", "withdrawal", "dispute", "resolve", "chargeback")


def stream(count: int) -> list[Row]:
    """Rows of many outcomes, of some forty clients."""
    chance = random.Random(3)
    return [
        Row(chance.choice(KINDS), chance.randrange(40), chance.randrange(3), 10_000 * chance.randrange(9))
        for _ in range(count)
    ]


def flags_of(settings: dict[str, str]) -> list[str]:
    return [word for name, value in settings.items() for word in ("--dialect", f"{name}={value}")]


def write_stream(folder: Folder, settings: dict[str, str], count: int = 400, name: str = "in.csv") -> None:
    folder.write(name, make_text_file(stream(count), Dialect(settings)))


# ---- Without a state -----------------------------------------------------------------------------


@pytest.mark.parametrize("settings", TEXT_SETTINGS, ids=str)
@pytest.mark.parametrize(("shards", "range_bytes"), [(1, 1 << 20), (3, 700), (64, 5_000)])
def test_any_shards_and_ranges_give_what_one_machine_gives(
    folder: Folder, settings: dict[str, str], shards: int, range_bytes: int
) -> None:
    write_stream(folder, settings)
    expected = by_command(folder, "in.csv", *flags_of(settings))
    assert expected.stats["applied"]["chargeback"]
    assert_alike(run_ranges(["in.csv"], shards, range_bytes, dialect=settings), expected)


@pytest.mark.parametrize("settings", TEXT_SETTINGS, ids=str)
@pytest.mark.parametrize("accounts", [1, 9])
def test_a_shard_that_does_not_fit_in_memory_gives_the_same(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], accounts: int
) -> None:
    write_stream(folder, settings)
    expected = by_command(folder, "in.csv", *flags_of(settings))
    monkeypatch.setattr("txfast.cluster.reduce.RUN_BYTES", 100)
    with small_reducers(accounts):
        found = run_ranges(["in.csv"], 2, 9_000, dialect=settings)
    assert_alike(found, expected)
    assert found.stats["spilled_bytes"]


def test_tables_give_what_one_machine_gives(folder: Folder) -> None:
    rows = [row for row in stream(200) if row.kind == "deposit"]
    table = pa.table({
        "type": [row.kind for row in rows], "client": [f"ü{row.client}" for row in rows],
        "tx": [f"{row.tx}, \"x\"" for row in rows], "amount": [f"{row.tx}.5" for row in rows],
    })  # fmt: skip
    pq.write_table(table, "in.parquet")
    expected = by_command(folder, "in.parquet", *flags_of(TEXT))
    assert_alike(run_ranges(["in.parquet"], 3, dialect=TEXT), expected)


@pytest.mark.parametrize("name", ["accounts.csv", "accounts.parquet", "accounts.arrow"])
def test_the_command_writes_what_one_machine_writes(
    folder: Folder, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = b"".join(b'"deposit","id %d","%d/%d",%d.5\n' % (at % 17, at, at % 3, at) for at in range(200))
    folder.write("in.csv", b"type,client,tx,amount\n" + rows + b'dispute,"nobody, ever",x\nfee,1,1,1\n')
    words = ("in.csv", "--ids", "text", "--rejects", "rejects.jsonl")
    assert run_command(*words, "-o", name, "--stats", "s.json") == 0
    errors = capsys.readouterr().err
    ran = folder.run(*words[:-1], "r.jsonl", "-o", f"one-{name}", "--stats", "t.json")
    assert ran.exit_code == 0
    assert folder.read(name) == folder.read(f"one-{name}")
    assert folder.read("rejects.jsonl") == folder.read("r.jsonl")
    assert errors.splitlines()[-1].replace("rejects.jsonl", "r.jsonl") == ran.outcome
    stats, other = json.loads(folder.read("s.json")), json.loads(folder.read("t.json"))
    assert [stats[each] for each in ("accounts", "total", "dialect")] == [
        other[each] for each in ("accounts", "total", "dialect")
    ]


def test_a_client_that_is_no_utf8_is_refused_in_tables_alone(
    folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.write("in.csv", b"type,client,tx,amount\ndeposit,\xff,1,1\n")
    assert run_command("in.csv", "--ids", "text", "-o", "a.parquet") == 1
    assert "client \\xff is not UTF-8" in capsys.readouterr().err
    assert not Path("a.parquet").exists()
    assert run_command("in.csv", "--ids", "text", "-o", "a.csv") == 0
    assert folder.read("a.csv").endswith(b"\n\xff,1.0000,0.0000,1.0000,false\n")


@pytest.mark.parametrize("settings", TEXT_SETTINGS, ids=str)
def test_frames_have_the_rows_of_one_machine(folder: Folder, settings: dict[str, str]) -> None:
    rows = b"".join(b"deposit,%d%c,%d,%d\n" % (at % 9, b"ab"[at % 2], at, at) for at in range(60))
    if "client" not in "".join(settings) and "ids" not in settings:
        rows = rows.replace(b"a,", b",").replace(b"b,", b",")
    folder.write("in.csv", b"type,client,tx,amount\n" + rows + b"dispute,3,77\n")
    expected = by_command(folder, "in.csv", *flags_of(settings))
    job = WorkersJob(settings_of(["in.csv"], dialect=settings))
    assert_same_tables(job.accounts(), job.rejects(), expected)
    is_text = Dialect(settings).has_text("client")
    assert job.accounts().schema.field("client").type == (pa.string() if is_text else pa.decimal128(20, 0))
    schema = spark_workers.accounts_of_runs(Dialect(settings))[1]
    assert schema.startswith("client string," if is_text else "client decimal(20,0),")
    client: Any = DaskClient()
    table, rejects, _ = dask.process(client, ["in.csv"], rejects=True, range_bytes=100, dialect=settings)
    assert rejects is not None
    assert_same_tables(table, rejects, expected)
    assert table.schema.field("client").type == (pa.string() if is_text else pa.uint64())


# ---- The key -------------------------------------------------------------------------------------


def test_a_run_has_one_key_and_another_run_another() -> None:
    dialect = Dialect(TEXT)
    sent, other = dialect_text(dialect), dialect_text(dialect)
    first, again, second = dialect_in(sent), dialect_in(str(sent)), dialect_in(other)
    assert first == again == second == dialect
    keys = [None if each is None or each.text_ids is None else each.text_ids.key for each in (first, again, second)]
    assert keys[0] == keys[1] != keys[2]
    assert dialect_in(dialect_text(Dialect({"decimals": "2"}))) == Dialect({"decimals": "2"})
    numbers = dialect_in(dialect_text(Dialect({"decimals": "2"})))
    assert numbers is not None
    assert numbers.text_ids is None
    assert dialect_text(None) == dialect_text(Dialect()) == ""
    assert dialect_in("") is None


def test_clients_are_in_other_shards_in_each_run(folder: Folder) -> None:
    write_stream(folder, TEXT)

    def rows_by_shard() -> list[int]:
        pieces, _ = pieces_of(cut_inputs(["in.csv"], dialect=dialect_text(Dialect(TEXT))), 50)
        return [sum(len(piece.content) for piece in each) for each in pieces]

    assert rows_by_shard() != rows_by_shard()


def test_nobody_sees_the_key(folder: Folder) -> None:
    """Engines log the arguments of tasks that fail."""
    write_stream(folder, TEXT)
    settings = settings_of(["in.csv"], dialect=TEXT)
    options = reduce_options(settings)
    dialect = dialect_in(settings.dialect)
    assert dialect is not None
    assert dialect.text_ids is not None
    key = dialect.text_ids.key.hex()
    assert key in settings.dialect
    assert re.search("[0-9a-f]{48}", repr((settings, options, settings.ranges, dialect, str(dialect)))) is None
    sent = Range(**fields_in(text_of(settings.ranges[0])))
    assert sent == settings.ranges[0]
    assert re.search("[0-9a-f]{48}", repr(sent)) is None
    copied = pickle.loads(pickle.dumps((settings, options)))
    assert re.search("[0-9a-f]{48}", repr(copied)) is None
    assert copied[1]["dialect"] == settings.dialect
    with open_state("state", hash_extents, dialect=Dialect(TEXT)) as state:
        job = WorkersJob(settings_of(["in.csv"], state=state, dialect=TEXT), state)
        assert re.search("[0-9a-f]{48}", json.dumps(job.figures.stats(1.0))) is None
        key_now = dialect_in(job.settings.dialect)
        assert key_now is not None
        assert key_now.text_ids is not None
        key = key_now.text_ids.key.hex()
    # The manifest alone has it, as private as the accounts. It is that of all later runs, and nobody sees it either.
    has_key = [path.name for path in Path("state").rglob("*") if path.is_file() and key.encode() in path.read_bytes()]
    assert has_key == ["manifest.json"]
    with open_state("state", hash_extents, dialect=Dialect(TEXT)) as state:
        settings = settings_of(["in.csv"], state=state, dialect=TEXT)
        assert key in settings.dialect
        assert settings.begin_with is not None
        assert re.search("[0-9a-f]{48}", repr((settings, reduce_options(settings), settings.ranges))) is None
        copied = pickle.loads(pickle.dumps((settings, reduce_options(settings))))
        assert re.search("[0-9a-f]{48}", repr(copied)) is None
        job = WorkersJob(copied[0], state)
        assert re.search("[0-9a-f]{48}", json.dumps(job.figures.stats(1.0))) is None


# ---- States --------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", TEXT_SETTINGS, ids=str)
@pytest.mark.parametrize("policy", ["", "card"])
def test_days_go_on_here_and_there_with_other_shards(folder: Folder, settings: dict[str, str], policy: str) -> None:
    rows = stream(400)
    words = (*flags_of(settings), *(["--policy", policy] if policy else []))
    for day, shards in ((30, 3), (90, 5), (90, 1), (200, 8), (400, 2)):
        folder.write("in.csv", make_text_file(rows[:day], Dialect(settings)))
        found = run_cluster(
            "in.csv", range_bytes=2_000, shards=shards, state="cluster", dialect=settings, policy=policy
        )
        assert_alike(found, by_command(folder, "--state", "single", "in.csv", *words))
    folder.write("in.csv", make_text_file([*rows, rows[0]._replace(kind="dispute")], Dialect(settings)))
    found = run_cluster("in.csv", shards=4, state="single", dialect=settings, policy=policy)
    assert_alike(found, by_command(folder, "--state", "cluster", "in.csv", *words))


@pytest.mark.parametrize("settings", TEXT_SETTINGS, ids=str)
@pytest.mark.parametrize("is_legacy", [False, True], ids=["segments", "legacy"])
def test_a_state_is_read_in_parts_where_it_does_not_fit(
    folder: Folder, settings: dict[str, str], is_legacy: bool
) -> None:
    write_stream(folder, settings)
    run_cluster("in.csv", range_bytes=9_000, shards=3, dialect=settings)
    if is_legacy:
        make_legacy_state(folder.path / "state", shards=3)
    by_command(folder, "--state", "single", "in.csv", *flags_of(settings))
    write_stream(folder, settings, 300, "more.csv")
    with small_reducers_of_parts(2, 3):
        found = run_cluster("more.csv", range_bytes=9_000, shards=2, dialect=settings)
    assert found.stats["spilled_bytes"]
    assert_alike(found, by_command(folder, "--state", "single", "more.csv", *flags_of(settings)))


@examples(0.5)
@given(
    st.lists(strategies.streams(), min_size=1, max_size=3), any_text_dialects, strategies.policies(),
    st.integers(30, 3_000), st.lists(st.sampled_from([1, 2, 3, 7]), min_size=3, max_size=3),
)  # fmt: skip
def test_days_of_any_rows_give_what_one_run_gives(
    tmp_path_factory: pytest.TempPathFactory, days: list[list[Row]], dialect: Dialect, policy: str, range_bytes: int,
    shards: list[int],
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("days")
    names = [str(folder / f"{number}.csv") for number in range(len(days))]
    for number, (name, rows) in enumerate(zip(names, days, strict=True)):
        Path(name).write_bytes(make_text_file([*rows, Row("deposit", 1, 1 << 40 | number, 1)], dialect))
    settings = dict(dialect)
    for name, count in zip(names, shards, strict=False):
        found = run_cluster(
            name, range_bytes=range_bytes, shards=count, state=str(folder / "state"), policy=policy, dialect=settings
        )
    expected = run_ranges(names, 2, 1 << 20, policy=policy, dialect=settings)
    assert found.accounts == expected.accounts


@pytest.mark.parametrize("settings", TEXT_SETTINGS, ids=str)
@pytest.mark.parametrize("by_cluster", [False, True], ids=["one machine", "cluster"])
def test_the_shares_of_a_snapshot_are_estimated(folder: Folder, settings: dict[str, str], by_cluster: bool) -> None:
    write_stream(folder, settings)
    if by_cluster:
        run_cluster("in.csv", range_bytes=1 << 20, shards=4, dialect=settings)
    else:
        by_command(folder, "--state", "state", "in.csv", *flags_of(settings))
    whole = open_snapshot("state/snapshot-1")
    parts = [whole.of_shard(shard, 8) for shard in range(8)]
    assert whole.text_bytes > 1_000
    for name in ("accounts", "entries", "text_bytes"):
        sums, all_of_it = sum(getattr(part, name) for part in parts), getattr(whole, name)
        assert all_of_it <= sums + 300, name
        assert sums <= 1.3 * all_of_it + 300, name


def test_accounts_of_many_runs_are_in_the_order_of_bytes(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txfast.cluster.reduce.RUN_BYTES", 1)
    monkeypatch.setattr("txfast.cluster.reduce.run_blocks", _account_by_account)
    write_stream(folder, TEXT)
    expected = by_command(folder, "in.csv", *flags_of(TEXT))
    sent = dialect_text(Dialect(TEXT))
    job = PlainJob(cut_inputs(["in.csv"], 5_000, sent), 3, dialect=sent)
    assert len(job.found_runs) > 20
    merged = MergedAccounts(job, None)
    assert merged.has_names
    merged.close()
    assert_alike(run_ranges(["in.csv"], 3, 5_000, dialect=TEXT), expected)


def _account_by_account(accounts: Any) -> Any:
    from txfast.spill.runs import run_blocks

    for index in range(len(accounts)):
        yield from run_blocks(accounts.part(index, 1, 1))
