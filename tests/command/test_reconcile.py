"""--opening, --expect and --differences: what a run puts out, what stays as it was, and the exit code."""

from __future__ import annotations

import gzip
import json
import random
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.support.arguments import parse, usage_error
from tests.support.checkpoint_driver import DRIVER, run_to_the_end
from tests.support.command import VOLATILE_STATS, Folder, Run
from tests.support.forged_states import forge
from tests.support.legacy_states import SavedForm, put_in_form
from tests.support.reference import ACCOUNTS_HEADER, HEADER

OPENING = b'client,name,opening\n1,a,10\n7,"b,c",-2.5\n'
ACCOUNTS = ACCOUNTS_HEADER + b"1,15.0000,0.0000,15.0000,false\n7,-2.5000,0.0000,-2.5000,false\n"
WRONG = b"client,total,locked\n7,-2.5,true\n1,16,false\n9,0,false\n"
DIFFERENCES = b"client,column,expected,found\n1,total,16.0000,15.0000\n7,locked,true,false\n9,account,present,missing\n"
DIFFERENCE_LINES = [
    "difference: client 1: total: expected 16.0000, found 15.0000",
    "difference: client 7: locked: expected true, found false",
    "difference: client 9: account: expected present, found missing",
]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.write("in.csv", HEADER + b"deposit,1,1,5\n")
    folder.write("open.csv", OPENING)
    folder.write("right.csv", ACCOUNTS)
    folder.write("wrong.csv", WRONG)
    return folder


def run(folder: Folder, *arguments: str) -> Run:
    return folder.run("in.csv", "--opening", "open.csv", *arguments)


# ---- Opening balances ----------------------------------------------------------------------------


def test_accounts_begin_with_their_opening_balances(folder: Folder) -> None:
    ended = run(folder, "--stats", "s.json")
    assert (ended.exit_code, ended.output, ended.errors) == (0, ACCOUNTS, "")
    stats = json.loads(folder.read("s.json"))
    assert [stats[name] for name in ("opening", "total", "conserved", "accounts")] == ["7.5000", "12.5000", True, 2]


