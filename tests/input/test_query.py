"""Queries as inputs of a program, and how a query ends: at once when it is closed, whoever is waiting for it."""

from __future__ import annotations

import io
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

import txfast
from tests.support.command import PATIENCE_SECONDS, environment, unmeasured
from txfast.errors import InputError, MemoryLimitError, SourceError
from txfast.input.library_errors import QueryErrors
from txfast.input.query import PLAIN_COLUMNS, WIDE_BATCH_ROWS, Query, keep_secrets_of_query, open_query
from txfast.input.ref import QUERY_NAME, resolve, resolve_query, total_size
from txfast.input.source import QUERY
from txfast.printable import printable

ROWS = "SELECT 'deposit' AS type, i AS client, i AS tx, 1.5 AS amount FROM range({}) t(i)"
# No row comes, and it never ends.
ENDLESS = f"{ROWS.format(10**12)} WHERE hash(i) = 3"
MEMORY_BYTES = 64 << 20


def query_of(text: str, folder: Path | None = None) -> Query:
    query = Query("sql", text)
    query.limit(threads=2, memory_bytes=MEMORY_BYTES, folder=None if folder is None else str(folder))
    return query


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "day.sql"
    path.write_text(ROWS.format(3))
    return path


# ---- In a program ----------------------------------------------------------------------------------


def test_a_path_that_ends_in_sql_is_a_query_in_every_call(path: Path) -> None:
    expected = [(client, Decimal("1.5000")) for client in range(3)]
    accounts = txfast.process(path).accounts
    assert [(each.client, each.total) for each in accounts] == expected
    ledger = txfast.Ledger()
    assert ledger.apply(path)["applied"] == 3
    assert [(client, ledger[client].total) for client in ledger] == expected
    with txfast.read(str(path)) as reader:
        assert reader.read_all()["client"].to_pylist() == [0, 1, 2]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_relation_of_duckdb_is_an_input_in_its_order(threads: int) -> None:
    """So a program needs no file with a query: each withdrawal takes what the row before it brought."""
    relation = duckdb.connect().sql(
        "SELECT * FROM (VALUES ('withdrawal', 1, 2, 3.25), ('deposit', 1, 1, 3.25)) v(type, client, tx, amount) "
        "ORDER BY tx"
    )
    result = txfast.process(relation, threads=threads, rejects=True)
    assert [(each.client, each.total) for each in result.accounts] == [(1, Decimal(0))]
    assert len(result.rejects) == 0


def test_a_state_takes_a_query_as_new(path: Path, tmp_path: Path) -> None:
    for rejected in (0, 3):
        result = txfast.process(path, state=tmp_path / "state")
        assert sum(result.stats["rejected"].values()) == rejected
        assert len(result.accounts) == 3
    with pytest.raises(txfast.UsageError, match=r"day\.sql cannot be read a second time"):
        txfast.process(path, state=tmp_path / "state", checkpoint=1)


def test_a_limit_that_leaves_too_little_for_a_query_fails(path: Path) -> None:
    with pytest.raises(MemoryLimitError, match="is a query, for which the least memory limit is 384MiB"):
        txfast.process(path, memory_limit="300MiB")


def test_an_error_of_a_query_names_its_file(path: Path) -> None:
    path.write_text("FROM nothing")
    with pytest.raises(InputError, match=r"day\.sql: the query fails: Catalog Error"):
        txfast.process(path)


PROGRAM = """\
import sys, threading, txfast
try:
    txfast.process(sys.argv[1], threads=int(sys.argv[2]), spill_dir=sys.argv[3])
except KeyboardInterrupt:
    print("interrupted", flush=True)
for thread in threading.enumerate():
    if thread is not threading.current_thread():
        thread.join(10)
print(threading.active_count())
"""


@pytest.mark.untraced
@pytest.mark.parametrize("threads", ["1", "2"])
def test_ctrl_c_stops_a_query_of_a_program_too(tmp_path: Path, threads: str) -> None:
    """No thread is left, which would go on with the query."""
    path, folder = tmp_path / "q.sql", tmp_path / "spilled"
    path.write_text(ENDLESS)
    command = [sys.executable, "-c", PROGRAM, str(path), threads, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=unmeasured(environment())) as process:
        ends = time.monotonic() + PATIENCE_SECONDS
        while not (folder.exists() and os.listdir(folder)):
            assert time.monotonic() < ends
            time.sleep(0.02)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, output) == (0, "interrupted\n1\n")
    assert os.listdir(folder) == []


# ---- The name of a query ---------------------------------------------------------------------------


def test_a_query_is_resolved_without_being_read(path: Path) -> None:
    ref = resolve(str(path))
    assert (ref.origin, ref.kind, ref.is_table, ref.first_bytes, ref.size_bytes) == (QUERY, QUERY, True, b"", None)
    assert ref.identity is not None
    assert not ref.is_regular
    assert not ref.can_be_read_again
    assert total_size([ref]) is None
    assert (ref.given_name, ref.query) == (str(path), None)
    text = resolve_query("FROM rows")
    assert (text.origin, text.display_name, text.given_name, text.query) == (QUERY, QUERY_NAME, "--sql", "FROM rows")
    assert resolve_query(f" {path} ").origin == QUERY
    assert resolve_query(f" {path} ").query is None


def test_a_pipe_may_have_a_query(tmp_path: Path) -> None:
    path = tmp_path / "q.sql"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(ROWS.format(2),))
    writer.start()
    assert len(txfast.process(path, io.BytesIO(b"type,client,tx,amount\n")).accounts) == 2
    writer.join(PATIENCE_SECONDS)


