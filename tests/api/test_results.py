"""Results are sequences and tables: by index, by slice, by client, whether accounts are in memory or on disk."""

from __future__ import annotations

import io
import logging
import os
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

import txfast
from tests.support import replays, strategies
from tests.support.command import Folder
from tests.support.project import PROJECT_ROOT
from tests.support.reference import HEADER
from txfast.api.account_rows import AccountParts, account_at
from txfast.errors import InputError, SourceError, TxfastError, UsageError
from txfast.ledger.ledger import Ledger
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.run.replay import new_replay
from txfast.writers.rejects import Rejects as RejectsFile

SAMPLE = PROJECT_ROOT / "samples" / "sample.csv"
CLIENTS = [*range(0, 60, 3), 2**63, 2**64 - 1]


def silent_logger() -> logging.Logger:
    logger = logging.Logger("silent")
    logger.addHandler(logging.NullHandler())
    return logger


def columns_of(clients: list[int]) -> AccountColumns:
    ledger = Ledger()
    for client in clients:
        ledger.restore_account(client, client % 1000, client % 7, client % 2 == 0)
    return AccountColumns([ledger])


class OnDisk:
    """As Settled has them: chunks in one buffer, each valid until the next."""

    has_names = False
    currencies = None

    def __init__(self, columns: AccountColumns, rows: int) -> None:
        self._columns, self._rows = columns, rows

    def __len__(self) -> int:
        return len(self._columns)

    def chunks(self) -> Any:
        for first in range(0, len(self), self._rows):
            yield self._columns.part(first, 1, min(self._rows, len(self) - first))


MADE: dict[str, Callable[[AccountColumns], Any]] = {
    "in memory": lambda columns: columns,
    "one chunk on disk": lambda columns: OnDisk(columns, 100),
    "chunks on disk": lambda columns: OnDisk(columns, 5),
    "parts": lambda columns: AccountParts([columns.part(0, 1, 3), columns.part(3, 1, len(columns) - 3)]),
}
every_place = pytest.mark.parametrize("made", MADE.values(), ids=MADE.keys())


@every_place
def test_accounts_are_a_sequence(made: Callable[[AccountColumns], Any]) -> None:
    accounts = txfast.Accounts(made(columns_of(CLIENTS)))
    rows = list(accounts)
    count = len(CLIENTS)
    assert [account.client for account in rows] == CLIENTS
    assert [accounts[index] for index in range(-count, count)] == rows + rows
    assert accounts[np.int64(1)] == rows[1]
    assert list(reversed(accounts)) == rows[::-1]
    assert [accounts.index(account) for account in rows] == list(range(count))
    assert accounts.count(rows[3]) == 1
    assert accounts.index(rows[-1], -1) == count - 1
    with pytest.raises(ValueError, match="is not there"):
        accounts.index(rows[1], 2, 5)
    for index in (count, -count - 1):
        with pytest.raises(IndexError, match=rf"index {index}: there are {count} accounts"):
            accounts[index]
    for wrong in ("1", 1.0, None):
        with pytest.raises(TypeError):
            accounts[wrong]  # type: ignore[call-overload]


@every_place
@given(
    st.tuples(
        st.none() | st.integers(-30, 30),
        st.none() | st.integers(-30, 30),
        st.none() | st.integers(-9, 9).filter(bool),
    )
)
def test_a_slice_is_a_table_of_these_accounts(made: Callable[[AccountColumns], Any], bounds: tuple[Any, ...]) -> None:
    accounts = txfast.Accounts(made(columns_of(CLIENTS)))
    rows = list(accounts)
    part = accounts[slice(*bounds)]
    expected = rows[slice(*bounds)]
    assert list(part) == expected
    assert len(part) == len(expected)
    assert part.to_arrow() == pa.Table.from_pylist([row._asdict() for row in expected], accounts.schema)
    assert list(part[::-1]) == expected[::-1]
    for account in rows:
        assert part.get(account.client) == (account if account in expected else None)
        assert (account in part) == (account in expected)


def test_a_slice_of_all_is_the_table_itself() -> None:
    result = txfast.process(SAMPLE, rejects=True)
    assert result.accounts[:] is result.accounts
    assert result.rejects[0:] is result.rejects


