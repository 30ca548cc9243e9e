"""Snapshots in formats 4 and 5, which were written before there were segments: whole, in shards, and as checkpoints
whose entries are in several files. All are restored, and damage to any file is noticed."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import strategies
from tests.support.bare_ledger import accounts_csv, apply_rows
from tests.support.legacy_states import SavedForm, any_forms, make_legacy, put_in_form
from tests.support.rows import Row
from tests.support.segment_rows import rows_of_ledgers
from tests.support.states import files_of, save_ledgers
from txfast.errors import StateError
from txfast.ledger.ledger import Ledger
from txfast.ledger.policy import Policy
from txfast.state import manifest
from txfast.state.legacy_snapshot import LegacySnapshot
from txfast.state.snapshots import open_snapshot

ROWS = [
    *(Row("deposit", client, tx, 10) for client in range(9) for tx in range(5)),
    *(Row(kind, client, 3) for kind in ("dispute", "chargeback") for client in range(4)),
    Row("refund", 7, 2, 4),
]


@given(
    strategies.policy_streams() | strategies.streams(amounts=strategies.edge_amounts), strategies.policies(),
    st.integers(0, 60), st.integers(1, 4), any_forms, st.integers(1, 20),
)  # fmt: skip
def test_a_restored_ledger_continues_like_the_saved_one(
    rows: list[Row], policy: str, cut: int, shards: int, form: SavedForm, rows_at_once: int
) -> None:
    whole = Ledger(Policy(policy))
    apply_rows(whole, rows[:cut])
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patched:
        patched.setattr("txfast.state.arrow_columns.BATCH_ROWS", rows_at_once)
        save_ledgers(Path(name) / "saved", [whole], policy=Policy(policy))
        put_in_form(Path(name) / "saved", form)
        snapshot = open_snapshot(f"{name}/saved")
        assert isinstance(snapshot, LegacySnapshot) == (form != "segments")
        ledgers = [Ledger(Policy(policy)) for _ in range(shards)]
        snapshot.restore(ledgers)
        parts = [ledger.balance_units for _, ledger in snapshot.parts(shards, 0)]
        [restored] = [ledger for _, ledger in snapshot.parts(1, 0)]
    assert parts == [ledger.balance_units for ledger in ledgers]
    assert accounts_csv(ledgers) == accounts_csv([whole])
    assert rows_of_ledgers(ledgers) == rows_of_ledgers([whole])
    assert apply_rows(restored, rows[cut:]) == apply_rows(whole, rows[cut:])
    assert rows_of_ledgers([restored]) == rows_of_ledgers([whole])


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A snapshot whose entries are in three files."""
    ledger = Ledger()
    apply_rows(ledger, ROWS)
    save_ledgers(tmp_path / "saved", [ledger])
    make_legacy(tmp_path / "saved", shares=3)
    assert files_of(tmp_path / "saved") == [
        "accounts.arrow", "details.arrow", "disputes.arrow", "entries-1.arrow", "entries-2.arrow", "entries.arrow",
    ]  # fmt: skip
    return tmp_path / "saved"


@pytest.mark.parametrize("damage", ["entries-1.arrow", "entries-2.arrow", "disputes.arrow", "details.arrow"])
def test_damage_to_one_of_several_files_is_noticed(checkpoint: Path, damage: str) -> None:
    open_snapshot(str(checkpoint)).restore([Ledger()])
    content = bytearray((checkpoint / damage).read_bytes())
    content[len(content) // 2] ^= 1
    (checkpoint / damage).write_bytes(content)
    with pytest.raises(StateError, match=f"{damage}: is damaged"):
        open_snapshot(str(checkpoint))


def test_files_of_other_names_are_noticed(checkpoint: Path) -> None:
    fields = json.loads((checkpoint / manifest.NAME).read_bytes())
    fields["files"]["more.arrow"] = fields["files"].pop("entries-1.arrow")
    del fields["hash"]
    (checkpoint / manifest.NAME).write_bytes(manifest.text_of(fields))
    with pytest.raises(StateError, match="its files are not those of a snapshot"):
        open_snapshot(str(checkpoint))
