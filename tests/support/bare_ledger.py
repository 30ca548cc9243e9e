"""Applies rows to a ledger without a run around it, and reads the ledger's accounts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tests.support.rows import Row, make_batch
from txfast.batch.batch import KINDS
from txfast.batch.cursor import report
from txfast.ledger.ledger import STATUSES, Ledger
from txfast.ledger.sorted_accounts import AccountColumns
from txfast.writers.accounts_csv import csv_blocks


def apply_lines(ledger: Ledger, lines: Sequence[bytes]) -> list[str]:
    """Apply well-formed lines as one batch. Returns the status of each."""
    batch = make_batch(lines)
    rejected_rows = ledger.apply(batch)
    statuses = [STATUSES[status] for _, _, status, _ in report(batch, applied=True)]
    assert len(statuses) == len(batch) == len(lines), "a line was malformed"
    assert rejected_rows == len(statuses) - statuses.count("applied")
    return statuses


def apply_rows(ledger: Ledger, rows: Sequence[Row]) -> list[str]:
    """Apply the rows as one batch. Returns the status of each."""
    return apply_lines(ledger, [row.line() for row in rows])


def status_counts(ledger: Ledger) -> dict[tuple[str, str], int]:
    """The number of rows by (type, status), without zeros."""
    counts = {}
    for kind_code, kind in enumerate(KINDS):
        for status_code, status in enumerate(STATUSES):
            if count := ledger.count(kind_code, status_code):
                counts[kind, status] = count
    return counts


class Account(NamedTuple):
    """An account as the ledger prints it, in units of 0.0001."""

    client: int
    available: int
    held: int
    locked: bool = False


def parse_accounts(text: bytes) -> list[Account]:
    """The accounts in an accounts CSV. Checks its form and that available + held = total."""
    header, *lines = text.decode().split("\n")[:-1]
    assert header == "client,available,held,total,locked"
    accounts = []
    for line in lines:
        client, *amounts, locked = line.split(",")
        available, held, total = (int(amount.replace(".", "")) for amount in amounts)
        assert available + held == total
        assert all(amount[-5] == "." for amount in amounts)
        accounts.append(Account(int(client), available, held, {"true": True, "false": False}[locked]))
    return accounts


def accounts_csv(ledgers: Sequence[Ledger]) -> bytes:
    """The accounts of all these ledgers, as the command prints them."""
    return b"".join(bytes(block) for block in csv_blocks(AccountColumns(ledgers)))


def accounts_of(ledger: Ledger) -> list[Account]:
    """The ledger's accounts, in the order in which they are printed."""
    return parse_accounts(accounts_csv([ledger]))
