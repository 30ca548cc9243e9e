"""txfast as a library: any input in, a table out, and the same as the command says."""

from __future__ import annotations

import doctest
import errno
import gc
import gzip
import io
import logging
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

import txfast
from tests.support import reference, reference_rows, replays, strategies, user_program
from tests.support.bare_ledger import parse_accounts
from tests.support.command import Folder
from tests.support.failures import failing
from tests.support.project import PROJECT_ROOT
from tests.support.reference import HEADER
from txfast.api.arguments import Reader
from txfast.errors import InputError, SourceError, StateError, TooManyMalformedError, TxfastError, UsageError
from txfast.log.journal import LEVELS
from txfast.state.directory import StateDirectory

SAMPLE = PROJECT_ROOT / "samples" / "sample.csv"
ROWS = HEADER + (
    b"deposit,1,1,10.5\nwithdrawal,1,2,20\ndeposit,2,3,7\ndispute,2,3,\nfee,1,4,1\nresolve,2,9\nchargeback,2,3,\n"
)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Malformed rows are logged, and nobody here wants to see them."""
    logger = logging.getLogger("txfast")
    handler = logging.NullHandler()
    logger.addHandler(handler)
    logger.propagate = False
    yield
    logger.removeHandler(handler)
    logger.propagate = True


def texts_of(path: Path = SAMPLE) -> pa.Table:
    """The fields of a file's rows as texts, by the reference: what there is none of is null."""
    replay = reference.replay((path.name, path.read_bytes()))
    names = ("type", "client", "tx", "amount")
    (_, header), *lines = reference_rows.split_rows(path.read_bytes())[0]
    columns = reference_rows.find_columns(path.name, header)
    rows = []
    for _, line in lines:
        fields = reference_rows.split_fields(line)
        if fields is not None and not reference_rows.has_surplus(fields, columns):
            texts = reference_rows.find_texts(fields, columns)
            rows.append({name: (text or b"").decode() or None for name, text in zip(names, texts, strict=True)})
    assert replay.rows
    return pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in names]))


def csv_of(result: txfast.Result) -> bytes:
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        result.accounts.write(file.name)
        return Path(file.name).read_bytes()


def duckdb_relation(table: pa.Table) -> duckdb.DuckDBPyRelation:
    return duckdb.connect().from_arrow(table)


class ArrayOnly:
    """A record batch of a library that knows no streams."""

    def __init__(self, table: pa.Table) -> None:
        [self._batch] = table.combine_chunks().to_batches()

    def __arrow_c_array__(self, requested_schema: object = None) -> object:
        return self._batch.__arrow_c_array__(requested_schema)


# What a table of texts may come as.
TABLES: dict[str, Callable[[pa.Table], Any]] = {
    "pyarrow table": lambda table: table,
    "pyarrow reader": lambda table: table.to_reader(max_chunksize=97),
    "pyarrow batch": lambda table: table.combine_chunks().to_batches()[0],
    "array": ArrayOnly,
    "list of batches": lambda table: table.to_batches(max_chunksize=500),
    "generator of batches": lambda table: (batch for batch in table.to_batches(max_chunksize=500)),
    "generator of tables": lambda table: (table.slice(first, 100) for first in range(0, len(table), 100)),
    "polars frame": lambda table: pl.DataFrame(table),
    "polars categories": lambda table: pl.DataFrame(table).with_columns(pl.col("type").cast(pl.Categorical)),
    "duckdb relation": duckdb_relation,
    "pandas frame": lambda table: table.to_pandas(),
}
every_table = pytest.mark.parametrize("made", TABLES.values(), ids=TABLES.keys())


def csv_file_of(table: pa.Table) -> io.BytesIO:
    """The CSV file of these fields, in which a null is an empty field."""
    rows = [[(cell or "").replace('"', '""') for cell in row.values()] for row in table.to_pylist()]
    return io.BytesIO(HEADER + "".join('"' + '","'.join(row) + '"\n' for row in rows).encode())


@every_table
def test_a_table_of_any_kind_is_as_the_file_of_its_rows(made: Callable[[pa.Table], Any]) -> None:
    expected = txfast.process(csv_file_of(texts_of()), rejects=True)
    found = txfast.process(made(texts_of()), rejects=True)
    assert csv_of(found) == csv_of(expected)
    assert expected.rejects is not None
    assert found.rejects is not None
    assert len(found.rejects) > 200
    assert [reject[2:8] for reject in found.rejects] == [reject[2:8] for reject in expected.rejects]
    assert [reject.line + 1 for reject in found.rejects] == [reject.line for reject in expected.rejects]
    assert {reject.row for reject in found.rejects} == {b""}
    for figure in ("rows", "applied", "malformed", "rejected", "accounts", "locked_accounts", "total"):
        assert found.stats[figure] == expected.stats[figure]


