"""--changed: a run puts out the accounts that its rows have changed or opened, and no other."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import strategies
from tests.support.checkpoint_driver import DRIVER, run_to_the_end
from tests.support.command import Folder
from tests.support.days import (
    Killed,
    ReferenceDays,
    Way,
    any_ways,
    compact,
    content_of_day,
    killed_at,
    rows_of_days,
    small_tiers,
)
from tests.support.dialect_replays import blocks_of
from tests.support.profiles import examples
from tests.support.reference import ACCOUNTS_HEADER, HEADER, Account, format_amount
from tests.support.rows import Row, make_file
from tests.support.small_memory import small_runs
from tests.support.states import STATE, accounts
from txfast.command import main as cli
from txfast.command.arguments import parse_arguments
from txfast.log.journal import Journal

FIRST = HEADER + b"deposit,1,1,5\ndeposit,2,2,7\ndeposit,3,3,9\n"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with a state of three accounts."""
    folder = Folder(tmp_path)
    folder.write("first.csv", FIRST)
    accounts(folder, "first.csv")
    return folder


def changed_by(folder: Folder, rows: bytes, *arguments: str) -> list[bytes]:
    """What a run over these rows puts out, but for the header."""
    number = len(folder.names())
    folder.write(f"{number}.csv", HEADER + rows)
    head, *lines = accounts(folder, f"{number}.csv", "--changed", *arguments).splitlines(keepends=True)
    assert head == ACCOUNTS_HEADER
    return lines


def test_accounts_that_rows_change_or_open_are_put_out_alone(folder: Folder) -> None:
    assert changed_by(folder, b"deposit,2,4,1\ndeposit,9,5,2\n") == [
        b"2,8.0000,0.0000,8.0000,false\n", b"9,2.0000,0.0000,2.0000,false\n",
    ]  # fmt: skip
    assert changed_by(folder, b"dispute,1,1\n") == [b"1,0.0000,5.0000,5.0000,false\n"]
    assert changed_by(folder, b"chargeback,1,1\n") == [b"1,0.0000,0.0000,0.0000,true\n"]
    # A row that opens an account changes it, whatever becomes of the row.
    assert changed_by(folder, b"withdrawal,8,1,5\n") == [b"8,0.0000,0.0000,0.0000,false\n"]


def test_accounts_that_rows_do_not_change_are_not_put_out(folder: Folder) -> None:
    assert changed_by(folder, b"deposit,2,2,7\nwithdrawal,3,9,100\ndispute,1,77\nresolve,1,1\nfee,1,1,1\n") == []
    assert changed_by(folder, b"deposit,3,10,4\nwithdrawal,3,2,100\n") == [b"3,13.0000,0.0000,13.0000,false\n"]
    # All accounts are there as ever.
    assert folder.run(*STATE).output.count(b"\n") == 4


def test_the_first_run_of_a_state_has_changed_all_accounts(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.write("first.csv", FIRST)
    assert accounts(folder, "first.csv", "--changed").count(b"\n") == 4
    assert accounts(folder, "first.csv", "--changed") == ACCOUNTS_HEADER


def test_an_opening_balance_opens_an_account(folder: Folder) -> None:
    folder.write("open.csv", b"client,available\n7,3\n")
    assert changed_by(folder, b"deposit,1,50,1\n", "--opening", "open.csv") == [
        b"1,6.0000,0.0000,6.0000,false\n", b"7,3.0000,0.0000,3.0000,false\n",
    ]  # fmt: skip


def test_the_figures_are_those_of_all_accounts(folder: Folder) -> None:
    assert len(changed_by(folder, b"deposit,1,50,1\n", "--stats", "s.json")) == 1
    stats = json.loads(folder.read("s.json"))
    assert (stats["accounts"], stats["total"], stats["conserved"]) == (3, "22.0000", True)


def test_they_go_where_accounts_go(folder: Folder) -> None:
    folder.write("a.csv", HEADER + b"deposit,1,50,1\ndeposit,4,51,2\n")
    assert accounts(folder, "a.csv", "--changed", "-o", "out.arrow", "--threads", "3") == b""
    table = pa.ipc.open_file(folder.path / "out.arrow").read_all()
    assert table.column("client").to_pylist() == [1, 4]
    assert [str(units) for units in table.column("available").to_pylist()] == ["6.0000", "2.0000"]


def test_currencies_are_apart(folder: Folder) -> None:
    words = ("--state", "shop", "-q", "--ids", "text", "--columns", "currency=ccy")
    folder.write("a.csv", b"type,client,tx,amount,ccy\ndeposit,ann,1,5,EUR\ndeposit,ann,1,6,USD\n")
    folder.write("b.csv", b"type,client,tx,amount,ccy\ndeposit,ann,2,1,USD\ndeposit,ann,1,1,EUR\n")
    assert folder.run("a.csv", *words).exit_code == 0
    assert folder.run("b.csv", *words, "--changed").output == (
        b"client,currency,available,held,total,locked\nann,USD,7.0000,0.0000,7.0000,false\n"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("in.csv", "--changed"), "--changed needs --state DIR"),
        ((*STATE, "--changed"), "--changed needs a FILE"),
        ((*STATE, "in.csv", "--changed", "--expect", "first.csv"), "--changed and --expect exclude each other"),
        ((*STATE, "--verify", "--changed"), "--changed needs a FILE"),
    ],
)
def test_where_it_has_no_meaning_it_is_refused(folder: Folder, arguments: tuple[str, ...], words: str) -> None:
    folder.run(*arguments).assert_misused(words)


