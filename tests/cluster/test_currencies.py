"""Accounts by currency on a cluster: what one machine gives, though each task numbers the codes that it meets."""

from __future__ import annotations

import json
import random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

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
from tests.support.small_memory import small_reducers, small_reducers_of_parts
from txfast.cluster import dask, spark_workers
from txfast.cluster.accounts import MergedAccounts
from txfast.cluster.currency_codes import Numbers, add_codes, bytes_of, currencies_of
from txfast.cluster.cutting import cut_inputs
from txfast.cluster.figures import Figures
from txfast.cluster.reduce import reduce_shard
from txfast.cluster.results import AccountRun, ShardSummary
from txfast.cluster.sent_dialect import dialect_text, own_dialect
from txfast.cluster.state import open_state
from txfast.dialect.currencies import Currencies
from txfast.dialect.dialect import Dialect
from txfast.errors import CapacityError, ClusterError

PLAIN = {"columns.currency": "ccy"}
DIALECTS = (
    PLAIN,
    {**PLAIN, "ids": "text", "decimals": "2"},
    {**PLAIN, "ids.client": "text"},
    {**PLAIN, "ids.tx": "text"},
)
CODES = ("EUR", "CHF", "eur", "A", "twelve bytes", '"A ""B"""', "ü", "USD", "JPY")
KINDS = ("deposit", "deposit", "deposit", "withdrawal", "dispute", "resolve", "chargeback")