@every_table
def test_numbers_are_as_their_texts(made: Callable[[pa.Table], Any]) -> None:
    table = pa.Table.from_batches(txfast.read(SAMPLE))
    found = txfast.process(made(table))
    assert csv_of(found) == csv_of(txfast.process(SAMPLE))
    assert sum(found.stats["malformed"].values()) == 0


@pytest.mark.parametrize("suffix", ["csv.gz", "csv.zst", "csv.lz4", "csv.bz2", "parquet", "arrow", "arrows"])
def test_files_of_every_format_are_as_the_command_has_them(folder: Folder, suffix: str) -> None:
    path = folder.path / f"in.{suffix}"
    table = pa.Table.from_batches(txfast.read(SAMPLE))
    if suffix == "parquet":
        parquet.write_table(table, path, row_group_size=313)
    elif suffix.startswith("arrow"):
        new = pa.ipc.new_file if suffix == "arrow" else pa.ipc.new_stream
        with new(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=313)
    else:
        codec = suffix.removeprefix("csv.").replace("zst", "zstd").replace("gz", "gzip")
        with pa.CompressedOutputStream(str(path), codec.replace("bz2", "bz2")) as file:
            file.write(SAMPLE.read_bytes())
    by_command = folder.run("-q", path.name, "--rejects", "r.parquet")
    result = txfast.process(path, rejects=True)
    assert csv_of(result) == by_command.output
    assert result.rejects is not None
    theirs = parquet.read_table(folder.path / "r.parquet")
    ours = result.rejects.to_arrow()
    assert ours.drop_columns(["file"]) == theirs.drop_columns(["file"]).cast(ours.schema.remove(0))


@pytest.mark.parametrize("reader", replays.READERS)
@pytest.mark.parametrize("threads", replays.THREADS)
def test_options_change_no_result(reader: Reader, threads: int) -> None:
    result = txfast.process(SAMPLE, reader=reader, threads=threads, rejects=True)
    expected = reference.replay((str(SAMPLE), SAMPLE.read_bytes()))
    assert csv_of(result) == expected.accounts_csv()
    assert result.rejects is not None
    assert [(each.line, each.status, each.reason, each.row) for each in result.rejects] == [
        (each.line, each.status, each.reason, each.row) for each in expected.rejects
    ]
    assert (result.stats["reader"], result.stats["threads"]) == (reader, threads)


@given(st.lists(strategies.hostile_files(), min_size=1, max_size=3), st.sampled_from(replays.THREADS))
def test_files_in_memory_are_as_the_reference_says(contents: list[bytes], threads: int) -> None:
    names = [f"io.BytesIO {index + 1}" if len(contents) > 1 else "io.BytesIO" for index in range(len(contents))]
    named = list(zip(names, contents, strict=True))
    files = [io.BytesIO(content) for content in contents]
    try:
        expected = replays.run_reference(named)
    except reference_rows.NotTransactions:
        with pytest.raises(InputError):
            txfast.process(*files, threads=threads)
        return
    with replays.though_all_malformed():
        result = txfast.process(*files, threads=threads, rejects=True)
    assert result.rejects is not None
    found = [(each.file, each.line, each.status, each.reason) for each in result.rejects]
    assert found == [each[:4] for each in expected.rejects]
    lines = [f"{c},{a},{h},{t},{str(locked).lower()}\n" for c, a, h, t, locked in map(plainly, result.accounts)]
    assert "".join(["client,available,held,total,locked\n", *lines]).encode() == expected.accounts


def plainly(account: txfast.Account) -> list[object]:
    """Without the exponents that Python gives to small decimals."""
    return [f"{cell:f}" if isinstance(cell, Decimal) else cell for cell in account]


def test_inputs_are_one_stream_whatever_they_are(folder: Folder) -> None:
    folder.write("first.csv", HEADER + b"deposit,1,1,5\n")
    second = pa.Table.from_pylist([{"type": "dispute", "client": 1, "tx": 1, "amount": None}])
    third = io.BytesIO(HEADER + b"chargeback,1,1\nfee,1,1\n")
    result = txfast.process(folder.path / "first.csv", second, third, rejects=True)
    assert list(result.accounts) == [txfast.Account(1, Decimal("0.0000"), Decimal(0), Decimal(0), True)]
    names = [figures["file"] for figures in result.stats["inputs"]]
    assert names == [str(folder.path / "first.csv"), "pyarrow.Table 2", "io.BytesIO 3"]
    assert result.rejects is not None
    assert [(each.file, each.line) for each in result.rejects] == [("io.BytesIO 3", 3)]


