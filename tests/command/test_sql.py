"""--sql and files of queries: what they read, in which order, and how each failure is one line without the query."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.support.command import COMMAND, PATIENCE_SECONDS, Folder, environment, finish, unmeasured
from tests.support.reference import ACCOUNTS_HEADER, HEADER

ONE = "SELECT 'deposit' AS type, 1 AS client, 1 AS tx, '5' AS amount"
FIVE = ACCOUNTS_HEADER + b"1,5.0000,0.0000,5.0000,false\n"
NEWEST_FIRST = b"day,type,client,tx,amount\n3,withdrawal,1,3,7.25\n2,deposit,1,2,2.5\n1,deposit,1,1,10\n"
# Never at its end, and no row on the way.
ENDLESS = (
    "SELECT 'deposit' AS type, 1 AS client, i AS tx, '5' AS amount FROM range(1000000000000) t(i) WHERE hash(i) = 3"
)
TYPES_THAT_ARE_EXACT = {
    "bigint": ("1::BIGINT", "2::BIGINT", "5::BIGINT"),
    "hugeint": ("1::HUGEINT", "2::HUGEINT", "5::HUGEINT"),
    "uhugeint": ("1::UHUGEINT", "2::UHUGEINT", "5::UHUGEINT"),
    "small": ("1::UTINYINT", "2::SMALLINT", "5::TINYINT"),
    "text": ("'1'", "'+02'", "' 5.0 '"),
    "decimal": ("1::DECIMAL(18,0)", "2::DECIMAL(4,0)", "5.00::DECIMAL(4,2)"),
    "wide decimal": ("1", "2", "5::DECIMAL(38,6)"),
    "sum": ("sum(1)", "sum(2)", "sum(5.00)"),
    "enum": ("'1'::ENUM('1')", "2", "'5'::ENUM('5')"),
    "blob": ("'1'::BLOB", "2", "'5'::BLOB"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    found = Folder(tmp_path)
    found.write("newest.csv", NEWEST_FIRST)
    return found


# ---- What is read ----------------------------------------------------------------------------------


def test_the_rows_of_a_query_are_applied_in_its_order(folder: Folder) -> None:
    run = folder.run("--sql", "SELECT * FROM 'newest.csv' ORDER BY day")
    assert (run.exit_code, run.errors) == (0, "")
    assert run.output == ACCOUNTS_HEADER + b"1,5.2500,0.0000,5.2500,false\n"
    as_they_stand = folder.run("--sql", "FROM newest.csv")
    assert as_they_stand.output == ACCOUNTS_HEADER + b"1,12.5000,0.0000,12.5000,false\n"
    assert "1 rejected" in as_they_stand.outcome


@pytest.mark.parametrize("arguments", [("q.sql",), ("--sql", "q.sql"), ("--sql", " Q2.SQL ")])
def test_a_name_that_ends_in_sql_is_a_file_with_a_query(folder: Folder, arguments: tuple[str, ...]) -> None:
    query = "\ufeff-- Ältestes zuerst\nFROM 'newest.csv'\nORDER BY day;\n".encode()
    folder.write("q.sql", query)
    folder.write("Q2.SQL", query)
    run = folder.run(*arguments, "-q")
    assert (run.exit_code, run.errors) == (0, "")
    assert run.output == ACCOUNTS_HEADER + b"1,5.2500,0.0000,5.2500,false\n"


def test_a_query_comes_after_the_files(folder: Folder) -> None:
    """The row of the query is a duplicate of the file's; in any other order, the file's would be."""
    folder.run("in.csv", "--sql", ONE, "-q", "--rejects", "r.csv", "--stats", "s.json")
    rows = list(csv.DictReader(folder.read("r.csv").decode().splitlines()))
    assert [(row["file"], row["line"], row["reason"]) for row in rows] == [
        ("in.csv", "3", "insufficient_funds"),
        ("in.csv", "4", "bad_type"),
        ("sql", "1", "duplicate_transaction"),
    ]
    assert rows[2]["row"] == ""
    inputs = json.loads(folder.read("s.json"))["inputs"]
    assert inputs == [{"file": "in.csv", "bytes": 65, "rows": 3}, {"file": "sql", "bytes": 0, "rows": 1}]


def test_rejects_name_the_file_of_a_query_and_the_number_of_the_row(folder: Folder) -> None:
    folder.write("day.sql", b"FROM 'newest.csv'")
    run = folder.run("day.sql", "warn")
    assert run.error_lines == ["rejected: day.sql:1: insufficient_funds: withdrawal,1,3,7.25"]


def test_a_variable_has_a_query_too(folder: Folder) -> None:
    assert folder.run(variables={"TXFAST_SQL": ONE}).output == FIVE


@pytest.mark.parametrize("columns", TYPES_THAT_ARE_EXACT.values(), ids=TYPES_THAT_ARE_EXACT.keys())
def test_columns_of_every_exact_type_are_read(folder: Folder, columns: tuple[str, str, str]) -> None:
    client, tx, amount = columns
    run = folder.run("--sql", f"SELECT 'deposit' AS type, {client} AS client, {tx} AS tx, {amount} AS amount, 1.5e0 x")
    assert (run.errors, run.output) == ("", FIVE)


def test_the_largest_ids_and_amounts_stay_what_they_are(folder: Folder) -> None:
    query = "SELECT 'deposit' AS type, 18446744073709551615 AS client, 1 AS tx, 922337203685477.5807 AS amount"
    assert folder.run("--sql", query).output == (
        ACCOUNTS_HEADER + b"18446744073709551615,922337203685477.5807,0.0000,922337203685477.5807,false\n"
    )


def test_numbers_of_a_csv_file_stay_exact(folder: Folder) -> None:
    """DuckDB would make floats of them, and this one would become 922337203685477.6250."""
    folder.write("large.csv", HEADER + b"deposit,1,1,922337203685477.5807\ndispute,1,1,\n")
    expected = ACCOUNTS_HEADER + b"1,0.0000,922337203685477.5807,922337203685477.5807,false\n"
    assert folder.run("--sql", "FROM 'large.csv'").output == expected
    folder.write("more.csv", HEADER + b"deposit,1,1,1.00001\n")
    folder.run("--sql", "FROM 'more.csv'", "-q").assert_failed("sql: the only row is malformed: bad_amount")


def test_a_query_may_call_duckdbs_own_csv_function(folder: Folder) -> None:
    query = "FROM read_csv_auto('newest.csv', delim = ',', types = {'amount': 'VARCHAR'}) ORDER BY day"
    assert folder.run("--sql", query).output == ACCOUNTS_HEADER + b"1,5.2500,0.0000,5.2500,false\n"


def test_a_query_reads_parquet_and_json_and_joins_them(folder: Folder) -> None:
    parquet.write_table(pa.table({"id": ["a", "b"], "client": [7, 8]}), folder.path / "clients.parquet")
    folder.write(
        "events.json", b'[{"kind":"deposit","who":"b","n":1,"cents":250},{"kind":"deposit","who":"a","n":2,"cents":1}]'
    )
    query = (
        "SELECT kind AS type, client, n AS tx, CAST(cents AS DECIMAL(18,4)) / 100 AS amount "
        "FROM read_json('events.json') JOIN 'clients.parquet' ON who = id ORDER BY n"
    )
    refused = folder.run("--sql", query)
    refused.assert_failed("sql: column 'amount' is of type double", "CAST(amount AS DECIMAL(18, 4))")
    exact = query.replace("CAST(cents AS DECIMAL(18,4)) / 100", "cents * 0.01")
    assert folder.run("--sql", exact).output == (
        ACCOUNTS_HEADER + b"7,0.0100,0.0000,0.0100,false\n8,2.5000,0.0000,2.5000,false\n"
    )


def test_a_dialect_holds_for_a_query_as_for_any_table(folder: Folder) -> None:
    query = (
        "SELECT 'SALE' AS kind, 1 AS who, 1 AS tx, '5' AS amount, 'done' AS state UNION ALL SELECT 'X', 2, 2, '1', 'no'"
    )
    arguments = ("--columns", "type=kind,client=who", "--types", "SALE=deposit", "--dialect", "keep.state=done", "-q")
    assert folder.run("--sql", query, *arguments).output == FIVE


def test_a_query_gives_opening_balances_and_expected_accounts(folder: Folder) -> None:
    folder.write("open.sql", b"SELECT 2 AS client, 1.50 AS opening")
    folder.write("want.sql", b"SELECT 1 AS client, 5 AS total UNION ALL SELECT 2, 1.5")
    run = folder.run("--sql", ONE, "--opening", "open.sql", "--expect", "want.sql")
    assert (run.exit_code, run.output) == (0, FIVE + b"2,1.5000,0.0000,1.5000,false\n")


@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_many_rows_keep_their_order(folder: Folder, threads: str) -> None:
    """Each withdrawal takes what the deposit before it brought: in any other order some are rejected."""
    rows = 400_000
    query = (
        f"SELECT CASE WHEN i % 2 = 0 THEN 'deposit' ELSE 'withdrawal' END AS type, i // 2 % 7 AS client, i AS tx, "
        f"1 + i // 2 % 3 AS amount FROM range({rows}) t(i)"
    )
    run = folder.run("--sql", query, "--threads", threads, "--stats", "s.json")
    assert (run.exit_code, run.errors, run.outcome) == (0, "", "")
    assert json.loads(folder.read("s.json"))["rows"] == rows
    assert run.output == ACCOUNTS_HEADER + b"".join(b"%d,0.0000,0.0000,0.0000,false\n" % client for client in range(7))


def test_an_empty_result_has_no_accounts(folder: Folder) -> None:
    run = folder.run("--sql", f"{ONE} WHERE false")
    assert (run.exit_code, run.output, run.errors) == (0, ACCOUNTS_HEADER, "")


# ---- Memory ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.untraced
@pytest.mark.parametrize("limit", ["384MiB", "512MiB"])
def test_a_sort_that_does_not_fit_goes_to_the_spill_folder(folder: Folder, limit: str) -> None:
    rows = 3_000_000
    query = (
        f"SELECT 'deposit' AS type, i % 1000 AS client, i AS tx, 1 AS amount, repeat('x', 40) || i AS note "
        f"FROM range({rows}) t(i) ORDER BY hash(i), note"
    )
    run = folder.run(
        "--sql", query, "--memory-limit", limit, "--spill-dir", "spilled", "--stats", "s.json", "-o", "accounts.csv"
    )
    assert (run.exit_code, run.errors) == (0, "")
    stats = json.loads(folder.read("s.json"))
    assert stats["applied"]["deposit"] == rows
    assert stats["peak_memory_bytes"] <= int(limit.removesuffix("MiB")) << 20
    assert os.listdir(folder.path / "spilled") == []


def test_a_query_that_needs_more_memory_says_what_to_do(folder: Folder) -> None:
    query = "SELECT 'deposit' AS type, 1 AS client, 1 AS tx, len(list(i)) AS amount FROM range(80000000) t(i)"
    run = folder.run("--sql", query, "--memory-limit", "384MiB")
    run.assert_failed("sql: the query needs more memory than the ", "raise the limit")


def test_a_limit_that_is_too_small_for_a_query_is_refused(folder: Folder) -> None:
    folder.run("--sql", ONE, "--memory-limit", "383MiB").assert_misused(
        "383MiB is too little for a query: the least is 384MiB"
    )


def test_a_folder_that_cannot_hold_what_is_sorted_fails(folder: Folder) -> None:
    run = folder.run("--sql", ONE, "--spill-dir", "/proc/no/where")
    run.assert_failed("/proc/no/where: cannot hold what a query does not keep in memory", "--spill-dir")


# ---- Failures --------------------------------------------------------------------------------------

FAILURES = {
    "parser": ("SELEC 1", ["sql: the query fails: Parser Error"]),
    "table": ("FROM nothing", ["Catalog Error: Table with name nothing does not exist"]),
    "variable of the program": ("FROM statement", ["Catalog Error: Table with name statement does not exist"]),
    "column": ("SELECT nothing FROM 'in.csv'", ["Binder Error", '"nothing" not found']),
    "file": ("FROM 'nothing.csv'", ["IO Error", '"nothing.csv"']),
    "parameter": (f"{ONE} WHERE $1", ["sql: the query fails: ", "parameter"]),
    "conversion": (ONE.replace("'5'", "CAST('x' AS INT)"), ["Conversion Error: Could not convert string 'x'"]),
    "error on the way": (
        "SELECT 'deposit' AS type, 1 AS client, i AS tx, CASE WHEN i = 290000 THEN error('so') ELSE '1' END AS amount "
        "FROM range(300000) t(i)",
        ["sql: the query fails: Invalid Input Error: so"],
    ),
    "extension": ("FROM 'a.xlsx'", ["DuckDB's extension excel, which is not installed", "INSTALL excel"]),
    "nothing": ("-- nothing", ["sql: there is no query in it: give one query"]),
    "two": (f"{ONE}; {ONE}", ["sql: there are 2 statements in it: give one query"]),
    "no query": ("COPY (SELECT 1) TO 'copy.csv'", ["it is no query, but of the kind COPY: give one query"]),
    "explained": (f"EXPLAIN {ONE}", ["it is no query, but of the kind EXPLAIN"]),
    "columns": ("SELECT 1 AS client", ["sql: not a table of transactions: it has no column type, tx, amount"]),
    "floats": (ONE.replace("'5'", "5.5e0"), ["column 'amount' is of type double", "all_varchar = true"]),
    "float ids": (ONE.replace("1 AS client", "1e0 AS client"), ["CAST(client AS UBIGINT)"]),
    "dates": (ONE.replace("'5'", "DATE '2026-01-01'"), ["column 'amount' is of type date32", "must be integers"]),
    "all malformed": (ONE.replace("'5'", "'5,5'"), ["sql: the only row is malformed: bad_amount"]),
    "uuids": (ONE.replace("1 AS client", "uuid() AS client"), ["the only row is malformed: bad_client"]),
}


@pytest.mark.parametrize(("query", "words"), FAILURES.values(), ids=FAILURES.keys())
def test_a_failure_is_one_line(folder: Folder, query: str, words: list[str]) -> None:
    before = folder.names()
    run = folder.run("--sql", query, "-q", "--threads", "1")
    run.assert_failed(*words)
    assert "LINE 1" not in run.errors
    assert folder.names() == before


def test_the_text_of_a_query_is_in_no_message_and_no_traceback(folder: Folder) -> None:
    for query in (
        "CREATE SECRET s (TYPE s3, KEY_ID 'AKIAKEYKEY', SECRET 'hidden/secret')",
        "CREATE SECRET s (TYPE s3, KEY_ID => 'AKIAKEYKEY' SECRET := 'hidden/secret')",
        f"{ONE} WHERE password = 'hidden/secret'",
        "FROM read_csv('s3://AKIAKEYKEY:hidden/secret@bucket/f.csv', api_key = 'hidden/secret')",
        "SELECT CAST('hidden/secret' AS INT) AS token FROM (SELECT 'x' AS token WHERE token = 'hidden/secret')",
    ):
        for level in ("error", "trace"):
            run = folder.run("--sql", query, level)
            assert run.exit_code == 1
            assert run.errors.startswith("txfast: sql: ")
            assert "hidden" not in run.errors
            assert "AKIA" not in run.errors


FILES_THAT_FAIL = {
    "missing": (None, ["q.sql: cannot be read: No such file or directory"]),
    "too long": (b"-- " + bytes(1 << 20), ["q.sql: is longer than 1 MiB", "export the table of transactions"]),
    "latin-1": ("SELECT 'ä'".encode("latin-1"), ["q.sql: is no text in UTF-8"]),
    "two queries": (ONE.encode() + b";\n" + ONE.encode(), ["q.sql: there are 2 statements in it: give one query"]),
    "a dump": (b"CREATE TABLE t (a INT);\nINSERT INTO t VALUES (1);\n", ["q.sql: is a dump", "cut its rows out"]),
    "a dump of PostgreSQL": (
        b"SET a = 1;\nCOPY public.t (a) FROM stdin;\n1\n\\.\n",
        ["q.sql: is a dump of a database"],
    ),
    "empty": (b"", ["q.sql: there is no query in it"]),
}


@pytest.mark.parametrize(("content", "words"), FILES_THAT_FAIL.values(), ids=FILES_THAT_FAIL.keys())
def test_a_file_that_is_no_query_fails(folder: Folder, content: bytes | None, words: list[str]) -> None:
    if content is not None:
        folder.write("q.sql", content)
    folder.run("q.sql").assert_failed(*words)
    # Among several inputs, before the first of them is applied.
    run = folder.run("in.csv", "q.sql", "debug")
    assert run.exit_code == 1
    assert [line for line in run.error_lines if line.startswith("debug: in.csv")] == []


def test_a_query_that_is_no_text_fails(folder: Folder) -> None:
    folder.run("--sql", b"SELECT '\xff'").assert_failed("sql: is no text in UTF-8")


def test_a_folder_that_is_called_as_a_query_fails(folder: Folder) -> None:
    (folder.path / "q.sql").mkdir()
    folder.run("q.sql").assert_failed("q.sql: cannot be read: Is a directory")


def test_a_query_at_a_location_is_refused(folder: Folder) -> None:
    folder.run("s3://bucket/q.sql").assert_failed("s3://bucket/q.sql: cannot be read: a query is read from a file here")


def test_wrong_command_lines_are_refused(folder: Folder) -> None:
    folder.run("--sql", " ").assert_misused("--sql: the query is empty")
    folder.run("--sql", ONE, "--sql", ONE).assert_misused("--sql: it is given several times", "name these as FILEs")
    folder.write("q.sql", ONE.encode())
    folder.run("q.sql", "-o", "q.sql", "--output-format", "csv").assert_misused(
        "--output q.sql would overwrite the input q.sql"
    )
    folder.run("--state", "s", "--sql", ONE, "--verify").assert_misused("--verify reads no FILE: leave --sql out")
    assert folder.names() == ["in.csv", "newest.csv", "q.sql"]


WITHOUT_DUCKDB = """\
import importlib.util, sys
importlib.util.find_spec = lambda name: None
from txfast.command.main import main
sys.exit(main())
"""
OLD_DUCKDB = """\
import duckdb, sys
class DuckDBPyRelation: pass
duckdb.DuckDBPyRelation = DuckDBPyRelation
from txfast.command.main import main
sys.exit(main())
"""


def test_without_duckdb_a_query_says_how_to_install_it(folder: Folder) -> None:
    program = (sys.executable, "-c", WITHOUT_DUCKDB)
    words = "needs DuckDB: pip install 'txfast[sql]'"
    folder.run("--sql", ONE, "--state", "s", command=program).assert_misused(f"txfast: --sql {words}")
    folder.write("q.sql", ONE.encode())
    folder.run("in.csv", "q.sql", command=program).assert_misused(f"txfast: q.sql {words}")
    assert "s" not in folder.names()


def test_an_old_duckdb_is_refused(folder: Folder) -> None:
    run = folder.run("--sql", ONE, command=(sys.executable, "-c", OLD_DUCKDB))
    run.assert_misused("sql needs DuckDB 1.5 or newer: pip install -U 'txfast[sql]'")


# ---- State -----------------------------------------------------------------------------------------


def test_a_query_is_always_new_to_a_state(folder: Folder) -> None:
    first = folder.run("--state", "s", "--sql", ONE, "-q")
    assert (first.exit_code, first.output) == (0, FIVE)
    again = folder.run("--state", "s", "--sql", ONE)
    assert (again.exit_code, again.output) == (0, FIVE)
    assert "0 applied, 1 rejected" in again.outcome
    folder.write("q.sql", ONE.replace("1 AS tx", "2 AS tx").encode())
    for applied in ("1 applied", "0 applied"):
        run = folder.run("--state", "s", "q.sql", "warn", "-v")
        assert (run.exit_code, run.output) == (0, ACCOUNTS_HEADER + b"1,10.0000,0.0000,10.0000,false\n")
        assert applied in (run.outcome or "1 applied")


@pytest.mark.parametrize("arguments", [("--sql", ONE), ("q.sql",)])
def test_a_checkpoint_needs_inputs_that_can_be_read_again(folder: Folder, arguments: tuple[str, ...]) -> None:
    folder.write("q.sql", ONE.encode())
    run = folder.run("--state", "s", "--checkpoint", "1", *arguments)
    run.assert_misused("--checkpoint 1 needs files", "cannot be read a second time")


# ---- Signals ---------------------------------------------------------------------------------------


@pytest.mark.untraced
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize(
    "query",
    [ENDLESS, f"{ENDLESS} ORDER BY tx", f"({ONE}) UNION ALL ({ENDLESS})"],
    ids=["stream", "sort", "after a row"],
)
def test_a_signal_ends_a_query(folder: Folder, query: str, threads: str, number: signal.Signals) -> None:
    arguments = ("--sql", query, "--threads", threads, "--spill-dir", "spilled", "-o", "accounts.csv")
    with subprocess.Popen(
        [COMMAND, *arguments],
        cwd=folder.path,
        env=unmeasured(environment()),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        wait_for(folder.path / "spilled")
        time.sleep(0.3)
        sent = time.monotonic()
        process.send_signal(number)
        run = finish(process)
    assert (run.exit_code, run.output, run.errors) == (-number, b"", "")
    assert time.monotonic() - sent < 5
    assert os.listdir(folder.path / "spilled") == []
    assert folder.names() == ["in.csv", "newest.csv", "spilled"]


def wait_for(path: Path) -> None:
    """Wait until DuckDB is about to run: its folder is made just before."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while not (path.exists() and os.listdir(path)):
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_a_failure_after_a_query_leaves_nothing_in_the_spill_folder(folder: Folder) -> None:
    query = "SELECT 'fee' AS type, i AS client, i AS tx, '1' AS amount FROM range(3000000) t(i)"
    run = folder.run("--sql", query, "--strict", "--spill-dir", "spilled", "-q")
    assert run.exit_code == 3
    assert "sql:1: stopped at malformed row 1" in run.errors
    assert os.listdir(folder.path / "spilled") == []