def content(count: int, seed: int = 5) -> bytes:
    """Rows of many outcomes, of a dozen clients; the later ones have other currencies than the first."""
    chance = random.Random(seed)
    lines = ["type,client,tx,amount,ccy"]
    for at in range(count):
        code = CODES[(chance.randrange(3) - at * 7 // count) % len(CODES)]
        fields = (chance.choice(KINDS), chance.randrange(12), chance.randrange(2), chance.randrange(9), code)
        lines.append(",".join(map(str, fields)))
        if at % 50 == 0:
            lines.append(
                chance.choice(["deposit,1,1,1,", "deposit,1,1,1,thirteen bytes", "deposit,1,1,x,NEW", "fee,1,1,1,A"])
            )
    return "\n".join([*lines, ""]).encode()


def flags_of(settings: dict[str, str]) -> list[str]:
    return [word for name, value in settings.items() for word in ("--dialect", f"{name}={value}")]


@pytest.mark.parametrize("settings", DIALECTS, ids=str)
@pytest.mark.parametrize(("shards", "range_bytes"), [(1, 1 << 20), (3, 700), (64, 3_000)])
def test_any_shards_and_ranges_give_what_one_machine_gives(
    folder: Folder, settings: dict[str, str], shards: int, range_bytes: int
) -> None:
    folder.write("in.csv", content(600))
    expected = by_command(folder, "in.csv", *flags_of(settings))
    assert expected.stats["applied"]["chargeback"]
    assert len(expected.stats["total"]) == len(CODES)
    found = run_ranges(["in.csv"], shards, range_bytes, dialect=settings)
    assert_alike(found, expected)
    assert list(found.stats["total"]) == list(expected.stats["total"])


@pytest.mark.parametrize("settings", DIALECTS, ids=str)
@pytest.mark.parametrize("accounts", [1, 9])
def test_a_shard_that_does_not_fit_in_memory_gives_the_same(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], accounts: int
) -> None:
    folder.write("in.csv", content(600))
    expected = by_command(folder, "in.csv", *flags_of(settings))
    monkeypatch.setattr("txfast.cluster.reduce.RUN_BYTES", 100)
    with small_reducers(accounts):
        found = run_ranges(["in.csv"], 2, 1_000, dialect=settings)
    assert_alike(found, expected)
    assert found.stats["spilled_bytes"]


def test_a_client_has_all_its_accounts_in_one_shard(folder: Folder) -> None:
    rows = "".join(f"deposit,{at % 9},{at},1,{code}\n" for at in range(90) for code in CODES)
    folder.write("in.csv", b"type,client,tx,amount,ccy\n" + rows.encode())
    sent = dialect_text(Dialect(PLAIN))
    pieces, _ = pieces_of(cut_inputs(["in.csv"], 500, sent), 4)
    found = [0, 0, 0, 0]
    for shard, each in enumerate(pieces):
        ranges = 1 + max(piece.range for piece in each)
        [*_, summary] = reduce_shard([piece.content for piece in each], ranges, shard, 4, dialect=sent)
        assert isinstance(summary, ShardSummary)
        found[shard] = summary.accounts
    assert sum(found) == 9 * len(CODES)
    assert [count % len(CODES) for count in found] == [0, 0, 0, 0]
    assert_alike(run_ranges(["in.csv"], 4, 500, dialect=PLAIN), by_command(folder, "in.csv", *flags_of(PLAIN)))


def test_tables_give_what_one_machine_gives(folder: Folder) -> None:
    columns = {
        "type": ["deposit"] * 90, "client": [at % 7 for at in range(90)], "tx": list(range(90)), "amount": ["1.5"] * 90,
        "ccy": [["EUR", "CHF", "ü"][at * at % 3] for at in range(90)],
    }  # fmt: skip
    pq.write_table(pa.table(columns), "in.parquet")
    assert_alike(run_ranges(["in.parquet"], 3, dialect=PLAIN), by_command(folder, "in.parquet", *flags_of(PLAIN)))


@pytest.mark.parametrize("name", ["accounts.csv", "accounts.parquet", "accounts.arrow"])
def test_the_command_writes_what_one_machine_writes(
    folder: Folder, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.write("in.csv", content(400))
    words = ("in.csv", "--columns", "currency=ccy", "--ids", "text", "--rejects", "rejects.jsonl")
    assert run_command(*words, "-o", name, "--stats", "s.json") == 0
    errors = capsys.readouterr().err
    ran = folder.run(*words[:-1], "r.jsonl", "-o", f"one-{name}", "--stats", "t.json")
    assert ran.exit_code == 0
    assert folder.read(name) == folder.read(f"one-{name}")
    assert folder.read("rejects.jsonl") == folder.read("r.jsonl")
    assert errors.splitlines()[-1].replace("rejects.jsonl", "r.jsonl") == ran.outcome
    stats, other = json.loads(folder.read("s.json")), json.loads(folder.read("t.json"))
    assert stats["total"].keys() >= {"EUR", "CHF", "ü"}
    for each in ("accounts", "opening", "available", "held", "total", "dialect", "conserved"):
        assert stats[each] == other[each]


@pytest.mark.parametrize("settings", DIALECTS, ids=str)
def test_frames_have_the_rows_of_one_machine(folder: Folder, settings: dict[str, str]) -> None:
    rows = "".join(f"deposit,{at % 9},{at},{at},{['EUR', 'CHF', 'ü'][at % 3]}\n" for at in range(60))
    folder.write("in.csv", f"type,client,tx,amount,ccy\n{rows}dispute,3,77,,CHF\n".encode())
    expected = by_command(folder, "in.csv", *flags_of(settings))
    job = WorkersJob(settings_of(["in.csv"], dialect=settings))
    assert_same_tables(job.accounts(), job.rejects(), expected)
    assert "currency string, available" in spark_workers.accounts_of_runs(Dialect(settings))[1]
    client: Any = DaskClient()
    table, rejects, stats = dask.process(client, ["in.csv"], rejects=True, range_bytes=100, dialect=settings)
    assert rejects is not None
    assert_same_tables(table, rejects, expected)
    assert table.schema.field("currency").type == pa.string()
    assert stats["total"] == expected.stats["total"]


@pytest.mark.parametrize("settings", DIALECTS, ids=str)
@pytest.mark.parametrize("policy", ["", "card"])
def test_days_with_a_state_add_up_here_and_there(folder: Folder, settings: dict[str, str], policy: str) -> None:
    lines = content(600).splitlines(keepends=True)
    words = (*flags_of(settings), *(["--policy", policy] if policy else []))
    for rows, shards in ((30, 3), (90, 5), (90, 1), (200, 8), (400, 2)):
        folder.write("in.csv", b"".join(lines[:rows]))
        found = run_cluster("in.csv", range_bytes=500, shards=shards, state="cluster", dialect=settings, policy=policy)
        assert_alike(found, by_command(folder, "--state", "single", "in.csv", *words))
    folder.write("in.csv", b"".join(lines))
    found = run_cluster("in.csv", shards=4, state="single", dialect=settings, policy=policy)
    assert_alike(found, by_command(folder, "--state", "cluster", "in.csv", *words))


@pytest.mark.parametrize("settings", DIALECTS, ids=str)
@pytest.mark.parametrize("is_legacy", [False, True], ids=["segments", "legacy"])
def test_a_state_that_does_not_fit_is_read_in_parts(folder: Folder, settings: dict[str, str], is_legacy: bool) -> None:
    folder.write("in.csv", content(600))
    run_cluster("in.csv", range_bytes=9_000, shards=3, state="cluster", dialect=settings)
    if is_legacy:
        make_legacy_state(folder.path / "cluster", shards=3)
    by_command(folder, "--state", "single", "in.csv", *flags_of(settings))
    folder.write("more.csv", content(300, 9))
    with small_reducers_of_parts(2, 3):
        found = run_cluster("more.csv", range_bytes=9_000, shards=2, state="cluster", dialect=settings)
    assert found.stats["spilled_bytes"]
    assert_alike(found, by_command(folder, "--state", "single", "more.csv", *flags_of(settings)))


# ---- Numbers and codes ---------------------------------------------------------------------------


def test_each_task_numbers_the_codes_that_it_meets(folder: Folder) -> None:
    """A worker runs many tasks: none depends on those before."""
    folder.write("in.csv", content(600))
    sent = dialect_text(Dialect(PLAIN))
    parts = cut_inputs(["in.csv"], 700, sent)
    first, _ = pieces_of(parts, 3)
    again, _ = pieces_of(parts[::-1], 3)
    for pieces, others in zip(first, again, strict=True):
        assert sorted(piece.content for piece in pieces) == sorted(piece.content for piece in others)
    one, other = own_dialect(sent), own_dialect(sent)
    assert one is not None
    assert other is not None
    assert one.currencies is not None
    one.currencies.number(b"EUR")
    assert other.currencies is not None
    assert len(other.currencies) == 0


def test_codes_are_the_same_after_they_are_sent() -> None:
    codes = [b"EUR", b"x" * 12, b"\0", b"\xff"]
    assert currencies_of(bytes_of(codes)).codes == codes
    assert currencies_of(b"").codes == []
    for damaged in (b"\3EU", b"\0", b"\3EUR\3EUR", b"\3EUR\2", b"\r" + b"x" * 13):
        with pytest.raises(ClusterError, match="list of currencies"):
            currencies_of(damaged)
    known = Currencies()
    add_codes(known, b"\3EUR")
    add_codes(known, memoryview(b"\3CHF\1A"))
    assert known.codes == [b"EUR", b"CHF", b"A"]


def test_numbers_of_another_process_are_found() -> None:
    own = currencies_of(bytes_of([b"A", b"B", b"C"]))
    numbers = Numbers(own)
    numbers.know([b"C"])
    numbers.know([b"C", b"new", b"A"])
    assert numbers.table.tolist() == [2, 3, 0]
    assert own.codes == [b"A", b"B", b"C", b"new"]


def test_a_run_of_accounts_without_its_codes_is_refused(folder: Folder) -> None:
    folder.write("in.csv", content(300))
    sent = dialect_text(Dialect(PLAIN))
    job = PlainJob(cut_inputs(["in.csv"], 900, sent), 2, dialect=sent)
    run = job.found_runs[0]
    job.found_runs[0] = AccountRun(run.shard, run.number, run.content, b"")
    with pytest.raises(ClusterError, match=r"shard \d: run 0 of its accounts came damaged"):
        MergedAccounts(job, None)


def test_too_many_currencies_fail_the_run_as_on_one_machine(folder: Folder) -> None:
    """More in all ranges together than one run may have, though no range and no shard has as many."""
    rows = b"".join(b"deposit,%d,1,1,%x\n" % (at % 5, at) for at in range((1 << 16) + 1))
    folder.write("in.csv", b"type,client,tx,amount,ccy\n" + rows)
    ran = folder.run("in.csv", "--columns", "currency=ccy")
    assert ran.exit_code == 1
    with pytest.raises(CapacityError) as error:
        run_ranges(["in.csv"], 3, 300_000, dialect=PLAIN)
    assert str(error.value) in ran.errors
    folder.write("in.csv", b"type,client,tx,amount,ccy\n" + rows[: rows.rindex(b"deposit")])
    assert_alike(run_ranges(["in.csv"], 3, 300_000, dialect=PLAIN), by_command(folder, "in.csv", *flags_of(PLAIN)))


def test_too_many_currencies_of_all_days_fail_the_run_before_its_state_is_saved(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No shard has as many, and frames of Spark are never merged."""
    for module in ("dialect.currencies", "cluster.figures"):
        monkeypatch.setattr(f"txfast.{module}.CURRENCIES_MAX", 6_553)
    days = [range(4_000), range(4_000, 7_500)]
    for day, numbers in enumerate(days):
        rows = b"".join(b"deposit,%d,%d,1,%x\n" % (at % 5, at, at) for at in numbers)
        folder.write(f"{day}.csv", b"type,client,tx,amount,ccy\n" + rows)

    def run(day: int) -> None:
        with open_state("state", hash_extents, dialect=Dialect(PLAIN)) as state:
            WorkersJob(settings_of([f"{day}.csv"], shards=4, state=state, dialect=PLAIN), state)

    run(0)
    with pytest.raises(CapacityError, match="there are more than 6,553 currencies"):
        run(1)
    assert folder.run("--state", "state", "-q", *flags_of(PLAIN)).output.count(b"\n") == 4_001


def test_sums_of_shards_add_up_by_currency() -> None:
    summaries = [
        ShardSummary(0, (), 1, 0, 5, 0, 0, 0, by_currency=((b"EUR", 5, 0), (b"USD", -1, 2))),
        ShardSummary(1, (), 1, 0, 5, 0, 0, 0, by_currency=((b"CHF", 1, 1), (b"EUR", 1 << 70, 3))),
    ]
    figures = Figures([], 2, dialect=dialect_text(Dialect(PLAIN)))
    for summary in summaries:
        figures.add(summary)
    assert list(figures.by_currency().items()) == [(b"CHF", (1, 1)), (b"EUR", (5 + (1 << 70), 3)), (b"USD", (-1, 2))]
