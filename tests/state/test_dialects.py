"""States in a dialect: kept with it, gone on with in it, and refused by a run in another one."""

from __future__ import annotations

import io
import subprocess
import time
from pathlib import Path

import pytest

import txfast
from tests.support.command import COMMAND, Folder
from tests.support.states import STATE, change_manifest
from txfast.errors import StateError

HEADER = "Typ;Kunde;Nr;Betrag\n"
DIALECT = ("--columns", "type=Typ,client=Kunde,tx=Nr,amount=Betrag", "--decimal", ",", "--decimals", "2")
SETTINGS: dict[str, str | int] = {
    "columns.type": "Typ", "columns.client": "Kunde", "columns.tx": "Nr", "columns.amount": "Betrag",
    "decimal": ",", "decimals": 2,
}  # fmt: skip
FIRST = "deposit;1;1;10,50\ndeposit;2;2;4\n"
SECOND = "withdrawal;1;3;0,25\ndispute;2;2\n"
ACCOUNTS = b"client,available,held,total,locked\n1,10.25,0.00,10.25,false\n2,0.00,4.00,4.00,false\n"


@pytest.fixture
def begun(folder: Folder) -> Folder:
    """A state of the first rows of a file."""
    folder.write("in.csv", (HEADER + FIRST).encode())
    folder.run(*STATE, *DIALECT, "in.csv")
    return folder


def test_a_file_that_grew_is_gone_on_with_in_the_dialect_of_the_state(begun: Folder) -> None:
    begun.write("in.csv", (HEADER + FIRST + SECOND).encode())
    assert begun.run(*STATE, *DIALECT, "in.csv").output == ACCOUNTS
    assert begun.run(*STATE, *DIALECT, "in.csv").output == ACCOUNTS


def test_a_state_is_printed_with_its_decimals(begun: Folder) -> None:
    output = b"client,available,held,total,locked\n1,10.50,0.00,10.50,false\n2,4.00,0.00,4.00,false\n"
    assert begun.run(*STATE).output == output
    line = begun.run(*STATE, "--verify").output.decode()
    assert "format 6, " in line
    assert "dialect decimal=,, columns.amount=Betrag, columns.client=Kunde" in line


def test_a_state_of_the_default_dialect_does_not_name_one(folder: Folder) -> None:
    folder.write("in.csv", b"type;client;tx;amount\ndeposit;1;1;5\n")
    folder.run(*STATE, "in.csv")
    assert b"good: format 6, " in folder.run(*STATE, "--verify").output
    assert b"dialect" not in (folder.path / "state" / "snapshot-1" / "manifest.json").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "difference"),
    [
        ((), "decimal is , and not the default"),
        ((*DIALECT[:-1], "3"), "decimals is 2 and not 3"),
        ((*DIALECT, "--dialect", "skip=1"), "skip is the default and not 1"),
    ],
)
def test_a_run_in_another_dialect_is_refused_and_names_the_difference(
    begun: Folder, arguments: tuple[str, ...], difference: str
) -> None:
    before = sorted(begun.path.glob("state/**/*"))
    begun.write("more.csv", b"type,client,tx,amount\ndeposit,3,3,1\n")
    begun.run(*STATE, *arguments, "more.csv").assert_failed("its inputs were read in another dialect", difference)
    assert sorted(begun.path.glob("state/**/*")) == before


def test_bytes_that_close_a_quoted_field_which_the_state_took_for_rows_fail_the_run(folder: Folder) -> None:
    columns = "type;client;tx;amount;note\n"
    folder.write("in.csv", (columns + 'deposit;1;1;5;"open\ndeposit;2;2;6;x\n').encode())
    folder.run(*STATE, "--last-line", "take", "in.csv")
    folder.write("in.csv", (columns + 'deposit;1;1;5;"open\ndeposit;2;2;6;x\nand";\n').encode())
    folder.run(*STATE, "--last-line", "take", "in.csv").assert_failed("in.csv:2: a quoted field that opens here")


def test_a_latin_1_file_that_grew_is_gone_on_with(folder: Folder) -> None:
    arguments = (*STATE, "--dialect", "encoding=latin-1", "--types", "Übertrag=deposit")
    folder.write("in.csv", "type,client,tx,amount\nÜbertrag,1,1,5\n".encode("latin-1"))
    folder.run(*arguments, "in.csv")
    folder.write("in.csv", "type,client,tx,amount\nÜbertrag,1,1,5\nÜbertrag,1,2,6\n".encode("latin-1"))
    assert folder.run(*arguments, "in.csv").output.endswith(b"\n1,11.0000,0.0000,11.0000,false\n")


def test_a_loaded_ledger_goes_on_in_the_dialect_of_its_state(begun: Folder) -> None:
    ledger = txfast.Ledger.load(begun.path / "state")
    assert str(ledger[1].total) == "10.50"
    ledger.apply(io.BytesIO((HEADER + SECOND).encode()))
    assert str(ledger[1].total) == "10.25"
    ledger.save(begun.path / "copy")
    assert str(txfast.Ledger.load(begun.path / "copy")[2].held) == "4.00"


def test_a_program_uses_the_state_of_a_command(begun: Folder) -> None:
    file = begun.write("in.csv", (HEADER + FIRST + SECOND).encode())
    result = txfast.process(file, state=begun.path / "state", dialect=SETTINGS)
    assert [str(account.total) for account in result.accounts] == ["10.25", "4.00"]
    with pytest.raises(StateError, match="another dialect"):
        txfast.process(file, state=begun.path / "state")


def test_rows_that_went_to_disk_are_read_again_in_their_dialect(tmp_path: Path) -> None:
    rows = "".join(f"deposit;{client};{client};{client % 9},5\n" for client in range(400_000))
    content = (HEADER + rows + SECOND).encode()
    limited = txfast.process(
        io.BytesIO(content), dialect=SETTINGS, memory_limit=96 << 20, spill_dir=tmp_path, rejects=tmp_path / "r.csv"
    )
    assert limited.stats["spilled_bytes"] > 0
    whole = txfast.process(io.BytesIO(content), dialect=SETTINGS)
    assert limited.accounts.to_arrow() == whole.accounts.to_arrow()


@pytest.mark.parametrize(
    ("dialect", "words"),
    [
        ({"colour": "red"}, "the dialect colour=red"),
        ({"decimal": "5"}, "dialect"),
    ],
)
def test_a_dialect_of_a_later_version_or_a_damaged_one_ends_the_run(
    begun: Folder, dialect: dict[str, str], words: str
) -> None:
    change_manifest(begun.path / "state" / "snapshot-1", dialect=dialect)
    begun.run(*STATE, *DIALECT, "in.csv").assert_failed(words)


def test_a_run_is_resumed_in_its_dialect(folder: Folder) -> None:
    rows = "".join(f"Übertrag;{tx};{tx};1,5\n" for tx in range(200_000))
    folder.write("in.csv", (HEADER + rows).encode("latin-1"))
    arguments = (*STATE, *DIALECT, "--types", "Übertrag=deposit", "--dialect", "encoding=latin-1", "in.csv")
    process = subprocess.Popen([COMMAND, *arguments, "--checkpoint", "0"], cwd=folder.path, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not list(folder.path.glob("state/checkpoint-?")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    process.kill()
    process.wait()
    resumed = folder.run(*arguments, "--checkpoint", "60", "--stats", "stats.json")
    assert resumed.exit_code == 0
    assert resumed.output.count(b",1.50,0.00,1.50,false\n") == 200_000
