"""Columns that are ignored, though their names say that they may matter, are warned of once in a run."""

from __future__ import annotations

import io
import logging

import pyarrow as pa
import pytest
from pyarrow import parquet

import txfast
from tests.support.command import Folder
from tests.support.engines import PlainJob, run_command
from tests.support.reference import HEADER
from tests.support.replays import READERS
from tests.support.states import STATE
from txfast.batch.header import Header
from txfast.cluster.cutting import cut_inputs

STATUS = HEADER[:-1] + b",status\ndeposit,1,1,100,FAILED\ndeposit,1,2,5,COMPLETED\n"
COLUMNS = {name: ["deposit"] if name == "type" else [1] for name in ("type", "client", "tx", "amount")}


def warning(name: str, columns: str) -> str:
    return (
        f"{name}: {columns} ignored: rows are applied whatever it says there; if it matters, leave out the rows that "
        f"should not count, where the file is made"
    )


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("arguments", [(), STATE], ids=["without", "state"])
def test_a_run_warns_of_such_columns_once(folder: Folder, reader: str, arguments: tuple[str, ...]) -> None:
    folder.run(*arguments, "in.csv", "-q")
    folder.write("a.csv", STATUS)
    folder.write("b.csv", STATUS)
    ended = folder.run("in.csv", "a.csv", "b.csv", "--reader", reader, "--threads", "2", *arguments)
    warned = [line for line in ended.error_lines if "ignored" in line]
    assert warned == ["warn: " + warning("a.csv", "column 'status' is")]
    assert b"\n1,1" in ended.output
    assert not [line for line in folder.run("a.csv", "-q").error_lines if "status" in line]


@pytest.mark.parametrize(
    ("header", "ignored"),
    [
        (b"type,client,tx,amount", ()),
        (b"type,client,tx,amount,fees,note,state", ()),
        (b'"Status",type,client,tx,amount, FEE ', ("Status", "FEE")),
        (b"type,currency,client,tx,amount", ("currency",)),
    ],
)
def test_their_names_count_in_any_case_and_exactly(header: bytes, ignored: tuple[str, ...]) -> None:
    assert Header(header, "in").ignored == ignored


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "arrows"])
def test_tables_have_them_too(folder: Folder, suffix: str) -> None:
    table = pa.table({**COLUMNS, "Currency": ["EUR"], "fee": [1]})
    path = folder.path / f"in.{suffix}"
    if suffix == "parquet":
        parquet.write_table(table, path)
    else:
        with (pa.ipc.new_file if suffix == "arrow" else pa.ipc.new_stream)(path, table.schema) as writer:
            writer.write_table(table)
    assert folder.run(path.name).error_lines == [
        "warn: "
        + warning(path.name, "columns 'Currency', 'fee' are")
        + "; for an account in each currency, add --columns currency=Currency"
    ]


def test_a_program_s_logger_gets_the_warning(caplog: pytest.LogCaptureFixture) -> None:
    table = pa.table({**COLUMNS, "status": ["FAILED"]})
    txfast.process(table, io.BytesIO(STATUS), log_level="warn")
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING][:1] == [
        warning("pyarrow.Table 1", "column 'status' is")
    ]
    caplog.clear()
    ledger = txfast.Ledger()
    for tx in range(3):
        ledger.apply(table.set_column(2, "tx", [[tx]]))
    assert caplog.text.count("column 'status' is ignored") == 1, "once for a ledger"


@pytest.mark.parametrize("range_bytes", [20, 1 << 20])
def test_a_cluster_warns_once_too(folder: Folder, monkeypatch: pytest.MonkeyPatch, range_bytes: int) -> None:
    monkeypatch.chdir(folder.path)
    folder.write("a.csv", STATUS)
    folder.write("b.csv", STATUS)
    warnings: list[str] = []
    PlainJob(cut_inputs(["in.csv", "a.csv", "b.csv"], range_bytes), 2).figures.warn(warnings.append)
    assert warnings == [warning("a.csv", "column 'status' is")]
    assert run_command("a.csv", "-o", "out.csv") == 0
