"""The files of snapshots that earlier versions wrote (formats 1 to 5), and their columns; and the names of the kinds of
columns, which all snapshots have. Any Arrow library can read the files.

    manifest.json    what a run has left: counts, how far inputs were read, size and hash of each other file
    accounts.arrow   client uint64, available int64, held int64, locked bool
    entries.arrow    client uint64, tx uint64, amount int64, kind uint8, state uint8

An entry is an applied deposit or withdrawal. Ids that are texts are binary instead of uint64. Where accounts have a
currency, each file has a column `currency` behind `client`, binary: the bytes of the code. Amounts are in units of
their last decimal, 0.0001 by default; the amount of a withdrawal is 0 where its policy does not keep it. The metadata
of the schema says what the numbers in `kind` and `state` mean.

The checkpoints of one run shared the files of entries, so that each one wrote only the entries since the last one:

    entries-N.arrow  entries that an earlier checkpoint has written, N from 1 on: a second name (link) of its file
    disputes.arrow   client uint64, tx uint64, state uint8: the entries in all files that were ever disputed

The states in the files of entries were all 0 then.

Where payments were refunded, or disputed in part:

    details.arrow    client uint64, tx uint64, refunded int64, moved int64: `moved` is in dispute, or charged back

Where accounts began with opening balances that are not 0:

    openings.arrow   client uint64, opening int64

On a cluster several processes wrote one snapshot. For each of its shards it had accounts.arrow, entries.arrow and,
where there were any, openings.arrow and details.arrow:

    shard-N/         N from 0 on: part N of the hashes of clients (ledger/shard.pxd); of texts, by the key of that run

This module must not know how the files are written or read.
"""

from txfast.dialect.dialect import CURRENCY
from txfast.dialect.names import DECIMALS, unit
from txfast.ledger.columns_in import DISPUTE_STATES, ENTRY_KINDS, REVERSED_FLAG

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from txfast.dialect.text_ids import TextIds
else:
    from txfast.late import pa

ACCOUNTS = "accounts.arrow"
ENTRIES = "entries.arrow"
DISPUTES = "disputes.arrow"
DETAILS = "details.arrow"
OPENINGS = "openings.arrow"
SUMMARIES = "summaries"  # of accounts, in segments alone
EARLIER_ENTRIES = "entries-{}.arrow"
SHARD = "shard-{}"
# Bytes of one row, by column; 0 where it is a bit.
ROW_BYTES = {
    ACCOUNTS: (8, 8, 8, 0), ENTRIES: (8, 8, 8, 1, 1), DISPUTES: (8, 8, 1), DETAILS: (8, 8, 8, 8), OPENINGS: (8, 8),
}  # fmt: skip


# The kinds with the id of an entry; the others have that of a client alone.
ENTRY_FILES = (ENTRIES, DISPUTES, DETAILS)
# Of a text in a column: where it ends, and one byte at least.
TEXT_BYTES_MIN = 4 + 1
# The same of most codes of a currency.
CURRENCY_BYTES = 4 + 3


def row_bytes_min(kind: str, text_ids: "TextIds | None") -> int:
    """The least bytes of a row in this kind of file, but for bits."""
    row_bytes = sum(ROW_BYTES[kind])
    if text_ids is not None:
        texts = text_ids.client + (text_ids.tx and kind in ENTRY_FILES)
        row_bytes -= texts * (8 - TEXT_BYTES_MIN)
        if text_ids.currencies is not None:
            row_bytes += TEXT_BYTES_MIN
    return row_bytes


def schemas(decimals: int = DECIMALS, text_ids: "TextIds | None" = None) -> "dict[str, pa.Schema]":
    """The schema of each kind of file, by its name. Amounts have these decimals, these ids are texts, and accounts have
    a currency where `text_ids` has currencies."""
    client = [("client", pa.binary() if text_ids is not None and text_ids.client else pa.uint64())]
    if text_ids is not None and text_ids.currencies is not None:
        client.append((CURRENCY, pa.binary()))
    tx = ("tx", pa.binary() if text_ids is not None and text_ids.tx else pa.uint64())
    columns = {
        ACCOUNTS: [*client, ("available", pa.int64()), ("held", pa.int64()), ("locked", pa.bool_())],
        ENTRIES: [*client, tx, ("amount", pa.int64()), ("kind", pa.uint8()), ("state", pa.uint8())],
        DISPUTES: [*client, tx, ("state", pa.uint8())],
        DETAILS: [*client, tx, ("refunded", pa.int64()), ("moved", pa.int64())],
        OPENINGS: [*client, ("opening", pa.int64())],
    }
    states = f"{legend(DISPUTE_STATES)}; {REVERSED_FLAG} more where a chargeback was reversed"
    notes = {"amounts": f"units of {unit(decimals)}", "kind": legend(ENTRY_KINDS), "state": states}
    return {
        name: pa.schema([pa.field(field, kind, nullable=False) for field, kind in fields], metadata=notes)
        for name, fields in columns.items()
    }


def legend(names: "Sequence[str]") -> str:
    """The meaning of the codes in a column: "0 deposit, 1 withdrawal"."""
    return ", ".join(f"{code} {name}" for code, name in enumerate(names))
