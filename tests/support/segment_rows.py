"""Rows of a state, read from its segments by pyarrow: what any other program finds there.

A newer run shadows an older one: of accounts by client and currency, of entries by these and the transaction. This
module must not use what txfast reads segments with.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from txfast.dialect.text_ids import TextIds
from txfast.ledger.account_entries import entries_of
from txfast.ledger.columns_in import DISPUTE_STATES, REVERSED_FLAG
from txfast.ledger.ledger import Ledger
from txfast.state import manifest
from txfast.store.active import ActiveAccounts
from txfast.store.seal import seal
from txfast.store.segment_form import Form

ROW = dict[str, Any]
KEY = ("client", "currency", "tx")
IN_DISPUTE, CHARGED_BACK = (DISPUTE_STATES.index(state) for state in ("in dispute", "charged back"))
# What rows of segments without details lack.
NO_DETAILS: ROW = {"opening": 0, "standing": 0, "refunded": 0, "moved": 0}


class SavedRows(NamedTuple):
    """Accounts and entries, each as a row of its columns, in the order of client, currency and transaction."""

    accounts: list[ROW]
    entries: list[ROW]

    @property
    def details(self) -> list[ROW]:
        """The entries with refunds, or in dispute in part."""
        return [row for row in self.entries if row["refunded"] or row["moved"]]

    @property
    def openings(self) -> list[ROW]:
        """The accounts with an opening balance."""
        return [row for row in self.accounts if row["opening"]]


def key_of(row: ROW) -> tuple[Any, ...]:
    """The client, the currency and the transaction of a row, as far as it has them."""
    return tuple(row[name] for name in KEY if name in row)


def rows_of(paths: Iterable[str | Path]) -> list[ROW]:
    """All rows of some segments, in their order."""
    rows: list[ROW] = []
    for path in paths:
        table = pa.ipc.open_file(str(path)).read_all()
        rows += table.to_pylist()
    return rows


def newest(paths: Iterable[str | Path], *names: str) -> list[ROW]:
    """The newest row of each key in some segments, the oldest of which comes first; with these details."""
    found = {key_of(row): row for row in rows_of(paths)}
    return [{name: NO_DETAILS[name] for name in names} | found[key] for key in sorted(found)]


def saved_rows(accounts: Iterable[str | Path], entries: Iterable[str | Path]) -> SavedRows:
    """The rows of these segments, the oldest of which comes first."""
    return SavedRows(newest(accounts, "opening", "standing"), newest(entries, "refunded", "moved"))


def rows_of_snapshot(snapshot: Path) -> SavedRows:
    """The rows of a snapshot of segments."""
    runs = json.loads((snapshot / manifest.NAME).read_bytes())["runs"]
    paths = {
        sort: [snapshot / each["file"] for run in runs if run["sort"] == sort for each in run["segments"]]
        for sort in ("accounts", "entries", "changes")
    }
    return saved_rows(paths["accounts"], [*paths["entries"], *paths["changes"]])


def rows_of_ledgers(ledgers: Sequence[Ledger], text_ids: TextIds | None = None) -> SavedRows:
    """The rows of a state that these ledgers begin, which are what the ledgers have. `text_ids` are theirs."""
    forms = {sort: Form(sort, text_ids, bytes(32)) for sort in ("accounts", "entries")}
    with tempfile.TemporaryDirectory() as made:
        sealed = seal(
            [ActiveAccounts(ledger) for ledger in ledgers],
            lambda sort, number: f"{made}/{sort}-{number}.arrow",
            forms,
            durable=False,
        )
        rows = saved_rows([path for path, _ in sealed.accounts], [path for path, _ in sealed.entries])
    assert_as_in_ledgers(rows, ledgers, text_ids)
    return rows


def assert_as_in_ledgers(rows: SavedRows, ledgers: Sequence[Ledger], text_ids: TextIds | None) -> None:
    """The ledgers say the same of their accounts and entries, one by one."""
    entries: dict[tuple[Any, ...], list[ROW]] = {}
    for row in rows.entries:
        entries.setdefault((row["client"], row.get("currency")), []).append(row)
    assert len(rows.accounts) == sum(map(len, ledgers))
    for account in rows.accounts:
        owner = (account["client"], account.get("currency"))
        number = 0
        if owner[1] is not None:
            assert text_ids is not None
            assert text_ids.currencies is not None
            number = text_ids.currencies.number(owner[1])
        [found] = [each for ledger in ledgers if (each := ledger.account(owner[0], number)) is not None]
        assert found == (account["available"], account["held"], bool(account["flags"]))
        said = [
            (row["tx"], row["kind"], row["amount"], row["state"] & ~REVERSED_FLAG, row["refunded"], row["moved"])
            for row in entries.pop(owner, [])
        ]
        kept = sorted(entry for ledger in ledgers for entry in entries_of(ledger, owner[0], number))
        assert [with_whole_moves(entry) for entry in said] == [with_whole_moves(entry) for entry in kept]
    assert not entries


def with_whole_moves(entry: tuple[Any, ...]) -> tuple[Any, ...]:
    """An entry in which a dispute that says no amount is one of all that is left. No amount that is kept is 0."""
    tx, kind, amount, state, refunded, moved = entry
    is_open = state in (IN_DISPUTE, CHARGED_BACK)
    return tx, kind, amount or 0, state, refunded, amount if is_open and not refunded and not moved else moved
