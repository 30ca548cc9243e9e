"""Estimates of the bytes that ledgers and rows take on disk once they are moved there.

This module must not know when that happens.
"""

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence

    from txfast.batch.batch import TransactionBatch
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


def bytes_from(
    batch: "TransactionBatch", input_bytes: int, ledgers: "Sequence[Ledger]", *, keeps_texts: bool, keeps_statuses: bool
) -> int:
    """The same of ledgers, and of the rows of an input from this batch on: with their ids where these are texts, and
    with their outcome for the reports, which have the rows' text too."""
    text_bytes = max(0, input_bytes - batch.input_bytes_read)
    rows = text_bytes * len(batch) // max(1, batch.text_bytes)
    expected = rows * ROW_BYTES + (text_bytes if keeps_texts else 0)
    return sum(map(bytes_of_ledger, ledgers)) + expected + (text_bytes + rows if keeps_statuses else 0)
