"""--account: the accounts of some clients in a state, whatever else it has."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from tests.support.command import FILE, Folder, shell
from tests.support.forged_states import forge
from tests.support.reference import ACCOUNTS_HEADER, HEADER, Replay
from tests.support.states import STATE, accounts, content_of, replace

ROWS = HEADER + (
    b"deposit,1,1,5\ndeposit,2,2,7\ndispute,2,2\ndeposit,18446744073709551615,1,1\ndeposit,0,1,2\nrefund,1,1,1\n"
)
UNKNOWN = "has no account of client"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with a state of four accounts."""
    folder = Folder(tmp_path)
    folder.write("in.csv", ROWS)
    accounts(folder, "in.csv")
    return folder


def lines_of(folder: Folder, *clients: str) -> bytes:
    """What it prints for these clients."""
    arguments = [word for client in clients for word in ("--account", client)]
    ended = folder.run(*STATE, *arguments)
    assert (ended.exit_code, ended.errors) == (0, "")
    head, _, lines = ended.output.partition(b"\n")
    assert head + b"\n" == ACCOUNTS_HEADER
    return lines


def test_one_client_is_printed_alone(folder: Folder) -> None:
    assert lines_of(folder, "1") == b"1,4.0000,0.0000,4.0000,false\n"
    assert lines_of(folder, "2") == b"2,0.0000,7.0000,7.0000,false\n"
    assert lines_of(folder, "0") == b"0,2.0000,0.0000,2.0000,false\n"
    assert lines_of(folder, "18446744073709551615") == b"18446744073709551615,1.0000,0.0000,1.0000,false\n"
    assert lines_of(folder, "+1") == lines_of(folder, " 1") == lines_of(folder, "1")


def test_several_clients_are_printed_in_order_each_once(folder: Folder) -> None:
    expected = b"".join(lines_of(folder, client) for client in ("0", "1", "2"))
    assert lines_of(folder, "2", "0", "1") == expected
    assert lines_of(folder, "2", "2", "0", "1", "2", "+2") == expected


def test_it_prints_what_all_days_have_made_of_an_account(folder: Folder) -> None:
    chance = random.Random(3)
    replay = Replay()
    replay.read("in.csv", ROWS)
    kinds = ["deposit", "deposit", "withdrawal", "dispute", "resolve", "chargeback"]
    for day in range(9):
        rows = [
            f"{chance.choice(kinds)},{chance.randrange(30)},{chance.randrange(60)},{chance.randrange(9)}"
            for _ in range(40)
        ]
        content = HEADER + "\n".join(rows).encode() + b"\n"
        replay.read(f"{day}.csv", content)
        folder.write(f"{day}.csv", content)
        accounts(folder, f"{day}.csv")
    by_client = {line.split(b",")[0]: line + b"\n" for line in replay.accounts_csv().splitlines()[1:]}
    assert len(by_client) > 25
    for client in [b"2", b"7", b"29"]:
        assert lines_of(folder, client.decode()) == by_client[client]
    assert lines_of(folder, *(client.decode() for client in by_client)) == b"".join(by_client.values())


def test_a_client_without_an_account_is_an_error_and_nothing_is_printed(folder: Folder) -> None:
    for clients in (["3"], ["1", "3"], ["3", "1"]):
        arguments = [word for client in clients for word in ("--account", client)]
        folder.run(*STATE, *arguments, "-o", "out.csv").assert_failed(f"state: {UNKNOWN} 3")
    assert "out.csv" not in folder.names()


@pytest.mark.parametrize("name", ["x", "-1", "1.0", "18446744073709551616", "1" * 50, "0x1", "1 2", "\u0661", "\u00b2"])
def test_what_no_client_is_called_is_refused(folder: Folder, name: str) -> None:
    folder.run(*STATE, f"--account={name}").assert_misused("--account", "clients are numbers in this state")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--account", "1"), "--account needs --state DIR"),
        ((*STATE, "--account", ""), "it is empty: name a client"),
        ((*STATE, "--account", "1", "--account", ""), "it is empty: name a client"),
        ((*STATE, "--account", "1", "in.csv"), "--account reads no FILE: leave in.csv out"),
        ((*STATE, "--account", "1", "--rejects", "r.csv"), "leave --rejects out"),
        ((*STATE, "--account", "1", "--stats", "s.json"), "leave --stats out"),
        ((*STATE, "--account", "1", "--opening", "in.csv"), "leave --opening out"),
        ((*STATE, "--account", "1", "--expect", "in.csv"), "leave --expect out"),
        ((*STATE, "--account", "1", "--verify"), "exclude each other"),
        ((*STATE, "--account", "1", "--compact"), "exclude each other"),
        ((*STATE, "--account", "1", "--changed"), "--changed needs a FILE"),
    ],
)
def test_options_that_do_not_fit_are_refused(folder: Folder, arguments: tuple[str, ...], words: str) -> None:
    folder.run(*arguments).assert_misused(words)


