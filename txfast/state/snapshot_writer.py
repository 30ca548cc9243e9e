"""Writes snapshots: the accounts and entries of ledgers into a new folder, and last its manifest.

This module must not know when snapshots are made, nor what the manifest says of inputs.
"""

import os
import time

from txfast._version import __version__
from txfast.errors import StateError, unwritable
from txfast.ledger.columns_out import ENTRY_KINDS, SavedLedger
from txfast.state import manifest
from txfast.state.arrow_columns import ColumnsWriter, new_columns, row_ranges, rows_at_once
from txfast.state.dialects import decimals_of, text_ids_of
from txfast.state.segments import Segments
from txfast.state.snapshot_layout import ACCOUNTS, DETAILS, DISPUTES, ENTRIES, OPENINGS, ROW_BYTES, SHARD, schemas
from txfast.writers.file import FileWriter, sync_folder

TYPE_CHECKING = False  # a constant that type checkers know; importing it from typing costs 5 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from txfast.dialect.dialect import Dialect
    from txfast.ledger.ledger import Ledger
    from txfast.state.arrow_columns import Columns


class SnapshotWriter:
    """Writes a snapshot into a new folder: `add` each ledger, then `finish`; `close` in any case. Raises SourceError.

    With `segments`, entries that are in these files already are not written again: the ledgers must be those of the
    earlier snapshot, in the same order. `segments_in` then gives the segments for the next snapshot.

    When `finish` returns, everything is on the disk. Measurements that need not wait for that pass `durable=False`.
    """

    def __init__(
        self,
        folder: str,
        *,
        durable: bool = True,
        segments: Segments | None = None,
        dialect: "Dialect | None" = None,
    ) -> None:
        self.folder = folder
        self._schemas = schemas(decimals_of(dialect), text_ids_of(dialect))
        self._durable = durable
        self._segments = segments
        self._linked: dict[str, dict[str, object]] = {}  # files shared with an earlier snapshot, as in a manifest
        self._files: dict[str, dict[str, object]] = {}  # files written anew, the same way
        self._writers: dict[str, ColumnsWriter] = {}
        self._accounts = self._entries = self._balance_units = 0
        self._entries_written: list[tuple[int, ...]] = []  # of each ledger, by kind
        try:
            os.mkdir(folder, 0o700)
        except OSError as error:
            raise unwritable(folder, error) from error
        if segments is not None and not segments.are_many:
            self._linked = segments.link_into(folder)
        try:
            for name in (ACCOUNTS, ENTRIES, *([] if segments is None else [DISPUTES])):
                self._open(name)
        except BaseException:
            self.close()
            raise

    def _open(self, name: str) -> ColumnsWriter:
        writer = self._writers[name] = ColumnsWriter(os.path.join(self.folder, name), self._schemas[name])
        return writer

    def add(self, ledger: "Ledger") -> None:
        """Write a ledger's accounts and entries."""
        saved = SavedLedger(ledger)
        writer = self._writers[ACCOUNTS]
        for first, rows in row_ranges(0, len(ledger), writer.rows_at_once):
            columns, currencies = new_columns(ROW_BYTES[ACCOUNTS], rows), saved.new_currencies(rows)
            saved.copy_accounts(first, rows, *columns, currencies=currencies)
            writer.write(rows, with_client(saved, rows, columns, currencies))
        self._add_entries(saved)
        if self._segments is not None:
            self._add_disputes(saved)
        self._add_details(saved)
        self._add_openings(saved, len(ledger))
        self._accounts += len(ledger)
        self._entries += ledger.entries
        self._balance_units += saved.total_units

    def _add_entries(self, saved: SavedLedger) -> None:
        """Write the entries that are not in the segments."""
        ends = tuple(saved.entries(kind) for kind in range(len(ENTRY_KINDS)))
        starts = (0,) * len(ends)
        if self._segments is not None and self._linked:
            starts = self._segments.written[len(self._entries_written)]
        writer = self._writers[ENTRIES]
        for kind, (start, end) in enumerate(zip(starts, ends, strict=True)):
            for first, rows in row_ranges(start, end, writer.rows_at_once):
                columns, currencies = new_columns(ROW_BYTES[ENTRIES], rows), saved.new_currencies(rows)
                saved.copy_entries(kind, first, rows, *columns, currencies=currencies)
                if self._segments is not None:
                    columns[-1] = bytearray(rows)  # states may change: the file of disputes has them
                writer.write(rows, with_ids(saved, kind, rows, columns, currencies))
        self._entries_written.append(ends)

    def _add_disputes(self, saved: SavedLedger) -> None:
        """Write all entries that were ever disputed. They are few, so that each snapshot can have all of them."""
        self._add_disputable(saved, DISPUTES, saved.copy_disputes)

    def _add_details(self, saved: SavedLedger) -> None:
        """Write the details of all entries that have some, into a file that is there only then."""
        if saved.has_details:
            self._add_disputable(saved, DETAILS, saved.copy_details)

    def _add_disputable(self, saved: SavedLedger, name: str, copy: "Callable[..., tuple[int, int]]") -> None:
        """Write the few entries that `copy` finds, a method of `saved`, out of all that can be disputed."""
        for kind in filter(saved.can_be_disputed, range(len(ENTRY_KINDS))):
            first, end = 0, saved.entries(kind)
            rows_max = rows_at_once(self._schemas[name])
            while first < end:
                columns, currencies = new_columns(ROW_BYTES[name], rows_max), saved.new_currencies(rows_max)
                rows, first = copy(kind, first, end, rows_max, *columns, currencies=currencies)
                if rows:
                    writer = self._writers.get(name) or self._open(name)
                    writer.write(rows, with_ids(saved, kind, rows, columns, currencies))

    def _add_openings(self, saved: SavedLedger, end: int) -> None:
        """Write the opening balances of all accounts that have one, into a file that is there only then."""
        first = 0 if saved.has_details else end
        rows_max = rows_at_once(self._schemas[OPENINGS])
        while first < end:
            columns, currencies = new_columns(ROW_BYTES[OPENINGS], rows_max), saved.new_currencies(rows_max)
            rows, first = saved.copy_openings(first, rows_max, *columns, currencies=currencies)
            if rows:
                writer = self._writers.get(OPENINGS) or self._open(OPENINGS)
                writer.write(rows, with_client(saved, rows, columns, currencies))

    def finish(self, fields: "dict[str, Any]") -> "dict[str, Any]":
        """Close the files and write the manifest, with these fields too; return all of its fields."""
        return write_manifest(self.folder, self.finish_files() | fields, durable=self._durable)

    def finish_files(self) -> "dict[str, Any]":
        """Close the files, which are on the disk then; return the fields that a manifest has of them."""
        self._files = {name: writer.finish(durable=self._durable) for name, writer in self._writers.items()}
        if self._durable:
            sync_folder(self.folder)
        return {
            "files": self._files | self._linked,
            "accounts": self._accounts,
            "entries": self._entries,
            "balance_units": self._balance_units,
        }

    def segments_in(self, folder: str) -> Segments:
        """After `finish`: the segments for the next snapshot. `folder` is the folder's name by then."""
        segments = Segments()
        segments.folder = folder
        segments.files = [*self._linked.values(), self._files[ENTRIES]]
        segments.written = self._entries_written
        return segments

    def close(self) -> None:
        """Close all files. The folder stays: the caller renames or removes it."""
        for writer in self._writers.values():
            writer.discard()