def test_a_file_is_read_from_where_it_stands_and_left_open(folder: Folder) -> None:
    path = folder.write("in.csv", b"preface\n" + ROWS)
    with path.open("rb") as file:
        file.readline()
        result = txfast.process(file)
        assert not file.closed
        assert file.read() == b""
    assert len(result.accounts) == 2
    assert result.stats["inputs"][0]["file"] == str(path)


def test_a_file_may_have_read_alone() -> None:
    class Reading:
        def __init__(self) -> None:
            self._file = io.BytesIO(ROWS)

        def read(self, count: int) -> bytes:
            return self._file.read(min(count, 7))

    file: Any = Reading()
    assert len(txfast.process(file).accounts) == 2


def test_a_table_without_rows_has_no_accounts() -> None:
    for table in (texts_of().slice(0, 0), iter(())):
        result = txfast.process(table, rejects=True)
        assert (len(result.accounts), len(result.rejects or ()), result.stats["rows"]) == (0, 0, 0)
        assert result.accounts.to_arrow().num_rows == 0


# ---- What is refused -----------------------------------------------------------------------------


def closed_file() -> io.BytesIO:
    file = io.BytesIO(ROWS)
    file.close()
    return file


class BytesPath:
    def __fspath__(self) -> bytes:
        return b"in.csv"


class Text:
    def read(self, count: int) -> str:
        return "x" * count


REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "nothing": ((), "no input"),
    "number": ((SAMPLE, 3), "an input of type int"),
    "bytes": ((b"in.csv",), "io.BytesIO"),
    "path of bytes": ((BytesPath(),), "a path of bytes"),
    "closed file": ((closed_file(),), "is closed"),
    "text file": ((io.StringIO("type"),), "mode 'rb'"),
    "list of numbers": (([1, 2],), "an iterable of int"),
    "reader of text": ((Text(),), "reads str, and must read bytes"),
}


