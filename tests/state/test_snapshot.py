"""Snapshots as they are read: any damage is noticed, and a file that cannot be read is not called damaged."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from tests.support.command import Folder
from tests.support.failures import raising
from tests.support.states import FIRST, change_manifest, copied, seal
from txfast.errors import CapacityError, MemoryLimitError, SourceError, StateError
from txfast.ledger.ledger import Ledger
from txfast.state import manifest
from txfast.state.arrow_columns import read_columns
from txfast.state.positions import positions_of
from txfast.state.snapshot import Snapshot
from txfast.state.snapshot_layout import ACCOUNTS as ACCOUNTS_FILE
from txfast.state.snapshot_layout import ENTRIES as ENTRIES_FILE
from txfast.state.snapshot_layout import schemas


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


# ---- Damage ----------------------------------------------------------------------------------------


def test_a_change_of_any_byte_is_noticed(two_snapshots: Path, folder: Folder) -> None:
    snapshot = copied(two_snapshots, folder)
    Snapshot.open(str(snapshot)).restore([Ledger()])
    chance = random.Random(3)
    for file in (ACCOUNTS_FILE, ENTRIES_FILE, manifest.NAME):
        whole = (snapshot / file).read_bytes()
        for _, damaged in zip(range(70), damages(chance, whole), strict=False):
            (snapshot / file).write_bytes(damaged)
            with pytest.raises(StateError, match=r"is damaged|is missing"):
                Snapshot.open(str(snapshot))
        (snapshot / file).unlink()
        with pytest.raises(StateError, match="missing"):
            Snapshot.open(str(snapshot))
        (snapshot / file).write_bytes(whole)


def test_numbers_are_checked_even_where_the_hashes_are_right(two_snapshots: Path, folder: Folder) -> None:
    snapshot = copied(two_snapshots, folder)
    chance = random.Random(4)
    refused = 0
    for file in (ACCOUNTS_FILE, ENTRIES_FILE):
        whole = (snapshot / file).read_bytes()
        for _, damaged in zip(range(100), damages(chance, whole), strict=False):
            (snapshot / file).write_bytes(damaged)
            seal(snapshot)
            try:
                Snapshot.open(str(snapshot)).restore([Ledger()])
            except StateError:
                refused += 1
        (snapshot / file).write_bytes(whole)
    assert refused > 50


@pytest.mark.parametrize(("changes", "words"), [
    ({"accounts": 3}, "it has 2 accounts and 3 transactions, where 3 and 3 were saved"),
    ({"entries": 4}, "it has 2 accounts and 3 transactions, where 2 and 4 were saved"),
    ({"balance_units": 1}, r"its accounts have [\d,]+ units of 0.0001, where 1 were saved"),
])  # fmt: skip
def test_sums_that_differ_from_those_saved_are_damage(
    two_snapshots: Path, folder: Folder, changes: dict[str, object], words: str
) -> None:
    path = copied(two_snapshots, folder)
    change_manifest(path, **changes)
    for load in (lambda snapshot: snapshot.restore([Ledger()]), lambda snapshot: list(snapshot.parts(2, 0))):
        with pytest.raises(StateError, match=words):
            load(Snapshot.open(str(path)))


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
        positions_of(Snapshot.open(str(snapshot)))


def test_a_record_batch_with_too_many_rows_is_damage(
    two_snapshots: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = Snapshot.open(str(copied(two_snapshots, folder)))
    monkeypatch.setattr("txfast.state.arrow_columns.BATCH_ROWS", 1)
    with pytest.raises(StateError, match=r"accounts.arrow: is damaged: it has a record batch of 2 rows"):
        snapshot.restore([Ledger()])


def test_a_manifest_that_is_too_long_is_not_read(
    two_snapshots: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = copied(two_snapshots, folder)
    monkeypatch.setattr(manifest, "BYTES_MAX", 100)
    with pytest.raises(StateError, match=r"manifest.json: is damaged: it is too long"):
        Snapshot.open(str(snapshot))


# ---- No damage -------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_read_is_not_called_damaged(two_snapshots: Path, folder: Folder) -> None:
    snapshot = copied(two_snapshots, folder)
    for file in (ACCOUNTS_FILE, manifest.NAME):
        (snapshot / file).unlink()
        (snapshot / file).mkdir()
        with pytest.raises(SourceError, match="cannot be read: Is a directory"):
            Snapshot.open(str(snapshot))
    with pytest.raises(SourceError, match=r"missing: cannot be read: .*No such file"):
        list(read_columns(str(snapshot / "missing"), schemas()[ACCOUNTS_FILE]))


@pytest.mark.parametrize("error", [MemoryError("no memory"), CapacityError("too many accounts")])
def test_a_snapshot_too_large_for_memory_is_not_called_damaged(
    two_snapshots: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    snapshot = Snapshot.open(str(copied(two_snapshots, folder)))
    monkeypatch.setattr("txfast.state.arrow_columns.buffers_of", raising(error))
    with pytest.raises(type(error), match=str(error)):
        snapshot.restore([Ledger()])


def test_a_client_too_large_for_the_memory_limit_is_refused(two_snapshots: Path, folder: Folder) -> None:
    snapshot = Snapshot.open(str(copied(two_snapshots, folder)))
    assert [(index, len(part)) for index, part in snapshot.parts(1, 0)] == [(0, 2)]
    with pytest.raises(MemoryLimitError, match="a client that is too large for the memory limit"):
        list(snapshot.parts(2, 1))


def test_an_empty_record_batch_is_skipped(two_snapshots: Path, folder: Folder) -> None:
    snapshot = copied(two_snapshots, folder)
    table = pa.ipc.open_file(snapshot / ACCOUNTS_FILE).read_all()
    with pa.ipc.new_file(str(snapshot / ACCOUNTS_FILE), table.schema) as writer:
        writer.write_batch(pa.RecordBatch.from_pylist([], schema=table.schema))
        writer.write_table(table)
    seal(snapshot)
    ledger = Ledger()
    Snapshot.open(str(snapshot)).restore([ledger])
    assert len(ledger) == 2


def test_any_arrow_library_can_read_the_files(two_snapshots: Path) -> None:
    snapshot = two_snapshots / "state" / "snapshot-1"
    table = pa.ipc.open_file(snapshot / ACCOUNTS_FILE).read_all()
    assert table.to_pylist() == [
        {"client": 1, "available": 50_000, "held": 0, "locked": False},
        {"client": 2, "available": 0, "held": 70_000, "locked": False},
    ]
    assert table.schema.metadata[b"amounts"] == b"units of 0.0001"
    entries = pa.ipc.open_file(snapshot / ENTRIES_FILE).read_all()
    assert entries.to_pylist() == [
        {"client": 1, "tx": 1, "amount": 50_000, "kind": 0, "state": 0},
        {"client": 2, "tx": 2, "amount": 70_000, "kind": 0, "state": 1},
    ]
