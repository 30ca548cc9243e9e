"""Damage to segments of a state, of any region and at any place, and cuts: whatever reads it gives what is right, or
says which file is damaged. No wrong account ever comes out."""

from __future__ import annotations

import json
import logging
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import txfast
from tests.support.command import Folder
from tests.support.days import compact
from tests.support.forged_states import forge
from tests.support.reference import Replay
from tests.support.rows import Row, make_file
from tests.support.segment_rows import ROW
from tests.support.segments import GAP_BYTES, PAGE_BYTES, page_start
from tests.support.states import STATE, damage_page, files_of, replace, seal
from txfast.command.arguments import parse_arguments
from txfast.command.main import replay_files
from txfast.errors import StateError
from txfast.log.journal import Journal
from txfast.state import account_query, compaction, manifest
from txfast.state.directory import StateDirectory

QUIET = logging.Logger("quiet", logging.CRITICAL)
CLIENTS = 3_000
POLICY = "card"


def rows_of_day(number: int) -> list[Row]:
    """Deposits of many clients, so that a segment has several pages, and rows about those of earlier days."""
    chance = random.Random(number)
    rows = [Row("deposit", client, 10_000 * number + client, 20_000) for client in range(number, CLIENTS, number + 1)]
    for _ in range(60 * number):
        client = chance.randrange(CLIENTS)
        kind = chance.choice(["dispute", "chargeback", "refund", "deposit", "withdrawal"])
        rows.append(Row(kind, client, 10_000 * chance.randrange(number) + client, 5_000))
    return rows


LAST = [Row("dispute", client, client) for client in range(0, CLIENTS, 7)] + [
    Row("deposit", client, 10_000 + client, 1) for client in range(1, CLIENTS, 5)
]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state of four days, and the file of another one. Tests must not change it."""
    folder = tmp_path_factory.mktemp("damage")
    for number in range(4):
        path = folder / f"{number}.csv"
        path.write_bytes(make_file(rows_of_day(number)))
        txfast.process(path, state=folder / "state", policy=POLICY, logger=QUIET)
    (folder / "last.csv").write_bytes(make_file(LAST))
    shutil.rmtree(folder / "state" / "snapshot-3")
    sorts = [name.partition("-")[0] for name in files_of(folder / "state" / "snapshot-4")]
    assert sorts == ["accounts"] * 4 + ["changes"] * 3 + ["entries"] * 4
    return folder


@pytest.fixture(scope="module")
def right(state: Path) -> dict[str, Any]:
    """What each reader gives of the state as it is."""
    found = {name: read(state) for name, read in READERS.items()}
    replay = Replay(POLICY)
    for number in range(4):
        replay.read(f"{number}.csv", (state / f"{number}.csv").read_bytes())
    assert found["print"] == replay.accounts_csv()
    replay.read("last.csv", (state / "last.csv").read_bytes())
    assert found["run"][0] == replay.accounts_csv()
    assert found["run"][1] == len([each for each in replay.rejects if each.file == "last.csv"])
    return found


# ---- What reads a state ----------------------------------------------------------------------------


def accounts_text(folder: Path, accounts: Any) -> bytes:
    accounts.write(folder / "out.csv")
    return (folder / "out.csv").read_bytes()


def copied_state(folder: Path) -> Path:
    """A copy, for what changes the state."""
    shutil.rmtree(folder / "copy", ignore_errors=True)
    shutil.copytree(folder / "state", folder / "copy")
    return folder / "copy"


def run(folder: Path) -> tuple[bytes, int]:
    """A run over another day: the accounts and the number of rejects."""
    result = txfast.process(
        folder / "last.csv", state=copied_state(folder), policy=POLICY, rejects=True, threads=2, logger=QUIET
    )
    return accounts_text(folder, result.accounts), len(result.rejects)


def print_accounts(folder: Path) -> bytes:
    """What the command prints without a file."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "stdin", None)  # pytest's own is no file
        settings = parse_arguments(["--state", str(folder / "state"), "-q", "-o", str(folder / "out.csv")])
    replay_files(settings, Journal(quiet=True))
    return (folder / "out.csv").read_bytes()


