"""Snapshots as they are read: any damage is noticed, and a file that cannot be read is not called damaged."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from tests.support.bare_ledger import accounts_of
from tests.support.command import Folder
from tests.support.failures import raising
from tests.support.legacy_states import make_legacy_state
from tests.support.segment_rows import key_of, rows_of
from tests.support.states import FIRST, change_manifest, copied, files_of, seal
from txfast.errors import CapacityError, MemoryLimitError, SourceError, StateError
from txfast.ledger.ledger import Ledger
from txfast.state import manifest
from txfast.state.arrow_columns import read_columns
from txfast.state.positions import positions_of
from txfast.state.snapshot_layout import ACCOUNTS as ACCOUNTS_FILE
from txfast.state.snapshot_layout import ENTRIES as ENTRIES_FILE
from txfast.state.snapshot_layout import schemas
from txfast.state.snapshots import open_snapshot


def damages(chance: random.Random, content: bytes) -> Iterator[bytes]:
    """Contents that are nearly this one: shorter, longer, with a bit or a byte changed."""
    while True:
        index = chance.randrange(len(content))
        yield content[:index]
        turned = bytearray(content)
        turned[index] ^= 1 << chance.randrange(8)
        yield bytes(turned)
        turned = bytearray(content)
        turned[index] = chance.randrange(256)
        if turned != content:
            yield bytes(turned)
        yield content + bytes([chance.randrange(256)])


each_form = pytest.mark.parametrize("is_legacy", [False, True], ids=["segments", "legacy"])


def put(two_snapshots: Path, folder: Folder, *, is_legacy: bool) -> Path:
    """Copy a state with two snapshots into a folder, also as an earlier version would have left it; return the path of
    the newest snapshot there."""
    snapshot = copied(two_snapshots, folder)
    if is_legacy:
        make_legacy_state(snapshot.parent)
        assert files_of(snapshot) == [ACCOUNTS_FILE, ENTRIES_FILE]
    return snapshot


# ---- Damage ----------------------------------------------------------------------------------------


@each_form
def test_a_change_of_any_byte_is_noticed(two_snapshots: Path, folder: Folder, is_legacy: bool) -> None:
    snapshot = put(two_snapshots, folder, is_legacy=is_legacy)
    open_snapshot(str(snapshot)).restore([Ledger()])
    chance = random.Random(3)
    for file in (*files_of(snapshot), manifest.NAME):
        whole = (snapshot / file).read_bytes()
        for _, damaged in zip(range(70), damages(chance, whole), strict=False):
            (snapshot / file).write_bytes(damaged)
            with pytest.raises(StateError, match=r"is damaged|is missing"):
                open_snapshot(str(snapshot))
        (snapshot / file).unlink()
        with pytest.raises(StateError, match="missing"):
            open_snapshot(str(snapshot))
        (snapshot / file).write_bytes(whole)


def test_numbers_are_checked_even_where_the_hashes_are_right(two_snapshots: Path, folder: Folder) -> None:
    snapshot = put(two_snapshots, folder, is_legacy=True)
    chance = random.Random(4)
    refused = 0
    for file in (ACCOUNTS_FILE, ENTRIES_FILE):
        whole = (snapshot / file).read_bytes()
        for _, damaged in zip(range(100), damages(chance, whole), strict=False):
            (snapshot / file).write_bytes(damaged)
            seal(snapshot)
            try:
                open_snapshot(str(snapshot)).restore([Ledger()])
            except StateError:
                refused += 1
        (snapshot / file).write_bytes(whole)
    assert refused > 50


def test_pages_are_checked_even_where_the_hashes_of_files_are_right(two_snapshots: Path, folder: Folder) -> None:
    snapshot = put(two_snapshots, folder, is_legacy=False)
    right = Ledger()
    open_snapshot(str(snapshot)).restore([right])
    chance = random.Random(4)
    refused = 0
    for file in files_of(snapshot):
        whole = (snapshot / file).read_bytes()
        for _, damaged in zip(range(100), damages(chance, whole), strict=False):
            (snapshot / file).write_bytes(damaged)
            seal(snapshot)
            ledger = Ledger()
            refusal = ""
            try:
                open_snapshot(str(snapshot)).restore([ledger])
            except StateError as error:
                refusal = str(error)
            if refusal:
                assert file in refusal
            else:
                assert accounts_of(ledger) == accounts_of(right)
            refused += bool(refusal)
        (snapshot / file).write_bytes(whole)
    assert refused > 50


@each_form
@pytest.mark.parametrize(("changes", "words"), [
    ({"accounts": 3}, "it has 2 accounts and 3 transactions, where 3 and 3 were saved"),
    ({"entries": 4}, "it has 2 accounts and 3 transactions, where 2 and 4 were saved"),
    ({"balance_units": 1}, r"its accounts have [\d,]+ units of 0.0001, where 1 were saved"),
])  # fmt: skip
def test_sums_that_differ_from_those_saved_are_damage(
    two_snapshots: Path, folder: Folder, changes: dict[str, object], words: str, is_legacy: bool
) -> None:
    path = put(two_snapshots, folder, is_legacy=is_legacy)
    change_manifest(path, **changes)
    for load in (lambda snapshot: snapshot.restore([Ledger()]), lambda snapshot: list(snapshot.parts(2, 0))):
        with pytest.raises(StateError, match=words):
            load(open_snapshot(str(path)))


GREATEST = 2**63 - 1


@pytest.mark.parametrize("held", [4, 5])
def test_a_forged_state_whose_deposits_in_dispute_exceed_64_bits_is_refused(folder: Folder, held: int) -> None:
    # Of the three amounts the sum is 2^64 + 4.
    entries = [(1, 1, GREATEST, 0, 1), (1, 2, GREATEST, 0, 1), (1, 3, 6, 0, 1), (1, 4, 0, 1, 0)]
    snapshot = folder.path / "state" / "snapshot-1"
    snapshot.mkdir(parents=True)
    for name, rows in ((ACCOUNTS_FILE, [(1, 0, held, False)]), (ENTRIES_FILE, entries)):
        schema = schemas()[name]
        columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)]
        with pa.ipc.new_file(str(snapshot / name), schema) as writer:
            writer.write_table(pa.table(columns, schema=schema))
    fields = {"format": 1, "txfast": "0", "created": "2026-01-01T00:00:00Z", "files": {}, "accounts": 1, "entries": 4}
    (snapshot / manifest.NAME).write_bytes(manifest.text_of(fields | {"balance_units": held, "inputs": {}}))
    seal(snapshot)
    for arguments in ((), ("--verify",), ("in.csv",)):
        folder.run("--state", "state", *arguments).assert_failed("the account of client 1 is not what its transactions")


@pytest.mark.parametrize(
    "changes", [{"lines": 2**63 - 1}, {"lines": len(FIRST) + 1}, {"offset": 2}, {"parts": [{"end": 2**63}]}]
)
def test_an_input_with_more_lines_than_bytes_or_another_impossible_position_is_damage(
    two_snapshots: Path, folder: Folder, changes: dict[str, object]
) -> None:
    snapshot = copied(two_snapshots, folder).with_name("snapshot-1")
    [(name, position)] = json.loads((snapshot / manifest.NAME).read_bytes())["inputs"].items()
    assert position["lines"] == 4
    change_manifest(snapshot, inputs={name: position | changes})
    with pytest.raises(StateError, match=r"is damaged: inputs: .* is not what it should be"):
        positions_of(open_snapshot(str(snapshot)))


def test_a_record_batch_with_too_many_rows_is_damage(
    two_snapshots: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = open_snapshot(str(put(two_snapshots, folder, is_legacy=True)))
    monkeypatch.setattr("txfast.state.arrow_columns.BATCH_ROWS", 1)
    with pytest.raises(StateError, match=r"accounts.arrow: is damaged: it has a record batch of 2 rows"):
        snapshot.restore([Ledger()])


def test_a_manifest_that_is_too_long_is_not_read(
    two_snapshots: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = copied(two_snapshots, folder)
    monkeypatch.setattr(manifest, "BYTES_MAX", 100)
    with pytest.raises(StateError, match=r"manifest.json: is damaged: it is too long"):
        open_snapshot(str(snapshot))


# ---- No damage -------------------------------------------------------------------------------------


@each_form
def test_a_file_that_cannot_be_read_is_not_called_damaged(two_snapshots: Path, folder: Folder, is_legacy: bool) -> None:
    snapshot = put(two_snapshots, folder, is_legacy=is_legacy)
    for file in (files_of(snapshot)[0], manifest.NAME):
        (snapshot / file).unlink()
        (snapshot / file).mkdir()
        with pytest.raises(SourceError, match="cannot be read: Is a directory"):
            open_snapshot(str(snapshot))
    with pytest.raises(SourceError, match=r"missing: cannot be read: .*No such file"):
        list(read_columns(str(snapshot / "missing"), schemas()[ACCOUNTS_FILE]))


@pytest.mark.parametrize("error", [MemoryError("no memory"), CapacityError("too many accounts")])
def test_a_snapshot_too_large_for_memory_is_not_called_damaged(
    two_snapshots: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    snapshot = open_snapshot(str(put(two_snapshots, folder, is_legacy=True)))
    monkeypatch.setattr("txfast.state.arrow_columns.buffers_of", raising(error))
    with pytest.raises(type(error), match=str(error)):
        snapshot.restore([Ledger()])


@each_form
def test_a_client_too_large_for_the_memory_limit_is_refused(
    two_snapshots: Path, folder: Folder, is_legacy: bool
) -> None:
    snapshot = open_snapshot(str(put(two_snapshots, folder, is_legacy=is_legacy)))
    assert [(index, len(part)) for index, part in snapshot.parts(1, 0)] == [(0, 2)]
    with pytest.raises(MemoryLimitError, match="a client that is too large for the memory limit"):
        list(snapshot.parts(2, 1))


def test_an_empty_record_batch_is_skipped(two_snapshots: Path, folder: Folder) -> None:
    snapshot = put(two_snapshots, folder, is_legacy=True)
    table = pa.ipc.open_file(snapshot / ACCOUNTS_FILE).read_all()
    with pa.ipc.new_file(str(snapshot / ACCOUNTS_FILE), table.schema) as writer:
        writer.write_batch(pa.RecordBatch.from_pylist([], schema=table.schema))
        writer.write_table(table)
    seal(snapshot)
    ledger = Ledger()
    open_snapshot(str(snapshot)).restore([ledger])
    assert len(ledger) == 2


def test_any_arrow_library_can_read_the_files(two_snapshots: Path) -> None:
    first, second = (two_snapshots / "state" / f"snapshot-{number}" for number in (1, 2))
    names = files_of(first)
    assert names == ["accounts-1.arrow", "entries-2.arrow"]
    accounts, entries = (pa.ipc.open_file(first / name).read_all() for name in names)
    assert [(field.name, str(field.type)) for field in accounts.schema] == [
        ("client", "uint64"), ("available", "int64"), ("held", "int64"), ("max_tx", "uint64"), ("flags", "uint8"),
    ]  # fmt: skip
    assert [(field.name, str(field.type)) for field in entries.schema] == [
        ("client", "uint64"), ("tx", "uint64"), ("amount", "int64"), ("kind", "uint8"), ("state", "uint8"),
    ]  # fmt: skip
    assert sorted(accounts.to_pylist(), key=key_of) == [
        {"client": 1, "available": 50_000, "held": 0, "max_tx": 1, "flags": 0},
        {"client": 2, "available": 0, "held": 70_000, "max_tx": 2, "flags": 0},
    ]
    assert sorted(entries.to_pylist(), key=key_of) == [
        {"client": 1, "tx": 1, "amount": 50_000, "kind": 0, "state": 0},
        {"client": 2, "tx": 2, "amount": 70_000, "kind": 0, "state": 1},
    ]
    # What a later run adds and changes is in segments of its own; it shares the others.
    assert files_of(second) == sorted([*names, "accounts-3.arrow", "changes-4.arrow", "entries-5.arrow"])
    assert [(second / name).stat().st_ino for name in names] == [(first / name).stat().st_ino for name in names]
    assert rows_of([second / "changes-4.arrow"]) == [{"client": 2, "tx": 2, "amount": 70_000, "kind": 0, "state": 3}]
    assert rows_of([second / "entries-5.arrow"]) == [{"client": 1, "tx": 3, "amount": 0, "kind": 1, "state": 0}]