@pytest.mark.parametrize(("inputs", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_input_is_refused(inputs: tuple[Any, ...], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        txfast.process(*inputs)
    with pytest.raises(UsageError, match=reason):
        list(txfast.read(*inputs))


@pytest.mark.parametrize("call", [txfast.process, lambda *given: list(txfast.read(*given)), txfast.Ledger().apply])
def test_floats_are_refused_with_the_way_out(call: Callable[..., object]) -> None:
    frame = pd.DataFrame({"type": ["deposit"], "client": [1], "tx": [1], "amount": [0.1]})
    with pytest.raises(InputError, match=r"pandas.DataFrame: column 'amount' is of type double: .*decimal128\(19, 4\)"):
        call(frame)
    with pytest.raises(InputError, match="it has no column tx"):
        call(frame.drop(columns=["tx"]))


def test_rejects_need_memory_for_pyarrow() -> None:
    with pytest.raises(UsageError, match="the least is '256MiB'"):
        txfast.process(SAMPLE, memory_limit="128MiB", rejects=True)


def test_a_limit_and_strict_must_agree() -> None:
    with pytest.raises(UsageError, match=r"strict=True and max_malformed=1 contradict"):
        txfast.process(SAMPLE, max_malformed=1, strict=True)


def test_errors_are_builtins_too(folder: Folder) -> None:
    with pytest.raises(OSError, match=r"missing.csv: cannot be read: No such file") as missing:
        txfast.process(folder.path / "missing.csv")
    assert isinstance(missing.value, TxfastError)
    with pytest.raises(ValueError, match=r"in\.csv"):
        txfast.process(folder.write("in.csv", b"a,b\n"))


def test_a_limit_of_malformed_rows_ends_the_run() -> None:
    choices: list[dict[str, Any]] = [{"strict": True}, {"max_malformed": 0}]
    for options in choices:
        with pytest.raises(TooManyMalformedError, match=r"io\.BytesIO:6"):
            txfast.process(io.BytesIO(ROWS), **options)
        with pytest.raises(TooManyMalformedError):
            list(txfast.read(io.BytesIO(ROWS), **options))
    assert txfast.process(io.BytesIO(ROWS), max_malformed=1).stats["rows"] == 7


def test_an_error_of_a_generator_comes_through_as_it_is() -> None:
    class Mine(Exception):  # noqa: N818 (a test's)
        pass

    def batches() -> Iterator[pa.RecordBatch]:
        yield texts_of().to_batches()[0]
        raise Mine

    for threads in replays.THREADS:
        with pytest.raises(Mine):
            txfast.process(batches(), threads=threads)


# ---- Results -------------------------------------------------------------------------------------


def test_accounts_are_a_table_and_a_sequence() -> None:
    accounts = txfast.process(io.BytesIO(ROWS)).accounts
    rows = list(accounts)
    assert len(accounts) == len(rows) == 2
    assert rows[0] == (1, Decimal("10.5000"), Decimal(0), Decimal("10.5000"), False)
    assert rows[1]._asdict() == {
        "client": 2, "available": Decimal(0), "held": Decimal(0), "total": Decimal(0), "locked": True,
    }  # fmt: skip
    table = accounts.to_arrow()
    assert [tuple(row.values()) for row in table.to_pylist()] == rows
    assert pa.table(accounts) == table
    assert pa.schema(accounts) == table.schema
    assert pl.DataFrame(accounts).equals(accounts.to_polars())
    assert accounts.to_pandas()["available"].tolist() == [Decimal("10.5000"), Decimal(0)]
    assert duckdb.connect().from_arrow(pa.table(accounts)).sum("total").fetchall() == [(Decimal("10.5000"),)]
    # As often as anybody asks.
    assert list(accounts) == rows


def test_rejects_are_a_table_and_a_sequence() -> None:
    rejects = txfast.process(io.BytesIO(ROWS), rejects=True).rejects
    assert rejects is not None
    assert [(each.line, each.reason, each.client, each.row) for each in rejects] == [
        (3, "insufficient_funds", "1", b"withdrawal,1,2,20"),
        (6, "bad_type", "1", b"fee,1,4,1"),
        (7, "dispute_not_found", "2", b"resolve,2,9"),
    ]
    assert len(rejects) == len(rejects.to_pandas()) == len(pl.DataFrame(rejects)) == 3
    assert rejects.to_arrow().schema == rejects.schema
    assert txfast.process(io.BytesIO(ROWS)).rejects is None


def test_rejects_of_many_batches_are_kept() -> None:
    file = io.BytesIO(HEADER + b"fee,1,1,1\n" * 300_000)
    with replays.though_all_malformed():
        rejects = txfast.process(file, rejects=True, logger=silent_logger()).rejects
    assert rejects is not None
    assert rejects.to_arrow()["line"].to_pylist() == list(range(2, 300_002))
    assert set(rejects.to_arrow()["row"].to_pylist()) == {b"fee,1,1,1"}


def test_accounts_outlive_the_run_that_spilled_them(tmp_path: Path) -> None:
    rows = b"".join(b"deposit,%d,%d,1\n" % (client, client) for client in range(700_000))
    accounts = txfast.process(io.BytesIO(HEADER + rows), memory_limit="96MiB").accounts
    assert len(accounts) == 700_000
    for _ in range(2):
        assert accounts.to_arrow()["client"].to_pylist() == list(range(700_000))
    # The same files too, and nothing is held any longer than they are.
    in_memory = txfast.process(io.BytesIO(HEADER + rows)).accounts
    for suffix in ("parquet", "arrow"):
        contents = []
        for each in (accounts, in_memory):
            each.write(tmp_path / f"a.{suffix}")
            contents.append((tmp_path / f"a.{suffix}").read_bytes())
        assert contents[0] == contents[1]
    before = len(os.listdir("/proc/self/fd"))
    del accounts, each
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) == before - 1


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.arrow"])
def test_accounts_are_written_as_the_command_writes_them(folder: Folder, name: str) -> None:
    folder.run("in.csv", "-q", "-o", f"command-{name}")
    txfast.process(folder.path / "in.csv").accounts.write(folder.path / name)
    assert (folder.path / name).read_bytes() == (folder.path / f"command-{name}").read_bytes()


def test_a_file_that_cannot_be_written_stays_as_it_was(folder: Folder) -> None:
    accounts = txfast.process(folder.path / "in.csv").accounts
    with pytest.raises(SourceError, match=r"a\.csv: cannot be written"):
        accounts.write(folder.path / "missing" / "a.csv")
    with pytest.raises(SourceError, match="null"):
        accounts.write("with\0nul")
    read_end, write_end = os.pipe()
    os.close(read_end)
    with pytest.raises(SourceError, match="nobody reads"):
        accounts.write(f"/dev/fd/{write_end}")
    os.close(write_end)
    accounts.write(folder.path / "in.csv", format="arrow")
    assert (folder.path / "in.csv").read_bytes().startswith(b"ARROW1")
    assert folder.names() == ["in.csv"]


def test_a_notebook_shows_the_first_accounts_and_the_figures() -> None:
    rows = b"".join(b"deposit,%d,1,1\n" % client for client in range(1_234))
    result = txfast.process(io.BytesIO(HEADER + rows + b'"<b>",1,1,1\n'), rejects=True)
    html = result._repr_html_()
    assert "the first 10 of 1,234 accounts" in html
    assert "<td>9</td><td>1.0000</td><td>0.0000</td><td>1.0000</td><td>False</td>" in html
    assert "rows 1235, applied 1234, rejected 0, malformed 1, total 1234.0000" in html
    assert "<td>10</td>" not in html
    assert result.rejects is not None
    assert "&lt;b&gt;" in result.rejects._repr_html_()
    assert "<b>" not in result.rejects._repr_html_()
    assert [repr(each) for each in (result, result.accounts, result.rejects)] == [
        "<txfast result: 1,235 rows, 0 rejected, 1 malformed, 1,234 accounts>", "<1234 accounts>", "<1 rejects>",
    ]  # fmt: skip


def test_what_cannot_be_pickled_says_what_can() -> None:
    result = txfast.process(io.BytesIO(ROWS), rejects=True)
    for each in (result, result.accounts, txfast.Ledger()):
        with pytest.raises(TypeError, match=r"cannot be pickled: (pickle|save)"):
            pickle.dumps(each)
    assert list(pickle.loads(pickle.dumps(result.rejects))) == list(result.rejects)
    account = next(iter(result.accounts))
    assert pickle.loads(pickle.dumps(account)) == account


# ---- Reading -------------------------------------------------------------------------------------


def test_what_is_read_are_the_well_formed_rows() -> None:
    [batch] = txfast.read(io.BytesIO(ROWS))
    assert batch.schema.names == ["type", "client", "tx", "amount"]
    assert [tuple(row.values()) for row in batch.to_pylist()] == [
        ("deposit", 1, 1, Decimal("10.5000")), ("withdrawal", 1, 2, Decimal(20)), ("deposit", 2, 3, Decimal(7)),
        ("dispute", 2, 3, None), ("resolve", 2, 9, None), ("chargeback", 2, 3, None),
    ]  # fmt: skip
    batch.validate(full=True)


def test_what_is_read_gives_the_accounts_of_the_file() -> None:
    assert csv_of(txfast.process(txfast.read(SAMPLE))) == csv_of(txfast.process(SAMPLE))
    assert csv_of(txfast.process(txfast.read(texts_of()))) == csv_of(txfast.process(SAMPLE))


def test_arguments_of_read_are_looked_at_at_once() -> None:
    with pytest.raises(UsageError):
        txfast.read()
    with pytest.raises(UsageError):
        txfast.read(SAMPLE, strict=True, max_malformed=1)


def printed(program: str) -> str:
    """What a program prints, in a process of its own."""
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=PROJECT_ROOT, capture_output=True, text=True, check=True).stdout


def test_the_function_stays_what_it_is_when_its_package_is_imported() -> None:
    program = (
        "import txfast, txfast.command.main, txfast.readers.csv, txfast.readers.table; "
        "from txfast.readers import parse_line; "
        "print(callable(txfast.read), parse_line.__name__, sum(map(len, txfast.read('samples/disputes.csv'))))"
    )
    assert printed(program) == "True txfast.readers.parse_line 25\n"


# ---- The log -------------------------------------------------------------------------------------


def silent_logger() -> logging.Logger:
    logger = logging.Logger("silent")
    logger.addHandler(logging.NullHandler())
    return logger


def test_malformed_rows_are_records_of_the_logger() -> None:
    records: list[logging.LogRecord] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record)

    logger = logging.Logger("mine")
    logger.addHandler(Kept())
    txfast.process(io.BytesIO(ROWS), logger=logger)
    assert [(each.levelname, each.__dict__["line"], each.__dict__["reason"]) for each in records] == [
        ("ERROR", 6, "bad_type")
    ]
    records.clear()
    txfast.process(io.BytesIO(ROWS), logger=logger, log_level="warn")
    assert [each.__dict__["line"] for each in records] == [3, 6, 7]
    records.clear()
    list(txfast.read(io.BytesIO(HEADER + b"fee,1,1,1\n" * 150 + b"deposit,1,1,1\n"), logger=logger))
    assert len(records) == 101
    assert records[-1].getMessage() == "malformed: bad_type: 150 rows in all"
    records.clear()
    txfast.process(io.BytesIO(HEADER + b"fee,1,1,1\n" * 150 + b"deposit,1,1,1\n"), logger=logger, log_level="warn")
    assert [each.__dict__["line"] for each in records[:150]] == list(range(2, 152))
    assert not any("in all" in each.getMessage() for each in records)
    records.clear()
    txfast.Ledger(logger=logger).apply(io.BytesIO(ROWS))
    assert [each.__dict__["line"] for each in records] == [6]
    assert LEVELS[0] == "error"