def test_a_file_that_is_gone_when_it_is_read_fails(path: Path) -> None:
    ref = resolve(str(path))
    path.unlink()
    with pytest.raises(SourceError, match=r"day\.sql: cannot be read: No such file"):
        open_query(ref)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("read_csv('s3://KEYKEYKEYKEYKEYK:sec/retsec@bucket/f.csv')", "read_csv('s3://…@bucket/f.csv')"),
        ("secret_access_key = 'a/secret+value'", "secret_access_key = '…'"),
        ("KEY_ID 'AKIAVALUE', SECRET 'longsecret'", "KEY_ID '…', SECRET '…'"),
        ("{'api_key': 'longsecret'}", "{'api_key': '…'}"),
        ("kind = 'deposit' AND token = 'short'", "kind = 'deposit' AND token = 'short'"),
    ],
)
def test_what_looks_like_a_key_is_shown_nowhere(text: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txfast.printable._secrets", {})
    keep_secrets_of_query(text)
    assert printable(text) == shown


# ---- How it ends -----------------------------------------------------------------------------------


def test_a_query_gives_batches_of_one_schema_and_nothing_after_its_end() -> None:
    query = query_of(ROWS.format(200_000))
    [rows] = query
    assert rows.schema.names == ["type", "client", "tx", "amount"]
    assert sum(batch.num_rows for batch in rows) == 200_000
    query.close()
    query.close()
    with pytest.raises(InputError, match="sql: the query was stopped"):
        list(query)


def test_a_query_with_many_columns_comes_in_smaller_batches() -> None:
    more = ", ".join(f"{number} AS c{number}" for number in range(PLAIN_COLUMNS))
    query = query_of(f"SELECT *, {more} FROM ({ROWS.format(100_000)})")
    [rows] = query
    assert {batch.num_rows for batch in rows} <= set(range(WIDE_BATCH_ROWS + 1))
    query.close()


@pytest.mark.parametrize("limit", [5, 0.001])
def test_a_query_is_closed_while_another_thread_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: float
) -> None:
    """With no patience, that thread gives the connection back itself."""
    monkeypatch.setattr("txfast.input.query.PATIENCE_SECONDS", limit)
    query = query_of(ENDLESS, tmp_path)
    errors: list[BaseException] = []

    def read() -> None:
        try:
            for rows in query:
                list(rows)
        except InputError as error:
            errors.append(error)

    reading = threading.Thread(target=read)
    reading.start()
    while not os.listdir(tmp_path):
        time.sleep(0.01)
    time.sleep(0.2)
    query.close()
    query.close()
    reading.join(PATIENCE_SECONDS)
    assert not reading.is_alive()
    assert os.listdir(tmp_path) == []
    assert [str(error) for error in errors] == ["sql: the query fails: INTERRUPT Error: Interrupted!"]


def test_a_source_that_is_not_read_asks_duckdb_for_nothing(path: Path) -> None:
    source = open_query(resolve(str(path)))
    source.close()
    assert source.kind == QUERY


def test_the_folder_of_a_query_is_private(tmp_path: Path) -> None:
    query = query_of(ROWS.format(10), tmp_path / "made" / "here")
    for _ in query:
        [folder] = (tmp_path / "made" / "here").iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    query.close()
    assert not folder.exists()


def test_a_query_that_fits_needs_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("txfast.input.query.default_folder", lambda: "/proc/no/where")
    query = query_of(ROWS.format(10))
    assert sum(batch.num_rows for rows in query for batch in rows) == 10
    query.close()


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (OSError("IO Error: a\n\nLINE 1: SELECT 'key'"), InputError, "sql: the query fails: IO Error: a"),
        (
            duckdb.OutOfMemoryException("Out of Memory Error: no 'max_temp_directory_size'\nSee also x"),
            InputError,
            "sql: the query fails: Out of Memory Error: no 'max_temp_directory_size'",
        ),
        (duckdb.Error(""), InputError, "sql: the query fails: Error"),
        (MemoryError(), MemoryError, "sql: the machine has no more"),
    ],
)  # fmt: skip
def test_what_duckdb_raises_is_one_line_without_the_query(error: Exception, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind) as caught, QueryErrors("sql"):
        raise error
    assert str(caught.value) == words
    assert "key" not in str(caught.value.__cause__)


def test_a_program_gives_a_query_as_text() -> None:
    row = "SELECT 'deposit' AS type, 1 AS client, {} AS tx, '2.5' AS amount"
    file = io.BytesIO(b"type,client,tx,amount\ndeposit,1,1,1\n")
    result = txfast.process(file, sql=row.format(2), rejects=True)
    assert [str(account.total) for account in result.accounts] == ["3.5000"]
    assert [each["file"] for each in result.stats["inputs"]] == ["io.BytesIO", "sql"]
    assert len(txfast.process(sql=row.format(1)).accounts) == 1


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (" ", "the query is empty"),
        (7, "sql=7: it is the text of a DuckDB query, or the path of a .sql file, or None"),
        ("DROP TABLE x", "sql: it is no query, but of the kind DROP"),
        ("SELECT 1 AS client", "sql: not a table of transactions: it has no column type"),
    ],
)
def test_a_query_of_a_program_that_is_none_is_refused(sql: Any, message: str) -> None:
    with pytest.raises(txfast.TxfastError, match=message):
        txfast.process(sql=sql)


def test_a_profile_has_a_query_for_programs_too(tmp_path: Path) -> None:
    profile = tmp_path / "p.toml"
    profile.write_text("sql = \"SELECT 'deposit' AS type, 1 AS client, 1 AS tx, 2 AS amount\"\n")
    assert str(txfast.process(profile=profile).accounts[0].total) == "2.0000"
