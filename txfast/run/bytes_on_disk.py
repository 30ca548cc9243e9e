"""Estimates of the bytes that ledgers and rows take on disk once they are moved there.

This module must not know when that happens.
"""

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from txfast.ledger.ledger import Ledger
    from txfast.state.snapshot import Snapshot

# A row takes about 10 to 12 bytes; this has a margin. An account is written twice: to its partition, and sorted when
# the partition is settled. Long ids take more.
ROW_BYTES = 13
ACCOUNT_BYTES = 40


def bytes_of_ledger(ledger: "Ledger") -> int:
    """An estimate of the bytes that a ledger takes on disk."""
    accounts, entries = len(ledger), ledger.entries
    # Of ids that are texts, the name of its client is on disk with each entry too.
    texts = ledger.text_bytes * (accounts + 2 * entries) // max(1, accounts + entries)
    return entries * ROW_BYTES + accounts * ACCOUNT_BYTES + texts


def bytes_of_snapshot(snapshot: "Snapshot") -> int:
    """The same of the ledgers in a snapshot."""
    return snapshot.entries * ROW_BYTES + snapshot.accounts * ACCOUNT_BYTES + snapshot.text_bytes


def bytes_of_rows(rows: int, text_bytes: int, *, keeps_texts: bool, keeps_statuses: bool) -> int:
    """The same of rows, which have `text_bytes` in their input: with their ids where these are texts, and with their
    outcome for the reports, which have the rows' text too."""
    expected = rows * ROW_BYTES + (text_bytes if keeps_texts else 0)
    return expected + (text_bytes + rows if keeps_statuses else 0)