def test_it_goes_where_accounts_go(folder: Folder) -> None:
    assert folder.run(*STATE, "--account", "1", "-o", "out.csv").output == b""
    assert folder.read("out.csv") == ACCOUNTS_HEADER + lines_of(folder, "1")
    assert folder.run(*STATE, "--account", "2", "-o", "out.arrow").exit_code == 0
    [row] = pa.ipc.open_file(folder.path / "out.arrow").read_all().to_pylist()
    assert (row["client"], str(row["held"])) == (2, "7.0000")
    folder.run(*STATE, "--account", "1", "-o", "no/out.csv").assert_failed("no/out.csv: cannot be written")


def test_it_neither_waits_for_a_run_nor_changes_anything(folder: Folder) -> None:
    before = content_of(folder.path / "state")
    with folder.running(*STATE, "-", "-q"):
        assert lines_of(folder, "1") == b"1,4.0000,0.0000,4.0000,false\n"
    (folder.path / "state" / "lock").unlink()
    assert lines_of(folder, "1")
    after = content_of(folder.path / "state")
    assert {name: content for name, content in before.items() if name != "lock"} == after


def test_without_a_state_it_fails_and_makes_none(folder: Folder) -> None:
    folder.run("--state", "other", "--account", "1").assert_failed("other: holds no state")
    assert "other" not in folder.names()
    (folder.path / "other").mkdir()
    folder.run("--state", "other", "--account", "1").assert_failed("other: holds no state")


def test_the_policy_and_the_dialect_are_those_of_the_state(folder: Folder) -> None:
    folder.write(
        "shop.csv", b"type,client,tx,amount,ccy\ndeposit,ann,a,1.5,EUR\ndeposit,ann,a,2,USD\ndeposit,bob,a,3,USD\n"
    )
    words = ("--ids", "text", "--columns", "currency=ccy", "--decimals", "2", "--policy", "card")
    assert folder.run("shop.csv", "--state", "shop", "-q", *words).exit_code == 0
    found = folder.run("--state", "shop", "--account", "ann").output
    assert found == (
        b"client,currency,available,held,total,locked\nann,EUR,1.50,0.00,1.50,false\nann,USD,2.00,0.00,2.00,false\n"
    )
    folder.run("--state", "shop", "--account", "1").assert_failed(f"shop: {UNKNOWN} 1")
    folder.run("--state", "shop", "--account", "x\x1b[0m").assert_failed(rf"{UNKNOWN} x\x1b[0m")
    folder.run("--state", "shop", "--account", "x" * 400).assert_failed(UNKNOWN)


def test_a_client_that_is_no_utf_8_is_named_as_the_shell_has_it(folder: Folder) -> None:
    folder.write("raw.csv", HEADER + b"deposit,\xff\xfe,1,5\n")
    assert folder.run("raw.csv", "--state", "raw", "-q", "--ids", "text").exit_code == 0
    ended = shell(folder, "$TXFAST --state raw --account $'\\xff\\xfe'")
    assert ended.output == ACCOUNTS_HEADER + b"\xff\xfe,5.0000,0.0000,5.0000,false\n"


# ---- What is read --------------------------------------------------------------------------------


def test_little_of_the_state_is_read(folder: Folder) -> None:
    """Every other page is damaged: who is on a good one is found, and nobody else."""
    rows = b"".join(b"deposit,%d,%d,1\n" % (client, client) for client in range(20_000))
    folder.write("many.csv", HEADER + rows)
    assert folder.run("many.csv", "--state", "many", "-q").exit_code == 0
    snapshot = folder.path / "many" / "snapshot-1"
    for run in json.loads((snapshot / "manifest.json").read_bytes())["runs"]:
        for segment in run["segments"]:
            content = bytearray((snapshot / segment["file"]).read_bytes())
            for page in range(2, segment["pages"], 2):
                content[page << 14 : (page << 14) + 64] = bytes(64)
            replace(snapshot / segment["file"], bytes(content))
    found = []
    for client in range(0, 20_000, 997):
        ended = folder.run("--state", "many", "--account", str(client))
        found.append(ended.exit_code)
        if ended.exit_code:
            ended.assert_failed("many/snapshot-1/", ".arrow: is damaged: page ")
        else:
            assert ended.output == ACCOUNTS_HEADER + b"%d,1.0000,0.0000,1.0000,false\n" % client
    assert {*found} == {0, 1}


def test_the_snapshot_before_one_that_cannot_be_opened_is_used(folder: Folder) -> None:
    folder.write("more.csv", FILE)
    accounts(folder, "more.csv")
    (folder.path / "state" / "snapshot-2" / "manifest.json").write_bytes(b"{}")
    ended = folder.run(*STATE, "--account", "1")
    assert ended.output == ACCOUNTS_HEADER + b"1,4.0000,0.0000,4.0000,false\n"
    assert "warn: state/snapshot-2/manifest.json: is damaged" in ended.errors
    shutil.rmtree(folder.path / "state" / "snapshot-1")
    folder.run(*STATE, "--account", "1").assert_failed("no good snapshot is left")


def test_numbers_that_no_run_writes_are_refused(folder: Folder) -> None:
    snapshot = folder.path / "state" / "snapshot-1"
    forge(snapshot, "accounts", lambda rows: [{**row, "available": 2**63 - 1, "held": 1} for row in rows])
    folder.run(*STATE, "--account", "1").assert_failed("is damaged: page 1 has a value that no row has")
    assert json.loads((snapshot / "manifest.json").read_bytes())["accounts"] == 4