def test_progress_shows_on_standard_error_if_asked(folder: Folder) -> None:
    path = folder.write("in.csv", HEADER + b"deposit,1,1,1\n" * 10)
    program = (
        "import sys, txfast, txfast.log.progress as p; p.LINE_SECONDS = 0.0; "
        "txfast.process(sys.argv[1], progress=True); txfast.process(sys.argv[1])"
    )
    ended = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert ended.stdout == ""
    assert ended.stderr.count(", 10 rows,") == 1


# ---- The ledger ----------------------------------------------------------------------------------


@given(st.lists(strategies.plain_files(), min_size=1, max_size=4), st.sampled_from(replays.THREADS))
def test_a_ledger_fed_piece_by_piece_is_as_one_run(contents: list[bytes], threads: int) -> None:
    named = [(str(index), content) for index, content in enumerate(contents)]
    try:
        expected = replays.run_reference(named)
    except reference_rows.NotTransactions:
        return
    ledger = txfast.Ledger(threads=threads, logger=silent_logger())
    counts: dict[str, int] = {}
    for content in contents:
        for status, count in ledger.apply(io.BytesIO(content)).items():
            assert count or status == "applied"
            counts[status] = counts.get(status, 0) + count
    accounts = parse_accounts(expected.accounts)
    assert len(ledger) == len(accounts)
    assert list(ledger) == [account.client for account in accounts]
    for account in accounts:
        found = ledger[account.client]
        assert (int(found.available * 10_000), int(found.held * 10_000)) == (account.available, account.held)
        assert found.locked == account.locked
        assert found.total == found.available + found.held
    assert counts.pop("applied") == sum(expected.applied.values())
    reasons = {**expected.malformed, **expected.rejected}
    assert counts == {reason: count for reason, count in reasons.items() if count}