def with_client(saved: SavedLedger, rows: int, columns: list[bytearray], currencies: bytearray | None) -> "Columns":
    """Columns that were filled, the first one with clients as they are saved; then the currencies, if there are any."""
    client, *others = columns
    return [saved.client_column(rows, client), *saved.currency_columns(rows, currencies), *others]


def with_ids(
    saved: SavedLedger, kind: int, rows: int, columns: list[bytearray], currencies: bytearray | None
) -> "Columns":
    """The same for columns of entries of a kind, the second of which has transactions."""
    client, tx, *others = columns
    owners = with_client(saved, rows, [client], currencies)
    return [*owners, saved.tx_column(kind, rows, tx), *others]


def write_manifest(folder: str, fields: "dict[str, Any]", *, durable: bool = True) -> "dict[str, Any]":
    """Write the manifest of a snapshot, whose other files are there; return all of its fields.

    Raises SourceError, and StateError where it is longer than any reader accepts.
    """
    has_openings = any(os.path.basename(name) == OPENINGS for name in fields["files"])
    all_fields = {
        "format": manifest.EXTENDED_FORMAT if has_openings or "dialect" in fields else manifest.FORMAT,
        "txfast": __version__,
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        **fields,
    }
    path = os.path.join(folder, manifest.NAME)
    text = manifest.text_of(all_fields)
    if len(text) > manifest.BYTES_MAX:
        raise StateError(
            f"{path}: would take {len(text):,} bytes, and {manifest.BYTES_MAX:,} is the most: these are too many "
            f"inputs for one state, or too many parts of them, which are fewer where ranges are larger"
        )
    file = FileWriter.create(path)
    try:
        file.write(text)
        file.finish(durable=durable)
    finally:
        file.discard()
    if durable:
        sync_folder(folder)
    return all_fields


def join_shards(folder: str, shards: "Sequence[dict[str, Any]]", fields: "dict[str, Any]") -> set[str]:
    """Make one snapshot of shards that were each written into a folder inside this one; return all names in it.

    Each of `shards`, in their order, has what `finish_files` has returned, and the name of its `folder`. Raises
    SourceError.
    """
    files: dict[str, dict[str, object]] = {}
    for number, shard in enumerate(shards):
        name = SHARD.format(number)
        try:
            os.rename(os.path.join(folder, shard["folder"]), os.path.join(folder, name))
        except OSError as error:
            raise unwritable(os.path.join(folder, name), error) from error
        files |= {f"{name}/{file}": said for file, said in shard["files"].items()}
    counts = [{"accounts": shard["accounts"], "entries": shard["entries"]} for shard in shards]
    sums = {name: sum(shard[name] for shard in shards) for name in ("accounts", "entries", "balance_units")}
    write_manifest(folder, {"files": files, "shards": counts, **sums, **fields})
    return {manifest.NAME, *(SHARD.format(number) for number in range(len(shards)))}