@every_place
def test_an_account_is_looked_up_by_its_client(made: Callable[[AccountColumns], Any]) -> None:
    accounts = txfast.Accounts(made(columns_of(CLIENTS)))
    for account in accounts:
        assert accounts.get(account.client) == account
    assert accounts.get(np.uint64(2**64 - 1)) == accounts[-1]
    nobody: list[Any] = [1, -1, 2**64, 2**80, "3", None, 3.0]
    for client in nobody:
        assert accounts.get(client) is None
        assert accounts.get(client, "none") == "none"
    assert txfast.Accounts(AccountColumns(())).get(0) is None


def test_what_a_table_contains_are_tuples() -> None:
    result = txfast.process(SAMPLE, rejects=True)
    account, reject = result.accounts[1], result.rejects[1]
    assert account in result.accounts
    assert tuple(account) in result.accounts
    assert account._replace(held=Decimal(-1)) not in result.accounts
    assert () not in result.accounts
    assert reject in result.rejects
    assert reject._replace(line=0) not in result.rejects
    with pytest.raises(TypeError, match=r"look a client up by accounts.get\(42\)"):
        42 in result.accounts  # noqa: B015 (it raises)
    with pytest.raises(TypeError, match="rejects contain Reject tuples: int is none"):
        42 in result.rejects  # noqa: B015 (it raises)


def test_a_chunk_that_is_missing_is_an_error() -> None:
    with pytest.raises(IndexError, match="fewer accounts"):
        account_at(AccountParts([]), 0, 4)


def test_accounts_that_went_to_disk_are_a_sequence_too() -> None:
    rows = b"".join(b"deposit,%d,%d,1\n" % (client, client) for client in range(700_000))
    accounts = txfast.process(io.BytesIO(HEADER + rows), memory_limit="96MiB", threads=1).accounts
    assert [accounts[index].client for index in (0, 350_000, -1)] == [0, 350_000, 699_999]
    assert accounts.get(123_456) == (123_456, Decimal("1.0000"), Decimal(0), Decimal("1.0000"), False)
    assert [account.client for account in accounts[650_000::-200_000]] == [650_000, 450_000, 250_000, 50_000]


def test_accounts_of_a_slice_are_written(tmp_path: Path) -> None:
    accounts = txfast.process(SAMPLE).accounts
    lines = None
    for part in (accounts, accounts[:3]):
        part.write(tmp_path / "a.csv")
        part.write(tmp_path / "a.parquet")
        found = (tmp_path / "a.csv").read_bytes().splitlines()
        assert lines is None or found == lines[:4]
        lines = found
        assert parquet.read_table(tmp_path / "a.parquet") == part.to_arrow()


def test_polars_reads_a_table_and_not_its_tuples() -> None:
    accounts = txfast.process(SAMPLE).accounts
    assert pl.DataFrame(accounts[:5]).equals(accounts.to_polars().head(5))


# ---- Rejects -------------------------------------------------------------------------------------


@given(
    st.tuples(
        st.none() | st.integers(-30, 30),
        st.none() | st.integers(-30, 30),
        st.none() | st.integers(-9, 9).filter(bool),
    )
)
def test_rejects_are_a_sequence(bounds: tuple[Any, ...]) -> None:
    whole = txfast.process(SAMPLE, rejects=True).rejects.to_arrow().slice(0, 20)
    rejects = txfast.Rejects(whole.slice(0, 7).to_batches() + whole.slice(7).to_batches())
    rows = list(rejects)
    assert [rejects[index] for index in range(-20, 20)] == rows + rows
    part = rejects[slice(*bounds)]
    assert list(part) == rows[slice(*bounds)]
    assert part.to_arrow().schema == rejects.schema
    assert [part[index] for index in range(len(part))] == list(part)
    with pytest.raises(IndexError, match="index 20: there are 20 rejects"):
        rejects[20]


def rejects_of_a_run(path: Path, content: bytes) -> bytes:
    """The rejects file of a run, as the command writes it."""
    rejects = RejectsFile(str(path))
    try:
        rejects.open()
        replay = new_replay(None, rejects=rejects, threads=1)
        replay.read_source(replays.open_bytes("io.BytesIO", content))
        replay.collect()
        rejects.finish()
        rejects.publish()
    finally:
        rejects.discard()
    return path.read_bytes()