def test_a_client_without_an_account_is_a_key_error() -> None:
    ledger = txfast.Ledger()
    clients: list[Any] = [1, 0, -1, 2**64, 2**70, "1", None, 1.0]
    for client in clients:
        assert client not in ledger
    ledger.apply(io.BytesIO(HEADER + b"deposit,1,1,1\ndeposit,18446744073709551615,1,1\n"))
    assert 1 in ledger
    assert 2**64 - 1 in ledger
    for client in clients[1:]:
        with pytest.raises(KeyError):
            ledger[client]
    assert ledger[np.uint64(1)] == ledger[1]
    assert type(ledger[np.uint64(1)].client) is int
    assert repr(ledger) == "<txfast ledger of 2 accounts>"


def test_accounts_of_a_ledger_are_those_of_the_moment() -> None:
    ledger = txfast.Ledger()
    ledger.apply(io.BytesIO(HEADER + b"deposit,1,1,1\n"))
    before = ledger.accounts()
    ledger.apply(io.BytesIO(HEADER + b"deposit,1,2,1\ndeposit,2,1,1\n"))
    assert [account.total for account in before] == [1]
    assert [account.total for account in ledger.accounts()] == [2, 1]


def test_a_ledger_goes_on_from_where_it_was_saved(folder: Folder) -> None:
    path = folder.path / "state"
    ledger = txfast.Ledger()
    ledger.apply(io.BytesIO(ROWS))
    ledger.save(path)
    for _ in range(3):
        ledger.apply(io.BytesIO(HEADER + b"deposit,7,%d,1\n" % len(ledger)))
        ledger.save(path)
    loaded = txfast.Ledger.load(path, threads=3)
    assert list(loaded.accounts()) == list(ledger.accounts())
    assert loaded.apply(io.BytesIO(HEADER + b"deposit,1,1,10.5\n")) == {"applied": 0, "duplicate_transaction": 1}
    loaded.save(path)
    # As the command's own, and two are kept.
    assert folder.run("--state", "state").output == folder.run("--state", "state", "-q").output
    assert len([name for name in os.listdir(path) if name.startswith("snapshot-")]) == 2
    assert folder.run("--state", "state", "--verify").exit_code == 0