@pytest.mark.parametrize("kind", ["gz", "utf16", "parquet", "arrow", "stdin"])
def test_opening_balances_have_any_format_of_an_input(folder: Folder, kind: str) -> None:
    table = pa.table({"client": pa.array([7, 1], pa.uint64()), "opening": ["-2.5", "10"]})
    if kind == "gz":
        folder.write("open.csv", gzip.compress(OPENING))
    elif kind == "utf16":
        folder.write("open.csv", OPENING.decode().encode("utf-16"))
    elif kind == "parquet":
        parquet.write_table(table, folder.path / "open.csv")
    elif kind == "arrow":
        with pa.OSFile(str(folder.path / "open.csv"), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
    else:
        ended = folder.run("in.csv", "--opening", "-", stdin=OPENING)
        assert (ended.exit_code, ended.output, ended.errors) == (0, ACCOUNTS, "")
        return
    ended = run(folder)
    assert (ended.exit_code, ended.output, ended.errors) == (0, ACCOUNTS, "")


def test_a_wrong_row_fails_the_run_and_nothing_is_replaced(folder: Folder) -> None:
    folder.write("open.csv", b"client,available\n1,5\n2,1e5\n")
    folder.write("out.csv", b"before")
    ended = run(folder, "-o", "out.csv", "--state", "state")
    ended.assert_failed("open.csv:3: not opening balances: bad_amount", "'2,1e5'", "correct the row")
    assert folder.read("out.csv") == b"before"
    assert not list(folder.path.glob("state/snapshot-*"))


def test_a_missing_file_fails_the_run_before_it_reads_a_row(folder: Folder) -> None:
    for option in ("--opening", "--expect"):
        folder.run("in.csv", option, "none.csv", "--state", "state").assert_failed("none.csv: cannot be read")


def test_a_state_keeps_opening_balances_and_refuses_them_the_second_time(folder: Folder) -> None:
    assert run(folder, "-q", "--state", "state").output == ACCOUNTS
    again = run(folder, "--state", "state")
    again.assert_failed("open.csv:2: client 1 has an account in state already", "the first run alone")
    verified = folder.run("--verify", "--state", "state")
    assert verified.exit_code == 0
    assert "format 6" in verified.output.decode()
    folder.write("in.csv", HEADER + b"deposit,1,1,5\nwithdrawal,1,2,15\n")
    folder.write("open.csv", b"client,available\n8,1\n")
    assert b"\n1,0.0000,0.0000,0.0000,false\n" in run(folder, "--state", "state").output
    assert b"\n8,1.0000," in folder.run("--state", "state").output


@pytest.mark.parametrize(("form", "name"), [("segments", "accounts-1.arrow"), ("legacy", "openings.arrow")])
def test_a_changed_opening_balance_in_a_state_is_found(folder: Folder, form: SavedForm, name: str) -> None:
    run(folder, "-q", "--state", "state")
    put_in_form(folder.path / "state" / "snapshot-1", form)
    path = folder.path / "state" / "snapshot-1" / name
    content = bytearray(path.read_bytes())
    content[-300] ^= 1
    path.write_bytes(content)
    folder.run("--verify", "--state", "state").assert_failed(name, "is damaged")


def test_an_opening_balance_that_does_not_prove_its_account_is_found(folder: Folder) -> None:
    """The hashes are right."""
    run(folder, "-q", "--state", "state")
    forge(folder.path / "state" / "snapshot-1", "accounts", lambda rows: [{**row, "opening": 1} for row in rows])
    folder.run("--verify", "--state", "state").assert_failed("is not what its transactions make it")


def test_an_opening_alone_is_saved(folder: Folder) -> None:
    """A run without a row that is new changes the state all the same."""
    folder.write("in.csv", HEADER)
    assert run(folder, "-q", "--state", "state").exit_code == 0
    assert folder.run("--state", "state").output.count(b"\n") == 3


@pytest.mark.untraced
@pytest.mark.parametrize("threads", ["1", "4"])
def test_a_run_that_resumes_from_a_checkpoint_does_not_open_accounts_again(folder: Folder, threads: str) -> None:
    chance = random.Random(3)
    rows = [f"deposit,{chance.randrange(40)},{row},{chance.randrange(90)}.5\n" for row in range(2000)]
    folder.write("in.csv", HEADER + "".join(rows).encode())
    opening = [f"{client},{client}.25\n" for client in range(30, 50)]
    folder.write("open.csv", ("client,available\n" + "".join(opening)).encode())
    arguments = ("in.csv", "--opening", "open.csv", "-o", "out.csv", "--stats", "s.json", "--threads", threads, "-q")
    assert folder.run(*arguments).exit_code == 0
    right = [folder.read("out.csv"), figures(folder)]
    run_to_the_end(folder, *arguments, "--state", "state", "--checkpoint", "0", takes=(1, 2, 2))
    assert [folder.read("out.csv"), figures(folder)] == right
    assert folder.run("--state", "state").output == right[0]


@pytest.mark.untraced
def test_a_checkpoint_of_a_run_with_other_opening_balances_is_not_resumed(folder: Folder) -> None:
    folder.write("in.csv", HEADER + b"".join(b"deposit,1,%d,1\n" % tx for tx in range(2000)))
    state = ("--state", "state", "--checkpoint", "0")
    command = (sys.executable, "-c", DRIVER)
    assert folder.run("in.csv", *state, "-q", command=command, variables={"TAKES": "2"}).exit_code == 9
    ended = run(folder, *state)
    assert ended.exit_code == 0
    assert "it is of another command, whose opening differs" in ended.errors
    assert b"\n1,2010.0000," in ended.output


def figures(folder: Folder) -> dict[str, object]:
    stats = json.loads(folder.read("s.json"))
    return {name: content for name, content in stats.items() if name not in VOLATILE_STATS}


# ---- Expected accounts ---------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [(), ("--memory-limit", "96MiB"), ("--threads", "3")])
def test_accounts_as_expected_are_put_out(folder: Folder, limit: tuple[str, ...]) -> None:
    ended = run(folder, "--expect", "right.csv", "--differences", "d.csv", *limit)
    assert (ended.exit_code, ended.output, ended.errors) == (0, ACCOUNTS, "")
    assert folder.read("d.csv") == b"client,column,expected,found\n"


def test_other_accounts_end_the_run_with_exit_code_4_after_what_explains_them(folder: Folder) -> None:
    folder.write("in.csv", HEADER + b"deposit,1,1,5\nfee,1,1,1\n")
    folder.write("out.csv", b"before")
    ended = run(
        folder, "--expect", "wrong.csv", "--differences", "d.csv", "--rejects", "r.csv", "--stats", "s.json",
        "-o", "out.csv", "--state", "state", "warn",
    )  # fmt: skip
    assert (ended.exit_code, ended.output) == (4, b"")
    assert ended.error_lines[-4:] == [
        *DIFFERENCE_LINES,
        "txfast: the accounts are not those of wrong.csv: 3 differences: see d.csv; no accounts written, and no state "
        "changed",
    ]
    assert folder.read("d.csv") == DIFFERENCES
    assert b"bad_type" in folder.read("r.csv")
    assert json.loads(folder.read("s.json"))["total"] == "12.5000"
    assert folder.read("out.csv") == b"before"
    assert [path.name for path in (folder.path / "state").iterdir()] == ["lock"]


@pytest.mark.parametrize("name", ["d.csv.gz", "d.jsonl", "d.parquet", "-"])
def test_differences_are_written_as_their_name_says(folder: Folder, name: str) -> None:
    if name == "-":
        ended = run(folder, "--expect", "wrong.csv", "--differences", "/dev/stdout", "-o", "out.csv", "-q")
        assert ended.exit_code == 2, "a device without a suffix has no format"
        return
    ended = run(folder, "--expect", "wrong.csv", "--differences", name, "-q")
    assert (ended.exit_code, len(ended.error_lines)) == (4, 1)
    rows = [
        {"client": 1, "column": "total", "expected": "16.0000", "found": "15.0000"},
        {"client": 7, "column": "locked", "expected": "true", "found": "false"},
        {"client": 9, "column": "account", "expected": "present", "found": "missing"},
    ]
    if name.endswith("gz"):
        assert gzip.decompress(folder.read(name)) == DIFFERENCES
    elif name.endswith("jsonl"):
        assert [json.loads(line) for line in folder.read(name).splitlines()] == rows
    else:
        assert parquet.read_table(folder.path / name).to_pylist() == rows


def test_the_first_differences_are_named_and_all_are_counted(folder: Folder) -> None:
    folder.write("wrong.csv", b"client,total\n" + b"".join(b"%d,0\n" % client for client in range(100, 1300)))
    ended = run(folder, "--expect", "wrong.csv")
    assert ended.exit_code == 4
    assert len(ended.error_lines) == 11
    assert "1,202 differences: to see all, add --differences FILE.csv" in ended.error_lines[-1]


def test_differences_are_objects_in_a_log_of_json(folder: Folder) -> None:
    ended = run(folder, "--expect", "wrong.csv", "--log-format", "json")
    assert json.loads(ended.error_lines[0])["difference"] == {
        "client": 1, "column": "total", "expected": "16.0000", "found": "15.0000",
    }  # fmt: skip


def test_accounts_of_a_state_are_compared_without_reading_an_input(folder: Folder) -> None:
    run(folder, "-q", "--state", "state")
    assert folder.run("--state", "state", "--expect", "right.csv").exit_code == 0
    assert folder.run("--state", "state", "--expect", "wrong.csv", "-q").exit_code == 4
    assert folder.run("--state", "state").output == ACCOUNTS


def test_a_run_that_stops_at_malformed_rows_compares_nothing(folder: Folder) -> None:
    folder.write("in.csv", HEADER + b"fee,1,1,1\ndeposit,1,1,5\n")
    folder.write("d.csv", b"before")
    ended = run(folder, "--expect", "wrong.csv", "--differences", "d.csv", "--strict")
    assert ended.exit_code == 3
    assert folder.read("d.csv") == b"before"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"client,total\n1,1\n2,2\n1,1\n", "wrong.csv:4: client 1 is there twice"),
        (b"client,total\n1,x\n", "wrong.csv:2: not expected accounts: bad_amount"),
        (b"client\n1\n", "wrong.csv: not expected accounts: it has no column with an amount"),
        (b"PK\x03\x04", "wrong.csv: "),
    ],
)
def test_a_wrong_file_of_expected_accounts_fails_the_run(folder: Folder, content: bytes, words: str) -> None:
    folder.write("wrong.csv", content)
    folder.write("d.csv", b"before")
    run(folder, "--expect", "wrong.csv", "--differences", "d.csv").assert_failed(words)
    assert folder.read("d.csv") == b"before"