def look_up(folder: Path) -> list[tuple[Any, ...]]:
    """A few clients, each by itself."""
    found = []
    for client in range(0, CLIENTS, 501):
        directory = StateDirectory(str(folder / "state"), pytest.fail)
        directory.open_to_read()
        columns, _ = account_query.accounts_of_clients(directory, [str(client)])
        found += [columns.account(index)[:4] for index in range(len(columns))]
    return found


def open_and_look(folder: Path) -> list[Any]:
    """The same with their transactions, by a program."""
    with txfast.open(folder / "state", logger=QUIET) as ledger:
        return [(ledger[client], ledger.transactions(client)) for client in range(0, CLIENTS, 701)]


def load(folder: Path) -> bytes:
    return accounts_text(folder, txfast.Ledger.load(folder / "state", logger=QUIET).accounts())


def compact_and_load(folder: Path) -> bytes:
    copy = copied_state(folder)
    compact(copy)
    return accounts_text(folder, txfast.Ledger.load(copy, logger=QUIET).accounts())


READERS: dict[str, Callable[[Path], Any]] = {
    "run": run, "print": print_accounts, "look up": look_up, "open": open_and_look, "load": load,
    "compact": compact_and_load,
}  # fmt: skip
readers = pytest.mark.parametrize("reader", READERS)


# ---- Where it is damaged ---------------------------------------------------------------------------


def regions(snapshot: Path, name: str) -> dict[str, range]:
    """The bytes of each region of a segment."""
    runs = json.loads((snapshot / manifest.NAME).read_bytes())["runs"]
    [said] = [each for run in runs for each in run["segments"] if each["file"] == name]
    rows_end = page_start(said["pages"])
    content = (snapshot / name).read_bytes()
    size = len(content)
    footer = size - 10 - int.from_bytes(content[-10:-6], "little")
    return {
        "schema": range(page_start(0)),
        "message of a page": range(page_start(0), page_start(0) + 384),
        "rows of the first page": range(page_start(0) + 384, page_start(1)),
        "rows of the last page": range(rows_end - PAGE_BYTES, rows_end),
        "rows": range(page_start(0), rows_end),
        "behind the rows": range(rows_end, rows_end + GAP_BYTES),
        "filter and index": range(rows_end + GAP_BYTES, footer),
        "footer": range(footer, size),
    }