def test_what_a_state_knows_of_its_inputs_stays(folder: Folder) -> None:
    folder.run("in.csv", "--state", "state", "-q")
    ledger = txfast.Ledger.load(folder.path / "state")
    before = list(ledger.accounts())
    ledger.save(folder.path / "state")
    again = folder.run("in.csv", "--state", "state", "--stats", "s.json", "-q")
    assert again.exit_code == 0
    assert list(txfast.Ledger.load(folder.path / "state").accounts()) == before
    assert b'"rows": 0,' in (folder.path / "s.json").read_bytes()


def test_a_ledger_is_saved_over_nothing_of_somebody_elses(folder: Folder) -> None:
    path = folder.path / "state"
    first, second = txfast.Ledger(), txfast.Ledger()
    first.apply(io.BytesIO(ROWS))
    first.save(path)
    with pytest.raises(StateError, match="does not go on from"):
        second.save(path)
    loaded = txfast.Ledger.load(path)
    first.apply(io.BytesIO(HEADER + b"deposit,9,9,9\n"))
    first.save(path)
    with pytest.raises(StateError, match="does not go on from"):
        loaded.save(path)
    loaded.save(folder.path / "other")
    assert list(txfast.Ledger.load(path).accounts()) == list(first.accounts())
    # Nor over what took the place of its own, with the same number.
    shutil.rmtree(folder.path / "other")
    first.save(folder.path / "other")
    with pytest.raises(StateError, match="does not go on from"):
        loaded.save(folder.path / "other")