def test_expected_accounts_that_a_limit_has_no_room_for_are_refused(folder: Folder) -> None:
    folder.write("wrong.csv", b"client,total\n" + b"".join(b"%d,0\n" % client for client in range(2_000_000)))
    ended = run(folder, "--expect", "wrong.csv", "--memory-limit", "96MiB")
    ended.assert_failed("wrong.csv: expected accounts are kept in memory", "raise the limit")


# ---- Arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["in.csv", "--differences", "d.csv"], "--differences d.csv needs --expect FILE"),
        (["in.csv", "--expect", "e.csv", "--differences", "d.xlsx"], ".xlsx means Excel, and differences are written"),
        (["-", "--opening", "-"], "standard input can be read only once"),
        (["in.csv", "--opening", "-", "--expect", "-"], "standard input can be read only once"),
        (["--state", "s", "--verify", "--expect", "e.csv"], "--verify compares nothing: leave --expect out"),
        (["in.csv", "--opening", ""], "the name of the file is empty"),
    ],
)  # fmt: skip
def test_arguments_that_do_not_go_together_are_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert words in usage_error(capsys, *arguments)


def test_opening_balances_need_transactions(folder: Folder) -> None:
    folder.run("--state", "s", "--opening", "o.csv").assert_misused("--opening o.csv needs a FILE of transactions")


@pytest.mark.parametrize("option", ["--opening", "--expect"])
def test_no_output_may_overwrite_a_file_of_balances(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str
) -> None:
    path = str(tmp_path / "b.csv")
    Path(path).write_bytes(OPENING)
    assert f"would overwrite the input {path}" in usage_error(capsys, "in.csv", option, path, "-o", path)


def test_parquet_differences_need_pyarrow() -> None:
    assert parse("in.csv", "--expect", "e.csv", "--differences", "d.parquet").needs_arrow == "Parquet"
    assert parse("in.csv", "--expect", "e.csv", "--differences", "d.csv.zst").needs_arrow
    assert parse("in.csv", "--opening", "s3://bucket/o.csv").needs_arrow == "a remote input"
    assert parse("in.csv", "--expect", "e.csv", "--differences", "d.csv").needs_arrow == ""