@given(strategies.hostile_files())
def test_rejects_are_written_as_the_command_writes_them(content: bytes) -> None:
    content = content.decode("latin-1").encode()  # of other bytes only the row is kept as it is
    try:
        rejects = txfast.process(io.BytesIO(content), rejects=True, logger=silent_logger()).rejects
    except TxfastError:
        return
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("csv", "jsonl"):
            expected = rejects_of_a_run(Path(folder, f"theirs.{suffix}"), content)
            rejects.write(Path(folder, f"ours.{suffix}"))
            assert Path(folder, f"ours.{suffix}").read_bytes() == expected
        rejects.write(Path(folder, "ours.pq"))
        theirs = Path(folder, "theirs.pq")
        rejects_of_a_run(theirs, content)
        assert parquet.read_table(Path(folder, "ours.pq")) == parquet.read_table(theirs)
        assert parquet.read_metadata(Path(folder, "ours.pq")).num_row_groups <= 1


def test_rejects_of_a_file_are_the_commands(folder: Folder) -> None:
    rejects = txfast.process(SAMPLE, rejects=True, logger=silent_logger()).rejects
    for name in ("r.csv", "r.csv.gz", "r.jsonl", "r.ndjson.zst"):
        folder.run(SAMPLE, "-q", "-o", "a.csv", "--rejects", f"command-{name}")
        rejects.write(folder.path / name)
        ours, theirs = (pa.input_stream(str(folder.path / each)).read() for each in (name, f"command-{name}"))
        assert ours == theirs
    assert len(rejects) > 200


def test_a_byte_that_is_not_utf_8_is_escaped_in_rejects_that_are_written(tmp_path: Path) -> None:
    rejects = txfast.process(
        io.BytesIO(HEADER + b"f\xffe,1,1,1\ndeposit,1,1,1\n"), rejects=True, logger=silent_logger()
    ).rejects
    rejects.write(tmp_path / "r.csv")
    [_, line] = (tmp_path / "r.csv").read_bytes().splitlines()
    assert line == b'io.BytesIO,2,malformed,bad_type,f\\xffe,1,1,1,"f\xffe,1,1,1"'


def test_parts_of_rejects_are_written_and_empty_ones_too(tmp_path: Path) -> None:
    rejects = txfast.process(SAMPLE, rejects=True, logger=silent_logger()).rejects
    for part in (rejects[5:9], rejects[9:5:-1], rejects[:0]):
        part.write(tmp_path / "r.csv")
        part.write(tmp_path / "r.parquet")
        lines = (tmp_path / "r.csv").read_bytes().splitlines()[1:]
        assert [int(line.split(b",")[1]) for line in lines] == [reject.line for reject in part]
        assert parquet.read_table(tmp_path / "r.parquet").to_pylist() == part.to_arrow().to_pylist()


def test_rejects_that_cannot_be_written_leave_what_was_there(tmp_path: Path) -> None:
    rejects = txfast.process(SAMPLE, rejects=True, logger=silent_logger()).rejects
    with pytest.raises(UsageError, match=r"rejects are written as CSV, JSON lines or Parquet"):
        rejects.write(tmp_path / "r.arrow")
    with pytest.raises(UsageError, match=r"a name without a suffix means no format"):
        rejects.write(tmp_path / "r")
    with pytest.raises(SourceError, match=r"r\.csv: cannot be written"):
        rejects.write(tmp_path / "missing" / "r.csv")
    rejects.write(tmp_path / "r", format="jsonl")
    assert (tmp_path / "r").read_bytes().startswith(b'{"file":"')
    assert os.listdir(tmp_path) == ["r"]


# ---- Reading -------------------------------------------------------------------------------------


def test_what_is_read_is_a_record_batch_reader(folder: Folder) -> None:
    reader = txfast.read(folder.path / "in.csv", logger=silent_logger())
    assert isinstance(reader, pa.RecordBatchReader)
    assert reader.schema.names == ["type", "client", "tx", "amount"]
    assert reader.read_all().num_rows == 2
    assert pl.DataFrame(txfast.read(folder.path / "in.csv", logger=silent_logger())).height == 2
    assert txfast.read(io.BytesIO(HEADER)).read_all().schema == reader.schema


def test_inputs_are_looked_at_before_a_batch_is_asked_for(folder: Folder) -> None:
    with pytest.raises(SourceError, match="No such file"):
        txfast.read(folder.path / "missing.csv")
    reader = txfast.read(folder.write("bad.csv", b"a,b\n"))
    with pytest.raises(InputError, match="not a transactions file"):
        reader.read_all()
