"""An input whose rows are all malformed fails the run: it is not what its reader takes it for."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import txfast
from tests.support import reference
from tests.support.command import ACCOUNTS, FILE, Folder
from tests.support.engines import run_cluster, run_ranges
from tests.support.reference import HEADER
from tests.support.reference_rows import NotTransactions
from tests.support.replays import READERS, THREADS, new_replay, open_bytes
from txfast.errors import InputError
from txfast.log.journal import Journal

CREDITS = HEADER + b"CREDIT,1,1,10.00\nDEBIT,2,2,5.00\ndeposit,1,x,2.00\n"
MESSAGE = (
    "bad.csv: all 3 rows are malformed: bad_type in 2 rows, first in line 2 (deposit? correct it, or add "
    "--types CREDIT=deposit); no accounts written"
)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.write("bad.csv", CREDITS)
    return folder


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("threads", THREADS)
def test_the_run_fails_with_the_reason_of_most_rows(folder: Folder, reader: str, threads: int) -> None:
    run = folder.run("in.csv", "bad.csv", "-q", "-o", "out.csv", "--reader", reader, f"--threads={threads}")
    run.assert_failed(f"txfast: {MESSAGE}")
    assert folder.names() == ["bad.csv", "in.csv"]


def test_the_reason_of_most_rows_is_named_with_their_number(folder: Folder) -> None:
    folder.write("bad.csv", HEADER + b"fee,1,1,1\n" + b"deposit,1,1,$5\n" * 1500)
    folder.run("-q", "bad.csv").assert_failed(
        "bad.csv: all 1,501 rows are malformed: bad_amount in 1,500 rows, first in line 3 (a currency sign?"
    )
    folder.write("bad.csv", HEADER + b"\nfee,1,1,1\n")
    folder.run("-q", "bad.csv").assert_failed(
        "bad.csv: the only row is malformed: bad_type, in line 3 (a type is one of"
    )


WAY_TO_ALL = "no accounts written; to see every row, add --log-level error"


def test_the_way_to_rows_that_were_not_logged_is_named(folder: Folder) -> None:
    assert WAY_TO_ALL not in folder.run("bad.csv").errors
    assert WAY_TO_ALL in folder.run("bad.csv", "-v").error_lines[-1]
    folder.write("bad.csv", HEADER + b"fee,1,1,1\n" * 101)
    assert WAY_TO_ALL in folder.run("bad.csv").error_lines[-1]
    for arguments in (("-q",), ("--log-level", "error")):
        assert WAY_TO_ALL not in folder.run("bad.csv", *arguments).errors


rows = st.sampled_from(
    [b"fee,1,1,1", b"deposit,1,x,1", b'"x', b"deposit,1,1", b"dispute,1,1,", b"", b" ", b'fee,"1\n"']
)


@given(st.lists(st.lists(rows, max_size=4), min_size=1, max_size=3), st.sampled_from(THREADS), st.integers(1, 40))
def test_a_run_fails_where_the_rules_say_so(files: list[list[bytes]], threads: int, block_bytes: int) -> None:
    inputs = [(f"{number}.csv", HEADER + b"\n".join(lines)) for number, lines in enumerate(files)]
    replay = new_replay(Journal(), "native", block_bytes, threads, refuses_malformed=True)
    expected = found = ""
    try:
        reference.replay(*inputs, takes_malformed=False)
    except NotTransactions as refusal:
        expected = str(refusal).partition(" ")[0]
    try:
        for name, content in inputs:
            replay.read_source(open_bytes(name, content))
    except InputError as refusal:
        found = str(refusal).partition(" ")[0]
    assert found == expected


def test_the_way_to_a_profile_is_named_where_one_may_help(folder: Folder) -> None:
    hint = "; txfast --dialect-of FILE prints a profile for it"
    assert folder.run("-q", "bad.csv").error_lines[-1].endswith(f"; no accounts written{hint}")
    folder.write("amounts.csv", HEADER + b'deposit,1,1,"1,5"\n')
    assert hint in folder.run("-q", "amounts.csv").errors
    assert hint not in folder.run("-q", "amounts.csv", "--dialect", "decimal=/").errors
    folder.write("ids.csv", HEADER + b"deposit,x,1,5\n")
    folder.write("bad.jsonl", b'{"type":"SALE","client":1,"tx":1,"amount":"1"}\n')
    for name in ("ids.csv", "bad.jsonl"):
        run = folder.run("-q", name)
        run.assert_failed("the only row is malformed")
        assert hint not in run.errors


def test_one_good_row_or_no_row_is_no_failure(folder: Folder) -> None:
    for content in (CREDITS + b"withdrawal,9,9,9\n", HEADER, HEADER + b"\n \n"):
        folder.write("bad.csv", content)
        assert folder.run("-q", "bad.csv").exit_code == 0


def test_a_limit_of_malformed_rows_comes_first(folder: Folder) -> None:
    assert folder.run("-q", "--strict", "bad.csv").exit_code == 3
    folder.run("-q", "--max-malformed", "3", "bad.csv").assert_failed(MESSAGE)


def test_it_fails_under_a_memory_limit_too(folder: Folder) -> None:
    folder.write("many.csv", HEADER + b"".join(b"deposit,%d,1,1\n" % client for client in range(1000)))
    run = folder.run("-q", "--memory-limit", "96MiB", "many.csv", "bad.csv", "--rejects", "r.csv")
    run.assert_failed(MESSAGE)
    assert "r.csv" not in folder.names()


def test_a_state_is_not_changed(folder: Folder) -> None:
    folder.run("-q", "--state", "st", "in.csv")
    for _ in range(2):
        folder.run("-q", "--state", "st", "bad.csv").assert_failed(MESSAGE)
        assert folder.run("-q", "--state", "st").output == ACCOUNTS


def test_a_file_that_grows_by_malformed_rows_alone_is_no_failure(folder: Folder) -> None:
    """The file as a whole has a good row, which an earlier run has read."""
    folder.run("-q", "--state", "st", "in.csv")
    folder.write("in.csv", FILE + b"fee,1,4,1\n")
    run = folder.run("--state", "st", "in.csv")
    assert (run.exit_code, run.output) == (0, ACCOUNTS)
    assert run.outcome == "rows: 0 applied, 0 rejected, 1 malformed"


def test_a_file_of_which_only_the_header_was_read_before_fails(folder: Folder) -> None:
    folder.write("bad.csv", HEADER)
    folder.run("-q", "--state", "st", "in.csv", "bad.csv")
    folder.write("bad.csv", CREDITS)
    folder.run("-q", "--state", "st", "bad.csv").assert_failed(MESSAGE)


@pytest.mark.parametrize("seconds", ["0", "100"])
def test_it_fails_with_checkpoints_too(folder: Folder, seconds: str) -> None:
    folder.run("-q", "--state", "st", "--checkpoint", seconds, "in.csv", "bad.csv").assert_failed(MESSAGE)


def test_a_table_fails_as_well(folder: Folder) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    table = pa.table({"type": ["fee", "fee"], "client": [1, 2], "tx": [1, 2], "amount": ["1", "2"]})
    parquet.write_table(table, folder.path / "bad.parquet")
    folder.run("-q", "bad.parquet").assert_failed("bad.parquet: all 2 rows are malformed: bad_type, first in line 1")


def test_the_python_interface_fails_as_the_command(folder: Folder) -> None:
    with pytest.raises(InputError, match="all 3 rows are malformed: bad_type in 2 rows, first in line 2"):
        txfast.process(folder.path / "in.csv", folder.path / "bad.csv")
    with pytest.raises(InputError, match="all 3 rows are malformed: bad_type in 2 rows, first in line 2"):
        list(txfast.read(io.BytesIO(CREDITS)))
    assert list(txfast.read(io.BytesIO(HEADER))) == []


def test_a_ledger_takes_malformed_rows_alone() -> None:
    """A program feeds it pieces, each of which may be short."""
    ledger = txfast.Ledger()
    ledger.apply(io.BytesIO(CREDITS))
    assert len(ledger) == 0


def test_a_cluster_fails_as_the_command(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its driver sees numbers alone, and no row."""
    monkeypatch.chdir(folder.path)
    message = "bad.csv: all 3 rows are malformed: bad_type in 2 rows [(]a type is one of deposit"
    with pytest.raises(InputError, match=message):
        run_ranges(["in.csv", "bad.csv"], refuses_malformed=True)
    with pytest.raises(InputError, match=message):
        run_cluster("in.csv", "bad.csv", refuses_malformed=True)
    first = run_cluster("in.csv", refuses_malformed=True)
    folder.write("in.csv", FILE + b"fee,1,4,1\n")
    assert run_cluster("in.csv", refuses_malformed=True).accounts == first.accounts


@pytest.mark.parametrize("encode", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_cluster_fails_too_where_only_the_header_was_read_before(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, encode: Callable[[bytes], bytes]
) -> None:
    monkeypatch.chdir(folder.path)
    folder.write("bad.csv", encode(HEADER))
    run_cluster("in.csv", "bad.csv", refuses_malformed=True)
    folder.write("bad.csv", encode(CREDITS))
    with pytest.raises(InputError, match=r"bad[.]csv: all 3 rows are malformed: bad_type"):
        run_cluster("bad.csv", refuses_malformed=True)
    folder.write("bad.csv", encode(HEADER + b"deposit,9,9,9\n"))
    run_cluster("bad.csv", refuses_malformed=True)
    folder.write("bad.csv", encode(HEADER + b"deposit,9,9,9\n" + b"fee,9,9,9\n"))
    assert run_cluster("bad.csv", refuses_malformed=True).stats["rows"] == 1