# ---- Checkpoints -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("threads", "takes"),
    [
        *(("1", takes) for takes in ((), (2,), (4, 3), (2, 2, 2, 2))),
        *(pytest.param("4", takes, marks=pytest.mark.untraced) for takes in ((), (2,))),
    ],
)
def test_a_run_that_goes_on_puts_out_what_all_its_parts_have_changed(
    folder: Folder, takes: tuple[int, ...], threads: str
) -> None:
    rows = [Row("deposit", 10 + tx % 90, 100 + tx, 10_000) for tx in range(3000)] + [Row("dispute", 3, 3)]
    folder.write("more.csv", make_file(rows))
    command = ("more.csv", *STATE, "-q", "--changed", "-o", "out.csv", "--checkpoint", "0", "--threads", threads)
    if takes:
        run_to_the_end(folder, *command, takes=takes)
    else:
        assert folder.run(*command, command=(sys.executable, "-c", DRIVER)).exit_code == 0
    _, *lines = folder.read("out.csv").splitlines()
    assert [line.split(b",")[0] for line in lines] == [b"3", *(b"%d" % client for client in range(10, 100))]
    assert lines[0] == b"3,0.0000,9.0000,9.0000,false"


def test_what_a_checkpoint_has_changed_counts_though_it_is_changed_back(folder: Folder) -> None:
    """The rows have changed it; the run does not look whether it is as it was."""
    rows = [Row("deposit", 20 + tx, tx, 1) for tx in range(900)]
    rows = [Row("dispute", 1, 1), *rows, Row("resolve", 1, 1)]
    folder.write("more.csv", make_file(rows))
    command = ("more.csv", *STATE, "-q", "--changed", "-o", "out.csv", "--checkpoint", "0", "--threads", "1")
    run_to_the_end(folder, *command, takes=(3,))
    assert folder.read("out.csv").splitlines()[1] == b"1,5.0000,0.0000,5.0000,false"


# ---- Any days --------------------------------------------------------------------------------------


def run_changed(folder: Path, name: str, way: Way, policy: str) -> bytes:
    """Run a day of `way` until it ends; what it puts out with --changed."""
    kills = way.kills if way.reader == "native" else ()
    if way.compacts and (folder / "state").is_dir():
        compact(folder / "state")
    for attempt, kill in enumerate([*kills, 0]):
        threads = way.threads[attempt % len(way.threads)]
        arguments = [
            str(folder / name), "--state", str(folder / "state"), "--changed", "-o", str(folder / "out.csv"), "-q",
            "--threads", str(threads), "--reader", way.reader, *(["--policy", policy] if policy else []),
            *(["--checkpoint", "0"] if kills else []),
        ]  # fmt: skip
        with (
            small_runs(way.limit, way.parts), blocks_of(way.block_bytes, threads), small_tiers(way.fan_out),
            killed_at(kill),
        ):  # fmt: skip
            try:
                cli.replay_files(parse_arguments(arguments), Journal(quiet=True))
            except Killed:
                continue
            return (folder / "out.csv").read_bytes()
    raise AssertionError("the last attempt ends")


def touched(rows: Sequence[Row]) -> set[int]:
    """The clients of some rows."""
    return {row.client for row in rows}


@pytest.mark.untraced
@examples(0.6)
@given(rows_of_days(), st.lists(any_ways, min_size=5, max_size=5), st.just("") | strategies.policies())
def test_what_any_day_puts_out_turns_the_accounts_before_it_into_those_after_it(
    days: list[list[Row]], ways: list[Way], policy: str
) -> None:
    """All accounts that differ are there, and none that no row names."""
    expected = ReferenceDays(policy)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for number, (rows, way) in enumerate(zip(days, ways, strict=False)):
            name, content = f"{number}.csv", content_of_day(number, rows)
            (folder / name).write_bytes(content)
            expected.read(name, content)
            found = run_changed(folder, name, way, policy).splitlines(keepends=True)
            by_client = {int(line.split(b",")[0]): line for line in found[1:]}
            assert list(by_client) == sorted(by_client)
            assert set(expected.changed) <= set(by_client) <= touched(rows)
            accounts_now = expected.replay.accounts
            assert [line.decode() for line in by_client.values()] == [
                line_of(client, accounts_now[client]) for client in by_client
            ]


def line_of(client: int, account: Account) -> str:
    """An account as it is printed."""
    amounts = (format_amount(units) for units in (account.available, account.held, account.total))
    return ",".join([str(client), *amounts, "true\n" if account.locked else "false\n"])
