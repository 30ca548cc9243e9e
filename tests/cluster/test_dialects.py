"""Dialects on a cluster: ranges of any size give what one run gives, in every dialect that a cut file can have."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import dialect_objects, dialect_replays, dialect_strategies
from tests.support.command import Folder
from tests.support.dialect_strategies import Written
from tests.support.engines import DaskClient, WorkersJob, run_cluster, run_command, run_ranges, settings_of
from tests.support.outputs import Outputs, assert_alike, by_command, rejects_of
from tests.support.profiles import examples
from tests.support.reference_rows import NotTransactions
from tests.support.small_memory import small_books, small_limits
from txfast.cluster import command, dask, spark_workers
from txfast.command.options import OPTIONS
from txfast.dialect.dialect import Dialect
from txfast.errors import InputError, StateError

EXPORT = """\
Report of the "day
# two lines, one quote

Art;Kunde;Beleg;Betrag;Stand
""" + "".join(
    f'{("AUSGANG", "Eingang", "Eingang")[tx % 3]};{tx % 7};{tx};"1.{tx:03d},{tx:02d}";{"ok" if tx % 5 else "offen"}\n'
    + ('# an open " quote\n' if tx % 4 == 0 else "")
    for tx in range(60)
)
SETTINGS = {
    "columns.type": "art", "columns.client": "Kunde", "columns.tx": "Beleg", "columns.amount": "Betrag",
    "types.Eingang": "deposit", "types.Ausgang": "withdrawal", "decimal": ",", "thousands": ".", "decimals": "2",
    "keep.Stand": "ok", "skip": "1", "comment": "#",
}  # fmt: skip
OBJECTS = "".join(
    f'{{"Art":"Eingang","Kunde":{tx % 7},"Beleg":{tx},"Betrag":"1.{tx:03d},5","Stand":"ok"}}\n# x\n' for tx in range(60)
)
OF_OBJECTS = {name: value for name, value in SETTINGS.items() if name != "skip"}
RANGES = [1, 33, 137, 100_000]


def flags_of(settings: dict[str, str]) -> list[str]:
    return [word for name, value in settings.items() for word in ("--dialect", f"{name}={value}")]


# ---- Files of any dialect ------------------------------------------------------------------------


any_files = (
    dialect_strategies.written_files(spoilt=True)
    | dialect_strategies.soup_files()
    | dialect_objects.written_objects(spoilt=True)
)


@contextmanager
def spilling(accounts: int) -> Iterator[None]:
    """Inside, reduce tasks move to disk when they have more than so many accounts; never for 0."""
    with small_limits(accounts or 1 << 30), pytest.MonkeyPatch.context() as patch:
        if accounts:
            patch.setattr("txfast.cluster.reduce.Books", small_books(accounts))
        yield


@examples(3)
@given(any_files, st.integers(1, 200), st.sampled_from([1, 3]), st.sampled_from([0, 0, 1]))
def test_ranges_of_any_size_give_what_the_rules_say(
    tmp_path_factory: pytest.TempPathFactory, written: Written, range_bytes: int, shards: int, accounts: int
) -> None:
    path = tmp_path_factory.mktemp("files") / "in"
    path.write_bytes(written.content)
    expected: dialect_replays.Outcome | None
    found: Outputs | None
    try:
        expected = dialect_replays.run_reference([written.content], written.settings)
    except NotTransactions:
        expected = None
    try:
        with spilling(accounts):
            found = run_ranges([str(path)], shards, range_bytes, dialect=written.settings)
    except InputError:
        found = None
    if found is None or expected is None:
        assert (found, expected) == (None, None), written.settings
        return
    assert cells_of(found.accounts)[1:] == [list(map(cell_of, account)) for account in expected.accounts]
    assert rejects_of(found) == [(str(path), each.line, each.reason) for each in expected.rejects]
    assert (found.stats["rows"], found.stats["ignored"]) == (expected.rows, expected.ignored)


def cells_of(accounts: bytes) -> list[list[str]]:
    """The fields of accounts as CSV."""
    return list(csv.reader(io.StringIO(accounts.decode("utf-8", "surrogateescape"), newline="")))


def cell_of(value: object) -> str:
    """A value of an account as CSV has it, unquoted."""
    return f"{value:f}" if isinstance(value, Decimal) else str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("range_bytes", RANGES)
@pytest.mark.parametrize("state", [False, True], ids=["alone", "state"])
def test_an_export_gives_what_one_machine_gives(folder: Folder, range_bytes: int, state: bool) -> None:
    folder.write("in.csv", EXPORT.encode())
    expected = by_command(folder, "in.csv", *flags_of(SETTINGS))
    if state:
        found = run_cluster("in.csv", range_bytes=range_bytes, dialect=SETTINGS)
    else:
        found = run_ranges(["in.csv"], 3, range_bytes, dialect=SETTINGS)
    assert_alike(found, expected)
    assert found.stats["ignored"] == 12
    assert found.accounts.splitlines()[1].count(b".") == 3


@pytest.mark.parametrize("range_bytes", RANGES)
def test_json_lines_give_what_one_machine_gives(folder: Folder, range_bytes: int) -> None:
    folder.write("in.jsonl", OBJECTS.encode())
    expected = by_command(folder, "in.jsonl", *flags_of(OF_OBJECTS))
    assert_alike(run_ranges(["in.jsonl"], 3, range_bytes, dialect=OF_OBJECTS), expected)
    assert_alike(run_cluster("in.jsonl", range_bytes=range_bytes, dialect=OF_OBJECTS), expected)


@pytest.mark.parametrize("start", ["", "\ufeff", "\n \r\n", "\ufeff\n"])
@pytest.mark.parametrize("range_bytes", RANGES)
def test_a_file_without_a_header_begins_with_its_first_row(folder: Folder, start: str, range_bytes: int) -> None:
    rows = "".join(f'"x\n";{tx};{tx % 7};deposit;{tx}\n' for tx in range(40))
    folder.write("in.csv", (start + rows).encode())
    settings = {
        "header": "no", "delimiter": ";", "columns.type": "4", "columns.client": "3", "columns.tx": "5",
        "columns.amount": "2",
    }  # fmt: skip
    expected = by_command(folder, "in.csv", *flags_of(settings))
    assert_alike(run_ranges(["in.csv"], 2, range_bytes, dialect=settings), expected)
    assert_alike(run_cluster("in.csv", range_bytes=range_bytes, dialect=settings), expected)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_a_file_in_another_encoding_is_one_range(folder: Folder, encoding: str) -> None:
    text = "Größe;client;tx;amount\n" + "".join(f"dépôt;{tx % 7};{tx};{tx}\n" for tx in range(40)) + "ü;1;1;1\n"
    folder.write("in.csv", text.encode(encoding))
    settings = {"encoding": encoding, "columns.type": "Größe", "types.dépôt": "deposit"}
    expected = by_command(folder, "in.csv", *flags_of(settings))
    assert_alike(run_ranges(["in.csv"], 2, 50, dialect=settings), expected)
    for _ in range(2):
        found = run_cluster("in.csv", range_bytes=50, dialect=settings)
    assert found.accounts == expected.accounts
    assert found.stats["rows"] == 0


@pytest.mark.parametrize("range_bytes", [20, 100_000])
def test_quotes_that_are_none_do_not_matter(folder: Folder, range_bytes: int) -> None:
    folder.write("more.csv", b"type,client,tx,amount,n\n" + b"".join(b'deposit,1,%d,1,"\n' % tx for tx in range(40)))
    expected = by_command(folder, "more.csv", "--dialect", "quote=none")
    assert_alike(run_ranges(["more.csv"], 2, range_bytes, dialect={"quote": "none"}), expected)


def test_tables_are_read_in_the_dialect(folder: Folder) -> None:
    table = pa.table({"Art": ["in", "out", "x"], "Kunde": [1, 1, 1], "tx": [1, 2, 3], "amount": ["5,125", "1", "1"]})
    pq.write_table(table, folder.path / "in.parquet")
    settings = {
        "columns.type": "Art", "columns.client": "Kunde", "types.in": "deposit", "types.out": "withdrawal",
        "types.x": "ignore", "decimal": ",", "decimals": "3",
    }  # fmt: skip
    expected = by_command(folder, "in.parquet", *flags_of(settings))
    found = run_ranges(["in.parquet"], 2, dialect=settings)
    assert_alike(found, expected)
    assert found.accounts.endswith(b"\n1,4.125,0.000,4.125,false\n")


# ---- States --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "content", "settings"), [
    ("in.csv", EXPORT, SETTINGS), ("in.jsonl", OBJECTS, OF_OBJECTS),
])  # fmt: skip
def test_days_in_a_dialect_go_on_here_and_there(
    folder: Folder, name: str, content: str, settings: dict[str, str]
) -> None:
    lines = content.encode().splitlines(keepends=True)
    rows = 0
    for day in (10, 30, 30, 60, len(lines)):
        folder.write(name, b"".join(lines[:day]))
        found = run_cluster(name, range_bytes=40, state="cluster", dialect=settings)
        single = by_command(folder, "--state", "single", name, *flags_of(settings))
        assert_alike(found, single)
        rows += found.stats["rows"]
    assert rows > 40
    folder.write(name, b"".join([*lines, lines[-3].replace(b";59", b";99").replace(b":59", b":99")]))
    found = run_cluster(name, range_bytes=40, state="single", dialect=settings)
    assert_alike(found, by_command(folder, "--state", "cluster", name, *flags_of(settings)))
    with pytest.raises(StateError, match="in another dialect"):
        run_cluster(name, state="single", dialect=settings | {"decimals": "3"})


# ---- Front ends ----------------------------------------------------------------------------------


def test_tables_of_accounts_have_the_decimals_of_the_dialect(folder: Folder) -> None:
    folder.write("in.csv", EXPORT.encode())
    settings = settings_of(["in.csv"], dialect=SETTINGS)
    accounts = WorkersJob(settings).accounts()
    assert accounts.schema.field("total").type == pa.decimal128(19, 2)
    assert "total decimal(19,2)" in spark_workers.accounts_of_runs(Dialect({"decimals": "2"}))[1]
    client: Any = DaskClient()
    table, _, stats = dask.process(client, ["in.csv"], dialect={**SETTINGS, "decimals": 2})
    assert table.schema.field("available").type == pa.decimal128(19, 2)
    assert isinstance(table.column("total")[0].as_py(), Decimal)
    assert stats["dialect"]["decimals"] == "2"


PROFILE = """\
output = "a.csv"
policy = "card"
memory-limit = "1GB"
[columns]
type = "Art"
client = "Kunde"
tx = "Beleg"
amount = "Betrag"
[types]
Eingang = "deposit"
Ausgang = "withdrawal"
[dialect]
decimal = ","
thousands = "."
decimals = 2
skip = 1
comment = "#"
keep.Stand = "ok"
"""


def test_a_profile_and_flags_are_those_of_one_machine(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write("in.csv", EXPORT.encode())
    folder.write("p.toml", PROFILE.encode())
    expected = folder.run("in.csv", "-q", "--profile", "p.toml", "-o", "b.csv", "--stats", "t.json")
    assert expected.exit_code == 0, expected.errors
    assert run_command("in.csv", "--profile", "p.toml", "--stats", "s.json") == 0
    assert folder.read("a.csv") == folder.read("b.csv")
    stats, other = json.loads(folder.read("s.json")), json.loads(folder.read("t.json"))
    assert (stats["dialect"], stats["policy"], stats["ignored"]) == (other["dialect"], other["policy"], 12)
    monkeypatch.setenv("TXFAST_PROFILE", "p.toml")
    assert run_command("in.csv", "-o", "c.csv", "--decimals", "3", "--policy", "redispute=never") == 0
    three = folder.run("in.csv", "-q", "--profile", "p.toml", "-o", "b.csv", "--decimals", "3")
    assert three.exit_code == 0
    assert folder.read("c.csv") == folder.read("b.csv") != folder.read("a.csv")


def test_short_options_make_a_dialect(folder: Folder) -> None:
    folder.write("in.csv", b"Art|K|T|B\nE|1|1|1,50\nA|1|2|0,25\n")
    words = (
        *("-d", "|", "--columns", "type=Art", "--columns", "client=K,tx=T", "--columns", "amount=B"),
        *("--types", "E=deposit", "--types", "A=withdrawal", "--decimal", ",", "--decimals", "2"),
    )
    assert run_command("in.csv", "-o", "a.csv", *words) == 0
    assert folder.read("a.csv").endswith(b"\n1,1.25,0.00,1.25,false\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--decimals", "10"], "it is a whole number from 0 to 9"),
        (["--columns", "client"], "is no NAME=VALUE"),
        (["--profile", "no.toml"], "no.toml: cannot be read"),
        (["--profile", "bad.toml"], "bad.toml: threads: it is for txfast on one machine: leave it out for a cluster"),
        (["--profile", "size.toml"], "size.toml: memory-limit: 'x' is no size"),
        (["--profile", "format.toml"], "format.toml: output-format: 'x': it is one of csv"),
    ],
)
def test_wrong_options_end_the_command(
    folder: Folder, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in (("bad", "threads = 2"), ("size", 'memory-limit = "x"'), ("format", 'output-format = "x"')):
        folder.write(f"{name}.toml", text.encode())
    with pytest.raises(SystemExit) as ended:
        run_command("in.csv", *arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("setting", ["header=no", "skip=1"])
def test_json_lines_refuse_what_needs_a_header_here_too(
    folder: Folder, setting: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.write("in.jsonl", OBJECTS.encode())
    assert run_command("in.jsonl", "--dialect", setting, "-o", "a.csv") == 1
    assert "in.jsonl: JSON lines, which have no header" in capsys.readouterr().err
    assert not Path("a.csv").exists()


def test_a_profile_knows_each_option_of_one_machine() -> None:
    known = {*command.DIALECT, *command.PROFILED, *command.ONE_MACHINE, "policy", "profile"}
    assert {option.name for option in OPTIONS} - known <= {"h", "help", "version"}
    assert known <= {option.name for option in OPTIONS}