def test_a_ledger_goes_on_where_the_last_snapshot_is_damaged(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder.path / "state"
    ledger = txfast.Ledger()
    for number in range(3):
        ledger.apply(io.BytesIO(HEADER + b"deposit,1,%d,1\n" % number))
        ledger.save(path)
    next((path / "snapshot-3").glob("entries*.arrow")).write_bytes(b"")
    loaded = txfast.Ledger.load(path, logger=silent_logger())
    assert loaded[1].total == 2
    # Also where saving it was interrupted before.
    with monkeypatch.context() as patched:
        patched.setattr(StateDirectory, "publish", failing(errno.EIO))
        with pytest.raises(OSError, match="error"):
            loaded.save(path)
    loaded.save(path)
    # What it went on from is kept, not what is damaged.
    assert sorted(name for name in os.listdir(path) if name != "lock") == ["snapshot-2", "snapshot-4"]
    assert txfast.Ledger.load(path)[1].total == 2


def test_an_interrupt_between_saving_and_noting_it_does_no_harm(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder.path / "state"
    ledger = txfast.Ledger()
    ledger.apply(io.BytesIO(ROWS))
    ledger.save(path)
    publish = StateDirectory.publish
    for is_published in (True, False):

        def interrupted(state: StateDirectory, *, is_published: bool = is_published, **options: bool) -> None:
            if is_published:
                publish(state, **options)
            raise KeyboardInterrupt

        monkeypatch.setattr(StateDirectory, "publish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ledger.save(path)
        monkeypatch.setattr(StateDirectory, "publish", publish)
        ledger.save(path)
    assert list(txfast.Ledger.load(path).accounts()) == list(ledger.accounts())


def test_an_interrupt_before_the_rows_are_counted_breaks_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = txfast.Ledger()
    counts, calls = txfast.Ledger._counts, []

    def interrupted(self: txfast.Ledger) -> dict[str, int]:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return counts(self)

    monkeypatch.setattr(txfast.Ledger, "_counts", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ledger.apply(io.BytesIO(ROWS))
    with pytest.raises(StateError, match="holds a part"):
        ledger.accounts()


def test_a_state_that_is_not_there_is_not_loaded(folder: Folder) -> None:
    with pytest.raises(SourceError, match="missing"):
        txfast.Ledger.load(folder.path / "missing")
    (folder.path / "empty").mkdir()
    with pytest.raises(StateError, match="holds no state"):
        txfast.Ledger.load(folder.path / "empty")


def test_a_ledger_that_holds_a_part_says_so_from_then_on(folder: Folder) -> None:
    ledger = txfast.Ledger()
    ledger.apply(io.BytesIO(ROWS))

    cut_short = gzip.compress(HEADER + b"deposit,1,77,1\n" * 200_000)[:-20]
    with pytest.raises(InputError, match="cut short"):
        ledger.apply(io.BytesIO(cut_short))
    for call in (
        lambda: ledger.apply(io.BytesIO(ROWS)), lambda: ledger[1], lambda: len(ledger), ledger.accounts,
        lambda: ledger.save(folder.path / "state"),
    ):  # fmt: skip
        with pytest.raises(StateError, match="holds a part of an input"):
            call()
    assert repr(ledger) == "<txfast ledger, broken>"
    assert not (folder.path / "state").exists()


def test_an_input_refused_before_its_first_row_changes_nothing() -> None:
    ledger = txfast.Ledger()
    ledger.apply(io.BytesIO(ROWS))
    before = list(ledger.accounts())
    bad_inputs: list[Any] = [
        io.BytesIO(b"nothing"), "missing.csv", "with\0nul", pa.table({"type": ["deposit"]}), 5, closed_file(),
    ]  # fmt: skip
    for bad in bad_inputs:
        with pytest.raises(TxfastError):
            ledger.apply(bad)
    with pytest.raises(ZeroDivisionError):
        ledger.apply(pa.table({"type": [1 // 0]}) for _ in range(3))
    assert list(ledger.accounts()) == before


def test_threads_may_share_a_ledger() -> None:
    ledger = txfast.Ledger(threads=2)
    failures: list[BaseException] = []

    def feed(client: int) -> None:
        try:
            for number in range(20):
                ledger.apply(io.BytesIO(HEADER + b"deposit,%d,%d,1\n" % (client, number) * 5))
                assert ledger[client].total == number + 1
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=feed, args=(client,)) for client in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [account.total for account in ledger.accounts()] == [20] * 6


# ---- Ctrl-C --------------------------------------------------------------------------------------

INTERRUPTED = """\
import io, sys, txfast

class Endless:
    left = b"type,client,tx,amount\\n"
    def read(self, count):
        if len(self.left) < count:
            self.left += b"deposit,1,1,1\\n" * (1 + count // 14)
            print("reading", flush=True)
        text, self.left = self.left[:count], self.left[count:]
        return text

ledger = txfast.Ledger()
try:
    if sys.argv[1] == "process":
        txfast.process(Endless(), threads=int(sys.argv[2]))
    elif sys.argv[1] == "read":
        for _ in txfast.read(Endless()):
            pass
    else:
        ledger.apply(Endless())
except KeyboardInterrupt:
    print("interrupted", repr(ledger))
"""


@pytest.mark.parametrize("words", [("process", "1"), ("process", "4"), ("read",), ("apply",)])
def test_a_ctrl_c_ends_what_takes_long(words: tuple[str, ...]) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for _ in range(20):
            assert process.stdout.readline() == "reading\n"
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        output, errors = process.communicate(timeout=60)
        assert time.monotonic() - started < 30
    ledger = "<txfast ledger, broken>" if words == ("apply",) else "<txfast ledger of 0 accounts>"
    assert output.splitlines()[-1] == f"interrupted {ledger}"
    assert (process.returncode, errors) == (0, "")


# ---- Documentation -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("txfast", "txfast.api.process", "txfast.api.ledger", "txfast.api.results", "txfast.api.read"),
        "txfast.api.state_ledger",
    ],
)
def test_the_examples_in_docstrings_are_true(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0


def test_a_program_of_a_users_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    user_program.main(tmp_path)
    assert capsys.readouterr().out == "2 3 2.5000\n"


def test_what_is_public_is_there_and_documented() -> None:
    assert set(txfast.__all__) <= set(dir(txfast))
    for name in txfast.__all__:
        found = getattr(txfast, name)
        assert isinstance(found, str) or found.__doc__
    with pytest.raises(AttributeError, match="no attribute 'proces'"):
        txfast.proces  # noqa: B018 (it is what is looked up)


def test_importing_it_imports_nothing_slow() -> None:
    slow = {"pyarrow", "numpy", "typing", "logging", "decimal"}
    program = f"import sys; before = set(sys.modules); import txfast; print(*{slow!r} & (set(sys.modules) - before))"
    assert printed(program) == "\n"


def test_a_run_over_csv_needs_no_pyarrow() -> None:
    program = (
        "import sys, io, txfast; "
        "r = txfast.process(io.BytesIO(b'type,client,tx,amount\\ndeposit,1,1,1\\n')); "
        "r.accounts.write('/dev/null'); print(len(r.accounts), 'pyarrow' in sys.modules)"
    )
    assert printed(program) == "1 False\n"
