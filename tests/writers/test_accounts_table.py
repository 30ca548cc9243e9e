"""Accounts as Parquet and Arrow: the same accounts as in CSV, published in the same way."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from tests.support.bare_ledger import accounts_csv
from tests.support.command import COMMAND, Folder, environment
from tests.support.reference import HEADER
from txfast.errors import SourceError
from txfast.ledger.ledger import Ledger
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.writers import accounts_table as columnar
from txfast.writers.arrow_buffers import account_buffers
from txfast.writers.formats import write_accounts
from txfast.writers.output import Output

AMOUNT = pa.decimal128(19, 4)
SCHEMA = pa.schema(
    [
        pa.field("client", pa.uint64(), nullable=False),
        pa.field("available", AMOUNT, nullable=False),
        pa.field("held", AMOUNT, nullable=False),
        pa.field("total", AMOUNT, nullable=False),
        pa.field("locked", pa.bool_(), nullable=False),
    ]
)
TABLES = ("parquet", "arrow")

edge_units = st.sampled_from([0, 1, -1, 9999, -9999, 2**63 - 1, -(2**63)])
accounts = st.dictionaries(
    st.integers(0, 2**64 - 1),
    st.tuples(edge_units | st.integers(-(2**62), 2**62), edge_units | st.integers(-(2**61), 2**61), st.booleans()),
    max_size=20,
)


def read_table(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return parquet.read_table(path)
    with pa.ipc.open_file(str(path)) as reader:
        return reader.read_all()


def as_csv(table: pa.Table) -> bytes:
    # `f`: Python writes very small decimals with an exponent otherwise.
    lines = [
        f"{row['client']},{row['available']:f},{row['held']:f},{row['total']:f},{str(row['locked']).lower()}\n"
        for row in table.to_pylist()
    ]
    return ("client,available,held,total,locked\n" + "".join(lines)).encode()


@given(accounts)
def test_a_table_has_the_same_accounts_as_the_text(found: dict[int, tuple[int, int, bool]]) -> None:
    ledger = Ledger()
    for client, (available, held, locked) in found.items():
        if -(2**63) <= available + held < 2**63:
            ledger.restore_account(client, available, held, locked)
    columns = AccountColumns([ledger])
    table = pa.Table.from_batches(columnar.account_batches(columns), columnar.account_schema(columns))
    table.validate(full=True)
    assert table.schema == SCHEMA
    assert as_csv(table) == accounts_csv([ledger])


@pytest.mark.parametrize("rows_max", [1, 3, 7])
def test_many_accounts_come_in_several_record_batches(monkeypatch: pytest.MonkeyPatch, rows_max: int) -> None:
    ledger = Ledger()
    for client in range(10):
        ledger.restore_account(client, client, 0, client % 3 == 0)
    monkeypatch.setattr(columnar, "ROWS_MAX", rows_max)
    batches = list(columnar.account_batches(AccountColumns([ledger])))
    assert [batch.num_rows for batch in batches] == [min(rows_max, 10 - first) for first in range(0, 10, rows_max)]
    assert pa.Table.from_batches(batches)["client"].to_pylist() == list(range(10))
    assert pa.Table.from_batches(batches)["locked"].to_pylist() == [client % 3 == 0 for client in range(10)]


@pytest.mark.parametrize(("first", "count"), [(-1, 1), (0, -1), (0, 2), (2, 0), (1, 2**62)])
def test_accounts_beyond_the_end_are_refused(first: int, count: int) -> None:
    ledger = Ledger()
    ledger.restore_account(1, 1, 1)
    with pytest.raises(IndexError):
        account_buffers(AccountColumns([ledger]), first, count)


# ---- The command ---------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [(), ("--memory-limit", "256MiB")])
@pytest.mark.parametrize("suffix", TABLES)
def test_the_suffix_chooses_the_format(folder: Folder, suffix: str, memory: tuple[str, ...]) -> None:
    text = folder.run("in.csv").output
    run = folder.run("in.csv", "-o", f"a.{suffix.upper()}", "-q", *memory)
    assert (run.exit_code, run.output, run.errors) == (0, b"", "")
    path = (folder.path / f"a.{suffix.upper()}").rename(folder.path / f"b.{suffix}")
    table = read_table(path)
    assert table.schema == SCHEMA
    assert as_csv(table) == text


@pytest.mark.parametrize("suffix", TABLES)
def test_the_option_overrides_the_suffix(folder: Folder, suffix: str) -> None:
    text = folder.run("in.csv").output
    folder.run("in.csv", "-o", f"a.{suffix}", "--output-format", "csv")
    assert (folder.path / f"a.{suffix}").read_bytes() == text
    folder.run("in.csv", "-o", "a.csv", "--output-format", suffix)
    path = (folder.path / "a.csv").rename(folder.path / f"b.{suffix}")
    assert as_csv(read_table(path)) == text


@pytest.mark.parametrize("suffix", TABLES)
def test_a_table_may_go_to_standard_output(folder: Folder, suffix: str) -> None:
    text = folder.run("in.csv").output
    run = folder.run("in.csv", "--output-format", suffix)
    assert run.exit_code == 0
    assert as_csv(read_table(folder.write(f"out.{suffix}", run.output))) == text


@pytest.mark.parametrize("suffix", TABLES)
def test_a_run_without_accounts_writes_an_empty_table(folder: Folder, suffix: str) -> None:
    folder.run("-", "-o", f"a.{suffix}", stdin=HEADER)
    assert read_table(folder.path / f"a.{suffix}") == SCHEMA.empty_table()


@pytest.mark.parametrize("suffix", TABLES)
def test_a_run_that_fails_leaves_the_table_that_was_there(folder: Folder, suffix: str) -> None:
    folder.write(f"a.{suffix}", b"earlier")
    assert folder.run("in.csv", "missing.csv", "-o", f"a.{suffix}").exit_code == 1
    assert (folder.path / f"a.{suffix}").read_bytes() == b"earlier"
    assert folder.names() == [f"a.{suffix}", "in.csv"]


@pytest.mark.parametrize("suffix", TABLES)
def test_a_table_that_cannot_be_written_fails_the_run_in_one_line(folder: Folder, suffix: str) -> None:
    run = folder.run("-q", "in.csv", "-o", "/dev/full", "--output-format", suffix)
    assert run.exit_code == 1
    assert (
        run.errors
        == "txfast: /dev/full: cannot be written: No space left on device: free some, or name another place\n"
    )


def test_a_terminal_gets_no_table(folder: Folder) -> None:
    ours, theirs = pty.openpty()
    try:
        command = [COMMAND, "in.csv", "--output-format", "parquet"]
        ended = subprocess.run(
            command, cwd=folder.path, env=environment(), stdout=theirs, stderr=subprocess.PIPE, text=True, check=False
        )
        assert ended.returncode == 2
        assert "--output-format parquet is nothing for a terminal" in ended.stderr
        text = subprocess.run([COMMAND, "-q", "in.csv"], cwd=folder.path, env=environment(), stdout=theirs, check=False)
        assert text.returncode == 0
    finally:
        os.close(theirs)
        os.close(ours)


def test_an_unknown_format_is_refused(folder: Folder) -> None:
    folder.run("in.csv", "--output-format", "xlsx").assert_misused("--output-format", "csv, parquet, arrow")


def test_a_table_needs_memory_for_pyarrow(folder: Folder) -> None:
    folder.run("in.csv", "-o", "a.parquet", "--memory-limit", "128MiB").assert_misused("256MiB", "parquet")


def test_a_variable_may_choose_the_format(folder: Folder) -> None:
    run = folder.run("in.csv", variables={"TXFAST_OUTPUT_FORMAT": "arrow"})
    assert run.output.startswith(b"ARROW1")


@pytest.mark.parametrize("account_format", TABLES)
def test_an_output_that_fails_is_not_written_to_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, account_format: str
) -> None:
    output = Output(str(tmp_path / "a"))
    output.open()
    written: list[int] = []

    def fail(*arguments: object) -> None:
        written.append(len(arguments))
        raise SourceError("a: cannot be written: it is full", "a")

    monkeypatch.setattr(Output, "write", fail)
    ledger = Ledger()
    ledger.restore_account(1, 1, 1)
    with pytest.raises(SourceError, match="it is full"):
        write_accounts(AccountColumns([ledger]), output, account_format)
    output.discard()
    assert len(written) == 1
    assert list(tmp_path.iterdir()) == []
