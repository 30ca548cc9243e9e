"""Looks accounts up in a state directory, without a run and without its lock.

This module must not know where they are printed.
"""

import os
from tempfile import TemporaryDirectory

from txfast.errors import SourceError, StateError, TxfastError, UsageError
from txfast.ledger.ledger import Ledger
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.printable import shown_id
from txfast.state.dialects import decimals_of
from txfast.state.directory import no_snapshot
from txfast.state.snapshots import store_of
from txfast.state.store import Store
from txfast.store.client_loader import load_client

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence

    from txfast.state.directory import StateDirectory
    from txfast.state.snapshot import Snapshot

CLIENT_MAX = (1 << 64) - 1


def accounts_of_clients(state: "StateDirectory", names: "Sequence[str]") -> "tuple[AccountColumns, int]":
    """The accounts of these clients in the last good snapshot, and the decimals of their amounts.

    Raises StateError where there is no snapshot, or no account of one of them; UsageError for a name that no client
    has.
    """
    found: list[tuple[Ledger, list[int | bytes], int] | TxfastError] = []

    def look_up(snapshot: "Snapshot") -> None:
        clients = [client_named(name, snapshot) for name in names]
        try:
            ledger = ledger_of_clients(snapshot, clients)
        except (StateError, SourceError) as error:
            if not os.path.isdir(snapshot.folder):
                raise  # it was removed meanwhile: the next one is looked for
            found[:] = [error]  # no earlier snapshot stands in for one that is damaged
            return
        currencies = None if snapshot.text_ids is None else snapshot.text_ids.currencies
        numbers = range(1 if currencies is None else len(currencies))
        missing = [client for client in clients if all(ledger.account(client, number) is None for number in numbers)]
        found[:] = [(ledger, missing, decimals_of(snapshot.dialect))]

    state.load(look_up)
    if not found:
        raise no_snapshot(state.path)
    if isinstance(found[0], TxfastError):
        raise found[0]
    ledger, missing, decimals = found[0]
    if missing:
        raise StateError(f"{state.path}: has no account of client {shown_id(missing[0])}")
    return AccountColumns([ledger]), decimals


def client_named(name: str, snapshot: "Snapshot") -> int | bytes:
    """The client that a person names. Raises UsageError."""
    if snapshot.text_ids is not None and snapshot.text_ids.client:
        return name.encode(errors="surrogateescape")
    digits = name.strip().removeprefix("+")
    if not digits.isascii() or not digits.isdigit() or int(digits) > CLIENT_MAX:
        raise UsageError(f"--account {name}: clients are numbers in this state, from 0 to {CLIENT_MAX}")
    return int(digits)


def ledger_of_clients(snapshot: "Snapshot", clients: "Sequence[int | bytes]") -> Ledger:
    """A ledger with the accounts of these clients, and their transactions. Raises StateError."""
    ledger = Ledger(snapshot.policy, snapshot.text_ids)
    with TemporaryDirectory() as folder:
        store = store_of(snapshot)
        if store is None:
            snapshot.check_files()
            store = Store(snapshot.text_ids)
            store.add_parts(snapshot.parts(1, 0), folder)
        for client in dict.fromkeys(clients):
            load_client(ledger, store.view, client)
    return ledger