def damaged_copies(state: Path, chance: random.Random, count: int) -> Iterator[tuple[str, str]]:
    """Damage a segment after the other, and restore each; the file and what was done to it."""
    snapshot = state / "state" / "snapshot-4"
    names = files_of(snapshot)
    for _ in range(count):
        name = chance.choice(names)
        path = snapshot / name
        whole = path.read_bytes()
        region, places = chance.choice(list(regions(snapshot, name).items()))
        place = chance.choice(places)
        content = bytearray(whole)
        what = chance.choice(["a bit", "a byte", "several", "zeros", "a page moved"])
        if what == "a bit":
            content[place] ^= 1 << chance.randrange(8)
        elif what == "a byte":
            content[place] = (content[place] + chance.randrange(1, 256)) % 256
        elif what == "several":
            content[place : place + 64] = chance.randbytes(len(content[place : place + 64]))
        elif what == "zeros":
            content[place : place + 512] = bytes(len(content[place : place + 512]))
        else:
            page = max(0, place - (place - page_start(0)) % PAGE_BYTES)
            other = page_start(chance.randrange(len(content) // PAGE_BYTES))
            content[page : page + PAGE_BYTES] = whole[other : other + PAGE_BYTES].ljust(
                len(content[page : page + PAGE_BYTES]), b"\0"
            )[: len(content[page : page + PAGE_BYTES])]
        replace(path, bytes(content))
        yield name, f"{region}: {what} at {place}"
        replace(path, whole)


def outcome(state: Path, reader: str) -> tuple[str, Any]:
    """What a reader gives, or the error that it raises."""
    try:
        return "", READERS[reader](state)
    except StateError as error:
        return str(error), None


@readers
def test_damage_anywhere_gives_what_is_right_or_is_named(
    state: Path, right: dict[str, Any], reader: str, tmp_path: Path
) -> None:
    shutil.copytree(state, tmp_path, dirs_exist_ok=True)
    chance = random.Random(reader)
    refused = 0
    for name, what in damaged_copies(tmp_path, chance, 60):
        message, found = outcome(tmp_path, reader)
        if message:
            assert f"/{name}: is damaged" in message, what
        else:
            assert found == right[reader], what
        refused += bool(message)
    assert refused > 0
    assert outcome(tmp_path, reader) == ("", right[reader])


@readers
@pytest.mark.parametrize("resealed", [False, True], ids=["by size", "by its pages"])
def test_a_cut_anywhere_is_named(
    state: Path, right: dict[str, Any], reader: str, resealed: bool, tmp_path: Path
) -> None:
    """Also where the manifest was changed to fit."""
    shutil.copytree(state, tmp_path, dirs_exist_ok=True)
    snapshot = tmp_path / "state" / "snapshot-4"
    text = (snapshot / manifest.NAME).read_bytes()
    chance = random.Random(f"{reader}{resealed}")
    for _ in range(20):
        name = chance.choice(files_of(snapshot))
        whole = (snapshot / name).read_bytes()
        regions_of_it = list(regions(snapshot, name).values())
        replace(snapshot / name, whole[: chance.choice(chance.choice(regions_of_it))])
        if resealed:
            seal(snapshot)
        message, found = outcome(tmp_path, reader)
        if not resealed:
            assert f"/{name}: is damaged: it has " in message
        elif message:
            assert f"/{name}: is damaged" in message
        else:
            assert found == right[reader]
        replace(snapshot / name, whole)
        (snapshot / manifest.NAME).write_bytes(text)


@readers
def test_a_segment_in_the_place_of_another_is_named(
    state: Path, right: dict[str, Any], reader: str, tmp_path: Path
) -> None:
    """Its pages are good, and of another file."""
    shutil.copytree(state, tmp_path, dirs_exist_ok=True)
    snapshot = tmp_path / "state" / "snapshot-4"
    names = files_of(snapshot)
    text = (snapshot / manifest.NAME).read_bytes()
    for sort in ("accounts", "changes", "entries"):
        one, other = [name for name in names if name.startswith(sort)][:2]
        contents = [(snapshot / name).read_bytes() for name in (one, other)]
        replace(snapshot / one, contents[1])
        replace(snapshot / other, contents[0])
        seal(snapshot)
        message, found = outcome(tmp_path, reader)
        if message:
            assert f"/{one}: is damaged" in message or f"/{other}: is damaged" in message
        else:
            assert found == right[reader]
        assert message or sort != "accounts"
        for name, content in zip((one, other), contents, strict=True):
            replace(snapshot / name, content)
        (snapshot / manifest.NAME).write_bytes(text)


def test_damage_to_what_is_read_of_a_file_that_is_open_is_noticed(state: Path, tmp_path: Path) -> None:
    """A file is changed in place while a reader has it open."""
    shutil.copytree(state, tmp_path, dirs_exist_ok=True)
    snapshot = tmp_path / "state" / "snapshot-4"
    with txfast.open(tmp_path / "state", logger=QUIET) as ledger:
        assert ledger[1].total
        for name in files_of(snapshot):
            with open(snapshot / name, "r+b") as file:
                for page in range((snapshot / name).stat().st_size // PAGE_BYTES):
                    file.seek(page_start(page) + 500)
                    file.write(b"\xff" * 200)
        with pytest.raises(StateError, match=r"snapshot-4/accounts-[0-9]+\.arrow: is damaged: page [0-9]+"):
            list(map(ledger.get, range(CLIENTS)))


# ---- Forged rows -----------------------------------------------------------------------------------

FORGED: dict[str, tuple[str, Callable[[list[ROW]], list[ROW]], str]] = {
    "an account is missing": ("accounts", lambda rows: rows[1:], "has no account"),
    "an account more": ("accounts", lambda rows: [*rows, rows[0] | {"client": 10**9}], "is not what"),
    "another balance": ("accounts", lambda rows: [rows[0] | {"available": rows[0]["available"] + 1}, *rows[1:]],
                        "is not what its transactions make it"),
    "held without a dispute": ("accounts", lambda rows: [rows[0] | {"held": 1}, *rows[1:]], "is not what"),
    "locked without a chargeback": ("accounts", lambda rows: [rows[0] | {"flags": rows[0]["flags"] ^ 1}, *rows[1:]],
                                    "is not what"),
    "an opening balance": ("accounts", lambda rows: [rows[0] | {"opening": 1}, *rows[1:]], "is not what"),
    "an entry is missing": ("entries", lambda rows: rows[1:], "is not what"),
    "an entry more": ("entries", lambda rows: [*rows, rows[0] | {"tx": 10**9}], "has another max_tx"),
    "another amount": ("entries", lambda rows: [rows[0] | {"amount": 1}, *rows[1:]], "is not what"),
    "an amount below 0": ("entries", lambda rows: [rows[0] | {"amount": -1}, *rows[1:]], "has a value that no row has"),
    "an unknown kind": ("entries", lambda rows: [rows[0] | {"kind": 2}, *rows[1:]], "has a value that no row has"),
    "an unknown state": ("entries", lambda rows: [rows[0] | {"state": 9}, *rows[1:]], ""),
    "a change of nothing": ("changes", lambda rows: [*rows, rows[0] | {"tx": 10**9}], "has another max_tx"),
    "a change undone": ("changes", lambda rows: [rows[0] | {"state": 0, "moved": 0, "refunded": 0}, *rows[1:]],
                        "is not what"),
    "a greatest transaction that is too small": ("accounts", lambda rows: [*rows[:-1], rows[-1] | {"max_tx": 0}],
                                                 "has another max_tx than its transactions have"),
    "a greatest transaction that is too large": (
        "accounts", lambda rows: [*rows[:-1], rows[-1] | {"max_tx": rows[-1]["max_tx"] + 1}],
        "has another max_tx than its transactions have"),
    "chargebacks that do not stand": ("accounts", lambda rows: [rows[0] | {"standing": 2}, *rows[1:]],
                                      "has another standing than its chargebacks make it"),
    "too much refunded": ("changes", lambda rows: [rows[0] | {"refunded": 2**62}, *rows[1:]], ""),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_forged_rows_are_found_by_what_reads_all(state: Path, name: str, tmp_path: Path) -> None:
    """All hashes are right."""
    shutil.copytree(state / "state", tmp_path / "state")
    sort, change, words = FORGED[name]
    forge(tmp_path / "state" / "snapshot-4", sort, change)
    with pytest.raises(StateError, match=f"is damaged: .*{words}"):
        txfast.Ledger.load(tmp_path / "state", logger=QUIET)
    Folder(tmp_path).run(*STATE, "--verify").assert_failed("is damaged", words)


# ---- Merges ----------------------------------------------------------------------------------------


def test_a_damaged_input_of_a_merge_fails_the_run_and_changes_nothing(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(state, tmp_path, dirs_exist_ok=True)
    snapshot = tmp_path / "state" / "snapshot-4"
    monkeypatch.setattr(compaction, "OVERLAPS_MAX", 1)
    monkeypatch.setattr(compaction, "FAN_OUT", 2)
    for name in files_of(snapshot):
        if name.startswith("changes"):
            damage_page(snapshot / name)
    (tmp_path / "more.csv").write_bytes(make_file([Row("dispute", 2, 2)]))
    before = sorted(path.name for path in (tmp_path / "state").rglob("*"))
    with pytest.raises(StateError, match=r"changes-[0-9]+\.arrow: is damaged"):
        txfast.process(tmp_path / "more.csv", state=tmp_path / "state", policy=POLICY, logger=QUIET)
    after = sorted(path.name for path in (tmp_path / "state").rglob("*"))
    assert [name for name in after if name != "lock"] == [name for name in before if name != "lock"]