def test_a_query_reads_a_database_of_duckdb(folder: Folder) -> None:
    with duckdb.connect(folder.path / "bank.duckdb") as connection:
        connection.execute(f"CREATE TABLE payments AS {ONE}")
    assert folder.run("--sql", "FROM read_duckdb('bank.duckdb', table_name = 'payments')").output == FIVE


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["1", "3"])
def test_rows_of_large_files_come_in_their_order(folder: Folder, threads: str) -> None:
    """A deposit and the withdrawal of it take turns: in any other order some rows are rejected."""
    rows = 1_000_000
    with duckdb.connect() as connection:
        table = connection.sql(
            f"SELECT CASE WHEN i % 2 = 0 THEN 'deposit' ELSE 'withdrawal' END AS type, i // 2 % 11 AS client, i AS tx, "
            f"(1 + i // 2 % 3)::DECIMAL(18, 4) AS amount FROM range({rows}) t(i)"
        )
        table.write_parquet(str(folder.path / "many.parquet"), row_group_size=20_000)
        table.write_csv(str(folder.path / "many.csv"))
    for name in ("many.csv", "many.parquet"):
        run = folder.run("--sql", f"FROM '{name}'", "--threads", threads)
        assert (run.exit_code, run.errors, run.outcome) == (0, "", "")
        assert run.output.count(b",0.0000,0.0000,0.0000,false\n") == 11
